"""Adapters to sktime: a forecaster, a classifier and a regressor.

The classes are subclasses of sktime's `BaseForecaster`, `BaseClassifier` and `BaseRegressor`, so that they work in its
pipelines, tuning and benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
import pandas as pd

from rekur.core import Array, DataError, MissingDependencyError
from rekur.forecasting.forecaster import Forecaster
from rekur.interop.panels import TEST_NETWORKS, ClassifierAdapter, RegressorAdapter, shared_parameters
from rekur.training.config import Training

try:
    from sktime.classification.base import BaseClassifier
    from sktime.datatypes import update_data
    from sktime.forecasting.base import BaseForecaster
    from sktime.regression.base import BaseRegressor
except ImportError as error:
    raise MissingDependencyError("rekur.interop.sktime needs sktime: pip install sktime") from error

ID, TIME, TARGET = "unique_id", "ds", "y"

Series: TypeAlias = "pd.Series[Any] | pd.DataFrame"
"""One series, indexed by time, or a panel with one column, indexed by instances and time."""


class Horizon(Protocol):
    """sktime's `ForecastingHorizon`: the times to forecast, absolute or relative to the end of a series."""

    def to_indexer(self, cutoff: pd.Index) -> pd.Index:
        """Return the number of steps between each time and the first one after the cutoff."""

    def to_absolute_index(self, cutoff: pd.Index) -> pd.Index:
        """Return the times."""


