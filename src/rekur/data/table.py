"""A table of series on a regular grid of time, from any table of the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import DataError
from rekur.data.clean import Times, many, numbers, series_of, times
from rekur.data.grid import Grid, instants, lay, wall
from rekur.data.roles import Columns, Roles, as_frame, find_roles, listed
from rekur.data.steps import Freq, shown

__all__ = ["Columns", "Table", "future_rows", "table"]

Array = np.ndarray[Any, np.dtype[Any]]

LONG = Columns("unique_id", "ds", "y")


@dataclass(frozen=True)
class Table:
    """Many series, one after another, each on its regular grid of time.

    Series s owns rows offsets[s]:offsets[s+1]; its row k stands at `freq.advance(start[s], k)`. Missing
    values and missing rows are NaN. Series stand in the order in which the user's table first names them.

    Parameters
    ----------
    ids : (S,) the user's labels
    offsets : (S+1,) int64
    start : (S,) datetime64[us] or int64, the first time of each series
    freq : the step of the grid
    y : (N,) float64
    future : (N, F) float64, covariates known for the future
    future_names : F names
    columns : the names of the user's columns
    notes : sentences on what was found and done
    skipped : (id, reason) of the series left out
    tz : the time zone of the user's times; `start` is then in UTC, or, if `local`, what the clocks there show
    wide : each series was a column of its own
    """

    ids: Array
    offsets: Array
    start: Array
    freq: Freq
    y: Array
    future: Array
    future_names: tuple[str, ...] = ()
    columns: Columns = LONG
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[Any, str], ...] = ()
    tz: str | None = None
    local: bool = False
    wide: bool = False

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.ids)

    @property
    def lengths(self) -> Array:
        """The number of rows of each series, (S,) int64."""
        return np.diff(self.offsets)

    @property
    def seen(self) -> Array:
        """The number of values of each series that are not missing, (S,) int64."""
        out, some = np.zeros(len(self), np.int64), np.flatnonzero(self.lengths)
        out[some] = np.add.reduceat(np.isfinite(self.y), self.offsets[some], dtype=np.int64) if len(some) else 0
        return out

    def length(self, s: int) -> int:
        """Return the number of rows of series s."""
        return int(self.offsets[s + 1] - self.offsets[s])

    def values(self, s: int) -> Array:
        """Return the values of series s, a view (n,)."""
        return self.y[self.offsets[s] : self.offsets[s + 1]]

    def times(self, s: int) -> Array:
        """Return the times of series s, (n,)."""
        return self.freq.advance(self.start[s], np.arange(self.length(s)))

    def all_times(self) -> Array:
        """Return the time of every row, (N,)."""
        lengths = self.lengths
        k = np.arange(int(self.offsets[-1])) - np.repeat(self.offsets[:-1], lengths)
        return self.freq.advance(np.repeat(self.start, lengths), k)

    def next_times(self, horizon: int) -> Array:
        """Return the `horizon` times that follow each series, (S, horizon)."""
        return self.freq.advance(self.start[:, None], self.lengths[:, None] + np.arange(horizon))

    def clock(self, times: Array) -> Array:
        """Return times of the grid as clocks in the user's zone show them (for calendar features)."""
        if self.tz is None or self.local or times.dtype.kind == "i":
            return times
        return wall(times.ravel(), self.tz).reshape(times.shape)

    def instants(self, times: Array) -> Array:
        """Return times of the grid in UTC if there is a zone, else as they are (for output)."""
        if not self.local or self.tz is None:
            return times
        return instants(times.ravel(), self.tz).reshape(times.shape)

    def select(self, which: Array | Sequence[Any]) -> Table:
        """Return the table of some series, in their order here.

        Parameters
        ----------
        which : (S,) bool, or the labels wanted

        Raises
        ------
        DataError : a label is not in the table.
        """
        mask = np.asarray(which)
        if mask.dtype != bool or len(mask) != len(self):
            known = pd.Index(self.ids)
            place = known.get_indexer(pd.Index(np.asarray(which, dtype=object)))
            if (place < 0).any():
                lost = list(which)[int(np.flatnonzero(place < 0)[0])]
                raise DataError(f"there is no series {lost!r}; the series are {listed(map(str, self.ids))}")
            mask = np.zeros(len(self), dtype=bool)
            mask[place] = True
        if mask.all():
            return self
        keep = np.repeat(mask, self.lengths)
        offsets = np.concatenate([[0], np.cumsum(self.lengths[mask])]).astype(np.int64)
        return replace(
            self,
            ids=self.ids[mask],
            offsets=offsets,
            start=self.start[mask],
            y=self.y[keep],
            future=self.future[keep],
        )

    def skip(self, mask: Array, reason: str) -> Table:
        """Return the table without the series of `mask` (S,) bool, which are listed in `skipped`."""
        left = tuple((label, reason) for label in self.ids[mask])
        return replace(self.select(~mask), skipped=self.skipped + left)

    def cut(self, stops: Array | int) -> Table:
        """Return the table whose series end at length `stops`, (S,) or one number, at the most.

        One series is a view; of several the kept rows are copied once, so that nothing later can be seen.
        """
        lengths = np.clip(np.broadcast_to(stops, len(self)), 0, self.lengths)
        if (lengths == self.lengths).all():
            return self
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        if len(self) == 1:
            return replace(self, offsets=offsets, y=self.y[: lengths[0]], future=self.future[: lengths[0]])
        k = np.arange(int(self.offsets[-1])) - np.repeat(self.offsets[:-1], self.lengths)
        keep = k < np.repeat(lengths, self.lengths)
        return replace(self, offsets=offsets, y=self.y[keep], future=self.future[keep])


