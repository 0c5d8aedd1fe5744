"""Window scaling: level and spread of each window, the expanding standard deviation and the seasonal naive error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.core import Array, choose
from rekur.data.windows import portions

LEVEL_RULES, SPREAD_RULES = ("season", "last"), ("window", "history")
BLOCK_ROWS = 64
"""Rows between two running sums of a series."""

CHUNK_ROWS = 1_000_000

LOG_UNIT_DIVISOR = 50.0
"""Mean absolute value of a window in units of the logarithm's linear range."""


@dataclass(frozen=True)
class WindowScaling:
    """Rule by which a window is scaled from its context; a value.

        z = (y - level) / spread, with sign(y)·log(1 + |y|/u) in place of y if `log`, u = mean |y| of the window / 50

    Parameters
    ----------
    level : {"season", "last"}, default "season"
        Mean of the values observed in the last season (of all, if none is observed in it), or the last observed value.
    spread : {"window", "history"}, default "window"
        Root mean square of the window around its level, or the standard deviation of everything before the target,
        so that a window keeps its size relative to its series.
    log : bool, default False
        Whether to take the signed logarithm first, which suits values that are never negative.

    Examples
    --------
    >>> WindowScaling("last").of(np.array([[1.0, 2.0, 3.0]]), season=1).level.tolist()
    [[3.0]]
    """

    level: str = "season"
    spread: str = "window"
    log: bool = False

    def __post_init__(self) -> None:
        choose("level", self.level, LEVEL_RULES)
        choose("spread", self.spread, SPREAD_RULES)

    def of(self, past: Array, season: int, history: Array | None = None) -> WindowScale:
        """Scale of windows.

        Parameters
        ----------
        past : np.ndarray
            Context of the windows, NaN where missing, shape (n, L).
        season : int
            Season length in rows.
        history : np.ndarray, optional
            Standard deviation of the values before each target, shape (n,), from `ExpandingStd.before`.

        Returns
        -------
        WindowScale
            A window without any value has level 0 and spread 0. A spread below 1e-10 of the largest value is a
            rounding error of a constant and counts as 0.
        """
        observed = np.isfinite(past)
        unit = None
        if self.log:
            mean = _masked_mean(np.where(observed, np.abs(past), 0.0), observed)
            unit = np.where(mean > 0, mean, 1.0) / LOG_UNIT_DIVISOR
            past = _signed_log(past, unit)
        filled = np.where(observed, past, 0.0)
        if self.level == "last":
            level = np.take_along_axis(filled, last_true(observed)[:, None], axis=1)
        else:
            recent, mean = observed[:, -season:], _masked_mean(filled, observed)
            level = np.where(recent.any(axis=1, keepdims=True), _masked_mean(filled[:, -season:], recent), mean)
        spread = np.sqrt(_masked_mean(np.where(observed, filled - level, 0.0) ** 2, observed))
        if history is not None:
            spread = np.where(np.isfinite(history), history, spread[:, 0])[:, None]
        largest = np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
        return WindowScale(level, np.where(spread > 1e-10 * largest, spread, 0.0), unit)


@dataclass(frozen=True)
class WindowScale:
    """Level and spread of n windows.

        z = (y - level) / spread, with sign(y)·log(1 + |y|/unit) in place of y if there is a unit

    Parameters
    ----------
    level, spread : np.ndarray
        Shape (n, 1). A constant window has spread 0.
    unit : np.ndarray, optional
        Unit of the logarithm, shape (n, 1); None for plain values.
    """

    level: Array
    spread: Array
    unit: Array | None = None

    def apply(self, y: Array) -> Array:
        """Scaled values, only shifted where the spread is 0: (n, T) → (n, T)."""
        if self.unit is not None:
            y = _signed_log(y, self.unit)
        return np.asarray((y - self.level) / np.where(self.spread > 0, self.spread, 1))

    def undo(self, z: Array) -> Array:
        """Values of scaled ones: (n, T, Q) → (n, T, Q); a constant window stays at its level."""
        y = self.level[:, :, None] + self.spread[:, :, None] * z
        return np.asarray(y if self.unit is None else np.sign(y) * self.unit[:, :, None] * np.expm1(np.abs(y)))

    def size(self) -> Array:
        """Size of one scaled unit at the level, in the unit of the series, (n,)."""
        spread = self.spread[:, 0]
        return np.asarray(spread if self.unit is None else spread * self.unit[:, 0] * np.exp(np.abs(self.level[:, 0])))


