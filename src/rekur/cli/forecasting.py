"""Forecasting on the command line: backtest, fit, forecast, print and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rekur.cli.outputs import check, named, saved
from rekur.core import DataError, positive
from rekur.data.ingest import files
from rekur.data.ingest.schema import IDS, TARGETS, TIMES
from rekur.data.panel import read_panel
from rekur.data.panel_group import ColumnOptions, PanelGroup, UserFrame, column_options, read_group
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.forecaster import Forecaster

if TYPE_CHECKING:
    from typing_extensions import Unpack

PREVIEW_SERIES = 3
"""Series of a forecast that are printed, and steps of each."""


def run(
    file: str,
    future: str | None,
    columns: ColumnOptions,
    model: Forecaster,
    outputs: Mapping[str, str | None],
    level: Sequence[float],
    windows: int | None,
    time_limit: float | None,
) -> None:
    """`rekur forecast`: backtest, fit, forecast, print and write."""
    model.check()
    check(outputs, level, windows)
    if time_limit is not None:
        positive("--time-limit", time_limit)
        time_limit = time_limit if windows == 0 else time_limit / 2  # half for the backtest, half for the model
    df = files.read(file)
    futr_df = None if future is None else files.read(future)
    covariates = () if futr_df is None else future_covariates(futr_df, df, columns)
    options: ColumnOptions = {**columns, "futr_exog_list": covariates}
    panels = read_history(model, df, named(file), **options)
    count = default_windows(panels, model.horizon) if windows is None else windows
    backtest = model.backtest(panels, n_windows=count, time_limit=time_limit) if count else None
    fit(model, panels, time_limit, outputs["save"], columns["duplicates"])
    finish(model, model.forecast(futr_df=futr_df), backtest, outputs, level, named(file))


def read_history(model: Forecaster, df: UserFrame, source: str, **columns: Unpack[ColumnOptions]) -> PanelGroup:
    """Read a table for a forecaster; series with too few values are left out and listed."""
    return model.usable(read_group(df, column_options(df, **columns), freq=model.freq, source=source), source)


def predict(
    model: Forecaster,
    file: str | None,
    future: str | None,
    outputs: Mapping[str, str | None],
    level: Sequence[float],
    folder: str,
) -> None:
    """`rekur predict` with a saved forecaster."""
    panels = None if file is None else model.read(files.read(file), named(file))
    futr_df = None if future is None else files.read(future)
    forecast = model.forecast(panels, futr_df=futr_df)
    finish(model, forecast, None, {**outputs, "save": None}, level, named(file or folder), False)


def show(folder: str | None) -> None:
    """`rekur demo`: both bundled data sets, with forecasts and reports if a folder is given."""
    from rekur.data import samples

    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot write to {folder}: {error.strerror}; choose a writable folder") from error
    for name, horizon in (("nyc_weather", 48), ("oil_prices", 20)):
        print(f"{name}: the next {horizon} steps")
        model = Forecaster(horizon)
        panel = read_panel(samples.load(name)[["unique_id", "ds", "y"]], source=name)
        backtest = model.backtest(panel)
        model.fit(panel)
        outputs = {
            kind: None if folder is None else f"{folder}/{name}{suffix}"
            for kind, suffix in (("out", ".csv"), ("report", ".html"))
        }
        finish(model, model.forecast(), backtest, {**outputs, "save": None}, [80.0], name)
        print()


def fit(model: Forecaster, panels: PanelGroup, time_limit: float | None, save: str | None, duplicates: str) -> None:
    """Fit a forecaster and save it."""
    saved(
        model,
        "multi_",
        save,
        lambda folder: model.fit(panels, time_limit=time_limit, checkpoint=folder, duplicates=duplicates),
    )


def future_covariates(future: UserFrame, df: UserFrame, columns: ColumnOptions) -> tuple[str, ...]:
    """Columns of the table of future values that are neither id nor time nor target; the history must have them."""
    others = {columns["id_col"], columns["time_col"], columns["target_col"], *IDS, *TIMES, *TARGETS}
    covariates = tuple(column for column in future.columns if column not in others)
    if not covariates:
        raise DataError("the future table has no column besides the id and the time; name known future values in it")
    missing = [column for column in covariates if column not in df.columns]
    if missing:
        raise DataError(f"the future table has the column {missing[0]!r}, but the table of the past does not")
    return covariates


def default_windows(panels: PanelGroup, horizon: int) -> int:
    """Windows of the backtest: 3, or fewer if they would take more than a third of a typical series."""
    typical = int(np.quantile(np.concatenate([part.lengths for part in panels.parts]), 0.75))
    return int(np.clip(typical // 3 // horizon, 0 if typical < 2 * horizon + 8 else 1, 3))


def finish(
    model: Forecaster,
    forecast: Forecast,
    backtest: Backtest | None,
    outputs: Mapping[str, str | None],
    level: Sequence[float],
    source: str | None = None,
    tested: bool = True,
) -> None:
    """Print the verdict and a preview, and write the outputs."""
    from rekur.cli.printing import preview, scores

    frame = forecast.frame(level)
    for note in [*model.notes_, *(f"left out: {label!r}, {reason}" for label, reason in forecast.panel.skipped)]:
        print(f"· {note}")
    if backtest is not None:
        if note := backtest.skipped_note():
            print(f"· {note}")
        scores(backtest)
    elif tested:
        print("· not checked on the past: the series are too short for a backtest, or --windows 0 was given")
    preview(forecast, frame, PREVIEW_SERIES)
    if outputs["out"] is not None:
        files.write(frame, outputs["out"])
        print(f"forecast written to {outputs['out']}")
    if outputs["report"] is not None:
        from rekur import report

        report.write(outputs["report"], forecast, backtest, model, source=source)
        print(f"report written to {outputs['report']}")
    if outputs["save"] is not None:
        print(f"model saved in {outputs['save']}")
