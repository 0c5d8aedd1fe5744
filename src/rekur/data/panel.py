"""A table of series on a regular grid of time, from any table of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequencies import LearnedFrequency
from rekur.data.frequency.frequency import Frequency
from rekur.data.ingest.covariates import constant, covariate
from rekur.data.ingest.parsing import many, numbers, series_of, times
from rekur.data.ingest.regular_grid import RegularGrid, lay
from rekur.data.ingest.schema import Columns, Schema, as_frame, find_roles, listed
from rekur.data.ingest.sorted_rows import instants, wall

__all__ = ["Columns", "Panel", "read_panel", "read_panels"]


LONG = Columns("unique_id", "ds", "y")


@dataclass(frozen=True)
class Panel:
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
    past, past_names : (N, P) float64 and P names, covariates known up to the present only
    static, static_names : (S, C) float64 and C names, covariates of a whole series
    labels : covariate -> its labels, whose numbers stand in the columns above
    columns : the names of the user's columns
    notes : sentences on what was found and done
    skipped : (id, reason) of the series left out
    tz : the time zone of the user's times; `start` is then in UTC, or, if `local`, what the clocks there show
    wide : each series was a column of its own
    uneven : the series whose times were uneven, and at which place of their step they stand together, -1 for none
    """

    ids: Array
    offsets: Array
    start: Array
    freq: Frequency
    y: Array
    future: Array
    future_names: tuple[str, ...] = ()
    past: Array = field(default_factory=lambda: np.zeros((0, 0)))
    past_names: tuple[str, ...] = ()
    static: Array = field(default_factory=lambda: np.zeros((0, 0)))
    static_names: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Columns = LONG
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[Any, str], ...] = ()
    tz: str | None = None
    local: bool = False
    wide: bool = False
    uneven: Mapping[Any, float] = field(default_factory=dict)

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

    def next_times(self, horizon: int) -> Array:
        """Return the `horizon` times that follow each series, (S, horizon)."""
        return self.freq.advance(self.start[:, None], self.lengths[:, None] + np.arange(horizon))

    @property
    def freqs(self) -> tuple[Frequency, ...]:
        """The frequencies of all series: one."""
        return (self.freq,)

    @property
    def timing(self) -> LearnedFrequency:
        """How its times are counted."""
        return LearnedFrequency(self.ids, self.freq, self.local, self.uneven, self.tz)

    def step(self, s: int) -> Frequency:
        """Return the frequency of series s."""
        return self.freq

    def clock(self, times: Array) -> Array:
        """Return times of the grid as clocks in the user's zone show them (for calendar features)."""
        if self.tz is None or self.local or times.dtype.kind == "i":
            return times
        return wall(times.ravel(), self.tz).reshape(times.shape)

    def clocks(self, series: Array, rows: Array) -> Array:
        """Return the times of rows of series as the clocks of the zone show them; both broadcast."""
        return self.clock(self.freq.advance(self.start[series], rows))

    def at(self, series: Array, rows: Array) -> Array:
        """Return the times of rows of series, in UTC where there is a zone (for output); both broadcast."""
        times = self.freq.advance(self.start[series], rows)
        return instants(times.ravel(), self.tz).reshape(times.shape) if self.local and self.tz else times

    def select(self, which: Array | Sequence[Any]) -> Panel:
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
            past=self.past[keep] if self.past_names else self.past,
            static=self.static[mask] if self.static_names else self.static,
        )

    def skip(self, mask: Array, reason: str) -> Panel:
        """Return the table without the series of `mask` (S,) bool, which are listed in `skipped`."""
        left = tuple((label, reason) for label in self.ids[mask])
        return replace(self.select(~mask), skipped=self.skipped + left)

    def cut(self, stops: Array | int) -> Panel:
        """Return the table whose series end at length `stops`, (S,) or one number, at the most.

        One series is a view; of several the kept rows are copied once, so that nothing later can be seen.
        """
        lengths = np.clip(np.broadcast_to(stops, len(self)), 0, self.lengths)
        if (lengths == self.lengths).all():
            return self
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        if len(self) == 1:
            return self._rows(offsets, slice(0, int(lengths[0])))
        k = np.arange(int(self.offsets[-1])) - np.repeat(self.offsets[:-1], self.lengths)
        return self._rows(offsets, k < np.repeat(lengths, self.lengths))

    def tail(self, rows: int) -> Panel:
        """Return the table of the last rows of every series."""
        kept = np.minimum(self.lengths, rows)
        offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        keep = np.arange(len(self.y)) >= np.repeat(self.offsets[1:] - kept, self.lengths)
        return replace(self._rows(offsets, keep), start=self.freq.advance(self.start, self.lengths - kept))

    def _rows(self, offsets: Array, keep: Any) -> Panel:
        """Return the same series with some of their rows."""
        past = self.past[keep] if self.past_names else self.past
        return replace(self, offsets=offsets, y=self.y[keep], future=self.future[keep], past=past)


def read_panel(df: Any, *, source: str = "the table", **names: Any) -> Panel:
    """Read a user's table whose series all have one frequency; rules, arguments and errors as in `tables`.

    >>> df = pd.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-04"], "y": [1.0, 2.0, 4.0]})
    >>> found = read_panel(df)
    >>> found.freq.name, found.y.tolist()
    ('D', [1.0, 2.0, nan, 4.0])
    """
    found = read_panels(df, source=source, **names)
    if len(found) > 1:
        kinds = ", ".join(f"{each.freq.name} (such as {each.ids[0]!r})" for each in found)
        raise DataError(
            f"{source}: the series have different frequencies, {kinds}; take them one by one, or give freq="
        )
    return found[0]


