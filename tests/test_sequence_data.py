"""Data of sequences as users have them: names of files, tables of readings, repeated examples, labels of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

import rekur
from rekur.cli import main
from rekur.core import DataError
from rekur.data.batching import PaddedArray, cross_validation_folds, train_validation_split
from rekur.data.validation import equal_rows
from rekur.training.config import Training

SMALL = ("--epochs", 1, "--hidden", 4)
TINY = {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=1)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run the command line in this process, in an empty folder: exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rekur.training.progress.INTERVAL", 3600.0)

    def ran(*words: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return ran


def tones(folder: Path, n: int = 4) -> list[str]:
    """Names of recordings of high and low tones in turn."""
    t = np.arange(1600) / 8000
    names = [str(folder / f"{k}.WAV") for k in range(n)]
    for k, name in enumerate(names):
        soundfile.write(name, 0.5 * np.sin(2 * np.pi * (400 + 800 * (k % 2)) * t), 8000, format="WAV")
    return names


def test_strings_that_name_recordings_are_read_as_recordings(tmp_path: Path) -> None:
    names = tones(tmp_path)
    model = rekur.Classifier(**TINY).fit(names, ["low", "high"] * 2)
    assert model.reader_.options.kind == "audio"
    by_path = model.predict_proba([Path(name) for name in names])
    assert np.array_equal(model.predict_proba(names), by_path)
    assert np.array_equal(model.predict_proba(np.array(names)), by_path)


def test_names_of_files_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    names = [*tones(tmp_path), str(tmp_path / "none.wav")]
    with pytest.raises(DataError, match=r"row 4 of x, .*none.wav', is the name of a file that does not exist: check"):
        rekur.Classifier(**TINY).fit(names, [0, 1, 0, 1, 0])
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"a\.npy holds an array, not a recording: read it with numpy.load"):
        rekur.Classifier(**TINY).fit([str(tmp_path / "a.npy")] * 4, [0, 1, 0, 1])


def test_texts_that_mention_files_stay_texts(tmp_path: Path) -> None:
    name = tones(tmp_path, 1)[0]
    x = ["a warm film", "a cold film", "listen to a.wav", "a warm song"]
    model = rekur.Classifier(**TINY).fit(x, [1, 0, 0, 1])
    assert model.reader_.options.kind == "words"
    assert len(model.predict(["such as a.wav"])) == 1
    with pytest.raises(
        DataError, match=r"x names files, such as .*0\.WAV', and this Classifier has learned from texts"
    ):
        model.predict([name])
    named = rekur.Classifier(**TINY, input=rekur.inputs.Words()).fit([name] * 4, [1, 0, 0, 1])
    assert len(named.predict([name])) == 1


def walks(n: int = 12, T: int = 4) -> pd.DataFrame:
    """Readings of two sensors in n sessions of people who walk or run."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"session": np.repeat([f"s{k}" for k in range(n)], T), "t": np.tile(np.arange(T), n)})
    frame["ax"] = np.repeat(np.arange(n) % 2, T) + 0.1 * generator.normal(size=n * T).round(2)
    frame["ay"] = generator.normal(size=n * T).round(2)
    return frame.assign(activity=np.repeat(np.where(np.arange(n) % 2, "run", "walk"), T))


def saved(frame: pd.DataFrame, name: str) -> str:
    """Write a table and give its name."""
    frame.to_csv(name, index=False)
    return name


