"""The saved form of a forecaster: what stands in its description and in its tensors, and how it comes back."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rekur import io
from rekur.core import ModelFileError
from rekur.data.calendar import Freq
from rekur.data.table import Columns, Table
from rekur.layers.patch import PatchNet
from rekur.tasks.blend import Blend, history
from rekur.tasks.network import Network
from rekur.tasks.recipe import LEVELS, Recipe
from rekur.train import Training


def describe(model: Any) -> dict[str, Any]:
    """What is trained, in words and numbers: enough to refuse the checkpoint of another training."""
    parameters = model.get_params()
    if parameters["training"] is not None:
        parameters["training"] = asdict(parameters["training"])
    recipe = None if model.recipe_ is None else asdict(model.recipe_)
    if recipe is not None:
        recipe["training"]["seconds"] = None  # how long it may take is not what is trained
    return {"parameters": parameters, "seasons": list(model.seasons_), "recipe": recipe}


def save(model: Any, folder: str | os.PathLike[str]) -> None:
    """Write a fitted forecaster: network, blend, notes and the end of the table that it continues."""
    past = 0 if model.recipe_ is None else model.recipe_.past
    table = tail(model.table_, max(past, history(model.seasons_)))
    description = {
        "kind": "Forecaster",
        **describe(model),
        "names": {**model.names_, "futr_exog_list": list(model.names_["futr_exog_list"])},
        "blend": asdict(model.blend_),
        "notes": model.notes_,
        "history": model.history_,
        "levels": list(LEVELS),
        "calendar": None if model.network_ is None else model.network_.columns,
        "table": describe_table(table),
    }
    tensors: dict[str, Tensor] = {
        "table.y": torch.from_numpy(table.y),
        "table.future": torch.from_numpy(table.future),
    }
    tensors["table.offsets"] = torch.from_numpy(table.offsets)
    tensors["table.start"] = torch.from_numpy(table.start.astype(np.int64))
    if model.network_ is not None:
        tensors["linear"] = model.network_.linear
        tensors["scaling"] = torch.from_numpy(np.stack(model.network_.scaling))
        tensors.update({f"net.{name}": value for name, value in model.network_.net.state_dict().items()})
    io.save(folder, description, tensors)


def tail(table: Table, rows: int) -> Table:
    """The last rows of every series."""
    kept = np.minimum(table.lengths, rows)
    keep = np.arange(len(table.y)) >= np.repeat(table.offsets[1:] - kept, table.lengths)
    offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    start = table.freq.advance(table.start, table.lengths - kept)
    return replace(table, offsets=offsets, start=start, y=table.y[keep], future=table.future[keep])


def describe_table(table: Table) -> dict[str, Any]:
    """A table without its numbers."""
    plain = [label.item() if isinstance(label, np.generic) else label for label in table.ids.tolist()]
    ids = [label if label is None or isinstance(label, (str, int, float)) else str(label) for label in plain]
    return {
        "ids": ids,
        "freq": asdict(table.freq),
        "future_names": list(table.future_names),
        "columns": list(table.columns),
        "tz": table.tz,
        "local": table.local,
        "wide": table.wide,
    }


def restore(kind: Any, description: dict[str, Any], tensors: dict[str, Tensor], folder: str) -> Any:
    """Build the forecaster that was saved."""
    if tuple(description["levels"]) != LEVELS:
        raise ModelFileError(f"{folder} was made with other quantile levels than this release knows")
    parameters = description["parameters"]
    if parameters["training"] is not None:
        parameters["training"] = Training(**parameters["training"])
    model = kind(**parameters)
    model.seasons_, model.names_ = tuple(description["seasons"]), description["names"]
    model.blend_, model.notes_ = Blend(**description["blend"]), description["notes"]
    model.history_, model.like_ = description["history"], None
    model.table_ = restore_table(description["table"], tensors)
    model.freq_ = model.table_.freq.name
    model.recipe_, model.network_ = None, None
    if description["recipe"] is not None:
        fields = description["recipe"]
        model.recipe_ = Recipe(**{**fields, "training": Training(**fields["training"])})
        model.network_ = restore_network(model, description["calendar"], tensors, folder)
    return model


def restore_table(fields: dict[str, Any], tensors: dict[str, Tensor]) -> Table:
    """The end of the table that the model continues."""
    freq = Freq(**fields["freq"])
    start = tensors["table.start"].numpy()
    ids = np.empty(len(fields["ids"]), dtype=object)
    ids[:] = fields["ids"]
    return Table(
        ids,
        tensors["table.offsets"].numpy(),
        start if freq.kind == "integer" else start.astype("M8[us]"),
        freq,
        tensors["table.y"].numpy(),
        tensors["table.future"].numpy(),
        tuple(fields["future_names"]),
        Columns(*fields["columns"]),
        tz=fields["tz"],
        local=fields["local"],
        wide=fields["wide"],
    )


def restore_network(model: Any, calendar: list[int], tensors: dict[str, Tensor], folder: str) -> Network:
    """The network, in evaluation mode."""
    r: Recipe = model.recipe_
    centre, spread = tensors["scaling"].numpy()
    width = len(calendar) + len(centre) * r.patch
    net = PatchNet(model.cell, r.patch, width, model.hidden, model.layers, LEVELS, 0.0, model.seed)
    io.restore(net, {n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")}, folder)
    net.eval()
    return Network(r, calendar, (centre, spread), tensors["linear"], net)
