"""Rows laid on the regular grid of their series: sorting, frequency, doubled rows, missing rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from rekur.core import DataError, OptionError, choose
from rekur.data.calendar import anchor, detect
from rekur.data.clean import Times, many, row
from rekur.data.steps import DAY, HOUR, Freq, parse, shown
from rekur.data.windows import portions

Array = np.ndarray[Any, np.dtype[Any]]

DUPLICATES = ("error", "mean", "first", "last", "sum")
ENOUGH = 4_000_000  # rows in which the frequency is looked for
LARGEST = 100  # times more grid rows than given rows before the grid is refused


@dataclass(frozen=True)
class Grid:
    """Where each given row stands on the regular grid of all series.

    `slot[i]` is the place of the given row i among the `offsets[-1]` rows of the grid; `doubled` are the
    places that several rows claim, settled by the rule `duplicates`.
    """

    offsets: Array
    start: Array
    freq: Freq
    slot: Array
    doubled: Array
    duplicates: str
    tz: str | None
    local: bool
    absent: int
    notes: tuple[str, ...]

    def place(self, values: Array) -> Array:
        """Return the values of the given rows on the grid, (N,) with NaN where no row is."""
        rows = int(self.offsets[-1])
        if rows == len(values) and not len(self.doubled) and (np.diff(self.slot) == 1).all():
            return values
        out = np.full(rows, np.nan)
        out[self.slot] = values
        if len(self.doubled):
            among = np.flatnonzero(np.isin(self.slot, self.doubled))
            group = np.searchsorted(self.doubled, self.slot[among])
            out[self.doubled] = _settle(group, values[among], len(self.doubled), self.duplicates)
        return out


def _settle(group: Array, values: Array, groups: int, how: str) -> Array:
    """Make one value a group of doubled rows; missing values among them do not count."""
    there = ~np.isnan(values)
    group, values = group[there], values[there]
    out = np.full(groups, np.nan)
    if how == "first":
        out[group[::-1]] = values[::-1]
    elif how == "last":
        out[group] = values
    else:
        count = np.bincount(group, minlength=groups)
        total = np.bincount(group, weights=values, minlength=groups)
        out[count > 0] = (total / np.maximum(count, 1 if how == "mean" else count))[count > 0]
        if how == "sum":
            out[count > 0] = total[count > 0]
    return out


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
class _Rows:
    """Rows sorted by series and time, and the words by which errors call them."""

    t: Array
    codes: Array
    order: Array | None
    first: Array
    ids: Array
    source: str
    panel: bool

    @cached_property
    def inner(self) -> Array:
        """Whether the next row belongs to the same series, (n,) bool."""
        return np.append(self.codes[1:] == self.codes[:-1], False)

    def at(self, i: int) -> int:
        """Return the given row that stands at place `i`."""
        return i if self.order is None else int(self.order[i])

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


def _sorted(t: Array, codes: Array, ids: Array, source: str, panel: bool) -> _Rows:
    """Sort rows by series and time unless they are; equal times keep their order."""
    order = None
    if (np.diff(codes) < 0).any() or ((t[1:] < t[:-1]) & (codes[1:] == codes[:-1])).any():
        order = _order(t, codes)
        t, codes = t[order], codes[order]
    first = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    return _Rows(t, codes, order, first, ids, source, panel)


def _base(found: Times, asked: Freq | None) -> tuple[Array, bool]:
    """Return the times to count in, and whether they are those of the clocks on the wall.

    Days and longer steps of a time zone are counted by its clocks (a day in spring has 23 hours), shorter
    ones in UTC.
    """
    if found.tz is None or found.tz == "UTC":
        return found.values, False
    here = wall(found.values, found.tz)
    clock = (here - here.astype("M8[D]")).astype(np.int64)
    long = asked.kind != "tick" or asked.step >= DAY if asked else bool((clock == clock[0]).all())
    return (here, True) if long else (found.values, False)


def _frequency(rows: _Rows, asked: Freq | None) -> Freq:
    """Return the frequency asked for, or the one found, standing where the rows stand."""
    whole = rows.t.dtype.kind == "i"
    if asked is None:
        some = int(np.searchsorted(rows.first, ENOUGH))  # every row is held against what is found, see `_count`
        try:
            return detect(rows.t[: rows.first[: some + 1][-1]], rows.first[: some + 1], rows.where)
        except DataError as error:
            raise DataError(f"{rows.source}: {error}") from None
    if whole != (asked.kind == "integer"):
        held = "whole numbers" if whole else "dates"
        raise OptionError(
            f"freq={asked.name!r} does not fit: the times of {rows.source} are {held}; "
            + ("use an integer such as freq=1" if whole else "use a frequency such as 'h' or 'D'")
        )
    return anchor(asked, rows.t)


def _steps(rows: _Rows, freq: Freq) -> tuple[Array, Array]:
    """Return the step of each row since the start of its series, and whether it is a whole one; (n,) each."""
    k, exact = np.empty(len(rows.t), dtype=np.int64), np.empty(len(rows.t), dtype=bool)
    for a, b in portions(rows.first, ENOUGH // 4):
        start = np.repeat(rows.t[rows.first[a:b]], np.diff(rows.first[a : b + 1]))
        part = slice(rows.first[a], rows.first[b])
        k[part], exact[part] = freq.count(start, rows.t[part])
    return k, exact


def _on_grid(rows: _Rows, freq: Freq) -> bool:
    """Tell whether every row stands on the grid of its series."""
    return bool(_steps(rows, freq)[1].all())


def _snapped(rows: _Rows, freq: Freq) -> _Rows:
    """Return the rows with their times at the start, or, where `freq` says so, at the end of their month."""
    begin = rows.t.astype("M8[M]")
    t = (begin + 1).astype("M8[D]") - np.timedelta64(1, "D") if freq.end else begin
    return replace(rows, t=t.astype("M8[us]"))


def _count(rows: _Rows, freq: Freq, detected: bool) -> Array:
    """Return the step of each row since the start of its series; refuse rows that stand beside the grid."""
    k, exact = _steps(rows, freq)
    if not exact.all():
        i = int(np.flatnonzero(~exact)[0])
        raise DataError(
            f"{rows.source}, {rows.where(i)}: the time {shown(rows.t[i])} is not a whole number of steps "
            f"({freq.name}) after the first of its series; round the times or say the true step with freq="
        )
    if detected and rows.panel:
        _refuse_mixed(rows, freq, k)
    return k


def _refuse_mixed(rows: _Rows, freq: Freq, k: Array) -> None:
    """Raise an error for a series that has a longer regular step of its own, such as months among days."""
    long = np.flatnonzero(np.diff(rows.first) > 4)
    if not len(long):
        return
    gaps = np.append(np.diff(k), 0)
    low = np.minimum.reduceat(np.where(rows.inner, gaps, np.iinfo(np.int64).max), rows.first[:-1])[long]
    high = np.maximum.reduceat(np.where(rows.inner, gaps, 0), rows.first[:-1])[long]
    odd = np.flatnonzero((low > 1) & (8 * high <= 9 * low))
    if len(odd):
        raise DataError(
            f"{rows.source}: series {rows.ids[long[odd[0]]]!r} has one row every {low[odd[0]]} steps, while "
            f"most rows are one step ({freq.name}) apart; forecast series of different frequency separately, "
            "or give freq="
        )


def _is_clock_change(rows: _Rows, freq: Freq, twice: Array) -> bool:
    """Tell whether doubled rows (`twice`: the second ones) are the hour that clocks repeat in autumn."""
    if freq.kind != "tick" or freq.step > HOUR or HOUR % freq.step:
        return False
    t = rows.t[twice]
    day = t.astype("M8[D]")
    sunday = (day.astype(np.int64) + 3) % 7 == 6
    night = (t - day).astype(np.int64) < 4 * HOUR
    month = t.astype("M8[M]").astype(np.int64) % 12 + 1
    triple = (np.diff(twice) == 1) & (t[1:] == t[:-1]) & (rows.codes[twice[1:]] == rows.codes[twice[:-1]])
    year = t.astype("M8[Y]").astype(np.int64) + 10_000
    often = np.unique(rows.codes[twice].astype(np.int64) * 100_000 + year, return_counts=True)[1]
    few = often.max() <= 2 * HOUR // freq.step
    return bool(sunday.all() and night.all() and np.isin(month, (3, 4, 10, 11)).all() and not triple.any() and few)


def _refuse_doubles(rows: _Rows, twice: Array) -> None:
    """Raise the error for the first doubled time."""
    i = int(twice[0])
    hint = "" if rows.panel else "; if the rows belong to several series, name their column with id_col"
    raise DataError(
        f"{rows.source}: {rows.series(i)}the time {shown(rows.t[i])} occurs twice, in {row(rows.at(i - 1))} "
        f"and {row(rows.at(i))} ({len(twice)} such rows in all){hint}; or combine them with "
        'duplicates="mean" (--duplicates mean), "first", "last" or "sum"'
    )


def _rule(rows: _Rows, freq: Freq, twice: Array, duplicates: str, naive: bool) -> tuple[str, str]:
    """Return how doubled rows are settled, and the note that says so; refuse them if nothing allows them."""
    if duplicates != "error":
        return duplicates, f"{many(len(twice), 'row')} at a time that had occurred, combined: duplicates={duplicates!r}"
    if not naive or not _is_clock_change(rows, freq, twice):
        _refuse_doubles(rows, twice)
    return "mean", f"{many(len(twice), 'time')} doubled where clocks go back in autumn: values averaged"


def lay(
    found: Times, codes: Array, ids: Array, freq: str | int | None, duplicates: str, source: str, panel: bool
) -> Grid:
    """Lay rows on the grid of their series.

    Parameters
    ----------
    found : the time column
    codes : (n,) number of the series of each row
    ids : (S,) labels
    freq : the frequency, or None to find it
    duplicates : "error", "mean", "first", "last" or "sum"
    source : names the table in errors
    panel : the table has an id column

    Raises
    ------
    DataError : rows off the grid, doubled rows, or a grid far larger than the data.
    """
    choose("duplicates", duplicates, DUPLICATES)
    asked = None if freq is None else parse(freq)
    t, local = _base(found, asked)
    rows = _sorted(t, codes, ids, source, panel)
    step = _frequency(rows, asked)
    notes = [found.note] if found.note else []
    if asked and asked.kind == "month" and not _on_grid(rows, step):
        rows, step = _snapped(rows, asked), asked
        notes.append(f"the day of the month varies; every row was taken as that of its month ({step.name})")
    notes.append(f"frequency {step.name}" + ("" if asked else " (found from the times)"))
    k = _count(rows, step, asked is None)
    twice = np.flatnonzero((np.diff(k) == 0) & rows.inner[:-1]) + 1
    if len(twice):
        duplicates, note = _rule(rows, step, twice, duplicates, found.tz is None)
        notes.append(note)
    offsets = np.concatenate([[0], np.cumsum(k[rows.first[1:] - 1] + 1)]).astype(np.int64)
    total = int(offsets[-1])
    if total > max(LARGEST * len(t), 1_000_000):
        raise DataError(
            f"{source}: at frequency {step.name} its {len(t)} rows span {total} steps; a few times are far "
            "from the others, or the frequency is too fine: say the true one with freq="
        )
    place = offsets[rows.codes] + k
    slot = place
    if rows.order is not None:
        slot = np.empty_like(place)
        slot[rows.order] = place
    start = rows.t[rows.first[:-1]]
    doubled, absent = np.unique(place[twice]), total - (len(t) - len(twice))
    return Grid(offsets, start, step, slot, doubled, duplicates, found.tz, local, absent, tuple(notes))
