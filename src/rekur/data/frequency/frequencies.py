"""The frequencies of a table: one of all series or several, said by the user, learned before, or found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rekur.core import Array, DataError, OptionError
from rekur.data.frequency.calendar import anchor, day_in_month, regular, spacing
from rekur.data.frequency.frequency import DAY, Frequency, month, shown
from rekur.data.frequency.irregular import SHORT, crowding, is_uneven, near, size
from rekur.data.ingest.sorted_rows import SortedRows
from rekur.data.windows import portions

MANY = 4_000_000  # rows in which the frequency is looked for
CHANCE = 20.0  # a longer step counts where in one of so many tables some series would show it by chance

SOMEWHERE = np.inf  # the place where uneven times stand together has still to be found


class FrequencyGroup(NamedTuple):
    """Series of one frequency: their numbers (None for all) and how their times are counted.

    local : by the clocks of the zone
    uneven : (series,) NaN for even times, else the place where uneven ones stand together, see `crowding`; None for
        even times everywhere
    steps : what `steps` finds, if it is known
    """

    freq: Frequency
    series: Array | None = None
    local: bool = False
    uneven: Array | None = None
    steps: tuple[Array, Array] | None = None


class LearnedFrequency(NamedTuple):
    """How the times of a table are counted that was read before: its series and their frequency.

    local : by the clocks of the zone `tz` · uneven : the series whose times are uneven, and where they stand together
    """

    ids: Array
    freq: Frequency
    local: bool
    uneven: Mapping[Any, float]
    tz: str | None


def steps(rows: SortedRows, freq: Frequency) -> tuple[Array, Array]:
    """Return the step of each row since the start of its series, and whether it is a whole one; (n,) each."""
    k, exact = np.empty(len(rows.t), dtype=np.int64), np.empty(len(rows.t), dtype=bool)
    for a, b in portions(rows.first, MANY // 4):
        start = np.repeat(rows.t[rows.first[a:b]], np.diff(rows.first[a : b + 1]))
        part = slice(rows.first[a], rows.first[b])
        k[part], exact[part] = freq.count(start, rows.t[part])
    return k, exact


def asked_for(rows: SortedRows, freq: Frequency) -> list[FrequencyGroup]:
    """The frequency that the user says, standing where the rows stand."""
    whole = rows.t.dtype.kind == "i"
    if whole != (freq.kind == "integer"):
        held = "whole numbers" if whole else "dates"
        raise OptionError(
            f"freq={freq.name!r} does not fit: the times of {rows.source} are {held}; "
            + ("use an integer such as freq=1" if whole else "use a frequency such as 'h' or 'D'")
        )
    local = freq.kind != "tick" or freq.step >= DAY
    if local and freq.kind == "tick" and rows.tz is not None:  # days of another rhythm than that of the zone
        local = not steps(rows, freq)[1].all() or bool(steps(rows.by(True), freq)[1].all())
    return parts_on(rows, freq, local)


def learned_as(rows: SortedRows, learned: Sequence[LearnedFrequency], said: bool) -> list[FrequencyGroup]:
    """The frequencies that series had in tables read before; one that is new has the longest of these that fits it.

    said : the user has said the frequency, so that there is one for all

    Raises
    ------
    DataError : a new series has another frequency.
    """
    whose = np.repeat(np.arange(len(learned)), [len(table.ids) for table in learned])
    place = pd.Index(np.concatenate([table.ids for table in learned])).get_indexer(pd.Index(rows.ids))
    home = np.where(place < 0, -1, whose[place])
    if len(learned) == 1 and (said or not rows.panel):
        home[:] = 0
    elif not said:
        _house(rows, learned, home)
    parts = []
    for k, table in enumerate(learned):
        series = np.flatnonzero((home == k) | (home < 0) & (k == 0))
        if not len(series):
            continue
        uneven = np.array([table.uneven.get(label, np.nan) for label in rows.ids[series]])
        if not rows.panel and len(table.uneven) == len(table.ids):  # the series of a wide table share their times
            uneven[:] = next(iter(table.uneven.values()))
        some = None if len(series) == len(rows.ids) else series
        parts += parts_on(rows, table.freq, table.local, some, uneven, place[series] >= 0)
    return parts


def parts_on(
    rows: SortedRows,
    freq: Frequency,
    local: bool,
    series: Array | None = None,
    uneven: Array | None = None,
    known: Array | None = None,
) -> list[FrequencyGroup]:
    """Series on a frequency, standing where their rows stand; ends of months stand apart from other days.

    uneven : (series,) as in `Part`, of those whose times are known to be uneven, `SOMEWHERE` if only that is known
    known : (series,) those of which the frequency was learned; None: it was not
    """
    local = local and rows.tz is not None
    if freq.kind == "month":
        own = rows.by(local).of(series)
        ends = at_ends(own, freq, known)
        ends &= True if uneven is None else np.isnan(uneven)
        if ends.any() and not ends.all():
            numbers = np.arange(len(own.ids)) if series is None else series
            return [
                _part(rows, freq, local, numbers[some], None if uneven is None else uneven[some], known is not None)
                for some in (~ends, ends)
            ]
    return [_part(rows, freq, local, series, uneven, known is not None)]


def at_ends(rows: SortedRows, freq: Frequency, known: Array | None = None) -> Array:
    """Which series stand on the last days of months, (S,); one row, or one of a known series, may do so by chance."""
    last, single = np.empty(len(rows.ids), dtype=bool), np.diff(rows.first) == 1
    for a, b in portions(rows.first, MANY // 4):
        t = rows.t[rows.first[a] : rows.first[b]]
        last[a:b] = np.logical_and.reduceat(day_in_month(t)[1], rows.first[a:b] - rows.first[a])
    if known is not None and known.any() and not freq.end:
        _, exact = steps(rows, freq)
        last &= ~(known & rows.every(exact))
    return np.asarray(last & (~single | freq.end | (last & ~single).any()))


def _part(
    rows: SortedRows, freq: Frequency, local: bool, series: Array | None, uneven: Array | None, learned: bool
) -> FrequencyGroup:
    """Series on one frequency, for which all of them stand alike in the month."""
    own = rows.by(local).of(series)
    there = anchor(freq, own.t)
    k, exact = steps(own, there)
    places = np.full(len(own.ids), np.nan) if uneven is None else uneven.copy()
    odd = np.flatnonzero(np.isnan(places) & ~own.every(exact))
    loose = ~np.isnan(places)
    for beside in (False, True):
        for s in odd[~loose[odd]] if not beside or loose.any() else ():
            loose[s] = is_uneven(own.t[own.first[s] : own.first[s + 1]], freq, beside)
    if not loose.any():
        return FrequencyGroup(there, series, local, None, (k, exact))
    base = freq if learned and freq.kind != "month" else anchor(freq, own.t[~loose[own.codes]])
    if base.end and not freq.end:
        base = month(freq.step, "")
    new = loose & ~np.isfinite(places)
    if new.any():
        places[new] = crowding(own.t, own.codes, base)[new]
    return FrequencyGroup(base, series, local, places)


def longer(rows: SortedRows, k: Array, freq: Frequency, among: int) -> Array:
    """Whether each series (of rows at steps k of `freq`) has a longer step of its own, such as weeks among days, (S,).

    That is one on which it stands at least every other time, and so often that chance does not make it so `among` many.
    """
    out = np.zeros(len(rows.ids), dtype=bool)
    days = freq.kind == "tick" and freq.step == DAY
    long = 28 * DAY // freq.step if freq.kind == "tick" else 20 if freq.kind == "business" else 0
    for a, b in portions(rows.first, MANY // 4):
        first, part = rows.first[a:b] - rows.first[a], slice(rows.first[a], rows.first[b])
        inner, count, here = rows.inner[part], np.diff(rows.first[a : b + 1]), k[part]
        gaps = np.where(inner, np.diff(here, append=0), 0)
        times = np.maximum(np.gcd.reduceat(gaps, first), 1).astype(float)
        if long:  # months are no multiples of days
            low = np.minimum.reduceat(np.where(inner, gaps, np.iinfo(np.int64).max), first)
            fixed = (low >= long) & (count > 1)
            if fixed.any():
                day, _ = day_in_month(rows.t[part])
                least = np.minimum.reduceat(day, first)
                fixed &= (least == np.maximum.reduceat(day, first)) | (least >= 28)
            times = np.where(fixed, np.maximum(low, times), times)
        if days:
            weekday = (rows.t[part].astype("M8[D]").astype(np.int64) + 3) % 7
            times = np.where((times == 1) & ~np.logical_or.reduceat(weekday > 4, first), 7 / 5, times)
        span = here[rows.first[a + 1 : b + 1] - rows.first[a] - 1]
        out[a:b] = (2 * (count - 1) * times >= span) & ((count - 1) * np.log(times) >= np.log(CHANCE * among))
    return out


def fits(rows: SortedRows, freq: Frequency, among: int, whole: bool | Array = False) -> Array:
    """Whether each series stands on a grid, and, if not `whole`, not on every so many steps of it only, (S,)."""
    out = np.zeros(len(rows.ids), dtype=bool)
    for each in {freq, freq if freq.kind != "month" else Frequency("month", freq.step, not freq.end, freq.name)}:
        k, exact = steps(rows, each)
        out |= rows.every(exact) & (whole | ~longer(rows, k, each, among))
    return out


def refuse_beside(rows: SortedRows, freq: Frequency, exact: Array) -> None:
    """Raise an error if a row does not stand on the grid of its series."""
    if not exact.all():
        i = int(np.flatnonzero(~exact)[0])
        raise DataError(
            f"{rows.source}, {rows.where(i)}: the time {shown(rows.t[i])} is not a whole number of steps "
            f"({freq.name}) after the first of its series; round the times or say the true step with freq="
        )


def _house(rows: SortedRows, learned: Sequence[LearnedFrequency], home: Array) -> None:
    """Find the table of each series that has none in `home` (S,): that of the longest step that fits."""
    for k in sorted(range(len(learned)), key=lambda k: -size(learned[k].freq)):
        new = np.flatnonzero(home < 0)
        if len(new):
            own = rows.by(learned[k].local).of(new)
            home[new[fits(own, learned[k].freq, len(rows.ids), np.diff(own.first) < SHORT)]] = k
    for s in np.flatnonzero(home < 0):
        home[s] = _nearest(rows.of(np.array([s])), learned)


def _nearest(rows: SortedRows, learned: Sequence[LearnedFrequency]) -> int:
    """The table on whose step the uneven times of a series can be laid."""
    spaced = spacing(rows.t, rows.first)
    if spaced is None:
        return 0
    freq, gap = regular(rows.t, spaced), float(np.median(spaced.gaps))
    if freq is None:
        k = min(range(len(learned)), key=lambda k: abs(np.log(size(learned[k].freq) / gap)))
        uneven = is_uneven(rows.t, learned[k].freq, beside=bool(learned[k].uneven))
        if near(gap, learned[k].freq, len(rows.t)) and uneven:
            return k
        if len(learned) == 1:
            own = rows.by(learned[0].local)
            refuse_beside(own, learned[0].freq, steps(own, anchor(learned[0].freq, own.t))[1])
    has = "uneven times" if freq is None else f"the frequency {freq.name}"
    label = f"series {rows.ids[0]!r}" if rows.panel else "the series"
    known = " and ".join(table.freq.name for table in learned)
    raise DataError(f"{rows.source}: {label} has {has}, the model knows {known}")
