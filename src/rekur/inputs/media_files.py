"""Checks of recordings and videos, given as files or as arrays."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rekur.core import DataError

if TYPE_CHECKING:
    from typing_extensions import TypeIs


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
        raise DataError(f"{path} is no {kind} that can be read: it is empty")
    return path


def check_duration(value: object, kind: str, seconds: float, longest: float) -> None:
    """Raise a DataError if a recording or video lasts longer than `longest` seconds."""
    if seconds > longest:
        raise DataError(
            f"{label_of(value, kind)} lasts {seconds:.0f} s, longer than {longest:g} s: cut it, or set `longest`"
        )
