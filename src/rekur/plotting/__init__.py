"""Charts of forecasts: history, median and prediction intervals of one series, for plotly and matplotlib."""

from __future__ import annotations

from rekur.plotting.figures import figure

__all__ = ["figure"]
