"""Levels and trends: random walks, local trends that last or damp, growth curves, regimes and steps."""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.pretrained.generators.series import chosen, log_uniform, standardized


def increments(rng: np.random.Generator, size: int, length: int) -> Array:
    """White noise (size, length) with normal or heavy tails, in a part of the rows with clustered volatility."""
    noise = rng.standard_normal((size, length), dtype=np.float32)
    heavy = np.sqrt(3 / np.maximum(rng.chisquare(4, (size, length)) * 0.75, 0.1)).astype(np.float32)
    noise = np.where(chosen(rng, 0.3, size), noise * heavy, noise)
    log_scale = np.cumsum(rng.standard_normal((size, length), dtype=np.float32), axis=1) / np.sqrt(length)
    return np.asarray(np.where(chosen(rng, 0.3, size), noise * np.exp(log_scale), noise), np.float32)


def random_walks(rng: np.random.Generator, size: int, length: int) -> Array:
    """Random walks (size, length) in units of their steps, with a drift of about 0.3 steps in most.

    A moving average of the steps makes part of a step temporary: the optimal forecast is exponential smoothing.
    """
    noise = increments(rng, size, length)
    share = rng.uniform(0, 0.9, (size, 1)) * chosen(rng, 0.6, size)
    momentum = rng.uniform(0, 0.5, (size, 1)) * chosen(rng, 0.3, size)
    steps = noise.copy()
    steps[:, 1:] += (momentum - share) * noise[:, :-1]
    slope = rng.normal(0, 0.3, (size, 1)) * chosen(rng, 0.6, size)
    return np.asarray(np.cumsum(steps + slope, axis=1), np.float32)


def local_trends(rng: np.random.Generator, size: int, length: int) -> Array:
    """Levels (size, length) with a slope that is a damped random walk around a mean: trends that last for a while.

    b_t = b̄ + φ·(b_{t-1} - b̄) + ζ_t,  l_t = l_{t-1} + b_t + η_t,  y_t = l_t + ε_t
    """
    phi = rng.uniform(0.7, 1.0, (size, 1)).astype(np.float32)
    speed = log_uniform(rng, 0.01, 1, size)
    mean = rng.normal(0, 1, (size, 1)) * chosen(rng, 0.6, size)
    shocks = increments(rng, size, length) * speed
    slope = np.empty_like(shocks)
    b = shocks[:, 0]
    for t in range(length):
        b = phi[:, 0] * b + shocks[:, t]
        slope[:, t] = b
    level = log_uniform(rng, 0.01, 2, size) * increments(rng, size, length)
    noise = log_uniform(rng, 0.01, 2, size) * rng.standard_normal((size, length), dtype=np.float32)
    return np.asarray(np.cumsum(mean + slope + level, axis=1) + noise, np.float32)


def curves(rng: np.random.Generator, size: int, length: int) -> Array:
    """Deterministic trends (size, length) between about -1 and 1: lines, broken lines, growth and saturation."""
    x = np.linspace(0, 1, length, dtype=np.float32)
    bend, rate = rng.random((size, 1)), rng.uniform(-3, 3, (size, 1))
    rate = np.where(np.abs(rate) < 0.2, 0.2, rate)
    sign = rng.choice([-1.0, 1.0], (size, 1))
    forms = (
        np.broadcast_to(x, (size, length)),
        x + rng.normal(0, 2, (size, 1)) * np.maximum(x - bend, 0),
        (np.exp(rate * x) - 1) / np.abs(np.exp(rate) - 1),
        1 / (1 + np.exp(-log_uniform(rng, 3, 30, size) * (x - bend))),
        np.sin(2 * np.pi * (x * rng.uniform(0.3, 2, (size, 1)) + bend)) / 2,
    )
    return np.asarray(sign * np.choose(rng.choice(5, (size, 1), p=[0.3, 0.2, 0.2, 0.15, 0.15]), forms), np.float32)


def steps(rng: np.random.Generator, size: int, length: int) -> Array:
    """Piecewise constant levels (size, length) with up to eight jumps."""
    rate = rng.uniform(0, 8 / length, (size, 1))
    jumps = rng.standard_normal((size, length), dtype=np.float32) * (rng.random((size, length)) < rate)
    return np.asarray(np.cumsum(jumps, axis=1), np.float32)


def regimes(rng: np.random.Generator, size: int, length: int) -> Array:
    """Mean-reverting processes (size, length) that switch between two levels, speeds and volatilities.

        x_t = x_{t-1} + θ_k·(μ_k - x_{t-1}) + σ_k·ε_t,  regime k a Markov chain

    References
    ----------
    J. D. Hamilton, 1989, "A new approach to the economic analysis of nonstationary time series and the business cycle".
    """
    stay = 1 - log_uniform(rng, 0.002, 0.2, size)
    state = (np.cumsum(rng.random((size, length)) > stay, axis=1) + rng.integers(0, 2, (size, 1))) % 2  # (B, T)
    speed = np.where(state, log_uniform(rng, 0.01, 0.3, size), log_uniform(rng, 0.05, 0.9, size)).astype(np.float32)
    level = np.where(state, rng.normal(0, 2, (size, 1)), rng.normal(0, 2, (size, 1))).astype(np.float32)
    sigma = np.where(state, log_uniform(rng, 0.05, 1, size), log_uniform(rng, 0.05, 1, size))
    pull = np.ascontiguousarray((speed * level + sigma * rng.standard_normal((size, length), dtype=np.float32)).T)
    keep, x = np.ascontiguousarray(1 - speed.T), level[:, 0]
    values = np.empty((length, size), np.float32)
    for t in range(length):
        x = keep[t] * x + pull[t]
        values[t] = x
    return standardized(values.T)
