"""Laws of all estimators of the registry: loaded equals fitted, no parameter is ignored, held-out rows stay unread."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.cli import sequence as commands
from rekur.cli.options import FitOptions, Outputs
from rekur.core import RekurError
from rekur.data.ingest.delimited import ReadOptions
from rekur.inputs.datasets import Dataset, DatasetColumns
from rekur.inputs.numbers import Numbers
from rekur.inputs.text import Text
from rekur.inputs.words import Words
from rekur.registry import COMMANDS, TASKS
from rekur.sequence.generation import GenerationConfig
from rekur.training.config import Training
from rekur.training.progress import Progress

TRAINING = Training(max_epochs=2, batch_size=8, learning_rate=0.02, schedule="constant")
SIZES = {"hidden_size": 4, "num_layers": 1}
GENERATION = GenerationConfig(max_length=6, num_beams=3)
WORDS = ("one", "Two", "two", "four")


def numbers(n: int = 30, steps: int = 6) -> list[np.ndarray]:
    """Sequences of two columns and unequal length."""
    rng = np.random.default_rng(0)
    return [rng.normal(3, 2, size=(int(T), 2)).round(3) for T in rng.integers(steps, steps + 4, n)]


def texts(n: int = 30) -> list[str]:
    """Sentences of a few words."""
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(WORDS, int(T))) for T in rng.integers(2, 6, n)]


def up_or_down() -> list[str]:
    """A label for each of `numbers`."""
    return ["up" if x[:, 0].mean() > 3 else "down" for x in numbers()]


def series() -> pd.DataFrame:
    """Two daily series of counts."""
    t, rng = np.arange(90), np.random.default_rng(2)
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range("2024-01-01", periods=90),
                "y": level + (3 * np.sin(t / 7 * 2 * np.pi) + rng.normal(size=90)).round(),
            }
        )
        for name, level in (("a", 9), ("b", 20))
    ]
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Case:
    """An estimator with small sizes, training data, held-out data, outputs, and another value of each parameter.

    A parameter with a key of `given` is changed in a model with these other parameters, where it has an effect.
    """

    parameters: Mapping[str, Any]
    train: tuple[Any, ...]
    held: tuple[Any, ...]
    outputs: Callable[[Any, Any], Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def predictions(model: Any, x: Any) -> Any:
    """Predictions, as exactly as the model can give them."""
    return (
        np.asarray(model.predict_proba(x)).tolist() if hasattr(model, "predict_proba") else as_lists(model.predict(x))
    )


def as_lists(values: Any) -> Any:
    """Arrays as lists that can be compared by ==, with 0 for NaN."""
    return np.nan_to_num(values).tolist() if isinstance(values, np.ndarray) else values


def parts(x: list[Any], y: list[Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Two thirds to train on, a third held out."""
    return (x[:20], y[:20]), (x[20:], y[20:])


COMMON = {
    "cell": "rnn",
    "hidden_size": 5,
    "num_layers": 2,
    "bidirectional": True,
    "dropout": 0.35,  # no default
    "random_state": 1,
    "training": Training(max_epochs=1, batch_size=8),
    "training__max_epochs": 1,
    "training__batch_size": 5,
    "training__learning_rate": 1e-3,
    "training__optimizer": "sgd",
    "training__weight_decay": 0.5,
    "training__gradient_clip": 1e-3,
    "training__schedule": "cosine",
    "training__warmup": 0.5,
    "training__patience": 1,
    "training__bptt": 3,
    "training__ema_decay": 0.9,
    "training__max_seconds": 1e-9,
    "input__scale": "none",
    "input__deltas": True,
    "input__vocabulary_size": 7,
    "input__pieces": "char",
    "input__lowercase": True,
    "input__max_length": 1,
    "input__min_count": 99,
    "input__max_letters": 1,
    "generation": GenerationConfig(max_length=2),
    "generation__attention": "additive",
    "generation__copy": True,
    "generation__coverage": 1.0,
    "generation__scheduled_sampling": 0.7,
    "generation__label_smoothing": 0.5,
    "generation__num_beams": 1,
    "generation__length_penalty": 9.0,
    "generation__no_repeat_ngram": 1,
    "generation__max_length": 2,
    "generation__metric": "rouge",
}
"""Another value of each parameter than that of the cases."""

