"""The saved form of a forecaster: what stands in its description and in its tensors, and how it comes back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rekur import serialization
from rekur.core import ModelFileError
from rekur.data.frequency.frequency import Frequency
from rekur.data.ingest.covariates import EncodedColumn, ExogenousEncoder
from rekur.data.panel import Columns, Panel
from rekur.data.panel_group import PanelGroup
from rekur.data.scaling import WindowScaling
from rekur.forecasting import multi_frequency
from rekur.forecasting.config import LEVELS, Architecture, ForecastConfig
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.model import ForecastModel, build
from rekur.forecasting.model_averaging import ModelAverage, history
from rekur.forecasting.window_features import CovariateEncoders
from rekur.training.config import Training


def describe(model: Any) -> dict[str, Any]:
    """What is trained, in words and numbers: enough to refuse the checkpoint of another training."""
    parameters = model.get_params(deep=False)
    if parameters["training"] is not None:
        parameters["training"] = asdict(parameters["training"])
    recipe = None if model.recipe_ is None else asdict(model.recipe_)
    if recipe is not None:
        recipe["training"]["max_seconds"] = None  # how long it may take is not what is trained
    return {"parameters": parameters, "seasons": list(model.seasons_), "recipe": recipe}


def save(model: Any, folder: str | os.PathLike[str]) -> None:
    """Write a fitted forecaster; of one for several frequencies, the forecaster of each."""
    if not isinstance(model.table_, PanelGroup):
        serialization.save(folder, *contents(model))
        return
    parts = [contents(part) for part in model.parts_]
    description = {"kind": "Forecaster", "names": model.names_, "parts": [description for description, _ in parts]}
    serialization.save(
        folder, description, {f"{k}/{name}": t for k, (_, own) in enumerate(parts) for name, t in own.items()}
    )


def contents(model: Any) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a forecaster is made of: networks, blend, notes and the end of the table that it continues."""
    networks = {
        f"{name} {k}": network for name, group in model.ensemble_.networks.items() for k, network in enumerate(group)
    }
    past = max((network.recipe.past for network in networks.values()), default=0)
    table = model.table_.tail(max(past, history(model.seasons_)))
    description = {
        "kind": "Forecaster",
        **describe(model),
        "names": model.names_,
        "blend": asdict(model.ensemble_.blend),
        "notes": model.notes_,
        "history": model.history_,
        "levels": list(LEVELS),
        "networks": {name: describe_network(network) for name, network in networks.items()},
        "table": describe_table(table),
    }
    tensors: dict[str, Tensor] = {
        "table.y": torch.from_numpy(table.y),
        "table.future": torch.from_numpy(table.future),
        "table.past": torch.from_numpy(table.past),
        "table.static": torch.from_numpy(table.static),
    }
    tensors["dependence"] = torch.from_numpy(model.ensemble_.dependence)
    tensors["table.offsets"] = torch.from_numpy(table.offsets)
    tensors["table.start"] = torch.from_numpy(table.start.astype(np.int64))
    for name, network in networks.items():
        if network.linear is not None:
            tensors[f"{name}.linear"] = network.linear
        tensors.update({f"{name}.net.{key}": value for key, value in network.net.state_dict().items()})
    return description, tensors


def describe_network(network: ForecastModel) -> dict[str, Any]:
    """A network without its numbers."""
    return {
        "past": network.recipe.past,
        "design": asdict(network.design),
        "calendar": network.columns,
        "known": asdict(network.known),
    }


def describe_table(table: Panel) -> dict[str, Any]:
    """A table without its numbers."""
    ids = _plain(table.ids.tolist())
    return {
        "ids": ids,
        "freq": asdict(table.freq),
        "names": [list(names) for names in (table.future_names, table.past_names, table.static_names)],
        "labels": {name: list(labels) for name, labels in table.labels.items()},
        "columns": list(table.columns),
        "tz": table.tz,
        "local": table.local,
        "wide": table.wide,
        "uneven": list(zip(_plain(table.uneven), table.uneven.values(), strict=True)),
    }