def test_readings_are_read_by_the_names_of_their_columns(run: Any) -> None:
    frame = walks()
    source = saved(frame, "walks.csv")
    code, _, err = run("fit", "classify", source, "--id", "session", "--y", "activity", *SMALL, "--save", "m")
    assert code == 0, err
    assert "· readings: 't', 'ax', 'ay'; the steps of each 'session' are in the order of the rows" in err
    assert (
        "· 't' counts the steps of each 'session' and is read as a reading: leave it out if it means nothing\n" in err
    )
    assert rekur.load("m").columns_.names == ("t", "ax", "ay")
    predicted = {}
    for name, other in {
        "same": frame,
        "moved": frame[["ay", "activity", "t", "session", "ax"]],
        "more": frame.assign(az=1.0, who="me"),
    }.items():
        code, _, err = run("predict", "m", saved(other, "other.csv"), "--out", "out.csv")
        assert code == 0, err
        assert ("not used: 'az'" in err and "not used: 'who'" in err) == (name == "more")
        assert "counts the steps" not in err
        predicted[name] = Path("out.csv").read_text()
    assert predicted["same"] == predicted["moved"] == predicted["more"]
    assert run("score", "m", "walks.csv")[1] == run("score", "m", saved(frame[frame.columns[::-1]], "b.csv"))[
        1
    ].replace("b.csv", "walks.csv")
    code, _, err = run("predict", "m", saved(frame.rename(columns={"ay": "aye"}), "other.csv"))
    assert (code, "other.csv has no column 'ay', which the model reads" in err, "did you mean 'aye'" in err) == (
        2,
        1,
        1,
    )


def test_a_cell_of_a_reading_that_is_no_number_is_named(run: Any) -> None:
    frame = walks().astype({"ax": object})
    frame.loc[5, "ax"] = "n/a?"
    options = ("--id", "session", "--y", "activity", *SMALL)
    code, _, err = run("fit", "classify", saved(frame, "walks.csv"), *options)
    assert code == 2
    assert err.startswith("rekur: walks.csv, column 'ax', row 7: 'n/a?' is not a number")
    frame = walks()
    frame.loc[3, "session"] = None
    assert (
        "row 5 of walks.csv has no value in 'session'" in run("fit", "classify", saved(frame, "walks.csv"), *options)[2]
    )
    frame = walks().assign(device="left", charged=True)
    code, _, err = run("fit", "classify", saved(frame, "walks.csv"), *options)
    assert code == 0, err
    assert "· not used: 'device', which holds no numbers\n" in err
    assert "· not used: 'charged', which holds true and false: write 1 and 0 to use it\n" in err


def test_steps_follow_a_column_of_times_and_not_a_counter(run: Any) -> None:
    frame = walks()
    frame.insert(1, "when", pd.Timestamp("2025-01-01 10:00") + pd.to_timedelta(frame.t, unit="s"))
    options = ("--id", "session", "--y", "activity", *SMALL)
    shuffled = frame.sample(frac=1.0, random_state=0).sort_values(
        "session", key=lambda s: s.str[1:].astype(int), kind="stable"
    )
    _, _, err = run("fit", "classify", saved(frame, "walks.csv"), *options, "--save", "m")
    assert "· readings: 't', 'ax', 'ay'; the steps of each 'session' are in the order of 'when'\n" in err
    run("predict", "m", "walks.csv", "--out", "a.csv")
    assert "in the order of 'when'" in run("predict", "m", saved(shuffled, "walks.csv"), "--out", "b.csv")[2]
    assert Path("a.csv").read_text() == Path("b.csv").read_text()
    dated = frame.drop(columns="when").assign(born="2001-02-03", left=["2025-01-02", None] * 24)
    _, _, err = run("fit", "classify", saved(dated, "walks.csv"), *options)
    assert "are in the order of the rows" in err
    assert "· not used: 'born', a column of times that are the same at all steps of a sequence\n" in err
    assert "· not used: 'left', a column of times with empty cells\n" in err
    _, _, err = run("fit", "classify", saved(shuffled.drop(columns="when"), "walks.csv"), *options)
    assert "the rows do not follow it: sort the table by 't' to read the steps in that order" in err


