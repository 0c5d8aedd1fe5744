"""Parsing of the columns of a data frame: numbers, times and series labels as arrays, with errors that name the row."""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.dtypes import DType

from rekur.core import Array, DataError

__all__ = [
    "MISSING_TEXTS",
    "Column",
    "Table",
    "TextSeries",
    "TimeColumn",
    "is_number",
    "is_text",
    "is_time",
    "object_series",
    "plural",
    "row_name",
    "series_codes",
    "to_numbers",
    "to_times",
]

Column: TypeAlias = "nw.Series[Any]"
"""A column of a data frame of any library."""
TextSeries: TypeAlias = "pd.Series[Any]"
"""A pandas Series of text, times or mixed objects."""
Table: TypeAlias = "nw.DataFrame[Any]"
"""A data frame of any library behind narwhals' interface."""

MISSING_TEXTS = ("", "na", "n/a", "nan", "null", "none", "nil", "<na>", "?", "-", ".")
ZONE_PATTERN = re.compile(r"\d\d?:\d\d.*?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$")
SLASHED_PATTERN = re.compile(r"^(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(.*)$")
QUARTER_PATTERN = re.compile(r"\d{4}-?Q[1-4]")
MAX_SHOWN = 60  # characters of a value that an error shows


class TimeColumn(NamedTuple):
    """Times of a column: datetime64[us] (in UTC for a time zone) or int64; the zone; a note on the format.

    >>> TimeColumn(np.array([1, 2])).tz is None
    True
    """

    values: Array
    tz: str | None = None
    note: str = ""


def row_name(i: int) -> str:
    """Return the name in errors of the data row with index `i`: the header of a file is row 1."""
    return f"row {i + 2}"


def plural(count: int, noun: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def is_number(dtype: DType) -> bool:
    """Return whether a narwhals dtype holds numbers or booleans."""
    return bool(dtype.is_numeric() or dtype == nw.Boolean)


def is_text(dtype: DType) -> bool:
    """Return whether a narwhals dtype holds text."""
    return dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object)


