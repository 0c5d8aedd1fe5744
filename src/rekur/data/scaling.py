"""Window scaling: level and spread of each window, the expanding standard deviation and the seasonal naive error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.core import Array, choose

LEVEL_RULES, SPREAD_RULES = ("season", "last"), ("window", "history")
BLOCK_ROWS = 64
"""Rows between two running sums of a series."""

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
        First block of each series, shape (S+1,).
    sums : np.ndarray
        Running count, sum and sum of squares, shape (3, blocks + 1).
    """

    first: Array
    sums: Array

    @classmethod
    def of(cls, y: Array, offsets: Array) -> ExpandingStd:
        """Sum up flat values y (N,), NaN where missing, of series with offsets (S+1,)."""
        counts = -(-np.diff(offsets) // BLOCK_ROWS)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        sums = np.zeros((3, int(first[-1]) + 1))
        for s in range(len(counts)):
            values = y[offsets[s] : offsets[s + 1]]
            if not len(values):
                continue
            observed = np.isfinite(values)
            centred = np.where(
                observed, values - values[observed.argmax()], 0.0
            )  # about the first value: no cancellation
            starts, blocks = np.arange(0, len(values), BLOCK_ROWS), slice(int(first[s]) + 1, int(first[s + 1]) + 1)
            for k, column in enumerate((observed.astype(np.float64), centred, centred * centred)):
                sums[k, blocks] = np.add.reduceat(column, starts)
        return cls(first, sums.cumsum(axis=1))

    def before(self, series: Array, stop: Array) -> Array:
        """Standard deviation of the complete blocks before row `stop` of `series`, (n,); NaN before the first block."""
        begin = self.first[series]
        count, total, squares = self.sums[:, begin + stop // BLOCK_ROWS] - self.sums[:, begin]
        mean = total / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
        return np.where(count > 0, deviation, np.nan)
