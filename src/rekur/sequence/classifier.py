"""Classification of sequences: arrays, texts, recordings or videos to labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError, OptionError
from rekur.data.batching import Batcher
from rekur.data.validation import as_sequences, row_weights
from rekur.estimator import learning
from rekur.inputs.audio import AudioReader
from rekur.layers.conv_recurrent import CONVOLUTIONAL, ConvRecurrentStack
from rekur.layers.encoders import Encoder, FrameEncoder, encoder
from rekur.layers.heads import LabelHead
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.speech.encoder import SpeechEncoder
from rekur.layers.stack import Stack
from rekur.sequence.base import (
    FitOptions,
    LearnedPart,
    SequenceEstimator,
    Split,
    TrainingData,
    Validation,
)
from rekur.sequence.defaults import SequenceData
from rekur.sequence.text_ensemble import (
    NGramModel,
    TextEnsemble,
    best_powers,
    check_scikit_learn,
    joined,
    log_normalized,
)
from rekur.training.config import Training
from rekur.training.loop import States

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.serialization import Description


@dataclass(frozen=True)
class LabelCodec:
    """Labels in sorted order, and their counts in the training data."""

    classes: list[Any]
    counts: list[int]

    @classmethod
    def learn(cls, data: TrainingData) -> LabelCodec:
        """Labels of the targets; there must be two or more."""
        classes, counts = np.unique(read_labels(data.y), return_counts=True)
        if len(classes) < 2:
            raise DataError(f"y holds one class, {classes.tolist()[0]!r}, in every row: two or more classes are needed")
        return cls(classes.tolist(), counts.tolist())

    def encode(self, y: ArrayLike, lengths: Array) -> Tensor:
        """Numbers of the labels, (B,)."""
        numbers = {label: k for k, label in enumerate(self.classes)}
        labels = read_labels(y).tolist()
        unknown = [label for label in labels if label not in numbers]
        if unknown:
            raise DataError(f"the label {unknown[0]!r} does not occur in the training data")
        return torch.tensor([numbers[label] for label in labels])

    def weights(self, class_weight: str | Mapping[Any, float] | None) -> Tensor | None:
        """Weight of each label, (K,), or None where all count alike."""
        if class_weight is None:
            return None
        if class_weight == "balanced":
            counts = np.array(self.counts, dtype=np.float32)
            return torch.from_numpy(counts.sum() / (len(counts) * counts))
        if not isinstance(class_weight, Mapping) or set(class_weight) != set(self.classes):
            raise OptionError(f'class_weight must be "balanced" or give a weight for each of {self.classes}')
        return torch.tensor([float(class_weight[label]) for label in self.classes])

    def describe(self) -> Description:
        """Labels and counts as JSON values."""
        return asdict(self)

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> LabelCodec:
        """The codec that `describe` gave."""
        return cls(**description)


def read_labels(y: ArrayLike) -> Array:
    """Labels (B,) as an array."""
    labels = np.asarray(y)
    if labels.ndim != 1 or not len(labels):
        raise DataError(f"y must be one label for each row, (B,), got the shape {labels.shape}")
    if labels.dtype.kind == "f" and not (labels == np.round(labels)).all():
        raise DataError("Unknown label type: continuous values; use Regressor, or round y to labels")
    return labels


@dataclass(frozen=True)
class LabelObjective:
    """Cross-entropy, weighted by label; validation measures accuracy, or macro F1 where labels are weighted."""

    net: SequenceNet[LabelHead]
    codec: LabelCodec
    class_weights: Tensor | None = None
    carries_states: bool = False

    @property
    def error_name(self) -> str:
        """Name of the validation error."""
        return "1 - accuracy" if self.class_weights is None else "1 - macro F1"

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch."""
        weight = batch.weight
        if self.class_weights is not None:
            weight = self.class_weights[batch.y] if weight is None else self.class_weights[batch.y] * weight
        return self.net.head.loss(self.net(batch.x, batch.lengths).raw, batch.y, weight), None

    def error(self, validation: Batcher) -> float:
        """One minus accuracy or macro F1."""
        predicted = [(self.net(batch.x, batch.lengths).raw.argmax(-1), batch.y) for batch in validation.ordered()]
        return self._error(*(torch.cat(part).numpy() for part in zip(*predicted, strict=True)))

    def baseline_error(self, validation: Batcher) -> float:
        """The same of the most frequent label."""
        actual = torch.cat([batch.y for batch in validation.ordered()]).numpy()
        return self._error(np.full(len(actual), int(np.argmax(self.codec.counts))), actual)

    def _error(self, predicted: Array, actual: Array) -> float:
        if self.class_weights is not None:
            return 1 - metrics.macro_f1(actual, predicted)
        return 1 - float((predicted == actual).mean())


