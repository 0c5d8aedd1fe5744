"""Forecasts of any series by the pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import Array

if TYPE_CHECKING:
    from rekur.pretrained.net import CandidateNet

CONTEXT = 1024
"""Last steps of a series that the network reads."""
BATCH = 256


def zero_shot(net: CandidateNet, series: Sequence[Array], periods: Array, horizon: int) -> Array:
    """Quantiles (B, horizon, Q) of the steps after each series.

    Parameters
    ----------
    net : CandidateNet
        Trained network.
    series : sequence of (T,) arrays
        Histories, NaN where a value is missing.
    periods : (B, 2) int array
        Shorter and longer season of each series; 1 for none.
    horizon : int
        Number of steps.
    """
    from rekur.pretrained.net import LEVELS

    out = np.empty((len(series), horizon, len(LEVELS)))
    order = sorted(range(len(series)), key=lambda i: len(series[i]))
    for i in range(0, len(order), BATCH):
        rows = order[i : i + BATCH]
        out[rows] = _forecast(net, [series[row] for row in rows], periods[rows], horizon)
    return out


def _forecast(net: CandidateNet, series: Sequence[Array], periods: Array, horizon: int) -> Array:
    """Quantiles (B, horizon, Q) of one batch."""
    import torch

    from rekur.pretrained.coordinates import coordinates

    p = net.patch
    past = -(-min(max(map(len, series)), CONTEXT) // p) * p
    future = -(-horizon // p) * p
    values = np.full((len(series), past + future), np.nan, np.float32)
    level = np.array([np.nanmean(s[-past:]) for s in series])
    for row, s in enumerate(series):
        tail = s[-past:]
        values[row, past - len(tail) : past] = tail - level[row]
    visible = np.broadcast_to(np.arange((past + future) // p) < past // p, (len(series), (past + future) // p))
    with torch.inference_mode():
        c = coordinates(torch.from_numpy(values), torch.from_numpy(visible.copy()), torch.from_numpy(periods), p)
        quantiles = net.quantiles(c, last=future // p).flatten(1, 2)[:, :horizon]
    return np.asarray(quantiles.double().numpy() + level[:, None, None])
