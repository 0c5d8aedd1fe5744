"""rekur.accelerate: the same model with the same numbers, run by other kernels."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import GRU, LSTM  # as a library does that was imported before
from torch.nn.utils import parametrizations, parametrize, prune

import rekur
import rekur.kernels.extension
import rekur.nn
import rekur.nn.recurrent
from laws import assert_near, assert_same_bits
from library import LIBRARY, SIX, B, H, I, Library, OwnForward, T, Wide, Wider, assert_same_model, both, results
from rekur.core import OptionError


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the cells that the layers hand to the kernels, as they do it."""
    seen, scan = [], rekur.nn.recurrent.scan

    def count(cell: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(cell.name)
        return scan(cell, *args, **kwargs)

    monkeypatch.setattr(rekur.nn.recurrent, "scan", count)
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_library(dtype: torch.dtype, scans: list[str]) -> None:
    """A whole model: every layer is found once, its kernels are ours, its numbers are the same."""
    plain, fast = both(Library, dtype)
    report = rekur.accelerate(fast)
    assert [layer.name for layer in report.replaced] == list(LIBRARY)
    assert report.left == report.already == ()
    for name, kind in LIBRARY.items():
        assert isinstance(fast.get_submodule(name), kind)
        assert isinstance(fast.get_submodule(name), type(plain.get_submodule(name)))
    assert_same_model(fast, plain, f"the library in {dtype}")
    assert scans == ["gru"] * 4 + ["lstm"] + ["rnn_relu"] * 2


@pytest.mark.parametrize("name", SIX)
def test_layer_itself(name: str) -> None:
    """A layer that is the model: the object, its parameters and its state_dict are what they were."""
    plain, fast = both(lambda: getattr(nn, name)(I, H))
    before, parameters = fast, list(fast.parameters())
    report = rekur.accelerate(fast)
    assert [layer[0] for layer in report.replaced] == ["(itself)"]
    assert fast is before
    assert type(fast) is getattr(rekur.nn, name)
    assert all(old is new for old, new in zip(parameters, fast.parameters(), strict=True))
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert_same_bits(fast.state_dict(), plain.state_dict(), name)
    assert repr(fast) == repr(plain)
    x = torch.randn(B, I, dtype=torch.float64)
    x = x if name.endswith("Cell") else x.expand(T, B, I)
    assert_near(results(fast, x), results(plain, x), T, name)


def test_optimizer_continues() -> None:
    """A step of Adam before and one after: an optimizer goes on where it was, as if nothing had happened."""
    plain, fast = both(Library)
    x = torch.randn(2, B, T, I, dtype=torch.float64)
    for model in (plain, fast):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(2):
            optimizer.zero_grad()
            model(x[step]).square().mean().backward()
            optimizer.step()
            if step == 0 and model is fast:
                assert len(rekur.accelerate(model).replaced) == len(LIBRARY)
                start = copy.deepcopy(model.state_dict())
    moved = [not torch.equal(value, start[name]) for name, value in fast.state_dict().items()]
    assert all(moved)
    assert_near(fast.state_dict(), plain.state_dict(), 100 * T, "the parameters after two steps")


def test_hooks_stay() -> None:
    """Hooks of every kind, registered before, are called as before."""
    calls: list[str] = []
    model = nn.Sequential(nn.GRU(I, H))
    model[0].register_forward_pre_hook(lambda *_: calls.append("before"))
    model[0].register_forward_hook(lambda *_: calls.append("after"))
    model[0].register_full_backward_hook(lambda *_: calls.append("backward"))
    model[0].register_state_dict_post_hook(lambda *_: calls.append("state_dict"))
    model[0].weight_ih_l0.register_hook(lambda _: calls.append("parameter"))
    rekur.accelerate(model)
    model(torch.randn(T, B, I, requires_grad=True))[0].sum().backward()
    model.state_dict()
    assert sorted(calls) == ["after", "backward", "before", "parameter", "state_dict"]


def test_twice_and_back() -> None:
    """A second call finds everything done; `restore` gives back exactly torch's classes, once."""
    plain, fast = both(Library)
    first, second = rekur.accelerate(fast), rekur.accelerate(fast)
    assert second.replaced == second.left == ()
    assert [layer.name for layer in second.already] == [layer.name for layer in first.replaced]
    assert rekur.nn.restore(fast) == tuple(LIBRARY)
    assert rekur.nn.restore(fast) == ()
    assert [type(layer) for layer in fast.modules()] == [type(layer) for layer in plain.modules()]
    x = torch.randn(B, T, I, dtype=torch.float64)
    assert_same_bits(results(fast, x), results(plain, x), "the model given back")


def test_lengths() -> None:
    """A replaced layer also takes what torch's does not: lengths."""
    model = nn.LSTM(I, H, batch_first=True)
    rekur.accelerate(model)
    y, (h, _) = model(torch.randn(2, T, I), lengths=torch.tensor([2, T]))
    assert_same_bits({"h": h[0, 0], "zero": y[0, 2:]}, {"h": y[0, 1], "zero": torch.zeros(T - 2, H)}, "lengths")


def test_subclass() -> None:
    """A subclass with torch's forward pass: still itself, one class for all of it, undone without a trace."""
    plain, fast = both(lambda: nn.ModuleList([Wide(I), Wide(I), Wider(I)]))
    report = rekur.accelerate(fast)
    assert [layer.kind for layer in report.replaced] == ["Wide(4, 5, batch_first=True)"] * 2 + [
        "Wider(4, 5, batch_first=True)"
    ]
    assert type(fast[0]) is type(fast[1]) is not type(fast[2])
    for ours, theirs in zip(fast, plain, strict=True):
        assert isinstance(ours, type(theirs))
        assert isinstance(ours, rekur.nn.LSTM)
        assert ours.size == I
        assert_same_model(ours, theirs, "a subclass")
    assert len(rekur.nn.restore(fast)) == 3
    assert [type(layer) for layer in fast] == [Wide, Wide, Wider]


@pytest.mark.parametrize("way", ["pickle", "old pickle", "save", "deepcopy"])
def test_copies(way: str) -> None:
    """An accelerated model that was stored and loaded, or copied, has the same classes and gives the same bits."""
    fast = Library()
    rekur.accelerate(fast)
    if way == "save":
        file = io.BytesIO()
        torch.save(fast, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    elif way == "deepcopy":
        other = copy.deepcopy(fast)
    else:
        other = pickle.loads(pickle.dumps(fast, protocol=0 if way.startswith("old") else pickle.HIGHEST_PROTOCOL))
    assert [type(layer) for layer in other.modules()] == [type(layer) for layer in fast.modules()]
    assert not set(map(id, other.parameters())) & set(map(id, fast.parameters()))
    assert other.again is other.twice
    x = torch.randn(B, T, I)
    assert_same_bits(results(other, x), results(fast, x), way)


def by_hook(layer: nn.Module) -> None:
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer, "weight_hh_l0")


CHANGED_WEIGHTS: dict[str, Callable[[nn.Module], Any]] = {
    "weight norm": lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
    "two norms": lambda layer: [parametrizations.weight_norm(layer, f"weight_{k}h_l0") for k in "ih"],
    "orthogonal": lambda layer: parametrizations.orthogonal(layer, "weight_hh_l0"),
    "weight norm by hook": by_hook,
    "pruning": lambda layer: prune.l1_unstructured(layer, "weight_ih_l0", 0.5),
}


@pytest.mark.parametrize("first", ["change", "accelerate"])
@pytest.mark.parametrize("kind", [nn.GRU, Wide])
@pytest.mark.parametrize("change", CHANGED_WEIGHTS)
def test_changed_weights(change: str, kind: Any, first: str, scans: list[str]) -> None:
    """Weights that are computed from others, in torch's three ways, before or after: same numbers and gradients."""
    plain, fast = both(lambda: Wide(I) if kind is Wide else kind(I, H, batch_first=True))
    if first == "accelerate":
        rekur.accelerate(fast)
    for layer in (plain, fast):
        torch.manual_seed(0)
        CHANGED_WEIGHTS[change](layer)
    report = rekur.accelerate(fast)
    assert len(report.already if first == "accelerate" else report.replaced) == 1
    assert type(fast).__name__ == type(plain).__name__
    assert_same_model(fast, plain, change)
    assert len(scans) == 1
    other = copy.deepcopy(fast) if parametrize.is_parametrized(fast) else fast
    assert type(other) is type(fast)
    rekur.nn.restore(other)
    assert isinstance(other, kind)
    assert not isinstance(other, rekur.nn.GRU | rekur.nn.LSTM)
    assert_same_model(other, plain, f"{change}, given back")


def test_parametrization_removed() -> None:
    """Removing the parametrization of an accelerated layer leaves rekur's class, and nothing of the other."""
    model = parametrizations.weight_norm(nn.LSTM(I, H), "weight_hh_l0")
    rekur.accelerate(model)
    parametrize.remove_parametrizations(model, "weight_hh_l0")
    assert type(model) is rekur.nn.LSTM
    assert "weight_hh_l0" in dict(model.named_parameters())


class OwnCheck(GRU):
    def check_input(self, input: Any, batch_sizes: Any) -> None:
        raise LookupError("not today")


class OwnRecurrence(nn.RNNBase):
    def forward(self, input: Any) -> Any:
        return input


class Registered(LSTM):
    def __init_subclass__(cls, key: str) -> None:
        super().__init_subclass__()


def replaced_forward() -> nn.Module:
    layer = nn.RNN(I, H)
    layer.forward = lambda x: (x, None)
    return layer


def quantized() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(I, H)))[0]


