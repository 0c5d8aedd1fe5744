"""Coordinates of a forecast: seasonal naive and the corrections that a network weighs, in units of the seasonal error.

    B series · T steps · P patches of p steps · K candidates

All that a network of these coordinates adds to seasonal naive is a number of order 1 times a candidate of order 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

CANDIDATES = (
    "period_before", "periods_2_3", "periods_4_6", "level", "innovation", "last", "slope_1", "slope_3", "slope_9",
    "level_2", "level_4", "growth", "second_period", "second_level", "second_periods_2_3",
)  # fmt: skip
"""Corrections of seasonal naive, see `Coordinates`."""
BOUND = 30.0
"""Largest absolute value of candidates and targets, in seasonal errors."""
LAST_BOUND = 3.0  # of the candidate "last", which ignores the season
MAX_GROWTH = 0.8  # relative change of the level up to which seasons are scaled by it
SLOPE_PERIODS, MIN_SLOPE_STEPS = (1, 3, 9), 4
LEAST_ERROR = 0.004  # seasonal error, in standard deviations, as which a smaller one counts
GROUPS = 4
"""Parts of a patch, over which the candidates are averaged as inputs."""
KNOWN = 10 + GROUPS * len(CANDIDATES)
"""Number of inputs of a patch beside its values, innovations and mask."""


@dataclass(frozen=True)
class Coordinates:
    """Series as a network reads them, and the coordinates in which it answers.

    Patch j is the last one that is known when patch j + 1 is forecast; where it is hidden, the last visible step v
    before it counts. For a step h steps after v, s is the value one period before, or the smallest number of periods
    before that is visible, and m the mean of the period that ends at a step. The candidates are

        period_before        value two periods before, less s
        periods_2_3, _4_6    mean of the values three and four, five to seven periods before, less s
        level                m(v) less m at s
        innovation           x_v less the value one period before it
        last                 x_v - s, within ±3
        slope_1, _3, _9      h times the slope of m over that many periods, at least 4 steps
        level_2, _4          mean of the last two, four periods, less m(v)
        growth               (s - m at s)·(m(v) / m at s - 1) for positive series
        second_period        s₂ - s, where s₂ is the value one longer period before
        second_level         m(v) less m at s₂
        second_periods_2_3   mean of the values two and three longer periods before, less s₂

    each divided by the seasonal error d and within ±30.

    Parameters
    ----------
    inputs : (B, P, I) tensor
        Inputs of the patches: asinh of values less x_v and of innovations, the mask, phase and length of the periods,
        history and distance to v, and the means of the candidates over quarters of the next patch.
    start : (B, P) bool tensor
        The patch of the first visible step, before which the state of a recurrence is to be 0.
    base : (B, P, p) tensor
        s, the seasonal naive forecast of the patch after each one, in the unit of the series.
    candidates : (B, P, p, K) tensor
        Corrections.
    target : (B, P, p) tensor
        (x - base) / d of the patch after each one, NaN where it is not known, within ±30.
    weight : (B, P, p) tensor
        1 where the target is known and the base rests on values of the series, else 0.
    scale : (B, 1) tensor
        d = mean |x_t - x_{t-period}| of the visible part.
    """

    inputs: Tensor
    start: Tensor
    base: Tensor
    candidates: Tensor
    target: Tensor
    weight: Tensor
    scale: Tensor


def impute(values: Tensor, visible: Tensor, period: Tensor) -> tuple[Tensor, Tensor]:
    """Series (B, T) without gaps, and the first visible step (B, 1).

    A step that is not visible gets the value one period before it; steps before the first visible one get its value.

    Parameters
    ----------
    values : (B, T) tensor
        Values.
    visible : (B, T) bool tensor
        Whether a value may be read.
    period : (B, 1) int64 tensor
        Period of each series.
    """
    steps = torch.arange(values.shape[1], device=values.device)
    first = torch.where(visible.any(1), visible.int().argmax(1), 0)[:, None]
    source = torch.where(visible, steps, -1)  # step from which each value is taken, -1 for none so far
    shift = period
    for _ in range(values.shape[1].bit_length()):  # reaches 1, 2, 4, … periods back
        before = (steps - shift).clamp_min(0)
        earlier = torch.where(steps >= shift, source.gather(1, before.expand_as(source)), -1)
        source = torch.where(source < 0, earlier, source)
        shift = 2 * shift
    last = torch.where(visible, steps, -1).cummax(1).values
    source = torch.where(source < 0, torch.where(last < 0, first, last), source)
    return values.nan_to_num().gather(1, source), first


class Lookup:
    """Values of series at steps before one, and means that end there, without what is hidden.

    Parameters
    ----------
    values : (B, T) tensor
        Values, NaN where one is missing.
    seen : (B, T) bool tensor
        Whether a value may be read.
    period : (B, 1) int64 tensor
        Shorter period.
    """

    def __init__(self, values: Tensor, seen: Tensor, period: Tensor) -> None:
        x, self.first = impute(values, seen, period)
        self.scale = seasonal_error(x, seen, self.first, period)  # (B, 1)
        self.x, self.seen = x / self.scale, seen  # (B, T)

    @cached_property
    def _total(self) -> Tensor:
        """Sums (B, T + 1) of the first steps."""
        return torch.cat([self.x.new_zeros(len(self.x), 1, dtype=torch.float64), self.x.double().cumsum(1)], 1)

    def at(self, index: Tensor) -> Tensor:
        """Values (B, n) at steps (B, n); the first one for those before it."""
        return self.x.gather(1, torch.maximum(index, self.first))

    def mean(self, end: Tensor, width: Tensor) -> Tensor:
        """Means (B, n) of `width` (B, 1) steps up to and including `end` (B, n), of fewer at the start of a series."""
        start, stop = torch.maximum(end - width + 1, self.first), torch.maximum(end, self.first)
        return ((self._total.gather(1, stop + 1) - self._total.gather(1, start)) / (stop + 1 - start)).float()

    def slope(self, end: Tensor, period: Tensor, back: int) -> Tensor:
        """Slope (B, n) of the mean of one period up to `end`, over some periods but at least 4 steps."""
        span = back * period * ((MIN_SLOPE_STEPS + period - 1) // period)
        span = torch.minimum(span, end - self.first - period + 1)
        slope = (self.mean(end, period) - self.mean(end - span.clamp_min(1), period)) / span.clamp_min(1)
        return torch.where(span >= 2, slope, 0)

    @cached_property
    def lowest(self) -> Tensor:
        """Lowest visible value (B, 1)."""
        return torch.where(self.seen, self.x, torch.inf).amin(1, keepdim=True)


def coordinates(values: Tensor, visible: Tensor, periods: Tensor, patch: int) -> Coordinates:
    """Coordinates of the patches of series.

    Parameters
    ----------
    values : (B, (P + 1)·p) tensor
        Values, NaN where one is missing or not known.
    visible : (B, P + 1) bool tensor
        Patches that a network may read; the others are to be forecast. The last one is hidden.
    periods : (B, 2) int64 tensor
        Shorter and longer period; 1 for none. One of which fewer than two are visible counts as none.
    patch : int
        Steps p of a patch.

    Returns
    -------
    Coordinates
        Inputs and coordinates of the first P patches and the P patches after them.
    """
    B, P = len(values), values.shape[1] // patch - 1
    steps = torch.arange(values.shape[1], device=values.device)
    seen = visible.repeat_interleave(patch, 1) & ~values.isnan()  # (B, T)
    periods = _visible_twice(periods, seen)
    series = Lookup(values, seen, periods[:, :1])
    v = torch.where(visible, (steps[::patch] + patch - 1), -1).cummax(1).values[:, :P]  # (B, P)
    now = v.clamp_min(0).repeat_interleave(patch, 1)  # (B, P·p)
    s, source, candidates = corrections(series, now, steps[patch:], periods)
    candidates = candidates.view(B, P, patch, -1)
    base = s.view(B, P, patch)
    target = (values[:, patch:] / series.scale).view(B, P, patch) - base
    based = (source >= series.first) & (v >= 0).repeat_interleave(patch, 1) & seen.any(1, keepdim=True)
    weight = (~target.isnan() & based.view(B, P, patch)).to(s.dtype)
    return Coordinates(
        _inputs(series, v, periods, candidates),
        steps[:P] == series.first // patch,
        base * series.scale[:, :, None],
        candidates,
        target.clamp(-BOUND, BOUND),
        weight,
        series.scale,
    )


def _visible_twice(periods: Tensor, seen: Tensor) -> Tensor:
    """Periods (B, 2) of which two or more are visible in series (B, T), 1 in place of the others."""
    length = seen.flip(1).int().cumsum(1).gt(0).sum(1) - seen.int().argmax(1)  # from the first to the last visible step
    periods = torch.where(2 * periods > length[:, None], 1, periods)
    return torch.where(periods[:, :1] == 1, 1, periods)


def corrections(series: Lookup, now: Tensor, steps: Tensor, periods: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Base (B, n) of steps (n,), the step that it is taken from, and candidates (B, n, K), known at the steps `now`."""
    at, mean, p1, p2 = series.at, series.mean, periods[:, :1], periods[:, 1:]
    ahead = steps - now  # h, 1 or more
    source, source2 = (steps - (ahead + p - 1) // p * p for p in (p1, p2))
    s, s2, last, level, level_then = at(source), at(source2), at(now), mean(now, p1), mean(source, p1)
    ratio = level / level_then
    grows = (series.lowest > 0) & ((ratio - 1).abs() < MAX_GROWTH)
    second, third = (p2 > 1) & (source2 >= series.first), (p2 > 1) & (source2 - 2 * p2 >= series.first)
    parts = [
        at(source - p1) - s,
        (at(source - 2 * p1) + at(source - 3 * p1)) / 2 - s,
        (at(source - 4 * p1) + at(source - 5 * p1) + at(source - 6 * p1)) / 3 - s,
        level - level_then,
        last - at(now - p1),
        (last - s).clamp(-LAST_BOUND, LAST_BOUND),
        *(series.slope(now, p1, back) * ahead for back in SLOPE_PERIODS),
        mean(now, 2 * p1) - level,
        mean(now, 4 * p1) - level,
        torch.where(grows, (s - level_then) * (ratio - 1), 0),
        torch.where(second, s2 - s, 0),
        torch.where(second, level - mean(source2, p1), 0),
        torch.where(third, (at(source2 - p2) + at(source2 - 2 * p2)) / 2 - s2, 0),
    ]
    return s, source, torch.stack(parts, -1).clamp_(-BOUND, BOUND)


def _inputs(series: Lookup, v: Tensor, periods: Tensor, candidates: Tensor) -> Tensor:
    """Inputs (B, P, I) of the patches with the last visible steps v (B, P)."""
    B, P, patch, K = candidates.shape
    steps, first, x = torch.arange((P + 1) * patch, device=v.device), series.first, series.x
    values, mask, innovations = (
        each.view(B, P + 1, patch)[:, :P] for each in (x, series.seen, x - series.at(steps - periods[:, :1]))
    )
    phase = 2 * torch.pi * (steps[patch::patch] - first)[..., None] / periods[:, None]  # (B, P, 2)
    known = [
        phase.sin(),
        phase.cos(),
        periods.log()[:, None].expand(B, P, 2) / 4,
        deviation(x, series.seen).log1p()[:, None].expand(B, P, 1),
        ((v - first).clamp_min(0) / periods[:, :1]).log1p()[..., None],
        (v - first + 1).clamp_min(1).log()[..., None] / 4,
        ((steps[patch - 1 : P * patch : patch] - v) / patch).log1p()[..., None],
        candidates.view(B, P, GROUPS, patch // GROUPS, K).mean(3).flatten(2),
    ]
    read = torch.cat([values - series.at(v)[..., None], innovations], -1) * mask.repeat(1, 1, 2)
    return torch.cat([torch.asinh(torch.cat([read, *known], -1)), mask.to(x.dtype)], -1)


def seasonal_error(x: Tensor, seen: Tensor, first: Tensor, period: Tensor) -> Tensor:
    """Mean absolute seasonal difference (B, 1) of the visible steps of x (B, T); their deviation if there is none.

    Not less than 0.004 standard deviations, so that a clean season does not make all errors infinite.
    """
    steps = torch.arange(x.shape[1], device=x.device)
    before = (steps - period).clamp_min(0)
    both = seen & seen.gather(1, before) & (steps - period >= first)
    error = ((x - x.gather(1, before)).abs() * both).sum(1, keepdim=True) / both.sum(1, keepdim=True).clamp_min(1)
    spread = deviation(x, seen)
    size = (x.abs() * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp_min(1)
    error = torch.where(both.any(1, keepdim=True), error, spread)
    return torch.maximum(error, torch.maximum(LEAST_ERROR * spread, 1e-6 * size)).clamp_min(1e-12)


def deviation(x: Tensor, seen: Tensor) -> Tensor:
    """Standard deviation (B, 1) of the visible steps of x (B, T)."""
    count = seen.sum(1, keepdim=True).clamp_min(1)
    mean = (x * seen).sum(1, keepdim=True) / count
    return ((x - mean).square() * seen).sum(1, keepdim=True).div(count).sqrt()
