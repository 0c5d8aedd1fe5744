"""Tests that need sktime and aeon are collected only where both are installed: `make referees`."""

from __future__ import annotations

import importlib.util

import pytest

if any(importlib.util.find_spec(library) is None for library in ("sktime", "aeon")):
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let warnings of the libraries pass: their own checks raise many."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("default"))
