"""Batch of synthetic series, and the random numbers that all families draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rekur.core import Array


@dataclass(frozen=True)
class Series:
    """Synthetic series with the lengths of their seasons.

    Parameters
    ----------
    values : (B, T) float32 array
        Values; NaN where one is missing.
    periods : (B, 2) int array
        Lengths of the shorter and the longer season in steps; 1 for none.

    Examples
    --------
    >>> Series(np.zeros((2, 5), np.float32), np.ones((2, 2), np.int64)).values.shape
    (2, 5)
    """

    values: Array
    periods: Array


def log_uniform(rng: np.random.Generator, low: float, high: float, size: int) -> Array:
    """Draws (size, 1) whose logarithm is uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (size, 1))).astype(np.float32)


def chosen(rng: np.random.Generator, share: float, size: int) -> Array:
    """Draws (size, 1) that are true in a share of the rows."""
    return rng.random((size, 1)) < share


def draw_periods(
    rng: np.random.Generator, pairs: Sequence[tuple[int, int, float]], size: int, other: float = 0.0
) -> Array:
    """Periods (size, 2): pairs with their weights, in a share `other` of the rows any period from 3 to 120 steps."""
    table = np.array(pairs)
    rows = rng.choice(len(table), size, p=table[:, 2] / table[:, 2].sum())
    periods = table[rows, :2].astype(np.int64)
    free = rng.random(size) < other
    periods[free, 0] = np.exp(rng.uniform(np.log(3), np.log(120), free.sum())).astype(np.int64)
    periods[free, 1] = 1
    return periods


def standardized(values: Array) -> Array:
    """Rows (B, T) with mean 0 and standard deviation 1; constant rows become 0."""
    values = values - values.mean(1, keepdims=True)
    return np.asarray(values / np.maximum(values.std(1, keepdims=True), 1e-6), np.float32)
