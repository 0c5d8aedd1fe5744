"""The frequencies of a table: one of all series or several, said by the user or found, even in uneven times."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rekur.core import DataError, OptionError
from rekur.data.calendar import Spacing, anchor, detect, regular, spacing
from rekur.data.rows import Rows
from rekur.data.steps import DAY, HOUR, MINUTE, SECOND, WEEK, WEEKDAYS, Freq, month, months_of, shown, tick
from rekur.data.windows import portions

Array = np.ndarray[Any, np.dtype[Any]]

MANY = 4_000_000  # rows in which the frequency is looked for
SHORT = 5  # rows of a series that do not make a frequency of its own
NICE = [
    *(n * SECOND for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    DAY,
    WEEK,
]
USUAL = [*((float(step), tick(step, 0)) for step in NICE), *((30.44 * DAY * n, month(n, "S")) for n in (1, 3, 12))]
"""The steps on which uneven times are laid, with their sizes; below them powers of ten of microseconds."""


class Part(NamedTuple):
    """Series of one frequency: their numbers (None for all), whether their times are uneven, their `steps` if known."""

    freq: Freq
    series: Array | None = None
    uneven: bool = False
    steps: tuple[Array, Array] | None = None


def steps(rows: Rows, freq: Freq) -> tuple[Array, Array]:
    """Return the step of each row since the start of its series, and whether it is a whole one; (n,) each."""
    k, exact = np.empty(len(rows.t), dtype=np.int64), np.empty(len(rows.t), dtype=bool)
    for a, b in portions(rows.first, MANY // 4):
        start = np.repeat(rows.t[rows.first[a:b]], np.diff(rows.first[a : b + 1]))
        part = slice(rows.first[a], rows.first[b])
        k[part], exact[part] = freq.count(start, rows.t[part])
    return k, exact


def asked_for(rows: Rows, freq: Freq) -> list[Part]:
    """The frequency that the user says, standing where the rows stand."""
    whole = rows.t.dtype.kind == "i"
    if whole != (freq.kind == "integer"):
        held = "whole numbers" if whole else "dates"
        raise OptionError(
            f"freq={freq.name!r} does not fit: the times of {rows.source} are {held}; "
            + ("use an integer such as freq=1" if whole else "use a frequency such as 'h' or 'D'")
        )
    there = anchor(freq, rows.t)
    found = steps(rows, there)
    exact = found[1]
    if freq.kind in ("month", "business"):
        return [Part(there, steps=found) if exact.all() else Part(freq)]
    spaced = spacing(rows.t, rows.first) if exact.mean() < 0.5 else None
    uneven = spaced is not None and regular(rows.t, spaced) is None
    return [Part(freq, uneven=True) if uneven else Part(there, steps=found)]


def found_in(rows: Rows) -> list[Part]:
    """The frequencies of a table: one of which all steps of all series are multiples, or each series has its own.

    A series that has a longer step of its own, such as weeks among days, makes several frequencies, and so do series
    whose steps do not fit one another. Where half of the steps of a series fit no common one its times are uneven, and
    its frequency is the usual one nearest to its median step.

    Raises
    ------
    DataError : a few rows of a series stand beside the grid of the others, or no series has two times.
    """
    some = int(np.searchsorted(rows.first, MANY))  # every row is held against what is found
    t, first = rows.t[: rows.first[: some + 1][-1]], rows.first[: some + 1]
    spaced = spacing(t, first)
    freq = None if spaced is None else regular(t, spaced)
    if freq is not None:
        k, exact = steps(rows, freq)
        if len(rows.ids) == 1 or (exact.all() and not _longer(rows, k).any()):
            return [Part(freq, steps=(k, exact))]
    apart = _apart(rows)
    if not apart:
        _refuse(rows)
    return apart


def _longer(rows: Rows, k: Array) -> Array:
    """Whether each series (of many rows) has a longer regular step of its own, such as months among days, (S,)."""
    out = np.zeros(len(rows.ids), dtype=bool)
    for a, b in portions(rows.first, MANY // 4):
        first, part = rows.first[a:b] - rows.first[a], slice(rows.first[a], rows.first[b])
        gaps, inner = np.diff(k[part], append=0), rows.inner[part]
        low = np.minimum.reduceat(np.where(inner, gaps, np.iinfo(np.int64).max), first)
        high = np.maximum.reduceat(np.where(inner, gaps, 0), first)
        out[a:b] = (np.diff(rows.first[a : b + 1]) >= SHORT) & (low > 1) & (8 * high <= 9 * low)
    return out


def _apart(rows: Rows) -> list[Part]:
    """The series by the frequency of each, the most common first; none where a series fits nowhere."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    freqs: dict[tuple[Any, ...], Freq] = {}
    rest = []
    for s in range(len(rows.ids)):
        t = rows.t[rows.first[s] : rows.first[s + 1]]
        spaced = spacing(t, np.array([0, len(t)]))
        freq, uneven = _own(t, spaced)
        if freq is None:
            rest.append(s)
        else:
            groups.setdefault((freq.kind, freq.step, uneven), []).append(s)
            freqs.setdefault((freq.kind, freq.step, uneven), freq)
    order = sorted(groups, key=lambda key: -len(groups[key]))
    for s in rest:
        part = rows.of(np.array([s]))
        home = next((key for key in order if key[2] or _fits(part, freqs[key])), None)
        if home is None:
            return []
        groups[home].append(s)
    parts = []
    for key in order:
        series = np.sort(groups[key])
        freq = freqs[key] if key[2] else anchor(freqs[key], rows.of(series).t)
        parts.append(Part(freq, series, key[2]))
    return [parts[0]._replace(series=None)] if len(parts) == 1 else parts


