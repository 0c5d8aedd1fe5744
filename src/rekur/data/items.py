"""Items: sequences of unequal length, read one by one, and the batches made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.data.batching import Batch, chunks

if TYPE_CHECKING:
    from torch import Tensor

POOL = 50
"""Batches whose rows are sorted by length together: long enough to save padding, short enough to stay mixed."""


@dataclass(frozen=True)
class LazySequences:
    """N sequences (T, ...) that are made when they are asked for; their lengths (N,) are known before."""

    make: Callable[[int], Tensor]
    lengths: np.ndarray

    def __getitem__(self, row: int) -> Tensor:
        return self.make(row)


def listed(sequences: Sequence[Tensor]) -> LazySequences:
    """Items that are in memory already."""
    return LazySequences(sequences.__getitem__, np.array([len(s) for s in sequences], dtype=np.int64))


def padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sequences (T_i, ...) as one tensor (B, T, ...) with zeros behind them, and their lengths (B,)."""
    import torch

    lengths = torch.tensor([len(s) for s in sequences])
    whole = sequences[0].new_zeros(len(sequences), int(lengths.max()), *sequences[0].shape[1:])
    for row, sequence in enumerate(sequences):
        whole[row, : len(sequence)] = sequence
    return whole, lengths


def unpadded(batch: Batch) -> list[list[int]]:
    """The targets of each row of a batch, without what stands behind them."""
    assert batch.weight is not None
    sizes = batch.weight.sum(1).int().tolist()
    return [row[:n] for row, n in zip(batch.y.tolist(), sizes, strict=True)]


@dataclass(frozen=True)
class Batcher:
    """Rows of items and their targets, dealt into batches of similar length.

    x : Items · y : targets (N, ...), or Items whose targets are padded too and told apart by the weight (B, U), or None
    size : rows of a batch; fewer where they are long, so that a batch never holds more steps than `size` rows of
    a length that 95 % of all do not exceed (one row always fits) · seed, and the epoch, decide the order ·
    rows : those of x and y that take part, all if None · chunk : steps of a piece, for truncated backpropagation
    through time. A row's `weight` is 1 within the length of its target.
    """

    x: LazySequences
    y: Any = None
    size: int = 32
    seed: int = 0
    rows: np.ndarray | None = None
    chunk: int | None = None

    def __len__(self) -> int:
        counts = (1 if self.chunk is None else -(-int(self.x.lengths[rows].max()) // self.chunk) for rows in self.plan)
        return sum(counts)

    @property
    def order(self) -> np.ndarray:
        """The rows that take part."""
        return np.arange(len(self.x.lengths)) if self.rows is None else self.rows

    @property
    def plan(self) -> list[np.ndarray]:
        """The rows of each batch in the order of their lengths: as many batches as any epoch has."""
        return self._cut(self.order[np.argsort(self.x.lengths[self.order], kind="stable")])

    def shuffled(self, epoch: int) -> Iterator[Batch]:
        """All rows once, in the order of this epoch."""
        generator = np.random.default_rng((self.seed, epoch))
        plan = self.plan
        sizes = np.array([len(rows) for rows in plan])
        sorted_rows = np.concatenate(plan)
        # Rows of like length change places, within the reach of a pool, before the batches are cut at their old sizes.
        near = np.arange(len(sorted_rows)) + generator.uniform(0, self.size * POOL, len(sorted_rows))
        equal = self.x.lengths[sorted_rows[0]] == self.x.lengths[sorted_rows[-1]]
        mixed = generator.permutation(sorted_rows) if equal else sorted_rows[np.argsort(near, kind="stable")]
        parts = np.split(mixed, np.cumsum(sizes)[:-1])
        for k in generator.permutation(len(parts)):
            yield from self._deal(parts[k])

    def ordered(self) -> Iterator[Batch]:
        """All rows once, short ones first; `Batch.rows` tells which they are."""
        for rows in self.plan:
            yield from self._deal(rows)

    def _cut(self, rows: np.ndarray) -> list[np.ndarray]:
        """Cut rows that are sorted by length into batches of at most so many rows and steps."""
        lengths = self.x.lengths[rows]
        most = self.size * max(1, int(np.quantile(lengths, 0.95, method="higher")))
        parts, stop = [], len(rows)
        while stop:  # from the longest on, so that the first rows of a batch decide nothing
            start = max(0, stop - min(self.size, max(1, most // max(1, int(lengths[stop - 1])))))
            parts.append(rows[start:stop])
            stop = start
        return parts[::-1]

    def _deal(self, rows: np.ndarray) -> Iterator[Batch]:
        import torch

        x, lengths = padded([self.x[int(row)] for row in rows])
        y, weight = self._targets(rows)
        equal = bool((lengths == x.shape[1]).all())
        batch = Batch(x, y, None if equal else lengths, weight, torch.from_numpy(rows))
        yield from [batch] if self.chunk is None else chunks(batch, self.chunk)

    def _targets(self, rows: np.ndarray) -> tuple[Any, Tensor | None]:
        import torch

        if self.y is None or isinstance(self.y, torch.Tensor):
            return (None if self.y is None else self.y[torch.from_numpy(rows)]), None
        y, lengths = padded([self.y[int(row)] for row in rows])
        return y, (torch.arange(y.shape[1]) < lengths[:, None]).float()  # (B, U)
