"""Regressor and Classifier in scikit-learn: its tools on arrays and lists, and its checks of an estimator."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

import rekur
from rekur import Classifier, Regressor, Training
from rekur.core import OptionError

TINY = {"hidden_size": 4, "num_layers": 1, "training": Training(max_epochs=2, learning_rate=0.01)}
KINDS = [Regressor, Classifier]
FORMS = ["array", "list"]


def data(kind: type, form: str) -> tuple[Any, np.ndarray]:
    """Thirty sequences of two columns, of one length or of several, and their targets."""
    rng = np.random.default_rng(0)
    lengths = np.full(30, 6) if form == "array" else rng.integers(3, 9, 30)
    x: Any = [rng.normal(size=(T, 2)) for T in lengths]
    y = np.array([sequence[:, 0].sum() for sequence in x])
    return (np.stack(x) if form == "array" else x), (y if kind is Regressor else np.where(y > 0, "up", "down"))


def outputs(model: Any, x: Any) -> np.ndarray:
    """What a model predicts, as exactly as it can."""
    return model.predict_proba(x) if is_classifier(model) else model.predict(x)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_cross_validation_and_grid_search(kind: type, form: str) -> None:
    """Over an argument of the constructor and over a field of an option value; the best of all is refitted."""
    x, y = data(kind, form)
    scores = cross_val_score(kind(**TINY), x, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    grid = {"hidden_size": [3, 5], "training__learning_rate": [1e-3, 0.02]}
    search = GridSearchCV(kind(**TINY), grid, cv=2, error_score="raise").fit(x, y)
    best = search.best_estimator_
    assert best.training.learning_rate == search.best_params_["training__learning_rate"]
    assert best.training.max_epochs == 2
    np.testing.assert_array_equal(search.predict(x), best.predict(x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_pipelines_clones_and_files(kind: type, form: str, tmp_path: Path) -> None:
    x, y = data(kind, form)
    model = kind(**TINY)
    with pytest.raises(NotFittedError, match="not fitted"):
        check_is_fitted(model)
    model.fit(x, y)
    check_is_fitted(model)
    assert is_regressor(model) == (kind is Regressor)
    assert is_classifier(model) == (kind is Classifier)
    pipeline = make_pipeline(FunctionTransformer(), kind(**TINY)).fit(x, y)
    np.testing.assert_array_equal(outputs(pipeline[-1], x), outputs(model, x))
    np.testing.assert_array_equal(outputs(clone(model).fit(x, y), x), outputs(model, x))
    np.testing.assert_array_equal(outputs(pickle.loads(pickle.dumps(model)), x), outputs(model, x))
    joblib.dump(model, tmp_path / "model.joblib")
    np.testing.assert_array_equal(outputs(joblib.load(tmp_path / "model.joblib"), x), outputs(model, x))


def test_an_estimator_that_is_not_fitted_raises_the_error_of_both() -> None:
    """It is ours, scikit-learn's, and it can be pickled."""
    for error in (NotFittedError, rekur.NotFittedError, OptionError, AttributeError):
        with pytest.raises(error, match="not fitted yet: call fit"):
            Regressor().predict(np.zeros((1, 2, 1)))
    with pytest.raises(NotFittedError) as raised:
        Classifier().predict(np.zeros((1, 2, 1)))
    assert isinstance(pickle.loads(pickle.dumps(raised.value)), rekur.NotFittedError)


def test_parameters_of_option_values() -> None:
    """`training__batch_size` reads and changes one field; the others stay those of the task."""
    model = Classifier(training=Training(batch_size=8))
    assert model.get_params()["training__batch_size"] == 8
    assert "training__batch_size" not in model.get_params(deep=False)
    model.set_params(training__learning_rate=1e-3, hidden_size=3)
    assert (model.training.explicit, model.hidden_size) == (("batch_size", "learning_rate"), 3)
    assert Classifier().set_params(training__patience=2).training == Training(patience=2)
    assert rekur.Translator().set_params(generation__num_beams=2).generation.num_beams == 2
    with pytest.raises(OptionError, match="no field 'rate'"):
        model.set_params(training__rate=1.0)
    with pytest.raises(OptionError, match="has no fields"):
        model.set_params(cell__size=1)
    with pytest.raises(OptionError, match="no parameter 'hidden'"):
        model.set_params(hidden=1)


def test_a_matrix_is_read_as_sequences_of_one_step() -> None:
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    model = Regressor(**TINY).fit(x, y)
    np.testing.assert_array_equal(model.predict(x), model.predict(x[:, None, :]))
    np.testing.assert_array_equal(model.predict(x), model.predict(x.tolist()))
    assert model.n_features_in_ == 3


