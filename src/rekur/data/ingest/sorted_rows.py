"""Rows of a table sorted by series and time, and the clocks by which their times are counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from rekur.core import Array
from rekur.data.ingest.parsing import Times, row


def wall(times: Array, tz: str) -> Array:
    """Return UTC times as the clocks of zone `tz` show them."""
    index = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(tz).tz_localize(None)
    return np.asarray(index.to_numpy().astype("M8[us]"))


def instants(times: Array, tz: str) -> Array:
    """Return what the clocks of zone `tz` show as UTC times; a time skipped in spring moves on."""
    index = pd.DatetimeIndex(times).tz_localize(
        tz, ambiguous=np.ones(len(times), dtype=bool), nonexistent="shift_forward"
    )
    return np.asarray(index.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[us]"))


@dataclass(frozen=True)
class SortedRows:
    """Rows sorted by series and time, and the words by which errors call them."""

    t: Array
    codes: Array
    order: Array | None
    first: Array
    ids: Array
    source: str
    panel: bool
    tz: str | None = None  # in which `t` can be counted by the clocks on the wall; it is in UTC

    @cached_property
    def _wall(self) -> Array:
        """The times as the clocks of the zone show them, (n,)."""
        return self.t if self.tz is None else wall(self.t, self.tz)

    @cached_property
    def constant(self) -> Array:
        """Whether the clocks of the zone show the same at all times of a series, as they do for days, (S,) bool."""
        if self.tz is None:
            return np.zeros(len(self.ids), dtype=bool)
        clock = self._wall - self._wall.astype("M8[D]")
        return self.every(clock == clock[self.first[self.codes]])

    def every(self, mask: Array) -> Array:
        """Return whether a mask (n,) is true in all rows of each series, (S,) bool."""
        return np.asarray(np.logical_and.reduceat(mask, self.first[:-1]))

    def by(self, local: bool) -> SortedRows:
        """Return the rows with their times in UTC or, if `local`, as the clocks of the zone show them."""
        return replace(self, t=self._wall, tz=None) if local and self.tz else self

    @cached_property
    def inner(self) -> Array:
        """Whether the next row belongs to the same series, (n,) bool."""
        return np.append(self.codes[1:] == self.codes[:-1], False)

    def at(self, i: int) -> int:
        """Return the given row that stands at place `i`."""
        return i if self.order is None else int(self.order[i])

    def of(self, series: Array | None) -> SortedRows:
        """Return the rows of some series, whose numbers rise; None for all."""
        if series is None:
            return self
        lengths = self.first[series + 1] - self.first[series]
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        keep = np.arange(first[-1]) + np.repeat(self.first[series] - first[:-1], lengths)
        order = keep if self.order is None else self.order[keep]
        codes = np.repeat(np.arange(len(series)), lengths)
        return SortedRows(self.t[keep], codes, order, first, self.ids[series], self.source, self.panel, self.tz)

    def series(self, i: int) -> str:
        """Return "series 'A', " of the row at place `i`, or nothing where there is one series only."""
        return f"series {self.ids[self.codes[i]]!r}, " if self.panel else ""

    def where(self, i: int) -> str:
        """Return "series 'A', row 17" of the row at place `i`."""
        return f"{self.series(i)}{row(self.at(i))}"


def _order(t: Array, codes: Array) -> Array:
    """Return the rows by series, then time; equal ones as given (radix sort by digits of 16 bits)."""
    rank, found = pd.factorize(t, sort=True)
    order = np.arange(len(t))
    for key, most in ((rank, len(found)), (codes, int(codes.max()) + 1)):
        for shift in range(0, most.bit_length(), 16):
            digit = (key >> shift & 0xFFFF).astype(np.uint16)
            order = order[np.argsort(digit[order], kind="stable")]
    return order


def sort(found: Times, codes: Array, ids: Array, source: str, panel: bool) -> SortedRows:
    """Sort rows by series and time unless they are; equal times keep their order."""
    order, t = None, found.values
    if (np.diff(codes) < 0).any() or ((t[1:] < t[:-1]) & (codes[1:] == codes[:-1])).any():
        order = _order(t, codes)
        t, codes = t[order], codes[order]
    first = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    return SortedRows(t, codes, order, first, ids, source, panel, None if found.tz == "UTC" else found.tz)
