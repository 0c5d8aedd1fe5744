"""Torch operators of the scan, for `torch.compile`, `torch.export`, fake tensors and dispatch modes.

The operator rekur::scan gives [y, S × last] and is differentiable. Under autograd it runs rekur::scan_tape, which gives
[y, S × last, tape], and in the backward pass rekur::scan_backward, which gives the wanted gradients. A cell is
passed by its name; lists hold its states in order. Eager calls go around the operators, because that costs less; both
run `rekur.kernels.extension`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rekur.core import BackendError, DataError, State, Weights
from rekur.kernels import checks, extension

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["backward", "forward", "library", "scan"]

_INPUTS = "str cell, Tensor x, Tensor W, Tensor R, Tensor? bW, Tensor? bR, Tensor[] state, Tensor? lengths, "
_INPUTS += "Tensor? resets, bool reverse"
_FORWARD = f"({_INPUTS}) -> Tensor[]"
_BACKWARD = "(str cell, Tensor x, Tensor W, Tensor R, Tensor tape, Tensor? resets, "
_BACKWARD += "Tensor?[] ends, bool[] wanted) -> Tensor[]"
library: Any = torch.library.Library("rekur", "DEF")  # type: ignore[no-untyped-call]
for _scheme in (f"scan{_FORWARD}", f"scan_tape{_FORWARD}", f"scan_backward{_BACKWARD}"):
    library.define(_scheme, tags=torch.Tag.pt2_compliant_tag)

_Operator = Callable[..., "list[Tensor]"]
Rest = tuple[Sequence["Tensor"], "Tensor | None", "Tensor | None", bool]  # state, lengths, resets, reverse
scan: _Operator = torch.ops.rekur.scan.default
_scan_tape: _Operator = torch.ops.rekur.scan_tape.default
_scan_backward: _Operator = torch.ops.rekur.scan_backward.default


def forward(
    cell: str,
    x: Tensor,
    weights: Weights,
    state: State,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    training: bool,
) -> list[Tensor]:
    """Run `rekur.kernels.extension.forward` as one operator."""
    run = _scan_tape if training else scan
    return run(cell, x, *weights, list(state), lengths, resets, reverse)


def backward(
    cell: str,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    tape: Tensor,
    resets: Tensor | None,
    ends: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Run `rekur.kernels.extension.backward` as one operator."""
    grads = iter(_scan_backward(cell, x, W, R, tape, resets, list(ends), list(wanted)))
    return [next(grads) if want else None for want in wanted]


def _check(cell: str, x: Tensor, weights: Weights, state: State, lengths: Tensor | None, resets: Tensor | None) -> None:
    """Check a call of an operator by its name, which has passed no other check."""
    declared = extension.CompiledCell.of(cell)
    reason = extension.unsupported_problem(declared, x, weights)
    if reason is not None:
        raise BackendError(f"rekur::scan cannot run the cell {cell!r}: {reason}")
    checks.check(declared, x, weights, state, lengths, resets)


def _on_cpu(training: bool) -> _Operator:
    def run(
        cell: str, x: Tensor, W: Tensor, R: Tensor, bW: Tensor | None, bR: Tensor | None, *rest: *Rest
    ) -> list[Tensor]:
        weights, (state, lengths, resets, reverse) = Weights(W, R, bW, bR), rest
        _check(cell, x, weights, state, lengths, resets)
        return extension.forward(cell, x, weights, state, lengths, resets, reverse, training)

    return run


def _fake(training: bool) -> _Operator:
    def run(
        cell: str, x: Tensor, W: Tensor, R: Tensor, bW: Tensor | None, bR: Tensor | None, *rest: *Rest
    ) -> list[Tensor]:
        weights, (state, lengths, resets, _) = Weights(W, R, bW, bR), rest
        _check(cell, x, weights, state, lengths, resets)
        outputs = extension.new_outputs(x, weights.R, len(state))
        if training:
            outputs.append(x.new_empty(extension.tape_bytes(cell, x, weights.R, resets), dtype=torch.uint8))
        return outputs

    return run


def _backward_on_cpu(
    cell: str,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    tape: Tensor,
    resets: Tensor | None,
    ends: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor]:
    if tape.shape != (extension.tape_bytes(cell, x, R, resets),):
        raise DataError(f"the tape of {tuple(tape.shape)} bytes is not that of a scan of {tuple(x.shape)}")
    return [g for g in extension.backward(cell, x, W, R, tape.contiguous(), resets, ends, wanted) if g is not None]


def _fake_backward(
    cell: str,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    tape: Tensor,
    resets: Tensor | None,
    ends: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor]:
    return [g for g in extension.new_gradients(x, W, R, wanted) if g is not None]


for _name, _training in (("scan", False), ("scan_tape", True)):
    library.impl(_name, _on_cpu(_training), "CPU")
    torch.library.register_fake(f"rekur::{_name}", _fake(_training), lib=library)
library.impl("scan_backward", _backward_on_cpu, "CPU")
torch.library.register_fake("rekur::scan_backward", _fake_backward, lib=library)
