"""The sections of the page, each as HTML, the user's text escaped; one that has nothing to say is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from rekur import __version__
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast
from rekur.metrics.forecast import summary
from rekur.report.charts import drawn_windows, xs
from rekur.report.formatting import (
    MEASURES,
    distance,
    frequency,
    measure,
    model_name,
    number,
    plural,
    rows,
)

LISTED = 40  # series left out that are named
Scores = dict[str, dict[str, float]]


def section(title: str, body: str, kind: str = "") -> str:
    """One card of the page; `title` is ours, `body` is HTML."""
    return f'<section class="{kind}"><h2>{title}</h2>\n{body}</section>' if body else ""


def head(prediction: Forecast, title: str, source: str | None, tested: bool) -> str:
    """Title and one line: source, series, rows, frequency, horizon and the span forecast."""
    parts, h = prediction.panel.parts, prediction.horizon
    total, missing = sum(len(part.y) for part in parts), sum(int(np.isnan(part.y).sum()) for part in parts)
    count = plural(total, "row") + (f" ({missing:,} missing)" if missing else "")
    frequencies = " and ".join(frequency(part.freq) for part in parts)
    facts = [source or "", plural(len(prediction.panel), "series"), count, frequencies]
    ends_of = [part.clocks(np.arange(len(part))[:, None], part.lengths[:, None] + [0, h - 1]) for part in parts]
    span = np.unique(np.concatenate(ends_of), axis=0)
    ahead = f"{plural(h, 'step')} ahead"
    if len(span) == 1:
        ends = dict.fromkeys(str(time).replace("T", " ") for time in xs(span[0]))
        ahead += ": " + " to ".join(ends)
    line = " · ".join(escape(fact) for fact in [*facts, ahead] if fact)
    untested = "" if tested else '<p class="muted">Not checked against the past: no backtest was given.</p>'
    return f'<header><h1>{escape(title)}</h1><p class="summary">{line}</p>{untested}</header>'


def rival(scores: Scores) -> str:
    """The best model beside rekur, by MASE; where that says nothing, by RMSE."""
    others = {name: values for name, values in scores.items() if name != NAME}
    key = "MASE" if any(np.isfinite(values["MASE"]) for values in others.values()) else "RMSE"
    return min(others, key=lambda name: np.nan_to_num(others[name][key], nan=np.inf))


def verdict(backtest: Backtest, scores: Scores) -> str:
    """The verdict in the colour that it deserves."""
    own, best = scores[NAME]["MASE"], scores[rival(scores)]["MASE"]
    kind = "" if not np.isfinite(own) else "beats" if own <= best else "behind"
    text = backtest.verdict()
    return section("Verdict", f"<p>{escape(text)}.</p>", f"verdict {kind}".strip())


def measures(backtest: Backtest, scores: Scores) -> str:
    """The table of measures, the best model first, and a line on each measure."""
    order = sorted(scores, key=lambda name: np.nan_to_num(scores[name]["MASE"], nan=np.inf))
    best = {}
    for key in MEASURES:
        finite = [scores[name][key] for name in scores if np.isfinite(scores[name][key])]
        best[key] = measure(key, min(finite, key=lambda value: distance(key, value))) if finite else None
    heads = "".join(f'<th scope="col">{heading}</th>' for heading, _ in MEASURES.values())
    heads = heads.replace("coverage", "cover&shy;age")  # narrow enough for a telephone
    lines = []
    for name in order:
        cells = ""
        for key in MEASURES:
            text = measure(key, scores[name][key])
            cells += f'<td class="best"><b>{text}</b></td>' if text == best[key] else f"<td>{text}</td>"
        own = ' class="own"' if name == NAME else ""
        lines.append(f'<tr{own}><th scope="row">{escape(model_name(name))}</th>{cells}</tr>')
    h, tested = backtest.actual.shape[1], len(np.unique(backtest.series))
    said = (
        f"{plural(backtest.n_windows, 'window')} of {plural(h, 'step')} at the end of "
        f"{plural(tested, 'series')}; every model saw only what came before. The best value of each column is "
        "bold; less is better, except for coverage."
    )
    top = f'<thead><tr><th scope="col">model</th>{heads}</tr></thead>'
    table = f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"
    body = f'<div class="scroll" tabindex="0" role="region" aria-label="measures">{table}</div>'
    return section("How good is it?", f'{body}<p class="note">{said}</p>{rows(list(MEASURES.values()))}')


def choice(names: Sequence[str], where: str) -> str:
    """A list to choose the series from, or the name of the only one, if it has one."""
    if not names:
        return ""
    if len(names) == 1:
        return f'<p class="name">{escape(names[0])}</p>'
    options = "".join(f'<option value="{k}">{escape(name)}</option>' for k, name in enumerate(names))
    select = f'<select id="{where}-series" autocomplete="off">{options}</select>'
    return f'<div class="pick"><label for="{where}-series">Series</label>{select}</div>'


def legend(items: Sequence[tuple[str, str]], name: str) -> str:
    """Swatches and their words: (class of the swatch, text)."""
    lines = "".join(f'<li><i class="{kind}"></i>{escape(text)}</li>' for kind, text in items)
    return f'<ul class="legend" id="{name}-legend">{lines}</ul>'


def plot(name: str, words: str, kind: str = "") -> str:
    """The place of a chart."""
    return f'<div class="plot {kind}" id="{name}" role="img" aria-label="{words}"></div>'


def forecasts(prediction: Forecast, names: Sequence[str], bands: Sequence[int]) -> str:
    """History, forecast and bands of the series chosen."""
    items = [("line", "history"), ("rekur", "rekur, median")]
    items += [(f"band{percent}", f"{percent} % interval") for percent in sorted(bands)]
    hidden = len(prediction.panel) - max(1, len(names))
    note = ""
    if hidden:
        verb = "is" if hidden == 1 else "are"
        note = (
            f'<p class="note">{len(names):,} of {len(prediction.panel):,} series can be drawn here, '
            f"chosen evenly; {hidden:,} {verb} not shown.</p>"
        )
    body = legend(items, "forecast") + plot("forecast", "history and forecast of the series chosen")
    return section("Forecast", choice(names, "forecast") + body + note)


def past(names: Sequence[str], scores: Scores) -> str:
    """The past windows of the series chosen: what came, rekur, and the best baseline."""
    best = f"{model_name(rival(scores))}, best baseline"
    items = [("line", "actual"), ("rekur", "rekur, median"), ("band80", "80 % interval"), ("other", best)]
    body = legend(items, "backtest") + plot("backtest", "actual values and forecasts of past windows")
    return section("Backtest", choice(names, "backtest") + body + '<p class="note said"></p>')


def place(backtest: Backtest, name: Any) -> int | None:
    """The number of a series in the backtest, None if it was not tested."""
    found = [s for s, other in enumerate(backtest.panel.ids) if other is name or other == name]
    return found[0] if found and (backtest.series == found[0]).any() else None


def said(backtest: Backtest, s: int | None, best: str) -> str:
    """What is to say of the backtest of one series."""
    if s is None:
        return "This series was not tested: it is too short to hold the windows and values before them."
    w = backtest.series == s
    part = {
        name: summary(backtest.actual[w], backtest.forecasts[name][w], backtest.levels, backtest.scale[w])["MASE"]
        for name in (NAME, best)
    }
    drawn, h = len(drawn_windows(backtest, s)), backtest.actual.shape[1]
    text = f"{plural(int(w.sum()), 'window')} of {plural(h, 'step')}"
    text += f", of which {drawn} are drawn, so that none overlap" if drawn < w.sum() else ""
    if not all(np.isfinite(value) for value in part.values()):
        return f"{text}. The values are constant or missing, so that MASE says nothing of this series."
    values = ", ".join(f"{model_name(name)} {measure('MASE', value)}" for name, value in part.items())
    return f"{text}. MASE on this series: {values}."


def training(records: Sequence[dict[str, float]]) -> str:
    """The losses by epoch."""
    if not records:
        return ""
    items = [("muted", "training loss")]
    text = plural(len(records), "epoch")
    losses = [record["val_loss"] for record in records if "val_loss" in record]
    if losses:
        items.append(("rekur", "validation loss, with a dot where it was lowest and the weights were kept"))
        text += f", the lowest validation loss {number(min(losses))}"
    text += f", {records[-1]['seconds']:.1f} seconds" if "seconds" in records[-1] else ""
    body = legend(items, "training") + plot("training", "losses by epoch", "low")
    return section("Training", f'{body}<p class="note">{text}.</p>')


def settings(prediction: Forecast, backtest: Backtest | None, model: Any) -> str:
    """How the model was built, as far as it tells."""
    if model is None:
        return ""
    recipe, blend = getattr(model, "config_", None), getattr(getattr(model, "ensemble_", None), "blend", None)
    items = []
    if hasattr(model, "cell"):
        size = f"{plural(model.num_layers, 'layer')} of {model.hidden_size} units"
        items.append(("cell", f"{model.cell.upper()}, {size}" if recipe else "none: too little to train on"))
    if blend is not None:
        items.append(("forecast", blend.describe()))
        factors = ", ".join(number(factor, 3) for factor in blend.interval_scale)
        items.append(("intervals", f"distance from the median × {factors} in the thirds of the horizon, as held out"))
    seasons = getattr(model, "seasons_", ())
    if seasons:
        more = f", also {', '.join(map(str, seasons[1:]))}" if len(seasons) > 1 else ""
        items.append(("season", plural(int(seasons[0]), "step") + more))
    if recipe is not None:
        items += [
            ("past", f"{plural(recipe.context_length, 'step')} looked back on"),
            ("patch", plural(recipe.patch_length, "step")),
        ]
        items.append(
            ("held out", f"{plural(recipe.validation_size, 'step')} at the end of each series, for validation")
        )
        t = recipe.training
        items.append(
            (
                "training",
                f"{t.optimizer}, rate {t.learning_rate:g}, batch {t.batch_size}, {t.max_epochs} epochs at most",
            )
        )
    items.append(("horizon", plural(prediction.values.shape[1], "step")))
    if backtest is not None:
        items.append(("backtest", f"{plural(backtest.n_windows, 'window')} for each series"))
    if hasattr(model, "seed"):
        items.append(("seed", str(model.random_state)))
    return section("Settings", rows([*items, ("version", f"rekur {__version__}")]))


def notes(prediction: Forecast, model: Any) -> str:
    """What was found in the data and done, and the series left out."""
    found = list(dict.fromkeys([*prediction.panel.notes, *(getattr(model, "notes_", None) or ())]))
    body = listing(found) if found else ""
    skipped = prediction.panel.skipped
    if skipped:
        named = [f"{name}: {reason}" for name, reason in skipped[:LISTED]]
        if len(skipped) > LISTED:
            rest = Counter(reason for _, reason in skipped[LISTED:])
            named += [f"{count:,} more: {reason}" for reason, count in rest.items()]
        body += f"<h3>Left out: {plural(len(skipped), 'series')}</h3>{listing(named)}"
    return section("Notes on the data", body)


def listing(lines: Sequence[str]) -> str:
    """Sentences as a list."""
    return f'<ul class="plain">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def reading(bands: Sequence[int], tested: bool) -> str:
    """How to read the page."""
    items = [("median", "the value that what comes is as likely to exceed as to stay below.")]
    for percent in sorted(bands):
        odds = {80: "four of five", 95: "nineteen of twenty"}[percent]
        items.append((f"{percent} % band", f"about {odds} values should fall into it, if the future is like the past."))
    items.append(("dotted line", "the last value known when the forecast was made."))
    items.append(("gaps", "values that are missing; nothing was filled in."))
    if tested:
        items.append(
            (
                "MASE",
                "0.8 says: errors a fifth smaller than those of repeating the last season, as measured in the past.",
            )
        )
    return section("How to read this", rows(items))
