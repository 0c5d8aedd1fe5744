"""Batches: what the training loop takes, and how arrays are cut into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B rows of one step of training; what stands beyond a row's length reaches no result.

    x (B, T, I) · y the target, (B, ...) · lengths (B,) or None · weight, leading shape of y or None ·
    rows (B,) the rows of the data they come from · first: no state is carried in from the batch before ·
    scale (B, 2): level and spread of each row, where the loss must know them.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None
    weight: Tensor | None = None
    rows: Tensor | None = None
    first: bool = True
    scale: Tensor | None = None


@dataclass(frozen=True)
class Arrays:
    """N rows of arrays, dealt into batches in an order drawn from the seed and the epoch.

    x (N, T, I) · y (N, ...) · lengths (N,) or None · weight (N,) or None · size of a batch ·
    chunk: cut each batch into pieces of that many steps, for truncated backpropagation through time; then y must
    be (N, T, ...).
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None
    weight: Tensor | None = None
    size: int = 32
    seed: int = 0
    chunk: int | None = None

    def __len__(self) -> int:
        T = self.x.shape[1]
        return -(-len(self.x) // self.size) * (1 if self.chunk is None else -(-T // self.chunk))

    def shuffled(self, epoch: int) -> Iterator[Batch]:
        """All rows once, in the order of this epoch."""
        import torch

        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return self._deal(torch.randperm(len(self.x), generator=generator))

    def ordered(self) -> Iterator[Batch]:
        """All rows once, in their own order."""
        import torch

        return self._deal(torch.arange(len(self.x)))

    def _deal(self, order: Tensor) -> Iterator[Batch]:
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            lengths = None if self.lengths is None else self.lengths[rows]
            weight = None if self.weight is None else self.weight[rows]
            batch = Batch(self.x[rows], self.y[rows], lengths, weight, rows)
            yield from [batch] if self.chunk is None else chunks(batch, self.chunk)


def chunks(batch: Batch, size: int) -> Iterator[Batch]:
    """Cut a batch (B, T, ·) along time into pieces of `size` steps; the state is carried between them."""
    T = batch.x.shape[1]
    for start in range(0, T, size):
        stop = min(start + size, T)
        lengths = None if batch.lengths is None else (batch.lengths - start).clamp(0, stop - start)
        weight = None if batch.weight is None else batch.weight[:, start:stop]
        yield Batch(batch.x[:, start:stop], batch.y[:, start:stop], lengths, weight, batch.rows, start == 0)
