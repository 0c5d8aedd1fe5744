"""Text: strings to pieces, learned from the strings at hand."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rekur.core import DataError, positive
from rekur.data.items import LazySequences, listed
from rekur.inputs.tokenizer import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class Text:
    """Strings, cut into pieces that are learned from them.

    vocabulary : how many pieces at most · pieces : "unigram" for parts of words, "word" for whole ones (split at
    blanks), "char" for letters · lower : without difference of large and small letters · longest : pieces of a text
    that are read; what stands beyond is cut off
    """

    vocabulary: int = 8000
    pieces: str = "unigram"
    lower: bool = False
    longest: int = 1000
    kind: ClassVar[str] = "text"

    def learn(self, values: Sequence[str]) -> TextReader:
        """A reader with the pieces of these strings."""
        positive("longest", self.longest)
        return TextReader(self, Tokenizer.learn(strings(values), self.vocabulary, self.pieces, self.lower))

    def restore(self, learned: dict[str, Any], tensors: dict[str, Tensor]) -> TextReader:
        """The reader that `describe` and `tensors` tell of."""
        return TextReader(self, Tokenizer.restore(tensors["pieces"]))


@dataclass(frozen=True)
class TextReader:
    """Reads strings as the numbers of their pieces, (T,) int64."""

    options: Text
    tokenizer: Tokenizer

    @property
    def size(self) -> int:
        """How many pieces there are."""
        return len(self.tokenizer)

    def items(self, values: Sequence[str]) -> LazySequences:
        """Strings as items; a string without any piece is one unknown piece."""
        import torch

        from rekur.inputs.tokenizer import UNKNOWN

        rows = [self.tokenizer.encode(text)[: self.options.longest] or [UNKNOWN] for text in strings(values)]
        return listed([torch.tensor(row) for row in rows])

    def describe(self) -> dict[str, Any]:
        """What a file must know."""
        return {"kind": "text", "options": asdict(self.options), "learned": {}}

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold."""
        return {"pieces": self.tokenizer.tensor()}


def strings(values: Sequence[str]) -> list[str]:
    """A list of strings; the first value that is none is named."""
    texts = np.asarray(values, dtype=object).tolist()
    if not isinstance(texts, list) or not texts:
        raise DataError("there is no text: a list of strings is needed")
    odd = [k for k, text in enumerate(texts) if not isinstance(text, str)]
    if odd:
        raise DataError(f"row {odd[0]} is no text but {texts[odd[0]]!r}; fill or remove it first")
    return texts
