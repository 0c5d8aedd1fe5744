"""Model averaging: weights of networks and baselines by their validation loss, shrunk to naive without evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rekur import baselines
from rekur.core import Array
from rekur.forecasting.calibration import HORIZON_PARTS, TINY, conformal_scale, horizon_third
from rekur.metrics import pinball_error

AVERAGED_BASELINES = ("smoothing", "seasonal_naive", "naive")
"""Baselines that may have a weight."""

SELECTION_ROUNDS = 20
"""Picks of the greedy ensemble selection."""

MAX_SELECTION_VALUES = 100_000
"""Held-out values that the selection reads, at most."""

PRIOR_WINDOWS = 5.0
"""Held-out windows that the prior weights are worth."""

MIN_INDEPENDENT = 5
"""Independent windows, or blocks of time, from which on a difference can be significant."""

CHUNK_WINDOWS = 4096
MIN_WEIGHT = 0.05
"""A smaller weight is set to zero."""

TRUST, MIN_GAIN = 0.9, 1.01
"""Weight of the evidence from which on smoothing is kept only if it lowers the loss by 1 %."""


@dataclass(frozen=True)
class ModelAverage:
    """Weighted average of the quantile forecasts of networks and baselines, with calibrated intervals.

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each member; their sum is 1.
    interval_scale : tuple of float, default (1.0, 1.0, 1.0)
        Factor on the distance from the median in each third of the horizon.
    validation_losses : mapping of str to float, optional
        Mean pinball loss of each member, and of the average as "rekur", on the held-out windows, in units of the
        seasonal naive error.

    Examples
    --------
    >>> ModelAverage({"corrected": 0.8, "smoothing": 0.2}).describe()
    '80 % corrected network, 20 % smoothing (Theta)'
    """

    weights: Mapping[str, float]
    interval_scale: tuple[float, ...] = (1.0,) * HORIZON_PARTS
    validation_losses: Mapping[str, float] = field(default_factory=dict)

    def combine(self, forecasts: Mapping[str, Array], levels: tuple[float, ...], horizon: int) -> Array:
        """Average quantiles level by level and scale the intervals around the median.

        Parameters
        ----------
        forecasts : mapping of str to np.ndarray
            Quantiles (n, h, Q) of the members. Where one is NaN the others share its weight; where all with a weight
            are NaN, members without a weight take their place.
        levels : tuple of float
            Quantile levels, 0.5 among them.
        horizon : int
            Horizon that was learned, whose thirds the factors belong to; the last one holds beyond it.

        Returns
        -------
        np.ndarray
            Quantiles, shape (n, h, Q).
        """
        n, steps, _ = next(iter(forecasts.values())).shape
        out = np.empty((n, steps, len(levels)))
        factors = self.interval_factors(steps, horizon)[:, None]
        for start in range(0, n, CHUNK_WINDOWS):
            chunk = slice(start, start + CHUNK_WINDOWS)
            mean = self._weighted_mean({name: q[chunk] for name, q in forecasts.items()})
            median = mean[..., levels.index(0.5)][..., None]
            out[chunk] = median + factors * (mean - median)
        return out

    def _weighted_mean(self, forecasts: Mapping[str, Array]) -> Array:
        """Weighted mean of the members, (n, h, Q)."""
        total: Array | float = 0.0
        sum_of_weights: Array | float = 0.0
        for name in sorted(forecasts, key=lambda name: name not in self.weights):
            q = forecasts[name]
            finite = np.isfinite(q)
            weight = self.weights[name] * finite if name in self.weights else 1.0 * (finite & (sum_of_weights == 0))
            total, sum_of_weights = total + weight * np.where(finite, q, 0.0), sum_of_weights + weight
        return np.asarray(np.where(sum_of_weights > 0, total / np.maximum(sum_of_weights, TINY), np.nan))

    def describe(self) -> str:
        """Weights in words, the largest first."""
        if len(self.weights) == 1:
            return f"{display_name(next(iter(self.weights)))} alone"
        ordered = sorted(self.weights.items(), key=lambda item: -item[1])
        return ", ".join(f"{100 * weight:.0f} % {display_name(name)}" for name, weight in ordered)

    def interval_factors(self, steps: int, horizon: int) -> Array:
        """Factor on the interval width at each step, (steps,)."""
        return np.asarray(self.interval_scale)[horizon_third(np.arange(steps), horizon)]


def normalized(weights: Mapping[str, float]) -> dict[str, float]:
    """The same weights with sum 1."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def display_name(name: str) -> str:
    """Readable name of a member."""
    return baselines.describe(name) if name in baselines.BASELINES else f"{name} network"


