"""Seasonal profiles: tables of one period, read at the phase of each step."""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.pretrained.generators.series import chosen, standardized

TABLE = 128
"""Entries of a table."""


def harmonics(rng: np.random.Generator, size: int) -> Array:
    """Smooth profiles (size, TABLE): up to eight harmonics whose amplitudes decay by a random power."""
    k = np.arange(1, 9, dtype=np.float32)
    decay = rng.uniform(0.3, 2.5, (size, 1))
    shares = rng.standard_normal((size, 8, 2)) * (k**-decay)[..., None]
    angle = 2 * np.pi * k[:, None] * np.arange(TABLE, dtype=np.float32) / TABLE  # (8, TABLE)
    return np.asarray(shares[..., 0] @ np.cos(angle) + shares[..., 1] @ np.sin(angle), np.float32)


def slots(rng: np.random.Generator, periods: Array) -> Array:
    """Profiles (B, TABLE) with a free value for each step of the period, as weekdays or months have one."""
    values = rng.standard_normal((len(periods), TABLE)).astype(np.float32)
    heavy = chosen(rng, 0.3, len(periods))
    values = np.where(heavy, values * np.abs(values), values)
    step = np.arange(TABLE) * np.minimum(periods[:, None], TABLE) // TABLE  # (B, TABLE)
    return np.take_along_axis(values, step, axis=1)


def bumps(rng: np.random.Generator, size: int) -> Array:
    """Profiles (size, TABLE) that are flat but for one to three bumps, as the sun, traffic or meals make them."""
    phase = np.arange(TABLE, dtype=np.float32) / TABLE
    total = np.zeros((size, TABLE), np.float32)
    for n in range(3):
        center, width = rng.random((size, 1)), rng.uniform(0.02, 0.2, (size, 1))
        distance = np.abs((phase - center + 0.5) % 1 - 0.5)
        height = rng.uniform(0.3, 1, (size, 1)) * (chosen(rng, 0.6, size) | (n == 0))
        total += height * np.exp(-((distance / width) ** 2) / 2)
    floor = rng.uniform(0, 0.6, (size, 1))
    return np.asarray(np.maximum(total - floor, 0), np.float32)


def draw_tables(rng: np.random.Generator, periods: Array) -> Array:
    """Standardized profiles (B, TABLE) of all kinds for periods (B,); the mean of a profile is 0."""
    size = len(periods)
    kind = rng.choice(3, (size, 1), p=[0.45, 0.35, 0.2])
    return standardized(np.choose(kind, [harmonics(rng, size), slots(rng, periods), bumps(rng, size)]))


def read_tables(tables: Array, phase: Array) -> Array:
    """Values (B, T) of profiles (B, TABLE) at phases (B, T) in periods; the fraction is what counts."""
    index = ((phase % 1) * TABLE).astype(np.int64)
    return np.take_along_axis(tables, np.minimum(index, TABLE - 1), axis=1)


def seasonal(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Seasonal parts (B, T) for periods (B,), 0 where the period is 1; in a part of the rows they change slowly.

    The amplitude grows or falls, or the profile moves over to another one within the series.
    """
    size, t = len(periods), np.arange(length, dtype=np.float32)
    p = np.maximum(periods, 1)[:, None].astype(np.float32)
    phase = (t + np.floor(rng.random((size, 1)) * p)) / p  # (B, T), exact steps of whole periods
    phase += 1e-4  # a step lies within its slot, not on its border
    first, second = (read_tables(draw_tables(rng, periods), phase) for _ in range(2))
    x = t / length
    mix = np.where(chosen(rng, 0.2, size), 0.5 + 0.5 * np.tanh(6 * (x - rng.random((size, 1)))), 0)
    growth = np.where(chosen(rng, 0.25, size), np.exp(rng.normal(0, 0.7, (size, 1)) * (x - 0.5)), 1)
    values = ((1 - mix) * first + mix * second) * growth
    return np.asarray(np.where(p > 1, values, 0), np.float32)
