"""What is varied while training, so that a net learns what stays: spectra of recordings, frames of videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

LOUD = 3.0  # spread of how loud recordings are made, for each unit of `share`


def stretched(x: Tensor, share: float) -> Tensor:
    """Bands moved to 1 - share … 1 + share times their place, by another factor in each row: x (B, I, T)."""
    I = x.shape[1]  # noqa: E741
    place = torch.arange(I) * (1 + share * (2 * torch.rand(len(x), 1) - 1))  # (B, I)
    low = place.long().clamp_max(I - 2)
    part = (place - low).clamp_max(1.0)[..., None]

    below, above = (x.gather(1, rows[..., None].expand_as(x)) for rows in (low, low + 1))
    return torch.lerp(below, above, part)


def coloured(x: Tensor, share: float) -> Tensor:
    """Each row raised by a random number, and tilted over the bands by less: x (B, I, T)."""
    level, tilt = (LOUD * share * torch.randn(2, len(x), 1, 1)).unbind()
    return x + level + 0.3 * tilt * torch.linspace(-1, 1, x.shape[1])[:, None]


def hidden(x: Tensor, lengths: Tensor, share: float) -> Tensor:
    """Two masks over bands and two over time, of random widths up to that share of the whole: x (B, I, T)."""
    B, I, T = x.shape  # noqa: E741
    for _ in range(2):
        x = x.masked_fill(span(torch.full((B,), I), I, share)[:, :, None], 0)
        x = x.masked_fill(span(lengths, T, share)[:, None, :], 0)
    return x


def span(lengths: Tensor, T: int, share: float) -> Tensor:
    """One random span in each row, at most that share of its length, (B, T) bool."""
    width = torch.rand(len(lengths)) * share * lengths
    start = torch.rand(len(lengths)) * (lengths - width)
    at = torch.arange(T)
    return (at >= start[:, None]) & (at < (start + width)[:, None])


def swayed(x: Tensor, share: float) -> Tensor:
    """Each video turned, enlarged, slanted and lit a little differently, alike in all its frames.

    x (B, T, 3, height, width) in -1 … 1; `share` is how much of a picture's half its edges move at most.
    """
    B = len(x)
    matrix = torch.eye(2) + share * (2 * torch.rand(B, 2, 2) - 1)
    grid = F.affine_grid(F.pad(matrix, (0, 1)), [B, 1, *x.shape[3:]], align_corners=False)  # (B, height, width, 2)
    moved = F.grid_sample(x.flatten(1, 2), grid, padding_mode="border", align_corners=False)
    light = 1 + share * (2 * torch.rand(B, 1, 3, 1, 1) - 1)
    return ((moved.view_as(x) + 1) * light - 1).clamp(-1, 1)