NUMBERS, TEXT = Numbers(), Text(pieces="word", vocabulary_size=40)
SLOW = {"training__max_epochs": 3, "training__learning_rate": 1e-12}
GIVEN = {"training__patience": SLOW}
"""Nothing improves at such a learning rate."""


@cache
def cases() -> dict[str, Case]:
    """A case for each estimator."""
    x, labels, sentences = numbers(), up_or_down(), texts()
    long = numbers(steps=20)
    reverse = [" ".join(reversed(text.split())) for text in sentences]
    words = [text.split() for text in sentences]
    tags = [["B-odd" if word in ("one", "Two") else "O" for word in row] for row in words]
    small = {**SIZES, "training": TRAINING}
    writing = {**small, "generation": GENERATION, "training": TRAINING.replace(learning_rate=0.05)}
    frame = series()
    last = frame.groupby("unique_id").tail(7)
    return {
        "Forecaster": Case(
            {
                "horizon": 7,
                **SIZES,
                "training": Training(
                    max_epochs=1, batch_size=8, learning_rate=5e-3, optimizer="adam", schedule="constant"
                ),
            },
            (frame.drop(last.index),),
            (last,),
            lambda model, x: model.predict(level=[80]).drop(columns=["unique_id", "ds"]).to_numpy().tolist(),
            {
                "horizon": 3,
                "freq": "W",
                "season_length": 5,
                "training": Training(max_epochs=2, batch_size=8),
                "training__max_epochs": 2,
                "ensemble_size": 2,
                "likelihood": "student_t",
                "select": "naive",
            },
            {**GIVEN, "training__max_seconds": {"training__max_epochs": 2}},
        ),
        "Regressor": Case(
            {**small, "input": NUMBERS},
            *parts(x, [row[:, :1] ** 2 for row in x]),
            predictions,
            {"loss": "mae", "target_scale": "none", "input": Numbers(scale="none")},
            GIVEN,
        ),
        "Classifier": Case(
            {**small, "bidirectional": False, "input": NUMBERS},
            *parts(x, labels),
            predictions,
            {"class_weight": {"down": 1.0, "up": 3.0}, "input": Numbers(scale="none")},
            GIVEN,
        ),
        "Tagger": Case(
            {**small, "input": Words()},
            *parts(words, tags),
            predictions,
            {"crf": False, "input": Words(min_count=99)},
            GIVEN,
        ),
        "Translator": Case(
            {**writing, "input": TEXT}, *parts(sentences, reverse), predictions, {"input": Text(pieces="char")}, GIVEN
        ),
        "Transcriber": Case(
            {**small, "bidirectional": False, "input": NUMBERS},
            *parts(long, [label[:2] for label in labels]),
            predictions,
            {"input": Numbers(scale="none"), "units": "word"},
            GIVEN,
        ),
        "Captioner": Case(
            {**writing, "input": NUMBERS},
            *parts(x, sentences),
            predictions,
            {"input": Numbers(scale="none")},
            GIVEN,
        ),
        "LanguageModel": Case(
            {
                **SIZES,
                "training": Training(max_epochs=2, batch_size=4, learning_rate=0.02, bptt=4, schedule="constant"),
                "input": TEXT,
            },
            (sentences[:20],),
            (sentences[20:],),
            lambda model, x: [model.perplexity(x), model.sample("one", 8)],
            {"input": Text(pieces="char")},
            GIVEN,
        ),
    }


def fitted(name: str, **changes: Any) -> Any:
    """The estimator of a case with some parameters changed, fitted with the held-out data as validation."""
    case = cases()[name]
    model = TASKS[name].estimator_class()(**case.parameters).set_params(**changes)
    if name == "Forecaster":
        return model.fit(*case.train, progress=False)
    validation = case.held if len(case.held) > 1 else case.held[0]
    return model.fit(*case.train, validation=validation, progress=False)


