"""A small saved model of each estimator, and its predictions, for `test_golden.py`.

    PYTHONPATH=src python tests/golden/make.py [NAME ...]

A model of an older release must load and predict the same: the folders are written anew only with a new version of the
format, and the old ones are kept then. The models without a format in their name are of format 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import rekur
from rekur.sequence import defaults

FOLDER = Path(__file__).parent
NETWORK = {"hidden_size": 6, "num_layers": 1}
TRAINING = rekur.Training(batch_size=8, learning_rate=0.01)
WORDS = ("one", "two", "three", "four")


@dataclass(frozen=True)
class Golden:
    """How a model is fitted, and what it predicts, as JSON."""

    fit: Callable[[], Any]
    predict: Callable[[Any], Any]


def numbers(n: int = 24) -> list[np.ndarray]:
    """Sequences of two columns and unequal length."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 2)).round(3) for length in rng.integers(3, 8, n)]


def labels() -> list[str]:
    """A label for each of `numbers`."""
    return ["up" if x[:, 0].sum() > 0 else "down" for x in numbers()]


def texts(n: int = 24) -> list[str]:
    """Sentences of a few words."""
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(WORDS, length)) for length in rng.integers(2, 5, n)]


def series() -> pd.DataFrame:
    """Two monthly series."""
    t, times = np.arange(60), pd.date_range("2020-01-01", periods=60, freq="MS")
    parts = [
        pd.DataFrame({"unique_id": name, "ds": times, "y": level + np.sin(t / 2)})
        for name, level in (("a", 3), ("b", 9))
    ]
    return pd.concat(parts, ignore_index=True)


def forecaster() -> rekur.Forecaster:
    """A forecaster of six months."""
    return rekur.Forecaster(horizon=6, training=rekur.Training(max_epochs=1), **NETWORK).fit(series(), progress=False)


def language_model() -> rekur.LanguageModel:
    """A language model of words."""
    training = rekur.Training(batch_size=4, learning_rate=0.01, bptt=8)
    model = rekur.LanguageModel(training=training, input=rekur.Text(pieces="word", vocabulary_size=30), **NETWORK)
    return model.fit(texts(60), epochs=2)


def reversed_texts() -> list[str]:
    """The words of `texts` from the last to the first."""
    return [" ".join(reversed(text.split())) for text in texts()]


def predicted(model: Any, x: Any) -> list[Any]:
    """Predictions as JSON."""
    return np.asarray(model.predict(x)).tolist()


GOLDEN = {
    "forecaster": Golden(
        forecaster, lambda model: model.predict(level=[80]).drop(columns=["unique_id", "ds"]).to_numpy().tolist()
    ),
    "regressor": Golden(
        lambda: rekur.Regressor(training=TRAINING, **NETWORK).fit(numbers(), [x.sum() for x in numbers()], epochs=2),
        lambda model: predicted(model, numbers()[:5]),
    ),
    "regressor_format_2": Golden(
        lambda: rekur.Regressor(training=TRAINING, **NETWORK).fit(
            numbers(), [[1e4 + x.sum(), x[0, 0]] for x in numbers()], epochs=2
        ),
        lambda model: predicted(model, numbers()[:5]),
    ),
    "classifier": Golden(
        lambda: rekur.Classifier(
            training=TRAINING, class_weight={"down": 1.0, "up": 2.0}, **NETWORK
        ).fit(numbers(), labels(), epochs=2),
        lambda model: model.predict_proba(numbers()[:5]).tolist(),
    ),
    "text_classifier": Golden(
        lambda: rekur.Classifier(training=TRAINING, **NETWORK).fit(texts(), labels(), epochs=2, validation=0.25),
        lambda model: model.predict_proba(texts()[:5]).tolist(),
    ),
    "tagger": Golden(
        lambda: rekur.Tagger(training=TRAINING, **NETWORK).fit(
            [text.split() for text in texts()],
            [["B-odd" if word in ("one", "three") else "O" for word in text.split()] for text in texts()],
            epochs=2,
        ),
        lambda model: model.predict([text.split() for text in texts()[:5]]),
    ),
    "translator": Golden(
        lambda: rekur.Translator(
            training=TRAINING, generation=rekur.GenerationConfig(max_length=6, num_beams=2, copy=True),
            input=rekur.Text(pieces="word", vocabulary_size=30), **NETWORK,
        ).fit(texts(), reversed_texts(), epochs=4),
        lambda model: model.predict(texts()[:5]),
    ),
    "captioner": Golden(
        lambda: rekur.Captioner(
            training=TRAINING, generation=rekur.GenerationConfig(max_length=6, num_beams=2), **NETWORK
        ).fit(numbers(), [f"it goes {label}" for label in labels()], epochs=4),
        lambda model: model.predict(numbers()[:5]),
    ),
    "transcriber": Golden(
        lambda: rekur.Transcriber(training=TRAINING, bidirectional=False, **NETWORK).fit(
            [np.repeat(x, 4, axis=0) for x in numbers()], [label[0] for label in labels()], epochs=4
        ),
        lambda model: model.predict([np.repeat(x, 4, axis=0) for x in numbers()[:5]], num_beams=2),
    ),
    "language_model": Golden(language_model, lambda model: [model.perplexity(texts()[:5]), model.sample("one", 8)]),
}  # fmt: skip


if __name__ == "__main__":
    defaults.DEFAULTS = {  # the sizes of vectors that no argument sets are small too
        key: replace(task, size=replace(task.size, embedding_size=8)) for key, task in defaults.DEFAULTS.items()
    }
    path = FOLDER / "predictions.json"
    predictions = json.loads(path.read_text()) if path.exists() else {}
    for name in sys.argv[1:] or GOLDEN:
        model = GOLDEN[name].fit()
        model.save(FOLDER / name)
        predictions[name] = GOLDEN[name].predict(model)
    path.write_text(json.dumps(dict(sorted(predictions.items())), indent=1) + "\n")
