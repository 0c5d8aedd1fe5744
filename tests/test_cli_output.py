"""What the commands print and write: clean tables on standard output, JSON, files before text, modes of files."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rekur.cli import main

pytestmark = pytest.mark.usefixtures("short_epochs")

GOLDEN = Path(__file__).parent / "golden"
CODE = "from rekur.cli import main; main()"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run the command line in this process, in an empty folder; it must succeed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rekur.training.progress.INTERVAL", 3600.0)  # no lines from slow machines

    def ran(*words: object, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed.err
        return printed.out, printed.err

    return ran


def daily(n: int = 70) -> str:
    """Write a table with a weekly season and a missing value, and give its name."""
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=n), "y": 5.0 + np.arange(n) % 7})
    frame.drop(index=4).to_csv("in.csv", index=False)
    return "in.csv"


def texts() -> str:
    """Write texts with labels and other columns, one of them without a text, and give the name of the table."""
    words = ["a fine film", "a dull film", "a fine play", None, "a dull play"] * 6
    frame = pd.DataFrame({"nr": range(30), "text": words, "label": ["good", "bad"] * 15, "who": "x"})
    frame.to_csv("texts.csv", index=False)
    return "texts.csv"


def test_a_table_on_standard_output_is_alone_there(run: Any) -> None:
    out, err = run("forecast", daily(), "-H", 3, "--out", "-")
    assert out.splitlines()[0] == "ds,rekur,rekur-lo-80,rekur-hi-80"
    assert len(pd.read_csv(io.StringIO(out))) == 3
    assert "MASE" in err
    assert [path.name for path in Path().iterdir()] == ["in.csv"]
    out, err = run("predict", GOLDEN / "text_classifier", texts(), "--out", "-")
    assert len(pd.read_csv(io.StringIO(out))) == 24
    assert "left out: row 5: no value in 'text'" in err


@pytest.mark.parametrize("words", [("--json", "--out", "-")])
def test_two_results_on_standard_output_are_refused(run: Any, words: tuple[str, ...]) -> None:
    out, err = run("forecast", daily(), "-H", 3, *words, code=2)
    assert (out, err.count("\n")) == ("", 1)
    assert "leave one of them out" in err


def test_quiet_prints_errors_alone(run: Any) -> None:
    assert run("forecast", daily(), "-H", 3, "-q", "--out", "o.csv") == ("", "")
    assert len(pd.read_csv("o.csv")) == 3
    assert run("predict", GOLDEN / "text_classifier", texts(), "--quiet") == ("", "")
    assert run("forecast", daily(), "-H", 0, "-q", code=2)[1].startswith("rekur: ")


def test_predictions_stand_beside_the_columns_of_the_table(run: Any) -> None:
    run("predict", GOLDEN / "text_classifier", texts(), "--out", "o.csv")
    written = pd.read_csv("o.csv")
    assert written.columns.tolist() == ["nr", "text", "label", "who", "prediction", "probability"]
    assert written.nr.tolist() == [k for k in range(30) if k % 5 != 3]
    out, err = run("predict", GOLDEN / "text_classifier", "o.csv", code=2)
    assert "o.csv has a column 'prediction', the name of a column of the result; rename it" in err
    Path("lines.txt").write_text("a fine film\n\na dull play\n")
    out, _ = run("predict", GOLDEN / "text_classifier", "lines.txt", "--out", "o.csv")
    assert [line.split(":")[0] for line in out.splitlines()[:2]] == ["line 1", "line 3"]
    assert pd.read_csv("o.csv").columns.tolist() == ["line", "text", "prediction", "probability"]


def tagger(run: Any) -> str:
    """Train a tagger, and give the name of its folder."""
    sentence = "go O\nto O\nRome B-city\n"
    Path("train.conll").write_text("\n".join([sentence] * 12))
    run("fit", "tag", "train.conll", "--epochs", 1, "--hidden", 4, "--save", "m")
    return "m"


def test_tags_stand_beside_their_words(run: Any) -> None:
    folder = tagger(run)
    Path("new.txt").write_text("go to Rome\nto Rome\n")
    out, _ = run("predict", folder, "new.txt", "--out", "o.conll")
    lines = Path("o.conll").read_text().split("\n")
    tags = [line.split("\t")[1] for line in lines if line]
    assert [line.split("\t")[0] for line in lines] == ["go", "to", "Rome", "", "to", "Rome", ""]
    assert out.splitlines()[1] == f"line 2: to/{tags[3]} Rome/{tags[4]}"
    assert "predictions written to o.conll" in out
    run("predict", folder, "o.conll", "--out", "o.csv")
    table = pd.read_csv("o.csv")
    assert table.columns.tolist() == ["sentence", "words", "prediction"]
    assert table.words.tolist() == ["go to Rome", "to Rome"]
    values = json.loads(run("predict", folder, "o.conll", "--json")[0])
    assert values["predictions"][1]["words"] == ["to", "Rome"]
    assert values["predictions"][1]["prediction"] == tags[3:]
    _, err = run("forecast", daily(), "-H", 3, "--out", "o.conll", code=2)
    assert "its suffix is not supported" in err


def test_files_are_written_though_nobody_reads_the_text(run: Any) -> None:
    """`rekur predict … --out o.csv | head -0` writes o.csv."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", CODE, "predict", str(GOLDEN / "text_classifier"), texts(), "--out", "o.csv"]
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ran.returncode, "Traceback" in ran.stderr) == (1, False), ran.stderr
    assert len(pd.read_csv("o.csv")) == 24


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_of_files_follow_the_umask(run: Any, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        run("forecast", daily(9), "-H", 3, "--out", "o.csv", "--save", "m", "--report", "r.html")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (*Path("m").iterdir(), *Path().glob("[or].*"))}
    assert modes == dict.fromkeys(["config.json", "model.safetensors", "o.csv", "r.html"], mode)
    assert stat.S_IMODE(Path("m").stat().st_mode) == 0o777 & ~mask


