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
