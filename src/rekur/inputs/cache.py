"""Least-recently-used cache of bounded size for sequences that are costly to read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 256 * 2**20


class Cache:
    """Results of `read(row)`, up to `max_bytes`; the least recently used ones leave first."""

    def __init__(self, read: Callable[[int], Tensor], max_bytes: int = MAX_BYTES) -> None:
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