KEYS = {
    "forecast": "data series horizon frequencies notes skipped backtest baseline forecast",
    "predict": "data model estimator skipped predictions",
    "fit": "data test task estimator training_rows validation_rows epochs notes skipped rows verdict score scores "
    "baselines",
    "score": "data model estimator notes skipped rows verdict score scores baselines",
    "demo": "forecasts",
    "info": "torch threads kernels",
}
"""Keys of the JSON object of each command besides command, version and files."""


def parsed(printed: tuple[str, str], command: str) -> dict[str, Any]:
    """The one JSON object that a command has printed, with the documented keys."""
    out, err = printed
    assert (out.count("\n"), err) == (1, "")
    values = json.loads(out, parse_constant=pytest.fail)
    assert list(values) == ["command", "version", *KEYS[command].split(), "files"]
    assert values["command"] == command
    return values


def test_json_of_forecasts(run: Any) -> None:
    values = parsed(run("forecast", daily(), "-H", 3, "--json", "--out", "o.csv"), "forecast")
    frame = pd.read_csv("o.csv")
    assert [row["rekur"] for row in values["forecast"]] == frame.rekur.tolist()
    assert values["forecast"][0]["ds"] == "2024-03-11T00:00:00"
    assert (values["series"], values["horizon"], values["frequencies"]) == (1, 3, ["D"])
    assert any("values are missing" in note for note in values["notes"])
    assert values["files"] == {"out": "o.csv"}
    assert set(values["backtest"]) == {"windows", "verdict", "outcome", "metrics", "standard_errors"}
    assert values["backtest"]["metrics"]["rekur"]["MASE"] >= 0
    values = parsed(run("forecast", daily(9), "-H", 3, "--json"), "forecast")
    assert values["backtest"] is None
    run("forecast", daily(9), "-H", 3, "--save", "m", "-q")
    out, err = run("predict", "m", "--json")
    assert err == ""
    assert list(json.loads(out)) == ["command", "version", *KEYS["forecast"].split(), "files"]


