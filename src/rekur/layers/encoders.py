"""Encoders: what stands between an input and the stack: tokens, words, numbers, spectra or frames to vectors.

Every encoder maps a padded batch x (B, T, ...) and lengths (B,) or None to vectors (B, T', I) and lengths; its `size`
is I. What stands beyond a length reaches no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class Encoder(nn.Module):
    """What every encoder has: the size I of its vectors."""

    size: int


class TokenEncoder(Encoder):
    """Tokens to vectors: x_t = E[token_t], with dropout of entries, and of whole tokens while training.

    x (B, T) int64 → (B, T, I).
    """

    def __init__(self, V: int, I: int, dropout: float = 0.0, forget: float = 0.0, seed: int = 0) -> None:  # noqa: E741
        super().__init__()
        self.size, self.dropout, self.forget = I, dropout, forget
        self.embedding = embedding(V, I, seed)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T) → vectors (B, T, I)."""
        if self.training and self.forget:
            x = x.masked_fill(torch.rand(x.shape) < self.forget, 1)  # not known
        return F.dropout(self.embedding(x), self.dropout, self.training), lengths


class WordEncoder(Encoder):
    """Words to vectors: one learned for each word, beside what a small recurrent network reads in its letters.

    x (B, T, 1 + C) int64, the number of a word and those of its letters, 0 behind them → (B, T, I).
    """

    def __init__(
        self,
        V: int,
        letters: int,
        I: int,  # noqa: E741
        dropout: float = 0.0,
        forget: float = 0.0,
        seed: int = 0,
        H: int = 64,
    ) -> None:
        super().__init__()
        self.words = TokenEncoder(V, I, 0.0, forget, seed)
        self.letters = embedding(letters, 32, seed + 1)
        self.reader = Stack("gru", 32, H, bidirectional=True, seed=seed + 2)
        self.size, self.dropout = I + 2 * H, dropout

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, 1 + C) → vectors (B, T, I)."""
        inside = x[..., 0] != 0  # (B, T)
        spelled, places = torch.unique(x[inside][:, 1:], dim=0, return_inverse=True)  # each word is read once
        n = (spelled != 0).sum(1)
        _, states = self.reader(self.letters(spelled[:, : int(n.max())]), None, n)
        read = self.reader.last(states)[places]  # (words, 2·H)
        whole = read.new_zeros(*inside.shape, read.shape[1])
        whole[inside] = read
        vectors = torch.cat([self.words(x[..., 0])[0], whole], dim=-1)  # (B, T, I)
        return F.dropout(vectors, self.dropout, self.training), lengths


class NumberEncoder(Encoder):
    """Numbers to vectors: each column centred and divided by its spread; statistics (2, I).

    x (B, T, I) → (B, T, I).
    """

    statistics: Tensor

    def __init__(self, statistics: Tensor, dropout: float = 0.0, noise: float = 0.0) -> None:
        super().__init__()
        self.size, self.dropout, self.noise = statistics.shape[1], dropout, noise
        self.register_buffer("statistics", statistics.clone())

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, I) → the same, scaled; noise and dropout while training."""
        x = (x - self.statistics[0]) / self.statistics[1]
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        return F.dropout(x, self.dropout, self.training), lengths


