"""Forecasting on the command line: backtest, fit, forecast, print and write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from time import monotonic

import numpy as np
import pandas as pd

from rekur.baselines import METHODS
from rekur.cli import results
from rekur.cli.errors import in_options
from rekur.cli.options import COMMAND, ForecastInput, ForecastOptions, Outputs, PanelColumns
from rekur.cli.outputs import check_inputs, check_suffix, fit_and_save, source_name, working, write_table
from rekur.cli.printing import Screen, preview, scores
from rekur.core import DataError, OptionError, nearest
from rekur.data.frequency.frequency import format_time
from rekur.data.ingest import files
from rekur.data.ingest.future_covariates import next_covariates
from rekur.data.ingest.parsing import FILE_ATTRIBUTES, RowNames, plural
from rekur.data.ingest.schema import (
    ID_COLUMNS,
    TARGET_COLUMNS,
    Frame,
    as_table,
    file_attributes,
    infer_time_column,
    missing_column,
    quoted,
)
from rekur.data.ingest.times import to_times
from rekur.data.panel import read_panel
from rekur.data.panel_group import PanelGroup, column_options, read_group
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.forecaster import Forecaster
from rekur.forecasting.multi_frequency import used_model
from rekur.training.deadline import Deadline
from rekur.training.progress import phase, stage


def run(
    tables: ForecastInput, columns: PanelColumns, options: ForecastOptions, outputs: Outputs, started: float
) -> None:
    """`rekur forecast`, begun at `started` of `time.monotonic`: backtest, fit, forecast, print and write."""
    model = Forecaster(
        options.horizon,
        options.freq,
        options.season_length,
        options.cell,
        random_state=options.random_state,
        select=options.select,
    )
    model.check()
    windows = options.windows
    check_suffix(outputs.out)
    check_inputs(outputs, (*files.expand(tables.files or ()), tables.future))
    deadline = Deadline.after(options.time_limit, used=monotonic() - started)
    df, futr_df = read_tables(tables)
    assert df is not None
    source = source_name(tables.files or ())
    covariates: tuple[str, ...] = ()
    if futr_df is not None:
        df, futr_df, covariates = join_future(df, futr_df, columns, (source, str(tables.future)))
    panels = read_history(model, df, covariates, columns, source)
    if futr_df is not None:  # a table that lacks values is refused before the training
        for panel in panels.parts:
            next_covariates(panel, covariates, futr_df, model.horizon)
    del df  # its memory
    tested = testable(panels, model.horizon) if windows is None else windows > 0
    half = deadline.portion(0.5).seconds()
    backtest = None
    with working(outputs):
        if tested:
            with phase("backtest", 0.5):
                backtest = model.backtest(panels, n_windows=windows, time_limit=half)
        with phase("fit", 0.95):
            fit(model, panels, deadline.seconds(), outputs.save, columns.duplicates, backtest)
        stage("forecast")
        forecast = model.forecast(futr_df=futr_df)
    untested = "--windows is 0" if windows == 0 else "the series are too short for a window of the horizon"
    finish("forecast", Finished(model, forecast, backtest, source, untested), outputs, options.level)


def read_history(
    model: Forecaster, df: Frame, covariates: Sequence[str], columns: PanelColumns, source: str
) -> PanelGroup:
    """Read the history for a forecaster, with covariates that are known for the future."""
    column = column_options(df, **asdict(columns), futr_exog_list=covariates)
    return model.usable(read_group(df, column, freq=model.freq, source=source), source)


def predict(
    model: Forecaster,
    tables: ForecastInput,
    outputs: Outputs,
    level: Sequence[float],
    folder: str,
    select: str | None = None,
    horizon: int | None = None,
) -> None:
    """`rekur predict` with a saved forecaster.

    `select` names the model that forecasts in place of the one chosen, `horizon` the steps in place of those learned.
    """
    if select is not None:
        model.set_params(select=select).check()
    check_inputs(outputs, (*files.expand(tables.files or ()), tables.future))
    df, futr_df = read_tables(tables)
    source = source_name(tables.files or folder)
    if df is not None and futr_df is not None:
        names = model.columns_["futr_exog_list"]
        df, futr_df, _ = join_future(df, futr_df, learned_columns(model), (source, str(tables.future)), names)
    panels = None if df is None else model.read(df, source)
    with working(outputs), phase("forecast"):
        forecast = model.forecast(panels, futr_df=futr_df, h=horizon)
    if select is not None:
        forecast = replace(forecast, notes=(*forecast.notes, f"the model that forecasts is the one named, {select}"))
    finish("predict", Finished(model, forecast, None, source), outputs, level)


def learned_columns(model: Forecaster) -> PanelColumns:
    """Columns of the table that a saved forecaster was trained on."""
    learned = model.columns_
    ids, targets = (
        None if names is None else (names,) if isinstance(names, str) else tuple(names)
        for names in (learned["id_col"], learned["target_col"])
    )
    return PanelColumns(ids, learned["time_col"], targets)


def score(model: Forecaster, tables: ForecastInput, outputs: Outputs, folder: str) -> None:
    """`rekur score` with a saved forecaster: windows of a table that training has not seen, without training.

    A table of known future values gives the covariates that the table lacks, in its own rows.
    """
    if outputs.report is not None:
        raise OptionError(
            "--report is of scores of sequences; rekur forecast and rekur predict write one of a forecast"
        )
    source = source_name(tables.files or ())
    df, futr_df = read_tables(tables)
    assert df is not None
    if futr_df is not None:
        lacking = [name for name in model.columns_["futr_exog_list"] if name not in df.columns]
        if not lacking:
            raise OptionError(f"--future {tables.future} has nothing that {source} lacks: leave it out")
        df, _, _ = join_future(df, futr_df, learned_columns(model), (source, str(tables.future)), lacking)
    panels = model.read(df, source)
    with working(outputs), phase("forecasts of the windows"):
        backtest = model.compare(panels)
    panel = backtest.panel
    skipped = (*panel.skipped, *backtest.skipped)
    if outputs.json:
        values = {"data": source, "model": folder, "estimator": "Forecaster", "series": len(panel)}
        values |= {"horizon": model.horizon, "notes": list(panel.notes), "skipped": results.skipped(skipped)}
        results.write(results.result("score", outputs, **values, backtest=results.of_backtest(backtest, None)))
        return
    screen = Screen(outputs)
    screen.notes([*map(in_options, panel.notes), *(f"left out: {label!r}, {reason}" for label, reason in skipped)])
    scores(screen, backtest)


def show(folder: str | None, options: Outputs) -> None:
    """`rekur demo`: both bundled data sets, with forecasts and reports if a folder is given."""
    from rekur.data import samples

    screen, shown = Screen(options), []
    for name, horizon in (("nyc_weather", 48), ("oil_prices", 20)):
        screen.line(f"{name}: the next {horizon} steps")
        model = Forecaster(horizon)
        panel = read_panel(samples.load(name)[["unique_id", "ds", "y"]], source=name)
        with working(options):
            with phase("backtest", 0.5):
                backtest = model.backtest(panel)
            with phase("fit"):
                model.fit(panel, backtest=backtest)
        paths = (None, None) if folder is None else (f"{folder}/{name}.csv", f"{folder}/{name}.html")
        outputs = replace(options, out=paths[0], report=paths[1])
        forecast = Finished(model, model.forecast(), backtest, name)
        frame = write_files(forecast, outputs, [80.0])
        shown.append({**forecast.result(frame), "files": outputs.files()})
        forecast.print(frame, outputs)
        screen.line("")
    if options.json:
        results.write(results.result("demo", options, forecasts=shown))


def fit(
    model: Forecaster,
    panels: PanelGroup,
    time_limit: float | None,
    save: str | None,
    duplicates: str,
    backtest: Backtest | None,
) -> None:
    """Fit a forecaster, whose model is selected by the backtest unless the user has named one, and save it."""
    evidence = backtest if model.select == "auto" else None
    fit_and_save(
        model,
        save,
        lambda folder: model.fit(
            panels, time_limit=time_limit, checkpoint=folder, duplicates=duplicates, backtest=evidence
        ),
    )


def read_tables(tables: ForecastInput) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Read the history and the table of known future values; None where there is none."""
    marks = {"decimal": tables.decimal, "thousands": tables.thousands}
    df = None if tables.files is None else files.read_file(tables.files, **marks, sheet=tables.sheet)
    return df, None if tables.future is None else files.read_file(tables.future, **marks)


