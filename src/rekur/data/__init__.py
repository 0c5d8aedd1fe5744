"""Data: panels of time series from data frames and files, frequencies, and sample data sets."""

from __future__ import annotations

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


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that arrays of numpy alone do not need pandas."""
    if name == "samples":
        return import_module("rekur.data.samples")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
