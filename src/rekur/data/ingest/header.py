"""Where a table begins and ends in a file: lines of a title before the header, a row of totals after the last row."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rekur.data.ingest.number_formats import NumberFormat, holds_text
from rekur.data.ingest.parsing import TextSeries, is_time_text
from rekur.data.ingest.schema import quoted

__all__ = ["drop_last_rows", "find_header", "join_clock", "title_note"]

TOTAL = re.compile(
    r"(grand |sub)?(total|totals|sum|summe|gesamt|gesamtsumme|zwischensumme|totale|suma|somme|totaal|summa|ogółem)"
    r"( général| general)?( ?:)?",
    re.IGNORECASE,
)
DATES = ("date", "datum", "day", "tag", "fecha", "dato")
CLOCKS = ("time", "hour", "clock", "zeit", "uhrzeit", "heure", "hora", "klokkeslett")
"""Names of columns of dates and of times of day."""
CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?")
MAX_COLUMNS = 50  # in which the first row of data is looked for
MAX_SHOWN = 40  # characters of a line that a note shows


def _is_value(cell: str) -> bool:
    """Return whether a cell holds a number or a time rather than a name."""
    return is_time_text(cell) or NumberFormat.of([cell]).numeric


def _holds_values(cells: Sequence[str]) -> bool:
    """Return whether cells are numbers and times, at least one of them."""
    cells = [cell for cell in cells if cell.strip()]
    return bool(cells) and all(map(_is_value, cells))


def find_header(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of the row that names the columns, 0 unless lines of a title stand before it.

    The header is the row of names above the first row of data, which has a number or a time in each column that mostly
    holds them; of several rows of names one below another it is the first. A table of texts has no such column: its
    first row is the header.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first rows of a file, blank ones included.

    Examples
    --------
    >>> find_header([["Report"], [], ["day", "sales"], ["2024-01-01", "3"], ["2024-01-02", "5"]])
    2
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    first = next((k for k, count in enumerate(filled) if count), 0)
    widths = Counter(len(row) for row, count in zip(rows, filled, strict=True) if count)
    width = max(widths, key=lambda each: (widths[each], each), default=0)
    wide = [k for k, row in enumerate(rows) if len(row) == width and filled[k]]
    columns = [[rows[k][j] for k in wide if rows[k][j].strip()] for j in range(min(width, MAX_COLUMNS))]
    valued = [j for j, cells in enumerate(columns) if 2 * sum(map(_is_value, cells)) > len(cells)]
    data = next((k for k in wide if _holds_values([rows[k][j] for j in valued])), first)
    typical = sorted(filled[k] for k in wide)[len(wide) // 2] if wide else 0
    names = {k for k in wide if filled[k] >= max(2, typical - 1) and not any(map(_is_value, rows[k]))}
    header = next((k for k in range(data - 1, -1, -1) if filled[k]), first)
    if header not in names:
        return first
    while header - 1 in names:
        header -= 1
    return header


def title_note(rows: Sequence[Sequence[str]], header: int) -> str:
    """Return the note on the rows before the header, "" if all are blank.

    >>> title_note([["Report", ""], ["day", "sales"]], 1)
    "not read: 1 line before the header, 'Report'"
    """
    texts = [" ".join(cell.strip() for cell in row if cell.strip()) for row in rows[:header]]
    texts = [text[:MAX_SHOWN] for text in texts if text]
    if not texts:
        return ""
    return f"not read: {len(texts)} line{'' if len(texts) == 1 else 's'} before the header, {quoted(texts, limit=3)}"


def drop_last_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return a table without the blank rows at its end and a row of totals before them, and a note on the latter.

    A row of totals has such a word in a cell and no time in another one.

    >>> drop_last_rows(pd.DataFrame({"day": ["2024-01-01", "Total"], "sales": [3.0, 3.0]}))[1]
    "not read: the last row, 'Total'"
    """
    rows, frame = len(frame), _without_blank_end(frame)
    if len(frame) < 2:
        return frame, ""
    last = frame.iloc[-1]
    words = [str(cell).strip() for cell in last if isinstance(cell, str)]
    word = next((word for word in words if TOTAL.fullmatch(word)), None)
    dated = any(is_time_text(word) for word in words) or any(isinstance(cell, datetime.date) for cell in last)
    total = word is not None and not dated and _is_label_of_total(frame, word)
    if total:
        frame = _without_blank_end(frame.iloc[:-1])
    return frame if len(frame) == rows else _with_whole_numbers(frame), f"not read: the last row, {word!r}" * total


def _with_whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose whole numbers are integers, which empty cells in the rows left out had made fractions."""
    floats = [name for name, dtype in frame.dtypes.items() if dtype.kind == "f"]
    whole = [name for name in floats if (np.isfinite(frame[name]) & (frame[name] % 1 == 0)).all()]
    return frame.astype(dict.fromkeys(whole, np.int64))


def join_clock(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return a table with a column of dates and one of times of day joined, and a note on it.

    Both are recognised by content, the dates by name too, such as Date and Time; of several times of day the one with a
    known name, or the first, is meant.

    >>> join_clock(pd.DataFrame({"Date": ["31/12/2024"], "Time": ["17:30"], "kW": [4.2]}))[0]
                   Date   kW
    0  31/12/2024 17:30  4.2
    """
    names = {str(name).strip().lower(): name for name in reversed(frame.columns)}
    date, named = (next((names[each] for each in known if each in names), None) for known in (DATES, CLOCKS))
    clocks = [name for name in frame.columns if name != date and _holds_clocks(frame[name])]
    if date is None or not clocks or not holds_text(frame[date].dtype):
        return frame, ""
    clock = named if named in clocks else clocks[0]
    days, hours = frame[date].astype(str).str.strip(), frame[clock].astype(str).str.strip()
    if days.str.contains(":").any():
        return frame, ""
    joined = frame.assign(**{date: days + " " + hours}).drop(columns=clock)
    return joined, f"columns {date!r} and {clock!r} were joined"


def _holds_clocks(column: TextSeries) -> bool:
    """Return whether all cells of a column are times of day."""
    if not len(column) or not holds_text(column.dtype) or not CLOCK.fullmatch(str(column.iloc[0]).strip()):
        return False
    return bool(column.astype(str).str.strip().str.fullmatch(CLOCK).all())


def _is_label_of_total(frame: pd.DataFrame, word: str) -> bool:
    """Return whether a word of the last row is no label or text of a row like the others.

    It stands in a column of numbers or times, or in the only row with it, which has an empty cell.
    """
    column = next(j for j, cell in enumerate(frame.iloc[-1]) if isinstance(cell, str) and cell.strip() == word)
    above = frame.iloc[:-1, column]
    first = above.iloc[0]
    if not isinstance(first, str) or _is_value(first):
        return True
    return bool(frame.iloc[-1].isna().any()) and not (above == word).any()


def _without_blank_end(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the rows at its end that have no value."""
    end = len(frame)
    while end and frame.iloc[end - 1].isna().all():
        end -= 1
    return frame if end == len(frame) else frame.iloc[:end]
