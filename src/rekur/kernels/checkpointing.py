"""The scan in segments of time whose activations are computed again in the backward pass: less memory, more work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from rekur.core import Cell, Weights

if TYPE_CHECKING:
    from torch import Tensor


def scan(
    run: Callable[..., Any],
    cell: Cell,
    x: Tensor,
    weights: Weights,
    state: Any,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Any]:
    """Do what `run`, the scan of a backend, does, keeping the states between about √T segments alone.

    Source: T. Chen, B. Xu, C. Zhang and C. Guestrin, 2016, "Training deep nets with sublinear memory cost",
    arXiv 1604.06174.
    """
    T = x.shape[1]
    size = 1
    while (size + 1) ** 2 <= T:  # math.isqrt is not for the symbols of a compiler
        size += 1
    parts = []
    for start in range(0, T, size):
        part = slice(start, min(start + size, T))
        inside = None if lengths is None else (lengths - part.start).clamp(0, part.stop - part.start)  # (B,)
        parts.append((x[:, part], inside, None if resets is None else resets[:, part]))
    outputs = []
    for rows, inside, again in parts[::-1] if reverse else parts:
        y, state = checkpoint(run, cell, rows, weights, state, inside, again, reverse, use_reentrant=False)
        outputs.append(y)  # (B, size, H)
    if not outputs:
        return x.new_zeros(x.shape[0], 0, weights.R.shape[1]), state
    return torch.cat(outputs[::-1] if reverse else outputs, dim=1), state
