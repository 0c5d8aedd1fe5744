"""rekur: recurrent networks made practical, from a table to a checked forecast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Accelerated": "rekur.nn.accelerate",
    "Captioner": "rekur.sequence.seq2seq",
    "Classifier": "rekur.sequence.classifier",
    "Forecaster": "rekur.forecasting.forecaster",
    "LanguageModel": "rekur.sequence.language_model",
    "Regressor": "rekur.sequence.regressor",
    "Tagger": "rekur.sequence.tagger",
    "Transcriber": "rekur.sequence.transcriber",
    "Translator": "rekur.sequence.seq2seq",
    "accelerate": "rekur.nn.accelerate",
    "accelerated": "rekur.nn.accelerate",
    "load": "rekur.registry",
}

__all__ = [
    "Accelerated",
    "Captioner",
    "Classifier",
    "Forecaster",
    "LanguageModel",
    "Regressor",
    "Tagger",
    "Transcriber",
    "Translator",
    "accelerate",
    "accelerated",
    "load",
]


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use, so that importing rekur imports nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rekur' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
