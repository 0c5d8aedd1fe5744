"""Regressor and Classifier: arrays in, arrays out, in the manner of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone

import rekur
from rekur import Classifier, Regressor
from rekur.core import DataError, OptionError
from rekur.training.config import Training

T, N = 12, 240


@pytest.fixture(scope="module")
def wave() -> tuple[np.ndarray, np.ndarray]:
    """Windows (N, T, 1) of a noisy sine and the value after each (N,)."""
    y = np.sin(np.arange(N + T) / 3) + 0.05 * np.random.default_rng(0).normal(size=N + T)
    return np.lib.stride_tricks.sliding_window_view(y, T)[:N, :, None], y[T : T + N]


def signs(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (n, 9, 2) and whether their first column sums above zero."""
    x = np.random.default_rng(1).normal(size=(n, 9, 2))
    return x, np.where(x[:, :, 0].sum(1) > 0, "up", "down")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_textbook_program_learns(wave: tuple, cell: str) -> None:
    """Three lines: construct, fit, predict; far better than repeating the last value."""
    x, y = wave
    model = Regressor(cell=cell, hidden_size=32)
    model.fit(x[:180], y[:180], epochs=30)
    predicted = model.predict(x[180:])
    assert predicted.shape == (60,)
    assert ((predicted - y[180:]) ** 2).mean() < 0.3 * ((x[180:, -1, 0] - y[180:]) ** 2).mean()
    assert model.score(x[180:], y[180:]) > 0.9


def test_a_target_of_several_values_and_of_sequences(wave: tuple) -> None:
    x, y = wave
    two = Regressor(hidden_size=8).fit(x, np.stack([y, -y], 1), epochs=1)
    assert two.predict(x).shape == (N, 2)
    each = Regressor(hidden_size=8, bidirectional=True, num_layers=2).fit(x, np.repeat(x, 3, axis=2), epochs=1)
    assert each.predict(x).shape == (N, T, 3)


def test_what_stands_beyond_the_length_changes_nothing(wave: tuple) -> None:
    x, y = wave
    lengths = np.random.default_rng(2).integers(1, T + 1, N)
    other = np.where((np.arange(T) < lengths[:, None])[..., None], x, 99.0)
    fitted = [Regressor(hidden_size=8).fit(data, y, lengths=lengths, epochs=2) for data in (x, other)]
    np.testing.assert_array_equal(fitted[0].predict(x, lengths=lengths), fitted[1].predict(other, lengths=lengths))
    steps = [Regressor(hidden_size=8).fit(d, d.copy() * 0 + x, lengths=lengths, epochs=2) for d in (x, other)]
    assert steps[0].history_[-1]["mean_loss"] == pytest.approx(steps[1].history_[-1]["mean_loss"], rel=1e-6)


def test_the_classifier_learns_and_names_its_classes() -> None:
    x, y = signs()
    model = Classifier(hidden_size=16).fit(x[:150], y[:150], epochs=40)
    assert model.classes_.tolist() == ["down", "up"]
    assert model.score(x[150:], y[150:]) > 0.85
    np.testing.assert_allclose(model.predict_proba(x).sum(1), 1, atol=1e-6)
    model.fit(x, y, validation=(x[:2], ["up", "sideways"]), epochs=1)
    assert "'sideways' once" in model.notes_[0]


@pytest.mark.parametrize("kind", [Regressor, Classifier])
def test_the_manner_of_scikit_learn(kind: type) -> None:
    """Arguments are stored and nothing else; clone, get_params and set_params work; fit returns the model."""
    model = kind(hidden_size=5, random_state=3)
    assert vars(model) == model.get_params(deep=False)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(hidden_size=6).hidden_size == 6
    with pytest.raises(OptionError, match="hidden"):
        model.set_params(hiden=6)
    with pytest.raises(OptionError, match="not fitted"):
        model.predict(np.zeros((1, 2, 1)))
    x, y = signs(20)
    target = y if kind is Classifier else x[:, 0, 0]
    before = dict(model.get_params())
    assert model.fit(x, target, epochs=1) is model
    assert model.get_params() == before


