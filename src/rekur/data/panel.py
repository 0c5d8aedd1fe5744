"""Panel of time series on regular time grids, read from any data frame."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypedDict, Unpack

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import Frequency
from rekur.data.frequency.per_series import LearnedFrequency
from rekur.data.ingest.covariates import read_covariate, static_values
from rekur.data.ingest.notes import constant_covariates, single_values, table_notes
from rekur.data.ingest.parsing import RowNames, series_codes, to_numbers
from rekur.data.ingest.regular_grid import RegularGrid, regular_grids
from rekur.data.ingest.schema import Columns, Frame, Schema, as_table, file_attributes, infer_schema, quoted
from rekur.data.ingest.sorted_rows import to_utc, to_wall_time
from rekur.data.ingest.times import to_times
from rekur.data.scaling import BLOCK_ROWS, ExpandingStd

__all__ = ["Columns", "Panel", "PanelOptions", "read_panel", "read_panels"]

NIXTLA_COLUMNS = Columns("unique_id", "ds", "y")


@dataclass(frozen=True)
class Panel:
    """Time series, one after another, each on a regular time grid of one frequency.

    Series s has the rows offsets[s]:offsets[s+1]; the time of its row k is `freq.advance(start[s], k)`. Missing values
    and missing rows are NaN. Series are in the order of their first rows in the user's table.

    Parameters
    ----------
    ids : (S,) object
        Labels of the series.
    offsets : (S+1,) int64
        First row of each series, and N.
    start : (S,) datetime64[us] or int64
        First time of each series.
    freq : Frequency
        Step of the grid.
    y : (N,) float64
        Values.
    future : (N, F) float64
        Covariates that are known for the future.
    future_names : tuple of str, default ()
        F names.
    past : (N, P) float64, default (0, 0)
        Covariates that are known up to the present.
    past_names : tuple of str, default ()
        P names.
    static : (S, C) float64, default (0, 0)
        Covariates with one value per series.
    static_names : tuple of str, default ()
        C names.
    labels : mapping of str to tuple of str, default {}
        Labels of the covariates that have any; their numbers are the values above.
    columns : Columns, default ("unique_id", "ds", "y")
        Names of the user's columns.
    notes : tuple of str, default ()
        Notes on how the table was read.
    skipped : tuple of (label, str), default ()
        Series that were left out, and the reason.
    tz : str or None, default None
        Time zone of the user's times.
    local : bool, default False
        `start` is in wall-clock time of the zone rather than in UTC.
    wide : bool, default False
        Each series was a column of its own.
    uneven : mapping of label to float, default {}
        Phase within a step of the series whose times were irregular, -1 if they have none.
    earlier : (S, 4) float64, default (0, 4)
        Sums of the rows that `tail` has cut off, see `rekur.data.scaling.ExpandingStd.state`; (0, 4) for none.

    Examples
    --------
    >>> import pandas as pd
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"unique_id": ["a", "a", "b", "b"], "ds": [1, 2, 5, 6], "y": [1.0, 2, 3, 4]}))
    >>> panel.ids.tolist(), panel.lengths.tolist(), panel.next_times(1).tolist()
    (['a', 'b'], [2, 2], [[3], [7]])
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
    columns: Columns = NIXTLA_COLUMNS
    notes: tuple[str, ...] = ()
    skipped: tuple[tuple[Hashable, str], ...] = ()
    tz: str | None = None
    local: bool = False
    wide: bool = False
    uneven: Mapping[Hashable, float] = field(default_factory=dict)
    earlier: Array = field(default_factory=lambda: np.zeros((0, 4)))

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.ids)

    @property
    def lengths(self) -> Array:
        """Number of rows of each series, (S,) int64."""
        return np.diff(self.offsets)

    @property
    def seen(self) -> Array:
        """Number of observed values of each series, (S,) int64."""
        counts, nonempty = np.zeros(len(self), np.int64), np.flatnonzero(self.lengths)
        if len(nonempty):
            counts[nonempty] = np.add.reduceat(np.isfinite(self.y), self.offsets[nonempty], dtype=np.int64)
        return counts

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
        """Return the `horizon` times after each series, (S, horizon)."""
        return self.freq.advance(self.start[:, None], self.lengths[:, None] + np.arange(horizon))

    @property
    def freqs(self) -> tuple[Frequency, ...]:
        """The one frequency, as a tuple."""
        return (self.freq,)

    @property
    def learned_frequency(self) -> LearnedFrequency:
        """Frequency, zone and phases of the series, for reading their next rows."""
        return LearnedFrequency(self.ids, self.freq, self.local, self.uneven, self.tz)

    def step(self, s: int) -> Frequency:
        """Return the frequency of series s."""
        return self.freq

    def clock(self, times: Array) -> Array:
        """Return times of the grid in wall-clock time, as calendar features need them."""
        if self.tz is None or self.local or times.dtype.kind == "i":
            return times
        return to_wall_time(times.ravel(), self.tz).reshape(times.shape)

    def clocks(self, series: Array, rows: Array) -> Array:
        """Return the wall-clock times of rows of series; both broadcast."""
        return self.clock(self.freq.advance(self.start[series], rows))

    def at(self, series: Array, rows: Array) -> Array:
        """Return the times of rows of series, in UTC if there is a zone, as output needs them; both broadcast."""
        times = self.freq.advance(self.start[series], rows)
        return to_utc(times.ravel(), self.tz).reshape(times.shape) if self.local and self.tz else times

    def select(self, which: Array | Sequence[Hashable]) -> Panel:
        """Return a panel of selected series, in the order of this panel.

        Parameters
        ----------
        which : (S,) bool, or sequence of labels
            The series to keep.

        Raises
        ------
        DataError
            If a label is not in the panel.
        """
        mask = np.asarray(which)
        if mask.dtype != bool or len(mask) != len(self):
            index = pd.Index(self.ids).get_indexer(pd.Index(np.asarray(which, dtype=object)))
            if (index < 0).any():
                unknown = list(which)[int(np.flatnonzero(index < 0)[0])]
                raise DataError(f"there is no series {unknown!r}; the series are {quoted(map(str, self.ids))}")
            mask = np.zeros(len(self), dtype=bool)
            mask[index] = True
        if mask.all():
            return self
        return self._take_series(mask, _offsets(self.lengths[mask]), np.repeat(mask, self.lengths))

    def part(self, first: int, stop: int) -> Panel:
        """Return the panel of the series from number `first` up to `stop`, which is left out; its columns are views."""
        offsets = self.offsets[first : stop + 1]
        return self._take_series(slice(first, stop), offsets - offsets[0], slice(int(offsets[0]), int(offsets[-1])))

    def skip(self, mask: Array, reason: str) -> Panel:
        """Return the panel without the series of `mask` (S,) bool, which `skipped` lists with the reason."""
        left_out = tuple((label, reason) for label in self.ids[mask])
        return replace(self.select(~mask), skipped=self.skipped + left_out)

    def cut(self, stops: Array | int) -> Panel:
        """Return the panel with at most the first `stops` rows of each series, (S,) or one number.

        One series is a view; of several the rows are copied, so that nothing later can be read.
        """
        lengths = np.clip(np.broadcast_to(stops, len(self)), 0, self.lengths)
        if (lengths == self.lengths).all():
            return self
        if len(self) == 1:
            return self._take_rows(_offsets(lengths), slice(0, int(lengths[0])))
        k = np.arange(int(self.offsets[-1])) - np.repeat(self.offsets[:-1], self.lengths)
        return self._take_rows(_offsets(lengths), k < np.repeat(lengths, self.lengths))

    def tail(self, rows: int) -> Panel:
        """Return the panel with the end of each series: the last `rows` rows and fewer than 64 more.

        Whole blocks of 64 rows are cut off and summed up in `earlier`, so that the standard deviation of the history
        stays the same number.
        """
        dropped = np.maximum(self.lengths - rows, 0) // BLOCK_ROWS * BLOCK_ROWS
        if not dropped.any():
            return self
        lengths = self.lengths - dropped
        keep = np.arange(len(self.y)) >= np.repeat(self.offsets[1:] - lengths, self.lengths)
        start, earlier = self.freq.advance(self.start, dropped), ExpandingStd.of(self.y, self.offsets, self.earlier)
        return replace(self._take_rows(_offsets(lengths), keep), start=start, earlier=earlier.state(dropped))

    def _take_series(self, series: Array | slice, offsets: Array, rows: Array | slice) -> Panel:
        """Return the panel with a part of its series and their rows."""
        return replace(
            self._take_rows(offsets, rows),
            ids=self.ids[series],
            start=self.start[series],
            static=self.static[series] if self.static_names else self.static,
            earlier=self.earlier[series] if len(self.earlier) else self.earlier,
        )

    def _take_rows(self, offsets: Array, rows: Array | slice) -> Panel:
        """Return the panel with a part of its rows and new offsets."""
        past = self.past[rows] if self.past_names else self.past
        return replace(self, offsets=offsets, y=self.y[rows], future=self.future[rows], past=past)