def last_true(mask: Array) -> Array:
    """Column of the last True of each row of a mask (n, L), the last column if there is none; shape (n,)."""
    return np.asarray(mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1))


def _signed_log(y: Array, unit: Array) -> Array:
    return np.asarray(np.sign(y) * np.log1p(np.abs(y) / unit))


def _masked_mean(values: Array, mask: Array) -> Array:
    return np.asarray(values.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1, keepdims=True), 1))


@dataclass(frozen=True)
class ExpandingStd:
    """Standard deviation of the beginning of each series up to any row, from running sums kept for every block.

    Parameters
    ----------
    first : np.ndarray
        First entry of each series, shape (S+1,).
    sums : np.ndarray
        Running count, sum and sum of squares, shape (3, blocks + S): before the first block of a series, and after each
        of its blocks.
    reference : np.ndarray
        Value of each series that is subtracted from all its values first, against cancellation, shape (S,).
    """

    first: Array
    sums: Array
    reference: Array

    @classmethod
    def of(cls, y: Array, offsets: Array, earlier: Array | None = None) -> ExpandingStd:
        """Sum up flat values y (N,), NaN where missing, of series with offsets (S+1,).

        `earlier` (S, 4) from `state` continues series whose first blocks were cut off; (0, 4) or None for none.
        """
        blocks = -(-np.diff(offsets) // BLOCK_ROWS)
        first = np.concatenate([[0], np.cumsum(blocks + 1)]).astype(np.int64)
        sums, reference = np.zeros((3, int(first[-1]))), first_observed(y, offsets)
        if earlier is not None and len(earlier):
            reference = np.where(earlier[:, 1] > 0, earlier[:, 0], reference)
            sums[:, first[:-1]] = earlier[:, 1:].T
        for a, b in portions(offsets, CHUNK_ROWS):
            rows, begin = slice(int(offsets[a]), int(offsets[b])), offsets[a:b] - offsets[a]
            number = np.arange(blocks[a:b].sum()) - np.repeat(blocks[a:b].cumsum() - blocks[a:b], blocks[a:b])
            starts = np.repeat(begin, blocks[a:b]) + BLOCK_ROWS * number
            place = np.repeat(first[a:b] + 1, blocks[a:b]) + number
            observed = np.isfinite(y[rows])
            centred = np.where(observed, y[rows] - np.repeat(reference[a:b], np.diff(offsets[a : b + 1])), 0.0)
            for k, column in enumerate((observed.astype(np.float64), centred, centred * centred)):
                if len(starts):
                    sums[k, place] = np.add.reduceat(column, starts)
        order = np.argsort(blocks, kind="stable")
        for series in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):  # as many blocks each
            places = first[series][:, None] + np.arange(int(blocks[series[:1]].sum()) + 1)
            sums[:, places] = np.cumsum(sums[:, places], axis=2)  # the sums of a series depend on no other
        return cls(first, sums, reference)

    def before(self, series: Array, stop: Array) -> Array:
        """Standard deviation of the complete blocks before row `stop` of `series`, (n,); NaN before the first block."""
        count, total, squares = self.sums[:, self.first[series] + stop // BLOCK_ROWS]
        mean = total / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
        return np.where(count > 0, deviation, np.nan)

    def state(self, stop: Array) -> Array:
        """Reference value and running sums of each series before row `stop`, a multiple of `BLOCK_ROWS`; (S, 4)."""
        return np.column_stack([self.reference, self.sums[:, self.first[:-1] + stop // BLOCK_ROWS].T])


def first_observed(y: Array, offsets: Array) -> Array:
    """First observed value of each series, (S,); 0 without any."""
    rows = np.append(np.flatnonzero(np.isfinite(y)), len(y))
    place = rows[np.searchsorted(rows, offsets[:-1])]
    return np.where(place < offsets[1:], np.append(y, 0.0)[place], 0.0)