def test_several_labels_of_a_sequence_are_named_with_their_rows(run: Any) -> None:
    frame = walks()
    frame.loc[6, "activity"] = "walk"
    code, _, err = run("fit", "classify", saved(frame, "walks.csv"), "--id", "session", "--y", "activity", *SMALL)
    assert code == 2
    assert "session 's1' of walks.csv has several labels in 'activity', 'run' in row 6 and 'walk' in row 8" in err
    frame = walks()
    frame.loc[4:7, "activity"] = None
    code, _, err = run("fit", "classify", saved(frame, "walks.csv"), "--id", "session", "--y", "activity", *SMALL)
    assert (code, "· left out: s1: no label in 'activity'" in err) == (0, True)


@pytest.mark.parametrize("labels", [None, np.arange(60) % 3])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_equal_rows_are_held_out_together(share: float, labels: Any) -> None:
    groups = np.random.default_rng(1).permutation(np.arange(60).repeat(3))
    by_row = None if labels is None else labels[groups]
    train, held = train_validation_split(180, share, 4, labels=by_row, groups=groups)
    assert sorted([*train, *held]) == list(range(180))
    assert len(held) == round(180 * share)
    assert not set(groups[train]) & set(groups[held])
    if by_row is not None:
        assert np.ptp(np.bincount(by_row[held])) <= 3
    folds = cross_validation_folds(180, 5, 4, labels=by_row, groups=groups)
    assert np.bincount(folds).tolist() == [36] * 5
    assert all(len(set(folds[groups == k])) == 1 for k in range(60))


@pytest.mark.parametrize("labels", [None, np.arange(240) % 3])
def test_rows_that_all_differ_are_divided_as_without_groups(labels: Any) -> None:
    groups = np.arange(240)
    for one, other in zip(
        train_validation_split(240, 0.1, 4, labels=labels, groups=groups),
        train_validation_split(240, 0.1, 4, labels=labels),
        strict=True,
    ):
        assert one.tolist() == other.tolist()
    folds = cross_validation_folds(240, 10, 4, labels=labels, groups=groups)
    assert folds.tolist() == cross_validation_folds(240, 10, 4, labels=labels).tolist()


def test_a_row_that_fills_half_of_the_data_is_learned_from() -> None:
    groups = np.array([0] * 50 + list(range(1, 51)))
    train, held = train_validation_split(100, 0.1, groups=groups)
    assert len(held) == 5
    assert set(range(50)) <= set(train.tolist())
    two = np.arange(100) % 2
    assert len(train_validation_split(100, 0.1, groups=two)[1]) == 10


def test_rows_are_equal_by_their_content(tmp_path: Path) -> None:
    names = tones(tmp_path, 3)
    Path(names[2]).write_bytes(Path(names[0]).read_bytes())
    assert equal_rows([Path(name) for name in names]).tolist() == equal_rows(names, files=True).tolist() == [0, 1, 0]
    assert equal_rows(names).tolist() == [0, 1, 2]
    assert equal_rows([["a", "b"], ["a b"], ["a", "b"]]).tolist() == [0, 1, 0]
    x = np.arange(24.0).reshape(2, 4, 3) % 12
    assert equal_rows(x).tolist() == equal_rows([row.tolist() for row in x]).tolist() == [0, 0]
    x[1, 3] = 7
    assert equal_rows(x).tolist() == [0, 1]
    assert equal_rows(PaddedArray(x, np.array([3, 3]))).tolist() == [0, 0]


def test_copies_of_an_example_do_not_leak_into_the_scores(run: Any) -> None:
    pairs = pd.DataFrame({"source": [f"word{k} here" for k in range(20)], "target": [f"{k}" for k in range(20)]})
    source = saved(pd.concat([pairs] * 3), "pairs.csv")
    code, out, err = run("fit", "translate", source, *SMALL, "--json")
    assert code == 0, err
    assert '"training_rows": 54' in out
    few = saved(pd.DataFrame({"text": ["warm film", "cold film"] * 10, "label": [1, 0] * 10}), "few.csv")
    code, _, err = run("fit", "classify", few, *SMALL, "--report", "r.html")
    note = "2 of the 2 examples held out equal others that are learned from, as only 2 of the 20 examples are different"
    assert (code, note in err, note in Path("r.html").read_text()) == (0, True, True), err


