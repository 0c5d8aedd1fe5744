"""Text input: strings as sequences of subword, word or character tokens."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rekur.core import CheckedArguments, DataError, positive
from rekur.data.batching import LazySequences
from rekur.inputs.reader import training_part
from rekur.inputs.tokenizer import UNKNOWN, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Description, Learned

SEGMENTATIONS = 8
"""Segmentations of a word that are drawn at random, at most."""


@dataclass(frozen=True)
class Text(CheckedArguments):
    """Strings, cut into tokens by a SentencePiece model learned from the training data.

    Parameters
    ----------
    vocabulary_size : int, default 8000
        Largest number of distinct tokens.
    pieces : {"unigram", "word", "char"}, default "unigram"
        Kind of tokens: subwords, words separated by blanks, or characters.
    lowercase : bool, default False
        Whether to lower-case the text.
    max_length : int, default 1000
        Largest number of tokens of a text; the rest is cut off.

    Examples
    --------
    >>> reader = Text(vocabulary_size=60, pieces="word").learn(["the cat sat on the mat"] * 5)
    >>> reader.items(["the cat", "the mat sat"]).lengths.tolist()
    [2, 3]
    >>> reader.tokenizer.decode(reader.items(["the cat"])[0].tolist())
    'the cat'
    """

    vocabulary_size: int = 8000
    pieces: str = "unigram"
    lowercase: bool = False
    max_length: int = 1000
    kind: ClassVar[str] = "text"

    def learn(self, values: Sequence[str], rows: Array | None = None) -> TextReader:
        """Reader with the tokens of the strings, of those in `rows` where given.

        Raises
        ------
        OptionError
            An option is not positive, or the kind of tokens is not known.
        DataError
            A value is no string, or the text is too small for a vocabulary.
        """
        positive("max_length", self.max_length)
        texts = training_part(strings(values), rows)
        return TextReader(self, Tokenizer.learn(texts, self.vocabulary_size, self.pieces, self.lowercase))

    def restore(self, learned: Learned, tensors: dict[str, Tensor]) -> TextReader:
        """Reader with what `TextReader.tensors` returned."""
        return TextReader(self, Tokenizer.restore(tensors["pieces"]))


@dataclass(frozen=True)
class TextReader:
    """Strings to tokens (T,) int64.

    Parameters
    ----------
    options : Text
        Options of the input.
    tokenizer : Tokenizer
        Learned tokenizer.
    """

    options: Text
    tokenizer: Tokenizer

    @property
    def size(self) -> int:
        """Number of distinct tokens."""
        return len(self.tokenizer)

    def items(self, values: Sequence[str]) -> LazySequences:
        """Tokens of each string; a string without any is one unknown token."""
        import torch

        rows = [self.tokenizer.encode(text)[: self.options.max_length] or [UNKNOWN] for text in strings(values)]
        return LazySequences.from_list([torch.tensor(row) for row in rows])

    def sampled(self, values: Sequence[str], alpha: float, end: Sequence[int] = ()) -> LazySequences:
        """Tokens of a random segmentation of each string, drawn anew at each access (subword regularization).

            p(segmentation of a word) ∝ P(segmentation)^α  over its `SEGMENTATIONS` most probable ones

        Parameters
        ----------
        values : list of str
            Strings.
        alpha : float
            Exponent α; small values draw the segmentations more evenly.
        end : sequence of int, default ()
            Tokens behind each string.

        Returns
        -------
        LazySequences
            Tokens, drawn by the random numbers of torch; with the lengths of the most probable segmentations.

        References
        ----------
        T. Kudo, 2018, "Subword regularization: improving neural network translation models with multiple subword
        candidates", ACL.
        """
        import torch

        rows = [text.split() for text in strings(values)]
        choices = {word: self._choices(word, alpha) for row in rows for word in row}

        def read(row: int) -> Tensor:
            tokens: list[int] = []
            for word, share in zip(rows[row], torch.rand(len(rows[row])).tolist(), strict=True):
                cumulative, segmentations = choices[word]
                tokens += segmentations[bisect_right(cumulative, share)]
            return torch.tensor([*(tokens[: self.options.max_length] or [UNKNOWN]), *end])

        return LazySequences(read, self.items(values).lengths + len(end))

    def _choices(self, word: str, alpha: float) -> tuple[list[float], list[list[int]]]:
        """Cumulative probabilities of all segmentations of a word but the last, and the segmentations."""
        unigram = self.options.pieces == "unigram"
        ranked = self.tokenizer.segmentations(word, SEGMENTATIONS) if unigram else []
        if not ranked:  # words and characters have one segmentation
            return [], [self.tokenizer.encode(word)]
        weights = np.exp(alpha * (np.array([score for score, _ in ranked]) - ranked[0][0]))
        return (np.cumsum(weights)[:-1] / weights.sum()).tolist(), [tokens for _, tokens in ranked]

    def unknown(self, values: Sequence[str]) -> Counter[str]:
        """Pieces of the strings that are not in the vocabulary, and their counts."""
        return Counter(repr(piece) for text in values for piece in self.tokenizer.unknown(text))

    def describe(self) -> Description:
        """Options, for a file."""
        return {"kind": "text", "options": asdict(self.options), "learned": {}}

    def tensors(self) -> dict[str, Tensor]:
        """Model of the tokenizer, for a file."""
        return {"pieces": self.tokenizer.tensor()}


def strings(values: Sequence[str], name: str = "x") -> list[str]:
    """List of strings; the first value that is none is named in a DataError."""
    texts = np.asarray(values, dtype=object).tolist()
    if isinstance(texts, str):
        raise DataError(f"{name} is one text; pass a list of strings, such as [{texts[:20]!r}]")
    if not isinstance(texts, list) or not texts:
        raise DataError(f"{name} holds no text; pass a list of strings")
    invalid = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    if invalid:
        value = texts[invalid[0]]
        if isinstance(value, os.PathLike):
            raise DataError(f"row {invalid[0]} of {name} is the path {os.fspath(value)!r}, not a text: pass its text")
        raise DataError(f"row {invalid[0]} of {name} is not a text but {value!r}; fill or remove it first")
    return texts
