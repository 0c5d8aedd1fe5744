"""Exit codes and error messages of the command line: one line on standard error, in the words of its options."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence

import typer

from rekur.cli.options import COMMAND
from rekur.core import RekurError
from rekur.registry import COMMANDS

OPTIONS = {
    "cell": "--cell",
    "decimal": "--decimal",
    "duplicates": "--duplicates",
    "freq": "--freq",
    "futr_df": "--future",
    "futr_exog_list": "--future",
    "hidden_size": "--hidden",
    "hist_exog_list": "--past",
    "id_col": "--id",
    "input": "--input",
    "max_epochs": "--epochs",
    "num_layers": "--layers",
    "n_windows": "--windows",
    "random_state": "--seed",
    "season_length": "--season",
    "select": "--model",
    "sheet": "--sheet",
    "stat_exog_list": "--static",
    "target_col": "--target",
    "thousands": "--thousands",
    "time_col": "--time",
}
"""Options of the command line by the names of the arguments of Python that they set."""

_WORDS = {
    "cell",
    "decimal",
    "duplicates",
    "freq",
    "input",
    "select",
    "sheet",
    "thousands",
}  # plain words: arguments only where an equals sign follows
_QUOTED = r"""(?<!\w)(?:'[^']*'|"[^"]*")(?!\w)"""
_ARGUMENT = (
    rf"(?<![\w./-])(?P<name>{'|'.join(OPTIONS)})"
    r"(?:(?P<equals>=)(?P<value>(?=[\w'\"(-]))?|(?![\w/-]|\.\w))"
)


def in_options(text: str, literals: Iterable[str] = ()) -> str:
    """Replace the names of Python arguments in a message by options of the command line.

    Only whole names outside quotes are replaced, and nothing within one of `literals`, the words that the user typed:
    names of files and columns stay as they are.

    Examples
    --------
    >>> in_options("name the column of times with time_col, or give freq='D'")
    "name the column of times with --time, or give --freq 'D'"
    >>> in_options("no column 'time_col' in time_col.csv", ["time_col.csv"])
    "no column 'time_col' in time_col.csv"
    """
    protected = [rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(literals, key=len, reverse=True) if word]

    def translated(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None or (name in _WORDS and match["equals"] is None):
            return match[0]
        return OPTIONS[name] + (" " if match["equals"] and match["value"] is not None else "")

    return re.sub("|".join([*protected, _QUOTED, _ARGUMENT]), translated, text)


def exit_code(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run the command line: 0 for success, 1 for a broken pipe, 2 for bad input, 130 for an interrupt."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait do not take the cores of other programs
    usage_error: type[Exception] = next(
        base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"
    )
    COMMAND.set(shlex.join(["rekur", *arguments]))
    try:
        code = app(list(arguments), prog_name="rekur", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (RekurError, MemoryError) as error:
        return _fail(in_options(str(error) or "not enough memory; use less data or a smaller model", arguments))
    except usage_error as error:
        return _fail(_usage(error))
    except BrokenPipeError:  # the reader of a pipe has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, typer.Abort):
        print("rekur: interrupted", file=sys.stderr)
        return 130


def _usage(error: Exception) -> str:
    """Message of an error in the use of a command; for a misspelt option with the nearest ones."""
    nearest = getattr(error, "possibilities", None)
    if nearest:
        return f"{getattr(error, 'message', error)}; did you mean {' or '.join(sorted(nearest))}?"
    format_message = getattr(error, "format_message", None)
    text = str(error if format_message is None else format_message())
    task = next((name for name in COMMANDS if text == f"No such command {name!r}."), None)
    return text if task is None else f"{task} is a task of rekur fit: rekur fit {task} DATA"


def _fail(text: str) -> int:
    """Print one line on standard error and return the exit code of bad input."""
    if text:
        print(f"rekur: {' '.join(text.split())}", file=sys.stderr)
    return 2