def is_time(column: Column) -> bool:
    """Return whether a column holds dates or times, including pandas periods and zones."""
    native = column.to_native()
    if isinstance(native, pd.Series) and isinstance(native.dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
        return True
    return column.dtype in (nw.Date, nw.Datetime)


def object_series(column: Column) -> TextSeries:
    """Return a column of text or mixed objects as a pandas Series with NaN for missing values."""
    native = column.to_native()
    if isinstance(native, pd.Series):
        if isinstance(native.dtype, pd.CategoricalDtype):
            native = native.astype(object)
        return native.reset_index(drop=True)
    if column.dtype in (nw.Categorical, nw.Enum):
        column = column.cast(nw.String)
    return pd.Series(np.asarray(column.to_numpy(), dtype=object))


def _first(mask: Array) -> int:
    """Return the index of the first True."""
    return int(np.flatnonzero(mask)[0])


def _parse_numbers(column: Column, where: str) -> Array:
    """Parse a column of text as numbers, or raise a DataError for the first value that is none."""
    series = object_series(column)
    unreadable = series[series.map(lambda v: isinstance(v, (bytes, complex, list, dict, set, np.ndarray)))]
    if len(unreadable):
        i, value = int(unreadable.index[0]), unreadable.iloc[0]
        raise DataError(f"{where}, {row_name(i)}: a {type(value).__name__} object is not a number")
    codes, labels = pd.factorize(series)
    text = pd.Series(labels, dtype=object).map(lambda v: str(v).strip())
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    missing = text.str.lower().isin(MISSING_TEXTS).to_numpy(dtype=bool)
    values[missing] = np.nan
    bad = np.isnan(values) & ~missing
    if bad.any():
        i = _first(np.append(bad, False)[codes])
        value = text[codes[i]]
        raise DataError(f"{where}, {row_name(i)}: {value[:MAX_SHOWN]!r} is not a number; {_number_cure(value)}")
    return np.asarray(np.append(values, np.nan)[codes])


def _number_cure(text: str) -> str:
    """Return the advice for a text that is not a number, such as one with a decimal comma."""
    if re.fullmatch(r"[+-]?[\d. ]*,\d+", text):
        return "write numbers with a decimal point (in pandas: read_csv(..., decimal=','))"
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return "write numbers without thousands separators (in pandas: read_csv(..., thousands=','))"
    return "numbers are needed: mend or remove it, or name another column"


def to_numbers(column: Column, where: str) -> Array:
    """Convert a column to float64 with NaN for missing values.

    Parameters
    ----------
    column : narwhals.Series
        Numbers, booleans, or text that is all numbers.
    where : str
        Name of the table and the column in errors.

    Returns
    -------
    (n,) float64

    Raises
    ------
    DataError
        If a value is text, infinite, or of a kind that is no number.

    Examples
    --------
    >>> to_numbers(nw.from_native(pd.Series(["1.5", "NA"]), series_only=True), "the table, column 'y'")
    array([1.5, nan])
    """
    dtype = column.dtype
    if is_time(column) or dtype in (nw.Duration, nw.List, nw.Struct):
        raise DataError(f"{where} holds {dtype} values; numbers are needed: name another column")
    if is_text(dtype) or dtype == nw.Decimal or not (is_number(dtype) or dtype == nw.Unknown):
        values = _parse_numbers(column, where)
    else:
        raw = column.to_numpy()
        if raw.dtype.kind == "c":
            raise DataError(f"{where} holds complex numbers; real numbers are needed")
        if raw.dtype == object:  # nullable columns of pandas
            raw = pd.to_numeric(pd.Series(raw), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.array(raw, dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        i = _first(infinite)
        raise DataError(f"{where}, {row_name(i)}: the value is infinite; leave it empty if it is missing")
    return values


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
    if month_first is not None and day_first is not None and not (month_first == day_first).all():
        raise DataError(
            f"{where}: dates such as {text.iloc[0]!r} can be read as day{mark}month or month{mark}day; "
            "write them as year-month-day"
        )
    if month_first is not None:
        return month_first, f"dates were read as month{mark}day{mark}year"
    return day_first, f"dates were read as day{mark}month{mark}year"


def _text_zone(text: TextSeries, where: str) -> str | None:
    """Return the one zone of times written as text: "UTC", an offset such as "+02:00", or None."""
    zones = {match[1] if (match := ZONE_PATTERN.search(time)) else "" for time in text}
    if zones == {""}:
        return None
    distinct = {"UTC" if zone.strip("+-:0") in ("", "Z", "UTC", "GMT") and zone else zone for zone in zones}
    if len(distinct) > 1:
        raise DataError(
            f"{where}: the times have mixed time zones ({', '.join(zone or 'none' for zone in sorted(distinct)[:4])})"
            "; bring them to one zone first, in pandas: pd.to_datetime(column, utc=True)"
        )
    zone = distinct.pop()
    return zone if zone == "UTC" else f"{zone[:3]}:{zone[3:].strip(':') or '00'}"


def _refuse_empty_times(empty: Array, where: str) -> None:
    """Raise a DataError for the first missing time of a mask (n,)."""
    if empty.any():
        raise DataError(f"{where}, {row_name(_first(empty))}: the time is empty; remove the row or fill the time in")


def _text_times(column: Column, where: str) -> TimeColumn:
    """Parse text as times, each distinct value once."""
    codes, labels = pd.factorize(object_series(column))
    text = pd.Series([str(label).strip() for label in labels], dtype=object)
    empty = text.str.lower().isin(MISSING_TEXTS).to_numpy(dtype=bool)
    _refuse_empty_times(np.append(empty, True)[codes], where)
    tz = _text_zone(text, where)
    note = ""
    times = _try_to_datetime(text, format="ISO8601", utc=bool(tz))
    if times is None and text.str.fullmatch(QUARTER_PATTERN).all():
        times = pd.Series(pd.PeriodIndex(text.str.replace("-", ""), freq="Q").to_timestamp())
    if times is None and not tz:
        times, note = _parse_slashed(text, where)
    if times is None:
        times = _try_to_datetime(text, utc=bool(tz))
    if times is None:
        each = pd.to_datetime(text, errors="coerce", utc=bool(tz), format="mixed")
        unreadable = np.flatnonzero(each.isna().to_numpy()[codes])
        i = int(unreadable[0]) if len(unreadable) else 0
        raise DataError(
            f"{where}, {row_name(i)}: {text[codes[i]][:MAX_SHOWN]!r} is not a time in the format of the others; "
            "write times as 2024-01-31 or 2024-01-31 17:00:00, or name another column with time_col"
        )
    if tz:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    return TimeColumn(times.to_numpy().astype("M8[us]")[codes], tz, note)


def _numeric_times(column: Column, where: str) -> TimeColumn:
    """Read a column of numbers as integer times, or as days or months written as numbers."""
    as_float = column.dtype.is_float() or column.null_count()
    values = to_numbers(column, where) if as_float else column.to_numpy()
    if values.dtype.kind == "f":
        _refuse_empty_times(np.isnan(values), where)
        fractional = values != np.floor(values)
        if fractional.any():
            i = _first(fractional)
            raise DataError(f"{where}, {row_name(i)}: {values[i]} is not a time; use dates or whole numbers")
    values = values.astype(np.int64)
    return _dates_as_numbers(values) or TimeColumn(values)


def _dates_as_numbers(values: Array) -> TimeColumn | None:
    """Read 20240131 as a day and, where more than a year of them cannot be a count, 202401 as a month."""
    low, high = int(values.min()), int(values.max())
    months = low >= 190001 and high <= 210012
    if not (months or (low >= 19000101 and high <= 21001231)):
        return None
    distinct, codes = np.unique(values, return_inverse=True)
    if months and (len(distinct) <= 12 or ((distinct % 100) - 1 > 11).any() or (distinct % 100 == 0).any()):
        return None
    text = pd.Series(distinct.astype(str))
    days = pd.to_datetime(text + ("01" if months else ""), format="%Y%m%d", errors="coerce")
    if days.isna().any():
        return None
    note = f"whole numbers such as {distinct[0]} were read as {'months' if months else 'days'}"
    return TimeColumn(days.to_numpy().astype("M8[us]")[codes], None, note)


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


def to_times(column: Column, where: str) -> TimeColumn:
    """Convert a column of datetimes, dates, text of them, or integers to times.

    Parameters
    ----------
    column : narwhals.Series
        The column.
    where : str
        Name of the table and the column in errors.

    Returns
    -------
    TimeColumn
        Times in UTC with their zone, naive times, or integers.

    Raises
    ------
    DataError
        If a time is empty or cannot be read, the zones are mixed, or day and month are ambiguous.

    Examples
    --------
    >>> to_times(nw.from_native(pd.Series(["31/12/2023", "01/01/2024"]), series_only=True), "column 'ds'").note
    'dates were read as day/month/year'
    """
    column, tz = _in_utc(column)
    dtype = column.dtype
    if dtype in (nw.Datetime, nw.Date):
        values = np.asarray(column.to_numpy()).astype("M8[us]")
        _refuse_empty_times(np.isnat(values), where)
        return TimeColumn(values, tz)
    if is_number(dtype) and dtype != nw.Boolean:
        return _numeric_times(column, where)
    if is_text(dtype):
        return _text_times(column, where)
    raise DataError(f"{where} holds {dtype} values, not times; name the time column with time_col")


def series_codes(table: Table, id_col: str | None, source: str) -> tuple[Array, Array]:
    """Return the number of the series of each row (n,) and the labels in order of first appearance (S,).

    Raises
    ------
    DataError
        If a label is missing.
    """
    if id_col is None:
        return np.zeros(len(table), dtype=np.int64), np.array([None], dtype=object)
    column = table[id_col]
    if column.null_count():
        i = _first(column.is_null().to_numpy())
        raise DataError(f"{source}, column {id_col!r}, {row_name(i)}: the name of the series is missing")
    runs = None
    if column.dtype == nw.String or column.dtype.is_integer():  # rows of one series are mostly consecutive
        change = (column != column.shift(1)).fill_null(True)
        starts = change.to_numpy().astype(bool)
        if 2 * starts.sum() < len(starts):
            column, runs = column.filter(change), np.cumsum(starts) - starts[0]
    codes, labels = pd.factorize(column.to_numpy() if is_number(column.dtype) else object_series(column))
    ids = np.empty(len(labels), dtype=object)
    ids[:] = labels.tolist()
    return codes.astype(np.int64, copy=False) if runs is None else codes.astype(np.int64)[runs], ids
