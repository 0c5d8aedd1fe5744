"""Language models: the next token of a text, generation of text, and scores of characters for shallow fusion."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch.nn import functional as F

from rekur.core import DataError, OptionError, positive
from rekur.data.batching import Batcher, LazySequences
from rekur.estimator import learning
from rekur.inputs.text import TextReader, strings
from rekur.inputs.tokenizer import END, PAD, START
from rekur.layers.language_model import LanguageNet
from rekur.metrics import Comparison, ratio
from rekur.sequence.base import LearnedPart, SequenceEstimator, Split
from rekur.sequence.parameters import FitOptions
from rekur.sequence.targets import unknown_note
from rekur.training.config import Training
from rekur.training.loop import States

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.serialization import Description

VALIDATION_SHARE = 0.05
"""Share of the last texts that is held out automatically."""

EVALUATION_ROWS = 20
"""Rows into which a text held out is cut."""


@dataclass(frozen=True)
class TokenCounts:
    """Counts of the tokens in the training texts: the unigram model, used as baseline."""

    counts: list[int]

    @classmethod
    def of(cls, tokens: Array, size: int) -> TokenCounts:
        """Counts of a stream of tokens."""
        return cls(np.bincount(tokens, minlength=size).tolist())

    def log_proba(self, tokens: Array) -> Array:
        """Log-probability of each token of a stream, with add-one smoothing."""
        p = np.array(self.counts, dtype=float) + 1
        log_p: Array = np.log(p / p.sum())[tokens]
        return log_p

    def describe(self) -> Description:
        """Counts as JSON values."""
        return {"counts": self.counts}

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> TokenCounts:
        """The counts that `describe` gave."""
        return cls(**description)


@dataclass(frozen=True)
class TokenObjective:
    """Cross-entropy of the next token; validation measures the same."""

    net: LanguageNet
    codec: TokenCounts
    error_name: str = "cross-entropy"
    carries_states: bool = True

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch, and the states of the stack."""
        scores, states = self.net(batch.x, states)
        return F.cross_entropy(scores.flatten(0, 1), batch.y.flatten()), states

    def error(self, validation: Batcher) -> float:
        """Mean of -log p over all tokens; the states are carried from piece to piece."""
        total, states, count = 0.0, None, 0
        for batch in validation.ordered():
            loss, states = self.loss(batch, None if batch.first else states)
            total, count = total + float(loss) * batch.y.numel(), count + batch.y.numel()
        return total / count

    def baseline_error(self, validation: Batcher) -> float:
        """The same of the unigram model."""
        tokens = torch.cat([batch.y.flatten() for batch in validation.ordered()]).numpy()
        return -float(self.codec.log_proba(tokens).mean())


