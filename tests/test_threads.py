"""rekur.kernels.threads: the number of threads inside a context, and as before after the last one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from rekur.kernels.threads import threads


@pytest.fixture(autouse=True)
def _four() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def in_new_thread() -> int:
    """The number that a Python thread started now sees."""
    numbers: list[int] = []
    thread = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return numbers[0]


def test_limit_and_return() -> None:
    """Nested contexts each return to what was outside; a limit never raises the number."""
    with threads(3):
        assert torch.get_num_threads() == 3
        with threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with threads(8):
            assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == in_new_thread() == 4
    with pytest.raises(LookupError), threads(2):
        raise LookupError
    assert torch.get_num_threads() == in_new_thread() == 4


def test_none_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on entry nor on exit, also if the setting is changed inside."""
    with threads(None):
        torch.set_num_threads(2)
    assert torch.get_num_threads() == 2

    def refuse(n: int) -> None:
        raise AssertionError(f"set_num_threads({n})")

    monkeypatch.setattr(torch, "set_num_threads", refuse)
    with threads(None):
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("inner_first", [True, False])
def test_overlapping_contexts(inner_first: bool) -> None:
    """Contexts of two Python threads, the second started inside the first: whoever ends last, all is as before."""
    inside, leave = threading.Event(), threading.Event()
    seen: list[int] = []

    def work() -> None:
        with threads(1):
            seen.append(torch.get_num_threads())
            inside.set()
            leave.wait(10)
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    with threads(1):
        thread.start()
        assert inside.wait(10)
        if inner_first:
            leave.set()
            thread.join()
            assert torch.get_num_threads() == 1
    leave.set()
    thread.join()
    assert seen == [1, 4]
    assert torch.get_num_threads() == in_new_thread() == 4


def test_contexts_at_the_same_time() -> None:
    """Eight threads that enter and leave in any order leave the setting as it was."""

    def work(limit: int) -> None:
        for _ in range(50):
            with threads(limit):
                assert torch.get_num_threads() <= limit

    workers = [threading.Thread(target=work, args=(1 + k % 3,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert torch.get_num_threads() == in_new_thread() == 4