def prior_weights(losses: Mapping[str, Array], count: float) -> dict[str, float]:
    """Weights believed in without evidence: half for the networks, half for smoothing.

    If smoothing is worse or better than the best network by more than two standard errors, over five independent
    windows or more, the one that loses has no prior weight.

    Parameters
    ----------
    losses : mapping of str to np.ndarray
        Loss of each held-out window, shape (n,), by member.
    count : float
        Number of windows that do not overlap.
    """
    networks = [name for name in losses if name not in AVERAGED_BASELINES]
    best = min(networks, key=lambda name: losses[name].mean())
    difference = losses["smoothing"] - losses[best]
    bound = 2 * difference.std() / np.sqrt(count) if count >= MIN_INDEPENDENT else np.inf
    share = 0.5 if abs(difference.mean()) <= bound else float(difference.mean() > 0)
    return {**{name: share / len(networks) for name in networks}, "smoothing": 1 - share}


def average_models(
    forecasts: Mapping[str, Array],
    actual: Array,
    scale: Array,
    counts: tuple[int, int],
    levels: tuple[float, ...],
    blocks: Array | None = None,
) -> ModelAverage:
    """Choose weights by the pinball loss on held-out windows, and interval factors by the coverage.

    The weights are those of a greedy ensemble selection, shrunk to `prior_weights` as if these were the evidence of
    five windows. A weight below 5 % is dropped, and so is smoothing if many windows show a gain below 1 %. Without a
    significant gain over naive, naive takes a part (`shrink_to_naive`). As the errors of series are correlated, the
    intervals count the geometric mean of both counts as independent windows.

    Parameters
    ----------
    forecasts : mapping of str to np.ndarray
        Quantiles (n, h, Q) of the members.
    actual : np.ndarray
        Held-out values, NaN where missing, shape (n, h).
    scale : np.ndarray
        Unit of the errors of each window, shape (n,).
    counts : tuple of int
        Number of the n windows that do not overlap within their series, and of those that begin at different times.
    levels : tuple of float
        Quantile levels.
    blocks : np.ndarray, optional
        Number of the block of time of each window, shape (n,), within which errors are correlated; None: weights are
        not shrunk to naive.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, 2004, "Ensemble selection from libraries of models", ICML.
    """
    observed = np.isfinite(actual) & (scale > 0)[:, None]
    for q in forecasts.values():
        observed &= np.isfinite(q).all(axis=-1)
    usable = observed.any(axis=1)
    if not usable.any():
        return ModelAverage(prior_weights({name: np.zeros(1) for name in forecasts}, 1))

    def losses_of(q: Array) -> Array:
        return window_losses(q[usable], actual[usable], scale[usable], observed[usable], levels)

    losses = {name: losses_of(q) for name, q in forecasts.items()}
    weights = _selected_weights(forecasts, actual, scale, observed, prior_weights(losses, counts[0]), counts[0], levels)
    mean = ModelAverage(weights).combine(forecasts, levels, actual.shape[1])
    if blocks is not None:
        weights = shrink_to_naive(weights, losses["naive"] - losses_of(mean), blocks[usable])
    average = calibrated(weights, forecasts, actual, scale, counts, levels)
    final = average.combine(forecasts, levels, actual.shape[1])
    validation = {name: float(loss.mean()) for name, loss in {"rekur": losses_of(final), **losses}.items()}
    return replace(average, validation_losses=validation)


def calibrated(
    weights: Mapping[str, float],
    forecasts: Mapping[str, Array],
    actual: Array,
    scale: Array,
    counts: tuple[int, int],
    levels: tuple[float, ...],
) -> ModelAverage:
    """An average of given weights, its interval factors by the coverage of held-out windows, as in `average_models`."""
    h = actual.shape[1]
    mean = ModelAverage(weights).combine(forecasts, levels, h)
    observed = np.isfinite(actual) & (scale > 0)[:, None]
    for q in forecasts.values():
        observed &= np.isfinite(q).all(axis=-1)
    independent = float(np.sqrt(counts[0] * counts[1]))
    thirds, factors = horizon_third(np.arange(h), h), []
    for k in range(HORIZON_PARTS):
        mask = observed & (thirds == k)
        factors.append(conformal_scale(mean[mask], actual[mask], levels, independent) if mask.any() else 1.0)
    return ModelAverage(weights, tuple(factors))


