"""Figures of forecasts, past windows and losses in plotly and matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import Array, OptionError, choose, library
from rekur.data.panel import Panel
from rekur.plotting.chart_data import (
    FanChart,
    axis_names,
    cutoffs,
    drawn_windows,
    fan_chart,
    history,
    history_rows,
    isolated,
    series_label,
    window_fans,
    window_history,
)
from rekur.plotting.traces import (
    LIGHT,
    MAX_MARKED_STEPS,
    MODEL,
    Json,
    forecast_chart,
    loss_chart,
    windows_chart,
    with_colors,
)

if TYPE_CHECKING:
    import matplotlib.axes
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
    if engine == "plotly":
        return _plotly(forecast_chart(panel, s, quantiles, levels), series_label(panel, s))
    n = panel.length(s)
    x, y = history(panel, s, n - history_rows(panel, s, len(quantiles)), n)
    return _matplotlib(panel, s, (x, y, "history"), [fan_chart(panel, s, n, quantiles, levels)], x[-1:])


def windows_figure(
    panel: Panel, s: int, stops: Array, quantiles: Array, levels: Sequence[float], engine: str = "plotly"
) -> go.Figure | matplotlib.figure.Figure:
    """Draw the actual values of one series and the forecasts of past windows, of those that overlap the latest ones.

    Parameters
    ----------
    panel : Panel
        The complete history.
    s : int
        Position of the series in the panel.
    stops : Array
        Rows of the series where the windows begin, (w,).
    quantiles : Array
        Quantile forecasts of the windows, (w, h, Q).
    levels, engine
        As in `figure`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from rekur.data.panel import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": range(9)}))
    >>> chart = windows_figure(panel, 0, np.array([5, 7]), np.full((2, 2, 3), [4.0, 6.0, 8.0]), [0.1, 0.5, 0.9])
    >>> [trace.name for trace in chart.data]
    ['80 % interval', 'actual', 'rekur', 'rekur']
    """
    choose("engine", engine, ENGINES)
    drawn = drawn_windows(stops, quantiles.shape[1])
    stops, quantiles = stops[drawn], quantiles[drawn]
    if engine == "plotly":
        return _plotly(windows_chart(panel, s, stops, quantiles, levels), series_label(panel, s))
    h = quantiles.shape[1]
    line, fans = (*window_history(panel, s, stops, h), "actual"), window_fans(panel, s, stops, quantiles, levels)
    return _matplotlib(panel, s, line, fans, cutoffs(panel, s, stops, h))


def loss_figure(
    records: Sequence[Mapping[str, float]], title: str, engine: str = "plotly"
) -> go.Figure | matplotlib.figure.Figure:
    """Draw the training and the validation loss of each epoch.

    Parameters
    ----------
    records : sequence of mapping
        Records of the epochs, with `mean_loss` and `val_loss`.
    title : str
        Title of the chart.
    engine
        As in `figure`.

    Examples
    --------
    >>> chart = loss_figure([{"mean_loss": 2.0}, {"mean_loss": 1.0}], "classifier")
    >>> [trace.name for trace in chart.data]
    ['training loss']
    """
    choose("engine", engine, ENGINES)
    chart = loss_chart(records)
    if engine == "plotly":
        return _plotly(chart, title)
    canvas, axis = _axis(title, "epoch", "loss")
    for trace in with_colors(chart)["data"]:
        line, marker = trace["line"], "o" * (len(records) == 1)
        style = {"color": line["color"], "linestyle": line["dash"].replace("dash", "dashed"), "marker": marker}
        axis.plot(trace["x"], np.array(trace["y"], float), label=trace["name"], **style)
    canvas.legend(loc="outside upper right", ncols=4, frameon=False)
    return canvas


def _plotly(chart: Json, title: str) -> go.Figure:
    """A chart of the report with a title and a legend of its own."""
    import plotly.graph_objects as go

    chart = with_colors(chart)
    chart["layout"] |= {
        "title": {"text": escape(title, quote=False), "x": 0, "xref": "paper"},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 8, "r": 12, "t": 90, "b": 8},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return go.Figure(chart)


def _axis(title: str, x: str, y: str) -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    """An empty figure of matplotlib and its axis."""
    library("matplotlib", 'engine="matplotlib" needs matplotlib, which is not installed: pip install matplotlib')
    import matplotlib.pyplot as plt

    canvas, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    axis.set(xlabel=_without_formulas(x), ylabel=_without_formulas(y))
    axis.set_title(_without_formulas(title), loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)
    return canvas, axis


def _matplotlib(
    panel: Panel, s: int, line: tuple[Array, Array, str], fans: Sequence[FanChart], marks: Array
) -> matplotlib.figure.Figure:
    """Values of series s with their name, forecasts and dotted lines at times (n,), with matplotlib."""
    canvas, axis = _axis(series_label(panel, s), *axis_names(panel))
    from matplotlib.ticker import MaxNLocator

    blue, ink = LIGHT["@rekur"], LIGHT["@line"]
    x, y, name = line
    axis.plot(x, y, color=ink, label=name)
    dots = isolated(y)
    axis.plot(x[dots], y[dots], "o", color=ink, markersize=3)
    for k, fan in enumerate(fans):
        for percent, interval in fan.intervals.items():
            alpha, label = 0.26 if percent == 80 else 0.13, None if k else f"{percent} % interval"
            axis.fill_between(*interval, color=blue, alpha=alpha, linewidth=0, label=label)
        if fan.connection is not None:
            axis.plot(*fan.connection, color=blue)
        marker = "o" if len(fan.times) <= MAX_MARKED_STEPS else ""
        axis.plot(fan.times, fan.median, color=blue, marker=marker, markersize=4, label=None if k else MODEL)
    for time in marks:
        axis.axvline(time, color=LIGHT["@muted"], linewidth=1, linestyle=":")
    if np.issubdtype(x.dtype, np.integer):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.legend(loc="outside upper right", ncols=4, frameon=False)
    return canvas


def _without_formulas(text: str) -> str:
    """Text in which matplotlib reads no dollar sign as the start of a formula."""
    return text.replace("$", r"\$")
