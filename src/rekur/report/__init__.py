"""Reports: one HTML page of a forecast or of the scores of a task, readable without a network."""

from __future__ import annotations

from rekur.report.page import html, write

__all__ = ["html", "write"]
