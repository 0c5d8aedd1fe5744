"""A module of torch.nn and the one of rekur.nn with the same parameters, and everything one call of them gives.

    for call in CALLS:
        theirs, ours = twins(call)
        results(theirs, call) ≈ results(ours, call)

Sequences of unequal length reach torch.nn packed; rekur.nn gets what the call says.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rekur.nn
from cases import Named, probe

B, T, I, H = 4, 5, 3, 6  # noqa: E741
MODES = ("RNN", "RNN_relu", "LSTM", "GRU")
FORMS = {  # how the rows come, and how long they are
    "batch": None,
    "row": None,  # one row without a batch axis
    "sorted": (5, 4, 4, 2),  # a PackedSequence, as are the unsorted
    "unsorted": (2, 5, 4, 1),
    "lengths": (3, 0, 5, 1),
}


@dataclass(frozen=True)
class Call:
    """A module and how it is called; it holds no numbers."""

    mode: str
    form: str = "batch"
    hx: bool = True
    batch_first: bool = False
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    proj_size: int = 0
    dtype: torch.dtype = torch.float64

    def __str__(self) -> str:
        return " ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))

    def options(self) -> dict[str, Any]:
        """The arguments of the constructor behind the sizes."""
        options = {"num_layers": self.layers, "bidirectional": self.bidirectional, "batch_first": self.batch_first}
        options |= {"nonlinearity": "relu"} if self.mode == "RNN_relu" else {}
        options |= {"proj_size": self.proj_size} if self.proj_size else {}
        return {**options, "bias": self.bias, "dtype": self.dtype}


def calls(mode: str, form: str) -> list[Call]:
    """Every combination of the other options in double, one with and one without biases by turns."""
    found = []
    for hx, batch_first, bidirectional, layers in product((True, False), (False, True), (False, True), (1, 2)):
        bias = (hx + batch_first + bidirectional + layers) % 2 == 0
        found.append(Call(mode, form, hx, batch_first, layers, bidirectional, bias))
    return found


def twins(call: Call) -> tuple[Any, Any]:
    """torch's module and ours."""
    kind = call.mode.removesuffix("_relu")
    theirs = getattr(nn, kind)(I, H, **call.options())
    ours = getattr(rekur.nn, kind)(I, H, **call.options())
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def leaves(call: Call) -> Named:
    """Input and, if the call has them, initial states, drawn from N(0, 1)."""
    generator = torch.Generator().manual_seed(2)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(call.dtype)

    rows, blocks = () if call.form == "row" else (B,), call.layers * (2 if call.bidirectional else 1)
    tensors = {"x": normal(*((*rows, T) if call.batch_first else (T, *rows)), I)}
    if call.hx:
        tensors["h0"] = normal(blocks, *rows, call.proj_size or H)
    if call.hx and call.mode == "LSTM":
        tensors["c0"] = normal(blocks, *rows, H)
    return tensors


def initial(call: Call, tensors: Named) -> Any:
    """The argument `hx`."""
    if not call.hx:
        return None
    return (tensors["h0"], tensors["c0"]) if call.mode == "LSTM" else tensors["h0"]


def run(module: Any, call: Call, tensors: Named) -> Named:
    """The outputs of the module by name; those of a PackedSequence are the numbers in it."""
    x, hx, counts = tensors["x"], initial(call, tensors), FORMS[call.form]
    if counts is None:
        output, last = module(x, hx)
    elif call.form != "lengths":
        packed = pack_padded_sequence(x, torch.tensor(counts), call.batch_first, enforce_sorted=call.form == "sorted")
        output, last = module(packed, hx)
        output = output.data
    elif isinstance(module, _OURS):
        output, last = module(x, hx, lengths=torch.tensor(counts))
    else:
        output, last = _by_packing(module, call, tensors)
    last = last if isinstance(last, tuple) else (last,)
    return {"output": output, **dict(zip(("h", "c"), last, strict=False))}


_OURS = (rekur.nn.RNN, rekur.nn.LSTM, rekur.nn.GRU)


def _by_packing(module: Any, call: Call, tensors: Named) -> tuple[torch.Tensor, Any]:
    """What torch.nn gives for the rows that are not empty, at their places; an empty row keeps its state."""
    lengths = torch.tensor(FORMS[call.form])
    rows, axis = lengths.nonzero()[:, 0], 0 if call.batch_first else 1
    x, hx = tensors["x"].index_select(axis, rows), initial(call, tensors)
    packed = pack_padded_sequence(x, lengths[rows], call.batch_first, enforce_sorted=False)
    pair = call.mode == "LSTM"
    states = () if hx is None else hx if pair else (hx,)
    some = [state.index_select(1, rows) for state in states]
    output, last = module(packed, None if hx is None else tuple(some) if pair else some[0])
    output, _ = pad_packed_sequence(output, call.batch_first, total_length=T)
    found = last if pair else (last,)
    states = states or [state.new_zeros(state.shape[0], B, state.shape[2]) for state in found]
    whole = output.new_zeros(*tensors["x"].shape[:2], output.shape[-1]).index_copy(axis, rows, output)
    return whole, tuple(state.index_copy(1, rows, new) for state, new in zip(states, found, strict=True))


def results(module: Any, call: Call, only: tuple[str, ...] = ("output", "h", "c")) -> Named:
    """All outputs, and all gradients of a number that depends on those in `only`."""
    tensors = {name: tensor.requires_grad_() for name, tensor in leaves(call).items()}
    outputs = run(module, call, tensors)
    tensors |= dict(module.named_parameters())
    value = probe({name: out for name, out in outputs.items() if name in only})
    found = torch.autograd.grad(value, list(tensors.values()), allow_unused=True, materialize_grads=True)
    gradients = {f"gradient of {name}": grad for name, grad in zip(tensors, found, strict=True)}
    return {**{name: out.detach() for name, out in outputs.items()}, **gradients}