FILMS = ["a warm film", "a cold film", "warm and kind", "dull and cold"]


def labelled(labels: list[Any], **columns: Any) -> str:
    """A table of texts and labels, and its name."""
    texts = [f"{FILMS[k % 4]} of day {k}" for k in range(len(labels))]
    return saved(pd.DataFrame({"text": texts, "label": labels, **columns}), "films.csv")


def test_whole_numbers_stay_whole_beside_an_empty_cell(run: Any) -> None:
    source = labelled([0, 1, None, *[0, 1] * 9], year=[2001, None, *range(2003, 2022)])
    assert run("fit", "classify", source, *SMALL, "--save", "m")[0] == 0
    assert rekur.load("m").classes_.tolist() == [0, 1]
    assert rekur.load("m").classes_.dtype.kind == "i"
    run("predict", "m", source, "--out", "out.csv")
    lines, original = Path("out.csv").read_text().splitlines(), Path(source).read_text().splitlines()
    assert lines[1].startswith("a warm film of day 0,0,2001,")
    assert lines[2].startswith("a cold film of day 1,1,,")
    assert len(lines) == len(original)


def test_labels_that_look_mistyped_are_noted(run: Any) -> None:
    labels = ["good", "bad", "good ", "Bad", "kind", "Bad", *["good", "bad"] * 7]
    code, _, err = run("fit", "classify", labelled(labels), *SMALL)
    assert code == 0, err
    assert "· blanks at the ends of labels were removed: 'good ' once\n" in err
    assert "· labels that differ in case alone are learned as different ones: 'bad' 8 times, 'Bad' 2 times\n" in err
    assert "· the label 'kind' has one example: too few to learn it and to score it\n" in err


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            range(12),
            "films.csv, column 'label': each example has a label of its own, so that there is",
        ),
        ([1.0, 2.5] * 6, "films.csv, column 'label': 2.5 in row 3 is a number with a fraction, not a label: round the"),
    ],
)
def test_columns_that_hold_no_labels_are_refused(run: Any, labels: Any, message: str) -> None:
    code, _, err = run("fit", "classify", labelled(list(labels)), *SMALL)
    assert (code, message in err, err.rstrip().endswith("or name another column with --y") or "with --y" in err) == (
        2,
        1,
        1,
    )


def test_the_column_of_the_sequences_is_no_target(run: Any) -> None:
    code, _, err = run("fit", "classify", labelled([0, 1] * 6), "--y", "text", *SMALL)
    assert (code, "'text' is named by --y: name the column of the targets with --y" in err) == (2, True)


def test_readings_without_their_id_name_the_column(run: Any) -> None:
    source = saved(walks(), "walks.csv")
    code, _, err = run("fit", "classify", source, "--y", "activity", *SMALL)
    assert code == 2
    assert "name the one to read with --x, or the one that groups rows of readings into sequences: --id session" in err


def test_headers_are_recognised_in_any_case_and_with_blanks(run: Any) -> None:
    frame = pd.DataFrame({"Text ": FILMS * 3, " Label": [1, 0] * 6})
    code, out, err = run("fit", "classify", saved(frame, "films.csv"), *SMALL)
    assert (code, "learned from 11 examples" in out) == (0, True), err


def test_a_text_may_be_the_name_of_its_column(run: Any) -> None:
    films = pd.DataFrame({"text": [*FILMS, "text"] * 3, "label": [1, 0, 1] * 5})
    assert run("fit", "classify", saved(films, "films.csv"), *SMALL)[0] == 0


@pytest.mark.parametrize("options", [(), ("--x", "a dog .", "--y", "ein Hund .")])
def test_a_first_line_of_data_is_no_header(run: Any, options: tuple[str, ...]) -> None:
    lines = ["a dog .\tein Hund .", "a cat .\teine Katze .", "a child .\tein Kind ."] * 5
    Path("pairs.tsv").write_text("\n".join(lines))
    code, _, err = run("fit", "translate", "pairs.tsv", *options, *SMALL)
    assert code == 2
    assert "its first line looks like data, 'a dog .'; write a line with names above it, such as 'source' and" in err


