"""The calendar of a table: which regular grid its times stand on, and what the calendar says of each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    Frequency,
    month,
    months_of,
    parse,
    shown,
    span_of,
    tick,
)
from rekur.data.frequency.seasonality import detect_season

__all__ = [
    "Frequency",
    "Spacing",
    "anchor",
    "day_in_month",
    "detect",
    "detect_season",
    "feature_names",
    "features",
    "parse",
    "regular",
    "spacing",
]


ENOUGH = 20  # steps by which rows at no regular times are told from a slip
SPARSE = 20  # steps of a grid for each of its rows, at the most


def day_in_month(times: Array) -> tuple[Array, Array]:
    """Return the day of the month (from 1) and whether it is the last one."""
    day, begin = times.astype("M8[D]"), months_of(times)
    first, last = span_of(begin)
    return (day - first).astype(np.int64) + 1, day == last


def anchor(freq: Frequency, times: Array) -> Frequency:
    """Return `freq` with the place in the month or week that the data have, so that rows are on the grid."""
    if not len(times):
        return freq
    if freq.kind == "month":
        day, last = day_in_month(times)
        return month(freq.step, "E" if last.all() else "S" if (day == 1).all() else "")
    if freq.kind == "tick" and freq.step % WEEK == 0:
        return tick(freq.step, _most_common((times.astype("M8[D]").astype(np.int64) + 3) % 7)[0])
    return freq


def _most_common(values: Array) -> tuple[int, int]:
    """Return the most common value (the smallest of equals) and how often it occurs."""
    low, high = int(values.min()), int(values.max())
    if low == high:
        return low, len(values)
    if high - low < 1 << 20:
        counts = np.bincount(values - low)
        return low + int(counts.argmax()), int(counts.max())
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()]), int(counts.max())


def _is_business(times: Array, gaps: Array, before: Array) -> bool:
    """Tell whether daily rows skip every weekend: none on one, and at least one stepped over."""
    weekday = (times.astype("M8[D]").astype(np.int64) + 3) % 7
    if len(times) < 6 or (weekday > 4).any():
        return False
    over = weekday[before] + gaps // DAY > 4
    clock = times - times.astype("M8[D]")
    return bool(over.any() and (clock == clock[0]).all())


def _as_months(times: Array, pairs: Array) -> Frequency | None:
    """Return the month step of rows at least 28 days apart, or None if the day of the month wanders."""
    codes, labels = pd.factorize(times)  # series mostly share their times
    found = np.asarray(labels)
    clock = found - found.astype("M8[D]")
    if (clock != clock[0]).any():
        return None
    day, last = day_in_month(found)
    before, after = codes[pairs], codes[pairs + 1]
    first, then = day[before], day[after]
    if not (last.all() or ((then == first) | (last[before] & (then > first)) | (last[after] & (then < first))).all()):
        return None
    number = months_of(found).astype(np.int64)
    steps = number[after] - number[before]
    step = _most_common(steps)[0]
    return None if (steps % step).any() else anchor(month(step, ""), found)


class Spacing(NamedTuple):
    """The steps between the rows of series: their lengths, the first row of each, and the most common length."""

    gaps: Array
    pairs: Array
    step: int

    @property
    def off(self) -> Array:
        """The places of the steps that are no multiple of the most common one."""
        return np.flatnonzero(self.gaps % self.step)

    @property
    def uneven(self) -> bool:
        """Whether the rows stand at no regular times at all: half of many steps fit no common one."""
        return len(self.gaps) >= ENOUGH and 2 * len(self.off) > len(self.gaps)


def spacing(times: Array, offsets: Array | None = None) -> Spacing | None:
    """The steps between the rows of each series, or of one, equal neighbours passed over; None if there is no step."""
    gaps = np.diff(times).astype(np.int64)
    inside = np.ones(len(gaps), dtype=bool)
    if offsets is not None:
        inside[np.asarray(offsets)[1:-1] - 1] = False
    pairs = np.flatnonzero(inside & (gaps > 0))
    return Spacing(gaps[pairs], pairs, _most_common(gaps[pairs])[0]) if len(pairs) else None


def regular(times: Array, found: Spacing) -> Frequency | None:
    """The frequency of which all steps are multiples, or None if there is none.

    Rows at least 28 days apart on a fixed day, or on the last day, of the month are months, quarters or
    years; daily rows that skip every weekend are business days (holidays may be missing); all else is the most
    common number of microseconds, named as the largest unit that fits. Whole days, or whole numbers, of which no step
    is common stand on the longest step that holds them all, if they are rare there and not merely late or early.
    """
    whole = times.dtype.kind in "iu"
    if not whole:
        if found.gaps.min() >= 28 * DAY and (months := _as_months(times, found.pairs)):
            return months
        if found.step == DAY and _is_business(times, found.gaps, found.pairs):
            return Frequency("business", 1, False, "B")
    step = found.step
    if len(found.off):
        step = int(np.gcd.reduce(found.gaps))
        gaps = found.gaps // step
        sparse = gaps.mean() < SPARSE and 3 * gaps.min() <= np.median(gaps)  # not one row in every so many steps
        if not (found.uneven and sparse and (whole or step % DAY == 0)):
            return None
    return Frequency("integer", step, False, str(step)) if whole else anchor(tick(step), times)


def detect(times: Array, offsets: Array, where: Callable[[int], str] | None = None) -> Frequency:
    """Find the one frequency of all series: the most common step, of which all other steps are multiples.

    Parameters
    ----------
    times : (N,) datetime64[us] or int64, series after series, ascending within each
    offsets : (S+1,) first row of each series and the total
    where : maps a position in `times` to words such as "series 'A', row 17"; used in errors only

    Returns
    -------
    Freq, see `regular`

    Raises
    ------
    DataError : no series has two times, or the steps are irregular.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-08", dtype="M8[D]").astype("M8[us]")
    >>> detect(days, np.array([0, 7])).name
    'D'
    """
    found = spacing(times, offsets)
    if found is None:
        raise DataError("no series has two different times, so the frequency cannot be found: say it with freq=")
    freq = regular(times, found)
    if freq is None:
        raise DataError(_irregular(times, found, where or (lambda i: f"position {i}")))
    return freq


def _irregular(times: Array, found: Spacing, where: Callable[[int], str]) -> str:
    """Say which rows break the most common step and which freq= would hold them all."""
    gaps, step, at = found.gaps, found.step, int(found.off[0])
    whole = times.dtype.kind in "iu"
    common = int(np.gcd.reduce(gaps))
    i = int(found.pairs[at])
    name = str(step) if whole else tick(step).name
    text = (
        f"the spacing is irregular: most rows are {name} apart, but {where(i + 1)} ({shown(times[i + 1])}) "
        f"follows {shown(times[i])} after {gaps[at] if whole else tick(int(gaps[at])).name}."
    )
    days = not whole and gaps.min() >= DAY
    if not whole and gaps.min() >= 26 * DAY:
        day, last = day_in_month(times)
        common, count = _most_common(day)
        odd = np.flatnonzero((day != common) & ~last)
        if 2 * count > len(times) and len(odd):
            at = int(odd[0])
            most = f"most rows stand on day {common} of a month"
            text = f"the spacing is irregular: {most}, not {where(at)} ({shown(times[at])})."
        return text + ' If there is one row a month, say so with freq="ME" (or "QE", "YE")'
    if days or whole or (common >= SECOND and int(gaps.sum()) // common < SPARSE * len(gaps)):
        held = common if whole else f'"{tick(common).name}"'
        return text + f" Say the true step with freq=, for example freq={held}, which holds all rows"
    return text + " Round the times or average them over regular steps, or say the step with freq="


PERIODS: dict[str, tuple[int, int]] = {  # name: (period in microseconds, harmonics)
    "minute": (MINUTE, 1),
    "hour": (HOUR, 1),
    "day": (DAY, 2),
    "week": (WEEK, 3),
}


def _cycles(freq: Frequency) -> list[tuple[str, int]]:
    """Return the calendar cycles that say something at this frequency, each with its number of harmonics."""
    if freq.kind == "integer" or (freq.kind == "month" and freq.season == 1):
        return []
    if freq.kind == "month":
        return [("year", 2 if freq.step < 3 else 1)]
    if freq.kind == "business":
        return [("week", 2), ("month", 1), ("year", 1)]
    if freq.step >= WEEK:
        return [("year", 2)]
    if freq.step >= DAY:
        return [("week", 3), ("month", 1), ("year", 1)]
    short = [(n, h) for n, (p, h) in PERIODS.items() if p >= 2 * freq.step and (n != "minute" or freq.step < MINUTE)]
    return [*short, ("year", 1)]


def feature_names(freq: Frequency) -> tuple[str, ...]:
    """Return the names of the columns of `features`, such as "day_sin1"."""
    return tuple(f"{n}_{f}{h + 1}" for n, many in _cycles(freq) for h in range(many) for f in ("sin", "cos"))


def _phase(cycle: str, times: Array) -> Array:
    """Return where each time stands in its cycle, 0 ≤ phase < 1."""
    if cycle in PERIODS:
        shift = 3 * DAY if cycle == "week" else 0  # 1 January 1970 was a Thursday
        period = PERIODS[cycle][0]
        return np.asarray(((times.astype(np.int64) + shift) % period) / period)
    first = times.astype("M8[M]" if cycle == "month" else "M8[Y]")
    long = (first + 1).astype("M8[us]") - first.astype("M8[us]")
    return np.asarray((times - first.astype("M8[us]")).astype(np.int64) / long.astype(np.int64))


def features(freq: Frequency, times: Array) -> Array:
    """Return what the calendar knows of each time as sines and cosines: place in the day, week, month, year.

    Integer and yearly grids have no calendar and give no columns.

    Parameters
    ----------
    freq : Freq
    times : (N,) datetime64[us] as a clock on the wall shows them, or int64

    Returns
    -------
    (N, C) float32 in [-1, 1]; C = len(feature_names(freq))

    Examples
    --------
    >>> features(parse("MS"), np.array(["2024-01-01"], dtype="M8[us]")).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    cycles = _cycles(freq)
    out = np.empty((len(times), len(feature_names(freq))), dtype=np.float32)
    column = 0
    for cycle, many in cycles:
        angle = 2 * np.pi * _phase(cycle, times)
        for harmonic in range(1, many + 1):
            out[:, column] = np.sin(harmonic * angle)
            out[:, column + 1] = np.cos(harmonic * angle)
            column += 2
    return out