def _selected_weights(
    forecasts: Mapping[str, Array],
    actual: Array,
    scale: Array,
    observed: Array,
    prior: Mapping[str, float],
    count: int,
    levels: tuple[float, ...],
) -> dict[str, float]:
    """Weights of the greedy selection, shrunk to the prior ones, without members of little use."""
    index = np.flatnonzero(observed)
    index = index[:: max(1, len(index) // MAX_SELECTION_VALUES)]
    values, unit = actual.ravel()[index], np.broadcast_to(scale[:, None], actual.shape).ravel()[index]
    quantiles = {name: q.reshape(-1, len(levels))[index] for name, q in forecasts.items()}
    selected = greedy_selection(quantiles, values, unit, levels)
    trust = count / (count + PRIOR_WINDOWS)
    shrunk = {name: trust * selected.get(name, 0.0) + (1 - trust) * prior.get(name, 0.0) for name in forecasts}
    weights = normalized({name: weight for name, weight in shrunk.items() if weight >= MIN_WEIGHT})
    if trust > TRUST and len(weights) > 1 and "smoothing" in weights:
        rest = normalized({name: weight for name, weight in weights.items() if name != "smoothing"})
        with_smoothing, without = (
            mean_pinball(np.sum([w * quantiles[n] for n, w in each.items()], axis=0), values, unit, levels)
            for each in (weights, rest)
        )
        weights = rest if without < MIN_GAIN * with_smoothing else weights
    return weights


def shrink_to_naive(weights: Mapping[str, float], gains: Array, blocks: Array) -> dict[str, float]:
    """Weights shrunk towards naive if the gain of the average over naive is not significant.

        t = mean gain / standard error,  share of the average = min(1, (t / t₉₇.₅)²)  if t > 0, else 0

    where the standard error is that of clusters, the windows of one of B blocks of time, and t₉₇.₅ is a quantile of
    Student's t with B - 1 degrees of freedom. With fewer than five blocks the weights are returned unchanged.

    Parameters
    ----------
    weights : mapping of str to float
        Weights of the average.
    gains : np.ndarray
        Loss of naive less that of the average in each window, shape (n,).
    blocks : np.ndarray
        Number of the block of time of each window, shape (n,).

    References
    ----------
    K. Liang, S. Zeger, 1986, "Longitudinal data analysis using generalized linear models", Biometrika 73.
    """
    _, block = np.unique(blocks, return_inverse=True)
    sums = np.bincount(block, gains - gains.mean())
    if len(sums) < MIN_INDEPENDENT:
        return dict(weights)
    error = np.sqrt(np.square(sums).sum() * len(sums) / (len(sums) - 1)) / len(gains)
    z, ν = 1.96, len(sums) - 1
    critical = z + (z**3 + z) / (4 * ν) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * ν**2)  # to 0.3 % from ν = 4 on
    share = min(1.0, max(0.0, float(gains.mean() / max(error * critical, TINY))) ** 2)
    shrunk = {name: share * weight for name, weight in weights.items()}
    shrunk["naive"] = shrunk.get("naive", 0.0) + 1 - share
    return normalized({name: weight for name, weight in shrunk.items() if weight >= MIN_WEIGHT})


def greedy_selection(
    quantiles: Mapping[str, Array], actual: Array, unit: Array, levels: Sequence[float]
) -> dict[str, float]:
    """Weights of members picked one at a time, with repetition, so that the mean of the picks (n, Q) loses least."""
    picks: dict[str, int] = {}
    total = np.zeros_like(next(iter(quantiles.values())))
    for k in range(SELECTION_ROUNDS):
        losses = {name: mean_pinball((total + q) / (k + 1), actual, unit, levels) for name, q in quantiles.items()}
        best = min(losses, key=lambda name: losses[name])
        picks[best] = picks.get(best, 0) + 1
        total = total + quantiles[best]
    return {name: count / SELECTION_ROUNDS for name, count in picks.items()}


def window_losses(q: Array, actual: Array, scale: Array, observed: Array, levels: Sequence[float]) -> Array:
    """Mean pinball loss of each window, (n,), over the observed values (n, h), in units of the scale (n,)."""
    total = np.zeros(len(q))
    for k, level in enumerate(levels):
        error = np.where(observed, actual - q[..., k], 0.0) / scale[:, None]
        total += pinball_error(error, level).sum(axis=1)
    return np.asarray(total / observed.sum(axis=1) / len(levels))


def mean_pinball(q: Array, actual: Array, scale: Array, levels: Sequence[float]) -> float:
    """Mean pinball loss of quantiles (n, Q) of values (n,), each in units of its scale (n,)."""
    return float(pinball_error((actual[:, None] - q) / scale[:, None], np.asarray(levels)).mean())
