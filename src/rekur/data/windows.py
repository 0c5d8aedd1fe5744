"""Windows: (series, stop) pairs over flat columns; nothing is copied until a batch is gathered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Ints = np.ndarray
Floats = np.ndarray


@dataclass(frozen=True)
class Windows:
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

    def rows(self, some: Ints) -> tuple[Ints, np.ndarray]:
        """Flat rows (n, past + horizon) of some windows and whether each lies inside its series."""
        start, end = self.offsets[self.series[some]], self.offsets[self.series[some] + 1]
        at = (start + self.stop[some])[:, None] + np.arange(-self.past, self.horizon)
        inside = (at >= start[:, None]) & (at < end[:, None])
        return np.where(inside, at, start[:, None]), inside

    def gather(self, column: Floats, some: Ints) -> Floats:
        """Values (n, past + horizon, ...) of some windows; NaN outside the series."""
        at, inside = self.rows(some)
        if not len(column):
            return np.full(at.shape + column.shape[1:], np.nan)
        values: Floats = column[np.minimum(at, len(column) - 1)]
        values[~inside] = np.nan
        return values


def every(offsets: Ints, past: int, horizon: int, first: int, gap: int = 0) -> Windows:
    """Every window with at least `first` rows of past and a whole target that ends `gap` rows before the end.

    Their number is Σ_s max(0, T_s - gap - horizon - first + 1).
    """
    lengths = np.diff(offsets)
    counts = np.maximum(0, lengths - gap - horizon - first + 1)
    series = np.repeat(np.arange(len(lengths)), counts)
    stop = np.arange(len(series)) - np.repeat(counts.cumsum() - counts, counts) + first
    return Windows(offsets, past, horizon, series, stop)
