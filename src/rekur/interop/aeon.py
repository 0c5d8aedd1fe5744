"""Adapters to aeon: a forecaster, a classifier and a regressor.

The classes are subclasses of aeon's `BaseForecaster`, `BaseClassifier` and `BaseRegressor`, so that they work in its
pipelines, ensembles and benchmarks.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import pandas as pd

from rekur.core import Array, MissingDependencyError
from rekur.forecasting.forecaster import Forecaster
from rekur.interop.panels import TEST_NETWORKS, ClassifierAdapter, RegressorAdapter, shared_parameters
from rekur.training.config import Training

try:
    from aeon.classification import BaseClassifier
    from aeon.forecasting.base import BaseForecaster, SeriesToSeriesForecastingMixin
    from aeon.regression import BaseRegressor
except ImportError as error:
    raise MissingDependencyError("rekur.interop.aeon needs aeon: pip install aeon") from error


class RekurForecaster(SeriesToSeriesForecastingMixin, BaseForecaster):  # type: ignore[misc]
    """Recurrent network forecaster for aeon, see `rekur.Forecaster`.

    aeon gives a forecaster one series without times, whose steps count as 0, 1, 2, …. Exogenous variables are not
    supported: aeon passes their values at the forecast time only, and a recurrence needs those of every step before it.

    Parameters
    ----------
    horizon : int, default 1
        Steps ahead of the value that `predict` forecasts.
    season_length : int or None, default None
        Season length in steps; None takes it from the frequency or, where times are integers, from the values.
    cell : {"gru", "gru_before", "lstm", "rnn", "rnn_relu"}, default "gru"
        Recurrent cell.
    hidden_size : int, default 64
        Size of the hidden state of a recurrent block.
    num_layers : int, default 2
        Number of recurrent blocks.
    training : Training or None, default None
        Options of the training run; those not set are chosen by the size of the data.
    random_state : int, default 0
        Seed of the weights and of the order of the batches.
    ensemble_size : int, default 1
        Number of networks of each kind, whose median is the forecast.
    likelihood : {"auto", "quantiles", "student_t", "negative_binomial"}, default "auto"
        Distribution that the networks learn; "auto" chooses it by the values.
    select : str, default "auto"
        Model that forecasts, as in `rekur.Forecaster`: the average, a network or a baseline, by evidence or by name.

    Attributes
    ----------
    forecaster_ : rekur.Forecaster
        The fitted forecaster.

    Examples
    --------
    >>> import numpy as np
    >>> from rekur.interop.aeon import RekurForecaster
    >>> from rekur.training.config import Training
    >>> y = np.tile([1.0, 2.0, 3.0, 4.0], 15)
    >>> forecaster = RekurForecaster(season_length=4, hidden_size=4, training=Training(max_epochs=1))
    >>> forecaster.series_to_series_forecast(y, 4).round().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    _tags: ClassVar[dict[str, object]] = {
        "capability:univariate": True,
        "capability:multivariate": False,
        "capability:missing_values": True,
        "capability:horizon": True,
        "capability:exogenous": False,
        "fit_is_empty": False,
        "y_inner_type": "np.ndarray",
    }

    freq: ClassVar[int] = 1  # of the positions that stand for times

    forecaster_: Forecaster

    def __init__(
        self,
        horizon: int = 1,
        season_length: int | None = None,
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 2,
        training: Training | None = None,
        random_state: int = 0,
        ensemble_size: int = 1,
        likelihood: str = "auto",
        select: str = "auto",
    ) -> None:
        self.season_length = season_length
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.training = training
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        self.likelihood = likelihood
        self.select = select
        super().__init__(horizon=horizon, axis=1)

    def _fit(self, y: Array, exog: None) -> Self:
        """Fit to a series (1, n_timepoints)."""
        self.forecaster_ = Forecaster(**shared_parameters(self, Forecaster)).fit(series_frame(y), progress=False)
        return self

    def _predict(self, y: Array, exog: None) -> float:
        """Forecast the value `horizon` steps after the end of a series (1, n_timepoints)."""
        return float(self.forecaster_.predict(series_frame(y), h=self.horizon)["rekur"].iloc[-1])

    def _series_to_series_forecast(self, y: Array, prediction_horizon: int, exog: None) -> Array:
        """Fit to a series and forecast the next `prediction_horizon` steps, (prediction_horizon,)."""
        parameters = {**shared_parameters(self, Forecaster), "horizon": prediction_horizon}
        forecast = Forecaster(**parameters).fit(series_frame(y), progress=False).predict()
        return np.asarray(forecast["rekur"])

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, object]]:
        """Return parameters of small networks for the estimator checks of aeon.

        Parameters
        ----------
        parameter_set : str, default "default"
            Name of the set of parameters; ignored, as there is only one set.

        Returns
        -------
        list of dict
            Constructor arguments of each instance to check.
        """
        return [TEST_NETWORKS[0], {**TEST_NETWORKS[1], "horizon": 3, "likelihood": "student_t"}]


class RekurClassifier(ClassifierAdapter, BaseClassifier):  # type: ignore[misc]
    """Recurrent network classifier for aeon, see `rekur.Classifier`.

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
    >>> import numpy as np
    >>> from rekur.interop.aeon import RekurClassifier
    >>> from rekur.training.config import Training
    >>> X = np.random.default_rng(0).normal(size=(200, 1, 12))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> bool(RekurClassifier(hidden_size=16, training=Training(max_epochs=30)).fit(X, y).score(X, y) > 0.8)
    True
    """

    _tags: ClassVar[dict[str, object]] = {
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "X_inner_type": ["np-list", "numpy3D"],
    }

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, object]]:
        """Return parameters of small networks for the estimator checks of aeon.

        Parameters
        ----------
        parameter_set : str, default "default"
            Name of the set of parameters; ignored, as there is only one set.

        Returns
        -------
        list of dict
            Constructor arguments of each instance to check.
        """
        return [TEST_NETWORKS[0], {**TEST_NETWORKS[1], "class_weight": "balanced"}]


class RekurRegressor(RegressorAdapter, BaseRegressor):  # type: ignore[misc]
    """Recurrent network regressor for aeon, see `rekur.Regressor`.

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
    >>> import numpy as np
    >>> from rekur.interop.aeon import RekurRegressor
    >>> from rekur.training.config import Training
    >>> X = np.random.default_rng(0).normal(size=(200, 1, 12))
    >>> y = X.mean(axis=(1, 2))
    >>> bool(RekurRegressor(hidden_size=16, training=Training(max_epochs=30)).fit(X, y).score(X, y) > 0.8)
    True
    """

    _tags: ClassVar[dict[str, object]] = {
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "X_inner_type": ["np-list", "numpy3D"],
    }

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, object]]:
        """Return parameters of small networks for the estimator checks of aeon.

        Parameters
        ----------
        parameter_set : str, default "default"
            Name of the set of parameters; ignored, as there is only one set.

        Returns
        -------
        list of dict
            Constructor arguments of each instance to check.
        """
        return [TEST_NETWORKS[0], {**TEST_NETWORKS[1], "loss": "huber"}]


def series_frame(y: Array) -> pd.DataFrame:
    """Return a series (1, n_timepoints) as a frame of time and value."""
    values = np.asarray(y, dtype=float).ravel()
    return pd.DataFrame({"ds": np.arange(len(values)), "y": values})
