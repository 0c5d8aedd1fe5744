"""The registry of tasks: the tables of other rooms agree with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rekur
from rekur.cells import CELLS
from rekur.cli import parameters
from rekur.core import ModelFileError, OptionError
from rekur.estimator import BaseEstimator
from rekur.forecasting.selection.scores import SELECTIONS
from rekur.inputs import INPUTS
from rekur.registry import COMMANDS, TASKS, Estimator, load, task_of
from rekur.report.sequences import SECTIONS
from rekur.sequence.defaults import DEFAULTS


@pytest.mark.parametrize("name", TASKS)
def test_every_task_names_its_estimator(name: str) -> None:
    """The class is an estimator, public, and in the module that the row names."""
    task = TASKS[name]
    estimator = task.estimator_class()
    assert issubclass(estimator, BaseEstimator)
    assert (estimator.__name__, estimator.__module__) == (task.estimator, task.module)
    assert getattr(rekur, name) is estimator
    model = estimator(horizon=3) if name == "Forecaster" else estimator()
    assert task_of(model) is task


def test_every_public_estimator_is_registered() -> None:
    public = [getattr(rekur, name) for name in rekur.__all__ if name not in rekur._PACKAGES]
    estimators = {each.__name__ for each in public if isinstance(each, type) and issubclass(each, BaseEstimator)}
    assert estimators == set(TASKS)


def test_a_loaded_model_has_the_type_of_one_of_the_estimators() -> None:
    assert load.__annotations__["return"] == "Estimator"
    assert set(str(Estimator).split(" | ")) == set(TASKS)


def test_defaults_fit_the_registry() -> None:
    """Each task has tuned defaults for each of its inputs; those of small images are the only ones besides."""
    registered = {(task.output, kind) for task in TASKS.values() if task.output for kind in task.inputs}
    assert registered == {pair for pair in DEFAULTS if pair[0] != "summary" and pair[1] != "pictures"}


def test_inputs_fit_the_registry() -> None:
    assert {kind for task in TASKS.values() for kind in task.inputs} == set(INPUTS)


def test_reports_fit_the_registry() -> None:
    assert {task.report for task in TASKS.values() if task.report} == set(SECTIONS)


def test_commands_read_datasets() -> None:
    """A task of the command line has a dataset format with column names, and a report."""
    for command, task in COMMANDS.items():
        assert task.command == command
        assert task.dataset is not None
        assert task.dataset.sequences
        assert bool(task.dataset.targets) == task.dataset.has_targets
        assert task.report
    assert len(COMMANDS) == len({task.command for task in TASKS.values()} - {""})


def test_choices_of_the_command_line() -> None:
    """Completion offers the cells that there are."""
    assert set(parameters.CELLS) <= set(CELLS)
    assert parameters.SELECTIONS == SELECTIONS


def test_the_registry_is_light() -> None:
    code = "import sys, rekur.registry; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_unknown_models_are_refused(tmp_path: object) -> None:
    with pytest.raises(OptionError, match="'str' is not an estimator of rekur"):
        task_of("model")
    with pytest.raises(ModelFileError):
        load(f"{tmp_path}/none")
