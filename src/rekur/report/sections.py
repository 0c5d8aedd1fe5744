"""Sections of the report of a forecast as HTML, with the user's text escaped; a section without content is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import __version__
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.metrics import summary
from rekur.plotting.traces import json_times
from rekur.report.charts import drawn_windows
from rekur.report.formatting import (
    METRICS,
    definition_list,
    distance_to_best,
    format_frequency,
    format_metric,
    format_number,
    model_name,
    plural,
)

if TYPE_CHECKING:
    from rekur.forecasting.forecaster import Forecaster

MAX_LISTED = 40  # skipped series that are named
Scores = dict[str, dict[str, float]]
"""Metrics by model and name, as `Backtest.metrics` gives them."""


def section(title: str, body: str, kind: str = "") -> str:
    """One card of the page; `title` and `body` are HTML."""
    return f'<section class="{kind}"><h2>{title}</h2>\n{body}</section>' if body else ""


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
    table = f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"
    body = f'<div class="scroll" tabindex="0" role="region" aria-label="metrics">{table}</div>'
    return section("Accuracy", f'{body}<p class="note">{note}</p>{definition_list(list(METRICS.values()))}')


def series_select(names: Sequence[str], chart: str) -> str:
    """A list to choose the series of a chart from, or the name of the only one, if it has one."""
    if not names:
        return ""
    if len(names) == 1:
        return f'<p class="name">{escape(names[0])}</p>'
    options = "".join(f'<option value="{k}">{escape(name)}</option>' for k, name in enumerate(names))
    select = f'<select id="{chart}-series" autocomplete="off">{options}</select>'
    return f'<div class="pick"><label for="{chart}-series">Series</label>{select}</div>'


def legend(items: Sequence[tuple[str, str]], chart: str) -> str:
    """Swatches and their texts: (class of the swatch, text)."""
    lines = "".join(f'<li><i class="{kind}"></i>{escape(text)}</li>' for kind, text in items)
    return f'<ul class="legend" id="{chart}-legend">{lines}</ul>'


def chart_area(chart: str, description: str, kind: str = "") -> str:
    """The element that a chart is drawn in."""
    return f'<div class="plot {kind}" id="{chart}" role="img" aria-label="{description}"></div>'


def forecasts(forecast: Forecast, names: Sequence[str], intervals: Sequence[int]) -> str:
    """History, forecast and prediction intervals of the selected series."""
    items = [("line", "history"), ("rekur", "rekur, median")]
    items += [(f"band{percent}", f"{percent} % interval") for percent in sorted(intervals)]
    hidden = len(forecast.panel) - max(1, len(names))
    note = ""
    if hidden:
        verb = "is" if hidden == 1 else "are"
        note = (
            f'<p class="note">{len(names):,} of {len(forecast.panel):,} series can be drawn here, '
            f"chosen evenly; {hidden:,} {verb} not shown.</p>"
        )
    body = legend(items, "forecast") + chart_area("forecast", "history and forecast of the selected series")
    return section("Forecast", series_select(names, "forecast") + body + note)


def past_windows(names: Sequence[str], scores: Scores) -> str:
    """The past windows of the selected series: actual values, rekur and the best baseline."""
    baseline = f"{model_name(best_baseline(scores))}, best baseline"
    items = [("line", "actual"), ("rekur", "rekur, median"), ("band80", "80 % interval"), ("other", baseline)]
    body = legend(items, "backtest") + chart_area("backtest", "actual values and forecasts of past windows")
    return section("Backtest", series_select(names, "backtest") + body + '<p class="note backtest-note"></p>')


def tested_series(backtest: Backtest, name: object) -> int | None:
    """Position of a series in the backtest; None if it was not tested."""
    positions = [s for s, other in enumerate(backtest.panel.ids) if other is name or other == name]
    return positions[0] if positions and (backtest.series == positions[0]).any() else None


def backtest_note(backtest: Backtest, s: int | None, baseline: str) -> str:
    """The windows and the MASE of one series, as a sentence below its chart."""
    if s is None:
        return "This series was not tested: it is too short to hold the windows and values before them."
    w = backtest.series == s
    mase = {
        name: summary(backtest.actual[w], backtest.forecasts[name][w], backtest.levels, backtest.scale[w])["MASE"]
        for name in (NAME, baseline)
    }
    drawn, h = len(drawn_windows(backtest, s)), backtest.actual.shape[1]
    text = f"{plural(int(w.sum()), 'window')} of {plural(h, 'step')}"
    text += f", of which {drawn} are drawn, so that none overlap" if drawn < w.sum() else ""
    if not all(np.isfinite(value) for value in mase.values()):
        return f"{text}. MASE is undefined on this series: its values are constant or missing."
    values = ", ".join(f"{model_name(name)} {format_metric('MASE', value)}" for name, value in mase.items())
    return f"{text}. MASE on this series: {values}."


def training_runs(model: Forecaster | None) -> dict[str, list[Mapping[str, float]]]:
    """Records of the epochs of each network, by its name."""
    runs: dict[str, list[Mapping[str, float]]] = {}
    parts = () if model is None else (model,) if model.multi_ is None else model.multi_.parts
    for part in parts:
        names = [each.name for each in part.config_.architectures] if part.config_ else []
        size = max((int(record.get("member", 0)) for record in part.history_), default=0) // max(len(names), 1) + 1
        for record in part.history_:
            kind, number = divmod(int(record.get("member", 0)), size)
            name = f"{names[kind]} network" + (f" {number + 1}" if size > 1 else "")
            name += f", {format_frequency(part.panel_.freq)}" if len(parts) > 1 else ""
            runs.setdefault(name, []).append(record)
    return runs


def training(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Losses by epoch of each network."""
    if not runs:
        return ""
    items = [("muted", "training loss")]
    if any("val_loss" in record for history in runs.values() for record in history):
        items.append(("rekur", "validation loss, with a dot at the epoch of the best weights, which are used"))
    texts = []
    for name, history in runs.items():
        losses = [record["val_loss"] for record in history if "val_loss" in record]
        text = f"{name}: {plural(len(history), 'epoch')}"
        text += f", the lowest validation loss {format_number(min(losses))}" if losses else ""
        texts.append(text + (f", {history[-1]['seconds']:.1f} seconds" if "seconds" in history[-1] else ""))
    body = legend(items, "training") + chart_area("training", "losses by epoch", "low")
    return section("Training", f'{body}<p class="note">{escape("; ".join(texts))}.</p>')


