"""Season length from the autocorrelation, for series whose times have no calendar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rekur.core import Array

__all__ = ["CANDIDATES", "detect_season"]

# fmt: off
CANDIDATES = (
    4, 5, 6, 7, 8, 10, 12, 13, 14, 18, 20, 24, 26, 30, 36, 48, 52, 60, 96, 100, 144, 168, 288, 336, 365,
)
# fmt: on
"""Season lengths that are tested by default."""
MAX_SERIES = 50
MAX_PERIODS = 40  # of each series, the last ones
MIN_AUTOCORRELATION, SURE_AUTOCORRELATION = 0.3, 0.9  # never, and always, a season


def _detrended(y: Array, m: int) -> Array:
    """Return y (T,) less its moving average over one period, (T - 2·(m//2),)."""
    observed = ~np.isnan(y)
    weights = np.ones(m) if m % 2 else np.concatenate([[0.5], np.ones(m - 1), [0.5]])
    count = np.convolve(observed.astype(np.float64), weights, "valid")
    total = np.convolve(np.where(observed, y, 0.0), weights, "valid")
    half = len(weights) // 2
    level = np.where(count > m / 2, total / np.maximum(count, 1e-9), np.nan)
    return np.asarray(y[half : len(y) - half] - level)


def _lag_correlation(x: Array, observed: Array, lag: int) -> tuple[float, int]:
    """Return the correlation of x (T,) with itself `lag` steps later, and the number of pairs."""
    both = observed[lag:] & observed[:-lag]
    a, b = x[lag:][both], x[:-lag][both]
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return (float(a @ b) / scale if scale > 0 else 0.0), int(both.sum())


def _season_strength(y: Array, m: int) -> tuple[float, float]:
    """Return the autocorrelation of y (T,) at lag m and the bound above which it is a season.

        bound = min(max(1.645·√((1 + 2 Σ rᵢ²) / n), 3/√n, 0.85·√(m/n), 0.3), 0.9),  i < m

    where rᵢ is the autocorrelation at lag i of the detrended values and n the number of pairs; the first term is
    Bartlett's (1946). A lag that is no peak, with r below that one twelfth of m to either side, gives r = 0.
    """
    x = _detrended(y[-(MAX_PERIODS + 1) * m :], m)
    observed = ~np.isnan(x)
    if observed.sum() < 2 * m - 2:
        return 0.0, 1.0
    x = np.where(observed, x - x[observed].mean(), 0.0)
    r, pairs = _lag_correlation(x, observed, m)
    side = max(1, m // 12)
    neighbours = (_lag_correlation(x, observed, lag)[0] for lag in (m - side, m + side))
    if pairs < m - 2 or r <= 0 or r < max(neighbours):
        return 0.0, 1.0
    size = 1 << int(2 * len(x) - 1).bit_length()
    shorter = np.fft.irfft(np.abs(np.fft.rfft(x, size)) ** 2)[1:m] / float(x @ x)
    noise = np.sqrt((1 + 2 * float(shorter @ shorter)) / pairs)
    bound = max(1.645 * float(noise), 3 / np.sqrt(pairs), 0.85 * np.sqrt(m / pairs), MIN_AUTOCORRELATION)
    return r, min(bound, SURE_AUTOCORRELATION)


def detect_season(y: Array | Sequence[Array], candidates: Sequence[int] = CANDIDATES) -> int:
    """Return the season length of series whose times are integers, or 1 if none is significant.

    Each candidate m is tested by the autocorrelation at lag m of the values less their moving average over m steps,
    so that a trend or a random walk makes no season. The median over up to 50 series counts, of those with at least
    3 m steps. Among divisors of the strongest candidate the shortest wins that is at least 0.6 times as strong.

    Parameters
    ----------
    y : (B, T) array, or sequence of (T,) arrays
        Series, NaN for padding and missing values.
    candidates : sequence of int, default CANDIDATES
        Season lengths to test.

    Returns
    -------
    int
        A candidate, or 1.

    References
    ----------
    M. S. Bartlett, 1946, "On the theoretical specification and sampling properties of autocorrelated time-series".

    Examples
    --------
    >>> t = np.arange(96)
    >>> detect_season([10 + t + np.sin(2 * np.pi * t / 12)]), detect_season([1.5 * t])
    (12, 1)
    """
    sample = np.linspace(0, len(y) - 1, min(len(y), MAX_SERIES)).astype(np.int64)
    series = [_trimmed(np.asarray(y[int(s)], dtype=np.float64)) for s in np.unique(sample)]
    strength: dict[int, float] = {}
    for m in sorted({int(m) for m in candidates if m > 1}):
        tests = [_season_strength(values, m) for values in series if len(values) >= 3 * m]
        if tests and 2 * len(tests) >= len(series):
            r, bound = (float(value) for value in np.median(tests, axis=0))
            if r > bound:
                strength[m] = r
    if not strength:
        return 1
    best = max(strength, key=lambda m: strength[m])
    return next(m for m in sorted(strength) if best % m == 0 and strength[m] >= 0.6 * strength[best])


def _trimmed(y: Array) -> Array:
    """Return y (T,) without the missing values at both ends."""
    observed = np.flatnonzero(~np.isnan(y))
    return y[observed[0] : observed[-1] + 1] if len(observed) else y[:0]
