"""Sequence labelling: a label for each word of a sentence (part-of-speech tags, slots, named entities)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError
from rekur.data.batching import Batcher, LazySequences, unpad_targets
from rekur.inputs.labels import counted
from rekur.inputs.reader import training_part
from rekur.inputs.tokenizer import SPECIAL
from rekur.inputs.words import WordsReader, checked, plain
from rekur.layers.crf import CRFHead
from rekur.layers.encoders import encoder
from rekur.layers.heads import LabelHead
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.stack import Stack
from rekur.metrics import Comparison
from rekur.metrics.row_statistics import span_rows, span_total, tag_rows
from rekur.sequence.base import LearnedPart, PairedEstimator, Split, TargetData, TrainingData
from rekur.sequence.defaults import SequenceData
from rekur.sequence.parameters import FitOptions
from rekur.sequence.targets import UNKNOWN, label_numbers, unknown_labels
from rekur.training.config import Training
from rekur.training.loop import States

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.serialization import Description

Sentences: TypeAlias = Sequence[Sequence[str]]

SHARE_OF_BIO = 0.9
"""Share of the labels that are BIO from which on others are taken for mistyped ones."""


@dataclass(frozen=True)
class TagCodec:
    """Labels of words, the frequent ones first, and the most frequent label of each word: the baseline of a tagger."""

    tags: list[str]
    word_tags: dict[str, str]
    part_name: ClassVar[str] = "tag"

    @classmethod
    def learn(cls, data: TrainingData) -> TagCodec:
        """Labels of the training sentences."""
        check_sentences(data.y, data.sequences.lengths)
        x, y = training_part(checked(data.x), data.rows), training_part(list(data.y), data.rows)
        counts = Counter(tag for tags in y for tag in tags)
        return cls(sorted(counts, key=lambda tag: (-counts[tag], tag)), most_frequent_tags(x, y))

    def encode(self, y: Sentences, lengths: Array) -> LazySequences:
        """Numbers of the labels of each sentence."""
        check_sentences(y, lengths)
        return LazySequences.from_list([torch.tensor(label_numbers(tags, self.tags)) for tags in y])

    def unknown(self, y: Sentences, rows: Array | None = None) -> Counter[str]:
        """Labels that do not occur in the training sentences, and their counts."""
        return unknown_labels(chain.from_iterable(training_part(list(y), rows)), self.tags)

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """Labels of numbers."""
        return [self.tags[number] for number in numbers]

    @property
    def spans(self) -> bool:
        """Whether the labels mark spans, as B-name, I-name and O do."""
        return all(map(is_bio, self.tags))

    def baseline(self, sentences: Sentences) -> list[list[str]]:
        """Most frequent label of each word."""
        return [[self.word_tags.get(plain(word), self.tags[0]) for word in words] for words in checked(sentences)]

    def describe(self) -> Description:
        """Fields as JSON values."""
        return asdict(self)

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> TagCodec:
        """The codec that `describe` gave."""
        return cls(**description)


def outside_bio(y: Iterable[Sequence[str]]) -> list[str]:
    """Note on labels that are not BIO where nine tenths of them are: mistyped, they make scores of other labels.

    >>> outside_bio([["O", "B-city", "I-city"] * 4 + ["B_city"]])
    ["the labels 'B_city' once do not mark spans as the others do: write B-name, I-name or O to get the F1 of spans"]
    """
    counts = Counter(chain.from_iterable(y))
    other = Counter({tag: n for tag, n in counts.items() if not is_bio(tag)})
    if not other or other.total() > (1 - SHARE_OF_BIO) * counts.total() or not any(tag[:2] == "B-" for tag in counts):
        return []
    cure = "write B-name, I-name or O to get the F1 of spans"
    return [f"the labels {counted(other)} do not mark spans as the others do: {cure}"]


def is_bio(tag: str) -> bool:
    """Whether a label is B-name, I-name or O."""
    return tag == "O" or tag[:2] in ("B-", "I-")


def check_sentences(y: Sentences, lengths: Array) -> None:
    """Raise a DataError unless each sentence has a label for each of its words."""
    for row, (tags, n) in enumerate(zip(y, lengths.tolist(), strict=True)):
        if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
            raise DataError(
                f"the labels of sentence {row} are {tags!r}; pass a list of labels, one for each word: {tags.split()!r}"
                if isinstance(tags, str)
                else f"the labels of sentence {row} are not all text: {tags!r}; pass a text for each word"
            )
        if len(tags) != n:
            raise DataError(f"sentence {row} has {n} words but {len(tags)} labels")


def most_frequent_tags(x: Sentences, y: Sentences) -> dict[str, str]:
    """Most frequent label of each word that occurs."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in zip(x, y, strict=True):
        for word, tag in zip(words, tags, strict=True):
            counts[plain(word)][tag] += 1
    return {word: tags.most_common(1)[0][0] for word, tags in counts.items()}


