"""Recordings and videos as files or arrays: checks, and a cache of decoded data."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from rekur.core import DataError

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

MAX_CACHE_BYTES = 256 * 2**20


def is_file(value: object) -> TypeIs[str | os.PathLike[str]]:
    """Whether a value is the name of a file."""
    return isinstance(value, str | os.PathLike)


def label_of(value: object, kind: str) -> str:
    """Name of a value in messages: its file, or "a recording", "a video"."""
    return os.fspath(value) if is_file(value) else f"a {kind}"


def existing_path(value: str | os.PathLike[str], kind: str) -> str:
    """Path of a file that exists and is not empty."""
    path = os.fspath(value)
    if not os.path.isfile(path):
        raise DataError(f"{path} does not exist: check the path of this {kind}")
    if not os.path.getsize(path):
        raise DataError(f"{path} cannot be read as a {kind}: it is empty")
    return path


def check_duration(value: object, kind: str, seconds: float, max_seconds: float) -> None:
    """Raise a DataError if a recording or video lasts longer than `max_seconds` seconds."""
    if seconds > max_seconds:
        name = label_of(value, kind)
        raise DataError(f"{name} lasts {seconds:.0f} s, longer than {max_seconds:g} s: cut it, or set `max_seconds`")


class Cache:
    """Least-recently-used cache: results of `read(row)`, up to `max_bytes`."""

    def __init__(self, read: Callable[[int], Tensor], max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.read, self.max_bytes, self.num_bytes = read, max_bytes, 0
        self.entries: OrderedDict[int, Tensor] = OrderedDict()

    def __call__(self, row: int) -> Tensor:
        """Result of `read(row)`, from the cache if it is held."""
        if row in self.entries:
            self.entries.move_to_end(row)
            return self.entries[row]
        sequence = self.read(row)
        self.num_bytes += sequence.nbytes
        self.entries[row] = sequence
        while self.num_bytes > self.max_bytes and self.entries:
            self.num_bytes -= self.entries.popitem(last=False)[1].nbytes
        return sequence