def time_column(df: pd.DataFrame, columns: PanelColumns, source: str) -> str:
    """Time column of the history, as named or as recognised among the columns that are neither id nor target."""
    if columns.time_col is not None:
        return columns.time_col
    taken = {*(columns.id_col or ID_COLUMNS), *(columns.target_col or TARGET_COLUMNS)}
    return infer_time_column(as_table(df, source), [name for name in df.columns if name not in taken], source)


def with_time_column(future: pd.DataFrame, time: str, df: pd.DataFrame) -> pd.DataFrame:
    """The table of future values with its time column under the name `time` that it has in the history."""
    if time in future.columns:
        return future
    source, others = "the future table", [name for name in future.columns if name not in df.columns]
    if not others:
        raise missing_column(source, time, future.columns)
    return future.rename(columns={infer_time_column(as_table(future, source), others, source): time})


def future_covariates(future: Frame, columns: PanelColumns, time: str) -> tuple[str, ...]:
    """Columns of the table of future values that are neither id nor time nor target."""
    others = {*(columns.id_col or ID_COLUMNS), time, *(columns.target_col or TARGET_COLUMNS)}
    covariates = tuple(column for column in future.columns if column not in others)
    if not covariates:
        raise DataError("the future table has only the id and the time column; add columns of known future values")
    return covariates