def settings(forecast: Forecast, backtest: Backtest | None, model: Forecaster | None) -> str:
    """Configuration of the model; of each of its parts, where series have different frequencies."""
    if model is None:
        return ""
    parts = (model,) if model.multi_ is None else model.multi_.parts
    items = []
    for part in parts:
        frequency = f", {format_frequency(part.panel_.freq)} series" if len(parts) > 1 else ""
        items += [(term + frequency, text) for term, text in part_settings(part, model.select)]
    items.append(("horizon", plural(forecast.horizon, "step")))
    if backtest is not None:
        items.append(("backtest", f"{plural(backtest.n_windows, 'window')} for each series"))
    items += [("random state", str(model.random_state)), ("version", f"rekur {__version__}")]
    return section("Settings", definition_list(items))


def part_settings(model: PanelForecaster, select: str) -> list[tuple[str, str]]:
    """Settings of the forecaster of one frequency: cell, weights, intervals, seasons, windows and training."""
    config, average = model.config_, model.ensemble_.using(select).average
    size = f"{plural(model.num_layers, 'layer')} of {model.hidden_size} units"
    main, *others = model.seasons_
    items = [
        ("cell", f"{model.cell.upper()}, {size}" if config else "none: too little to train on"),
        ("forecast", average.describe()),
        ("intervals", f"half width × {average.interval_text()}, calibrated on past windows"),
        ("season", plural(main, "step") + (f", also {', '.join(map(str, others))}" if others else "")),
    ]
    if config is not None:
        t = config.training
        items += [
            ("context", plural(config.context_length, "step")),
            ("patch", plural(config.patch_length, "step")),
            ("validation", f"{plural(config.validation_size, 'step')} at the end of each series"),
            (
                "training",
                f"{t.optimizer}, learning rate {t.learning_rate:g}, batch size {t.batch_size}, "
                f"at most {plural(t.max_epochs, 'epoch')}",
            ),
        ]
    return items


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


def bullet_list(lines: Sequence[str]) -> str:
    """Sentences as a list."""
    return f'<ul class="plain">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def reading_guide(intervals: Sequence[int], tested: bool) -> str:
    """Explanations of the charts."""
    items = [("median", "half of the outcomes are expected above it, half below.")]
    for percent in sorted(intervals):
        odds = {80: "four of five", 95: "nineteen of twenty"}[percent]
        items.append(
            (f"{percent} % interval", f"about {odds} values fall into it if the errors of the past are representative.")
        )
    items.append(("dotted line", "the last time known when the forecast was made."))
    items.append(("gaps", "missing values; none were filled in."))
    if tested:
        items.append(
            ("MASE", "0.8 means errors a fifth smaller than those of the seasonal naive forecast in the past.")
        )
    return section("Reading the charts", definition_list(items))
