"""Classification of sequences: arrays, texts, recordings or videos to labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError
from rekur.data.batching import Batcher
from rekur.data.validation import as_sequences, equal_rows, read_labels, row_weights
from rekur.estimator import learning
from rekur.inputs.audio import AudioReader
from rekur.inputs.media_files import name_files, named_files
from rekur.layers.conv_recurrent import CONVOLUTIONAL, ConvRecurrentStack
from rekur.layers.encoders import Encoder, FrameEncoder, encoder
from rekur.layers.heads import LabelHead
from rekur.layers.sequence_net import LabelEnsemble, SequenceNet
from rekur.layers.speech.encoder import SpeechEncoder
from rekur.layers.stack import Stack
from rekur.metrics import Comparison
from rekur.metrics.row_statistics import label_rows
from rekur.sequence.base import LearnedPart, SequenceEstimator, Split
from rekur.sequence.defaults import SequenceData
from rekur.sequence.labels import LabelCodec, LabelObjective
from rekur.sequence.ngram_model import NGrams, check_scikit_learn, joined, log_normalized
from rekur.sequence.parameters import FitOptions
from rekur.sequence.targets import Validation
from rekur.sequence.text_ensemble import Evidence, LabelledTexts, NetworkLogProba, TextEnsemble, cross_fitted_powers
from rekur.training.config import Training

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Input


class Classifier(SequenceEstimator):
    """Map sequences to one of K labels: arrays, strings, recordings or videos.

        h_1 … h_T = stack of cells over the encoded x_1 … x_T
        p = softmax(W·[h_T; mean_t h_t; max_t h_t] + b)

    trained by cross-entropy. Fewer than 500 sequences of numbers are learned by an ensemble of four networks with
    random spans, speeds and constants, see `rekur.sequence.defaults.Augmentation`; p is its mean.

    For text, p ∝ p_net^α · p_linear^β, where p_linear is a linear model over words, pairs of words and strings of
    characters, and α and β are chosen on rows that neither was trained on: those held out and, below 500, folds of the
    others, for which both are trained once more. Without a significant gain α is 0 and the linear model decides alone,
    so that the result is hardly ever worse than the better of the two. Labels are numbers or strings. Sentiment of
    texts, commands in recordings, actions in videos and movements measured by sensors are such tasks.

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
        Options of the input, see `rekur.inputs`. None takes the input that fits the data: strings that end like names
        of recordings or videos are read as such, others of up to 300 characters, on average, as `Words`, longer ones as
        `Text`.
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
    notes_ : list of str
        Sentences on the data and, for text, on the models that the labels come from.

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

    net_: SequenceNet[LabelHead] | LabelEnsemble
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
            Weight of each row in the loss.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.
        validation : float, tuple or None, default None
            Share of the rows held out, stratified by label, or (x, y) or (x, y, lengths); 0 for none. None holds out a
            tenth where there are 200 rows or more, of which the weights of the best epoch are kept. Fewer than 500 rows
            of numbers are cross-validated: each network of the ensemble holds out another tenth, and trains to the end.
        epochs : int or None, default None
            Replaces `training.max_epochs`.
        progress : bool or None, default None
            Whether to show a progress bar; None shows it on a terminal or in a notebook.
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
            data = named_files(data) if self.input is None else data
            source = self._choose_input(data)
            if source.kind in ("text", "words"):
                check_scikit_learn()
            weight = None if sample_weight is None else row_weights(sample_weight, len(data))
            options = FitOptions(validation, epochs, progress, checkpoint)
            split = self._fit(data, y, options, source=source, weight=weight)
            if source.kind in ("text", "words"):
                self._fit_text_ensemble(data, options, split, source)
        return self

    def _fit_text_ensemble(self, x: SequenceData, options: FitOptions, split: Split, source: Input) -> None:
        """Linear model of the training texts, and the powers that fit texts best on which no model was trained."""
        train, validation = split.train, split.validation
        assert isinstance(train.y, torch.Tensor)
        labels, K = train.y.numpy(), len(self.codec_.classes)
        weight = self._weights(labels, train.weight)
        labelled = LabelledTexts(NGrams.of(joined(x)), labels, K, weight, self.random_state, equal_rows(x))
        rows = train.row_numbers
        ngrams = labelled.fit(rows)
        held_out = Evidence(np.empty((0, K)), np.empty((0, K)), np.empty(0, dtype=int), np.empty(0))
        if validation is not None:
            assert isinstance(validation.y, torch.Tensor)
            held = validation.row_numbers
            validation_x = as_sequences(options.validation[0]) if isinstance(options.validation, tuple) else x
            others, y = [validation_x[k] for k in held], validation.y.numpy()[held]
            net = self._net_log_proba(others)
            held_out = Evidence(net, ngrams.log_proba(joined(others)), y, self._weights(y, None))
        choice = cross_fitted_powers(labelled, rows, held_out, self._fold_network(x, labels, options, train, source))
        if validation is not None and not isinstance(options.validation, tuple):
            ngrams = labelled.fit(np.union1d(rows, validation.row_numbers))
        self.ensemble_ = TextEnsemble(ngrams, choice.powers)
        self.notes_.append(choice.note())

    def _weights(self, labels: Array, weight: Tensor | None) -> Array:
        """Weight of each row, that of its label included, (N,)."""
        by_label = self.codec_.weights(self.class_weight)
        rows = np.ones(len(labels)) if weight is None else weight.numpy().astype(float)
        return rows if by_label is None else rows * by_label.numpy()[labels]

    def _fold_network(
        self, x: SequenceData, labels: Array, options: FitOptions, data: Batcher, source: Input
    ) -> NetworkLogProba:
        """Function that trains a network like this one on rows of the training texts, and predicts others."""
        classes = self.classes_
        fold_options = FitOptions(None, options.epochs, options.progress)

        def log_proba(train: Array, test: Array) -> Array:
            model = type(self)(**self.get_params(deep=False))
            weight = None if data.weight is None else data.weight[torch.from_numpy(train)]
            y = classes[labels[train]]
            model._fit([x[k] for k in train], y, fold_options, source=source, weight=weight)
            return model._net_log_proba([x[k] for k in test])

        return log_proba

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
        self.check_fitted()
        data, ensemble = as_sequences(x, lengths), self.ensemble_
        texts = self.input is None and self.reader_.options.kind in ("text", "words")
        if texts and name_files(data) and all(map(os.path.isfile, data)):
            raise DataError(f"x names files, such as {str(data[0])!r}, and this Classifier has learned from texts")
        if ensemble is None:
            return np.exp(log_normalized(self._net_log_proba(data)))
        net = self._net_log_proba(data) if ensemble.uses_network else None
        return np.exp(ensemble.log_proba(net, joined(x)))

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
        """Accuracy: the share of right labels; a label that does not occur in the training data counts as an error.

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
        actual, predicted = self._pairs(x, y, lengths)
        return float((predicted == actual).mean())

    def evaluate(self, x: SequenceData, y: ArrayLike, *, lengths: ArrayLike | None = None) -> dict[str, float]:
        """Accuracy and F1 averaged over the labels, of the model and of a baseline.

        The baseline is the linear model over n-grams for text, and the most frequent label otherwise. A label that does
        not occur in the training data counts as an error, and its F1 is 0.

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
        return dict(self.compare(x, y, lengths=lengths).scores)

    def compare(self, x: SequenceData, y: ArrayLike, *, lengths: ArrayLike | None = None) -> Comparison:
        """Accuracy compared with the most frequent label and, for text, with the linear model over n-grams.

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
        Comparison
            With `scores`, those of `evaluate`, and `verdict`, a sentence.
        """
        actual, predicted = self._pairs(x, y, lengths)
        frequent = np.full(len(actual), self.classes_[int(np.argmax(self.codec_.counts))])
        baselines = {"most frequent label": frequent}
        if self.ensemble_ is not None:
            linear = self.classes_[self.ensemble_.ngrams.log_proba(joined(x)).argmax(1)]
            baselines = {"linear n-gram model": linear, **baselines}
        first = next(iter(baselines.values()))
        scores = {
            "accuracy": float((predicted == actual).mean()),
            "f1": metrics.macro_f1(actual, predicted),
            "baseline_accuracy": float((first == actual).mean()),
            "baseline_f1": metrics.macro_f1(actual, first),
        }
        rows = {name: label_rows(actual, labels) for name, labels in baselines.items()}
        return Comparison(scores, "accuracy", label_rows(actual, predicted), rows)

    def _pairs(self, x: SequenceData, y: ArrayLike, lengths: ArrayLike | None) -> tuple[Array, Array]:
        """Actual and predicted labels (B,); a label that does not occur in the training data equals no prediction."""
        actual, predicted = read_labels(y, mixed=True), self.predict(x, lengths=lengths)
        if len(actual) != len(predicted):
            raise DataError(f"x has {len(predicted)} rows but y has {len(actual)}")
        self._warn_of_unknown(y)
        return actual, predicted

    def _objective(self) -> LabelObjective:
        count = self.size_.members
        nets = [self._network(self.random_state * count + k, k % 2 == 0) for k in range(count)]
        net = nets[0] if count == 1 else LabelEnsemble(nets)
        return LabelObjective(net, self.codec_, self.codec_.weights(self.class_weight))

    def _network(self, seed: int, constants: bool) -> SequenceNet[LabelHead]:
        """A network with the initial weights of a seed; `constants` are added to the columns of numbers or not."""
        size, kind = self.size_, self.reader_.options.kind
        sizes = size.hidden_size, size.num_layers, size.bidirectional, size.dropout
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
            motion = size.augmentation.offset_std * constants, size.augmentation.speed
            front = encoder(self.reader_, size.embedding_size, size.dropout, strength, seed, *motion)
            stack = Stack(self.cell, front.size, *sizes, kind == "video", seed)
        head = LabelHead(3 * stack.size, len(self.codec_.classes), seed)
        return SequenceNet(front, stack, head, "pooled", size.dropout)