LEFT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "forward": (lambda: OwnForward(I, H), "OwnForward has forward() of its own"),
    "check": (lambda: OwnCheck(I, H), "OwnCheck has check_input() of its own"),
    "object": (replaced_forward, "this object has forward() of its own"),
    "base": (lambda: OwnRecurrence("GRU", I, H), "OwnRecurrence has a recurrence of its own"),
    "no class": (lambda: Registered(I, H), "missing 1 required positional argument: 'key'"),
    "traced": (lambda: torch.jit.trace(nn.GRU(I, H), torch.randn(T, B, I)), "compiled by torch.jit"),
    "quantized": (quantized, "quantized"),
}


@pytest.mark.filterwarnings("ignore")  # torch deprecates some of these
@pytest.mark.parametrize("case", LEFT)
def test_left(case: str) -> None:
    """What cannot be replaced stays as it was, with the reason, and what is beside it is replaced."""
    build, why = LEFT[case]
    model = nn.Sequential(build(), nn.GRU(I, H))
    kind = type(model[0])
    report = rekur.accelerate(model)
    assert type(model[0]) is kind
    assert [layer.name for layer in report.left] == ["0"]
    assert why in report.left[0].reason
    assert [layer.name for layer in report.replaced] == ["1"]


def test_without_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without kernels there is nothing to gain: all stay torch's, and each says why."""
    monkeypatch.setattr(rekur.kernels.extension, "_native", None)
    model = Library()
    report = rekur.accelerate(model)
    with rekur.accelerated() as built:
        other = Library()
    for result in (report, built):
        assert result.replaced == ()
        assert {layer.reason for layer in result.left} == {"the extension is not built"}
        assert len(result.left) == len(LIBRARY)
    assert not any(isinstance(layer, tuple(LIBRARY.values())) for layer in (*model.modules(), *other.modules()))


