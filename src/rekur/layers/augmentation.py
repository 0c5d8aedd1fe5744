"""Data augmentation for videos: random affine maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def random_affine(x: Tensor, strength: float) -> Tensor:
    """Apply a random affine map and random colour gains to each video, the same to all of its frames.

    x (B, T, 3, height, width) in -1 … 1; `strength` bounds the entries that are added to the identity matrix, in units
    of half the frame, and the relative change of each colour.
    """
    B = len(x)
    matrix = torch.eye(2) + strength * (2 * torch.rand(B, 2, 2) - 1)
    grid = F.affine_grid(F.pad(matrix, (0, 1)), [B, 1, *x.shape[3:]], align_corners=False)  # (B, height, width, 2)
    warped = F.grid_sample(x.flatten(1, 2), grid, padding_mode="border", align_corners=False)
    gain = 1 + strength * (2 * torch.rand(B, 1, 3, 1, 1) - 1)
    return ((warped.view_as(x) + 1) * gain - 1).clamp(-1, 1)