def test_json_of_sequences(run: Any) -> None:
    values = parsed(run("fit", "classify", texts(), "--epochs", 1, "--hidden", 4, "--save", "m", "--json"), "fit")
    assert values["skipped"][0] == {"name": "row 5", "reason": "no value in 'text'"}
    assert (values["training_rows"], values["rows"], values["epochs"]) == (22, 2, 1)
    assert set(values["scores"]) == {"accuracy", "f1"}
    assert values["baselines"][0]["scores"].keys() >= {"accuracy"}
    score = parsed(run("score", "m", "texts.csv", "--json"), "score")
    assert score["verdict"].startswith(f"accuracy {score['scores']['accuracy']:.4g} on 24 rows")
    values = parsed(run("predict", "m", "texts.csv", "--json"), "predict")
    assert set(values["predictions"][0]) == {"nr", "text", "label", "who", "prediction", "probability"}
    out, err = run("score", "m", "gone.csv", "--json", code=2)
    assert (out, err.count("\n")) == ("", 1)


def test_a_saved_forecaster_is_scored_on_rows_it_has_not_seen(run: Any) -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": 5.0 + np.arange(70) % 7})
    frame.head(60).to_csv("old.csv", index=False)
    frame.to_csv("new.csv", index=False)
    run("forecast", "old.csv", "-H", 4, "--save", "m", "-q", "--model", "seasonal_naive")
    out, _ = run("score", "m", "new.csv")
    assert "over 2 windows" in out
    values = json.loads(run("score", "m", "new.csv", "--json")[0])
    assert (values["estimator"], values["series"], values["backtest"]["windows"]) == ("Forecaster", 1, 2)
    assert values["backtest"]["metrics"]["rekur"]["MASE"] == 0
    _, err = run("score", "m", "old.csv", code=2)
    assert "no series has 4 rows that the model was not fitted to" in err
    assert "--report is of scores of sequences" in run("score", "m", "new.csv", "--report", "r.html", code=2)[1]


def test_json_of_the_demo(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rekur.data import samples

    monkeypatch.setattr(
        samples,
        "load",
        lambda name: pd.DataFrame(
            {"unique_id": "a", "ds": pd.date_range("2024-01-01", periods=130), "y": np.arange(130.0) % 7}
        ),
    )
    values = parsed(run("demo", "--json", "--out", "d"), "demo")
    assert [each["data"] for each in values["forecasts"]] == ["nyc_weather", "oil_prices"]
    assert values["forecasts"][1]["files"] == {"out": "d/oil_prices.csv", "report": "d/oil_prices.html"}


def test_json_of_the_machine(run: Any) -> None:
    values = parsed(run("info", "--json"), "info")
    assert values["kernels"]["active"] in (*values["kernels"]["supported"], None)


def test_the_json_is_documented() -> None:
    """docs/json.md names every key of every command in its section."""
    text = (Path(__file__).parents[1] / "docs" / "json.md").read_text()
    for command, keys in KEYS.items():
        section = text.split(f"\n## rekur {command}\n")[1].split("\n## ")[0]
        assert all(f"`{key}`" in section for key in keys.split()), command


def test_rekur_alone_says_what_to_type(run: Any) -> None:
    out, err = run()
    assert err == ""
    assert "rekur forecast sales.csv --horizon 14" in out
    assert len(out.splitlines()) < 12
    assert run("help") == run("-h")
    assert run("help", "score") == run("score", "-h")
    assert "Did you mean 'score'?" in run("help", "scre", code=2)[1]


def test_a_file_that_is_read_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, before = tmp_path / "sales.csv", "ds,y\n" + "".join(f"2024-01-{day:02d},{day % 7}\n" for day in range(1, 31))
    file.write_text(before)
    for words in (["forecast", str(file), "-H", "3"], ["fit", "classify", str(file)]):
        option = "--out" if words[0] == "forecast" else "--report"
        with pytest.raises(SystemExit, match="2"):
            main([*words, option, str(file)])
        assert f"{option} {file} is a file that is read; name another one" in capsys.readouterr().err
    for several in (str(tmp_path), str(tmp_path / "*.csv")):
        with pytest.raises(SystemExit, match="2"):
            main(["forecast", several, "-H", "3", "--out", str(file)])
        assert "is a file that is read" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "classify", str(file), "--test", str(file)])
    assert "is the data to learn from" in capsys.readouterr().err
    assert file.read_text() == before
