"""Pictures and the HTML report of a forecast.

`figure` draws one series with plotly or matplotlib; `html` and `write` make one page that holds the forecast,
the verdict of the backtest, the training and the settings, and that needs no network to be read.
"""

from __future__ import annotations

from rekur.report.figures import figure
from rekur.report.page import html, write

__all__ = ["figure", "html", "write"]