def test_other_dtype() -> None:
    """A layer in a dtype without kernels is replaced, and the report says that torch runs it for the time being."""
    model = nn.LSTM(I, H).half()
    (layer,) = rekur.accelerate(model).replaced
    assert "torch still runs it" in layer.reason
    assert "float16" in layer.reason
    assert rekur.accelerate(nn.LSTM(I, H)).replaced[0].reason == ""


def test_report() -> None:
    """Printed, a report is a table; a model without recurrence says so; it cannot be changed."""
    model = nn.ModuleDict({"past": nn.GRU(I, H, batch_first=True), "own": OwnForward(I, H), "fast": rekur.nn.RNN(I, H)})
    report = rekur.accelerate(model)
    assert str(report) == (
        "replaced 1, already 1, left 1\n"
        "  past  GRU(4, 5, batch_first=True)  replaced\n"
        "  own   OwnForward(4, 5)             left: OwnForward has forward() of its own\n"
        "  fast  RNN(4, 5)                    already"
    )
    assert str(rekur.accelerate(nn.Linear(1, 1))) == "no recurrent layer found"
    with pytest.raises(AttributeError):
        report.layers = ()


@pytest.mark.parametrize("function", [rekur.accelerate, rekur.nn.restore])
def test_no_module(function: Callable[[Any], Any]) -> None:
    """What is no module is refused with the cure."""
    with pytest.raises(OptionError, match=r"needs a torch\.nn\.Module, not dict.*accelerated"):
        function({"model": nn.GRU(I, H)})
