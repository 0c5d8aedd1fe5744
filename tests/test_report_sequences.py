"""Reports of tasks on sequences: true and predicted side by side, the verdict with its baseline, terms explained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from rekur.core import Array
from rekur.inputs.datasets import Dataset
from rekur.metrics import Comparison
from rekur.metrics.sequence import score_table
from rekur.report import sequences
from rekur.report.examples import marked_pair, values_of
from rekur.report.formatting import SCORES
from report_cases import Reader, data_of, grid_of, line_of

LONG = "word<b> " * 70 + "w" * 90
"""A text that no telephone can hold in a line."""


class Fitted:
    """What a report asks of every fitted estimator."""

    cell, random_state, kind = "gru", 7, "text"
    notes_: ClassVar = ["a note of the model"]
    history_: ClassVar = [
        {"epoch": float(k), "mean_loss": 1.0 / k, "val_loss": abs(k - 2) + 0.5, "seconds": 1.0} for k in (1, 2, 3)
    ]

    def __init__(self) -> None:
        self.net_ = torch.nn.Linear(3, 2)
        self.size_ = SimpleNamespace(num_layers=1, hidden_size=16)
        self.fit_record_ = SimpleNamespace(rows=90, steps=900, validation_rows=9, error_name="1 - accuracy")
        self.reader_ = SimpleNamespace(options=SimpleNamespace(kind=self.kind), items=self.items)

    def items(self, x: list[object]) -> list[torch.Tensor]:
        return [torch.arange(3) for _ in x]


class Classifier(Fitted):
    """Gives the label "b" to every text."""

    classes_ = np.array(["a", "b", "c <i>"])

    def predict_proba(self, x: list[object]) -> Array:
        return np.tile([0.2, 0.7, 0.1], (len(x), 1))


class Tagger(Fitted):
    """Gives the tag O to every word."""

    kind = "words"

    def predict(self, x: list[list[str]]) -> list[list[str]]:
        return [["O"] * len(words) for words in x]


class Translator(Fitted):
    """Gives one text for every source."""

    def __init__(self) -> None:
        super().__init__()
        pieces = SimpleNamespace(pieces=lambda tokens: [str(token) for token in tokens], encode=lambda text: [1, 2])
        self.text_ = SimpleNamespace(tokenizer=pieces)

    def predict(self, x: list[str]) -> list[str]:
        return ["the <i>red</i> house is big"] * len(x)

    def attention(self, x: list[str], y: list[str]) -> list[Array]:
        return [np.full((3, 3), 1 / 3)]


class Transcriber(Fitted):
    """Hears "one two" in every recording."""

    kind = "audio"

    def items(self, x: list[object]) -> list[torch.Tensor]:
        return [torch.rand(30, 8) for _ in x]

    def predict(self, x: list[object]) -> list[str]:
        return ["one two"] * len(x)

    def align(self, x: list[object]) -> list[list[tuple[str, float]]]:
        return [[("one", 0.1), ("two", 0.9)] for _ in x]


class Captioner(Fitted):
    """Sees the same in every video of 8 frames of 24 by 32 pixels."""

    kind = "video"

    def items(self, x: list[object]) -> list[torch.Tensor]:
        return [torch.randint(256, (8, 3, 24, 32), dtype=torch.uint8) for _ in x]

    def predict(self, x: list[str]) -> list[str]:
        return ["a small square moves slowly to the left across a dark background"] * len(x)


class Regressor(Fitted):
    """Predicts two values for every sequence."""

    kind = "numbers"

    def predict(self, x: list[object]) -> Array:
        return np.stack([np.arange(len(x)), np.ones(len(x))], axis=1)


class LanguageModel(Fitted):
    """Samples one text."""

    def sample(self, random_state: int) -> str:
        return f"sample {random_state} <b>"


def comparison(score: str, right: Array, baseline: str, **scores: float) -> Comparison:
    """A comparison of rows that are right or wrong with a baseline that is always wrong."""
    rows, others = (np.stack([part, np.ones(len(right))], 1) for part in (right, np.zeros(len(right))))
    scores = {score: float(right.mean()), **scores, f"baseline_{score}": 0.0}
    return Comparison(scores, score, rows, {baseline: others})


def names(n: int) -> list[str]:
    return [f"row {k}" for k in range(n)]


def classified() -> str:
    y = ["a", "b", "c <i>"] * 4
    scores = comparison("accuracy", np.array([label == "b" for label in y], float), "most frequent label", f1=0.2)
    dataset = Dataset([f"{LONG} {k}" for k in range(12)], y, names(12), skipped=[("row 13", "row 13: empty <b>")])
    return sequences.html(Classifier(), dataset, scores, source="reviews <1>.csv", command="rekur score m reviews.csv")


def labelled() -> str:
    x = [["Anna", "saw", "w" * 90, *("and" for _ in range(100))], ["no", "name"]]
    dataset = Dataset(x, [["B-PER", *("O" for _ in range(102))], ["O", "O"]], names(2))
    return sequences.html(
        Tagger(), dataset, comparison("span_f1", np.array([0.0, 1.0]), "most frequent tag of each word")
    )


def translated() -> str:
    dataset = Dataset([LONG, "rot"], ["the red house is small", LONG], names(2))
    return sequences.html(Translator(), dataset, comparison("bleu", np.array([1.0, 0.0]), "copy of the source"))


def transcribed() -> str:
    dataset = Dataset(["a.wav", "b.wav"], ["one three", "one two"], ["a.wav", "b.wav"])
    return sequences.html(
        Transcriber(), dataset, comparison("word_error_rate", np.array([0.5, 0.0]), "empty transcripts")
    )


def captioned() -> str:
    names = ["clips of a camera/recording_0001.mp4", "b.mp4"]
    dataset = Dataset(names, ["a small circle moves to the left across a bright background", LONG], names)
    return sequences.html(Captioner(), dataset, comparison("bleu", np.array([0.6, 0.0]), "most frequent text"))


def regressed() -> str:
    dataset = Dataset([np.zeros((3, 1))] * 5, [[k + 0.5 * (k == 3), 1.0] for k in range(5)], names(5))
    return sequences.html(Regressor(), dataset, comparison("rmse", np.ones(5), "mean of the training values"))


def modelled() -> str:
    dataset = Dataset([LONG, "short"], None, names(2))
    rows = {name: np.array([[9.0, 3.0], [2.0, 2.0]]) * factor for name, factor in (("model", 1), ("unigrams", 2))}
    scores = Comparison({"perplexity": 9.0}, "perplexity", rows["model"], {"unigram frequencies": rows["unigrams"]})
    return sequences.html(LanguageModel(), dataset, scores)


PAGES = {
    "captioned": captioned,
    "classified": classified,
    "labelled": labelled,
    "modelled": modelled,
    "regressed": regressed,
    "transcribed": transcribed,
    "translated": translated,
}
"""A report of every kind."""


def table_with(reader: Reader, *headings: str) -> list[list[str]]:
    """The rows below headings."""
    return next(rows[1:] for rows in reader.tables if rows[0] == list(headings))


@pytest.mark.parametrize("name", PAGES)
def test_pages_hold_everything(name: str) -> None:
    """Verdict and baseline, scores with their meaning, training, settings, notes and origin; nothing is loaded."""
    page = PAGES[name]()
    reader = Reader(page)
    for tag, attrs in reader.tags:
        for key in ("src", "href", "action", "data", "srcset"):
            assert (attrs.get(key) or "#").startswith(("#", "data:")), (tag, attrs)
    assert "default-src 'none'" in page
    assert len(page.encode()) < 150_000
    titles = ("Verdict", "Scores", "Training", "Settings", "Notes", "This report")
    places = [page.index(f"<h2>{title}</h2>") for title in titles]
    assert places == sorted(places)
    assert "Baseline: " in reader.text
    assert "3 epochs, the lowest validation loss 0.5000 at epoch 2, whose weights are used" in reader.text
    assert "a note of the model" in reader.text
    data = data_of(page)
    chart = data["charts"]["training"]
    assert grid_of(data, chart) == [1, 2, 3]
    assert line_of(chart, "validation loss")["values"] == [1.5, 0.5, 1.5]


def test_labels() -> None:
    """Errors with text, true and predicted label; the confusion matrix; precision and recall of each label."""
    reader = Reader(classified())
    rows = table_with(reader, "example", "true", "predicted")
    assert len(rows) == 8  # those that are not "b"
    assert all(row[1] in ("a", "c <i>") and row[2] == "b (70\u00a0%)" for row in rows)
    assert all(row[0].startswith("word<b> word<b>") and row[0].endswith("…") for row in rows)
    assert table_with(reader, "label", "examples", "precision", "recall", "F1")[1] == [
        "b", "4", "33\u00a0%", "100\u00a0%", "50\u00a0%",
    ]  # fmt: skip
    assert "true \\ predicted" in reader.text
    assert "verdict" in reader.sections()[0]
    assert "row 13: row 13: empty <b>" in reader.text
    assert "rekur score m reviews.csv" in reader.text
    assert "reviews <1>.csv · text to label" in reader.text


@pytest.mark.parametrize(
    ("powers", "text"),
    [((0.0, 1.0), "from the linear n-gram model alone"), ((0.5, 1.0), "together"), ((1.0, 0.0), None), (None, None)],
)
def test_settings_name_the_source_of_labels(powers: tuple[float, float] | None, text: str | None) -> None:
    model = Classifier()
    if powers is not None:
        model.ensemble_ = SimpleNamespace(powers=powers, uses_network=powers[0] > 0)
    page = sequences.settings(model)
    assert ("<dt>labels</dt>" in page) == (text is not None)
    assert (text or "") in page


def test_tags() -> None:
    """Each word with its true and its predicted tag, wrong ones marked; a long sentence is cut."""
    page = labelled()
    assert '<span class="word wrong">Anna<small title="true">B-PER</small><small title="predicted">O</small>' in page
    assert page.count('class="word') == 80
    reader = Reader(page)
    assert table_with(reader, "true", "predicted", "words") == [["B-PER", "O", "1"]]
    assert "1 of 2 sentences have an error." in reader.text
    assert "most frequent tag of each word" in reader.text


def test_texts() -> None:
    """Source, true and predicted text, with the words in which they differ marked, and the attention weights."""
    page = translated()
    rows = table_with(Reader(page), "source", "true", "predicted")
    assert rows[0][1] == "the red house is small"
    assert {row[2] for row in rows} == {"the <i>red</i> house is big"}
    assert "house is <mark>big</mark>" in page
    assert "Attention weights" in page
    assert marked_pair("a b c", "a x c") == ("a <mark>b</mark> c", "a <mark>x</mark> c")
    assert marked_pair("a", "") == ("<mark>a</mark>", "–")


def test_transcripts() -> None:
    page = transcribed()
    rows = table_with(Reader(page), "recording, with the transcript where it starts", "true", "predicted")
    assert [row[1:] for row in rows] == [["one three", "one two"], ["one two", "one two"]]
    assert page.count("data:image/png") == 2
    assert '<span style="left:90.00%">two</span>' in page


def test_values() -> None:
    """The largest errors, and a chart of predicted against true values of each output."""
    page = regressed()
    rows = table_with(Reader(page), "example", "true", "predicted", "error")
    assert rows[0] == ["row 3", "3.500 1.000", "3.000 1.000", "0.5000"]
    data = data_of(page)
    assert line_of(data["charts"]["values-0"], "predicted")["values"] == [0, 1, 2, 3, 4]
    assert grid_of(data, data["charts"]["values-0"]) == [0, 1, 2, 3.5, 4]
    assert "values-1" in data["charts"]
    assert values_of([np.ones((3, 2)), np.zeros((1, 2))]).shape == (4, 2)
    assert values_of(np.ones(4)).shape == (4, 1)


def test_language() -> None:
    """The texts with the highest perplexity first, and samples."""
    reader = Reader(modelled())
    rows = table_with(reader, "text", "perplexity", "unigram frequencies")
    assert [row[1] for row in rows] == ["20.1", "2.72"]
    assert "sample 4 <b>" in reader.text


def test_outcomes_have_their_colours() -> None:
    """Green where the model is better than the best baseline by evidence, amber where it is worse."""
    dataset = Dataset(["x"] * 40, ["b"] * 40, names(40))
    better = comparison("accuracy", np.ones(40), "most frequent label")
    worse = Comparison(better.scores, "accuracy", better.baselines["most frequent label"], {"rule": better.model})
    equal = Comparison(better.scores, "accuracy", better.model, {"rule": better.model})
    for scores, outcome, kind in ((better, "better", "beats"), (worse, "worse", "behind"), (equal, "equal", "")):
        assert scores.outcome() == outcome
        page = sequences.html(Classifier(), dataset, scores)
        assert f'class="{f"verdict {kind}".strip()}"' in page
        assert scores.verdict() in Reader(page).text


def test_every_score_is_explained() -> None:
    """Each score of the estimators has a description."""
    written = {"accuracy", "f1", "exact_match", "span_f1", "word_error_rate", "character_error_rate", "bleu", "rouge1"}
    assert written | {"rouge2", "rougeL", "perplexity", "r2", "rmse", "mae"} == set(SCORES)
    assert score_table(dict.fromkeys(SCORES, 0.5))
