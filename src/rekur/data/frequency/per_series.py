"""Frequency of each series of a panel: passed, learned before or inferred; series of one frequency form a group."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from rekur.core import Array, DataError, OptionError
from rekur.data.frequency.frequency import DAY, Frequency, month_positions
from rekur.data.frequency.inference import MAX_STEPS_PER_ROW, Spacing, infer, infer_each, infer_frequency
from rekur.data.frequency.irregular import (
    MIN_ROWS,
    circular_phase,
    combined_phases,
    fits_usual_step,
    is_irregular,
    usual_frequency,
)
from rekur.data.ingest.sorted_rows import SortedRows
from rekur.data.windows import portions

__all__ = ["FrequencyGroup", "LearnedFrequency", "frequency_groups", "has_coarser_step"]

MAX_ROWS_INFERRED = 4_000_000  # rows from which the frequency is inferred; all are checked against it
ROWS_AT_A_TIME = 1_000_000
CHANCE_ODDS = 20.0  # a coarser step counts unless one of so many panels would show it by chance
TO_COMPUTE = np.inf  # phase of irregular times that is still to be computed

Key = tuple[str, int, bool]
"""Kind, step and clock of a frequency."""


class FrequencyGroup(NamedTuple):
    """Series of one frequency.

    Parameters
    ----------
    freq : Frequency
        Step of their grid.
    series : (m,) int64 or None
        Numbers of the series; None for all.
    local : bool
        Steps are counted in the wall-clock time of the zone.
    phases : (m,) float64 or None
        NaN for regular times, else the phase of irregular ones within a step, see
        `rekur.data.frequency.irregular.circular_phase`; None if all times are regular.
    steps : ((n,) int64, (n,) bool) or None
        Result of `SortedRows.count_steps` where it is known.
    """

    freq: Frequency
    series: Array | None = None
    local: bool = False
    phases: Array | None = None
    steps: tuple[Array, Array] | None = None


class LearnedFrequency(NamedTuple):
    """Frequency of the series of a panel that was read before.

    Parameters
    ----------
    ids : (S,) object
        Labels of the series.
    freq : Frequency
        Step of their grid.
    local : bool
        Steps are counted in the wall-clock time of the zone.
    phases : mapping of label to float
        Phase within a step of each series of irregular times.
    tz : str or None
        Time zone.
    """

    ids: Array
    freq: Frequency
    local: bool
    phases: Mapping[Hashable, float]
    tz: str | None


def frequency_groups(
    rows: SortedRows, freq: str | int | None, learned: Sequence[LearnedFrequency] = (), combine: bool = False
) -> list[FrequencyGroup]:
    """Return the series of a panel grouped by frequency, the largest group first.

    Parameters
    ----------
    rows : SortedRows
        All rows.
    freq : str, int or None
        The frequency of all series; None to infer it.
    learned : sequence of LearnedFrequency, default ()
        Frequencies of panels read before, which take precedence.
    combine : bool, default False
        The user said how rows are combined, so that `freq` may be coarser than their step.

    Raises
    ------
    DataError
        If a series has no frequency, or one that does not fit `learned`.
    OptionError
        If `freq` is unknown or does not fit the kind of times.

    Examples
    --------
    >>> from rekur.data.ingest.times import TimeColumn
    >>> from rekur.data.ingest.sorted_rows import sort_rows
    >>> days = TimeColumn(np.arange("2024-01-01", "2024-01-08", dtype="M8[D]").astype("M8[us]"))
    >>> rows = sort_rows(days, np.zeros(7, np.int64), np.array(["a"], object), "the table")
    >>> [group.freq.name for group in frequency_groups(rows, None)]
    ['D']
    """
    if learned:
        return _learned_groups(rows, learned, freq is not None)
    return _inferred_groups(rows) if freq is None else _given_groups(rows, Frequency.parse(freq), combine)


def _given_groups(rows: SortedRows, freq: Frequency, combine: bool) -> list[FrequencyGroup]:
    """Return all series on the frequency that the user gave, where `combine` says so in steps of several rows each."""
    integers = rows.times.dtype.kind == "i"
    if integers != (freq.kind == "integer"):
        kind, cure = (
            ("whole numbers", "use an integer such as freq=1")
            if integers
            else ("dates", "use a frequency such as 'h' or 'D'")
        )
        raise OptionError(f"freq={freq.name!r} does not fit: the times of {rows.source} are {kind}; {cure}")
    local = freq.kind != "tick" or freq.step >= DAY
    if local and freq.kind == "tick" and rows.tz is not None:  # days of another rhythm than that of the zone
        local = not rows.count_steps(freq)[1].all() or bool(rows.on_clock(True).count_steps(freq)[1].all())
    clocked = rows.on_clock(local)
    k, exact = clocked.count_steps(freq.anchored(clocked.times))
    if exact.all():
        _refuse_finer(clocked, k, freq)
    return _groups_on(rows, freq, local, phases=combined_phases(clocked, exact, freq) if combine else None)


def _refuse_finer(rows: SortedRows, k: Array, freq: Frequency) -> None:
    """Raise an OptionError if all series have a coarser step than the one that the user gave, so that most rows lack.

    k (n,): steps of the rows since the start of their series.
    """
    gaps = np.diff(k)[rows.has_next[:-1]]
    gaps = gaps[gaps > 0]
    if not len(gaps) or gaps.min() < 2 or not has_coarser_step(rows, k, freq, len(rows.ids)).all():
        return
    spacing = infer(rows.times, rows.first)
    step = "" if spacing is None or spacing.frequency is None else f" ({spacing.frequency.name})"
    raise OptionError(
        f"freq={freq.name!r} does not fit: the times of {rows.source} are {gaps.min()} such steps apart or more{step}, "
        "so that most values would be missing; leave freq= out, or put in the rows between first"
    )


def _inferred_groups(rows: SortedRows) -> list[FrequencyGroup]:
    """Return all series on one frequency if it fits, else each on its own.

    A series with a coarser step of its own, such as weeks among days, makes several groups, and so do series whose
    steps do not fit one another. A series with irregular times is put on the usual step nearest to its median one.
    """
    count = np.diff(rows.first)
    local = bool(rows.same_clock[count > 1].all() and count.max() > 1)
    if not local and rows.same_clock[count >= MIN_ROWS].any():
        return _separate_groups(rows)
    clocked = rows.on_clock(local)
    series = min(int(np.searchsorted(clocked.first, MAX_ROWS_INFERRED)), len(rows.ids))
    first = clocked.first[: series + 1]
    spacing = infer(clocked.times[: first[-1]], first)
    if spacing is None or spacing.frequency is None:
        return _separate_groups(rows)
    freq = spacing.frequency
    k, exact = clocked.count_steps(freq)
    if len(rows.ids) > 1:
        if not exact.all() or has_coarser_step(clocked, k, freq, len(rows.ids)).any():
            return _separate_groups(rows)
        named = series == len(rows.ids) and (freq.end or freq.name.endswith("S"))  # all at the end or the start
        if freq.kind == "month" and not named and 0 < _at_month_ends(clocked, freq).sum() < len(rows.ids):
            return _groups_on(rows, freq, local)
    return [FrequencyGroup(freq, None, local, None, (k, exact))]


def _learned_groups(rows: SortedRows, learned: Sequence[LearnedFrequency], fixed: bool) -> list[FrequencyGroup]:
    """Return the series on the frequencies they had before; a new one gets the coarsest of these that fits it.

    fixed: the user gave the frequency, so that there is one for all series.
    """
    panel_of = np.repeat(np.arange(len(learned)), [len(panel.ids) for panel in learned])
    index = pd.Index(np.concatenate([panel.ids for panel in learned])).get_indexer(pd.Index(rows.ids))
    home = np.where(index < 0, -1, panel_of[index])
    if len(learned) == 1 and (fixed or not rows.has_ids):
        home[:] = 0
    elif not fixed:
        _assign_new_series(rows, learned, home)
    groups = list[FrequencyGroup]()
    for k, panel in enumerate(learned):
        series = np.flatnonzero((home == k) | (home < 0) & (k == 0))
        if not len(series):
            continue
        phases = np.array([panel.phases.get(label, np.nan) for label in rows.ids[series]])
        if not rows.has_ids and len(panel.phases) == len(panel.ids):  # the series of a wide frame share their times
            phases[:] = next(iter(panel.phases.values()))
        subset = None if len(series) == len(rows.ids) else series
        groups += _groups_on(rows, panel.freq, panel.local, subset, phases, index[series] >= 0)
    return groups


def _assign_new_series(rows: SortedRows, learned: Sequence[LearnedFrequency], home: Array) -> None:
    """Fill in the panel, in `home` (S,), of each series without one (-1): that of the coarsest frequency that fits."""
    for k in sorted(range(len(learned)), key=lambda k: -learned[k].freq.length):
        new = np.flatnonzero(home < 0)
        if len(new):
            part = rows.on_clock(learned[k].local).select(new)
            short = np.diff(part.first) < MIN_ROWS
            home[new[_fits(part, learned[k].freq, len(rows.ids), short)]] = k
    for s in np.flatnonzero(home < 0):
        home[s] = _nearest_panel(rows.select(np.array([s])), learned)


def _nearest_panel(rows: SortedRows, learned: Sequence[LearnedFrequency]) -> int:
    """Return the number of the panel whose frequency suits the irregular times of a new series."""
    spacing = infer(rows.times, rows.first)
    if spacing is None:
        return 0
    if spacing.frequency is None:
        gap = spacing.median
        k = min(range(len(learned)), key=lambda k: abs(np.log(learned[k].freq.length / gap)))
        irregular = is_irregular(spacing, len(rows.times), learned[k].freq, bool(learned[k].phases))
        if fits_usual_step(gap, learned[k].freq, len(rows.times)) and irregular:
            return k
        if len(learned) == 1:
            clocked = rows.on_clock(learned[0].local)
            clocked.refuse_off_grid(learned[0].freq, clocked.count_steps(learned[0].freq.anchored(clocked.times))[1])
    has = "uneven times" if spacing.frequency is None else f"the frequency {spacing.frequency.name}"
    label = f"series {rows.ids[0]!r}" if rows.has_ids else "the series"
    known = " and ".join(panel.freq.name for panel in learned)
    raise DataError(
        f"{rows.source}: {label} has {has}, but the model was fitted to {known}; pass series of that frequency"
    )


def _groups_on(
    rows: SortedRows,
    freq: Frequency,
    local: bool,
    series: Array | None = None,
    phases: Array | None = None,
    known: Array | None = None,
) -> list[FrequencyGroup]:
    """Return series on one frequency, anchored as their rows are; ends of months are a group apart from other days.

    phases (m,): NaN for regular times, `TO_COMPUTE` or the known phase for irregular ones; known (m,): series whose
    frequency was learned before, None if it was not learned.
    """
    local = local and rows.tz is not None
    if freq.kind == "month":
        clocked = rows.on_clock(local).select(series)
        ends = _at_month_ends(clocked, freq, known)
        ends &= True if phases is None else np.isnan(phases)
        if ends.any() and not ends.all():
            numbers = np.arange(len(clocked.ids)) if series is None else series
            return [
                _group(rows, freq, local, numbers[part], None if phases is None else phases[part], known is not None)
                for part in (~ends, ends)
            ]
    return [_group(rows, freq, local, series, phases, known is not None)]


def _group(
    rows: SortedRows, freq: Frequency, local: bool, series: Array | None, phases: Array | None, learned: bool
) -> FrequencyGroup:
    """Return series on one frequency with one anchor, and which of them have irregular times."""
    clocked = rows.on_clock(local).select(series)
    anchored = freq.anchored(clocked.times)
    k, exact = clocked.count_steps(anchored)
    phases = np.full(len(clocked.ids), np.nan) if phases is None else phases.copy()
    irregular = ~np.isnan(phases)
    off_grid = np.flatnonzero(~irregular & ~clocked.all_by_series(exact))
    for others_irregular in (False, True):
        if not others_irregular or irregular.any():
            left = off_grid[~irregular[off_grid]]
            part = clocked.select(left)
            for s, spacing, n in zip(left, infer_each(part.times, part.first), np.diff(part.first), strict=True):
                irregular[s] = is_irregular(spacing, int(n), freq, others_irregular)
    if not irregular.any():
        return FrequencyGroup(anchored, series, local, None, (k, exact))
    base = freq if learned and freq.kind != "month" else freq.anchored(clocked.times[~irregular[clocked.codes]])
    base = Frequency.of_months(freq.step) if base.end and not freq.end else base
    new = irregular & ~np.isfinite(phases)
    if new.any():
        phases[new] = circular_phase(clocked.times, clocked.codes, base)[new]
    return FrequencyGroup(base, series, local, phases)


def _at_month_ends(rows: SortedRows, freq: Frequency, known: Array | None = None) -> Array:
    """Return which series have only last days of months, (S,) bool.

    A single row, or the rows of a `known` series (S,) of another frequency, may be last days by chance.
    """
    at_ends, single = np.empty(len(rows.ids), dtype=bool), np.diff(rows.first) == 1
    for a, b in portions(rows.first, ROWS_AT_A_TIME):
        is_end = month_positions(rows.times[rows.first[a] : rows.first[b]])[2]
        at_ends[a:b] = np.logical_and.reduceat(is_end, rows.first[a:b] - rows.first[a])
    if known is not None and known.any() and not freq.end:
        _, exact = rows.count_steps(freq)
        at_ends &= ~(known & rows.all_by_series(exact))
    return np.asarray(at_ends & (~single | freq.end | (at_ends & ~single).any()))


def has_coarser_step(rows: SortedRows, k: Array, freq: Frequency, candidates: int) -> Array:
    """Return which series have a coarser step of their own than `freq`, such as weeks among days, (S,) bool.

        n·log(m) ≥ log(20·candidates)  and  2·n·m ≥ k_last

    where m is the coarser step in steps of `freq`, n the number of its gaps and k_last the last step: the series has
    a row at least every other coarser step, and so many that chance does not explain them.

    k (n,): steps of the rows since the start of their series; candidates: number of series among which one may show
    the coarser step by chance.
    """
    out = np.zeros(len(rows.ids), dtype=bool)
    daily = freq.kind == "tick" and freq.step == DAY
    month = 28 * DAY // freq.step if freq.kind == "tick" else 20 if freq.kind == "business" else 0  # in steps
    for a, b in portions(rows.first, ROWS_AT_A_TIME):
        first, part = rows.first[a:b] - rows.first[a], slice(rows.first[a], rows.first[b])
        inside, count, steps = rows.has_next[part], np.diff(rows.first[a : b + 1]), k[part]
        gaps = np.where(inside, np.diff(steps, append=0), 0)
        multiple = np.maximum(np.gcd.reduceat(gaps, first), 1).astype(float)
        if month:  # months are no multiples of days
            shortest = np.minimum.reduceat(np.where(inside, gaps, np.iinfo(np.int64).max), first)
            fixed_day = (shortest >= month) & (count > 1)
            if fixed_day.any():
                day = month_positions(rows.times[part])[1]
                earliest = np.minimum.reduceat(day, first)
                fixed_day &= (earliest == np.maximum.reduceat(day, first)) | (earliest >= 28)
            multiple = np.where(fixed_day, np.maximum(shortest, multiple), multiple)
        if daily:
            weekend = ~np.is_busday(rows.times[part].astype("M8[D]"))
            multiple = np.where((multiple == 1) & ~np.logical_or.reduceat(weekend, first), 7 / 5, multiple)
        last = steps[rows.first[a + 1 : b + 1] - rows.first[a] - 1]
        unlikely = (count - 1) * np.log(multiple) >= np.log(CHANCE_ODDS * candidates)
        out[a:b] = (2 * (count - 1) * multiple >= last) & unlikely
    return out


def _fits(rows: SortedRows, freq: Frequency, candidates: int, coarser: bool | Array = False) -> Array:
    """Return which series are on the grid of `freq` and, unless `coarser` is allowed, have no coarser step, (S,)."""
    out = np.zeros(len(rows.ids), dtype=bool)
    for grid in {freq, freq if freq.kind != "month" else Frequency("month", freq.step, not freq.end, freq.name)}:
        k, exact = rows.count_steps(grid)
        out |= rows.all_by_series(exact) & (coarser | ~has_coarser_step(rows, k, grid, candidates))
    return out


class _Assignment:
    """Assignment of series to groups by frequency, filled in step by step.

    rows: all rows in UTC and (True) in wall-clock time; freqs: the frequency of each group, by key; home (S,): number
    of the group of each series, -1 for none; irregular (S,): whether its times are irregular.
    """

    def __init__(self, rows: SortedRows) -> None:
        self.rows = {False: rows, True: rows.on_clock(True)}
        self.freqs: dict[Key, Frequency] = {}
        self.home = np.full(len(rows.ids), -1)
        self.irregular = np.zeros(len(rows.ids), dtype=bool)

    def add(self, s: int, freq: Frequency, local: bool) -> None:
        """Put series s into the group of a frequency, a new one if need be."""
        key = freq.kind, freq.step, local
        self.freqs.setdefault(key, freq)
        self.home[s] = list(self.freqs).index(key)

    def by_size(self) -> list[tuple[int, Key]]:
        """Return the numbers and keys of the groups, the largest first."""
        count = np.bincount(self.home[self.home >= 0], minlength=len(self.freqs))
        keys = list(self.freqs)
        return [(int(k), keys[k]) for k in np.argsort(-count, kind="stable") if count[k]]

    def by_step(self) -> list[tuple[int, Key]]:
        """Return the numbers and keys of the groups, the coarsest frequency first."""
        return sorted(self.by_size(), key=lambda group: -self.freqs[group[1]].length)

    def move(self, series: Array, groups: list[tuple[int, Key]], coarser: bool = False) -> Array:
        """Put each of `series` into the first of `groups` whose grid holds it; return those without one."""
        for k, key in groups:
            if len(series):
                on_grid = _fits(self.rows[key[2]].select(series), self.freqs[key], len(self.home), coarser)
                self.home[series[on_grid]] = k
                series = series[~on_grid]
        return series


def _separate_groups(rows: SortedRows) -> list[FrequencyGroup]:
    """Return the series by the frequency of each, the largest group first."""
    assignment = _Assignment(rows)
    short = np.diff(rows.first) < MIN_ROWS
    _assign_own(assignment, np.flatnonzero(~short))
    _assign_remaining(assignment, np.flatnonzero((assignment.home < 0) & ~short))
    _merge_chance_groups(assignment)
    _assign_remaining(assignment, np.flatnonzero(assignment.home < 0))
    groups = list[FrequencyGroup]()
    for k, key in assignment.by_size():
        series = np.flatnonzero(assignment.home == k)
        subset = None if len(series) == len(rows.ids) else series
        phases = np.where(assignment.irregular[series], TO_COMPUTE, np.nan)
        groups += _groups_on(rows, assignment.freqs[key], key[2], subset, phases)
    return groups


def _assign_own(assignment: _Assignment, series: Array) -> None:
    """Put each of `series` into the group of its own frequency, if it has one."""
    rows = assignment.rows[False]
    part = rows.on_own_clock().select(series)
    for s, spacing in zip(series.tolist(), infer_each(part.times, part.first), strict=True):
        if spacing is None:
            continue
        if spacing.frequency is not None:
            assignment.add(s, spacing.frequency, bool(rows.same_clock[s]))
        elif spacing.uneven:
            freq = usual_frequency(spacing.median, rows.times.dtype.kind in "iu")
            assignment.add(s, freq, rows.tz is not None and freq.length >= DAY)
            assignment.irregular[s] = True


def _merge_chance_groups(assignment: _Assignment) -> None:
    """Move series whose coarse or irregular steps may be chance: rare days to days, irregular times together."""
    groups, rows = assignment.by_size(), assignment.rows[False]
    mean_gap = (rows.times[rows.first[1:] - 1] - rows.times[rows.first[:-1]]).astype(np.int64) / np.diff(rows.first)
    for i in range(len(groups) - 1, 0, -1):
        k, key = groups[i]
        for finer in groups[:i]:
            step = assignment.freqs[finer[1]].length
            if finer[1][2] == key[2] and step < assignment.freqs[key].length:
                sparse = ~assignment.irregular | (mean_gap < MAX_STEPS_PER_ROW * step)
                series = np.flatnonzero((assignment.home == k) & sparse)
                assignment.move(series, [finer])
                assignment.irregular[series[assignment.home[series] != k]] = False
    count = np.bincount(assignment.home[assignment.irregular], minlength=len(assignment.freqs))
    by_count = [k for k in np.argsort(-count, kind="stable") if count[k]]
    freqs = list(assignment.freqs.values())
    for s in np.flatnonzero(assignment.irregular):
        times = rows.times[rows.first[s] : rows.first[s + 1]]
        gap = float(np.median(np.diff(times).astype(np.int64)))
        suitable = (k for k in by_count if fits_usual_step(gap, freqs[k], len(times)))
        assignment.home[s] = next(suitable, assignment.home[s])


def _assign_remaining(assignment: _Assignment, series: Array) -> None:
    """Put series without a frequency of their own into the largest, or coarsest, group that holds them.

    Raises
    ------
    DataError
        If a few rows of a series are off the grid of all groups.
    """
    rows = assignment.rows[False]
    on_wall_clock = rows.same_clock[series] & (np.diff(rows.first)[series] > 1)
    for part, local in ((series[~on_wall_clock], False), (series[on_wall_clock], True)):
        by_size, by_step = (
            [group for group in groups if not local or group[1][2]]
            for groups in (assignment.by_size(), assignment.by_step())
        )
        left = assignment.move(assignment.move(part, by_size), by_step, coarser=True)
        remaining = assignment.rows[local].select(left)
        for s, spacing in zip(left.tolist(), infer_each(remaining.times, remaining.first), strict=True):
            _assign_off_grid(assignment, s, local, spacing)


def _assign_off_grid(assignment: _Assignment, s: int, local: bool, spacing: Spacing | None) -> None:
    """Put a series that is on no grid of the others into a group of its own, or one of irregular times."""
    rows = assignment.rows[False]
    if spacing is not None and spacing.frequency is not None:
        assignment.add(s, spacing.frequency, local)
        return
    groups = assignment.by_size()
    if spacing is not None:
        n, irregular = int(rows.first[s + 1] - rows.first[s]), assignment.home[assignment.irregular]
        groups = [
            (k, key)
            for k, key in groups
            if k in irregular
            and fits_usual_step(spacing.median, assignment.freqs[key], n)
            and is_irregular(spacing, n, assignment.freqs[key], others_irregular=True)
        ]
    if groups:
        assignment.home[s], assignment.irregular[s] = groups[0][0], True
    else:
        assignment.add(s, _utc_frequency(rows.select(np.array([s]))), local)


def _utc_frequency(rows: SortedRows) -> Frequency:
    """Return the frequency of the one series of `rows` in UTC, or raise the DataError that it has none."""
    try:
        return infer_frequency(rows.times, rows.first, rows.describe)
    except DataError as error:
        raise DataError(f"{rows.source}: {error}") from None
