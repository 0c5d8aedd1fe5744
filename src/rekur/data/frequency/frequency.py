"""The step of a regular grid of time: its length, its names, and the arithmetic of the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from rekur.core import Array, OptionError

__all__ = ["Frequency", "month", "months_of", "parse", "shown", "span_of", "tick"]

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


def months_of(times: Array) -> Array:
    """Return the month of each time, (...) datetime64[M]; each distinct time is worked out once."""
    if times.size < 10_000:
        return np.asarray(times.astype("M8[M]"))
    codes, found = pd.factorize(times.ravel())
    return np.asarray(np.asarray(found).astype("M8[M]")[codes].reshape(times.shape))


def span_of(months: Array) -> tuple[Array, Array]:
    """Return the first and the last day of each month, (...) datetime64[D]."""
    if not months.size:
        return months.astype("M8[D]"), months.astype("M8[D]")
    low = months.min()
    first = np.arange(low, months.max() + np.timedelta64(2, "M")).astype("M8[D]")
    last = first[1:] - np.timedelta64(1, "D")
    at = (months - low).astype(np.int64)
    return np.asarray(first[at]), np.asarray(last[at])


@dataclass(frozen=True)
class Frequency:
    """One step of a regular grid of time: so many units, minutes, business days or months.

    The grid has no origin of its own: step k of a series is `advance(start, k)`, counted from its first time.
    Month steps keep the day of the month of `start`, clipped to the length of the month; with `end` they
    stand on the last day. Business days are Monday to Friday.

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
        begin = months_of(start)
        first, last = span_of(begin + (k * self.step).astype("m8[M]"))
        return np.asarray((last if self.end else np.minimum(first + (day - span_of(begin)[0]), last)) + clock)

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
            k = (months_of(t) - months_of(start)).astype(np.int64) // self.step
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
        spans = (DAY, WEEK) if self.step >= MINUTE else (HOUR, MINUTE)  # longer seasons would need too many steps
        whole = tuple(span // self.step for span in spans if span % self.step == 0)
        return tuple(n for n in whole if 2 <= n <= 3600) or (1,)

    @property
    def season(self) -> int:
        """The main season length in steps."""
        return self.seasons[0]


def shown(time: Any) -> str:
    """Return a time of the grid as short text: 2024-01-31, 2024-01-31 17:00:00 or 17."""
    text = str(time).replace("T", " ")
    return text.removesuffix(".000000").removesuffix(" 00:00:00")


def tick(step: int, weekday: int = 6) -> Frequency:
    """Return the tick of `step` microseconds under its shortest name; weeks are named by their weekday."""
    unit = next(u for u in reversed(UNITS) if step % UNITS[u] == 0)
    many = step // UNITS[unit]
    tail = f"-{WEEKDAYS[weekday]}" if unit == "W" else ""
    return Frequency("tick", step, False, f"{many if many > 1 else ''}{unit}{tail}")


def month(step: int, letter: str) -> Frequency:
    """Return a step of months that stands at the start ("S"), the end ("E") or any fixed day ("")."""
    unit, many = next((u, step // n) for u, n in reversed(MONTHS.items()) if step % n == 0)
    word = next(w for w, n in WORDS.items() if n == MONTHS[unit])
    return Frequency("month", step, letter == "E", f"{many if many > 1 else ''}{unit + letter if letter else word}")


def parse(freq: str | int) -> Frequency:
    """Read a frequency: a pandas alias with an optional multiple, an English word, or an integer step.

    Old pandas spellings ("H", "T", "M", "Q", "A") and anchors ("W-MON", "QS-OCT") are understood; where a
    grid stands within its week or month is taken from the data, not from the anchor.

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
        word = unit.lower().removesuffix("s") if len(unit) > 2 else unit
        unit = SPELLINGS.get(unit, SPELLINGS.get(word, word if unit not in UNITS else unit))
        if many and not unit:
            return Frequency("integer", many, False, str(many))
        if many and unit in UNITS:
            return tick(many * UNITS[unit], WEEKDAYS.index(tail) if tail in WEEKDAYS else 6)
        if many and unit[:1] in MONTHS and unit[1:] in ("S", "E"):
            return month(many * MONTHS[unit[0]], unit[1])
        if many and unit in WORDS:
            return month(many * WORDS[unit], "")
        if many == 1 and unit in ("B", "business"):
            return Frequency("business", 1, False, "B")
    raise OptionError(
        f"freq={freq!r} is not a frequency that is known; examples: 'h', '30min', 'D', 'B' (Monday to "
        "Friday), 'W', 'MS' or 'ME' (start or end of the month), 'QS', 'YS', a multiple such as '2h', or 1 "
        "for integer times"
    )
