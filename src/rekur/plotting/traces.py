"""Charts as plain plotly descriptions, {"data": ..., "layout": ...}, with names such as "@ink" for colours.

`with_colors` replaces the names by colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.metrics import at_level
from rekur.plotting.chart_data import (
    FanChart,
    Interval,
    axis_names,
    cutoffs,
    fan_chart,
    history,
    history_rows,
    isolated,
    window_fans,
    window_history,
)

Json: TypeAlias = dict[str, Any]
"""A JSON object: a trace, a layout or a whole chart of plotly."""

LIGHT = {
    "@ink": "#1f2933",
    "@muted": "#5f6b7a",
    "@grid": "#e3e8ee",
    "@card": "#ffffff",
    "@line": "#3d4855",
    "@rekur": "#1f63f0",
    "@band80": "rgba(37, 99, 235, 0.26)",
    "@band95": "rgba(37, 99, 235, 0.13)",
    "@other": "#c2410c",
}
MODEL = "rekur"  # name of the forecast in legends
VALUE_FORMAT = ":,.6~g"  # of plotly, for the value under the pointer
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
LOSSES = (
    ("mean_loss", "training loss", "@muted", "dash"),
    ("val_loss", "validation loss", "@rekur", "solid"),
)
"""Losses of a record: key, name, colour and line."""
MAX_MARKED_STEPS = 14  # steps of a forecast up to which each is marked by a dot


def json_times(x: Array) -> list[str | int | float]:
    """Times as JSON: integers or floats, or the shortest text that is exact for all of them."""
    if x.dtype.kind != "M":
        return [int(v) if float(v).is_integer() else float(v) for v in x]
    for unit in ("D", "m", "s"):
        if (x.astype(f"M8[{unit}]") == x).all():
            return [str(v) for v in np.datetime_as_string(x, unit=unit)]
    return [str(v) for v in np.datetime_as_string(x, unit="us")]


def json_values(y: ArrayLike) -> list[float | None]:
    """Values as JSON, nine digits of each; None where one is missing."""
    return [float(f"{v:.9g}") if np.isfinite(v) else None for v in np.asarray(y, float)]


def time_layout(panel: Panel, cutoffs: Sequence[str | int | float] = ()) -> Json:
    """Layout with the user's names at the axes, and a dotted line at each time of `cutoffs`."""
    chart = base_layout(*axis_names(panel))
    line = {"color": "@muted", "width": 1, "dash": "dot"}
    chart["shapes"] = [
        {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line, "layer": "below"}
        for x in cutoffs
    ]
    if panel.freq.kind != "integer":
        chart["xaxis"]["type"] = "date"
    else:
        chart["xaxis"] |= {"type": "linear", "exponentformat": "none", "separatethousands": False}
    return chart


def base_layout(x: str, y: str) -> Json:
    """Layout that all charts share, with the names of the axes."""
    axis = {"gridcolor": "@grid", "linecolor": "@grid", "zeroline": False, "automargin": True}
    axis |= {"exponentformat": "power", "minexponent": 5, "tickfont": {"color": "@muted"}}

    def titled(name: str) -> Json:
        text = escape(name if len(name) <= 40 else name[:39] + "…", quote=False)
        return {**axis, "title": {"text": text, "standoff": 8, "font": {"color": "@muted"}}}

    spike = {"spikecolor": "@muted", "spikethickness": 1, "spikedash": "dot"}
    return {
        "xaxis": {**titled(x), "showgrid": False, **spike},
        "yaxis": {**titled(y), "separatethousands": True, "nticks": 7},
        "font": {"family": FONT, "size": 13, "color": "@ink"},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "@card",
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "@card", "bordercolor": "@grid", "font": {"color": "@ink"}},
        "showlegend": False,
    }


def history_trace(x: Array, y: Array, name: str) -> Json:
    """The observed values, with gaps; a value without neighbours is a dot."""
    dots = isolated(y)
    trace = line_trace(json_times(x), json_values(y), name, "@line")
    if dots.any():
        trace |= {"mode": "lines+markers", "marker": {"color": "@line", "size": [5 * int(dot) for dot in dots]}}
    return trace


