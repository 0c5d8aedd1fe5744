"""Table files: CSV, Excel, JSON, Parquet, Feather in, CSV and Parquet out, with one-line errors that name the file."""

from __future__ import annotations

import glob
import gzip
import io
import lzma
import os
import re
import sys
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import DataError, OptionError
from rekur.data.ingest.delimited import ParsedTable, ReadOptions, parse_csv, to_utf8
from rekur.data.ingest.file_formats import (
    NEEDS_PARQUET,
    parse_columnar,
    parse_excel,
    parse_json,
    parse_json_lines,
    unzip,
    zip_members,
)
from rekur.data.ingest.number_formats import check_separators, holds_text
from rekur.data.ingest.parsing import FILE_ATTRIBUTES
from rekur.data.ingest.schema import ID_COLUMNS, Frame, as_table, quoted, time_columns

__all__ = ["check_suffix", "expand", "read_file", "read_text", "write_bytes", "write_file"]

PARQUET_SUFFIXES = (".parquet", ".pq")
COLUMNAR_SUFFIXES = (*PARQUET_SUFFIXES, ".feather", ".arrow")
TEXT_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
ZIP_SUFFIX = ".zip"
ZIP = b"PK\x03\x04"
OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
MAX_INDENT = 1_000  # blanks before a JSON array


def _display_name(path: str) -> str:
    """Return the name of a file in errors."""
    return "standard input" if path == "-" else path


def _read_bytes(path: str) -> bytes:
    """Return the content of a file, or of standard input for "-", unpacked from gzip or xz."""
    name = _display_name(path)
    if path == "-":
        data = sys.stdin.buffer.read()
    elif ADDRESS.match(path):
        raise DataError(f"{path} is an address, not a file: download it first, then name the file")
    else:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror or error}") from None
    return _unpacked(data, name)