def _offsets(lengths: Array) -> Array:
    """Return the first row of each series (S,) and their total, (S+1,) int64."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


class PanelOptions(TypedDict, total=False):
    """Options of `read_panels`."""

    id_col: str | Sequence[str] | None
    time_col: str | None
    target_col: str | Sequence[str] | None
    freq: str | int | None
    future: Sequence[str]
    past: Sequence[str]
    static: Sequence[str]
    learned: Sequence[Panel]
    duplicates: str
    source: str


def read_panel(df: Frame, **options: Unpack[PanelOptions]) -> Panel:
    """Read a data frame whose series all have one frequency as a panel.

    Parameters
    ----------
    df : data frame
        pandas, polars or pyarrow frame, or a pandas Series with a time index.
    **options
        Those of `read_panels`, with the same rules.

    Returns
    -------
    Panel

    Raises
    ------
    DataError
        As `read_panels`, and if the series have several frequencies.
    OptionError
        As `read_panels`.

    Examples
    --------
    >>> import pandas as pd
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": ["2024-01-01", "2024-01-02", "2024-01-04"], "y": [1.0, 2.0, 4.0]}))
    >>> panel.freq.name, panel.y.tolist()
    ('D', [1.0, 2.0, nan, 4.0])
    """
    panels = read_panels(df, **options)
    if len(panels) > 1:
        names = ", ".join(f"{panel.freq.name} (such as {panel.ids[0]!r})" for panel in panels)
        raise DataError(
            f"{options.get('source', 'the table')}: the series have different frequencies, {names}; "
            "read them one by one, or pass freq="
        )
    return panels[0]


def read_panels(
    df: Frame,
    *,
    id_col: str | Sequence[str] | None = None,
    time_col: str | None = None,
    target_col: str | Sequence[str] | None = None,
    freq: str | int | None = None,
    future: Sequence[str] = (),
    past: Sequence[str] = (),
    static: Sequence[str] = (),
    learned: Sequence[Panel] = (),
    duplicates: str = "error",
    source: str = "the table",
) -> list[Panel]:
    """Read a data frame as time series on regular grids, one panel for each frequency.

    Parameters
    ----------
    df : data frame
        pandas, polars or pyarrow frame, or a pandas Series with a time index.
    id_col, time_col, target_col : str or None, default None
        Names of the columns; None infers them. Several ids name the series together, as ["store", "dept"]: their
        labels are "A/3". Several targets are the series of a wide table.
    freq : str, int or None, default None
        Frequency such as "h", "D", "MS" or 1; None infers it from the times.
    future : sequence of str, default ()
        Covariates, numbers or labels, whose values are known for the future too.
    past : sequence of str, default ()
        Covariates that are known up to the present.
    static : sequence of str, default ()
        Covariates with one value per series.
    learned : sequence of Panel, default ()
        Panels read before: their series keep their frequency, a new one gets the coarsest of them that fits, and new
        labels of covariates are missing values.
    duplicates : {"error", "mean", "first", "last", "sum"}, default "error"
        Rule for several rows of a series at one time, or in one step of `freq`.
    source : str, default "the table"
        Name of the frame in errors, for example the file.

    Returns
    -------
    list of Panel
        That of most series first.

    Raises
    ------
    DataError
        If the frame cannot be used; the text names column, series and row.
    OptionError
        If `freq` or `duplicates` is not known.

    Notes
    -----
    * A long table has the columns unique_id, ds, y (also item_id, timestamp, target, or as named); a single series
      has one time and one value; a wide table has one time column and a series in each other one.
    * Rows may be in any order. Missing values and missing rows become NaN; nothing is imputed.
    * The frequency is the most common step, of which all others must be multiples. Series with a coarser step of
      their own, such as weeks among days, make a panel of their own, unless it may be chance.
    * If more than half of the steps of a series fit no common one, its times are irregular: they are put on the usual
      step nearest to their median one (or on `freq`), and the values of one step are averaged, unless `duplicates`
      gives another rule; the last of several labels counts.
    * Times with a zone are counted in UTC, days and longer steps in wall-clock time.
    * Times without a zone and at most an hour apart may repeat an hour when clocks are set back (on a Sunday of
      October, November, March or April before 4:00, two hours a year at most): the values are averaged, and a note
      tells of it. The hour skipped in spring becomes missing rows. Any other repeated time is an error unless
      `duplicates` gives a rule.

    Examples
    --------
    >>> import pandas as pd
    >>> from rekur.data import read_panels
    >>> days = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024-01-01", periods=9), "y": 1.0})
    >>> weeks = pd.DataFrame({"unique_id": "b", "ds": pd.date_range("2024-01-01", periods=9, freq="W"), "y": 1.0})
    >>> [panel.freq.name for panel in read_panels(pd.concat([days, weeks]))]
    ['D', 'W-SUN']
    """
    table = as_table(df, source)
    future, past, static = (tuple([names] if isinstance(names, str) else names) for names in (future, past, static))
    covariates = (*future, *past, *static)
    schema = infer_schema(table, id_col, time_col, target_col, covariates, source, bool(learned))
    known = file_attributes(df)
    source += known.get("place", "")
    _refuse_doubts(known.get("doubts", {}), (*schema.values, *covariates), source)
    codes, ids = series_codes(table, schema.columns.id, source)
    whole = learned[0].freq.kind == "integer" if learned else isinstance(freq, int)
    times = to_times(table[schema.columns.time], f"{source}, column {schema.columns.time!r}", whole)
    frequencies, rows = [panel.learned_frequency for panel in learned], RowNames.of(table)
    grids = regular_grids(times, (codes, ids), freq, frequencies, duplicates, source, schema.unused, rows)
    target = {name: to_numbers(table[name], f"{source}, column {name!r}") for name in schema.values}
    if all(np.isnan(values).all() for values in target.values()):
        raise DataError(f"{source}: all values of {quoted(schema.values)} are missing; at least one value is needed")
    known_labels = learned[0].labels if learned else None
    exogenous = {name: read_covariate(table, name, known_labels, source) for name in covariates}
    constants = [
        static_values(exogenous[name][0], codes, ids, f"{source}, column {name!r} (static)") for name in static
    ]
    covariate_notes = [*single_values(exogenous, [*future, *past]), *constant_covariates(exogenous)]
    columns = _PanelColumns(
        schema=schema,
        ids=ids,
        target=target,
        future={name: exogenous[name][0] for name in future},
        past={name: exogenous[name][0] for name in past},
        static=dict(zip(static, constants, strict=True)),
        labels={name: labels for name, (_, labels) in exogenous.items() if labels},
        notes=(*known.get("notes", ()), *([] if learned else covariate_notes)),
    )
    return [_panel_on_grid(grid, columns) for grid in grids]


@dataclass(frozen=True)
class _PanelColumns:
    """Columns of a table by role: values (n,) of the input rows by name, static covariates (S,) of all series.

    notes: those on the file of the table.
    """

    schema: Schema
    ids: Array
    target: dict[str, Array]
    future: dict[str, Array]
    past: dict[str, Array]
    static: dict[str, Array]
    labels: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def _refuse_doubts(doubts: Mapping[str, str], names: Sequence[str], source: str) -> None:
    """Raise a DataError if a column that is used can be read in two ways, as `rekur.data.read_file` has noticed."""
    for name in names:
        if name in doubts:
            raise DataError(f"{source}, column {name!r}: {doubts[name]}")


def _panel_on_grid(grid: RegularGrid, columns: _PanelColumns) -> Panel:
    """Return the panel of the series of one grid."""
    schema, labels = columns.schema, columns.labels
    y = np.concatenate([grid.place(values) for values in columns.target.values()])
    future, past = (grid.place_covariates(group, labels) for group in (columns.future, columns.past))
    series = slice(None) if grid.series is None else grid.series
    ids, static = columns.ids[series], [values[series] for values in columns.static.values()]
    offsets, start, uneven = grid.offsets, grid.start, grid.phases
    if schema.wide:  # the series share their times and covariates
        ids = np.array(schema.values, dtype=object)
        count = len(ids)
        offsets = np.arange(count + 1, dtype=np.int64) * offsets[-1]
        start, future, past = np.repeat(start, count), np.tile(future, (count, 1)), np.tile(past, (count, 1))
        static = [np.repeat(values, count) for values in static]
        uneven = dict.fromkeys(ids.tolist(), uneven[None]) if uneven else uneven
    panel = Panel(
        ids=ids,
        offsets=offsets,
        start=start,
        freq=grid.freq,
        y=y,
        future=future,
        future_names=tuple(columns.future),
        past=past,
        past_names=tuple(columns.past),
        static=np.stack(static, axis=1) if static else np.zeros((len(ids), 0)),
        static_names=tuple(columns.static),
        labels=labels,
        columns=schema.columns,
        tz=grid.tz,
        local=grid.local,
        wide=schema.wide,
        uneven=uneven,
    )
    return replace(panel, notes=(*columns.notes, *table_notes(schema, grid, panel)))
