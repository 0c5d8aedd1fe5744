"""Data augmentation for numbers and videos: random spans and speeds, random affine maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def random_speed(x: Tensor, lengths: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Replace each row by a random span of its steps at a random speed, by linear interpolation.

    A span covers at least a share of 1 - strength of the row, and its speed is exp(u), u from U(-strength, strength).
    x (B, T, I), lengths (B,) → (B, T', I), lengths.

    >>> import torch
    >>> x, lengths = random_speed(torch.arange(10.0).expand(2, 10)[..., None], torch.tensor([10, 6]), 0.5)
    >>> x.shape[1] == lengths.max(), bool((lengths >= 2).all())
    (True, True)
    """
    share = 1 - strength * torch.rand(len(x))
    start = torch.rand(len(x)) * (1 - share)
    speed = torch.exp(strength * (2 * torch.rand(len(x)) - 1))
    shortest = lengths.clamp_max(2)
    new = torch.maximum((lengths * share / speed).round().long(), shortest)  # (B,)
    position = torch.arange(int(new.max())) / (new - 1).clamp_min(1)[:, None]  # (B, T'), from 0 to 1 within a length
    last = (lengths - 1)[:, None]
    source = torch.minimum(last * (start[:, None] + share[:, None] * position), last)
    below = source.long()
    pair = [x.gather(1, steps[..., None].expand(-1, -1, x.shape[2])) for steps in (below, (below + 1).minimum(last))]
    return torch.lerp(pair[0], pair[1], (source - below)[..., None]), new


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
