"""Imputation of missing values: forward fill with the age of the last observation, and seasonal fill."""

from __future__ import annotations

import numpy as np

from rekur.core import Array

MAX_SEASONS = 3
"""Seasons searched for a substitute in either direction."""


def last_observed(observed: Array) -> Array:
    """Column of the last True up to each step of a mask (n, L), -1 before the first one; shape (n, L)."""
    return np.asarray(np.maximum.accumulate(np.where(observed, np.arange(observed.shape[1]), -1), axis=1))


def forward_fill(past: Array) -> tuple[Array, Array]:
    """Last observed value at each step and its age in steps, both (n, L); 0 and L before the first observation.

    >>> values, age = forward_fill(np.array([[np.nan, 5.0, np.nan, np.nan, 7.0]]))
    >>> values.tolist(), age.tolist()
    ([[0.0, 5.0, 5.0, 5.0, 7.0]], [[5, 0, 1, 2, 0]])
    """
    L, column = past.shape[1], last_observed(np.isfinite(past))
    values = np.take_along_axis(np.nan_to_num(past), np.maximum(column, 0), axis=1)
    return np.where(column >= 0, values, 0.0), np.where(column >= 0, np.arange(L) - column, L)


def seasonal_fill(past: Array, season: int) -> Array:
    """Values (n, L) with each gap filled by the season before it, else the season after it; NaN where none is observed.

    >>> seasonal_fill(np.array([[1.0, np.nan, np.nan, 4.0]]), season=2).tolist()
    [[1.0, 4.0, 1.0, 4.0]]
    """
    out = past.copy()
    if season < past.shape[1]:
        later, earlier = slice(season, None), slice(None, -season)
        for target, source in ((later, earlier), (earlier, later)):
            for _ in range(MAX_SEASONS):
                out[:, target] = np.where(np.isfinite(out[:, target]), out[:, target], out[:, source])
    return out
