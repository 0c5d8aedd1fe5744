"""Measures of a forecast: pure functions on arrays, each with its formula and its source.

    W windows · h steps of the horizon · Q quantile levels · B series · T time
    y (W, h) actual values · f (W, h) point forecasts · q (W, h, Q) quantile forecasts · levels (Q,) in (0, 1)
    scale (W,) the in-sample scale of each window's series, from `seasonal_scale`

An actual value that is NaN is left out of every measure. A forecast that is NaN where the actual value is
known makes the result NaN, since a method that gives no answer must not look good. A measure of nothing is
NaN.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rekur.core import DataError, OptionError, positive

__all__ = [
    "at_level",
    "coverage",
    "mae",
    "mase",
    "msis",
    "pinball",
    "pinball_error",
    "rmse",
    "seasonal_scale",
    "smape",
    "summary",
    "wql",
]

Floats: TypeAlias = NDArray[np.float64]


def _pair(y: ArrayLike, f: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 (W, h); the message names the shapes if they differ."""
    a, b = np.asarray(y, np.float64), np.asarray(f, np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise DataError(f"actual values {a.shape} and forecasts {b.shape} must both have the shape (windows, horizon)")
    return a, b


def _quantiles(y: ArrayLike, q: ArrayLike, levels: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Float64 y (W, h), q (W, h, Q), levels (Q,), checked against each other."""
    a, b, p = np.asarray(y, np.float64), np.asarray(q, np.float64), np.asarray(levels, np.float64)
    if a.ndim != 2 or p.ndim != 1 or b.shape != (*a.shape, p.size):
        raise DataError(
            f"quantile forecasts of shape {b.shape} do not fit actual values of shape {a.shape} and "
            f"{p.size} levels; expected (windows, horizon, levels)"
        )
    if p.size == 0 or np.any(np.diff(p) <= 0) or p[0] <= 0 or p[-1] >= 1:
        raise OptionError(f"levels must rise and lie between 0 and 1, got {p.tolist()}")
    return a, b, p


def _mean(values: Floats, seen: ArrayLike) -> float:
    """Mean of `values` where `seen`, NaN where nothing is seen."""
    chosen = values[np.asarray(seen)]
    return float(chosen.mean()) if chosen.size else float("nan")


def _rows(values: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Mean of each row (W, h) over what is seen, (W,); NaN for a row without any."""
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)  # (W,)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mae(y: ArrayLike, f: ArrayLike) -> float:
    """Mean absolute error over all observed steps of all windows, in the unit of y.

        MAE = mean |y - f|

    where y, f (W, h) are actual values and forecasts.

    >>> mae([[1.0, 2.0]], [[1.0, 4.0]])
    1.0
    """
    a, b = _pair(y, f)
    return _mean(np.abs(a - b), ~np.isnan(a))


def rmse(y: ArrayLike, f: ArrayLike) -> float:
    """Root of the mean squared error over all observed steps of all windows, in the unit of y.

        RMSE = √(mean (y - f)²)

    where y, f (W, h) are actual values and forecasts.

    >>> rmse([[1.0, 2.0]], [[1.0, 4.0]])
    1.4142135623730951
    """
    a, b = _pair(y, f)
    return float(np.sqrt(_mean((a - b) ** 2, ~np.isnan(a))))


def smape(y: ArrayLike, f: ArrayLike) -> float:
    """Symmetric mean absolute percentage error of the M4 competition, in percent, between 0 and 200.

        sMAPE = mean over windows of  mean over steps of  200 · |y - f| / (|y| + |f|)

    where y, f (W, h) are actual values and forecasts; a step where both are zero counts as 0.

    Source: S. Makridakis, E. Spiliotis, V. Assimakopoulos, 2020, "The M4 Competition: 100,000 time series and
    61 forecasting methods", International Journal of Forecasting 36.

    >>> smape([[1.0, 3.0]], [[1.0, 1.0]])
    50.0
    """
    a, b = _pair(y, f)
    size = np.abs(a) + np.abs(b)
    rows = _rows(200.0 * np.abs(a - b) / np.where(size > 0, size, 1.0), ~np.isnan(a))
    return _mean(rows, ~np.isnan(a).all(axis=1))


def seasonal_scale(y: ArrayLike, season: int = 1) -> Floats:
    """In-sample mean absolute error of the seasonal naive forecast, the denominator of MASE and MSIS.

        scale = mean over t of |y_t - y_{t-m}|

    where y (B, T) are the histories, the last column the last observation, NaN where missing or before the
    start, and m is the season. Pairs with a missing value are left out. Where no pair is left, or all pairs
    are equal (a series that repeats exactly), m = 1 is used instead. Result (B,): 0 for a constant series,
    NaN for a series of fewer than two neighbouring observations.

    Source: R. J. Hyndman, A. B. Koehler, 2006, "Another look at measures of forecast accuracy", International
    Journal of Forecasting 22.

    >>> seasonal_scale([[1.0, 5.0, 2.0, 7.0]], season=2)
    array([1.5])
    """
    positive("season", season)
    a = np.asarray(y, np.float64)
    if a.ndim != 2:
        raise DataError(f"histories must be (series, time), got shape {a.shape}")
    step = np.abs(a[:, 1:] - a[:, :-1])
    scale = _rows(step, ~np.isnan(step))
    if season > 1 and a.shape[1] > season:
        jump = np.abs(a[:, season:] - a[:, :-season])
        seasonal = _rows(jump, ~np.isnan(jump))
        scale = np.where(seasonal > 0, seasonal, scale)
    return scale


def _usable(scale: ArrayLike, windows: int) -> tuple[Floats, NDArray[np.bool_]]:
    """The scale (W,) with 1 where it is zero or NaN, and where it can be used."""
    s = np.asarray(scale, np.float64)
    if s.shape != (windows,):
        raise DataError(f"scale of shape {s.shape} must hold one value for each of the {windows} windows")
    good = s > 0
    return np.where(good, s, 1.0), good


def mase(y: ArrayLike, f: ArrayLike, scale: ArrayLike) -> float:
    """Mean absolute scaled error: 1 is as good as the seasonal naive forecast was in the past.

        MASE = mean over windows of  (mean over steps of |y - f|) / scale

    where y, f (W, h) are actual values and forecasts and scale (W,) comes from `seasonal_scale`. Windows
    whose scale is zero (a constant history) or NaN are left out whatever the forecast, so that all methods
    are scored on the same windows.

    Source: R. J. Hyndman, A. B. Koehler, 2006, "Another look at measures of forecast accuracy", International
    Journal of Forecasting 22.

    >>> mase([[1.0, 2.0], [5.0, 5.0]], [[1.0, 4.0], [5.0, 6.0]], scale=[2.0, 0.0])
    0.5
    """
    a, b = _pair(y, f)
    s, good = _usable(scale, len(a))
    seen = ~np.isnan(a)
    return _mean(_rows(np.abs(a - b), seen) / s, good & seen.any(axis=1))


def pinball(y: ArrayLike, q: ArrayLike, levels: ArrayLike) -> Floats:
    """Pinball loss of each level, the mean over all observed steps of all windows, (Q,).

        pinball_p = mean of  max(p · (y - q_p), (p - 1) · (y - q_p))

    where y (W, h) are actual values, q (W, h, Q) forecasts of the quantiles p in levels (Q,), rising in (0,
    1).

    Source: R. Koenker, G. Bassett, 1978, "Regression quantiles", Econometrica 46.

    >>> pinball([[2.0]], [[[1.0, 3.0]]], levels=[0.1, 0.9])
    array([0.1, 0.1])
    """
    a, b, p = _quantiles(y, q, levels)
    seen = ~np.isnan(a)
    errors = ((x, a - b[..., i]) for i, x in enumerate(p))
    return np.array([_mean(pinball_error(e, x), seen) for x, e in errors])


def pinball_error(error: Floats, level: float | Floats) -> Floats:
    """Pinball loss of single errors y - q of forecasts of a quantile level; both arguments broadcast.

        loss = max(p · error, (p - 1) · error)

    >>> pinball_error(np.array([1.0, -1.0]), 0.9).round(1).tolist()
    [0.9, 0.1]
    """
    return np.asarray(np.maximum(level * error, (level - 1) * error))


def wql(y: ArrayLike, q: ArrayLike, levels: ArrayLike) -> float:
    """Weighted quantile loss: the pinball loss over the size of the actual values, mean over levels.

        WQL = mean over p of  2 · Σ pinball_p(y, q_p) / Σ |y|

    where y (W, h) are actual values, q (W, h, Q) forecasts of the quantiles p in levels (Q,), and the sums
    run over all observed steps of all windows. With the single level 0.5 it is Σ |y - f| / Σ |y|. NaN if Σ
    |y| is zero.

    Source: Y. Park, D. Maddix, F.-X. Aubet, K. Kan, J. Gasthaus, Y. Wang, 2022, "Learning quantile functions
    without quantile crossing for distribution-free time series forecasting", AISTATS.

    >>> round(wql([[2.0]], [[[1.0, 3.0]]], levels=[0.1, 0.9]), 12)
    0.1
    """
    a = np.asarray(y, np.float64)
    loss = float(pinball(a, q, levels).mean())
    size = _mean(np.abs(a), ~np.isnan(a))
    return 2.0 * loss / size if size > 0 else float("nan")


def coverage(y: ArrayLike, lo: ArrayLike, hi: ArrayLike) -> float:
    """Share of the observed steps inside the interval, borders included, between 0 and 1.

        coverage = mean of  1[lo ≤ y ≤ hi]

    where y, lo, hi (W, h) are actual values, lower and upper ends.

    >>> coverage([[1.0, 2.0, 9.0, float("nan")]], [[0.0, 2.0, 0.0, 0.0]], [[1.0, 3.0, 1.0, 1.0]])
    0.6666666666666666
    """
    a, low = _pair(y, lo)
    _, high = _pair(y, hi)
    inside = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= a) & (a <= high))
    return _mean(inside, ~np.isnan(a))


