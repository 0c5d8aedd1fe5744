"""Mini-batches of sequences: padding, batching by length, chunks for truncated backpropagation, validation split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array

POOL_SIZE = 50
"""Batches whose rows change places among rows of similar length: padding stays small, and batches stay mixed."""

LENGTH_QUANTILE = 0.95
"""A batch holds at most as many steps as a full batch of rows of this quantile of the lengths."""

MIN_DISTINCT = 10
"""Groups of equal rows below which rows are drawn one by one."""


@dataclass(frozen=True)
class Batch:
    """B rows of one training step. Steps beyond a row's length reach no result.

    Parameters
    ----------
    x : Tensor of shape (B, T, ...)
        Padded sequences.
    y : Tensor of shape (B, ...)
        Targets; of shape (B, 0) without targets.
    lengths : Tensor of shape (B,) or None
        Valid steps of each row; None where all are valid.
    weight : Tensor of the leading shape of y, or None
        Weights of the targets; zero beyond the length of a target.
    rows : Tensor of shape (B,) or None
        Numbers of the rows in the data.
    first : bool, default True
        Whether no state is carried in from the batch before.
    scale : Tensor of shape (B, 2) or None
        Level and spread of each row, if the loss requires them.
    folds : Tensor of shape (B,) or None
        Fold of each row in a cross-validation.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None
    weight: Tensor | None = None
    rows: Tensor | None = None
    first: bool = True
    scale: Tensor | None = None
    folds: Tensor | None = None

    def select(self, chosen: Tensor) -> Batch:
        """The rows for which `chosen` (B,) bool is true."""
        others = (self.lengths, self.weight, self.rows, self.scale, self.folds)
        lengths, weight, rows, scale, folds = (None if part is None else part[chosen] for part in others)
        return Batch(self.x[chosen], self.y[chosen], lengths, weight, rows, self.first, scale, folds)


@dataclass(frozen=True)
class PaddedArray:
    """Sequences of unequal length in one array.

    Parameters
    ----------
    values : array of shape (B, T, I)
        Sequences with arbitrary values beyond their lengths.
    lengths : array of shape (B,) or None, default None
        Valid steps of each row; None where all are valid.
    """

    values: Array
    lengths: Array | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class LazySequences:
    """N sequences (T, ...) that are read when a batch needs them; their lengths are known beforehand.

    Parameters
    ----------
    read : callable
        Row number to sequence, a Tensor of shape (T, ...).
    lengths : array of shape (N,)
        Steps of each sequence.
    stacked : Tensor of shape (N, T, ...) or None, default None
        All sequences, where they have one length and lie in memory.
    in_memory : bool, default False
        Whether reading a sequence costs nothing.

    Examples
    --------
    >>> import torch
    >>> sequences = LazySequences.from_list([torch.ones(2), torch.ones(3)])
    >>> sequences.lengths.tolist()
    [2, 3]
    """

    read: Callable[[int], Tensor]
    lengths: Array
    stacked: Tensor | None = None
    in_memory: bool = False

    @classmethod
    def from_list(cls, sequences: Sequence[Tensor]) -> LazySequences:
        """Sequences that are in memory already."""
        import torch

        lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
        if len(sequences) > 1 and len({sequence.shape for sequence in sequences}) == 1:
            stacked = torch.stack(list(sequences))
            return cls(stacked.__getitem__, lengths, stacked, in_memory=True)
        return cls(sequences.__getitem__, lengths, in_memory=True)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Tensor:
        return self.read(row)

    def padded(self, rows: Array) -> tuple[Tensor, Tensor]:
        """Some rows as one tensor (B, T, ...) with zeros beyond their lengths, and their lengths (B,)."""
        import torch

        if self.stacked is None:
            return pad([self.read(int(row)) for row in rows])
        return self.stacked[torch.from_numpy(rows)], torch.full((len(rows),), self.stacked.shape[1])


