"""Charts of forecasts, past windows and training, for plotly and matplotlib."""

from __future__ import annotations

from rekur.plotting.figures import figure, loss_figure, windows_figure

__all__ = ["figure", "loss_figure", "windows_figure"]
