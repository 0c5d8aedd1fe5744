"""Baseline forecasts: naive, seasonal naive, drift, smoothing and dynamic regression, with prediction intervals.

    B series · T time · h horizon · Q quantile levels · m season

Every method maps histories y (B, T) to quantiles (B, h, Q). The last column of y is the last observation time; NaN is
a value that is missing or before the start of a series. The computation is vectorised over series and loops over time,
a limited number of series at a time, so that memory stays bounded.
"""

from __future__ import annotations

from rekur.baselines.methods import BASELINES, METHODS, REGRESSION, describe, forecast

__all__ = ["BASELINES", "METHODS", "REGRESSION", "describe", "forecast"]
