"""Classification: a sequence to a label."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.core import DataError
from rekur.layers.heads import LabelHead
from rekur.tasks.arrays import ArrayEstimator
from rekur.tasks.base import learning
from rekur.train import Training

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor, nn


class Classifier(ArrayEstimator):
    """Map arrays (B, T, I) to one of K labels.

        h_1 … h_T = stack of cells over x_1 … x_T,  p = softmax(W·h_T + b)

    trained by cross-entropy. Labels may be of any kind that numpy sorts: numbers or strings.

    Parameters
    ----------
    cell, hidden, layers, bidirectional, dropout, training, seed : as in `rekur.Regressor`

    Attributes
    ----------
    classes_ : (K,) the labels in the order of `predict_proba`; history_, net_, sizes_ as in `rekur.Regressor`

    Examples
    --------
    >>> import numpy as np, rekur
    >>> x = np.random.default_rng(0).normal(size=(200, 12, 1))
    >>> y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    >>> model = rekur.Classifier(cell="gru", hidden=16).fit(x[:150], y[:150], epochs=30)
    >>> model.score(x[150:], y[150:]) > 0.8
    True
    """

    def __init__(
        self,
        cell: str = "gru",
        hidden: int = 64,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        training: Training = Training(),  # noqa: B008, a frozen value
        seed: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.training = training
        self.seed = seed

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
    ) -> Classifier:
        """Train on arrays x (B, T, I) and labels y (B,); the other arguments as in `Regressor.fit`."""
        with learning(self, "net_"):
            self._fit(x, y, lengths, validation, epochs, progress, checkpoint)
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The labels (K,) in the order of `predict_proba`."""
        self.check_fitted("sizes_")
        return np.asarray(self.sizes_["classes"])

    def predict_proba(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """Probabilities (B, K) for x (B, T, I)."""
        return self._outputs(x, lengths)

    def predict(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> np.ndarray:
        """The most probable label (B,) for x (B, T, I)."""
        return np.asarray(self.classes_[self.predict_proba(x, lengths=lengths).argmax(axis=1)])

    def score(self, x: ArrayLike, y: ArrayLike, *, lengths: ArrayLike | None = None) -> float:
        """The share of labels that are right."""
        return float((self.predict(x, lengths=lengths) == np.asarray(y)).mean())

    def _head(self, H: int) -> nn.Module:
        return LabelHead(H, len(self.sizes_["classes"]), self.seed)

    def _target(self, y: ArrayLike, learn: bool) -> Tensor:
        import torch

        labels = np.asarray(y)
        if labels.ndim != 1 or not len(labels):
            raise DataError(f"y must be one label for each row, (B,), got the shape {labels.shape}")
        if learn:
            self.sizes_.update(classes=np.unique(labels).tolist(), each=False)
        index = {label: k for k, label in enumerate(self.sizes_["classes"])}
        unknown = [label for label in labels.tolist() if label not in index]
        if unknown:
            raise DataError(f"the label {unknown[0]!r} does not occur in the training data")
        return torch.tensor([index[label] for label in labels.tolist()])
