"""Tests that need sktime and aeon are collected only where both are installed: `make referees`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

if any(importlib.util.find_spec(library) is None for library in ("sktime", "aeon")):
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let warnings of the libraries pass in this folder: their own checks raise many."""
    for item in items:
        if not item.path.is_relative_to(FOLDER):
            continue
        item.add_marker(pytest.mark.filterwarnings("default"))
