"""Options of the commands as values."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

COMMAND: ContextVar[str | None] = ContextVar("COMMAND", default=None)
"""The command line that is run, for reports."""

STDOUT = "-"
"""File name of standard output."""


def checkpoint_of(save: str) -> str:
    """Folder of the checkpoint of a model that is saved to `save`."""
    return f"{save.rstrip('/')}.checkpoint"


@dataclass(frozen=True)
class Outputs:
    """Files and folders that a command writes, None for none, and what it prints.

    Parameters
    ----------
    out : str, optional
        Table of forecasts or predictions (.csv, .csv.gz, .parquet); "-" for CSV on standard output.
    report : str, optional
        HTML file of the report.
    save : str, optional
        Folder of the model.
    json : bool, default False
        Whether to print the result as one JSON object in place of text.
    quiet : bool, default False
        Whether to print errors alone.
    verbose : bool, default False
        Whether to print the phases of the work and every epoch, in place of a bar.
    """

    out: str | None = None
    report: str | None = None
    save: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def files(self) -> dict[str, str]:
        """The outputs that are asked for, by the name of their option."""
        paths = {"out": self.out, "report": self.report, "save": self.save}
        return {name: path for name, path in paths.items() if path is not None}


@dataclass(frozen=True)
class ForecastInput:
    """Tables of a forecast, and how they are read; None for what the tables show.

    Parameters
    ----------
    files : sequence of str, optional
        Files, folders or patterns of the history, read as one table.
    future : str, optional
        Table of known future values.
    decimal, thousands : str, optional
        Decimal mark and separator of thousands of both tables.
    sheet : str, optional
        Sheet of an Excel file of the history.
    """

    files: Sequence[str] | None
    future: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class PanelColumns:
    """Columns of a table of series, and the rule for several rows of one series at one time.

    Parameters
    ----------
    id_col, target_col : tuple of str, optional
        Columns by name, or patterns such as "load*"; None where the known names apply.
    time_col : str, optional
        Column of the times; None where the known names apply.
    hist_exog_list, stat_exog_list : tuple of str, default ()
        Covariates known up to the present, and with one value a series; names or patterns.
    duplicates : str, default "error"
        "error", "mean", "first", "last" or "sum".
    """

    id_col: tuple[str, ...] | None = None
    time_col: str | None = None
    target_col: tuple[str, ...] | None = None
    hist_exog_list: tuple[str, ...] = ()
    stat_exog_list: tuple[str, ...] = ()
    duplicates: str = "error"


@dataclass(frozen=True)
class ForecastOptions:
    """Options of `rekur forecast` other than files and columns.

    Parameters
    ----------
    horizon : int
        Steps to forecast.
    freq : str or int, optional
        Frequency; None infers it.
    season_length : int, optional
        Steps of a season; None infers it.
    cell : str, default "gru"
        Recurrent cell.
    random_state : int, default 0
        Seed of the weights and batches.
    windows : int, optional
        Past windows of the backtest; 0 for none, None for up to 8 that are spread over the past.
    time_limit : float, optional
        Seconds that training may take in all.
    level : tuple of float, default (80.0,)
        Prediction intervals in percent.
    select : str, default "auto"
        Model that forecasts, as in `rekur.Forecaster`.
    """

    horizon: int
    freq: str | int | None = None
    season_length: int | None = None
    cell: str = "gru"
    random_state: int = 0
    windows: int | None = None
    time_limit: float | None = None
    level: tuple[float, ...] = (80.0,)
    select: str = "auto"


@dataclass(frozen=True)
class FitOptions:
    """Options of `rekur fit` other than files and columns; None for the default of the task.

    Parameters
    ----------
    input : str, optional
        Kind of the sequences, a key of `rekur.inputs.INPUTS`.
    cell : str, optional
        Recurrent cell.
    hidden_size : int, optional
        Size of the hidden state.
    num_layers : int, optional
        Number of recurrent layers.
    epochs : int, optional
        Passes over the training data.
    copy : bool, default False
        Whether a translator may copy words of the source, as summaries do.
    random_state : int, default 0
        Seed of the weights, batches and held-out examples.
    """

    input: str | None = None
    cell: str | None = None
    hidden_size: int | None = None
    num_layers: int | None = None
    epochs: int | None = None
    copy: bool = False
    random_state: int = 0
