"""Series of a report as JSON: the largest errors first, with their numbers and charts, as many as fit the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rekur.core import Array
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast
from rekur.metrics import at_level
from rekur.plotting.chart_data import INTERVALS, covers_interval, series_label
from rekur.report.charts import backtest_chart, forecast_chart, forecast_numbers, trend_and_season
from rekur.report.diagnostics import error_by_series
from rekur.report.drawing import Canvas, Json, span_of
from rekur.report.formatting import format_metric, model_name, plural

MAX_BYTES = 1_200_000
"""Size of the series of a page."""

DETAIL_SHARE = 0.75
"""Share of that size up to which past windows, trend and season of a series are drawn beside its forecast."""


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
    entries, size = list[Json](), 0
    for s in order.tolist():
        entry = forecast_entry(canvas, forecast, s, bands, percents, season_of(s))
        if np.isfinite(errors[s]).any():
            entry["mase"] = [float(f"{error:.4g}") if np.isfinite(error) else None for error in errors[s]]
        if size < DETAIL_SHARE * MAX_BYTES:
            add_details(canvas, entry, forecast, s, season_of(s))
            if backtest is not None:
                add_windows(canvas, entry, backtest, int(rows[s]), baseline, season_of(s))
        elif backtest is not None:
            entry["note"] = "Its past windows are not drawn, so that the page stays small."
        size += len(json.dumps(entry, separators=(",", ":")))
        if entries and size > MAX_BYTES:
            break
        entries.append(entry)
    return Series(entries, column_names(percents), len(forecast.panel) - len(entries))


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
    chart = forecast_chart(canvas, panel, position, forecast.horizon, bands, season)
    columns = forecast_numbers(forecast.values[s], forecast.levels, percents, span)
    numbers = {"from": chart["lines"][1]["from"], "columns": columns}
    entry: Json = {"label": series_label(panel, position), "numbers": numbers, "forecast": chart, "note": ""}
    return entry


def add_details(canvas: Canvas, entry: Json, forecast: Forecast, s: int, season: int) -> None:
    """Add the charts of trend and season of series s."""
    panel, position = forecast.panel.locate(s)
    median = at_level(forecast.values[s], forecast.levels, 0.5)
    entry["trend"], entry["season"] = trend_and_season(canvas, panel, position, median, season)


def add_windows(canvas: Canvas, entry: Json, backtest: Backtest, row: int, baseline: str, season: int) -> None:
    """Add the chart of the past windows of a series, by its row in the backtest, and a sentence on its errors."""
    count = int((backtest.series == row).sum()) if row >= 0 else 0
    if not count:
        entry["note"] = "This series was not tested: it is too short to hold the windows and values before them."
        return
    chart = entry["backtest"] = backtest_chart(canvas, backtest, row, baseline, season)
    drawn = sum(each["name"] == NAME for each in chart["lines"])
    text = f"{plural(count, 'window')} of {plural(backtest.actual.shape[1], 'step')}"
    text += f", of which {drawn} are drawn, so that none overlap" if 1 < drawn < count else ""
    if "mase" not in entry or None in entry["mase"]:
        entry["note"] = f"{text}. MASE is undefined on this series: its values are constant or missing."
        return
    pairs = zip((NAME, baseline), entry["mase"], strict=True)
    values = ", ".join(f"{model_name(name)} {format_metric('MASE', value)}" for name, value in pairs)
    entry["note"] = f"{text}. MASE on this series: {values}."
