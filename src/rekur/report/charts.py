"""Charts as plain plotly descriptions, {"data": ..., "layout": ...}, whose colours are names such as "@ink".

The page gives the names their colours, for light and dark; `painted` does so for a figure of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from rekur.core import Array
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast
from rekur.metrics.forecast import at_level
from rekur.report.chart_data import MOST, Fan, alone, axis_names, clock, fan, history, look_back
from rekur.report.formatting import model_name

Chart = dict[str, Any]

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
VALUE = ":,.6~g"  # how plotly writes a value when it is pointed at
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def xs(x: Array) -> list[Any]:
    """Times as JSON: whole or broken numbers, or the shortest text that says them all."""
    if x.dtype.kind != "M":
        return [int(v) if float(v).is_integer() else float(v) for v in x]
    for unit in ("D", "m", "s"):
        if (x.astype(f"M8[{unit}]") == x).all():
            return [str(v) for v in np.datetime_as_string(x, unit=unit)]
    return [str(v) for v in np.datetime_as_string(x, unit="us")]


def ys(y: Array) -> list[float | None]:
    """Values as JSON, nine digits of each; None where one is missing."""
    return [float(f"{v:.9g}") if np.isfinite(v) else None for v in np.asarray(y, float)]


def layout(table: Any, cuts: Sequence[Any] = ()) -> Chart:
    """Axes with the user's names, and a dotted line at each time in `cuts`."""
    time, value = axis_names(table)
    chart = axes(time, value)
    line = {"color": "@muted", "width": 1, "dash": "dot"}
    chart["shapes"] = [
        {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line, "layer": "below"}
        for x in cuts
    ]
    if table.freq.kind != "integer":
        chart["xaxis"]["type"] = "date"
    else:
        chart["xaxis"] |= {"type": "linear", "exponentformat": "none", "separatethousands": False}
    return chart


def axes(x: str, y: str) -> Chart:
    """What all charts share."""
    axis = {"gridcolor": "@grid", "linecolor": "@grid", "zeroline": False, "automargin": True}
    axis |= {"exponentformat": "power", "minexponent": 5, "tickfont": {"color": "@muted"}}

    def named(name: str) -> Chart:
        text = escape(name if len(name) <= 40 else name[:39] + "…", quote=False)
        return {**axis, "title": {"text": text, "standoff": 8, "font": {"color": "@muted"}}}

    spike = {"spikecolor": "@muted", "spikethickness": 1, "spikedash": "dot"}
    return {
        "xaxis": {**named(x), "showgrid": False, **spike},
        "yaxis": {**named(y), "separatethousands": True, "nticks": 7},
        "font": {"family": FONT, "size": 13, "color": "@ink"},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "@card",
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "@card", "bordercolor": "@grid", "font": {"color": "@ink"}},
        "showlegend": False,
    }


def observed(x: Array, y: Array, name: str) -> Chart:
    """The values seen, with gaps; a value without neighbours is a dot."""
    dots = alone(y)
    trace = line(xs(x), ys(y), name, "@line")
    if dots.any():
        trace |= {"mode": "lines+markers", "marker": {"color": "@line", "size": [5 * int(d) for d in dots]}}
    return trace


