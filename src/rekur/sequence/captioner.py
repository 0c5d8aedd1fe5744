"""Captioning: a video, or features of its frames, to a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rekur import metrics
from rekur.inputs.text import Text, TextReader
from rekur.sequence.seq2seq import Seq2SeqEstimator

if TYPE_CHECKING:
    from torch import Tensor


PIECES = Text(vocabulary_size=8000, pieces="word")


class Captioner(Seq2SeqEstimator):
    """Map a video, or features (T, I) of its frames, to a sentence: an encoder reads, a decoder with attention writes.

    Parameters
    ----------
    cell, hidden, layers, dropout, training, seed : as in `rekur.Classifier`
    writing : how the text is written, see `rekur.sequence.seq2seq.GenerationConfig`
    input : `Video` or `Numbers` of `rekur.inputs`, with options; None takes the one that fits

    Attributes
    ----------
    text_ : what knows the pieces of the sentences · history_ : `val_loss` is one minus BLEU of what is written
    greedily for rows held out · net_, reader_ : as in `rekur.Classifier`
    """

    @property
    def text_(self) -> TextReader:
        """What knows the pieces of the sentences."""
        self.check_fitted("learned_text_")
        return self.learned_text_

    def evaluate(self, x: Any, y: Sequence[Any]) -> dict[str, float]:
        """BLEU of the sentences, how many are right to the letter, and BLEU of the most frequent sentence."""
        predicted = self.predict(x)
        always = [self.learned_["frequent"]] * len(predicted)
        return {
            **self._measured(y, predicted),
            "exact": metrics.accuracy(y, predicted),
            **{f"baseline {name}": value for name, value in self._measured(y, always).items()},
            "baseline exact": metrics.accuracy(y, always),
        }

    def _learn(self, chosen: Any, x: Any, y: Sequence[str]) -> Any:
        self.learned_text_ = PIECES.learn(y)
        self.learned_["frequent"] = Counter(y).most_common(1)[0][0]
        return chosen.learn(x)

    def _tensors(self) -> dict[str, Tensor]:
        return self.text_.tensors()

    def _recall(self, tensors: dict[str, Tensor]) -> None:
        self.learned_text_ = PIECES.restore({}, tensors)