def read_panels(
    df: Any,
    *,
    id_col: str | None = None,
    time_col: str | None = None,
    target_col: str | None = None,
    freq: str | int | None = None,
    future: Sequence[str] = (),
    past: Sequence[str] = (),
    static: Sequence[str] = (),
    learned: Sequence[Panel] = (),
    duplicates: str = "error",
    source: str = "the table",
) -> list[Panel]:
    """Read a user's table as series on regular grids of time, one `Panel` a frequency; nothing is imputed.

    Rules
    -----
    * Long tables have the columns unique_id, ds, y (also item_id, timestamp, target, or as named here); a
      plain table is one time and one value; a wide one has one time column and a series in every other.
    * Rows may stand in any order. Missing values and missing rows become NaN.
    * The frequency is the most common step, of which every other must be a multiple. Series with a step of their own,
      such as weeks among days, make a table of their own, unless it may be chance; that of most series comes first.
    * Where half of the steps of a series or more fit no common one its times are uneven: they are laid on the usual
      step nearest to the median one (or on `freq`), and the values of one step are averaged, unless `duplicates`
      says otherwise; of labels the last one counts.
    * Times of a zone are counted in UTC, days and longer by the clocks of the zone.
    * Clock changes: where times without a zone and at most an hour apart repeat an hour in the autumn (on a Sunday of
      October, November, March or April, before 4:00, two hours a year at most), the doubled values are averaged and
      a note says so; the hour left out in spring becomes missing rows.
    * Any other time that is there twice is an error unless `duplicates` says what to do.

    Parameters
    ----------
    df : pandas, polars or pyarrow table, or a pandas Series with a time index
    id_col, time_col, target_col : names of the columns, where they are not known ones
    freq : such as "h", "D", "MS" or 1; found if None
    future : names of columns whose values are known for the future too: numbers, or labels
    past, static : names of columns known up to the present, and of columns with one value a series
    learned : tables read before: series keep the frequency they had, new ones take the longest of them that fits, and
        new labels of covariates are unknown
    duplicates : "error", "mean", "first", "last" or "sum": what to do with rows of one series at one time
    source : names the table in errors, for example the file

    Returns
    -------
    list of Table

    Raises
    ------
    DataError : the table cannot be used; the text names column, series and row (the header is row 1).
    OptionError : `freq` or `duplicates` is not known.

    Examples
    --------
    >>> days = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024-01-01", periods=9), "y": 1.0})
    >>> weeks = pd.DataFrame({"unique_id": "b", "ds": pd.date_range("2024-01-01", periods=9, freq="W"), "y": 1.0})
    >>> [found.freq.name for found in read_panels(pd.concat([days, weeks]))]
    ['D', 'W-SUN']
    """
    frame = as_frame(df, source)
    future, past, static = ((names,) if isinstance(names, str) else names for names in (future, past, static))
    names = tuple(future), tuple(past), tuple(static)
    roles = find_roles(frame, id_col, time_col, target_col, [name for group in names for name in group], source)
    codes, ids = series_of(frame, roles.columns.id, source)
    found = times(frame[roles.columns.time], f"{source}, column {roles.columns.time!r}")
    grids = lay(
        found, codes, ids, freq, [each.timing for each in learned], duplicates, source, roles.columns.id is not None
    )
    target = {name: numbers(frame[name], f"{source}, column {name!r}") for name in roles.values}
    if all(np.isnan(values).all() for values in target.values()):
        raise DataError(f"{source}: all values of {listed(roles.values)} are missing; there is nothing to learn from")
    labels = learned[0].labels if learned else None
    read = {name: covariate(frame, name, labels, source) for group in names for name in group}
    columns = {**target, **{name: values for name, (values, _) in read.items()}}
    fixed = [constant(read[name][0], codes, ids, f"{source}, column {name!r} (static)") for name in names[2]]
    kinds = {name: kinds for name, (_, kinds) in read.items() if kinds}
    return [_laid(grid, roles, columns, names, (ids, fixed), kinds) for grid in grids]


def _laid(
    grid: RegularGrid,
    roles: Schema,
    columns: Mapping[str, Array],
    names: tuple[tuple[str, ...], ...],
    series: tuple[Array, list[Array]],
    labels: Mapping[str, tuple[str, ...]],
) -> Panel:
    """The table of one grid: columns as given by name, and the ids and static covariates (S,) of all series."""
    y = np.concatenate([grid.place(columns[name]) for name in roles.values])
    known, before = (grid.covariates({name: columns[name] for name in group}, labels) for group in names[:2])
    some = slice(None) if grid.series is None else grid.series
    ids, fixed = series[0][some], [column[some] for column in series[1]]
    offsets, start = grid.offsets, grid.start
    if roles.wide:
        ids = np.array(roles.values, dtype=object)
        offsets = np.arange(len(ids) + 1, dtype=np.int64) * offsets[-1]
        start, known, before = np.repeat(start, len(ids)), np.tile(known, (len(ids), 1)), np.tile(before, (len(ids), 1))
        fixed = [np.repeat(column, len(ids)) for column in fixed]
    whole = np.stack(fixed, axis=1) if fixed else np.zeros((len(ids), 0))
    made = Panel(ids, offsets, start, grid.freq, y, known, names[0], before, names[1], whole, names[2], labels)
    return replace(
        made,
        columns=roles.columns,
        notes=_notes(roles, grid, y),
        tz=grid.tz,
        local=grid.local,
        wide=roles.wide,
        uneven=dict.fromkeys(ids.tolist(), grid.uneven[None]) if roles.wide and grid.uneven else grid.uneven,
    )


def _notes(roles: Schema, grid: RegularGrid, y: Array) -> tuple[str, ...]:
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
