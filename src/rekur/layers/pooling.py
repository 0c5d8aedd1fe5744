"""Masks of valid steps, and pooling of the outputs of all steps into one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def length_mask(lengths: Tensor | None, y: Tensor) -> Tensor:
    """Mask (B, T) bool of the steps of y (B, T, ...) within the lengths (B,); all true if None."""
    B, T = y.shape[:2]
    return torch.ones(B, T, dtype=torch.bool) if lengths is None else torch.arange(T) < lengths[:, None]


def mean_pool(y: Tensor, mask: Tensor) -> Tensor:
    """Mean over the steps of the mask: y (B, T, H), mask (B, T) bool → (B, H)."""
    return (y * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def max_pool(y: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the steps of the mask: y (B, T, H), mask (B, T) bool → (B, H)."""
    return y.masked_fill(~mask[..., None], -torch.inf).amax(1)


def concat_pool(y: Tensor, last: Tensor, lengths: Tensor | None) -> Tensor:
    """Last output, mean and maximum over the steps within the length, concatenated.

        p = [last; 1/T · Σ_t y_t; max_t y_t]

    y (B, T, H), last (B, H), lengths (B,) or None → (B, 3·H).
    """
    if lengths is None:
        return torch.cat([last, y.mean(1), y.amax(1)], dim=-1)
    mask = length_mask(lengths, y)
    return torch.cat([last, mean_pool(y, mask), max_pool(y, mask)], dim=-1)


def global_pool(y: Tensor) -> Tensor:
    """Mean and maximum over the pixels of an image: (..., C, height, width) → (..., 2·C)."""
    return torch.cat([y.mean((-2, -1)), y.amax((-2, -1))], dim=-1)