class LanguageModel(SequenceEstimator):
    """Predict the next token of a text from all tokens before it.

        h_t = stack of cells over the tokens w_1 … w_t,  p(w_{t+1}) = softmax(E·(W·h_t + c) + b)

    where E are the embeddings of the tokens. The texts are joined to one stream, an end mark after each, and cut into
    as many rows as a batch has; the state is carried from piece to piece (truncated backpropagation through time,
    `training.bptt` steps).

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn", "rnn_relu", "gru_before"}, default "lstm"
        Recurrent cell, see `rekur.cells`.
    hidden_size : int or None, default None
        Hidden size of each layer; None for the default.
    num_layers : int or None, default None
        Layers of the stack; None for the default.
    dropout : float or None, default None
        Share of the entries set to zero while training; None for the default.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the task for all fields that are not passed.
    input : Text or None, default None
        Options of the texts, see `rekur.inputs.Text`: `pieces="word"` for words, `pieces="char"` for characters.
    random_state : int, default 0
        Seed of the weights, the order of the rows and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    history_ : list of dict
        A record for each epoch; `val_loss` is the mean of -log p of the tokens held out.
    net_ : Module
        The torch module.
    reader_ : TextReader
        The tokens.

    References
    ----------
    T. Mikolov, M. Karafiát, L. Burget, J. Černocký and S. Khudanpur, 2010, "Recurrent neural network based language
    model", Interspeech.

    Examples
    --------
    >>> import rekur
    >>> model = rekur.LanguageModel(hidden_size=32).fit(["the cat sat on the mat"] * 400, epochs=12)
    >>> model.perplexity(["the cat sat on the mat"]) < 3
    True
    """

    task = "next"
    split = "last"
    parts: ClassVar[Mapping[str, type[LearnedPart]]] = {"codec": TokenCounts}

    reader_: TextReader
    net_: LanguageNet
    codec_: TokenCounts

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        training: Training | None = None,
        input: Input | None = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.training = training
        self.input = input
        self.random_state = random_state

    def fit(
        self,
        texts: Sequence[str],
        *,
        validation: float | Sequence[str] | None = None,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on texts.

        Parameters
        ----------
        texts : list of str
            Texts in their order.
        validation : float, list of str or None, default None
            Share of the last texts held out, or other texts; 0 for none, None for a twentieth. The weights of the best
            epoch on them are kept.
        epochs : int or None, default None
            Replaces `training.max_epochs`.
        progress : bool or None, default None
            Whether to show a progress bar; None shows it on a terminal or in a notebook.
        checkpoint : path or None, default None
            Folder written after each epoch; where it holds a checkpoint of this training, training resumes from it.

        Returns
        -------
        LanguageModel
            The fitted estimator.

        Raises
        ------
        DataError
            If the texts have fewer tokens than a batch has rows.
        TrainingError
            If the loss is not finite.
        """
        with learning(self, self.fitted_attribute):
            train, held_out = split_texts(texts, validation)
            source = self._choose_input(train)
            defaults = self._choose_size(source, len(train))
            self._learn_input(train, source)
            training = (self.training or Training()).merged_with(defaults.training)
            if training.bptt is None:
                raise OptionError(
                    "a language model requires truncated backpropagation: pass a Training with bptt, such as 35"
                )
            tokens = self._stream(train)
            self.codec_ = TokenCounts.of(tokens, self.reader_.size)
            batches, validation_batches = stream_batcher(tokens, training.batch_size, training.bptt), None
            if len(held_out):
                self.notes_ += unknown_note(self.reader_.unknown(held_out), "piece", "validation data")
                others = self._stream(held_out)
                validation_batches = stream_batcher(others, min(EVALUATION_ROWS, len(others)), training.bptt)
            split = Split(replace(batches, seed=self.random_state), validation_batches)
            self._train(split, split.train, defaults, FitOptions(None, epochs, progress, checkpoint))
        return self

    def perplexity(self, texts: Sequence[str]) -> float:
        """Perplexity: exp of the mean of -log p over the tokens of texts, end marks included.

        Parameters
        ----------
        texts : list of str
            Texts.

        Returns
        -------
        float
            1 or more; the smaller the better.
        """
        self.check_fitted()
        return math.exp(self._losses(self._stream(texts)).mean())

    def _losses(self, tokens: Array) -> Array:
        """-log p of each token of a stream."""
        states, parts = None, []
        with torch.inference_mode():
            for batch in stream_batcher(tokens, 1, 256).ordered():
                scores, states = self.net_(batch.x, None if batch.first else states)
                parts.append(F.cross_entropy(scores[0], batch.y[0], reduction="none"))
        return torch.cat(parts).numpy().astype(float)

    def score(self, texts: Sequence[str]) -> float:
        """Mean of log p over the tokens of texts.

        Parameters
        ----------
        texts : list of str
            Texts.

        Returns
        -------
        float
            0 or less; the larger the better.
        """
        return -math.log(self.perplexity(texts))

    def evaluate(self, texts: Sequence[str]) -> dict[str, float]:
        """Perplexity of the model and of the unigram frequencies.

        Pieces that are not in the vocabulary count with the probability of the unknown token.

        Parameters
        ----------
        texts : list of str
            Texts.

        Returns
        -------
        dict of str to float
            `perplexity` and `baseline_perplexity`.
        """
        return dict(self.compare(texts).scores)

    def compare(self, texts: Sequence[str]) -> Comparison:
        """Perplexity compared with that of the unigram frequencies.

        Parameters
        ----------
        texts : list of str
            Texts.

        Returns
        -------
        Comparison
            With `scores`, those of `evaluate`, and `verdict`, a sentence.
        """
        self.check_fitted()
        tokens = self._stream(texts)
        model, unigrams = self._losses(tokens), -self.codec_.log_proba(tokens)
        scores = {"perplexity": math.exp(model.mean()), "baseline_perplexity": math.exp(unigrams.mean())}
        starts = np.append(0, np.flatnonzero(tokens == END)[:-1] + 1)  # of the texts
        counts = np.add.reduceat(np.ones(len(tokens)), starts)
        rows, baseline = (np.stack([np.add.reduceat(part, starts), counts], axis=1) for part in (model, unigrams))
        return Comparison(
            scores, "perplexity", rows, {"unigram frequencies": baseline}, exponential_ratio, less_is_better=True
        )

    def sample(self, start: str = "", max_tokens: int = 50, temperature: float = 1.0, random_state: int = 0) -> str:
        """Generate a text, each token drawn from p^(1/temperature); it ends at an end mark.

        Parameters
        ----------
        start : str, default ""
            Beginning of the text.
        max_tokens : int, default 50
            New tokens at most.
        temperature : float, default 1.0
            Below 1 for more probable texts, above 1 for more varied ones.
        random_state : int, default 0
            Seed of the draw.

        Returns
        -------
        str
            The text, its beginning included.
        """
        self.check_fitted()
        positive("temperature", temperature)
        generator = torch.Generator().manual_seed(random_state)
        tokens = self.reader_.tokenizer.encode(start) if start else []
        new, states = torch.tensor([[END, *tokens]]), None
        for _ in range(max_tokens):
            with torch.inference_mode():
                scores, states = self.net_(new, states)
            p = scores[0, -1].index_fill(0, torch.tensor([PAD, START]), -torch.inf).div(temperature).softmax(0)
            new = torch.multinomial(p, 1, generator=generator)[None]
            if int(new) == END:
                break
            tokens.append(int(new))
        return self.reader_.tokenizer.decode(tokens)

    def _stream(self, texts: Sequence[str]) -> Array:
        """Tokens of texts one after another, an end mark behind each."""
        sequences = self.reader_.items(texts)
        return np.concatenate([np.append(sequences[row].numpy(), END) for row in range(len(sequences))])

    def _objective(self) -> TokenObjective:
        size = self.size_
        net = LanguageNet(
            self.cell,
            self.reader_.size,
            size.embedding_size,
            size.hidden_size,
            size.num_layers,
            size.dropout,
            self.random_state,
        )
        return TokenObjective(net, self.codec_)


def split_texts(texts: Sequence[str], validation: float | Sequence[str] | None) -> tuple[Sequence[str], Sequence[str]]:
    """Texts to train on and texts held out."""
    strings(texts, "texts")
    if not isinstance(validation, float | int | None):
        return texts, strings(validation, "validation")
    share = VALIDATION_SHARE if validation is None else validation
    if isinstance(share, bool) or not 0 <= share < 1:
        raise OptionError(f"validation must be a share in [0, 1) or texts, got {validation!r}")
    n = round(len(texts) * share)
    return (texts[:-n], texts[-n:]) if n else (texts, ())


def exponential_ratio(sums: Array) -> Array:
    """Perplexity from sums (R, 2) of -log p and of tokens."""
    return np.exp(ratio(sums))


def stream_batcher(tokens: Array, rows: int, chunk: int) -> Batcher:
    """A stream of tokens as rows of equal length, each to be predicted from the tokens before, in pieces of `chunk`."""
    T = len(tokens) // rows
    if not T:
        raise DataError(f"the texts have {len(tokens)} tokens, fewer than the {rows} rows of a batch")
    before = np.append([END], tokens[:-1])
    x, y = (torch.from_numpy(part[: rows * T].reshape(rows, T)) for part in (before, tokens))
    return Batcher(LazySequences.from_list(list(x)), LazySequences.from_list(list(y)), chunk=chunk)


class CharLMScorer:
    """Scores of the next label for the beam search of a transcriber (shallow fusion).

        score = weight · log p(characters of the label | prefix)

    Each prefix is read once.

    Parameters
    ----------
    language_model : LanguageModel
        Model of characters, fitted with `input=Text(pieces="char")`.
    labels : list of str
        Characters or words of the labels 1 … K of the transcriber.
    weight : float
        Weight of the log-probabilities.
    separator : str, default ""
        Text between two labels.

    References
    ----------
    Ç. Gülçehre et al., 2015, "On using monolingual corpora in neural machine translation", arXiv:1503.03535.

    Examples
    --------
    >>> import rekur
    >>> training = rekur.Training(batch_size=4, bptt=8)
    >>> model = rekur.LanguageModel(hidden_size=8, num_layers=1, training=training, input=rekur.Text(pieces="char"))
    >>> scorer = CharLMScorer(model.fit(["abab"] * 20, epochs=1), ["a", "b"], weight=0.5)
    >>> scorer((1,), 2) < 0  # the score of "b" after "a"
    True
    """

    def __init__(
        self, language_model: LanguageModel, labels: Sequence[str], weight: float, separator: str = ""
    ) -> None:
        language_model.check_fitted()
        reader = language_model.reader_
        if reader.options.pieces != "char":
            raise OptionError('the language model must predict characters: fit it with input=Text(pieces="char")')
        self.net, self.weight = language_model.net_, weight
        number = reader.tokenizer.number
        self.separator = [number(character) for character in separator]
        self.tokens = [[END], *([number(character) for character in label] for label in labels)]
        log_p, states = self._step([END, number(" ")], None)
        self.cache: dict[tuple[int, ...], tuple[float, Array, States]] = {(): (0.0, log_p[-1], states)}

    def __call__(self, prefix: tuple[int, ...], label: int) -> float:
        """Score of a label after a prefix of labels; 0 is the end."""
        tokens = self._tokens(prefix, label)
        if len(tokens) == 1:
            return self.weight * float(self._after(prefix)[1][tokens[0]])
        return self.weight * self._after((*prefix, label))[0]

    def _tokens(self, prefix: tuple[int, ...], label: int) -> list[int]:
        """Characters of a label after a prefix of labels, with the separator before them."""
        return [*(self.separator if prefix and label else []), *self.tokens[label]]

    def _after(self, prefix: tuple[int, ...]) -> tuple[float, Array, States]:
        """Log-probability of the last label of a prefix, and log-probabilities of all tokens and states after it."""
        if prefix not in self.cache:
            tokens = self._tokens(prefix[:-1], prefix[-1])
            _, before, states = self._after(prefix[:-1])
            log_p, states = self._step(tokens, states)
            score = sum(float(row[token]) for row, token in zip([before, *log_p], tokens, strict=False))
            self.cache[prefix] = score, log_p[-1], states
        return self.cache[prefix]

    def _step(self, tokens: list[int], states: States) -> tuple[Array, States]:
        with torch.inference_mode():
            scores, states = self.net(torch.tensor([tokens]), states)
        return scores[0].log_softmax(-1).numpy(), states
