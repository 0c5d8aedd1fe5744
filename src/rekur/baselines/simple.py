"""Naive, seasonal naive and drift forecasts, and the fit that each baseline returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rekur.core import Array
from rekur.data.imputation import last_observed

__all__ = ["Fit", "carried_forward", "drift", "fold", "naive", "seasonal_naive", "shift"]


class Fit(NamedTuple):
    """Point forecasts of a baseline and its forecasts of the past, on the scale on which its errors add."""

    past: Array  # (b, T) the observations
    point: Array  # (b, h) the forecasts
    ahead: Callable[[int], Array]  # k -> (b, T): the forecast of each column made k steps before it
    undo: Callable[[Array], Array] | None = None  # (b, n) -> (b, n): back to the scale of y, monotonic


def carried_forward(y: Array) -> Array:
    """Carry the last observation forward, (b, T); NaN before the first."""
    return np.asarray(np.take_along_axis(y, np.maximum(last_observed(~np.isnan(y)), 0), axis=1))


def shift(x: Array, k: int) -> Array:
    """Shift the columns of x (b, T) to the right by k; NaN enters at the left."""
    k = min(k, x.shape[1])
    return np.concatenate([np.full((len(x), k), np.nan), x[:, : x.shape[1] - k]], axis=1)


def fold(y: Array, m: int) -> Array:
    """Cut y (b, T) into seasons (b, n, m) of which the last ends at the last column, NaN before the first."""
    lead = np.full((len(y), -y.shape[1] % m), np.nan)
    return np.concatenate([lead, y], axis=1).reshape(len(y), -1, m)


def naive(y: Array, seasons: Sequence[int], horizon: int) -> Fit:
    """Forecast the last observed value, ŷ_{t+k} = y_t."""
    last = carried_forward(y)
    return Fit(y, np.repeat(last[:, -1:], horizon, axis=1), lambda k: shift(last, k))


def seasonal_naive(y: Array, seasons: Sequence[int], horizon: int) -> Fit:
    """Forecast the last value observed at the same position in the season, ŷ_{t+k} = y_{t+k-m·⌈k/m⌉}."""
    m = seasons[0]
    folded = fold(y, m)  # (b, n, m)
    b, n, _ = folded.shape
    by_position = folded.swapaxes(1, 2).reshape(b * m, n)
    last = carried_forward(by_position).reshape(b, m, n).swapaxes(1, 2).reshape(b, n * m)
    previous = carried_forward(folded.reshape(b, n * m))  # of any position
    last = np.where(np.isnan(last), previous, last)  # (b, n·m)
    last[:, -m:] = np.where(np.isnan(last[:, -m:]), previous[:, -1:], last[:, -m:])
    point = np.take(last[:, -m:], np.arange(horizon) % m, axis=1)  # (b, h)
    last = last[:, n * m - y.shape[1] :]
    return Fit(y, point, lambda k: shift(last, m * -(-k // m)))


def drift(y: Array, seasons: Sequence[int], horizon: int) -> Fit:
    """Extrapolate the line through the first and the last value, ŷ_{t+k} = y_t + k·(y_T - y_1)/(T - 1)."""
    observed, T = ~np.isnan(y), y.shape[1]
    first, final = observed.argmax(axis=1), T - 1 - observed[:, ::-1].argmax(axis=1)
    rows = np.arange(len(y))
    slope = ((y[rows, final] - y[rows, first]) / np.maximum(final - first, 1))[:, None]  # (b, 1)
    last = carried_forward(y)
    point = last[:, -1:] + slope * (T - 1 - final[:, None] + np.arange(1, horizon + 1))
    return Fit(y, point, lambda k: shift(last, k) + k * slope)