def line_trace(
    x: Sequence[str | float | None], y: Sequence[float | None], name: str, color: str, dash: str = "solid"
) -> Json:
    """A line that breaks where a value is missing."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": name,
        "line": {"color": color, "width": 2, "dash": dash},
        "hovertemplate": f"%{{y{VALUE_FORMAT}}}",
    }


def interval_trace(intervals: Sequence[Interval], percent: int) -> Json:
    """Prediction intervals as one trace of closed outlines, separated by gaps."""
    x: list[str | float | None] = []
    y: list[float | None] = []
    for times, low, high in intervals:
        gap = [None] if x else []
        x += [*gap, *json_times(times), *json_times(times)[::-1]]
        y += [*gap, *json_values(low), *json_values(high)[::-1]]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": f"{percent} % interval",
        "fill": "toself",
        "fillcolor": f"@band{percent}",
        "line": {"width": 0, "color": f"@band{percent}"},
        "hoverinfo": "skip",
    }


def forecast_chart(panel: Panel, s: int, quantiles: Array, levels: Sequence[float]) -> Json:
    """History of series s, median and intervals of its forecast, quantiles (h, Q)."""
    n = panel.length(s)
    x, y = history(panel, s, n - history_rows(panel, s, len(quantiles)), n)
    fan = fan_chart(panel, s, n, quantiles, levels)
    data = [interval_trace([interval], percent) for percent, interval in fan.intervals.items()]
    data.append(history_trace(x, y, "history"))
    if fan.connection is not None:
        times, values = fan.connection
        trace = line_trace(json_times(times), json_values(values), MODEL, "@rekur")
        data.append({**trace, "hoverinfo": "skip", "hovertemplate": None, "showlegend": False})
    data.append(median_trace(fan, quantiles, levels))
    return {"data": data, "layout": time_layout(panel, json_times(x[-1:]))}


def windows_chart(panel: Panel, s: int, stops: Array, quantiles: Array, levels: Sequence[float]) -> Json:
    """Actual values of series s, and medians and intervals of the forecasts of past windows, quantiles (w, h, Q)."""
    fans = window_fans(panel, s, stops, quantiles, levels)
    percents = sorted({percent for fan in fans for percent in fan.intervals}, reverse=True)
    data = [interval_trace([fan.intervals[p] for fan in fans if p in fan.intervals], p) for p in percents]
    data.append(history_trace(*window_history(panel, s, stops, quantiles.shape[1]), "actual"))
    for k, (fan, q) in enumerate(zip(fans, quantiles, strict=True)):
        data.append({**median_trace(fan, q, levels), "showlegend": k == 0, "legendgroup": MODEL})
    return {"data": data, "layout": time_layout(panel, json_times(cutoffs(panel, s, stops, quantiles.shape[1])))}


def loss_chart(records: Sequence[Mapping[str, float]]) -> Json:
    """Training and validation loss by epoch, from the records of the epochs."""
    data = []
    for key, name, color, dash in LOSSES:
        losses = [float(record.get(key, np.nan)) for record in records]
        if np.isfinite(losses).any():
            trace = line_trace(list(range(1, len(losses) + 1)), json_values(losses), name, color, dash)
            data.append({**trace, "mode": "lines+markers"} if len(losses) == 1 else trace)
    return {"data": data, "layout": base_layout("epoch", "loss")}


def median_trace(fan: FanChart, quantiles: Array, levels: Sequence[float]) -> Json:
    """The median as a line, with the intervals in the label under the pointer."""
    trace = line_trace(json_times(fan.times), json_values(fan.median), MODEL, "@rekur")
    template = ""
    columns: list[list[float | None]] = []
    for percent in sorted(fan.intervals):
        k = len(columns)
        template += f"<br>{percent} %: %{{customdata[{k}]{VALUE_FORMAT}}} … %{{customdata[{k + 1}]{VALUE_FORMAT}}}"
        columns += [json_values(at_level(quantiles, levels, 0.5 + side * percent / 200)) for side in (-1, 1)]
    if columns:
        trace |= {"customdata": [list(row) for row in zip(*columns, strict=True)]}
        trace["hovertemplate"] += template
    if len(fan.times) <= MAX_MARKED_STEPS:
        trace |= {"mode": "lines+markers", "marker": {"color": "@rekur", "size": 6}}
    return trace


def with_colors(chart: Json, palette: dict[str, str] = LIGHT) -> Json:
    """The same description with colours in place of their names."""
    return {key: _colored(key, value, palette) for key, value in chart.items()}


def _colored(key: str, value: object, palette: dict[str, str]) -> object:
    """One value of a description, and its nested values, with colours."""
    if isinstance(value, dict):
        return with_colors(value, palette)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [with_colors(item, palette) for item in value]
    return palette.get(value, value) if isinstance(value, str) and key.endswith("color") else value
