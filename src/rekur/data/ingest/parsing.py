"""Columns of a user's table as plain arrays: numbers, times and labels, or an error that names the row."""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array, DataError

MISSING = ("", "na", "n/a", "nan", "null", "none", "nil", "<na>", "?", "-", ".")
ZONED = re.compile(r"\d\d?:\d\d.*?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$")
SLASHED = re.compile(r"^(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(.*)$")


class Times(NamedTuple):
    """A time column: datetime64[us] (UTC if there is a zone) or int64, its zone, and what was noticed."""

    values: Array
    tz: str | None = None
    note: str = ""


def row(i: int) -> str:
    """Return how errors call the data row with index `i`: the header of a file is row 1."""
    return f"row {i + 2}"


def many(count: int, noun: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def is_number(dtype: Any) -> bool:
    """Tell whether a narwhals dtype holds numbers (booleans count)."""
    return bool(dtype.is_numeric() or dtype == nw.Boolean)


def is_text(dtype: Any) -> bool:
    """Tell whether a narwhals dtype holds text."""
    return dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object)


def is_time(column: nw.Series[Any]) -> bool:
    """Tell whether a column holds dates or times (periods and every zone of pandas included)."""
    native = column.to_native()
    if isinstance(native, pd.Series) and isinstance(native.dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)):
        return True
    return column.dtype in (nw.Date, nw.Datetime)


def objects(column: nw.Series[Any]) -> pd.Series[Any]:
    """Return a column of text or of mixed objects as a pandas Series with its missing values as NaN."""
    native = column.to_native()
    if isinstance(native, pd.Series):
        if isinstance(native.dtype, pd.CategoricalDtype):
            native = native.astype(object)
        return native.reset_index(drop=True)
    if column.dtype in (nw.Categorical, nw.Enum):
        column = column.cast(nw.String)
    return pd.Series(np.asarray(column.to_numpy(), dtype=object))


def _first(bad: Array) -> int:
    return int(np.flatnonzero(bad)[0])


def _text_numbers(column: nw.Series[Any], where: str) -> Array:
    """Parse text as numbers, value by value if it must be; the first that is none stops it."""
    series = objects(column)
    odd = series[series.map(lambda v: isinstance(v, (bytes, complex, list, dict, set, np.ndarray)))]
    if len(odd):
        raise DataError(f"{where}, {row(int(odd.index[0]))}: a {type(odd.iloc[0]).__name__} object is not a number")
    codes, labels = pd.factorize(series)
    found = pd.Series(labels, dtype=object)
    text = found.map(lambda v: str(v).strip())
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    missing = text.str.lower().isin(MISSING).to_numpy(dtype=bool)
    values[missing] = np.nan
    bad = np.isnan(values) & ~missing
    if bad.any():
        i = _first(np.append(bad, False)[codes])
        shown = text[codes[i]]
        cure = "numbers are needed: mend or remove it, or name another column"
        if re.fullmatch(r"[+-]?[\d. ]*,\d+", shown):
            cure = "write numbers with a decimal point (in pandas: read_csv(..., decimal=','))"
        elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", shown):
            cure = "write numbers without thousands separators (in pandas: read_csv(..., thousands=','))"
        raise DataError(f"{where}, {row(i)}: {shown[:60]!r} is not a number; {cure}")
    return np.asarray(np.append(values, np.nan)[codes])


