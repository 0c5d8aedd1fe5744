"""Season and trend of a history and of its forecast, by classical decomposition.

n rows · m season
"""

from __future__ import annotations

import numpy as np

from rekur.core import Array


def moving_average(y: Array, m: int) -> Array:
    """Centred mean over m rows, (n,), of the observed values; windows are cut at the ends of the series.

    For an even m the two rows at the ends count half, so that each season of the window has the same weight.
    """
    kernel = np.ones(m) if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5]
    half, known = len(kernel) // 2, np.isfinite(y)
    sums, counts = (
        np.convolve(part, kernel)[half : half + len(y)] for part in (np.where(known, y, 0.0), known.astype(float))
    )
    return np.where(counts >= 0.5, sums / np.maximum(counts, 0.5), np.nan)


def seasonal_profile(y: Array, m: int) -> Array | None:
    """Mean deviation from the moving average at each position of the season, (m,); 0 is the row after the last.

    None for fewer than two seasons, or where a position was never observed.

    References
    ----------
    R. J. Hyndman, G. Athanasopoulos, 2021, "Forecasting: principles and practice", section 3.4.
    """
    n, half = len(y), m // 2
    if m < 2 or n < 2 * m:
        return None
    deviation = (y - moving_average(y, m))[half : n - half]
    position = (np.arange(half, n - half) - n) % m
    known = np.isfinite(deviation)
    counts = np.bincount(position[known], minlength=m)
    if not counts.all():
        return None
    profile = np.bincount(position[known], deviation[known], minlength=m) / counts
    return np.asarray(profile - profile.mean())


def trend(y: Array, profile: Array | None, m: int, stop: int) -> Array:
    """Moving average over a season of the values (n,) without their season; `stop` is the row of position 0."""
    season = 0.0 if profile is None else profile[(np.arange(len(y)) - stop) % len(profile)]
    return moving_average(y - season, max(m, 2))
