"""Charts of the report of a forecast: series with forecast, past windows, season and trend, errors and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME
from rekur.metrics import at_level
from rekur.plotting.chart_data import MAX_HISTORY_ROWS, cutoffs, drawn_windows, history, history_rows, local_times
from rekur.plotting.traces import MAX_MARKED_STEPS
from rekur.report.diagnostics import central_levels, coverage_by_level, error_by_step, residual_histogram
from rekur.report.drawing import RESOLUTION, Canvas, Json, band, line, rounded, seconds, span_of
from rekur.report.formatting import model_name
from rekur.report.seasonal import seasonal_profile, trend

SMOOTHED_ROWS = 7  # of the trend of series without a season


def limits(quantiles: Array, levels: Sequence[float], percent: float) -> tuple[Array, Array]:
    """Lower and upper limits of a central interval of quantiles (..., Q)."""
    low, high = (at_level(quantiles, levels, 0.5 + side * percent / 200) for side in (-1, 1))
    return low, high


def forecast_numbers(
    quantiles: Array, levels: Sequence[float], percents: Sequence[float], span: float
) -> list[list[float | None]]:
    """Columns of the forecast of one series, quantiles (h, Q): median, and limits of each interval, (h,) each."""
    columns = [at_level(quantiles, levels, 0.5)]
    for percent in percents:
        columns += limits(quantiles, levels, percent)
    return [rounded(column, span, RESOLUTION) for column in columns]


def forecast_chart(
    canvas: Canvas, panel: Panel, s: int, count: int, bands: Mapping[int, int], season: int, most: int
) -> Json:
    """History of series s and its forecast of `count` steps, whose values are columns of the numbers of the series.

    Parameters
    ----------
    canvas : Canvas
        Axes and grids of the page.
    panel : Panel
        The history.
    s : int
        Position of the series in the panel.
    count : int
        Steps of the forecast, h.
    bands : mapping of int to int
        Column of the lower limit of each interval that is drawn, by percent; the upper limit is the next one.
    season : int
        Season length in steps.
    most : int
        Rows of history, at most, or those that are shown at first, if they are more.
    """
    n, shown = panel.length(s), history_rows(panel, s, count, season)
    rows = min(n, max(shown, most))
    y = panel.values(s)[n - rows :]
    last = rounded(y[-1:])[0]
    opens = None if count == 1 else last  # the interval of one step would be a wedge
    drawn = [band(percent, k, k + 1, rows, before=opens) for percent, k in bands.items()]
    lines = [
        line("history", "line", rounded(y)),
        line(NAME, "rekur", 0, rows, before=last, dots=count <= MAX_MARKED_STEPS),
    ]
    x = local_times(panel, s, np.arange(n - rows, n + count))
    marks, pad = seconds(x[rows - 1 : rows]).tolist(), half_step(x) if count == 1 else 0
    return canvas.chart(canvas.time_axis(panel), x, lines, drawn, marks=marks, view=rows - shown, pad=pad)


def half_step(x: Array) -> float:
    """Half of the last step of a grid: the interval of a single step is drawn as wide as a step."""
    return float(np.diff(seconds(x[-2:])).sum()) / 2


def backtest_chart(canvas: Canvas, backtest: Backtest, s: int, baseline: str, season: int) -> Json:
    """Actual values of series s with the forecasts of rekur and of a baseline on its past windows."""
    panel, position = backtest.panel.locate(s)
    h = backtest.actual.shape[1]
    w = np.flatnonzero(backtest.series == s)
    w = w[drawn_windows(backtest.stop[w], h)]
    stops = backtest.stop[w]
    first = max(0, int(stops[0]) - max(2 * h, min(season, MAX_HISTORY_ROWS), 20))
    x, y = history(panel, position, first, min(int(stops[-1]) + h, panel.length(position)))
    span = span_of(y)
    bands: list[Json] = []
    lines = [line("actual", "line", rounded(y))]
    for run in joined_windows(stops, h):
        start, size = int(stops[run[0]]) - first, len(run) * h
        low, high = limits(backtest.forecasts[NAME][w[run]].reshape(size, -1), backtest.levels, 80)
        if np.isfinite(low).any():
            bands.append(band(80, rounded(low, span), rounded(high, span), start))
        for model, color in ((baseline, "other"), (NAME, "rekur")):
            point = at_level(backtest.forecasts[model][w[run]], backtest.levels, 0.5).ravel()
            more = {"dash": True} if model != NAME else {"dots": h == 1}
            lines.append(line(model_name(model), color, rounded(point, span), start, **more))
    marks = seconds(cutoffs(panel, position, stops, h)).tolist()
    return canvas.chart(canvas.time_axis(panel), x, lines, bands, marks=marks, pad=half_step(x) if h == 1 else 0)


def joined_windows(stops: Array, h: int) -> list[Array]:
    """Numbers of the windows that are drawn as one line: each its own, but windows of one step that follow another."""
    breaks = np.flatnonzero(np.diff(stops) != 1) + 1 if h == 1 else np.arange(1, len(stops))
    return np.split(np.arange(len(stops)), breaks)


def trend_and_season(canvas: Canvas, panel: Panel, s: int, median: Array, m: int) -> tuple[Json | None, Json | None]:
    """Charts of the trend of series s and of its season, each of the history and of the forecast, median (h,).

    Either is None where it cannot be computed: the season of fewer than two seasons of values, or of a season of one
    step.
    """
    n, h = panel.length(s), len(median)
    rows = history_rows(panel, s, h, m)
    y = np.concatenate([panel.values(s), median])
    profile = seasonal_profile(y[:n], m)
    if n < 4 or (m > 1 and profile is None):
        return None, None
    smooth = trend(y, profile, m if m > 1 else SMOOTHED_ROWS, n)
    span, axis = span_of(y[n - rows :]), canvas.time_axis(panel)
    x = local_times(panel, s, np.arange(n - rows, n + h))
    lines = [
        line("trend of the history", "line", rounded(smooth[n - rows : n], span)),
        line(
            "trend of the forecast",
            "rekur",
            rounded(smooth[n:], span),
            rows,
            before=rounded(smooth[n - 1 : n], span)[0],
        ),
    ]
    trends = canvas.chart(axis, x, lines, marks=seconds(x[rows - 1 : rows]).tolist())
    if profile is None:
        return trends, None
    steps = np.arange(max(h, m) if m <= MAX_HISTORY_ROWS else h)
    lines = [
        line("season of the history", "line", rounded(profile[steps % m], span)),
        line("season of the forecast", "rekur", rounded(median - smooth[n:], span), dots=h == 1),
    ]
    return trends, canvas.chart(axis | {"y": "deviation from the trend"}, local_times(panel, s, n + steps), lines)


def step_chart(canvas: Canvas, backtest: Backtest, baseline: str) -> Json | None:
    """MASE by step ahead of rekur and of the best baseline; None for one step, or without a scale."""
    h = backtest.actual.shape[1]
    errors = {name: error_by_step(backtest, name) for name in (NAME, baseline)}
    if h == 1 or not np.isfinite(errors[NAME]).any():
        return None
    lines = [
        line(NAME, "rekur", rounded(errors[NAME]), dots=h <= MAX_MARKED_STEPS),
        line(model_name(baseline), "other", rounded(errors[baseline]), dash=True),
    ]
    axis = {"x": "step ahead", "y": "MASE", "unit": "", "whole": True}
    return canvas.chart(axis, np.arange(1, h + 1), lines, zero=True)


def calibration_chart(canvas: Canvas, backtest: Backtest, baseline: str) -> Json:
    """Share of the values inside each central interval against its level, with the line of perfect calibration."""
    percents = central_levels(backtest.levels)
    x = np.array([0, *percents, 100])
    lines = [line("perfect", "muted", x.tolist(), dash=True, width=1)]
    for name, color in ((baseline, "other"), (NAME, "rekur")):
        shares = 100 * coverage_by_level(backtest, name)
        lines.append(line(model_name(name), color, rounded(np.round(shares, 1)), 1, dots=True, dash=name != NAME))
    axis = {"x": "level of the interval, %", "y": "values inside, %", "unit": ""}
    return canvas.chart(axis, x, lines, zero=True)


def residual_chart(canvas: Canvas, backtest: Backtest) -> Json | None:
    """Histogram of the residuals of rekur in units of the seasonal naive error; None without any."""
    centers, counts = residual_histogram(backtest)
    if not len(centers):
        return None
    axis = {"x": "actual value less median, scaled", "y": "values", "unit": ""}
    bars = line("values", "rekur", counts.tolist(), bars=True)
    marks = [0] if centers[0] < 0 < centers[-1] else []
    return canvas.chart(axis, centers, [bars], zero=True, pad=float(centers[1] - centers[0]) / 2, marks=marks)


def training_chart(canvas: Canvas, records: Sequence[Mapping[str, float]]) -> Json:
    """Training and validation loss of one network by its epochs, with a dot at the epoch of the best weights."""
    losses = {
        key: np.array([record.get(key, np.nan) for record in records], float) for key in ("mean_loss", "val_loss")
    }
    lines, few = [], len(records) == 1
    if np.isfinite(losses["mean_loss"]).any():
        lines.append(line("training loss", "muted", rounded(losses["mean_loss"]), dash=True, dots=few))
    if np.isfinite(losses["val_loss"]).any():
        lines.append(line("validation loss", "rekur", rounded(losses["val_loss"]), dots=few))
        best = int(np.nanargmin(losses["val_loss"]))
        lines.append(line("", "rekur", rounded(losses["val_loss"][best : best + 1]), best, points=True))
    axis = {"x": "epoch", "y": "loss", "unit": "", "whole": True}
    return canvas.chart(axis, np.arange(1, len(records) + 1), lines, pad=0.3)
