"""Rows held out: nothing is learned from them, labels that occur in them alone are errors, tests stay unread."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.cli import main
from rekur.data.batching import train_validation_split
from rekur.data.validation import equal_rows
from rekur.inputs.numbers import Numbers
from rekur.training.config import Training
from test_sequences import films, moves, reviews, spelled, trips, turned

TINY = {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=1, batch_size=32)}


def other_features(n: int) -> list[np.ndarray]:
    """Features of recordings, long enough for their transcripts."""
    return list(np.random.default_rng(0).normal(size=(n, 24, 3)))


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: object) -> object:
    """The exit code of the command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def files(folder: str) -> dict[str, bytes]:
    """The files of a saved model, without the seconds of its history."""
    description = (Path(folder) / "config.json").read_text()
    lines = [line for line in description.splitlines() if '"seconds"' not in line and '"checksum"' not in line]
    return {"config": "\n".join(lines).encode(), "tensors": (Path(folder) / "model.safetensors").read_bytes()}


def test_a_test_file_is_read_to_score_alone(folder: Path) -> None:
    """Another test file changes no byte of the model."""
    x, y = reviews(240)
    pd.DataFrame({"text": x, "label": y}).to_csv("train.csv", index=False)
    pd.DataFrame({"text": x[:40], "label": y[:40]}).to_csv("one.csv", index=False)
    pd.DataFrame({"text": ["zzz"] * 30, "label": ["praise", "blame"] * 15}).to_csv("two.csv", index=False)
    for name in ("one", "two"):
        options = ("--epochs", 2, "--hidden", 4, "--save", name)
        assert run("fit", "classify", "train.csv", "--test", f"{name}.csv", *options) in (None, 0)
    assert files("one") == files("two")
    assert rekur.load("one").fit_record_.validation_rows == 24


def test_scores_are_those_of_rows_held_out_before_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = reviews(300)
    x = [f"{text} {k}" for k, text in enumerate(x)]
    pd.DataFrame({"text": x, "label": y}).to_csv("data.csv", index=False)
    seen: dict[str, list[str]] = {}
    for name in ("fit", "compare"):
        whole = getattr(rekur.Classifier, name)

        def spied(self: Any, x: list[str], *rest: Any, _name: str = name, _whole: Any = whole, **options: Any) -> Any:
            seen[_name] = list(x)
            assert "validation" not in options
            return _whole(self, x, *rest, **options)

        monkeypatch.setattr(rekur.Classifier, name, spied)
    assert run("fit", "classify", "data.csv", "--epochs", 1, "--hidden", 4) in (None, 0)
    assert sorted(seen["fit"] + seen["compare"]) == sorted(x)
    out = capsys.readouterr().out
    assert "learned from 270 examples, 27 of them to choose the epoch; scores of 30 others, held out before" in out


def unseen() -> Iterator[tuple[str, Any, Any, Any, str]]:
    """A model, its data, and validation data with a target that training lacks."""
    x, y = moves(40)
    yield "classifier", rekur.Classifier(**TINY), (x, y), (x[:6], [*y[:5], "sideways"]), "'sideways' once"
    x, y = trips(40)
    yield "tagger", rekur.Tagger(**TINY), (x, y), (x[:6], [*y[:5], ["B-ship"] * len(y[5])]), "'B-ship'"
    x, y = other_features(40), ["ab", "ba"] * 20
    yield "transcriber", rekur.Transcriber(**TINY), (x, y), (x[:4], ["ab", "az", "a", "zz"]), "'z' 3 times"
    x, y = turned(60)
    yield "translator", rekur.Translator(**TINY), (x, y), (x[:4], ["ONE", "ĦĦ", "TWO", "ONE"]), "ĦĦ"
    x, y = films(12)
    yield "captioner", rekur.Captioner(**TINY), (x, y), (x[:3], ["zebras run", *y[1:3]]), "'zebras' once"


