"""Outputs of a command: refused before any work is done, or written whole."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rekur.core import DataError, OptionError
from rekur.data.ingest import files
from rekur.serialization import refuse_foreign
from rekur.training.checkpoint import Checkpoint


def saved(model: Any, usable: str, save: str | None, fit: Callable[[str | None], Any]) -> None:
    """Fit and save, with a checkpoint beside the folder until the model is there; Ctrl-C keeps the best weights.

    fit : takes the folder of the checkpoint · usable : the attribute without which nothing can be saved
    """
    beside = None if save is None else f"{save.rstrip('/')}.checkpoint"
    try:
        fit(beside)
    except KeyboardInterrupt:
        if save is not None and hasattr(model, usable):
            model.save(save)
            forget(save)
            print(f"rekur: stopped early; the best weights so far are saved in {save}", file=sys.stderr)
        raise
    if save is not None:
        model.save(save)
        forget(save)


def forget(save: str) -> None:
    """Remove the checkpoints beside a saved model: one, or one for each of several frequencies."""
    beside = Path(f"{save.rstrip('/')}.checkpoint")
    for folder in (beside, *beside.parent.glob(f"{glob.escape(beside.name)}-*")):
        Checkpoint.remove(folder)


def named(file: str) -> str:
    """How a file is called in messages."""
    return "standard input" if file == "-" else file


def check(outputs: Mapping[str, str | None], level: Sequence[float], windows: int | None) -> None:
    """Refuse what cannot be written or asked for, before any work is done."""
    for percent in level:
        if not 0 < percent <= 95:
            raise OptionError(f"--level must lie above 0 and at most at 95, got {percent:g}")
    if windows is not None and windows < 0:
        raise OptionError(f"--windows must not be negative, got {windows}")
    for option in ("out", "report", "save"):
        path = outputs[option]
        if path is None:
            continue
        parent = Path(path).absolute().parent
        if not parent.is_dir():
            raise DataError(f"--{option} {path}: the folder {parent} does not exist; make it first")
        if not os.access(parent, os.W_OK):
            raise DataError(f"--{option} {path}: the folder {parent} cannot be written; choose another one")
        if option != "save" and Path(path).is_dir():
            raise DataError(f"--{option} {path} is a folder; name a file")
        if option == "out":
            files.check_suffix(path)
    if outputs["save"] is not None:
        refuse_foreign(Path(outputs["save"]))
        refuse_foreign(Path(f"{outputs['save'].rstrip('/')}.checkpoint"))
