"""Conformal calibration of prediction intervals: scaling on past windows and adaptive conformal intervals."""

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

CALIBRATION_BINS = 6
"""Groups of steps in which the coverage is measured."""

PRIOR_BLOCKS = 10.0
"""Blocks of time that the expected factors are worth."""

BLOCK_MARGIN = 0.05
"""Logarithm of the factor on intervals for the errors of a block of time not seen, which vary more."""

TREND_GROWTH = 1.2
"""Strength of the growth of the errors of an estimated trend."""

MIN_SMOOTH_STEPS = 5
"""Steps of the horizon from which on forecasts are smoothed along it."""

SMALL_DISTANCE = 1e-3
"""Least distance from the median that counts when distances are smoothed, in units of their mean."""

MIN_SCALE, MAX_SCALE = 0.5, 3.0
"""Range of the factors on intervals."""

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


def log_interpolation(horizon: int, steps: int) -> Array:
    """Position of each step between the first and the last of the horizon on a logarithmic scale, (steps,)."""
    return np.asarray(np.log(np.arange(1, steps + 1)) / max(np.log(horizon), TINY))


def trend_growth(lengths: Array, season: int, horizon: int) -> Array:
    """Logarithm of the factor by which errors of a method with a trend exceed those of the past it was fitted to.

        log √((1 + r) / (1 - r)),  r = 1.2·k / n

    for step k after a series of n values: the slope of n values is uncertain by σ·√(12/n³), and was fitted to the
    errors it is compared with. Series with a season, whose errors depend less on their trend, have none.

    Parameters
    ----------
    lengths : np.ndarray
        Lengths of the series, shape (S,).
    season : int
        Main season length in steps.
    horizon : int
        Steps to forecast.

    Returns
    -------
    np.ndarray
        Shape (h,).
    """
    if season > 1:
        return np.zeros(horizon)
    ratio = np.minimum(TREND_GROWTH * np.arange(1, horizon + 1) / max(float(np.median(lengths)), 1.0), 0.9)
    return np.asarray(0.5 * np.log((1 + ratio) / (1 - ratio)))


def calibrated_scale(distance: Array, blocks: int, expected: Array) -> tuple[float, float]:
    """Factors on the 80 % interval at the first and the last step, so that it covers 80 % of past values.

        log factor = (B·line + 10·expected) / (B + 10) + 0.05

    where the line is fitted to the logarithm of the 80 % quantile of the distances in groups of steps, over the
    logarithm of the step, so that the factors are smooth, B is the number of blocks of time of the windows, and the
    margin is for the errors of blocks not seen. The factors lie within 1/2 … 3.

    Parameters
    ----------
    distance : np.ndarray
        Distances of past values from the median, from `interval_distance`, NaN where missing, shape (n, h).
    blocks : int
        Number of blocks of time, B.
    expected : np.ndarray
        Logarithm of the factors expected without evidence, shape (h,).

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, 2005, "Algorithmic learning in a random world" (split conformal prediction).
    """
    horizon = distance.shape[1]
    x = np.log(np.arange(1, horizon + 1))
    steps, log_factors, counts = [], [], []
    for group in np.array_split(np.arange(horizon), min(horizon, CALIBRATION_BINS)):
        values = distance[:, group]
        values = values[np.isfinite(values)]
        if len(values):
            steps.append(x[group].mean())
            log_factors.append(np.log(np.clip(np.quantile(values, 1 - TARGET_MISS_RATE), 0.05, 20.0)))
            counts.append(len(values))
    line = weighted_line(np.array(steps), np.array(log_factors), np.array(counts, float))
    prior = weighted_line(x, expected, np.ones(horizon))
    trust = blocks / (blocks + PRIOR_BLOCKS)
    level, slope = (trust * a + (1 - trust) * b for a, b in zip(line, prior, strict=True))
    ends = level + slope * x[[0, -1]] + BLOCK_MARGIN
    first, last = np.clip(np.exp(ends), MIN_SCALE, MAX_SCALE)
    return float(first), float(last)


def smooth_quantiles(q: Array, levels: tuple[float, ...], smooth: str) -> Array:
    """Quantiles whose distances from the median, and their median if wanted, are smooth functions of the step.

        |q_k - m_k| = a·k^b,  m_k = c + d·log k + e·k

    fitted by least squares to each window, the distances in logarithms. Quantiles of a window without a negative one
    stay that way.

    Parameters
    ----------
    q : np.ndarray
        Quantiles, shape (n, h, Q).
    levels : tuple of float
        Quantile levels, 0.5 among them.
    smooth : {"", "widths", "paths"}
        Nothing, the distances, or the median too.
    """
    horizon = q.shape[1]
    if not smooth or horizon < MIN_SMOOTH_STEPS:
        return q
    step = np.arange(1.0, horizon + 1)
    basis = np.stack([np.ones(horizon), np.log(step), step], axis=1)
    median = q[..., levels.index(0.5), None]
    distance = np.abs(q - median)
    floor = np.maximum(SMALL_DISTANCE * distance.mean(axis=1, keepdims=True), TINY)
    orthogonal = np.linalg.qr(basis[:, :2])[0]
    log_distance = np.einsum("kj,njq->nkq", orthogonal @ orthogonal.T, np.log(np.maximum(distance, floor)))
    if smooth == "paths":
        orthogonal = np.linalg.qr(basis)[0]
        median = np.einsum("kj,njq->nkq", orthogonal @ orthogonal.T, median)
    side = np.sign(np.asarray(levels) - 0.5)
    smoothed = np.sort(
        median + side * np.where(distance.any(axis=1, keepdims=True), np.exp(log_distance), 0.0), axis=-1
    )
    nonnegative = (q >= 0).all(axis=(1, 2), keepdims=True)
    return np.asarray(np.where(nonnegative, np.maximum(smoothed, 0.0), smoothed))


def weighted_line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Intercept and slope of the weighted least squares line; slope 0 for a single x."""
    mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
    spread = np.average(np.square(x - mean_x), weights=weight)
    slope = np.average((x - mean_x) * (y - mean_y), weights=weight) / spread if spread > 0 else 0.0
    return float(mean_y - slope * mean_x), float(slope)


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
