"""Speech recognition: recordings or features to text by connectionist temporal classification, at once or streaming."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError, OptionError, choose
from rekur.data.batching import Batcher, LazySequences, unpad_targets
from rekur.data.validation import is_number_row
from rekur.inputs.audio import NO_RATE, Audio, AudioReader
from rekur.inputs.numbers import NumbersReader
from rekur.inputs.reader import training_part
from rekur.layers.ctc import CTCHead
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.speech.encoder import SpeechEncoder
from rekur.layers.speech.splicing import SplicedBatches
from rekur.layers.stack import Stack
from rekur.metrics import Comparison
from rekur.metrics.row_statistics import word_error_rows
from rekur.metrics.sequence import scoring_library
from rekur.sequence.base import LearnedPart, Objective, PairedEstimator, TrainingData
from rekur.sequence.defaults import SequenceData
from rekur.sequence.language_model import CharLMScorer, LanguageModel
from rekur.sequence.streaming import StreamingTranscriber
from rekur.sequence.targets import UNKNOWN, label_numbers, unknown_labels
from rekur.training.config import Training
from rekur.training.loop import States

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.layers.speech.encoder import Centre
    from rekur.serialization import Description

BLANK = 0
"""Number of the blank label."""

STEPS_PER_LABEL = 1.25
"""Steps that a recording must have for each that its transcript needs, for four spectra to be read as one step."""


UNITS = ("auto", "char", "word")

MAX_WORDS = 100
"""Words of a closed vocabulary at most."""

MIN_WORD_COUNT = 5
"""Times that each word of a closed vocabulary occurs at least."""


UNSPLICED = 3
"""Splicing begins after a third of the epochs."""


@dataclass(frozen=True)
class TranscriptCodec:
    """Characters or words of the transcripts, numbered from 1, and the number of spectra per step."""

    labels: list[str]
    reduction: int
    units: str = "char"

    @classmethod
    def learn(cls, data: TrainingData) -> TranscriptCodec:
        """Labels of the training transcripts; the largest reduction that leaves each of them enough steps.

        A recording that is too short for its transcript is an error.
        """
        check_transcripts(data.y)
        texts, lengths = training_part(list(data.y), data.rows), data.sequences.lengths[data.rows]
        units = choose("units", data.parameters["units"], UNITS)
        if units == "auto":
            units = "word" if closed_vocabulary(texts) else "char"
        split = cls([], 2, units).split
        labels = sorted({label for text in texts for label in split(text)})
        needed = steps_needed([torch.tensor(label_numbers(split(text), labels)) for text in texts])
        enough = (lengths // 4 >= STEPS_PER_LABEL * needed).all()
        steps = -(-lengths // (reduction := 4 if enough else 2))
        for k in np.flatnonzero(needed > steps):
            raise DataError(
                f"the transcript of row {data.rows[k]} needs {needed[k]} steps, but its recording has {steps[k]}"
            )
        return cls(labels, reduction, units)

    @property
    def part_name(self) -> str:
        """Name of a label: character or word."""
        return "word" if self.units == "word" else "character"

    @property
    def separator(self) -> str:
        """Text between two labels."""
        return " " if self.units == "word" else ""

    def split(self, text: str) -> Sequence[str]:
        """Labels of a transcript."""
        return text.split() if self.units == "word" else text

    def encode(self, y: Sequence[str], lengths: Array) -> LazySequences:
        """Numbers of the labels of each transcript, without those that do not occur in the training data."""
        check_transcripts(y)
        numbers = [label_numbers(self.split(text), self.labels) for text in y]
        return LazySequences.from_list([torch.tensor([1 + k for k in row if k != UNKNOWN]).long() for row in numbers])

    def unknown(self, y: Sequence[str], rows: Array | None = None) -> Counter[str]:
        """Labels that do not occur in the training transcripts, and their counts."""
        return unknown_labels(chain.from_iterable(map(self.split, training_part(list(y), rows))), self.labels)

    def decode(self, labels: Sequence[int]) -> str:
        """Text of labels."""
        return self.separator.join(self.labels[label - 1] for label in labels)

    def describe(self) -> Description:
        """Fields as JSON values."""
        return asdict(self)

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> TranscriptCodec:
        """The codec that `describe` gave, or one of characters alone in older files."""
        if "characters" in description:
            return cls(description["characters"], description["reduction"])
        return cls(**description)


def closed_vocabulary(texts: Sequence[str]) -> bool:
    """Whether transcripts are strings of a few words that occur again and again, so that no other is to be expected.

    The probability that the next word is a new one is about the share of words that have occurred once (A. Turing in
    I. J. Good, 1953, "The population frequencies of species and the estimation of population parameters"); here each
    must have occurred five times, and a text must hold two words on average.
    """
    counts = Counter(word for text in texts for word in text.split())
    closed = len(counts) <= MAX_WORDS and min(counts.values()) >= MIN_WORD_COUNT
    return closed and counts.total() >= 2 * len(texts) and all(text == " ".join(text.split()) for text in texts)


def check_transcripts(y: Sequence[str]) -> None:
    """Raise a DataError unless each row has a transcript."""
    for row, text in enumerate(y):
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"row {row} has no transcript: {text!r}")


def steps_needed(targets: Sequence[Tensor]) -> Array:
    """Steps that each transcript needs: one for a label, and one for the blank between two equal ones."""
    return np.array([len(labels) + int((labels[1:] == labels[:-1]).sum()) for labels in targets])


@dataclass(frozen=True)
class TranscriptObjective:
    """The CTC loss; validation measures the character error rate of the best path."""

    net: SequenceNet[CTCHead]
    codec: TranscriptCodec
    error_name: str = "character error rate"
    carries_states: bool = False

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch."""
        assert batch.weight is not None
        raw, lengths, _ = self.net(batch.x, batch.lengths)
        return self.net.head.loss(raw, batch.y, batch.weight, lengths), None

    def error(self, validation: Batcher) -> float:
        """Character error rate."""
        actual, predicted = [], []
        for batch in validation.ordered():
            raw, lengths, _ = self.net(batch.x, batch.lengths)
            actual += [self.codec.decode(labels) for labels in unpad_targets(batch)]
            predicted += [self.codec.decode(labels) for labels in self.net.head.decode(raw, lengths)]
        return metrics.character_error_rate(actual, predicted)

    def baseline_error(self, validation: Batcher) -> float:
        """Character error rate of an empty transcript."""
        return 1.0


