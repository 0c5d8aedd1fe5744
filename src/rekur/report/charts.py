"""Charts of the report of a forecast: the backtest and the training, as plain plotly descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME
from rekur.metrics import at_level
from rekur.plotting.chart_data import MAX_HISTORY_ROWS, fan_chart, history, local_times
from rekur.plotting.traces import (
    Json,
    base_layout,
    history_trace,
    interval_trace,
    json_times,
    json_values,
    line_trace,
    time_layout,
)
from rekur.report.formatting import model_name

MAX_CUTOFF_LINES = 12  # windows up to which the cutoff of each is marked by a line


def drawn_windows(backtest: Backtest, s: int) -> Array:
    """Positions of the windows of series s that are drawn: the latest ones that do not overlap, and fit the chart."""
    w = np.flatnonzero(backtest.series == s)
    w = w[np.argsort(backtest.stop[w])]
    h = backtest.actual.shape[1]
    w = w[backtest.stop[w] >= backtest.stop[w[-1]] - MAX_HISTORY_ROWS] if len(w) else w
    drawn: list[int] = []
    for k in w[::-1]:
        if not drawn or backtest.stop[k] + h <= backtest.stop[drawn[-1]]:
            drawn.append(int(k))
    return np.array(drawn[::-1], dtype=int)


def backtest_chart(backtest: Backtest, s: int, baseline: str, season: int | None = None) -> Json:
    """Actual values of series s with the forecasts of rekur and of a baseline on its past windows."""
    panel, position = backtest.panel.locate(s)
    h = backtest.actual.shape[1]
    w = drawn_windows(backtest, s)
    stops = backtest.stop[w]
    first = max(0, int(stops[0]) - max(2 * h, min(season or panel.freq.season, MAX_HISTORY_ROWS), 20))
    x, y = history(panel, position, first, min(int(stops[-1]) + h, panel.length(position)))
    quantiles = backtest.forecasts[NAME]
    fans = [
        fan_chart(panel, position, int(stop), quantiles[k], backtest.levels, False)
        for k, stop in zip(w, stops, strict=True)
    ]
    data = [
        interval_trace([fan.intervals[80] for fan in fans if 80 in fan.intervals], 80),
        history_trace(x, y, "actual"),
    ]
    for model, color, dash in ((baseline, "@other", "dash"), (NAME, "@rekur", "solid")):
        points = at_level(backtest.forecasts[model][w], backtest.levels, 0.5)
        x_values, y_values = windows_line(panel, position, stops, points)
        trace = line_trace(x_values, y_values, model_name(model), color, dash)
        marker = {"mode": "lines+markers", "marker": {"color": color, "size": 6}} if h == 1 else {}
        data.append(trace | marker)
    cutoffs = json_times(local_times(panel, position, stops - 1))
    return {"data": data, "layout": time_layout(panel, cutoffs if h > 1 and len(w) <= MAX_CUTOFF_LINES else ())}


def windows_line(
    panel: Panel, s: int, stops: Array, points: Array
) -> tuple[list[str | float | None], list[float | None]]:
    """Times and values of the point forecasts (W, h) of windows, with a gap between windows of more than one step."""
    h = points.shape[1]
    x: list[str | float | None] = []
    y: list[float | None] = []
    for k, stop in enumerate(stops):
        if k and (h > 1 or stop != stops[k - 1] + 1):
            x.append(None)
            y.append(None)
        x += json_times(local_times(panel, s, stop + np.arange(h)))
        y += json_values(points[k])
    return x, y


def training_chart(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> Json:
    """Training and validation loss of each network by its epochs, with a dot at the epoch of the best weights."""
    data: list[Json] = []
    for k, (network, records) in enumerate(runs.items()):
        data += network_traces(records, "" if len(runs) == 1 else f", {network}", ("@rekur", "@other")[k % 2])
    layout = base_layout("epoch", "loss")
    layout["xaxis"] |= {"dtick": 1} if max(map(len, runs.values())) <= 12 else {}
    return {"data": data, "layout": layout}


def network_traces(records: Sequence[Mapping[str, float]], suffix: str, strong: str) -> list[Json]:
    """Lines of the losses of one network, and the dot of its best weights."""
    epochs = list(range(1, len(records) + 1))
    data: list[Json] = []
    for key, name, color, dash in (
        ("mean_loss", "training loss", "@muted", "dash"),
        ("val_loss", "validation loss", strong, "solid"),
    ):
        losses = np.array([record.get(key, np.nan) for record in records], float)
        if not np.isfinite(losses).any():
            continue
        data.append(line_trace(epochs, json_values(losses), name + suffix, color, dash))
        if len(epochs) == 1:
            data[-1] |= {"mode": "markers", "marker": {"color": color, "size": 8}}
        if key == "val_loss":
            best = int(np.nanargmin(losses))
            dot = line_trace([epochs[best]], json_values(losses[best : best + 1]), "best epoch", color)
            data.append({**dot, "mode": "markers", "marker": {"color": color, "size": 10}, "hoverinfo": "skip"})
            data[-1]["hovertemplate"] = None
    return data
