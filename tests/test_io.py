"""The artefact: what is saved comes back; what is damaged, altered, foreign or too new is refused in clear words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rekur
from rekur import serialization
from rekur.core import DataError, ModelFileError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small saved model."""
    serialization.save(
        tmp_path / "m", {"kind": "thing", "name": "é"}, {"a": torch.arange(3.0), "b": torch.ones(2, 2)[:, 0]}
    )
    return tmp_path / "m"


def test_what_is_saved_comes_back(saved: Path) -> None:
    description, tensors = serialization.load(saved)
    assert description["kind"] == "thing"
    assert description["name"] == "é"
    assert description["format_version"] == serialization.FORMAT_VERSION
    assert tensors["a"].tolist() == [0.0, 1.0, 2.0]
    assert sorted(p.name for p in saved.iterdir()) == ["config.json", "model.safetensors"]


def damage(folder: Path, name: str, how: str) -> None:
    """Cut a file, flip a byte of it or remove it."""
    path = folder / name
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flip":
        path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "flip", "remove"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_refused(saved: Path, name: str, how: str) -> None:
    damage(saved, name, how)
    with pytest.raises(ModelFileError, match="damaged" if how != "remove" else name):
        serialization.load(saved)


def test_an_altered_description_is_refused(saved: Path) -> None:
    text = (saved / "config.json").read_text().replace("thing", "Forecaster")
    (saved / "config.json").write_text(text)
    with pytest.raises(ModelFileError, match="altered"):
        serialization.load(saved)


def test_a_newer_format_is_refused(saved: Path) -> None:
    description = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**description, "format_version": serialization.FORMAT_VERSION + 1}))
    with pytest.raises(ModelFileError, match="newer release"):
        serialization.load(saved)


def test_an_unknown_kind_is_refused_and_nothing_is_imported(saved: Path) -> None:
    with pytest.raises(ModelFileError, match="'thing'"):
        rekur.load(saved)


def test_no_folder_and_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        rekur.load(tmp_path / "none")
    with pytest.raises(ModelFileError, match=r"config\.json"):
        rekur.load(tmp_path)


def test_saving_again_replaces_and_leaves_nothing_else(saved: Path) -> None:
    serialization.save(saved, {"kind": "other"}, {"a": torch.zeros(1)})
    assert serialization.load(saved)[0]["kind"] == "other"
    assert [p.name for p in saved.parent.iterdir()] == ["m"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"thesis\.txt"):
        serialization.save(tmp_path, {}, {})
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="it is a file; choose a folder"):
        serialization.save(tmp_path / "file", {}, {})
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_failed_save_keeps_the_model_that_was_there(saved: Path) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        serialization.save(saved, {"odd": object()}, {"a": torch.zeros(1)})
    assert serialization.load(saved)[0]["kind"] == "thing"
    assert [p.name for p in saved.parent.iterdir()] == ["m"]


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A consistent file that does not fit its own description is refused by name of the tensor."""
    x = np.zeros((4, 3, 1), np.float32)
    rekur.Regressor(hidden_size=4).fit(x, x[:, 0, 0], epochs=1).save(tmp_path / "m")
    description, tensors = serialization.load(tmp_path / "m")
    description.pop("checksum")
    serialization.save(tmp_path / "m", description, {**tensors, "head.linear.bias": torch.zeros(7)})
    with pytest.raises(ModelFileError, match=r"head\.linear\.bias"):
        rekur.load(tmp_path / "m")


def test_only_faults_of_the_file_are_reported_as_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that is missing is named; a mistake in rekur's own code stays the error that it is."""
    x = np.zeros((4, 3, 1), np.float32)
    model = rekur.Regressor(hidden_size=4).fit(x, x[:, 0, 0], epochs=1)
    model.save(tmp_path / "m")
    description, tensors = serialization.load(tmp_path / "m")
    rest = {key: value for key, value in description.items() if key not in ("checksum", "size")}
    serialization.save(tmp_path / "other", rest, tensors)
    with pytest.raises(ModelFileError, match="lacks 'size'"):
        rekur.load(tmp_path / "other")

    def mistake(self: object) -> None:
        raise KeyError("mistake")

    monkeypatch.setattr(rekur.Regressor, "_objective", mistake)
    with pytest.raises(KeyError, match="mistake"):
        rekur.load(tmp_path / "m")


def test_a_folder_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """The same two names do not make it ours."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(DataError, match="is not a model of rekur"):
        serialization.save(tmp_path, {"kind": "x"}, {})
    assert (tmp_path / "model.safetensors").read_bytes() == b"weights"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders in one step")
def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "who").write_text(name)
    assert serialization.exchange(tmp_path / "a", tmp_path / "b")
    assert [(tmp_path / name / "who").read_text() for name in ("a", "b")] == ["b", "a"]
    assert not serialization.exchange(tmp_path / "a", tmp_path / "absent")


def test_an_interrupt_between_the_renames_keeps_the_old_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, count = Path.rename, []

    def second(self: Path, target: Path) -> Path:
        count.append(self)
        if len(count) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second)
    monkeypatch.setattr(serialization, "exchange", lambda one, other: False)  # a system that knows renames alone
    with pytest.raises(KeyboardInterrupt):
        serialization.save(saved, {"kind": "other"}, {"a": torch.zeros(1)})
    assert serialization.load(saved)[0]["kind"] == "thing"
    assert [p.name for p in saved.parent.iterdir()] == ["m"]
