"""Tokens: text to numbers and back (SentencePiece), and a list of words or labels with their numbers."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rekur.core import DataError, OptionError, choose, library

if TYPE_CHECKING:
    from torch import Tensor

PAD, UNKNOWN, START, END = 0, 1, 2, 3
SPECIAL = 4
PIECES = ("unigram", "word", "char")
SENTENCES = 200_000  # lines that the pieces are learned from at most
NEEDS = 'text needs sentencepiece: pip install "rekur[text]"'


class Tokenizer:
    """Text to the numbers of its pieces and back: pieces learned from the text at hand (SentencePiece).

    Number 0 stands for padding, 1 for what is not known, 2 for the start and 3 for the end of a text. `model` is
    all that has been learned, as bytes.

    Source: T. Kudo and J. Richardson, 2018, "SentencePiece", EMNLP; T. Kudo, 2018, "Subword regularization", ACL.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.processor = sentencepiece().SentencePieceProcessor(model_proto=model)

    def __len__(self) -> int:
        return int(self.processor.get_piece_size())

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, pieces: str = "unigram", lower: bool = False) -> Tokenizer:
        """Learn at most `size` pieces: "unigram" for parts of words, "word" for whole ones, "char" for letters."""
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
                normalization_rule_name="nmt_nfkc_cf" if lower else "nmt_nfkc",
                max_sentence_length=1_000_000,
                input_sentence_size=SENTENCES,
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
        """The numbers of the pieces of a text."""
        return list(self.processor.encode(text))

    def number(self, letter: str) -> int:
        """The number of a letter where the pieces are letters; a blank is a piece of its own."""
        return int(self.processor.piece_to_id("▁" if letter == " " else letter))

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of some pieces; special ones are left out."""
        return str(self.processor.decode([int(n) for n in numbers if n >= SPECIAL or n == UNKNOWN]))

    def pieces(self, numbers: Sequence[int]) -> list[str]:
        """The pieces themselves, as they are shown to people."""
        return [str(self.processor.id_to_piece(int(n))).replace("▁", " ").strip() or "·" for n in numbers]

    def tensor(self) -> Tensor:
        """The model as bytes in a tensor."""
        import torch

        return torch.frombuffer(bytearray(self.model), dtype=torch.uint8)

    @classmethod
    def restore(cls, tensor: Tensor) -> Tokenizer:
        """Make the tokenizer again from `tensor`."""
        return cls(tensor.numpy().tobytes())


class Vocabulary:
    """Words or labels and their numbers; with `special`, the first four are those of `Tokenizer`."""

    def __init__(self, words: Sequence[Any], special: bool = False) -> None:
        self.words, self.first = list(words), SPECIAL if special else 0
        self.numbers = {word: self.first + k for k, word in enumerate(self.words)}

    def __len__(self) -> int:
        return self.first + len(self.words)

    @classmethod
    def learn(cls, words: Iterable[str], least: int = 1) -> Vocabulary:
        """The words that occur `least` times or more, the frequent ones first, with special numbers before them."""
        counted = Counter(words)
        kept = sorted((w for w, n in counted.items() if n >= least), key=lambda w: (-counted[w], w))
        return cls(kept, special=True)

    def number(self, word: Any) -> int:
        """The number of a word, that of what is not known if it is not there."""
        return self.numbers.get(word, UNKNOWN)


def sentencepiece() -> Any:
    """The library of pieces."""
    return library("sentencepiece", NEEDS)
