"""Steps that count, and pooling: from the outputs of all steps to one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def within(lengths: Tensor | None, y: Tensor) -> Tensor:
    """Which steps of y (B, T, ...) count, (B, T) bool: those within the lengths (B,), or all."""
    B, T = y.shape[:2]
    return torch.ones(B, T, dtype=torch.bool) if lengths is None else torch.arange(T) < lengths[:, None]


def mean(y: Tensor, inside: Tensor) -> Tensor:
    """The mean over the steps that count: y (B, T, H), inside (B, T) bool → (B, H)."""
    return (y * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)


def most(y: Tensor, inside: Tensor) -> Tensor:
    """The maximum over the steps that count: y (B, T, H), inside (B, T) bool → (B, H)."""
    return y.masked_fill(~inside[..., None], -torch.inf).amax(1)


def pooled(y: Tensor, last: Tensor, lengths: Tensor | None) -> Tensor:
    """The last output beside mean and maximum over the steps within the length.

        p = [last; 1/T · Σ_t y_t; max_t y_t]

    y (B, T, H), last (B, H), lengths (B,) or None → (B, 3·H).
    """
    if lengths is None:
        return torch.cat([last, y.mean(1), y.amax(1)], dim=-1)
    inside = within(lengths, y)
    return torch.cat([last, mean(y, inside), most(y, inside)], dim=-1)
