"""sktime's estimator checks on the adapters to it, and their results beside those of rekur's own estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sktime.forecasting.base import ForecastingHorizon
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from rekur import Classifier, Forecaster, Regressor
from rekur.core import DataError, OptionError
from rekur.interop import sktime
from rekur.training.config import Training

SMALL = {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=1)}
FREQUENCIES = ["D", "h", "30min", "W-SUN", "W-WED", "M", "Q-DEC", "Q-NOV", "Y-DEC", "2D"]


@parametrize_with_checks([sktime.RekurForecaster, sktime.RekurClassifier, sktime.RekurRegressor])
def test_estimator_checks(obj: type, test_name: str) -> None:
    """Every check that applies to the kind of estimator, with every combination of its fixtures."""
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


def noisy_season(n: int, level: float = 0.0) -> np.ndarray:
    """A season of 12 steps with noise, (n,)."""
    return level + np.sin(np.arange(n) * np.pi / 6) + np.random.default_rng(n).normal(scale=0.1, size=n)


def panel(lengths: dict[str, int]) -> pd.DataFrame:
    """Monthly series of different lengths, indexed by label and month."""
    parts = {
        name: pd.DataFrame({"sales": noisy_season(n, 2)}, pd.period_range("2010-01", periods=n, freq="M", name="month"))
        for name, n in lengths.items()
    }
    return pd.concat(parts, names=["shop"])


def long_frame(y: pd.DataFrame) -> pd.DataFrame:
    """The same series as rekur takes them."""
    frame = y.reset_index()
    return frame.assign(month=frame["month"].dt.to_timestamp())


NAMES = {"id_col": "shop", "time_col": "month", "target_col": "sales"}


def test_series_equals_rekur() -> None:
    """Medians, quantiles and intervals of one series, at steps that are not contiguous."""
    y = pd.Series(noisy_season(120), pd.period_range("2010-01", periods=120, freq="M"), name="sales")
    forecaster = sktime.RekurForecaster(**SMALL).fit(y, fh=[1, 4])
    frame = pd.DataFrame({"ds": y.index.to_timestamp(), "y": y.to_numpy()})
    expected = Forecaster(horizon=4, freq="M", **SMALL).fit(frame).predict(quantiles=[0.1, 0.9]).iloc[[0, 3]]
    assert forecaster.forecaster_.ensemble_.networks
    pd.testing.assert_series_equal(
        forecaster.predict(),
        pd.Series(expected["rekur"].to_numpy(), pd.PeriodIndex(["2020-01", "2020-04"], freq="M"), name="sales"),
    )
    quantiles = forecaster.predict_quantiles(alpha=[0.1, 0.9])
    np.testing.assert_array_equal(quantiles, expected[["rekur_ql0.1", "rekur_ql0.9"]])
    np.testing.assert_array_equal(forecaster.predict_interval(coverage=0.8), quantiles)
    with pytest.raises(OptionError, match="at most 95"):
        forecaster.predict_interval(coverage=0.99)


@pytest.mark.parametrize("freq", FREQUENCIES)
@pytest.mark.parametrize("periods", [True, False])
def test_times_are_those_of_rekur(freq: str, periods: bool) -> None:
    """sktime and rekur count the same steps."""
    index = pd.period_range("2010-01-01", periods=60, freq=freq)
    index = index if periods else index.to_timestamp()
    forecaster = sktime.RekurForecaster(season_length=4, **SMALL).fit(pd.Series(noisy_season(60), index), fh=[1, 2, 5])
    expected = forecaster.predict().index
    times = expected.to_timestamp() if periods else expected
    assert list(forecaster.forecaster_.predict()["ds"].iloc[[0, 1, 4]]) == list(times)


def test_panel_is_one_global_model() -> None:
    """Series of a panel are learned together; each is forecast from its own end."""
    y = panel({"b": 96, "a": 84}).sort_index()
    forecaster = sktime.RekurForecaster(**SMALL).fit(y, fh=[2, 3])
    predictions, quantiles = forecaster.predict(), forecaster.predict_quantiles(alpha=[0.25])
    expected = Forecaster(horizon=3, freq="M", **SMALL).fit(long_frame(y), **NAMES).predict(quantiles=[0.25])
    expected = expected.groupby("shop").tail(2)
    np.testing.assert_array_equal(predictions["sales"], expected["rekur"])
    np.testing.assert_array_equal(quantiles.to_numpy().ravel(), expected["rekur_ql0.25"])
    months = ["2017-02", "2017-03", "2018-02", "2018-03"]
    assert [str(month) for month in predictions.index.get_level_values("month")] == months
    assert list(predictions.index.get_level_values("shop")) == ["a", "a", "b", "b"]
    assert predictions.index.equals(quantiles.index)


def test_absolute_horizon_of_unequal_ends() -> None:
    """Absolute times are those times for every series, whatever its end."""
    y = panel({"a": 84, "b": 87})
    fh = ForecastingHorizon(pd.PeriodIndex(["2017-05"], freq="M"), is_relative=False)
    predictions = sktime.RekurForecaster(**SMALL).fit(y, fh=fh).predict()
    assert [str(month) for month in predictions.index.get_level_values("month")] == ["2017-05", "2017-05"]
    expected = Forecaster(horizon=2, freq="M", **SMALL).fit(long_frame(y), **NAMES).predict(h=5)
    expected = expected[expected["month"] == "2017-05-01"]
    np.testing.assert_array_equal(predictions["sales"], expected["rekur"])


def test_covariates_and_missing_values() -> None:
    """Numbers and labels, known for every step up to the last one; gaps in the values."""
    index = pd.date_range("2020-01-01", periods=130, freq="D", name="day")
    X = pd.DataFrame({"open": np.arange(130) % 3, "weather": pd.Categorical(np.tile(["sun", "rain"], 65))}, index)
    y = pd.Series(noisy_season(120) + X["open"].to_numpy()[:120], index[:120])
    y.iloc[40:50] = np.nan
    forecaster = sktime.RekurForecaster(season_length=12, **SMALL).fit(y, X.iloc[:120], fh=[3, 10])
    frame = X.rename_axis("ds").reset_index()
    expected = Forecaster(horizon=10, freq="D", season_length=12, **SMALL)
    expected.fit(frame.iloc[:120].assign(y=y.to_numpy()), futr_exog_list=["open", "weather"])
    np.testing.assert_array_equal(
        forecaster.predict(X=X.iloc[120:]), expected.predict(futr_df=frame.iloc[120:])["rekur"].iloc[[2, 9]]
    )
    with pytest.raises(DataError, match="absent"):
        forecaster.predict(X=X.iloc[[122, 129]])


@pytest.mark.parametrize("freq", ["D", "h", "MS", "W-MON"])
def test_panel_of_timestamps(freq: str) -> None:
    """Timestamps in a panel, whose index holds no frequency."""
    y = panel({"a": 84, "b": 84})
    index = pd.MultiIndex.from_product([["a", "b"], pd.date_range("2010-01-04", periods=84, freq=freq)])
    predictions = sktime.RekurForecaster(season_length=12, **SMALL).fit(y.set_axis(index), fh=[1, 3]).predict()
    expected = pd.date_range("2010-01-04", periods=87, freq=freq)[[84, 86]]
    assert predictions.index.equals(pd.MultiIndex.from_product([["a", "b"], expected]))


def test_update() -> None:
    """New values move the end; with `update_params` the networks train further."""
    y = pd.Series(noisy_season(130), pd.period_range("2010-01", periods=130, freq="M"))
    frame = pd.DataFrame({"ds": y.index.to_timestamp(), "y": y.to_numpy()})
    expected = Forecaster(horizon=2, freq="M", **SMALL).fit(frame[:120])
    forecaster = sktime.RekurForecaster(horizon=2, **SMALL).fit(y[:120]).update(y[120:], update_params=False)
    np.testing.assert_array_equal(forecaster.predict(fh=[1, 2]), expected.predict(frame)["rekur"])
    assert list(forecaster.predict().index) == list(pd.period_range("2020-11", periods=2, freq="M"))
    forecaster = sktime.RekurForecaster(horizon=2, **SMALL).fit(y[:120]).update(y[120:])
    np.testing.assert_array_equal(forecaster.predict(fh=[1, 2]), expected.fine_tune(frame).predict()["rekur"])


def test_update_with_another_series() -> None:
    """A series that appears in an update is forecast too."""
    y = panel({"a": 96, "b": 96, "c": 96})
    forecaster = sktime.RekurForecaster(horizon=1, **SMALL).fit(y.drop("b"))
    forecaster.update(y.loc[["b"]], update_params=False)
    predictions = forecaster.predict(fh=[1])
    assert list(predictions.index.get_level_values("shop")) == ["a", "b", "c"]
    assert list(predictions.index.get_level_values("month").astype(str)) == ["2018-01"] * 3


def test_series_that_are_too_short_are_named() -> None:
    """A panel is not silently forecast in part."""
    forecaster = sktime.RekurForecaster(**SMALL).fit(panel({"a": 84, "b": 2}), fh=[1])
    with pytest.raises(DataError, match="'b' cannot be forecast"):
        forecaster.predict()


@pytest.mark.parametrize("equal_lengths", [True, False])
def test_collections_equal_rekur(equal_lengths: bool) -> None:
    """Classifier and regressor on series of two variables."""
    lengths = np.full(30, 12) if equal_lengths else np.random.default_rng(1).integers(6, 13, size=30)
    array = np.random.default_rng(0).normal(size=(30, 12, 2)) * (np.arange(12) < lengths[:, None])[..., None]
    X = array.swapaxes(1, 2)
    if not equal_lengths:
        X = pd.concat({row: pd.DataFrame(array[row, :n]) for row, n in enumerate(lengths)})
    known = None if equal_lengths else lengths
    labels, values = np.where(array.sum(axis=(1, 2)) > 0, "up", "down"), array.mean(axis=(1, 2))
    classifier = Classifier(**SMALL).fit(array, labels, lengths=known)
    expected = classifier.predict_proba(array, lengths=known)
    np.testing.assert_array_equal(sktime.RekurClassifier(**SMALL).fit(X, labels).predict_proba(X), expected)
    regressor = Regressor(**SMALL).fit(array, values, lengths=known)
    np.testing.assert_array_equal(
        sktime.RekurRegressor(**SMALL).fit(X, values).predict(X), regressor.predict(array, lengths=known)
    )
