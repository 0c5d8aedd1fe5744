"""Regression of sequences: a sequence to a value, or a sequence to a sequence of values."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from rekur.core import DataError, choose
from rekur.data.batching import Batcher, LazySequences, PaddedArray, Targets
from rekur.data.validation import as_array, as_sequences, floats, row_weights
from rekur.estimator import learning
from rekur.inputs.reader import training_part
from rekur.layers.encoders import encoder
from rekur.layers.heads import ValueHead
from rekur.layers.sequence_net import SequenceNet
from rekur.layers.stack import Stack
from rekur.metrics import Comparison, ratio
from rekur.sequence.base import LearnedPart, SequenceEstimator, TargetData, TrainingData
from rekur.sequence.defaults import SequenceData
from rekur.sequence.parameters import FitOptions
from rekur.sequence.targets import Validation
from rekur.training.config import Training
from rekur.training.loop import States

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.serialization import Description


TARGET_SCALES = ("column", "none")

CONSTANT_STD = 1e-6
"""Standard deviation, relative to the largest value, up to which a column of targets counts as constant."""


@dataclass(frozen=True)
class ValueCodec:
    """Values as targets: their number K, their form, their means (K,) and divisors (K,) over the training data.

        z = (y - mean) / scale

    is the target of the network, or y itself where `scale` is None. Targets are (B,), (B, K), or sequences: an array
    (B, T, K) or a list of arrays (T, K).
    """

    size: int
    each: bool
    flat: bool
    mean: list[float]
    scale: list[float] | None = None
    part_name: ClassVar[str] = "value"

    @classmethod
    def learn(cls, data: TrainingData) -> ValueCodec:
        """Form, means and standard deviations of the values, of rows as they are weighted."""
        rows, axes = read_values(data.y)
        training = training_part(rows, data.rows)
        values = (np.concatenate(training) if axes == "BTK" else np.stack(training)).astype(float)
        weight = np.ones(len(rows)) if data.weight is None else data.weight.numpy().astype(float)
        weight = weight[data.rows]
        if axes == "BTK":
            weight = np.repeat(weight, [len(row) for row in training])
        if not weight.any():
            raise DataError("sample_weight is zero in all training rows; give some of them a weight")
        mean = np.average(values, axis=0, weights=weight)
        scale = None
        if choose("target_scale", data.parameters["target_scale"], TARGET_SCALES) == "column":
            std = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
            scale = np.where(std > CONSTANT_STD * np.abs(values).max(axis=0), std, 1.0).tolist()
        return cls(values.shape[-1], axes == "BTK", axes == "B", mean.tolist(), scale)

    def encode(self, y: ArrayLike, lengths: Array) -> Targets:
        """Scaled values as float32 tensors; a sequence of values has as many steps as its input."""
        rows, axes = read_values(y)
        if (axes == "BTK") != self.each or rows[0].shape[-1] != self.size:
            raise DataError(f"y has targets of the shape {rows[0].shape}, which do not fit those the model learned")
        rows = [self._scaled(row) for row in rows]
        if not self.each:
            return torch.from_numpy(np.stack(rows))
        for row, (target, T) in enumerate(zip(rows, lengths.tolist(), strict=True)):
            if len(target) != T:
                raise DataError(f"row {row} of x has {T} steps but y has {len(target)}")
        return LazySequences.from_list([torch.from_numpy(row) for row in rows])

    def unknown(self, y: ArrayLike, rows: Array | None = None) -> Counter[str]:
        """None: every value can be predicted."""
        return Counter()

    def decode(self, raw: Array) -> Array:
        """Values (..., K) from outputs (..., K) of the network."""
        if self.scale is None:
            return raw
        values: Array = (raw * np.array(self.scale) + self.mean).astype(np.float32)
        return values

    def _scaled(self, values: Array) -> Array:
        """Targets (..., K) of the network from values (..., K)."""
        if self.scale is None:
            return values
        scaled: Array = ((values - np.array(self.mean)) / self.scale).astype(np.float32)
        return scaled

    def describe(self) -> Description:
        """Fields as JSON values."""
        return asdict(self)

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> ValueCodec:
        """The codec that `describe` gave."""
        return cls(**description)


def read_values(y: ArrayLike) -> tuple[list[Array], str]:
    """Targets as float32 arrays (K,) or (T, K), and their axes: "B", "BK" or "BTK"."""
    if isinstance(y, list | tuple) and len({np.shape(row) for row in y}) > 1:
        return [floats(f"sequence {row} of y", target, "TK").numpy() for row, target in enumerate(y)], "BTK"
    y = as_array(y)
    axes = {1: "B", 2: "BK"}.get(np.ndim(y), "BTK")
    values = floats("y", y, axes).numpy()
    return list(values[:, None] if axes == "B" else values), axes


@dataclass(frozen=True)
class ValueObjective:
    """The mean loss over all values, of the rows and steps that count."""

    net: SequenceNet[ValueHead]
    codec: ValueCodec
    carries_states: bool

    @property
    def error_name(self) -> str:
        """Name of the loss."""
        return self.net.head.loss_name

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch, and the states of the stack."""
        raw, _, states = self.net(batch.x, batch.lengths, states)
        return self.net.head.loss(raw, batch.y, self._weight(batch)), states

    def error(self, validation: Batcher) -> float:
        """Mean loss of all values held out."""
        return self._mean(validation, lambda batch: self.loss(batch, None)[0])

    def baseline_error(self, validation: Batcher) -> float:
        """Mean loss of predicting the mean of the training values."""
        mean = torch.tensor(self.codec.mean) if self.codec.scale is None else torch.zeros(self.codec.size)
        head = self.net.head
        return self._mean(validation, lambda batch: head.loss(mean.expand_as(batch.y), batch.y, self._weight(batch)))

    def _weight(self, batch: Batch) -> Tensor | None:
        """The weights of a batch, None where all targets count alike."""
        if batch.weight is None or bool((batch.weight == 1).all()):
            return None
        return batch.weight

    def _mean(self, data: Batcher, loss: Callable[[Batch], Tensor]) -> float:
        total = count = 0.0
        for batch in replace(data, chunk=None).ordered():
            weight = float(len(batch.x) if batch.weight is None else batch.weight.sum())
            total, count = total + weight * float(loss(batch)), count + weight
        return total / count


