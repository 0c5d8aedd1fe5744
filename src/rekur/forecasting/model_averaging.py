"""The safety net: networks and baselines are blended by what each did on the windows held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rekur import baselines
from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex

BLENDED = ("smoothing", "seasonal_naive", "naive")  # the baselines that are blended in
HISTORY = 2048  # rows of a series that a baseline looks back on, unless its seasons need more
ROUNDS = 20  # picks of the ensemble selection
POINTS = 100_000  # values held out that it looks at, at most
PRIOR = 5.0  # windows held out that the belief in equal shares is worth
FEW = 5  # windows held out from which on they can refute smoothing or the networks
PRIOR_SPREAD = 20.0  # windows held out that the belief in the intervals as they are is worth
CHUNK = 4096  # windows blended at a time
LEAST = 0.05  # a smaller share is none
SURE, GAIN = 0.9, 1.01  # trust from which smoothing must earn its run, and what it must gain
THIRDS = 3


@dataclass(frozen=True)
class ModelAverage:
    """weights: member → share, sum 1 · widen: factors on the distance from the median in each third of the horizon."""

    weights: Mapping[str, float]
    widen: tuple[float, ...] = (1.0,) * THIRDS

    def mix(self, forecasts: Mapping[str, Array], levels: tuple[float, ...], horizon: int) -> Array:
        """Blend quantiles (n, h, Q) of all members, level by level, and widen them around the median.

        horizon: the one that was learned, whose thirds the factors belong to; the last one holds beyond it. Where a
        member has nothing to say (NaN) the others share its part; where all with a share are silent, the rest speaks.
        """
        n, steps, _ = next(iter(forecasts.values())).shape
        out = np.empty((n, steps, len(levels)))
        factors = self.factors(steps, horizon)[:, None]
        for start in range(0, n, CHUNK):
            part = slice(start, start + CHUNK)
            mixed = self._mean({name: q[part] for name, q in forecasts.items()})
            middle = mixed[..., levels.index(0.5)][..., None]
            out[part] = middle + factors * (mixed - middle)
        return out

    def _mean(self, forecasts: Mapping[str, Array]) -> Array:
        """The weighted mean of all members, (n, h, Q)."""
        total: Any = 0.0
        shares: Any = 0.0
        for name in sorted(forecasts, key=lambda name: name not in self.weights):
            q = forecasts[name]
            heard = np.isfinite(q)
            share = self.weights[name] * heard if name in self.weights else 1.0 * (heard & (shares == 0))
            total, shares = total + share * np.where(heard, q, 0.0), shares + share
        return np.asarray(np.where(shares > 0, total / np.maximum(shares, 1e-300), np.nan))

    def describe(self) -> str:
        """What the forecast is made of: 80 % corrected network, 20 % smoothing."""
        if len(self.weights) == 1:
            return f"{title(next(iter(self.weights)))} alone"
        ordered = sorted(self.weights.items(), key=lambda item: -item[1])
        return ", ".join(f"{100 * share:.0f} % {title(name)}" for name, share in ordered)

    def factors(self, steps: int, horizon: int) -> Array:
        """The widening of each step, (h,)."""
        return np.asarray(self.widen)[third(np.arange(steps), horizon)]


def normal(shares: dict[str, float]) -> dict[str, float]:
    """The same shares with sum 1."""
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def title(name: str) -> str:
    """The readable name of a member."""
    return baselines.describe(name) if name in BLENDED else f"{name} network"


def third(step: Array, horizon: int) -> Array:
    """In which third of the horizon a step (from 0) lies: 0, 1 or 2."""
    return np.asarray(np.minimum(step * THIRDS // horizon, THIRDS - 1))


def history(seasons: tuple[int, ...]) -> int:
    """How many rows of a series a baseline looks back on: three of the longest season at least."""
    return max(HISTORY, 3 * max(seasons) + 1)


def baseline(
    name: str,
    table: Panel,
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
    where, out = WindowIndex(table.offsets, past, 0, series, stop), []
    for some in np.array_split(np.arange(len(series)), max(1, len(series) * past // 4_000_000)):
        y = where.take(some).gather(table.y)
        made = baselines.forecast(name, y, seasons[0], horizon, levels)
        if name == "smoothing" and len(seasons) > 1:
            made = (made + baselines.forecast(name, y, seasons[0], horizon, levels, seasons[1:])) / 2
        out.append(made)
    return np.concatenate(out)


def prior(losses: Mapping[str, Array], count: float) -> dict[str, float]:
    """The shares that are believed in where little was held out: half the networks, half smoothing.

    losses: member → (n,) of each window, of which `count` do not overlap. Where smoothing is worse or better than the
    best network by more than two standard errors, of five windows or more, the one that loses is believed in no more.
    """
    networks = [name for name in losses if name not in BLENDED]
    best = min(networks, key=lambda name: losses[name].mean())
    gap = losses["smoothing"] - losses[best]
    sure = 2 * gap.std() / np.sqrt(count) if count >= FEW else np.inf
    share = 0.5 if abs(gap.mean()) <= sure else float(gap.mean() > 0)
    return {**{name: share / len(networks) for name in networks}, "smoothing": 1 - share}


def weigh(
    forecasts: Mapping[str, Array],
    actual: Array,
    scale: Array,
    counts: tuple[int, int],
    levels: tuple[float, ...],
    blocks: Array | None = None,
) -> ModelAverage:
    """Choose shares by the pinball loss on windows held out, and the widening by coverage.

    forecasts: member → (n, h, Q) · actual (n, h) · scale (n,), the unit of errors · counts: how many of the n windows
    do not overlap within their series, and how many of those begin at different times · blocks (n,): numbers of times,
    alike for windows that err together; None: nothing is doubted.

    The shares are those of an ensemble selection, shrunk towards `prior` as if `PRIOR` more windows had spoken for it.
    A share below 5 % is dropped and need not be run, nor is smoothing where many windows say that it gains less than
    1 %. What the blend gains on naive must be proved, or naive takes a part (`doubted`). Series err together, so that
    the widening takes the geometric mean of both counts as the number of witnesses.

    Source of the selection: R. Caruana et al., 2004, "Ensemble selection from libraries of models", ICML.
    """
    seen = np.isfinite(actual) & (scale > 0)[:, None]
    for q in forecasts.values():
        seen &= np.isfinite(q).all(axis=-1)
    whole = seen.any(axis=1)
    if not whole.any():
        return ModelAverage(prior({name: np.zeros(1) for name in forecasts}, 1))
    losses = {
        name: window_losses(q[whole], actual[whole], scale[whole], seen[whole], levels) for name, q in forecasts.items()
    }
    believed = prior(losses, counts[0])
    where = np.flatnonzero(seen)
    where = where[:: max(1, len(where) // POINTS)]
    unit = np.broadcast_to(scale[:, None], actual.shape).ravel()[where]
    parts = {name: q.reshape(-1, len(levels))[where] for name, q in forecasts.items()}
    chosen = select(parts, actual.ravel()[where], unit, levels)
    trust, witnesses = counts[0] / (counts[0] + PRIOR), float(np.sqrt(counts[0] * counts[1]))
    shares = {name: trust * chosen.get(name, 0.0) + (1 - trust) * believed.get(name, 0.0) for name in forecasts}
    weights = normal({name: share for name, share in shares.items() if share >= LEAST})
    if trust > SURE and len(weights) > 1 and "smoothing" in weights:
        rest = normal({name: share for name, share in weights.items() if name != "smoothing"})
        lost = [
            loss(np.sum([w * parts[n] for n, w in each.items()], axis=0), actual.ravel()[where], unit, levels)
            for each in (weights, rest)
        ]
        weights = rest if lost[1] < GAIN * lost[0] else weights
    mixed = ModelAverage(weights).mix(forecasts, levels, actual.shape[1])
    if blocks is not None:
        own = window_losses(mixed[whole], actual[whole], scale[whole], seen[whole], levels)
        weights = doubted(weights, losses["naive"] - own, blocks[whole])
        mixed = ModelAverage(weights).mix(forecasts, levels, actual.shape[1])
    parts_of = third(np.arange(actual.shape[1]), actual.shape[1])
    factors = []
    for k in range(THIRDS):
        here = seen & (parts_of == k)
        factors.append(widening(mixed[here], actual[here], levels, witnesses) if here.any() else 1.0)
    return ModelAverage(weights, tuple(factors))


def doubted(weights: Mapping[str, float], gains: Array, blocks: Array) -> dict[str, float]:
    """The shares of a blend that gains so much (n,) on naive in each window: naive has what is not proved against it.

        t = mean gain / standard error,  share of the blend = min(1, (t / t₉₇.₅)²)  if t > 0, else 0

    The standard error is that of clusters, the windows of one of B blocks of time (n,), and t₉₇.₅ a quantile of
    Student's t with B - 1 degrees of freedom; fewer than five blocks prove nothing, either way. Of what no one can
    foretell the last value is the best forecast.

    Source of the standard error: K. Liang, S. Zeger, 1986, "Longitudinal data analysis using generalized linear
    models", Biometrika 73.
    """
    _, block = np.unique(blocks, return_inverse=True)
    sums = np.bincount(block, gains - gains.mean())
    if len(sums) < FEW:
        return dict(weights)
    error = np.sqrt(np.square(sums).sum() * len(sums) / (len(sums) - 1)) / len(gains)
    z, ν = 1.96, len(sums) - 1
    critical = z + (z**3 + z) / (4 * ν) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * ν**2)  # to 0.3 % from ν = 4 on
    sure = min(1.0, max(0.0, float(gains.mean() / max(error * critical, 1e-300))) ** 2)
    shares = {name: sure * share for name, share in weights.items()}
    shares["naive"] = shares.get("naive", 0.0) + 1 - sure
    return normal({name: share for name, share in shares.items() if share >= LEAST})


def select(parts: Mapping[str, Array], actual: Array, unit: Array, levels: tuple[float, ...]) -> dict[str, float]:
    """Pick members one at a time, with repetition, so that the mean of the picks (n, Q) loses least; their shares."""
    picks: dict[str, int] = {}
    total = np.zeros_like(next(iter(parts.values())))
    for k in range(ROUNDS):
        losses = {name: loss((total + q) / (k + 1), actual, unit, levels) for name, q in parts.items()}
        best = min(losses, key=lambda name: losses[name])
        picks[best] = picks.get(best, 0) + 1
        total = total + parts[best]
    return {name: count / ROUNDS for name, count in picks.items()}


def window_losses(q: Array, actual: Array, scale: Array, seen: Array, levels: tuple[float, ...]) -> Array:
    """The mean pinball loss of each window, (n,), over what was seen (n, h) of it."""
    total = np.zeros(len(q))
    for k, tau in enumerate(levels):
        error = np.where(seen, actual - q[..., k], 0.0) / scale[:, None]
        total += np.maximum(tau * error, (tau - 1) * error).sum(axis=1)
    return np.asarray(total / seen.sum(axis=1) / len(levels))


def loss(q: Array, actual: Array, scale: Array, levels: tuple[float, ...]) -> float:
    """The mean pinball loss of quantiles (n, Q) for values (n,), each in units of its scale (n,)."""
    error = (actual[:, None] - q) / scale[:, None]
    tau = np.asarray(levels)
    return float(np.maximum(tau * error, (tau - 1) * error).mean())


def widening(q: Array, actual: Array, levels: tuple[float, ...], count: float) -> float:
    """The factor on the 80 % interval that makes it cover 80 % of the values held out, within 1/2 … 3.

    Split conformal prediction of scaled errors: V. Vovk et al., 2005, "Algorithmic learning in a random world";
    shrunk towards 1 as if `PRIOR_SPREAD` more windows had spoken for the intervals as they are.
    """
    middle = q[:, levels.index(0.5)]
    low, high = middle - q[:, levels.index(0.1)], q[:, levels.index(0.9)] - middle
    side = np.where(actual < middle, low, high)
    needed = np.abs(actual - middle) / np.maximum(side, 1e-300)
    factor = float(np.clip(np.quantile(needed, 0.8), 0.5, 3.0))
    return float(np.exp(np.log(factor) * count / (count + PRIOR_SPREAD)))
