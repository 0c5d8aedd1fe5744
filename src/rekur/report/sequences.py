"""Report of a task on sequences: scores, confusion matrix, errors, transcripts, texts and attention weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rekur import metrics
from rekur.data.validation import read_labels
from rekur.inputs.words import sentence
from rekur.registry import task_of
from rekur.report.page import page_of, save
from rekur.report.png import heat_map, image
from rekur.report.sections import section

if TYPE_CHECKING:
    from rekur.inputs.datasets import Dataset
    from rekur.inputs.reader import Reader
    from rekur.metrics import Comparison
    from rekur.sequence.classifier import Classifier
    from rekur.sequence.language_model import LanguageModel
    from rekur.sequence.seq2seq import Captioner, Translator
    from rekur.sequence.tagger import Tagger
    from rekur.sequence.transcriber import Transcriber

MAX_EXAMPLES = 12  # in the page
MAX_TEXT_LENGTH = 400  # characters of a text
MAX_CLASSES = 25  # of the confusion matrix
MAX_PIECES = 40  # rows and columns of the attention weights
FRAMES = 8  # of a video

CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy of a page without charts: not even scripts of its own are run."""


class SequenceModel(Protocol):
    """The parts of a fitted estimator of sequences that every report reads."""

    history_: list[dict[str, float]]

    @property
    def reader_(self) -> Reader:
        """Reader of the input, as learned from the training data."""


def write(path: str, model: SequenceModel, dataset: Dataset, comparison: Comparison) -> None:
    """Write the report of a task on sequences to a file atomically; arguments as in `html`."""
    save(path, html(model, dataset, comparison))


