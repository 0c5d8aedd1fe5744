"""Recordings and videos as files or arrays: checks, and a cache of decoded data."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import DataError
from rekur.data.validation import UserData

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

MAX_CACHE_BYTES = 256 * 2**20
VIDEOS = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".opus", ".au")
ARRAYS = (".npy", ".npz")
SHARE_OF_NAMES = 0.9  # of the strings of x that end like names of files; fewer are texts


def is_file(value: object) -> TypeIs[str | os.PathLike[str]]:
    """Whether a value is the name of a file."""
    return isinstance(value, str | os.PathLike)


def name_files(x: UserData) -> bool:
    """Whether nine tenths of the rows of x or more are strings that end like names of recordings, videos or arrays.

    >>> name_files(["a.wav", "b/c.wav"]), name_files(["a warm film", "b.wav"])
    (True, False)
    """
    if not isinstance(x, list | tuple | np.ndarray) or not len(x) or not all(isinstance(row, str) for row in x):
        return False
    endings = [os.path.splitext(row)[1].lower() for row in x]
    return sum(ending in (*SOUNDS, *VIDEOS, *ARRAYS) for ending in endings) >= SHARE_OF_NAMES * len(x)


def named_files(x: UserData) -> UserData:
    """x, with strings that name recordings or videos as paths; names of files that do not exist are a DataError."""
    if not name_files(x):
        return x
    for row, name in enumerate(x):
        if not os.path.isfile(name):
            cure = "check the path, or pass input=rekur.inputs.Text() to read the strings as texts"
            raise DataError(f"row {row} of x, {str(name)!r}, is the name of a file that does not exist: {cure}")
    return [Path(name) for name in x]


def label_of(value: object, kind: str) -> str:
    """Name of a value in messages: its file, or "a recording", "a video"."""
    return os.fspath(value) if is_file(value) else f"a {kind}"


def existing_path(value: str | os.PathLike[str], kind: str) -> str:
    """Path of a file that exists and is not empty."""
    path = os.fspath(value)
    if not os.path.isfile(path):
        raise DataError(f"{path} does not exist: check the path of this {kind}")
    if path.lower().endswith(ARRAYS):
        raise DataError(f"{path} holds an array, not a {kind}: read it with numpy.load in Python, and pass the arrays")
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
