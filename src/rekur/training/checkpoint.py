"""Checkpoints of a training run: weights, moments, best weights and history, to resume with the same numbers."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rekur import serialization
from rekur.core import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array, Record
    from rekur.training.optimizer import Optimizer


def fingerprint(*arrays: Array | None) -> str:
    """Hash of the values of some arrays, by which a checkpoint recognises its data."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            values = np.ascontiguousarray(array)
            raw = repr(values.tolist()).encode() if values.dtype.kind == "O" else values.tobytes()
            digest.update(str((values.dtype, values.shape)).encode() + raw)
    return digest.hexdigest()[:16]


class Checkpoint:
    """Folder with the state of a training run, replaced in one step after every epoch.

    Several networks trained in sequence are named parts; `next` starts the next part.

    Parameters
    ----------
    folder : path
        Where the checkpoint is written.
    description : dict
        Identity of the training run (options, sizes, data) as JSON values; other checkpoints are rejected.
    part : str, default "net"
        Name of the network that is trained.

    Examples
    --------
    >>> import tempfile, torch
    >>> from rekur.training import Checkpoint, Optimizer
    >>> optimizer = Optimizer([torch.nn.Parameter(torch.zeros(2))], "adam")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpoint(f"{folder}/run", {"cell": "gru"}).write(optimizer, torch.ones(2), [{"epoch": 1.0, "loss": 0.5}])
    ...     Checkpoint(f"{folder}/run", {"cell": "gru"}).resume(optimizer)
    [{'epoch': 1.0, 'loss': 0.5}]
    """

    def __init__(self, folder: str | os.PathLike[str], description: Mapping[str, object], part: str = "net") -> None:
        self.folder, self.description, self.part = Path(folder), serialization.plain(description), part
        self.best: Tensor | None = None
        self.parts: dict[str, tuple[list[Record], dict[str, Tensor]]] = {}

    def next(self, part: str) -> Checkpoint:
        """The same folder for the next part; the state of the earlier parts stays in it."""
        following = Checkpoint(self.folder, self.description, part)
        following.parts = self.parts
        return following

    def seconds(self) -> float:
        """Seconds that the run in the folder has taken so far; 0 without one."""
        if not (self.folder / "config.json").exists():
            return 0.0
        histories = serialization.load(self.folder)[0].get("histories", {}).values()
        return max((record["seconds"] for history in histories for record in history), default=0.0)

    def write(self, optimizer: Optimizer, best: Tensor, history: list[Record]) -> None:
        """Replace the checkpoint by the present state."""
        self.parts[self.part] = history, {**optimizer.state(), "best": best}
        histories = {part: records for part, (records, _) in self.parts.items()}
        tensors = {f"{part}.{name}": t for part, (_, state) in self.parts.items() for name, t in state.items()}
        serialization.save(self.folder, {"kind": "checkpoint", "of": self.description, "histories": histories}, tensors)

    def resume(self, optimizer: Optimizer) -> list[Record]:
        """Restore the saved state, if the folder holds one, and return the records so far."""
        if not (self.folder / "config.json").exists():
            return []
        description, tensors = serialization.load(self.folder)
        if description.get("kind") != "checkpoint" or description["of"] != self.description:
            raise ModelFileError(
                f"{self.folder} holds the checkpoint of another training run; choose another folder or remove it"
            )
        if self.part not in description["histories"]:
            return []
        prefix = f"{self.part}."
        state = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        history: list[Record] = description["histories"][self.part]
        self.parts[self.part] = history, state
        self.best = state["best"]
        optimizer.restore(state)
        return history

    @staticmethod
    def remove(folder: str | os.PathLike[str]) -> None:
        """Remove a checkpoint, but no other files."""
        if serialization.is_ours(Path(folder)):
            shutil.rmtree(folder)
