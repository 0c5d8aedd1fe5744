"""Examples of a task on sequences as HTML: true and predicted labels, tags, texts and values, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rekur import metrics
from rekur.core import Array
from rekur.data.validation import read_labels
from rekur.inputs.words import sentence
from rekur.report.drawing import Canvas, Json, line, rounded
from rekur.report.formatting import SPACE, format_number, plural
from rekur.report.markup import chart_area, legend, section, table
from rekur.report.png import heat_map, image

if TYPE_CHECKING:
    from rekur.inputs.datasets import Dataset
    from rekur.inputs.reader import Reader
    from rekur.metrics import Comparison
    from rekur.sequence.classifier import Classifier
    from rekur.sequence.language_model import LanguageModel
    from rekur.sequence.regressor import Regressor
    from rekur.sequence.seq2seq import Captioner, Translator
    from rekur.sequence.tagger import Tagger
    from rekur.sequence.transcriber import Transcriber

MAX_EXAMPLES = 12  # in the page
MAX_TEXT_LENGTH = 400  # characters of a text
MAX_WORDS = 80  # of a tagged sentence
MAX_CLASSES = 25  # of the confusion matrix
MAX_PIECES = 40  # rows and columns of the attention weights
MAX_POINTS = 2000  # of the chart of a regression
MAX_OUTPUTS = 4  # of a regression that are drawn
FRAMES = 8  # of a video
HEIGHT = 64  # of a frame in pixels, at most


class ReadingModel(Protocol):
    """The part of an estimator that shows an example."""

    @property
    def reader_(self) -> Reader:
        """Reader of the input, as learned from the training data."""


def percent(share: float) -> str:
    """A share of 1 as a percentage."""
    return f"{100 * share:.0f}{SPACE}%"


def preview(model: ReadingModel, value: Any, name: str) -> str:
    """An example as HTML: the text itself, the spectrum of a recording, or frames of a video."""
    kind = model.reader_.options.kind
    if kind in ("text", "words"):
        text = sentence(value)
        return escape(text if len(text) <= MAX_TEXT_LENGTH else text[:MAX_TEXT_LENGTH] + " …")
    item = model.reader_.items([value])[0].numpy()
    if kind == "video":
        frames = item.transpose(0, 2, 3, 1)[:: max(1, len(item) // FRAMES)]
        strip = np.concatenate(list(frames), axis=1)
        width = HEIGHT * strip.shape[1] / strip.shape[0]  # of all frames; narrower pages scale both sides
        return f"{escape(name)}<br>{image(strip, f'frames of {name}', f'width:{width:.0f}px;max-width:100%')}"
    spectrum = heat_map(item.T[::-1])
    return f"{escape(name)}<br>{image(spectrum, f'{kind} of {name}', 'height:80px;width:100%')}"


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


def label_table(actual: Array, predicted: Array, labels: Sequence[str]) -> str:
    """Count, precision, recall and F1 of each label."""
    rows = []
    for label in labels:
        true, guess = actual == label, predicted == label
        both = int((true & guess).sum())
        precision, recall = (both / n if (n := int(part.sum())) else np.nan for part in (guess, true))
        f1 = 2 * both / (int(true.sum()) + int(guess.sum())) if true.any() or guess.any() else np.nan
        shares = ["–" if np.isnan(share) else percent(share) for share in (precision, recall, f1)]
        rows.append([escape(str(label)), f"{int(true.sum()):,}", *shares])
    note = (
        "Precision: share of the predictions of a label that are right. Recall: share of its true examples that were "
        "predicted as such. F1: their harmonic mean."
    )
    return table(["label", "examples", "precision", "recall", "F1"], rows) + f'<p class="note">{note}</p>'


def classification(
    model: Classifier, dataset: Dataset, comparison: Comparison, canvas: Canvas, charts: dict[str, Json]
) -> str:
    """The confusion matrix, the scores of each label, and the errors of highest predicted probability."""
    p = model.predict_proba(dataset.x)
    predicted = model.classes_[p.argmax(1)]
    actual = read_labels(dataset.y, mixed=True)
    counts = metrics.confusion_matrix(actual, predicted, model.classes_)
    largest = np.argsort(-counts.sum(1), kind="stable")[:MAX_CLASSES]
    names = [escape(str(model.classes_[k])) for k in largest]
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    rows = [(names[i], [(share[a, b], str(counts[a, b] or "")) for b in largest]) for i, a in enumerate(largest)]
    note = "A row for each true label, a column for each predicted one; right predictions are on the diagonal."
    hidden = len(model.classes_) - len(largest)
    note += f" {plural(hidden, 'rarer label')} left out." if hidden else ""
    corner = "true \\ predicted"
    matrix = f'{shaded_table(names, rows, corner)}<p class="note">{note}</p>'
    errors = [k for k in np.argsort(-p.max(1), kind="stable") if predicted[k] != actual[k]][:MAX_EXAMPLES]
    shown = errors or list(range(min(MAX_EXAMPLES, len(actual))))
    cells = [
        [
            preview(model, dataset.x[k], dataset.names[k]),
            escape(str(actual[k])),
            f"{mark(str(predicted[k]), predicted[k] != actual[k])} ({percent(float(p[k].max()))})",
        ]
        for k in shown
    ]
    title = "Most confident errors" if errors else "Examples (no errors)"
    note = '<p class="note">In brackets the probability that the model gives to its prediction.</p>'
    return (
        section("Confusion matrix", matrix)
        + section("By label", label_table(actual, predicted, [model.classes_[k] for k in largest]))
        + section(title, table(["example", "true", "predicted"], cells, "examples") + note)
    )


def mark(text: str, wrong: bool) -> str:
    """A text as HTML, marked if it is wrong."""
    return f"<mark>{escape(text)}</mark>" if wrong else escape(text)


def marked_pair(actual: str, predicted: str) -> tuple[str, str]:
    """A true and a predicted text as HTML, with the words in which they differ marked."""
    a, b = actual.split(), predicted.split()
    parts: tuple[list[str], list[str]] = ([], [])
    for kind, *spans in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        for part, words, (start, stop) in zip(parts, (a, b), (spans[:2], spans[2:]), strict=True):
            if start < stop:
                part.append(mark(" ".join(words[start:stop]), kind != "equal"))
    first, second = (" ".join(part) or "–" for part in parts)
    return first, second


DIFFERENCES = '<p class="note">Words in which the two differ are marked.</p>'


def tagging(model: Tagger, dataset: Dataset, comparison: Comparison, canvas: Canvas, charts: dict[str, Json]) -> str:
    """Sentences with errors, the true and the predicted tag below each word; scores and confusions of the tags."""
    actual = [list(map(str, tags)) for tags in dataset.y or []]
    predicted = [list(map(str, tags)) for tags in model.predict(dataset.x)]
    wrong = [k for k, tags in enumerate(actual) if tags != predicted[k]]
    sentences = "".join(tagged(dataset.x[k], actual[k], predicted[k]) for k in wrong[:MAX_EXAMPLES])
    true, guess = (np.array([tag for tags in part for tag in tags], object) for part in (actual, predicted))
    by_count = [tag for tag, _ in Counter(true.tolist()).most_common(MAX_CLASSES)]
    pairs = Counter((a, b) for a, b in zip(true, guess, strict=True) if a != b).most_common(MAX_EXAMPLES)
    rows = [[escape(a), escape(b), f"{count:,}"] for (a, b), count in pairs]
    note = f"{len(wrong):,} of {plural(len(actual), 'sentence')} have an error."
    note += f" The first {MAX_EXAMPLES} stand here." if len(wrong) > MAX_EXAMPLES else ""
    key = '<p class="note">Below each word its true tag, then the predicted one; errors are marked.</p>'
    return (
        section("By tag", label_table(true, guess, by_count))
        + (section("Most frequent confusions", table(["true", "predicted", "words"], rows)) if rows else "")
        + section("Tagging errors", f'{key}{sentences}<p class="note">{note}</p>')
    )


def tagged(words: Sequence[str], actual: Sequence[str], predicted: Sequence[str]) -> str:
    """A sentence as HTML, with the true and the predicted tag below each word."""
    cells = "".join(
        f'<span class="word{" wrong" if a != b else ""}">{escape(str(word))}'
        f'<small title="true">{escape(a)}</small><small title="predicted">{escape(b)}</small></span>'
        for word, a, b in list(zip(words, actual, predicted, strict=True))[:MAX_WORDS]
    )
    return f'<p class="tagged">{cells}{"…" if len(words) > MAX_WORDS else ""}</p>'


def transcription(
    model: Transcriber, dataset: Dataset, comparison: Comparison, canvas: Canvas, charts: dict[str, Json]
) -> str:
    """Spectra with the transcript, each letter or word where it starts."""
    x = dataset.x[:MAX_EXAMPLES]
    rows = []
    for value, name, actual, aligned, predicted in zip(
        x, dataset.names, dataset.y or [], model.align(x), model.predict(x), strict=False
    ):
        units = "".join(f'<span style="left:{100 * position:.2f}%">{escape(unit)}</span>' for unit, position in aligned)
        line_of_units = f'<div class="aligned">{units}</div>'
        rows.append([preview(model, value, name) + line_of_units, *marked_pair(str(actual), str(predicted))])
    headings = ["recording, with the transcript where it starts", "true", "predicted"]
    return section("Transcripts", table(headings, rows, "examples") + DIFFERENCES)


def generation(
    model: Translator | Captioner,
    dataset: Dataset,
    comparison: Comparison,
    canvas: Canvas,
    charts: dict[str, Json],
) -> str:
    """Generated texts, and for a text the attention weights of the first."""
    x, y = dataset.x[:MAX_EXAMPLES], (dataset.y or [])[:MAX_EXAMPLES]
    generated = model.predict(x)
    cells = [
        [preview(model, value, name), *marked_pair(str(reference), text)]
        for value, name, reference, text in zip(x, dataset.names, y, generated, strict=False)
    ]
    texts = section("Generated texts", table(["source", "true", "predicted"], cells, "examples") + DIFFERENCES)
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
    note = (
        '<p class="note">How much each piece of the predicted text (rows) looks at each piece of the source (columns); '
        "a piece is a word or a part of one.</p>"
    )
    return section("Attention weights", shaded_table([escape(piece) for piece in columns], rows) + note)


def regression(
    model: Regressor, dataset: Dataset, comparison: Comparison, canvas: Canvas, charts: dict[str, Json]
) -> str:
    """Predicted against true values of each output, and the largest errors."""
    actual, predicted = (values_of(part) for part in (dataset.y, model.predict(dataset.x)))
    body = ""
    for k in range(min(MAX_OUTPUTS, actual.shape[1])):
        name = f"values-{k}"
        charts[name] = agreement_chart(canvas, actual[:, k], predicted[:, k])
        title = f"<h3>output {k + 1}</h3>" if actual.shape[1] > 1 else ""
        area = legend([("rekur", "examples"), ("muted", "perfect")], name) + chart_area(
            name, "predicted and true values", "low"
        )
        body += f"<div>{title}{area}</div>"
    error = np.abs(actual - predicted).max(axis=1)
    rows = []
    for k in np.argsort(-error, kind="stable")[:MAX_EXAMPLES]:
        texts = [" ".join(format_number(float(value)) for value in part[k]) for part in (actual, predicted)]
        rows.append([value_name(int(k), dataset, len(actual)), *texts, format_number(float(error[k]))])
    headings = ["example", "true", "predicted", "error"]
    return section("Predicted and true values", f'<div class="pair">{body}</div>') + section(
        "Largest errors", table(headings, rows)
    )


def value_name(k: int, dataset: Dataset, count: int) -> str:
    """Name of a value: that of its example, or its number where examples have several steps."""
    return escape(dataset.names[k]) if count == len(dataset.names) else f"value {k + 1:,}"


def values_of(targets: Any) -> Array:
    """Values of all examples, and of all their steps, (n, K)."""
    rows = [np.asarray(row, float) for row in targets]
    flat = [np.atleast_2d(row) if row.ndim != 1 else row[None] for row in (np.atleast_1d(row) for row in rows)]
    return np.concatenate(flat)


def agreement_chart(canvas: Canvas, actual: Array, predicted: Array) -> Json:
    """Predicted values against true ones, as points, with the line of perfect prediction."""
    order = np.argsort(actual, kind="stable")
    order = order[np.unique(np.linspace(0, len(order) - 1, min(MAX_POINTS, len(order))).astype(int))]
    x = actual[order]
    lines = [
        line("", "muted", rounded(x), dash=True, width=1),
        line("predicted", "rekur", rounded(predicted[order]), points=True),
    ]
    return canvas.chart({"x": "true", "y": "predicted", "unit": ""}, x, lines)


def samples(
    model: LanguageModel, dataset: Dataset, comparison: Comparison, canvas: Canvas, charts: dict[str, Json]
) -> str:
    """Texts that a language model predicts worst, and texts sampled from it."""
    baseline = comparison.baselines[comparison.baseline_name]
    losses, other = (rows[:, 0] / np.maximum(rows[:, 1], 1) for rows in (comparison.model, baseline))
    rows = [
        [
            preview(model, dataset.x[k], dataset.names[k]),
            *(format_number(float(np.exp(part[k])), 3) for part in (losses, other)),
        ]
        for k in np.argsort(-losses, kind="stable")[:MAX_EXAMPLES]
        if len(losses) == len(dataset.x)
    ]
    headings = ["text", "perplexity", escape(comparison.baseline_name)]
    hardest = section("Texts that are predicted worst", table(headings, rows, "examples")) if rows else ""
    texts = [model.sample(random_state=k) or "…" for k in range(5)]
    listed = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return hardest + section("Samples", f'<ul class="plain">{listed}</ul>')