def msis(y: ArrayLike, lo: ArrayLike, hi: ArrayLike, scale: ArrayLike, level: float = 0.95) -> float:
    """Mean scaled interval score: the width of the interval plus a fine for each step outside, scaled.

        MSIS = mean over windows of  mean over steps of
               [(hi - lo) + 2/α · max(lo - y, 0) + 2/α · max(y - hi, 0)] / scale,    α = 1 - level

    where y, lo, hi (W, h) are actual values and the ends of the central interval that should hold the share
    `level` of them, and scale (W,) comes from `seasonal_scale`. Windows of scale zero or NaN are left out, as
    in `mase`.

    Source: T. Gneiting, A. E. Raftery, 2007, "Strictly proper scoring rules, prediction, and estimation",
    Journal of the American Statistical Association 102, section 6.2; scaled as in the M4 competition.

    >>> round(msis([[1.0, 4.0]], [[0.0, 0.0]], [[2.0, 2.0]], scale=[1.0]), 9)
    42.0
    """
    a, low = _pair(y, lo)
    _, high = _pair(y, hi)
    if not 0 < level < 1:
        raise OptionError(f"level={level!r} must lie between 0 and 1")
    s, good = _usable(scale, len(a))
    seen = ~np.isnan(a)
    fine = 2.0 / (1.0 - level) * (np.maximum(low - a, 0.0) + np.maximum(a - high, 0.0))
    return _mean(_rows(high - low + fine, seen) / s, good & seen.any(axis=1))


