"""Accuracy of quantile forecasts and prediction intervals: pinball loss, WQL, coverage, MSIS, and a summary.

    W windows · h steps of the horizon · Q quantile levels · B series · T time
    y (W, h) actual values · q (W, h, Q) quantile forecasts · levels (Q,) in (0, 1)
    scale (W,) in-sample scale of the series of each window, from `seasonal_scale`

A missing actual value (NaN) is left out of every metric. A forecast that is NaN where the actual value is known makes
the result NaN, since a missing forecast must not improve the score. A metric of no values is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import Array, DataError, OptionError
from rekur.metrics.point_forecast import mase, masked_mean, masked_row_means, paired, rmse, smape, usable_scale

__all__ = ["at_level", "coverage", "msis", "pinball", "pinball_error", "summary", "wql"]


def _quantiles(y: ArrayLike, q: ArrayLike, levels: ArrayLike) -> tuple[Array, Array, Array]:
    """Return float64 y (W, h), q (W, h, Q), levels (Q,), or raise an error if they do not fit each other."""
    a, b, p = np.asarray(y, np.float64), np.asarray(q, np.float64), np.asarray(levels, np.float64)
    if a.ndim != 2 or p.ndim != 1 or b.shape != (*a.shape, p.size):
        raise DataError(
            f"quantile forecasts of shape {b.shape} do not fit actual values of shape {a.shape} and "
            f"{p.size} levels; expected (windows, horizon, levels)"
        )
    if p.size == 0 or np.any(np.diff(p) <= 0) or p[0] <= 0 or p[-1] >= 1:
        raise OptionError(f"levels must rise and lie between 0 and 1, got {p.tolist()}")
    return a, b, p


def pinball_error(error: ArrayLike, level: ArrayLike) -> Array:
    """Pinball loss of single errors, elementwise.

        ρ_p(e) = max(p·e, (p - 1)·e)

    where e = y - q is the error of a forecast q of the quantile p.

    Parameters
    ----------
    error : array-like
        Errors e of any shape.
    level : float or array-like
        Quantile levels p that broadcast with the errors.

    Returns
    -------
    array of the broadcast shape

    References
    ----------
    R. Koenker, G. Bassett, 1978, "Regression quantiles", Econometrica 46.

    Examples
    --------
    >>> from rekur.metrics import pinball_error
    >>> pinball_error([1.0, -1.0], 0.9).round(3)
    array([0.9, 0.1])
    """
    e, p = np.asarray(error, np.float64), np.asarray(level, np.float64)
    return np.maximum(p * e, (p - 1) * e)


def pinball(y: ArrayLike, q: ArrayLike, levels: ArrayLike) -> Array:
    """Pinball loss of each quantile level, the mean over all observed steps of all windows.

        pinball_p = mean of  max(p · (y - q_p), (p - 1) · (y - q_p))

    where y are actual values and q_p forecasts of the quantile p.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    q : (W, h, Q) array-like
        Quantile forecasts.
    levels : (Q,) array-like
        Ascending quantile levels in (0, 1).

    Returns
    -------
    (Q,) float64

    References
    ----------
    R. Koenker, G. Bassett, 1978, "Regression quantiles", Econometrica 46.

    Examples
    --------
    >>> from rekur.metrics import pinball
    >>> pinball([[2.0]], [[[1.0, 3.0]]], levels=[0.1, 0.9])
    array([0.1, 0.1])
    """
    a, b, p = _quantiles(y, q, levels)
    observed = ~np.isnan(a)
    return np.array([masked_mean(pinball_error(a - b[..., k], level), observed) for k, level in enumerate(p)])


def wql(y: ArrayLike, q: ArrayLike, levels: ArrayLike) -> float:
    """Weighted quantile loss: the pinball loss relative to the size of the actual values, mean over levels.

        WQL = mean over p of  2 · Σ pinball_p(y, q_p) / Σ |y|

    where y are actual values, q_p forecasts of the quantile p, and the sums run over all observed steps of all
    windows. With the single level 0.5 it is Σ |y - f| / Σ |y|.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    q : (W, h, Q) array-like
        Quantile forecasts.
    levels : (Q,) array-like
        Ascending quantile levels in (0, 1).

    Returns
    -------
    float
        NaN if Σ |y| is zero.

    References
    ----------
    Y. Park, D. Maddix, F.-X. Aubet, K. Kan, J. Gasthaus, Y. Wang, 2022, "Learning quantile functions without quantile
    crossing for distribution-free time series forecasting", AISTATS.

    Examples
    --------
    >>> from rekur.metrics import wql
    >>> round(wql([[2.0]], [[[1.0, 3.0]]], levels=[0.1, 0.9]), 12)
    0.1
    """
    a = np.asarray(y, np.float64)
    loss = float(pinball(a, q, levels).mean())
    size = masked_mean(np.abs(a), ~np.isnan(a))
    return 2.0 * loss / size if size > 0 else float("nan")


def coverage(y: ArrayLike, lo: ArrayLike, hi: ArrayLike) -> float:
    """Share of the observed steps inside the prediction interval, bounds included, from 0 to 1.

        coverage = mean of  1[lo ≤ y ≤ hi]

    where y are actual values, lo and hi the bounds of the interval.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    lo, hi : (W, h) array-like
        Lower and upper bounds.

    Returns
    -------
    float

    References
    ----------
    T. Gneiting, A. E. Raftery, 2007, "Strictly proper scoring rules, prediction, and estimation", Journal of the
    American Statistical Association 102, section 6.2.

    Examples
    --------
    >>> from rekur.metrics import coverage
    >>> coverage([[1.0, 2.0, 9.0, float("nan")]], [[0.0, 2.0, 0.0, 0.0]], [[1.0, 3.0, 1.0, 1.0]])
    0.6666666666666666
    """
    a, low = paired(y, lo)
    _, high = paired(y, hi)
    inside = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= a) & (a <= high))
    return masked_mean(inside, ~np.isnan(a))


def msis(y: ArrayLike, lo: ArrayLike, hi: ArrayLike, scale: ArrayLike, level: float = 0.95) -> float:
    """Mean scaled interval score: the width of the interval plus a penalty for each step outside, scaled.

        MSIS = mean over windows of  mean over steps of
               [(hi - lo) + 2/α · max(lo - y, 0) + 2/α · max(y - hi, 0)] / scale,    α = 1 - level

    where y are actual values, lo and hi the bounds of the interval. Windows of scale zero or NaN are left out, as in
    `mase`.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    lo, hi : (W, h) array-like
        Lower and upper bounds of the central interval.
    scale : (W,) array-like
        Scale of the series of each window, from `seasonal_scale`.
    level : float, default 0.95
        Share of the actual values that the interval should hold.

    Returns
    -------
    float

    Raises
    ------
    OptionError
        If the level is not between 0 and 1.

    References
    ----------
    T. Gneiting, A. E. Raftery, 2007, "Strictly proper scoring rules, prediction, and estimation", Journal of the
    American Statistical Association 102, section 6.2; scaled as in the M4 competition.

    Examples
    --------
    >>> from rekur.metrics import msis
    >>> round(msis([[1.0, 4.0]], [[0.0, 0.0]], [[2.0, 2.0]], scale=[1.0]), 9)
    42.0
    """
    a, low = paired(y, lo)
    _, high = paired(y, hi)
    if not 0 < level < 1:
        raise OptionError(f"level={level!r} must lie between 0 and 1")
    s, usable = usable_scale(scale, len(a))
    observed = ~np.isnan(a)
    penalty = 2.0 / (1.0 - level) * (np.maximum(low - a, 0.0) + np.maximum(a - high, 0.0))
    return masked_mean(masked_row_means(high - low + penalty, observed) / s, usable & observed.any(axis=1))


def at_level(q: ArrayLike, levels: ArrayLike, level: float) -> Array:
    """Forecast of one quantile level by linear interpolation between the two neighbouring levels.

    Parameters
    ----------
    q : (..., Q) array-like
        Quantile forecasts.
    levels : (Q,) array-like
        Ascending quantile levels.
    level : float
        The level of the result.

    Returns
    -------
    (...) float64
        NaN if `level` is outside the levels, since tails are not extrapolated.

    References
    ----------
    R. J. Hyndman, Y. Fan, 1996, "Sample quantiles in statistical packages", The American Statistician 50.

    Examples
    --------
    >>> from rekur.metrics import at_level
    >>> at_level([[1.0, 3.0]], levels=[0.25, 0.75], level=0.5)
    array([2.])
    """
    a, p = np.asarray(q, np.float64), np.asarray(levels, np.float64)
    exact = np.flatnonzero(np.isclose(p, level, rtol=0, atol=1e-9))
    if exact.size:
        return np.asarray(a[..., exact[0]])
    right = int(np.searchsorted(p, level))
    if right in (0, p.size):
        return np.full(a.shape[:-1], np.nan)
    w = (level - p[right - 1]) / (p[right] - p[right - 1])
    return np.asarray((1 - w) * a[..., right - 1] + w * a[..., right])


def summary(y: ArrayLike, q: ArrayLike, levels: ArrayLike, scale: ArrayLike) -> dict[str, float]:
    """Metrics of a results table: MASE, sMAPE and RMSE of the median, WQL of all levels, MSIS and coverage of 80 %.

    The levels 0.5, 0.1 and 0.9 are interpolated where they are missing (`at_level`); what cannot be interpolated is
    NaN.

    Parameters
    ----------
    y : (W, h) array-like
        Actual values, NaN where missing.
    q : (W, h, Q) array-like
        Quantile forecasts.
    levels : (Q,) array-like
        Ascending quantile levels in (0, 1).
    scale : (W,) array-like
        Scale of the series of each window, from `seasonal_scale`.

    Returns
    -------
    dict of str to float
        Keys "MASE", "sMAPE", "RMSE", "WQL", "MSIS80", "coverage80".

    References
    ----------
    Those of `mase`, `smape`, `rmse`, `wql`, `msis` and `coverage`.

    Examples
    --------
    >>> from rekur.metrics import summary
    >>> summary([[2.0, 4.0]], [[[1.0, 2.0, 3.0], [1.0, 3.0, 5.0]]], [0.1, 0.5, 0.9], [1.0])["MASE"]
    0.5
    """
    a, b, p = _quantiles(y, q, levels)
    low, median, high = (at_level(b, p, level) for level in (0.1, 0.5, 0.9))
    return {
        "MASE": mase(a, median, scale),
        "sMAPE": smape(a, median),
        "RMSE": rmse(a, median),
        "WQL": wql(a, b, p),
        "MSIS80": msis(a, low, high, scale, level=0.8),
        "coverage80": coverage(a, low, high),
    }
