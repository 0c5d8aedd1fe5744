"""The native backend: the fused kernels of the extension behind autograd, or behind operators where a graph is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import forward_ad

from rekur.core import Cell, Weights
from rekur.kernels import extension, torch_ops
from rekur.kernels.autograd import Scan, record, transforms
from rekur.kernels.extension import _native as _native
from rekur.kernels.extension import describe, forced

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["describe", "forced", "scan", "step", "why_not"]

_PLAIN = {torch.Tensor, torch.nn.Parameter, type(None)}
_REVERSE = torch._C._functorch.TransformType.Grad


def why_not(cell: Cell, x: Tensor, weights: Weights) -> str | None:
    """Return the reason why the native kernel cannot run this problem, or None if it can."""
    if _native is None:
        return extension.MISSING
    if forward_ad._current_level >= 0:
        return "it has no derivatives in forward mode"
    if transforms():
        if torch.compiler.is_compiling():
            return "inside of torch.compile it knows none of the transforms of torch.func"
        if any(level.key() != _REVERSE for level in torch._C._functorch.get_interpreter_stack()):
            return "of the transforms of torch.func it knows only those that differentiate in reverse mode"
    return extension.why_not(cell, x, weights)


def _in_graph(tensors: tuple[Any, ...]) -> bool:
    """Whether somebody watches the operators (a compiler, a dispatch mode, a trace) or a tensor is not a plain one."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._is_tracing()
        or not tensors[0].is_cpu
        or not _PLAIN.issuperset(map(type, tensors))
    )


def _asks(tensors: tuple[Any, ...]) -> bool:
    """Whether a gradient is asked for; a loop, because `any` over a generator takes three times as long."""
    for tensor in tensors:  # noqa: SIM110
        if tensor is not None and tensor.requires_grad:
            return True
    return False


def scan(
    cell: Cell,
    x: Tensor,
    weights: Weights,
    state: Any,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Any]:
    """Fold the cell over x (B, T, I); see `rekur.kernels.scan`."""
    in_graph = _in_graph((x, *weights, *(state or ())))
    if state is None and (in_graph or transforms()):
        state = cell.zeros(x.shape[0], weights.R.shape[1], weights.R)
    tensors = (x, *weights, *(state or ()))
    if transforms():
        passes = torch_ops if in_graph else extension
        y, *last, _ = Scan.apply(passes, cell, reverse, lengths, resets, *tensors)  # type: ignore[no-untyped-call]
    elif in_graph:
        y, *last = torch_ops.scan(cell.name, x, *weights, list(state), lengths, resets, reverse)
    elif torch.is_grad_enabled() and _asks(tensors):
        y, *last, _ = record(extension, cell, reverse, lengths, resets, *tensors)
    else:
        y, *last = extension.forward(cell.name, x, weights, state, lengths, resets, reverse, False)
    if hasattr(state, "_make"):  # what cell.state made: its type by the shortest way
        return y, state._make(last)
    return y, cell.state(**dict(zip(cell.states, last, strict=True)))


def step(cell: Cell, x: Tensor, weights: Weights, state: Any) -> Any:
    """Advance by one step: x (B, I), S states (B, H)."""
    return scan(cell, x.unsqueeze(1), weights, state, None, None, False)[1]
