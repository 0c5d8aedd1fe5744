"""Number of threads of torch and the kernels, limited inside a context."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["threads"]

_LOCK = threading.Lock()
_RESTORED: list[int] = []  # for each open context of the process, the number that it restores
_LOCAL = threading.local()  # `depth`: open contexts of this thread


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Let torch and the kernels use at most `n` threads inside the context.

    A second thread does not speed up small networks, and slows them down when another program uses the core.

    The number is a setting of the process, and each Python thread has a copy of it. Contexts may be nested and may
    overlap in several Python threads, which end them in any order: after the last one the setting is as before.

    Parameters
    ----------
    n : int or None
        Largest number of threads; None keeps the current one.

    Examples
    --------
    >>> import torch
    >>> from rekur.kernels.threads import threads
    >>> before = torch.get_num_threads()
    >>> with threads(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    if n is None:
        yield
        return
    import torch

    with _LOCK:
        depth = getattr(_LOCAL, "depth", 0)
        before = torch.get_num_threads()
        if depth == 0:  # a Python thread started during a context of another one has copied its limit
            before = max(before, *_RESTORED, 1)
        _RESTORED.append(before)
        _LOCAL.depth = depth + 1
        torch.set_num_threads(min(n, before))
    try:
        yield
    finally:
        with _LOCK:
            _RESTORED.remove(before)
            _LOCAL.depth = depth
            torch.set_num_threads(before)
