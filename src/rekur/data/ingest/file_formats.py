"""Excel, JSON, Parquet and Feather files as tables."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable, Sequence

import pandas as pd

from rekur.core import DataError, OptionError, nearest
from rekur.data.ingest.delimited import ParsedTable, ReadOptions
from rekur.data.ingest.header import drop_last_rows, find_header, title_note
from rekur.data.ingest.number_formats import number_notes, read_numbers
from rekur.data.ingest.schema import quoted

__all__ = [
    "NEEDS_EXCEL",
    "NEEDS_PARQUET",
    "parse_columnar",
    "parse_excel",
    "parse_json",
    "parse_json_lines",
    "unzip",
    "zip_members",
]

NEEDS_PARQUET = "Parquet and Feather need pyarrow: pip install pyarrow"
NEEDS_EXCEL = "Excel files need openpyxl: pip install openpyxl"
MAX_SHOWN = 40  # characters of a line that an error shows
HEAD_ROWS = 100  # in which the header of a sheet is looked for


def _with_numbers(
    frame: pd.DataFrame, options: ReadOptions, notes: Sequence[str] = (), first_row: int = 2
) -> ParsedTable:
    """Return a table of a format that has types, with the numbers that it holds as text."""
    numbers = read_numbers(frame, options.decimal, options.thousands)
    return ParsedTable(numbers.frame, [*notes, *number_notes(numbers.kinds)], numbers.doubts, first_row=first_row)


def parse_json_lines(text: str, name: str, options: ReadOptions) -> ParsedTable:
    """Parse JSON lines: one object each, whose keys are the columns."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"line {number} of {name} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {name} is not a JSON object but {line.strip()[:MAX_SHOWN]!r}")
        rows.append(row)
    return _with_numbers(pd.DataFrame(rows), options)


def parse_json(text: str, name: str, options: ReadOptions) -> ParsedTable:
    """Parse a JSON array of objects, whose keys are the columns, or JSON lines."""
    try:
        rows = json.loads(text)
    except ValueError as error:
        first = text.lstrip().split("\n", 1)[0].strip()
        if first.startswith("{") and first.endswith("}"):
            return parse_json_lines(text, name, options)
        raise DataError(f"{name} is not JSON: {error}") from None
    if isinstance(rows, dict) and not any(isinstance(value, (dict, list)) for value in rows.values()):
        rows = [rows]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f'{name} is not a JSON array of objects, one a row, such as [{{"ds": "2024-01-31", "y": 1}}, …]'
        )
    return _with_numbers(pd.DataFrame(rows), options)


def parse_columnar(data: bytes, name: str, options: ReadOptions) -> ParsedTable:
    """Parse the content of a Parquet or Feather file."""
    try:
        import pyarrow
        from pyarrow import feather, parquet
    except ImportError:
        raise DataError(f"{name}: {NEEDS_PARQUET}") from None
    is_feather = data[:6] == b"ARROW1" or data[:4] == b"FEA1"
    read: Callable[..., pyarrow.Table] = feather.read_table if is_feather else parquet.read_table
    try:
        table = read(pyarrow.BufferReader(data))
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)  # each column is freed at once
    except (OSError, ValueError) as error:
        kind = "Feather" if is_feather else "Parquet"
        raise DataError(f"{name} is not a readable {kind} file: {str(error).splitlines()[0]}") from None
    return _with_numbers(frame, options)


def parse_excel(data: bytes, name: str, options: ReadOptions) -> ParsedTable:
    """Parse a sheet of an Excel file (.xlsx): the one named, or the only one with data.

    Raises
    ------
    DataError
        If it cannot be read, or has several sheets.
    OptionError
        If there is no sheet of that name.
    """
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise DataError(f"{name}: {NEEDS_EXCEL}, or save the sheet as CSV (UTF-8)") from None
    try:
        with pd.ExcelFile(io.BytesIO(data), engine="openpyxl") as book:
            cells, notes = _sheet(book, name, options.sheet)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        if isinstance(error, (DataError, OptionError)):
            raise
        raise DataError(f"{name} is not a readable Excel file: {str(error).splitlines()[0]}") from None
    head = [["" if pd.isna(cell) else str(cell) for cell in row] for row in cells.head(HEAD_ROWS).to_numpy()]
    k = find_header(head)
    names = [cell.strip() for cell in head[k]]
    duplicate = next((each for each in names if each and names.count(each) > 1), None)
    if duplicate is not None:
        raise DataError(f"{name} has two columns named {duplicate!r}; rename one of them")
    frame = cells.iloc[k + 1 :].reset_index(drop=True)
    frame.columns = [each or f"Unnamed: {j}" for j, each in enumerate(names)]
    unnamed = [each for each in frame.columns if each.startswith("Unnamed:") and frame[each].isna().all()]
    frame = frame.drop(columns=unnamed)
    frame, total = drop_last_rows(frame.infer_objects())
    notes = [note for note in (*notes, title_note(head, k), total) if note]
    return _with_numbers(frame.infer_objects(), options, notes, k + 2)


def _sheet(book: pd.ExcelFile, name: str, sheet: str | None) -> tuple[pd.DataFrame, list[str]]:
    """Return the cells of a sheet, and a note that names it where there are several."""
    sheets = [str(each) for each in book.sheet_names]
    if sheet is not None and sheet not in sheets:
        raise OptionError(f"{name} has no sheet {sheet!r}; its sheets are {quoted(sheets)}{nearest(sheet, sheets)}")
    chosen = [sheet] if sheet is not None else sheets
    tables = {each: pd.read_excel(book, sheet_name=each, header=None) for each in chosen}
    filled = [each for each, table in tables.items() if table.notna().to_numpy().any()]
    if not filled:
        raise DataError(f"{name} has no cell with data{f' in sheet {sheet!r}' if sheet else ''}")
    if len(filled) > 1:
        raise DataError(f"{name} has {len(filled)} sheets, {quoted(filled)}: name one of them with sheet=")
    table = tables[filled[0]]
    return table, [f"sheet {filled[0]!r}"] if len(sheets) > 1 else []


def zip_members(data: bytes, name: str) -> list[str]:
    """Return the names of the files in a zip archive; none for an Excel file (.xlsx), which is one, too.

    Raises
    ------
    DataError
        If the archive is damaged, or a sheet of another format.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> with zipfile.ZipFile(buffer, "w") as archive:
    ...     archive.writestr("sales.csv", "ds,y")
    >>> zip_members(buffer.getvalue(), "sales.zip")
    ['sales.csv']
    """
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        raise DataError(f"{name} is a damaged zip or Excel file; save the sheet again, or as CSV (UTF-8)") from None
    if "xl/workbook.xml" in members:
        return []
    if "xl/workbook.bin" in members or "mimetype" in members:
        raise DataError(f"{name} is a sheet of another format than .xlsx; save it as .xlsx or CSV (UTF-8)")
    return [member for member in members if not member.endswith("/")]


def unzip(data: bytes, member: str, name: str) -> bytes:
    """Return the content of a file in a zip archive.

    Raises
    ------
    DataError
        If it is damaged, encrypted or packed by another method.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> with zipfile.ZipFile(buffer, "w") as archive:
    ...     archive.writestr("sales.csv", "ds,y")
    >>> unzip(buffer.getvalue(), "sales.csv", "sales.zip")
    b'ds,y'
    """
    try:
        return zipfile.ZipFile(io.BytesIO(data)).read(member)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:  # encrypted, too
        raise DataError(f"{member} of {name} cannot be unpacked: {error}; unpack it, then name the file") from None
