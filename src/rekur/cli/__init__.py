"""Command line: `rekur forecast`, `fit`, `predict`, `score`, `demo`, `info` and `help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import monotonic
from typing import Annotated, NoReturn, cast

import typer

import rekur
from rekur.cli import options as settings
from rekur.cli import parameters
from rekur.core import OptionError

__all__ = ["app", "main"]

SHORT_HELP = """rekur {version}: recurrent networks for forecasting tables and for learning from sequences

  rekur demo                                        forecast two bundled data sets
  rekur forecast sales.csv --horizon 14             backtest and forecast a table
  rekur fit classify reviews.csv --save model       learn from texts, words, readings, recordings or videos
  rekur predict model newer.csv --out next.csv      forecast or predict with a saved model

rekur -h lists all commands, rekur COMMAND -h the options of one."""
"""Printed by `rekur` without a command."""

app = typer.Typer(
    name="rekur",
    help="""Recurrent networks for forecasting tables and for learning from sequences.

\b
  rekur forecast sales.csv --horizon 14
  rekur forecast load.parquet --horizon 48 --out next.csv --report report.html --save model
  rekur predict model newer.csv --out next.csv
  rekur fit classify reviews.csv --save model
  rekur score model others.csv
  rekur demo

A table of series is long (an id, a time and a value column), plain (a time and a value) or wide (a time and one
column a series). Columns named unique_id, ds, y (or item_id, timestamp, target) are recognised; name others with
--id, --time, --target. The frequency is inferred from the times; missing values stay missing.

