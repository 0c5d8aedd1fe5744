"""Checkpoints: all that an interrupted training needs to go on with the same numbers."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur import serialization
from rekur.core import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.training.optimizer import Optimizer


def fingerprint(*arrays: Any) -> str:
    """A short name for the values of some arrays, so that a checkpoint knows the data it was made with."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            values = np.ascontiguousarray(array)
            raw = repr(values.tolist()).encode() if values.dtype.kind == "O" else values.tobytes()
            digest.update(str((values.dtype, values.shape)).encode() + raw)
    return digest.hexdigest()[:16]


class Checkpoint:
    """A folder that is written, whole or not at all, after every epoch.

    `description` says what is trained (options, sizes, data); a checkpoint of something else is refused. Where several
    nets are trained one after another, each is a part of its own, and `next` goes on to the one after.
    """

    def __init__(self, folder: str | os.PathLike[str], description: dict[str, Any], part: str = "net") -> None:
        self.folder, self.description, self.part = Path(folder), serialization.plain(description), part
        self.best: Tensor | None = None
        self.parts: dict[str, tuple[list[dict[str, float]], dict[str, Tensor]]] = {}

    def next(self, part: str) -> Checkpoint:
        """The same folder for the next part; what the earlier ones came to stays in it."""
        after = Checkpoint(self.folder, self.description, part)
        after.parts = self.parts
        return after

    def write(self, optimizer: Optimizer, best: Tensor, history: list[dict[str, float]]) -> None:
        """Replace the checkpoint by the present state."""
        self.parts[self.part] = history, {**optimizer.state(), "best": best}
        histories = {part: records for part, (records, _) in self.parts.items()}
        tensors = {f"{part}.{name}": t for part, (_, state) in self.parts.items() for name, t in state.items()}
        serialization.save(self.folder, {"kind": "checkpoint", "of": self.description, "histories": histories}, tensors)

    def resume(self, optimizer: Optimizer) -> list[dict[str, float]]:
        """Put the saved state back, if there is one, and return the records so far."""
        if not (self.folder / "config.json").exists():
            return []
        description, tensors = serialization.load(self.folder)
        if description.get("kind") != "checkpoint" or description["of"] != self.description:
            raise ModelFileError(
                f"{self.folder} holds the checkpoint of another training; choose another folder or remove it"
            )
        if self.part not in description["histories"]:
            return []
        own = {name.removeprefix(f"{self.part}."): t for name, t in tensors.items() if name.startswith(f"{self.part}.")}
        history: list[dict[str, float]] = description["histories"][self.part]
        self.parts[self.part] = history, own
        self.best = own["best"]
        optimizer.restore(own)
        return history

    @staticmethod
    def remove(folder: str | os.PathLike[str]) -> None:
        """Remove a checkpoint; anything else is left alone."""
        if serialization.is_ours(Path(folder)):
            shutil.rmtree(folder)
