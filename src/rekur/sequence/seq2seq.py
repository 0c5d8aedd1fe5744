"""Sequence to text: translation, summarisation and captioning by an encoder and a decoder with attention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import torch

from rekur import metrics
from rekur.core import DataError, OptionError
from rekur.data.batching import Batcher, LazySequences, unpad_targets
from rekur.inputs.reader import training_part
from rekur.inputs.text import Text, TextReader, strings
from rekur.inputs.tokenizer import END, START
from rekur.layers.encoders import encoder
from rekur.layers.seq2seq.alignment import align, alignment_loss, lexical_translation
from rekur.layers.seq2seq.attention import Attention
from rekur.layers.seq2seq.decoder import Decoder
from rekur.layers.seq2seq.net import Seq2Seq, coverage_loss
from rekur.layers.stack import Stack
from rekur.metrics import Comparison
from rekur.metrics.row_statistics import bleu_rows, bleu_total, rouge_rows
from rekur.metrics.sequence import scoring_library
from rekur.sequence.base import LearnedPart, PairedEstimator, TrainingData
from rekur.sequence.defaults import SequenceData
from rekur.sequence.generation import GenerationConfig
from rekur.training.config import Training
from rekur.training.loop import States

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.serialization import Description

References: TypeAlias = "Sequence[str | Sequence[str]]"
"""A text for each row, or several of which the best counts (ROUGE)."""

ALIGNED_DRAWS = 4
"""Segmentations of each text from which the word alignment is learned."""

MAX_LEXICON = 4000
"""Tokens up to which a translator of few pairs has a lexicon, which takes 4·V² bytes."""

CAPTION_TEXT = Text(vocabulary_size=8000, pieces="word")
"""Options of the texts of captions."""


@dataclass(frozen=True)
class TextCodec:
    """Texts as targets: the reader with their tokens, shared with the input or not, and their largest length.

    `frequent` is the most frequent text of the training data.
    """

    text: TextReader
    shared: bool
    frequent: str
    max_length: int
    part_name: ClassVar[str] = "piece"

    @classmethod
    def learn(cls, data: TrainingData) -> TextCodec:
        """Tokens of the target texts; those of the input where it is text of both sides."""
        shared = isinstance(data.reader, TextReader)
        text = data.reader if isinstance(data.reader, TextReader) else CAPTION_TEXT.learn(data.y, data.rows)
        frequent = Counter(training_part(strings(data.y, "y"), data.rows)).most_common(1)[0][0]
        return cls(text, shared, frequent, data.parameters["generation"].max_length)

    def encode(self, y: Sequence[str], lengths: Array) -> LazySequences:
        """Tokens of each text, with the end mark behind them."""
        return self.tokens(y)

    def sampled(self, y: Sequence[str], alpha: float) -> LazySequences:
        """Tokens of a random segmentation of each text, see `TextReader.sampled`, with the end mark behind them."""
        return self.text.sampled(y, alpha, [END])

    def unknown(self, y: Sequence[str], rows: Array | None = None) -> Counter[str]:
        """Pieces of the texts that are not in the vocabulary, and their counts."""
        return self.text.unknown(training_part(strings(y, "y"), rows))

    def tokens(self, y: Sequence[str]) -> LazySequences:
        """Tokens of each text, with the end mark behind them."""
        rows = [self.text.tokenizer.encode(target)[: self.max_length] for target in strings(y, "y")]
        if not any(rows):
            raise DataError("all target texts are empty; pass at least one with text")
        return LazySequences.from_list([torch.tensor([*row, END]) for row in rows])

    def describe(self) -> Description:
        """All but the reader as JSON values."""
        return {"shared": self.shared, "frequent": self.frequent, "max_length": self.max_length}

    def tensors(self) -> dict[str, Tensor]:
        """Tensors of the reader, unless it is that of the input."""
        return {} if self.shared else self.text.tensors()

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> TextCodec:
        """The codec that `describe` and `tensors` gave."""
        text = reader if isinstance(reader, TextReader) else CAPTION_TEXT.restore({}, tensors)
        return cls(text, **description)


def text_scores(metric: str, actual: References, predicted: Sequence[str]) -> dict[str, float]:
    """BLEU, or ROUGE-1, -2 and -L, from 0 to 1."""
    if metric == "rouge":
        return metrics.rouge(actual, predicted)
    return {"bleu": metrics.bleu([str(text) for text in actual], predicted)}


def generate(net: Seq2Seq, batch: Batch, options: GenerationConfig, num_beams: int) -> list[list[int]]:
    """Tokens of the best text for each row of a batch."""
    search = options.max_length, options.length_penalty, options.no_repeat_ngram
    return net.generate(batch.x, batch.lengths, num_beams, *search)


@dataclass(frozen=True)
class TextObjective:
    """Cross-entropy of each token with label smoothing, hints and coverage; validation measures BLEU or ROUGE-1.

    With `guided_attention`, the weight of `alignment_loss`, attention also learns the word alignment by `table`,
    which becomes the lexicon of the decoder.
    """

    net: Seq2Seq
    codec: TextCodec
    generation: GenerationConfig
    guided_attention: float = 0.0
    table: Tensor | None = None
    carries_states: bool = False

    def prepared(self, train: Batcher) -> TextObjective:
        """With the word alignment of the training rows, where attention is guided."""
        if not self.guided_attention:
            return self
        with torch.random.fork_rng(devices=[]):  # segmentations are drawn at random
            torch.manual_seed(train.seed)
            pairs = [(batch.x, batch.y) for _ in range(ALIGNED_DRAWS) for batch in train.ordered()]
        table = lexical_translation(pairs, self.codec.text.size)
        if self.net.decoder.lexicon is not None:
            self.net.decoder.lexicon.copy_(table.T)
        return replace(self, table=table)

    @property
    def error_name(self) -> str:
        """Name of the validation error."""
        return "1 - BLEU" if self.generation.metric == "bleu" else "1 - ROUGE-1"

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch."""
        options = self.generation
        written, memory = self.net(batch.x, batch.lengths, batch.y, options.scheduled_sampling)
        assert batch.weight is not None
        loss = self.net.decoder.loss(written, memory, batch.y, batch.weight, options.label_smoothing)
        loss = loss + self.net.token_loss(memory, batch.y, batch.weight)
        if self.table is not None:
            aligned = align(self.table, batch.x, batch.y)
            loss = loss + self.guided_attention * alignment_loss(written.attention, aligned)
        if options.coverage:
            loss = loss + options.coverage * coverage_loss(written.attention, batch.weight)
        return loss, None

    def error(self, validation: Batcher) -> float:
        """One minus the score of texts that are generated greedily."""

        def written(batch: Batch) -> list[str]:
            return self._texts(generate(self.net, batch, self.generation, 1))

        return self._error(validation, written)

    def baseline_error(self, validation: Batcher) -> float:
        """The same of the source itself (its first sentence for ROUGE), or of the most frequent text."""

        def baseline(batch: Batch) -> list[str]:
            if not self.codec.shared:
                return [self.codec.frequent] * len(batch.x)
            sources = self._texts(batch.x.tolist())
            return list(map(lead, sources)) if self.generation.metric == "rouge" else sources

        return self._error(validation, baseline)

    def _texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        return [self.codec.text.tokenizer.decode(row) for row in rows]

    def _error(self, validation: Batcher, predict: Callable[[Batch], list[str]]) -> float:
        pairs = [(self._texts(batch.y.tolist()), predict(batch)) for batch in validation.ordered()]
        actual, predicted = (list(chain.from_iterable(part)) for part in zip(*pairs, strict=True))
        return 1 - next(iter(text_scores(self.generation.metric, actual, predicted).values()))


