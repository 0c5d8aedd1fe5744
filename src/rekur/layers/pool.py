"""Pooling: from the outputs of all steps to one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def pooled(y: Tensor, last: Tensor, lengths: Tensor | None) -> Tensor:
    """The last output beside mean and maximum over the steps within the length.

        p = [last; 1/T · Σ_t y_t; max_t y_t]

    y (B, T, H), last (B, H), lengths (B,) or None → (B, 3·H).
    """
    if lengths is None:
        return torch.cat([last, y.mean(1), y.amax(1)], dim=-1)
    inside = (torch.arange(y.shape[1]) < lengths[:, None])[..., None]  # (B, T, 1)
    mean = (y * inside).sum(1) / lengths[:, None]
    return torch.cat([last, mean, y.masked_fill(~inside, -torch.inf).amax(1)], dim=-1)
