"""Numbers as people write them: decimal commas, thousands separators, currency and percent signs in columns of text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from rekur.core import OptionError
from rekur.data.ingest.parsing import MISSING_TEXTS
from rekur.data.ingest.schema import quoted

__all__ = [
    "DECIMAL_COMMA",
    "NumberFormat",
    "ReadNumbers",
    "check_separators",
    "holds_text",
    "number_columns",
    "number_notes",
    "other_mark",
    "read_numbers",
]

SYMBOLS = "€$£¥₹₽₩₺₪฿₴₦₫₱"
CODES = "EUR|USD|GBP|CHF|JPY|CNY|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BRL|MXN|INR|RUB|TRY|ZAR|KRW|kr|zł|Kč|Ft|R\\$"
UNITS = "[kMG]?Wh|[kMG]W|°[CF]|hPa"
SIGN = rf"[{SYMBOLS}%]|{CODES}|{UNITS}"
SPACES = " \u00a0\u202f"
NUMBER = re.compile(
    rf"(?P<open>\()?[{SPACES}]*(?P<sign>[+\-\u2212])?[{SPACES}]*(?:(?P<before>{SIGN})[{SPACES}]*)?(?P<later>[+\-\u2212])?"
    rf"(?P<digits>[\d.,][\d.,'’{SPACES}]*?(?:[eE][+-]?\d+)?)[{SPACES}]*(?:(?P<after>{SIGN})[{SPACES}]*)?"
    r"(?P<trailing>-)?(?P<close>\))?"
)
SPACED = re.compile(rf"\d{{1,3}}([{SPACES}'’])\d{{3}}(?:\1\d{{3}})*(?:([.,])\d*)?")
MARKED = re.compile(r"(\d*)([.,])(\d*)([eE][+-]?\d+)?")
GROUPED = re.compile(r"\d{1,3}([.,])\d{3}(?:\1\d{3})*(?:(?!\1)([.,])\d*)?")
LAKHS = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?")
WHOLE = re.compile(r"\d+(?:[eE][+-]?\d+)?")
ZERO_PADDED = re.compile(r"0\d+")
FIRST_VALUES = 20  # of a column of text, which decide whether the others are looked at
DECIMAL_COMMA = "decimal comma"
SEPARATORS = (",", ".", " ", "'")
MISSING_NUMBERS = frozenset({*MISSING_TEXTS, "#n/a", "#na", "#div/0!", "#value!", "#ref!", "–", "—", "--"})


def other_mark(mark: str) -> str:
    """Return the comma for the point, and the point for the comma.

    >>> other_mark(",")
    '.'
    """
    return "." if mark == "," else ","


def check_separators(decimal: str | None, thousands: str | None) -> None:
    """Raise an OptionError unless the separators can be used together.

    >>> check_separators(",", ".")
    """
    if decimal not in (None, ",", "."):
        raise OptionError(f"decimal must be ',' or '.', got {decimal!r}")
    if thousands not in (None, *SEPARATORS):
        raise OptionError(f"thousands must be ',', '.', ' ' or \"'\", got {thousands!r}")
    if decimal is not None and decimal == thousands:
        raise OptionError(f"decimal and thousands are both {decimal!r}; they must differ")


def _mark(digits: str) -> str | None:
    """Return the decimal mark that the digits of a number show.

    "," or "."; "" if they show none; "?," or "?." if the mark may also separate thousands; None if they are no number.
    """
    if WHOLE.fullmatch(digits):
        return ""
    if match := MARKED.fullmatch(digits):
        before, mark, after, exponent = match.groups()
        if not (before or after):
            return None
        grouped = len(after) == 3 and 1 <= len(before) <= 3 and before[0] != "0" and exponent is None
        return f"?{mark}" if grouped else mark
    if match := SPACED.fullmatch(digits):
        return match[2] or ""
    if LAKHS.fullmatch(digits):
        return "."
    match = GROUPED.fullmatch(digits)
    return None if match is None else match[2] or other_mark(match[1])


@dataclass
class NumberFormat:
    """How the numbers of a column of text are written.

    Parameters
    ----------
    marks : set of str
        Decimal marks that values show: "," and "."; "?," and "?." for a mark that may also separate thousands.
    signs : set of str
        Currency and percent signs; "" for values without one.
    grouped : set of str
        Separators of thousands that values show beyond doubt.
    numeric : bool
        All values are numbers or missing, and at least one is a number.
    padded : bool
        A value has leading zeros, as the keys of series have.

    Examples
    --------
    >>> sorted(NumberFormat.of(["1.234,5", "12", ""]).marks)
    [',']
    """

    marks: set[str] = field(default_factory=set)
    signs: set[str] = field(default_factory=set)
    grouped: set[str] = field(default_factory=set)
    numeric: bool = False
    padded: bool = False

    @classmethod
    def of(cls, texts: Iterable[str]) -> NumberFormat:
        """Return the format of the distinct values of a column; not numeric at the first value that is no number."""
        form = cls()
        for text in texts:
            text = text.strip()
            if text.lower() in MISSING_NUMBERS:
                continue
            match = NUMBER.fullmatch(text)
            mark = None if match is None else _mark(match["digits"])
            if match is None or mark is None or (match["before"] and match["after"]):
                form.numeric = False
                return form
            form.numeric = True
            form.padded |= ZERO_PADDED.fullmatch(text) is not None
            form.signs.add(match["before"] or match["after"] or "")
            if mark:
                form.marks.add(mark)
            form.grouped.update(_separators(match["digits"], mark))
        return form

    @property
    def decimal(self) -> str | None:
        """The decimal mark that values show; None if there is none, or if they contradict one another."""
        shown = {mark for mark in self.marks if len(mark) == 1}
        return next(iter(shown)) if len(shown) == 1 else None

    @property
    def doubtful(self) -> str | None:
        """The mark of which no value shows whether it is a decimal mark or separates thousands."""
        return next(iter(self.marks))[1] if len(self.marks) == 1 and self.decimal is None else None


def _separators(digits: str, mark: str) -> set[str]:
    """Return the separators of thousands in a number whose decimal mark is known."""
    return set(digits) & set(f".,'’{SPACES}") - {mark[-1:]}


def _convert(text: str, decimal: str) -> float:
    """Return the value of a number with decimal mark `decimal`, NaN for a missing one."""
    text = text.strip()
    if text.lower() in MISSING_NUMBERS:
        return np.nan
    match = NUMBER.fullmatch(text)
    assert match is not None
    digits = "".join(c for c in match["digits"] if c.isalnum() or c in ("+", "-", decimal)).replace(decimal, ".")
    negative = match["open"] or match["trailing"] or {match["sign"], match["later"]} & {"-", "\u2212"}
    return -float(digits) if negative else float(digits)


def _decimal_of(form: NumberFormat, decimal: str | None, thousands: str | None, known: str | None) -> str | None:
    """Return the decimal mark of a column: as the user says, as it shows, or `known` from the rest of the file."""
    user = decimal or (other_mark(thousands) if thousands in (",", ".") else None)
    if user is not None:
        return None if other_mark(user) in form.marks else user
    if form.doubtful is not None:
        return known
    return form.decimal if form.marks else "."


class ReadNumbers(NamedTuple):
    """A table whose columns of numbers were converted.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table; the same one where nothing was converted.
    kinds : dict of str to list of str
        What was special, and the columns in which it was.
    doubts : dict of str to str
        The question to ask about each column that can be read in two ways.
    """

    frame: pd.DataFrame
    kinds: dict[str, list[str]]
    doubts: dict[str, str]


def holds_text(dtype: object) -> bool:
    """Return whether a pandas dtype is that of text or mixed objects.

    >>> holds_text(pd.Series(["a"]).dtype), holds_text(pd.Series([1]).dtype)
    (True, False)
    """
    return isinstance(dtype, pd.StringDtype) or dtype == np.dtype(object)


def number_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns of text whose first values are numbers or missing.

    >>> number_columns(pd.DataFrame({"ds": ["2024-01-31", "2024-02-29"], "y": ["1,5", "?"], "z": [1, 2]}))
    ['y']
    """
    if not frame.columns.is_unique:
        return []
    names = [str(name) for name, dtype in frame.dtypes.items() if isinstance(name, str) and holds_text(dtype)]
    return [name for name in names if _begins_with_numbers(frame[name])]