@dataclass(frozen=True)
class TagObjective:
    """Loss of the labels of a sentence; validation measures the F1 of spans, or the accuracy of other labels."""

    net: SequenceNet[CRFHead] | SequenceNet[LabelHead]
    codec: TagCodec
    words: Sequence[str]
    carries_states: bool = False

    @property
    def error_name(self) -> str:
        """Name of the validation error."""
        return "1 - span F1" if self.codec.spans else "1 - accuracy"

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch."""
        assert batch.weight is not None
        return self.net.head.loss(self.net(batch.x, batch.lengths).raw, batch.y, batch.weight), None

    def error(self, validation: Batcher) -> float:
        """One minus the F1 of spans or the accuracy."""
        return self._error(validation, lambda batch: decoded(self.net, batch))

    def baseline_error(self, validation: Batcher) -> float:
        """The same of the most frequent label of each word."""
        index = {tag: k for k, tag in enumerate(self.codec.tags)}
        tags = [index[tag] for tag in self.codec.baseline([self.words])[0]]
        by_number = [0] * SPECIAL + tags  # the most frequent label for a word outside the vocabulary
        return self._error(validation, lambda batch: [[by_number[w] for w in row] for row in batch.x[..., 0].tolist()])

    def _error(self, validation: Batcher, predict: Callable[[Batch], list[list[int]]]) -> float:
        actual, predicted = [], []
        for batch in validation.ordered():
            for target, numbers in zip(unpad_targets(batch), predict(batch), strict=True):
                known = [(a, b) for a, b in zip(target, numbers, strict=False) if a != UNKNOWN]
                actual.append(self.codec.decode([a for a, _ in known]))
                predicted.append(self.codec.decode([b for _, b in known]))
        return 1 - (metrics.span_f1(actual, predicted) if self.codec.spans else tag_accuracy(actual, predicted))


def decoded(net: SequenceNet[CRFHead] | SequenceNet[LabelHead], batch: Batch) -> list[list[int]]:
    """Numbers of the best labels of each row, padding included."""
    raw, lengths, _ = net(batch.x, batch.lengths)
    numbers: list[list[int]] = net.head.decode(raw, lengths).tolist()
    return numbers


def tag_accuracy(actual: Sentences, predicted: Sentences) -> float:
    """Share of the words whose label is right."""
    return metrics.accuracy(list(chain.from_iterable(actual)), list(chain.from_iterable(predicted)))


class Tagger(PairedEstimator):
    """Map sentences to a label for each word: parts of speech, slots, names.

        h_1 … h_T = bidirectional stack of cells over the words w_1 … w_T, each read as a word and by its letters
        p(y) ∝ exp(Σ_t (W·h_t + b)_{y_t} + Σ_t A_{y_t, y_{t+1}})

    with a conditional random field, where A are the scores of neighbouring labels; without it p_t = softmax(W·h_t + b).

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "rnn_relu", "gru_before"}, default "gru"
        Recurrent cell, see `rekur.cells`.
    hidden_size : int or None, default None
        Hidden size of each layer; None for the default.
    num_layers : int or None, default None
        Layers of the stack; None for the default.
    dropout : float or None, default None
        Share of the entries set to zero while training; None for the default.
    crf : bool, default True
        Whether neighbouring labels are scored together by a conditional random field.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the task for all fields that are not passed.
    input : Words or None, default None
        Options of the words, see `rekur.inputs.Words`.
    random_state : int, default 0
        Seed of the weights, the order of the rows, the split and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    tags_ : list of str
        The labels, the frequent ones first.
    history_ : list of dict
        A record for each epoch; `val_loss` is one minus the F1 of spans where labels are BIO, and one minus the
        accuracy otherwise.
    net_ : Module
        The torch module.
    reader_ : WordsReader
        Reader fitted to the training words.

    References
    ----------
    Z. Huang, W. Xu and K. Yu, 2015, "Bidirectional LSTM-CRF models for sequence tagging", arXiv:1508.01991.

    Examples
    --------
    >>> import rekur
    >>> x = [["fly", "to", city] for city in ("Rome", "Oslo", "Lima", "Bonn")] * 10
    >>> model = rekur.Tagger(hidden_size=16).fit(x, [["O", "O", "B-city"]] * 40, epochs=20)
    >>> model.predict([["go", "to", "Oslo"]])
    [['O', 'O', 'B-city']]
    """

    task = "tags"
    parts: ClassVar[Mapping[str, type[LearnedPart]]] = {"codec": TagCodec}

    reader_: WordsReader
    net_: SequenceNet[CRFHead] | SequenceNet[LabelHead]
    codec_: TagCodec

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        crf: bool = True,
        training: Training | None = None,
        input: Input | None = None,
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
        """The labels, the frequent ones first."""
        self.check_fitted()
        return list(self.codec_.tags)

    def _fit(
        self, x: SequenceData, y: TargetData, options: FitOptions, *, source: Input, weight: Tensor | None = None
    ) -> Split:
        """As in the base class, with a note on labels that look mistyped."""
        split = super()._fit(x, y, options, source=source, weight=weight)
        self.notes_ += outside_bio(y)
        return split

    def predict(self, x: Sentences) -> list[list[str]]:
        """Label the words of sentences.

        Parameters
        ----------
        x : list of lists of str
            Sentences.

        Returns
        -------
        list of lists of str
            A label for each word.
        """

        def labels(batch: Batch) -> list[list[str]]:
            lengths = (batch.x[..., 0] != 0).sum(1).tolist()
            rows = zip(decoded(self.net_, batch), lengths, strict=True)
            return [self.codec_.decode(row[:n]) for row, n in rows]

        return self._map_rows(labels, x)

    def score(self, x: Sentences, y: Sentences) -> float:
        """F1 of spans where labels are BIO, the accuracy otherwise.

        A label that does not occur in the training data counts as an error: its span as one that is missed.

        Parameters
        ----------
        x : list of lists of str
            Sentences.
        y : list of lists of str
            A label for each word.

        Returns
        -------
        float
            From 0 to 1.
        """
        scores = self.evaluate(x, y)
        return scores["span_f1"] if self.codec_.spans else scores["accuracy"]

    def evaluate(self, x: Sentences, y: Sentences) -> dict[str, float]:
        """Scores of the model and of the most frequent label of each word.

        A label that does not occur in the training data counts as an error: its span as one that is missed.

        Parameters
        ----------
        x : list of lists of str
            Sentences.
        y : list of lists of str
            A label for each word.

        Returns
        -------
        dict of str to float
            `accuracy` of the labels, `exact_match`, the share of sentences without a mistake, where labels are BIO
            also `span_f1`; the same with `baseline_` before their names.
        """
        return dict(self.compare(x, y).scores)

    def compare(self, x: Sentences, y: Sentences) -> Comparison:
        """F1 of spans, or accuracy of other labels, compared with the most frequent label of each word.

        Parameters
        ----------
        x : list of lists of str
            Sentences.
        y : list of lists of str
            A label for each word.

        Returns
        -------
        Comparison
            With `scores`, those of `evaluate`, and `verdict`, a sentence.
        """
        predicted, frequent = self.predict(x), self.codec_.baseline(x)
        check_sentences(y, np.array([len(tags) for tags in predicted]))
        self._warn_of_unknown(y)
        scores, baseline = self._scores(y, predicted), self._scores(y, frequent)
        scores |= {f"baseline_{name}": value for name, value in baseline.items()}
        rows, total = (span_rows, span_total) if self.codec_.spans else (tag_rows, metrics.ratio)
        name = "span_f1" if self.codec_.spans else "accuracy"
        return Comparison(
            scores, name, rows(y, predicted), {"most frequent tag of each word": rows(y, frequent)}, total
        )

    def _scores(self, actual: Sentences, predicted: Sentences) -> dict[str, float]:
        right = [list(a) == b for a, b in zip(actual, predicted, strict=True)]
        scores = {"accuracy": tag_accuracy(actual, predicted), "exact_match": sum(right) / len(right)}
        return scores | ({"span_f1": metrics.span_f1(actual, predicted)} if self.codec_.spans else {})

    def _objective(self) -> TagObjective:
        size, seed = self.size_, self.random_state
        strength = size.augmentation.token_dropout
        front = encoder(self.reader_, size.embedding_size, size.dropout, strength, seed)
        stack = Stack(
            self.cell, front.size, size.hidden_size, size.num_layers, size.bidirectional, size.dropout, seed=seed
        )
        K = len(self.codec_.tags)
        net: SequenceNet[CRFHead] | SequenceNet[LabelHead]
        if self.crf:
            net = SequenceNet(front, stack, CRFHead(stack.size, K, seed), "steps", size.dropout)
        else:
            net = SequenceNet(front, stack, LabelHead(stack.size, K, seed), "steps", size.dropout)
        return TagObjective(net, self.codec_, self.reader_.words.words)
