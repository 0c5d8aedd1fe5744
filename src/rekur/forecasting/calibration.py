"""Intervals that follow the errors made since training, window after window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex
from rekur.forecasting.config import FEWEST, LEVELS
from rekur.forecasting.model_averaging import THIRDS, third

RATE = 0.15  # by which the logarithm of the widening moves with the share of values missed in a window
WINDOWS = 30  # windows that are looked back on, at most
MOST = 1000  # windows of all series that are looked back on, at most
MISSED = 0.2  # share of values that an 80 % interval may miss


def followed(
    made: Callable[[Array, Array], Array],
    asked: Array | None,
    table: Panel,
    windows: tuple[Array, Array],
    since: Array,
    horizons: tuple[int, int],
) -> Array:
    """Quantiles (n, h, Q) of windows (series, stop), widened by what the windows before them missed.

        log f ← log f + RATE·(share of values outside the 80 % interval - 20 %)

    in each third of the horizon, over the windows that begin h, 2h, … rows before `stop`, first one first, of rows
    that training has not seen: those from `since` (S,) on.

    made(series, stop) : the quantiles (n, h, Q) of any windows · asked : those of `windows`, None to let `made` make
    them · horizons : the steps h of a window, and the horizon that was learned, whose thirds count

    Source: A. Angelopoulos, E. Candès, R. Tibshirani, 2023, "Conformal PID control for time series prediction",
    NeurIPS, where this is quantile tracking.
    """
    (series, stop), h = windows, horizons[0]
    reach = min(WINDOWS, MOST // max(len(np.unique(series)), 1))
    back = stop[:, None] - h * np.arange(reach, 0, -1)  # (n, reach)
    valid = back >= since[series][:, None]
    if not valid.any():
        return made(series, stop) if asked is None else asked
    rows = int(table.lengths.max()) + 1
    before = np.unique((series[:, None] * rows + back)[valid])
    own = series * rows + stop
    every = before if asked is not None else np.union1d(before, own)
    q = made(every // rows, every % rows)
    asked = q[np.searchsorted(every, own)] if asked is None else asked
    q = q[np.searchsorted(every, before)]
    actual = WindowIndex(table.offsets, 0, h, before // rows, before % rows).gather(table.y)
    needed = distance(q, actual)
    place = np.searchsorted(before, np.where(valid, series[:, None] * rows + back, before[0]))
    factor = follow(needed, place, valid, third(np.arange(h), horizons[1]))
    middle = asked[..., LEVELS.index(0.5), None]
    return np.asarray(middle + factor[..., None] * (asked - middle))


def unseen(learned: Panel, found: Panel) -> Array:
    """The first row of each series of a table that comes after those learned from, (S,); none of one not learned."""
    since, place = found.lengths.copy(), pd.Index(learned.ids).get_indexer(pd.Index(found.ids))
    known = np.flatnonzero(place >= 0)
    end = learned.next_times(1)[place[known], 0]
    row, _ = found.freq.count(found.start[known], end)
    since[known] = np.clip(row, FEWEST, found.lengths[known])
    return np.asarray(since)


def distance(q: Array, actual: Array) -> Array:
    """How far values (n, h) lie from the median of q (n, h, Q), in units of the 80 % interval on that side."""
    middle = q[..., LEVELS.index(0.5)]
    low, high = middle - q[..., LEVELS.index(0.1)], q[..., LEVELS.index(0.9)] - middle
    return np.asarray(np.abs(actual - middle) / np.maximum(np.where(actual < middle, low, high), 1e-300))


def follow(needed: Array, place: Array, valid: Array, thirds: Array) -> Array:
    """The widening (n, h) after the windows at `place` (n, K) among those whose distances are `needed` (·, h)."""
    log = np.zeros((len(place), THIRDS))
    for k in range(place.shape[1]):
        here = np.flatnonzero(valid[:, k])
        found = needed[place[here, k]]
        outside = found > np.exp(log[here])[:, thirds]
        for part in np.unique(thirds):
            seen = np.isfinite(found[:, thirds == part])
            share = (outside[:, thirds == part] & seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
            log[here, part] += np.where(seen.any(axis=1), RATE * (share - MISSED), 0.0)
    return np.asarray(np.exp(log)[:, thirds])
