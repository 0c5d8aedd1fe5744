"""The adapters to other libraries: what can be tested without these libraries (tests/referees tests the rest)."""

from __future__ import annotations

import importlib
import inspect
import sys

import numpy as np
import pandas as pd
import pytest

from rekur import Classifier, Regressor
from rekur.core import MissingDependencyError
from rekur.interop.panels import ClassifierAdapter, RegressorAdapter, padded, shared_parameters
from rekur.training.config import Training


@pytest.mark.parametrize("name", ["aeon", "sktime"])
def test_missing_library_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library, the import says what to install."""
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"rekur.interop.{name}", raising=False)
    with pytest.raises(MissingDependencyError, match=f"pip install {name}"):
        importlib.import_module(f"rekur.interop.{name}")


@pytest.mark.parametrize(("adapter", "estimator"), [(ClassifierAdapter, Classifier), (RegressorAdapter, Regressor)])
def test_parameters_are_those_of_rekur(adapter: type, estimator: type) -> None:
    """The same names, in the same order, with the same values."""
    assert list(inspect.signature(adapter).parameters) == list(inspect.signature(estimator).parameters)
    parameters = shared_parameters(adapter(), estimator)
    assert estimator(**parameters).get_params() == estimator().get_params()
    assert shared_parameters(adapter(hidden_size=3), estimator)["hidden_size"] == 3


def test_padded() -> None:
    """Arrays of channels before time and frames of time before channels give the same batch."""
    series = [np.arange(2.0 * n).reshape(2, n) for n in (3, 5)]
    array, lengths = padded(series)
    other, others = padded([pd.DataFrame(each.T) for each in series])
    assert array.shape == (2, 5, 2)
    np.testing.assert_array_equal(array[0, :3].T, series[0])
    np.testing.assert_array_equal(array[0, 3:], 0)
    np.testing.assert_array_equal(array, other)
    assert lengths is not None
    assert others is not None
    assert lengths.tolist() == others.tolist() == [3, 5]
    assert padded([series[1], series[1]])[1] is None


def test_padding_reaches_no_result() -> None:
    """A series is classified and its value predicted alike alone and beside a longer one."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(2, n)) for n in rng.integers(4, 9, size=20)]
    y = np.array([each.mean() for each in X])
    options = {"hidden_size": 4, "training": Training(max_epochs=1)}
    regressor = RegressorAdapter(**options)._fit(X, y)
    classifier = ClassifierAdapter(**options)._fit(X, y > 0)
    np.testing.assert_allclose(regressor._predict(X)[:1], regressor._predict(X[:1]), rtol=1e-5)
    np.testing.assert_allclose(classifier._predict_proba(X)[:1], classifier._predict_proba(X[:1]), rtol=1e-5)
