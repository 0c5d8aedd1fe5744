"""Rows sorted by series and time, in UTC or wall-clock time of their zone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import Frequency, format_time
from rekur.data.frequency.inference import infer
from rekur.data.ingest.parsing import FRAME_ROWS, RowNames
from rekur.data.ingest.times import TimeColumn
from rekur.data.windows import portions

__all__ = ["SortedRows", "sort_rows", "to_utc", "to_wall_time"]

ROWS_AT_A_TIME = 1_000_000
DIGIT_BITS = 16  # of the radix sort


def to_wall_time(times: Array, tz: str) -> Array:
    """Convert UTC times (n,) to the wall-clock time of zone `tz`."""
    index = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(tz).tz_localize(None)
    return np.asarray(index.to_numpy().astype("M8[us]"))


def to_utc(times: Array, tz: str) -> Array:
    """Convert wall-clock times (n,) of zone `tz` to UTC; a time skipped in spring is shifted forward."""
    index = pd.DatetimeIndex(times).tz_localize(
        tz, ambiguous=np.ones(len(times), dtype=bool), nonexistent="shift_forward"
    )
    return np.asarray(index.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[us]"))


@dataclass(frozen=True)
class SortedRows:
    """Rows sorted by series and time, with their position in the input for error messages.

    Parameters
    ----------
    times : (n,) datetime64[us] or int64
        Times, in UTC if there is a zone.
    codes : (n,) int64
        Number of the series of each row.
    order : (n,) int64 or None
        Position of each row in the input; None if the input was sorted.
    first : (S+1,) int64
        First row of each series, and n.
    ids : (S,) object
        Labels of the series.
    source : str
        Name of the input in errors.
    tz : str or None, default None
        Zone to whose wall-clock time the times can be converted.
    unused : tuple of str, default ()
        Columns of the input without a role.
    names : RowNames
        Names of the rows of the input.
    """

    times: Array
    codes: Array
    order: Array | None
    first: Array
    ids: Array
    source: str
    tz: str | None = None
    unused: tuple[str, ...] = ()
    names: RowNames = FRAME_ROWS

    @property
    def has_ids(self) -> bool:
        """Whether the input has an id column: a single series has the label None."""
        return len(self.ids) > 0 and self.ids[0] is not None

    @cached_property
    def _wall_times(self) -> Array:
        """The times as the clocks of the zone show them, (n,)."""
        return self.times if self.tz is None else to_wall_time(self.times, self.tz)

    @cached_property
    def same_clock(self) -> Array:
        """Whether all times of a series have the same time of day in the zone, as days have, (S,) bool."""
        if self.tz is None:
            return np.zeros(len(self.ids), dtype=bool)
        clock = self._wall_times - self._wall_times.astype("M8[D]")
        return self.all_by_series(clock == clock[self.first[self.codes]])

    @cached_property
    def has_next(self) -> Array:
        """Whether the next row belongs to the same series, (n,) bool."""
        return np.append(self.codes[1:] == self.codes[:-1], False)

    def all_by_series(self, mask: Array) -> Array:
        """Return whether a mask (n,) is true in all rows of each series, (S,) bool."""
        return np.asarray(np.logical_and.reduceat(mask, self.first[:-1]))

    def on_clock(self, local: bool) -> SortedRows:
        """Return the rows in wall-clock time if `local`, else in UTC."""
        return replace(self, times=self._wall_times, tz=None) if local and self.tz else self

    def on_own_clock(self) -> SortedRows:
        """Return the rows with series of one time of day in wall-clock time and the others in UTC."""
        if self.tz is None:
            return self
        return replace(self, times=np.where(self.same_clock[self.codes], self._wall_times, self.times), tz=None)

    def select(self, series: Array | None) -> SortedRows:
        """Return the rows of series of ascending numbers (m,); None for all."""
        if series is None:
            return self
        lengths = self.first[series + 1] - self.first[series]
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        keep = np.arange(first[-1]) + np.repeat(self.first[series] - first[:-1], lengths)
        order = keep if self.order is None else self.order[keep]
        codes = np.repeat(np.arange(len(series)), lengths)
        times, ids = self.times[keep], self.ids[series]
        return replace(self, times=times, codes=codes, order=order, first=first, ids=ids)

    def count_steps(self, freq: Frequency) -> tuple[Array, Array]:
        """Return the steps of each row since the start of its series and whether they are whole, (n,) each."""
        k, exact = np.empty(len(self.times), dtype=np.int64), np.empty(len(self.times), dtype=bool)
        for a, b in portions(self.first, ROWS_AT_A_TIME):
            start = np.repeat(self.times[self.first[a:b]], np.diff(self.first[a : b + 1]))
            part = slice(self.first[a], self.first[b])
            k[part], exact[part] = freq.count(start, self.times[part])
        return k, exact

    def refuse_off_grid(self, freq: Frequency, exact: Array) -> None:
        """Raise a DataError for the first row that is not a whole number of steps after the start of its series."""
        if not exact.all():
            i = int(np.flatnonzero(~exact)[0])
            raise DataError(
                f"{self.source}, {self.describe(i)}: the time {format_time(self.times[i])} is not a whole number of "
                f"steps ({freq.name}) after the first of its series; round the times or pass the true step as freq="
                f"{self._finer_step(freq)}"
            )

    def _finer_step(self, freq: Frequency) -> str:
        """Return the advice for rows of a finer step than `freq`, "" where they have none."""
        spacing = infer(self.times, self.first)
        if spacing is None or spacing.frequency is None or spacing.frequency.length >= freq.length:
            return ""
        return (
            f"{spacing.frequency.name}; for coarser steps say how their rows are combined, duplicates='sum' or 'mean'"
        )

    def input_row(self, i: int) -> int:
        """Return the position in the input of row `i`."""
        return i if self.order is None else int(self.order[i])

    def input_name(self, i: int) -> str:
        """Return the name of row `i` in the input."""
        return self.names(self.input_row(i))

    def describe_series(self, i: int) -> str:
        """Return "series 'A', " of row `i`, or nothing where there is one series only."""
        return f"series {self.ids[self.codes[i]]!r}, " if self.has_ids else ""

    def describe(self, i: int) -> str:
        """Return "series 'A', row 17" of row `i`."""
        return f"{self.describe_series(i)}{self.input_name(i)}"


def _sort_order(times: Array, codes: Array) -> Array:
    """Return the rows (n,) by series, then time, stable for equal times, by a radix sort of 16-bit digits."""
    rank, distinct = pd.factorize(times, sort=True)
    order = np.arange(len(times))
    for key, largest in ((rank, len(distinct)), (codes, int(codes.max()) + 1)):
        for shift in range(0, largest.bit_length(), DIGIT_BITS):
            digit = (key >> shift & 0xFFFF).astype(np.uint16)
            order = order[np.argsort(digit[order], kind="stable")]
    return order


def sort_rows(
    column: TimeColumn,
    codes: Array,
    ids: Array,
    source: str,
    unused: tuple[str, ...] = (),
    names: RowNames = FRAME_ROWS,
) -> SortedRows:
    """Sort rows by series and time unless they are; equal times keep their order.

    codes (n,): number of the series of each row; ids (S,): labels; unused: columns of the input without a role; names:
    those of the rows.
    """
    order, times = None, column.values
    if (np.diff(codes) < 0).any() or ((times[1:] < times[:-1]) & (codes[1:] == codes[:-1])).any():
        order = _sort_order(times, codes)
        times, codes = times[order], codes[order]
    first = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    tz = None if column.tz == "UTC" else column.tz
    return SortedRows(times, codes, order, first, ids, source, tz, unused, names)
