"""The covariates of the steps to come: read from the user's table, or the table to fill in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import shown
from rekur.data.ingest.covariates import covariate
from rekur.data.ingest.parsing import Times, many, series_of, times
from rekur.data.ingest.schema import as_frame, listed
from rekur.data.ingest.sorted_rows import wall
from rekur.data.panel import Panel

__all__ = ["future_columns", "future_rows"]


def future_columns(table: Panel, horizon: int) -> dict[str, Array]:
    """The id, the times and the empty covariates of the steps that follow each series: name → (S·horizon,)."""
    columns: dict[str, Array] = {}
    times = table.at(np.arange(len(table))[:, None], table.lengths[:, None] + np.arange(horizon))  # (S, h)
    if table.columns.id is not None:
        columns[table.columns.id] = np.repeat(table.ids, horizon)
    elif table.wide:
        times = times[:1]  # the covariates of a wide table are those of all series
    columns[table.columns.time] = times.ravel()
    return {**columns, **{name: np.full(times.size, np.nan) for name in table.future_names}}


def future_rows(table: Panel, df: Any, horizon: int, source: str = "the future table") -> Array:
    """Read the covariates of the `horizon` steps that follow each series.

    Parameters
    ----------
    table : the history
    df : a table with its id and time columns and all of its `future` columns; other rows are passed over
    horizon : number of steps
    source : names the table in errors

    Returns
    -------
    (S, horizon, F) float64, NaN where a value is missing

    Raises
    ------
    DataError : a column or a row is missing.
    """
    frame = as_frame(df, source)
    columns = table.columns
    for name in (columns.id, columns.time, *table.future_names):
        if name is not None and name not in frame.columns:
            raise DataError(f"{source} has no column {name!r}; its columns are {listed(frame.columns)}")
    found = times(frame[columns.time], f"{source}, column {columns.time!r}")
    t = _like(table, found, source)
    if columns.id is None:
        s = np.zeros(len(frame), dtype=np.int64)
    else:
        codes, ids = series_of(frame, columns.id, source)
        s = pd.Index(table.ids).get_indexer(pd.Index(ids))[codes]
    k, exact = table.freq.count(table.start[np.maximum(s, 0)], t)
    step = k - table.lengths[np.maximum(s, 0)]
    use = (s >= 0) & exact & (step >= 0) & (step < horizon)
    groups = 1 if columns.id is None else len(table)
    seen = np.bincount(s[use] * horizon + step[use], minlength=groups * horizon)
    _refuse_gaps(table, seen.reshape(groups, horizon), horizon, source)
    out = np.empty((groups, horizon, len(table.future_names)))
    for j, name in enumerate(table.future_names):
        out[s[use], step[use], j] = covariate(frame, name, table.labels, source)[0][use]
    return np.repeat(out, len(table), axis=0) if groups < len(table) else out


def _like(table: Panel, found: Times, source: str) -> Array:
    """Return times counted like those of the table."""
    if found.values.dtype.kind != table.start.dtype.kind:
        raise DataError(f"{source}: its times are not of the kind of the history's (dates or whole numbers)")
    if (found.tz is None) != (table.tz is None):
        raise DataError(
            f"{source}: its times have time zone {found.tz or 'none'}, the history has {table.tz or 'none'}"
        )
    return wall(found.values, table.tz) if table.local and table.tz else found.values


def _refuse_gaps(table: Panel, seen: Array, horizon: int, source: str) -> None:
    """Raise the error for future rows that are absent or doubled."""
    if (seen == 1).all():
        return
    words = "absent" if (seen == 0).any() else "there twice"
    s, k = np.nonzero(seen == 0 if words == "absent" else seen > 1)
    stamps = table.next_times(horizon)[s[:3], k[:3]]
    first = [
        f"{table.ids[a]!r} at {shown(t)}" if table.columns.id else shown(t) for a, t in zip(s[:3], stamps, strict=True)
    ]
    more = f" and {len(s) - 3} more" if len(s) > 3 else ""
    raise DataError(
        f"{source}: {many(len(s), 'row')} {'is' if len(s) == 1 else 'are'} {words} of the {seen.size} that the next "
        f"{horizon} steps need: {', '.join(first)}{more}"
    )
