"""A memory of bounded size for sequences that are costly to read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BYTES = 256 * 2**20


class Cache:
    """Keeps what was read, up to so many bytes, the oldest leaving first."""

    def __init__(self, read: Callable[..., Tensor], most: int = BYTES) -> None:
        self.read, self.most, self.held = read, most, 0
        self.kept: OrderedDict[Hashable, Tensor] = OrderedDict()

    def __call__(self, key: Hashable) -> Tensor:
        """What `read(key)` gives."""
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        made = self.read(key)
        self.held += made.nbytes
        self.kept[key] = made
        while self.held > self.most and self.kept:
            self.held -= self.kept.popitem(last=False)[1].nbytes
        return made