Files are written only where --out, --report or --save ask for them. Bad input ends with one line and exit code 2.
`rekur COMMAND --help` lists the options of a command, with examples.""",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(requested: bool) -> None:
    """Print the version and exit."""
    if requested:
        print(f"rekur {rekur.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(SHORT_HELP.format(version=rekur.__version__))


@app.command(
    "forecast",
    epilog=parameters.examples(
        "rekur forecast sales.csv --horizon 14",
        "rekur forecast sales.csv -H 14 --level 80 --level 95 --out next.csv --report report.html",
        "rekur forecast load.csv -H 48 --id meter --time hour --target kwh --freq h --save model",
        "rekur forecast shop.csv -H 7 --future holidays.csv --windows 5",
        "rekur forecast sales.xlsx -H 12 --sheet 2024 --id store --id dept",
        "rekur forecast load/*.csv -H 24 --target 'load*' --past 'temp*' --decimal ,",
        "rekur forecast prices.csv -H 20 --model naive",
        "cat sales.csv | rekur forecast - -H 14",
    ),
)
def _forecast(
    file: parameters.Files,
    horizon: Annotated[int, typer.Option("--horizon", "-H", metavar="STEPS", help="steps to forecast")],
    freq: Annotated[
        str | None,
        typer.Option(
            metavar="FREQUENCY", help="frequency: h, D, W, MS, …, or 1 for whole numbers; inferred by default"
        ),
    ] = None,
    season: Annotated[
        int | None, typer.Option(metavar="STEPS", help="season length in steps; inferred by default")
    ] = None,
    id: parameters.Id = None,
    time: parameters.Time = None,
    target: parameters.Target = None,
    future: parameters.Future = None,
    past: parameters.Past = None,
    static: parameters.Static = None,
    decimal: parameters.Decimal = None,
    thousands: parameters.Thousands = None,
    sheet: parameters.Sheet = None,
    level: parameters.Level = None,
    out: parameters.Out = None,
    report: parameters.Report = None,
    save: parameters.Save = None,
    windows: Annotated[
        int | None, typer.Option(metavar="COUNT", help="past windows of the backtest; 0 for none")
    ] = None,
    duplicates: parameters.Duplicates = "error",
    select: parameters.Select = None,
    cell: parameters.Cell = "gru",
    seed: parameters.Seed = 0,
    time_limit: parameters.TimeLimit = None,
    json: parameters.Json = False,
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
) -> None:
    """Train on a table of series, backtest on its past and forecast the next steps."""
    started = monotonic()  # importing torch takes a part of a time limit, too
    parameters.check_numbers(horizon, level, windows, time_limit)
    parameters.check(*file, future, cell=cell, duplicates=duplicates, select=select)
    outputs = settings.Outputs(out, report, save, json, quiet, verbose)
    parameters.check_outputs(outputs)
    from rekur.cli.forecasting import run

    steps, levels, model = parameters.whole_or_text(freq), tuple(level or [80.0]), select or "auto"
    options = settings.ForecastOptions(horizon, steps, season, cell, seed, windows, time_limit, levels, model)
    covariates = tuple(past or ()), tuple(static or ())
    columns = settings.PanelColumns(parameters.names(id), time, parameters.names(target), *covariates, duplicates)
    tables = settings.ForecastInput(file, future, decimal, thousands, sheet)
    run(tables, columns, options, outputs, started)


@app.command(
    "fit",
    epilog=parameters.examples(
        "rekur fit classify reviews.csv --save model --report report.html",
        "rekur fit tag train.conll --test test.conll --save tagger",
        "rekur fit translate articles.csv --x article --y summary --copy",
        "rekur fit transcribe recordings/ --epochs 20 --save transcriber",
        "rekur fit classify readings.csv --id session --y activity",
    ),
)
def _fit(
    task: parameters.Task,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="table (CSV, TSV, JSON lines, Parquet), CoNLL file, .txt or folder")
    ],
    save: parameters.Save = None,
    test: Annotated[
        str | None, typer.Option(metavar="DATA", help="data to score, never trained on; a tenth of DATA by default")
    ] = None,
    x: parameters.X = None,
    y: parameters.Y = None,
    id: parameters.Steps = None,
    decimal: parameters.Decimal = None,
    thousands: parameters.Thousands = None,
    sheet: parameters.Sheet = None,
    input: parameters.Input = None,
    cell: parameters.OptionalCell = None,
    hidden: Annotated[int | None, typer.Option(metavar="SIZE", help="size of the hidden state")] = None,
    layers: Annotated[int | None, typer.Option(metavar="COUNT", help="number of recurrent layers")] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="COUNT", help="passes over the training data; by its size by default")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="translate: copy words of the source, as summaries do")] = False,
    report: parameters.Report = None,
    seed: parameters.Seed = 0,
    json: parameters.Json = False,
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
) -> None:
    """Train an estimator on texts, words, readings, recordings or videos, and print its scores."""
    parameters.check(data, test, task=task, cell=cell, input=input)
    outputs = settings.Outputs(None, report, save, json, quiet, verbose)
    parameters.check_outputs(outputs)
    from rekur.cli.sequence import fit as run
    from rekur.data.ingest.delimited import ReadOptions
    from rekur.inputs.datasets import DatasetColumns

    options = settings.FitOptions(input, cell, hidden, layers, epochs, copy, seed)
    run(task, data, DatasetColumns(x, y, id), test, options, outputs, ReadOptions(decimal, thousands, sheet))


@app.command(
    "score",
    epilog=parameters.examples(
        "rekur score model others.csv",
        "rekur score model others.csv --report report.html",
        "rekur score forecaster newer.csv",
        "rekur score forecaster newer.csv --future holidays.csv",
    ),
)
def _score(
    model: parameters.Model,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="data with targets, as for rekur fit; for a forecaster a table of series, with its covariates",
        ),
    ],
    x: parameters.X = None,
    y: parameters.Y = None,
    id: parameters.Steps = None,
    future: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="table of the covariates that DATA lacks, as of rekur forecast --future"),
    ] = None,
    decimal: parameters.Decimal = None,
    thousands: parameters.Thousands = None,
    sheet: parameters.Sheet = None,
    report: parameters.Report = None,
    json: parameters.Json = False,
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
) -> None:
    """Print the scores of a saved model on other data."""
    parameters.check(data, future, folder=model)
    outputs = settings.Outputs(report=report, json=json, quiet=quiet, verbose=verbose)
    parameters.check_outputs(outputs)
    from rekur.cli import forecasting, sequence
    from rekur.data.ingest.delimited import ReadOptions
    from rekur.forecasting.forecaster import Forecaster
    from rekur.inputs.datasets import DatasetColumns

    estimator = rekur.load(model)
    if not isinstance(estimator, Forecaster):
        parameters.refuse_forecast_options(f"{model} holds a {type(estimator).__name__}", future=future)
        reading = ReadOptions(decimal, thousands, sheet)
        learned = cast(sequence.SequenceModel, estimator)
        sequence.score(learned, model, data, DatasetColumns(x, y, id), outputs, reading)
    elif (x, y, id) != (None, None, None):
        raise OptionError(f"--x, --y and --id are for models of sequences; {model} holds a forecaster")
    else:
        forecasting.score(estimator, settings.ForecastInput([data], future, decimal, thousands, sheet), outputs, model)


@app.command(
    "predict",
    epilog=parameters.examples(
        "rekur predict model --out next.csv",
        "rekur predict model newer.csv --level 95 --out next.csv",
        "rekur predict model --horizon 28 --model naive",
        "rekur predict classifier unlabelled.csv --x text --out labels.csv",
    ),
)
def _predict(
    model: parameters.Model,
    file: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE…", help="newer table, by default the one of the training; or the sequences to read"
        ),
    ] = None,
    horizon: parameters.Horizon = None,
    x: parameters.X = None,
    id: parameters.Steps = None,
    future: parameters.Future = None,
    decimal: parameters.Decimal = None,
    thousands: parameters.Thousands = None,
    sheet: parameters.Sheet = None,
    level: parameters.Level = None,
    out: parameters.Predictions = None,
    report: parameters.Report = None,
    select: parameters.Select = None,
    json: parameters.Json = False,
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
) -> None:
    """Forecast or predict with a saved model, without training."""
    parameters.check_numbers(horizon, level)
    parameters.check(*(file or ()), future, folder=model, select=select)
    outputs = settings.Outputs(out, report, None, json, quiet, verbose)
    parameters.check_outputs(outputs)
    from rekur.cli import forecasting, sequence
    from rekur.cli.outputs import CONLL_SUFFIX, check_suffix
    from rekur.data.ingest.delimited import ReadOptions
    from rekur.forecasting.forecaster import Forecaster
    from rekur.inputs.datasets import DatasetColumns
    from rekur.sequence.tagger import Tagger

    levels = tuple(level or [80.0])
    estimator = rekur.load(model)
    check_suffix(out, (CONLL_SUFFIX,) if isinstance(estimator, Tagger) else ())
    if isinstance(estimator, Forecaster):
        if x is not None or id is not None:
            raise OptionError(f"--x and --id are for models of sequences; {model} holds a forecaster")
        tables = settings.ForecastInput(file or None, future, decimal, thousands, sheet)
        forecasting.predict(estimator, tables, outputs, levels, model, select, horizon)
    else:
        kind, others = type(estimator).__name__, {"level": level or None, "model": select, "report": report}
        parameters.refuse_forecast_options(f"{model} holds a {kind}", future=future, horizon=horizon, **others)
        if len(file or ()) > 1:
            raise OptionError(f"a {kind} reads one file, not {len(file or ())}: name their folder")
        name, columns = file[0] if file else None, DatasetColumns(x, None, id)
        learned = cast(sequence.SequenceModel, estimator)
        sequence.predict(learned, model, name, columns, outputs, ReadOptions(decimal, thousands, sheet))


@app.command("demo", epilog=parameters.examples("rekur demo", "rekur demo --out demo"))
def _demo(
    folder: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="folder to write forecasts and reports to")
    ] = None,
    json: parameters.Json = False,
    quiet: parameters.Quiet = False,
    verbose: parameters.Verbose = False,
) -> None:
    """Forecast the bundled weather of New York and the prices of oil."""
    outputs = settings.Outputs(json=json, quiet=quiet, verbose=verbose)
    parameters.check_outputs(outputs)
    parameters.create_folder(folder)
    from rekur.cli.forecasting import show

    show(folder, outputs)


@app.command("info")
def _info(json: parameters.Json = False) -> None:
    """Print the versions of rekur and torch, and the kernels of this machine."""
    import torch

    from rekur.cli import results
    from rekur.kernels import describe
    from rekur.kernels.extension import instruction_sets

    threads, version = torch.get_num_threads(), str(torch.__version__)
    if json:
        values = {"torch": version, "threads": threads, "kernels": instruction_sets()}
        results.write(results.result("info", settings.Outputs(), **values))
        return
    print(f"rekur {rekur.__version__}, torch {version}, {threads} threads")
    print(describe())


@app.command("help", epilog=parameters.examples("rekur help", "rekur help forecast"))
def _help(
    command: Annotated[
        str | None, typer.Argument(metavar="COMMAND", help="command to explain; all of them by default")
    ] = None,
) -> None:
    """Show the help of rekur or of one command, like -h."""
    app([*([] if command is None else [command]), "--help"], prog_name="rekur", standalone_mode=False)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; bad input ends with one line on standard error and exit code 2.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments after `rekur`; by default those of the process.

    Raises
    ------
    SystemExit
        Always, with exit code 0 (success), 1 (broken pipe), 2 (bad input) or 130 (interrupted).

    Examples
    --------
    >>> import contextlib
    >>> with contextlib.suppress(SystemExit):
    ...     main(["--version"])
    rekur 0.1.0
    """
    from rekur.cli.errors import exit_code

    sys.exit(exit_code(app, sys.argv[1:] if arguments is None else arguments))
