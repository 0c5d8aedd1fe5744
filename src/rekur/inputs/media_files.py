"""What recordings and videos share: they are given by the name of a file, or as they are."""

from __future__ import annotations

import os
from typing import Any, TypeGuard

from rekur.core import DataError


def is_file(value: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether something is given by the name of a file."""
    return isinstance(value, str | os.PathLike)


def named(value: Any, what: str) -> str:
    """How something is called in messages: by its file, or as what it is."""
    return os.fspath(value) if is_file(value) else f"a {what}"


def present(value: str | os.PathLike[str], what: str) -> str:
    """The path of a file that is there and not empty."""
    path = os.fspath(value)
    if not os.path.isfile(path):
        raise DataError(f"{path} is not there: name a file that is")
    if not os.path.getsize(path):
        raise DataError(f"{path} is no {what} that can be read: it is empty")
    return path


def check_length(value: Any, what: str, seconds: float, longest: float) -> None:
    """Refuse what lasts longer than it may."""
    if seconds > longest:
        raise DataError(
            f"{named(value, what)} lasts {seconds:.0f} s, longer than {longest:g} s: cut it, or set `longest`"
        )
