"""Rolling windows over series stored one after another: (series, stop) pairs, gathered batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rekur.core import Array


def portions(offsets: Array, rows: int) -> Iterator[tuple[int, int]]:
    """Ranges (first, last + 1) of whole series of about `rows` rows each; series offsets (S+1,)."""
    cuts = np.unique(np.searchsorted(offsets, np.arange(0, max(int(offsets[-1]), 1), rows)))
    for first, last in zip(cuts, np.append(cuts[1:], len(offsets) - 1), strict=True):
        yield int(first), int(last)


@dataclass(frozen=True)
class WindowIndex:
    """Positions of N windows: the context ends before row `stop` of a series, where the target begins.

    Parameters
    ----------
    offsets : np.ndarray
        First row of each series in the flat columns, shape (S+1,).
    context_length : int
        Rows of context, L.
    horizon : int
        Rows of target, h. No target row lies inside the context.
    series, stop : np.ndarray
        Series and first target row of each window, shape (N,).

    Examples
    --------
    >>> windows = WindowIndex(np.array([0, 4]), 2, 1, series=np.array([0]), stop=np.array([3]))
    >>> windows.gather(np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [[2.0, 3.0, 4.0]]
    """

    offsets: Array
    context_length: int
    horizon: int
    series: Array
    stop: Array

    def __len__(self) -> int:
        return len(self.series)

    def take(self, index: Array) -> WindowIndex:
        """The windows at the given positions."""
        return replace(self, series=self.series[index], stop=self.stop[index])

    def rows(self) -> tuple[Array, Array]:
        """Flat rows (N, L + h), and a mask of those inside the series."""
        start, end = self.offsets[self.series], self.offsets[self.series + 1]
        rows = (start + self.stop)[:, None] + np.arange(-self.context_length, self.horizon)
        inside = (rows >= start[:, None]) & (rows < end[:, None])
        return np.where(inside, rows, start[:, None]), inside

    def gather(self, column: Array) -> Array:
        """Values (N, L + h, ...) of a flat column; NaN outside the series."""
        rows, inside = self.rows()
        if not len(column):
            return np.full(rows.shape + column.shape[1:], np.nan)
        values: Array = column[np.minimum(rows, len(column) - 1)]
        values[~inside] = np.nan
        return values


@dataclass(frozen=True)
class AllWindows:
    """Every window with `min_context` rows of context and a complete target `gap` rows before the end of its series.

        N = Σ_s max(0, T_s - gap - horizon - min_context + 1)

    No window is stored; `pick` builds the selected ones.

    Parameters
    ----------
    offsets : np.ndarray
        First row of each series in the flat columns, shape (S+1,).
    context_length, horizon : int
        Rows of context and target, as in `WindowIndex`.
    min_context : int
        Least number of rows of context inside the series.
    counts : np.ndarray
        Cumulated number of windows of the series, shape (S,).
    """

    offsets: Array
    context_length: int
    horizon: int
    min_context: int
    counts: Array

    @classmethod
    def of(cls, offsets: Array, context_length: int, horizon: int, min_context: int, gap: int = 0) -> AllWindows:
        """Count the windows of each series."""
        counts = np.maximum(0, np.diff(offsets) - gap - horizon - min_context + 1)
        return cls(offsets, context_length, horizon, min_context, np.cumsum(counts))

    def __len__(self) -> int:
        return int(self.counts[-1]) if len(self.counts) else 0

    def pick(self, numbers: Array) -> WindowIndex:
        """The windows of these numbers, counted from 0 through all series."""
        series = np.searchsorted(self.counts, numbers, side="right")
        before = np.where(series > 0, self.counts[np.maximum(series - 1, 0)], 0)
        stop = numbers - before + self.min_context
        return WindowIndex(self.offsets, self.context_length, self.horizon, series, stop)
