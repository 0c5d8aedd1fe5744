"""What stands in for values that are missing: the last one and its age, or that of another season."""

from __future__ import annotations

import numpy as np

from rekur.core import Array

SEASONS = 3  # seasons that are looked through in either direction


def latest(seen: Array) -> Array:
    """The column of the last True up to each step of seen (n, L), -1 before the first one."""
    return np.asarray(np.maximum.accumulate(np.where(seen, np.arange(seen.shape[1]), -1), axis=1))


def carried(past: Array) -> tuple[Array, Array]:
    """The last value seen at each step, (n, L), and how many steps ago that was; 0 and L before the first one.

    >>> values, age = carried(np.array([[np.nan, 5.0, np.nan, np.nan, 7.0]]))
    >>> values.tolist(), age.tolist()
    ([[0.0, 5.0, 5.0, 5.0, 7.0]], [[5, 0, 1, 2, 0]])
    """
    L, at = past.shape[1], latest(np.isfinite(past))
    values = np.take_along_axis(np.nan_to_num(past), np.maximum(at, 0), axis=1)
    return np.where(at >= 0, values, 0.0), np.where(at >= 0, np.arange(L) - at, L)


def seasonal(past: Array, season: int) -> Array:
    """The values (n, L), where one is missing that of a season before, else of one after it; NaN if all are missing.

    >>> seasonal(np.array([[1.0, np.nan, np.nan, 4.0]]), season=2).tolist()
    [[1.0, 4.0, 1.0, 4.0]]
    """
    out = past.copy()
    if season < past.shape[1]:
        for here, there in ((slice(season, None), slice(None, -season)), (slice(None, -season), slice(season, None))):
            for _ in range(SEASONS):
                out[:, here] = np.where(np.isfinite(out[:, here]), out[:, here], out[:, there])
    return out
