"""Parsing of the columns of a data frame: numbers, times and series labels as arrays, with errors that name the row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.dtypes import DType

from rekur.core import Array, DataError

__all__ = [
    "FILE_ATTRIBUTES",
    "FRAME_ROWS",
    "MISSING_TEXTS",
    "Column",
    "RowNames",
    "Table",
    "TextSeries",
    "is_number",
    "is_text",
    "is_time",
    "is_time_text",
    "key_columns",
    "object_series",
    "plain_time",
    "plural",
    "row_name",
    "series_codes",
    "to_numbers",
]

Column: TypeAlias = "nw.Series[Any]"
"""A column of a data frame of any library."""
TextSeries: TypeAlias = "pd.Series[Any]"
"""A pandas Series of text, times or mixed objects."""
Table: TypeAlias = "nw.DataFrame[Any]"
"""A data frame of any library behind narwhals' interface."""

FILE_ATTRIBUTES = "rekur.file"
"""Attribute of a pandas frame with what `rekur.data.read_file` knows of its file."""
MISSING_TEXTS = ("", "na", "n/a", "nan", "null", "none", "nil", "<na>", "?", "-", ".")
QUARTER = re.compile(r"\d{4}[- ]?Q[1-4]|Q[1-4][-/ ]?\d{4}")
WEEK = re.compile(r"\d{4}-?W\d\d(?:-?[1-7])?")
TIME_PATTERN = re.compile(
    r"(?:\d{4}[-/]\d{1,2}|\d{1,4}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,4})(?:[T ,].*)?|\d{1,2}:\d\d(?::\d\d.*)?"
    rf"|{QUARTER.pattern}|{WEEK.pattern}"
)
CALENDAR_WEEK = re.compile(
    r"(?:KW|CW) ?(?P<week>\d{1,2})[ /.-]+(?P<year>\d{4})|(?P<first>\d{4})[ /.-]+(?:KW|CW) ?(?P<last>\d{1,2})"
)
OTHER_MONTHS = {
    **{"januar": "January", "februar": "February", "märz": "March", "mai": "May", "juni": "June", "juli": "July"},
    **{"oktober": "October", "dezember": "December", "mär": "Mar", "mrz": "Mar", "okt": "Oct", "dez": "Dec"},
    **{"maerz": "March", "jän": "Jan", "jänner": "January", "feber": "February", "sept": "Sep"},
    **{"janvier": "January", "janv": "Jan", "février": "February", "fevrier": "February", "févr": "Feb", "fév": "Feb"},
    **{"mars": "March", "avril": "April", "avr": "Apr", "juin": "June", "juillet": "July", "juil": "Jul"},
    **{"août": "August", "aout": "August", "septembre": "September", "octobre": "October", "novembre": "November"},
    **{"décembre": "December", "decembre": "December", "déc": "Dec"},
    **{"enero": "January", "ene": "Jan", "febrero": "February", "marzo": "March", "abril": "April", "abr": "Apr"},
    **{"mayo": "May", "junio": "June", "julio": "July", "agosto": "August", "ago": "Aug", "septiembre": "September"},
    **{"setiembre": "September", "octubre": "October", "noviembre": "November", "diciembre": "December", "dic": "Dec"},
    **{"januari": "January", "februari": "February", "maj": "May", "augusti": "August", "maart": "March"},
    **{"mrt": "Mar", "mei": "May", "augustus": "August"},
}
MONTH_NAMES = re.compile(
    r"\b(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|"
    rf"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|{'|'.join(OTHER_MONTHS)})\b\.?",
    re.IGNORECASE,
)
KEY_PART = re.compile(r"((?:[^\\/]|\\.)*)(?:/|$)")  # of a label that joins several columns
MAX_SHOWN = 60  # characters of a value that an error shows


def row_name(i: int) -> str:
    """Return the name in errors of row `i` of the data of a file, whose header is row 1."""
    return f"row {i + 2}"


class RowNames(NamedTuple):
    """Names of the rows of a table in errors and notes: rows of a file, or labels of the index of a frame.

    labels: index of the frame, numbers from 0 if None; first: number of the first row of data in the file, None for a
    frame.

    >>> RowNames(pd.Index(["a", "b"]))(1), RowNames(first=2)(1)
    ('row with index b', 'row 3')
    """

    labels: pd.Index[Any] | None = None
    first: int | None = None

    @classmethod
    def of(cls, data: Table | Column) -> RowNames:
        """Return the names of the rows of a table or column."""
        native = data.to_native()
        if not isinstance(native, (pd.DataFrame, pd.Series)):
            return cls()
        file: Mapping[str, Any] | None = native.attrs.get(FILE_ATTRIBUTES)
        return cls(native.index, None if file is None else file.get("first_row", 2))

    def __call__(self, i: int) -> str:
        """Return the name of row `i`."""
        label = i if self.labels is None else self.labels[i]
        if self.first is None:
            unique = self.labels is None or self.labels.is_unique
            return f"row with index {label}" if unique else f"row {i}, counted from 0"
        return f"row {(int(label) if isinstance(label, (int, np.integer)) else i) + self.first}"


