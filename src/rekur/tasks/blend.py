"""The safety net: the network is blended with smoothing by what both did on the windows held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rekur import baselines
from rekur.data.table import Table
from rekur.data.windows import Windows

Array = np.ndarray[Any, np.dtype[Any]]
HISTORY = 2048  # rows of a series that a baseline looks back on, unless its seasons need more
SHARES = np.linspace(0.0, 1.0, 11)
TRUST = 0.7  # how far the share follows the windows held out, on which the training was stopped too
PRIOR = 20.0  # points held out that the belief in equal shares and in the intervals as they are is worth


@dataclass(frozen=True)
class Blend:
    """network: share of the network, the rest is smoothing · widen: factor on the distance from the median."""

    network: float
    widen: float

    def mix(self, network: Array, smoothing: Array, levels: tuple[float, ...]) -> Array:
        """Blend quantiles (n, h, Q) level by level and widen them around the median; NaN of one leaves the other."""
        mixed = self.network * network + (1 - self.network) * smoothing
        mixed = np.where(np.isfinite(smoothing), mixed, network)
        mixed = np.where(np.isfinite(network), mixed, smoothing)
        median = mixed[..., levels.index(0.5)][..., None]
        return np.asarray(median + self.widen * (mixed - median))


def history(seasons: tuple[int, ...]) -> int:
    """How many rows of a series a baseline looks back on: three of the longest season at least."""
    return max(HISTORY, 3 * max(seasons) + 1)


def baseline(
    name: str,
    table: Table,
    windows: tuple[Array, Array],
    seasons: tuple[int, ...],
    horizon: int,
    levels: tuple[float, ...],
) -> Array:
    """Forecasts (n, h, Q) of one baseline for windows (series, stop) that end before row `stop` of their series.

    Where there are two seasons, smoothing is the mean of two runs, with the main season and with both.
    """
    series, stop = windows
    past = int(min(history(seasons), stop.max(initial=1)))
    where, out = Windows(table.offsets, past, 0, series, stop), []
    for some in np.array_split(np.arange(len(series)), max(1, len(series) * past // 4_000_000)):
        y = where.gather(table.y, some)
        made = baselines.forecast(name, y, seasons[0], horizon, levels)
        if name == "smoothing" and len(seasons) > 1:
            made = (made + baselines.forecast(name, y, seasons[0], horizon, levels, seasons[1:])) / 2
        out.append(made)
    return np.concatenate(out)


def weigh(network: Array, smooth: Array, actual: Array, scale: Array, levels: tuple[float, ...]) -> Blend:
    """Choose the share of the network by the pinball loss on windows held out, and the widening by coverage.

    network, smooth (n, h, Q) · actual (n, h) · scale (n,). The share is shrunk towards one half and the widening
    towards 1, as if `PRIOR` more points had spoken for them; intervals are never narrowed.
    """
    seen = np.isfinite(actual) & (scale > 0)[:, None]
    seen &= np.isfinite(network).all(axis=-1) & np.isfinite(smooth).all(axis=-1)
    points = float(seen.sum())
    if not points:
        return Blend(0.5, 1.0)
    unit = np.broadcast_to(scale[:, None], actual.shape)[seen]
    parts = network[seen], smooth[seen]
    losses = [loss(share * parts[0] + (1 - share) * parts[1], actual[seen], unit, levels) for share in SHARES]
    share = float(SHARES[int(np.argmin(losses))])
    share = 0.5 + (share - 0.5) * TRUST * points / (points + PRIOR)
    mixed = Blend(share, 1.0).mix(network, smooth, levels)[seen]
    return Blend(share, widening(mixed, actual[seen], levels, points))


def loss(q: Array, actual: Array, scale: Array, levels: tuple[float, ...]) -> float:
    """The mean pinball loss of quantiles (n, Q) for values (n,), each in units of its scale (n,)."""
    error = (actual[:, None] - q) / scale[:, None]
    tau = np.asarray(levels)
    return float(np.maximum(tau * error, (tau - 1) * error).mean())


def widening(q: Array, actual: Array, levels: tuple[float, ...], points: float) -> float:
    """The factor on the 80 % interval that makes it cover 80 % of the points held out, within 1 … 2."""
    middle = q[:, levels.index(0.5)]
    low, high = middle - q[:, levels.index(0.1)], q[:, levels.index(0.9)] - middle
    needed = np.where(
        actual < middle,
        (middle - actual) / np.maximum(low, 1e-300),
        (actual - middle) / np.maximum(high, 1e-300),
    )
    factor = float(np.clip(np.quantile(needed, 0.8), 1.0, 2.0))
    return float((factor * points + PRIOR) / (points + PRIOR))
