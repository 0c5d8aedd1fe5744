"""Speech recognition: recordings or features to text, by connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError, OptionError
from rekur.data.items import Batcher, LazySequences, listed, unpadded
from rekur.layers.ctc import CTCHead
from rekur.layers.encoders import SpeechEncoder
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.stack import Stack
from rekur.sequence.base import PairedEstimator
from rekur.sequence.listener import StreamingTranscriber
from rekur.sequence.spelling import CharLMScorer
from rekur.training.config import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batching import Batch
    from rekur.layers.encoders import Centre
    from rekur.sequence.language_model import LanguageModel

BLANK = 0
ROOM = 1.25  # steps that a recording should have for each that its transcript needs


class Transcriber(PairedEstimator):
    """Map recordings, or features (T, I) of them, to text.

        h_1 … h_T' = stack of cells over two convolutions over the spectra x_1 … x_T, T' = T/4, or T/2 for fast talkers
        p_t = softmax(W·h_t + b) over the characters and a blank

    trained by the CTC loss, which needs no times in the transcripts. With `bidirectional=False` the model can hear a
    recording as it comes in, see `stream`.

    Parameters
    ----------
    cell, hidden, layers, bidirectional, dropout, training, seed : as in `rekur.Classifier`
    input : `Audio` or `Numbers` of `rekur.inputs`, with options; None takes the one that fits

    Attributes
    ----------
    letters_ : the characters in the order of the labels 1 … K; 0 is the blank · history_ : `val_loss` is the
    character error rate of the rows held out · net_, reader_ : as in `rekur.Classifier`
    """

    out = "transcript"

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        dropout: float | None = None,
        training: Training | None = None,
        input: Any = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.training = training
        self.input = input
        self.random_state = random_state

    @property
    def letters_(self) -> list[str]:
        """The characters of the labels 1 … K."""
        self.check_fitted("learned_")
        return list(self.learned_["letters"])

    def predict(
        self,
        x: Any,
        beams: int = 1,
        *,
        language: LanguageModel | None = None,
        weight: float = 1.0,
        bonus: float = 1.0,
    ) -> list[str]:
        """The texts of recordings.

        beams : 1 for the best path, more for prefix beam search · language : a model of letters that has a say in the
        search, with that weight of its log-probabilities and a bonus for each letter
        """
        if language is not None and beams == 1:
            raise OptionError("a language model has its say in the search: ask for more than one beam, such as 16")

        def tell(batch: Batch) -> list[str]:
            head: Any = self.net_.head
            if beams == 1:
                return [self._text(labels) for labels in head.decode(*self.net_(batch.x, batch.lengths))]
            made = []
            for raw in self._heard(batch):
                rate = None if language is None else CharLMScorer(language, self.letters_, weight)
                made.append(self._text(head.search(raw, beams, rate, 0.0 if rate is None else bonus)))
            return made

        return self._each(tell, x)

    def align(self, x: Any) -> list[list[tuple[str, float]]]:
        """The characters of recordings, each with the share of the recording at which it begins."""

        def tell(batch: Batch) -> list[list[tuple[str, float]]]:
            head: Any = self.net_.head
            return [[(self.letters_[k - 1], t / len(raw)) for k, t in head.align(raw)] for raw in self._heard(batch)]

        return self._each(tell, x)

    def _heard(self, batch: Batch) -> list[Tensor]:
        """The scores (T, K) of each row of a batch, within its length."""
        raw, lengths = self.net_(batch.x, batch.lengths)
        return [row[:n] for row, n in zip(raw, lengths.tolist(), strict=True)]

    def stream(self) -> StreamingTranscriber:
        """A listener that hears a recording as it comes in; for `bidirectional=False` and `Audio`.

        >>> listener = model.stream()  # doctest: +SKIP
        >>> for samples in microphone:  # doctest: +SKIP
        ...     print(listener.push(samples), end="")
        """
        self.check_fitted("net_")
        if self.shape_.bidirectional:
            raise OptionError("a model that reads both ways cannot hear ahead of time: fit with bidirectional=False")
        if self.reader_.options.kind != "audio":
            raise OptionError(f"only recordings can be heard as they come in, not {self.reader_.options.kind}")
        net: Any = self.net_
        return StreamingTranscriber(net, self.reader_, self.letters_)

    def score(self, x: Any, y: Sequence[str]) -> float:
        """One minus the word error rate."""
        return 1 - metrics.word_error_rate(y, self.predict(x))

    def evaluate(self, x: Any, y: Sequence[str], beams: int = 1, **search: Any) -> dict[str, float]:
        """Word and character error rate, and those of an empty transcript; beams and search are as in `predict`."""
        predicted = self.predict(x, beams, **search)
        return {
            "word error rate": metrics.word_error_rate(y, predicted),
            "character error rate": metrics.character_error_rate(y, predicted),
            "baseline word error rate": 1.0,
        }

    def _text(self, labels: Sequence[int]) -> str:
        return "".join(self.letters_[k - 1] for k in labels)

    def _build(self) -> nn.Module:
        s = self.shape_
        every = self.learned_["reduction"]
        centre: Centre = (
            "whole" if s.bidirectional else "past"
        )  # what is to be heard as it comes in knows the past alone
        bands = self.reader_.options.kind == "audio"
        front = SpeechEncoder(
            self.reader_.statistics, s.vectors, s.dropout, s.forget, every, centre, bands, self.random_state
        )
        stack = Stack(
            self.cell, front.size, s.hidden_size, s.num_layers, s.bidirectional, s.dropout, True, self.random_state
        )
        head = CTCHead(stack.size, 1 + len(self.learned_["letters"]), self.learned_["blank"], self.random_state)
        return SequenceNet(front, stack, head, True, s.dropout)

    def _targets(self, y: Sequence[str], learn: bool) -> LazySequences:
        if learn:
            self.learned_.update(letters=sorted({letter for text in y for letter in text}), blank=BLANK)
        index = {letter: k for k, letter in enumerate(self.learned_["letters"], start=1)}
        for row, text in enumerate(y):
            if not isinstance(text, str) or not text.strip():
                raise DataError(f"row {row} has no transcript: {text!r}")
            unknown = set(text) - set(index)
            if unknown:
                raise DataError(f"the character {min(unknown)!r} of row {row} does not occur in the training data")
        return listed([torch.tensor([index[letter] for letter in text]) for text in y])

    def _settle(self, items: LazySequences, targets: LazySequences) -> None:
        """Four steps are read as one where every recording then still has a quarter more than its transcript needs."""
        roomy = (items.lengths // 4 >= ROOM * needed(targets)).all()
        self.learned_["reduction"] = 4 if roomy else 2

    def _check(self, items: LazySequences, targets: LazySequences) -> None:
        every = self.learned_["reduction"]
        there, asked = -(-items.lengths // every), needed(targets)
        for row in np.flatnonzero(asked > there):
            raise DataError(f"the transcript of row {row} needs {asked[row]} steps, but its recording has {there[row]}")

    def _loss(self, net: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        raw, lengths = net(batch.x, batch.lengths)
        return net.head.loss(raw, batch.y, batch.weight, lengths), None

    def _error(self, net: Any, held: Batcher) -> float:
        actual, predicted = [], []
        for batch in held.ordered():
            raw, lengths = net(batch.x, batch.lengths)
            actual += [self._text(labels) for labels in unpadded(batch)]
            predicted += [self._text(labels) for labels in net.head.decode(raw, lengths)]
        return metrics.character_error_rate(actual, predicted)


def needed(targets: LazySequences) -> np.ndarray:
    """Steps that each transcript needs: one for a label, and one for the blank between two equal ones."""
    labels = (targets[row] for row in range(len(targets.lengths)))
    return np.array([len(one) + int((one[1:] == one[:-1]).sum()) for one in labels])
