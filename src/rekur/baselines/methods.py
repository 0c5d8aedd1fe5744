"""The list of baselines, and the one door to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from rekur.baselines.intervals import spread
from rekur.baselines.simple import Fit, Floats, drift, naive, seasonal_naive
from rekur.baselines.smoothing import smoothing
from rekur.core import DataError, OptionError, choose, positive

__all__ = ["BASELINES", "describe", "forecast"]

_CHUNK, _ROWS = 1 << 19, 512  # so many values and rows of y are worked on at a time, at most
_METHODS: dict[str, tuple[Callable[[Floats, Sequence[int], int], Fit], str]] = {
    "naive": (naive, "naive"),
    "seasonal_naive": (seasonal_naive, "seasonal naive"),
    "drift": (drift, "drift"),
    "smoothing": (smoothing, "smoothing (Theta)"),
}
BASELINES = tuple(_METHODS)


def describe(name: str) -> str:
    """Return the readable name of a baseline for tables.

    >>> describe("seasonal_naive")
    'seasonal naive'
    """
    return _METHODS[choose("name", name, BASELINES)][1]


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
    for m in (season, *seasons):
        positive("season", m)
    positive("horizon", horizon)
    a, p = np.asarray(y, np.float64), np.asarray(levels, np.float64)
    if a.ndim != 2 or a.shape[1] == 0:
        raise DataError(f"histories must be (series, time) with at least one time, got shape {a.shape}")
    if np.isinf(a).any():
        raise DataError("histories hold infinite values; put NaN where a value is missing")
    if p.ndim != 1 or p.size == 0 or np.any(np.diff(p) <= 0) or p[0] <= 0 or p[-1] >= 1:
        raise OptionError(f"levels must rise and lie between 0 and 1, got {p.tolist()}")
    out = np.full((len(a), horizon, p.size), np.nan)
    top, bottom = np.fmax.reduce(a, axis=1), np.fmin.reduce(a, axis=1)
    out[top == bottom] = top[top == bottom, None, None]  # a constant goes on, exactly
    known = np.flatnonzero(top > bottom)
    rows = min(max(1, _CHUNK // a.shape[1]), _ROWS)
    for start in range(0, known.size, rows):
        part = known[start : start + rows]
        out[part] = spread(fitter(a[part], (season, *seasons), horizon), p)
    return out
