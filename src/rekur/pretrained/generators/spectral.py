"""Stationary processes by spectral synthesis: random Fourier coefficients times the square root of a spectral density.

No loop over time: the series of a batch are one inverse Fourier transform. It has twice their length and one half of it
is used, so that the ends of a series do not meet.
"""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.pretrained.generators.series import chosen, log_uniform, standardized


def frequencies(length: int) -> Array:
    """Angular frequencies (length + 1,) from 0 to π."""
    return np.linspace(0, np.pi, length + 1, dtype=np.float32)


def synthesize(rng: np.random.Generator, amplitude: Array) -> Array:
    """Standardized rows (B, T) of a process with amplitudes (B, T + 1) at the frequencies from 0 to π."""
    size, bins = amplitude.shape
    noise = rng.standard_normal((size, bins, 2), dtype=np.float32).view(np.complex64)[..., 0]
    rows = np.fft.irfft(amplitude * noise, axis=1)  # (B, 2·T)
    return standardized(rows[:, : bins - 1].astype(np.float32))


def squared_gain(rng: np.random.Generator, radius: float, pairs: int, size: int, length: int) -> Array:
    """∏ |1 - r e^{i(θ-ω)}|² (size, length + 1) of one real root and pairs of complex roots within a radius.

    As a numerator it is a moving average, as a denominator an autoregression, stable by construction.
    """
    w = frequencies(length)
    r = rng.uniform(-radius, radius, (size, 1)).astype(np.float32)
    gain = 1 + r * r - 2 * r * np.cos(w)
    for _ in range(pairs):
        r = rng.uniform(0, radius, (size, 1)).astype(np.float32) * chosen(rng, 0.5, size)
        angle = rng.uniform(0, np.pi, (size, 1)).astype(np.float32)
        gain *= (1 + r * r - 2 * r * np.cos(w - angle)) * (1 + r * r - 2 * r * np.cos(w + angle))
    return np.asarray(gain, np.float32)


def arma(rng: np.random.Generator, size: int, length: int) -> Array:
    """Autoregressive moving averages (size, length) of up to five roots each, a third of them with long memory."""
    power = squared_gain(rng, 0.8, 1, size, length) / squared_gain(rng, 0.95, 2, size, length)
    memory = rng.uniform(0, 0.9, (size, 1)) * chosen(rng, 0.35, size)
    w = frequencies(length)
    w[0] = w[1]
    return synthesize(rng, np.sqrt(power) * (2 * np.sin(w / 2)) ** (-memory.astype(np.float32)))


def seasonal_arma(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Seasonal autoregressive moving averages: arma(·) with a factor 1 / |1 - ρ e^{-iωp}|² for each period p.

    1 - ρ is log-uniform between 0.002 and 0.5: profiles that last for a few or hundreds of seasons.
    """
    size, w = len(periods), frequencies(length)
    power = squared_gain(rng, 0.6, 1, size, length) / squared_gain(rng, 0.9, 1, size, length)
    for k in range(2):
        rho = (1 - log_uniform(rng, 0.002, 0.5, size)) * (periods[:, k : k + 1] > 1)
        power = power / (1 + rho * rho - 2 * rho * np.cos(w * periods[:, k : k + 1].astype(np.float32)))
    return synthesize(rng, np.sqrt(power))


def gaussian_process(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Gaussian processes: the sum of a Matérn or squared exponential, a quasi-periodic and a white spectral density.

    The quasi-periodic density has Gaussian peaks at the multiples of 2π/p, whose width is the inverse of the time in
    which the profile changes.

    References
    ----------
    C. E. Rasmussen and C. K. I. Williams, 2006, "Gaussian processes for machine learning", chapter 4.
    """
    size, w = len(periods), frequencies(length)
    scale, order = log_uniform(rng, 3, length, size), rng.choice([0.5, 1.5, 2.5], (size, 1))
    matern = (1 + (scale * w) ** 2 / (2 * order)) ** (-order - 0.5)
    smooth = np.where(chosen(rng, 0.3, size), np.exp(-((scale * w) ** 2) / 2), matern)
    p = periods[:, :1]
    spacing = (2 * np.pi / p).astype(np.float32)
    harmonic = np.maximum(np.round(w / spacing), 1)
    width = log_uniform(rng, 0.0008, 0.03, size)
    decay = rng.uniform(0.5, 2.5, (size, 1)).astype(np.float32)
    peaks = harmonic ** (-2 * decay) * np.exp(-(((w - harmonic * spacing) / width) ** 2) / 2)
    parts = (
        (smooth, rng.random((size, 1)) * chosen(rng, 0.7, size) + 1e-3),
        (peaks, 3 * rng.random((size, 1)) * (p > 1)),
        (np.ones_like(w), log_uniform(rng, 1e-4, 0.3, size)),
    )
    power = sum(weight * part / np.maximum(part.sum(-1, keepdims=True), 1e-12) for part, weight in parts)
    return synthesize(rng, np.sqrt(np.asarray(power, np.float32)))
