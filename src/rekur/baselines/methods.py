"""Baselines by name: quantile forecasts of any number of series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from rekur.baselines.intervals import forecast_quantiles
from rekur.baselines.regression import regression
from rekur.baselines.simple import Fit, drift, naive, seasonal_naive
from rekur.baselines.smoothing import smoothing
from rekur.core import Array, DataError, OptionError, choose, positive

__all__ = ["BASELINES", "METHODS", "REGRESSION", "describe", "forecast"]

_MAX_VALUES, _MAX_ROWS = 1 << 19, 512  # of y at a time
REGRESSION = "regression"
"""Name of the baseline that reads covariates."""

_OF_SERIES: dict[str, tuple[Callable[[Array, Sequence[int], int], Fit], str]] = {
    "naive": (naive, "naive"),
    "seasonal_naive": (seasonal_naive, "seasonal naive"),
    "drift": (drift, "drift"),
    "smoothing": (smoothing, "smoothing (Theta)"),
}
_WORDS = {**{name: words for name, (_, words) in _OF_SERIES.items()}, REGRESSION: "dynamic regression"}
BASELINES = tuple(_OF_SERIES)
"""Names of the baselines that read a series alone."""

METHODS = (*BASELINES, REGRESSION)
"""Names of all baselines."""


def describe(name: str) -> str:
    """Return the display name of a baseline.

    Parameters
    ----------
    name : str
        One of `METHODS`.

    Returns
    -------
    str

    Raises
    ------
    OptionError
        If there is no such baseline.

    Examples
    --------
    >>> from rekur.baselines import describe
    >>> describe("seasonal_naive")
    'seasonal naive'
    """
    return _WORDS[choose("name", name, METHODS)]


def forecast(
    name: str,
    y: ArrayLike,
    season: int,
    horizon: int,
    levels: ArrayLike,
    seasons: Sequence[int] = (),
    covariates: ArrayLike | None = None,
    prior: ArrayLike | None = None,
) -> Array:
    """Quantile forecasts of series by one baseline.

    * naive: the last observed value, ŷ_{t+k} = y_t.
    * seasonal_naive: the last value at the same position in the season, ŷ_{t+k} = y_{t+k-m·⌈k/m⌉}.
    * drift: the line through the first and the last value, ŷ_{t+k} = y_t + k·(y_T - y_1)/(T - 1).
    * smoothing: the mean of Theta and damped trend smoothing of the seasonally adjusted values.
    * regression: a linear regression on covariates, whose errors are forecast by smoothing (dynamic regression).

    Parameters
    ----------
    name : {"naive", "seasonal_naive", "drift", "smoothing", "regression"}
        The baseline.
    y : (B, T) array-like
        Histories; the last column is the last observation time, NaN is a value that is missing or before the start.
    season : int
        Main season m in steps, 1 for none.
    horizon : int
        Number of steps h.
    levels : (Q,) array-like
        Ascending quantile levels in (0, 1); 0.5 is the point forecast.
    seasons : sequence of int, default ()
        Further seasons in steps.
    covariates : (B, T + h, K) array-like, optional
        Covariates of the histories and of the steps to forecast, about of size 1, for "regression" alone.
    prior : (K,) array-like, optional
        Coefficients to which those of each series are shrunk, for series divided by their largest value (and the square
        root of that where no value is negative); 0 if None.

    Returns
    -------
    (B, h, Q) float64
        NaN for a series without any observation; a constant series is continued exactly.

    Raises
    ------
    DataError
        If y is not two-dimensional or holds infinite values.
    OptionError
        If the name is unknown, a season, the horizon or a level is out of range, or covariates are missing or in vain.

    References
    ----------
    R. J. Hyndman, G. Athanasopoulos, 2021, "Forecasting: principles and practice", third edition, section 5.2, for the
    first three; V. Assimakopoulos, K. Nikolopoulos, 2000, "The theta model", International Journal of Forecasting 16;
    E. S. Gardner, E. McKenzie, 1985, "Forecasting trends in time series", Management Science 31.

    Examples
    --------
    >>> from rekur.baselines import forecast
    >>> forecast("drift", [[1.0, 2.0, 3.0, 4.0]], season=1, horizon=2, levels=[0.5])[..., 0]
    array([[5., 6.]])
    """
    choose("name", name, METHODS)
    if (name == REGRESSION) != (covariates is not None):
        text = "needs covariates" if name == REGRESSION else "reads no covariates: leave them out or use 'regression'"
        raise OptionError(f"the baseline {name!r} {text}")
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
    x = None if covariates is None else np.asarray(covariates, np.float64)
    if x is not None and (x.ndim != 3 or x.shape[:2] != (len(a), a.shape[1] + horizon) or not np.isfinite(x).all()):
        expected = f"({len(a)}, {a.shape[1] + horizon}, K)"
        raise DataError(f"covariates must be finite and of the shape {expected}, got the shape {x.shape}")
    shrunk_to = np.zeros(0 if x is None else x.shape[2]) if prior is None else np.asarray(prior, np.float64)
    out = np.full((len(a), horizon, p.size), np.nan)
    largest, smallest = np.fmax.reduce(a, axis=1), np.fmin.reduce(a, axis=1)
    constant = largest == smallest
    out[constant] = largest[constant, None, None]
    varying = np.flatnonzero(largest > smallest)
    width = 1 if x is None else 1 + x.shape[2]
    rows = min(max(1, _MAX_VALUES // (a.shape[1] * width)), _MAX_ROWS)
    for start in range(0, varying.size, rows):
        part = varying[start : start + rows]
        method = _OF_SERIES[name][0] if x is None else partial(regression, covariates=x[part], prior=shrunk_to)
        out[part] = forecast_quantiles(method(a[part], (season, *seasons), horizon), p)
    return out
