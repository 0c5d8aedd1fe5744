"""Encoders of tokens, words, numbers and video frames: from an input to the vectors that a stack reads.

Every encoder maps a padded batch x (B, T, ...) and lengths (B,) or None to vectors (B, T', I) and their lengths, and
has the attribute `Encoder.size`, the number I. Steps beyond a length reach no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.core import OptionError
from rekur.inputs.numbers import NumbersReader
from rekur.inputs.text import TextReader
from rekur.inputs.tokenizer import UNKNOWN
from rekur.inputs.video import VideoReader
from rekur.inputs.words import WordsReader
from rekur.layers.augmentation import random_affine, random_speed
from rekur.layers.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.inputs.reader import Reader

LETTER_SIZE = 32  # size of the embedding of a letter


class Encoder(nn.Module):
    """Base of the encoders: a module with the size of its vectors."""

    size: int


class TokenEncoder(Encoder):
    """Embedding of tokens: x_t = E[token_t], with dropout of entries and of tokens during training.

    Parameters
    ----------
    vocabulary_size : int
        Number V of tokens; 0 is padding, 1 the unknown token.
    embedding_size : int
        Size I of the vectors.
    dropout : float, default 0.0
        Share of entries set to zero during training.
    token_dropout : float, default 0.0
        Share of tokens replaced by the unknown token during training.
    seed : int, default 0
        Seed of the initial embedding, N(0, 1/I).

    Notes
    -----
    Shapes: x (B, T) int64 → (B, T, I).

    Examples
    --------
    >>> import torch
    >>> vectors, lengths = TokenEncoder(vocabulary_size=9, embedding_size=6)(torch.tensor([[4, 5, 0]]))
    >>> vectors.shape, lengths
    (torch.Size([1, 3, 6]), None)
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        dropout: float = 0.0,
        token_dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.size, self.dropout, self.token_dropout = embedding_size, dropout, token_dropout
        self.embedding = embedding(vocabulary_size, embedding_size, seed)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors (B, T, I) of tokens (B, T), and the lengths."""
        if self.training and self.token_dropout:
            x = x.masked_fill(torch.rand(x.shape) < self.token_dropout, UNKNOWN)
        return F.dropout(self.embedding(x), self.dropout, self.training), lengths


class WordEncoder(Encoder):
    """Embedding of words, concatenated with the last outputs of a small bidirectional GRU over their letters.

    Parameters
    ----------
    vocabulary_size : int
        Number V of words; 0 is padding, 1 the unknown word.
    num_letters : int
        Number of letters; 0 is padding, 1 the unknown letter.
    embedding_size : int
        Size of the embedding of a word.
    dropout : float, default 0.0
        Share of entries set to zero during training.
    token_dropout : float, default 0.0
        Share of words replaced by the unknown word during training; their letters are still read.
    seed : int, default 0
        Seed of the initial weights.
    hidden_size : int, default 64
        Size H of the hidden state of each direction of the GRU.

    Notes
    -----
    Shapes: x (B, T, 1 + C) int64, a word and its letters, zeros behind them → (B, T, embedding_size + 2·H).

    Examples
    --------
    >>> import torch
    >>> encoder = WordEncoder(vocabulary_size=9, num_letters=9, embedding_size=6, hidden_size=4)
    >>> vectors, _ = encoder(torch.tensor([[[4, 5, 6, 0], [5, 7, 7, 8]]]))
    >>> vectors.shape
    torch.Size([1, 2, 14])
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_letters: int,
        embedding_size: int,
        dropout: float = 0.0,
        token_dropout: float = 0.0,
        seed: int = 0,
        hidden_size: int = 64,
    ) -> None:
        super().__init__()
        self.words = TokenEncoder(vocabulary_size, embedding_size, 0.0, token_dropout, seed)
        self.letters = embedding(num_letters, LETTER_SIZE, seed + 1)
        self.reader = Stack("gru", LETTER_SIZE, hidden_size, bidirectional=True, seed=seed + 2)
        self.size, self.dropout = embedding_size + self.reader.size, dropout

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors of words x (B, T, 1 + C), and the lengths."""
        mask = x[..., 0] != 0  # (B, T)
        spellings, index = torch.unique(x[mask][:, 1:], dim=0, return_inverse=True)  # each distinct word is read once
        num_letters = (spellings != 0).sum(1)
        _, states = self.reader(self.letters(spellings[:, : int(num_letters.max())]), None, num_letters)
        outputs = self.reader.last(states)[index]  # (words, 2·H)
        spelled = outputs.new_zeros(*mask.shape, outputs.shape[1])
        spelled[mask] = outputs
        vectors = torch.cat([self.words(x[..., 0])[0], spelled], dim=-1)
        return F.dropout(vectors, self.dropout, self.training), lengths


class NumberEncoder(Encoder):
    """Standardised numbers: each column less its mean, divided by its standard deviation.

    Parameters
    ----------
    statistics : Tensor
        Mean and standard deviation (2, I) of each column over the training data.
    dropout : float, default 0.0
        Share of entries set to zero during training.
    noise_std : float, default 0.0
        Standard deviation of the noise added to the standardised numbers during training.
    offset_std : float, default 0.0
        Standard deviation of the random constant added to each standardised column of a row during training.
    speed : float, default 0.0
        Strength of `random_speed` during training, which changes the number of steps.
    deltas : bool, default False
        Whether the second half of the columns holds differences of steps: they follow the speed, and get no constant.

    Notes
    -----
    Shapes: x (B, T, I) → (B, T, I), with another T where `speed` applies.

    Examples
    --------
    >>> import torch
    >>> vectors, _ = NumberEncoder(torch.tensor([[10.0], [2.0]]))(torch.tensor([[[10.0], [14.0]]]))
    >>> vectors.tolist()
    [[[0.0], [2.0]]]
    """

    statistics: Tensor

    def __init__(
        self,
        statistics: Tensor,
        dropout: float = 0.0,
        noise_std: float = 0.0,
        offset_std: float = 0.0,
        speed: float = 0.0,
        deltas: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.dropout, self.noise_std = statistics.shape[1], dropout, noise_std
        self.offset_std, self.speed, self.deltas = offset_std, speed, deltas
        self.register_buffer("statistics", statistics.clone())

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Standardised x (B, T, I), and the lengths."""
        columns = self.size // (1 + self.deltas)
        if self.training and self.speed:
            lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
            x, lengths = random_speed(x, lengths, self.speed)
            if self.deltas:
                x = torch.cat(
                    [x[..., :columns], torch.diff(x[..., :columns], dim=1, prepend=x[:, :1, :columns])], dim=2
                )
        x = (x - self.statistics[0]) / self.statistics[1]
        if self.training and self.offset_std:
            x = x + F.pad(self.offset_std * torch.randn(len(x), 1, columns), (0, self.size - columns))
        if self.training and self.noise_std:
            x = x + self.noise_std * torch.randn_like(x)
        return F.dropout(x, self.dropout, self.training), lengths


