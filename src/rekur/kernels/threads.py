"""How many threads torch and the kernels use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Let torch and the kernels use `n` threads inside the context; None changes nothing.

    Small networks gain nothing from a second thread, and lose much where another program wants the same core:
    threads that wait for one another then wait for the scheduler.
    """
    import torch

    before = torch.get_num_threads()
    if n is not None and n < before:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