@pytest.mark.parametrize("name", ["classifier", "tagger", "transcriber", "translator", "captioner"])
def test_targets_that_training_lacks_are_errors_with_a_note(name: str) -> None:
    """In validation data, in scores and all at once; the note names them."""
    _, model, data, held, note = next(case for case in unseen() if case[0] == name)
    model.fit(*data, validation=held)
    assert np.isfinite(model.history_[-1]["val_loss"])
    assert note in model.notes_[0]
    assert "unknown to the model" in model.notes_[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = model.evaluate(*held)
        assert np.isfinite(model.score(*held))
    assert np.isfinite(list(scores.values())).all()
    assert any(note.split()[0] in str(each.message) for each in caught) == (
        name in ("classifier", "tagger", "transcriber")
    )
    last = {"classifier": ["q"] * 6, "tagger": [["B-q"] * len(row) for row in held[0]], "transcriber": ["q"] * 4}
    if name in last:  # nothing but unknown targets: the model is trained without validation
        again = model.fit(data[0], data[1], validation=(held[0], last[name]))
        assert "val_loss" not in again.history_[-1]
        with pytest.warns(UserWarning, match="unknown to the model"):
            scores = again.evaluate(held[0], last[name])
        best = {"classifier": scores.get("accuracy"), "tagger": scores.get("accuracy")}.get(name, 0)
        assert best == 0


def test_a_language_model_reads_pieces_it_has_never_read() -> None:
    model = rekur.LanguageModel(
        hidden_size=4,
        num_layers=1,
        training=Training(max_epochs=1, batch_size=2, bptt=5),
        input=rekur.Text(pieces="word"),
    )
    model.fit(["a cat sat"] * 30, validation=["a zebra sat"])
    assert "'zebra' once" in model.notes_[0]
    assert model.perplexity(["a zebra sat"]) > 1


def test_the_validation_error_leaves_unknown_targets_out() -> None:
    x, y = moves(80)
    known = rekur.Classifier(**TINY).fit(x[:60], y[:60], validation=(x[60:], y[60:]))
    more = rekur.Classifier(**TINY).fit(x[:60], y[:60], validation=([*x[60:], x[0]], [*y[60:], "new"]))
    assert known.history_[-1]["val_loss"] == more.history_[-1]["val_loss"]
    assert (known.fit_record_.validation_rows, more.fit_record_.validation_rows) == (20, 20)
    with pytest.warns(UserWarning, match="'new' once"):
        assert more.score([x[0]], ["new"]) == 0


def test_labels_of_files_may_be_new_and_of_another_type(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels 0 and 1, and a test file with a text among them: the others are still compared."""
    x, y = reviews(120)
    numbers = [int(label == "praise") for label in y]
    pd.DataFrame({"text": x, "label": numbers}).to_csv("train.csv", index=False)
    pd.DataFrame({"text": x[:20], "label": ["new", *map(str, numbers[1:20])]}).to_csv("test.csv", index=False)
    options = ("--test", "test.csv", "--epochs", 3, "--hidden", 8, "--save", "m", "--report", "r.html")
    assert run("fit", "classify", "train.csv", *options) in (None, 0)
    printed = capsys.readouterr()
    assert "1 label of the targets is unknown to the model ('new' once)" in printed.err
    model = rekur.load("m")
    right = (model.predict(x[1:20]) == numbers[1:20]).sum() / 20
    assert f"{right:.4g}" in printed.out


@pytest.mark.parametrize("task", ["tag", "transcribe"])
def test_one_rare_target_does_not_end_a_command(folder: Path, task: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each row has a target of its own: some are held out, whatever the split."""
    if task == "tag":
        x, y = trips(40)
        y = [[*tags[:-1], f"B-{k}"] for k, tags in enumerate(y)]
        pd.DataFrame({"words": map(" ".join, x), "tags": map(" ".join, y)}).to_csv("data.csv", index=False)
    else:
        import soundfile

        x, y = spelled(30)
        for k, (wave, rate) in enumerate(x):
            soundfile.write(f"{k}.wav", wave, rate)
        rows = {"path": [f"{k}.wav" for k in range(30)], "text": [f"a{chr(0x100 + k)}" for k in range(30)]}
        pd.DataFrame(rows).to_csv("data.csv", index=False)
    assert run("fit", task, "data.csv", "--epochs", 1, "--hidden", 4) in (None, 0)
    assert "unknown to the model" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_each_label_keeps_a_training_row(share: float) -> None:
    labels = np.repeat(list("abcdef"), [1, 2, 2, 3, 40, 52])
    for seed in range(20):
        train, held = train_validation_split(100, share, seed, labels=labels)
        assert set(labels[train]) == set("abcdef")
        assert sorted([*train, *held]) == list(range(100))


def test_nothing_is_learned_from_the_rows_held_out() -> None:
    """Vocabularies, statistics and labels are those of the training rows, whatever stands in the others."""
    x, y = np.random.default_rng(0).normal(size=(300, 5, 2)), np.arange(300.0)
    other_x, other_y = x.copy(), y.copy()
    other_x[270:], other_y[270:] = 1e6, -1e6
    one, two = (rekur.Regressor(**TINY).fit(*data) for data in ((x, y), (other_x, other_y)))
    np.testing.assert_array_equal(one.predict(x), two.predict(x))
    assert one.codec_ == two.codec_
    mean = one.reader_.statistics[0].numpy()
    np.testing.assert_allclose(mean, x[:270].mean((0, 1)), rtol=1e-5)
    sentences, tags = trips(300)
    model = rekur.Tagger(**TINY).fit(sentences, tags)
    groups = equal_rows(sentences)
    train, held = train_validation_split(300, 0.1, 0, groups=groups)
    new = [[f"xyz{groups[k]}"] * len(row) if k in held else row for k, row in enumerate(sentences)]
    again = rekur.Tagger(**TINY).fit(new, [["B-x"] * len(row) if k in held else row for k, row in enumerate(tags)])
    assert again.reader_.describe() == model.reader_.describe()
    assert again.codec_ == model.codec_
    assert [r["loss"] for r in again.history_] == [r["loss"] for r in model.history_]
    assert "B-x" in again.notes_[0]
    assert len(train) == again.fit_record_.rows


def test_a_row_is_named_by_its_place_in_the_data_of_the_user() -> None:
    with pytest.raises(rekur.DataError, match="row 250 of x is not a text"):
        rekur.Classifier().fit([*["a b c"] * 250, None, *["b"] * 9], list("xy") * 130)
    with pytest.raises(rekur.DataError, match="B=299, T=0, I=0"):
        rekur.Regressor().fit(np.r_[np.zeros((299, 2, 1)), np.full((1, 2, 1), np.nan)], np.zeros(300))


def test_a_regressor_scales_what_it_reads_and_predicts() -> None:
    """A sum of twelve numbers, from 200 rows, with the defaults, in several units at once."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12, 1))
    y = x.sum((1, 2))
    columns = np.stack([y, 1e4 + 10 * y, 1e-3 * y], axis=1)
    model = rekur.Regressor().fit(5 + 100 * x[:200], columns[:200])
    error = model.predict(5 + 100 * x[200:]) - columns[200:]
    assert (1 - (error**2).mean(0) / columns[200:].var(0) > 0.95).all()
    assert "val_loss" in model.history_[-1]
    plain = rekur.Regressor(target_scale="none", input=Numbers(scale="none"), **TINY).fit(x, y, validation=0.0)
    assert plain.codec_.scale is None
    assert plain.codec_.encode(y, np.full(400, 12))[:, 0].tolist() == y.astype(np.float32).tolist()
    with pytest.raises(rekur.OptionError, match="target_scale='row' is not known"):
        rekur.Regressor(target_scale="row").fit(x, y)


def test_constant_targets_and_columns_are_predicted() -> None:
    x = np.c_[np.full(30, 7.0), np.arange(30.0)]
    model = rekur.Regressor(**TINY).fit(x, np.full(30, 5.0), epochs=40)
    assert np.isfinite(model.predict(x)).all()
    assert abs(model.predict(x) - 5).max() < 1


def test_the_validation_loss_counts_steps() -> None:
    """A batch of long rows weighs more than one of short rows: the loss is the mean over all valid steps."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, 90)
    x = [rng.normal(size=(n, 2)) for n in lengths]
    y = [row[:, :1] ** 2 for row in x]
    options = {"hidden_size": 4, "training": Training(max_epochs=1, batch_size=4), "target_scale": "none"}
    model = rekur.Regressor(**options).fit(x[:60], y[:60], validation=(x[60:], y[60:]))
    predicted = model.predict(x[60:])
    error = np.concatenate([predicted[k, : len(row)] - row for k, row in enumerate(y[60:])])
    assert model.history_[-1]["val_loss"] == pytest.approx((error**2).mean(), rel=1e-4)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_checkpoint_recognises_every_row(part: str, tmp_path: Path) -> None:
    """One other number in one of 300 rows to train on, or of 150 held out, is another training run."""
    x, y = np.random.default_rng(0).normal(size=(450, 4, 1)), np.arange(450.0)

    def fit() -> None:
        model = rekur.Regressor(hidden_size=2, training=Training(max_epochs=1, batch_size=100))
        model.fit(x[:300], y[:300], validation=(x[300:], y[300:]), checkpoint=tmp_path / "c")

    fit()
    fit()
    x[101 if part == "train" else 401] += 1e-3
    with pytest.raises(rekur.ModelFileError, match="another training run"):
        fit()


@pytest.mark.parametrize("seconds", [1e-9, 0.05])
def test_a_note_says_that_a_time_limit_ended_the_training(seconds: float) -> None:
    x, y = np.random.default_rng(0).normal(size=(400, 9, 1)), np.arange(400.0)
    training = Training(max_epochs=10_000, batch_size=20, max_seconds=seconds)
    model = rekur.Regressor(hidden_size=4, training=training).fit(x, y)
    assert f"of 10000, at its time limit of {seconds:g} s" in model.notes_[-1]
    assert np.isfinite(model.predict(x)).all()


def test_a_note_says_that_patience_has_no_effect_without_validation() -> None:
    x, y = moves(40)
    model = rekur.Classifier(hidden_size=4, num_layers=1, training=Training(max_epochs=1, patience=2))
    assert "patience has no effect" in model.fit(x, y).notes_[0]
    assert model.fit(x, y, validation=0.2).notes_ == []
