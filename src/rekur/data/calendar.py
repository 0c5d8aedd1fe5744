"""The regular grid of time: steps of a frequency, how to find it, and what the calendar says about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rekur.core import DataError, OptionError
from rekur.data.season import detect_season

__all__ = ["Freq", "anchor", "detect", "detect_season", "feature_names", "features", "parse"]

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["integer", "tick", "business", "month"]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
WEEK = 7 * DAY
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
UNITS = {"us": 1, "ms": 1000, "s": SECOND, "min": MINUTE, "h": HOUR, "D": DAY, "W": WEEK}
MONTHS = {"M": 1, "Q": 3, "Y": 12}
SPELLINGS = {
    **{"U": "us", "L": "ms", "S": "s", "T": "min", "m": "min", "H": "h", "d": "D", "w": "W", "mo": "M"},
    **{"A": "YE", "AS": "YS", "Y": "YE", "M": "ME", "Q": "QE", "BM": "ME", "BME": "ME", "BMS": "MS"},
    **{"second": "s", "minute": "min", "hour": "h", "hourly": "h", "day": "D", "daily": "D", "week": "W"},
    **{"weekly": "W", "monthly": "month", "quarterly": "quarter", "yearly": "year", "annual": "year"},
}
WORDS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Freq:
    """One step of a regular grid of time: so many units, minutes, business days or months.

    The grid has no origin of its own: step k of a series is `advance(start, k)`, counted from its first time.
    Month steps keep the day of the month of `start`, clipped to the length of the month; with `end` they stand
    on the last day. Business days are Monday to Friday.

    Parameters
    ----------
    kind : "integer", "tick", "business" or "month"
    step : length of one step: units (integer), microseconds (tick), 1 (business) or months (month)
    end : month steps stand on the last day of the month
    name : the pandas alias ("h", "30min", "W-SUN", "B", "MS", "QE"), a word ("month": any fixed day) or the
        integer as text; `parse(name)` gives the same Freq

    Examples
    --------
    >>> parse("ME").advance(np.datetime64("2024-01-31T00:00:00.000000"), np.arange(3)).astype("M8[D]")
    array(['2024-01-31', '2024-02-29', '2024-03-31'], dtype='datetime64[D]')
    >>> parse("30min").seasons
    (48, 336)
    """

    kind: Kind
    step: int
    end: bool
    name: str

    def advance(self, start: Any, k: Any) -> Array:
        """Return the k-th time after `start`; both broadcast.

        Parameters
        ----------
        start : (...) datetime64[us] or int64
        k : (...) integer number of steps, may be negative

        Returns
        -------
        (...) times of the kind of `start`
        """
        k = np.asarray(k, dtype=np.int64)
        if self.kind == "integer":
            return np.asarray(np.asarray(start, dtype=np.int64) + k * self.step)
        start = np.asarray(start, dtype="M8[us]")
        if self.kind == "tick":
            return np.asarray(start + (k * self.step).astype("m8[us]"))
        day = start.astype("M8[D]")
        clock = start - day
        if self.kind == "business":
            return np.asarray(np.busday_offset(day, k, roll="forward") + clock)
        month = start.astype("M8[M]")
        later = month + (k * self.step).astype("m8[M]")
        first = later.astype("M8[D]")
        last = (later + np.timedelta64(1, "M")).astype("M8[D]") - first - np.timedelta64(1, "D")
        return np.asarray(first + (last if self.end else np.minimum(day - month.astype("M8[D]"), last)) + clock)

    def count(self, start: Any, t: Any) -> tuple[Array, Array]:
        """Return the whole number of steps from `start` to `t`, and whether `t` lies exactly on the grid.

        Parameters
        ----------
        start, t : (...) times that broadcast

        Returns
        -------
        k : (...) int64, exact : (...) bool
        """
        if self.kind == "integer":
            k, rest = np.divmod(np.asarray(t, dtype=np.int64) - np.asarray(start, dtype=np.int64), self.step)
            return np.asarray(k), np.asarray(rest == 0)
        start, t = np.asarray(start, dtype="M8[us]"), np.asarray(t, dtype="M8[us]")
        if self.kind == "tick":
            k, rest = np.divmod((t - start).astype(np.int64), self.step)
            return np.asarray(k), np.asarray(rest == 0)
        if self.kind == "business":
            k = np.busday_count(start.astype("M8[D]"), t.astype("M8[D]"))
        else:
            k = (t.astype("M8[M]").astype(np.int64) - start.astype("M8[M]").astype(np.int64)) // self.step
        return np.asarray(k), np.asarray(self.advance(start, k) == t)

    @property
    def seasons(self) -> tuple[int, ...]:
        """Natural season lengths in steps, the main one first: hours (24, 168), days (7,), months (12,)."""
        if self.kind == "integer":
            return (1,)
        if self.kind == "business":
            return (5,)
        if self.kind == "month":
            return (12 // self.step,) if 12 % self.step == 0 else (1,)
        if self.step % WEEK == 0:
            return (max(round(365.25 * DAY / self.step), 1),)
        whole = [span // self.step for span in (DAY, WEEK, HOUR, MINUTE) if span % self.step == 0]
        short = tuple(n for n in whole if 2 <= n <= 3600)
        if self.step >= MINUTE:  # hours and minutes are seasons of steps of seconds only
            short = tuple(span // self.step for span in (DAY, WEEK) if span % self.step == 0)
            short = tuple(n for n in short if 2 <= n <= 3600)
            return short or (1,)
        return short[:1] or (1,)

    @property
    def season(self) -> int:
        """The main season length in steps."""
        return self.seasons[0]


def _tick(step: int, weekday: int = 6) -> Freq:
    """Return the tick of `step` microseconds under its shortest name; weeks are named by their weekday."""
    unit = next(u for u in reversed(UNITS) if step % UNITS[u] == 0)
    many = step // UNITS[unit]
    tail = f"-{WEEKDAYS[weekday]}" if unit == "W" else ""
    return Freq("tick", step, False, f"{many if many > 1 else ''}{unit}{tail}")


def _month(step: int, letter: str) -> Freq:
    """Return a step of months that stands at the start ("S"), the end ("E") or any fixed day ("")."""
    unit, many = next((u, step // n) for u, n in reversed(MONTHS.items()) if step % n == 0)
    word = next(w for w, n in WORDS.items() if n == MONTHS[unit])
    return Freq("month", step, letter == "E", f"{many if many > 1 else ''}{unit + letter if letter else word}")


def parse(freq: str | int) -> Freq:
    """Read a frequency: a pandas alias with an optional multiple, an English word, or an integer step.

    Old pandas spellings ("H", "T", "M", "Q", "A") and anchors ("W-MON", "QS-OCT") are understood; where a grid
    stands within its week or month is taken from the data, not from the anchor.

    Parameters
    ----------
    freq : str or int

    Returns
    -------
    Freq

    Raises
    ------
    OptionError : the text is not a frequency.

    Examples
    --------
    >>> parse("15min").step, parse("2h").name, parse("A").name, parse(1).kind
    (900000000, '2h', 'YE', 'integer')
    """
    text = str(freq).strip()
    found = re.fullmatch(r"(\d*)\s*([A-Za-z]*)(?:-([A-Za-z]{3}))?", text)
    if found and text and not isinstance(freq, bool):
        many, unit, tail = int(found[1] or 1), found[2], (found[3] or "").upper()
        unit = SPELLINGS.get(unit, SPELLINGS.get(unit.lower() if len(unit) > 2 else unit, unit))
        if many and not unit:
            return Freq("integer", many, False, str(many))
        if many and unit in UNITS:
            return _tick(many * UNITS[unit], WEEKDAYS.index(tail) if tail in WEEKDAYS else 6)
        if many and unit[:1] in MONTHS and unit[1:] in ("S", "E"):
            return _month(many * MONTHS[unit[0]], unit[1])
        if many and unit.rstrip("s") in WORDS:
            return _month(many * WORDS[unit.rstrip("s")], "")
        if many == 1 and unit in ("B", "business"):
            return Freq("business", 1, False, "B")
    raise OptionError(
        f"freq={freq!r} is not a frequency that is known; examples: 'h', '30min', 'D', 'B' (Monday to Friday), "
        "'W', 'MS' or 'ME' (start or end of the month), 'QS', 'YS', a multiple such as '2h', or 1 for integer times"
    )


def _day_in_month(times: Array) -> tuple[Array, Array]:
    """Return the day of the month (from 1) and whether it is the last one."""
    day, month = times.astype("M8[D]"), times.astype("M8[M]")
    last = (month + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D") == day
    return (day - month.astype("M8[D]")).astype(np.int64) + 1, last


def anchor(freq: Freq, times: Array) -> Freq:
    """Return `freq` with the place in the month or week that the data have, so that their rows are on the grid."""
    if not len(times):
        return freq
    if freq.kind == "month":
        day, last = _day_in_month(times)
        return _month(freq.step, "E" if last.all() else "S" if (day == 1).all() else "")
    if freq.kind == "tick" and freq.step % WEEK == 0:
        return _tick(freq.step, _most_common((times.astype("M8[D]").astype(np.int64) + 3) % 7)[0])
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


def _as_months(times: Array, pairs: Array, where: Callable[[int], str]) -> Freq | None:
    """Return the month step of rows at least 28 days apart, or None if the day of the month wanders."""
    day, last = _day_in_month(times)
    clock = times - times.astype("M8[D]")
    if (clock != clock[0]).any():
        return None
    first, then = day[pairs], day[pairs + 1]
    kept = (then == first) | (last[pairs] & (then > first)) | (last[pairs + 1] & (then < first))
    if not (last.all() or kept.all()):
        return None
    month = times.astype("M8[M]").astype(np.int64)
    steps = month[pairs + 1] - month[pairs]
    step = _most_common(steps)[0]
    if (steps % step).any():
        return None
    return anchor(_month(step, ""), times)


def detect(times: Array, offsets: Array, where: Callable[[int], str] | None = None) -> Freq:
    """Find the one frequency of all series: the most common step, of which all other steps are multiples.

    Rows at least 28 days apart on a fixed day, or on the last day, of the month are months, quarters or years;
    daily rows that skip every weekend are business days (holidays may be missing); all else is a number of
    microseconds, named as the largest unit that fits. Equal neighbours (doubled rows) are passed over.

    Parameters
    ----------
    times : (N,) datetime64[us] or int64, series after series, ascending within each
    offsets : (S+1,) first row of each series and the total
    where : maps a position in `times` to words such as "series 'A', row 17"; used in errors only

    Returns
    -------
    Freq

    Raises
    ------
    DataError : no series has two times, or the steps are irregular.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-08", dtype="M8[D]").astype("M8[us]")
    >>> detect(days, np.array([0, 7])).name
    'D'
    """
    where = where or (lambda i: f"position {i}")
    gaps = np.diff(times).astype(np.int64)
    inside = np.ones(len(gaps), dtype=bool)
    inside[np.asarray(offsets)[1:-1] - 1] = False
    pairs = np.flatnonzero(inside & (gaps > 0))
    if not len(pairs):
        raise DataError("no series has two different times, so the frequency cannot be found: say it with freq=")
    gaps = gaps[pairs]
    step = _most_common(gaps)[0]
    whole = times.dtype.kind in "iu"
    if not whole:
        if gaps.min() >= 28 * DAY and (months := _as_months(times, pairs, where)):
            return months
        if step == DAY and _is_business(times, gaps, pairs):
            return Freq("business", 1, False, "B")
    off = np.flatnonzero(gaps % step)
    if len(off):
        raise DataError(_irregular(times, gaps, pairs, int(off[0]), step, where))
    if whole:
        return Freq("integer", step, False, str(step))
    return anchor(_tick(step), times)


def _irregular(
    times: Array, gaps: Array, pairs: Array, at: int, step: int, where: Callable[[int], str]
) -> str:
    """Say which rows break the most common step and which freq= would hold them all."""
    whole = times.dtype.kind in "iu"
    common = int(np.gcd.reduce(gaps))
    i = int(pairs[at])
    name = str(step) if whole else _tick(step).name
    text = (
        f"the spacing is irregular: most rows are {name} apart, but {where(i + 1)} ({times[i + 1]}) follows "
        f"{times[i]} after {gaps[at] if whole else _tick(int(gaps[at])).name}."
    )
    days = not whole and gaps.min() >= DAY
    if not whole and gaps.min() >= 26 * DAY:
        return text + ' If there is one row a month, say so with freq="ME" (or "QE", "YE")'
    if days or whole or (common >= SECOND and int(gaps.sum()) // common < 20 * len(gaps)):
        held = common if whole else f'"{_tick(common).name}"'
        return text + f" Say the true step with freq=, for example freq={held}, which holds all rows"
    return text + " Round the times or average them over regular steps, or say the step with freq="


PERIODS: dict[str, tuple[int, int]] = {  # name: (period in microseconds, harmonics)
    "minute": (MINUTE, 1),
    "hour": (HOUR, 1),
    "day": (DAY, 2),
    "week": (WEEK, 3),
}


def _cycles(freq: Freq) -> list[tuple[str, int]]:
    """Return the calendar cycles that say something at this frequency, each with its number of harmonics."""
    if freq.kind == "integer" or freq.season == 1 and freq.kind == "month":
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


def feature_names(freq: Freq) -> tuple[str, ...]:
    """Return the names of the columns of `features`, such as "day_sin1"."""
    return tuple(f"{n}_{f}{h + 1}" for n, many in _cycles(freq) for h in range(many) for f in ("sin", "cos"))


def _phase(cycle: str, times: Array) -> Array:
    """Return where each time stands in its cycle, 0 ≤ phase < 1."""
    if cycle in PERIODS:
        shift = 3 * DAY if cycle == "week" else 0  # 1 January 1970 was a Thursday
        period = PERIODS[cycle][0]
        return np.asarray(((times.astype(np.int64) + shift) % period) / period)
    unit = "M" if cycle == "month" else "Y"
    first = times.astype(f"M8[{unit}]")
    long = (first + np.timedelta64(1, unit)).astype("M8[us]") - first.astype("M8[us]")
    return np.asarray((times - first.astype("M8[us]")).astype(np.int64) / long.astype(np.int64))


def features(freq: Freq, times: Array) -> Array:
    """Return what the calendar knows of each time, as sines and cosines: place in the day, week, month and year.

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
