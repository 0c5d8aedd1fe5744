"""Coordinates of a forecast: seasonal naive and the corrections that a network weighs, in units of the seasonal error.

    B series · T steps · P patches of p steps · K candidates

All that a network of these coordinates adds to seasonal naive is a number of order 1 times a candidate of order 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

CANDIDATES = (
    "period_before", "periods_2_3", "periods_4_6", "level", "innovation", "last", "slope_short", "slope_medium",
    "slope_long", "level_2", "level_4", "growth", "second_period", "second_level", "second_periods_2_3",
)  # fmt: skip
"""Corrections of seasonal naive, see `Coordinates`."""
BOUND = 30.0  # of candidates and targets, in seasonal errors
MIN_SPAN = 4  # steps over which a slope is measured at least


@dataclass(frozen=True)
class Coordinates:
    """Series as a network reads them, and the coordinates in which it answers.

    Patch j is the last one that is known when patch j + 1 is forecast; where it is hidden, the last visible step before
    it counts. With s the value one period before a step (the last period that is visible), v the last visible step, m
    the mean of a period and h the number of steps after v, the candidates are, less s where they are values:

        value two, three and four, five to seven periods before · m(v) - m(s) · x_v less the value a period before it ·
        x_v, within ±3 · h times the slope over one, three and nine periods · mean of two and of four periods less m(v) ·
        s scaled by the growth of the level, for positive series · with the longer period, of the value one period before:
        itself · m(v) less m there · mean of the two values before it, less that value

    Parameters
    ----------
    inputs : (B, P, I) tensor
        Inputs of the patches.
    start : (B, P) bool tensor
        The patch of the first visible step, before which the state of a recurrence is to be 0.
    base : (B, P, p) tensor
        Seasonal naive forecast of the patch after each one, in the unit of the series.
    candidates : (B, P, p, K) tensor
        Corrections in units of the seasonal error, within ±30.
    target : (B, P, p) tensor
        (x - base) / scale of the patch after each one, NaN where it is not known, within ±30.
    weight : (B, P, p) tensor
        1 where the target is known and the base rests on values of the series, else 0.
    scale : (B, 1) tensor
        Seasonal error d = mean |x_t - x_{t-period}| of the visible part.
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