class FrameEncoder(Encoder):
    """Convolutional network over video frames, the same for each frame.

    Four convolutions (stride 2, the last one 1), each followed by group normalisation and relu, then two normalised
    halves: a linear map of all pixels (where things are) and the maximum of each channel over the pixels (what they
    are).

    Parameters
    ----------
    embedding_size : int, default 64
        Number I of channels of the last convolution, and size of each half.
    dropout : float, default 0.0
        Share of entries set to zero during training.
    affine : float, default 0.0
        Strength of `random_affine` during training: largest change of the affine map and of the colours.
    images : bool, default False
        Whether to leave out the last step, for stacks over images, see `rekur.layers.ConvRecurrentStack`.
    seed : int, default 0
        Seed of the initial weights.

    Attributes
    ----------
    size : int
        Size 2·I of the vectors, or number I of channels with `images`.

    Notes
    -----
    Shapes: x (B, T, 3, height, width) uint8 → (B, T, 2·I), or (B, T, I, 6, 6) with `images`.

    Examples
    --------
    >>> import torch
    >>> vectors, _ = FrameEncoder(embedding_size=8)(torch.zeros(1, 2, 3, 48, 48, dtype=torch.uint8))
    >>> vectors.shape
    torch.Size([1, 2, 16])
    """

    def __init__(
        self,
        embedding_size: int = 64,
        dropout: float = 0.0,
        affine: float = 0.0,
        images: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        I = embedding_size  # noqa: E741
        self.size, self.dropout, self.affine = I if images else 2 * I, dropout, affine
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for a, b, kernel_size, step in ((3, 16, 5, 2), (16, 32, 3, 2), (32, 64, 3, 2), (64, I, 3, 1)):
                layers += [nn.Conv2d(a, b, kernel_size, step, kernel_size // 2), nn.GroupNorm(4, b), nn.ReLU()]
            self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6))
            self.places = None if images else nn.Linear(I * 36, I)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Vectors (B, T, 2·I) or images (B, T, I, 6, 6) of frames x (B, T, 3, height, width), and the lengths."""
        x = x.float() / 127.5 - 1
        x = random_affine(x, self.affine) if self.training and self.affine else x
        y = self.layers(x.flatten(0, 1))  # (B·T, I, 6, 6)
        if self.places is not None:
            halves = torch.stack([self.places(y.flatten(1)), y.amax((2, 3))], dim=1)  # (B·T, 2, I)
            y = F.layer_norm(halves, halves.shape[2:]).flatten(1)
        return F.dropout(y.unflatten(0, x.shape[:2]), self.dropout, self.training), lengths


def embedding(vocabulary_size: int, embedding_size: int, seed: int) -> nn.Embedding:
    """Embedding (V, I) from N(0, 1/I); the vector of token 0, padding, stays zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        table = nn.Embedding(vocabulary_size, embedding_size, padding_idx=0)
        with torch.no_grad():
            table.weight.normal_(0, embedding_size**-0.5)
            table.weight[0] = 0
    return table


def encoder(
    reader: Reader,
    embedding_size: int,
    dropout: float,
    augmentation: float,
    seed: int,
    offset_std: float = 0.0,
    speed: float = 0.0,
) -> Encoder:
    """Encoder for the sequences of a reader; for spectra see `rekur.layers.speech.encoder.SpeechEncoder`.

    Parameters
    ----------
    reader : Reader
        Reader of the input.
    embedding_size : int
        Size I of the vectors; the number of columns for numbers.
    dropout : float
        Share of entries set to zero during training.
    augmentation : float
        Strength of the augmentation: share of unknown tokens for text and words, standard deviation of the noise for
        numbers, affine maps for video.
    seed : int
        Seed of the initial weights.
    offset_std, speed : float, default 0.0
        Strengths of the other changes of numbers, see `NumberEncoder`.

    Returns
    -------
    Encoder
        Encoder with initial weights.
    """
    match reader:
        case TextReader():
            return TokenEncoder(reader.size, embedding_size, dropout, augmentation, seed)
        case WordsReader():
            return WordEncoder(len(reader.words), len(reader.letters), embedding_size, dropout, augmentation, seed)
        case NumbersReader():
            deltas = reader.options.deltas
            return NumberEncoder(reader.statistics, dropout, augmentation, offset_std, speed, deltas)
        case VideoReader():
            return FrameEncoder(embedding_size, dropout, augmentation, seed=seed)
        case _:
            raise OptionError(f"there is no encoder for the sequences of {type(reader).__name__}")
