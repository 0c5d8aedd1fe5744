"""Regression: a sequence to a value, or a sequence to a sequence of values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.core import DataError
from rekur.data.validation import floats
from rekur.estimator import learning
from rekur.layers.heads import ValueHead
from rekur.sequence.arrays import ArrayEstimator
from rekur.training.config import Training

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor, nn


class Regressor(ArrayEstimator):
    """Map arrays (B, T, I) to values (B,) or (B, K), or to sequences of values (B, T, K).

        h_1 … h_T = stack of cells over x_1 … x_T,  y = W·h_T + b  or  y_t = W·h_t + b

    Which of the two is decided by the target that `fit` gets. With `cell="rnn", hidden=64` it is the textbook
    program: a simple RNN with tanh, a dense layer, mean squared error and Adam.

    Parameters
    ----------
    cell : "rnn", "rnn_relu", "lstm" or "gru"
    hidden, layers, bidirectional, dropout : the stack, see `rekur.layers.stack.Stack`
    loss : "mse", "mae" or "huber"
    training : how to train, see `rekur.Training`
    seed : seed of the weights, the order of the rows and dropout; the same seed gives the same numbers

    Attributes
    ----------
    history_ : one record for each epoch; net_ : the torch module; sizes_ : what was learned of the shapes

    Examples
    --------
    >>> import numpy as np, rekur
    >>> wave = np.sin(np.arange(300) / 5, dtype=np.float32)
    >>> x = np.stack([wave[i : i + 20] for i in range(279)])[..., None]  # (B, T, I)
    >>> model = rekur.Regressor(cell="gru", hidden_size=16).fit(x[:200], wave[20:220], epochs=40)
    >>> bool(abs(model.predict(x[200:]) - wave[220:299]).mean() < 0.1)
    True
    """

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        loss: str = "mse",
        training: Training = Training(),  # noqa: B008, a frozen value
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.loss = loss
        self.training = training
        self.random_state = random_state

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        validation: float | tuple[Any, ...] = 0.0,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Regressor:
        """Train on arrays.

        Parameters
        ----------
        x : (B, T, I)
        y : (B,) or (B, K) for a value, (B, T, K) for a sequence
        lengths : (B,) valid steps of each row, or None
        validation : share of the last rows held out, or (x, y) or (x, y, lengths); 0 for none
        epochs : instead of `training.epochs`
        progress : show a bar; None asks whether standard error is a terminal
        checkpoint : folder written after each epoch; if it holds one, training goes on from there

        Raises
        ------
        DataError : shapes that do not fit, or a value that is not finite, with its place
        TrainingError : the loss is not finite, with the layer responsible
        """
        with learning(self, "net_"):
            self._fit(x, y, lengths, validation, epochs, progress, checkpoint)
        return self

    def predict(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """Values for x (B, T, I), in the shape of the target that `fit` got."""
        y = self._outputs(x, lengths)
        return y[..., 0] if self.sizes_["flat"] else y

    def score(self, x: ArrayLike, y: ArrayLike, *, lengths: ArrayLike | None = None) -> float:
        """The coefficient of determination R² = 1 - Σ(y - ŷ)² / Σ(y - ȳ)²."""
        actual, predicted = np.asarray(y, dtype=float), self.predict(x, lengths=lengths)
        if actual.shape != predicted.shape:
            raise DataError(f"y has the shape {actual.shape}, but the model predicts {predicted.shape}")
        if lengths is not None and self.sizes_["each"]:  # steps that count: (n, K)
            inside = np.arange(actual.shape[1]) < np.asarray(lengths)[:, None]
            actual, predicted = actual[inside], predicted[inside]
        return float(1 - ((actual - predicted) ** 2).sum() / ((actual - actual.mean(axis=0)) ** 2).sum())

    def _head(self, H: int) -> nn.Module:
        return ValueHead(H, self.sizes_["K"], self.loss, self.random_state)

    def _target(self, y: ArrayLike, learn: bool) -> Tensor:
        axes = {1: "B", 2: "BK"}.get(np.ndim(y), "BTK")
        target = floats("y", y, axes)
        target = target[:, None] if axes == "B" else target
        if learn:
            self.sizes_.update(K=target.shape[-1], each=axes == "BTK", flat=axes == "B")
        return target
