"""Tables of scores and forecasts on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from rekur.baselines import describe
from rekur.cli.errors import in_options
from rekur.cli.options import STDOUT, Outputs
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 3  # series of a forecast that are printed, and steps of each


class Screen:
    """Where a command prints text for people.

    That is standard output, or standard error beside a table that goes to standard output, or nowhere with `--json` or
    `--quiet`.

    Parameters
    ----------
    outputs : Outputs
        Outputs of the command.
    error : bool, default False
        Whether the text always goes to standard error.

    Examples
    --------
    >>> Screen(Outputs()).line("12 rows")
    12 rows
    """

    def __init__(self, outputs: Outputs, error: bool = False) -> None:
        quiet, stderr = outputs.json or outputs.quiet, error or outputs.out == STDOUT
        plain = Console(highlight=False, markup=False, emoji=False, stderr=stderr, quiet=quiet)
        wide = Console(highlight=False, markup=False, emoji=False, stderr=stderr, quiet=quiet, width=120)
        self.console = plain if plain.is_terminal else wide

    def line(self, text: str, style: str | None = None) -> None:
        """Print a line, which is not wrapped."""
        self.console.print(text, style=style, soft_wrap=True)

    def notes(self, notes: Iterable[str]) -> None:
        """Print notes, a line each."""
        for note in notes:
            self.line(f"· {note}")

    def table(self, table: Table) -> None:
        """Print a table; as wide as it takes where this is not a terminal."""
        self.console.print(table)

    def written(self, outputs: Outputs, kind: str) -> None:
        """Print the names of the files that a command has written; `kind` says what is in the table."""
        if outputs.out not in (None, STDOUT):
            self.line(f"{kind} written to {outputs.out}")
        if outputs.report is not None:
            self.line(f"report written to {outputs.report}")
        if outputs.save is not None:
            self.line(f"model saved in {outputs.save}")


def grid(*columns: tuple[str, Literal["left", "right"]]) -> Table:
    """An empty table with headings and their alignment, without rules."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in columns:
        table.add_column(heading, justify=side)
    return table


def scores(screen: Screen, backtest: Backtest, used: str | None = None) -> None:
    """Print the verdict and the metrics of every model, best MASE first; `used` is the model that forecasts."""
    headings = ("MASE", "sMAPE %", "RMSE", "WQL", "MSIS", "covers 80 %")
    table = grid(("past windows", "left"), *((heading, "right") for heading in headings))
    metrics, errors = backtest.metrics(), backtest.standard_errors()
    for name in sorted(metrics, key=lambda model: metrics[model]["MASE"]):
        m = metrics[name]
        row = [with_error(m["MASE"], errors[name]["MASE"]), f"{m['sMAPE']:.2f}", f"{m['RMSE']:.4g}", f"{m['WQL']:.4f}"]
        row += [f"{m['MSIS80']:.3f}", f"{m['coverage80']:.0%}"]
        table.add_row(name if name == NAME else describe(name), *row, style="bold" if name == NAME else "")
    screen.line(in_options(backtest.verdict(used)), style="bold")
    screen.table(table)


def with_error(value: float, error: float) -> str:
    """A mean with its standard error, if it has one: 0.801 ± 0.042."""
    return f"{value:.3f} ± {error:.3f}" if np.isfinite(error) else f"{value:.3f}"


def cell(value: object, days: bool) -> str:
    """One value as text; times as days where all of them are."""
    if isinstance(value, float):
        return f"{value:.6g}"
    date = getattr(value, "date", None)
    return str(date()) if days and date is not None else str(value)


def preview(screen: Screen, forecast: Forecast, frame: pd.DataFrame) -> None:
    """Print the first steps of the first series of a forecast."""
    S, h, _ = forecast.values.shape
    steps = np.arange(min(SHOWN, h))
    rows = frame.iloc[np.concatenate([steps + s * h for s in range(min(SHOWN, S))])]
    table = grid(*((str(name), "right" if frame[name].dtype.kind == "f" else "left") for name in frame.columns))
    times = forecast.times
    days = (
        times.dtype.kind == "M" and forecast.panel.parts[0].tz is None and bool((times == times.astype("M8[D]")).all())
    )
    for row in rows.itertuples(index=False):
        table.add_row(*(cell(value, days) for value in row))
    screen.table(table)
    if len(rows) < len(frame):
        screen.line(f"… {S} series × {h} steps in all", style="dim")
