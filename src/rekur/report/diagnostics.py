"""Errors of a backtest in detail: by series, by step ahead, by level of the interval, and their distribution.

W windows · h horizon · S series
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rekur.core import Array
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME
from rekur.metrics import at_level, coverage

BINS = 41
"""Bins of the histogram of residuals, an odd number, so that one has its centre at zero."""

SHOWN_SHARE = 0.99
"""Share of the residuals that the histogram shows."""


def scaled_residuals(backtest: Backtest, model: str) -> Array:
    """Actual values less medians in units of the seasonal naive error of the series, (W, h); NaN where missing."""
    unit = np.where(backtest.scale > 0, backtest.scale, np.nan)[:, None]
    return np.asarray((backtest.actual - at_level(backtest.forecasts[model], backtest.levels, 0.5)) / unit)


def column_means(values: Array) -> Array:
    """Mean of the finite values of each column; NaN for a column without any."""
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def error_by_step(backtest: Backtest, model: str) -> Array:
    """Mean absolute scaled error of each step ahead, (h,)."""
    return column_means(np.abs(scaled_residuals(backtest, model)))


def error_by_series(backtest: Backtest, model: str) -> Array:
    """MASE of each series of the backtest, (S,), the mean over its windows; NaN for one without a score."""
    errors, S = backtest.scores.values["MASE"][model], len(backtest.panel)
    known = np.isfinite(errors)
    counts = np.bincount(backtest.series[known], minlength=S)
    sums = np.bincount(backtest.series[known], errors[known], minlength=S)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def central_levels(levels: Sequence[float]) -> list[int]:
    """Levels in percent of the central intervals between two quantile levels, the narrowest first."""
    pairs = [level for level in levels if level < 0.5 and np.isclose(levels, 1 - level).any()]
    return [round(100 * (1 - 2 * level)) for level in reversed(pairs)]


def coverage_by_level(backtest: Backtest, model: str) -> Array:
    """Share of the actual values inside each of the central intervals, see `central_levels`."""
    q, levels = backtest.forecasts[model], backtest.levels
    tails = [(0.5 - percent / 200, 0.5 + percent / 200) for percent in central_levels(levels)]
    return np.array([coverage(backtest.actual, at_level(q, levels, a), at_level(q, levels, b)) for a, b in tails])


def residual_histogram(backtest: Backtest) -> tuple[Array, Array]:
    """Centres and counts (BINS,) of the scaled residuals of rekur, but for the largest; empty without any."""
    residuals = scaled_residuals(backtest, NAME)
    residuals = residuals[np.isfinite(residuals)]
    reach = float(np.quantile(np.abs(residuals), SHOWN_SHARE)) if len(residuals) else 0.0
    if reach == 0.0:
        return np.zeros(0), np.zeros(0, int)
    counts, edges = np.histogram(residuals, BINS, (-reach, reach))
    return (edges[1:] + edges[:-1]) / 2, counts


def residual_summary(backtest: Backtest) -> str:
    """Sentence on the bias of the residuals of rekur."""
    residuals = scaled_residuals(backtest, NAME)
    residuals = residuals[np.isfinite(residuals)]
    if not len(residuals):
        return "There are no residuals: the values are missing, or their series have no scale."
    above, mean = np.mean(residuals > 0), residuals.mean()
    side = "too low" if mean > 0 else "too high"
    text = (
        "Actual values less medians, in units of the seasonal naive error of their series, as in MASE; the largest 1 % "
        f"are not drawn. {100 * above:.0f} % of the values lie above the median, where 50 % are best; on average the "
        f"median is {abs(mean):.2f} units {side}."
    )
    return text.replace(" %", "\u00a0%")
