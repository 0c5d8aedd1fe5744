"""Forecasts without a network: the rivals every model must beat, and a part of the blend.

    B series · T time · h horizon · Q quantile levels · m season · k steps ahead

Every method maps histories y (B, T) to quantiles (B, h, Q). The last column of y is the last observation
time; NaN marks a value that is missing or lies before the start of a series. Loops run over time, vectors
over series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rekur.core import DataError, OptionError, choose, positive

__all__ = ["BASELINES", "describe", "forecast"]

Floats: TypeAlias = NDArray[np.float64]

_CHUNK = 1 << 18  # values of y worked on at a time: keeps memory bounded and the work in cache
_ALPHAS = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])


class _Fit(NamedTuple):
    """What a method hands to the intervals."""

    point: Floats  # (b, h) point forecasts
    ahead: Callable[[int], Floats]  # k -> (b, T): what the method said about each column k steps before it


def _last(y: Floats) -> Floats:
    """Carry the last observation forward, (b, T); NaN before the first."""
    at = np.maximum.accumulate(np.where(np.isnan(y), 0, np.arange(y.shape[1])), axis=1)
    return np.take_along_axis(y, at, axis=1)


def _shift(x: Floats, k: int) -> Floats:
    """Move the columns k to the right, NaN moves in, (b, T)."""
    k = min(k, x.shape[1])
    return np.concatenate([np.full((len(x), k), np.nan), x[:, : x.shape[1] - k]], axis=1)


def _naive(y: Floats, seasons: Sequence[int], horizon: int) -> _Fit:
    """f_{t+k} = y_t, the last observed value."""
    last = _last(y)
    return _Fit(np.repeat(last[:, -1:], horizon, axis=1), lambda k: _shift(last, k))


def _seasonal_naive(y: Floats, seasons: Sequence[int], horizon: int) -> _Fit:
    """f_{t+k} = y_{t+k-m·⌈k/m⌉}, the last value observed at the same place of the season."""
    m = seasons[0]
    if y.shape[1] < m:
        y = np.concatenate([np.full((len(y), m - y.shape[1]), np.nan), y], axis=1)
    b, T = y.shape
    lead = -T % m
    folded = np.concatenate([np.full((b, lead), np.nan), y], axis=1).reshape(b, -1, m)
    flat = _last(folded.swapaxes(1, 2).reshape(b * m, -1)).reshape(b, m, -1)
    same = flat.swapaxes(1, 2).reshape(b, -1)[:, lead:]  # (b, T)
    same = np.where(np.isnan(same), _last(y), same)
    point = np.take(same, T - m + np.arange(horizon) % m, axis=1)
    return _Fit(point, lambda k: _shift(same, m * -(-k // m)))


def _drift(y: Floats, seasons: Sequence[int], horizon: int) -> _Fit:
    """f_{t+k} = y_t + k·(y_T - y_1)/(T - 1), the line through the first and the last value carried on."""
    seen = ~np.isnan(y)
    first, final = seen.argmax(axis=1), y.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
    rows = np.arange(len(y))
    slope = ((y[rows, final] - y[rows, first]) / np.maximum(final - first, 1))[:, None]  # (b, 1)
    age = y.shape[1] - 1 - final[:, None]
    last = _last(y)
    point = last[:, -1:] + slope * (age + np.arange(1, horizon + 1))
    return _Fit(point, lambda k: _shift(last, k) + k * slope)


def _smoothing(y: Floats, seasons: Sequence[int], horizon: int) -> _Fit:
    """Placeholder for the smoothing method: naive."""
    return _naive(y, seasons, horizon)


_METHODS: dict[str, tuple[Callable[[Floats, Sequence[int], int], _Fit], str]] = {
    "naive": (_naive, "naive"),
    "seasonal_naive": (_seasonal_naive, "seasonal naive"),
    "drift": (_drift, "drift"),
    "smoothing": (_smoothing, "smoothing (Theta)"),
}
BASELINES = tuple(_METHODS)


def describe(name: str) -> str:
    """Return the readable name of a baseline for tables.

    >>> describe("seasonal_naive")
    'seasonal naive'
    """
    return _METHODS[choose("name", name, BASELINES)][1]


def _spread(y: Floats, fit: _Fit, levels: Floats) -> Floats:
    """Quantiles (b, h, Q) from the method's own errors k steps ahead."""
    b, horizon = fit.point.shape
    size = np.zeros(b)
    out = np.empty((b, horizon, levels.size))
    normal = np.array([NormalDist().inv_cdf(p) for p in levels]) * np.sqrt(np.pi / 2)
    for k in range(1, horizon + 1):
        error = np.abs(y - fit.ahead(k))
        seen = ~np.isnan(error)
        n = seen.sum(axis=1)
        prior = size * np.sqrt(k / max(k - 1, 1))
        weight = 0.0 if k == 1 else 5.0
        size = (np.where(seen, error, 0.0).sum(axis=1) + weight * prior) / np.maximum(n + weight, 1)
        out[:, k - 1] = fit.point[:, k - 1, None] + size[:, None] * normal
    return out


def forecast(
    name: str,
    y: ArrayLike,
    season: int,
    horizon: int,
    levels: ArrayLike,
    seasons: Sequence[int] = (),
) -> Floats:
    """Quantile forecasts (B, horizon, Q) in float64 of many series by one baseline.

    y (B, T) are the histories, the last column the last observation time, NaN where missing or before the
    start; season is the main period m (1 for none), seasons are further ones; levels (Q,) are rising quantile
    levels in (0, 1), of which 0.5 is the point forecast. A series without any observation gives NaN.

    >>> forecast("drift", [[1.0, 2.0, 3.0, 4.0]], season=1, horizon=2, levels=[0.5])[..., 0]
    array([[5., 6.]])
    """
    fitter = _METHODS[choose("name", name, BASELINES)][0]
    positive("season", season)
    positive("horizon", horizon)
    a, p = np.asarray(y, np.float64), np.asarray(levels, np.float64)
    if a.ndim != 2 or a.shape[1] == 0:
        raise DataError(f"histories must be (series, time) with at least one time, got shape {a.shape}")
    if p.ndim != 1 or p.size == 0 or np.any(np.diff(p) <= 0) or p[0] <= 0 or p[-1] >= 1:
        raise OptionError(f"levels must rise and lie between 0 and 1, got {p.tolist()}")
    out = np.full((len(a), horizon, p.size), np.nan)
    known = np.flatnonzero(~np.isnan(a).all(axis=1))
    rows = max(1, _CHUNK // a.shape[1])
    for start in range(0, known.size, rows):
        part = known[start : start + rows]
        out[part] = _spread(a[part], fitter(a[part], (season, *seasons), horizon), p)
    return out