def observed(name: str, model: Any) -> Any:
    """Outputs, weights, losses, notes and scores of a model."""
    case = cases()[name]
    history = [{key: value for key, value in record.items() if key != "seconds"} for record in model.history_]
    scores = model.evaluate(*case.held) if hasattr(model, "evaluate") else None
    weights = (
        [float(p.detach().double().abs().sum()) for p in model.net_.parameters()] if hasattr(model, "net_") else []
    )
    return case.outputs(model, case.held[0]), weights, history, model.notes_, scores


@cache
def reference(name: str) -> tuple[Any, Any]:
    """The fitted estimator of a case, and what is observed of it."""
    model = fitted(name)
    return model, observed(name, model)


def test_each_estimator_has_a_case() -> None:
    assert set(cases()) == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_loaded_equals_fitted(name: str, tmp_path: Path) -> None:
    """To the last bit, from a folder and from a pickle."""
    model, seen = reference(name)
    model.save(tmp_path / "m")
    for again in (rekur.load(tmp_path / "m"), pickle.loads(pickle.dumps(model))):
        assert type(again) is type(model)
        assert again.get_params() == model.get_params()
        assert observed(name, again) == seen


@pytest.mark.parametrize("name", TASKS)
def test_each_parameter_changes_something_or_is_refused(name: str) -> None:
    """Each constructor parameter and each field of its options; a new one needs a value in the table."""
    case = cases()[name]
    before = reference(name)[1]
    values = {**COMMON, **case.changes}
    model = TASKS[name].estimator_class()(**case.parameters)
    without = sorted(set(model.get_params()) - set(values))
    assert not without, f"no other value is given for {without}"
    ignored = []
    for key in model.get_params():
        given = case.given.get(key, {})
        if values[key] == model.get_params()[key]:
            raise AssertionError(f"{key} is not changed by {values[key]!r}")
        unchanged = observed(name, fitted(name, **given)) if given else before
        try:
            if observed(name, fitted(name, **given, **{key: values[key]})) == unchanged:
                ignored.append(key)
        except RekurError:  # refused
            continue
    assert ignored == [], ignored


@pytest.mark.parametrize("name", [name for name in TASKS if name != "Forecaster"])
@pytest.mark.parametrize("built_in", [False, True], ids=["data", "share"])
def test_nothing_is_learned_from_validation_rows(name: str, built_in: bool) -> None:
    """Vocabularies, statistics and codecs are those of the training rows; so are the losses of training."""
    case = cases()[name]
    models = []
    for held in (case.held, tuple(part[::-1] for part in case.train)):
        model = TASKS[name].estimator_class()(**case.parameters)
        if built_in and model.split == "last":
            data = [[*rows, *others[:10]] for rows, others in zip(case.train, held, strict=True)]
            models.append(model.fit(*data, validation=1 / 3, progress=False))
        elif not built_in:
            validation = held if len(held) > 1 else held[0]
            models.append(model.fit(*case.train, validation=validation, progress=False))
        else:
            models.append(fit_with_held_out_rows_replaced(model, case, held is case.held))
    one, two = models
    assert one.reader_.describe() == two.reader_.describe()
    assert all((tensor == two.reader_.tensors()[key]).all() for key, tensor in one.reader_.tensors().items())
    assert one.codec_.describe() == two.codec_.describe()
    assert {key: tensor.tolist() for key, tensor in one.codec_.tensors().items()} == {
        key: tensor.tolist() for key, tensor in two.codec_.tensors().items()
    }
    assert [r["mean_loss"] for r in one.history_] == [r["mean_loss"] for r in two.history_]


def twice(value: Any) -> Any:
    """A text, words or steps, and the same again."""
    if isinstance(value, str):
        return f"{value} {value}"
    return [*value, *value] if isinstance(value, list) else np.concatenate([value, value])