def _begins_with_numbers(column: pd.Series) -> bool:
    """Return whether the first values of a column of text are numbers or missing."""
    first = [str(value).strip() for value in column.dropna().head(FIRST_VALUES)]
    return NumberFormat.of(first).numeric or all(text.lower() in MISSING_NUMBERS for text in first)


def read_numbers(
    frame: pd.DataFrame,
    decimal: str | None = None,
    thousands: str | None = None,
    known: Mapping[str, str | None] | None = None,
    typed: bool = True,
) -> ReadNumbers:
    """Convert the columns of text that hold numbers as people write them.

    A column stays text if one of its values is no number, if its signs or decimal marks differ, or if a mark may be
    decimal or separate thousands and nothing tells which.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    decimal, thousands : str, optional
        Decimal mark and separator of thousands; None where the values show them.
    known : mapping of str to str or None, optional
        Decimal mark of a column in which "," or "." (the keys) may be a decimal mark or separate thousands.
    typed : bool, default True
        The file has types, so that a text such as "17" is meant as text.

    Returns
    -------
    ReadNumbers

    Examples
    --------
    >>> numbers = read_numbers(pd.DataFrame({"price": ["1.234,50 €", "2,80 €"], "sold": ["1,234", "2,345"]}))
    >>> numbers.frame["price"].tolist()
    [1234.5, 2.8]
    >>> number_notes(numbers.kinds)
    ["decimal comma in 'price'", "thousands separator '.' in 'price'", "sign '€' removed in 'price'"]
    >>> numbers.doubts
    {'sold': "'1,234' can be read as 1.234 or 1234: say decimal=',' or decimal='.'"}
    """
    known = {".": "."} if known is None else known
    columns, kinds, doubts = dict[str, pd.Series](), dict[str, list[str]](), dict[str, str]()
    for name in number_columns(frame):
        codes, labels = pd.factorize(frame[name])
        texts = [str(label) for label in labels]
        form = NumberFormat.of(texts)
        mark = _decimal_of(form, decimal, thousands, None if form.doubtful is None else known.get(form.doubtful))
        if not form.numeric or form.padded or len(form.signs) > 1 or mark is None:
            if form.numeric and form.doubtful is not None and len(form.signs) == 1:
                doubts[name] = _question(next(text for text in texts if form.doubtful in text), form.doubtful)
            continue
        special = _kinds(form, mark)
        if special or not typed:
            values = np.array([*(_convert(text, mark) for text in texts), np.nan])
            columns[name] = pd.Series(values[codes], index=frame.index)
        for kind in special:
            kinds.setdefault(kind, []).append(name)
    return ReadNumbers(frame.assign(**columns) if columns else frame, kinds, doubts)


