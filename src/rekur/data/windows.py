"""Windows: (series, stop) pairs over flat columns; nothing is copied until a batch is gathered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

Ints = np.ndarray
Floats = np.ndarray


def portions(offsets: Ints, rows: int) -> Iterator[tuple[int, int]]:
    """Cut series into runs first … last - 1 of about so many rows, a series never in two: (first, last) of each."""
    cuts = np.unique(np.searchsorted(offsets, np.arange(0, max(int(offsets[-1]), 1), rows)))
    for first, last in zip(cuts, np.append(cuts[1:], len(offsets) - 1), strict=True):
        yield int(first), int(last)


@dataclass(frozen=True)
class WindowIndex:
    """Where windows stand: the past of a window ends before row `stop` of its series, its target begins there.

    offsets (S+1,) rows of each series in the flat columns · past, horizon: steps of a window ·
    series (N,), stop (N,): one pair a window. No target step lies inside the past.
    """

    offsets: Ints
    past: int
    horizon: int
    series: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.series)

    def take(self, some: Ints) -> WindowIndex:
        """Some of the windows."""
        return replace(self, series=self.series[some], stop=self.stop[some])

    def rows(self) -> tuple[Ints, np.ndarray]:
        """Flat rows (N, past + horizon) and whether each lies inside its series."""
        start, end = self.offsets[self.series], self.offsets[self.series + 1]
        at = (start + self.stop)[:, None] + np.arange(-self.past, self.horizon)
        inside = (at >= start[:, None]) & (at < end[:, None])
        return np.where(inside, at, start[:, None]), inside

    def gather(self, column: Floats) -> Floats:
        """Values (N, past + horizon, ...); NaN outside the series."""
        at, inside = self.rows()
        if not len(column):
            return np.full(at.shape + column.shape[1:], np.nan)
        values: Floats = column[np.minimum(at, len(column) - 1)]
        values[~inside] = np.nan
        return values


@dataclass(frozen=True)
class AllWindows:
    """Every window with at least `first` rows of past and a whole target that ends `gap` rows before the end.

    Their number is Σ_s max(0, T_s - gap - horizon - first + 1); none of them is made before it is picked.

    offsets (S+1,) · past, horizon as in `WindowIndex` · counts (S,) how many each series has, summed up
    """

    offsets: Ints
    past: int
    horizon: int
    first: int
    counts: Ints

    @classmethod
    def of(cls, offsets: Ints, past: int, horizon: int, first: int, gap: int = 0) -> AllWindows:
        """Count them."""
        counts = np.maximum(0, np.diff(offsets) - gap - horizon - first + 1)
        return cls(offsets, past, horizon, first, np.cumsum(counts))

    def __len__(self) -> int:
        return int(self.counts[-1]) if len(self.counts) else 0

    def pick(self, some: Ints) -> WindowIndex:
        """The windows of these numbers, counted from 0 through all series."""
        series = np.searchsorted(self.counts, some, side="right")
        before = np.where(series > 0, self.counts[np.maximum(series - 1, 0)], 0)
        return WindowIndex(self.offsets, self.past, self.horizon, series, some - before + self.first)
