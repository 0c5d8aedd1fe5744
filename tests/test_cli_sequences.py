"""`rekur fit`, `predict` and `score` on real files of every kind, and on bad ones: one line, exit code 2."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from rekur.cli import main
from test_inputs import film
from test_sequences import moves, reviews, spelled, trips, turned


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rekur.training.progress.INTERVAL", 3600.0)  # no lines from slow machines

    def ran(*words: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return ran


def table(**columns: Any) -> str:
    """Write a table and give its name."""
    pd.DataFrame(columns).to_csv("data.csv", index=False)
    return "data.csv"


def page(name: str) -> str:
    """The text of a report, which loads nothing from anywhere."""
    text = Path(name).read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert len(text) < 1_500_000
    return html.unescape(re.sub(r"<script.*?</script>", "", text, flags=re.S))


def test_texts_are_classified(run: Any) -> None:
    x, y = reviews(150)
    source = table(text=x, label=y)
    code, out, err = run("fit", "classify", source, "--epochs", 3, "--hidden", 16, "--save", "m", "--report", "r.html")
    assert (code, err) == (None, "") or code == 0, err
    assert "learned from 135 examples; scores of 15 others, held out before training" in out
    assert re.search(r"accuracy +[01]\S* +[01]", out)
    assert re.search(r"accuracy [01]\S* on 15 rows: .* the best baseline, .*; (linear n-gram model|most frequent)", out)
    assert "on 15 rows: " in page("r.html")
    assert "Confusion matrix" in page("r.html")
    assert "rekur fit classify data.csv --epochs 3 --hidden 16 --save m --report r.html" in page("r.html")
    assert any(f">{text}</td>" in page("r.html") for text in x)
    assert sorted(path.name for path in Path().iterdir()) == ["data.csv", "m", "r.html"]
    code, out, _ = run("predict", "m", source, "--out", "told.csv")
    told = pd.read_csv("told.csv")
    assert told.columns.tolist() == ["text", "label", "prediction", "probability"]
    assert len(told) == 150
    code, out, _ = run("score", "m", source)
    right = float((told.prediction == y).mean())
    assert f"{right:.4g}" in out
    soundfile.write("a.wav", np.zeros(8000), 8000)
    code, _, err = run("predict", "m", "a.wav")
    assert (code, err) == (2, "rekur: m holds a Classifier of texts, and a.wav holds recordings or videos\n")


def test_words_are_tagged(run: Any) -> None:
    x, y = trips(120)
    blocks = ["\n".join(f"{word}\t{tag}" for word, tag in zip(*row, strict=True)) for row in zip(x, y, strict=True)]
    Path("a.conll").write_text("\n\n".join(blocks))
    code, out, err = run("fit", "tag", "a.conll", "--epochs", 4, "--hidden", 16, "--save", "m", "--report", "r.html")
    assert code in (None, 0), err
    assert "span f1" in out
    Path("new.txt").write_text("go to new york now\n")
    code, out, _ = run("predict", "m", "new.txt")
    assert len(out.split(": ")[1].split()) == 5
    page("r.html")


def test_texts_are_translated(run: Any) -> None:
    x, y = turned(120)
    source = table(source=x, target=y)
    code, out, err = run("fit", "translate", source, "--epochs", 2, "--hidden", 16, "--save", "m", "--report", "r.html")
    assert code in (None, 0), err
    assert "bleu" in out
    assert "Generated texts" in page("r.html")
    code, out, _ = run("fit", "translate", source, "--epochs", 1, "--hidden", 16, "--copy")
    assert "rouge1" in out


def test_recordings_are_transcribed_from_a_folder(run: Any) -> None:
    Path("said").mkdir()
    for k, ((wave, rate), text) in enumerate(zip(*spelled(30), strict=True)):
        soundfile.write(f"said/{k:02d}.wav", wave, rate)
        Path(f"said/{k:02d}.txt").write_text(text)
    Path("said/bad.wav").write_bytes(b"RIFF")
    Path("said/bad.txt").write_text("a")
    code, out, err = run(
        "fit", "transcribe", "said", "--epochs", 2, "--hidden", 16, "--save", "m", "--report", "r.html"
    )
    assert code in (None, 0), err
    assert err.count("\n") == 1
    assert "left out: bad.wav" in err
    assert "character error rate" in out
    assert "data:image/png" in page("r.html")
    code, out, _ = run("predict", "m", "said/00.wav")
    assert out.startswith("said/00.wav: ")
    code, _, err = run("predict", "m", "said/bad.wav")
    assert code == 2
    assert err.count("\n") == 1


def test_videos_are_classified_and_captioned(run: Any) -> None:
    for label, rate in (("dark", 5), ("light", 12)):
        Path("films", label).mkdir(parents=True)
        for k in range(6):
            film(Path("films", label), f"{k}.avi", frames=rate + k)
    code, out, err = run("fit", "classify", "films", "--epochs", 1, "--hidden", 8, "--save", "m", "--report", "r.html")
    assert code in (None, 0), err
    assert "film" in out or "accuracy" in out
    assert "data:image/png" in page("r.html")
    paths = sorted(str(path) for path in Path("films").rglob("*.avi"))
    source = table(path=paths, caption=[f"a {Path(path).parent.name} film" for path in paths])
    code, out, err = run("fit", "caption", source, "--epochs", 1, "--hidden", 8, "--save", "c")
    assert code in (None, 0), err
    assert "exact" in out
    code, out, _ = run("predict", "c", paths[0])
    assert out.startswith(paths[0])


def test_readings_are_classified(run: Any) -> None:
    x, y = moves(60)
    rows = [(k, *step, label) for k, (walk, label) in enumerate(zip(x, y, strict=True)) for step in walk]
    pd.DataFrame(rows, columns=["who", "a", "b", "label"]).to_csv("data.csv", index=False)
    code, out, err = run("fit", "classify", "data.csv", "--id", "who", "--epochs", 3, "--save", "m")
    assert code in (None, 0), err
    assert "learned from 54 examples" in out
    code, out, _ = run("predict", "m", "data.csv", "--id", "who")
    assert "… 60 in all" in out or out.count("\n") >= 10


def test_a_language_is_learned(run: Any) -> None:
    Path("a.txt").write_text("the cat sat on the mat\na dog lay by the door\n" * 100)
    code, out, err = run("fit", "language", "a.txt", "--epochs", 1, "--hidden", 16, "--save", "m")
    assert code in (None, 0), err
    assert "perplexity" in out
    code, _, err = run("predict", "m", "a.txt")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("fit", "sing", "data.csv"), "'classify'"),
        (("fit", "classify", "gone.csv"), "gone.csv does not exist"),
        (("fit", "classify", "data.csv", "--x", "review"), "no column 'review'"),
        (("fit", "classify", "data.csv", "--input", "smell"), "'text'"),
        (("fit", "classify", "data.csv", "--save", "data.csv"), "it is a file"),
        (("fit", "classify", "data.csv", "--copy"), "--copy is for translate"),
        (("fit", "classify", "data.csv", "--cell", "gur"), "'gru'"),
        (("fit", "transcribe", "data.csv"), "its columns are 'text', 'label': name the one to read with --x"),
        (("fit", "classify", "data.csv", "--y", "stars"), "no column 'stars'; its columns are 'text', 'label'"),
        (("fit", "translate", "data.csv"), "its columns are 'text', 'label': name the one to learn with --y"),
        (("fit", "classify", "few.csv"), "too few"),
        (
            ("fit", "classify", "one.csv"),
            "one.csv, column 'label': all examples have the label 'good', and two or more",
        ),
        (("fit", "classify", "both.csv"), "texts in 'text' and paths in 'path'; name the one to read, with --x"),
        (("score", "gone", "data.csv"), "gone does not exist"),
        (("fit", "classify", "headless.csv"), "its first line looks like data, "),
    ],
)
def test_bad_input_ends_with_one_line(run: Any, words: tuple[str, ...], text: str) -> None:
    x, y = reviews(20)
    table(text=x, label=y)
    pd.DataFrame({"text": x[:3], "label": ["a", "b", "b"]}).to_csv("few.csv", index=False)
    pd.DataFrame({"text": x, "label": "good"}).to_csv("one.csv", index=False)
    Path("headless.csv").write_text("a warm and funny film that everyone should see,1\ndull,0\n")
    pd.DataFrame({"text": x, "label": y, "path": x}).to_csv("both.csv", index=False)
    code, out, err = run(*words)
    assert (code, err.count("\n"), out) == (2, 1, ""), (out, err)
    assert text in err
    files = sorted(path.name for path in Path().iterdir())
    assert files == ["both.csv", "data.csv", "few.csv", "headless.csv", "one.csv"]


def test_a_label_that_was_never_learned_is_just_wrong(run: Any) -> None:
    x, y = reviews(60)
    run("fit", "classify", table(text=x, label=y), "--epochs", 1, "--hidden", 8, "--save", "m")
    code, out, err = run("score", "m", table(text=x, label=np.where(np.arange(60) < 30, "new", y)))
    assert code in (None, 0), err
    assert float(re.search(r"accuracy +(\S+)", out).group(1)) <= 0.5


def test_tables_of_examples_are_read_like_those_of_series(run: Any) -> None:
    """Sheet and decimal mark are options of fit, predict and score, and examples that were trained on are named."""
    pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    x, y = moves(40)
    rows = [
        (k, *(f"{value:.4f}".replace(".", ",") for value in step), label)
        for k, (walk, label) in enumerate(zip(x, y, strict=True))
        for step in walk
    ]
    frame = pd.DataFrame(rows, columns=["who", "a", "b", "label"])
    with pd.ExcelWriter("data.xlsx") as book:
        frame.to_excel(book, sheet_name="old", index=False)
        frame.to_excel(book, sheet_name="new", index=False)
    reading = ("--id", "who", "--sheet", "new", "--decimal", ",")
    code, out, err = run("fit", "classify", "data.xlsx", *reading, "--epochs", 1, "--hidden", 8, "--save", "m")
    assert code in (None, 0), err
    assert "learned from 36 examples" in out
    code, out, err = run("score", "m", "data.xlsx", *reading)
    assert code in (None, 0), err
    assert "36 of the 40 examples were trained on, and their scores are usually higher" in err
    frame["who"] += 100
    frame["a"] = [f"9{value.lstrip('-')}" for value in frame["a"]]
    frame.to_csv("new.csv", index=False, sep=";")
    code, out, err = run("score", "m", "new.csv", "--id", "who", "--decimal", ",")
    assert code in (None, 0), err
    assert "trained on" not in err