def _fits(rows: Rows, freq: Freq) -> bool:
    """Whether one series stands on a grid, and not on every so many steps of it only."""
    k, exact = steps(rows, freq)
    return bool(exact.all() and not _longer(rows, k).any())


def _own(t: Array, spaced: Spacing | None) -> tuple[Freq | None, bool]:
    """The frequency of one series and whether its times are uneven; None where it has none of its own."""
    if spaced is None or len(t) < SHORT:
        return None, False
    if spaced.uneven:
        return usual(float(np.median(spaced.gaps)), t.dtype.kind in "iu"), True
    return regular(t, spaced), False


def _refuse(rows: Rows) -> None:
    """Raise the error of a table without a frequency."""
    try:
        freq = detect(rows.t, rows.first, rows.where)
    except DataError as error:
        raise DataError(f"{rows.source}: {error}") from None
    k, exact = steps(rows, freq)
    refuse_beside(rows, freq, exact)
    odd = rows.ids[int(np.flatnonzero(_longer(rows, k))[0])]
    raise DataError(
        f"{rows.source}: series {odd!r} has a longer step than the others ({freq.name}), but no regular one, such as "
        "days of a time zone; forecast it separately, or give freq="
    )


def refuse_beside(rows: Rows, freq: Freq, exact: Array) -> None:
    """Raise an error if a row does not stand on the grid of its series."""
    if not exact.all():
        i = int(np.flatnonzero(~exact)[0])
        raise DataError(
            f"{rows.source}, {rows.where(i)}: the time {shown(rows.t[i])} is not a whole number of steps "
            f"({freq.name}) after the first of its series; round the times or say the true step with freq="
        )


def usual(gap: float, whole: bool) -> Freq:
    """The frequency in common use that is nearest to a step, of whole numbers or microseconds, by its logarithm.

    >>> usual(11.3 * 60e6, whole=False).name, usual(29 * 86400e6, whole=False).name
    ('10min', 'MS')
    """
    if whole:
        step = max(1, round(gap))
        return Freq("integer", step, False, str(step))
    if gap < 0.7 * SECOND:
        return tick(10 ** max(0, round(np.log10(gap))))
    return min(USUAL, key=lambda pair: abs(np.log(pair[0] / gap)))[1]


def level(t: Array, freq: Freq) -> Array:
    """Return each time as the beginning of its step, on a grid that is the same for all series."""
    if freq.kind == "integer":
        return np.asarray(t // freq.step * freq.step)
    if freq.kind == "month":
        begin = months_of(t).astype(np.int64) // freq.step * freq.step
        return np.asarray(begin.astype("M8[M]").astype("M8[us]"))
    weeks = freq.step % WEEK == 0
    origin = 4 * DAY + WEEKDAYS.index(freq.name[-3:]) * DAY if weeks else 0  # 5 January 1970 was a Monday
    return np.asarray(((t.astype(np.int64) - origin) // freq.step * freq.step + origin).astype("M8[us]"))