def fit_with_held_out_rows_replaced(model: Any, case: Case, original: bool) -> Any:
    """Fit to the training rows and ten more; the rows held out at random are those of the data, or others."""
    from rekur.data.validation import equal_rows
    from rekur.sequence.targets import split_rows

    x, y = ([*rows, *others] for rows, others in zip(case.train, case.held, strict=True))
    different = np.unique(equal_rows(x), return_index=True)[1]  # equal rows are held out together
    x, y = ([rows[k] for k in sorted(different)] for rows in (x, y))
    labels = np.asarray(y) if model.split == "stratified" else None
    _, held = split_rows(len(x), 1 / 3, model.random_state, model.split, labels)
    if not original:
        for row in held:
            x[row] = twice(x[row])  # equal to no training row, which would be held out with it
            y[row] = y[row] if model.split == "stratified" else twice(y[row])
    return model.fit(x, y, validation=1 / 3, progress=False)


@pytest.mark.parametrize("name", TASKS)
def test_predictions_and_scores_change_no_model(name: str, tmp_path: Path) -> None:
    model, seen = reference(name)
    model.save(tmp_path / "before")
    assert observed(name, model) == seen
    model.save(tmp_path / "after")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "before" / file).read_bytes() == (tmp_path / "after" / file).read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
def test_fit_is_not_shown_the_test_part(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of `rekur fit`, with test data and with a tenth of the data held out."""
    task = COMMANDS[command]
    case, kind = cases()[task.estimator], task.estimator_class()
    seen: list[Any] = []
    whole = kind.fit

    def spied(self: Any, x: Any, *rest: Any, **options: Any) -> Any:
        assert "validation" not in options
        seen.extend(x)
        return whole(self, x, *rest, **options)

    monkeypatch.setattr(kind, "fit", spied)

    def read(source: str, *_: object) -> Dataset:
        x, *y = case.train if source == "train" else case.held
        x = [row.copy() if isinstance(row, np.ndarray) else type(row)(row) for row in x]
        return Dataset(x, y[0] if y else None, [f"row {k}" for k in range(len(x))])

    monkeypatch.setattr(commands, "read_examples", read)
    monkeypatch.setattr(commands, "build", lambda *_: kind(**case.parameters))
    for test in (None, "test"):
        seen.clear()
        scored: list[Any] = []
        compare = kind.compare
        with monkeypatch.context() as patched, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            patched.setattr(
                kind,
                "compare",
                lambda self, x, *y: (scored.extend(x), compare(self, x, *y))[1],  # noqa: B023
            )
            commands.fit(command, "train", DatasetColumns(), test, FitOptions(), Outputs(), ReadOptions())
        assert len(scored) == (2 if test is None else 10)
        assert len(seen) == (18 if test is None else 20)
        assert not {id(row) for row in seen} & {id(row) for row in scored} or isinstance(seen[0], str)
    assert "scores of" in capsys.readouterr().out


def test_a_forecast_does_not_depend_on_the_rows_that_test_it() -> None:
    """Other values in the last window change no forecast of it."""
    case = cases()["Forecaster"]
    frame = series()
    other = frame.copy()
    other.loc[case.held[0].index, "y"] += 50.0
    forecasts = [
        rekur.Forecaster(**case.parameters).cross_validation(df, n_windows=1, progress=False)["rekur"].tolist()
        for df in (frame, other)
    ]
    assert forecasts[0] == forecasts[1]


@pytest.mark.parametrize("name", TASKS)
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unfitted, or as fitted before; with a checkpoint the training resumes with the same numbers."""
    case = cases()[name]

    def stop(record: Mapping[str, float]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    def fit(model: Any) -> Any:
        rows = {} if name == "Forecaster" else {"validation": case.held if len(case.held) > 1 else case.held[0]}
        return model.fit(*case.train, **rows, checkpoint=tmp_path / "c", progress=False)

    model, before = reference(name)
    fresh = TASKS[name].estimator_class()(**case.parameters).set_params(training__max_epochs=2)
    with monkeypatch.context() as patched:
        patched.setattr(Progress, "__enter__", lambda self: stop)
        for each in (fresh, pickle.loads(pickle.dumps(model)).set_params(training__max_epochs=2)):
            with pytest.raises(KeyboardInterrupt):
                fit(each)
    assert observed(name, each) == before
    with pytest.raises(rekur.NotFittedError):
        fresh.save(tmp_path / "m")
    whole = fitted(name, training__max_epochs=2)
    assert observed(name, fit(fresh)) == observed(name, whole)
