"""Arguments and options that several commands share, their help texts and their completion in the shell."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from rekur.cli.options import STDOUT, Outputs, checkpoint_of
from rekur.core import DataError, OptionError, choose, percentage, positive
from rekur.inputs import INPUTS
from rekur.registry import COMMANDS

CELLS = ("rnn", "rnn_relu", "lstm", "gru", "gru_before")
SELECTIONS = ("auto", "blend", "corrected", "direct", "naive", "seasonal_naive", "drift", "smoothing", "regression")
DUPLICATES = ("error", "mean", "first", "last", "sum")
CHOICES = {"cell": CELLS, "duplicates": DUPLICATES, "input": INPUTS, "select": SELECTIONS, "task": COMMANDS}

MAX_LEVEL = 95.0
"""Widest prediction interval in percent."""


def check(*sources: str | None, folder: str | None = None, **options: str | None) -> None:
    """Raise for plain errors of a command, before large libraries are loaded: what is named here must exist.

    Parameters
    ----------
    *sources : str or None
        Files and folders to read; None, standard input, patterns and addresses pass.
    folder : str, optional
        Folder of a saved model.
    **options : str or None
        Values of options by the keys of `CHOICES`; None passes.

    Raises
    ------
    DataError
        If a file or folder does not exist.
    OptionError
        If the value of an option is not known.
    """
    for name, value in options.items():
        if value is not None:
            choose(name, value, CHOICES[name])
    if folder is not None and not Path(folder).exists():
        raise DataError(f"{folder} does not exist: name the folder of a saved model")
    for source in sources:
        if source is None or source == "-" or glob.has_magic(source) or "://" in source:
            continue
        if not Path(source).exists():
            raise DataError(f"{source} does not exist: name a file or folder, or - for standard input")


def check_numbers(
    horizon: int | None, level: Sequence[float] | None, windows: int | None = None, time_limit: float | None = None
) -> None:
    """Raise an OptionError, before large libraries are loaded, unless the numbers of a forecast are in range."""
    for name, value in (("--horizon", horizon), ("--time-limit", time_limit)):
        if value is not None:
            positive(name, value)
    for percent in level or ():
        percentage("--level", percent)
        if percent > MAX_LEVEL:
            raise OptionError(f"--level must be at most {MAX_LEVEL:g}, got {percent:g}")
    if windows is not None and windows < 0:
        raise OptionError(f"--windows must not be negative, got {windows}")


def check_outputs(outputs: Outputs) -> None:
    """Raise, before large libraries are loaded, unless every output can be written.

    Raises
    ------
    DataError
        If a folder is missing or may not be written, or a path names what must not be replaced.
    OptionError
        If options exclude each other.
    """
    if outputs.quiet and outputs.verbose:
        raise OptionError("--quiet and --verbose exclude each other: leave one of them out")
    if outputs.json and outputs.out == STDOUT:
        raise OptionError("--json and --out - both print to standard output: leave one of them out")
    for name, path in outputs.files().items():
        if name == "out" and path == STDOUT:
            continue
        parent = Path(path).absolute().parent
        if not parent.is_dir():
            problem = "is a file, not a folder" if parent.exists() else "does not exist; create it first"
            raise DataError(f"--{name} {path}: the folder {parent} {problem}")
        if not os.access(parent, os.W_OK):
            raise DataError(f"--{name} {path}: the folder {parent} cannot be written; choose another one")
        if name != "save" and Path(path).is_dir():
            raise DataError(f"--{name} {path} is a folder; name a file")
    for folder in () if outputs.save is None else (Path(outputs.save), Path(checkpoint_of(outputs.save))):
        if folder.exists():
            from rekur.serialization import refuse_foreign

            refuse_foreign(folder)


def create_folder(folder: str | None) -> None:
    """Create a folder of outputs, None for none, or raise a DataError."""
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror}; choose a writable folder") from error


def refuse_forecast_options(reason: str, **options: object) -> None:
    """Raise an OptionError with the reason for an option of forecasts that is not None."""
    for name, value in options.items():
        if value is not None:
            raise OptionError(f"--{name} is for forecasts; {reason}: leave it out")


def completed(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Completion of a value in the shell from a list of names."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def either(names: Iterable[str]) -> str:
    """Names for a help text: rnn, lstm or gru."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


