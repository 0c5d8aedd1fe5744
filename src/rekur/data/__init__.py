"""Data: panels of time series from data frames and files, frequencies, and sample data sets."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rekur.data import samples
    from rekur.data.frequency.frequency import Frequency
    from rekur.data.ingest.files import read_file
    from rekur.data.panel import Panel, read_panel, read_panels

__all__ = ["Frequency", "Panel", "read_file", "read_panel", "read_panels", "samples"]

_HOMES = {
    "Frequency": "rekur.data.frequency.frequency",
    "Panel": "rekur.data.panel",
    "read_file": "rekur.data.ingest.files",
    "read_panel": "rekur.data.panel",
    "read_panels": "rekur.data.panel",
}
_PACKAGES = ("samples",)


if not TYPE_CHECKING:  # hidden from type checkers, so that they report a misspelt name

    def __getattr__(name: str) -> object:
        """Import a public name on first use, so that code for plain arrays does not load pandas."""
        if name in _PACKAGES:
            return import_module(f"rekur.data.{name}")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'rekur.data' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return __all__