def _values(frame: nw.DataFrame[Any], roles: Roles, grid: Grid, source: str) -> Array:
    """Return the target of all series on the grid, (N,), the columns of a wide table one after another."""
    parts = []
    for name in roles.values:
        y = grid.place(numbers(frame[name], f"{source}, column {name!r}"))
        parts.append(y)
    y = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if np.isnan(y).all():
        raise DataError(f"{source}: all values of {listed(roles.values)} are missing; there is nothing to learn from")
    return y


def table(
    df: Any,
    *,
    id_col: str | None = None,
    time_col: str | None = None,
    target_col: str | None = None,
    freq: str | int | None = None,
    future: Sequence[str] = (),
    duplicates: str = "error",
    source: str = "the table",
) -> Table:
    """Read a user's table as series on a regular grid of time; nothing is imputed.

    Rules
    -----
    * Long tables have the columns unique_id, ds, y (also item_id, timestamp, target, or as named here); a
      plain table is one time and one value; a wide one has one time column and a series in every other.
    * Rows may stand in any order. Missing values and missing rows become NaN.
    * The frequency is the most common step, of which every other must be a multiple.
    * Times of a zone are counted in UTC, days and longer by the clocks of the zone.
    * Clock changes: where times without a zone and at most an hour apart repeat an hour in the autumn (on a
      Sunday of October, November, March or April, before 4:00, no more than two hours a year and series), the
      doubled values are averaged and a note says so; the hour left out in spring becomes missing rows. Any
      other doubled time is an error unless `duplicates` says what to do.

    Parameters
    ----------
    df : pandas, polars or pyarrow table, or a pandas Series with a time index
    id_col, time_col, target_col : names of the columns, where they are not known ones
    freq : such as "h", "D", "MS" or 1; found if None
    future : names of numeric columns whose values are known for the future too
    duplicates : "error", "mean", "first", "last" or "sum": what to do with rows of one series at one time
    source : names the table in errors, for example the file

    Returns
    -------
    Table

    Raises
    ------
    DataError : the table cannot be used; the text names column, series and row (the header is row 1).
    OptionError : `freq` or `duplicates` is not known.

    Examples
    --------
    >>> df = pd.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-04"], "y": [1.0, 2.0, 4.0]})
    >>> found = table(df)
    >>> found.freq.name, found.y.tolist()
    ('D', [1.0, 2.0, nan, 4.0])
    """
    frame = as_frame(df, source)
    future = (future,) if isinstance(future, str) else tuple(future)
    roles = find_roles(frame, id_col, time_col, target_col, future, source)
    codes, ids = series_of(frame, roles.columns.id, source)
    found = times(frame[roles.columns.time], f"{source}, column {roles.columns.time!r}")
    grid = lay(found, codes, ids, freq, duplicates, source, roles.columns.id is not None)
    y = _values(frame, roles, grid, source)
    known = np.empty((int(grid.offsets[-1]), len(future)))
    for j, name in enumerate(future):
        known[:, j] = grid.place(numbers(frame[name], f"{source}, column {name!r} (future)"))
    offsets, start = grid.offsets, grid.start
    if roles.wide:
        ids = np.array(roles.values, dtype=object)
        offsets = np.arange(len(ids) + 1, dtype=np.int64) * offsets[-1]
        start, known = np.repeat(start, len(ids)), np.tile(known, (len(ids), 1))
    return Table(
        ids,
        offsets,
        start,
        grid.freq,
        y,
        known,
        future,
        roles.columns,
        _notes(roles, grid, y),
        (),
        grid.tz,
        grid.local,
        roles.wide,
    )


def _notes(roles: Roles, grid: Grid, y: Array) -> tuple[str, ...]:
    """Return what there is to tell of the table as a whole."""
    notes = [roles.note] if roles.note else []
    if roles.wide:
        notes.append(f"a wide table: {len(roles.values)} series, one a column")
    notes += grid.notes
    missing = int(np.isnan(y).sum())
    absent = grid.absent * len(roles.values)
    if missing:
        parts = [many(absent, "absent row"), many(missing - absent, "empty value")]
        which = " and ".join(part for part in parts if not part.startswith("0 "))
        notes.append(f"{missing} of {len(y)} values are missing ({missing / len(y):.2%}): {which}")
    return tuple(notes)


def future_rows(table: Table, df: Any, horizon: int, source: str = "the future table") -> Array:
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
        out[s[use], step[use], j] = numbers(frame[name], f"{source}, column {name!r}")[use]
    return np.repeat(out, len(table), axis=0) if groups < len(table) else out


def _like(table: Table, found: Times, source: str) -> Array:
    """Return times counted like those of the table."""
    if found.values.dtype.kind != table.start.dtype.kind:
        raise DataError(f"{source}: its times are not of the kind of the history's (dates or whole numbers)")
    if (found.tz is None) != (table.tz is None):
        raise DataError(
            f"{source}: its times have time zone {found.tz or 'none'}, the history has {table.tz or 'none'}"
        )
    return wall(found.values, table.tz) if table.local and table.tz else found.values


def _refuse_gaps(table: Table, seen: Array, horizon: int, source: str) -> None:
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