FRAME_ROWS = RowNames()
"""Names of the rows of a frame without an index."""


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


def is_time_text(text: str) -> bool:
    """Return whether a text looks like a date or a time of day.

    >>> is_time_text("2024-01-31"), is_time_text("31.1.2024 17:00"), is_time_text("2.84")
    (True, True, False)
    """
    return TIME_PATTERN.fullmatch(text.strip()) is not None


def plain_time(text: str) -> str:
    """Return a time with the names of months as in Jan 2023, and a week such as KW 1/2023 as 2023W01.

    >>> plain_time("1. März 2023"), plain_time("5 de mayo de 2023"), plain_time("KW 1/2023"), plain_time("2024-01-31")
    ('1 Mar 2023', '5 May 2023', '2023W01', '2024-01-31')
    """
    if week := CALENDAR_WEEK.fullmatch(text):
        return f"{week['year'] or week['first']}W{int(week['week'] or week['last']):02}"
    if not MONTH_NAMES.search(text):
        return text
    english = MONTH_NAMES.sub(lambda match: OTHER_MONTHS.get(match["name"].lower(), match["name"]).title()[:3], text)
    english = english.replace(" de ", " ")  # 5 de mayo de 2023
    return re.sub(r"^(\d{1,2})\. ", r"\1 ", english)


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
        raise DataError(f"{where}, {RowNames.of(column)(i)}: a {type(value).__name__} object is not a number")
    codes, labels = pd.factorize(series)
    text = pd.Series(labels, dtype=object).map(lambda v: str(v).strip())
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, copy=True)
    missing = text.str.lower().isin(MISSING_TEXTS).to_numpy(dtype=bool)
    values[missing] = np.nan
    bad = np.isnan(values) & ~missing
    if bad.any():
        words = bad & ~text.str.contains(r"\d").to_numpy(dtype=bool)  # rather than numbers in another notation
        i = _first(np.append(words if words.any() else bad, False)[codes])
        value = text[codes[i]]
        raise DataError(
            f"{where}, {RowNames.of(column)(i)}: {value[:MAX_SHOWN]!r} is not a number; {_number_cure(value)}"
        )
    return np.asarray(np.append(values, np.nan)[codes])


def _number_cure(text: str) -> str:
    """Return the advice for a text that is not a number, such as one with a decimal comma."""
    if re.fullmatch(r"[+-]?[\d. ]*,\d+", text):
        return "write numbers with a decimal point, or give decimal=',' where the file is read"
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return "write numbers without separators of thousands, or give thousands=',' where the file is read"
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
        raise DataError(f"{where}, {RowNames.of(column)(i)}: the value is infinite; leave it empty if it is missing")
    return values


def _key_label(values: Sequence[object]) -> str:
    """Return the label of a series that several columns name: A/3."""
    return "/".join(str(value).replace("\\", "\\\\").replace("/", "\\/") for value in values)


def key_columns(names: Sequence[str], labels: Array) -> dict[str, Array]:
    """Return the columns that name the series, (n,) each, from the labels (n,) that join them.

    >>> key_columns(["store", "dept"], np.array(["A/3", "B/1"], dtype=object))["dept"].tolist()
    ['3', '1']
    """
    codes, distinct = pd.factorize(labels)
    parts = [[re.sub(r"\\(.)", r"\1", part) for part in KEY_PART.findall(label)[: len(names)]] for label in distinct]
    table = np.array(parts, dtype=object).reshape(len(distinct), len(names))
    return {name: table[codes, j] for j, name in enumerate(names)}


def _joined_codes(table: Table, names: Sequence[str], source: str) -> tuple[Array, Array]:
    """Return codes and labels as `series_codes` for series that several columns name."""
    codes, keys = np.zeros(len(table), dtype=np.int64), list[tuple[object, ...]]([()])
    for name in names:
        each, labels = series_codes(table, name, source)
        codes, pairs = pd.factorize(codes * len(labels) + each)
        keys = [(*keys[pair // len(labels)], labels[pair % len(labels)]) for pair in pairs.tolist()]
    ids = np.empty(len(keys), dtype=object)
    ids[:] = [_key_label(key) for key in keys]
    return codes.astype(np.int64, copy=False), ids


def series_codes(table: Table, id_col: str | Sequence[str] | None, source: str) -> tuple[Array, Array]:
    """Return the number of the series of each row (n,) and the labels in order of first appearance (S,).

    A label of several columns joins their values: A/3.

    Raises
    ------
    DataError
        If a label is missing.
    """
    if id_col is None:
        return np.zeros(len(table), dtype=np.int64), np.array([None], dtype=object)
    if not isinstance(id_col, str):
        return _joined_codes(table, id_col, source)
    column = table[id_col]
    if column.null_count():
        i = _first(column.is_null().to_numpy())
        raise DataError(f"{source}, column {id_col!r}, {RowNames.of(column)(i)}: the name of the series is missing")
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
