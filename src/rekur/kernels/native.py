"""Native backend: the fused kernels of the extension behind autograd, or behind operators where a graph is traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from rekur.core import Cell, GatesT, RecurrentT, State, StateT, Weights
from rekur.kernels import extension, torch_ops
from rekur.kernels.autograd import Scan, record
from rekur.kernels.checks import CellNames
from rekur.kernels.torch_private import (
    REVERSE_MODE,
    dispatch_modes,
    forward_mode_level,
    is_tracing,
    transform_depth,
    transform_levels,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["scan", "step", "unsupported_reason"]

_PLAIN = {torch.Tensor, torch.nn.Parameter, type(None)}


def unsupported_reason(cell: CellNames, x: Tensor, weights: Weights) -> str | None:
    """Return the reason why the native backend cannot run a problem.

    Parameters
    ----------
    cell : Cell
        The cell.
    x : Tensor
        Input (B, T, I).
    weights : Weights
        Parameters of the cell.

    Returns
    -------
    reason : str or None
        None if the native backend can run it.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import cell
    >>> from rekur.kernels import unsupported_reason
    >>> gru = cell("gru")
    >>> unsupported_reason(gru, torch.zeros(2, 5, 3, dtype=torch.float16), gru.init(3, 4)) is None
    False
    """
    if extension._native is None:
        return extension.MISSING
    if forward_mode_level() >= 0:
        return "it has no derivatives in forward mode"
    if transform_depth():
        if torch.compiler.is_compiling():
            return "inside of torch.compile it supports none of the transforms of torch.func"
        if any(level.key() != REVERSE_MODE for level in transform_levels()):
            return "of the transforms of torch.func it supports only those that differentiate in reverse mode"
    return extension.unsupported_problem(cell, x, weights)


def _in_graph(tensors: Sequence[Tensor | None], x: Tensor) -> bool:
    """Whether operators are recorded (compiler, dispatch mode, trace) or a tensor is not a plain one on the CPU."""
    return bool(
        torch.compiler.is_compiling()
        or dispatch_modes()
        or is_tracing()
        or not x.is_cpu
        or not _PLAIN.issuperset(map(type, tensors))
    )


def _requires_grad(tensors: Sequence[Tensor | None]) -> bool:
    """Whether any tensor requires a gradient; a loop, because `any` over a generator takes three times as long."""
    for tensor in tensors:  # noqa: SIM110
        if tensor is not None and tensor.requires_grad:
            return True
    return False


def scan(
    cell: Cell[GatesT, RecurrentT, StateT],
    x: Tensor,
    weights: Weights,
    state: State | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, StateT]:
    """Fold the cell over x (B, T, I); see `rekur.kernels.scan`."""
    in_graph = _in_graph((x, *weights, *(state or ())), x)
    if state is None and (in_graph or transform_depth()):
        state = cell.zeros(x.shape[0], weights.R.shape[1], weights.R)
    tensors = (x, *weights, *(state or ()))
    if transform_depth():
        passes = torch_ops if in_graph else extension
        y, *last, _ = Scan.apply(passes, cell, reverse, lengths, resets, *tensors)  # type: ignore[no-untyped-call]
    elif in_graph:
        y, *last = torch_ops.scan(cell.name, x, *weights, list(state or ()), lengths, resets, reverse)
    elif torch.is_grad_enabled() and _requires_grad(tensors):
        y, *last, _ = record(extension, cell, reverse, lengths, resets, *tensors)
    else:
        y, *last = extension.forward(cell.name, x, weights, state, lengths, resets, reverse, False)
    make: Callable[[list[Tensor]], StateT] | None = getattr(state, "_make", None)
    if make is not None:  # built by `cell.state`: its type by the shortest way
        return y, make(last)
    return y, cell.state(**dict(zip(cell.states, last, strict=True)))


def step(cell: Cell[GatesT, RecurrentT, StateT], x: Tensor, weights: Weights, state: State) -> StateT:
    """Advance by one step: x (B, I), S states (B, H)."""
    return scan(cell, x.unsqueeze(1), weights, state, None, None, False)[1]