class SpeechEncoder(Encoder):
    """Spectra to vectors: scaled, masked while training, and read by two convolutions, one of which halves time.

        y = relu(conv₅(relu(conv₅(x)))), the second with a stride of 2

    While training, bands and spans of time are set to zero (SpecAugment).
    x (B, T, I) → (B, ⌈T/2⌉, H).

    Source: D. S. Park et al., 2019, "SpecAugment", Interspeech.
    """

    statistics: Tensor

    def __init__(self, statistics: Tensor, H: int = 128, dropout: float = 0.0, mask: float = 0.15, seed: int = 0):
        super().__init__()
        self.size, self.dropout, self.mask = H, dropout, mask
        self.register_buffer("statistics", statistics.clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Conv1d(statistics.shape[1], H, 5)
            self.second = nn.Conv1d(H, H, 5, stride=2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, I) → vectors (B, ⌈T/2⌉, H) and their lengths."""
        lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        inside = (torch.arange(x.shape[1]) < lengths[:, None])[:, None]  # (B, 1, T)
        x = ((x - self.statistics[0]) / self.statistics[1]).transpose(1, 2) * inside  # (B, I, T)
        x = self.masked(x, lengths) if self.training and self.mask else x
        # Both convolutions look back alone (4 steps), so that a recording can be heard as it comes in.
        x = F.relu(self.first(F.pad(x, (4, 0)))) * inside
        x = F.relu(self.second(F.pad(x, (4, 0))))  # (B, H, ⌈T/2⌉)
        return F.dropout(x.transpose(1, 2), self.dropout, self.training), (lengths + 1) // 2

    def advance(self, x: Tensor, state: tuple[Tensor, Tensor, int] | None) -> tuple[Tensor, tuple[Tensor, Tensor, int]]:
        """The vectors that new spectra x (1, T, I) bring, (1, about T/2, H), and what to remember.

        The state is the last 4 inputs of each convolution, zeros before the first, and how many spectra there were.
        """
        x = ((x - self.statistics[0]) / self.statistics[1]).transpose(1, 2)  # (1, I, T)
        if state is None:
            state = x.new_zeros(1, x.shape[1], 4), x.new_zeros(1, self.size, 4), 0
        before = torch.cat([state[0], x], dim=2)
        between = torch.cat([state[1], F.relu(self.first(before))], dim=2)
        every = F.relu(F.conv1d(between, self.second.weight, self.second.bias))  # (1, H, T)
        kept = every[:, :, state[2] % 2 :: 2].transpose(1, 2)
        return kept, (before[:, :, -4:], between[:, :, -4:], state[2] + x.shape[2])

    def masked(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Two masks over bands and two over time, of random widths up to `mask` of the whole."""
        B, I, T = x.shape  # noqa: E741
        for _ in range(2):
            x = x.masked_fill(span(torch.full((B,), I), I, self.mask)[:, :, None], 0)
            x = x.masked_fill(span(lengths, T, self.mask)[:, None, :], 0)
        return x


def span(lengths: Tensor, T: int, share: float) -> Tensor:
    """One random span in each row, at most that share of its length, (B, T) bool."""
    width = torch.rand(len(lengths)) * share * lengths
    start = torch.rand(len(lengths)) * (lengths - width)
    at = torch.arange(T)
    return (at >= start[:, None]) & (at < (start + width)[:, None])


class FrameEncoder(Encoder):
    """Frames to vectors by a small convolutional network, the same for each frame.

        three times: convolution with a stride of 2, normalised over groups of channels, relu; then a linear map

    x (B, T, 3, height, width) of bytes → (B, T, I).
    """

    def __init__(self, I: int = 64, dropout: float = 0.0, seed: int = 0) -> None:  # noqa: E741
        super().__init__()
        self.size, self.dropout = I, dropout
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for a, b, width in ((3, 16, 5), (16, 32, 3), (32, 64, 3)):
                layers += [nn.Conv2d(a, b, width, 2, width // 2), nn.GroupNorm(4, b), nn.ReLU()]
            self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(64 * 36, I))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, 3, height, width) → vectors (B, T, I)."""
        B, T = x.shape[:2]
        vectors = self.layers(x.flatten(0, 1).float() / 127.5 - 1).unflatten(0, (B, T))
        return F.dropout(vectors, self.dropout, self.training), lengths


def embedding(V: int, I: int, seed: int) -> nn.Embedding:  # noqa: E741
    """A table of V vectors from N(0, 1/I); that of number 0, padding, stays zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        table = nn.Embedding(V, I, padding_idx=0)
        with torch.no_grad():
            table.weight.normal_(0, I**-0.5)
            table.weight[0] = 0
    return table


def encoder(reader: Any, I: int, dropout: float, forget: float, seed: int) -> Encoder:  # noqa: E741
    """The encoder for what a reader gives: I is the size of its vectors, where it can be chosen."""
    match reader.options.kind:
        case "text":
            return TokenEncoder(reader.size, I, dropout, forget, seed)
        case "words":
            return WordEncoder(len(reader.words), len(reader.letters), I, dropout, forget, seed)
        case "numbers":
            return NumberEncoder(reader.statistics, dropout, forget)
        case "audio":
            return SpeechEncoder(reader.statistics, I, dropout, forget, seed)
        case _:
            return FrameEncoder(I, dropout, seed)
