"""Reference backend: the loop over time in plain torch, differentiable to any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rekur.core import Cell, GatesT, RecurrentT, State, StateT, Weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["fold", "scan", "step"]


def fold(
    advance: Callable[[Tensor, StateT], StateT],
    wx: Sequence[Tensor] | Tensor,
    state: StateT,
    mask: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
) -> tuple[list[Tensor], StateT]:
    """Apply a function of one step along time, with masks, resets and direction.

        s_t = advance(wx_t, s_{t-1}) where the mask is true, else s_{t-1}

    Parameters
    ----------
    advance : callable
        One step: the input of the step and the old state give the new state, whose first tensor is the output.
    wx : Tensor or sequence of Tensor
        Inputs of T steps, each (B, ...).
    state : NamedTuple of Tensor
        State before the first step, tensors (B, ...).
    mask : Tensor of bool or None, default None
        (T, B, ...), broadcastable to the state; false where a step lies beyond the length of its row.
    resets : Tensor of bool or None, default None
        (T, B, ...), broadcastable to the state; true where the states before the step become zero.
    reverse : bool, default False
        Walk from the last step to the first.

    Returns
    -------
    outputs : list of Tensor
        T outputs, zero where the mask is false.
    state : NamedTuple of Tensor
        State after the last step of each row.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import HiddenState
    >>> from rekur.kernels.reference import fold
    >>> x, start = torch.ones(3, 1), HiddenState(torch.zeros(1))
    >>> outputs, last = fold(lambda x_t, s: HiddenState(s.h + x_t), x, start)
    >>> torch.stack(outputs).tolist(), last.h.tolist()
    ([[1.0], [2.0], [3.0]], [3.0])
    """
    import torch

    kind: Callable[..., StateT] = type(state)
    T = len(wx)
    outputs = [state[0]] * T
    for t in range(T - 1, -1, -1) if reverse else range(T):
        if resets is not None:
            zero = resets[t]
            state = kind(*(s.masked_fill(zero, 0) for s in state))
        new = advance(wx[t], state)
        if mask is None:
            state, outputs[t] = new, new[0]
        else:
            inside = mask[t]
            outputs[t] = new[0].masked_fill(~inside, 0)
            state = kind(*(torch.where(inside, n, s) for n, s in zip(new, state, strict=True)))
    return outputs, state


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
    import torch

    B, T = x.shape[:2]
    if state is None:
        start = cell.zeros(B, weights.R.shape[1], weights.R)
    else:
        start = cell.state(**dict(zip(cell.states, state, strict=True)))
    if T == 0:
        return x.new_zeros(B, 0, start[0].shape[-1]), start
    dtype, x_dtype = weights.R.dtype, x.dtype  # they differ if x is bfloat16
    if x_dtype is not dtype:
        weights = weights._replace(W=weights.W.to(x_dtype).to(dtype), R=weights.R.to(x_dtype).to(dtype))
    x = x.to(dtype)
    mask = None
    if lengths is not None:
        mask = (torch.arange(T, device=x.device)[:, None] < lengths)[..., None]  # (T, B, 1)
        x = x.masked_fill(~mask.transpose(0, 1), 0)  # (B, T, I)
        resets = resets if resets is None else resets & mask[..., 0].T

    def advance(wx: Tensor, before: StateT) -> StateT:
        return cell.point(cell.gate(wx), cell.recur(before[0].to(x_dtype).to(dtype), weights), before)

    wx = cell.project(x.transpose(0, 1), weights)  # (T, B, G·H)
    outputs, last = fold(advance, wx, start, mask, None if resets is None else resets.T[..., None], reverse)
    return torch.stack(outputs, dim=1).to(x_dtype), last  # (B, T, H), S × (B, H)


def step(cell: Cell[GatesT, RecurrentT, StateT], x: Tensor, weights: Weights, state: State) -> StateT:
    """Advance by one step: x (B, I), S states (B, H)."""
    return scan(cell, x[:, None], weights, state, None, None, False)[1]
