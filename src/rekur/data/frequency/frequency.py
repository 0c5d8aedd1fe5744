"""Frequency of a time series: fixed steps, business days and months, with pandas aliases and calendar arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rekur.core import Array, OptionError

__all__ = ["Frequency", "format_time", "month_positions", "month_spans", "months_of"]

Kind = Literal["integer", "tick", "business", "month"]

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
WEEK = 7 * DAY
MONTH = 30.44 * DAY
"""Lengths in microseconds; that of a month is its mean."""
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKDAYS = tuple(name[:3].upper() for name in DAY_NAMES)
UNITS = {"us": 1, "ms": 1000, "s": SECOND, "min": MINUTE, "h": HOUR, "D": DAY, "W": WEEK}
MONTH_UNITS = {"M": 1, "Q": 3, "Y": 12}
MONTH_WORDS = {"month": 1, "quarter": 3, "year": 12}
SYNONYMS = {
    **{"U": "us", "L": "ms", "S": "s", "T": "min", "m": "min", "H": "h", "d": "D", "w": "W", "mo": "M"},
    **{"A": "YE", "AS": "YS", "Y": "YE", "M": "ME", "Q": "QE", "BM": "ME", "BME": "ME", "BMS": "MS"},
    **{"second": "s", "minute": "min", "hour": "h", "hourly": "h", "day": "D", "daily": "D", "week": "W"},
    **{"weekly": "W", "monthly": "month", "quarterly": "quarter", "yearly": "year", "annual": "year"},
}
FACTORIZE_FROM = 10_000  # times from which on each distinct time is converted once


def months_of(times: Array) -> Array:
    """Return the month of each time, (...) datetime64[M]."""
    if times.size < FACTORIZE_FROM:
        return np.asarray(times.astype("M8[M]"))
    codes, distinct = pd.factorize(times.ravel())
    return np.asarray(np.asarray(distinct).astype("M8[M]")[codes].reshape(times.shape))


def month_spans(months: Array) -> tuple[Array, Array]:
    """Return the first and the last day of each month, (...) datetime64[D]."""
    if not months.size:
        return months.astype("M8[D]"), months.astype("M8[D]")
    low = months.min()
    first = np.arange(low, months.max() + np.timedelta64(2, "M")).astype("M8[D]")
    last = first[1:] - np.timedelta64(1, "D")
    index = (months - low).astype(np.int64)
    return np.asarray(first[index]), np.asarray(last[index])


def month_positions(times: Array) -> tuple[Array, Array, Array]:
    """Return the month (datetime64[M]), the day of the month from 1, and whether it is the last one, (...) each."""
    days, months = times.astype("M8[D]"), months_of(times)
    first, last = month_spans(months)
    return months, (days - first).astype(np.int64) + 1, days == last


def format_time(time: object) -> str:
    """Return a time as short text: 2024-01-31, 2024-01-31 17:00:00 or 17."""
    text = str(time).replace("T", " ")
    return text.removesuffix(".000000").removesuffix(" 00:00:00")


@dataclass(frozen=True)
class Frequency:
    """Step of a regular time index: a number of units, microseconds, business days or months.

    The index has no origin of its own: step k of a series is `advance(start, k)`, counted from its first time.
    Month steps keep the day of the month of `start`, clipped to the length of the month; with `end` they fall on
    the last day. Business days are Monday to Friday.

    Parameters
    ----------
    kind : {"integer", "tick", "business", "month"}
        Unit of the step.
    step : int
        Length of one step: units (integer), microseconds (tick), 1 (business) or months (month).
    end : bool
        Month steps fall on the last day of the month.
    name : str
        The pandas alias ("h", "30min", "W-SUN", "B", "MS", "QE"), a word ("month": any fixed day) or the integer as
        text; `Frequency.parse(name)` gives an equal value.

    Examples
    --------
    >>> import numpy as np
    >>> from rekur.data import Frequency
    >>> Frequency.parse("ME").advance(np.datetime64("2024-01-31"), np.arange(3)).astype("M8[D]")
    array(['2024-01-31', '2024-02-29', '2024-03-31'], dtype='datetime64[D]')
    >>> Frequency.parse("30min").seasons
    (48, 336)
    """

    kind: Kind
    step: int
    end: bool
    name: str

    @classmethod
    def parse(cls, freq: str | int) -> Frequency:
        """Parse a pandas alias with an optional multiple, an English word, or an integer step.

        Old pandas spellings ("H", "T", "M", "Q", "A") and anchors ("W-MON", "QS-OCT") are accepted. The position of
        the times within their week or month comes from the data, not from the anchor.

        Parameters
        ----------
        freq : str or int
            The frequency.

        Returns
        -------
        Frequency

        Raises
        ------
        OptionError
            If the text is not a frequency.

        Examples
        --------
        >>> from rekur.data import Frequency
        >>> [Frequency.parse(freq).name for freq in ("15min", "2h", "A", "daily", 1)]
        ['15min', '2h', 'YE', 'D', '1']
        """
        match = re.fullmatch(r"(\d*)\s*([A-Za-z]*)(?:-([A-Za-z]{3}))?", str(freq).strip())
        if match and match[0] and not isinstance(freq, bool):
            multiple, unit, anchor = int(match[1] or 1), match[2], (match[3] or "").upper()
            word = unit.lower().removesuffix("s") if len(unit) > 2 else unit
            unit = SYNONYMS.get(unit, SYNONYMS.get(word, word if unit not in UNITS else unit))
            if multiple and not unit:
                return cls.of_integers(multiple)
            if multiple and unit in UNITS:
                return cls.of_ticks(multiple * UNITS[unit], WEEKDAYS.index(anchor) if anchor in WEEKDAYS else 6)
            if multiple and unit[:1] in MONTH_UNITS and unit[1:] in ("S", "E"):
                return cls.of_months(multiple * MONTH_UNITS[unit[0]], unit[1])
            if multiple and unit in MONTH_WORDS:
                return cls.of_months(multiple * MONTH_WORDS[unit])
            if multiple == 1 and unit in ("B", "business"):
                return cls.of_business_days()
        raise OptionError(
            f"freq={freq!r} is not a supported frequency; examples: 'h', '30min', 'D', 'B' (Monday to "
            "Friday), 'W', 'MS' or 'ME' (start or end of the month), 'QS', 'YS', a multiple such as '2h', or 1 "
            "for integer times"
        )

    @classmethod
    def of_integers(cls, step: int) -> Frequency:
        """Return the step of a whole number of units.

        >>> Frequency.of_integers(5).name
        '5'
        """
        return cls("integer", step, False, str(step))

    @classmethod
    def of_ticks(cls, step: int, weekday: int = 6) -> Frequency:
        """Return the step of a number of microseconds under its shortest name; weeks are named by a weekday from 0.

        >>> Frequency.of_ticks(3_600_000_000).name
        'h'
        """
        unit = next(u for u in reversed(UNITS) if step % UNITS[u] == 0)
        multiple = step // UNITS[unit]
        anchor = f"-{WEEKDAYS[weekday]}" if unit == "W" else ""
        return cls("tick", step, False, f"{multiple if multiple > 1 else ''}{unit}{anchor}")

    @classmethod
    def of_business_days(cls) -> Frequency:
        """Return the step from one business day, Monday to Friday, to the next.

        >>> Frequency.of_business_days().name
        'B'
        """
        return cls("business", 1, False, "B")

    @classmethod
    def of_months(cls, step: int, position: str = "") -> Frequency:
        """Return a step of months at their start ("S"), at their end ("E") or on any fixed day ("").

        >>> Frequency.of_months(3, "S").name, Frequency.of_months(1).name
        ('QS', 'month')
        """
        unit, multiple = next((u, step // n) for u, n in reversed(MONTH_UNITS.items()) if step % n == 0)
        word = next(w for w, n in MONTH_WORDS.items() if n == MONTH_UNITS[unit])
        name = unit + position if position else word
        return cls("month", step, position == "E", f"{multiple if multiple > 1 else ''}{name}")

    def anchored(self, times: Array) -> Frequency:
        """Return the frequency with the position in the month, or the weekday, that `times` (n,) have.

        >>> Frequency.parse("month").anchored(np.array(["2024-01-31", "2024-02-29"], dtype="M8[us]")).name
        'ME'
        """
        if not len(times):
            return self
        if self.kind == "month":
            _, day, is_end = month_positions(times)
            return Frequency.of_months(self.step, "E" if is_end.all() else "S" if (day == 1).all() else "")
        if self.kind == "tick" and self.step % WEEK == 0:
            weekdays = (times.astype("M8[D]").astype(np.int64) + 3) % 7
            return Frequency.of_ticks(self.step, int(np.bincount(weekdays).argmax()))
        return self

    def advance(self, start: ArrayLike, k: ArrayLike) -> Array:
        """Return the time k steps after `start`; both broadcast.

        Parameters
        ----------
        start : (...) datetime64[us] or int64
            First times.
        k : (...) int
            Number of steps, may be negative.

        Returns
        -------
        (...) array
            Times of the type of `start`.

        Examples
        --------
        >>> Frequency.parse("2h").advance(np.datetime64("2024-01-01T22:00"), 1)
        array('2024-01-02T00:00:00.000000', dtype='datetime64[us]')
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
        months = months_of(start)
        first, last = month_spans(months + (k * self.step).astype("m8[M]"))
        return np.asarray((last if self.end else np.minimum(first + (day - month_spans(months)[0]), last)) + clock)

    def count(self, start: ArrayLike, times: ArrayLike) -> tuple[Array, Array]:
        """Return the whole number of steps from `start` to `times`, and whether the times are exactly on the grid.

        Parameters
        ----------
        start, times : (...) datetime64[us] or int64
            Times that broadcast.

        Returns
        -------
        k : (...) int64
        exact : (...) bool

        Examples
        --------
        >>> Frequency.parse("MS").count(np.datetime64("2024-01-01"), np.datetime64("2024-04-02"))
        (array(3), array(False))
        """
        if self.kind == "integer":
            k, rest = np.divmod(np.asarray(times, dtype=np.int64) - np.asarray(start, dtype=np.int64), self.step)
            return np.asarray(k), np.asarray(rest == 0)
        start, times = np.asarray(start, dtype="M8[us]"), np.asarray(times, dtype="M8[us]")
        if self.kind == "tick":
            k, rest = np.divmod((times - start).astype(np.int64), self.step)
            return np.asarray(k), np.asarray(rest == 0)
        if self.kind == "business":
            k = np.busday_count(start.astype("M8[D]"), times.astype("M8[D]"))
        else:
            k = (months_of(times) - months_of(start)).astype(np.int64) // self.step
        return np.asarray(k), np.asarray(self.advance(start, k) == times)

    @property
    def length(self) -> float:
        """Mean length of a step in microseconds, or in units of integer times.

        >>> Frequency.parse("h").length
        3600000000.0
        """
        return self.step * {"month": MONTH, "business": 7 / 5 * DAY}.get(self.kind, 1.0)

    @property
    def seasons(self) -> tuple[int, ...]:
        """Natural season lengths in steps, the main one first: hours (24, 168), days (7,), months (12,).

        >>> Frequency.parse("h").seasons
        (24, 168)
        """
        if self.kind == "integer":
            return (1,)
        if self.kind == "business":
            return (5,)
        if self.kind == "month":
            return (12 // self.step,) if 12 % self.step == 0 else (1,)
        if self.step % WEEK == 0:
            return (max(round(365.25 * DAY / self.step), 1),)
        periods = (DAY, WEEK) if self.step >= MINUTE else (HOUR, MINUTE)  # longer seasons would need too many steps
        lengths = tuple(period // self.step for period in periods if period % self.step == 0)
        return tuple(n for n in lengths if 2 <= n <= 3600) or (1,)

    @property
    def season(self) -> int:
        """The main season length in steps.

        >>> Frequency.parse("MS").season
        12
        """
        return self.seasons[0]