class Seq2SeqEstimator(PairedEstimator):
    """Estimator that reads a sequence with an encoder and generates a text with an attentive decoder."""

    parts: ClassVar[Mapping[str, type[LearnedPart]]] = {"codec": TextCodec}
    nested_options: ClassVar[Mapping[str, type]] = {"training": Training, "generation": GenerationConfig}

    net_: Seq2Seq
    codec_: TextCodec

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        generation: GenerationConfig = GenerationConfig(),  # noqa: B008, a frozen value
        training: Training | None = None,
        input: Input | None = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.generation = generation
        self.training = training
        self.input = input
        self.random_state = random_state

    def check_libraries(self) -> None:
        """Raise a MissingDependencyError unless the library of BLEU or ROUGE is installed."""
        scoring_library(self.generation.metric)

    @property
    def text_(self) -> TextReader:
        """Reader with the tokens of the generated texts."""
        self.check_fitted()
        return self.codec_.text

    def predict(self, x: SequenceData, num_beams: int | None = None) -> list[str]:
        """Generate texts.

        Parameters
        ----------
        x : list or array
            Sequences as in `fit`.
        num_beams : int or None, default None
            Beams of the search; 1 for greedy search, None for `generation.num_beams`.

        Returns
        -------
        list of str
            A text for each sequence.
        """

        def texts(batch: Batch) -> list[str]:
            tokens = generate(self.net_, batch, self.generation, num_beams or self.generation.num_beams)
            return [self.codec_.text.tokenizer.decode(row) for row in tokens]

        return self._map_rows(texts, x)

    def attention(self, x: SequenceData, y: Sequence[str]) -> list[Array]:
        """Attention weights of the decoder for target texts.

        Parameters
        ----------
        x : list or array
            Sequences as in `fit`.
        y : list of str
            Texts.

        Returns
        -------
        list of arrays of shape (U, T)
            For each row the weights of the T steps of the source at each of the U tokens of the text.
        """

        def weights(batch: Batch) -> list[Array]:
            attention = self.net_(batch.x, batch.lengths, batch.y)[0].attention
            steps = [attention.shape[2]] * len(attention) if batch.lengths is None else batch.lengths.tolist()
            rows = zip(attention, unpad_targets(batch), steps, strict=True)
            return [row[: len(target), :T].numpy() for row, target, T in rows]

        self.check_fitted()
        return self._map_rows(weights, x, self.codec_.tokens(y))

    def score(self, x: SequenceData, y: References) -> float:
        """BLEU, or ROUGE-1 where `generation.metric` is "rouge".

        Parameters
        ----------
        x : list or array
            Sequences as in `fit`.
        y : list of str, or for ROUGE list of lists of str
            Reference texts.

        Returns
        -------
        float
            From 0 to 1.
        """
        scores = text_scores(self.generation.metric, y, self.predict(x))
        return next(iter(scores.values()))

    def evaluate(self, x: SequenceData, y: References) -> dict[str, float]:
        """Scores of the generated texts and of a simple baseline.

        Parameters
        ----------
        x : list or array
            Sequences as in `fit`.
        y : list of str, or for ROUGE list of lists of str
            Reference texts.

        Returns
        -------
        dict of str to float
            `bleu`, or `rouge1`, `rouge2` and `rougeL`, and `exact_match`, the share of texts that equal their
            reference; the same with `baseline_` before their names.
        """
        return dict(self.compare(x, y).scores)

    def compare(self, x: SequenceData, y: References) -> Comparison:
        """BLEU or ROUGE-1 compared with a simple baseline.

        The baseline of a summary is the first sentence of the source, that of another text the source itself, and that
        of a caption the most frequent caption.

        Parameters
        ----------
        x : list or array
            Sequences as in `fit`.
        y : list of str, or for ROUGE list of lists of str
            Reference texts.

        Returns
        -------
        Comparison
            With `scores`, those of `evaluate`, and `verdict`, a sentence.
        """
        self.check_libraries()
        predicted, metric = self.predict(x), self.generation.metric
        if not self.codec_.shared:
            name, baseline = "most frequent text", [self.codec_.frequent] * len(predicted)
        elif metric == "rouge":
            name, baseline = "first sentence of the source", [lead(text) for text in x]
        else:
            name, baseline = "copy of the source", list(x)
        scores, others = text_scores(metric, y, predicted), text_scores(metric, y, baseline)
        if not self.codec_.shared:
            scores["exact_match"] = metrics.accuracy(y, predicted)
            others["exact_match"] = metrics.accuracy(y, baseline)
        scores |= {f"baseline_{key}": value for key, value in others.items()}
        if metric == "rouge":
            return Comparison(scores, "rouge1", rouge_rows(y, predicted), {name: rouge_rows(y, baseline)})
        actual = [str(text) for text in y]
        return Comparison(scores, "bleu", bleu_rows(actual, predicted), {name: bleu_rows(actual, baseline)}, bleu_total)

    def _objective(self) -> TextObjective:
        size, options, seed = self.size_, self.generation, self.random_state
        kind = self.reader_.options.kind
        if options.copy and not self.codec_.shared:
            raise OptionError(f"copy=True needs a source of text, not of {kind}")
        strength = size.augmentation.for_input(kind)
        front = encoder(self.reader_, size.embedding_size, size.dropout, strength, seed)
        H = size.hidden_size // (1 + size.bidirectional)
        auxiliary = kind != "text"  # frames and numbers train slowly: add layer norm and an auxiliary loss
        stack = Stack(self.cell, front.size, H, size.num_layers, size.bidirectional, size.dropout, auxiliary, seed)
        attention = Attention(size.hidden_size, stack.size, options.attention, seed)
        V = self.codec_.text.size
        lexicon = size.guided_attention > 0 and MAX_LEXICON >= V
        decoder = Decoder(self.cell, V, size.embedding_size, attention, size.dropout, options.copy, seed + 1, lexicon)
        net = Seq2Seq(front, stack, decoder, (START, END), auxiliary)
        return TextObjective(net, self.codec_, options, size.guided_attention)