def _unpacked(data: bytes, name: str) -> bytes:
    """Return data unpacked from gzip or xz; other data as they are."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{name} is a damaged gzip file: {error}") from None
    if data[:6] == b"\xfd7zXZ\x00":
        try:
            data = lzma.decompress(data)
        except (lzma.LZMAError, EOFError) as error:
            raise DataError(f"{name} is a damaged xz file: {error}") from None
    return data


def read_text(path: str) -> str:
    """Read a text file in UTF-8, also packed by gzip or xz.

    Parameters
    ----------
    path : str
        File name, or "-" for standard input.

    Returns
    -------
    str

    Raises
    ------
    DataError
        If the file is absent, damaged or not UTF-8 text.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder, "a.txt"), "Grüße".encode())
    ...     read_text(f"{folder}/a.txt")
    'Grüße'
    """
    return to_utf8(_read_bytes(path), _display_name(path))[0].decode()


def read_file(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    sheet: str | None = None,
) -> pd.DataFrame:
    """Read a table from CSV, Excel, JSON, JSON lines, Parquet or Feather, or from several files of the same columns.

    The format is recognised by the suffix or the first bytes; text may be packed by gzip or xz, one table by zip. Of a
    CSV the delimiter (comma, semicolon, tab or |), the encoding (UTF-8, UTF-16, Windows-1252), the header below lines
    of a title, decimal commas, separators of thousands, and signs of currency and percent are recognised. What was
    recognised is said in the notes of a forecast.

    Parameters
    ----------
    path : str, path-like or sequence of them
        File name, folder, pattern such as "sales/*.csv", several of them, or "-" for standard input.
    decimal : {",", "."}, optional
        Decimal mark of numbers; None where they show it.
    thousands : {",", ".", " ", "'"}, optional
        Separator of thousands; None where the numbers show it.
    sheet : str, optional
        Sheet of an Excel file; None for the only one.

    Returns
    -------
    pandas.DataFrame
        At least one row.

    Raises
    ------
    DataError
        If a file is absent, unreadable, empty, damaged or no table; one line that names the file.
    OptionError
        If the separators contradict each other, or there is no such sheet.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder, "sales.csv"), b"ds;y\\n2024-01-01;1,5\\n")
    ...     read_file(f"{folder}/sales.csv")
               ds    y
    0  2024-01-01  1.5
    """
    check_separators(decimal, thousands)
    options = ReadOptions(decimal, thousands, sheet)
    paths = expand(path)
    if len(paths) == 1:
        return _with_attributes(_read_table(paths[0], options))
    return _with_attributes(_concatenated(paths, [_read_table(each, options) for each in paths]))


def _read_table(path: str, options: ReadOptions) -> ParsedTable:
    """Read one file, or the only table of a zip archive."""
    name, data = _display_name(path), _read_bytes(path)
    members = zip_members(data, name) if data[:4] == ZIP else []
    if not members:
        return _parse(data, path, name, options)
    tables = [member for member in members if _is_table(os.path.basename(member))]
    if len(tables) != 1:
        kind, names = (f"of {len(tables)} tables", tables) if tables else ("without a table", members)
        raise DataError(f"{name} is a zip archive {kind}, {quoted(names, 6)}; unpack it and name the file to read")
    source = f"{tables[0]} of {name}"
    table = _parse(_unpacked(unzip(data, tables[0], name), source), tables[0], source, options)
    return table._replace(notes=[f"table {tables[0]!r}", *table.notes]) if len(members) > 1 else table


def _parse(data: bytes, path: str, name: str, options: ReadOptions) -> ParsedTable:
    """Parse the content of a file in the format of its first bytes or its suffix."""
    suffixes = path.lower().removesuffix(".gz").removesuffix(".xz")
    if not data or data.isspace():
        raise DataError(f"{name} is empty: there is no data")
    if data[:4] == ZIP:
        table = parse_excel(data, name, options)
    elif options.sheet is not None:
        raise OptionError(f"sheet={options.sheet!r}: {name} is no Excel file; leave it out")
    elif path.lower().endswith(COLUMNAR_SUFFIXES) or data[:4] in (b"PAR1", b"FEA1") or data[:6] == b"ARROW1":
        table = parse_columnar(data, name, options)
    elif data[:8] == OLD_EXCEL:
        raise DataError(f"{name} is an Excel file of the old format (.xls); save it as .xlsx or CSV (UTF-8)")
    else:
        text, note = to_utf8(data, name, fallback=True)
        del data
        if suffixes.endswith((".jsonl", ".ndjson")):
            table = parse_json_lines(text.decode(), name, options)
        elif suffixes.endswith(".json") or text[:MAX_INDENT].lstrip()[:1] == b"[":
            table = parse_json(text.decode(), name, options)
        else:
            table = parse_csv(text, name, options)
        table = table._replace(notes=[*([note] if note else []), *table.notes])
    if not len(table.frame):
        raise DataError(f"{name} has a header but no rows: there is no data")
    return table


def expand(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the names of the files that a path, folder, pattern or several of them name.

    Raises
    ------
    DataError
        If a folder or pattern has no table.

    Examples
    --------
    >>> expand("sales.csv")
    ['sales.csv']
    """
    if not isinstance(path, (str, os.PathLike)):
        return [name for each in path for name in expand(each)]
    name = os.fspath(path)
    if os.path.isdir(name):
        names = sorted(os.path.join(name, each) for each in os.listdir(name) if _is_table(each, ZIP_SUFFIX))
        if not names:
            raise DataError(f"the folder {name} holds no table ({', '.join(TEXT_SUFFIXES[:2])}, .xlsx, .parquet, …)")
        return names
    if glob.has_magic(name) and not os.path.exists(name):
        names = sorted(each for each in glob.glob(name, recursive=True) if os.path.isfile(each))
        if not names:
            raise DataError(f"no file matches {name}")
        return names
    return [name]


def _is_table(name: str, *others: str) -> bool:
    """Return whether a file name has the suffix of a table, or one of `others`; hidden files are none."""
    unpacked = name.lower().removesuffix(".gz").removesuffix(".xz")
    suffixes = (*TEXT_SUFFIXES, *COLUMNAR_SUFFIXES, ".xlsx", *others)
    return not name.startswith((".", "~$")) and unpacked.endswith(suffixes)


def _concatenated(paths: Sequence[str], tables: Sequence[ParsedTable]) -> ParsedTable:
    """Return the rows of several files of the same columns, one file after another."""
    first = list(tables[0].frame.columns)
    for path, table in zip(paths, tables, strict=True):
        columns = list(table.frame.columns)
        if set(columns) != set(first):
            lacking, more = [c for c in first if c not in columns], [c for c in columns if c not in first]
            differences = [f"lacks {quoted(lacking, 4)}"] if lacking else []
            differences += [f"has {quoted(more, 4)} besides"] if more else []
            raise DataError(
                f"{path} {' and '.join(differences)} in comparison with {paths[0]}; give all the same columns"
            )
    frame = pd.concat([table.frame[first] for table in tables], ignore_index=True)
    notes = [f"{len(paths)} files read as one table: {quoted(map(os.path.basename, paths), limit=3)}"]
    notes += dict.fromkeys(note for table in tables for note in table.notes)
    if _is_series_each(frame, [len(table.frame) for table in tables]):
        frame.insert(0, ID_COLUMNS[0], np.repeat(_file_labels(paths), [len(table.frame) for table in tables]))
        notes.append(f"each file was taken as a series, named {ID_COLUMNS[0]!r} by its file")
    return ParsedTable(frame, notes, {name: text for table in tables for name, text in table.doubts.items()})