def _plain(labels: Iterable[Any]) -> list[Any]:
    """Labels of series as a file can hold them."""
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    return [label if label is None or isinstance(label, (str, int, float)) else str(label) for label in plain]


def restore(kind: Any, description: dict[str, Any], tensors: dict[str, Tensor], folder: str) -> Any:
    """Build the forecaster that was saved."""
    if "parts" in description:
        made = []
        for k, part in enumerate(description["parts"]):
            own = {key.removeprefix(f"{k}/"): t for key, t in tensors.items() if key.startswith(f"{k}/")}
            made.append(restore(kind, part, own, folder))
        model = kind(**made[0].get_params(deep=False))
        model.names_, model.like_ = description["names"], None
        multi_frequency.gather(model, made)
        return model
    if tuple(description["levels"]) != LEVELS:
        raise ModelFileError(f"{folder} was made with other quantile levels than this release knows")
    parameters = description["parameters"]
    if parameters["training"] is not None:
        parameters["training"] = Training(**parameters["training"])
    model = kind(**parameters)
    model.seasons_, model.names_ = tuple(description["seasons"]), description["names"]
    model.notes_, model.history_, model.like_ = description["notes"], description["history"], None
    model.table_ = restore_table(description["table"], tensors)
    model.recipe_ = None if description["recipe"] is None else restore_recipe(description["recipe"])
    blend = ModelAverage(description["blend"]["weights"], tuple(description["blend"]["widen"]))
    model.ensemble_ = Ensemble(model.seasons_, model.horizon, {}, blend, tensors["dependence"].numpy())
    for name, fields in description["networks"].items():
        own = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
        network = restore_network(model, fields, own, folder)
        model.ensemble_.networks.setdefault(network.design.name, []).append(network)
    return model


def restore_recipe(fields: dict[str, Any]) -> ForecastConfig:
    """The recipe that was described."""
    designs = tuple(restore_design(each) for each in fields["designs"])
    return ForecastConfig(**{**fields, "designs": designs, "training": Training(**fields["training"])})


def restore_design(fields: dict[str, Any]) -> Architecture:
    """The design that was described."""
    return Architecture(fields["name"], WindowScaling(**fields["scaling"]), fields.get("likelihood", "quantiles"))


def restore_table(fields: dict[str, Any], tensors: dict[str, Tensor]) -> Panel:
    """The end of the table that the model continues."""
    freq = Frequency(**fields["freq"])
    start = tensors["table.start"].numpy()
    names = [tuple(group) for group in fields["names"]]
    ids = np.empty(len(fields["ids"]), dtype=object)
    ids[:] = fields["ids"]
    return Panel(
        ids,
        tensors["table.offsets"].numpy(),
        start if freq.kind == "integer" else start.astype("M8[us]"),
        freq,
        tensors["table.y"].numpy(),
        tensors["table.future"].numpy(),
        names[0],
        tensors["table.past"].numpy(),
        names[1],
        tensors["table.static"].numpy(),
        names[2],
        {name: tuple(labels) for name, labels in fields["labels"].items()},
        Columns(*fields["columns"]),
        tz=fields["tz"],
        local=fields["local"],
        wide=fields["wide"],
        uneven=dict(fields.get("uneven", ())),
    )


def restore_network(model: Any, fields: dict[str, Any], tensors: dict[str, Tensor], folder: str) -> ForecastModel:
    """One network, in evaluation mode."""
    r, design = replace(model.recipe_, past=fields["past"]), restore_design(fields["design"])
    known = CovariateEncoders(
        **{
            role: ExogenousEncoder(tuple(EncodedColumn(**column) for column in encoder["columns"]))
            for role, encoder in fields["known"].items()
        }
    )
    width = len(fields["calendar"]) + known.width(r)
    net = build(r, design, width, (model.cell, model.hidden_size, model.num_layers), 0.0, model.random_state)
    serialization.restore(net, {n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")}, folder)
    net.eval()
    return ForecastModel(r, design, fields["calendar"], known, tensors.get("linear"), net)
