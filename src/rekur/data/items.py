"""Lazily read sequences; moved to `rekur.data.batching`."""

from __future__ import annotations

from rekur.data.batching import LazySequences
from rekur.data.batching import pad as padded

listed = LazySequences.from_list

__all__ = ["LazySequences", "listed", "padded"]
