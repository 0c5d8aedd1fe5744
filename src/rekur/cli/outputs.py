"""Outputs of a command: checks before any work is done, and saving of models with a checkpoint meanwhile."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from rekur.cli.options import Outputs
from rekur.core import DataError, OptionError
from rekur.data.ingest import files
from rekur.forecasting.config import MAX_LEVEL
from rekur.forecasting.forecast import check_percent
from rekur.serialization import refuse_foreign
from rekur.training.checkpoint import Checkpoint


class Savable(Protocol):
    """A model that can be written to a folder once it has the attribute `fitted_attribute`."""

    fitted_attribute: ClassVar[str]

    def save(self, folder: str) -> None:
        """Write the fitted model to a folder."""


def fit_and_save(model: Savable, save: str | None, fit: Callable[[str | None], object]) -> None:
    """Fit a model and save it, with a checkpoint next to the folder meanwhile; a fit that Ctrl-C ends can be resumed.

    `fit` takes the folder of the checkpoint.
    """
    try:
        fit(None if save is None else checkpoint_of(save))
    except KeyboardInterrupt:
        if save is not None and checkpoints(save):
            print(f"rekur: the same command resumes the training from {checkpoint_of(save)}", file=sys.stderr)
        raise
    if save is not None:
        model.save(save)
        for folder in checkpoints(save):
            Checkpoint.remove(folder)


def checkpoint_of(save: str) -> str:
    """Folder of the checkpoint of a model that is saved to `save`."""
    return f"{save.rstrip('/')}.checkpoint"


def checkpoints(save: str) -> list[Path]:
    """Checkpoints of a model that is saved to `save`: one, or one for each of several frequencies."""
    checkpoint = Path(checkpoint_of(save))
    folders = (checkpoint, *checkpoint.parent.glob(f"{glob.escape(checkpoint.name)}-*"))
    return [folder for folder in folders if folder.exists()]


def source_name(file: str | Sequence[str]) -> str:
    """Name of an input file, or of several, in messages."""
    first, *others = [file] if isinstance(file, str) else file
    name = "standard input" if first == "-" else first
    return f"{name} and {len(others)} more" if others else name


def check(outputs: Outputs, level: Sequence[float] = (), windows: int | None = None) -> None:
    """Raise unless every output can be written and the options of a forecast are in range."""
    for percent in level:
        check_percent("--level", percent)
        if percent > MAX_LEVEL:
            raise OptionError(f"--level must be at most {MAX_LEVEL:g}, got {percent:g}")
    if windows is not None and windows < 0:
        raise OptionError(f"--windows must not be negative, got {windows}")
    for option, path in (("--out", outputs.out), ("--report", outputs.report), ("--save", outputs.save)):
        if path is None:
            continue
        parent = Path(path).absolute().parent
        if not parent.is_dir():
            raise DataError(f"{option} {path}: the folder {parent} does not exist; create it first")
        if not os.access(parent, os.W_OK):
            raise DataError(f"{option} {path}: the folder {parent} cannot be written; choose another one")
        if option != "--save" and Path(path).is_dir():
            raise DataError(f"{option} {path} is a folder; name a file")
        if option == "--out":
            files.check_suffix(path)
    if outputs.save is not None:
        refuse_foreign(Path(outputs.save))
        refuse_foreign(Path(checkpoint_of(outputs.save)))
