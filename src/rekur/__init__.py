"""rekur: recurrent networks made practical, from a table to a checked forecast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Accelerated": "rekur.nn.accelerate",
    "Captioner": "rekur.tasks.captioner",
    "Classifier": "rekur.tasks.classifier",
    "Forecaster": "rekur.tasks.forecaster",
    "LanguageModel": "rekur.tasks.language",
    "Regressor": "rekur.tasks.regressor",
    "Tagger": "rekur.tasks.tagger",
    "Transcriber": "rekur.tasks.transcriber",
    "Translator": "rekur.tasks.translator",
    "accelerate": "rekur.nn.accelerate",
    "accelerated": "rekur.nn.accelerate",
    "load": "rekur.tasks",
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
