"""Settings of a model, its networks and their training, its covariates, and how the report was made, as HTML."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from rekur.baselines import describe
from rekur.core import Array, __version__
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.forecasting.permutation_importance import importances
from rekur.metrics import seasonal_scale
from rekur.report.charts import training_chart
from rekur.report.drawing import Canvas, Json
from rekur.report.formatting import MODELS, NETWORKS, SPACE, definition_list, format_frequency, format_number, plural
from rekur.report.markup import chart_area, legend, section

if TYPE_CHECKING:
    from rekur.forecasting.forecaster import Forecaster

MAX_LISTED = 40  # skipped series or examples that are named
PARTS = ("rekur", "torch", "numpy", "pandas")
MAX_IMPORTANCE_SERIES = 50
ROLES = {
    "future": "known for the future",
    "past": "known up to the present",
    "static": "one value for each series",
}


def parts_of(model: Forecaster | None) -> tuple[PanelForecaster, ...]:
    """The forecasters of the single frequencies."""
    return () if model is None else (model,) if model.multi_ is None else model.multi_.parts


def training_runs(model: Forecaster | None) -> dict[str, tuple[str, float, list[Mapping[str, float]]]]:
    """Kind, weight in the forecast and records of the epochs of each network, by its name."""
    runs: dict[str, tuple[str, float, list[Mapping[str, float]]]] = {}
    parts = parts_of(model)
    for part in parts:
        names = [each.name for each in part.config_.architectures] if part.config_ else []
        weights = {} if model is None else part.ensemble_.using(model.select).average.weights
        size = max((int(record.get("member", 0)) for record in part.history_), default=0) // max(len(names), 1) + 1
        for record in part.history_:
            kind, number = divmod(int(record.get("member", 0)), size)
            name = f"{names[kind]} network" + (f" {number + 1}" if size > 1 else "")
            name += f", {format_frequency(part.panel_.freq)} series" if len(parts) > 1 else ""
            runs.setdefault(name, (names[kind], float(weights.get(names[kind], 0.0)), []))[2].append(record)
    return runs


def training(canvas: Canvas, model: Forecaster | None) -> tuple[str, dict[str, Json]]:
    """A chart for each network: its losses by its own epochs, its weight in the forecast and what it is."""
    body, charts = "", dict[str, Json]()
    for k, (name, (kind, weight, records)) in enumerate(training_runs(model).items()):
        place = f"training-{k}"
        charts[place] = training_chart(canvas, records)
        share = f"Its weight in the forecast is {100 * weight:.0f}{SPACE}%" if weight else "It has no weight"
        title, described = (part[:1].upper() + part[1:] for part in (name, NETWORKS[kind]))
        body += f'<div><h3>{escape(title)}</h3><p class="note">{escape(described)} {share}.</p>'
        body += legend(training_legend(charts[place]), place)
        body += chart_area(place, f"losses of the {name} by epoch", "low")
        body += f'<p class="note">{escape(training_text(records))}.</p></div>'
    note = (
        "An epoch is one pass over 100 batches of windows. The validation loss is measured on the last rows of each "
        "series, which are not learned from; the loss is the mean error of all quantiles, the validation loss in units "
        "of the seasonal naive error. Networks with a weight are then trained a little further on the last rows too."
    )
    page = section("Training", f'<div class="pair">{body}</div><p class="note">{note}</p>') if body else ""
    return page, charts


def training_legend(chart: Json) -> list[tuple[str, str]]:
    """Swatches of the lines of a chart of training."""
    texts = {
        "training loss": ("muted", "training loss"),
        "validation loss": ("rekur", "validation loss, with a dot at the epoch of the best weights"),
    }
    return [texts[line["name"]] for line in chart["lines"] if line["name"]]


def training_text(records: Sequence[Mapping[str, float]]) -> str:
    """Epochs, lowest validation loss and seconds of a training."""
    losses = [record.get("val_loss", np.inf) for record in records]
    text = plural(len(records), "epoch")
    if min(losses) < np.inf:
        best = f"the lowest validation loss {format_number(min(losses))} at epoch {1 + losses.index(min(losses))}"
        text += f", {best}, whose weights are used"
    return text + (f", {records[-1]['seconds']:.1f} seconds" if "seconds" in records[-1] else "")


def settings(forecast: Forecast, backtest: Backtest | None, model: Forecaster | None) -> str:
    """Configuration of the model; of each of its parts, where series have different frequencies."""
    if model is None:
        return ""
    parts = parts_of(model)
    items: list[tuple[str, ...]] = []
    for part in parts:
        frequency = f", {format_frequency(part.panel_.freq)} series" if len(parts) > 1 else ""
        items += [(term + frequency, *texts) for term, *texts in part_settings(part, model.select)]
    items.append(("horizon", plural(forecast.horizon, "step"), "steps that are forecast."))
    if backtest is not None:
        items.append(("backtest", f"{plural(backtest.n_windows, 'window')} for each series"))
    items.append(("random state", str(model.random_state), "the same seed gives the same numbers."))
    return section("Settings", definition_list(items))


def part_settings(model: PanelForecaster, select: str) -> list[tuple[str, ...]]:
    """Settings of the forecaster of one frequency: cell, weights, intervals, seasons, windows and training."""
    config, average = model.config_, model.ensemble_.using(select).average
    size = f"{plural(model.num_layers, 'layer')} of {model.hidden_size} units"
    main, *others = model.seasons_
    described = {name: f"{name} network: {text}" for name, text in NETWORKS.items()}
    described |= {name: f"{describe(name)}: {text}" for name, text in MODELS.items()}
    members = [described[name] for name in average.weights]
    items: list[tuple[str, ...]] = [
        ("cell", f"{model.cell.upper()}, {size}" if config else "none: too little to train on"),
        ("forecast", average.describe(), *members),
        (
            "intervals",
            f"half width × {average.interval_text()}",
            "factors by which the intervals were widened or narrowed, so that on past windows the 80 % interval holds "
            "80 % of the values.",
        ),
        (
            "season",
            plural(main, "step") + (f", also {', '.join(map(str, others))}" if others else ""),
            "steps after which the pattern returns.",
        ),
    ]
    if config is not None:
        t = config.training
        items += [
            ("context", plural(config.context_length, "step"), "values before a forecast that a network reads."),
            (
                "patch",
                plural(config.patch_length, "step"),
                "values that the recurrence reads at once, a season or a part of it.",
            ),
            (
                "validation",
                f"{plural(config.validation_size, 'step')} at the end of each series",
                "held out to choose the epoch and the weights.",
            ),
            (
                "training",
                f"{t.optimizer}, learning rate {t.learning_rate:g}, batch size {t.batch_size}, "
                f"at most {plural(t.max_epochs, 'epoch')}",
            ),
        ]
    return items


def covariates(model: Forecaster | None) -> str:
    """Covariates with their roles and permutation importance, the most important one first."""
    parts = parts_of(model)
    body = "".join(part_covariates(part, len(parts) > 1) for part in parts)
    if not body:
        return ""
    note = (
        "Importance: growth of the error of all quantiles on the last window of each series when the values of the "
        "covariate are shuffled; 0 % for one of no use. The last window was learned from."
    )
    return section("Covariates", f'{body}<p class="note">{note}</p>')


def part_covariates(model: PanelForecaster, titled: bool) -> str:
    """Table of the covariates of the forecaster of one frequency; empty without any."""
    panel = model.panel_
    pairs = [(role, name) for role in ROLES for name in getattr(panel, f"{role}_names")]
    if not pairs:
        return ""
    growth = covariate_importance(model)
    largest = max(1e-9, float(np.nanmax(np.where(np.isfinite(growth), growth, 0.0), initial=0.0)))
    rows = ""
    for k in np.argsort(-np.nan_to_num(growth, nan=-np.inf), kind="stable"):
        role, name = pairs[int(k)]
        known = np.isfinite(growth[k])
        text = f"{100 * growth[k]:.1f}\u00a0%".replace("-", "−") if known else "–"
        width = 100 * max(0.0, float(growth[k])) / largest if known else 0.0
        bar = f'<td class="bar"><i style="width:{width:.1f}%"></i></td>'
        rows += f'<tr><th scope="row">{escape(str(name))}<small> {ROLES[role]}</small></th><td>{text}</td>{bar}</tr>'
    title = f"<h3>{escape(format_frequency(panel.freq).capitalize())} series</h3>" if titled else ""
    head = '<tr><th scope="col">covariate</th><th scope="col">importance</th><th></th></tr>'
    return f'{title}<table class="bars"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def covariate_importance(model: PanelForecaster) -> Array:
    """Growth of the loss by shuffling each covariate on the last window of up to 50 series; NaN where it has none."""
    panel, h = model.panel_, model.horizon
    count = len(panel.future_names) + len(panel.past_names) + len(panel.static_names)
    usable = np.flatnonzero(panel.lengths > h)
    if not len(usable):
        return np.full(count, np.nan)
    series = usable[np.unique(np.linspace(0, len(usable) - 1, min(MAX_IMPORTANCE_SERIES, len(usable))).astype(int))]
    scale = np.nan_to_num(seasonal_scale(panel.y, model.seasons_[0], panel.offsets))[series]
    stop = panel.lengths[series] - h
    observed = np.isfinite(panel.y[(panel.offsets[series] + stop)[:, None] + np.arange(h)]) & (scale > 0)[:, None]
    if not observed.any():
        return np.full(count, np.nan)
    return importances(model.ensemble_, panel, (series, stop), scale, model.random_state)


def provenance(command: str | None) -> str:
    """Command, date and versions of the report."""
    items: list[tuple[str, ...]] = [] if command is None else [("command", command)]
    items.append(("date", datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")))
    items.append(("versions", ", ".join([*map(version_text, PARTS), f"Python {platform.python_version()}"])))
    return section("This report", definition_list(items))


def version_text(name: str) -> str:
    """Name and version of a package."""
    if name == "rekur":
        return f"rekur {__version__}"
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} of an unknown version"
