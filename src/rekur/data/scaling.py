"""The scale of a window: its own level and spread are taken out before the network and put back after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.core import Array, choose
from rekur.data.windows import portions

LEVELS, SPREADS = ("season", "last"), ("window", "history")
ROWS = 4_000_000  # rows that are worked on at a time
BLOCK = 64  # rows: the running sums of a series are kept for every such block
PART = 50.0  # a logarithm is taken of 1 + |y| / (mean |y| / PART)


@dataclass(frozen=True)
class WindowScaling:
    """How the scale of a window is found from what precedes its target; a value.

    level: "season", the mean of the values seen in the last season (of all, if none was seen there), or "last", the
    last value seen · spread: "window", the root mean square of the window around its level, or "history", the standard
    deviation of all that precedes the target, so that a window keeps its size relative to its series ·
    log: the values are first replaced by sign(y)·log(1 + |y|/u), u = mean |y| of the window / 50, which suits values
    that are never negative.
    """

    level: str = "season"
    spread: str = "window"
    log: bool = False

    def __post_init__(self) -> None:
        choose("level", self.level, LEVELS)
        choose("spread", self.spread, SPREADS)

    def of(self, past: Array, season: int, history: Array | None = None) -> WindowScale:
        """The scale of windows: past (n, L), NaN where nothing was seen; history (n,): from `ExpandingStd`.

        A window without any value has level 0 and spread 0, as rounding errors of a constant have (spread below 1e-10
        of the largest value).
        """
        seen = np.isfinite(past)
        unit = None
        if self.log:
            mean = _mean(np.where(seen, np.abs(past), 0.0), seen)
            unit = np.where(mean > 0, mean, 1.0) / PART
            past = _log(past, unit)
        filled = np.where(seen, past, 0.0)
        if self.level == "last":
            level = np.take_along_axis(filled, last_seen(seen)[:, None], axis=1)
        else:
            recent = seen[:, -season:]
            level = np.where(recent.any(axis=1, keepdims=True), _mean(filled[:, -season:], recent), _mean(filled, seen))
        spread = np.sqrt(_mean(np.where(seen, filled - level, 0.0) ** 2, seen))
        if history is not None:
            spread = np.where(np.isfinite(history), history, spread[:, 0])[:, None]
        largest = np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
        return WindowScale(level, np.where(spread > 1e-10 * largest, spread, 0.0), unit)


@dataclass(frozen=True)
class WindowScale:
    """level (n, 1), spread (n, 1) and, where a logarithm is taken, unit (n, 1) of n windows.

    z = (y - level) / spread, with sign(y)·log(1 + |y|/unit) in place of y where there is a unit; a constant window has
    spread 0.
    """

    level: Array
    spread: Array
    unit: Array | None = None

    def apply(self, y: Array) -> Array:
        """Scaled values, only shifted where the spread is 0: (n, T) → (n, T)."""
        if self.unit is not None:
            y = _log(y, self.unit)
        return np.asarray((y - self.level) / np.where(self.spread > 0, self.spread, 1))

    def undo(self, z: Array) -> Array:
        """The values of scaled ones: (n, T, Q) → (n, T, Q); a constant window stays at its level."""
        y = self.level[:, :, None] + self.spread[:, :, None] * z
        return np.asarray(y if self.unit is None else np.sign(y) * self.unit[:, :, None] * np.expm1(np.abs(y)))

    def size(self) -> Array:
        """What one unit of scaled values is worth at the level, (n,)."""
        spread = self.spread[:, 0]
        return np.asarray(spread if self.unit is None else spread * self.unit[:, 0] * np.exp(np.abs(self.level[:, 0])))


def last_seen(seen: Array) -> Array:
    """The column of the last True of each row (n, L), the last one where there is none: (n,)."""
    return np.asarray(seen.shape[1] - 1 - seen[:, ::-1].argmax(axis=1))


def _log(y: Array, unit: Array) -> Array:
    return np.asarray(np.sign(y) * np.log1p(np.abs(y) / unit))


def _mean(values: Array, mask: Array) -> Array:
    return np.asarray(values.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1, keepdims=True), 1))


@dataclass(frozen=True)
class ExpandingStd:
    """Standard deviations of the beginnings of series, from sums kept for every block of rows.

    first (S+1,) block of each series · sums (3, blocks + 1) running count, sum and sum of squares
    """

    first: Array
    sums: Array

    @classmethod
    def of(cls, y: Array, offsets: Array) -> ExpandingStd:
        """Read y (N,) flat with NaN once, offsets (S+1,)."""
        counts = -(-np.diff(offsets) // BLOCK)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        sums = np.zeros((3, int(first[-1]) + 1))
        for s in range(len(counts)):
            part = y[offsets[s] : offsets[s + 1]]
            if not len(part):
                continue
            seen = np.isfinite(part)
            centred = np.where(seen, part - part[seen.argmax()], 0.0)  # about the first value: nothing cancels
            at, into = np.arange(0, len(part), BLOCK), slice(int(first[s]) + 1, int(first[s + 1]) + 1)
            for k, column in enumerate((seen.astype(np.float64), centred, centred * centred)):
                sums[k, into] = np.add.reduceat(column, at)
        return cls(first, sums.cumsum(axis=1))

    def before(self, series: Array, stop: Array) -> Array:
        """The standard deviation of the whole blocks of `series` before row `stop`, (n,); NaN before the first."""
        begin = self.first[series]
        count, total, squares = self.sums[:, begin + stop // BLOCK] - self.sums[:, begin]
        mean = total / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
        return np.where(count > 0, deviation, np.nan)


def seasonal_steps(y: Array, offsets: Array, season: int) -> Array:
    """The mean |y_t - y_{t-m}| of each series, (S,): the error of the seasonal naive forecast one season ahead.

    y (N,) flat with NaN, offsets (S+1,). Series without a full season, or whose seasons are all alike, use m = 1;
    0 where nothing can be compared or nothing changes.
    """
    out = np.zeros(len(offsets) - 1)
    for a, b in portions(offsets, ROWS):
        some, own = y[offsets[a] : offsets[b]], offsets[a : b + 1] - offsets[a]
        scale = _steps(some, own, season)
        out[a:b] = scale if season == 1 else np.where(scale > 0, scale, _steps(some, own, 1))
    return out


def _steps(y: Array, offsets: Array, m: int) -> Array:
    """The mean |y_t - y_{t-m}| of each series, (S,), or 0."""
    series = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[m:]
    error = np.abs(y[m:] - y[:-m]) if len(y) > m else np.zeros(0)
    seen = np.isfinite(error) & (np.arange(m, m + len(error)) - offsets[series] >= m)
    total = np.bincount(series[seen], error[seen], len(offsets) - 1)
    return np.asarray(total / np.maximum(np.bincount(series[seen], minlength=len(offsets) - 1), 1))