def numbers(column: nw.Series[Any], where: str) -> Array:
    """Return a column as float64 with NaN for what is missing.

    Parameters
    ----------
    column : narwhals Series of numbers, booleans, or text that is all numbers
    where : names the table and the column in errors

    Returns
    -------
    (N,) float64

    Raises
    ------
    DataError : a value is text, infinite, or of a kind that is no number.
    """
    dtype = column.dtype
    if is_time(column) or dtype in (nw.Duration, nw.List, nw.Struct):
        raise DataError(f"{where} holds {dtype} values; numbers are needed: name another column")
    if is_text(dtype) or dtype == nw.Decimal or not (is_number(dtype) or dtype == nw.Unknown):
        values = _text_numbers(column, where)
    else:
        raw = column.to_numpy()
        if raw.dtype.kind == "c":
            raise DataError(f"{where} holds complex numbers; real numbers are needed")
        if raw.dtype == object:  # nullable columns of pandas
            raw = pd.to_numeric(pd.Series(raw), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.array(raw, dtype=np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(f"{where}, {row(_first(infinite))}: the value is infinite; leave it empty if it is missing")
    return values


def _try(text: pd.Series[Any], **options: Any) -> pd.Series[Any] | None:
    """Parse all of `text` as times, or return None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return pd.to_datetime(text, **options)
    except (ValueError, OverflowError, UserWarning, TypeError):
        return None


def _slashed(text: pd.Series[Any], where: str) -> tuple[pd.Series[Any] | None, str]:
    """Parse day/month/year or month/day/year, whichever fits all rows; refuse if both do."""
    found = SLASHED.match(str(text.iloc[0]))
    if not found:
        return None, ""
    tail = found[5]
    clock = ""
    if tail:
        half = "%I" if re.search("[AaPp][Mm]$", tail) else "%H"
        clock = tail[0] + half + ":%M" + (":%S" if tail.count(":") > 1 else "") + (" %p" if half == "%I" else "")
        clock = clock.replace(":%S", ":%S.%f") if "." in tail else clock
    mark, year = found[2], "%Y" if len(found[4]) == 4 else "%y"
    month_first = _try(text, format=f"%m{mark}%d{mark}{year}{clock}")
    day_first = _try(text, format=f"%d{mark}%m{mark}{year}{clock}")
    if month_first is not None and day_first is not None and not (month_first == day_first).all():
        raise DataError(
            f"{where}: dates such as {text.iloc[0]!r} can be read as day{mark}month or month{mark}day; "
            "write them as year-month-day"
        )
    if month_first is not None:
        return month_first, f"dates were read as month{mark}day{mark}year"
    return day_first, f"dates were read as day{mark}month{mark}year"


def _zone(text: pd.Series[Any], where: str) -> str | None:
    """Return the one zone of times written as text: "UTC", an offset such as "+02:00", or None."""
    zones = {found[1] if (found := ZONED.search(t)) else "" for t in text}
    if zones == {""}:
        return None
    plain = {"UTC" if zone.strip("+-:0") in ("", "Z", "UTC", "GMT") and zone else zone for zone in zones}
    if len(plain) > 1:
        raise DataError(
            f"{where}: the times have mixed time zones ({', '.join(z or 'none' for z in sorted(plain)[:4])})"
            "; bring them to one zone first, in pandas: pd.to_datetime(column, utc=True)"
        )
    zone = plain.pop()
    return zone if zone == "UTC" else f"{zone[:3]}:{zone[3:].strip(':') or '00'}"


def _text_times(column: nw.Series[Any], where: str) -> Times:
    """Parse text as times over its distinct values."""
    codes, found = pd.factorize(objects(column))
    text = pd.Series([str(v).strip() for v in found], dtype=object)
    empty = text.str.lower().isin(MISSING).to_numpy(dtype=bool)
    gone = np.append(empty, True)[codes]
    if gone.any():
        raise DataError(f"{where}, {row(_first(gone))}: the time is empty; remove the row or fill the time in")
    tz = _zone(text, where)
    note = ""
    times = _try(text, format="ISO8601", utc=bool(tz))
    if times is None and re.match(r"^\d{4}-?Q[1-4]$", text.iloc[0]):
        quarters = text.str.replace("-", "")
        if quarters.str.fullmatch(r"\d{4}Q[1-4]").all():
            times = pd.Series(pd.PeriodIndex(quarters, freq="Q").to_timestamp())
    if times is None and not tz:
        times, note = _slashed(text, where)
    if times is None:
        times = _try(text, utc=bool(tz))
    if times is None:
        each = pd.to_datetime(text, errors="coerce", utc=bool(tz), format="mixed")
        bad = np.flatnonzero(each.isna().to_numpy()[codes])
        i = int(bad[0]) if len(bad) else 0
        raise DataError(
            f"{where}, {row(i)}: {text[codes[i]][:60]!r} is not a time that could be read like the others; "
            "write times as 2024-01-31 or 2024-01-31 17:00:00, or name another column with time_col"
        )
    if tz:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    return Times(times.to_numpy().astype("M8[us]")[codes], tz, note)


def _written_as_number(values: Array) -> Times | None:
    """Read 20240131 as a day and, where more than a year of them cannot be a count, 202401 as a month."""
    low, high = int(values.min()), int(values.max())
    months = low >= 190001 and high <= 210012
    if not (months or (low >= 19000101 and high <= 21001231)):
        return None
    found, where = np.unique(values, return_inverse=True)
    if months and (len(found) <= 12 or ((found % 100) - 1 > 11).any() or (found % 100 == 0).any()):
        return None
    text = pd.Series(found.astype(str))
    days = pd.to_datetime(text + ("01" if months else ""), format="%Y%m%d", errors="coerce")
    if days.isna().any():
        return None
    note = f"whole numbers such as {found[0]} were read as {'months' if months else 'days'}"
    return Times(days.to_numpy().astype("M8[us]")[where], None, note)


def times(column: nw.Series[Any], where: str) -> Times:
    """Return a column as times: datetimes, dates, text of them, or whole numbers.

    Parameters
    ----------
    column : narwhals Series
    where : names the table and the column in errors

    Returns
    -------
    Times : datetime64[us] in UTC with the zone beside it, naive datetime64[us], or int64

    Raises
    ------
    DataError : a time is empty or cannot be read, the zones are mixed, or day and month cannot be told apart.
    """
    native = column.to_native()
    tz: str | None = None
    if isinstance(native, pd.Series) and isinstance(native.dtype, pd.PeriodDtype):
        column = nw.from_native(native.dt.to_timestamp(), series_only=True)
    if isinstance(native, pd.Series) and isinstance(native.dtype, pd.DatetimeTZDtype):
        tz = str(native.dtype.tz)
        tz = "UTC" if tz.startswith("tz") else tz  # a zone of dateutil has no name
        column = nw.from_native(native.dt.tz_convert("UTC").dt.tz_localize(None), series_only=True)
    dtype = column.dtype
    if dtype in (nw.Datetime, nw.Date):
        zone = getattr(dtype, "time_zone", None)
        if zone:
            tz, column = zone, column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        values = np.asarray(column.to_numpy()).astype("M8[us]")
        gone = np.isnat(values)
    elif is_number(dtype) and dtype != nw.Boolean:
        raw = numbers(column, where) if dtype.is_float() or column.null_count() else column.to_numpy()
        gone = np.isnan(raw) if raw.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if not gone.any() and raw.dtype.kind == "f" and (broken := raw != np.floor(raw)).any():
            i = _first(broken)
            raise DataError(f"{where}, {row(i)}: {raw[i]} is not a time; use dates or whole numbers")
        values = raw if gone.any() else raw.astype(np.int64)
        if not gone.any() and (dated := _written_as_number(values)) is not None:
            return dated
    elif is_text(dtype):
        return _text_times(column, where)
    else:
        raise DataError(f"{where} holds {dtype} values, not times; name the time column with time_col")
    if gone.any():
        raise DataError(f"{where}, {row(_first(gone))}: the time is empty; remove the row or fill the time in")
    return Times(values, tz)


def series_of(frame: nw.DataFrame[Any], id_col: str | None, source: str) -> tuple[Array, Array]:
    """Return the number of the series of each row (n,) and the labels in order of first appearance (S,).

    Raises
    ------
    DataError : a label is missing.
    """
    if id_col is None:
        return np.zeros(len(frame), dtype=np.int64), np.array([None], dtype=object)
    column = frame[id_col]
    if column.null_count():
        missing = column.is_null().to_numpy()
        raise DataError(f"{source}, column {id_col!r}, {row(_first(missing))}: the name of the series is missing")
    runs = None
    if column.dtype == nw.String or column.dtype.is_integer():  # rows of one series mostly stand together
        change = (column != column.shift(1)).fill_null(True)
        new = change.to_numpy().astype(bool)
        if 2 * new.sum() < len(new):
            column, runs = column.filter(change), np.cumsum(new) - new[0]
    codes, found = pd.factorize(column.to_numpy() if is_number(column.dtype) else objects(column))
    ids = np.empty(len(found), dtype=object)
    ids[:] = found.tolist()
    return codes.astype(np.int64, copy=False) if runs is None else codes.astype(np.int64)[runs], ids