class Classifier(SequenceEstimator):
    """Map sequences to one of K labels: arrays, strings, recordings or videos.

        h_1 … h_T = stack of cells over the encoded x_1 … x_T
        p = softmax(W·[h_T; mean_t h_t; max_t h_t] + b)

    trained by cross-entropy. For text, p ∝ p_net^α · p_linear^β, where p_linear is a linear model over words, pairs of
    words and strings of characters, and α and β are chosen on the rows held out: the result is hardly ever worse than
    the better of the two. Labels are numbers or strings. Sentiment of texts, commands in recordings, actions in videos
    and movements measured by sensors are such tasks.

    Parameters
    ----------
    cell : str, default "gru"
        Recurrent cell: "gru", "lstm", "rnn", "rnn_relu" or "gru_before"; for videos also "conv_lstm", "conv_gru",
        "conv_rnn" or "conv_rnn_relu", which convolve over pictures, see `rekur.layers.conv_recurrent`.
    hidden_size : int or None, default None
        Hidden size of each layer; None for the default of the input.
    num_layers : int or None, default None
        Layers of the stack; None for the default of the input.
    bidirectional : bool or None, default None
        Whether the stack also reads backward; None for the default of the input.
    dropout : float or None, default None
        Share of the entries set to zero while training; None for the default of the input.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the input for all fields that are not passed.
    input : Numbers, Text, Words, Audio, Video or None, default None
        Options of the input, see `rekur.inputs`. None takes the input that fits the data: strings of up to 300
        characters, on average, are read as `Words`, longer ones as `Text`.
    class_weight : "balanced", dict or None, default None
        Weight of each label in the loss; "balanced" gives each label the same total weight. With weights, the best
        epoch is that of the highest F1 averaged over the labels, otherwise that of the highest accuracy.
    random_state : int, default 0
        Seed of the weights, the order of the rows, the split and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    classes_ : array of shape (K,)
        Labels in the order of `predict_proba`.
    history_ : list of dict
        A record for each epoch: `mean_loss`, and with validation `val_loss`, which is one minus the accuracy (or F1)
        on the rows held out.
    net_ : Module
        The torch module.
    reader_ : reader of the input
        Reader fitted to the training data.
    ensemble_ : TextEnsemble or None
        The linear model of texts and the powers α and β.

    Examples
    --------
    >>> import numpy as np, rekur
    >>> x = np.random.default_rng(0).normal(size=(200, 12, 1))
    >>> y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    >>> model = rekur.Classifier(cell="gru", hidden_size=16).fit(x[:150], y[:150], epochs=30)
    >>> model.score(x[150:], y[150:]) > 0.8
    True
    """

    task = "label"
    estimator_type = "classifier"
    split = "stratified"
    parts: ClassVar[Mapping[str, type[LearnedPart]]] = {"codec": LabelCodec, "ensemble": TextEnsemble}

    net_: SequenceNet[LabelHead]
    codec_: LabelCodec
    ensemble_: TextEnsemble | None

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        dropout: float | None = None,
        training: Training | None = None,
        input: Input | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.training = training
        self.input = input
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(
        self,
        x: SequenceData,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        validation: Validation = None,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on sequences and labels.

        Parameters
        ----------
        x : array or list
            An array (B, T, I), a list of arrays (T, I), of strings, of lists of words, of paths to recordings or
            videos, of pairs (samples, rate), or of arrays of frames (T, height, width, 3) of bytes. An array (B, I) is
            read as sequences of one step.
        y : array of shape (B,)
            Labels.
        sample_weight : array of shape (B,) or None, default None
            Weight of each row in the loss of the network.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.
        validation : float, tuple or None, default None
            Share of the rows held out, stratified by label, or (x, y) or (x, y, lengths); 0 for none. None holds out a
            tenth where there are 200 rows or more. The weights of the best epoch on them are kept.
        epochs : int or None, default None
            Replaces `training.max_epochs`.
        progress : bool or None, default None
            Whether to show a progress bar; None shows it if standard error is a terminal.
        checkpoint : path or None, default None
            Folder written after each epoch; where it holds a checkpoint of this training, training resumes from it.

        Returns
        -------
        Classifier
            The fitted estimator.

        Raises
        ------
        DataError
            If data cannot be used; the text names its place.
        MissingDependencyError
            If the input needs a library that is not installed.
        TrainingError
            If the loss is not finite; the text names the layer.
        """
        with learning(self, self.fitted_attribute):
            self.ensemble_ = None
            data = as_sequences(x, lengths)
            source = self._choose_input(data)
            if source.kind in ("text", "words"):
                check_scikit_learn()
            weight = None if sample_weight is None else row_weights(sample_weight, len(data))
            options = FitOptions(validation, epochs, progress, checkpoint)
            split = self._fit(data, y, options, source=source, weight=weight)
            if source.kind in ("text", "words"):
                held_out = validation[0] if isinstance(validation, tuple) else x
                self.ensemble_ = self._text_ensemble(joined(x), joined(held_out), split)
        return self

    def _text_ensemble(self, texts: Sequence[str], held_out: Sequence[str], split: Split) -> TextEnsemble:
        """Linear model of the training texts, and the powers that fit the texts held out best."""
        train, validation = split.train, split.validation
        rows = train.row_numbers
        assert isinstance(train.y, torch.Tensor)
        labels = train.y.numpy()
        ngrams = NGramModel.fit([texts[k] for k in rows], labels[rows], len(self.codec_.classes), self.random_state)
        if validation is None:
            return TextEnsemble(ngrams, (0.5, 0.5))
        assert isinstance(validation.y, torch.Tensor)
        others, y = [held_out[k] for k in validation.row_numbers], validation.y.numpy()[validation.row_numbers]
        return TextEnsemble(ngrams, best_powers(self._net_log_proba(others), ngrams.log_proba(others), y))

    @property
    def classes_(self) -> Array:
        """Labels (K,) in the order of `predict_proba`."""
        self.check_fitted()
        return np.asarray(self.codec_.classes)

    def predict_proba(self, x: SequenceData, *, lengths: ArrayLike | None = None) -> Array:
        """Probabilities of the labels.

        Parameters
        ----------
        x : array or list
            Sequences as in `fit`.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        array of shape (B, K)
            Probabilities in the order of `classes_`; each row sums to one.
        """
        net = self._net_log_proba(as_sequences(x, lengths))
        log_p = log_normalized(net) if self.ensemble_ is None else self.ensemble_.log_proba(net, joined(x))
        return np.exp(log_p)

    def _net_log_proba(self, x: SequenceData) -> Array:
        """Log-probabilities (B, K) of the network."""
        return np.stack(self._map_rows(lambda batch: self.net_(batch.x, batch.lengths).raw.log_softmax(-1).numpy(), x))

    def predict(self, x: SequenceData, *, lengths: ArrayLike | None = None) -> Array:
        """Most probable labels.

        Parameters
        ----------
        x : array or list
            Sequences as in `fit`.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        array of shape (B,)
            Labels.
        """
        return np.asarray(self.classes_[self.predict_proba(x, lengths=lengths).argmax(axis=1)])

    def score(self, x: SequenceData, y: ArrayLike, *, lengths: ArrayLike | None = None) -> float:
        """Accuracy: the share of right labels.

        Parameters
        ----------
        x : array or list
            Sequences as in `fit`.
        y : array of shape (B,)
            Labels.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        float
            From 0 to 1.
        """
        return float((self.predict(x, lengths=lengths) == np.asarray(y)).mean())

    def evaluate(self, x: SequenceData, y: ArrayLike, *, lengths: ArrayLike | None = None) -> dict[str, float]:
        """Accuracy and F1 averaged over the labels, of the model and of a baseline.

        The baseline is the linear model over n-grams for text, and the most frequent label otherwise.

        Parameters
        ----------
        x : array or list
            Sequences as in `fit`.
        y : array of shape (B,)
            Labels.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        dict of str to float
            `accuracy`, `f1`, `baseline_accuracy` and `baseline_f1`.
        """
        actual, predicted = np.asarray(y), self.predict(x, lengths=lengths)
        if self.ensemble_ is not None:
            baseline = self.classes_[self.ensemble_.ngrams.log_proba(joined(x)).argmax(1)]
        else:
            baseline = np.full(len(actual), self.classes_[int(np.argmax(self.codec_.counts))])
        return {
            "accuracy": float((predicted == actual).mean()),
            "f1": metrics.macro_f1(actual, predicted),
            "baseline_accuracy": float((baseline == actual).mean()),
            "baseline_f1": metrics.macro_f1(actual, baseline),
        }

    def _objective(self) -> LabelObjective:
        size, seed = self.size_, self.random_state
        sizes = size.hidden_size, size.num_layers, size.bidirectional, size.dropout
        kind = self.reader_.options.kind
        strength = size.augmentation.for_input(kind)
        front: Encoder
        stack: ConvRecurrentStack | Stack
        if self.cell in CONVOLUTIONAL:
            front = FrameEncoder(size.embedding_size, size.dropout, strength, True, seed)
            stack = ConvRecurrentStack(self.cell, front.size, *sizes, seed)
        elif isinstance(self.reader_, AudioReader):
            spectra, statistics = size.augmentation.spectra(), self.reader_.statistics
            front = SpeechEncoder(
                statistics, size.embedding_size, size.dropout, spectra, size.reduction, "none", seed=seed
            )
            stack = Stack(self.cell, front.size, *sizes, size.normalize, seed)
        else:
            front = encoder(self.reader_, size.embedding_size, size.dropout, strength, seed)
            stack = Stack(self.cell, front.size, *sizes, kind == "video", seed)
        head = LabelHead(3 * stack.size, len(self.codec_.classes), seed)
        net = SequenceNet(front, stack, head, "pooled", size.dropout)
        return LabelObjective(net, self.codec_, self.codec_.weights(self.class_weight))
