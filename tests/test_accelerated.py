"""rekur.accelerated: what is built inside the context, and what is left of it afterwards."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import LSTM  # as a library does that was imported before

import rekur
import rekur.nn
from laws import assert_same_bits
from library import SIX, H, I, Library, OwnForward, assert_same_model


def assert_untouched() -> None:
    """torch is as it was: its constructors are its own."""
    for base in (nn.RNNBase, nn.RNNCellBase):
        assert vars(base)["__init__"].__module__ == "torch.nn.modules.rnn"
        assert not hasattr(base.__init__, "__wrapped__")


def test_context() -> None:
    """Code that builds its model inside: the same random parameters, our kernels, also after the context."""
    torch.manual_seed(1)
    plain = Library()
    torch.manual_seed(1)
    with rekur.accelerated() as report:
        assert report.layers == []
        fast, left = Library(), OwnForward(I, H)
        linear = nn.Linear(1, 1)
    assert [layer.name for layer in report.replaced] == ["#1", "#2", "#3", "#4"]
    assert [layer.kind for layer in report.replaced[:2]] == [
        "GRU(4, 5, num_layers=2, batch_first=True, bidirectional=True)",
        "Wide(4, 5, batch_first=True)",
    ]
    assert [(layer.name, layer.reason) for layer in report.left] == [("#5", "OwnForward has forward() of its own")]
    assert type(left) is OwnForward
    assert type(linear) is nn.Linear
    assert_same_bits(fast.state_dict(), plain.state_dict(), "the parameters drawn inside")
    assert rekur.accelerate(fast).replaced == ()
    assert_same_model(fast, plain, "the library built inside")
    assert_untouched()
    assert type(LSTM(I, H)) is nn.LSTM
    assert len(report.layers) == 5


@pytest.mark.parametrize("name", SIX)
def test_context_builds(name: str) -> None:
    """Each of the six, under a name imported before, also rekur's own, which is nothing new."""
    kind = getattr(nn, name)
    with rekur.accelerated() as report:
        layers = [kind(I, H), getattr(rekur.nn, name)(I, H)]
    assert [type(layer) for layer in layers] == [getattr(rekur.nn, name)] * 2
    assert [layer.status for layer in report.layers] == ["replaced", "already"]


def test_context_ends_with_exception() -> None:
    """An exception inside leaves torch as it was, so does a layer that cannot be built."""
    with pytest.raises(LookupError), rekur.accelerated() as report:
        raise LookupError(type(nn.GRU(I, H)).__module__)
    assert len(report.replaced) == 1
    assert_untouched()
    with rekur.accelerated() as report:
        with pytest.raises(ValueError, match="hidden_size"):
            nn.GRU(I, 0)
        assert type(nn.GRU(I, H)) is rekur.nn.GRU
    assert len(report.layers) == 1
    assert_untouched()
    assert type(nn.GRU(I, H)) is nn.GRU


def test_nested() -> None:
    """The inner context reports its own layers, the outer one all; only the last exit changes torch back."""
    with rekur.accelerated() as outer:
        nn.GRU(I, H)
        with rekur.accelerated() as inner:
            nn.LSTM(I, H)
        assert type(nn.RNN(I, H)) is rekur.nn.RNN
    assert [layer.kind for layer in outer.replaced] == ["GRU(4, 5)", "LSTM(4, 5)", "RNN(4, 5)"]
    assert [layer.kind for layer in inner.replaced] == ["LSTM(4, 5)"]
    assert_untouched()


def test_threads() -> None:
    """A context counts for its own thread; two that overlap leave nothing behind, whoever ends first."""
    barrier = threading.Barrier(3, timeout=10)
    built: dict[str, Any] = {}

    def work(name: str, inside: bool, rounds: int) -> None:
        if not inside:
            barrier.wait()  # both others are inside
            built[name] = [nn.GRU(I, H)], None
            barrier.wait()
            return
        with rekur.accelerated() as report:
            barrier.wait()
            barrier.wait()  # the one outside has built
            built[name] = [nn.GRU(I, H) for _ in range(rounds)], report

    jobs = [("a", True, 1), ("b", True, 50), ("c", False, 0)]
    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = {name: set(map(type, layers)) for name, (layers, _) in built.items()}
    assert kinds == {"a": {rekur.nn.GRU}, "b": {rekur.nn.GRU}, "c": {nn.GRU}}
    assert [len(built[name][1].replaced) for name in "ab"] == [1, 50]
    assert_untouched()