class Translator(Seq2SeqEstimator):
    """Map a text to another text: translation and summarisation.

        m_1 … m_T = bidirectional stack of cells over the tokens x_1 … x_T
        p(y_u | y_1 … y_{u-1}, x) = softmax(W·[s_u; Σ_t a_ut·m_t] + b)

    where s_u is the state of the decoder and a_ut its attention. Both sides share one set of tokens, learned from the
    training texts. Fewer than 5,000 pairs get 2,000 tokens, another random segmentation in each epoch and a lexicon
    learned by word alignment, see `rekur.layers.Decoder`. For summaries, let the decoder copy: `generation=SUMMARY`.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "rnn_relu", "gru_before"}, default "gru"
        Recurrent cell of encoder and decoder, see `rekur.cells`.
    hidden_size : int or None, default None
        Size of the encoder's outputs (both directions together) and of the decoder; None for the default.
    num_layers : int or None, default None
        Layers of the encoder; None for the default.
    dropout : float or None, default None
        Share of the entries set to zero while training; None for the default.
    generation : GenerationConfig, default GenerationConfig()
        Decoder and search, see `rekur.sequence.generation.GenerationConfig`.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the task for all fields that are not passed.
    input : Text or None, default None
        Options of the texts, see `rekur.inputs.Text`.
    random_state : int, default 0
        Seed of the weights, the order of the rows, the split and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    history_ : list of dict
        A record for each epoch; `val_loss` is one minus BLEU (or ROUGE-1) of texts generated greedily.
    net_ : Module
        The torch module.
    text_ : TextReader
        Reader with the tokens of both sides.

    References
    ----------
    M.-T. Luong, H. Pham and C. D. Manning, 2015, "Effective approaches to attention-based neural machine
    translation", EMNLP.
    A. See, P. J. Liu and C. D. Manning, 2017, "Get to the point: summarization with pointer-generator networks", ACL.

    Examples
    --------
    >>> import rekur
    >>> x = ["ein Hund", "eine Katze", "ein Vogel"] * 20
    >>> y = ["a dog", "a cat", "a bird"] * 20
    >>> model = rekur.Translator(hidden_size=16, training=rekur.Training(learning_rate=0.01, batch_size=20))
    >>> model.fit(x, y, epochs=15).predict(["eine Katze"])
    ['a cat']
    """

    task = "translation"
    shared_vocabulary = True


