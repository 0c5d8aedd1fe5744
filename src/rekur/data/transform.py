"""The scale of a window: its own level and spread are taken out before the network and put back after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Floats = np.ndarray


@dataclass(frozen=True)
class Scale:
    """level (n, 1) and spread (n, 1) of n windows; a constant window has spread 0."""

    level: Floats
    spread: Floats

    def apply(self, y: Floats) -> Floats:
        """(y - level) / spread, and y - level where the spread is 0: (n, T) → (n, T)."""
        return np.asarray((y - self.level) / np.where(self.spread > 0, self.spread, 1))

    def undo(self, z: Floats) -> Floats:
        """level + spread·z: (n, T, Q) → (n, T, Q); a constant window stays at its level."""
        return np.asarray(self.level[:, :, None] + self.spread[:, :, None] * z)


def window_scale(past: Floats, season: int) -> Scale:
    """Take the scale from the past of windows alone.

        level  = mean of the values seen in the last season, or of all if none was seen there
        spread = √ mean (y - level)²

    past (n, L) with NaN where nothing was seen. A window without any value has level 0 and spread 0, as rounding
    errors of a constant have (spread below 1e-10 of the largest value).
    """
    seen = np.isfinite(past)
    filled = np.where(seen, past, 0.0)

    def mean(values: Floats, mask: np.ndarray) -> Floats:
        return np.asarray(values.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1, keepdims=True), 1))

    recent = seen[:, -season:]
    level = np.where(recent.any(axis=1, keepdims=True), mean(filled[:, -season:], recent), mean(filled, seen))
    spread = np.sqrt(mean(np.where(seen, filled - level, 0.0) ** 2, seen))
    largest = np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
    return Scale(level, np.where(spread > 1e-10 * largest, spread, 0.0))


def seasonal_steps(y: Floats, offsets: np.ndarray, season: int) -> Floats:
    """The mean |y_t - y_{t-m}| of each series, (S,): the error of the seasonal naive forecast one season ahead.

    y (N,) flat with NaN, offsets (S+1,). Series without a full season, or whose seasons are all alike, use m = 1;
    0 where nothing can be compared or nothing changes.
    """

    def steps(m: int) -> Floats:
        row = np.arange(len(y))
        series = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        inside = row - offsets[series] >= m
        error = np.abs(y - np.where(inside, y[np.maximum(row - m, 0)], np.nan))
        seen = np.isfinite(error)
        total = np.bincount(series[seen], error[seen], len(offsets) - 1)
        count = np.bincount(series[seen], minlength=len(offsets) - 1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    scale = np.nan_to_num(steps(season))
    return scale if season == 1 else np.asarray(np.where(scale > 0, scale, np.nan_to_num(steps(1))))