def test_the_most_frequent_reason_is_named_first(run: Any) -> None:
    paths = ["no/a.wav", "no/b.wav", "no/c.wav", "no/d.wav"]
    source = saved(pd.DataFrame({"path": paths, "transcript": [None, "do", "re", "mi"]}), "songs.csv")
    code, _, err = run("fit", "transcribe", source)
    assert code == 2
    assert "no/b.wav does not exist: check the path of this recording (3 rows); no value in 'transcript' (1 row)" in err
    np.save("a.npy", np.zeros(3))
    code, _, err = run("fit", "classify", saved(pd.DataFrame({"path": ["a.npy"] * 12, "label": [0, 1] * 6}), "a.csv"))
    assert (code, "a.npy holds an array, not a recording: read it with numpy.load in Python" in err) == (2, True)


def test_messages_name_options_files_and_rows(run: Any, tmp_path: Path) -> None:
    source = labelled([0, 1] * 6)
    assert "rekur: --epochs must be above zero, got 0" in run("fit", "classify", source, "--epochs", 0)[2]
    code, _, err = run("fit", "tag", source, *SMALL)
    assert (code, "row 2 of films.csv has 6 words in 'text' but 1 tag in 'label'" in err) == (2, True)
    Path("a.conll").write_text("fly O\nto\nRome B-city\n")
    code, _, err = run("fit", "tag", "a.conll", *SMALL)
    assert (code, "line 2 of a.conll, 'to', has 1 column where 2 are needed: write a word and its tag" in err) == (
        2,
        True,
    )
    for label in ("low", "high"):
        (tmp_path / "songs" / label).mkdir(parents=True)
        tones(tmp_path / "songs" / label, 2)
    code, _, err = run("fit", "classify", "songs", "--input", "text")
    assert (code, err) == (2, "rekur: --input text is for texts, and songs holds recordings or videos: leave it out\n")
    with pytest.raises(DataError, match=r"row 0 of x is the path 'a\.wav', not a text: pass its text"):
        rekur.Classifier(input=rekur.inputs.Text(), **TINY).fit([Path("a.wav")] * 2, [0, 1])


def test_samples_without_a_rate_are_refused() -> None:
    samples = np.zeros((2, 8000), dtype=np.float32)
    with pytest.raises(DataError, match=r"samples without their rate: pass pairs \(samples, 16000\)"):
        rekur.Transcriber(**TINY).fit(samples, ["do", "re"])
    with pytest.raises(DataError, match="samples without their rate"):
        rekur.inputs.Audio().learn(list(samples))


def test_mistyped_tags_are_noted() -> None:
    x = [["fly", "to", "Rome", "now"]] * 12
    y = [["O", "O", "B-city", "O"]] * 11 + [["O", "O", "B_city", "O"]]
    note = (
        "the labels 'B_city' once do not mark spans as the others do: write B-name, I-name or O to get the F1 of spans"
    )
    assert rekur.Tagger(**TINY).fit(x, y).notes_ == [note]
    assert rekur.Tagger(**TINY).fit(x, y[:11] * 1 + y[:1]).notes_ == []
    assert rekur.Tagger(**TINY).fit(x, [["DET", "P", "N", "ADV"]] * 12).notes_ == []


def test_share_held_out_stays_small_where_few_rows_differ() -> None:
    """Nine groups no larger than the share are too few to divide: rows are drawn one by one, a tenth of them."""
    groups = np.repeat(np.arange(12), [29, 15, 13, 11, 9, 8, 8, 7, 7, 6, 4, 3])
    for seed in range(5):
        train, held_out = train_validation_split(120, 0.1, seed, groups=groups)
        assert (len(train), len(held_out)) == (108, 12)