def _question(text: str, mark: str) -> str:
    """Return the question how a number of which nothing tells the decimal mark is to be read."""
    plain = text.strip()
    readings = f"{plain.replace(mark, '.')} or {plain.replace(mark, '')}"
    return f"{plain!r} can be read as {readings}: say decimal={mark!r} or decimal={other_mark(mark)!r}"


def number_notes(kinds: Mapping[str, list[str]]) -> list[str]:
    """Return the notes on how numbers were written, one a kind.

    >>> number_notes({"decimal comma": ["price", "cost"]})
    ["decimal comma in 'price', 'cost'"]
    """
    return [f"{kind} in {quoted(dict.fromkeys(names), limit=4)}" for kind, names in kinds.items()]


def _kinds(form: NumberFormat, mark: str) -> list[str]:
    """Return what was special about the numbers of a column with decimal mark `mark`."""
    kinds = [DECIMAL_COMMA] if mark == "," and ({",", "?,"} & form.marks) else []
    grouped = form.grouped | ({other_mark(mark)} if f"?{other_mark(mark)}" in form.marks else set())
    if grouped:
        names = sorted({"space" if each in SPACES else repr(each) for each in grouped})
        kinds.append(f"thousands separator {' and '.join(names)}")
    sign = next(iter(form.signs))
    if sign == "%":
        return [*kinds, "percent sign removed (values are in percent)"]
    kind = "unit" if re.fullmatch(UNITS, sign) else "sign"
    return [*kinds, f"{kind} {sign!r} removed"] if sign else kinds