class Transcriber(PairedEstimator):
    """Map recordings, or features (T, I) of them, to text.

        h_1 … h_T' = stack of cells over two convolutions over the spectra x_1 … x_T,  T' = T/4, or T/2 for fast speech
        p_t = softmax(W·h_t + b) over the characters, or words, and a blank

    trained by the CTC loss, which needs no times in the transcripts. With `bidirectional=False` the model can
    transcribe a recording while it comes in, see `stream`.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "rnn_relu", "gru_before"}, default "gru"
        Recurrent cell, see `rekur.cells`.
    hidden_size : int or None, default None
        Hidden size of each layer; None for the default.
    num_layers : int or None, default None
        Layers of the stack; None for the default.
    bidirectional : bool or None, default None
        Whether the stack also reads backward; None for the default, which does.
    dropout : float or None, default None
        Share of the entries set to zero while training; None for the default.
    units : {"auto", "char", "word"}, default "auto"
        Labels: characters, which spell any word, or whole words, which are easier to learn from few recordings, but
        no other words than those of the training transcripts can be predicted. "auto" takes words where the transcripts
        are strings of at most 100 different words that occur five times or more each.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the task for all fields that are not passed.
    input : Audio, Numbers or None, default None
        Options of the input, see `rekur.inputs`; None takes the input that fits the data.
    random_state : int, default 0
        Seed of the weights, the order of the rows, the split and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    labels_ : list of str
        Characters or words of the labels 1 … K; 0 is the blank.
    history_ : list of dict
        A record for each epoch; `val_loss` is the character error rate on the rows held out.
    net_ : Module
        The torch module.
    reader_ : AudioReader or NumbersReader
        Reader fitted to the training data.

    References
    ----------
    A. Graves, S. Fernández, F. Gomez and J. Schmidhuber, 2006, "Connectionist temporal classification", ICML.

    Examples
    --------
    >>> import numpy as np, rekur
    >>> rng = np.random.default_rng(0)
    >>> sounds = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    >>> y = ["ab", "ba", "a", "b"] * 15
    >>> x = [np.concatenate([rng.normal(sounds[c], 0.1, (8, 2)) for c in text]) for text in y]  # 8 steps a character
    >>> training = rekur.Training(learning_rate=0.01, batch_size=10)
    >>> model = rekur.Transcriber(hidden_size=16, num_layers=1, training=training).fit(x, y, epochs=20)
    >>> model.predict(x[:2])
    ['ab', 'ba']
    """

    task = "transcript"
    parts: ClassVar[Mapping[str, type[LearnedPart]]] = {"codec": TranscriptCodec}

    reader_: AudioReader | NumbersReader
    net_: SequenceNet[CTCHead]
    codec_: TranscriptCodec

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        dropout: float | None = None,
        units: str = "auto",
        training: Training | None = None,
        input: Input | None = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.units = units
        self.training = training
        self.input = input
        self.random_state = random_state

    def _choose_input(self, x: SequenceData) -> Input:
        """The input chosen by the user or fitting the data; a stream has no loudest step for a dynamic range."""
        if self.input is None and is_number_row(next(iter(x), None) if hasattr(x, "__iter__") else None):
            raise DataError(NO_RATE)
        source = super()._choose_input(x)
        if self.input is None and self.bidirectional is False and isinstance(source, Audio):
            return replace(source, dynamic_range=None)
        return source

    @property
    def labels_(self) -> list[str]:
        """Characters or words of the labels 1 … K."""
        self.check_fitted()
        return list(self.codec_.labels)

    def predict(
        self,
        x: SequenceData,
        num_beams: int = 1,
        *,
        language_model: LanguageModel | None = None,
        lm_weight: float = 1.0,
        length_bonus: float = 1.0,
    ) -> list[str]:
        """Transcribe recordings.

        Parameters
        ----------
        x : list
            Recordings or features as in `fit`.
        num_beams : int, default 1
            Beams of the prefix beam search; 1 takes the best path.
        language_model : LanguageModel or None, default None
            Language model of characters, fitted with `input=Text(pieces="char")`, that takes part in the beam search
            (shallow fusion).
        lm_weight : float, default 1.0
            Weight of its log-probabilities.
        length_bonus : float, default 1.0
            Added to the log-probability for each label, where there is a language model.

        Returns
        -------
        list of str
            A text for each recording.

        Raises
        ------
        OptionError
            If a language model is given for the best path, or is not one of characters.
        """
        if language_model is not None and num_beams == 1:
            raise OptionError("a language model requires beam search: set num_beams, such as 16")
        self.check_fitted()

        def texts(batch: Batch) -> list[str]:
            head = self.net_.head
            if num_beams == 1:
                raw, lengths, _ = self.net_(batch.x, batch.lengths)
                return [self.codec_.decode(labels) for labels in head.decode(raw, lengths)]
            decoded = []
            for raw in self._scores(batch):
                scorer, bonus = None, 0.0
                if language_model is not None:
                    scorer = CharLMScorer(language_model, self.codec_.labels, lm_weight, self.codec_.separator)
                    bonus = length_bonus
                decoded.append(self.codec_.decode(head.search(raw, num_beams, scorer, bonus)))
            return decoded

        return self._map_rows(texts, x)

    def align(self, x: SequenceData) -> list[list[tuple[str, float]]]:
        """Transcribe recordings with the position of each character or word.

        Parameters
        ----------
        x : list
            Recordings or features as in `fit`.

        Returns
        -------
        list of lists of (str, float)
            Characters or words of each recording, with the share of the recording at which each begins.
        """

        def positions(batch: Batch) -> list[list[tuple[str, float]]]:
            aligned = [(self.net_.head.align(raw), len(raw)) for raw in self._scores(batch)]
            return [[(self.codec_.labels[k - 1], t / T) for k, t in labels] for labels, T in aligned]

        return self._map_rows(positions, x)

    def _scores(self, batch: Batch) -> list[Tensor]:
        """Raw scores (T, K) of each row of a batch, within its length."""
        raw, lengths, _ = self.net_(batch.x, batch.lengths)
        return [row[:n] for row, n in zip(raw, lengths.tolist(), strict=True)]

    def stream(self) -> StreamingTranscriber:
        """Transcriber of one recording while it comes in.

        Returns
        -------
        StreamingTranscriber
            Takes samples and gives the text that they add.

        Raises
        ------
        OptionError
            If the model is bidirectional, or its input is not `Audio` without a dynamic range.
        """
        self.check_fitted()
        if self.size_.bidirectional:
            raise OptionError("a bidirectional model cannot transcribe a stream: fit with bidirectional=False")
        if not isinstance(self.reader_, AudioReader):
            raise OptionError(f"only recordings can be streamed, not {self.reader_.options.kind}")
        if self.reader_.options.dynamic_range is not None:
            raise OptionError(
                "a dynamic_range needs the whole recording: fit with input=Audio() to transcribe a stream"
            )
        return StreamingTranscriber(self.net_, self.reader_, self.codec_)

    def score(self, x: SequenceData, y: Sequence[str]) -> float:
        """One minus the word error rate; a character that does not occur in the training data counts as an error.

        Parameters
        ----------
        x : list
            Recordings or features as in `fit`.
        y : list of str
            Transcripts.

        Returns
        -------
        float
            1 for transcripts without a mistake.
        """
        return 1 - self.evaluate(x, y)["word_error_rate"]

    def evaluate(self, x: SequenceData, y: Sequence[str], **search: Any) -> dict[str, float]:
        """Word and character error rate, of the model and of empty transcripts.

        A character that does not occur in the training data counts as an error.

        Parameters
        ----------
        x : list
            Recordings or features as in `fit`.
        y : list of str
            Transcripts.
        **search : object
            Arguments of `predict`, such as `num_beams`.

        Returns
        -------
        dict of str to float
            `word_error_rate`, `character_error_rate`, and the same with `baseline_` before their names.
        """
        return dict(self.compare(x, y, **search).scores)

    def check_libraries(self) -> None:
        """Raise a MissingDependencyError unless the library of error rates is installed."""
        scoring_library("word_error_rate")

    def compare(self, x: SequenceData, y: Sequence[str], **search: Any) -> Comparison:
        """Word error rate compared with that of empty transcripts.

        Parameters
        ----------
        x : list
            Recordings or features as in `fit`.
        y : list of str
            Transcripts.
        **search : object
            Arguments of `predict`.

        Returns
        -------
        Comparison
            With `scores`, those of `evaluate`, and `verdict`, a sentence.
        """
        self.check_libraries()
        predicted = self.predict(x, **search)
        check_transcripts(y)
        self._warn_of_unknown(y)
        words, characters = metrics.word_error_rate(y, predicted), metrics.character_error_rate(y, predicted)
        scores = {"word_error_rate": words, "character_error_rate": characters}
        scores |= {f"baseline_{name}": 1.0 for name in scores}
        rows, empty = word_error_rows(y, predicted), word_error_rows(y, [""] * len(y))
        return Comparison(scores, "word_error_rate", rows, {"empty transcripts": empty}, less_is_better=True)

    def _batches(self, objective: Objective, train: Batcher, epochs: int) -> Callable[[int], Iterable[Batch]]:
        """Batches of each epoch, with strings spliced from words where the transcripts are strings of words."""
        share = self.size_.augmentation.splicing
        if not share or self.codec_.units != "word" or not isinstance(objective, TranscriptObjective):
            return train.shuffled
        return SplicedBatches(objective.net, train, self.codec_.reduction, share, epochs // UNSPLICED)

    def _objective(self) -> TranscriptObjective:
        size, codec, seed = self.size_, self.codec_, self.random_state
        centre: Centre = "whole" if size.bidirectional else "past"  # a stream has only past frames
        statistics, audio = self.reader_.statistics, self.reader_.options.kind == "audio"
        sizes = size.embedding_size, size.dropout, size.augmentation.spectra()
        front = SpeechEncoder(statistics, *sizes, codec.reduction, centre, audio, seed)
        stack = Stack(
            self.cell, front.size, size.hidden_size, size.num_layers, size.bidirectional, size.dropout, True, seed
        )
        head = CTCHead(stack.size, 1 + len(codec.labels), BLANK, seed)
        return TranscriptObjective(SequenceNet(front, stack, head, "steps", size.dropout), codec)