def line(x: list[Any], y: list[Any], name: str, color: str, dash: str = "solid") -> Chart:
    """A line that breaks where a value is missing."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "name": name,
        "line": {"color": color, "width": 2, "dash": dash},
        "hovertemplate": f"%{{y{VALUE}}}",
    }


def area(parts: Sequence[tuple[Array, Array, Array]], percent: int) -> Chart:
    """Bands as closed outlines, one after another, so that they stand apart and one step is enough."""
    x: list[Any] = []
    y: list[float | None] = []
    for place, low, high in parts:
        gap = [None] if x else []
        x += [*gap, *xs(place), *xs(place)[::-1]]
        y += [*gap, *ys(low), *ys(high)[::-1]]
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


def forecast_chart(prediction: Forecast, s: int, season: int | None = None) -> Chart:
    """History, median and bands of series s."""
    (table, k), h = prediction.panel.locate(s), prediction.horizon
    n = table.length(k)
    x, y = history(table, k, n - look_back(table, k, h, season), n)
    found = fan(table, k, n, prediction.values[s], prediction.levels)
    data = [area([band], percent) for percent, band in found.bands.items()]
    data.append(observed(x, y, "history"))
    if found.join is not None:
        joining = line(xs(found.join[0]), ys(found.join[1]), NAME, "@rekur")
        data.append({**joining, "hoverinfo": "skip", "hovertemplate": None, "showlegend": False})
    data.append(median(found, prediction.values[s], prediction.levels))
    return {"data": data, "layout": layout(table, xs(x[-1:]))}


def median(found: Fan, quantiles: Array, levels: Sequence[float]) -> Chart:
    """The median as a line, with the intervals told when it is pointed at."""
    trace = line(xs(found.x), ys(found.median), NAME, "@rekur")
    told = ""
    columns: list[list[float | None]] = []
    for percent in sorted(found.bands):
        at = len(columns)
        told += f"<br>{percent} %: %{{customdata[{at}]{VALUE}}} … %{{customdata[{at + 1}]{VALUE}}}"
        columns += [ys(at_level(quantiles, levels, 0.5 + side * percent / 200)) for side in (-1, 1)]
    if columns:
        trace |= {"customdata": [list(row) for row in zip(*columns, strict=True)]}
        trace["hovertemplate"] += told
    if len(found.x) <= 14:
        trace |= {"mode": "lines+markers", "marker": {"color": "@rekur", "size": 6}}
    return trace


def drawn_windows(backtest: Backtest, s: int) -> Array:
    """The windows of series s that are drawn: none that overlap, and not more rows than fit."""
    w = np.flatnonzero(backtest.series == s)
    w = w[np.argsort(backtest.stop[w])]
    h = backtest.actual.shape[1]
    w = w[backtest.stop[w] >= backtest.stop[w[-1]] - MOST] if len(w) else w
    kept: list[int] = []
    for k in w[::-1]:
        if not kept or backtest.stop[k] + h <= backtest.stop[kept[-1]]:
            kept.append(int(k))
    return np.array(kept[::-1], dtype=int)


def backtest_chart(backtest: Backtest, s: int, rival: str, season: int | None = None) -> Chart:
    """Actual values of series s beside rekur and the best baseline on its past windows."""
    w, h = drawn_windows(backtest, s), backtest.actual.shape[1]
    table, s = backtest.panel.locate(s)
    stops = backtest.stop[w]
    first = max(0, int(stops[0]) - max(2 * h, min(season or table.freq.season, MOST), 20))
    x, y = history(table, s, first, min(int(stops[-1]) + h, table.length(s)))
    fans = [fan(table, s, int(backtest.stop[k]), backtest.forecasts[NAME][k], backtest.levels, False) for k in w]
    data = [area([f.bands[80] for f in fans if 80 in f.bands], 80), observed(x, y, "actual")]
    for model, color, dash in ((rival, "@other", "dash"), (NAME, "@rekur", "solid")):
        points = at_level(backtest.forecasts[model][w], backtest.levels, 0.5)
        trace = joined(table, s, stops, points, (model_name(model), color, dash))
        data.append(trace)
    cuts = clock(table, s, stops - 1)
    return {"data": data, "layout": layout(table, xs(cuts) if h > 1 and len(w) <= 12 else ())}


def joined(table: Any, s: int, stops: Array, points: Array, look: tuple[str, str, str]) -> Chart:
    """The point forecasts (W, h) of windows as one trace, broken between windows of more than one step."""
    h = points.shape[1]
    x: list[Any] = []
    y: list[float | None] = []
    for k, stop in enumerate(stops):
        if k and (h > 1 or stop != stops[k - 1] + 1):
            x.append(None)
            y.append(None)
        x += xs(clock(table, s, stop + np.arange(h)))
        y += ys(points[k])
    trace = line(x, y, *look)
    if h == 1:
        trace |= {"mode": "lines+markers", "marker": {"color": look[1], "size": 6}}
    return trace


def training_chart(records: Sequence[dict[str, float]]) -> Chart:
    """Loss and validation loss by epoch, with a dot at the epoch whose weights were kept."""
    epochs = [int(record.get("epoch", k + 1)) for k, record in enumerate(records)]
    data = []
    for key, name, color, dash in (
        ("mean_loss", "training loss", "@muted", "dash"),
        ("val_loss", "validation loss", "@rekur", "solid"),
    ):
        values = np.array([record.get(key, np.nan) for record in records], float)
        if not np.isfinite(values).any():
            continue
        data.append(line(epochs, ys(values), name, color, dash))
        if len(epochs) == 1:
            data[-1] |= {"mode": "markers", "marker": {"color": color, "size": 8}}
        if key == "val_loss":
            best = int(np.nanargmin(values))
            kept = line([epochs[best]], ys(values[best : best + 1]), "kept", color)
            data.append({**kept, "mode": "markers", "marker": {"color": color, "size": 10}, "hoverinfo": "skip"})
            data[-1]["hovertemplate"] = None
    chart = axes("epoch", "loss")
    chart["xaxis"] |= {"dtick": 1} if len(epochs) <= 12 else {}
    return {"data": data, "layout": chart}


def painted(value: Any, palette: dict[str, str] = LIGHT) -> Any:
    """The same description with colours in place of their names."""
    if isinstance(value, dict):
        return {
            key: palette.get(item, item) if key.endswith("color") and isinstance(item, str) else painted(item, palette)
            for key, item in value.items()
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [painted(item, palette) for item in value]
    return value