def _is_series_each(frame: pd.DataFrame, rows: Sequence[int]) -> bool:
    """Return whether files, of so many rows each, are series of the same times without a column of their names.

    No time occurs twice in a file, and most of them occur in several files.
    """
    times = time_columns(as_table(frame, "the files"))
    names = {str(name).strip().lower() for name in frame.columns} & set(ID_COLUMNS)
    texts = [name for name in frame.columns if name not in times and holds_text(frame[name].dtype)]
    if names or texts or len(times) != 1:
        return False
    column, file = frame[times[0]], np.repeat(np.arange(len(rows)), rows)
    twice = pd.DataFrame({"file": file, "time": column}).duplicated().any()
    return not twice and bool(2 * column.duplicated(keep=False).sum() > len(frame))


def _file_labels(paths: Sequence[str]) -> list[str]:
    """Return the names of files without folder and suffix, or with the folder where names occur twice."""
    plain = [re.sub(r"(\.[A-Za-z]+){1,2}$", "", os.path.basename(path)) for path in paths]
    return plain if len(set(plain)) == len(plain) else [os.fspath(path) for path in paths]


def _with_attributes(table: ParsedTable) -> pd.DataFrame:
    """Return the frame of a table with what is known of its file as attributes."""
    place = f" (header in line {table.lines_before + 1}, which is row 1)" if table.lines_before else ""
    known = {"notes": list(table.notes), "doubts": dict(table.doubts), "place": place, "first_row": table.first_row}
    table.frame.attrs[FILE_ATTRIBUTES] = known
    return table.frame


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise a DataError unless the suffix of a file name is that of a table that can be written.

    >>> check_suffix("forecast.csv")
    """
    name = os.fspath(path).lower()
    if not name.endswith((".csv", ".csv.gz", *PARQUET_SUFFIXES)) and Path(name).suffix:
        raise DataError(f"{path}: its suffix is not supported; use .csv, .csv.gz or .parquet")


def _encode(frame: Frame, path: Path) -> bytes:
    """Return a table in the format of the suffix of `path`."""
    table, buffer = nw.from_native(frame, eager_only=True), io.BytesIO()
    suffix = path.name.lower()
    if suffix.endswith(PARQUET_SUFFIXES):
        try:
            table.write_parquet(buffer)
        except ImportError:
            raise DataError(f"{path}: {NEEDS_PARQUET}") from None
        return buffer.getvalue()
    check_suffix(path)
    table.write_csv(buffer)
    return gzip.compress(buffer.getvalue(), mtime=0) if suffix.endswith(".gz") else buffer.getvalue()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: a temporary file in the same folder is renamed, and removed on an OSError.

    Parameters
    ----------
    path : pathlib.Path
        File name; a device or pipe is written to directly.
    data : bytes
        The content.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder, "a.bin"), b"abc")
    ...     Path(folder, "a.bin").read_bytes()
    b'abc'
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}") if path.name else path
    try:
        if path.exists() and not path.is_file():  # a folder, a pipe or a device
            path.write_bytes(data)
            return
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError:
        if temporary != path and temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise


def write_file(frame: Frame, path: str | os.PathLike[str]) -> None:
    """Write a table atomically as CSV, CSV.gz or Parquet, by the suffix of its name.

    Parameters
    ----------
    frame : pandas, polars or pyarrow table
        The table.
    path : str or path-like
        File name ending in .csv, .csv.gz, .parquet or .pq.

    Raises
    ------
    DataError
        If the suffix is not supported or the file cannot be written; no partial file remains.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(pd.DataFrame({"y": [1.0]}), f"{folder}/forecast.csv")
    ...     read_text(f"{folder}/forecast.csv")
    'y\\n1.0\\n'
    """
    path = Path(path)
    data = _encode(frame, path)
    try:
        write_bytes(path, data)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
