"""Tagging: a sequence of words to a label for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from rekur import metrics
from rekur.core import DataError
from rekur.data.items import Batcher, LazySequences, listed, unpadded
from rekur.inputs.words import plain
from rekur.layers.crf import CRFHead
from rekur.layers.encoders import encoder
from rekur.layers.heads import LabelHead
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.stack import Stack
from rekur.sequence.base import PairedEstimator
from rekur.training.config import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batching import Batch

Sentences = Sequence[Sequence[str]]


class Tagger(PairedEstimator):
    """Map sentences to a label for each word: parts of speech, slots, names.

        h_1 … h_T = stack of cells, both ways, over the words w_1 … w_T, each read as a word and by its letters
        p(y) ∝ exp(Σ_t (W·h_t + b)_{y_t} + Σ_t A_{y_t, y_{t+1}})

    with `crf`, a conditional random field that judges neighbours together; without it p_t = softmax(W·h_t + b).

    Parameters
    ----------
    cell, hidden, layers, dropout, training, seed : as in `rekur.Classifier`; the stack runs both ways
    crf : judge neighbouring labels together
    input : `Words` of `rekur.inputs`, with options

    Attributes
    ----------
    tags_ : the labels · spans_ : whether they tell of spans (BIO) · history_ : `val_loss` is one minus the F1 of spans
    where labels are BIO, and one minus the accuracy otherwise · net_, reader_ : as in `rekur.Classifier`

    Examples
    --------
    >>> import rekur
    >>> x = [["fly", "to", city] for city in ("Rome", "Oslo", "Lima", "Bonn")] * 10
    >>> model = rekur.Tagger(hidden_size=16).fit(x, [["O", "O", "B-city"]] * 40, epochs=20)
    >>> model.predict([["go", "to", "Oslo"]])
    [['O', 'O', 'B-city']]
    """

    out = "tags"

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        crf: bool = True,
        training: Training | None = None,
        input: Any = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.crf = crf
        self.training = training
        self.input = input
        self.random_state = random_state

    @property
    def tags_(self) -> list[str]:
        """The labels."""
        self.check_fitted("learned_")
        return list(self.learned_["tags"])

    @property
    def spans_(self) -> bool:
        """Whether the labels tell of spans, as B-name, I-name and O do."""
        return all(tag == "O" or tag[:2] in ("B-", "I-") for tag in self.tags_)

    def predict(self, x: Sentences) -> list[list[str]]:
        """The labels of sentences."""

        def tell(batch: Batch) -> list[list[str]]:
            sizes = (batch.x[..., 0] != 0).sum(1).tolist()
            return [self._named(row[:n]) for row, n in zip(self._decoded(self.net_, batch), sizes, strict=True)]

        return self._each(tell, x)

    def _decoded(self, net: Any, batch: Batch) -> list[list[int]]:
        raw, lengths = net(batch.x, batch.lengths)
        decoded: list[list[int]] = net.head.decode(raw, lengths).tolist()
        return decoded

    def _named(self, tags: Sequence[int]) -> list[str]:
        return [self.tags_[tag] for tag in tags]

    def score(self, x: Sentences, y: Sentences) -> float:
        """F1 of spans where labels are BIO, the share of right labels otherwise."""
        told = self.evaluate(x, y)
        return told["span f1"] if self.spans_ else told["accuracy"]

    def evaluate(self, x: Sentences, y: Sentences) -> dict[str, float]:
        """Accuracy, F1 of spans, whole sentences, and the accuracy of each word's most frequent label."""
        predicted = self.predict(x)
        frequent, usual = self.learned_["frequent"], self.tags_[0]
        simple = [[frequent.get(plain(word), usual) for word in words] for words in x]
        found = {
            "accuracy": accuracy(y, predicted),
            "whole sentences": sum(list(a) == b for a, b in zip(y, predicted, strict=True)) / len(predicted),
            "baseline accuracy": accuracy(y, simple),
        }
        if self.spans_:
            found |= {"span f1": metrics.span_f1(y, predicted), "baseline span f1": metrics.span_f1(y, simple)}
        return found

    def _learn(self, chosen: Any, x: Sentences, y: Sentences) -> Any:
        for row, (words, tags) in enumerate(zip(x, y, strict=False)):
            if len(words) != len(tags):
                raise DataError(f"sentence {row} has {len(words)} words but {len(tags)} labels")
        self.learned_["frequent"] = most_frequent(x, y)
        return chosen.learn(x)

    def _build(self) -> nn.Module:
        s = self.shape_
        front = encoder(self.reader_, s.vectors, s.dropout, s.forget, self.random_state)
        stack = Stack(
            self.cell, front.size, s.hidden_size, s.num_layers, s.bidirectional, s.dropout, seed=self.random_state
        )
        head = (CRFHead if self.crf else LabelHead)(stack.size, len(self.learned_["tags"]), self.random_state)
        return SequenceNet(front, stack, head, True, s.dropout)

    def _targets(self, y: Sentences, learn: bool) -> LazySequences:
        if learn:
            counted = Counter(tag for tags in y for tag in tags)
            self.learned_["tags"] = sorted(counted, key=lambda tag: (-counted[tag], tag))
        index = {tag: k for k, tag in enumerate(self.learned_["tags"])}
        unknown = {tag for tags in y for tag in tags} - set(index)
        if unknown:
            raise DataError(f"the label {min(unknown)!r} does not occur in the training data")
        return listed([torch.tensor([index[tag] for tag in tags]) for tags in y])

    def _loss(self, net: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        raw, _ = net(batch.x, batch.lengths)
        return net.head.loss(raw, batch.y, batch.weight), None

    def _error(self, net: Any, held: Batcher) -> float:
        actual, predicted = [], []
        for batch in held.ordered():
            for a, b in zip(unpadded(batch), self._decoded(net, batch), strict=True):
                actual.append(self._named(a))
                predicted.append(self._named(b[: len(a)]))
        right = metrics.span_f1(actual, predicted) if self.spans_ else accuracy(actual, predicted)
        return 1 - right


def accuracy(actual: Sentences, predicted: Sentences) -> float:
    """The share of words whose label is right."""
    return metrics.accuracy([tag for tags in actual for tag in tags], [tag for tags in predicted for tag in tags])


def most_frequent(x: Sentences, y: Sentences) -> dict[str, str]:
    """The most frequent label of each word that occurs: the baseline of a tagger."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in zip(x, y, strict=True):
        for word, tag in zip(words, tags, strict=True):
            counted[plain(word)][tag] += 1
    return {word: counts.most_common(1)[0][0] for word, counts in counted.items()}
