"""What a baseline hands over, and the three that look at one old value: naive, seasonal naive, drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rekur.data.imputation import last_observed

Floats: TypeAlias = NDArray[np.float64]


class Fit(NamedTuple):
    """What a method hands to the intervals, in the space where its errors add."""

    past: Floats  # (b, T) the observations
    point: Floats  # (b, h) the forecasts
    ahead: Callable[[int], Floats]  # k -> (b, T): what was said of each column k steps before it
    undo: Callable[[Floats], Floats] | None = None  # (b, n) -> (b, n): back to the space of y, rising


def _last(y: Floats) -> Floats:
    """Carry the last observation forward, (b, T); NaN before the first."""
    return np.take_along_axis(y, np.maximum(last_observed(~np.isnan(y)), 0), axis=1)


def shift(x: Floats, k: int) -> Floats:
    """Move the columns k to the right, NaN moves in, (b, T)."""
    k = min(k, x.shape[1])
    return np.concatenate([np.full((len(x), k), np.nan), x[:, : x.shape[1] - k]], axis=1)


def fold(y: Floats, m: int) -> Floats:
    """Cut into seasons (b, n, m) that end at the last column, NaN before the first."""
    lead = np.full((len(y), -y.shape[1] % m), np.nan)
    return np.concatenate([lead, y], axis=1).reshape(len(y), -1, m)


def naive(y: Floats, seasons: Sequence[int], horizon: int) -> Fit:
    """ŷ_{t+k} = y_t, the last observed value."""
    last = _last(y)
    return Fit(y, np.repeat(last[:, -1:], horizon, axis=1), lambda k: shift(last, k))


def seasonal_naive(y: Floats, seasons: Sequence[int], horizon: int) -> Fit:
    """ŷ_{t+k} = y_{t+k-m·⌈k/m⌉}, the last value observed at the same place of the season."""
    m = seasons[0]
    folded = fold(y, m)  # (b, n, m)
    b, n, _ = folded.shape
    same = _last(folded.swapaxes(1, 2).reshape(b * m, n)).reshape(b, m, n).swapaxes(1, 2)
    flat = _last(folded.reshape(b, n * m))
    same = np.where(np.isnan(same.reshape(b, n * m)), flat, same.reshape(b, n * m))  # (b, n·m)
    same[:, -m:] = np.where(np.isnan(same[:, -m:]), flat[:, -1:], same[:, -m:])
    point = np.take(same[:, -m:], np.arange(horizon) % m, axis=1)  # (b, h)
    same = same[:, n * m - y.shape[1] :]
    return Fit(y, point, lambda k: shift(same, m * -(-k // m)))


def drift(y: Floats, seasons: Sequence[int], horizon: int) -> Fit:
    """ŷ_{t+k} = y_t + k·(y_T - y_1)/(T - 1), the line through the first and the last value carried on."""
    seen, T = ~np.isnan(y), y.shape[1]
    first, final = seen.argmax(axis=1), T - 1 - seen[:, ::-1].argmax(axis=1)
    rows = np.arange(len(y))
    slope = ((y[rows, final] - y[rows, first]) / np.maximum(final - first, 1))[:, None]  # (b, 1)
    last = _last(y)
    point = last[:, -1:] + slope * (T - 1 - final[:, None] + np.arange(1, horizon + 1))
    return Fit(y, point, lambda k: shift(last, k) + k * slope)