class RekurForecaster(BaseForecaster):  # type: ignore[misc]
    """Recurrent network forecaster for sktime, see `rekur.Forecaster`.

    A panel or a hierarchy is learned by one global model; a relative forecasting horizon counts from the end of each
    series. Exogenous variables must be known for every step up to the last one to forecast. `update` appends to the
    history and, with `update_params=True`, trains the networks further, or anew where the series were too short for
    networks.

    Parameters
    ----------
    horizon : int or None, default None
        Steps that the networks learn to forecast. With None, the forecasting horizon decides, which `fit` then needs.
    freq : str, int or None, default None
        Frequency, as in `rekur.Forecaster`; None takes it from the index.
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
    >>> import pandas as pd
    >>> from rekur.interop.sktime import RekurForecaster
    >>> from rekur.training.config import Training
    >>> y = pd.Series([1.0, 2.0, 3.0, 4.0] * 15, pd.period_range("2010Q1", periods=60, freq="Q"))
    >>> forecaster = RekurForecaster(hidden_size=4, training=Training(max_epochs=1)).fit(y, fh=[1, 2, 3, 4])
    >>> forecaster.predict().round().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    _tags: ClassVar[dict[str, object]] = {
        "authors": "rekur developers",
        "maintainers": "rekur developers",
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "capability:categorical_in_X": True,
        "capability:non_contiguous_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": True,
        "capability:unequal_length": True,
        "capability:update": True,
        "requires-fh-in-fit": True,
        "y_inner_mtype": ["pd.Series", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
    }

    _config: ClassVar[dict[str, object]] = {"remember_data": False}  # `_cur_y` and `_cur_X` do

    forecaster_: Forecaster
    _cur_y: Series
    _cur_X: pd.DataFrame | None

    def __init__(
        self,
        horizon: int | None = None,
        freq: str | int | None = None,
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
        self.horizon = horizon
        self.freq = freq
        self.season_length = season_length
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.training = training
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        self.likelihood = likelihood
        self.select = select
        super().__init__()
        self._y = self._X = None  # filled by sktime where the configuration sets `remember_data`
        if horizon is not None:
            self.set_tags(**{"requires-fh-in-fit": False})

    def _fit(self, y: Series, X: pd.DataFrame | None, fh: Horizon | None) -> Self:
        """Fit to a series or a panel, and to exogenous variables with the same index."""
        self._cur_y, self._cur_X = y, X
        parameters = shared_parameters(self, Forecaster)
        if self.horizon is None and fh is not None:
            parameters["horizon"] = int(max(fh.to_indexer(self.cutoff))) + 1
        if self.freq is None:
            parameters["freq"] = frequency(self.cutoff)
        self.forecaster_ = self._trained(Forecaster(**parameters))
        return self

    def _update(self, y: Series, X: pd.DataFrame | None = None, update_params: bool = True) -> Self:
        """Append to the history and, if `update_params`, train the networks further."""
        self._cur_y, self._cur_X = update_data(self._cur_y, y), update_data(self._cur_X, X)
        if not update_params:
            return self
        if self.forecaster_.multi_ is None and self.forecaster_.config_ is None:  # no network: the series were short
            self._trained(self.forecaster_)
        else:
            self.forecaster_.fine_tune(self._history(), progress=False)
        return self

    def _trained(self, forecaster: Forecaster) -> Forecaster:
        """Fit a forecaster to the history and return it."""
        identifier = ID if self._cur_y.index.nlevels > 1 else None
        covariates = [] if self._cur_X is None else covariate_columns(self._cur_X)
        return forecaster.fit(
            self._history(),
            id_col=identifier,
            time_col=TIME,
            target_col=TARGET,
            futr_exog_list=covariates,
            progress=False,
        )

    def _predict(self, fh: Horizon, X: pd.DataFrame | None) -> Series:
        """Forecast the medians at the times of the horizon."""
        index, values = self._forecast(fh, X, ())
        if isinstance(self._cur_y, pd.Series):
            return pd.Series(values[:, 0], index, name=self._cur_y.name)
        return pd.DataFrame(values, index, self._cur_y.columns)

    def _predict_quantiles(self, fh: Horizon, X: pd.DataFrame | None, alpha: Sequence[float]) -> pd.DataFrame:
        """Forecast quantiles at the times of the horizon; a column for each level."""
        index, values = self._forecast(fh, X, alpha)
        return pd.DataFrame(values[:, 1:], index, self._get_columns("predict_quantiles", alpha=alpha))

    def _forecast(self, fh: Horizon, X: pd.DataFrame | None, levels: Sequence[float]) -> tuple[pd.Index, Array]:
        """Return the index of n times to forecast, and their medians and quantiles (n, 1 + levels)."""
        cutoffs = self._cutoffs()
        steps = np.array([fh.to_indexer(cutoff) for cutoff in cutoffs])
        future = None if X is None else long_frame(X.index, X)
        forecast = self.forecaster_.forecast(self._history(), futr_df=future, h=int(steps.max()) + 1)
        if forecast.panel.skipped:
            name, reason = forecast.panel.skipped[0]
            raise DataError(f"the series {name!r} cannot be forecast ({reason}): leave it out")
        frame = forecast.frame(quantiles=levels)
        if ID in frame:
            frame = frame.set_index(ID).loc[pd.unique(identifiers(self._cur_y.index))]
        columns = ["rekur", *(f"rekur_ql{level:g}" for level in levels)]
        values = frame[columns].to_numpy().reshape(len(cutoffs), -1, len(columns))
        selected = np.take_along_axis(values, steps[..., None], axis=1).reshape(-1, len(columns))
        return self._index([fh.to_absolute_index(cutoff) for cutoff in cutoffs]), selected

    def _cutoffs(self) -> list[pd.Index]:
        """Return the last time of each series as an index of one entry."""
        index = self._cur_y.index
        if index.nlevels == 1:
            return [self.cutoff]
        last = pd.Series(np.arange(len(index))).groupby(identifiers(index), sort=False).max()
        return [index.get_level_values(-1)[[row]] for row in last]

    def _index(self, times: Sequence[pd.Index]) -> pd.Index:
        """Return the index of forecasts from the times of each series."""
        index = self._cur_y.index
        if not isinstance(index, pd.MultiIndex):
            return times[0]
        labels = index.droplevel(-1).unique().repeat([len(part) for part in times])
        levels = [labels.get_level_values(level) for level in range(labels.nlevels)]
        return pd.MultiIndex.from_arrays([*levels, times[0].append(list(times[1:]))], names=index.names)

    def _history(self) -> pd.DataFrame:
        """Return all values and exogenous variables so far as a long frame."""
        frame = long_frame(self._cur_y.index, self._cur_X)
        return frame.assign(**{TARGET: self._cur_y.to_numpy(dtype=float).ravel()})

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, object]]:
        """Return parameters of small networks for the estimator checks of sktime.

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
    """Recurrent network classifier for sktime, see `rekur.Classifier`.

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
    >>> from rekur.interop.sktime import RekurClassifier
    >>> from rekur.training.config import Training
    >>> X = np.random.default_rng(0).normal(size=(200, 1, 12))
    >>> y = np.where(X.sum(axis=(1, 2)) > 0, "up", "down")
    >>> bool(RekurClassifier(hidden_size=16, training=Training(max_epochs=30)).fit(X, y).score(X, y) > 0.8)
    True
    """

    _tags: ClassVar[dict[str, object]] = {
        "authors": "rekur developers",
        "maintainers": "rekur developers",
        "capability:multivariate": True,
        "capability:predict_proba": True,
        "capability:class_weight": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "capability:categorical_in_X": False,
        "capability:unequal_length": True,
        "X_inner_mtype": ["df-list", "numpy3D"],
    }

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, object]]:
        """Return parameters of small networks for the estimator checks of sktime.

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
    """Recurrent network regressor for sktime, see `rekur.Regressor`.

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
    >>> from rekur.interop.sktime import RekurRegressor
    >>> from rekur.training.config import Training
    >>> X = np.random.default_rng(0).normal(size=(200, 1, 12))
    >>> y = X.mean(axis=(1, 2))
    >>> bool(RekurRegressor(hidden_size=16, training=Training(max_epochs=30)).fit(X, y).score(X, y) > 0.8)
    True
    """

    _tags: ClassVar[dict[str, object]] = {
        "authors": "rekur developers",
        "maintainers": "rekur developers",
        "capability:multivariate": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "capability:categorical_in_X": False,
        "capability:unequal_length": True,
        "X_inner_mtype": ["df-list", "numpy3D"],
    }

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, object]]:
        """Return parameters of small networks for the estimator checks of sktime.

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


def long_frame(index: pd.Index, X: pd.DataFrame | None) -> pd.DataFrame:
    """Return a long frame with the identifiers, the times and the exogenous variables of an index."""
    times = index.get_level_values(-1)
    columns: dict[str, object] = {TIME: times.to_timestamp() if isinstance(times, pd.PeriodIndex) else times}
    if index.nlevels > 1:
        columns[ID] = identifiers(index)
    if X is not None:
        X = X.reindex(index)
        columns.update(zip(covariate_columns(X), (X.iloc[:, k].array for k in range(X.shape[1])), strict=True))
    return pd.DataFrame(columns)


def identifiers(index: pd.Index) -> Array:
    """Return the instance of each row of a panel as text, (n,)."""
    labels = index.droplevel(-1) if isinstance(index, pd.MultiIndex) else index
    return np.array([str(label) for label in labels])


def frequency(times: pd.Index) -> str | int | None:
    """Return the step of an index of times as `rekur.Forecaster` takes it; None where the index does not say it."""
    if isinstance(times, pd.DatetimeIndex | pd.PeriodIndex):
        return times.freqstr
    return 1


def covariate_columns(X: pd.DataFrame) -> list[str]:
    """Return a column name of its own for each exogenous variable."""
    return [f"X[{name!r}]" for name in X.columns]
