"""Series with a calendar: days of different type, weeks, years and holidays."""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.pretrained.generators.profiles import draw_tables, read_tables
from rekur.pretrained.generators.series import chosen
from rekur.pretrained.generators.spectral import arma


def calendars(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Series (B, T) of days within weeks within a year, as demand, traffic and sales have them.

    Where the longer period is a week of the shorter, days off have a profile and a level of their own; otherwise the
    shorter period is the week and the longer one the year. Holidays look like days off, or like peaks. The noise of a
    day lasts for it: days as a whole lie above or below the profile.
    """
    size, t = len(periods), np.arange(length)
    daily = periods[:, 1:] == 7 * periods[:, :1]  # whether there are several steps a day
    day_steps = np.where(daily, periods[:, :1], 1)
    time = t + rng.integers(0, 365, (size, 1)) * day_steps + np.floor(rng.random((size, 1)) * day_steps)
    day = (time // day_steps).astype(np.int64)  # (B, T)
    weekday, yearday = day % 7, day % 365
    off = weekday >= rng.choice([5, 6], (size, 1), p=[0.8, 0.2])
    holidays = rng.random((size, 365)) < rng.uniform(0, 0.03, (size, 1))
    holiday = np.take_along_axis(holidays, yearday, axis=1)
    phase = time / day_steps + 1e-4
    work, rest = (read_tables(draw_tables(rng, np.maximum(periods[:, 0], 1)), phase) for _ in range(2))
    similar = rng.uniform(0, 1, (size, 1))
    closed = off | (holiday & chosen(rng, 0.7, size))
    profile = np.where(closed, similar * work + (1 - similar) * rest, work) * daily
    levels = rng.normal(0, 0.3, (size, 7))
    levels[:, 5:] -= rng.exponential(1, (size, 1))
    week = np.take_along_axis(levels, weekday, axis=1) + np.where(
        holiday, np.where(closed, levels[:, 6:], rng.exponential(2, (size, 1))), 0
    )
    year = read_tables(draw_tables(rng, np.full(size, 12)), time / (365 * day_steps))
    smooth = np.sin(2 * np.pi * (time / (365 * day_steps) + rng.random((size, 1))))
    envelope = np.where(chosen(rng, 0.7, size), smooth, year) * rng.exponential(0.5, (size, 1))
    base = profile * rng.uniform(0.3, 1.5, (size, 1)) + week * rng.uniform(0.2, 1, (size, 1))
    strength = np.exp(np.clip(envelope * rng.uniform(0, 0.6, (size, 1)), -2, 2))
    values = np.where(chosen(rng, 0.5, size), base * strength, base) + envelope
    slow, fast = arma(rng, size, length), arma(rng, size, length)
    noise = np.exp(rng.normal(-1.6, 0.8, (size, 1)))
    daywise = np.take_along_axis(slow, day - day[:, :1], axis=1)
    return np.asarray(values + noise * (0.6 * daywise + fast), np.float32)
