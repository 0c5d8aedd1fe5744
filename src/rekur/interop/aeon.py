"""Adapters to aeon: a forecaster, a classifier and a regressor.

The classes are subclasses of aeon's `BaseForecaster`, `BaseClassifier` and `BaseRegressor`, so that they work in its
pipelines, ensembles and benchmarks.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.forecasting.forecaster import Forecaster
from rekur.interop.panels import ClassifierAdapter, RegressorAdapter, shared_parameters
from rekur.training.config import Training

try:
    from aeon.classification import BaseClassifier
    from aeon.forecasting.base import BaseForecaster, SeriesToSeriesForecastingMixin
    from aeon.regression import BaseRegressor
except ImportError as error:
    raise DataError("rekur.interop.aeon needs aeon: pip install aeon") from error

TEST_NETWORKS: list[dict[str, object]] = [
    {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=1)},
    {"cell": "lstm", "hidden_size": 3, "num_layers": 1, "training": Training(max_epochs=1)},
]
"""Parameters of small networks for aeon's estimator checks."""


class RekurForecaster(SeriesToSeriesForecastingMixin, BaseForecaster):  # type: ignore[misc]
    """Recurrent network forecaster for aeon, see `rekur.Forecaster`.

    aeon gives a forecaster one series without times, whose steps count as 0, 1, 2, …. Exogenous variables are not
    supported: aeon passes their values at the forecast time only, and a recurrence needs those of every step before it.

    Parameters
    ----------
    horizon : int, default 1
        Steps ahead of the value that `predict` forecasts.
    season_length, cell, hidden_size, num_layers, training, random_state, ensemble_size, likelihood
        As in `rekur.Forecaster`.

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
    ) -> None:
        self.season_length = season_length
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.training = training
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        self.likelihood = likelihood
        super().__init__(horizon=horizon, axis=1)

    @property
    def freq(self) -> int:
        """The step of the times that stand for the positions in a series."""
        return 1

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
        """Return the parameters of the instances that aeon's estimator checks use."""
        return [TEST_NETWORKS[0], {**TEST_NETWORKS[1], "horizon": 3, "likelihood": "student_t"}]


class RekurClassifier(ClassifierAdapter, BaseClassifier):  # type: ignore[misc]
    """Recurrent network classifier for aeon, see `rekur.Classifier`.

    Parameters
    ----------
    cell, hidden_size, num_layers, bidirectional, dropout, training, input, class_weight, random_state
        As in `rekur.Classifier`.

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
        """Return the parameters of the instances that aeon's estimator checks use."""
        return [TEST_NETWORKS[0], {**TEST_NETWORKS[1], "class_weight": "balanced"}]


class RekurRegressor(RegressorAdapter, BaseRegressor):  # type: ignore[misc]
    """Recurrent network regressor for aeon, see `rekur.Regressor`.

    Parameters
    ----------
    cell, hidden_size, num_layers, bidirectional, dropout, loss, training, input, random_state
        As in `rekur.Regressor`.

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
        """Return the parameters of the instances that aeon's estimator checks use."""
        return [TEST_NETWORKS[0], {**TEST_NETWORKS[1], "loss": "huber"}]


def series_frame(y: Array) -> pd.DataFrame:
    """Return a series (1, n_timepoints) as a frame of time and value."""
    values = np.asarray(y, dtype=float).ravel()
    return pd.DataFrame({"ds": np.arange(len(values)), "y": values})
