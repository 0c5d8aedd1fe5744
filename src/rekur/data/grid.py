"""Rows laid on the regular grid of their series: sorting, frequency, doubled rows, missing rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from rekur.core import DataError, choose
from rekur.data.clean import Times, many, row
from rekur.data.frequencies import Part, asked_for, found_in, level, refuse_beside, steps
from rekur.data.rows import Rows, base, sort
from rekur.data.steps import HOUR, Freq, parse, shown

Array = np.ndarray[Any, np.dtype[Any]]

DUPLICATES = ("error", "mean", "first", "last", "sum")
LARGEST = 100  # times more grid rows than given rows before the grid is refused


@dataclass(frozen=True)
class Grid:
    """Where rows stand on the regular grid of the series of one frequency.

    series : the numbers of these series among all, None for all of them
    rows : the given rows that belong to them, by series and time, None for all as given
    slot : the place of each of these among the `offsets[-1]` rows of the grid
    doubled : the places that several rows claim, settled by the rule `duplicates`
    """

    series: Array | None
    offsets: Array
    start: Array
    freq: Freq
    rows: Array | None
    slot: Array
    doubled: Array
    duplicates: str
    tz: str | None
    local: bool
    absent: int
    notes: tuple[str, ...]

    def place(self, values: Array) -> Array:
        """Return the values of the given rows on the grid, (N,) with NaN where no row is."""
        values = values if self.rows is None else values[self.rows]
        if int(self.offsets[-1]) == len(values) and not len(self.doubled):
            return values
        out = np.full(int(self.offsets[-1]), np.nan)
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


def _snapped(rows: Rows, freq: Freq) -> Rows:
    """Return the rows with their times at the start, or, where `freq` says so, at the end of their month."""
    begin = rows.t.astype("M8[M]")
    t = (begin + 1).astype("M8[D]") - np.timedelta64(1, "D") if freq.end else begin
    return replace(rows, t=t.astype("M8[us]"))


def _is_clock_change(rows: Rows, freq: Freq, twice: Array) -> bool:
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


def _refuse_doubles(rows: Rows, twice: Array) -> None:
    """Raise the error for the first doubled time."""
    i = int(twice[0])
    hint = "" if rows.panel else "; if the rows belong to several series, name their column with id_col"
    raise DataError(
        f"{rows.source}: {rows.series(i)}the time {shown(rows.t[i])} occurs twice, in {row(rows.at(i - 1))} "
        f"and {row(rows.at(i))} ({len(twice)} such rows in all){hint}; or combine them with "
        'duplicates="mean" (--duplicates mean), "first", "last" or "sum"'
    )


def _rule(rows: Rows, freq: Freq, twice: Array, duplicates: str, naive: bool) -> tuple[str, str]:
    """Return how doubled rows are settled, and the note that says so; refuse them if nothing allows them."""
    if duplicates != "error":
        return duplicates, f"{many(len(twice), 'row')} at a time that had occurred, combined: duplicates={duplicates!r}"
    if not naive or not _is_clock_change(rows, freq, twice):
        _refuse_doubles(rows, twice)
    return "mean", f"{many(len(twice), 'time')} doubled where clocks go back in autumn: values averaged"


def lay(
    found: Times, codes: Array, ids: Array, freq: str | int | None, duplicates: str, source: str, panel: bool
) -> list[Grid]:
    """Lay rows on the grid of their series; one grid for each frequency that the table has.

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
    t, local = base(found, asked)
    rows = sort(t, codes, ids, source, panel)
    parts = found_in(rows) if asked is None else asked_for(rows, asked)
    clock = _Clock(found.tz, local, (found.note,) if found.note else ())
    return [_lay(rows, part, asked is not None, duplicates, clock) for part in parts]


class _Clock(NamedTuple):
    """The time zone of a table, whether times are those of the clocks there, and what was noted when reading them."""

    tz: str | None
    local: bool
    notes: tuple[str, ...]


def _lay(rows: Rows, part: Part, asked: bool, duplicates: str, clock: _Clock) -> Grid:
    """Lay the series of one frequency on their grid."""
    freq, notes = part.freq, list(clock.notes)
    rows = rows if part.series is None else rows.of(part.series)
    if part.uneven:
        rows, duplicates = replace(rows, t=level(rows.t, freq)), "mean" if duplicates == "error" else duplicates
        notes.append(f"the times are uneven: laid on steps of {freq.name}, the values of one step combined")
    k, exact = part.steps or steps(rows, freq)
    if asked and freq.kind == "month" and not exact.all():
        rows = _snapped(rows, freq)
        k, exact = steps(rows, freq)
        notes.append(f"the day of the month varies; every row was taken as that of its month ({freq.name})")
    notes.append(f"frequency {freq.name}" + ("" if asked else " (found from the times)"))
    refuse_beside(rows, freq, exact)
    twice = np.flatnonzero((np.diff(k) == 0) & rows.inner[:-1]) + 1
    if len(twice):
        duplicates, note = _rule(rows, freq, twice, duplicates, clock.tz is None)
        notes.append(note)
    offsets = np.concatenate([[0], np.cumsum(k[rows.first[1:] - 1] + 1)]).astype(np.int64)
    total = int(offsets[-1])
    if total > max(LARGEST * len(rows.t), 1_000_000):
        raise DataError(
            f"{rows.source}: at frequency {freq.name} its {len(rows.t)} rows span {total} steps; a few times are far "
            "from the others, or the frequency is too fine: say the true one with freq="
        )
    slot = offsets[rows.codes] + k
    start = rows.t[rows.first[:-1]]
    doubled, absent = np.unique(slot[twice]), total - (len(rows.t) - len(twice))
    where = rows.order, slot, doubled, duplicates
    return Grid(part.series, offsets, start, freq, *where, clock.tz, clock.local, absent, tuple(notes))
