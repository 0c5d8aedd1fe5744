"""Accuracy of point forecasts: MAE, RMSE, sMAPE, MASE and the in-sample scale of a series.

    W windows · h steps of the horizon · B series · T time
    y (W, h) actual values · f (W, h) point forecasts
    scale (W,) in-sample scale of the series of each window, from `seasonal_scale`

A missing actual value (NaN) is left out of every metric. A forecast that is NaN where the actual value is known makes
the result NaN, since a missing forecast must not improve the score. A metric of no values is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import Array, DataError, positive

__all__ = [
    "mae",
    "mase",
    "masked_mean",
    "masked_row_means",
    "paired",
    "rmse",
    "seasonal_scale",
    "smape",
    "usable_scale",
]

_MAX_VALUES = 4_000_000  # of the histories at a time, on average


def paired(y: ArrayLike, f: ArrayLike) -> tuple[Array, Array]:
    """Return both as float64 (W, h), or raise a DataError if the shapes differ."""
    a, b = np.asarray(y, np.float64), np.asarray(f, np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise DataError(f"actual values {a.shape} and forecasts {b.shape} must both have the shape (windows, horizon)")
    return a, b


def masked_mean(values: Array, mask: Array) -> float:
    """Return the mean of `values` where `mask`, NaN if it is empty."""
    chosen = values[mask]
    return float(chosen.mean()) if chosen.size else float("nan")


def masked_row_means(values: Array, mask: Array) -> Array:
    """Return the mean of each row of values (W, h) where `mask`, (W,); NaN for a row without any."""
    count = mask.sum(axis=1)
    total = np.where(mask, values, 0.0).sum(axis=1)  # (W,)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def usable_scale(scale: ArrayLike, windows: int) -> tuple[Array, Array]:
    """Return the scale (W,) with 1 where it is zero or NaN, and where it is above zero."""
    s = np.asarray(scale, np.float64)
    if s.shape != (windows,):
        raise DataError(f"scale of shape {s.shape} must hold one value for each of the {windows} windows")
    usable = s > 0
    return np.where(usable, s, 1.0), usable


def mae(y: ArrayLike, f: ArrayLike) -> float:
    """Mean absolute error over all observed steps, in the unit of y.

        MAE = mean |y - f|

    where y are actual values and f forecasts.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    f : (W, h) array-like
        Point forecasts.

    Returns
    -------
    float

    References
    ----------
    R. J. Hyndman, A. B. Koehler, 2006, "Another look at measures of forecast accuracy", International Journal of
    Forecasting 22.

    Examples
    --------
    >>> from rekur.metrics import mae
    >>> mae([[1.0, 2.0]], [[1.0, 4.0]])
    1.0
    """
    a, b = paired(y, f)
    return masked_mean(np.abs(a - b), ~np.isnan(a))


def rmse(y: ArrayLike, f: ArrayLike) -> float:
    """Root mean squared error over all observed steps, in the unit of y.

        RMSE = √(mean (y - f)²)

    where y are actual values and f forecasts.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    f : (W, h) array-like
        Point forecasts.

    Returns
    -------
    float

    References
    ----------
    R. J. Hyndman, A. B. Koehler, 2006, "Another look at measures of forecast accuracy", International Journal of
    Forecasting 22.

    Examples
    --------
    >>> from rekur.metrics import rmse
    >>> rmse([[1.0, 2.0]], [[1.0, 4.0]])
    1.4142135623730951
    """
    a, b = paired(y, f)
    return float(np.sqrt(masked_mean((a - b) ** 2, ~np.isnan(a))))


def smape(y: ArrayLike, f: ArrayLike) -> float:
    """Symmetric mean absolute percentage error of the M4 competition, in percent from 0 to 200.

        sMAPE = mean over windows of  mean over steps of  200 · |y - f| / (|y| + |f|)

    where y are actual values and f forecasts; a step where both are zero counts as 0.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    f : (W, h) array-like
        Point forecasts.

    Returns
    -------
    float

    References
    ----------
    S. Makridakis, E. Spiliotis, V. Assimakopoulos, 2020, "The M4 Competition: 100,000 time series and 61 forecasting
    methods", International Journal of Forecasting 36.

    Examples
    --------
    >>> from rekur.metrics import smape
    >>> smape([[1.0, 3.0]], [[1.0, 1.0]])
    50.0
    """
    a, b = paired(y, f)
    size = np.abs(a) + np.abs(b)
    rows = masked_row_means(200.0 * np.abs(a - b) / np.where(size > 0, size, 1.0), ~np.isnan(a))
    return masked_mean(rows, np.asarray((~np.isnan(a)).any(axis=1)))


def seasonal_scale(y: ArrayLike, season: int = 1, offsets: ArrayLike | None = None) -> Array:
    """In-sample mean absolute error of the seasonal naive forecast, the denominator of MASE and MSIS.

        scale = mean over t of |y_t - y_{t-m}|

    where y is the history and m the season. Pairs with a missing value are left out. Where no pair is left, or the
    values of all pairs are equal (a series that repeats exactly), m = 1 is used instead.

    Parameters
    ----------
    y : (B, T) or (N,) array-like
        Histories, the last column the last observation, NaN where missing or before the start; or, with `offsets`, the
        values of all series one after another.
    season : int, default 1
        Season m in steps.
    offsets : (B+1,) array-like of int, default None
        First value of each series in y (N,), and N.

    Returns
    -------
    (B,) float64
        0 for a constant series, NaN for a series without two neighbouring observations.

    Raises
    ------
    DataError
        If y has another number of dimensions.
    OptionError
        If the season is not above zero.

    References
    ----------
    R. J. Hyndman, A. B. Koehler, 2006, "Another look at measures of forecast accuracy", International Journal of
    Forecasting 22.

    Examples
    --------
    >>> from rekur.metrics import seasonal_scale
    >>> seasonal_scale([[1.0, 5.0, 2.0, 7.0]], season=2)
    array([1.5])
    >>> seasonal_scale([1.0, 5.0, 2.0, 7.0, 4.0, 4.0], season=2, offsets=[0, 4, 6])
    array([1.5, 0. ])
    """
    positive("season", season)
    a = np.asarray(y, np.float64)
    if a.ndim != (2 if offsets is None else 1):
        expected = "(series, time)" if offsets is None else "(values,) with offsets"
        raise DataError(f"histories must be {expected}, got shape {a.shape}")
    first = np.asarray(np.arange(a.shape[0] + 1) * a.shape[1] if offsets is None else offsets, dtype=np.int64)
    flat, scale = a.ravel(), np.full(len(first) - 1, np.nan)
    series_at_a_time = max(1, len(scale) * _MAX_VALUES // max(flat.size, 1))
    for start in range(0, len(scale), series_at_a_time):
        part = first[start : start + series_at_a_time + 1]
        values = flat[part[0] : part[-1]]
        naive = _mean_differences(values, part - part[0], 1)
        seasonal = naive if season == 1 else _mean_differences(values, part - part[0], season)
        scale[start : start + series_at_a_time] = np.where(seasonal > 0, seasonal, naive)
    return scale


def _mean_differences(y: Array, offsets: Array, lag: int) -> Array:
    """Return the mean |y_t - y_{t-lag}| of each series (B,) of values y (N,), NaN for a series without a pair."""
    series = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    difference = np.abs(y[lag:] - y[:-lag])
    pairs = ~np.isnan(difference) & (series[lag:] == series[:-lag])
    total = np.bincount(series[lag:][pairs], difference[pairs], len(offsets) - 1)
    count = np.bincount(series[lag:][pairs], minlength=len(offsets) - 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mase(y: ArrayLike, f: ArrayLike, scale: ArrayLike) -> float:
    """Mean absolute scaled error: 1 is the in-sample error of the seasonal naive forecast.

        MASE = mean over windows of  (mean over steps of |y - f|) / scale

    where y are actual values and f forecasts. Windows whose scale is zero (a constant history) or NaN are left out
    whatever the forecast, so that all methods are scored on the same windows.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    f : (W, h) array-like
        Point forecasts.
    scale : (W,) array-like
        Scale of the series of each window, from `seasonal_scale`.

    Returns
    -------
    float

    References
    ----------
    R. J. Hyndman, A. B. Koehler, 2006, "Another look at measures of forecast accuracy", International Journal of
    Forecasting 22.

    Examples
    --------
    >>> from rekur.metrics import mase
    >>> mase([[1.0, 2.0], [5.0, 5.0]], [[1.0, 4.0], [5.0, 6.0]], scale=[2.0, 0.0])
    0.5
    """
    a, b = paired(y, f)
    s, usable = usable_scale(scale, len(a))
    observed = ~np.isnan(a)
    return masked_mean(masked_row_means(np.abs(a - b), observed) / s, usable & observed.any(axis=1))
