"""Forecasting on the command line: backtest, fit, forecast, print and write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from rekur.cli.options import ForecastOptions, Outputs, PanelColumns
from rekur.cli.outputs import check, fit_and_save, source_name
from rekur.core import DataError, positive
from rekur.data.ingest import files
from rekur.data.ingest.schema import ID_COLUMNS, TARGET_COLUMNS, TIME_COLUMNS, Frame
from rekur.data.panel import read_panel
from rekur.data.panel_group import PanelGroup, column_options, read_group
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.forecaster import Forecaster


def run(
    file: str,
    future: str | None,
    columns: PanelColumns,
    options: ForecastOptions,
    outputs: Outputs,
) -> None:
    """`rekur forecast`: backtest, fit, forecast, print and write."""
    model = Forecaster(
        options.horizon, options.freq, options.season_length, options.cell, random_state=options.random_state
    )
    model.check()
    windows, time_limit = options.windows, options.time_limit
    check(outputs, options.level, windows)
    if time_limit is not None:
        positive("--time-limit", time_limit)
        time_limit = time_limit if windows == 0 else time_limit / 2  # half for the backtest, half for the model
    df = files.read_file(file)
    futr_df = None if future is None else files.read_file(future)
    panels = read_history(model, df, futr_df, columns, source_name(file))
    count = default_windows(panels, model.horizon) if windows is None else windows
    backtest = model.backtest(panels, n_windows=count, time_limit=time_limit) if count else None
    fit(model, panels, time_limit, outputs.save, columns.duplicates)
    finish(model, model.forecast(futr_df=futr_df), backtest, outputs, options.level, source_name(file))


def read_history(model: Forecaster, df: Frame, futr_df: Frame | None, columns: PanelColumns, source: str) -> PanelGroup:
    """Read the history for a forecaster, with the covariates of the table of future values."""
    covariates = () if futr_df is None else future_covariates(futr_df, df, columns)
    column = column_options(df, **asdict(columns), futr_exog_list=covariates)
    return model.usable(read_group(df, column, freq=model.freq, source=source), source)


def predict(
    model: Forecaster,
    file: str | None,
    future: str | None,
    outputs: Outputs,
    level: Sequence[float],
    folder: str,
) -> None:
    """`rekur predict` with a saved forecaster."""
    panels = None if file is None else model.read(files.read_file(file), source_name(file))
    futr_df = None if future is None else files.read_file(future)
    forecast = model.forecast(panels, futr_df=futr_df)
    finish(model, forecast, None, replace(outputs, save=None), level, source_name(file or folder), False)


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
        outputs = Outputs() if folder is None else Outputs(f"{folder}/{name}.csv", f"{folder}/{name}.html")
        finish(model, model.forecast(), backtest, outputs, [80.0], name)
        print()


def fit(model: Forecaster, panels: PanelGroup, time_limit: float | None, save: str | None, duplicates: str) -> None:
    """Fit a forecaster and save it."""
    fit_and_save(
        model,
        save,
        lambda folder: model.fit(panels, time_limit=time_limit, checkpoint=folder, duplicates=duplicates),
    )


def future_covariates(future: Frame, df: Frame, columns: PanelColumns) -> tuple[str, ...]:
    """Columns of the table of future values that are neither id nor time nor target; the history must have them."""
    others = {columns.id_col, columns.time_col, columns.target_col, *ID_COLUMNS, *TIME_COLUMNS, *TARGET_COLUMNS}
    covariates = tuple(column for column in future.columns if column not in others)
    if not covariates:
        raise DataError("the future table has only the id and the time column; add columns of known future values")
    missing = [column for column in covariates if column not in df.columns]
    if missing:
        raise DataError(
            f"the future table has the column {missing[0]!r}, but the table FILE does not; add it there or remove it"
        )
    return covariates


def default_windows(panels: PanelGroup, horizon: int) -> int:
    """Windows of the backtest: 3, or fewer if they would take more than a third of a typical series."""
    typical = int(np.quantile(np.concatenate([part.lengths for part in panels.parts]), 0.75))
    return int(np.clip(typical // 3 // horizon, 0 if typical < 2 * horizon + 8 else 1, 3))


def finish(
    model: Forecaster,
    forecast: Forecast,
    backtest: Backtest | None,
    outputs: Outputs,
    level: Sequence[float],
    source: str | None = None,
    tested: bool = True,
) -> None:
    """Print the verdict and a preview, and write the outputs."""
    from rekur.cli.printing import preview, scores

    frame = forecast.frame(level)
    for note in [*forecast.notes, *(f"left out: {label!r}, {reason}" for label, reason in forecast.panel.skipped)]:
        print(f"· {note}")
    if backtest is not None:
        if note := backtest.skipped_note():
            print(f"· {note}")
        scores(backtest)
    elif tested:
        print("· no backtest: the series are too short, or --windows is 0")
    preview(forecast, frame)
    if outputs.out is not None:
        files.write_file(frame, outputs.out)
        print(f"forecast written to {outputs.out}")
    if outputs.report is not None:
        from rekur import report

        report.write(outputs.report, forecast, backtest, model, source=source)
        print(f"report written to {outputs.report}")
    if outputs.save is not None:
        print(f"model saved in {outputs.save}")
