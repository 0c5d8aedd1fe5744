"""Translation and summarisation: a text to another text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rekur.inputs.text import Text, TextReader, strings
from rekur.sequence.seq2seq import Seq2SeqEstimator


class Translator(Seq2SeqEstimator):
    """Map a text to another one: an encoder reads it both ways, a decoder with attention writes.

    Both sides share one set of pieces, learned from the texts at hand. For summaries, let the decoder copy:
    `Translator(generation=SUMMARY)`, with `SUMMARY` of `rekur.sequence.seq2seq`.

    Parameters
    ----------
    cell, hidden, layers, dropout, training, seed : as in `rekur.Classifier`; the encoder runs both ways
    writing : how the text is written, see `rekur.sequence.seq2seq.GenerationConfig`
    input : `Text` of `rekur.inputs`, with options

    Attributes
    ----------
    history_ : `val_loss` is one minus BLEU (or ROUGE-1) of what is written greedily for rows held out ·
    net_, reader_ : as in `rekur.Classifier`
    """

    @property
    def text_(self) -> TextReader:
        """What knows the pieces of both sides."""
        self.check_fitted("reader_")
        reader: TextReader = self.reader_
        return reader

    def evaluate(self, x: Sequence[str], y: Sequence[Any]) -> dict[str, float]:
        """BLEU or ROUGE of what is written for x, beside that of repeating x itself (its first sentence for ROUGE)."""
        found = self._measured(y, self.predict(x))
        plain = [lead(text) for text in x] if self.generation.metric == "rouge" else list(x)
        return found | {f"baseline {name}": value for name, value in self._measured(y, plain).items()}

    def _learn(self, chosen: Text, x: Sequence[str], y: Sequence[str]) -> TextReader:
        return chosen.learn([*strings(x), *strings(y)])


def lead(text: str) -> str:
    """The first sentence of a text.

    >>> lead("Rain came. It stayed.")
    'Rain came.'
    """
    for k, letter in enumerate(text):
        if letter in ".!?" and text[k + 1 : k + 2] in ("", " ", "\n") and k > 0:
            return text[: k + 1]
    return text
