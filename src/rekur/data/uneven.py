"""Times that are uneven by nature: the usual step nearest to theirs, and where each of them stands on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rekur.data.calendar import ENOUGH, regular, spacing
from rekur.data.steps import DAY, HOUR, MINUTE, SECOND, WEEK, WEEKDAYS, Freq, month, months_of, span_of, tick

Array = np.ndarray[Any, np.dtype[Any]]

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
BEFORE = 0.75  # place in a step from which on times that stand together belong to the next one


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


def is_uneven(t: Array, freq: Freq) -> bool:
    """Whether the times of a series, which do not stand on a grid of `freq`, are uneven by nature and no slips.

    So they are if half of many steps fit no common one, or if there is one a month, on whichever day.
    """
    spaced = spacing(t, np.array([0, len(t)]))
    if spaced is None:
        return False
    return bool(freq.kind == "month" and spaced.gaps.min() >= 26 * DAY) or (
        spaced.uneven and regular(t, spaced) is None
    )


def level(t: Array, codes: Array, freq: Freq) -> Array:
    """Return each time (n,) as that of its step, on a grid that is the same for all series, whose numbers are `codes`.

    A step holds the times from its beginning on. Where those of a series stand together at one place of their step,
    as readings a little before or after the full hour do, it holds those around that place.
    """
    if freq.kind == "month":
        begin = (months_of(t).astype(np.int64) // freq.step * freq.step).astype("M8[M]")
        last = begin + np.timedelta64(freq.step - 1, "M")
        return np.asarray((span_of(last)[1] if freq.end else begin).astype("M8[us]"))
    weeks = freq.kind == "tick" and freq.step % WEEK == 0
    origin = 4 * DAY + WEEKDAYS.index(freq.name[-3:]) * DAY if weeks else 0  # 5 January 1970 was a Monday
    step = DAY if freq.kind == "business" else freq.step
    k, rest = np.divmod(t.astype(np.int64) - origin, step)
    k += _shift(rest / step, codes)
    if freq.kind == "business":
        k -= np.maximum((k + 3) % 7 - 4, 0)  # what happens at a weekend is told on Friday
    return np.asarray((k * step + origin).astype(t.dtype))


def _shift(place: Array, codes: Array) -> Array:
    """By how many steps each row moves, (n,), of a place within its step, (n,) from 0 to 1."""
    angle = 2 * np.pi * place
    count = np.maximum(np.bincount(codes), 1)
    centre = (np.bincount(codes, np.cos(angle)) + 1j * np.bincount(codes, np.sin(angle))) / count
    middle = (np.angle(centre) / (2 * np.pi)) % 1
    moved = np.floor(place - middle[codes] + 0.5) + (middle >= BEFORE)[codes]
    crowded = (np.abs(centre) >= CROWDED) & (count > ENOUGH)
    return np.where(crowded[codes], moved, 0.0).astype(np.int64)