class Captioner(Seq2SeqEstimator):
    """Map a video, or features (T, I) of its frames, to a sentence.

        m_1 … m_T = bidirectional stack of cells over the encoded frames x_1 … x_T
        p(y_u | y_1 … y_{u-1}, x) = softmax(W·[s_u; Σ_t a_ut·m_t] + b)

    where s_u is the state of the decoder and a_ut its attention.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "rnn_relu", "gru_before"}, default "gru"
        Recurrent cell of encoder and decoder, see `rekur.cells`.
    hidden_size : int or None, default None
        Size of the encoder's outputs (both directions together) and of the decoder; None for the default.
    num_layers : int or None, default None
        Layers of the encoder; None for the default.
    dropout : float or None, default None
        Share of the entries set to zero while training; None for the default.
    generation : GenerationConfig, default GenerationConfig()
        Decoder and search, see `rekur.sequence.generation.GenerationConfig`.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the task for all fields that are not passed.
    input : Video, Numbers or None, default None
        Options of the input, see `rekur.inputs`; None takes the input that fits the data.
    random_state : int, default 0
        Seed of the weights, the order of the rows, the split and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    history_ : list of dict
        A record for each epoch; `val_loss` is one minus BLEU of sentences generated greedily.
    net_ : Module
        The torch module.
    text_ : TextReader
        Reader with the tokens of the sentences.

    Examples
    --------
    >>> import numpy as np, rekur
    >>> rng = np.random.default_rng(0)
    >>> motion = {"it rises": [1.0, 0.0], "it falls": [0.0, 1.0]}
    >>> y = ["it rises", "it falls"] * 20
    >>> x = [rng.normal(motion[text], 0.1, (6, 2)) for text in y]
    >>> training = rekur.Training(learning_rate=0.01, batch_size=8)
    >>> model = rekur.Captioner(hidden_size=16, training=training).fit(x, y, epochs=12)
    >>> model.predict(x[:2])
    ['it rises', 'it falls']
    """

    task = "caption"


def lead(text: str) -> str:
    """The first sentence of a text.

    >>> lead("Rain came. It stayed.")
    'Rain came.'
    """
    for k, letter in enumerate(text):
        if letter in ".!?" and text[k + 1 : k + 2] in ("", " ", "\n") and k > 0:
            return text[: k + 1]
    return text
