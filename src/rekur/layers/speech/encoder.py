"""Encoder of spectra: standardised, centred and read by causal convolutions, at once or while they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.encoders import Encoder
from rekur.layers.pooling import length_mask
from rekur.layers.speech.augmentation import (
    SpectrumAugmentation,
    add_noise,
    frequency_warp,
    random_response,
    spec_augment,
    speed_and_silence,
)

if TYPE_CHECKING:
    from torch import Tensor

Centre = Literal["whole", "past", "none"]
"""Value subtracted from each band of a recording: mean, running mean, or zero."""

RunningMean: TypeAlias = "tuple[Tensor, int]"
"""Sum of all spectra (1, I, 1) and their number."""

KERNEL_SIZE = 5  # steps that a convolution of the speech encoder reads
PRIOR_STEPS = 100  # weight of the mean of the training data in a running mean, in steps


class SpeechEncoder(Encoder):
    """Standardised and centred spectra, read by two causal convolutions that reduce the number of steps.

        x̃_t = x_t - m_t,  y = relu(conv₅(relu(conv₅(x̃))))

    where m_t is the mean of all x_s ("whole"), the running mean Σ_{s ≤ t} x_s / (100 + t) ("past"), or 0 ("none"); the
    second convolution has a stride of 2 and the first one of r/2. Centring removes the loudness of a recording and
    the response of its microphone, but from a single word also what its sounds have in common; "past" needs no
    future step, so that a recording can be encoded while it arrives, see `advance`.

    Parameters
    ----------
    statistics : Tensor
        Mean and standard deviation (2, I) of each column over the training data.
    hidden_size : int, default 128
        Size H of the vectors.
    dropout : float, default 0.0
        Share of entries set to zero during training.
    augmentation : SpectrumAugmentation, default none
        Random changes during training; features other than mel bands are masked only.
    reduction : int, default 2
        Factor r by which the number of steps is reduced, 2 or 4.
    centre : {"whole", "past", "none"}, default "whole"
        Mean that is subtracted from each band.
    bands : bool, default True
        Whether the columns are mel bands, not other features.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: x (B, T, I) → (B, ⌈T/r⌉, H).

    References
    ----------
    D. S. Park et al., 2019, "SpecAugment", Interspeech; N. Jaitly and G. E. Hinton, 2013, "Vocal tract length
    perturbation (VTLP) improves speech recognition", ICML workshop; T. Ko et al., 2015, "Audio augmentation for speech
    recognition", Interspeech.

    Examples
    --------
    >>> import torch
    >>> encoder = SpeechEncoder(torch.tensor([[0.0] * 8, [1.0] * 8]), hidden_size=6, reduction=4)
    >>> vectors, lengths = encoder(torch.zeros(2, 21, 8), torch.tensor([21, 10]))
    >>> vectors.shape, lengths.tolist()
    (torch.Size([2, 6, 6]), [6, 3])
    """

    statistics: Tensor

    def __init__(
        self,
        statistics: Tensor,
        hidden_size: int = 128,
        dropout: float = 0.0,
        augmentation: SpectrumAugmentation = SpectrumAugmentation(),  # noqa: B008
        reduction: int = 2,
        centre: Centre = "whole",
        bands: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.dropout = hidden_size, dropout
        self.augmentation, self.centre, self.bands = augmentation, centre, bands
        self.register_buffer("statistics", statistics.clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = nn.Conv1d(statistics.shape[1], hidden_size, KERNEL_SIZE, stride=reduction // 2)
            self.layers = nn.ModuleList([first, nn.Conv1d(hidden_size, hidden_size, KERNEL_SIZE, stride=2)])

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors (B, ⌈T/r⌉, H) of spectra x (B, T, I), and their lengths."""
        lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        change = self.augmentation if self.training else SpectrumAugmentation()
        if not self.bands:
            change = SpectrumAugmentation(change.mask, change.mask_steps)
        if change.speed or change.silence:
            x, lengths = speed_and_silence(x, lengths, change.speed, change.silence)
        x = add_noise(x, lengths, change.noise) if change.noise else x
        mask = length_mask(lengths, x)[:, None]  # (B, 1, T)
        x = self.standardized(x).masked_fill(~mask, 0)
        x = frequency_warp(x, change.warp) if change.warp else x
        x = self.centred(x, lengths)
        x = random_response(x, change.response) if change.response else x
        x = spec_augment(x, lengths, change.mask, change.mask_steps) if change.mask else x
        for layer in self.layers:
            mask = length_mask(lengths, x.transpose(1, 2))[:, None]
            x, lengths = F.relu(layer(F.pad(x * mask, (KERNEL_SIZE - 1, 0)))), output_lengths(lengths, stride(layer))
        return F.dropout(x.transpose(1, 2), self.dropout, self.training), lengths

    def standardized(self, x: Tensor) -> Tensor:
        """Bands of mean 0 and variance 1 over the training data: x (B, T, I) → (B, I, T)."""
        return ((x - self.statistics[0]) / self.statistics[1]).transpose(1, 2)

    def centred(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Bands less the mean that `centre` names: x (B, I, T), zeros beyond the lengths (B,)."""
        match self.centre:
            case "whole":
                return x - x.sum(2, keepdim=True) / lengths[:, None, None]
            case "past":
                return x - running_mean(x)[0]
            case "none":
                return x

    def advance(self, x: Tensor, state: SpeechState | None) -> tuple[Tensor, SpeechState]:
        """Vectors of the spectra that arrive next, for `centre` "past".

        Parameters
        ----------
        x : Tensor
            New spectra (1, T, I).
        state : SpeechState or None
            State after the spectra before them, None at the start.

        Returns
        -------
        vectors : Tensor
            Vectors (1, about T/r, H).
        state : SpeechState
            State after the new spectra.
        """
        x = self.standardized(x)  # (1, I, T)
        mean, total = running_mean(x, None if state is None else state[0])
        x, buffers = x - mean, []
        for k, layer in enumerate(self.layers):
            past, count = (x.new_zeros(1, x.shape[1], KERNEL_SIZE - 1), 0) if state is None else state[1][k]
            joined = torch.cat([past, x], dim=2)
            buffers.append((joined[:, :, 1 - KERNEL_SIZE :], count + x.shape[2]))
            x = joined[:, :, -count % stride(layer) :]  # from the first new step that has an output
            x = F.relu(layer(x)) if x.shape[2] >= KERNEL_SIZE else x.new_zeros(1, self.size, 0)
        return x.transpose(1, 2), (total, buffers)


SpeechState: TypeAlias = "tuple[RunningMean, list[tuple[Tensor, int]]]"
"""State of a `SpeechEncoder` between two pieces of a recording.

The sum and number of all spectra, then for each convolution its last inputs, zeros before the first step, and their
number so far.
"""


def running_mean(x: Tensor, state: RunningMean | None = None) -> tuple[Tensor, RunningMean]:
    """Running mean Σ_{s ≤ t} x_s / (100 + t) of x (B, I, T), and the sum and number of steps so far."""
    total, count = (x.new_zeros(1), 0) if state is None else state
    sums = total + x.cumsum(2)
    steps = torch.arange(1, x.shape[2] + 1) + count
    return sums / (PRIOR_STEPS + steps), (sums[:, :, -1:], count + x.shape[2])


def stride(layer: nn.Module) -> int:
    """Stride of a convolution over time."""
    assert isinstance(layer, nn.Conv1d)
    return layer.stride[0]


def output_lengths(lengths: Tensor, stride: int) -> Tensor:
    """Number of outputs of a causal convolution for each number of inputs (B,)."""
    return (lengths + stride - 1) // stride
