"""What the command line does with a file: read, check on the past, forecast, print, and write what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rekur.cli.options import ForecastOptions, Outputs, PanelColumns
from rekur.cli.outputs import check, fit_and_save, source_name
from rekur.core import DataError, positive
from rekur.data.ingest import files
from rekur.data.ingest.schema import ID_COLUMNS, TARGET_COLUMNS, TIME_COLUMNS
from rekur.data.panel import Panel, read_panel, read_panels
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.backtest import Backtest
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
    futr = None if future is None else files.read_file(future)
    known = () if futr is None else covariates(futr, df, columns)
    read = read_panels(df, freq=model.freq, future=known, source=source_name(file), **vars(columns))
    found = model.read(PanelGroup(tuple(read)), source_name(file))
    count = default_windows(found, model.horizon) if windows is None else windows
    tested = model.backtest(found, n_windows=count, time_limit=time_limit) if count else None
    learn(model, found, time_limit, outputs.save, columns.duplicates)
    predicted = model.forecast(futr_df=futr)
    finish(model, predicted, tested, outputs, options.level, source_name(file))


def predict(
    model: Forecaster,
    file: str | None,
    future: str | None,
    outputs: Outputs,
    level: Sequence[float],
    folder: str,
) -> None:
    """`rekur predict` with a saved forecaster."""
    found = None if file is None else model.read(files.read_file(file), source_name(file))
    futr = None if future is None else files.read_file(future)
    predicted = model.forecast(found, futr_df=futr)
    finish(model, predicted, None, replace(outputs, save=None), level, source_name(file or folder), False)


def show(folder: str | None) -> None:
    """`rekur demo`: both bundled data sets, with forecasts and reports where a folder is given."""
    from rekur.data import samples

    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot write to {folder}: {error.strerror}; choose a writable folder") from error
    for name, horizon in (("nyc_weather", 48), ("oil_prices", 20)):
        print(f"{name}: the next {horizon} steps")
        model = Forecaster(horizon)
        found = read_panel(samples.load(name)[["unique_id", "ds", "y"]], source=name)
        tested = model.backtest(found)
        model.fit(found)
        outputs = Outputs() if folder is None else Outputs(f"{folder}/{name}.csv", f"{folder}/{name}.html")
        finish(model, model.forecast(), tested, outputs, [80.0], name)
        print()


def learn(
    model: Forecaster, found: Panel | PanelGroup, time_limit: float | None, save: str | None, duplicates: str
) -> None:
    """Fit a forecaster and save it."""
    fit_and_save(
        model,
        save,
        lambda beside: model.fit(found, time_limit=time_limit, checkpoint=beside, duplicates=duplicates),
    )


def covariates(future: Any, df: Any, names: PanelColumns) -> tuple[str, ...]:
    """The known future columns: those of the future table that are neither id nor time nor target."""
    roles = {names.id_col, names.time_col, names.target_col, *ID_COLUMNS, *TIME_COLUMNS, *TARGET_COLUMNS}
    found = tuple(column for column in future.columns if column not in roles)
    if not found:
        raise DataError("the future table has no column besides the id and the time; name known future values in it")
    missing = [column for column in found if column not in df.columns]
    if missing:
        raise DataError(f"the future table has the column {missing[0]!r}, but the table of the past does not")
    return found


def default_windows(found: Panel | PanelGroup, horizon: int) -> int:
    """Past windows for the backtest: 3, or fewer where they would take more than a third of a typical series."""
    typical = int(np.quantile(found.lengths, 0.75))
    return int(np.clip(typical // 3 // horizon, 0 if typical < 2 * horizon + 8 else 1, 3))


def finish(
    model: Forecaster,
    predicted: Forecast,
    tested: Backtest | None,
    outputs: Outputs,
    level: Sequence[float],
    source: str | None = None,
    checked: bool = True,
) -> None:
    """Print the verdict and a small table, and write what was asked for."""
    import pandas as pd

    from rekur.cli.printing import preview, scores

    frame: pd.DataFrame = predicted.frame(level)
    for note in [*model.notes_, *(f"left out: {label!r}, {why}" for label, why in predicted.table.skipped)]:
        print(f"· {note}")
    if tested is not None:
        scores(tested)
    elif checked:
        print("· not checked on the past: the series are too short for a backtest, or --windows 0 was given")
    preview(predicted, frame)
    if outputs.out is not None:
        files.write_file(frame, outputs.out)
        print(f"forecast written to {outputs.out}")
    if outputs.report is not None:
        from rekur import report

        report.write(outputs.report, predicted, tested, model, source=source)
        print(f"report written to {outputs.report}")
    if outputs.save is not None:
        print(f"model saved in {outputs.save}")
