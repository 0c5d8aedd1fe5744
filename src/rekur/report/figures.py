"""One forecast as a figure of plotly or matplotlib."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from rekur.core import OptionError, choose
from rekur.forecasting.forecast import NAME, Forecast
from rekur.report.chart_data import alone, axis_names, fan, history, label, look_back
from rekur.report.charts import LIGHT, forecast_chart, painted

ENGINES = ("plotly", "matplotlib")


def figure(prediction: Forecast, s: int = 0, engine: str = "plotly") -> Any:
    """Draw the end of the history of one series, its median forecast and the 80 and 95 % bands.

    Parameters
    ----------
    prediction : a forecast
    s : the number of the series
    engine : "plotly" or "matplotlib" (extra `rekur[plot]`)

    Returns
    -------
    plotly.graph_objects.Figure or matplotlib.figure.Figure

    Raises
    ------
    OptionError : the engine is not known or not installed, or there is no such series.

    Examples
    --------
    >>> figure(prediction, 0).write_image("forecast.png")  # doctest: +SKIP
    """
    choose("engine", engine, ENGINES)
    series = len(prediction.panel)
    if not 0 <= s < series:
        raise OptionError(f"there is no series number {s!r}: choose one of 0 … {series - 1}")
    return _plotly(prediction, s) if engine == "plotly" else _matplotlib(prediction, s)


def _plotly(prediction: Forecast, s: int) -> Any:
    """The chart of the page as a figure with a title and a legend of its own."""
    import plotly.graph_objects as go

    chart = painted(forecast_chart(prediction, s))
    name = escape(label(*prediction.panel.locate(s)), quote=False)
    chart["layout"] |= {
        "title": {"text": name, "x": 0, "xref": "paper"},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 8, "r": 12, "t": 90, "b": 8},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    return go.Figure(chart)


def _matplotlib(prediction: Forecast, s: int) -> Any:
    """The same with matplotlib."""
    try:
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise OptionError(
            'engine="matplotlib" needs matplotlib, which is not installed: pip install "rekur[plot]"'
        ) from None
    (table, k), h = prediction.panel.locate(s), prediction.horizon
    n = table.length(k)
    x, y = history(table, k, n - look_back(table, k, h), n)
    found = fan(table, k, n, prediction.values[s], prediction.levels)
    canvas, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    blue, ink = LIGHT["@rekur"], LIGHT["@line"]
    for percent, band in found.bands.items():
        strength = 0.26 if percent == 80 else 0.13
        axis.fill_between(*band, color=blue, alpha=strength, linewidth=0, label=f"{percent} % interval")
    axis.plot(x, y, color=ink, label="history")
    dots = alone(y)
    axis.plot(x[dots], y[dots], "o", color=ink, markersize=3)
    if found.join is not None:
        axis.plot(*found.join, color=blue)
    axis.plot(found.x, found.median, color=blue, marker="o" if h <= 14 else "", markersize=4, label=NAME)
    axis.axvline(x[-1], color=LIGHT["@muted"], linewidth=1, linestyle=":")
    time, value = (_plain(name) for name in axis_names(table))
    axis.set(xlabel=time, ylabel=value)
    axis.set_title(_plain(label(table, k)), loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.01)
    if np.issubdtype(x.dtype, np.integer):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.legend(loc="outside upper right", ncols=4, frameon=False)
    return canvas


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
