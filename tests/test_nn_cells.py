"""rekur.nn's single steps give what torch.nn's give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import rekur.nn
from cases import DTYPES, Named, probe
from laws import assert_near, assert_same_bits
from test_nn_module import refusal

MODES = {"RNNCell": {}, "RNNCell relu": {"nonlinearity": "relu"}, "LSTMCell": {}, "GRUCell": {}}
every_mode = pytest.mark.parametrize("mode", MODES)
B, T, I, H = 4, 3, 5, 6  # noqa: E741


def twins(mode: str, **options: Any) -> tuple[Any, Any]:
    """torch's cell and ours with the same parameters."""
    kind = mode.split()[0]
    theirs, ours = (getattr(room, kind)(I, H, **MODES[mode], **options) for room in (nn, rekur.nn))
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def results(module: Any, rows: tuple[int, ...], hx: bool) -> Named:
    """The states after three steps and all gradients."""
    generator, dtype = torch.Generator().manual_seed(4), module.weight_ih.dtype
    pair = isinstance(module, nn.LSTMCell)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    x, starts = normal(T, *rows, I), [normal(*rows, H) for _ in range(1 + pair)]
    state: Any = None if not hx else tuple(starts) if pair else starts[0]
    for t in range(T):
        state = module(x[t], state)
    outputs = dict(zip(("h", "c"), state if pair else (state,), strict=False))
    tensors = {"x": x, **({"h0": starts[0], "c0": starts[-1]} if hx else {}), **dict(module.named_parameters())}
    found = torch.autograd.grad(probe(outputs), list(tensors.values()))
    gradients = {f"gradient of {name}": grad for name, grad in zip(tensors, found, strict=True)}
    return {**{name: out.detach() for name, out in outputs.items()}, **gradients}


@pytest.mark.parametrize("dtype", DTYPES)
@every_mode
def test_equal_to_torch(mode: str, dtype: str) -> None:
    """With and without biases, initial states and a batch axis."""
    for bias in (True, False):
        theirs, ours = twins(mode, bias=bias, dtype=getattr(torch, dtype))
        for rows in ((B,), (1,), (), (0,)):
            for hx in (True, False):
                what = f"{mode} bias={bias} rows={rows} hx={hx} {dtype}"
                assert_near(results(ours, rows, hx), results(theirs, rows, hx), T, what)


@every_mode
def test_the_kernels_run(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """These calls are not handed over to torch, and equal one step of the layer."""

    def refuse(*arguments: Any) -> None:
        raise AssertionError("handed over to torch")

    _, ours = twins(mode)
    kind = mode.split()[0]
    monkeypatch.setattr(getattr(nn, kind), "forward", refuse)
    layer = getattr(rekur.nn, kind.removesuffix("Cell"))(I, H, **MODES[mode])
    layer.load_state_dict({f"{name}_l0": tensor for name, tensor in ours.state_dict().items()})
    x = torch.randn(B, I)
    got, (want, _) = ours(x), layer(x[None])
    assert_same_bits({"h": got[0] if kind == "LSTMCell" else got}, {"h": want[0]}, mode)


@every_mode
def test_few_rows(mode: str) -> None:
    """torch runs them, in less time than the kernels need to bring the weights in order."""
    theirs, ours = twins(mode)
    for rows in ((3,), ()):
        assert_same_bits(results(ours, rows, True), results(theirs, rows, True), f"{rows}")


@every_mode
def test_other_dtypes(mode: str) -> None:
    """What the kernels do not know, torch runs."""
    theirs, ours = twins(mode, dtype=torch.bfloat16)
    assert_same_bits(results(ours, (B,), True), results(theirs, (B,), True), "bfloat16")
    theirs, ours = twins(mode)
    x = torch.randn(B, I)
    with torch.autocast("cpu", torch.bfloat16):
        got, want = ours(x), theirs(x)
    assert got[0].dtype == want[0].dtype
    assert torch.equal(got[0], want[0])


@every_mode
def test_misuse_is_refused_by_torch(mode: str) -> None:
    """The same error with the same words for whatever does not fit."""
    theirs, ours = twins(mode)
    x = torch.randn(B, I)

    def states(*shape: int, **options: Any) -> Any:
        state = torch.zeros(*shape, **options)
        return (state, state) if mode == "LSTMCell" else state

    wrong = [(x[:, :2],), (x[None],), (x.double(),), (x, states(B, 2)), (x, states(2, H)), (x, states(1, B, H))]
    for given in (*wrong, (x, states(B, H, dtype=torch.float64))):
        want = refusal(lambda call=given: theirs(*call))
        assert refusal(lambda call=given: ours(*call)) == want, want
    if mode == "RNNCell":
        theirs.nonlinearity = ours.nonlinearity = "sine"
        assert refusal(lambda: ours(x)) == refusal(lambda: theirs(x))
