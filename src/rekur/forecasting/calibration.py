"""Conformal calibration of prediction intervals: split conformal scaling and adaptive conformal intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex
from rekur.forecasting.config import LEVELS, MIN_OBSERVATIONS

HORIZON_PARTS = 3
"""Parts of the horizon whose intervals are calibrated separately."""

PRIOR_WINDOWS = 20.0
"""Held-out windows that the prior belief in unscaled intervals is worth."""

ADAPTATION_RATE = 0.15
"""Step of the logarithm of the interval width for a miss rate of 1."""

MAX_PAST_WINDOWS = 30
"""Past windows of a series that its interval width adapts to, at most."""

CHUNK_VALUES = 4_000_000
"""Quantiles of past windows that are computed at a time."""

TARGET_MISS_RATE = 0.2
"""Share of values outside an 80 % interval."""

TINY = 1e-300


def horizon_third(step: Array, horizon: int) -> Array:
    """Third of the horizon that a step (from 0) lies in: 0, 1 or 2; the last one beyond the horizon."""
    return np.asarray(np.minimum(step * HORIZON_PARTS // horizon, HORIZON_PARTS - 1))


def interval_distance(q: Array, actual: Array, levels: tuple[float, ...] = LEVELS) -> Array:
    """Distance of values (...) from the median of quantiles (..., Q), in units of the 80 % interval on that side."""
    median = q[..., levels.index(0.5)]
    below, above = median - q[..., levels.index(0.1)], q[..., levels.index(0.9)] - median
    return np.asarray(np.abs(actual - median) / np.maximum(np.where(actual < median, below, above), TINY))


def conformal_scale(q: Array, actual: Array, levels: tuple[float, ...], count: float) -> float:
    """Factor on the 80 % interval that makes it cover 80 % of the held-out values, within 1/2 … 3.

        factor = exp(log(f)·n / (n + 20)),  f the 80 % quantile of the distances from the median

    where the distances are in units of the 80 % interval on their side and n is the number of independent windows; the
    factor is shrunk towards 1.

    Parameters
    ----------
    q : np.ndarray
        Quantiles of the values, shape (N, Q).
    actual : np.ndarray
        Held-out values, shape (N,).
    levels : tuple of float
        Quantile levels.
    count : float
        Number of independent windows, n.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, 2005, "Algorithmic learning in a random world" (split conformal prediction).
    """
    factor = float(np.clip(np.quantile(interval_distance(q, actual, levels), 0.8), 0.5, 3.0))
    return float(np.exp(np.log(factor) * count / (count + PRIOR_WINDOWS)))


def adaptive_quantiles(
    predict: Callable[[Array, Array], Array],
    predicted: Array | None,
    panel: Panel,
    windows: tuple[Array, Array],
    since: Array,
    horizons: tuple[int, int],
) -> Array:
    """Quantiles (n, h, Q) of windows, widened or narrowed by the coverage of the windows before them.

        log f ← log f + 0.15·(share of values outside the 80 % interval - 20 %)

    in each third of the horizon, over the windows that begin h, 2h, … rows before a window, in order of time, among
    rows that training has not seen.

    Parameters
    ----------
    predict : callable
        Quantiles (n, h, Q) of any windows (series, stop).
    predicted : np.ndarray or None
        Quantiles of `windows` themselves; None: they are computed by `predict`.
    panel : Panel
        Series that hold the windows.
    windows : tuple of np.ndarray
        Series and first target row of each window, shapes (n,).
    since : np.ndarray
        First row of each series that training has not seen, shape (S,).
    horizons : tuple of int
        Steps h of a window, and the horizon that was learned, whose thirds count.

    References
    ----------
    A. Angelopoulos, E. Candès, R. Tibshirani, 2023, "Conformal PID control for time series prediction", NeurIPS
    (quantile tracking).
    """
    (series, stop), h = windows, horizons[0]
    number = np.unique(series, return_inverse=True)[1]
    size = max(1, CHUNK_VALUES // (MAX_PAST_WINDOWS * h * len(LEVELS)))
    out = np.empty((len(series), h, len(LEVELS)))
    for first in range(0, int(number.max(initial=-1)) + 1, size):
        chunk = np.flatnonzero((number >= first) & (number < first + size))
        chunk_quantiles = None if predicted is None else predicted[chunk]
        out[chunk] = _adapted(predict, chunk_quantiles, panel, (series[chunk], stop[chunk]), since, horizons)
    return out


def _adapted(
    predict: Callable[[Array, Array], Array],
    predicted: Array | None,
    panel: Panel,
    windows: tuple[Array, Array],
    since: Array,
    horizons: tuple[int, int],
) -> Array:
    """Adapted quantiles of the windows of some of the series."""
    (series, stop), h = windows, horizons[0]
    starts = stop[:, None] - h * np.arange(MAX_PAST_WINDOWS, 0, -1)  # (n, K)
    valid = starts >= since[series][:, None]
    if not valid.any():
        return predict(series, stop) if predicted is None else predicted
    rows = int(panel.lengths.max()) + 1
    past = np.unique((series[:, None] * rows + starts)[valid])
    current = series * rows + stop
    union = past if predicted is not None else np.union1d(past, current)
    q = predict(union // rows, union % rows)
    predicted = q[np.searchsorted(union, current)] if predicted is None else predicted
    q = q[np.searchsorted(union, past)]
    actual = WindowIndex(panel.offsets, 0, h, past // rows, past % rows).gather(panel.y)
    place = np.searchsorted(past, np.where(valid, series[:, None] * rows + starts, past[0]))
    width = adaptive_widths(interval_distance(q, actual), place, valid, horizon_third(np.arange(h), horizons[1]))
    median = predicted[..., LEVELS.index(0.5), None]
    return np.asarray(median + width[..., None] * (predicted - median))


def adaptive_widths(distances: Array, place: Array, valid: Array, thirds: Array) -> Array:
    """Factors (n, h) on the interval width after the past windows of each window.

    Parameters
    ----------
    distances : np.ndarray
        Distances of the values of all past windows, from `interval_distance`, shape (N, h).
    place : np.ndarray
        Past windows of each window in order of time, as rows of `distances`, shape (n, K).
    valid : np.ndarray
        Mask of those that count, shape (n, K).
    thirds : np.ndarray
        Third of the horizon of each step, shape (h,).
    """
    log = np.zeros((len(place), HORIZON_PARTS))
    for k in range(place.shape[1]):
        index = np.flatnonzero(valid[:, k])
        distance = distances[place[index, k]]
        outside = distance > np.exp(log[index])[:, thirds]
        for third in np.unique(thirds):
            observed = np.isfinite(distance[:, thirds == third])
            missed = (outside[:, thirds == third] & observed).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
            log[index, third] += np.where(observed.any(axis=1), ADAPTATION_RATE * (missed - TARGET_MISS_RATE), 0.0)
    return np.asarray(np.exp(log)[:, thirds])


def first_unseen_row(learned: Panel, panel: Panel) -> Array:
    """First row of each series that lies after the panel that was learned, (S,); the length of series not learned."""
    since, place = panel.lengths.copy(), pd.Index(learned.ids).get_indexer(pd.Index(panel.ids))
    known = np.flatnonzero(place >= 0)
    end = learned.next_times(1)[place[known], 0]
    row, _ = panel.freq.count(panel.start[known], end)
    since[known] = np.clip(row, MIN_OBSERVATIONS, panel.lengths[known])
    return np.asarray(since)
