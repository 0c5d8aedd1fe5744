"""Report of a forecast: one HTML page with its charts and scripts, and its way to a file."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import DataError, MissingDependencyError, OptionError, __version__, positive
from rekur.data.ingest.files import write_bytes
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.multi_frequency import used_baseline
from rekur.plotting.chart_data import INTERVALS, covers_interval, series_label
from rekur.plotting.traces import Json, forecast_chart
from rekur.report import sections
from rekur.report.charts import backtest_chart, training_chart
from rekur.report.formatting import plural

if TYPE_CHECKING:
    from rekur.forecasting.forecaster import Forecaster

ASSETS = Path(__file__).parent
CONTENT_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Content security policy of a page with charts: no resources from the network."""

CURES = {
    errno.ENOENT: "create that folder first",
    errno.ENOTDIR: "a part of the path is a file; choose a folder",
    errno.EISDIR: "it is a folder; name a file in it, such as report.html",
    errno.ENOSPC: "free some space or choose another disk",
}
"""Cure of an error of the operating system; for others, another path."""


def html(
    forecast: Forecast,
    backtest: Backtest | None = None,
    model: Forecaster | None = None,
    *,
    title: str | None = None,
    source: str | None = None,
    max_series: int = 12,
) -> str:
    """Build the report of a forecast as one HTML page that needs no network.

    The page holds the verdict and the metrics of the backtest, the charts of forecasts and past windows, the training
    losses, the settings and the notes on the data.

    Parameters
    ----------
    forecast : Forecast
        The forecast.
    backtest : Backtest, optional
        The backtest; without it the page has no verdict.
    model : Forecaster, optional
        The fitted forecaster, for its training losses and settings.
    title : str, optional
        Heading of the page.
    source : str, optional
        Name of the file or table that was read.
    max_series : int, default 12
        Largest number of series drawn, chosen evenly; the page states the number omitted.

    Returns
    -------
    str
        The page, some 5 MB, nearly all of which is plotly.js.

    Raises
    ------
    OptionError
        If `max_series` is not an integer above zero.
    MissingDependencyError
        If plotly is not installed.

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> history = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": range(9)})
    >>> page = html(rekur.Forecaster(horizon=2).fit(history).forecast(), title="Sales")
    >>> "<h1>Sales</h1>" in page
    True
    """
    if isinstance(max_series, bool) or not isinstance(max_series, (int, np.integer)):
        raise OptionError(f"max_series must be a whole number, got {max_series!r}")
    positive("max_series", max_series)
    panel = forecast.panel
    drawn = np.unique(np.linspace(0, len(panel) - 1, min(int(max_series), len(panel))).round().astype(int))
    names = [series_label(*panel.locate(int(s))) for s in drawn]
    scores = {} if backtest is None else backtest.metrics()
    intervals = [percent for percent in INTERVALS if covers_interval(forecast.levels, percent)]
    runs = sections.training_runs(model)
    series = [_series(forecast, backtest, model, scores, int(s)) for s in drawn]
    heading = title or f"Forecast of {names[0] if len(panel) == 1 else plural(len(panel), 'series')}"
    names = names if panel.ids[0] is not None else []  # a series without a name has its target on the axis
    parts = [sections.header(forecast, heading, source, backtest is not None)]
    if backtest is not None:
        used = (
            None
            if model is None
            else used_baseline((model,) if model.multi_ is None else model.multi_.parts, model.select)
        )
        parts += [sections.verdict(backtest, used), sections.accuracy(backtest, scores)]
    parts.append(sections.forecasts(forecast, names, intervals))
    if backtest is not None:
        parts.append(sections.past_windows(names, scores))
    parts += [
        sections.training(runs),
        sections.settings(forecast, backtest, model),
        sections.notes(forecast),
        sections.reading_guide(intervals, backtest is not None),
    ]
    charts = {"series": series, "training": training_chart(runs) if runs else None}
    scripts = _scripts(json.dumps(charts, allow_nan=False, separators=(",", ":")))
    return page_of(heading, parts, CONTENT_POLICY, scripts)


def write(
    path: str | os.PathLike[str],
    forecast: Forecast,
    backtest: Backtest | None = None,
    model: Forecaster | None = None,
    *,
    title: str | None = None,
    source: str | None = None,
    max_series: int = 12,
) -> None:
    """Write the report of a forecast to a file atomically.

    Parameters
    ----------
    path : path
        The HTML file.
    forecast, backtest, model, title, source, max_series
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
    save(path, html(forecast, backtest, model, title=title, source=source, max_series=max_series))


def page_of(title: str, parts: Sequence[str], policy: str, scripts: str = "") -> str:
    """Complete page: parts in one column, content security policy and scripts."""
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        version=escape(__version__),
        policy=policy,
        style=_asset("page.css"),
        body="\n".join(part for part in parts if part),
        scripts=scripts,
    )


def save(path: str | os.PathLike[str], page: str) -> None:
    """Write a page to a file atomically; an error names the cure."""
    try:
        write_bytes(Path(path), page.encode("utf-8", "replace"))
    except OSError as error:
        cure = CURES.get(error.errno or 0, "choose a path that you may write to")
        reason = error.strerror or str(error)
        raise DataError(f"the report cannot be written to {Path(path)}: {reason}; {cure}") from None


def _series(
    forecast: Forecast, backtest: Backtest | None, model: Forecaster | None, scores: sections.Scores, s: int
) -> Json:
    """Name, charts and note of series s."""
    panel, position = forecast.panel.locate(s)
    season = None if model is None or model.multi_ is not None else model.seasons_[0]
    entry: Json = {
        "label": series_label(panel, position),
        "forecast": forecast_chart(panel, position, forecast.values[s], forecast.levels, season),
        "backtest": None,
        "note": "",
    }
    if backtest is not None:
        tested, baseline = sections.tested_series(backtest, forecast.panel.ids[s]), sections.best_baseline(scores)
        entry["note"] = sections.backtest_note(backtest, tested, baseline)
        if tested is not None:
            entry["backtest"] = backtest_chart(backtest, tested, baseline, season)
    return entry


def _scripts(charts: str) -> str:
    """The charts as JSON, plotly.js, and the script that draws them."""
    safe = charts.replace("<", "\\u003c").replace("&", "\\u0026")
    data = f'<script type="application/json" id="charts">{safe}</script>'
    return f"{data}\n<script>\n{_plotly()}\n</script>\n<script>\n{_asset('page.js')}\n</script>\n"


def _asset(name: str) -> str:
    """Content of a file of this folder."""
    return (ASSETS / name).read_text(encoding="utf-8").rstrip("\n")


def _plotly() -> str:
    """plotly.js, located without importing plotly."""
    spec = importlib.util.find_spec("plotly")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        file = Path(folder) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file.read_text(encoding="utf-8").replace("</script", "<\\/script")
    raise MissingDependencyError('the report needs plotly, which is not installed: pip install "plotly>=6"')