Targets: TypeAlias = "Tensor | LazySequences"
"""One target a row, (N, ...), or a sequence of targets for each row."""


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sequences (T_i, ...) as one tensor (B, T, ...) with zeros beyond their lengths, and their lengths (B,).

    >>> import torch
    >>> pad([torch.ones(1), torch.ones(2)])
    (tensor([[1., 0.],
            [1., 1.]]), tensor([1, 2]))
    """
    import torch

    lengths = torch.tensor([len(sequence) for sequence in sequences])
    padded = sequences[0].new_zeros(len(sequences), int(lengths.max()), *sequences[0].shape[1:])
    for row, sequence in enumerate(sequences):
        padded[row, : len(sequence)] = sequence
    return padded, lengths


def unpad_targets(batch: Batch) -> list[list[int]]:
    """The target sequence of each row of a batch, without its padding."""
    assert batch.weight is not None
    lengths = (batch.weight > 0).sum(1).tolist()
    return [row[:n] for row, n in zip(batch.y.tolist(), lengths, strict=True)]


def chunks(batch: Batch, size: int) -> Iterator[Batch]:
    """Pieces of `size` steps of a batch (B, T, ...), in order of time; the state is carried between them."""
    T = batch.x.shape[1]
    for start in range(0, T, size):
        stop = min(start + size, T)
        lengths = None if batch.lengths is None else (batch.lengths - start).clamp(0, stop - start)
        weight = None if batch.weight is None else batch.weight[:, start:stop]
        yield Batch(batch.x[:, start:stop], batch.y[:, start:stop], lengths, weight, batch.rows, start == 0)


@dataclass(frozen=True)
class Batcher:
    """Rows of sequences and their targets, cut into batches of similar length.

    A batch has fewer than `size` rows where they are long: it never holds more steps than `size` rows of the length
    that 95 % of the rows do not exceed; a batch of one row is always allowed.

    Parameters
    ----------
    x : LazySequences
        N sequences.
    y : Tensor of shape (N, ...), LazySequences or None, default None
        Targets; sequences of targets are padded, with the weight 1 within their lengths and 0 beyond.
    size : int, default 32
        Rows of a batch at most.
    seed : int, default 0
        Decides the order of the rows, together with the epoch.
    rows : array of shape (n,) or None, default None
        Rows that take part; None for all.
    chunk : int or None, default None
        Steps of a piece, for truncated backpropagation through time; None for whole sequences.
    weight : Tensor of shape (N,) or None, default None
        Weight of each row in the loss.
    folds : array of shape (N,) or None, default None
        Fold of each row in a cross-validation.

    Examples
    --------
    >>> import torch
    >>> x = LazySequences.from_list([torch.zeros(T, 1) for T in (5, 2, 2, 5)])
    >>> batches = Batcher(x, torch.arange(4), size=2)
    >>> [batch.rows.tolist() for batch in batches.ordered()]
    [[1, 2], [0, 3]]
    """

    x: LazySequences
    y: Targets | None = None
    size: int = 32
    seed: int = 0
    rows: Array | None = None
    chunk: int | None = None
    weight: Tensor | None = None
    folds: Array | None = None

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        if self.chunk is None:
            return len(self._plan)
        return sum(-(-int(self.x.lengths[rows].max()) // self.chunk) for rows in self._plan)

    @property
    def row_numbers(self) -> Array:
        """Rows that take part, (n,)."""
        return np.arange(len(self.x)) if self.rows is None else self.rows

    @cached_property
    def _plan(self) -> list[Array]:
        """Rows of each batch in the order of their lengths; every epoch has as many batches."""
        return self._cut(self.row_numbers[np.argsort(self.x.lengths[self.row_numbers], kind="stable")])

    def shuffled(self, epoch: int) -> Iterator[Batch]:
        """All rows once, in the order of an epoch."""
        generator = np.random.default_rng((self.seed, epoch))
        sizes = np.array([len(rows) for rows in self._plan])
        by_length = np.concatenate(self._plan)
        # Rows of similar length change places within a pool, before the batches are cut at their sizes.
        position = np.arange(len(by_length)) + generator.uniform(0, self.size * POOL_SIZE, len(by_length))
        one_length = self.x.lengths[by_length[0]] == self.x.lengths[by_length[-1]]
        mixed = generator.permutation(by_length) if one_length else by_length[np.argsort(position, kind="stable")]
        parts = np.split(mixed, np.cumsum(sizes)[:-1])
        for k in generator.permutation(len(parts)):
            yield from self._batches(parts[k])

    def ordered(self) -> Iterator[Batch]:
        """All rows once, short ones first; `Batch.rows` holds their numbers."""
        for rows in self._plan:
            yield from self._batches(rows)

    def _cut(self, rows: Array) -> list[Array]:
        """Cut rows that are sorted by length into batches of limited rows and steps."""
        lengths = self.x.lengths[rows]
        max_steps = self.size * max(1, int(np.quantile(lengths, LENGTH_QUANTILE, method="higher")))
        parts, stop = [], len(rows)
        while stop:  # from the longest row, which limits the size of its batch
            start = max(0, stop - min(self.size, max(1, max_steps // max(1, int(lengths[stop - 1])))))
            parts.append(rows[start:stop])
            stop = start
        return parts[::-1]

    def _batches(self, rows: Array) -> Iterator[Batch]:
        import torch

        x, lengths = self.x.padded(rows)
        y, weight = self._targets(rows)
        one_length = bool((lengths == x.shape[1]).all())
        folds = None if self.folds is None else torch.from_numpy(self.folds[rows])
        batch = Batch(x, y, None if one_length else lengths, weight, torch.from_numpy(rows), folds=folds)
        yield from [batch] if self.chunk is None else chunks(batch, self.chunk)

    def _targets(self, rows: Array) -> tuple[Tensor, Tensor | None]:
        """Targets (B, ...) of some rows, and their weights (B,) or (B, U)."""
        import torch

        row_weight = None if self.weight is None else self.weight[torch.from_numpy(rows)]
        if self.y is None:
            return torch.empty(len(rows), 0), row_weight
        if isinstance(self.y, torch.Tensor):
            return self.y[torch.from_numpy(rows)], row_weight
        y, lengths = self.y.padded(rows)
        weight = (torch.arange(y.shape[1]) < lengths[:, None]).float()  # (B, U)
        return y, weight if row_weight is None else weight * row_weight[:, None]


def distinct_rows(groups: Array) -> Array:
    """The first row of each group of equal rows; all rows where there are too few different ones to divide.

    >>> distinct_rows(np.array([0, 0, *range(1, 11)])).tolist()
    [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    """
    first = np.sort(np.unique(groups, return_index=True)[1])
    return first if len(first) >= MIN_DISTINCT else np.arange(len(groups))


def train_validation_split(
    n: int,
    share: float,
    random_state: int = 0,
    *,
    labels: Array | None = None,
    groups: Array | None = None,
    ordered: bool = False,
) -> tuple[Array, Array]:
    """Row numbers to train on and row numbers held out for validation, both in increasing order.

    Parameters
    ----------
    n : int
        Number of rows.
    share : float
        Share of the rows to hold out, in [0, 1).
    random_state : int, default 0
        Seed of the draw.
    labels : array of shape (n,) or None, default None
        Labels of the rows: each label gets its share of the rows held out (stratified split), and at least one row of
        each label stays in the training rows.
    groups : array of shape (n,) or None, default None
        Numbers of the groups of equal rows, see `rekur.data.validation.equal_rows`: a group is held out as a whole or
        not at all, and the share is that of the groups. A group of more rows than the share stays in the training rows.
        Fewer than ten groups are too few to divide, and their rows are drawn one by one.
    ordered : bool, default False
        Hold out the last rows instead of a random draw, for rows in the order of time.

    Returns
    -------
    train, validation : arrays of int
        Row numbers.

    Examples
    --------
    >>> train, validation = train_validation_split(10, 0.2, ordered=True)
    >>> validation.tolist()
    [8, 9]
    >>> labels = np.array(["a", "b"]).repeat(5)
    >>> _, validation = train_validation_split(10, 0.4, labels=labels)
    >>> labels[validation].tolist()
    ['a', 'a', 'b', 'b']
    """
    held = round(n * share)
    if ordered:
        return np.arange(n - held), np.arange(n - held, n)
    if groups is not None and held:
        sizes = np.bincount(groups)
        small = np.flatnonzero(sizes[groups] <= held)
        rows = small[distinct_rows(groups[small])]
        if MIN_DISTINCT <= len(rows) < n and len(rows) == len(np.unique(groups[small])):
            by_row = None if labels is None else labels[rows]
            _, drawn = train_validation_split(len(rows), max(share, 1 / len(rows)), random_state, labels=by_row)
            out = np.isin(groups, groups[rows[drawn]])
            return np.flatnonzero(~out), np.flatnonzero(out)
    order = np.random.default_rng(random_state).permutation(n)
    if labels is not None and held:
        _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        by_label = order[np.argsort(inverse[order], kind="stable")]
        chosen = by_label[((np.arange(held) + 0.5) * n / held).astype(int)]
        first = by_label[np.cumsum(counts) - counts]  # one row of each label
        exhausted = np.bincount(inverse[chosen], minlength=len(counts)) == counts
        chosen = np.setdiff1d(chosen, first[exhausted])
        return np.setdiff1d(order, chosen), np.sort(chosen)
    return np.sort(order[held:]), np.sort(order[:held])


def cross_validation_folds(
    n: int, k: int, random_state: int = 0, *, labels: Array | None = None, groups: Array | None = None
) -> Array:
    """Fold of each row for a cross-validation with k folds of equal size, give or take a row.

    Parameters
    ----------
    n : int
        Number of rows.
    k : int
        Number of folds, from 2 to n.
    random_state : int, default 0
        Seed of the draw.
    labels : array of shape (n,) or None, default None
        Labels of the rows: the rows of each label are spread evenly over the folds (stratified folds).
    groups : array of shape (n,) or None, default None
        Numbers of the groups of equal rows, which lie in one fold, as in `train_validation_split`.

    Returns
    -------
    array of shape (n,)
        Numbers of the folds, from 0 to k - 1.

    Examples
    --------
    >>> folds = cross_validation_folds(6, 3, labels=np.array([0, 0, 0, 1, 1, 1]))
    >>> sorted(folds[:3].tolist()), sorted(folds[3:].tolist())
    ([0, 1, 2], [0, 1, 2])
    """
    rows = np.arange(n) if groups is None else distinct_rows(groups)
    if groups is not None and k <= len(rows) < n:
        by_row = None if labels is None else labels[rows]
        of_group = np.empty(int(groups.max()) + 1, dtype=np.int64)
        of_group[groups[rows]] = cross_validation_folds(len(rows), k, random_state, labels=by_row)
        return of_group[groups]
    order = np.random.default_rng(random_state).permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % k
    return folds
