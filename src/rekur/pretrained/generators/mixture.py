"""Mixtures of all families, with the changes that real series have: outliers, gaps, counts, growth, rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rekur.core import Array
from rekur.pretrained.generators import spectral, trends
from rekur.pretrained.generators.calendars import calendars
from rekur.pretrained.generators.profiles import seasonal
from rekur.pretrained.generators.series import Series, chosen, draw_periods, log_uniform, standardized

Family = Callable[[np.random.Generator, Array, int], Array]
"""(random numbers, periods (B, 2), length T) to values (B, T)."""


def decomposition(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Trend, two seasons, their product, and noise: the textbook model of a series."""
    size = len(periods)
    short, long = (seasonal(rng, periods[:, k], length) for k in range(2))
    product = chosen(rng, 0.5, size)
    omega = rng.uniform(0, 1.2, (size, 1))
    season = np.where(product, short * (1 + 0.5 * omega * long), short + omega * long)
    trend = trends.curves(rng, size, length) * log_uniform(rng, 0.1, 6, size) * chosen(rng, 0.7, size)
    level = standardized(trends.random_walks(rng, size, length)) * log_uniform(rng, 0.05, 3, size)
    noise = log_uniform(rng, 0.05, 2, size) * np.where(chosen(rng, 0.15, size), 0.05, 1)
    return np.asarray(season + trend + level * chosen(rng, 0.4, size) + noise * spectral.arma(rng, size, length))


