"""Words: sentences, each word of which is read as a word and as its letters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rekur.core import DataError, positive
from rekur.data.items import LazySequences, listed
from rekur.inputs.tokenizer import UNKNOWN, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

WORD = re.compile(r"\w+|[^\w\s]")  # a word or a mark


@dataclass(frozen=True)
class Words:
    """Sentences as lists of words, or as strings, which are cut into words and marks.

    least : how often a word must occur to have a number of its own; others are known by their letters alone ·
    letters : letters of a word that are read, half of them from its end
    """

    least: int = 2
    letters: int = 16
    kind: ClassVar[str] = "words"

    def learn(self, values: Sequence[Sequence[str]]) -> WordsReader:
        """A reader with the words and the letters of these sentences."""
        positive("letters", self.letters)
        sentences = checked(values)
        words = Vocabulary.learn((plain(word) for sentence in sentences for word in sentence), least=self.least)
        letters = Vocabulary.learn(letter for sentence in sentences for word in sentence for letter in word)
        return WordsReader(self, words, letters)

    def restore(self, learned: dict[str, Any], tensors: dict[str, Tensor]) -> WordsReader:
        """The reader that `describe` tells of."""
        return WordsReader(self, Vocabulary(learned["words"], True), Vocabulary(learned["letters"], True))


@dataclass(frozen=True)
class WordsReader:
    """Reads sentences as (T, 1 + letters) int64: the number of each word, then those of its letters."""

    options: Words
    words: Vocabulary
    letters: Vocabulary

    def items(self, values: Sequence[Sequence[str]]) -> LazySequences:
        """Sentences as items."""
        import torch

        return listed([torch.tensor([self.read(word) for word in sentence]) for sentence in checked(values)])

    def read(self, word: str) -> list[int]:
        """The number of a word and those of its letters, with zeros behind them."""
        most = self.options.letters
        kept = word if len(word) <= most else word[: most // 2] + word[len(word) - (most - most // 2) :]
        letters = [self.letters.number(letter) for letter in kept] or [UNKNOWN]
        return [self.words.number(plain(word)), *letters, *[0] * (most - len(letters))]

    def describe(self) -> dict[str, Any]:
        """What a file must know."""
        learned = {"words": self.words.words, "letters": self.letters.words}
        return {"kind": "words", "options": asdict(self.options), "learned": learned}

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold besides: nothing."""
        return {}


def plain(word: str) -> str:
    """A word in small letters, with 0 for every digit."""
    return re.sub(r"\d", "0", word.lower())


def checked(values: Sequence[str | Sequence[str]]) -> list[list[str]]:
    """Sentences as lists of words; the first that is none is named."""
    if not len(values):
        raise DataError("there are no sentences: a list of lists of words is needed")
    made = []
    for row, sentence in enumerate(values):
        words = (WORD.findall(sentence) or [sentence]) if isinstance(sentence, str) else list(sentence)
        if not words or not all(isinstance(word, str) for word in words):
            raise DataError(f"sentence {row} is {sentence!r}; a list of one or more words is needed")
        made.append(words)
    return made


def sentence(value: str | Sequence[str]) -> str:
    """A string; a list of words is joined."""
    return value if isinstance(value, str) else " ".join(value)
