"""Table files: CSV, JSON lines and Parquet in, CSV and Parquet out, with one-line errors that name the file."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import os
import re
import sys
import uuid
import warnings
import zlib
from pathlib import Path

import narwhals as nw
import pandas as pd

from rekur.core import DataError
from rekur.data.ingest.schema import Frame

__all__ = ["check_suffix", "read_file", "read_text", "write_bytes", "write_file"]

PARQUET_SUFFIXES = (".parquet", ".pq")
NEEDS_PARQUET = "Parquet needs pyarrow: pip install pyarrow"
BYTES_CHECKED = 10_000  # for zeros, which text does not have
MAX_SHOWN = 40  # characters of a line that an error shows


def _display_name(path: str) -> str:
    """Return the name of a file in errors."""
    return "standard input" if path == "-" else path


def _read_bytes(path: str) -> bytes:
    """Return the content of a file, or of standard input for "-", unpacked from gzip or xz."""
    name = _display_name(path)
    if path == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror or error}") from None
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
    return _utf8(_read_bytes(path), _display_name(path)).decode()


def _utf8(data: bytes, name: str) -> bytes:
    """Return UTF-8 text without its byte order mark, or raise a DataError that names the likely file format."""
    if data[:4] == b"PK\x03\x04":
        raise DataError(f"{name} is a zip or Excel file; save the sheet as CSV (UTF-8)")
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise DataError(f"{name} is not UTF-8 text but UTF-16; save it as CSV (UTF-8)")
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise DataError(f"{name} is not UTF-8 text (line {line}); save it as CSV (UTF-8)") from None
    if b"\0" in data[:BYTES_CHECKED]:
        raise DataError(f"{name} is not a text file; use a CSV or Parquet file")
    return data


def _csv_header(data: bytes, name: str) -> tuple[str, list[str]]:
    """Return the delimiter (comma, semicolon or tab) and the names in the first line that is not blank."""
    lines = (line.decode() for line in io.BytesIO(data))
    header = next((line for line in lines if line.strip()), "").rstrip("\r\n")
    if not header:
        raise DataError(f"{name} is empty: there is no data")
    unquoted = re.sub(r'"[^"]*"', "", header)
    delimiter = max(",;\t", key=unquoted.count)
    names = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))]
    if re.match(r"\d{4}-\d\d-\d\d", names[0]):
        raise DataError(f"{name} begins with data ({names[0]!r}), not with a header; put the column names in line 1")
    duplicate = next((cell for cell in names if cell and names.count(cell) > 1), None)
    if duplicate is not None:
        raise DataError(f"{name} has two columns named {duplicate!r}; rename one of them")
    return delimiter, names


def _parse_csv(data: bytes, name: str) -> pd.DataFrame:
    """Parse the UTF-8 text of a CSV file."""
    delimiter, names = _csv_header(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.BytesIO(data), sep=delimiter, index_col=False, low_memory=False, skipinitialspace=True
            )
    except pd.errors.ParserWarning:
        raise DataError(
            f"{name}: its rows have more values than the header has names ({len(names)}); correct line 1"
        ) from None
    except pd.errors.ParserError as error:
        why = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"{name} is not a regular CSV file: {why}") from None
    frame.columns = [str(column).strip() for column in frame.columns]
    first, unnamed = frame.columns[0], [column for column in frame.columns[1:] if column.startswith("Unnamed:")]
    frame = frame.drop(columns=[column for column in unnamed if frame[column].isna().all()])
    if first.startswith("Unnamed:"):  # an index that was written along: row numbers, or the times
        numbered = frame[first].dtype.kind == "i" and frame[first].tolist() == list(range(len(frame)))
        return frame.drop(columns=first) if numbered and frame.shape[1] > 2 else frame.rename(columns={first: "ds"})
    return frame


def _parse_json_lines(text: str, name: str) -> pd.DataFrame:
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
    return pd.DataFrame(rows)


def _parse_parquet(data: bytes, name: str) -> pd.DataFrame:
    """Parse the content of a Parquet file."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{name}: {NEEDS_PARQUET}") from None
    try:
        table = parquet.read_table(pyarrow.BufferReader(data))
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)  # each column is freed at once
        return frame
    except (OSError, ValueError) as error:
        raise DataError(f"{name} is not a readable Parquet file: {str(error).splitlines()[0]}") from None


def read_file(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table from CSV (comma, semicolon or tab), JSON lines or Parquet.

    CSV and JSON lines may be packed by gzip or xz. The format is recognised by the suffix or the first bytes.

    Parameters
    ----------
    path : str or path-like
        File name, or "-" for a CSV on standard input.

    Returns
    -------
    pandas.DataFrame
        At least one row.

    Raises
    ------
    DataError
        If the file is absent, unreadable, empty, damaged or no table; one line that names the file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder, "sales.csv"), b"ds;y\\n2024-01-01;1.5\\n")
    ...     read_file(f"{folder}/sales.csv")
               ds    y
    0  2024-01-01  1.5
    """
    path = os.fspath(path)
    name = _display_name(path)
    data = _read_bytes(path)
    if not data or data.isspace():
        raise DataError(f"{name} is empty: there is no data")
    if path.lower().endswith(PARQUET_SUFFIXES) or data[:4] == b"PAR1":
        frame = _parse_parquet(data, name)
    elif path.lower().removesuffix(".gz").removesuffix(".xz").endswith((".jsonl", ".ndjson")):
        frame = _parse_json_lines(_utf8(data, name).decode(), name)
    else:
        frame = _parse_csv(_utf8(data, name), name)
    if not len(frame):
        raise DataError(f"{name} has a header but no rows: there is no data")
    return frame


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise a DataError unless the suffix of a file name is that of a table that can be written.

    >>> check_suffix("forecast.csv")
    """
    name = os.fspath(path).lower()
    if not name.endswith((".csv", ".csv.gz", *PARQUET_SUFFIXES)) and Path(name).suffix:
        raise DataError(f"{path}: its suffix is not supported; use .csv, .csv.gz or .parquet")


def _encode(frame: Frame, path: Path) -> bytes:
    """Return a table in the format of the suffix of `path`."""
    table = nw.from_native(frame, eager_only=True)
    suffix = path.name.lower()
    if suffix.endswith(PARQUET_SUFFIXES):
        buffer = io.BytesIO()
        try:
            table.write_parquet(buffer)
        except ImportError:
            raise DataError(f"{path}: {NEEDS_PARQUET}") from None
        return buffer.getvalue()
    check_suffix(path)
    text = table.write_csv(None).encode()
    return gzip.compress(text, mtime=0) if suffix.endswith(".gz") else text


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