@pytest.mark.parametrize("kind", [Regressor, Classifier])
def test_the_same_seed_gives_the_same_numbers_and_files_keep_them(kind: type, tmp_path: Path) -> None:
    x, y = signs(60)
    target = y if kind is Classifier else x[:, 0]

    def outputs(model: object) -> np.ndarray:
        return model.predict_proba(x) if kind is Classifier else model.predict(x)

    one, two, other = (
        kind(hidden_size=7, num_layers=2, dropout=0.2, random_state=s).fit(x, target, epochs=3) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(outputs(one), outputs(two))
    assert not np.array_equal(outputs(one), outputs(other))
    one.save(tmp_path / "m")
    loaded = rekur.load(tmp_path / "m")
    assert type(loaded) is kind
    assert loaded.get_params() == one.get_params()
    np.testing.assert_array_equal(outputs(loaded), outputs(one))


def test_early_stopping_on_a_validation_part(wave: tuple) -> None:
    x, y = wave
    model = Regressor(hidden_size=16, training=Training(max_epochs=200, learning_rate=0.01, patience=3)).fit(
        x, y, validation=0.25
    )
    losses = [r["val_loss"] for r in model.history_]
    assert len(losses) < 200
    assert len(losses) - 1 - int(np.argmin(losses)) == 3
    held = ((model.predict(x[180:]) - y[180:]) ** 2).mean() / y[:180].var()  # of standardized targets
    assert held == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (np.zeros(4), np.zeros(4), r"axes \(B, T, I\)"),
        (np.zeros((4, 3, 1, 1)), np.zeros(4), r"axes \(B, T, I\)"),
        (np.zeros((0, 3, 1)), np.zeros(0), "empty"),
        (np.zeros((4, 3, 1)), np.zeros(5), "4 rows but y has 5"),
        (np.zeros((4, 3, 1)), np.zeros((4, 2, 1)), "3 steps but y has 2"),
        ([["a"]], [0.0], "cannot be read as numbers"),
        (np.full((4, 3, 1), np.nan), np.zeros(4), "B=0, T=0, I=0"),
    ],
)
def test_shapes_and_values_that_do_not_fit_are_refused(x: object, y: object, text: str) -> None:
    with pytest.raises(DataError, match=text):
        Regressor().fit(x, y)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cell": "gur"}, "'gru'"),
        ({"hidden_size": 0}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"loss": "l3"}, "'mse'"),
    ],
)
def test_options_that_are_not_known_are_listed(options: dict, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Regressor(**options).fit(np.zeros((4, 3, 1)), np.zeros(4))


def test_lengths_and_columns_are_checked(wave: tuple) -> None:
    x, y = wave
    with pytest.raises(DataError, match="lengths"):
        Regressor().fit(x, y, lengths=np.zeros(N, int))
    model = Regressor(hidden_size=4).fit(x, y, epochs=1)
    with pytest.raises(DataError, match="2 columns, but the model was fitted with 1"):
        model.predict(np.zeros((1, 3, 2)))


def test_one_step_and_one_row_work() -> None:
    model = Regressor(hidden_size=3).fit(np.ones((1, 1, 1)), np.ones(1), epochs=1)
    assert model.predict(np.ones((1, 1, 1))).shape == (1,)
    assert not torch.is_grad_enabled() or model.net_.training is False


def test_a_refused_fit_leaves_the_model_as_it_was(wave: tuple) -> None:
    x, y = wave
    model = Regressor(hidden_size=4).fit(x, y, epochs=1)
    before = model.predict(x)
    with pytest.raises(DataError):
        model.fit(x[:0], y[:0])
    np.testing.assert_array_equal(model.predict(x), before)


def test_score_counts_valid_steps_only(wave: tuple) -> None:
    x, _ = wave
    lengths = np.full(N, 5)
    model = Regressor(hidden_size=4).fit(x, x, lengths=lengths, epochs=1)
    other = np.where((np.arange(T) < 5)[:, None], x, 1e6)
    assert model.score(x, other, lengths=lengths) == pytest.approx(model.score(x, x, lengths=lengths))
    with pytest.raises(DataError, match="shape"):
        model.score(x, x[:, 0])


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, True])
def test_seeds_are_checked(seed: object) -> None:
    with pytest.raises(OptionError, match="random_state"):
        Regressor(random_state=seed).fit(np.zeros((4, 3, 1)), np.zeros(4))


def test_sequences_of_unequal_length_are_read_as_padded_ones(wave: tuple) -> None:
    """A list and an array with lengths give the same numbers, for values and for values of each step."""
    x, y = wave
    lengths = np.random.default_rng(2).integers(1, T + 1, N)
    rows = [row[:n] for row, n in zip(x, lengths, strict=True)]
    for target, targets in ((y, y), (x, rows)):
        padded = Regressor(hidden_size=4).fit(x, target, lengths=lengths, validation=0.2, epochs=2)
        ragged = Regressor(hidden_size=4).fit(rows, targets, validation=0.2, epochs=2)
        assert padded.history_[-1]["val_loss"] == ragged.history_[-1]["val_loss"]
        np.testing.assert_array_equal(padded.predict(x, lengths=lengths), ragged.predict(rows))
        assert padded.evaluate(x, target, lengths=lengths) == ragged.evaluate(rows, targets)
    steps = ragged.predict(rows)
    assert (np.isnan(steps[..., 0]) == (np.arange(T) >= lengths[:, None])).all()


def test_scores_of_a_regressor_stand_beside_those_of_the_mean(wave: tuple) -> None:
    x, y = wave
    model = Regressor(hidden_size=16).fit(x, y, epochs=10, validation=0.25)
    scores = model.evaluate(x, y)
    assert scores["r2"] == pytest.approx(model.score(x, y))
    assert scores["rmse"] == pytest.approx(((model.predict(x) - y) ** 2).mean() ** 0.5)
    assert scores["baseline_rmse"] == pytest.approx(y.std(), rel=1e-3)
    record = model.fit_record_
    assert (record.rows, record.validation_rows) == (180, 60)
    assert record.error == min(r["val_loss"] for r in model.history_) < record.baseline_error


def test_weights_of_labels_that_are_numbers_come_back_from_a_file(tmp_path: Path) -> None:
    x, y = signs(40)
    model = Classifier(hidden_size=4, class_weight={0: 1.0, 1: 2.0}).fit(x, (y == "up").astype(int), epochs=1)
    model.save(tmp_path / "m")
    assert rekur.load(tmp_path / "m").class_weight == {0: 1.0, 1: 2.0}


def test_what_a_classifier_cannot_learn_is_refused() -> None:
    x, y = signs(20)
    with pytest.raises(DataError, match="continuous"):
        Classifier().fit(x, x[:, 0, 0])
    with pytest.raises(OptionError, match="bptt"):
        Classifier(training=Training(bptt=3)).fit(x, y)
    with pytest.raises(DataError, match="sparse"):
        Classifier().fit(scipy.sparse.eye(20).tocsr(), y)
    with pytest.raises(DataError, match="Complex"):
        Classifier().fit(x + 1j, y)
