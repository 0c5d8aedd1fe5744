"""Times of a table: datetimes, text in the formats that people write, and numbers that stand for days or seconds."""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import format_time
from rekur.data.ingest.parsing import (
    MISSING_TEXTS,
    QUARTER,
    WEEK,
    Column,
    RowNames,
    TextSeries,
    is_number,
    is_text,
    object_series,
    plain_time,
    to_numbers,
)

__all__ = ["TimeColumn", "to_times"]

ZONE_PATTERN = re.compile(r"\d\d?:\d\d.*?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$")
SLASHED_PATTERN = re.compile(r"^(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(.*)$")
END_OF_DAY = re.compile(r"[ T]24:00(?=(?::00)?$)")
WORD = re.compile(r"[^\W\d_]{2}")  # as the name of a month or KW
OTHER_FORMATS = (
    *("%b %Y", "%B %Y", "%b-%Y", "%B-%Y", "%Y %b", "%Y %B", "%Y-%b", "%YM%m", "%m/%Y", "%m.%Y", "%m-%Y"),
    *("%b-%y", "%b %y", "%d-%b-%y", "%d %b %y", "%d %b %Y", "%d %B %Y"),
)
NUMBER_FORMATS = {
    6: ("%Y%m", "months"),
    8: ("%Y%m%d", "days"),
    10: ("%Y%m%d%H", "hours"),
    12: ("%Y%m%d%H%M", "minutes"),
}
"""Formats of times written as whole numbers, and what their last digits are, by the number of digits."""
UNIX_UNITS = (("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds"), ("ns", "nanoseconds"))
UNIX_RANGE = np.array(["2000-01-01", "2100-01-01"], dtype="M8[s]")  # in which numbers are taken for Unix times
EXCEL_ORIGIN = np.datetime64("1899-12-30", "s")
EXCEL_RANGE = (36_526, 73_051)  # days from 2000 to 2100 in a spreadsheet, in a column named as one of
EXCEL_NAMES = ("date", "datum", "fecha", "dato", "data", "datetime", "timestamp", "zeitstempel")
CLOCKS = (
    *("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "America/Halifax", "America/St_Johns", "America/Santiago", "Australia/Sydney"),
    *("Australia/Adelaide", "Pacific/Auckland", "Asia/Jerusalem"),
)
"""Zones whose clocks may explain times with several offsets."""
MAX_SHOWN = 60  # characters of a value that an error shows


class TimeColumn(NamedTuple):
    """Times of a column: datetime64[us] (in UTC for a time zone) or int64; the zone; a note on the format.

    >>> TimeColumn(np.array([1, 2])).tz is None
    True
    """

    values: Array
    tz: str | None = None
    note: str = ""


def _first(mask: Array) -> int:
    """Return the index of the first True."""
    return int(np.flatnonzero(mask)[0])


def _try_to_datetime(text: TextSeries, format: str | None = None, utc: bool = False) -> TextSeries | None:
    """Parse all of `text` as times, or return None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return pd.to_datetime(text, format=format, utc=utc)
    except (ValueError, OverflowError, UserWarning, TypeError):
        return None


def _parse_slashed(text: TextSeries, where: str) -> tuple[TextSeries | None, str]:
    """Parse day/month/year or month/day/year, whichever fits all rows; refuse if both do."""
    match = SLASHED_PATTERN.match(str(text.iloc[0]))
    if not match:
        return None, ""
    tail = match[5]
    clock = ""
    if tail:
        hour = "%I" if re.search("[AaPp][Mm]$", tail) else "%H"
        clock = tail[0] + hour + ":%M" + (":%S" if tail.count(":") > 1 else "") + (" %p" if hour == "%I" else "")
        clock = clock.replace(":%S", ":%S.%f") if "." in tail else clock
    mark, year = match[2], "%Y" if len(match[4]) == 4 else "%y"
    month_first = _try_to_datetime(text, format=f"%m{mark}%d{mark}{year}{clock}")
    day_first = _try_to_datetime(text, format=f"%d{mark}%m{mark}{year}{clock}")
    if mark == "." and day_first is not None:  # dates with points begin with the day
        month_first = None
    elif year == "%y":
        year_first = _try_to_datetime(text, format=f"%y{mark}%m{mark}%d{clock}")
        if year_first is not None and _begins_with_year(text, mark, where):
            return year_first, f"dates were read as year{mark}month{mark}day"
    if month_first is not None and day_first is not None and not (month_first == day_first).all():
        raise DataError(
            f"{where}: dates such as {text.iloc[0]!r} can be read as day{mark}month or month{mark}day; "
            "write them as year-month-day"
        )
    if month_first is not None:
        return month_first, f"dates were read as month{mark}day{mark}year"
    return day_first, f"dates were read as day{mark}month{mark}year"


def _begins_with_year(text: TextSeries, mark: str, where: str) -> bool:
    """Return whether dates of two digits each, of which either end may be the year, begin with it.

    The year changes less often than the day.

    Raises
    ------
    DataError
        If both ends change equally often.
    """
    ends = text.str.extract(rf"^(\d+)\{mark}\d+\{mark}(\d+)")
    first, last = ends[0].nunique(), ends[1].nunique()
    if first == last:
        raise DataError(
            f"{where}: dates such as {text.iloc[0]!r} may begin or end with the year; write it with four digits"
        )
    return bool(first < last)


def _text_zones(text: TextSeries, where: str) -> list[str]:
    """Return the zones of times written as text: "UTC", offsets such as "+02:00", or none for times without zone.

    Raises
    ------
    DataError
        If some of the times have no zone.
    """
    zones = {match[1] if (match := ZONE_PATTERN.search(time)) else "" for time in text}
    if zones == {""}:
        return []
    if "" in zones:
        raise DataError(
            f"{where}: some times have a time zone ({', '.join(sorted(zones - {''})[:4])}) and some have none; write "
            "the zone in all of them, or in none"
        )
    utc = {zone for zone in zones if zone.strip("+-:0") in ("", "Z", "UTC", "GMT")}
    offsets = {f"{zone[:3]}:{zone[3:].strip(':') or '00'}" for zone in zones - utc}
    return sorted(offsets | ({"UTC"} if utc else set()))


def _clock(text: TextSeries, times: Array) -> str | None:
    """Return a zone whose clocks show the offsets of times written as text, None if no common one does.

    times (n,): the times in UTC.
    """
    zones = [(match[1] if (match := ZONE_PATTERN.search(time)) else "").replace(":", "") for time in text]
    minutes = {
        zone: int(f"{zone[0]}1") * (60 * int(zone[1:3]) + int(zone[3:] or 0)) if zone[:1] in ("+", "-") else 0
        for zone in set(zones)
    }
    offsets = np.array([minutes[zone] for zone in zones]).astype("m8[m]")
    index = pd.DatetimeIndex(times)
    for name in CLOCKS:
        wall = index.tz_localize("UTC").tz_convert(name).tz_localize(None)
        if ((wall - index).to_numpy() == offsets).all():
            return name
    return None


def _refuse_empty_times(empty: Array, column: Column, where: str) -> None:
    """Raise a DataError for the first missing time of a mask (n,)."""
    if empty.any():
        raise DataError(
            f"{where}, {RowNames.of(column)(_first(empty))}: the time is empty; remove the row or fill the time in"
        )


def _text_times(column: Column, where: str) -> TimeColumn:
    """Parse text as times, each distinct value once."""
    codes, labels = pd.factorize(object_series(column))
    text = pd.Series([str(label).strip() for label in labels], dtype=object)
    if WORD.search(text.iloc[0] if len(text) else ""):
        text = text.map(plain_time)
    empty = text.str.lower().isin(MISSING_TEXTS).to_numpy(dtype=bool)
    _refuse_empty_times(np.append(empty, True)[codes], column, where)
    late = text.str.contains(END_OF_DAY)
    text = text.str.replace(END_OF_DAY, " 00:00", regex=True) if late.any() else text
    zones = _text_zones(text, where)
    times, note = _parse_text(text, where, bool(zones))
    if times is None:
        each = pd.to_datetime(text, errors="coerce", utc=bool(zones), format="mixed")
        unreadable = np.flatnonzero(each.isna().to_numpy()[codes])
        i = int(unreadable[0]) if len(unreadable) else 0
        shown = str(labels[codes[i]]).strip()[:MAX_SHOWN]
        raise DataError(
            f"{where}, {RowNames.of(column)(i)}: {shown!r} is not a time in the format of the others; "
            "write times as 2024-01-31 or 2024-01-31 17:00:00, or name another column with time_col"
        )
    if zones:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    values = times.to_numpy().astype("M8[us]") + late.to_numpy().astype("m8[D]")
    if late.any():
        note = f"{note}; " * bool(note) + "24:00 was read as the end of its day"
    tz = zones[0] if zones else None
    if len(zones) > 1:
        tz = _clock(text, values) or "UTC"
        note = f"times with the offsets {', '.join(zones[:4])}: read by the clock of {tz}"
    return TimeColumn(values[codes], tz, note)


def _parse_text(text: TextSeries, where: str, zoned: bool) -> tuple[TextSeries | None, str]:
    """Parse all of `text` as times in the first format that fits, and say in a note how where it is not obvious."""
    times, note = _try_to_datetime(text, format="ISO8601", utc=zoned), ""
    if times is not None:
        return times, note
    if text.str.fullmatch(QUARTER).all():
        quarters = text.str.extract(r"(\d{4})")[0] + text.str.extract("(Q[1-4])")[0]
        return pd.Series(pd.PeriodIndex(quarters, freq="Q").to_timestamp()), note
    if text.str.fullmatch(WEEK).all():
        weeks = text.str.replace("-", "")
        times = _try_to_datetime(weeks.where(weeks.str.len() > len("2024W01"), weeks + "1"), format="%GW%V%u")
        return times, f"ISO weeks such as {text.iloc[0]} were read as their Mondays"
    if not zoned:
        times, note = _parse_slashed(text, where)
    for each in () if zoned else OTHER_FORMATS:
        if times is None:
            times = _try_to_datetime(text, format=each)
            note = f"times such as {text.iloc[0]!r} were read as {each}" if times is not None and "%y" in each else ""
    return (_try_to_datetime(text, utc=zoned), "") if times is None else (times, note)


def _numeric_times(column: Column, where: str, whole: bool) -> TimeColumn:
    """Read a column of numbers as integer times, as dates written as numbers or, unless `whole`, as Unix times."""
    as_float = column.dtype.is_float() or column.null_count()
    values = to_numbers(column, where) if as_float else column.to_numpy()
    if values.dtype.kind == "f":
        _refuse_empty_times(np.isnan(values), column, where)
    if not whole and (times := _unix_times(values) or _excel_times(values, column.name)):
        return times
    if values.dtype.kind == "f":
        fractional = values != np.floor(values)
        if fractional.any():
            i = _first(fractional)
            raise DataError(f"{where}, {RowNames.of(column)(i)}: {values[i]} is not a time; use dates or whole numbers")
    values = values.astype(np.int64)
    return _dates_as_numbers(values) or TimeColumn(values)


def _unix_times(values: Array) -> TimeColumn | None:
    """Read numbers as Unix times, in the unit in which all of them lie in `UNIX_RANGE`."""
    low, high, exact = values.min(), values.max(), values.dtype.kind == "i"
    for power, (unit, name) in enumerate(UNIX_UNITS):
        first, last = UNIX_RANGE.astype(f"M8[{unit}]").astype(np.int64)
        if first <= low and high < last and _dates_as_numbers(values.astype(np.int64)) is None:
            counts = values.astype(f"M8[{unit}]") if exact else np.round(values * 1e6 / 1e3**power).astype(np.int64)
            note = f"numbers such as {low:.0f} were read as Unix times in {name} (UTC)"
            return TimeColumn(counts.astype("M8[us]"), None, note)
    return None


def _excel_times(values: Array, name: str) -> TimeColumn | None:
    """Read numbers such as 45292 in a column named Date as the days of a spreadsheet."""
    low, high = EXCEL_RANGE
    if name.strip().lower() not in EXCEL_NAMES or not (low <= values.min() and values.max() < high):
        return None
    times = EXCEL_ORIGIN + np.round(values * 86_400).astype("m8[s]")
    note = f"numbers such as {values.min():g} were read as days of a spreadsheet, {format_time(times.min())}"
    return TimeColumn(times.astype("M8[us]"), None, note)


def _dates_as_numbers(values: Array) -> TimeColumn | None:
    """Read 20240131 as a day, 2024013117 as an hour and, where more than a year of them cannot be a count, 202401."""
    low, high = int(values.min()), int(values.max())
    digits = len(str(high))
    if digits not in NUMBER_FORMATS or not 1900 <= low // 10 ** (digits - 4) <= high // 10 ** (digits - 4) <= 2100:
        return None
    format, name = NUMBER_FORMATS[digits]
    distinct, codes = np.unique(values, return_inverse=True)
    if name == "months" and len(distinct) <= 12:
        return None
    times = pd.to_datetime(pd.Series(distinct.astype(str)), format=format, errors="coerce")
    if times.isna().any():
        return None
    note = f"whole numbers such as {distinct[0]} were read as {name}"
    return TimeColumn(times.to_numpy().astype("M8[us]")[codes], None, note)


def _in_utc(column: Column) -> tuple[Column, str | None]:
    """Return a column of times as naive times in UTC, and its zone; other columns as they are."""
    native = column.to_native()
    if isinstance(native, pd.Series) and isinstance(native.dtype, pd.PeriodDtype):
        return nw.from_native(native.dt.to_timestamp(), series_only=True), None
    if isinstance(native, pd.Series) and isinstance(native.dtype, pd.DatetimeTZDtype):
        tz = str(native.dtype.tz)
        naive = native.dt.tz_convert("UTC").dt.tz_localize(None)
        return nw.from_native(naive, series_only=True), "UTC" if tz.startswith("tz") else tz  # dateutil has no names
    zone = column.dtype.time_zone if isinstance(column.dtype, nw.Datetime) else None
    if zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None), zone
    return column, None


def to_times(column: Column, where: str, whole: bool = False) -> TimeColumn:
    """Convert a column of datetimes, dates, text of them, or integers to times.

    Parameters
    ----------
    column : narwhals.Series
        The column.
    where : str
        Name of the table and the column in errors.
    whole : bool, default False
        Numbers count steps: they are not read as Unix times.

    Returns
    -------
    TimeColumn
        Times in UTC with their zone, naive times, or integers.

    Raises
    ------
    DataError
        If a time is empty or cannot be read, only some have a zone, or day and month are ambiguous.

    Examples
    --------
    >>> to_times(nw.from_native(pd.Series(["31/12/2023", "01/01/2024"]), series_only=True), "column 'ds'").note
    'dates were read as day/month/year'
    """
    column, tz = _in_utc(column)
    dtype = column.dtype
    if dtype in (nw.Datetime, nw.Date):
        values = np.asarray(column.to_numpy()).astype("M8[us]")
        _refuse_empty_times(np.isnat(values), column, where)
        return TimeColumn(values, tz)
    if is_number(dtype) and dtype != nw.Boolean:
        return _numeric_times(column, where, whole)
    if is_text(dtype):
        return _text_times(column, where)
    raise DataError(f"{where} holds {dtype} values, not times; name the time column with time_col")