def join_future(
    df: pd.DataFrame,
    future: pd.DataFrame,
    columns: PanelColumns,
    sources: tuple[str, str],
    learned: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """The history with the covariates that it lacks, the table of future values with its time column, and their names.

    These are all other columns of the future values, or those of them that a saved forecaster has `learned`.
    """
    time = time_column(df, columns, sources[0])
    future = with_time_column(future, time, df)
    if learned is None:
        names = future_covariates(future, columns, time)
    else:
        names = tuple(learned)
        for name in names:
            if name not in future.columns:
                raise missing_column(sources[1], name, future.columns, (time, *names))
    return with_covariates(df, future, names, columns, time, sources), future, names


def with_covariates(
    df: pd.DataFrame,
    future: pd.DataFrame,
    names: Sequence[str],
    columns: PanelColumns,
    time: str,
    sources: tuple[str, str],
) -> pd.DataFrame:
    """The history with the covariates that it lacks, from the rows of its times in the table of future values.

    Parameters
    ----------
    df, future : pandas.DataFrame
        Both tables; the second one may hold the past too, as a calendar does.
    names : sequence of str
        Covariates.
    columns : PanelColumns
        Columns of the history.
    time : str
        Time column of both.
    sources : (str, str)
        Names of both tables.
    """
    missing = [name for name in names if name not in df.columns]
    if not missing:
        return df
    ids = [name for name in columns.id_col or ID_COLUMNS if name in df.columns and name in future.columns]
    keys = []
    for table, source in zip((df, future), sources, strict=True):
        times = to_times(as_table(table, source)[time], f"{source}, column {time!r}")
        keys.append(pd.MultiIndex.from_arrays([times.values, *(table[name].astype(str) for name in ids)]))
    twice = keys[1].duplicated()
    if twice.any():
        row, key = RowNames.of(as_table(future, sources[1]))(int(twice.argmax())), format_time(keys[1][twice][0][0])
        raise DataError(f"{sources[1]}, {row}: the time {key} occurs twice; leave one row of each time and series")
    place = keys[1].get_indexer(keys[0])
    count = int((place >= 0).sum())
    if not count:
        others = [name for name in df.columns if name not in future.columns]
        raise DataError(
            f"{sources[1]} has the column {missing[0]!r}, but {sources[0]} has not: add it there, or put the rows of "
            f"the past into {sources[1]} too{nearest(missing[0], others)}"
        )
    joined = df.assign(**{name: future[name].take(np.maximum(place, 0)).where(place >= 0).array for name in missing})
    known, other = file_attributes(df), file_attributes(future).get("doubts", {})
    note = f"past values of {quoted(missing, limit=6)} are from {sources[1]}, for {count:,} of {plural(len(df), 'row')}"
    doubts = {**known.get("doubts", {}), **{name: other[name] for name in missing if name in other}}
    joined.attrs[FILE_ATTRIBUTES] = {**known, "notes": [*known.get("notes", ()), note], "doubts": doubts}
    return joined


def testable(panels: PanelGroup, horizon: int) -> bool:
    """Whether a typical series holds a window to test, another horizon and a few values to train on."""
    typical = int(np.quantile(np.concatenate([part.lengths for part in panels.parts]), 0.75))
    return typical >= 2 * horizon + 8


@dataclass(frozen=True)
class Finished:
    """A forecast with the model, its backtest, or why there is none (`untested`), and the name of the data."""

    model: Forecaster
    forecast: Forecast
    backtest: Backtest | None
    source: str
    untested: str = ""

    @property
    def used(self) -> str:
        """The baseline that the forecast is, if it is one, else "blend"."""
        model = self.model
        return used_model((model,) if model.multi_ is None else model.multi_.parts, model.select)

    def notes(self) -> list[str]:
        """Notes on the data and the model."""
        notes = [in_options(note) for note in self.forecast.notes]
        return notes if self.backtest is None else [*notes, *self.backtest.notes()]

    def result(self, frame: Frame) -> results.Result:
        """The forecast as JSON values."""
        panel = self.forecast.panel
        return {
            "data": self.source,
            "series": len(panel),
            "horizon": self.forecast.horizon,
            "frequencies": [part.freq.name for part in panel.parts],
            "notes": self.notes(),
            "skipped": results.skipped(panel.skipped),
            "backtest": None if self.backtest is None else results.of_backtest(self.backtest, self.used),
            "baseline": self.used if self.used in METHODS else None,
            "forecast": results.records(frame),
        }

    def print(self, frame: Frame, outputs: Outputs) -> None:
        """Print notes, verdict, scores, a preview and the names of the files."""
        screen, skipped = Screen(outputs), self.forecast.panel.skipped
        screen.notes([*self.notes(), *(f"left out: {label!r}, {reason}" for label, reason in skipped)])
        if self.backtest is not None:
            scores(screen, self.backtest, self.used)
        elif self.untested:
            screen.line(f"· no backtest: {self.untested}")
        preview(screen, self.forecast, frame)
        screen.written(outputs, "forecast")


def finish(command: str, forecast: Finished, outputs: Outputs, level: Sequence[float]) -> None:
    """Write the outputs of a command, then print."""
    frame = write_files(forecast, outputs, level)
    if outputs.json:
        results.write(results.result(command, outputs, **forecast.result(frame)))
    else:
        forecast.print(frame, outputs)


def write_files(forecast: Finished, outputs: Outputs, level: Sequence[float]) -> Frame:
    """Write the report and the table, which may go to standard output; the table."""
    frame = forecast.forecast.frame(level)
    if outputs.report is not None:
        from rekur import report

        report.write(
            outputs.report,
            forecast.forecast,
            forecast.backtest,
            forecast.model,
            source=forecast.source,
            command=COMMAND.get(),
            level=level,
        )
    write_table(frame, outputs.out)
    return frame
