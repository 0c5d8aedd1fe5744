"""Times that are uneven by nature: the usual step nearest to theirs, and where each of them stands on it."""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.data.frequency.calendar import ENOUGH, regular, spacing
from rekur.data.frequency.frequency import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    WEEKDAYS,
    Frequency,
    month,
    months_of,
    span_of,
    tick,
)

NICE = [
    *(n * SECOND for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    DAY,
    WEEK,
]
USUAL = [*((float(step), tick(step, 0)) for step in NICE), *((30.44 * DAY * n, month(n, "S")) for n in (1, 3, 12))]
"""The steps on which uneven times are laid, with their sizes; below them powers of ten of microseconds."""
CROWDED = 0.6  # mean resultant length from which on times stand together at one place of their step
NEAR = 2.0  # times that the median step of uneven times may differ from the step they are laid on
SHORT = 5  # rows of a series that do not make a frequency of its own
BEFORE = 0.75  # place in a step from which on times that stand together belong to the next one


def usual(gap: float, whole: bool) -> Frequency:
    """The frequency in common use that is nearest to a step, of whole numbers or microseconds, by its logarithm.

    >>> usual(11.3 * 60e6, whole=False).name, usual(29 * 86400e6, whole=False).name
    ('10min', 'MS')
    """
    if whole:
        step = max(1, round(gap))
        return Frequency("integer", step, False, str(step))
    if gap < 0.7 * SECOND:
        return tick(10 ** max(0, round(np.log10(gap))))
    return min(USUAL, key=lambda pair: abs(np.log(pair[0] / gap)))[1]


def is_uneven(t: Array, freq: Frequency, beside: bool = False) -> bool:
    """Whether the times of a series, which do not stand on a grid of `freq`, are uneven by nature and no slips.

    So they are if half of many steps fit no common one (of few, `beside` series that are uneven), if there is one a
    month, on whichever day, or if there is one time only.
    """
    spaced = spacing(t)
    if spaced is None:
        return True
    if freq.kind == "month" and spaced.gaps.min() >= 26 * DAY:
        return True
    few = beside and (len(t) < SHORT or 2 * len(spaced.off) > len(spaced.gaps))
    return (spaced.uneven or few) and regular(t, spaced) is None


def near(gap: float, freq: Frequency, many: int) -> bool:
    """Whether uneven times of a median gap, of so many rows, can be laid on steps of a frequency."""
    whole = freq.kind == "integer"
    own = usual(gap, whole)
    ratio = size(freq) / gap
    reach = NEAR if many > ENOUGH else NEAR**2  # the median of a few gaps says little
    return bool(1 / reach <= ratio <= reach or (own.kind, own.step) == (freq.kind, freq.step))


def size(freq: Frequency) -> float:
    """The mean length of a step in microseconds, or units."""
    return freq.step * {"month": 30.44 * DAY, "business": 7 / 5 * DAY}.get(freq.kind, 1.0)


def _steps(t: Array, freq: Frequency) -> tuple[Array, Array, int, int]:
    """Which step each time lies in, its place there from 0 to 1, and the length and the origin of steps."""
    weeks = freq.kind == "tick" and freq.step % WEEK == 0
    origin = 4 * DAY + WEEKDAYS.index(freq.name[-3:]) * DAY if weeks else 0  # 5 January 1970 was a Monday
    step = DAY if freq.kind == "business" else freq.step
    k, rest = np.divmod(t.astype(np.int64) - origin, step)
    return k, rest / step, step, origin


def crowding(t: Array, codes: Array, freq: Frequency) -> Array:
    """At which place of their step, from 0 to 1, the times (n,) of each series stand together, (S,); -1 if nowhere.

    The series of a time is its number in `codes`.
    """
    count = np.maximum(np.bincount(codes), 1)
    if freq.kind == "month":
        return np.full(len(count), -1.0)
    angle = 2 * np.pi * _steps(t, freq)[1]
    centre = (np.bincount(codes, np.cos(angle)) + 1j * np.bincount(codes, np.sin(angle))) / count
    place = (np.angle(centre) / (2 * np.pi)) % 1
    return np.where((np.abs(centre) >= CROWDED) & (count > ENOUGH), place, -1.0)


def level(t: Array, codes: Array, freq: Frequency, places: Array) -> Array:
    """Return each time (n,) as that of its step, on a grid that is the same for all series, whose numbers are `codes`.

    A step holds the times from its beginning on. Where those of a series stand together at one of the `places` (S,),
    as readings a little before or after the full hour do, it holds those around that place.
    """
    if freq.kind == "month":
        begin = (months_of(t).astype(np.int64) // freq.step * freq.step).astype("M8[M]")
        last = begin + np.timedelta64(freq.step - 1, "M")
        return np.asarray((span_of(last)[1] if freq.end else begin).astype("M8[us]"))
    k, place, step, origin = _steps(t, freq)
    middle = places[codes]
    moved = np.floor(place - middle + 0.5) + (middle >= BEFORE)
    k = k + np.where(middle >= 0, moved, 0.0).astype(np.int64)
    if freq.kind == "business":
        k -= np.maximum((k + 3) % 7 - 4, 0)  # what happens at a weekend is told on Friday
    return np.asarray((k * step + origin).astype(t.dtype))
