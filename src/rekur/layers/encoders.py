"""Encoders: what stands between an input and the stack: tokens, words, numbers, spectra or frames to vectors.

Every encoder maps a padded batch x (B, T, ...) and lengths (B,) or None to vectors (B, T', I) and lengths; its `size`
is I. What stands beyond a length reaches no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.augmentation import coloured, hidden, stretched, swayed
from rekur.layers.pooling import within
from rekur.layers.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor

Centre = Literal["whole", "past", "none"]

LOOK = 5  # steps that a convolution of the speech encoder sees
STEADY = 100  # spectra like those of the training data that a running mean begins with


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
    """Spectra to vectors: scaled, centred, varied while training, and read by two convolutions that look back alone.

        x̃_t = x_t - m_t, by `centre`: "whole": the mean of all x_s; "past": Σ_{s ≤ t} x_s / (100 + t); "none": 0
        y = relu(conv₅(relu(conv₅(x̃)))), the second with a stride of 2, the first with one of r/2

    Centring takes away how loud a recording is and what its microphone does, but of a single word also what its sounds
    have in common; "past" needs nothing of what is yet to come. While training, a share `vary` of up to two bands and
    two spans of time is set to zero (SpecAugment); where the columns are `bands`, not some other features, they are
    also stretched by up to half of it (as longer or shorter throats would), and each recording is made louder or
    softer, brighter or darker.
    x (B, T, I) → (B, ⌈T/r⌉, H), with the `reduction` r of time, 2 or 4.

    Sources: D. S. Park et al., 2019, "SpecAugment", Interspeech; N. Jaitly and G. E. Hinton, 2013, "Vocal tract length
    perturbation (VTLP) improves speech recognition", ICML workshop.
    """

    statistics: Tensor

    def __init__(
        self,
        statistics: Tensor,
        H: int = 128,
        dropout: float = 0.0,
        vary: float = 0.15,
        reduction: int = 2,
        centre: Centre = "whole",
        bands: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.dropout, self.vary, self.centre, self.bands = H, dropout, vary, centre, bands
        self.register_buffer("statistics", statistics.clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = nn.Conv1d(statistics.shape[1], H, LOOK, stride=reduction // 2)
            self.layers = nn.ModuleList([first, nn.Conv1d(H, H, LOOK, stride=2)])

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, I) → vectors (B, ⌈T/r⌉, H) and their lengths."""
        lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        inside = within(lengths, x)[:, None]  # (B, 1, T)
        x = self.scaled(x).masked_fill(~inside, 0)
        vary = self.vary if self.training else 0.0
        voice = vary if self.bands else 0.0
        x = stretched(x, voice / 2) if voice else x
        x = self.centred(x, lengths)
        x = coloured(x, voice) if voice else x
        x = hidden(x, lengths, vary) if vary else x
        for layer in self.layers:
            inside = within(lengths, x.transpose(1, 2))[:, None]
            x, lengths = F.relu(layer(F.pad(x * inside, (LOOK - 1, 0)))), reduced(lengths, layer)
        return F.dropout(x.transpose(1, 2), self.dropout, self.training), lengths

    def scaled(self, x: Tensor) -> Tensor:
        """x (B, T, I) → (B, I, T), each band with mean 0 and variance 1 over the training data."""
        return ((x - self.statistics[0]) / self.statistics[1]).transpose(1, 2)

    def centred(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (B, I, T), zeros beyond the lengths, less what `centre` names."""
        match self.centre:
            case "whole":
                return x - x.sum(2, keepdim=True) / lengths[:, None, None]
            case "past":
                return x - before(x)[0]
            case "none":
                return x

    def advance(self, x: Tensor, state: list[Any] | None) -> tuple[Tensor, list[Any]]:
        """The vectors that new spectra x (1, T, I) bring, (1, about T/r, H), and what to remember; for "past".

        The state holds the sum of all spectra and their number, then for each convolution its last inputs, zeros
        before the first, and how many there were.
        """
        x = self.scaled(x)  # (1, I, T)
        mean, heard = before(x, None if state is None else state[0])
        x, after = x - mean, [heard]
        for k, layer in enumerate(self.layers, start=1):
            last, count = (x.new_zeros(1, x.shape[1], LOOK - 1), 0) if state is None else state[k]
            whole = torch.cat([last, x], dim=2)
            after.append((whole[:, :, 1 - LOOK :], count + x.shape[2]))
            step: int = layer.stride[0]  # type: ignore[assignment, index]
            begin = -count % step  # the first of the new inputs at which the convolution gives an output
            x = whole[:, :, begin:]
            x = F.relu(layer(x)) if x.shape[2] >= LOOK else x.new_zeros(1, self.size, 0)
        return x.transpose(1, 2), after


def before(x: Tensor, state: tuple[Tensor, int] | None = None) -> tuple[Tensor, tuple[Tensor, int]]:
    """The running mean Σ_{s ≤ t} x_s / (100 + t) of x (B, I, T), and the sum and number of steps so far."""
    total, count = (x.new_zeros(1), 0) if state is None else state
    sums = total + x.cumsum(2)
    steps = torch.arange(1, x.shape[2] + 1) + count
    return sums / (STEADY + steps), (sums[:, :, -1:], count + x.shape[2])


def reduced(lengths: Tensor, layer: nn.Module) -> Tensor:
    """How many outputs a convolution of the speech encoder gives for so many inputs."""
    stride: int = layer.stride[0]  # type: ignore[assignment, index]
    return (lengths + stride - 1) // stride


class FrameEncoder(Encoder):
    """Frames to vectors by a small convolutional network, the same for each frame.

        four times: convolution (a stride of 2, the last 1), normalised over groups of channels, relu;
        then [a linear map of all places; the maximum of each channel over the places]: where things are, and what
        they are, each half normalised

    While training, videos are turned, enlarged and lit a little differently, by `vary` at most (`swayed`).
    x (B, T, 3, height, width) of bytes → (B, T, 2·I). With `pictures` the last step is left out: → (B, T, I, 6, 6), for
    cells that fold over pictures. `size` is 2·I or I.
    """

    def __init__(
        self,
        I: int = 64,  # noqa: E741
        dropout: float = 0.0,
        vary: float = 0.0,
        pictures: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.dropout, self.vary = I if pictures else 2 * I, dropout, vary
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for a, b, width, stride in ((3, 16, 5, 2), (16, 32, 3, 2), (32, 64, 3, 2), (64, I, 3, 1)):
                layers += [nn.Conv2d(a, b, width, stride, width // 2), nn.GroupNorm(4, b), nn.ReLU()]
            self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6))
            self.places = None if pictures else nn.Linear(I * 36, I)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, 3, height, width) → vectors (B, T, 2·I), or pictures (B, T, I, 6, 6)."""
        x = x.float() / 127.5 - 1
        x = swayed(x, self.vary) if self.training and self.vary else x
        y = self.layers(x.flatten(0, 1))  # (B·T, I, 6, 6)
        if self.places is not None:
            halves = torch.stack([self.places(y.flatten(1)), y.amax((2, 3))], dim=1)  # (B·T, 2, I)
            y = F.layer_norm(halves, halves.shape[2:]).flatten(1)
        return F.dropout(y.unflatten(0, x.shape[:2]), self.dropout, self.training), lengths


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
            return SpeechEncoder(reader.statistics, I, dropout, forget, centre="none", seed=seed)
        case _:
            return FrameEncoder(I, dropout, forget, seed=seed)
