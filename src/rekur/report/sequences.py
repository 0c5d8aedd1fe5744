"""Report of a task on sequences: verdict, scores, examples with true and predicted targets, training, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from rekur import metrics
from rekur.registry import task_of
from rekur.report.charts import training_chart
from rekur.report.drawing import Canvas, Json
from rekur.report.examples import classification, generation, regression, samples, tagging, transcription
from rekur.report.formatting import SCORES, definition_list, plural
from rekur.report.markup import bullet_list, chart_area, legend, section, table
from rekur.report.page import page_of, save
from rekur.report.settings import MAX_LISTED, provenance, training_legend, training_text

if TYPE_CHECKING:
    from torch import nn

    from rekur.inputs.datasets import Dataset
    from rekur.inputs.reader import Reader
    from rekur.metrics import Comparison
    from rekur.sequence.base import FitRecord
    from rekur.sequence.defaults import NetworkSize

KINDS = {"better": "beats", "worse": "behind"}
"""Class of the card of the verdict by the outcome of a comparison."""


class SequenceModel(Protocol):
    """The parts of a fitted estimator of sequences that every report reads."""

    cell: str
    random_state: int
    net_: nn.Module
    size_: NetworkSize
    history_: list[dict[str, float]]
    notes_: list[str]
    fit_record_: FitRecord

    @property
    def reader_(self) -> Reader:
        """Reader of the input, as learned from the training data."""


def write(
    path: str,
    model: SequenceModel,
    dataset: Dataset,
    comparison: Comparison,
    *,
    source: str | None = None,
    command: str | None = None,
) -> None:
    """Write the report of a task on sequences to a file atomically; arguments as in `html`."""
    save(path, html(model, dataset, comparison, source=source, command=command))


def html(
    model: SequenceModel,
    dataset: Dataset,
    comparison: Comparison,
    *,
    source: str | None = None,
    command: str | None = None,
) -> str:
    """Build the report of a task on sequences as one HTML page that needs no network.

    Parameters
    ----------
    model : estimator
        A fitted `rekur.Classifier`, `rekur.Regressor`, `rekur.Tagger`, `rekur.Translator`, `rekur.Transcriber`,
        `rekur.Captioner` or `rekur.LanguageModel`.
    dataset : Dataset
        Examples with targets; their notes are shown, and the examples that were left out.
    comparison : Comparison
        Result of the `compare` method of the model for them.
    source : str, optional
        Name of the file or folder that was read.
    command : str, optional
        Command that made the report.

    Returns
    -------
    str
        The page.
    """
    task, canvas, charts = task_of(model), Canvas(), dict[str, Json]()
    title = f"{task.estimator}: {plural(len(dataset.x), 'example')}"
    facts = [
        source or "",
        f"{model.reader_.options.kind} to {task.output.replace('next', 'next piece')}" if task.output else "",
    ]
    summary = " · ".join(escape(fact) for fact in facts if fact)
    parts = [f'<header><h1>{escape(title)}</h1><p class="summary">{summary}</p></header>', *scores(comparison)]
    if task.report:
        parts.append(SECTIONS[task.report](model, dataset, comparison, canvas, charts))
    parts += [training(canvas, charts, model), settings(model), notes(model, dataset), provenance(command)]
    return page_of(title, parts, canvas, charts)


def scores(comparison: Comparison) -> list[str]:
    """The verdict, and each score with that of the baseline and its meaning."""
    verdict = f"<p>{escape(comparison.verdict())}.</p>"
    card = section("Verdict", verdict, f"verdict {KINDS.get(comparison.outcome(), '')}".strip())
    rows = [[escape(cell) for cell in row] for row in metrics.score_table(comparison.scores)]
    body = table(["score", "model", escape(comparison.baseline_name)], rows)
    names = [name for name in comparison.scores if not name.startswith("baseline_")]
    terms = definition_list([(name.replace("_", " "), SCORES[name]) for name in names])
    others = [name for name in comparison.values() if name != comparison.baseline_name]
    note = f"Baseline: {comparison.baseline_name}, on the same examples."
    note += f" The verdict also compares with: {', '.join(others)}." if others else ""
    return [card, section("Scores", f'{body}<p class="note">{escape(note)}</p>{terms}')]


def training(canvas: Canvas, charts: dict[str, Json], model: SequenceModel) -> str:
    """Chart of the training and validation loss of each epoch."""
    records = model.history_
    if not records:
        return ""
    chart = charts["training"] = training_chart(canvas, records)
    text = training_text(records)
    if any("val_loss" in record for record in records):
        error, count = model.fit_record_.error_name or "loss", plural(model.fit_record_.validation_rows, "example")
        text += f". The validation loss, {error}, is measured on {count} that were not learned from"
    area = legend(training_legend(chart), "training") + chart_area("training", "losses by epoch", "low")
    note = f"{text}. An epoch is one pass over the training examples."
    return section("Training", f'{area}<p class="note">{escape(note)}</p>')


def settings(model: SequenceModel) -> str:
    """Network, data and seed of a model."""
    record, size = model.fit_record_, model.size_
    parameters = sum(weights.numel() for weights in model.net_.parameters())
    items: list[tuple[str, ...]] = [
        ("cell", model.cell.upper()),
        ("network", f"{plural(size.num_layers, 'layer')} of {size.hidden_size} units, {parameters:,} parameters"),
        *labels_from(model),
        ("learned from", f"{plural(record.rows, 'example')}, {plural(record.steps, 'step')}"),
        ("random state", str(model.random_state), "the same seed gives the same numbers."),
    ]
    return section("Settings", definition_list(items))


def labels_from(model: SequenceModel) -> list[tuple[str, ...]]:
    """The models that the labels of texts come from, unless it is the network alone."""
    ensemble = getattr(model, "ensemble_", None)
    if ensemble is None or not ensemble.powers[1]:
        return []
    if ensemble.uses_network:
        return [("labels", "from the network and the linear n-gram model together")]
    return [("labels", "from the linear n-gram model alone: the network above has no part in them")]


def notes(model: SequenceModel, dataset: Dataset) -> str:
    """Notes on model and data, and the examples that were left out."""
    lines = [*model.notes_, *dataset.notes]
    body = bullet_list(lines) if lines else ""
    if dataset.skipped:
        lines = [f"{name}: {reason}" for name, reason in dataset.skipped[:MAX_LISTED]]
        more = len(dataset.skipped) - MAX_LISTED
        lines += [f"{more:,} more"] if more > 0 else []
        body += f"<h3>Left out: {plural(len(dataset.skipped), 'example')}</h3>{bullet_list(lines)}"
    return section("Notes", body)


SECTIONS: Mapping[str, Callable[[Any, Dataset, Comparison, Canvas, dict[str, Json]], str]] = {
    "classification": classification,
    "generation": generation,
    "regression": regression,
    "samples": samples,
    "tagging": tagging,
    "transcription": transcription,
}
"""Section of a report by its name in `rekur.registry.Task.report`."""