def coordinates(values: Tensor, visible: Tensor, periods: Tensor, patch: int) -> Coordinates:
    """Coordinates of the patches of series.

    Parameters
    ----------
    values : (B, (P + 1)·p) tensor
        Values, NaN where one is missing or not known.
    visible : (B, P + 1) bool tensor
        Patches that a network may read; the others are to be forecast. The last one is hidden.
    periods : (B, 2) int64 tensor
        Shorter and longer period; 1 for none.
    patch : int
        Steps p of a patch.

    Returns
    -------
    Coordinates
        Inputs and coordinates of the first P patches and the P patches after them.
    """
    B, T = values.shape
    P, p1, p2 = T // patch - 1, periods[:, :1], periods[:, 1:]
    steps = torch.arange(T, device=values.device)
    seen = visible.repeat_interleave(patch, 1) & ~values.isnan()  # (B, T)
    x, first = impute(values, seen, p1)
    scale = _seasonal_error(x, seen, first, p1)
    x = x / scale
    total = torch.cat([x.new_zeros(B, 1, dtype=torch.float64), x.double().cumsum(1)], 1)  # (B, T + 1)

    def at(index: Tensor) -> Tensor:
        return x.gather(1, torch.maximum(index, first))

    def mean(end: Tensor, width: Tensor) -> Tensor:  # over `width` steps up to and including `end`, none before `first`
        start = torch.maximum(end - width + 1, first)
        stop = torch.maximum(end, first)
        return ((total.gather(1, stop + 1) - total.gather(1, start)) / (stop + 1 - start)).float()

    v = (
        torch.where(visible, (torch.arange(P + 1, device=x.device) + 1) * patch - 1, -1).cummax(1).values[:, :P]
    )  # (B, P)
    now = v.clamp_min(0).repeat_interleave(patch, 1)  # (B, P·p)
    ahead = steps[patch:].expand(B, -1) - now  # h, 1 or more
    lag = (ahead + p1 - 1) // p1 * p1
    source = steps[patch:] - lag
    s, level, level_then, last = at(source), mean(now, p1), mean(source, p1), at(now)
    slopes = [_slope(mean, now, first, p1, periods_back) * ahead for periods_back in (1, 3, 9)]
    ratio = level / level_then
    positive = (torch.where(seen, x, torch.inf).amin(1, keepdim=True) > 0) & (ratio - 1).abs().lt(0.8)
    source2 = steps[patch:] - (ahead + p2 - 1) // p2 * p2
    s2 = at(source2)
    second, third = (p2 > 1) & (source2 >= first), (p2 > 1) & (source2 - 2 * p2 >= first)
    parts = [
        at(source - p1) - s,
        (at(source - 2 * p1) + at(source - 3 * p1)) / 2 - s,
        (at(source - 4 * p1) + at(source - 5 * p1) + at(source - 6 * p1)) / 3 - s,
        level - level_then,
        last - at(now - p1),
        (last - s).clamp(-3, 3),
        *slopes,
        mean(now, 2 * p1) - level,
        mean(now, 4 * p1) - level,
        torch.where(positive, (s - level_then) * (ratio - 1), 0),
        torch.where(second, s2 - s, 0),
        torch.where(second, level - mean(source2, p1), 0),
        torch.where(third, (at(source2 - p2) + at(source2 - 2 * p2)) / 2 - s2, 0),
    ]
    candidates = torch.stack(parts, -1).clamp_(-BOUND, BOUND).view(B, P, patch, len(parts))
    base = s.view(B, P, patch)
    target = (values[:, patch:] / scale).view(B, P, patch) - base
    based = (source >= first) & (v >= 0).repeat_interleave(patch, 1) & seen.any(1, keepdim=True)
    weight = (~target.isnan() & based.view(B, P, patch)).to(x.dtype)
    spread = _deviation(x, seen)
    patches, mask = x.view(B, P + 1, patch)[:, :P], seen.view(B, P + 1, patch)[:, :P]
    innovation = (x - at(steps - p1)).view(B, P + 1, patch)[:, :P]
    phase = 2 * torch.pi * (steps[patch::patch] - first)[..., None] / periods[:, None]  # (B, P, 2)
    known = torch.cat(
        [
            phase.sin(), phase.cos(),
            periods.log()[:, None].expand(B, P, 2) / 4,
            spread.log1p()[:, None].expand(B, P, 1),
            ((v - first).clamp_min(0) / p1).log1p()[..., None],
            (v - first + 1).clamp_min(1).log()[..., None] / 4,
            ((steps[patch - 1 : P * patch : patch] - v) / patch).log1p()[..., None],
            _pooled(candidates, 4),
        ],
        -1,
    )  # fmt: skip
    hidden = torch.asinh(torch.cat([patches - at(v)[..., None], innovation], -1)) * torch.cat([mask, mask], -1)
    inputs = torch.cat([hidden, mask.to(x.dtype), torch.asinh(known)], -1)
    start = torch.arange(P, device=x.device) == first // patch
    return Coordinates(inputs, start, base * scale[:, :, None], candidates, target.clamp(-BOUND, BOUND), weight, scale)


def _seasonal_error(x: Tensor, seen: Tensor, first: Tensor, period: Tensor) -> Tensor:
    """Mean absolute seasonal difference (B, 1) of the visible steps; of all steps to their mean where there is none."""
    steps = torch.arange(x.shape[1], device=x.device)
    before = (steps - period).clamp_min(0)
    both = seen & seen.gather(1, before) & (steps - period >= first)
    error = ((x - x.gather(1, before)).abs() * both).sum(1, keepdim=True) / both.sum(1, keepdim=True).clamp_min(1)
    spread = _deviation(x, seen)
    size = (x.abs() * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp_min(1)
    error = torch.where(both.any(1, keepdim=True), error, spread)
    return torch.maximum(error, torch.maximum(0.004 * spread, 1e-6 * size)).clamp_min(1e-12)


def _deviation(x: Tensor, seen: Tensor) -> Tensor:
    """Standard deviation (B, 1) of the visible steps of x (B, T)."""
    count = seen.sum(1, keepdim=True).clamp_min(1)
    mean = (x * seen).sum(1, keepdim=True) / count
    return ((x - mean).square() * seen).sum(1, keepdim=True).div(count).sqrt()


def _slope(mean, now: Tensor, first: Tensor, period: Tensor, back: int) -> Tensor:  # type: ignore[no-untyped-def]
    """Slope (B, P·p) of the mean of one period at the last visible step, over some periods, at least 4 steps."""
    span = back * period * ((MIN_SPAN + period - 1) // period)
    span = torch.minimum(span, now - first - period + 1)
    slope = (mean(now, period) - mean(now - span.clamp_min(1), period)) / span.clamp_min(1)
    return torch.where(span >= 2, slope, 0)


def _pooled(candidates: Tensor, groups: int) -> Tensor:
    """Means (B, P, K·groups) of the candidates (B, P, p, K) over parts of a patch."""
    B, P, p, K = candidates.shape
    return candidates.view(B, P, groups, p // groups, K).mean(3).flatten(2)
