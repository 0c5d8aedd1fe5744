"""aeon's estimator checks on the adapters to it, and their results beside those of rekur's own estimators."""

from __future__ import annotations

import doctest
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from aeon.testing.estimator_checking import parametrize_with_checks

from rekur import Classifier, Forecaster, Regressor
from rekur.interop import aeon
from rekur.training.config import Training

SMALL = {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=1)}


@parametrize_with_checks([aeon.RekurForecaster, aeon.RekurClassifier, aeon.RekurRegressor])
def test_estimator_checks(check: Callable[[], None]) -> None:
    """Every check that applies to the kind of estimator."""
    check()


def test_docstrings() -> None:
    """The examples of the module."""
    result = doctest.testmod(aeon)
    assert result.attempted > 0
    assert result.failed == 0


def noisy_season(n: int) -> np.ndarray:
    """A season of 12 steps with noise, (n,)."""
    return np.sin(np.arange(n) * np.pi / 6) + np.random.default_rng(0).normal(scale=0.1, size=n)


def test_forecaster_equals_rekur() -> None:
    """The value `horizon` steps ahead, of the fitted series and of another one, and all steps at once."""
    y, other = noisy_season(120), noisy_season(90) + 1
    forecaster = aeon.RekurForecaster(horizon=3, season_length=12, **SMALL).fit(y)
    frames = [pd.DataFrame({"ds": np.arange(len(values)), "y": values}) for values in (y, other)]
    expected = Forecaster(horizon=3, freq=1, season_length=12, **SMALL).fit(frames[0])
    assert forecaster.forecaster_.ensemble_.networks
    assert forecaster.predict(y) == expected.predict()["rekur"].iloc[-1]
    assert forecaster.predict(other) == expected.predict(frames[1])["rekur"].iloc[-1]
    steps = aeon.RekurForecaster(season_length=12, **SMALL).series_to_series_forecast(y, 3)
    np.testing.assert_array_equal(steps, expected.predict()["rekur"])


def test_forecaster_with_missing_values() -> None:
    """Missing values need no imputation."""
    y = noisy_season(120)
    y[50:60] = np.nan
    assert abs(aeon.RekurForecaster(season_length=12, **SMALL).forecast(y)) < 1.5


@pytest.mark.parametrize("equal_lengths", [True, False])
def test_collections_equal_rekur(equal_lengths: bool) -> None:
    """Classifier and regressor on series of two channels."""
    lengths = np.full(30, 12) if equal_lengths else np.random.default_rng(1).integers(6, 13, size=30)
    array = np.random.default_rng(0).normal(size=(30, 12, 2)) * (np.arange(12) < lengths[:, None])[..., None]
    X = array.swapaxes(1, 2) if equal_lengths else [row[:n].T for row, n in zip(array, lengths, strict=True)]
    known = None if equal_lengths else lengths
    labels, values = np.where(array.sum(axis=(1, 2)) > 0, "up", "down"), array.mean(axis=(1, 2))
    classifier = Classifier(**SMALL).fit(array, labels, lengths=known)
    expected = classifier.predict_proba(array, lengths=known)
    np.testing.assert_array_equal(aeon.RekurClassifier(**SMALL).fit(X, labels).predict_proba(X), expected)
    regressor = Regressor(**SMALL).fit(array, values, lengths=known)
    np.testing.assert_array_equal(
        aeon.RekurRegressor(**SMALL).fit(X, values).predict(X), regressor.predict(array, lengths=known)
    )
