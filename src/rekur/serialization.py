"""Model files: a folder with a description (JSON) and tensors (safetensors); loading runs no code of the files."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rekur.core import DataError, ModelFileError

if TYPE_CHECKING:
    from torch import Tensor, nn

Description: TypeAlias = "dict[str, Any]"
"""JSON values of a model file."""

FORMAT_VERSION = 2
"""Newest version of the format that this release writes; it reads all versions up to it.

Version 2 adds notes to the estimators of sequences, the scale of the targets to the regressor, and the selected model
and smooth interval factors to the forecaster.
"""


def save(folder: str | os.PathLike[str], description: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Write `config.json` and `model.safetensors` into a folder atomically.

    Both files are written to a temporary folder next to it, which then takes its place; a model in the folder is
    replaced only when the new one is complete.

    Parameters
    ----------
    folder : path
        A folder that is absent, empty or holds another model.
    description : mapping of str to JSON values
        With at least `kind`, the class of the model.
    tensors : mapping of str to Tensor
        Tensors by name.

    Raises
    ------
    DataError
        If the folder cannot be written or holds anything else.
    """
    from safetensors.torch import save_file

    target = Path(folder).resolve()
    refuse_foreign(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
        temporary.mkdir()
    except OSError as error:
        raise DataError(f"cannot write the model to {target}: {error.strerror}; choose a writable folder") from error
    try:
        contiguous = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary / "model.safetensors")
        full = {"format_version": FORMAT_VERSION, **plain(description)}
        full["checksum"] = checksum(full, temporary / "model.safetensors")
        text = json.dumps(full, indent=1, ensure_ascii=False, allow_nan=False)
        (temporary / "config.json").write_text(text + "\n", encoding="utf-8")
        shutil.copymode(temporary / "config.json", temporary / "model.safetensors")  # that of the umask
        replace_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def plain(description: Mapping[str, object]) -> Description:
    """Description after a round trip through JSON: lists for tuples, Python numbers for numpy numbers."""

    def number(value: object) -> object:
        if isinstance(value, np.generic | np.ndarray):
            return value.item()
        raise TypeError(f"{value!r} is not JSON serializable: a model file cannot hold it")

    text = json.dumps(description, ensure_ascii=False, allow_nan=False, default=number)
    parsed: Description = json.loads(text)
    return parsed


def checksum(description: Mapping[str, object], tensors: Path) -> str:
    """SHA-256 of the description (without its checksum) and of the bytes of the tensors."""
    rest = {key: value for key, value in description.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode())
    digest.update(tensors.read_bytes())
    return digest.hexdigest()


def refuse_foreign(target: Path) -> None:
    """Raise a DataError unless a folder is absent, empty or contains only a model of rekur."""
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError(f"cannot write the model to {target}: it is a file; choose a folder")
    if (target / "config.json").exists() and not is_ours(target):
        raise DataError(
            f"cannot write the model to {target}: its config.json is not a model of rekur; choose another folder"
        )
    foreign = sorted({entry.name for entry in target.iterdir()} - {"config.json", "model.safetensors"})
    if foreign:
        raise DataError(f"cannot write the model to {target}: the folder holds {foreign[0]!r}; choose an empty one")


def is_ours(folder: Path) -> bool:
    """Whether the config.json of a folder was written by `save`, for a model or a checkpoint."""
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and {"format_version", "kind", "checksum"} <= set(description)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically; False where the system does not support it (Linux does)."""
    library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if not hasattr(library, "renameat2"):
        return False
    at_cwd, rename_exchange = -100, 2
    return bool(library.renameat2(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), rename_exchange) == 0)  # type: ignore[union-attr]


def replace_folder(new: Path, target: Path) -> None:
    """Replace the folder `target` by `new`; at any moment one of the two is in its place.

    Where folders cannot be exchanged in one step, a kill without warning in the instant between two renames leaves the
    old one next to its place, in `.NAME-old-…`.
    """
    if not target.exists():
        new.rename(target)
        return
    if exchange(new, target):
        shutil.rmtree(new, ignore_errors=True)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    try:
        target.rename(old / "model")
        new.rename(target)
    except BaseException as error:  # Ctrl-C too
        if not target.exists() and (old / "model").exists():
            (old / "model").rename(target)
        if isinstance(error, OSError):
            raise DataError(f"cannot write the model to {target}: {error.strerror}; choose another folder") from error
        raise
    finally:
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def load(folder: str | os.PathLike[str]) -> tuple[Description, dict[str, Tensor]]:
    """Read the description and the tensors of a model.

    Parameters
    ----------
    folder : path
        Folder written by `save`.

    Returns
    -------
    description : dict
        JSON values.
    tensors : dict of str to Tensor
        Tensors by name.

    Raises
    ------
    ModelFileError
        If a file is missing, truncated, altered or from a newer release.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    target = Path(folder)
    if not target.is_dir():
        raise ModelFileError(f"the folder {target} does not exist")
    for name in ("config.json", "model.safetensors"):
        if not (target / name).is_file():
            raise ModelFileError(f"{target} is not a model of rekur: it has no {name}")
    try:
        description = json.loads((target / "config.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelFileError(f"{target / 'config.json'} is damaged: {error}") from error
    version = description.get("format_version") if isinstance(description, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ModelFileError(f"{target / 'config.json'} is damaged: it has no format version")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{target} has format {version}, newer than {FORMAT_VERSION}: install a newer release of rekur"
        )
    if description.get("checksum") != checksum(description, target / "model.safetensors"):
        raise ModelFileError(f"{target} is damaged: its files were truncated or altered after they were saved")
    try:
        tensors = load_file(target / "model.safetensors")
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelFileError(f"{target / 'model.safetensors'} is damaged: {error}") from error
    return description, tensors


def require(description: Mapping[str, object], names: Iterable[str], folder: str | os.PathLike[str]) -> None:
    """Raise a ModelFileError unless a description holds all these entries."""
    missing = [name for name in names if name not in description]
    if missing:
        raise ModelFileError(f"{folder} is damaged: its description lacks {missing[0]!r}")


def restore(module: nn.Module, tensors: dict[str, Tensor], folder: str | os.PathLike[str]) -> None:
    """Copy tensors into a torch module; names and shapes must agree exactly."""
    state = module.state_dict()
    if set(state) != set(tensors) or any(state[name].shape != tensors[name].shape for name in state):
        wrong = sorted(set(state) ^ set(tensors)) or [n for n in state if state[n].shape != tensors[n].shape]
        raise ModelFileError(f"{folder} is damaged: the tensor {wrong[0]!r} does not fit the description")
    if any(not tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point()):
        raise ModelFileError(f"{folder} is damaged: a tensor holds values that are not finite")
    module.load_state_dict(tensors)
