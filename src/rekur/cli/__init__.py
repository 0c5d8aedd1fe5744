"""The command line: `rekur forecast`, `rekur fit`, `rekur predict`, `rekur score`, `rekur demo`, `rekur info`."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from rekur.core import OptionError, RekurError

__all__ = ["app", "demo", "fit", "forecast", "info", "main", "predict", "score"]

app = typer.Typer(
    name="rekur",
    help="""Recurrent networks made practical: from a table to a checked forecast, and from
texts, recordings and videos to labels, tags and sentences.

\b
  rekur forecast sales.csv --horizon 14
  rekur forecast load.parquet --horizon 48 --out next.csv --report report.html --save model
  rekur predict model newer.csv --out next.csv
  rekur fit classify reviews.csv --save model
  rekur score model others.csv
  rekur demo

A table of series is long (an id, a time and a value column), plain (a time and a value) or wide (a time and one
column a series). Columns named unique_id, ds, y (or item_id, timestamp, target) are found by themselves; others are
named with --id, --time, --target. The frequency is found from the times; missing values stay missing.

Nothing is written but what is asked for. Bad input ends with one line and exit code 2.""",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

File = Annotated[str, typer.Argument(help="CSV, CSV.gz or Parquet file; - for CSV on standard input")]
Id = Annotated[str | None, typer.Option("--id", help="column that names the series")]
Time = Annotated[str | None, typer.Option(help="column of the times")]
Target = Annotated[str | None, typer.Option(help="column to forecast")]
Level = Annotated[list[float] | None, typer.Option(help="interval in percent, may be repeated [default: 80]")]
Future = Annotated[str | None, typer.Option(help="table of known future values; its columns must stand in FILE too")]
Out = Annotated[str | None, typer.Option(help="write the forecast here (.csv, .csv.gz, .parquet)")]
Report = Annotated[str | None, typer.Option(help="write a report here (one HTML file)")]
Duplicates = Annotated[str, typer.Option(help="rows of one series at one time: error, mean, first, last or sum")]


@app.command()
def forecast(
    file: File,
    horizon: Annotated[int, typer.Option("--horizon", "-h", help="steps to forecast")],
    freq: Annotated[
        str | None, typer.Option(help="such as h, D, W, MS, or 1 for whole numbers; found if absent")
    ] = None,
    season: Annotated[int | None, typer.Option(help="season length in steps; found if absent")] = None,
    id: Id = None,
    time: Time = None,
    target: Target = None,
    future: Future = None,
    level: Level = None,
    out: Out = None,
    report: Report = None,
    save: Annotated[str | None, typer.Option(help="save the model to this folder")] = None,
    windows: Annotated[int | None, typer.Option(help="past windows of the backtest; 0 for none")] = None,
    duplicates: Duplicates = "error",
    cell: Annotated[str, typer.Option(help="rnn, rnn_relu, lstm or gru")] = "gru",
    seed: Annotated[int, typer.Option(help="the same seed gives the same numbers")] = 0,
    time_limit: Annotated[float | None, typer.Option(help="seconds that training may take in all")] = None,
) -> None:
    """Learn from a table, check on its past and forecast what comes next."""
    from rekur.cli.forecasting import run
    from rekur.data.panel_group import ColumnOptions
    from rekur.forecasting.forecaster import Forecaster

    names: ColumnOptions = {"id_col": id, "time_col": time, "target_col": target, "duplicates": duplicates}
    options: dict[str, Any] = {
        "horizon": horizon,
        "freq": _whole(freq),
        "season_length": season,
        "cell": cell,
        "random_state": seed,
    }
    outputs = {"out": out, "report": report, "save": save}
    run(file, future, names, Forecaster(**options), outputs, level or [80.0], windows, time_limit)


X = Annotated[str | None, typer.Option("--x", help="column of the sequences: texts, words or paths of files")]
Y = Annotated[str | None, typer.Option("--y", help="column of what is to be learned")]
Steps = Annotated[str | None, typer.Option("--id", help="column that tells the sequences of a table of readings apart")]


@app.command()
def fit(
    task: Annotated[str, typer.Argument(help="classify, tag, translate, transcribe, caption or language")],
    data: Annotated[str, typer.Argument(help="table (CSV, TSV, JSON lines, Parquet), CoNLL file, .txt or folder")],
    save: Annotated[str | None, typer.Option(help="save the model to this folder")] = None,
    test: Annotated[str | None, typer.Option(help="data to score; a tenth of DATA is held out if absent")] = None,
    x: X = None,
    y: Y = None,
    id: Steps = None,
    input: Annotated[str | None, typer.Option(help="text, words, numbers, audio or video; found if absent")] = None,
    cell: Annotated[str | None, typer.Option(help="rnn, rnn_relu, lstm or gru")] = None,
    hidden: Annotated[int | None, typer.Option(help="size of the hidden state")] = None,
    layers: Annotated[int | None, typer.Option(help="recurrent layers")] = None,
    epochs: Annotated[int | None, typer.Option(help="how often all data is seen; found if absent")] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="translate: take over words of the source, as summaries do")
    ] = False,
    report: Report = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same numbers")] = 0,
) -> None:
    """Learn a task on texts, words, readings, recordings or videos, and tell how well it does."""
    from rekur.cli.sequence import fit as run
    from rekur.inputs.datasets import DatasetColumns

    options = {
        "input": input,
        "cell": cell,
        "hidden_size": hidden,
        "num_layers": layers,
        "copy": copy,
        "random_state": seed,
    }
    run(task, data, DatasetColumns(x, y, id), test, options, epochs, {"report": report, "save": save})


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="folder of a saved model")],
    data: Annotated[str, typer.Argument(help="data with targets, as for rekur fit")],
    x: X = None,
    y: Y = None,
    id: Steps = None,
    report: Report = None,
) -> None:
    """Tell how well a saved model does on other data."""
    from rekur.cli.sequence import score as run
    from rekur.inputs.datasets import DatasetColumns

    run(model, data, DatasetColumns(x, y, id), report)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="folder of a saved model")],
    file: Annotated[
        str | None,
        typer.Argument(help="newer table, the one the model was made with if absent; or what the model should read"),
    ] = None,
    x: X = None,
    id: Steps = None,
    future: Future = None,
    level: Level = None,
    out: Out = None,
    report: Report = None,
) -> None:
    """Forecast with a saved model, without training; or tell what one of another task reads in a file."""
    from rekur.cli import forecasting, sequence
    from rekur.cli.outputs import check
    from rekur.forecasting.forecaster import Forecaster
    from rekur.inputs.datasets import DatasetColumns
    from rekur.registry import load

    outputs = {"out": out, "report": report}
    levels = level or [80.0]
    check({**outputs, "save": None}, levels, None)
    found = load(model)
    if isinstance(found, Forecaster):
        forecasting.predict(found, file, future, outputs, levels, model)
        return
    kind = type(found).__name__
    if file is None:
        raise OptionError(f"{model} holds a {kind}: name what it should read, or - for lines of text")
    if future is not None or report is not None:
        raise OptionError(f"--future and --report are for forecasts; {model} holds a {kind}")
    sequence.predict(found, file, DatasetColumns(x, None, id), out)


@app.command()
def demo(
    folder: Annotated[str | None, typer.Option("--out", help="write forecasts and reports to this folder")] = None,
) -> None:
    """Forecast the bundled weather of New York and the prices of oil."""
    from rekur.cli.forecasting import show

    show(folder)


@app.command()
def info() -> None:
    """Tell the version and which kernels this machine runs."""
    import torch

    import rekur
    from rekur.kernels import describe

    print(f"rekur {rekur.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(describe())


def _whole(freq: str | None) -> str | int | None:
    """A frequency of digits alone is a number of steps."""
    return int(freq) if freq is not None and freq.lstrip("-").isdigit() else freq


def main() -> None:
    """Run the command line; bad input ends with one line and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait do not take the cores of other programs
    usage: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except (RekurError, MemoryError) as error:
        code = _fail(str(error) or "there is not enough memory for this")
    except usage as error:
        code = _fail(error.format_message()) if error.format_message() else 2
    except BrokenPipeError:  # the reader of a pipe has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (KeyboardInterrupt, typer.Abort):
        print("rekur: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


_OPTIONS = {"id_col": "--id", "time_col": "--time", "target_col": "--target", "freq=": "--freq ", "futr_df": "--future"}
"""What the names of Python's arguments in a message are called on the command line."""


def _fail(text: str) -> int:
    """Print one line on standard error."""
    for name, option in _OPTIONS.items():
        text = text.replace(name, option)
    print(f"rekur: {' '.join(text.split())}", file=sys.stderr)
    return 2