def html(model: SequenceModel, dataset: Dataset, comparison: Comparison) -> str:
    """Build the report of a task on sequences as one HTML page that needs no network and runs no script.

    Parameters
    ----------
    model : estimator
        A fitted `rekur.Classifier`, `rekur.Tagger`, `rekur.Translator`, `rekur.Transcriber`, `rekur.Captioner` or
        `rekur.LanguageModel`.
    dataset : Dataset
        Examples with targets.
    comparison : Comparison
        Result of the `compare` method of the model for them.

    Returns
    -------
    str
        The page.
    """
    task = task_of(model)
    title = f"{task.estimator}: {len(dataset.x):,} examples"
    parts = [f"<header><h1>{escape(title)}</h1></header>", score_table(comparison)]
    if task.report:
        parts.append(SECTIONS[task.report](model, dataset))
    parts.append(training(model.history_))
    return page_of(title, parts, CONTENT_POLICY)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of HTML cells."""
    top = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def score_table(comparison: Comparison) -> str:
    """The verdict, and each score with that of the baseline."""
    rows = [[escape(cell) for cell in row] for row in metrics.score_table(comparison.scores)]
    headings = ["score", "model", escape(comparison.baseline_name)]
    return section("Scores", f"<p>{escape(comparison.verdict())}</p>{table(headings, rows)}")


def training(history: Sequence[Mapping[str, float]]) -> str:
    """Training loss and validation of each epoch."""
    rows = [
        [f"{r['epoch']:.0f}", f"{r['mean_loss']:.4g}", f"{r['val_loss']:.4g}" if "val_loss" in r else "–"]
        for r in history
    ]
    return section("Training", table(["epoch", "loss", "validation"], rows)) if rows else ""


def shade(share: float) -> str:
    """Style of a cell whose background is as strong as a share of 1; its text is legible in light and dark."""
    return f"background:rgba(31,99,240,{0.6 * share:.3f});color:var(--ink);text-align:center"


def shaded_table(
    columns: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[float, str]]]], corner: str = ""
) -> str:
    """A table of cells, each with a share for its background and a text; names are HTML."""
    top = f"<th>{corner}</th>" + "".join(f'<th scope="col" style="text-align:center">{name}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f'<td style="{shade(share)}">{text}</td>' for share, text in cells)
        + "</tr>"
        for name, cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def classification(model: Classifier, dataset: Dataset) -> str:
    """The confusion matrix, and the errors of highest predicted probability."""
    p = model.predict_proba(dataset.x)
    predicted = model.classes_[p.argmax(1)]
    actual = read_labels(dataset.y, mixed=True)
    counts = metrics.confusion_matrix(actual, predicted, model.classes_)
    largest = np.argsort(-counts.sum(1), kind="stable")[:MAX_CLASSES]
    names = [escape(str(model.classes_[k])) for k in largest]
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    rows = [(names[i], [(share[a, b], str(counts[a, b] or "")) for b in largest]) for i, a in enumerate(largest)]
    matrix = shaded_table(names, rows, "actual \\ predicted")
    errors = [k for k in np.argsort(-p.max(1), kind="stable") if predicted[k] != actual[k]][:MAX_EXAMPLES]
    shown = errors or list(range(min(MAX_EXAMPLES, len(actual))))
    cells = [
        [
            preview(model, dataset.x[k], dataset.names[k]),
            escape(str(actual[k])),
            f"{escape(str(predicted[k]))} ({p[k].max():.0%})",
        ]
        for k in shown
    ]
    title = "Most confident errors" if errors else "Examples (no errors)"
    return section("Confusion matrix", matrix) + section(title, table(["example", "actual", "predicted"], cells))


def preview(model: SequenceModel, value: Any, name: str) -> str:
    """An example as HTML: the text itself, the spectrum of a recording, or frames of a video."""
    kind = model.reader_.options.kind
    if kind in ("text", "words"):
        text = sentence(value)
        return escape(text if len(text) <= MAX_TEXT_LENGTH else text[:MAX_TEXT_LENGTH] + " …")
    item = model.reader_.items([value])[0].numpy()
    if kind == "video":
        frames = item.transpose(0, 2, 3, 1)[:: max(1, len(item) // FRAMES)]
        strip = np.concatenate(list(frames), axis=1)
        return f"{escape(name)}<br>{image(strip, f'frames of {name}', 'height:64px;max-width:100%')}"
    spectrum = heat_map(item.T[::-1])
    return f"{escape(name)}<br>{image(spectrum, f'{kind} of {name}', 'height:80px;width:100%;min-width:240px')}"


def tagging(model: Tagger, dataset: Dataset) -> str:
    """Sentences with errors, the wrong tags marked."""
    rows = []
    for words, actual, predicted in zip(dataset.x, dataset.y or [], model.predict(dataset.x), strict=True):
        if list(actual) != predicted:
            marked = " ".join(
                f"{escape(w)}<sub>{escape(b) if a == b else f'<b>{escape(b)}</b> ({escape(a)})'}</sub>"
                for w, a, b in zip(words, actual, predicted, strict=True)
            )
            rows.append([marked])
    headings = ["sentence with predicted tags; <b>errors</b> are bold, with the actual tag in brackets"]
    return section("Tagging errors", table(headings, rows[:MAX_EXAMPLES])) if rows else ""


def transcription(model: Transcriber, dataset: Dataset) -> str:
    """Spectra with the transcript, each letter where it starts."""
    x = dataset.x[:MAX_EXAMPLES]
    rows = []
    for value, name, actual, aligned in zip(x, dataset.names, dataset.y or [], model.align(x), strict=False):
        letters = "".join(
            f'<span style="position:absolute;left:{100 * position:.2f}%">{escape(letter)}</span>'
            for letter, position in aligned
        )
        line = f'<div style="position:relative;height:1.4em;font-size:0.75em">{letters}</div>'
        transcript = "".join(letter for letter, _ in aligned)
        rows.append([preview(model, value, name) + line, escape(actual), escape(transcript)])
    return section("Transcripts", table(["recording, letters where they start", "reference", "transcript"], rows))


def generation(model: Translator | Captioner, dataset: Dataset) -> str:
    """Generated texts, and for a text the attention weights of the first."""
    x, y = dataset.x[:MAX_EXAMPLES], (dataset.y or [])[:MAX_EXAMPLES]
    generated = model.predict(x)
    cells = [
        [preview(model, value, name), escape(reference), escape(text)]
        for value, name, reference, text in zip(x, dataset.names, y, generated, strict=False)
    ]
    texts = section("Generated texts", table(["source", "reference", "generated"], cells))
    first = next((k for k, text in enumerate(generated) if text), None)
    if first is None or model.reader_.options.kind != "text":
        return texts
    return texts + attention_weights(model, x[first], generated[first])


def attention_weights(model: Translator | Captioner, source: str, target: str) -> str:
    """The attention weights of the decoder: a row for each piece of the target, a column for each of the source."""
    weights = model.attention([source], [target])[0]
    tokenizer = model.text_.tokenizer  # of both sides
    columns = tokenizer.pieces(model.reader_.items([source])[0].tolist())[:MAX_PIECES]
    pieces = [*tokenizer.pieces(tokenizer.encode(target)), "end"][:MAX_PIECES]
    rows = [
        (escape(piece), [(float(weight), "") for weight in row[: len(columns)]])
        for piece, row in zip(pieces, weights, strict=False)
    ]
    return section("Attention weights", shaded_table([escape(piece) for piece in columns], rows))


def samples(model: LanguageModel, dataset: Dataset) -> str:
    """Texts sampled from a language model."""
    texts = [model.sample(random_state=k) or "…" for k in range(5)]
    return section("Samples", "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>")


SECTIONS: Mapping[str, Callable[[Any, Dataset], str]] = {
    "classification": classification,
    "generation": generation,
    "samples": samples,
    "tagging": tagging,
    "transcription": transcription,
}
"""Section of a report by its name in `rekur.registry.Task.report`."""
