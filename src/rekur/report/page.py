"""Report of a forecast: one HTML page with its charts and scripts, and its way to a file."""

from __future__ import annotations

import base64
import errno
import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from rekur.core import DataError, OptionError, __version__, positive
from rekur.data.ingest.files import write_bytes
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast, forecast_columns
from rekur.forecasting.multi_frequency import used_model
from rekur.plotting.chart_data import axis_names, series_label
from rekur.report import sections
from rekur.report.charts import calibration_chart, residual_chart, step_chart
from rekur.report.drawing import Canvas, Json
from rekur.report.formatting import plural
from rekur.report.series import read_series
from rekur.report.settings import covariates, parts_of, provenance, settings, training

if TYPE_CHECKING:
    from typing import Unpack

    from rekur.forecasting.forecaster import Forecaster

ASSETS = Path(__file__).parent
CONTENT_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy of a page: its own scripts and styles, and no resources from the network."""

CURES = {
    errno.ENOENT: "create that folder first",
    errno.ENOTDIR: "a part of the path is a file; choose a folder",
    errno.EISDIR: "it is a folder; name a file in it, such as report.html",
    errno.ENOSPC: "free some space or choose another disk",
}
"""Cure of an error of the operating system; for others, another path."""


class PageOptions(TypedDict, total=False):
    """Options of a page, see `html`."""

    title: str | None
    source: str | None
    command: str | None
    level: Sequence[float]
    max_series: int | None


def html(
    forecast: Forecast,
    backtest: Backtest | None = None,
    model: Forecaster | None = None,
    *,
    title: str | None = None,
    source: str | None = None,
    command: str | None = None,
    level: Sequence[float] = (),
    max_series: int | None = None,
) -> str:
    """Build the report of a forecast as one HTML page that needs no network.

    The page holds the verdict and the metrics of the backtest, a search over the series, the largest errors first, the
    numbers of the forecast as a table and as a download, charts of each series and its past windows, trend and season,
    errors by step, calibration and residuals, the covariates, the training of each network, the settings, and the
    notes on the data.

    Parameters
    ----------
    forecast : Forecast
        The forecast.
    backtest : Backtest, optional
        The backtest; without it the page has no verdict.
    model : Forecaster, optional
        The fitted forecaster, for its covariates, training and settings.
    title : str, optional
        Heading of the page.
    source : str, optional
        Name of the file or table that was read.
    command : str, optional
        Command that made the report.
    level : sequence of float, default ()
        Intervals in percent whose limits stand in the table of numbers, in addition to those drawn, 80 and 95.
    max_series : int, optional
        Largest number of series of the page, the largest errors first; as many as fit 1.5 MB if None. The page states
        the number left out.

    Returns
    -------
    str
        The page, some 100 kB, and 1 to 5 kB for each series.

    Raises
    ------
    OptionError
        If `max_series` is not an integer above zero, or a level lies beyond those that were learned.

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> history = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": range(9)})
    >>> page = html(rekur.Forecaster(horizon=2).fit(history).forecast(), title="Sales")
    >>> "<h1>Sales</h1>" in page
    True
    """
    if max_series is not None:
        if isinstance(max_series, bool) or not isinstance(max_series, (int, np.integer)):
            raise OptionError(f"max_series must be a whole number, got {max_series!r}")
        positive("max_series", max_series)
    forecast_columns(forecast.values[:0], forecast.levels, level, None, NAME)  # refuses levels beyond those learned
    panel, canvas = forecast.panel, Canvas()
    scores = {} if backtest is None else backtest.metrics()
    baseline = sections.best_baseline(scores) if scores else ""
    series = read_series(canvas, forecast, backtest, baseline, seasons_of(forecast, model), level, max_series)
    first, named = panel.parts[0], panel.ids[0] is not None  # a series without a name has its target on the axis
    label = series_label(first, 0)
    heading = title or f"Forecast of {label if len(panel) == 1 else plural(len(panel), 'series')}"
    parts, charts = [sections.header(forecast, heading, source, backtest is not None)], dict[str, Json]()
    if backtest is not None:
        used = None if model is None else used_model(parts_of(model), model.select)
        parts += [sections.verdict(backtest, used), sections.accuracy(backtest, scores)]
    time = axis_names(first)[0]
    parts.append(sections.forecasts(series, named, time, baseline or None))
    if backtest is not None:
        parts.append(sections.past_windows(named, baseline))
    parts.append(sections.trend_and_season(series, named))
    if backtest is not None:
        charts |= error_charts(canvas, backtest, baseline)
        parts.append(sections.errors(backtest, baseline, charts))
    trained, losses = training(canvas, model)
    parts += [covariates(model), trained, settings(forecast, backtest, model), sections.notes(forecast)]
    parts.append(provenance(command))
    id_column = (first.columns.id or "unique_id") if first.columns.id is not None or first.wide else None
    table = {"id": id_column, "time": time, "columns": series.columns}
    return page_of(heading, parts, canvas, charts | losses, series.entries, table)


def seasons_of(forecast: Forecast, model: Forecaster | None) -> Callable[[int], int]:
    """Main season of a series in steps: that of the model, or that of the frequency without a model."""
    parts = parts_of(model)

    def season(s: int) -> int:
        panel, _ = forecast.panel.locate(s)
        same = (part for part in parts if len(parts) == 1 or part.panel_.freq == panel.freq)
        part = next(same, None)
        return panel.freq.season if part is None else part.seasons_[0]

    return season


def error_charts(canvas: Canvas, backtest: Backtest, baseline: str) -> dict[str, Json]:
    """Charts of the errors of all past windows, by the id of their place."""
    charts = {
        "steps": step_chart(canvas, backtest, baseline),
        "calibration": calibration_chart(canvas, backtest, baseline),
        "residuals": residual_chart(canvas, backtest),
    }
    return {name: chart for name, chart in charts.items() if chart is not None}


def write(
    path: str | os.PathLike[str],
    forecast: Forecast,
    backtest: Backtest | None = None,
    model: Forecaster | None = None,
    **options: Unpack[PageOptions],
) -> None:
    """Write the report of a forecast to a file atomically.

    Parameters
    ----------
    path : path
        The HTML file.
    forecast, backtest, model
        As in `rekur.report.html`.
    title, source, command, level, max_series
        As in `rekur.report.html`.

    Raises
    ------
    DataError
        If the file cannot be written; an existing report is not changed.

    Examples
    --------
    >>> import pathlib, tempfile, pandas as pd, rekur
    >>> history = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": range(9)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/report.html", rekur.Forecaster(horizon=2).fit(history).forecast())
    ...     [file.name for file in pathlib.Path(folder).iterdir()]
    ['report.html']
    """
    save(path, html(forecast, backtest, model, **options))


def page_of(
    title: str,
    parts: Sequence[str],
    canvas: Canvas,
    charts: Mapping[str, Json],
    series: Sequence[Json] = (),
    table: Mapping[str, object] | None = None,
) -> str:
    """Complete page: parts in one column, content security policy, charts and the scripts that draw them.

    Parameters
    ----------
    title : str
        Heading of the page.
    parts : sequence of str
        Sections as HTML; empty ones are left out.
    canvas : Canvas
        Axes and grids of the charts.
    charts : mapping of str to dict
        Charts by the id of their place.
    series : sequence of dict, default ()
        Series that the reader can choose, see `rekur.report.series`.
    table : mapping, optional
        Names of the columns of the download.
    """
    data = {"axes": canvas.axes, "grids": canvas.grids, "charts": charts, "series": series, "table": table}
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        version=escape(__version__),
        policy=CONTENT_POLICY,
        style=f"{_asset('uplot/uPlot.min.css')}\n{_asset('page.css')}",
        body="\n".join(part for part in parts if part),
        scripts=_scripts(json.dumps(data, allow_nan=False, separators=(",", ":"))) if charts or series else "",
    )


def save(path: str | os.PathLike[str], page: str) -> None:
    """Write a page to a file atomically; an error names the cure."""
    try:
        write_bytes(Path(path), page.encode("utf-8", "replace"))
    except OSError as error:
        cure = CURES.get(error.errno or 0, "choose a path that you may write to")
        reason = error.strerror or str(error)
        raise DataError(f"the report cannot be written to {Path(path)}: {reason}; {cure}") from None


def _scripts(data: str) -> str:
    """The charts as compressed JSON, uPlot with its licence, and the script that draws them."""
    packed = base64.b64encode(zlib.compress(data.encode("utf-8", "replace"), 9)).decode()
    content = f'<script type="application/octet-stream" id="data">{packed}</script>'
    notice = f"<!--\n{_asset('uplot/LICENSE')}\n-->"
    draw = (
        f"{notice}\n<script>\n{_asset('uplot/uPlot.iife.min.js')}\n</script>\n<script>\n{_asset('page.js')}\n</script>"
    )
    return f"{content}\n{draw}\n"


def _asset(name: str) -> str:
    """Content of a file of this folder."""
    return (ASSETS / name).read_text(encoding="utf-8").rstrip("\n")
