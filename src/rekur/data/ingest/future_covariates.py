"""Covariates of the steps to forecast: read from a data frame of the user, or the empty frame to fill in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import format_time
from rekur.data.ingest.covariates import read_covariate
from rekur.data.ingest.parsing import TimeColumn, plural, series_codes, to_times
from rekur.data.ingest.schema import Frame, as_table, quoted
from rekur.data.ingest.sorted_rows import to_wall_time
from rekur.data.panel import Panel

__all__ = ["future_columns", "future_rows"]

MAX_ROWS_SHOWN = 3  # in an error


def future_columns(panel: Panel, horizon: int) -> dict[str, Array]:
    """Return id, time and empty covariates of the steps after each series.

    Parameters
    ----------
    panel : Panel
        The history.
    horizon : int
        Number of steps.

    Returns
    -------
    dict of str to (S·horizon,) array

    Examples
    --------
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": [1, 2, 3], "y": 1.0, "x": 0.0}), future=["x"])
    >>> future_columns(panel, 2)
    {'ds': array([4, 5]), 'x': array([nan, nan])}
    """
    columns: dict[str, Array] = {}
    times = panel.at(np.arange(len(panel))[:, None], panel.lengths[:, None] + np.arange(horizon))  # (S, h)
    if panel.columns.id is not None:
        columns[panel.columns.id] = np.repeat(panel.ids, horizon)
    elif panel.wide:
        times = times[:1]  # the series of a wide table share their covariates
    columns[panel.columns.time] = times.ravel()
    return {**columns, **{name: np.full(times.size, np.nan) for name in panel.future_names}}


def future_rows(panel: Panel, df: Frame, horizon: int, source: str = "the future table") -> Array:
    """Read the covariates of the steps after each series.

    Parameters
    ----------
    panel : Panel
        The history.
    df : data frame
        A frame with the id and time columns and all future covariates of the panel; other rows are ignored.
    horizon : int
        Number of steps h.
    source : str, default "the future table"
        Name of the frame in errors.

    Returns
    -------
    (S, h, F) float64
        NaN where a value is missing.

    Raises
    ------
    DataError
        If a column or a row is missing.

    Examples
    --------
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": [1, 2, 3], "y": 1.0, "x": 0.0}), future=["x"])
    >>> future_rows(panel, pd.DataFrame({"ds": [4, 5], "x": [7.0, 8.0]}), 2).tolist()
    [[[7.0], [8.0]]]
    """
    table = as_table(df, source)
    columns = panel.columns
    for name in (columns.id, columns.time, *panel.future_names):
        if name is not None and name not in table.columns:
            raise DataError(f"{source} has no column {name!r}; its columns are {quoted(table.columns)}")
    times = _panel_times(panel, to_times(table[columns.time], f"{source}, column {columns.time!r}"), source)
    if columns.id is None:
        series = np.zeros(len(table), dtype=np.int64)
    else:
        codes, ids = series_codes(table, columns.id, source)
        series = pd.Index(panel.ids).get_indexer(pd.Index(ids))[codes]
    k, exact = panel.freq.count(panel.start[np.maximum(series, 0)], times)
    step = k - panel.lengths[np.maximum(series, 0)]
    use = (series >= 0) & exact & (step >= 0) & (step < horizon)
    groups = 1 if columns.id is None else len(panel)
    counts = np.bincount(series[use] * horizon + step[use], minlength=groups * horizon)
    _require_each_step_once(panel, counts.reshape(groups, horizon), source)
    out = np.empty((groups, horizon, len(panel.future_names)))
    for j, name in enumerate(panel.future_names):
        out[series[use], step[use], j] = read_covariate(table, name, panel.labels, source)[0][use]
    return np.repeat(out, len(panel), axis=0) if groups < len(panel) else out


def _panel_times(panel: Panel, column: TimeColumn, source: str) -> Array:
    """Return times in the kind and on the clock of the panel's."""
    if column.values.dtype.kind != panel.start.dtype.kind:
        raise DataError(f"{source}: its times must be of the same kind as in the history (dates or whole numbers)")
    if (column.tz is None) != (panel.tz is None):
        raise DataError(
            f"{source}: its times have time zone {column.tz or 'none'}, the history has {panel.tz or 'none'}"
        )
    return to_wall_time(column.values, panel.tz) if panel.local and panel.tz else column.values


def _require_each_step_once(panel: Panel, counts: Array, source: str) -> None:
    """Raise a DataError for steps (groups, horizon) with no row or several."""
    if (counts == 1).all():
        return
    problem = "absent" if (counts == 0).any() else "there twice"
    series, steps = np.nonzero(counts == 0 if problem == "absent" else counts > 1)
    n, horizon = len(series), counts.shape[1]
    series, steps = series[:MAX_ROWS_SHOWN], steps[:MAX_ROWS_SHOWN]
    times = map(format_time, panel.next_times(horizon)[series, steps])
    named = panel.columns.id is not None
    rows = [f"{panel.ids[s]!r} at {time}" if named else time for s, time in zip(series, times, strict=True)]
    more = f" and {n - MAX_ROWS_SHOWN} more" if n > MAX_ROWS_SHOWN else ""
    raise DataError(
        f"{source}: {plural(n, 'row')} {'is' if n == 1 else 'are'} {problem} of the {counts.size} that the next "
        f"{horizon} steps need: {', '.join(rows)}{more}"
    )
