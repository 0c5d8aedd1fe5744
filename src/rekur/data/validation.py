"""Validation of user arrays: numbers, lengths and weights as tensors, errors that name the place."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from rekur.core import DataError
from rekur.data.batching import PaddedArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array

UserData: TypeAlias = Any
"""Data of a user: an array, a list, a frame or anything else."""

MAX_HASHES = 1000
"""Rows of the training data by whose hashes a model recognises them, at most."""

HASH_BYTES, HASHED_NUMBERS = 8, 20_000


def floats(name: str, values: ArrayLike, axes: str) -> Tensor:
    """Array as a float32 tensor; `axes` names its axes, as in "BTI". The first value that is not finite is an error."""
    import torch

    try:
        array = as_array(values)
        if array.dtype.kind == "c":
            raise DataError(f"Complex data not supported: {name} must hold real numbers")
        array = array.astype(np.float32, copy=False)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} cannot be read as numbers: {error}") from error
    if array.ndim != len(axes):
        raise DataError(
            f"{name} must have the axes ({', '.join(axes)}), got the shape {array.shape}. Reshape your data"
        )
    if 0 in array.shape:
        raise DataError(f"{name} is empty: its shape is {array.shape}")
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        place = ", ".join(f"{axis}={k}" for axis, k in zip(axes, at, strict=True))
        value = "NaN" if np.isnan(array[at]) else array[at]
        raise DataError(f"{name} holds {value} at {place}; remove or fill it first")
    return torch.from_numpy(np.ascontiguousarray(array))


def as_array(values: UserData) -> Array:
    """Values as a numpy array; a torch tensor without its gradient, half precision as float32.

    >>> import torch
    >>> as_array(torch.ones(2, dtype=torch.bfloat16, requires_grad=True)).dtype
    dtype('float32')
    """
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return np.asarray(tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor)
    return np.asarray(values)


def whole_lengths(lengths: ArrayLike | None, B: int, T: int) -> Tensor | None:
    """Lengths (B,) as int64, each in 1 … T."""
    import torch

    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.shape != (B,) or not np.issubdtype(array.dtype, np.integer) or array.min() < 1 or array.max() > T:
        raise DataError(f"lengths must be {B} whole numbers in 1 … {T}")
    return torch.from_numpy(array.astype(np.int64))


def row_weights(weights: ArrayLike, B: int) -> Tensor:
    """Weights (B,) of rows as float32: finite, none negative, not all zero."""
    if isinstance(weights, int | float):
        raise DataError(f"sample_weight must be {B} numbers, got {weights!r}; pass other options by name: epochs=10")
    tensor = floats("sample_weight", weights, "B")
    if len(tensor) != B or bool((tensor < 0).any()) or not bool(tensor.any()):
        raise DataError(f"sample_weight must be {B} numbers, none negative and not all zero")
    return tensor


def as_sequences(x: UserData, lengths: ArrayLike | None = None) -> UserData:
    """x as an array or a list, with lengths; an array (B, I) becomes sequences of one step, (B, 1, I)."""
    _refuse_single(x)
    if hasattr(x, "tocsr"):
        raise DataError("sparse input is not supported: pass an array, such as x.toarray()")
    if hasattr(x, "__array__"):
        table, x = hasattr(x, "columns"), as_array(x)
        if table and x.dtype.kind in "OU" and any(isinstance(cell, str) for cell in x.flat):
            raise DataError("x is a table with texts: pass one of its columns, such as x['text']")
        x = list(x) if x.dtype == object and x.ndim == 1 else x
    if is_matrix(x):
        x = np.asarray(x)[:, None, :]
    return x if lengths is None else PaddedArray(x, np.asarray(lengths))


def is_matrix(x: UserData) -> bool:
    """Whether x is an array (B, I), or lists of numbers of such shape."""
    if isinstance(x, np.ndarray):
        return x.ndim == 2 and x.dtype.kind not in "SU"
    return isinstance(x, list) and len(x) > 0 and all(is_number_row(row) for row in x) and len(set(map(len, x))) == 1


def is_number_row(row: object) -> bool:
    """Whether a row is a list or array of numbers."""
    return (isinstance(row, np.ndarray) and row.ndim == 1 and row.dtype.kind not in "OSU") or (
        isinstance(row, list) and len(row) > 0 and all(isinstance(value, int | float) for value in row)
    )


def _refuse_single(x: UserData) -> None:
    """Raise a DataError for one text or one path in place of several."""
    if isinstance(x, (str, os.PathLike)):
        kind, text = ("text", x) if isinstance(x, str) else ("path", os.fspath(x))
        raise DataError(f"x is one {kind}; pass a list of {kind}s, such as [{text[:20]!r}]")


def count_rows(x: UserData) -> int:
    """Number of rows of x; a DataError unless it is an array or a list."""
    _refuse_single(x)
    if not hasattr(x, "__len__"):
        raise DataError(f"x must be an array or a list, got a {type(x).__name__}; pass list(x)")
    return len(x)


def row_hashes(x: UserData, rows: Sequence[int] | Array | None = None) -> list[str]:
    """Hash of each row of x, or of some rows, up to `MAX_HASHES` of them that are spread evenly.

    A file is hashed by its name and size.

    >>> row_hashes(["good", "bad", "good"])[0] in row_hashes(["good"])
    True
    """
    values = x.values if isinstance(x, PaddedArray) else x.tolist() if isinstance(x, pd.Series) else x
    if rows is None:
        rows = range(len(values))
    elif len(rows) > MAX_HASHES:
        rows = np.asarray(rows)[np.linspace(0, len(rows) - 1, MAX_HASHES).astype(int)]
    return [hashlib.blake2b(_row_bytes(values[int(row)]), digest_size=HASH_BYTES).hexdigest() for row in rows]


def equal_rows(x: UserData, files: bool = False) -> Array:
    """Number of each row of x, (B,), in the order of first appearance: equal rows have the same number.

    Files are equal if their contents are; strings name `files` or are texts. The values beyond a length do not count.

    >>> equal_rows(["good", "bad", "good"]).tolist()
    [0, 1, 0]
    """
    rows: UserData = x.tolist() if isinstance(x, pd.Series) else x
    if isinstance(x, PaddedArray):
        rows = x.values if x.lengths is None else [row[:T] for row, T in zip(x.values, x.lengths, strict=True)]
    named = [(files and isinstance(row, str)) or isinstance(row, os.PathLike) for row in rows]
    sizes = [
        os.path.getsize(row) if name and os.path.isfile(row) else None for row, name in zip(rows, named, strict=True)
    ]
    shared = {size for size, count in Counter(sizes).items() if count > 1}
    hashes = []
    for row, size in zip(rows, sizes, strict=True):  # the content of a file is read where another one is as large
        content = _content(row) if size is None or size not in shared else Path(row).read_bytes()
        hashes.append(hashlib.blake2b(content, digest_size=16).digest())
    return np.asarray(pd.factorize(np.array(hashes, dtype=object))[0])


def _content(row: object) -> bytes:
    """All of a row that is no file as bytes: a text, words, the shape and the numbers, the rate of a recording."""
    if isinstance(row, (str, os.PathLike)) or (
        isinstance(row, (list, tuple)) and all(isinstance(word, str) for word in row)
    ):
        return repr(row).encode("utf-8", "surrogatepass")
    numbers = as_array(row[0] if isinstance(row, tuple) else row)
    rest = row[1:] if isinstance(row, tuple) else ()
    values = repr(numbers.tolist()).encode() if numbers.dtype.kind == "O" else numbers.tobytes()
    return repr((numbers.shape, rest)).encode() + values


def _row_bytes(row: object) -> bytes:
    """A row as bytes: a text, words, name and size of a file, or the first numbers."""
    if isinstance(row, os.PathLike):
        return f"{os.path.basename(row)} {os.path.getsize(row)}".encode()
    if isinstance(row, str):
        return row.encode()
    if isinstance(row, (list, tuple)) and all(isinstance(word, str) for word in row):
        return "\0".join(row).encode()
    numbers = as_array(row[0] if isinstance(row, tuple) else row).ravel()[:HASHED_NUMBERS]  # of a pair with a rate
    return repr(numbers.tolist()).encode() if numbers.dtype.kind == "O" else numbers.tobytes()


def check_rows(x: UserData, y: UserData) -> int:
    """Number of rows of x; a DataError unless there is a target for each of them."""
    if y is None:
        raise DataError("fit requires y to be passed, but the target y is None")
    rows = count_rows(x)
    count = len(y) if hasattr(y, "__len__") else len(np.atleast_1d(np.asarray(y)))
    if count != rows:
        raise DataError(f"x has {rows} rows but y has {count}")
    return count


def read_labels(y: UserData, mixed: bool = False) -> Array:
    """Labels (B,) as an array, none missing: all numbers or all texts, or also both where `mixed`."""
    labels = as_array(y)
    if labels.ndim != 1 or not len(labels):
        raise DataError(f"y must be one label for each row, (B,), got the shape {labels.shape}")
    values = list(y) if isinstance(y, list | tuple) else labels.tolist()
    if labels.dtype.kind in "OSU":
        missing = [row for row, value in enumerate(values) if value is None or value is pd.NA or value != value]
        if missing:
            row = missing[0]
            raise DataError(f"y has no label in row {row}, but {values[row]!r}: label the row, or leave it out")
        if len({isinstance(value, str) for value in values}) > 1:
            if not mixed:
                raise DataError("y mixes text and numbers: pass all labels as text, such as list(map(str, y))")
            labels = np.array(values, dtype=object)
    if labels.dtype.kind == "f" and not (labels == np.round(labels)).all():
        if np.isnan(labels).any():
            raise DataError(
                f"y has no label in row {np.isnan(labels).argmax()}, but NaN: label the row, or leave it out"
            )
        raise DataError("Unknown label type: continuous values; use Regressor, or round y to labels")
    return labels
