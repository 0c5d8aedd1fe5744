"""Model averaging: weights of networks and baselines by their loss on past windows, shrunk to equal shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from rekur import baselines
from rekur.baselines import REGRESSION
from rekur.core import Array
from rekur.forecasting.calibration import (
    HORIZON_PARTS,
    MIN_SMOOTH_STEPS,
    TINY,
    calibrated_scale,
    horizon_third,
    interval_distance,
    log_interpolation,
    smooth_quantiles,
)
from rekur.metrics import clustered_mean, pinball_error

AVERAGED_BASELINES = ("smoothing", REGRESSION, "seasonal_naive", "naive")
"""Baselines that may have a weight."""

SELECTION_ROUNDS = 20
"""Picks of the greedy ensemble selection."""

MAX_SELECTION_VALUES = 100_000
"""Past values that the selection reads, at most."""

PRIOR_BLOCKS = 10.0
"""Blocks of time that the prior weights are worth."""

MIN_T = 2.0
"""Standard errors by which other baselines must beat smoothing before they have a weight."""

MAX_LOSS_GROWTH = 5e-4
"""Share by which the loss may rise where forecasts are smoothed along the horizon."""

CHUNK_WINDOWS = 4096
MIN_WEIGHT = 0.05
"""A smaller weight is set to zero."""

BASELINES = "baselines"
"""Name of the average of the baselines in the selection."""


@dataclass(frozen=True)
class ModelAverage:
    """Weighted average of the quantile forecasts of networks and baselines, with calibrated intervals.

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each member; their sum is 1.
    interval_scale : tuple of float, default (1.0, 1.0)
        Factor on the distance from the median at the first and at the last step, log-linear in the logarithm of the
        step between them; three values, of models saved in format 1, are those of the thirds of the horizon.
    validation_losses : mapping of str to float, optional
        Mean pinball loss of each member, and of the average as "rekur", on the held-out windows, in units of the
        seasonal naive error.
    smooth : {"", "widths", "paths"}, default ""
        Whether the distances from the median, or the median too, are made smooth functions of the step, see
        `rekur.forecasting.calibration.smooth_quantiles`.

    Examples
    --------
    >>> ModelAverage({"corrected": 0.8, "smoothing": 0.2}).describe()
    '80 % corrected network, 20 % smoothing (Theta)'
    """

    weights: Mapping[str, float]
    interval_scale: tuple[float, ...] = (1.0, 1.0)
    validation_losses: Mapping[str, float] = field(default_factory=dict)
    smooth: str = ""

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
            Horizon that was learned; the factor of its last step holds beyond it.

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
            mean = smooth_quantiles(mean, levels, self.smooth)
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
        if len(self.interval_scale) == HORIZON_PARTS:
            return np.asarray(self.interval_scale)[horizon_third(np.arange(steps), horizon)]
        share = np.minimum(log_interpolation(horizon, steps), 1.0)
        first, last = np.log(self.interval_scale)
        return np.asarray(np.exp(first + share * (last - first)))

    def interval_text(self) -> str:
        """The factors in words."""
        factors = [f"{factor:.3g}" for factor in self.interval_scale]
        if len(factors) == HORIZON_PARTS:
            return f"{', '.join(factors)} in the thirds of the horizon"
        return f"{factors[0]} at the first and {factors[1]} at the last step"


@dataclass(frozen=True)
class PastForecasts:
    """Forecasts of past windows with the values that followed.

    Parameters
    ----------
    forecasts : mapping of str to np.ndarray
        Quantiles (n, h, Q) of the members.
    actual : np.ndarray
        Values, NaN where missing, shape (n, h).
    scale : np.ndarray
        Unit of the errors of each window, shape (n,).
    blocks : np.ndarray
        Number of the block of time of each window, shape (n,), within which errors are correlated.
    levels : tuple of float
        Quantile levels.
    """

    forecasts: Mapping[str, Array]
    actual: Array
    scale: Array
    blocks: Array
    levels: tuple[float, ...]

    @cached_property
    def observed(self) -> Array:
        """Mask (n, h) of the values that every member forecasts."""
        mask = np.isfinite(self.actual) & (self.scale > 0)[:, None]
        for q in self.forecasts.values():
            mask &= np.isfinite(q).all(axis=-1)
        return np.asarray(mask)

    @cached_property
    def usable(self) -> Array:
        """Rows of the windows with such a value."""
        return np.flatnonzero(self.observed.any(axis=1))

    def of_members(self, names: Sequence[str]) -> PastForecasts:
        """The forecasts of some of the members."""
        return replace(self, forecasts={name: q for name, q in self.forecasts.items() if name in names})

    @property
    def used_blocks(self) -> Array:
        """Blocks of time of these windows."""
        return np.asarray(self.blocks[self.usable])

    def mean(self, weights: Mapping[str, float]) -> Array:
        """Weighted mean of members, (n, h, Q)."""
        return np.asarray(sum(weight * self.forecasts[name] for name, weight in weights.items()))

    def losses(self, q: Array) -> Array:
        """Mean pinball loss of each usable window under quantiles (n, h, Q), in units of its scale."""
        rows = self.usable
        return window_losses(q[rows], self.actual[rows], self.scale[rows], self.observed[rows], self.levels)

    def select(self, members: Mapping[str, Array]) -> dict[str, float]:
        """Weights of members, quantiles (n, h, Q), by greedy ensemble selection."""
        index = np.flatnonzero(self.observed)
        index = index[:: max(1, len(index) // MAX_SELECTION_VALUES)]
        unit = np.broadcast_to(self.scale[:, None], self.actual.shape).ravel()[index]
        quantiles = {name: q.reshape(-1, len(self.levels))[index] for name, q in members.items()}
        return greedy_selection(quantiles, self.actual.ravel()[index], unit, self.levels)


def average_models(
    held_out: PastForecasts | None,
    past: PastForecasts | None = None,
    growth: Array | None = None,
    may_smooth: bool = True,
    has_covariates: bool = False,
) -> ModelAverage:
    """Choose weights by the pinball loss on past windows, and the interval factors by the coverage.

    The baselines, which need no training, are compared on windows all over the past (`baseline_weights`). Networks
    and the average of the baselines are then weighted by ensemble selection on the held-out windows, shrunk to the
    prior shares (`network_share`) as if these were the evidence of ten blocks of time:

        w = (B·w_selected + 10·w_prior) / (B + 10)

    where B is the number of blocks of time of the held-out windows. A weight below 5 % is dropped.

    Parameters
    ----------
    held_out : PastForecasts or None
        Networks and baselines on the windows that no network was trained on; None without networks.
    past : PastForecasts, optional
        Baselines on earlier windows too.
    growth : np.ndarray, optional
        Logarithm of the factor on intervals of baselines expected without evidence, shape (h,).
    may_smooth : bool, default True
        Whether forecasts may be smoothed along the horizon, see `smoothness`.
    has_covariates : bool, default False
        Whether there are covariates known for the future.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes, 2004, "Ensemble selection from libraries of models", ICML.
    """
    weights = baseline_weights(past, has_covariates)
    if held_out is not None and len(held_out.usable):
        weights = _with_networks(held_out, weights)
    elif held_out is not None:
        weights = _shared(weights, dict.fromkeys(networks_of(held_out)[:1], 0.5))
    known = past if held_out is None else held_out
    if known is None or not len(known.usable):
        return ModelAverage(weights)
    average = calibrated(weights, known, growth, may_smooth)
    final = average.combine(known.forecasts, known.levels, known.actual.shape[1])
    losses = {name: float(known.losses(q).mean()) for name, q in {"rekur": final, **known.forecasts}.items()}
    return replace(average, validation_losses=losses)


def calibrated(
    weights: Mapping[str, float], past: PastForecasts, growth: Array | None = None, may_smooth: bool = True
) -> ModelAverage:
    """An average of members of known weights, with interval factors by its coverage of past windows.

    Parameters
    ----------
    weights : mapping of str to float
        Weight of each member; their sum is 1.
    past : PastForecasts
        Forecasts of the members.
    growth, may_smooth
        As in `average_models`.
    """
    if not len(past.usable):
        return ModelAverage(weights)
    mean = past.mean(weights)
    smooth = smoothness(mean, past) if may_smooth and not set(weights) <= set(baselines.METHODS) else ""
    mean = smooth_quantiles(mean, past.levels, smooth)
    share = sum(weight for name, weight in weights.items() if name in baselines.METHODS)
    expected = np.zeros(mean.shape[1]) if growth is None else share * growth
    distance = np.where(past.observed, interval_distance(mean, past.actual, past.levels), np.nan)
    return ModelAverage(weights, calibrated_scale(distance, len(np.unique(past.used_blocks)), expected), smooth=smooth)


def smoothness(mean: Array, past: PastForecasts) -> str:
    """How far an average (n, h, Q) with networks is smoothed along the horizon: "", "widths" or "paths".

    As far as the loss on past windows does not rise: where no season makes a difference between steps, as on a random
    walk, that between neighbouring outputs of a network is noise.
    """
    smooth, loss = "", past.losses(mean).mean()
    if mean.shape[1] < MIN_SMOOTH_STEPS:
        return smooth
    for each in ("widths", "paths"):
        smoothed = past.losses(smooth_quantiles(mean, past.levels, each)).mean()
        if smoothed > (1 + MAX_LOSS_GROWTH) * loss:
            break
        smooth, loss = each, smoothed
    return smooth


def networks_of(held_out: PastForecasts) -> list[str]:
    """Names of the networks among the members."""
    return [name for name in held_out.forecasts if name not in AVERAGED_BASELINES]


def baseline_weights(past: PastForecasts | None, has_covariates: bool = False) -> dict[str, float]:
    """Weights of the baselines by their losses on past windows.

    One alone, regression where there are covariates known for the future and its loss is not above that of smoothing,
    else smoothing; unless the average that ensemble selection finds is better by two standard errors (of clusters, the
    windows of a block of time): its weights are then shrunk to the one alone with the strength of ten blocks.

    Parameters
    ----------
    past : PastForecasts or None
        Forecasts of all baselines; None without any past window.
    has_covariates : bool, default False
        Whether there are covariates known for the future.
    """
    if past is None or not len(past.usable):
        return {REGRESSION if has_covariates else "smoothing": 1.0}
    losses = {name: past.losses(past.forecasts[name]) for name in (REGRESSION, "smoothing") if name in past.forecasts}
    alone = min(losses, key=lambda name: float(losses[name].mean()))
    selected = past.select(past.forecasts)
    gain = clustered_mean(losses[alone] - past.losses(past.mean(selected)), past.used_blocks)
    if gain.mean < MIN_T * gain.error or gain.mean <= 0:
        return {alone: 1.0}
    trust = evidence(past.used_blocks)
    return _shared({alone: 1.0}, {name: trust * weight for name, weight in selected.items()})


def _with_networks(held_out: PastForecasts, base: Mapping[str, float]) -> dict[str, float]:
    """Weights of networks and baselines on held-out windows; `base` holds those of the baselines among each other."""
    networks = {name: held_out.forecasts[name] for name in networks_of(held_out)}
    selected = held_out.select({**networks, BASELINES: held_out.mean(base)})
    losses = held_out.losses(held_out.mean(base))
    best = min((held_out.losses(q) for q in networks.values()), key=lambda loss: float(loss.mean()))
    trust, share = evidence(held_out.used_blocks), network_share(losses, best, held_out.used_blocks)
    prior = (1 - trust) * share / len(networks)
    return _shared(base, {name: trust * selected.get(name, 0.0) + prior for name in networks})


def _shared(base: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
    """Weights: the given shares of some members, the rest as in `base`; those below 5 % are dropped."""
    rest = 1 - sum(shares.values())
    names = [*shares, *(name for name in base if name not in shares)]
    weights = {name: shares.get(name, 0.0) + rest * base.get(name, 0.0) for name in names}
    return normalized({name: weight for name, weight in weights.items() if weight >= MIN_WEIGHT})


def evidence(blocks: Array) -> float:
    """Weight of the evidence of windows in B blocks of time, B / (B + 10)."""
    count = len(np.unique(blocks))
    return count / (count + PRIOR_BLOCKS)


def network_share(losses: Array, best: Array, blocks: Array) -> float:
    """Share of the networks believed in without selection: one half, moved by the significance of their gain.

        share = 1/2 + t/4 within 0 … 1,  t = mean gain / standard error

    where the standard error is that of clusters, the windows of a block of time. A single block proves no gain; a loss
    is compared with half of that of the baselines, so that no network is believed in that loses twice as much.

    Parameters
    ----------
    losses, best : np.ndarray
        Losses of the baselines and of the best network in each window, shapes (n,).
    blocks : np.ndarray
        Number of the block of time of each window, shape (n,).
    """
    gain = clustered_mean(losses - best, blocks)
    several = gain.clusters > 1
    mean, error = (gain.mean, gain.error) if several else (min(gain.mean, 0.0), losses.mean() / 2)
    return float(np.clip(0.5 + mean / max(error, TINY) / 4, 0.0, 1.0))


def normalized(weights: Mapping[str, float]) -> dict[str, float]:
    """The same weights with sum 1."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def display_name(name: str) -> str:
    """Readable name of a member."""
    return baselines.describe(name) if name in baselines.METHODS else f"{name} network"


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
