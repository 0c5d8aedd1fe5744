"""The report of a task on sequences: scores, what was taken for what, and examples to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.inputs.words import sentence
from rekur.metrics.sequence import beside, confusion
from rekur.report.page import framed, save
from rekur.report.png import heat, image
from rekur.report.sections import section

if TYPE_CHECKING:
    from rekur.inputs.datasets import Dataset

HERE = Path(__file__).parent
SHOWN = 12  # examples in the page
LONG = 400  # letters of a text that are shown
MOST = 25  # labels in the picture of what was taken for what

STILL = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a page without charts may load: not even a script of its own."""


def write(path: str, model: Any, held: Dataset, found: Mapping[str, float]) -> None:
    """Write the report to a file, whole or not at all."""
    save(path, html(model, held, found))


def html(model: Any, held: Dataset, found: Mapping[str, float]) -> str:
    """The report as one page that needs no network and runs no script.

    model : a fitted `Classifier`, `Tagger`, `Translator`, `Transcriber`, `Captioner` or `LanguageModel` ·
    held : examples with targets · found : what `model.evaluate` says of them
    """
    kind = type(model).__name__
    title = f"{kind}: {len(held.x):,} examples"
    parts = [f"<header><h1>{escape(title)}</h1></header>", scores(found)]
    if kind == "Classifier":
        parts += [labels(model, held)]
    elif kind == "Tagger":
        parts += [tags(model, held)]
    elif kind == "Transcriber":
        parts += [transcripts(model, held)]
    elif kind in ("Translator", "Captioner"):
        parts += [texts(model, held)]
    elif kind == "LanguageModel":
        parts += [section("Samples", lines([model.sample(random_state=k) or "…" for k in range(5)]))]
    parts.append(training(model.history_))
    return framed(title, parts, STILL)


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of HTML cells."""
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def lines(texts: Sequence[str]) -> str:
    """A list of texts."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def scores(found: Mapping[str, float]) -> str:
    """Each score beside that of the baseline."""
    return section("Scores", grid(["score", "model", "baseline"], [list(map(escape, row)) for row in beside(found)]))


def training(history: Sequence[Mapping[str, float]]) -> str:
    """Loss and validation of each epoch."""
    rows = [
        [f"{r['epoch']:.0f}", f"{r['mean_loss']:.4g}", f"{r['val_loss']:.4g}" if "val_loss" in r else "–"]
        for r in history
    ]
    return section("Training", grid(["epoch", "loss", "validation"], rows)) if rows else ""


def shade(share: float) -> str:
    """A background as strong as a share of 1, on which text can be read in light and dark."""
    return f"background:rgba(31,99,240,{0.6 * share:.3f});color:var(--ink);text-align:center"


def shaded(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[float, str]]]], corner: str = "") -> str:
    """A table of cells, each a share that is its background and a text; names as HTML."""
    top = f"<th>{corner}</th>" + "".join(f'<th scope="col" style="text-align:center">{name}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f'<td style="{shade(share)}">{text}</td>' for share, text in cells)
        + "</tr>"
        for name, cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def labels(model: Any, held: Dataset) -> str:
    """What was taken for what, and the surest mistakes."""
    p = model.predict_proba(held.x)
    told = model.classes_[p.argmax(1)]
    actual = np.asarray(held.y)
    counts = confusion(actual, told, model.classes_)
    most = np.argsort(-counts.sum(1), kind="stable")[:MOST]
    names = [escape(str(model.classes_[k])) for k in most]
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    rows = [(names[i], [(share[a, b], str(counts[a, b] or "")) for b in most]) for i, a in enumerate(most)]
    matrix = shaded(names, rows, "is \\ told")
    wrong = [k for k in np.argsort(-p.max(1), kind="stable") if told[k] != actual[k]][:SHOWN]
    shown = wrong or list(range(min(SHOWN, len(actual))))
    cells = [
        [seen(model, held.x[k], held.names[k]), escape(str(actual[k])), f"{escape(str(told[k]))} ({p[k].max():.0%})"]
        for k in shown
    ]
    title = "The surest mistakes" if wrong else "Examples (no mistakes)"
    return section("What was taken for what", matrix) + section(title, grid(["example", "is", "told"], cells))


def seen(model: Any, value: Any, name: str) -> str:
    """An example as people look at it: the text itself, the spectrum of a recording, a strip of frames."""
    kind = model.reader_.options.kind
    if kind in ("text", "words"):
        text = sentence(value)
        return escape(text if len(text) <= LONG else text[:LONG] + " …")
    item = model.reader_.items([value])[0].numpy()
    if kind == "video":
        strip = np.concatenate(list(item.transpose(0, 2, 3, 1)[:: max(1, len(item) // 8)]), axis=1)
        return f"{escape(name)}<br>{image(strip, f'frames of {name}', 'height:64px;max-width:100%')}"
    picture = heat(item.T[::-1])
    return f"{escape(name)}<br>{image(picture, f'{kind} of {name}', 'height:80px;width:100%;min-width:240px')}"


def tags(model: Any, held: Dataset) -> str:
    """Sentences with their labels, mistakes marked."""
    rows = []
    for words, actual, told in zip(held.x, held.y or [], model.predict(held.x), strict=True):
        if list(actual) != told:
            marked = " ".join(
                f"{escape(w)}<sub>{escape(b) if a == b else f'<b>{escape(b)}</b> ({escape(a)})'}</sub>"
                for w, a, b in zip(words, actual, told, strict=True)
            )
            rows.append([marked])
    heads = ["sentence: told labels, <b>wrong ones</b> with the right one behind"]
    return section("Sentences with mistakes", grid(heads, rows[:SHOWN])) if rows else ""


def transcripts(model: Any, held: Dataset) -> str:
    """Spectra with the text that was heard, each letter where it begins."""
    x = held.x[:SHOWN]
    rows = []
    for value, name, actual, told in zip(x, held.names, held.y or [], model.align(x), strict=False):
        spots = "".join(
            f'<span style="position:absolute;left:{100 * at:.2f}%">{escape(letter)}</span>' for letter, at in told
        )
        line = f'<div style="position:relative;height:1.4em;font-size:0.75em">{spots}</div>'
        rows.append([seen(model, value, name) + line, escape(actual), escape("".join(letter for letter, _ in told))])
    return section("Heard", grid(["recording, letters where they begin", "said", "heard"], rows))


def texts(model: Any, held: Dataset) -> str:
    """What was written, and where the decoder looked while it wrote the first."""
    x, y = held.x[:SHOWN], (held.y or [])[:SHOWN]
    told = model.predict(x)
    cells = [
        [seen(model, value, name), escape(actual), escape(made)]
        for value, name, actual, made in zip(x, held.names, y, told, strict=False)
    ]
    made = section("Written", grid(["read", "should be", "written"], cells))
    first = next((k for k, text in enumerate(told) if text), None)
    if first is None or model.reader_.options.kind != "text":
        return made
    weights = model.attention([x[first]], [told[first]])[0]
    source = model.reader_.tokenizer.pieces(model.reader_.items([x[first]])[0].tolist())[:40]
    target = [*model.text_.tokenizer.pieces(model.text_.tokenizer.encode(told[first])), "end"][:40]
    rows = [
        (escape(piece), [(float(a), "") for a in looked[: len(source)]])
        for piece, looked in zip(target, weights, strict=False)
    ]
    picture = shaded([escape(piece) for piece in source], rows)
    return made + section("Where it looked", picture)