def test_weights_of_rows() -> None:
    """A row of weight zero changes neither loss nor gradient; weights are checked."""
    x, y = data(Regressor, "array")
    weight = np.where(np.arange(30) < 20, 1.0, 0.0)
    other = np.where(weight > 0, y, 1e3)
    training = Training(max_epochs=2, batch_size=30)
    one, two = (Regressor(hidden_size=4, training=training).fit(x, each, weight) for each in (y, other))
    np.testing.assert_array_equal(one.predict(x), two.predict(x))
    assert Regressor(hidden_size=4, training=training).fit(x, y).predict(x).tolist() != one.predict(x).tolist()
    labels = np.where(y > 0, "up", "down")
    flipped = np.where(weight > 0, labels, np.where(labels == "up", "down", "up"))
    first, second = (Classifier(**TINY, dropout=0.0).fit(x, each, weight) for each in (labels, flipped))
    np.testing.assert_array_equal(first.predict_proba(x), second.predict_proba(x))
    for wrong in (np.ones(29), -np.ones(30), np.zeros(30)):
        with pytest.raises(rekur.DataError, match="sample_weight must be 30 numbers"):
            Regressor(**TINY).fit(x, y, wrong)


def test_what_a_notebook_shows() -> None:
    x, y = data(Classifier, "list")
    assert "not fitted" in Classifier()._repr_html_()
    page = Classifier(**TINY).fit(x, y, validation=0.2)._repr_html_()
    for text in ("Classifier of numbers", "24 sequences", "1 - accuracy", "baseline", "of 6 held out", "max_epochs=2"):
        assert text in page
    assert repr(Classifier(training=Training(batch_size=8))) == "Classifier(training=Training(batch_size=8))"


NEED_TRAINING = {"check_regressors_train", "check_classifiers_train", "check_class_weight_classifiers"}
"""Checks that two epochs of a tiny network may fail or pass; more epochs pass them below."""

COMMON = {
    "check_n_features_in_after_fitting": "the error names the columns of a step, in words of sequences",
    "check_dtype_object": "an object that is no number is a DataError, a ValueError, not a TypeError",
    "check_estimators_empty_data_messages": "the error names the shape of the sequences",
    "check_sample_weight_equivalence_on_dense_data": "a row of weight zero still takes a place in a batch",
}
FAILING: dict[type, dict[str, str]] = {
    Regressor: COMMON
    | {
        "check_regressors_train": "two epochs are too few to learn",
        "check_regressor_multioutput": "networks compute and predict in float32, not in float64",
    },
    Classifier: COMMON
    | {
        "check_classifiers_train": "two epochs are too few to learn",
        "check_class_weight_classifiers": "two epochs are too few to learn",
        "check_supervised_y_2d": "labels have one axis; a column of labels is an error that says so",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_checks_of_scikit_learn(kind: type) -> None:
    """All pass but those of the table, each with its reason, and one that needs a setting of scipy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = estimator_checks.check_estimator(
            kind(**TINY), expected_failed_checks=FAILING[kind], on_fail=None, on_skip=None
        )
    by_status: dict[str, set[str]] = {}
    for result in results:
        by_status.setdefault(result["status"], set()).add(result["check_name"])
    assert by_status.get("failed", set()) == set()
    assert by_status["xfail"] - NEED_TRAINING == set(FAILING[kind]) - NEED_TRAINING
    assert by_status.get("skipped", set()) <= {"check_array_api_input"}
    assert sum(result["status"] == "passed" for result in results) >= 50


@pytest.mark.slow
def test_checks_of_scikit_learn_that_need_training() -> None:
    regressor = Regressor(hidden_size=32, training=Training(max_epochs=150, learning_rate=0.02))
    classifier = Classifier(hidden_size=16, num_layers=1, training=Training(max_epochs=30, learning_rate=0.01))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator_checks.check_regressors_train("Regressor", regressor)
        estimator_checks.check_classifiers_train("Classifier", classifier)
        estimator_checks.check_class_weight_classifiers("Classifier", classifier)


def test_scaled_features_in_a_pipeline() -> None:
    """A scaler of columns before a classifier of sequences of one step."""
    x, y = np.random.default_rng(0).normal(5, 3, size=(60, 3)), np.arange(60) % 2
    assert 0 <= make_pipeline(StandardScaler(), Classifier(**TINY)).fit(x, y).score(x, y) <= 1
