"""The report: one HTML page that holds everything it needs, and its way to a file."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from rekur import __version__
from rekur.core import DataError, OptionError, positive
from rekur.data.ingest.files import write_bytes
from rekur.forecasting.backtest import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.report import sections
from rekur.report.chart_data import BANDS, covered, label
from rekur.report.charts import backtest_chart, forecast_chart, training_chart
from rekur.report.formatting import plural

HERE = Path(__file__).parent
SCRIPTED = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""What a page with charts may load: nothing from the network."""

CURES = {
    errno.ENOENT: "create that folder first",
    errno.ENOTDIR: "a part of the path is a file; choose a folder",
    errno.EISDIR: "it is a folder; name a file in it, such as report.html",
    errno.ENOSPC: "free some space or choose another disk",
}
"""What to do about an error of the operating system; else another path is to be chosen."""


def html(
    prediction: Forecast,
    backtest: Backtest | None = None,
    model: Any = None,
    *,
    title: str | None = None,
    source: str | None = None,
    most: int = 12,
) -> str:
    """Make the report as one page that needs no network: verdict, measures, forecasts, training and settings.

    Parameters
    ----------
    prediction : the forecast
    backtest : the test on past windows; without it the page has no verdict
    model : the `Forecaster`, for its training and settings
    title, source : the heading, and the name of the file or table that was read
    most : series that are drawn at most, chosen evenly; the page says how many are not

    Returns
    -------
    the page, some 5 MB, nearly all of which is plotly.js (the smallest bundle that plotly brings along)

    Raises
    ------
    OptionError : `most` is not a whole number above zero.

    Examples
    --------
    >>> page = html(forecaster.forecast(), source="sales.csv")  # doctest: +SKIP
    """
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)):
        raise OptionError(f"most must be a whole number, got {most!r}")
    positive("most", most)
    table = prediction.table
    shown = np.unique(np.linspace(0, len(table) - 1, min(int(most), len(table))).round().astype(int))
    names = [label(table, int(s)) for s in shown]
    scores = {} if backtest is None else backtest.metrics()
    bands = [percent for percent in BANDS if covered(prediction.levels, percent)]
    history = list(getattr(model, "history_", None) or [])
    series = [_series(prediction, backtest, model, scores, int(s)) for s in shown]
    heading = title or f"Forecast of {names[0] if len(table) == 1 else plural(len(table), 'series')}"
    names = names if table.ids[0] is not None else []  # a series without a name has its target on the axis
    parts = [sections.head(prediction, heading, source, backtest is not None)]
    if backtest is not None:
        parts += [sections.verdict(backtest, scores), sections.measures(backtest, scores)]
    parts.append(sections.forecasts(prediction, names, bands))
    if backtest is not None:
        parts.append(sections.past(names, scores))
    parts += [
        sections.training(history),
        sections.settings(prediction, backtest, model),
        sections.notes(prediction, model),
        sections.reading(bands, backtest is not None),
    ]
    charts = {"series": series, "training": training_chart(history) if history else None}
    return framed(heading, parts, SCRIPTED, _scripts(json.dumps(charts, allow_nan=False, separators=(",", ":"))))


def write(
    path: str | os.PathLike[str],
    prediction: Forecast,
    backtest: Backtest | None = None,
    model: Any = None,
    *,
    title: str | None = None,
    source: str | None = None,
    most: int = 12,
) -> None:
    """Write the report to a file, whole or not at all; arguments as in `html`.

    Raises
    ------
    DataError : the file cannot be written; nothing is left behind, and a report that stood there stays.

    Examples
    --------
    >>> write("report.html", forecaster.forecast(), model=forecaster)  # doctest: +SKIP
    """
    save(path, html(prediction, backtest, model, title=title, source=source, most=most))


def framed(title: str, parts: Sequence[str], policy: str, scripts: str = "") -> str:
    """A whole page: its parts in one column, what it may load, and its scripts, if any."""
    return Template(_asset("page.html")).substitute(
        title=escape(title),
        version=escape(__version__),
        policy=policy,
        style=_asset("page.css"),
        body="\n".join(part for part in parts if part),
        scripts=scripts,
    )


def save(path: str | os.PathLike[str], page: str) -> None:
    """Write a page to a file, whole or not at all; an error says what to do about it."""
    try:
        write_bytes(Path(path), page.encode("utf-8", "replace"))
    except OSError as error:
        cure = CURES.get(error.errno or 0, "choose a path that you may write to")
        why = error.strerror or str(error)
        raise DataError(f"the report cannot be written to {Path(path)}: {why}; {cure}") from None


def _series(
    prediction: Forecast, backtest: Backtest | None, model: Any, scores: sections.Scores, s: int
) -> dict[str, Any]:
    """What the page draws and says of series s."""
    season = (getattr(model, "seasons_", None) or (None,))[0]
    chart = forecast_chart(prediction, s, season)
    found = {"label": label(prediction.table, s), "forecast": chart, "backtest": None, "said": ""}
    if backtest is not None:
        place, best = sections.place(backtest, prediction.table.ids[s]), sections.rival(scores)
        found["said"] = sections.said(backtest, place, best)
        if place is not None:
            found["backtest"] = backtest_chart(backtest, place, best, season)
    return found


def _scripts(charts: str) -> str:
    """The charts as JSON, plotly.js, and what draws them with it."""
    safe = charts.replace("<", "\\u003c").replace("&", "\\u0026")
    data = f'<script type="application/json" id="charts">{safe}</script>'
    return f"{data}\n<script>\n{_plotly()}\n</script>\n<script>\n{_asset('page.js')}\n</script>\n"


def _asset(name: str) -> str:
    """A file of this folder."""
    return (HERE / name).read_text(encoding="utf-8").rstrip("\n")


def _plotly() -> str:
    """plotly.js, found without importing plotly."""
    spec = importlib.util.find_spec("plotly")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        file = Path(folder) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file.read_text(encoding="utf-8").replace("</script", "<\\/script")
    raise OptionError('the report needs plotly, which is not installed: pip install "plotly>=6"')
