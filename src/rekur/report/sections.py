"""Sections of the report of a forecast as HTML, with the user's text escaped; a section without content is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from html import escape

import numpy as np

from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast
from rekur.plotting.chart_data import INTERVALS
from rekur.plotting.traces import json_times
from rekur.report.diagnostics import central_levels, coverage_by_level, residual_summary
from rekur.report.formatting import (
    METRICS,
    MODELS,
    SPACE,
    definition_list,
    distance_to_best,
    format_frequency,
    format_metric,
    model_name,
    plural,
)
from rekur.report.markup import bullet_list, chart_area, legend, section
from rekur.report.series import Series
from rekur.report.settings import MAX_LISTED

Scores = dict[str, dict[str, float]]
"""Metrics by model and name, as `Backtest.metrics` gives them."""


def header(forecast: Forecast, title: str, source: str | None, tested: bool) -> str:
    """Title, and one line with source, series, rows, frequency, horizon and the times of the forecast."""
    parts, h = forecast.panel.parts, forecast.horizon
    missing = sum(int(np.isnan(panel.y).sum()) for panel in parts)
    rows = plural(sum(len(panel.y) for panel in parts), "row") + (f" ({missing:,} missing)" if missing else "")
    frequencies = " and ".join(format_frequency(panel.freq) for panel in parts)
    facts = [source or "", plural(len(forecast.panel), "series"), rows, frequencies]
    spans = [panel.clocks(np.arange(len(panel))[:, None], panel.lengths[:, None] + [0, h - 1]) for panel in parts]
    span = np.unique(np.concatenate(spans), axis=0)
    ahead = f"{plural(h, 'step')} ahead"
    if len(span) == 1:
        ends = dict.fromkeys(str(time).replace("T", " ") for time in json_times(span[0]))
        ahead += ": " + " to ".join(ends)
    line = " · ".join(escape(fact) for fact in [*facts, ahead] if fact)
    untested = "" if tested else '<p class="muted">No backtest was run.</p>'
    return f'<header><h1>{escape(title)}</h1><p class="summary">{line}</p>{untested}</header>'


def best_baseline(scores: Scores) -> str:
    """The best baseline by MASE; by RMSE where no MASE is finite."""
    baselines = {name: metrics for name, metrics in scores.items() if name != NAME}
    key = "MASE" if any(np.isfinite(metrics["MASE"]) for metrics in baselines.values()) else "RMSE"
    return min(baselines, key=lambda name: np.nan_to_num(baselines[name][key], nan=np.inf))


def verdict(backtest: Backtest, used: str | None) -> str:
    """The verdict of the backtest, green where rekur beats the best baseline, red where it is behind."""
    result = backtest.outcome(used)
    kind = result.outcome if result.outcome in ("beats", "behind") else ""
    return section("Verdict", f"<p>{escape(result.text)}.</p>", f"verdict {kind}".strip())


def accuracy(backtest: Backtest, scores: Scores) -> str:
    """The table of metrics, the best model first, and a description of each metric."""
    order = sorted(scores, key=lambda name: np.nan_to_num(scores[name]["MASE"], nan=np.inf))
    best = {}
    for key in METRICS:
        finite = [scores[name][key] for name in scores if np.isfinite(scores[name][key])]
        best[key] = format_metric(key, min(finite, key=lambda v: distance_to_best(key, v))) if finite else None
    heads = "".join(f'<th scope="col">{heading}</th>' for heading, _ in METRICS.values())
    heads = heads.replace("coverage", "cover&shy;age")  # narrow enough for a telephone
    lines, errors = [], backtest.standard_errors()
    for name in order:
        cells = ""
        for key in METRICS:
            text, error = format_metric(key, scores[name][key]), errors[name].get(key, np.nan)
            spread = f"<small> ± {format_metric(key, error)}</small>" if np.isfinite(error) else ""
            cells += f'<td class="best"><b>{text}</b>{spread}</td>' if text == best[key] else f"<td>{text}{spread}</td>"
        kind = ' class="rekur-row"' if name == NAME else ""
        lines.append(f'<tr{kind}><th scope="row">{escape(model_name(name))}</th>{cells}</tr>')
    h, tested = backtest.actual.shape[1], len(np.unique(backtest.series))
    note = (
        f"{plural(backtest.n_windows, 'window')} of {plural(h, 'step')} in the past of "
        f"{plural(tested, 'series')}; every model saw only the values before its window. The best value of each column "
        "is bold; less is better, except for coverage; ± is the standard error over the times of the windows."
    )
    top = f'<thead><tr><th scope="col">model</th>{heads}</tr></thead>'
    table = f'<table class="metrics">{top}<tbody>{"".join(lines)}</tbody></table>'
    body = f'<div class="scroll" tabindex="0" role="region" aria-label="metrics">{table}</div>'
    models = [(model_name(name), MODELS[name]) for name in order if name in MODELS]
    return section("Accuracy", f'{body}<p class="note">{note}</p>{definition_list([*METRICS.values(), *models])}')


def series_picker(count: int, order: str) -> str:
    """A search over the series of the page, and the list of its results; empty for a single series."""
    if count == 1:
        return ""
    box = f'<input type="search" id="search" autocomplete="off" placeholder="Search {plural(count, "series")}">'
    pick = f'<div class="pick"><label for="search">Series</label>{box}</div>'
    return f'{pick}<p class="note order">{order}</p><ul id="series"></ul><p class="note" id="matches"></p>'


def name_line(named: bool) -> str:
    """The place of the name of the chosen series."""
    return '<p class="name"></p>' if named else ""


def forecasts(series: Series, named: bool, time: str, baseline: str | None) -> str:
    """Search, chart, table of numbers and download of the forecast of the chosen series."""
    shown = [percent for percent in INTERVALS if f"{NAME}-lo-{percent}" in series.columns]
    items = [("line", "history"), ("rekur", "rekur, median")]
    items += [(f"band{percent}", f"{percent} % interval") for percent in sorted(shown)]
    order = "In the order of the table."
    if baseline is not None:
        order = f"The largest errors first: MASE of rekur and of {escape(model_name(baseline))} on past windows."
    count = len(series.entries)
    body = series_picker(count, order)
    if series.omitted:
        verb = "is" if series.omitted == 1 else "are"
        body += (
            f'<p class="note">{count:,} of {count + series.omitted:,} series stand here; {series.omitted:,} {verb} '
            "left out, so that the page stays small. The table written by --out, or by predict in Python, has all.</p>"
        )
    body += name_line(named) + legend(items, "forecast")
    body += chart_area("forecast", "history and forecast of the selected series")
    if any(entry["forecast"]["view"] for entry in series.entries):
        body += '<button type="button" class="button" id="whole" aria-pressed="false">Whole history</button>'
    body += definition_list(reading(shown))
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in (time, *map(column_heading, series.columns)))
    table = f'<table id="numbers"><thead><tr>{heads}</tr></thead><tbody></tbody></table>'
    which = "" if not named else " of all series" if not series.omitted else f" of these {count:,} series"
    link = f'<a class="button" id="download" download="forecast.csv" href="#">Download the numbers{which} (CSV)</a>'
    body += (
        f'<h3>Numbers</h3><div class="scroll tall" tabindex="0" role="region" aria-label="numbers">{table}</div>{link}'
    )
    return section("Forecast", body)


def column_heading(column: str) -> str:
    """Heading of a column of numbers: median, or the lower or upper limit of an interval."""
    if column == NAME:
        return "median"
    side, percent = column.removeprefix(f"{NAME}-").split("-")
    return f"{percent}{SPACE}% {'from' if side == 'lo' else 'to'}"


def reading(intervals: Sequence[int]) -> list[tuple[str, ...]]:
    """Explanations of the chart of a forecast."""
    items = [("median", "half of the outcomes are expected above it, half below.")]
    for percent in sorted(intervals):
        odds = {80: "four of five", 95: "nineteen of twenty"}[percent]
        text = f"about {odds} values fall into it if the errors of the past are representative."
        items.append((f"{percent} % interval", text))
    items.append(("dotted line", "the last time known when the forecast was made."))
    items.append(("gaps", "missing values; none were filled in."))
    return [*items]


def past_windows(named: bool, baseline: str) -> str:
    """The past windows of the chosen series: actual values, rekur and the best baseline."""
    best = f"{model_name(baseline)}, best baseline"
    items = [("line", "actual"), ("rekur", "rekur, median"), ("band80", "80 % interval"), ("other", best)]
    body = legend(items, "backtest") + chart_area("backtest", "actual values and forecasts of past windows")
    return section("Backtest", name_line(named) + body + '<p class="note backtest-note"></p>')


def trend_and_season(series: Series, named: bool) -> str:
    """Trend and season of the history and of the forecast of the chosen series."""
    body = ""
    for chart, title, note in (
        (
            "trend",
            "Trend",
            "Moving average of the values without their season over one season, or over seven steps without a season.",
        ),
        (
            "season",
            "Season",
            "Mean deviation from the trend at each step of the main season, and that of the forecast.",
        ),
    ):
        if any(entry.get(chart) for entry in series.entries):
            items = [("line", f"{chart} of the history"), ("rekur", f"{chart} of the forecast")]
            area = legend(items, chart) + chart_area(chart, f"{chart} of the selected series", "low")
            body += f'<div data-chart="{chart}"><h3>{title}</h3>{area}<p class="note">{note}</p></div>'
    return section("Trend and season", f'{name_line(named)}<div class="pair">{body}</div>') if body else ""


def errors(backtest: Backtest, baseline: str, charts: Collection[str]) -> str:
    """Errors of all past windows: by step ahead, calibration of the intervals, distribution of the residuals."""
    pair = [("rekur", "rekur"), ("other", model_name(baseline))]
    body = ""
    if "steps" in charts:
        note = "MASE of the forecasts this many steps ahead, the mean over all windows."
        area = legend(pair, "steps") + chart_area("steps", "error by step ahead", "low")
        body += f'<div><h3>Error by step ahead</h3>{area}<p class="note">{note}</p></div>'
    area = legend([*pair, ("muted", "perfect")], "calibration") + chart_area("calibration", "calibration", "low")
    note = "Share of the values inside intervals of each level. Below the dashed line intervals are too narrow."
    body += f'<div><h3>Calibration</h3>{area}{coverage_table(backtest, baseline)}<p class="note">{note}</p></div>'
    if "residuals" in charts:
        area = chart_area("residuals", "histogram of the residuals", "low")
        body += f'<div><h3>Residuals</h3>{area}<p class="note">{residual_summary(backtest)}</p></div>'
    return section("Errors of all past windows", f'<div class="pair">{body}</div>')


def coverage_table(backtest: Backtest, baseline: str) -> str:
    """Share of the values inside the central intervals, a column for each level, of rekur and of the best baseline."""
    heads = "".join(f'<th scope="col">{percent}{SPACE}%</th>' for percent in central_levels(backtest.levels))
    rows = ""
    for name in (NAME, baseline):
        shares = (format_metric("coverage80", float(share)) for share in coverage_by_level(backtest, name))
        cells = "".join(f"<td>{share}</td>" for share in shares)
        rows += f'<tr><th scope="row">{escape(model_name(name))}</th>{cells}</tr>'
    head = f'<tr><th scope="col">interval</th>{heads}</tr>'
    return f'<table class="coverage"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def notes(forecast: Forecast) -> str:
    """Notes on the data, and the skipped series."""
    texts = list(dict.fromkeys([*forecast.panel.notes, *forecast.notes]))
    body = bullet_list(texts) if texts else ""
    skipped = forecast.panel.skipped
    if skipped:
        lines = [f"{name}: {reason}" for name, reason in skipped[:MAX_LISTED]]
        if len(skipped) > MAX_LISTED:
            reasons = Counter(reason for _, reason in skipped[MAX_LISTED:])
            lines += [f"{count:,} more: {reason}" for reason, count in reasons.items()]
        body += f"<h3>Left out: {plural(len(skipped), 'series')}</h3>{bullet_list(lines)}"
    return section("Notes on the data", body)
