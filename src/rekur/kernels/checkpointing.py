"""Gradient checkpointing over time: activations of a segment are recomputed in the backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch.utils.checkpoint import checkpoint

from rekur.core import Cell, GatesT, RecurrentT, State, StateT, Weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Fold", "scan"]


class Fold(Protocol):
    """The scan of a backend."""

    def __call__(
        self,
        cell: Cell[GatesT, RecurrentT, StateT],
        x: Tensor,
        weights: Weights,
        state: State | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        reverse: bool,
        /,
    ) -> tuple[Tensor, StateT]:
        """Fold the cell over x (B, T, I)."""


def scan(
    run: Fold,
    cell: Cell[GatesT, RecurrentT, StateT],
    x: Tensor,
    weights: Weights,
    state: State | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, StateT]:
    """Fold as `run` does, keeping the states between about √T segments of about √T steps.

    Source: T. Chen, B. Xu, C. Zhang and C. Guestrin, 2016, "Training deep nets with sublinear memory cost",
    arXiv 1604.06174.
    """
    T = x.shape[1]
    if T == 0:
        return run(cell, x, weights, state, lengths, resets, reverse)
    size = 1
    while (size + 1) ** 2 <= T:  # math.isqrt does not take the symbolic sizes of a compiler
        size += 1
    segments = []
    for start in range(0, T, size):
        part = slice(start, min(start + size, T))
        clipped = None if lengths is None else (lengths - part.start).clamp(0, part.stop - part.start)  # (B,)
        segments.append((x[:, part], clipped, None if resets is None else resets[:, part]))
    outputs: list[Tensor] = []
    last: StateT
    for rows, clipped, reset in segments[::-1] if reverse else segments:
        y, last = checkpoint(run, cell, rows, weights, state, clipped, reset, reverse, use_reentrant=False)
        outputs.append(y)  # (B, size, H)
        state = last
    return torch.cat(outputs[::-1] if reverse else outputs, dim=1), last