def at_level(q: ArrayLike, levels: ArrayLike, level: float) -> Floats:
    """The forecast of one quantile level, linear between the two neighbouring levels.

    q (..., Q) holds the forecasts for the rising levels (Q,); the result (...) is NaN everywhere if `level`
    lies outside them, since tails are not invented.

    >>> at_level([[1.0, 3.0]], levels=[0.25, 0.75], level=0.5)
    array([2.])
    """
    a, p = np.asarray(q, np.float64), np.asarray(levels, np.float64)
    near = np.flatnonzero(np.isclose(p, level, rtol=0, atol=1e-9))
    if near.size:
        return a[..., near[0]]
    right = int(np.searchsorted(p, level))
    if right in (0, p.size):
        return np.full(a.shape[:-1], np.nan)
    w = (level - p[right - 1]) / (p[right] - p[right - 1])
    return np.asarray((1 - w) * a[..., right - 1] + w * a[..., right])


def summary(y: ArrayLike, q: ArrayLike, levels: ArrayLike, scale: ArrayLike) -> dict[str, float]:
    """The measures of a results table: MASE, sMAPE, RMSE of the median, WQL of all levels, coverage of 80 %.

    y (W, h) are actual values, q (W, h, Q) forecasts of the rising levels (Q,), scale (W,) from
    `seasonal_scale`. The levels 0.5, 0.1 and 0.9 are read between their neighbours where they are missing
    (`at_level`); what cannot be read is NaN.

    >>> summary([[2.0, 4.0]], [[[1.0, 2.0, 3.0], [1.0, 3.0, 5.0]]], [0.1, 0.5, 0.9], [1.0])["MASE"]
    0.5
    """
    a, b, p = _quantiles(y, q, levels)
    f = at_level(b, p, 0.5)
    return {
        "MASE": mase(a, f, scale),
        "sMAPE": smape(a, f),
        "RMSE": rmse(a, f),
        "WQL": wql(a, b, p),
        "coverage80": coverage(a, at_level(b, p, 0.1), at_level(b, p, 0.9)),
    }
