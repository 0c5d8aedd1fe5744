"""The reference: the loop over time in plain torch, always right and differentiable to any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekur.core import Cell, Weights

if TYPE_CHECKING:
    from torch import Tensor


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
    import torch

    B, T = x.shape[:2]
    if T == 0:
        return x.new_zeros(B, 0, state[0].shape[-1]), state
    dtype, kept = weights.R.dtype, x.dtype  # they differ if x is bfloat16
    if kept is not dtype:
        weights = weights._replace(W=weights.W.to(kept).to(dtype), R=weights.R.to(kept).to(dtype))
    x = x.to(dtype)
    mask = None
    if lengths is not None:
        mask = (torch.arange(T, device=x.device)[:, None] < lengths)[..., None]  # (T, B, 1)
        x = x.masked_fill(~mask.transpose(0, 1), 0)  # (B, T, I)
        resets = resets if resets is None else resets & mask[..., 0].T
    wx = cell.project(x.transpose(0, 1), weights)  # (T, B, G·H)
    y = [x] * T
    for t in range(T - 1, -1, -1) if reverse else range(T):
        if resets is not None:
            zero = resets[:, t, None]  # (B, 1)
            state = cell.state(**{n: s.masked_fill(zero, 0) for n, s in zip(cell.states, state, strict=True)})
        new = cell.point(cell.gate(wx[t]), cell.recur(state[0].to(kept).to(dtype), weights), state)
        if mask is None:
            state, y[t] = new, new[0]
        else:
            y[t] = new[0].masked_fill(~mask[t], 0)  # (B, H)
            state = type(new)(*(torch.where(mask[t], n, s) for n, s in zip(new, state, strict=True)))
    return torch.stack(y, dim=1).to(kept), state  # (B, T, H), S × (B, H)


def step(cell: Cell, x: Tensor, weights: Weights, state: Any) -> Any:
    """Advance by one step: x (B, I), S states (B, H)."""
    return scan(cell, x[:, None], weights, state, None, None, False)[1]
