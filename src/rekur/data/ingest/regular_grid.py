"""Regular grid of the rows of series: duplicate times, missing rows and clock changes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rekur.core import Array, DataError, choose
from rekur.data.frequency.frequency import DAY_NAMES, HOUR, WEEK, WEEKDAYS, Frequency, format_time
from rekur.data.frequency.irregular import snap_to_grid
from rekur.data.frequency.per_series import FrequencyGroup, LearnedFrequency, frequency_groups
from rekur.data.ingest.parsing import FRAME_ROWS, RowNames, plural
from rekur.data.ingest.schema import quoted
from rekur.data.ingest.sorted_rows import SortedRows, sort_rows
from rekur.data.ingest.times import TimeColumn

__all__ = ["RegularGrid", "regular_grids"]

DUPLICATE_RULES = ("error", "mean", "first", "last", "sum")
MAX_STEPS_PER_ROW, MAX_STEPS = 100, 1_000_000  # of a grid; either may be exceeded
CLOCK_CHANGE_MONTHS = (3, 4, 10, 11)  # in which clocks are set back, in either hemisphere
LATEST_CLOCK_CHANGE = 4 * HOUR  # after midnight
CLOCK_CHANGES_PER_YEAR = 2
FEW_ROWS = 0.7  # of the usual number in a step, below which a first or last one seems incomplete


@dataclass(frozen=True)
class RegularGrid:
    """Positions of input rows on the regular grid of the series of one frequency.

    Parameters
    ----------
    series : (S,) int64 or None
        Numbers of these series among all; None for all.
    offsets : (S+1,) int64
        First grid row of each series, and their total N.
    start : (S,) datetime64[us] or int64
        First time of each series.
    freq : Frequency
        Step of the grid.
    rows : (n,) int64 or None
        Input rows of these series by series and time; None for all in order.
    positions : (n,) int64
        Grid row of each of these.
    duplicated : (d,) int64
        Grid rows with several input rows.
    duplicates : str
        Rule that combines them.
    tz : str or None
        Time zone.
    local : bool
        Times are wall-clock times of the zone.
    phases : mapping of label to float
        Phase within a step of the series with irregular times.
    missing_rows : int
        Number of grid rows without input row.
    notes : tuple of str
        Notes on the frequency and the duplicates.
    names : RowNames
        Names of the input rows.
    """

    series: Array | None
    offsets: Array
    start: Array
    freq: Frequency
    rows: Array | None
    positions: Array
    duplicated: Array
    duplicates: str
    tz: str | None
    local: bool
    phases: Mapping[Hashable, float]
    missing_rows: int
    notes: tuple[str, ...]
    names: RowNames = FRAME_ROWS

    def row_name(self, position: int) -> str:
        """Return the name of the first input row at a grid row."""
        i = int(np.searchsorted(self.positions, position))
        return self.names(i if self.rows is None else int(self.rows[i]))

    def place(self, values: Array, rule: str | None = None) -> Array:
        """Return the values of the input rows on the grid, (N,) with NaN for missing rows.

        Several rows at one time are combined by `rule`; None is the rule of the user.
        """
        values = values if self.rows is None else values[self.rows]
        if int(self.offsets[-1]) == len(values) and not len(self.duplicated):
            return values
        out = np.full(int(self.offsets[-1]), np.nan)
        out[self.positions] = values
        if len(self.duplicated):
            rows = np.flatnonzero(np.isin(self.positions, self.duplicated))
            groups = np.searchsorted(self.duplicated, self.positions[rows])
            out[self.duplicated] = _combine(groups, values[rows], len(self.duplicated), rule or self.duplicates)
        return out

    def place_covariates(self, columns: Mapping[str, Array], labels: Mapping[str, tuple[str, ...]]) -> Array:
        """Return columns (n,) of the input as one matrix on the grid, (N, columns).

        Covariates of one time are not summed, and the last of several labels counts.
        """
        number_rule = "mean" if self.duplicates == "sum" else None
        placed = [self.place(x, "last" if labels.get(name) else number_rule) for name, x in columns.items()]
        return np.stack(placed, axis=1) if placed else np.zeros((int(self.offsets[-1]), 0))


def _combine(groups: Array, values: Array, count: int, rule: str) -> Array:
    """Combine the values (n,) of each group of duplicates, (count,); missing values among them do not count."""
    observed = ~np.isnan(values)
    groups, values = groups[observed], values[observed]
    out = np.full(count, np.nan)
    if rule == "first":
        out[groups[::-1]] = values[::-1]
    elif rule == "last":
        out[groups] = values
    else:
        sizes = np.bincount(groups, minlength=count)
        total = np.bincount(groups, weights=values, minlength=count)
        out[sizes > 0] = (total if rule == "sum" else total / np.maximum(sizes, 1))[sizes > 0]
    return out


def _is_clock_change(rows: SortedRows, freq: Frequency, repeated: Array) -> bool:
    """Return whether rows that repeat a time are the hour that clocks repeat when set back.

    repeated: the second row of each pair.
    """
    if freq.kind != "tick" or freq.step > HOUR or HOUR % freq.step:
        return False
    times, codes = rows.times[repeated], rows.codes[repeated]
    day = times.astype("M8[D]")
    sunday = (day.astype(np.int64) + 3) % 7 == 6
    night = (times - day).astype(np.int64) < LATEST_CLOCK_CHANGE
    month = times.astype("M8[M]").astype(np.int64) % 12 + 1
    triple = (np.diff(repeated) == 1) & (times[1:] == times[:-1]) & (codes[1:] == codes[:-1])
    year = times.astype("M8[Y]").astype(np.int64) + 10_000
    per_year = np.unique(codes.astype(np.int64) * 100_000 + year, return_counts=True)[1]
    rare = per_year.max() <= CLOCK_CHANGES_PER_YEAR * HOUR // freq.step
    return bool(
        sunday.all() and night.all() and np.isin(month, CLOCK_CHANGE_MONTHS).all() and not triple.any() and rare
    )


def _refuse_duplicates(rows: SortedRows, repeated: Array) -> None:
    """Raise a DataError for the first repeated time."""
    i = int(repeated[0])
    others = f" (not used: {quoted(rows.unused, limit=4)})" if rows.unused else ""
    hint = f"name the column that tells them apart with id_col{' too' if rows.has_ids else ''}{others}"
    first, second = rows.input_name(i - 1), rows.input_name(i)
    raise DataError(
        f"{rows.source}: {rows.describe_series(i)}the time {format_time(rows.times[i])} occurs twice, in {first} "
        f"and {second} ({len(repeated)} such rows in all); if the rows belong to several series, {hint}; else combine "
        'them with duplicates="mean", "first", "last" or "sum"'
    )


def _duplicate_rule(
    rows: SortedRows, freq: Frequency, repeated: Array, duplicates: str, naive: bool
) -> tuple[str, str]:
    """Return the rule for repeated times and the note on it, or raise a DataError if none allows them."""
    if duplicates != "error":
        return duplicates, f"{plural(len(repeated), 'row')} at a time that had occurred, combined: {duplicates=}"
    if not naive or not _is_clock_change(rows, freq, repeated):
        _refuse_duplicates(rows, repeated)
    return "mean", f"{plural(len(repeated), 'time')} doubled where clocks go back in autumn: values averaged"


def regular_grids(
    column: TimeColumn,
    series: tuple[Array, Array],
    freq: str | int | None,
    learned: Sequence[LearnedFrequency],
    duplicates: str,
    source: str,
    unused: tuple[str, ...] = (),
    names: RowNames = FRAME_ROWS,
) -> list[RegularGrid]:
    """Return the regular grids of series, one for each frequency.

    Parameters
    ----------
    column : TimeColumn
        The times.
    series : ((n,) int64, (S,) object)
        Number of the series of each row, and labels of the series.
    freq : str, int or None
        Frequency of all series; None to infer it.
    learned : sequence of LearnedFrequency
        Frequencies of panels read before.
    duplicates : {"error", "mean", "first", "last", "sum"}
        Rule for several rows of a series at one time.
    source : str
        Name of the table in errors.
    unused : tuple of str, default ()
        Columns of the table without a role, for errors.
    names : RowNames
        Names of the rows of the table.

    Raises
    ------
    DataError
        If rows are off the grid or duplicated, or the grid is far larger than the data.

    Examples
    --------
    >>> days = TimeColumn(np.array(["2024-01-01", "2024-01-02", "2024-01-04"], dtype="M8[us]"))
    >>> labels = np.array(["a"], dtype=object)
    >>> [grid] = regular_grids(days, (np.zeros(3, np.int64), labels), None, (), "error", "the table")
    >>> grid.place(np.array([1.0, 2.0, 4.0]))
    array([ 1.,  2., nan,  4.])
    """
    choose("duplicates", duplicates, DUPLICATE_RULES)
    if learned:
        column = _in_learned_zone(column, learned[0], source)
    rows = sort_rows(column, *series, source, unused, names)
    groups = frequency_groups(rows, freq, learned, duplicates != "error")
    notes = [column.note] if column.note else []
    inferred = "" if learned or freq is not None else " (inferred from the times)"
    return [
        _regular_grid(rows, group, duplicates, column.tz, [*notes, f"frequency {group.freq.name}{inferred}"])
        for group in groups
    ]


def _in_learned_zone(column: TimeColumn, learned: LearnedFrequency, source: str) -> TimeColumn:
    """Return times with the zone of a panel read before, or raise a DataError if the kinds of times differ."""
    integers = column.values.dtype.kind == "i"
    if integers != (learned.freq.kind == "integer"):
        kinds = ("whole numbers", "dates") if integers else ("dates", "whole numbers")
        raise DataError(f"{source}: the times are {kinds[0]}, but those of the training data are {kinds[1]}")
    if (column.tz is None) != (learned.tz is None):
        zones = column.tz or "none", learned.tz or "none"
        raise DataError(f"{source}: the times have time zone {zones[0]}, but those of the training data {zones[1]}")
    return column._replace(tz=learned.tz)


def _regular_grid(
    rows: SortedRows, group: FrequencyGroup, duplicates: str, tz: str | None, notes: list[str]
) -> RegularGrid:
    """Return the grid of the series of one frequency."""
    freq, rows = group.freq, rows.on_clock(group.local).select(group.series)
    phases = np.full(len(rows.ids), np.nan) if group.phases is None else group.phases
    irregular = ~np.isnan(phases)
    irregular_rows = irregular[rows.codes]
    if irregular.any():
        rows = _snapped(rows, freq, irregular_rows, phases, duplicates)
    k, exact = group.steps or rows.count_steps(freq)
    rows.refuse_off_grid(freq, exact)
    repeated = np.flatnonzero((np.diff(k) == 0) & rows.has_next[:-1]) + 1
    if irregular.any():
        notes += _irregular_notes(irregular, freq, duplicates)
        if duplicates == "sum":
            notes += _incomplete_notes(rows, k)
    repeated_regular = repeated[~irregular_rows[repeated]]
    if len(repeated_regular):
        duplicates, note = _duplicate_rule(rows, freq, repeated_regular, duplicates, tz is None)
        notes.append(note)
    offsets = np.concatenate([[0], np.cumsum(k[rows.first[1:] - 1] + 1)]).astype(np.int64)
    total = int(offsets[-1])
    if total > max(MAX_STEPS_PER_ROW * len(rows.times), MAX_STEPS):
        raise DataError(
            f"{rows.source}: at frequency {freq.name} its {len(rows.times)} rows span {total} steps; a few times are "
            "far from the others, or the frequency is too fine: pass the true one as freq="
        )
    positions = offsets[rows.codes] + k
    return RegularGrid(
        series=group.series,
        offsets=offsets,
        start=rows.times[rows.first[:-1]],
        freq=freq,
        rows=rows.order,
        positions=positions,
        duplicated=np.unique(positions[repeated]),
        duplicates="mean" if duplicates == "error" else duplicates,
        tz=tz,
        local=group.local,
        phases=dict(zip(rows.ids[irregular].tolist(), phases[irregular].tolist(), strict=True)),
        missing_rows=total - (len(rows.times) - len(repeated)),
        notes=tuple(notes),
        names=rows.names,
    )


def _irregular_notes(irregular: Array, freq: Frequency, duplicates: str) -> list[str]:
    """Return the note on series (S,) whose times were irregular, or whose rows the user combines to steps."""
    of = "" if irregular.all() else f" of {irregular.sum()} of {len(irregular)} series"
    if duplicates != "error":
        return [f"the rows{of} of each step of {freq.name} were combined: {duplicates=}{_week(freq)}"]
    if freq.kind == "month":
        return [f"the day of the month{of} varies; every row was taken as that of its month ({freq.name})"]
    return [
        f"the times{of} are uneven: laid on steps of {freq.name}, the values of one step averaged; duplicates='sum' "
        "adds them"
    ]


def _week(freq: Frequency) -> str:
    """Return the end of a note on the weekday with which steps of weeks begin; nothing for other steps."""
    if freq.kind != "tick" or freq.step % WEEK:
        return ""
    unit, _, weekday = freq.name.partition("-")
    cure = "" if weekday == "MON" else f"; freq='{unit}-MON' begins them on Monday"
    return f"; steps begin on {DAY_NAMES[WEEKDAYS.index(weekday)]} and have its date{cure}"


def _incomplete_notes(rows: SortedRows, k: Array) -> list[str]:
    """Return notes on sums of a first or last step that has far fewer rows than the others, as a month that goes on.

    k (n,): step of each row.
    """
    steps = np.cumsum(np.append(True, (np.diff(k) != 0) | ~rows.has_next[:-1])) - 1
    count = np.bincount(steps)
    usual, notes = np.median(count), []
    first, last = steps[rows.first[:-1]], steps[rows.first[1:] - 1]
    for end, reason, step in (("first", "the data begin within it", first), ("last", "it is not over", last)):
        few = np.flatnonzero((count[step] < FEW_ROWS * usual) & ((end == "last") | (first < last)))
        if len(few):
            of = "" if len(rows.ids) == 1 else f" of {len(few)} of {len(rows.ids)} series"
            notes.append(
                f"the {end} step{of} sums {plural(int(count[step[few[0]]]), 'row')}, others {usual:.0f}: if {reason}, "
                "take its rows out of the table"
            )
    return notes


def _snapped(rows: SortedRows, freq: Frequency, irregular: Array, phases: Array, duplicates: str) -> SortedRows:
    """Return the rows with irregular times (a mask (n,)) moved to grid times.

    Raises
    ------
    DataError
        If one of them occurs twice without a rule for duplicates.
    """
    repeated = np.flatnonzero((rows.times[1:] == rows.times[:-1]) & rows.has_next[:-1] & irregular[1:]) + 1
    if len(repeated) and duplicates == "error":
        _refuse_duplicates(rows, repeated)
    times = rows.times.copy()
    times[irregular] = snap_to_grid(rows.times[irregular], rows.codes[irregular], freq, phases)
    return replace(rows, times=times)
