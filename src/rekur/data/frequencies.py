"""The frequencies of a table: one of all series or several, said by the user, learned before, or found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rekur.core import DataError, OptionError
from rekur.data.calendar import anchor, regular, spacing
from rekur.data.rows import Rows
from rekur.data.steps import DAY, Freq, shown
from rekur.data.uneven import is_uneven
from rekur.data.windows import portions

Array = np.ndarray[Any, np.dtype[Any]]

MANY = 4_000_000  # rows in which the frequency is looked for
CHANCE = 20.0  # a longer step counts where in one of so many tables some series would show it by chance
SHORT = 5  # rows of a series that do not make a frequency of its own
NEAR = 2.0  # times that the median step of uneven times may differ from the step they are laid on


class Part(NamedTuple):
    """Series of one frequency: their numbers (None for all) and how their times are counted.

    local : by the clocks of the zone · uneven : which of them have uneven times, (series,) bool, None for none
    steps : what `steps` finds, if it is known
    """

    freq: Freq
    series: Array | None = None
    local: bool = False
    uneven: Array | None = None
    steps: tuple[Array, Array] | None = None


class Timing(NamedTuple):
    """How the times of a table are counted that was read before: its series and their frequency.

    local : by the clocks of the zone `tz` · uneven : the labels of series whose times are uneven
    """

    ids: Array
    freq: Freq
    local: bool
    uneven: frozenset[Any]
    tz: str | None


def steps(rows: Rows, freq: Freq) -> tuple[Array, Array]:
    """Return the step of each row since the start of its series, and whether it is a whole one; (n,) each."""
    k, exact = np.empty(len(rows.t), dtype=np.int64), np.empty(len(rows.t), dtype=bool)
    for a, b in portions(rows.first, MANY // 4):
        start = np.repeat(rows.t[rows.first[a:b]], np.diff(rows.first[a : b + 1]))
        part = slice(rows.first[a], rows.first[b])
        k[part], exact[part] = freq.count(start, rows.t[part])
    return k, exact


def asked_for(rows: Rows, freq: Freq) -> Part:
    """The frequency that the user says, standing where the rows stand."""
    whole = rows.t.dtype.kind == "i"
    if whole != (freq.kind == "integer"):
        held = "whole numbers" if whole else "dates"
        raise OptionError(
            f"freq={freq.name!r} does not fit: the times of {rows.source} are {held}; "
            + ("use an integer such as freq=1" if whole else "use a frequency such as 'h' or 'D'")
        )
    return part_of(rows, freq, freq.kind != "tick" or freq.step >= DAY)


def learned_as(rows: Rows, learned: Sequence[Timing]) -> list[Part]:
    """The frequencies that series had in tables read before; one that is new has the longest of these that fits it.

    Raises
    ------
    DataError : a new series has another frequency.
    """
    home = _homes(rows, learned)
    parts = []
    for k, table in enumerate(learned):
        series = np.flatnonzero(home == k)
        if not len(series):
            continue
        known = np.isin(rows.ids[series].astype(object), list(table.uneven)) if rows.panel else bool(table.uneven)
        uneven = np.broadcast_to(known, len(series))
        parts.append(part_of(rows, table.freq, table.local, None if len(series) == len(rows.ids) else series, uneven))
    return parts


def part_of(rows: Rows, freq: Freq, local: bool, series: Array | None = None, uneven: Array | None = None) -> Part:
    """Series on a frequency, standing where their rows stand; `uneven` are those known to have uneven times."""
    local = local and rows.tz is not None
    own = rows.by(local) if series is None else rows.by(local).of(series)
    there = anchor(freq, own.t)
    k, exact = steps(own, there)
    loose = np.zeros(len(own.ids), dtype=bool) if uneven is None else uneven.copy()
    for s in np.flatnonzero(~loose & ~np.logical_and.reduceat(exact, own.first[:-1])):
        loose[s] = is_uneven(own.t[own.first[s] : own.first[s + 1]], freq)
    if not loose.any():
        return Part(there, series, local, None, (k, exact))
    even = own.t[~loose[own.codes]]
    return Part(anchor(freq, even), series, local, loose)


def longer(rows: Rows, k: Array, freq: Freq, among: int) -> Array:
    """Whether each series (of rows at steps k of `freq`) has a longer step of its own, such as weeks among days, (S,).

    That is one on which it stands at least every other time, and so often that chance does not make it so `among` many.
    """
    out = np.zeros(len(rows.ids), dtype=bool)
    days = freq.kind == "tick" and freq.step == DAY
    month = 28 * DAY // freq.step if freq.kind == "tick" else 20 if freq.kind == "business" else 0
    for a, b in portions(rows.first, MANY // 4):
        first, part = rows.first[a:b] - rows.first[a], slice(rows.first[a], rows.first[b])
        inner, count, here = rows.inner[part], np.diff(rows.first[a : b + 1]), k[part]
        gaps = np.where(inner, np.diff(here, append=0), 0)
        times = np.maximum(np.gcd.reduceat(gaps, first), 1).astype(float)
        if month:  # months are no multiples of days
            low = np.minimum.reduceat(np.where(inner, gaps, np.iinfo(np.int64).max), first)
            fixed = (low >= month) & (count > 1)
            if fixed.any():
                day = rows.t[part].astype("M8[D]") - rows.t[part].astype("M8[M]").astype("M8[D]")
                least = np.minimum.reduceat(day, first)
                fixed &= (least == np.maximum.reduceat(day, first)) | (least >= np.timedelta64(27, "D"))
            times = np.where(fixed, np.maximum(low, times), times)
        if days:
            weekday = (rows.t[part].astype("M8[D]").astype(np.int64) + 3) % 7
            times = np.where((times == 1) & ~np.logical_or.reduceat(weekday > 4, first), 7 / 5, times)
        span = here[rows.first[a + 1 : b + 1] - rows.first[a] - 1]
        out[a:b] = (2 * (count - 1) * times >= span) & ((count - 1) * np.log(times) >= np.log(CHANCE * among))
    return out


def fits(rows: Rows, freq: Freq, among: int, whole: bool | Array = False) -> Array:
    """Whether each series stands on a grid, and, if not `whole`, not on every so many steps of it only, (S,)."""
    out = np.zeros(len(rows.ids), dtype=bool)
    for each in {freq, freq if freq.kind != "month" else Freq("month", freq.step, not freq.end, freq.name)}:
        k, exact = steps(rows, each)
        out |= np.logical_and.reduceat(exact, rows.first[:-1]) & (whole | ~longer(rows, k, each, among))
    return out


def size(freq: Freq) -> float:
    """The mean length of a step in microseconds, or units."""
    return freq.step * {"month": 30.44 * DAY, "business": 7 / 5 * DAY}.get(freq.kind, 1.0)


def refuse_beside(rows: Rows, freq: Freq, exact: Array) -> None:
    """Raise an error if a row does not stand on the grid of its series."""
    if not exact.all():
        i = int(np.flatnonzero(~exact)[0])
        raise DataError(
            f"{rows.source}, {rows.where(i)}: the time {shown(rows.t[i])} is not a whole number of steps "
            f"({freq.name}) after the first of its series; round the times or say the true step with freq="
        )


def _homes(rows: Rows, learned: Sequence[Timing]) -> Array:
    """Which of several tables each series belongs to, (S,): its own, or else the one of the longest step that fits."""
    if not rows.panel:
        return np.zeros(len(rows.ids), dtype=np.int64)
    whose = np.repeat(np.arange(len(learned)), [len(table.ids) for table in learned])
    place = pd.Index(np.concatenate([table.ids for table in learned])).get_indexer(pd.Index(rows.ids))
    home = np.where(place < 0, -1, whose[place])
    for k in sorted(range(len(learned)), key=lambda k: -size(learned[k].freq)):
        new = np.flatnonzero(home < 0)
        if len(new):
            own = rows.by(learned[k].local).of(new)
            home[new[fits(own, learned[k].freq, len(rows.ids), np.diff(own.first) < SHORT)]] = k
    for s in np.flatnonzero(home < 0):
        home[s] = _nearest(rows.of(np.array([s])), learned)
    return home


def _nearest(rows: Rows, learned: Sequence[Timing]) -> int:
    """The table on whose step the uneven times of a series can be laid."""
    spaced = spacing(rows.t, rows.first)
    freq = None if spaced is None else regular(rows.t, spaced)
    known = " and ".join(table.freq.name for table in learned)
    if spaced is not None and freq is None:
        gap = float(np.median(spaced.gaps))
        k = min(range(len(learned)), key=lambda k: abs(np.log(size(learned[k].freq) / gap)))
        near = 1 / NEAR <= size(learned[k].freq) / gap <= NEAR
        if near and (len(learned[k].uneven) or is_uneven(rows.t, learned[k].freq)):
            return k
        if len(learned) == 1:
            own = rows.by(learned[0].local)
            refuse_beside(own, learned[0].freq, steps(own, anchor(learned[0].freq, own.t))[1])
    has = "uneven times" if freq is None else f"the frequency {freq.name}"
    label = f"series {rows.ids[0]!r}" if rows.panel else "the series"
    raise DataError(f"{rows.source}: {label} has {has}, the model knows {known}")