def examples(*lines: str) -> str:
    """Examples below the options of a command; the mark keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def whole_or_text(freq: str | None) -> str | int | None:
    """Frequency, converted to int if it is a whole number."""
    return int(freq) if freq is not None and freq.lstrip("-").isdigit() else freq


def names(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """Columns that an option names, None for none."""
    return tuple(columns) if columns else None


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE…",
        help="CSV, Excel, JSON, Parquet or Feather files, folders or patterns, read as one table; - for standard input",
    ),
]
Id = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="COLUMN", help="column of the names of the series; repeat it for several"),
]
Time = Annotated[str | None, typer.Option(metavar="COLUMN", help="column of the times")]
Target = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN", help="column to forecast; repeat it, or 'load*', for several series of a wide table"
    ),
]
Past = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="column known up to the present, such as 'temp*'; repeatable"),
]
Static = Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="column with one value a series; repeatable")]
Decimal = Annotated[str | None, typer.Option(metavar="MARK", help="decimal mark: , or .; inferred by default")]
Thousands = Annotated[
    str | None, typer.Option(metavar="MARK", help="separator of thousands; inferred where it is unambiguous")
]
Sheet = Annotated[str | None, typer.Option(metavar="NAME", help="sheet of an Excel file; the only one by default")]
Horizon = Annotated[
    int | None, typer.Option("--horizon", "-H", metavar="STEPS", help="steps to forecast; as learned by default")
]
Level = Annotated[
    list[float] | None,
    typer.Option(metavar="PERCENT", help="prediction interval in percent, 1 to 95, repeatable [default: 80]"),
]
Future = Annotated[
    str | None,
    typer.Option(metavar="TABLE", help="table of known future values; of the past too, where FILE lacks its columns"),
]
Out = Annotated[
    str | None,
    typer.Option(metavar="TABLE", help="table to write (.csv, .csv.gz, .parquet); - for CSV on standard output"),
]
Predictions = Annotated[
    str | None,
    typer.Option(
        "--out", metavar="TABLE", help="table to write (.csv, .csv.gz, .parquet, tags also .conll); - for CSV"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print the result as one JSON object")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="print the phases of the work and every epoch on standard error")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print errors alone")]
Report = Annotated[str | None, typer.Option(metavar="HTML", help="report to write, one HTML file")]
Save = Annotated[str | None, typer.Option(metavar="FOLDER", help="folder to save the model to")]
Seed = Annotated[int, typer.Option(metavar="SEED", help="random seed; the same seed gives the same numbers")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="folder of a saved model")]
X = Annotated[
    str | None, typer.Option("--x", metavar="COLUMN", help="column of the sequences: texts, words or paths of files")
]
Y = Annotated[str | None, typer.Option("--y", metavar="COLUMN", help="column of the targets")]
Steps = Annotated[
    str | None, typer.Option("--id", metavar="COLUMN", help="column that groups the rows of a table into sequences")
]
Task = Annotated[str, typer.Argument(metavar="TASK", help=either(COMMANDS), autocompletion=completed(COMMANDS))]
Cell = Annotated[str, typer.Option(metavar="CELL", help=either(CELLS), autocompletion=completed(CELLS))]
OptionalCell = Annotated[str | None, typer.Option(metavar="CELL", help=either(CELLS), autocompletion=completed(CELLS))]
Select = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help=f"model that forecasts: {either(SELECTIONS)}",
        autocompletion=completed(SELECTIONS),
    ),
]
Input = Annotated[
    str | None,
    typer.Option(metavar="INPUT", help=f"{either(INPUTS)}; inferred by default", autocompletion=completed(INPUTS)),
]
TimeLimit = Annotated[float | None, typer.Option(metavar="SECONDS", help="time that the command may take in all")]
Duplicates = Annotated[
    str,
    typer.Option(
        metavar="RULE",
        help=f"rows of one series at one time, or in one step of --freq: {either(DUPLICATES)}",
        autocompletion=completed(DUPLICATES),
    ),
]
