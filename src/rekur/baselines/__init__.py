"""Forecasts without a network: the rivals every model must beat, and a part of the blend.

    B series · T time · h horizon · Q quantile levels · m season

Every method maps histories y (B, T) to quantiles (B, h, Q). The last column of y is the last observation
time; NaN is a value that is missing or lies before the start of a series. Loops run over time, vectors over
series, in pieces, so that memory stays bounded whatever the number of series.
"""

from __future__ import annotations

from rekur.baselines.methods import BASELINES, describe, forecast

__all__ = ["BASELINES", "describe", "forecast"]
