"""Data augmentation for log-mel spectra: speed, silence, noise, vocal tract length, frequency response, masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

GAIN_STD = 3.0  # standard deviation of the gain, in units of the scaled spectra, for a strength of 1
RESPONSE_STD = 2.0  # the same of a frequency response
FLUCTUATION = 0.6  # standard deviation of the log-energies of noise from step to step
QUIETEST_NOISE = 16.0  # levels of the noise are drawn from this many e-folds of the energy below the loudest on
NOISE_STD = 1.5  # standard deviation of the log-energies of noise over the bands
RESPONSE_POINTS = 6  # points of a random curve over the bands


@dataclass(frozen=True)
class SpectrumAugmentation:
    """Random changes of log-mel spectra while training.

    Parameters
    ----------
    mask : float, default 0.0
        Largest share of the bands and of the steps that each of two masks sets to zero (SpecAugment).
    mask_steps : int or None, default None
        Largest number of steps of a mask: a longer one can hide a whole word, whose label remains. None for no limit.
    response : float, default 0.0
        Strength of a random gain and frequency response.
    warp : float, default 0.0
        Largest relative change of the frequencies (vocal tract length perturbation).
    speed : float, default 0.0
        Largest relative change of the speed.
    silence : int, default 0
        Steps of silence added at each end at most.
    noise : float, default 0.0
        Loudest energy of an added noise, as a share of that of the loudest band.
    """

    mask: float = 0.0
    mask_steps: int | None = None
    response: float = 0.0
    warp: float = 0.0
    speed: float = 0.0
    silence: int = 0
    noise: float = 0.0


def speed_and_silence(x: Tensor, lengths: Tensor, speed: float, silence: int) -> tuple[Tensor, Tensor]:
    """Change the speed of each recording and add silence at both of its ends.

    The factor of the speed is drawn from 1 - speed … 1 + speed, and spectra between two steps are interpolated. Silence
    is at most as loud in each band as the recording at its quietest step, and as quiet as the quietest recording of the
    batch at least. No recording becomes shorter, so that its
    steps suffice for its transcript: a faster one is followed by silence. Log-mel spectra x (B, T, I), lengths (B,) →
    (B, T', I), lengths.
    """
    B, T, I = x.shape  # noqa: E741
    factor = 1 + speed * (2 * torch.rand(B) - 1)
    before, after = (torch.rand(2, B) * (silence + 1)).long().unbind()
    spoken = (lengths / factor).ceil().long()
    total = torch.maximum(before + spoken + after, lengths)
    source = (torch.arange(int(total.max())) - before[:, None]) * factor[:, None]  # (B, T')
    last = (lengths - 1)[:, None]
    lower = torch.minimum(source.clamp_min(0).long(), last)
    upper, fraction = torch.minimum(lower + 1, last), (source - lower).clamp(0, 1)[..., None]
    below, above = (x.gather(1, steps[..., None].expand(-1, -1, I)) for steps in (lower, upper))
    inside = torch.arange(T) < lengths[:, None]
    quietest = x.masked_fill(~inside[..., None], torch.inf).amin(1, keepdim=True)  # (B, 1, I)
    floor = quietest.amin()
    level = torch.lerp(floor, quietest, torch.rand(B, 1, 1))
    quiet = (level + FLUCTUATION * torch.randn_like(below)).minimum(quietest).maximum(floor)
    silent = (source < 0) | (source > last)
    return torch.where(silent[..., None], quiet, torch.lerp(below, above, fraction)), total


def add_noise(x: Tensor, lengths: Tensor, strength: float) -> Tensor:
    """Add a stationary noise of random level and colour to each recording: x (B, T, I), lengths (B,) → (B, T, I).

        x' = log(exp(x) + exp(n))

    for log-mel spectra x, with a level of n up to log(strength) from the largest x of the recording.
    """
    B, T, I = x.shape  # noqa: E741
    inside = torch.arange(T) < lengths[:, None]
    loudest = x.masked_fill(~inside[..., None], -torch.inf).amax((1, 2), keepdim=True)  # (B, 1, 1)
    highest = math.log(strength)
    level = loudest + highest - (QUIETEST_NOISE + highest) * torch.rand(B, 1, 1)
    colour = NOISE_STD * random_curve(B, I, RESPONSE_POINTS)
    return torch.logaddexp(x, level + colour + FLUCTUATION * torch.randn_like(x))


def frequency_warp(x: Tensor, strength: float) -> Tensor:
    """Stretch the bands of each row by a random factor in 1 - strength … 1 + strength: x (B, I, T) → (B, I, T)."""
    I = x.shape[1]  # noqa: E741
    source = torch.arange(I) * (1 + strength * (2 * torch.rand(len(x), 1) - 1))  # (B, I)
    lower = source.long().clamp_max(I - 2)
    fraction = (source - lower).clamp_max(1.0)[..., None]
    below, above = (x.gather(1, bands[..., None].expand_as(x)) for bands in (lower, lower + 1))
    return torch.lerp(below, above, fraction)


def random_response(x: Tensor, strength: float) -> Tensor:
    """Add a random gain and a random frequency response to each row, as of another microphone: x (B, I, T) → (B, I, T).

    The response is linear between `RESPONSE_POINTS` points of the frequency axis.
    """
    B, I, _ = x.shape  # noqa: E741
    gain = GAIN_STD * strength * torch.randn(B, 1, 1)
    return x + gain + (RESPONSE_STD * strength * random_curve(B, I, RESPONSE_POINTS)).transpose(1, 2)


def random_curve(B: int, I: int, points: int) -> Tensor:  # noqa: E741
    """Curves (B, 1, I) through standard normal values at equally spaced points, linear between them."""
    return F.interpolate(torch.randn(B, 1, points), size=I, mode="linear", align_corners=True)


def spec_augment(x: Tensor, lengths: Tensor, share: float, max_steps: int | None = None) -> Tensor:
    """Zero two random spans of bands and two of time in each row (SpecAugment): x (B, I, T), lengths (B,) → (B, I, T).

    Each span covers at most `share` of the bands, or of the length of its row and at most `max_steps` steps.
    """
    B, I, T = x.shape  # noqa: E741
    longest = share * lengths if max_steps is None else (share * lengths).clamp_max(max_steps)
    for _ in range(2):
        x = x.masked_fill(random_span(torch.full((B,), I), I, torch.full((B,), share * I))[:, :, None], 0)
        x = x.masked_fill(random_span(lengths, T, longest)[:, None, :], 0)
    return x


def random_span(lengths: Tensor, T: int, longest: Tensor) -> Tensor:
    """Mask (B, T) bool of one random span in each row, within its length (B,) and at most `longest` (B,) wide."""
    width = torch.rand(len(lengths)) * longest
    start = torch.rand(len(lengths)) * (lengths - width)
    position = torch.arange(T)
    return (position >= start[:, None]) & (position < (start + width)[:, None])
