"""The command line on real files, and every kind of bad input: one clear line, exit code 2, nothing written."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from rekur.cells import CELLS
from rekur.cli import app, main, parameters
from rekur.forecasting.config import MAX_LEVEL
from rekur.forecasting.selection.scores import SELECTIONS
from rekur.registry import COMMANDS

pytestmark = pytest.mark.usefixtures("short_epochs")


class Ran:
    """How a command ended."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def rekur(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Run the command line in this process."""
    monkeypatch.setattr("rekur.training.progress.INTERVAL", 3600.0)  # no lines from slow machines

    def run(*words: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return Ran(ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def daily(n: int = 70, start: str = "2024-01-01") -> pd.DataFrame:
    """A plain table: a weekly season."""
    return pd.DataFrame({"ds": pd.date_range(start, periods=n), "y": 5.0 + np.arange(n) % 7})


def write(text: str | pd.DataFrame, name: str = "in.csv") -> str:
    """Put a file into the working folder."""
    Path(name).write_text(text if isinstance(text, str) else text.to_csv(index=False))
    return name


def refused(ran: Ran, here: Path, *words: str, files: tuple[str, ...] = ("in.csv",)) -> None:
    """One line that holds the words, exit code 2, no traceback, and no file that was not there."""
    assert ran.code == 2, ran.err
    assert ran.out == ""
    assert ran.err.count("\n") == 1, ran.err
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err, ran.err
    assert sorted(p.name for p in here.iterdir()) == sorted(files)


TIMES = [f"2024-01-0{k}" for k in range(1, 7)]
GOOD = "".join(f"{t},{k}\n" for k, t in enumerate(TIMES))
BAD_TABLES = {
    "empty file": ("", ["in.csv", "empty"]),
    "header only": ("ds,y\n", ["in.csv", "no rows"]),
    "missing columns": ("a,b,c\nx,y,z\nu,v,w\n", ["in.csv", "--time"]),
    "text in the target": ("ds,y\n" + GOOD + "2024-01-07,many\n", ["in.csv", "'y'", "row 8", "many"]),
    "all-missing target": ("ds,y\n" + "".join(f"{t},\n" for t in TIMES), ["in.csv", "y", "missing"]),
    "infinite value": ("ds,y\n" + GOOD + "2024-01-07,inf\n", ["in.csv", "'y'", "row 8", "inf"]),
    "doubled time": ("unique_id,ds,y\n" + "".join(f"a,{t},1\n" for t in [*TIMES, TIMES[2]]),
                     ["in.csv", "'a'", "2024-01-03", "row 4", "row 8", "--duplicates"]),
    "unparsable date": ("ds,y\n" + GOOD + "someday,7\n", ["in.csv", "'ds'", "row 8", "someday"]),
    "half a zone": ("ds,y\n" + "".join(f"{t}T00:00:00{'Z' * (k % 2)},{k}\n" for k, t in enumerate(TIMES)),
                    ["in.csv", "'ds'", "some times have a time zone", "in all of them"]),
    "irregular spacing": ("ds,y\n2024-01-01,1\n2024-01-02 03:17,2\n2024-01-05 11:01,3\n2024-01-09 23:59,4\n"
                          "2024-01-10 01:02,5\n2024-01-17 05:44,6\n", ["in.csv", "row", "--freq"]),
    "all series too short": ("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\nb,2024-01-01,1\n",
                             ["in.csv", "too short", "'a'", "3"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case: str, rekur: object, here: Path) -> None:
    text, words = BAD_TABLES[case]
    refused(rekur("forecast", write(text), "--horizon", 2, "--out", "o.csv", "--save", "m"), here, *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--horizon", "0"], ["horizon", "above zero", "0"]),
        (["--horizon", "-3"], ["horizon", "-3"]),
        (["--horizon", "two"], ["--horizon", "integer"]),
        ([], ["--horizon"]),
        (["--horizon", "2", "--cell", "tcn"], ["'tcn'", "'rnn'", "'lstm'", "'gru'"]),
        (["--horizon", "2", "--freq", "moon"], ["moon", "MS"]),
        (["--horizon", "2", "--duplicates", "max"], ["'max'", "'mean'"]),
        (["--horizon", "2", "--level", "101"], ["--level", "101"]),
        (["--horizon", "2", "--time-limit", "0"], ["--time-limit"]),
        (["--horizon", "2", "--windows", "-1"], ["--windows"]),
        (["--horizon", "2", "--windows", "60"], ["fewer windows"]),
        (["--horizon", "2", "--season", "0"], ["season"]),
        (["--horizon", "2", "--target", "sales"], ["'sales'", "ds", "y"]),
        (["--horizon", "2", "--wrong"], ["--wrong"]),
    ],
)
def test_bad_options(options: list[str], words: list[str], rekur: object, here: Path) -> None:
    refused(rekur("forecast", write(daily()), *options), here, *words)


@pytest.mark.parametrize(
    ("option", "path", "word"),
    [("--out", "none/o.csv", "none"), ("--report", "none/r.html", "none"), ("--save", "none/m", "none"),
     ("--out", ".", "folder"), ("--save", "in.csv", "it is a file"), ("--out", "o.xls", ".csv.gz")],
)  # fmt: skip
def test_output_that_cannot_be_written(option: str, path: str, word: str, rekur: object, here: Path) -> None:
    refused(rekur("forecast", write(daily()), "--horizon", 2, option, path), here, word)


def test_a_folder_without_permission(rekur: object, here: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (here / "locked").mkdir(mode=0o500)
    refused(
        rekur("forecast", write(daily()), "-H", 2, "--save", "locked/m"), here, "locked", files=("in.csv", "locked")
    )


def test_files_that_cannot_be_read(rekur: object, here: Path) -> None:
    refused(rekur("forecast", "none.csv", "-H", 2), here, "none.csv", "does not exist", files=())
    refused(rekur("predict", "none", "in.csv"), here, "none", "does not exist", files=())
    Path("in.csv").write_bytes(b"ds,y\n\x81")
    refused(rekur("forecast", "in.csv", "-H", 2), here, "in.csv", "UTF-8")
    Path("in.csv").write_bytes(gzip.compress(b"ds,y\n")[:12])
    refused(rekur("forecast", "in.csv", "-H", 2), here, "in.csv", "gzip")


def test_what_must_simply_work(rekur: object, here: Path) -> None:
    """Constant values and values of 1e12 and 1e-12, in one panel; a series that is too short is named and left out."""
    base = daily().assign(unique_id="big", y=lambda d: d.y * 1e12)
    parts = [base, base.assign(unique_id="small", y=base.y * 1e-24), base.assign(unique_id="flat", y=7.0)]
    parts.append(base.head(2).assign(unique_id="short"))
    ran = rekur("forecast", write(pd.concat(parts)), "--horizon", 7, "--out", "o.csv")
    assert ran.code in (0, None), ran.err
    assert "left out: 'short', fewer than 3 values" in ran.out
    out = pd.read_csv("o.csv").set_index("unique_id")
    np.testing.assert_allclose(out.loc["flat", ["rekur", "rekur-lo-80", "rekur-hi-80"]], 7.0, rtol=1e-6)
    truth = 5.0 + np.arange(70, 77) % 7
    for name, scale in (("big", 1e12), ("small", 1e-12)):
        np.testing.assert_allclose(out.loc[name, "rekur"] / scale, truth, atol=0.5)


def test_forecast_save_and_predict(rekur: object, here: Path) -> None:
    """All outputs at once; the saved model gives the same numbers; a newer table goes through it."""
    df = daily(120)
    df["y"] += np.random.default_rng(0).normal(size=120)
    df.to_csv("in.csv.gz", index=False)
    ran = rekur(
        "forecast", "in.csv.gz", "--horizon", 7, "--level", 80, "--level", 90,
        "--out", "o.csv", "--report", "r.html", "--save", "m",
    )  # fmt: skip
    assert ran.code in (0, None), ran.err
    assert "MASE" in ran.out
    assert "over 4 windows" in ran.out
    assert sorted(p.name for p in here.iterdir()) == ["in.csv.gz", "m", "o.csv", "r.html"]
    page = Path("r.html").read_text()
    assert "rekur forecast in.csv.gz --horizon 7 --level 80 --level 90 --out o.csv --report r.html --save m" in page
    assert "90\u00a0% from" in page
    out = pd.read_csv("o.csv")
    assert list(out.columns) == ["ds", "rekur", "rekur-lo-80", "rekur-hi-80", "rekur-lo-90", "rekur-hi-90"]
    assert rekur("predict", "m", "--level", 80, "--level", 90, "--out", "p.csv").code in (0, None)
    assert Path("p.csv").read_text() == Path("o.csv").read_text()
    df.iloc[:60].to_parquet("new.parquet")
    assert rekur("predict", "m", "new.parquet", "--out", "q.csv").code in (0, None)
    assert pd.read_csv("q.csv").ds[0] == "2024-03-01"


def test_notes_are_those_of_the_table_that_is_forecast(rekur: object, here: Path) -> None:
    df = daily().assign(y=lambda d: d.y.where(d.index != 9))
    assert "1 of 70 values are missing" in rekur("forecast", write(df), "-H", 3, "--save", "m").out
    assert "1 of 70 values are missing" in rekur("predict", "m").out
    assert "missing" not in rekur("predict", "m", write(daily(60), "new.csv")).out
    ran = rekur("predict", "m", write(daily(60).drop(index=[5, 6]), "new.csv"), "--report", "r.html")
    assert "2 of 60 values are missing" in ran.out
    assert "of 70 values" not in ran.out + Path("r.html").read_text()


def test_options_without_effect_are_refused(rekur: object, here: Path) -> None:
    golden, names = Path(__file__).parent / "golden", ("in.csv",)
    write(daily())
    for option, value in (("--level", 80), ("--horizon", 3), ("--future", "in.csv"), ("--model", "naive")):
        ran = rekur("predict", golden / "text_classifier", "in.csv", option, value)
        refused(ran, here, f"{option} is for forecasts; ", "holds a Classifier: leave it out")
    ran = rekur("score", golden / "text_classifier", "in.csv", "--future", "in.csv")
    refused(ran, here, "--future is for forecasts; ")
    refused(rekur("predict", golden / "forecaster", "in.csv", "--x", "y"), here, "--x and --id are for models of")
    refused(rekur("score", golden / "forecaster", "in.csv", "--y", "y"), here, "--x, --y and --id are for models of")
    refused(
        rekur("forecast", "in.csv", "-H", 3, "--level", 0.8), here, "--level 0.8 is below 1 %: levels are in percent"
    )
    refused(rekur("forecast", "in.csv", "-H", 3, "--level", 99), here, "--level must be at most 95", files=names)
    refused(
        rekur("predict", golden / "forecaster", "--future", "in.csv"), here, "no future covariates: leave out --future"
    )
    assert "no backtest: --windows is 0" in rekur("forecast", "in.csv", "-H", 3, "--windows", 0).out
    assert "no backtest: the series are too short" in rekur("forecast", write(daily(9)), "-H", 3).out


def test_only_what_was_asked_for_is_written(rekur: object, here: Path) -> None:
    assert rekur("forecast", write(daily()), "--horizon", 3).code in (0, None)
    assert [p.name for p in here.iterdir()] == ["in.csv"]


def test_known_future_values(rekur: object, here: Path) -> None:
    df = daily(100).assign(holiday=(np.arange(100) % 10 == 0).astype(int))
    write(df.head(93))
    df.tail(7).drop(columns="y").to_csv("future.csv", index=False)
    names = ("in.csv", "future.csv")
    assert rekur("forecast", "in.csv", "--horizon", 7, "--future", "future.csv").code in (0, None)
    df.tail(6).drop(columns="y").to_csv("future.csv", index=False)
    refused(rekur("forecast", "in.csv", "-H", 7, "--future", "future.csv"), here, "2024-04-03", files=names)
    df.tail(7)[["ds"]].assign(rain=1).to_csv("future.csv", index=False)
    refused(rekur("forecast", "in.csv", "-H", 7, "--future", "future.csv"), here, "'rain'", files=names)
    df.tail(7)[["ds"]].assign(holyday=1).to_csv("future.csv", index=False)
    misspelt = rekur("forecast", "in.csv", "-H", 7, "--future", "future.csv")
    refused(misspelt, here, "has the column 'holyday', but in.csv has not", "did you mean 'holiday'?", files=names)


def test_a_saved_model_forecasts_any_number_of_steps(rekur: object, here: Path) -> None:
    write(daily())
    assert rekur("forecast", "in.csv", "-H", 3, "--model", "seasonal_naive", "--save", "m").code in (0, None)
    assert rekur("predict", "m", "-H", 9, "--out", "o.csv").code in (0, None)
    np.testing.assert_allclose(pd.read_csv("o.csv").rekur, 5 + np.arange(70, 79) % 7)
    refused(rekur("predict", "m", "--horizon", 0), here, "--horizon must be above zero", files=("in.csv", "m", "o.csv"))


def test_scores_read_the_covariates_of_the_table_or_of_the_calendar(rekur: object, here: Path) -> None:
    """A table fitted with a calendar of its own is scored with that calendar."""
    df = daily(60).assign(holiday=np.arange(60) % 5 == 0)
    df["y"] += 9 * df.holiday
    write(df.drop(columns="y"), "calendar.csv")
    write(df, "full.csv")
    write(df.drop(columns="holiday"))
    write(df.drop(columns="holiday").head(50), "old.csv")
    future = ("--future", "calendar.csv")
    assert rekur("forecast", "old.csv", "-H", 5, "--model", "regression", "--save", "m", *future).code in (0, None)
    full, joined = rekur("score", "m", "full.csv"), rekur("score", "m", "in.csv", *future)
    assert "over 2 windows" in full.out
    assert joined.out.split("\n", 1)[1] == full.out
    assert "past values of 'holiday' are from calendar.csv, for 60 of 60 rows" in joined.out
    files = ("in.csv", "calendar.csv", "full.csv", "old.csv", "m")
    refused(rekur("score", "m", "in.csv"), here, "in.csv has no column 'holiday' (covariate)", files=files)
    refused(
        rekur("score", "m", "full.csv", *future), here, "has nothing that full.csv lacks: leave it out", files=files
    )
    write(df.drop(columns="y").rename(columns={"holiday": "holidy"}), "calendar.csv")
    for words in (("score", "m", "in.csv"), ("predict", "m", "in.csv"), ("predict", "m")):
        named = "'ds', 'holidy'; did you mean 'holidy'?"
        refused(rekur(*words, *future), here, "no column 'holiday'; its columns are", named, files=files)


def start(*words: object, **options: object) -> subprocess.Popen:
    """Start the command line as a process of its own, which heeds an interrupt though this one may not."""
    command = [sys.executable, "-c", "from rekur.cli import main; main()", *map(str, words)]
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, text=True, stdout=-1, stderr=-1, stdin=-1, preexec_fn=heed, **options)


def test_standard_input_in_a_process_of_its_own(here: Path) -> None:
    ran = start("forecast", "-", "--horizon", 3, "--out", "o.csv")
    out, err = ran.communicate(daily().to_csv(index=False), timeout=120)
    assert (ran.returncode, [line for line in err.splitlines() if not line.startswith("… ")]) == (0, []), err
    assert "rekur" in out
    assert len(pd.read_csv("o.csv")) == 3


def test_an_interrupt_leaves_a_checkpoint_that_resumes(here: Path) -> None:
    """Ctrl-C in the middle of training ends with 130; with --save, the same command goes on from the checkpoint."""
    n = 4000
    y = np.random.default_rng(0).normal(size=n).cumsum()
    pd.DataFrame({"ds": np.arange(n), "y": y}).to_csv("in.csv", index=False)
    command = ("forecast", "in.csv", "--horizon", 24, "--windows", 0, "--save", "m")
    ran = start(*command)
    deadline = time.monotonic() + 100
    while not Path("m.checkpoint/config.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    ran.send_signal(signal.SIGINT)
    _, err = ran.communicate(timeout=60)
    assert ran.returncode == 130, err
    assert "the same command resumes the training from m.checkpoint" in err
    assert "Traceback" not in err
    assert sorted(p.name for p in here.iterdir()) == ["in.csv", "m.checkpoint"]
    again = start(*command, "--time-limit", 1)  # the seconds before the interrupt count
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert "cut by the time limit of " in out
    assert sorted(p.name for p in here.iterdir()) == ["in.csv", "m"]


def test_help_tells_what_to_type(rekur: object) -> None:
    text = rekur("--help").out
    for word in ("rekur forecast sales.csv --horizon 14", "--report", "predict", "demo", "exit code 2"):
        assert word in text
    assert "--time-limit" in rekur("forecast", "--help").out


def test_importing_is_light_and_quiet() -> None:
    """Neither torch nor pandas nor numpy is loaded by `import rekur`, and nothing is printed."""
    code = "import sys, rekur; print(sorted({'torch', 'pandas', 'numpy', 'plotly'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_a_folder_beside_the_model_is_left_alone(rekur: object, here: Path) -> None:
    (here / "m.checkpoint").mkdir()
    (here / "m.checkpoint" / "thesis.txt").write_text("mine")
    ran = rekur("forecast", write(daily(9)), "--horizon", 4, "--save", "m")
    assert ran.code == 2
    assert "thesis.txt" in ran.err
    assert (here / "m.checkpoint" / "thesis.txt").read_text() == "mine"


def test_the_rule_for_doubled_rows_is_saved_with_the_model(rekur: object, here: Path) -> None:
    write(pd.concat([daily(), daily().tail(3)]))
    assert rekur("forecast", "in.csv", "-H", 3, "--duplicates", "mean", "--save", "m").code in (0, None)
    assert rekur("predict", "m", "in.csv").code in (0, None)


def test_version_and_help(rekur: object) -> None:
    """-h is help for every command; the horizon is -H."""
    from rekur import __version__

    assert rekur("--version").out == f"rekur {__version__}\n"
    for command in ("forecast", "fit", "predict", "score", "demo"):
        ran = rekur(command, "-h")
        assert ran.code == 0
        assert ran.out == rekur(command, "--help").out
        assert f"    rekur {command} " in ran.out.split("Examples:\n")[1]
    assert "-H, --horizon" in rekur("forecast", "-h").out


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["forcast", "in.csv"], "Did you mean 'forecast'?"),
        (["forecast", "in.csv", "--horizn", "3"], "did you mean --horizon?"),
        (["forecast", "in.csv", "-H", "3", "--target", "sale"], "did you mean 'sales'?"),
        (["forecast", "in.csv", "-H", "3", "--target", "sales", "--cell", "gur"], "did you mean 'gru'?"),
        (["fit", "clasify", "in.csv"], "did you mean 'classify'?"),
        (["fit", "classify", "in.csv", "--y", "SALES"], "did you mean 'sales'?"),
        (["fit", "classify", "in.csv", "--input", "numers"], "did you mean 'numbers'?"),
    ],
)
def test_near_misses(words: list[str], suggestion: str, rekur: object, here: Path) -> None:
    write(daily().rename(columns={"y": "sales"}))
    refused(rekur(*words), here, suggestion)


def test_names_of_arguments_become_options(rekur: object, here: Path) -> None:
    """Messages speak of options; the names of the user's files and columns stay as they are."""
    from rekur.cli.errors import in_options

    assert in_options("name it with time_col (or id_col)") == "name it with --time (or --id)"
    assert in_options("pass the step as freq=, for example freq=2h") == "pass the step as --freq, for example --freq 2h"
    assert in_options("freq='moon' is not known") == "--freq 'moon' is not known"
    assert in_options("pass futr_df.") == "pass --future."
    assert in_options("hidden_size must be above zero") == "--hidden must be above zero"
    for text in (
        "my_time_col",
        "time_col.csv",
        "no column 'id_col'",
        'has "freq=D"',
        "the freq, cell and input",
        "a/id_col/b",
    ):
        assert in_options(text) == text
    assert in_options("my freq=D.csv: give freq=", ["my freq=D.csv"]) == "my freq=D.csv: give --freq"
    table = daily().rename(columns={"y": "futr_df"}).assign(target_col="a", id_col="b")
    write(table.assign(time_col="c"), "id_col target_col freq=.csv")
    ran = rekur("forecast", "id_col target_col freq=.csv", "-H", 3, "--time", "futr_df", "--target", "time_cl")
    refused(
        ran, here, "rekur: id_col target_col freq=.csv has no column 'time_cl'",
        "'futr_df', 'target_col', 'id_col', 'time_col'", "with --target", "did you mean 'time_col'?",
        files=("id_col target_col freq=.csv",),
    )  # fmt: skip


def test_completion(tmp_path: Path) -> None:
    """The shell completes commands, options, tasks and cells."""
    for words, expected in (("rekur f", ["forecast", "fit"]), ("rekur fit t", ["tag", "translate", "transcribe"]),
                            ("rekur forecast a.csv --cell l", ["lstm"])):  # fmt: skip
        env = {
            **os.environ,
            "_REKUR_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        code = "import sys; sys.argv = ['rekur']; from rekur.cli import main; main()"
        ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert ran.stdout.split() == expected, ran.stderr


ROOT = Path(__file__).resolve().parents[1]


def documented() -> dict[str, str]:
    """The sections of docs/cli.md on a command each, by its name."""
    parts = re.split(r"^## ", (ROOT / "docs/cli.md").read_text(), flags=re.M)[1:]
    return {title.removeprefix("rekur "): text for title, text in (part.split("\n", 1) for part in parts)}


@pytest.mark.parametrize("name", ["forecast", "fit", "score", "predict", "demo", "info", "help"])
def test_every_option_is_documented(name: str) -> None:
    """The table of a command in docs/cli.md has a row for each of its options, and no other; each example parses."""
    command = typer.main.get_command(app).commands[name]
    options = {option for each in command.params for option in each.opts if option.startswith("-")}
    rows = re.findall(r"^\| (`-.*?) \|", documented()[name], flags=re.M)
    assert set(re.findall(r"`(--?[a-zA-Z-]+)", "\n".join(rows))) == options
    examples = re.findall(rf"^ {{2,4}}rekur {name}\b(.*)$", documented()[name] + (command.epilog or ""), flags=re.M)
    assert examples
    for words in examples:
        command.make_context(name, shlex.split(words))


def test_every_task_is_documented() -> None:
    """The table of tasks in docs/cli.md says what the registry says."""
    for name, task in COMMANDS.items():
        columns = (
            ", ".join(f"`{column}`" for column in names) for names in (task.dataset.sequences, task.dataset.targets)
        )
        assert (
            f"| `{name}` | `{task.estimator}` | {' | '.join(text or 'none' for text in columns)} |"
            in documented()["fit"]
        )


def test_the_listed_choices_are_those_of_the_package() -> None:
    """The command line lists them without loading torch."""
    assert parameters.SELECTIONS == SELECTIONS
    assert set(parameters.CELLS) == set(CELLS)
    assert parameters.MAX_LEVEL == MAX_LEVEL


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("forecast gone.csv -H 2", "gone.csv does not exist: name a file or folder, or - for standard input"),
        ("forecast in.csv -H 2 --future gone.csv", "gone.csv does not exist"),
        ("forecast in.csv -H 0", "--horizon must be above zero, got 0"),
        ("forecast in.csv -H 2 --level 99", "--level must be at most 95, got 99"),
        ("forecast in.csv -H 2 --windows -1", "--windows must not be negative, got -1"),
        ("forecast in.csv -H 2 --time-limit 0", "--time-limit must be above zero, got 0"),
        ("forecast in.csv -H 2 --cell gur", "did you mean 'gru'"),
        ("forecast in.csv -H 2 --model nave", "did you mean 'naive'"),
        ("forecast in.csv -H 2 --out gone/next.csv", "gone does not exist; create it first"),
        ("forecast in.csv -H 2 --out in.csv/next.csv", "in.csv is a file, not a folder"),
        ("forecast in.csv -H 2 --report .", "--report . is a folder; name a file"),
        ("forecast in.csv -H 2 --save .", "cannot write the model to .: the folder holds 'in.csv'"),
        ("fit classify in.csv --save gone/model", "gone does not exist; create it first"),
        ("predict . --report gone/next.html", "gone does not exist; create it first"),
        ("score . in.csv --report .", "--report . is a folder; name a file"),
        ("demo --out in.csv", "cannot write to in.csv: File exists; choose a writable folder"),
        ("predict gone", "gone does not exist: name the folder of a saved model"),
        ("fit sing in.csv", "'classify'"),
        ("classify in.csv", "classify is a task of rekur fit: rekur fit classify DATA"),
    ],
)
def test_plain_errors_come_before_large_libraries(
    words: str, text: str, rekur: object, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rekur.cli.forecasting", "rekur.cli.sequence", "rekur.cli.outputs"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of them fails
    write(daily(9))
    refused(rekur(*words.split()), here, text)


@pytest.mark.parametrize("option", ["--out", "--report", "--save"])
def test_a_folder_without_permission_is_refused_before_large_libraries(
    option: str, rekur: object, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setitem(sys.modules, "rekur.cli.forecasting", None)
    write(daily(9))
    refused(rekur("forecast", "in.csv", "-H", 2, option, "result"), here, "cannot be written; choose another one")


def test_the_command_line_itself_is_light() -> None:
    """Neither torch nor pandas nor numpy is loaded for the help and for plain errors."""
    code = "import sys, rekur.cli, rekur.cli.errors; print({'torch', 'pandas', 'numpy', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
