"""Tokenizer (SentencePiece) and vocabulary: text, words and labels to numbers and back."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from rekur.core import DataError, OptionError, choose, library

if TYPE_CHECKING:
    from torch import Tensor

PAD, UNKNOWN, START, END = 0, 1, 2, 3
SPECIAL = 4
"""Number of special tokens: padding, unknown, start and end."""
PIECES = ("unigram", "word", "char")
MAX_TRAINING_LINES = 200_000
NEEDS = "text needs sentencepiece: pip install sentencepiece"


class Tokenizer:
    """Text to tokens and back, by a SentencePiece model learned from text.

    Token 0 is padding, 1 the unknown token, 2 the start and 3 the end of a text.

    Parameters
    ----------
    model : bytes
        Serialized SentencePiece model.

    References
    ----------
    T. Kudo and J. Richardson, 2018, "SentencePiece", EMNLP; T. Kudo, 2018, "Subword regularization", ACL.

    Examples
    --------
    >>> tokenizer = Tokenizer.learn(["a cat", "a dog"] * 5, size=20, pieces="word")
    >>> tokens = tokenizer.encode("a dog")
    >>> len(tokens), tokenizer.decode(tokens), tokenizer.pieces(tokens)
    (2, 'a dog', ['a', 'dog'])
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.processor = sentencepiece().SentencePieceProcessor(model_proto=model)

    def __len__(self) -> int:
        return int(self.processor.get_piece_size())

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, pieces: str = "unigram", lowercase: bool = False) -> Tokenizer:
        """Tokenizer learned from text.

        Parameters
        ----------
        texts : iterable of str
            Texts of the training data.
        size : int
            Largest number of tokens, the special ones included.
        pieces : {"unigram", "word", "char"}, default "unigram"
            Kind of tokens: subwords, words separated by blanks, or characters.
        lowercase : bool, default False
            Whether to lower-case the text.

        Returns
        -------
        Tokenizer
            Tokenizer with at most `size` tokens.

        Raises
        ------
        OptionError
            The kind of tokens is not known, or the size leaves no room for any.
        DataError
            The text is too small for a vocabulary.
        """
        choose("pieces", pieces, PIECES)
        if size <= SPECIAL:
            raise OptionError(f"a vocabulary needs more than {SPECIAL} pieces, got {size}")
        lines = (line for text in texts for line in text.split("\n") if line.strip())
        model = io.BytesIO()
        try:
            sentencepiece().SentencePieceTrainer.train(
                sentence_iterator=lines,
                model_writer=model,
                model_type=pieces,
                vocab_size=size,
                hard_vocab_limit=False,
                character_coverage=1.0 if pieces == "char" else 0.9999,
                normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
                max_sentence_length=1_000_000,
                input_sentence_size=MAX_TRAINING_LINES,
                shuffle_input_sentence=False,
                num_threads=1,  # so that the sums, and with them the pieces, are always the same
                pad_id=PAD,
                unk_id=UNKNOWN,
                bos_id=START,
                eos_id=END,
                minloglevel=3,
            )
        except RuntimeError as error:
            raise DataError(f"no pieces can be learned from this text: {str(error).splitlines()[-1]}") from error
        return cls(model.getvalue())

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without start and end."""
        return list(self.processor.encode(text))

    def segmentations(self, word: str, n: int) -> list[tuple[float, list[int]]]:
        """The n most probable segmentations of a word into tokens, each with its log-probability.

        They are those of the text around the word too, since no token of a unigram model contains a blank.
        """
        ranked = self.processor.nbest_encode(word, nbest_size=n, out_type=int)
        return [(sum(map(self.processor.get_score, tokens)), list(tokens)) for tokens in ranked]

    def unknown(self, text: str) -> list[str]:
        """Pieces of a text that are not in the vocabulary; neighbours are split at blanks."""
        pieces = zip(self.processor.encode(text, out_type=str), self.encode(text), strict=True)
        return [word for piece, token in pieces if token == UNKNOWN for word in piece.replace("▁", " ").split()]

    def number(self, letter: str) -> int:
        """Token of a letter, where the tokens are characters; a blank is a token of its own."""
        return int(self.processor.piece_to_id("▁" if letter == " " else letter))

    def decode(self, numbers: Sequence[int]) -> str:
        """Text of tokens; padding, start and end are left out."""
        return str(self.processor.decode([int(n) for n in numbers if n >= SPECIAL or n == UNKNOWN]))

    def pieces(self, numbers: Sequence[int]) -> list[str]:
        """Piece of text of each token, for display."""
        return [str(self.processor.id_to_piece(int(n))).replace("▁", " ").strip() or "·" for n in numbers]

    def tensor(self) -> Tensor:
        """Serialized model as a tensor (n,) uint8."""
        import torch

        return torch.frombuffer(bytearray(self.model), dtype=torch.uint8)

    @classmethod
    def restore(cls, tensor: Tensor) -> Tokenizer:
        """Tokenizer of a serialized model, as `tensor` returns it."""
        return cls(tensor.numpy().tobytes())


class Vocabulary:
    """Words and their numbers, behind the special tokens of `Tokenizer`.

    Parameters
    ----------
    words : sequence of str
        Words in the order of their numbers.

    Examples
    --------
    >>> vocabulary = Vocabulary.learn(["b", "a", "b"])
    >>> vocabulary.words, vocabulary.number("b"), vocabulary.number("c")
    (['b', 'a'], 4, 1)
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.numbers = {word: k for k, word in enumerate(self.words, start=SPECIAL)}

    def __len__(self) -> int:
        return SPECIAL + len(self.words)

    @classmethod
    def learn(cls, words: Iterable[str], min_count: int = 1) -> Vocabulary:
        """Vocabulary of the words that occur at least `min_count` times, the most frequent first."""
        return cls.of_counts(Counter(words), min_count)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], min_count: int = 1) -> Vocabulary:
        """The same of words that are counted already."""
        frequent = sorted(
            (word for word, n in counts.items() if n >= min_count), key=lambda word: (-counts[word], word)
        )
        return cls(frequent)

    def number(self, word: str) -> int:
        """Number of a word, or of the unknown token."""
        return self.numbers.get(word, UNKNOWN)


def sentencepiece() -> ModuleType:
    """Library sentencepiece."""
    module: ModuleType = library("sentencepiece", NEEDS)
    return module
