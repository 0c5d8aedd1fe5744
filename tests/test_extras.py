"""A missing library is named before any work is lost: before training, in one line, with a command that installs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import rekur
from rekur.cli import main

TEXTS = ["good film", "bad film", "a fine play", "a dull play"] * 60


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Take a library away, and fail where training begins."""

    def remove(package: str) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == package] or [package]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, package, None)

    def trained(*_: object, **__: object) -> None:
        raise AssertionError("training has begun")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rekur.sequence.base.fit", trained)
    monkeypatch.setattr("rekur.forecasting.training.fit", trained)
    return remove


@pytest.mark.parametrize(
    ("package", "words", "cure"),
    [
        ("sklearn", ("fit", "classify", "data.csv", "--save", "m"), "pip install scikit-learn"),
        ("sacrebleu", ("fit", "translate", "data.csv", "--y", "label", "--save", "m"), "pip install sacrebleu"),
        ("rouge_score", ("fit", "translate", "data.csv", "--y", "label", "--copy"), "pip install rouge-score"),
        ("jiwer", ("fit", "transcribe", "data.csv", "--x", "text", "--y", "label"), "pip install jiwer"),
        ("sentencepiece", ("fit", "language", "data.csv"), "pip install sentencepiece"),
        ("pyarrow", ("forecast", "series.csv", "-H", "3", "--out", "o.parquet"), "pip install pyarrow"),
    ],
)
def test_the_command_line_names_the_library_first(
    package: str, words: tuple[str, ...], cure: str, without: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"{text} {k}" for k, text in enumerate(TEXTS)]
    pd.DataFrame({"text": texts, "label": [text[-4:] for text in TEXTS]}).to_csv("data.csv", index=False)
    pd.DataFrame({"ds": range(40), "y": range(40)}).to_csv("series.csv", index=False)
    without(package)
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1), err
    assert cure in err
    assert sorted(path.name for path in Path().iterdir()) == ["data.csv", "series.csv"]


@pytest.mark.parametrize(
    ("package", "model", "cure"),
    [
        ("sklearn", rekur.Classifier(), "pip install scikit-learn"),
        ("sacrebleu", rekur.Translator(), "pip install sacrebleu"),
        ("rouge_score", rekur.Translator(generation=rekur.SUMMARY), "pip install rouge-score"),
    ],
)
def test_an_estimator_names_the_library_first(package: str, model: Any, cure: str, without: Any) -> None:
    without(package)
    with pytest.raises(rekur.MissingDependencyError, match=cure):
        model.fit(TEXTS, TEXTS)


def test_scores_are_refused_before_the_texts_are_generated(without: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = rekur.Translator()
    without("sacrebleu")
    with pytest.raises(rekur.MissingDependencyError, match="the score bleu needs sacrebleu: pip install sacrebleu"):
        model.compare(TEXTS, TEXTS)
