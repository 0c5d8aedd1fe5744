"""Tables from and to files: CSV, CSV.gz and Parquet, with one-line errors that name the file."""

from __future__ import annotations

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
from typing import Any

import narwhals as nw
import pandas as pd

from rekur.core import DataError

__all__ = ["check_suffix", "read", "store", "text", "write"]

PARQUET = (".parquet", ".pq")
NEEDS_PARQUET = 'Parquet needs pyarrow: pip install "rekur[parquet]"'


def _bytes(path: str, name: str) -> bytes:
    """Return what the file holds, unpacked."""
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


def text(path: str) -> str:
    """The text of a file, or of standard input for "-": UTF-8, also packed by gzip or xz."""
    name = "standard input" if path == "-" else path
    return _text(_bytes(path, name), name)


def _text(data: bytes, name: str) -> str:
    """Decode UTF-8, or say what the file seems to be instead."""
    if data[:4] == b"PK\x03\x04":
        raise DataError(f"{name} is a zip or Excel file; save the sheet as CSV (UTF-8)")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is not UTF-8 text but UTF-16; save it as CSV (UTF-8)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{name} is not UTF-8 text (line {line}); save it as CSV (UTF-8)") from None
    if "\0" in text[:10_000]:
        raise DataError(f"{name} is not a text file; a CSV or Parquet file is needed")
    return text


def _header(text: str, name: str) -> tuple[str, list[str]]:
    """Return the delimiter (comma, semicolon or tab) and the names in the first line that is not blank."""
    line = next((part for part in io.StringIO(text) if part.strip()), "").rstrip("\r\n")
    if not line:
        raise DataError(f"{name} is empty: there is no data")
    outside = re.sub(r'"[^"]*"', "", line)
    delimiter = max(",;\t", key=outside.count)
    names = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    if re.match(r"\d{4}-\d\d-\d\d", names[0]):
        raise DataError(f"{name} begins with data ({names[0]!r}), not with a header; put the column names in line 1")
    doubled = next((cell for cell in names if cell and names.count(cell) > 1), None)
    if doubled is not None:
        raise DataError(f"{name} has two columns named {doubled!r}; rename one of them")
    return delimiter, names


def _csv(text: str, name: str) -> pd.DataFrame:
    """Parse the text of a CSV file."""
    delimiter, names = _header(text, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text), sep=delimiter, index_col=False, low_memory=False, skipinitialspace=True
            )
    except pd.errors.ParserWarning:
        raise DataError(
            f"{name}: its rows have more values than the header has names ({len(names)}); mend line 1"
        ) from None
    except pd.errors.ParserError as error:
        why = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(f"{name} is not a regular CSV file: {why}") from None
    frame.columns = [str(c).strip() for c in frame.columns]
    first, rest = frame.columns[0], [c for c in frame.columns[1:] if c.startswith("Unnamed:")]
    frame = frame.drop(columns=[c for c in rest if frame[c].isna().all()])
    if first.startswith("Unnamed:"):  # an index that was written along: a count, or the times
        counted = frame[first].dtype.kind == "i" and frame[first].tolist() == list(range(len(frame)))
        return frame.drop(columns=first) if counted and frame.shape[1] > 2 else frame.rename(columns={first: "ds"})
    return frame


def _lines(text: str, name: str) -> pd.DataFrame:
    """Parse JSON lines: an object each, whose keys are the columns."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"line {number} of {name} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {name} is no object but {line.strip()[:40]!r}")
        rows.append(row)
    return pd.DataFrame(rows)


def _parquet(data: bytes, name: str) -> pd.DataFrame:
    """Read the bytes of a Parquet file."""
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


def read(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table from CSV (comma, semicolon or tab), JSON lines (both also packed by gzip or xz) or Parquet.

    Parameters
    ----------
    path : file name, or "-" for a CSV on standard input

    Returns
    -------
    pandas.DataFrame with at least one row

    Raises
    ------
    DataError : the file is absent, unreadable, empty, damaged or no table; one line that names it.

    Examples
    --------
    >>> read("sales.csv")  # doctest: +SKIP
    """
    path = os.fspath(path)
    name = "standard input" if path == "-" else path
    data = _bytes(path, name)
    if not data.strip():
        raise DataError(f"{name} is empty: there is no data")
    if path.lower().endswith(PARQUET) or data[:4] == b"PAR1":
        frame = _parquet(data, name)
    elif path.lower().removesuffix(".gz").removesuffix(".xz").endswith((".jsonl", ".ndjson")):
        frame = _lines(_text(data, name), name)
    else:
        frame = _csv(_text(data, name), name)
    if not len(frame):
        raise DataError(f"{name} has a header but no rows: there is no data")
    return frame


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Raise a DataError unless a table can be written under this name."""
    name = os.fspath(path).lower()
    if not name.endswith((".csv", ".csv.gz", *PARQUET)) and Path(name).suffix:
        raise DataError(f"{path}: its suffix is not known; use .csv, .csv.gz or .parquet")


def _packed(frame: Any, path: Path) -> bytes:
    """Return the bytes of a table in the format that the suffix of `path` names."""
    table = nw.from_native(frame, eager_only=True)
    suffix = path.name.lower()
    if suffix.endswith(PARQUET):
        into = io.BytesIO()
        try:
            table.write_parquet(into)
        except ImportError:
            raise DataError(f"{path}: {NEEDS_PARQUET}") from None
        return into.getvalue()
    check_suffix(path)
    text = table.write_csv(None).encode()
    return gzip.compress(text, mtime=0) if suffix.endswith(".gz") else text


def store(path: Path, data: bytes) -> None:
    """Write bytes to a file beside `path`, which then takes its place; an OSError leaves nothing behind."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}") if path.name else path
    try:
        if path.exists() and not path.is_file():  # a folder, a pipe or a device
            path.write_bytes(data)
            return
        with beside.open("xb") as file:
            file.write(data)
        beside.replace(path)
    except OSError:
        if beside != path and beside.parent.is_dir():
            beside.unlink(missing_ok=True)
        raise


def write(frame: Any, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV, CSV.gz or Parquet, by the suffix of its name; either whole or not at all.

    Parameters
    ----------
    frame : pandas, polars or pyarrow table
    path : file name ending in .csv, .csv.gz, .parquet or .pq

    Raises
    ------
    DataError : the suffix is not known or the file cannot be written; nothing is left behind then.

    Examples
    --------
    >>> write(pd.DataFrame({"y": [1.0]}), "forecast.csv")  # doctest: +SKIP
    """
    path = Path(path)
    data = _packed(frame, path)
    try:
        store(path, data)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
