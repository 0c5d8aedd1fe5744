"""Delimited text: encoding, delimiter, header and number format of a CSV file."""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from rekur.core import DataError
from rekur.data.ingest.header import drop_last_rows, find_header, join_clock, title_note
from rekur.data.ingest.number_formats import (
    DECIMAL_COMMA,
    NumberFormat,
    number_columns,
    number_notes,
    other_mark,
    read_numbers,
)
from rekur.data.ingest.parsing import is_time_text

__all__ = ["ParsedTable", "ReadOptions", "parse_csv", "to_utf8"]

DELIMITERS = (";", "\t", "|", ",")
HEAD_ROWS = 40  # in which delimiter and header are looked for
SAMPLED_ROWS, SAMPLED_CELLS = 1_000, 10_000  # whose numbers are looked at as text
BYTES_CHECKED = 10_000  # for zeros, which text does not have
CHUNK = 1 << 20
UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
DELIMITER_LINE = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)


@dataclass(frozen=True)
class ReadOptions:
    """Options of `rekur.data.read_file`.

    Parameters
    ----------
    decimal : {",", "."}, optional
        Decimal mark of numbers; None where the numbers show it.
    thousands : {",", ".", " ", "'"}, optional
        Separator of thousands; None where the numbers show it.
    sheet : str, optional
        Sheet of an Excel file.
    """

    decimal: str | None = None
    thousands: str | None = None
    sheet: str | None = None

    @property
    def mark(self) -> str | None:
        """Decimal mark that follows from the options."""
        return self.decimal or (other_mark(self.thousands) if self.thousands in (",", ".") else None)


class ParsedTable(NamedTuple):
    """A table of a file, notes on how it was read, questions about columns in doubt, and the place of its rows.

    lines_before: lines before a header that is counted as row 1; first_row: number of the first row below the header.

    >>> ParsedTable(pd.DataFrame()).lines_before
    0
    """

    frame: pd.DataFrame
    notes: Sequence[str] = ()
    doubts: Mapping[str, str] = MappingProxyType({})
    lines_before: int = 0
    first_row: int = 2


def to_utf8(data: bytes, name: str, fallback: bool = False) -> tuple[bytes, str]:
    """Return text as UTF-8 without byte order mark, and a note on its encoding if it was another one.

    UTF-16 is recognised by its byte order mark; with `fallback`, text that is not UTF-8 is read as Windows-1252.

    Raises
    ------
    DataError
        If the data are no text.
    """
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        try:
            data, note = data.decode("utf-16").encode(), "encoding UTF-16"
        except UnicodeError:
            raise DataError(f"{name} is damaged UTF-16 text; save it as CSV (UTF-8)") from None
    else:
        data, note = data.removeprefix(codecs.BOM_UTF8), ""
        start = None if data.isascii() else _first_invalid(data)
        if start is not None:
            line = data.count(b"\n", 0, start) + 1
            if not fallback or UTF8_SEQUENCE.search(data):
                raise DataError(f"{name} is not UTF-8 text (line {line}); save it as CSV (UTF-8)")
            try:
                data, note = data.decode("cp1252").encode(), "encoding Windows-1252 (cp1252), as it is not UTF-8"
            except UnicodeDecodeError:
                raise DataError(f"{name} is neither UTF-8 nor Windows-1252 text; save it as CSV (UTF-8)") from None
    if b"\0" in data[:BYTES_CHECKED]:
        raise DataError(f"{name} is not a text file; use a CSV, Excel or Parquet file")
    return data, note


