"""rekur: recurrent networks for forecasting tables and for learning from sequences, on PyTorch.

Public names are imported on first use, so that `import rekur` loads neither torch nor pandas.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from rekur.core import __version__ as __version__
from rekur.registry import TASKS as _TASKS

if TYPE_CHECKING:  # what `__getattr__` imports on first use, for type checkers and editors
    from rekur import baselines, cells, data, inputs, metrics, nn, report, training
    from rekur.core import (
        BackendError,
        DataError,
        MissingDependencyError,
        ModelFileError,
        NotFittedError,
        OptionError,
        RekurError,
        TrainingError,
    )
    from rekur.forecasting.cross_validation import Backtest
    from rekur.forecasting.forecast import Forecast
    from rekur.forecasting.forecaster import Forecaster
    from rekur.inputs.audio import Audio
    from rekur.inputs.numbers import Numbers
    from rekur.inputs.text import Text
    from rekur.inputs.video import Video
    from rekur.inputs.words import Words
    from rekur.nn.accelerate import Accelerated, accelerate, accelerated
    from rekur.registry import load
    from rekur.sequence.classifier import Classifier
    from rekur.sequence.generation import SUMMARY, GenerationConfig
    from rekur.sequence.language_model import LanguageModel
    from rekur.sequence.regressor import Regressor
    from rekur.sequence.seq2seq import Captioner, Translator
    from rekur.sequence.tagger import Tagger
    from rekur.sequence.transcriber import Transcriber
    from rekur.training.config import Training


_MODULES = {
    "rekur.core": (
        "BackendError",
        "DataError",
        "MissingDependencyError",
        "ModelFileError",
        "NotFittedError",
        "OptionError",
        "RekurError",
        "TrainingError",
    ),
    "rekur.forecasting.cross_validation": ("Backtest",),
    "rekur.forecasting.forecast": ("Forecast",),
    "rekur.inputs.audio": ("Audio",),
    "rekur.inputs.numbers": ("Numbers",),
    "rekur.inputs.text": ("Text",),
    "rekur.inputs.video": ("Video",),
    "rekur.inputs.words": ("Words",),
    "rekur.nn.accelerate": ("Accelerated", "accelerate", "accelerated"),
    "rekur.registry": ("load",),
    "rekur.sequence.generation": ("SUMMARY", "GenerationConfig"),
    "rekur.training.config": ("Training",),
}
"""Public names and their modules, except the estimators listed in `rekur.registry.TASKS`."""

_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_HOMES |= {name: task.module for name, task in _TASKS.items()}

_PACKAGES = ("baselines", "cells", "data", "inputs", "metrics", "nn", "report", "training")

__all__ = [
    "SUMMARY",
    "Accelerated",
    "Audio",
    "BackendError",
    "Backtest",
    "Captioner",
    "Classifier",
    "DataError",
    "Forecast",
    "Forecaster",
    "GenerationConfig",
    "LanguageModel",
    "MissingDependencyError",
    "ModelFileError",
    "NotFittedError",
    "Numbers",
    "OptionError",
    "Regressor",
    "RekurError",
    "Tagger",
    "Text",
    "Training",
    "TrainingError",
    "Transcriber",
    "Translator",
    "Video",
    "Words",
    "accelerate",
    "accelerated",
    "baselines",
    "cells",
    "data",
    "inputs",
    "load",
    "metrics",
    "nn",
    "report",
    "training",
]

if not TYPE_CHECKING:  # hidden from type checkers, so that they report a misspelt name

    def __getattr__(name: str) -> object:
        """Import a public name on first use."""
        if name in _PACKAGES:
            return import_module(f"rekur.{name}")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'rekur' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
