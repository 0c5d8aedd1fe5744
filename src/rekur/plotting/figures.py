"""Figures of a forecast in plotly and matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import Array, OptionError, choose, library
from rekur.data.panel import Panel
from rekur.plotting.chart_data import axis_names, fan_chart, history, history_rows, isolated, series_label
from rekur.plotting.traces import LIGHT, MAX_MARKED_STEPS, MODEL, forecast_chart, with_colors

if TYPE_CHECKING:
    import matplotlib.figure
    import plotly.graph_objects as go

ENGINES = ("plotly", "matplotlib")


def figure(
    panel: Panel, s: int, quantiles: Array, levels: Sequence[float], engine: str = "plotly"
) -> go.Figure | matplotlib.figure.Figure:
    """Draw the end of the history of one series, its median forecast and the 80 and 95 % prediction intervals.

    Parameters
    ----------
    panel : Panel
        The history.
    s : int
        Position of the series in the panel.
    quantiles : Array
        Quantile forecasts of the next steps, (h, Q).
    levels : sequence of float
        Rising quantile levels, (Q,).
    engine : {"plotly", "matplotlib"}, default "plotly"
        Plotting library; matplotlib is installed apart.

    Returns
    -------
    plotly.graph_objects.Figure or matplotlib.figure.Figure
        The figure.

    Raises
    ------
    OptionError
        If the engine is unknown, or there is no such series.
    MissingDependencyError
        If the library is not installed.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from rekur.data.panel import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": range(9)}))
    >>> chart = figure(panel, 0, np.array([[8.0, 9.0, 10.0]]), [0.1, 0.5, 0.9])
    >>> [trace.name for trace in chart.data]
    ['80 % interval', 'history', 'rekur', 'rekur']
    """
    choose("engine", engine, ENGINES)
    if not 0 <= s < len(panel):
        raise OptionError(f"series number {s!r} does not exist: choose one of 0 … {len(panel) - 1}")
    draw = _plotly if engine == "plotly" else _matplotlib
    return draw(panel, s, quantiles, levels)


def _plotly(panel: Panel, s: int, quantiles: Array, levels: Sequence[float]) -> go.Figure:
    """The chart of the report with a title and a legend of its own."""
    import plotly.graph_objects as go

    chart = with_colors(forecast_chart(panel, s, quantiles, levels))
    chart["layout"] |= {
        "title": {"text": escape(series_label(panel, s), quote=False), "x": 0, "xref": "paper"},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 8, "r": 12, "t": 90, "b": 8},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return go.Figure(chart)


def _matplotlib(panel: Panel, s: int, quantiles: Array, levels: Sequence[float]) -> matplotlib.figure.Figure:
    """The same chart with matplotlib."""
    library("matplotlib", 'engine="matplotlib" needs matplotlib, which is not installed: pip install matplotlib')
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    h, n = len(quantiles), panel.length(s)
    x, y = history(panel, s, n - history_rows(panel, s, h), n)
    fan = fan_chart(panel, s, n, quantiles, levels)
    canvas, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    blue, ink = LIGHT["@rekur"], LIGHT["@line"]
    for percent, interval in fan.intervals.items():
        alpha = 0.26 if percent == 80 else 0.13
        axis.fill_between(*interval, color=blue, alpha=alpha, linewidth=0, label=f"{percent} % interval")
    axis.plot(x, y, color=ink, label="history")
    dots = isolated(y)
    axis.plot(x[dots], y[dots], "o", color=ink, markersize=3)
    if fan.connection is not None:
        axis.plot(*fan.connection, color=blue)
    marker = "o" if h <= MAX_MARKED_STEPS else ""
    axis.plot(fan.times, fan.median, color=blue, marker=marker, markersize=4, label=MODEL)
    axis.axvline(x[-1], color=LIGHT["@muted"], linewidth=1, linestyle=":")
    time, value = (_without_formulas(name) for name in axis_names(panel))
    axis.set(xlabel=time, ylabel=value)
    axis.set_title(_without_formulas(series_label(panel, s)), loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)
    if np.issubdtype(x.dtype, np.integer):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.legend(loc="outside upper right", ncols=4, frameon=False)
    return canvas


def _without_formulas(text: str) -> str:
    """Text in which matplotlib reads no dollar sign as the start of a formula."""
    return text.replace("$", r"\$")