def _first_invalid(data: bytes) -> int | None:
    """Return the position of the first byte that is not UTF-8, decoding in pieces."""
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(data)
    for start in range(0, len(data), CHUNK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(view[start : start + CHUNK], final=start + CHUNK >= len(data))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


class _Layout(NamedTuple):
    """Delimiter, names, position of the header in the bytes, lines before it and the note on them."""

    delimiter: str
    names: list[str]
    offset: int
    lines_before: int
    note: str


def _head(data: bytes, delimiter: str, offset: int, count: int = HEAD_ROWS) -> tuple[list[list[str]], list[int]]:
    """Return the first rows of a file after `offset`, and the number of lines up to the end of each."""
    handle = io.BytesIO(data)
    handle.seek(offset)
    reader = csv.reader(io.TextIOWrapper(handle, "utf-8", newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, lines = list[list[str]](), list[int]()
    try:
        for row in islice(reader, count):
            rows.append([cell.strip() for cell in row])
            lines.append(reader.line_num)
    except csv.Error:  # a field of more than 128 kB: what precedes it is enough
        pass
    return rows, lines


def _regularity(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Return how many rows have the same number of cells, two or more, and that number."""
    widths = [len(row) for row in rows if len(row) > 1]
    return max(((widths.count(width), width) for width in set(widths)), default=(0, 0))


def _layout(data: bytes, name: str) -> _Layout:
    """Find delimiter and header: lines of a title may stand before it."""
    hint = DELIMITER_LINE.match(data)
    start = hint.end() if hint else 0
    delimiters = (hint[1].decode("latin-1"),) if hint else DELIMITERS
    heads = {each: _head(data, each, start) for each in delimiters}
    delimiter = max(delimiters, key=lambda each: _regularity(heads[each][0])) if len(delimiters) > 1 else delimiters[0]
    if not _regularity(heads[delimiter][0])[0] and not hint:
        delimiter = ","
    rows, lines = heads[delimiter]
    if not any(any(row) for row in rows):
        raise DataError(f"{name} is empty: there is no data")
    k = find_header(rows)
    before, names = lines[k - 1] if k else 0, rows[k]
    offset = start
    for _ in range(before):
        offset = data.index(b"\n", offset) + 1
    cells = [cell for cell in names if cell]
    times = [is_time_text(cell) for cell in cells]
    if re.match(r"\d{4}-\d\d-\d\d", names[0]) or (
        any(times) and all(time or NumberFormat.of([cell]).numeric for time, cell in zip(times, cells, strict=True))
    ):
        raise DataError(f"{name} begins with data ({names[0]!r}), not with a header; put the column names in line 1")
    duplicate = next((cell for cell in cells if names.count(cell) > 1), None)
    if duplicate is not None:
        raise DataError(f"{name} has two columns named {duplicate!r}; rename one of them")
    names = [cell or f"Unnamed: {j}" for j, cell in enumerate(names)]
    return _Layout(delimiter, names, offset, before + (start > 0), title_note(rows, k))


def _read_frame(data: bytes, name: str, layout: _Layout, decimal: str, texts: Sequence[str]) -> pd.DataFrame:
    """Parse the rows of a CSV file, the columns `texts` as text."""
    handle = io.BytesIO(data)
    handle.seek(layout.offset)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                handle,
                sep=layout.delimiter,
                header=0,
                names=layout.names,
                index_col=False,
                low_memory=False,
                skipinitialspace=True,
                decimal=decimal,
                dtype=dict.fromkeys(texts, str),
            )
    except pd.errors.ParserWarning:
        raise DataError(
            f"{name}: its rows have more values than the header has names ({len(layout.names)}); correct line "
            f"{layout.lines_before + 1}, or quote numbers with a decimal comma"
        ) from None
    except pd.errors.ParserError as error:
        why = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"{name} is not a regular CSV file: {why}") from None
    return frame


def _formats(frame: pd.DataFrame) -> dict[str, NumberFormat]:
    """Return the format of each column of text that holds numbers."""
    texts = number_columns(frame)
    forms = {name: NumberFormat.of(str(label) for label in pd.unique(frame[name].dropna())) for name in texts}
    return {name: form for name, form in forms.items() if form.numeric}


def _sample(data: bytes, layout: _Layout) -> dict[str, NumberFormat]:
    """Return the format of each column that holds numbers in the first rows."""
    count = min(SAMPLED_ROWS, max(HEAD_ROWS, SAMPLED_CELLS // len(layout.names)))
    rows, _ = _head(data, layout.delimiter, layout.offset, count + 1)
    forms = zip(layout.names, map(NumberFormat.of, zip_longest(*rows[1:], fillvalue="")), strict=False)
    return {name: form for name, form in forms if form.numeric}


def _shown(forms: dict[str, NumberFormat]) -> set[str]:
    """Return the decimal marks that the columns of a file show."""
    return {mark for form in forms.values() for mark in form.marks if len(mark) == 1}


def parse_csv(data: bytes, name: str, options: ReadOptions) -> ParsedTable:
    """Parse the UTF-8 text of a CSV file.

    Raises
    ------
    DataError
        If it is no table.
    """
    layout = _layout(data, name)
    sample = _sample(data, layout)
    shown = _shown(sample)
    frame, doubt = _parse_numbers_as(data, name, layout, sample, options.mark, shown)
    later = shown | _shown(_formats(frame))
    if later != shown and options.mark is None:  # rows after the sample show another decimal mark
        shown = later
        frame, doubt = _parse_numbers_as(data, name, layout, sample, None, shown)
    native = [each for each, form in sample.items() if "," in form.marks and frame[each].dtype.kind == "f"]
    frame, total = drop_last_rows(_without_index(frame))
    frame, joined = join_clock(frame)
    numbers = read_numbers(frame, options.decimal, options.thousands, doubt, typed=False)
    if native:
        numbers.kinds[DECIMAL_COMMA] = native + numbers.kinds.get(DECIMAL_COMMA, [])
    notes = [note for note in (layout.note, total, joined, *number_notes(numbers.kinds)) if note]
    return ParsedTable(numbers.frame, notes, numbers.doubts, layout.lines_before)


def _parse_numbers_as(
    data: bytes, name: str, layout: _Layout, sample: dict[str, NumberFormat], mark: str | None, shown: set[str]
) -> tuple[pd.DataFrame, dict[str, str | None]]:
    """Parse a CSV file whose columns show the decimal marks `shown`, or by the mark of the user.

    Returns the frame and the decimal mark of columns that show none, for each mark that may be it. Columns in doubt,
    and those with leading zeros, stay text.
    """
    single = mark or (next(iter(shown)) if len(shown) == 1 else None)
    european = layout.delimiter == ";" or len(shown) > 1  # a point may separate thousands
    doubt = {",": single, ".": single or (None if european else ".")}
    decimal = "," if single == "," else "."
    texts = [each for each, form in sample.items() if form.padded or (single is None and _in_doubt(form, doubt))]
    return _read_frame(data, name, layout, decimal, texts), doubt


def _in_doubt(form: NumberFormat, doubt: dict[str, str | None]) -> bool:
    """Return whether nothing tells the decimal mark of a column."""
    return form.doubtful is not None and doubt[form.doubtful] is None


def _without_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without empty columns that have no name, and without an index that was written along.

    Row numbers are dropped; another index without name is taken for the times.
    """
    first, unnamed = frame.columns[0], [column for column in frame.columns[1:] if column.startswith("Unnamed:")]
    frame = frame.drop(columns=[column for column in unnamed if frame[column].isna().all()])
    if first.startswith("Unnamed:"):
        numbered = frame[first].dtype.kind == "i" and frame[first].tolist() == list(range(len(frame)))
        return frame.drop(columns=first) if numbered and frame.shape[1] > 2 else frame.rename(columns={first: "ds"})
    return frame