class Regressor(SequenceEstimator):
    """Map sequences to values, or to sequences of values.

        h_1 … h_T = stack of cells over x_1 … x_T,  y = W·h_T + b  or  y_t = W·h_t + b

    where the target decides between the two. Each column of x and of y is standardized by its mean and standard
    deviation over the training rows; the loss is that of standardized targets, predictions are in the units of y. With
    `cell="rnn", hidden_size=64` it is the textbook program: a simple RNN with tanh, a dense layer and the mean squared
    error.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "rnn_relu", "gru_before"}, default "gru"
        Recurrent cell, see `rekur.cells`.
    hidden_size : int, default 64
        Hidden size of each layer.
    num_layers : int, default 1
        Layers of the stack.
    bidirectional : bool, default False
        Whether the stack also reads backward.
    dropout : float, default 0.0
        Share of the outputs of each layer set to zero while training.
    loss : {"mse", "mae", "huber"}, default "mse"
        Loss of a value.
    target_scale : {"column", "none"}, default "column"
        Scaling of the targets while training: "column" centres each column of y and divides it by its standard
        deviation, "none" leaves it as it is.
    training : Training or None, default None
        Options of the training, see `rekur.Training`; the defaults of the task for all fields that are not passed.
    input : Numbers or None, default None
        Options of the input, see `rekur.inputs.Numbers`; None standardizes each column, `Numbers(scale="none")` reads
        numbers as they are.
    random_state : int, default 0
        Seed of the weights, the order of the rows and dropout. The same seed gives the same numbers.

    Attributes
    ----------
    history_ : list of dict
        A record for each epoch: `mean_loss`, `val_loss` with validation, and others; losses of scaled targets.
    net_ : Module
        The torch module.
    reader_ : NumbersReader
        Reader fitted to the training data.
    codec_ : ValueCodec
        Codec fitted to the training targets.

    Examples
    --------
    >>> import numpy as np, rekur
    >>> wave = np.sin(np.arange(300) / 5, dtype=np.float32)
    >>> x = np.stack([wave[i : i + 20] for i in range(279)])[..., None]  # (B, T, I)
    >>> model = rekur.Regressor(cell="gru", hidden_size=16).fit(x[:200], wave[20:220], epochs=40)
    >>> bool(abs(model.predict(x[200:]) - wave[220:299]).mean() < 0.1)
    True
    """

    task = "value"
    estimator_type = "regressor"
    split = "last"
    parts: ClassVar[Mapping[str, type[LearnedPart]]] = {"codec": ValueCodec}

    net_: SequenceNet[ValueHead]
    codec_: ValueCodec

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        loss: str = "mse",
        target_scale: str = "column",
        training: Training | None = None,
        input: Input | None = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.loss = loss
        self.target_scale = target_scale
        self.training = training
        self.input = input
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
        """Train on sequences and values.

        Parameters
        ----------
        x : array of shape (B, T, I), or list of arrays (T, I)
            Sequences; an array (B, I) is read as sequences of one step.
        y : array of shape (B,), (B, K) or (B, T, K), or list of arrays (T, K)
            A value or K values for each sequence, or for each step.
        sample_weight : array of shape (B,) or None, default None
            Weight of each row in the loss.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.
        validation : float, tuple or None, default None
            Share of the last rows held out, (x, y) or (x, y, lengths); 0 for none. None holds out a tenth where there
            are 200 rows or more. Training stops when the loss on them no longer improves, and the weights of the best
            epoch are kept.
        epochs : int or None, default None
            Replaces `training.max_epochs`.
        progress : bool or None, default None
            Whether to show a progress bar; None shows it on a terminal or in a notebook.
        checkpoint : path or None, default None
            Folder written after each epoch; where it holds a checkpoint of this training, training resumes from it.

        Returns
        -------
        Regressor
            The fitted estimator.

        Raises
        ------
        DataError
            If shapes do not fit, or a value is not finite; the text names its place.
        TrainingError
            If the loss is not finite; the text names the layer.
        """
        with learning(self, self.fitted_attribute):
            data = as_sequences(x, lengths)
            if isinstance(validation, tuple) and len(validation) == 3:
                validation = validation[0], cut_targets(*validation[1:]), validation[2]
            weight = None if sample_weight is None else row_weights(sample_weight, len(data))
            options = FitOptions(validation, epochs, progress, checkpoint)
            self._fit(data, cut_targets(y, lengths), options, source=self._choose_input(data), weight=weight)
        return self

    def predict(self, x: SequenceData, *, lengths: ArrayLike | None = None) -> Array:
        """Predict values.

        Parameters
        ----------
        x : array of shape (B, T, I), or list of arrays (T, I)
            Sequences as in `fit`.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        array of shape (B,), (B, K) or (B, T, K)
            Values in the form of the targets of `fit`. Values for each step are NaN beyond the length of a row.
        """
        data = as_sequences(x, lengths)
        rows = self._rows(data)
        if not self.codec_.each:
            y = np.stack(rows)
            return y[..., 0] if self.codec_.flat else y
        T = data.values.shape[1] if isinstance(data, PaddedArray) else max(map(len, rows))
        y = np.full((len(rows), T, self.codec_.size), np.nan, dtype=np.float32)
        for row, values in enumerate(rows):
            y[row, : len(values)] = values
        return y

    def _rows(self, data: SequenceData) -> list[Array]:
        """Values (K,) or (T, K) of each row."""

        def values(batch: Batch) -> list[Array]:
            raw, steps, _ = self.net_(batch.x, batch.lengths)
            decoded = self.codec_.decode(self.net_.head.decode(raw).numpy())
            if steps is None or not self.codec_.each:
                return list(decoded)
            return [row[:T] for row, T in zip(decoded, steps.tolist(), strict=True)]

        return self._map_rows(values, data)

    def score(self, x: SequenceData, y: TargetData, *, lengths: ArrayLike | None = None) -> float:
        """Coefficient of determination R² = 1 - Σ(y - ŷ)² / Σ(y - ȳ)², over the valid steps.

        Parameters
        ----------
        x : array of shape (B, T, I), or list of arrays (T, I)
            Sequences as in `fit`.
        y : array or list
            Values in the form of the targets of `fit`.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        float
            1 for perfect predictions, 0 for predictions of the mean.

        Raises
        ------
        DataError
            If y has another form than the predictions.
        """
        actual, predicted = self._pairs(x, y, lengths)
        return float(1 - ((actual - predicted) ** 2).sum() / ((actual - actual.mean(axis=0)) ** 2).sum())

    def evaluate(self, x: SequenceData, y: TargetData, *, lengths: ArrayLike | None = None) -> dict[str, float]:
        """R², root mean squared and mean absolute error, of the model and of the mean of the training values.

        Parameters
        ----------
        x : array of shape (B, T, I), or list of arrays (T, I)
            Sequences as in `fit`.
        y : array or list
            Values in the form of the targets of `fit`.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        dict of str to float
            `r2`, `rmse`, `mae`, and the same with `baseline_` before their names.
        """
        return dict(self.compare(x, y, lengths=lengths).scores)

    def compare(self, x: SequenceData, y: TargetData, *, lengths: ArrayLike | None = None) -> Comparison:
        """Root mean squared error compared with that of the mean of the training values.

        Parameters
        ----------
        x : array of shape (B, T, I), or list of arrays (T, I)
            Sequences as in `fit`.
        y : array or list
            Values in the form of the targets of `fit`.
        lengths : array of shape (B,) or None, default None
            Valid steps of each row of an array.

        Returns
        -------
        Comparison
            With `scores`, those of `evaluate`, and `verdict`, a sentence.
        """
        rows = self._row_pairs(x, y, lengths)
        actual, predicted = self._join(rows)
        mean = np.broadcast_to(self.codec_.mean, actual.shape)
        scores = _value_scores(actual, predicted)
        scores |= {f"baseline_{name}": value for name, value in _value_scores(actual, mean).items()}
        errors = squared_error_rows((target, values) for target, values in rows)
        baseline = squared_error_rows((target, np.asarray(self.codec_.mean)) for target, _ in rows)
        return Comparison(scores, "rmse", errors, {"mean of the training values": baseline}, root_ratio, True)

    def _pairs(self, x: SequenceData, y: TargetData, lengths: ArrayLike | None) -> tuple[Array, Array]:
        """Actual and predicted values (n, K) of all rows and valid steps."""
        return self._join(self._row_pairs(x, y, lengths))

    def _join(self, rows: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
        join = np.concatenate if self.codec_.each else np.stack
        actual, predicted = (join(part).astype(float) for part in zip(*rows, strict=True))
        return actual, predicted

    def _row_pairs(self, x: SequenceData, y: TargetData, lengths: ArrayLike | None) -> list[tuple[Array, Array]]:
        """Actual and predicted values of each row."""
        predicted = self._rows(as_sequences(x, lengths))
        actual, _ = read_values(cut_targets(y, lengths))
        for row, (target, values) in enumerate(zip(actual, predicted, strict=False)):
            if target.shape != values.shape:
                raise DataError(f"row {row} of y has the shape {target.shape}, but the model predicts {values.shape}")
        if len(actual) != len(predicted):
            raise DataError(f"x has {len(predicted)} rows but y has {len(actual)}")
        return list(zip(actual, predicted, strict=True))

    def _objective(self) -> ValueObjective:
        size = self.size_
        front = encoder(self.reader_, size.embedding_size, 0.0, size.augmentation.noise_std, self.random_state)
        stack = Stack(
            self.cell,
            front.size,
            size.hidden_size,
            size.num_layers,
            size.bidirectional,
            size.dropout,
            seed=self.random_state,
        )
        head = ValueHead(stack.size, self.codec_.size, self.loss, self.random_state)
        net = SequenceNet(front, stack, head, "steps" if self.codec_.each else "last", size.dropout)
        return ValueObjective(net, self.codec_, self.codec_.each and not size.bidirectional)


def squared_error_rows(pairs: Iterable[tuple[Array, Array]]) -> Array:
    """Sum of squared errors and number of values of each row, (n, 2)."""
    return np.array([(((target - values) ** 2).sum(), target.size) for target, values in pairs], dtype=float)


def root_ratio(sums: Array) -> Array:
    """Root mean squared error from sums of `squared_error_rows` (R, 2)."""
    return np.sqrt(ratio(sums))


def _value_scores(actual: Array, predicted: Array) -> dict[str, float]:
    residual, spread = actual - predicted, actual - actual.mean(axis=0)
    squared = float((residual**2).mean())
    variance = float((spread**2).mean())
    r2 = 1 - squared / variance if variance else 0.0
    return {"r2": r2, "rmse": squared**0.5, "mae": float(abs(residual).mean())}


def cut_targets(y: TargetData, lengths: ArrayLike | None) -> TargetData:
    """Targets (B, T, K) cut to the lengths (B,) of their rows, a list of arrays; any others as they are."""
    if lengths is None or np.ndim(y) != 3:
        return y
    return [row[:T] for row, T in zip(as_array(y), as_array(lengths).tolist(), strict=True)]