def smoothing_model(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Level, trend and season that all move: the models behind exponential smoothing, additive.

    The season is a weak one in units of the steps of the level, or none.
    """
    size = len(periods)
    walk = np.where(
        chosen(rng, 0.5, size), trends.random_walks(rng, size, length), trends.local_trends(rng, size, length)
    )
    scale = np.abs(np.diff(walk, axis=1)).mean(1, keepdims=True) + 1e-6
    season = seasonal(rng, periods[:, 0], length) * log_uniform(rng, 0.2, 20, size)
    return np.asarray(walk / scale + season * chosen(rng, 0.8, size), np.float32)


def random_walk(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Random walks; see `trends.random_walks`."""
    return trends.random_walks(rng, len(periods), length)


def local_trend(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Trends that last for a while; see `trends.local_trends`."""
    return trends.local_trends(rng, len(periods), length)


def growth(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Growth by a rate that moves slowly, with noise: the logarithm has a drift, so that the steps grow as well."""
    size = len(periods)
    drift = rng.normal(0.4, 0.8, (size, 1))
    steps = trends.increments(rng, size, length) + drift
    log = np.cumsum(steps, axis=1)
    log = log / np.abs(log).max(1, keepdims=True) * log_uniform(rng, 0.1, 2.5, size)
    season = seasonal(rng, periods[:, 0], length) * log_uniform(rng, 0.01, 0.5, size) * chosen(rng, 0.7, size)
    noise = log_uniform(rng, 0.002, 0.1, size) * rng.standard_normal((size, length), dtype=np.float32)
    return np.asarray(np.exp(log + season + noise), np.float32)


def regime(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Regimes with a season, see `trends.regimes`."""
    season = seasonal(rng, periods[:, 0], length) * log_uniform(rng, 0.1, 3, len(periods))
    return np.asarray(trends.regimes(rng, len(periods), length) + season * chosen(rng, 0.6, len(periods)))


def shifts(rng: np.random.Generator, periods: Array, length: int) -> Array:
    """Piecewise constant levels with a season and faint noise, as of machines and prices."""
    size = len(periods)
    season = seasonal(rng, periods[:, 0], length) * log_uniform(rng, 0.05, 2, size) * chosen(rng, 0.6, size)
    noise = log_uniform(rng, 0.005, 0.5, size) * spectral.arma(rng, size, length)
    return np.asarray(trends.steps(rng, size, length) + season + noise)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "decomposition": decomposition,
        "calendars": calendars,
        "seasonal_arma": spectral.seasonal_arma,
        "gaussian_process": spectral.gaussian_process,
        "smoothing_model": smoothing_model,
        "random_walk": random_walk,
        "local_trend": local_trend,
        "growth": growth,
        "regime": regime,
        "shifts": shifts,
    }
)
"""Families of synthetic series."""


@dataclass(frozen=True)
class Mixture:
    """Shares of the families and of the changes in series of one length.

    Parameters
    ----------
    length : int
        Steps T of a series.
    periods : sequence of (int, int, float)
        Pairs of a shorter and a longer season, and their weights.
    weights : mapping of str to float
        Weights of the families.
    other : float
        Share of the rows with another period than those of the pairs.
    level : float
        Share of the rows with a random walk on top.

    Examples
    --------
    >>> SHORT.length, max(SHORT.weights, key=SHORT.weights.get)
    (160, 'smoothing_model')
    """

    length: int
    periods: tuple[tuple[int, int, float], ...]
    weights: Mapping[str, float]
    other: float
    level: float


LONG = Mixture(
    length=768,
    periods=(
        (24, 168, 0.3), (24, 1, 0.1), (7, 365, 0.12), (7, 1, 0.13), (48, 336, 0.1), (96, 672, 0.05), (144, 1, 0.03),
        (12, 1, 0.07), (52, 1, 0.03), (1, 1, 0.12), (60, 1, 0.02), (288, 1, 0.02), (4, 1, 0.02),
    ),
    weights=MappingProxyType(
        {
            "decomposition": 0.25, "calendars": 0.17, "seasonal_arma": 0.14, "gaussian_process": 0.1, "regime": 0.08,
            "smoothing_model": 0.08, "random_walk": 0.05, "local_trend": 0.03, "growth": 0.04, "shifts": 0.06,
        }
    ),
    other=0.15,
    level=0.25,
)  # fmt: skip
"""Series with long histories, as of hours and days."""
SHORT = Mixture(
    length=160,
    periods=((12, 1, 0.4), (4, 1, 0.25), (1, 1, 0.28), (7, 1, 0.05), (52, 1, 0.02)),
    weights=MappingProxyType(
        {
            "decomposition": 0.14, "seasonal_arma": 0.06, "gaussian_process": 0.04, "regime": 0.02, "shifts": 0.04,
            "smoothing_model": 0.3, "random_walk": 0.12, "local_trend": 0.12, "growth": 0.16,
        }
    ),
    other=0.03,
    level=0.2,
)  # fmt: skip
"""Series with short histories, as of months, quarters and years."""


def draw_series(rng: np.random.Generator, mixture: Mixture, size: int) -> Series:
    """Series of all families of a mixture in random order.

    The periods are as known to a forecaster: a tenth of them is missing, and half of the random walks have a false
    one.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    mixture : Mixture
        Kind of series.
    size : int
        Number B of series.

    Returns
    -------
    Series
        Values (B, T) and periods (B, 2).

    Examples
    --------
    >>> series = draw_series(np.random.default_rng(0), SHORT, 8)
    >>> series.values.shape, series.values.dtype.name
    ((8, 160), 'float32')
    """
    names = list(mixture.weights)
    shares = np.array([mixture.weights[name] for name in names])
    counts = rng.multinomial(size, shares / shares.sum())
    values, periods = [], []
    for name, count in zip(names, counts, strict=True):
        if count:
            drawn = _periods_of(rng, name, mixture, int(count))
            values.append(standardized(FAMILIES[name](rng, drawn, mixture.length)))
            periods.append(_labels(rng, name, drawn))
    order = rng.permutation(size)
    changed = modify(rng, np.concatenate(values)[order], mixture.level)
    return Series(changed, np.concatenate(periods)[order])


def _periods_of(rng: np.random.Generator, name: str, mixture: Mixture, size: int) -> Array:
    """Periods (size, 2) of the rows of one family."""
    if name == "calendars":
        return draw_periods(rng, [(24, 168, 0.5), (7, 365, 0.3), (48, 336, 0.15), (96, 672, 0.05)], size)
    return draw_periods(rng, mixture.periods, size, mixture.other)


def _labels(rng: np.random.Generator, name: str, periods: Array) -> Array:
    """Known periods (B, 2): of series without a season none or a false one, of others none in a tenth."""
    if name in ("random_walk", "local_trend"):
        false = rng.random((len(periods), 1)) < 0.5
        return np.where(false, periods, 1)
    return np.where(rng.random((len(periods), 1)) < 0.1, 1, periods)


def modify(rng: np.random.Generator, values: Array, level: float) -> Array:
    """Series (B, T) with the changes that real ones have, each in a share of the standardized rows."""
    size, length = values.shape

    def rows(share: float) -> Array:
        return np.flatnonzero(rng.random(size) < share)

    r = rows(level)  # a random walk
    walk = standardized(trends.random_walks(rng, len(r), length))
    values[r] = standardized(values[r] + walk * log_uniform(rng, 0.2, 3, len(r)))
    r = rows(0.2)  # exponential growth and multiplicative seasons
    values[r] = np.exp(values[r] * log_uniform(rng, 0.1, 1.2, len(r)))
    r = rows(0.08)  # counts, many of them 0
    rate = log_uniform(rng, 0.1, 100, len(r))
    values[r] = rng.poisson(np.minimum(rate * np.exp(np.clip(values[r], -4, 3) * 0.5), 1e4))
    r = rows(0.02)  # intermittent demand
    values[r] = np.abs(values[r]) * (rng.random((len(r), length)) < rng.uniform(0.05, 0.5, (len(r), 1)))
    r = rows(0.04)  # nothing below a floor, as rain and sunshine
    values[r] = np.maximum(values[r], rng.normal(-0.3, 0.5, (len(r), 1)))
    r = rows(0.05)  # rounded
    values[r] = np.round(values[r] * 5) / 5
    r = rows(0.1)  # outliers
    hit = rng.random((len(r), length)) < log_uniform(rng, 1 / length, 0.02, len(r))
    values[r] += hit * rng.standard_normal((len(r), length)) * log_uniform(rng, 1, 8, len(r))
    r = rows(0.08)  # a jump of the level
    late = np.arange(length) >= rng.integers(0, length, (len(r), 1))
    values[r] += late * rng.normal(0, 1.5, (len(r), 1))
    r = rows(0.06)  # missing values
    values[r] = np.where(gaps(rng, len(r), length), np.nan, values[r])
    return np.asarray(values, np.float32)


def gaps(rng: np.random.Generator, size: int, length: int) -> Array:
    """Whether a value is missing (size, length): single ones and runs, up to a third of a series."""
    start = log_uniform(rng, 0.002, 0.1, size)
    end = log_uniform(rng, 0.03, 1, size)
    change = rng.random((size, length))
    missing = np.zeros((size, length), bool)
    state = np.zeros((size, 1), bool)
    for t in range(length):
        u = change[:, t : t + 1]
        state = np.where(state, u >= end, u < start)
        missing[:, t] = state[:, 0]
    missing &= missing.mean(1, keepdims=True) < 0.35
    return missing
