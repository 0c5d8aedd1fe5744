"""Registry of tasks: estimator, command, inputs, dataset format and report of every task, in one table.

A new task is one row of `TASKS` and one estimator class. Modules and inputs are named as strings and imported on first
use, so that reading the table imports no estimator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

from rekur.core import ModelFileError, OptionError, nearest
from rekur.inputs.formats import PATH_COLUMNS, TEXT_COLUMNS, DatasetFormat

if TYPE_CHECKING:
    from rekur.forecasting.forecaster import Forecaster
    from rekur.sequence.classifier import Classifier
    from rekur.sequence.language_model import LanguageModel
    from rekur.sequence.regressor import Regressor
    from rekur.sequence.seq2seq import Captioner, Translator
    from rekur.sequence.tagger import Tagger
    from rekur.sequence.transcriber import Transcriber

__all__ = ["COMMANDS", "TASKS", "Estimator", "Task", "load", "task_of"]

Estimator: TypeAlias = (
    "Captioner | Classifier | Forecaster | LanguageModel | Regressor | Tagger | Transcriber | Translator"
)
"""An estimator of one of the tasks; `isinstance` tells which."""


@dataclass(frozen=True)
class Task:
    """One task: its estimator, and how the command line, the datasets and the report handle it.

    Parameters
    ----------
    estimator : str
        Class name of the estimator.
    module : str
        Module that defines the estimator.
    inputs : tuple of str
        Inputs that the estimator reads, keys of `rekur.inputs.INPUTS`; empty for panels of series.
    output : str, default ""
        Target of the estimator, as in `rekur.sequence.defaults.DEFAULTS`; empty for panels of series.
    command : str, default ""
        Name of the task in `rekur fit COMMAND`; empty where the command line does not offer it.
    dataset : DatasetFormat, optional
        Layout of its examples in files; None where `rekur fit` does not offer the task.
    report : str, default ""
        Section of its report between scores and training, a key of `rekur.report.sequences.SECTIONS`.

    Examples
    --------
    >>> TASKS["Tagger"].command
    'tag'
    """

    estimator: str
    module: str
    inputs: tuple[str, ...] = ()
    output: str = ""
    command: str = ""
    dataset: DatasetFormat | None = None
    report: str = ""

    def estimator_class(self) -> type[Estimator]:
        """Import the estimator.

        Returns
        -------
        type
            The estimator class.

        Examples
        --------
        >>> TASKS["Tagger"].estimator_class().__name__
        'Tagger'
        """
        estimator: type[Estimator] = getattr(import_module(self.module), self.estimator)
        return estimator


_ROWS = (
    Task("Forecaster", "rekur.forecasting.forecaster"),
    Task("Regressor", "rekur.sequence.regressor", ("numbers",), "value", report="regression"),
    Task(
        "Classifier",
        "rekur.sequence.classifier",
        ("audio", "numbers", "text", "video", "words"),
        "label",
        "classify",
        DatasetFormat((*TEXT_COLUMNS, *PATH_COLUMNS), ("label", "class", "target", "category"), "any", "label"),
        "classification",
    ),
    Task(
        "Tagger",
        "rekur.sequence.tagger",
        ("words",),
        "tags",
        "tag",
        DatasetFormat(("tokens", "words", "text", "sentence"), ("tags", "labels", "slots", "label"), "words", "tags"),
        "tagging",
    ),
    Task(
        "Translator",
        "rekur.sequence.seq2seq",
        ("text",),
        "translation",
        "translate",
        DatasetFormat(
            ("source", "text", "article", "description"), ("target", "translation", "summary", "title"), "any", "text"
        ),
        "generation",
    ),
    Task(
        "Transcriber",
        "rekur.sequence.transcriber",
        ("audio", "numbers"),
        "transcript",
        "transcribe",
        DatasetFormat((*PATH_COLUMNS, "audio"), ("transcript", "text", "sentence"), "path", "text"),
        "transcription",
    ),
    Task(
        "Captioner",
        "rekur.sequence.seq2seq",
        ("numbers", "video"),
        "caption",
        "caption",
        DatasetFormat((*PATH_COLUMNS, "video"), ("caption", "text", "sentence"), "path", "text"),
        "generation",
    ),
    Task(
        "LanguageModel",
        "rekur.sequence.language_model",
        ("text",),
        "next",
        "language",
        DatasetFormat(TEXT_COLUMNS),
        "samples",
    ),
)

TASKS: Mapping[str, Task] = {task.estimator: task for task in _ROWS}
"""Every task by the class name of its estimator."""

COMMANDS: Mapping[str, Task] = {task.command: task for task in _ROWS if task.command}
"""The tasks of `rekur fit` by their name on the command line."""


def task_of(model: object) -> Task:
    """Look up the task of an estimator.

    Parameters
    ----------
    model : estimator
        An instance of one of rekur's estimators.

    Returns
    -------
    Task
        The row of `TASKS` for its class.

    Raises
    ------
    OptionError
        If the object is not one of rekur's estimators.

    Examples
    --------
    >>> import rekur
    >>> task_of(rekur.Forecaster(horizon=3)).module
    'rekur.forecasting.forecaster'
    """
    name = type(model).__name__
    if name not in TASKS:
        raise OptionError(f"{name!r} is not an estimator of rekur; the estimators are {', '.join(TASKS)}")
    return TASKS[name]


def load(folder: str | os.PathLike[str]) -> Estimator:
    """Load a saved model of any task, ready to predict.

    The model's description names one of rekur's own estimators; no code from the folder is run.

    Parameters
    ----------
    folder : path
        Folder that the `save` method of an estimator has written.

    Returns
    -------
    Estimator
        The fitted estimator: `rekur.Forecaster`, `rekur.Classifier` and so on.

    Raises
    ------
    ModelFileError
        If the folder is not a saved model, is damaged or comes from a newer release.

    Examples
    --------
    >>> import tempfile, pandas as pd, rekur
    >>> history = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=9), "y": range(9)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rekur.Forecaster(horizon=2).fit(history).save(f"{folder}/model")
    ...     len(rekur.load(f"{folder}/model").predict())
    2
    """
    from rekur import serialization

    description, tensors = serialization.load(folder)
    name = str(description.get("kind"))
    if name not in TASKS:
        raise ModelFileError(f"{folder} holds a {name!r}, not one of {', '.join(TASKS)}{nearest(name, TASKS)}")
    return TASKS[name].estimator_class()._restore(description, tensors, str(folder))
