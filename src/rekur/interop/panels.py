"""Classifiers and regressors for collections of time series, as sktime and aeon call them.

Both libraries pass a collection to the methods `_fit`, `_predict` and `_predict_proba` as an array
(n_cases, n_channels, n_timepoints) or, where the lengths differ, as a list: aeon of arrays (n_channels, n_timepoints),
sktime of frames (n_timepoints, n_channels).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import pandas as pd

from rekur.core import Array
from rekur.estimator import BaseEstimator
from rekur.sequence.classifier import Classifier
from rekur.sequence.regressor import Regressor
from rekur.training.config import Training

if TYPE_CHECKING:
    from rekur.inputs.reader import Input

Collection: TypeAlias = "Array | Sequence[Array | pd.DataFrame]"
"""Time series as one array, as a list of arrays or as a list of frames."""

TEST_NETWORKS: list[dict[str, object]] = [
    {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=1)},
    {"cell": "lstm", "hidden_size": 3, "num_layers": 1, "training": Training(max_epochs=1)},
]
"""Parameters of two small networks for estimator checks."""


def shared_parameters(adapter: object, estimator: type[BaseEstimator]) -> dict[str, Any]:
    """Return the constructor arguments of a rekur estimator from an adapter with the same parameters.

    A parameter that is None in the adapter takes the default value of the estimator.

    Examples
    --------
    >>> from rekur import Regressor
    >>> shared_parameters(RegressorAdapter(cell="lstm", hidden_size=8), Regressor)["hidden_size"]
    8
    """
    values = {name: getattr(adapter, name) for name in inspect.signature(estimator).parameters}
    return {name: value for name, value in values.items() if value is not None}


def padded(X: Collection) -> tuple[Array, Array | None]:
    """Convert a collection of time series to a padded array and lengths.

    Parameters
    ----------
    X : array, sequence of arrays or sequence of frames
        An array (n_cases, n_channels, n_timepoints), arrays (n_channels, n_timepoints) or frames
        (n_timepoints, n_channels).

    Returns
    -------
    array : ndarray of shape (B, T, I)
        The series with time before channels, padded with zeros at the end.
    lengths : ndarray of shape (B,) or None
        The length of each series; None where all lengths are equal.

    Examples
    --------
    >>> array, lengths = padded([np.ones((2, 3)), np.ones((2, 5))])
    >>> array.shape, lengths.tolist()
    ((2, 5, 2), [3, 5])
    """
    if not isinstance(X, Sequence):
        return X.swapaxes(1, 2), None
    series = [case.to_numpy() if isinstance(case, pd.DataFrame) else case.T for case in X]
    lengths = np.array([len(case) for case in series])
    array = np.zeros((len(series), lengths.max(), series[0].shape[1]))
    for row, case in enumerate(series):
        array[row, : len(case)] = case
    return array, None if (lengths == lengths[0]).all() else lengths


class ClassifierAdapter:
    """Time series classifier that delegates to `rekur.Classifier`.

    Parameters
    ----------
    cell : {"gru", "gru_before", "lstm", "rnn", "rnn_relu"}, default "gru"
        Recurrent cell.
    hidden_size : int or None, default None
        Size of the hidden state; None chooses it by the input.
    num_layers : int or None, default None
        Number of recurrent layers; None chooses it by the input.
    bidirectional : bool or None, default None
        Whether the layers also read the series backwards; None chooses by the input.
    dropout : float or None, default None
        Dropout rate between the layers; None chooses it by the input.
    training : Training or None, default None
        Options of the training run; those not set are chosen by the number of series.
    input : Numbers or None, default None
        Scaling and differences of the series, see `rekur.inputs.numbers.Numbers`.
    class_weight : "balanced", mapping of label to weight or None, default None
        Weights of the labels in the loss.
    random_state : int, default 0
        Seed of the weights, the order of the series and dropout.

    Attributes
    ----------
    estimator_ : rekur.Classifier
        The fitted classifier.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 1, 8))
    >>> y = np.array(["a", "b"] * 10)
    >>> ClassifierAdapter(hidden_size=4, training=Training(max_epochs=1))._fit(X, y)._predict_proba(X).shape
    (20, 2)
    """

    estimator_: Classifier

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
        super().__init__()

    def _fit(self, X: Collection, y: Array) -> Self:
        """Fit to a collection (n_cases, n_channels, n_timepoints) and labels (n_cases,)."""
        array, lengths = padded(X)
        estimator = Classifier(**shared_parameters(self, Classifier))
        self.estimator_ = estimator.fit(array, y, lengths=lengths, progress=False)
        return self

    def _predict(self, X: Collection) -> Array:
        """Predict the labels (n_cases,) of a collection."""
        array, lengths = padded(X)
        return self.estimator_.predict(array, lengths=lengths)

    def _predict_proba(self, X: Collection) -> Array:
        """Predict the probabilities (n_cases, n_classes) of a collection."""
        array, lengths = padded(X)
        return self.estimator_.predict_proba(array, lengths=lengths)


class RegressorAdapter:
    """Time series regressor that delegates to `rekur.Regressor`.

    Parameters
    ----------
    cell : {"gru", "gru_before", "lstm", "rnn", "rnn_relu"}, default "gru"
        Recurrent cell.
    hidden_size : int, default 64
        Size of the hidden state.
    num_layers : int, default 1
        Number of recurrent layers.
    bidirectional : bool, default False
        Whether the layers also read the series backwards.
    dropout : float, default 0.0
        Dropout rate between the layers.
    loss : {"mse", "mae", "huber"}, default "mse"
        Loss function.
    target_scale : {"column", "none"}, default "column"
        Scaling of the values while training.
    training : Training or None, default None
        Options of the training run; those not set are chosen by the number of series.
    input : Numbers or None, default None
        Scaling and differences of the series, see `rekur.inputs.numbers.Numbers`; None standardizes them.
    random_state : int, default 0
        Seed of the weights, the order of the series and dropout.

    Attributes
    ----------
    estimator_ : rekur.Regressor
        The fitted regressor.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 1, 8))
    >>> RegressorAdapter(hidden_size=4, training=Training(max_epochs=1))._fit(X, X.sum((1, 2)))._predict(X).shape
    (20,)
    """

    estimator_: Regressor

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
        super().__init__()

    def _fit(self, X: Collection, y: Array) -> Self:
        """Fit to a collection (n_cases, n_channels, n_timepoints) and values (n_cases,)."""
        array, lengths = padded(X)
        estimator = Regressor(**shared_parameters(self, Regressor))
        self.estimator_ = estimator.fit(array, y, lengths=lengths, progress=False)
        return self

    def _predict(self, X: Collection) -> Array:
        """Predict the values (n_cases,) of a collection."""
        array, lengths = padded(X)
        return self.estimator_.predict(array, lengths=lengths).astype(np.float64)
