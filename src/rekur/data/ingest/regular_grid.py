"""Rows laid on the regular grid of their series: sorting, frequency, doubled rows, missing rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rekur.core import Array, DataError, choose
from rekur.data.frequency.frequencies import (
    FrequencyGroup,
    LearnedFrequency,
    asked_for,
    learned_as,
    refuse_beside,
    steps,
)
from rekur.data.frequency.frequency import HOUR, Frequency, parse, shown
from rekur.data.frequency.irregular import level
from rekur.data.frequency.per_series import found_in
from rekur.data.ingest.parsing import Times, many, row
from rekur.data.ingest.sorted_rows import SortedRows, sort

DUPLICATES = ("error", "mean", "first", "last", "sum")
LARGEST = 100  # times more grid rows than given rows before the grid is refused


@dataclass(frozen=True)
class RegularGrid:
    """Where rows stand on the regular grid of the series of one frequency.

    series : the numbers of these series among all, None for all of them
    rows : the given rows that belong to them, by series and time, None for all as given
    slot : the place of each of these among the `offsets[-1]` rows of the grid
    doubled : the places that several rows claim, settled by the rule `duplicates`
    """

    series: Array | None
    offsets: Array
    start: Array
    freq: Frequency
    rows: Array | None
    slot: Array
    doubled: Array
    duplicates: str
    tz: str | None
    local: bool
    uneven: Mapping[Any, float]
    absent: int
    notes: tuple[str, ...]

    def place(self, values: Array, rule: str | None = None) -> Array:
        """Return the values of the given rows on the grid, (N,) with NaN where no row is.

        Where several rows claim a place, `rule` settles it; None is that of the user.
        """
        values = values if self.rows is None else values[self.rows]
        if int(self.offsets[-1]) == len(values) and not len(self.doubled):
            return values
        out = np.full(int(self.offsets[-1]), np.nan)
        out[self.slot] = values
        if len(self.doubled):
            among = np.flatnonzero(np.isin(self.slot, self.doubled))
            group = np.searchsorted(self.doubled, self.slot[among])
            out[self.doubled] = _settle(group, values[among], len(self.doubled), rule or self.duplicates)
        return out

    def covariates(self, columns: Mapping[str, Array], labels: Mapping[str, Any]) -> Array:
        """Return columns (n,) as given as one matrix on the grid, (N, columns).

        What belongs to a time does not add up, and of the labels of one step the last one counts.
        """
        number = "mean" if self.duplicates == "sum" else None
        placed = [self.place(values, "last" if labels.get(name) else number) for name, values in columns.items()]
        return np.stack(placed, axis=1) if placed else np.zeros((int(self.offsets[-1]), 0))


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


def _is_clock_change(rows: SortedRows, freq: Frequency, twice: Array) -> bool:
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


def _refuse_doubles(rows: SortedRows, twice: Array) -> None:
    """Raise the error for the first doubled time."""
    i = int(twice[0])
    hint = "" if rows.panel else "; if the rows belong to several series, name their column with id_col"
    raise DataError(
        f"{rows.source}: {rows.series(i)}the time {shown(rows.t[i])} occurs twice, in {row(rows.at(i - 1))} "
        f"and {row(rows.at(i))} ({len(twice)} such rows in all){hint}; or combine them with "
        'duplicates="mean" (--duplicates mean), "first", "last" or "sum"'
    )


def _rule(rows: SortedRows, freq: Frequency, twice: Array, duplicates: str, naive: bool) -> tuple[str, str]:
    """Return how doubled rows are settled, and the note that says so; refuse them if nothing allows them."""
    if duplicates != "error":
        return duplicates, f"{many(len(twice), 'row')} at a time that had occurred, combined: duplicates={duplicates!r}"
    if not naive or not _is_clock_change(rows, freq, twice):
        _refuse_doubles(rows, twice)
    return "mean", f"{many(len(twice), 'time')} doubled where clocks go back in autumn: values averaged"


def lay(
    found: Times,
    codes: Array,
    ids: Array,
    freq: str | int | None,
    learned: Sequence[LearnedFrequency],
    duplicates: str,
    source: str,
    panel: bool,
) -> list[RegularGrid]:
    """Lay rows on the grid of their series; one grid for each frequency that the table has.

    Parameters
    ----------
    found : the time column
    codes : (n,) number of the series of each row
    ids : (S,) labels
    freq : the frequency, or None to find it
    learned : what was learned of tables read before, if any
    duplicates : "error", "mean", "first", "last" or "sum"
    source : names the table in errors
    panel : the table has an id column

    Raises
    ------
    DataError : rows off the grid, doubled rows, or a grid far larger than the data.
    """
    choose("duplicates", duplicates, DUPLICATES)
    if learned:
        found = _as_learned(found, learned[0], source)
    rows = sort(found, codes, ids, source, panel)
    if learned:
        parts = learned_as(rows, learned, freq is not None)
    else:
        parts = found_in(rows) if freq is None else asked_for(rows, parse(freq))
    notes = [found.note] if found.note else []
    said = "" if learned or freq is not None else " (found from the times)"
    return [_lay(rows, part, duplicates, found.tz, [*notes, f"frequency {part.freq.name}{said}"]) for part in parts]


def _as_learned(found: Times, learned: LearnedFrequency, source: str) -> Times:
    """Return times as those of the zone of a table read before, whatever zone they are written in."""
    whole = found.values.dtype.kind == "i"
    if whole != (learned.freq.kind == "integer"):
        kinds = ("whole numbers", "dates") if whole else ("dates", "whole numbers")
        raise DataError(f"{source}: the times are {kinds[0]}, those learned from {kinds[1]}")
    if (found.tz is None) != (learned.tz is None):
        zones = found.tz or "none", learned.tz or "none"
        raise DataError(f"{source}: the times have time zone {zones[0]}, those learned from {zones[1]}")
    return found._replace(tz=learned.tz)


def _lay(rows: SortedRows, part: FrequencyGroup, duplicates: str, tz: str | None, notes: list[str]) -> RegularGrid:
    """Lay the series of one frequency on their grid."""
    freq, rows = part.freq, rows.by(part.local).of(part.series)
    places = np.full(len(rows.ids), np.nan) if part.uneven is None else part.uneven
    uneven = ~np.isnan(places)
    loose = uneven[rows.codes]
    if uneven.any():
        rows = _levelled(rows, freq, loose, places, duplicates)
        of = "" if uneven.all() else f" of {uneven.sum()} of {len(uneven)} series"
        how = f"the day of the month{of} varies; every row was taken as that of its month ({freq.name})"
        if freq.kind != "month":
            how = f"the times{of} are uneven: laid on steps of {freq.name}, the values of one step combined"
        notes.append(how)
    k, exact = part.steps or steps(rows, freq)
    refuse_beside(rows, freq, exact)
    twice = np.flatnonzero((np.diff(k) == 0) & rows.inner[:-1]) + 1
    even = twice[~loose[twice]]
    if len(even):
        duplicates, note = _rule(rows, freq, even, duplicates, tz is None)
        notes.append(note)
    duplicates = "mean" if duplicates == "error" else duplicates
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
    known = dict(zip(rows.ids[uneven].tolist(), places[uneven].tolist(), strict=True))
    where = rows.order, slot, doubled, duplicates
    return RegularGrid(part.series, offsets, start, freq, *where, tz, part.local, known, absent, tuple(notes))


def _levelled(rows: SortedRows, freq: Frequency, loose: Array, places: Array, duplicates: str) -> SortedRows:
    """Return the rows with the uneven times, those that are `loose`, laid on steps.

    Raises
    ------
    DataError : one of them occurs twice, and nothing says what to do with its values.
    """
    twice = np.flatnonzero((rows.t[1:] == rows.t[:-1]) & rows.inner[:-1] & loose[1:]) + 1
    if len(twice) and duplicates == "error":
        _refuse_doubles(rows, twice)
    t = rows.t.copy()
    t[loose] = level(rows.t[loose], rows.codes[loose], freq, places)
    return replace(rows, t=t)
