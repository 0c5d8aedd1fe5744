"""Tasks: estimators composed of data, a stack and a head."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from rekur import serialization
from rekur.core import ModelFileError

__all__ = ["load"]

_KINDS = {
    "Captioner": "rekur.sequence.seq2seq",
    "Classifier": "rekur.sequence.classifier",
    "Forecaster": "rekur.forecasting.forecaster",
    "LanguageModel": "rekur.sequence.language_model",
    "Regressor": "rekur.sequence.regressor",
    "Tagger": "rekur.sequence.tagger",
    "Transcriber": "rekur.sequence.transcriber",
    "Translator": "rekur.sequence.seq2seq",
}


def load(folder: str | os.PathLike[str]) -> Any:
    """Load a saved model of any task, ready to predict.

    The description names one of rekur's own kinds; no code of the file is run.

    Raises
    ------
    ModelFileError : the folder is no model, damaged, or from a newer release
    """
    description, tensors = serialization.load(folder)
    kind = description.get("kind")
    if kind not in _KINDS:
        raise ModelFileError(f"{folder} holds a {kind!r}, not one of {', '.join(_KINDS)}")
    try:
        return getattr(import_module(_KINDS[kind]), kind)._restore(description, tensors, str(folder))
    except (KeyError, TypeError, IndexError) as error:
        raise ModelFileError(f"{folder} is damaged: its description lacks or misstates {error}") from error
