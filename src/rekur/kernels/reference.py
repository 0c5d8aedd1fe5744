"""The reference: the loop over time in plain torch, always right and differentiable to any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekur.core import Cell, Weights

if TYPE_CHECKING:
    from torch import Tensor


def scan(
    cell: Cell, x: Tensor, weights: Weights, state: Any, lengths: Tensor | None, reverse: bool
) -> tuple[Tensor, Any]:
    """Fold the cell over x (B, T, I); see `rekur.kernels.scan`."""
    import torch

    B, T = x.shape[:2]
    if T == 0:
        return x.new_zeros(B, 0, state[0].shape[-1]), state
    mask = None
    if lengths is not None:
        mask = (torch.arange(T, device=x.device)[:, None] < lengths)[..., None]  # (T, B, 1)
        x = x.masked_fill(~mask.transpose(0, 1), 0)  # (B, T, I)
    wx = cell.project(x.transpose(0, 1), weights)  # (T, B, G·H)
    y = [x] * T
    for t in range(T - 1, -1, -1) if reverse else range(T):
        new = cell.point(cell.gate(wx[t]), cell.gate(cell.recur(state[0], weights)), state)
        if mask is None:
            state, y[t] = new, new[0]
        else:
            y[t] = new[0].masked_fill(~mask[t], 0)  # (B, H)
            state = type(new)(*(torch.where(mask[t], n, s) for n, s in zip(new, state, strict=True)))
    return torch.stack(y, dim=1), state  # (B, T, H), S × (B, H)


def step(cell: Cell, x: Tensor, weights: Weights, state: Any) -> Any:
    """Advance by one step: x (B, I), S states (B, H)."""
    return cell.point(cell.gate(cell.project(x, weights)), cell.gate(cell.recur(state[0], weights)), state)
