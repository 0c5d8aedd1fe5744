"""The season length of values whose times say nothing: found from the autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rekur.core import Array

__all__ = ["CANDIDATES", "detect_season"]


CANDIDATES = (
    4,
    5,
    6,
    7,
    8,
    10,
    12,
    13,
    14,
    18,
    20,
    24,
    26,
    30,
    36,
    48,
    52,
    60,
    96,
    100,
    144,
    168,
    288,
    336,
    365,
)
SERIES = 50  # at most so many series are looked at
PERIODS = 40  # at most so many periods of each
LEAST, MOST = 0.3, 0.9  # autocorrelation that is never a season, and that always is one


def _without_level(y: Array, m: int) -> Array:
    """Take the moving average over one period off y (T,), so that only what is faster stays."""
    there = ~np.isnan(y)
    weights = np.ones(m) if m % 2 else np.concatenate([[0.5], np.ones(m - 1), [0.5]])
    count = np.convolve(there.astype(np.float64), weights, "valid")
    total = np.convolve(np.where(there, y, 0.0), weights, "valid")
    half = len(weights) // 2
    level = np.where(count > m / 2, total / np.maximum(count, 1e-9), np.nan)
    return np.asarray(y[half : len(y) - half] - level)


def _lag(x: Array, there: Array, lag: int) -> tuple[float, int]:
    """Return the correlation of x (T,) with itself `lag` steps on, and the number of pairs."""
    both = there[lag:] & there[:-lag]
    a, b = x[lag:][both], x[:-lag][both]
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return (float(a @ b) / scale if scale > 0 else 0.0), int(both.sum())


def _strength(y: Array, m: int) -> tuple[float, float]:
    """Return how alike neighbouring periods of length m are in y (T,), and how alike chance would make them.

    rₘ of the values without their moving level must be a peak (no less than r one twelfth of m to either
    side); chance is max(1.645·√((1 + 2 Σ rᵢ²) / n), 3/√n, 0.85·√(m/n), 0.3), i < m (the first: Bartlett
    1946), or 0.9 if that is less.
    """
    x = _without_level(y[-(PERIODS + 1) * m :], m)
    there = ~np.isnan(x)
    if there.sum() < 2 * m - 2:
        return 0.0, 1.0
    x = np.where(there, x - x[there].mean(), 0.0)
    r, pairs = _lag(x, there, m)
    side = max(1, m // 12)
    if pairs < m - 2 or r <= 0 or r < max(_lag(x, there, m - side)[0], _lag(x, there, m + side)[0]):
        return 0.0, 1.0
    size = 1 << int(2 * len(x) - 1).bit_length()
    near = np.fft.irfft(np.abs(np.fft.rfft(x, size)) ** 2)[1:m] / float(x @ x)
    noise = np.sqrt((1 + 2 * float(near @ near)) / pairs)
    chance = max(1.645 * float(noise), 3 / np.sqrt(pairs), 0.85 * np.sqrt(m / pairs), LEAST)
    return r, min(chance, MOST)


def detect_season(y: Array | Sequence[Array], candidates: Sequence[int] = CANDIDATES) -> int:
    """Find the season length of series whose times are whole numbers, or 1 if none stands out.

    Each candidate m is judged by the autocorrelation at lag m of the values without their moving level of
    length m (so that a trend or a random walk makes no season); the median over up to 50 series counts, of
    those at least 3 m long. Of the multiples of one season the shortest wins that is at least 0.6 times as
    strong as the strongest.

    Parameters
    ----------
    y : (B, T) with NaN for padding and for missing values, or a list of (T,) arrays
    candidates : season lengths to try

    Returns
    -------
    int, a candidate or 1

    Examples
    --------
    >>> t = np.arange(96)
    >>> detect_season([10 + t + np.sin(2 * np.pi * t / 12)]), detect_season([1.5 * t])
    (12, 1)
    """
    picked = np.linspace(0, len(y) - 1, min(len(y), SERIES)).astype(np.int64)
    rows = [_trimmed(np.asarray(y[int(s)], dtype=np.float64)) for s in np.unique(picked)]
    strong: dict[int, float] = {}
    for m in sorted({int(c) for c in candidates if c > 1}):
        pairs = [_strength(row, m) for row in rows if len(row) >= 3 * m]
        if pairs and 2 * len(pairs) >= len(rows):
            r, chance = (float(v) for v in np.median(pairs, axis=0))
            if r > chance:
                strong[m] = r
    if not strong:
        return 1
    best = max(strong, key=lambda m: strong[m])
    return next(m for m in sorted(strong) if best % m == 0 and strong[m] >= 0.6 * strong[best])


def _trimmed(y: Array) -> Array:
    """Return y (T,) without the missing values at its two ends."""
    there = np.flatnonzero(~np.isnan(y))
    return y[there[0] : there[-1] + 1] if len(there) else y[:0]
