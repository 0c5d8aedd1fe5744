"""Series of a report as JSON: the largest errors first, with their numbers and charts, as many as fit the page."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rekur.core import Array
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast
from rekur.metrics import at_level
from rekur.plotting.chart_data import INTERVALS, MAX_HISTORY_ROWS, covers_interval, series_label
from rekur.report.charts import backtest_chart, forecast_chart, forecast_numbers, trend_and_season
from rekur.report.diagnostics import error_by_series
from rekur.report.drawing import Canvas, Json, span_of
from rekur.report.formatting import format_metric, model_name, plural

MAX_BYTES = 1_300_000
"""Size of the series of a page, compressed and written as text."""


MAX_ROWS = 100_000
"""Rows of history of all series together; of each at least those that are shown at first."""


@dataclass(frozen=True)
class Series:
    """Series of a page and the columns of their numbers.

    Parameters
    ----------
    entries : list of dict
        Label, errors, numbers and charts of each series of the page, the largest error first.
    columns : tuple of str
        Names of the columns of the numbers.
    omitted : int
        Series that do not fit the page.
    """

    entries: list[Json]
    columns: tuple[str, ...]
    omitted: int


def percents_of(forecast: Forecast, level: Sequence[float]) -> list[float]:
    """Intervals of the table of numbers in percent: those asked for and those drawn, the narrowest first."""
    return sorted({*level, *(percent for percent in INTERVALS if covers_interval(forecast.levels, percent))})


def read_series(
    canvas: Canvas,
    forecast: Forecast,
    backtest: Backtest | None,
    baseline: str,
    season_of: Callable[[int], int],
    level: Sequence[float],
    most: int | None,
) -> Series:
    """Series of the page.

    Parameters
    ----------
    canvas : Canvas
        Axes and grids of the page.
    forecast, backtest
        As in `rekur.report.html`.
    baseline : str
        The baseline that is drawn on past windows.
    season_of : callable
        Season length in steps of a series.
    level : sequence of float
        Intervals in percent whose limits stand in the table.
    most : int, optional
        Largest number of series.
    """
    tested = {} if backtest is None else {label: s for s, label in enumerate(backtest.panel.ids)}
    rows = np.array([tested.get(label, -1) for label in forecast.panel.ids], dtype=int)
    errors = series_errors(backtest, baseline, rows)
    order = np.argsort(np.nan_to_num(-errors[:, 0], nan=np.inf), kind="stable")[:most]
    percents = percents_of(forecast, level)
    bands = {percent: 1 + 2 * percents.index(percent) for percent in INTERVALS if percent in percents}
    entries, packer, size = list[Json](), Packer(canvas), 0
    for s in order.tolist():
        entry = forecast_entry(canvas, forecast, s, bands, percents, season_of(s))
        if np.isfinite(errors[s]).any():
            entry["mase"] = [float(f"{error:.4g}") if np.isfinite(error) else None for error in errors[s]]
        size = packer.add(entry)
        if entries and size > MAX_BYTES:
            break
        entries.append(entry)
    for s, entry in zip(order.tolist(), entries, strict=False):
        if size > MAX_BYTES:
            entry["note"] = "Its past windows, trend and season are not drawn, so that the page stays small."
            continue
        details = trend_entry(canvas, forecast, s, season_of(s))
        if backtest is not None:
            details |= windows_entry(canvas, entry.get("mase"), backtest, int(rows[s]), baseline, season_of(s))
        size = packer.add(details)
        entry |= details
    return Series(entries, column_names(percents), len(forecast.panel) - len(entries))


class Packer:
    """Size of the parts of a page, compressed one after another and written as text."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas, self._grids = canvas, 0
        self._stream = zlib.compressobj()
        self._bytes = 0

    def add(self, part: Json) -> int:
        """The size with one more part, and the grids that it has added to the canvas."""
        text = json.dumps([part, self._canvas.grids[self._grids :]], separators=(",", ":")).encode()
        self._grids = len(self._canvas.grids)
        self._bytes += len(self._stream.compress(text) + self._stream.flush(zlib.Z_SYNC_FLUSH))
        return self._bytes * 4 // 3


def series_errors(backtest: Backtest | None, baseline: str, rows: Array) -> Array:
    """MASE of rekur and of the baseline on each series, (S, 2), by its row in the backtest; NaN for one not tested."""
    if backtest is None:
        return np.full((len(rows), 2), np.nan)
    errors = np.stack([error_by_series(backtest, name) for name in (NAME, baseline)], axis=1)
    return np.where(rows[:, None] >= 0, errors[rows], np.nan)


def column_names(percents: Sequence[float]) -> tuple[str, ...]:
    """Names of the columns of the numbers, those of `Forecast.frame`."""
    return (NAME, *(f"{NAME}-{side}-{percent:g}" for percent in percents for side in ("lo", "hi")))


def forecast_entry(
    canvas: Canvas, forecast: Forecast, s: int, bands: dict[int, int], percents: Sequence[float], season: int
) -> Json:
    """Label, numbers and chart of the forecast of series s."""
    panel, position = forecast.panel.locate(s)
    span = span_of(panel.values(position), forecast.values[s])
    rows = min(MAX_HISTORY_ROWS, MAX_ROWS // len(forecast.panel))
    chart = forecast_chart(canvas, panel, position, forecast.horizon, bands, season, rows)
    columns = forecast_numbers(forecast.values[s], forecast.levels, percents, span)
    numbers = {"from": chart["lines"][1]["from"], "columns": columns}
    entry: Json = {"label": series_label(panel, position), "numbers": numbers, "forecast": chart, "note": ""}
    return entry


def trend_entry(canvas: Canvas, forecast: Forecast, s: int, season: int) -> Json:
    """Charts of the trend and of the season of series s."""
    panel, position = forecast.panel.locate(s)
    median = at_level(forecast.values[s], forecast.levels, 0.5)
    trend, pattern = trend_and_season(canvas, panel, position, median, season)
    return {"trend": trend, "season": pattern}


def windows_entry(
    canvas: Canvas, mase: Sequence[float | None] | None, backtest: Backtest, row: int, baseline: str, season: int
) -> Json:
    """Chart of the past windows of a series, by its row in the backtest, and a sentence on its errors."""
    count = int((backtest.series == row).sum()) if row >= 0 else 0
    if not count:
        return {"note": "This series was not tested: it is too short to hold the windows and values before them."}
    chart = backtest_chart(canvas, backtest, row, baseline, season)
    drawn = sum(each["name"] == NAME for each in chart["lines"])
    text = f"{plural(count, 'window')} of {plural(backtest.actual.shape[1], 'step')}"
    text += f", of which {drawn} are drawn, so that none overlap" if 1 < drawn < count else ""
    if mase is None or None in mase:
        return {"backtest": chart, "note": f"{text}. MASE is undefined here: the values are constant or missing."}
    pairs = zip((NAME, baseline), mase, strict=True)
    values = ", ".join(
        f"{model_name(name)} {format_metric('MASE', value)}" for name, value in pairs if value is not None
    )
    return {"backtest": chart, "note": f"{text}. MASE on this series: {values}."}
