"""Word input: sentences as sequences of words, each with its letters."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rekur.core import CheckedArguments, DataError, positive
from rekur.data.batching import LazySequences
from rekur.inputs.tokenizer import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Description, Learned

WORD = re.compile(r"\w+|[^\w\s]")  # a word or a punctuation mark


@dataclass(frozen=True)
class Words(CheckedArguments):
    """Sentences as lists of words, or as strings, which are split into words and punctuation marks.

    Parameters
    ----------
    min_count : int, default 2
        Smallest number of occurrences in the training data of a word with an embedding of its own; the others are
        read by their letters only.
    max_letters : int, default 16
        Largest number of letters of a word that are read; of a longer word the first half and the last half of them.

    Examples
    --------
    >>> reader = Words(max_letters=4).learn([["the", "cat"], ["the", "dog"]])
    >>> reader.size, reader.items([["The", "zebra"]])[0].shape
    (5, torch.Size([2, 5]))
    """

    min_count: int = 2
    max_letters: int = 16
    kind: ClassVar[str] = "words"

    def learn(self, values: Sequence[str | Sequence[str]], rows: Array | None = None) -> WordsReader:
        """Reader with the frequent words and all letters of the sentences, of those in `rows` where given.

        Raises
        ------
        OptionError
            The number of letters is not positive.
        DataError
            A sentence is no list of words.
        """
        positive("max_letters", self.max_letters)
        training = None if rows is None else set(rows.tolist())
        counts: Counter[str] = Counter()
        for row, words in enumerate(split_sentences(values)):  # the others are checked only
            if training is None or row in training:
                counts.update(words)
        plain_words, letters = Counter[str](), Counter[str]()
        for word, n in counts.items():
            plain_words[plain(word)] += n
            for letter in word:
                letters[letter] += n
        return WordsReader(self, Vocabulary.of_counts(plain_words, self.min_count), Vocabulary.of_counts(letters))

    def restore(self, learned: Learned, tensors: dict[str, Tensor]) -> WordsReader:
        """Reader with what `WordsReader.describe` returned."""
        return WordsReader(self, Vocabulary(learned["words"]), Vocabulary(learned["letters"]))


@dataclass(frozen=True)
class WordsReader:
    """Sentences to (T, 1 + letters) int64: the index of each word, then the indices of its letters.

    Parameters
    ----------
    options : Words
        Options of the input.
    words : Vocabulary
        Words in lower case, with 0 for every digit.
    letters : Vocabulary
        Letters.
    """

    options: Words
    words: Vocabulary
    letters: Vocabulary

    @property
    def size(self) -> int:
        """Number of distinct words."""
        return len(self.words)

    def items(self, values: Sequence[str | Sequence[str]]) -> LazySequences:
        """Words and letters of each sentence, stored as the distinct words and one number for each word."""
        import torch

        numbers: dict[str, int] = {}  # of the distinct words
        sequence, lengths = array("i"), []
        for words in split_sentences(values):
            sequence.extend(numbers.setdefault(word, len(numbers)) for word in words)
            lengths.append(len(words))
        table = torch.tensor([self.read(word) for word in numbers])  # (V, 1 + letters)
        flat, ends = torch.frombuffer(sequence, dtype=torch.int32), np.cumsum(lengths)

        def read(row: int) -> Tensor:
            return table[flat[ends[row] - lengths[row] : ends[row]]]

        return LazySequences(read, np.array(lengths, dtype=np.int64), in_memory=True)

    def read(self, word: str) -> list[int]:
        """Number of a word and of its letters, with zeros behind them."""
        n = self.options.max_letters
        text = word if len(word) <= n else word[: n // 2] + word[len(word) - (n - n // 2) :]
        letters = [self.letters.number(letter) for letter in text] or [UNKNOWN]
        return [self.words.number(plain(word)), *letters, *[0] * (n - len(letters))]

    def describe(self) -> Description:
        """Options, words and letters, for a file."""
        learned = {"words": self.words.words, "letters": self.letters.words}
        return {"kind": "words", "options": asdict(self.options), "learned": learned}

    def tensors(self) -> dict[str, Tensor]:
        """No tensors."""
        return {}


def plain(word: str) -> str:
    """Word in lower case, with 0 for every digit."""
    return re.sub(r"\d", "0", word.lower())


def checked(values: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """Sentences as lists of words; the first that is none is named in a DataError."""
    return list(split_sentences(values))


def split_sentences(values: Sequence[str | Sequence[str]]) -> Iterator[list[str]]:
    """The words of each sentence, one sentence at a time; the first that is none is named in a DataError."""
    if isinstance(values, str) or not len(values):
        raise DataError("x holds no sentence; pass a list of lists of words")
    for row, sentence in enumerate(values):
        words = [] if not isinstance(sentence, Iterable) else list(sentence)
        if isinstance(sentence, str):
            words = WORD.findall(sentence) or [sentence]
        if not words or not all(isinstance(word, str) for word in words):
            raise DataError(f"sentence {row} is {sentence!r}; a list of one or more words is needed")
        yield words


def sentence(value: str | Sequence[str]) -> str:
    """Text of a sentence; the words of a list are joined by blanks."""
    return value if isinstance(value, str) else " ".join(value)
