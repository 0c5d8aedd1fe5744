"""Saved form of a forecaster: description and tensors of its networks, weights and the end of its series."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from rekur import serialization
from rekur.core import ModelFileError
from rekur.data.frequency.frequency import Frequency
from rekur.data.ingest.covariates import EncodedColumn, ExogenousEncoder
from rekur.data.panel import Columns, Panel
from rekur.data.panel_group import ColumnOptions
from rekur.data.scaling import WindowScaling
from rekur.forecasting.baselines.covariate_regression import CovariateRegression
from rekur.forecasting.config import LEVELS, Architecture, ForecastConfig
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.model import ForecastModel, NetworkShape, build_net
from rekur.forecasting.model_averaging import ModelAverage
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.forecasting.window_features import CovariateEncoders
from rekur.serialization import Description
from rekur.training.checkpoint import Checkpoint, fingerprint
from rekur.training.config import Training

ForecasterT = TypeVar("ForecasterT", bound=PanelForecaster)

KIND = "Forecaster"
FIELDS = ("parameters", "seasons", "config", "columns", "blend", "notes", "history", "levels", "networks", "panel")
"""Fields of the description of a forecaster of one frequency."""


def describe(model: PanelForecaster) -> Description:
    """Description of the training run, to reject checkpoints of other runs."""
    parameters = model.get_params(deep=False)
    if parameters["training"] is not None:
        parameters["training"] = asdict(parameters["training"])
    config = None if model.config_ is None else asdict(model.config_)
    if config is not None:
        config["training"]["max_seconds"] = None  # a time limit does not identify a training run
    return {"parameters": parameters, "seasons": list(model.seasons_), "config": config}


def checkpoint(model: PanelForecaster, folder: str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint of training on the panel of a model, which refuses that of another one."""
    panel = model.panel_
    grid = np.array([panel.freq.name, str(panel.tz), *map(str, panel.ids)])
    data = fingerprint(panel.offsets, panel.start, panel.y, panel.future, panel.past, panel.static, grid)
    return Checkpoint(folder, {**describe(model), "data": data})


def save(folder: str | os.PathLike[str], parts: Sequence[PanelForecaster], columns: ColumnOptions) -> None:
    """Write fitted forecasters, one a frequency, to a folder."""
    if len(parts) == 1:
        serialization.save(folder, *contents(parts[0]))
        return
    saved = [contents(part) for part in parts]
    description = {"kind": KIND, "columns": columns, "parts": [description for description, _ in saved]}
    tensors = {f"{k}/{name}": tensor for k, (_, part) in enumerate(saved) for name, tensor in part.items()}
    serialization.save(folder, description, tensors)


def contents(model: PanelForecaster) -> tuple[Description, dict[str, Tensor]]:
    """Description and tensors of a forecaster of one frequency, with the end of the series that it continues."""
    groups = model.ensemble_.networks.items()
    networks = {f"{name} {k}": network for name, group in groups for k, network in enumerate(group)}
    panel = model.panel_.tail(model.ensemble_.history_rows)
    description = {
        "kind": KIND,
        **describe(model),
        "columns": model.columns_,
        "blend": asdict(model.ensemble_.blend),
        "selected": model.ensemble_.selected,
        "alone": {name: asdict(average) for name, average in model.ensemble_.alone.items()},
        "regression": asdict(regression) if (regression := model.ensemble_.regression) is not None else None,
        "notes": model.notes_,
        "history": model.history_,
        "levels": list(LEVELS),
        "networks": {name: describe_network(network) for name, network in networks.items()},
        "panel": describe_panel(panel),
    }
    tensors: dict[str, Tensor] = {
        "panel.y": torch.from_numpy(panel.y),
        "panel.future": torch.from_numpy(panel.future),
        "panel.past": torch.from_numpy(panel.past),
        "panel.static": torch.from_numpy(panel.static),
        "panel.offsets": torch.from_numpy(panel.offsets),
        "panel.start": torch.from_numpy(panel.start.astype(np.int64)),
        "panel.earlier": torch.from_numpy(panel.earlier),
        "rank_template": torch.from_numpy(model.ensemble_.rank_template),
    }
    for name, network in networks.items():
        if network.linear is not None:
            tensors[f"{name}.linear"] = network.linear
        tensors.update({f"{name}.net.{key}": value for key, value in network.net.state_dict().items()})
    return description, tensors


def describe_network(network: ForecastModel) -> Description:
    """A network without its tensors."""
    return {
        "context_length": network.config.context_length,
        "architecture": asdict(network.architecture),
        "calendar": network.columns,
        "encoders": asdict(network.encoders),
    }


def describe_panel(panel: Panel) -> Description:
    """A panel without its arrays."""
    return {
        "ids": _plain(panel.ids.tolist()),
        "freq": asdict(panel.freq),
        "future_names": list(panel.future_names),
        "past_names": list(panel.past_names),
        "static_names": list(panel.static_names),
        "labels": {name: list(labels) for name, labels in panel.labels.items()},
        "columns": list(panel.columns),
        "tz": panel.tz,
        "local": panel.local,
        "wide": panel.wide,
        "uneven": list(zip(_plain(panel.uneven), panel.uneven.values(), strict=True)),
    }


def _plain(labels: Iterable[object]) -> list[object]:
    """Labels of series as JSON can hold them."""
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    return [label if label is None or isinstance(label, (str, int, float)) else str(label) for label in plain]


def restore(
    build: Callable[..., ForecasterT], description: Description, tensors: dict[str, Tensor], folder: str
) -> list[ForecasterT]:
    """Build the forecasters that were saved, one a frequency; `build` makes one from its parameters."""
    if "parts" not in description:
        return [restore_part(build, description, tensors, folder)]
    parts = []
    for k, part in enumerate(description["parts"]):
        prefix = f"{k}/"
        group = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        parts.append(restore_part(build, part, group, folder))
    return parts


def restore_part(
    build: Callable[..., ForecasterT], description: Description, tensors: dict[str, Tensor], folder: str
) -> ForecasterT:
    """Build the forecaster of one frequency."""
    serialization.require(description, FIELDS, folder)
    if tuple(description["levels"]) != LEVELS:
        raise ModelFileError(f"{folder} was saved with quantile levels that this release does not support")
    parameters = dict(description["parameters"])
    if parameters["training"] is not None:
        parameters["training"] = Training(**parameters["training"])
    model = build(**parameters)
    seasons = tuple(description["seasons"])
    config = None if description["config"] is None else restore_config(description["config"])
    blend = restore_average(description["blend"])
    selected = description.get("selected", "blend")  # models of earlier releases forecast by the average
    alone = {name: restore_average(fields) for name, fields in description.get("alone", {}).items()}
    ensemble = Ensemble(
        seasons,
        model.horizon,
        {},
        blend,
        tensors["rank_template"].numpy(),
        selected,
        alone,
        regression=restore_regression(description.get("regression")),  # not in models of earlier releases
    )
    shape = NetworkShape(model.cell, model.hidden_size, model.num_layers)
    for name, network_fields in description["networks"].items():
        if config is None:
            raise ModelFileError(f"{folder} is damaged: it has networks but no configuration")
        prefix = f"{name}."
        group = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        network = restore_network(config, shape, network_fields, group, folder)
        ensemble.networks.setdefault(network.architecture.name, []).append(network)
    model.restore_panel(
        columns=description["columns"],
        panel=restore_panel(description["panel"], tensors),
        ensemble=ensemble,
        config=config,
        notes=description["notes"],
        history=description["history"],
    )
    return model


def restore_regression(fields: Description | None) -> CovariateRegression | None:
    """The regression on covariates that was described."""
    if fields is None:
        return None
    columns = {name: tuple(fields[name]) for name in ("squared", "low", "high", "prior")}
    return CovariateRegression(restore_encoder(fields["encoder"]), **columns)


def restore_encoder(fields: Description) -> ExogenousEncoder:
    """The encoder that was described."""
    return ExogenousEncoder(tuple(EncodedColumn(**column) for column in fields["columns"]))


def restore_average(fields: Description) -> ModelAverage:
    """The average that was described."""
    scale, losses = tuple(fields["interval_scale"]), fields["validation_losses"]
    return ModelAverage(fields["weights"], scale, losses, fields.get("smooth", ""))  # not in format 1


def restore_config(fields: Description) -> ForecastConfig:
    """The configuration that was described."""
    architectures = tuple(restore_architecture(each) for each in fields["architectures"])
    return ForecastConfig(**{**fields, "architectures": architectures, "training": Training(**fields["training"])})


def restore_architecture(fields: Description) -> Architecture:
    """The architecture that was described."""
    return Architecture(fields["name"], WindowScaling(**fields["scaling"]), fields["likelihood"])


def restore_columns(id: str | list[str] | None, time: str, target: str | None) -> Columns:
    """The names of the columns that were described."""
    return Columns(tuple(id) if isinstance(id, list) else id, time, target)


def restore_panel(fields: Description, tensors: dict[str, Tensor]) -> Panel:
    """The end of the series that the model continues."""
    freq = Frequency(**fields["freq"])
    start = tensors["panel.start"].numpy()
    ids = np.empty(len(fields["ids"]), dtype=object)
    ids[:] = fields["ids"]
    return Panel(
        ids,
        tensors["panel.offsets"].numpy(),
        start if freq.kind == "integer" else start.astype("M8[us]"),
        freq,
        tensors["panel.y"].numpy(),
        tensors["panel.future"].numpy(),
        tuple(fields["future_names"]),
        tensors["panel.past"].numpy(),
        tuple(fields["past_names"]),
        tensors["panel.static"].numpy(),
        tuple(fields["static_names"]),
        {name: tuple(labels) for name, labels in fields["labels"].items()},
        restore_columns(*fields["columns"]),
        tz=fields["tz"],
        local=fields["local"],
        wide=fields["wide"],
        uneven=dict(fields["uneven"]),
        earlier=tensors["panel.earlier"].numpy() if "panel.earlier" in tensors else np.zeros((0, 4)),
    )


def restore_network(
    config: ForecastConfig, shape: NetworkShape, fields: Description, tensors: dict[str, Tensor], folder: str
) -> ForecastModel:
    """One network, in evaluation mode."""
    config = replace(config, context_length=fields["context_length"])
    architecture = restore_architecture(fields["architecture"])
    encoders = CovariateEncoders(**{role: restore_encoder(each) for role, each in fields["encoders"].items()})
    known = len(fields["calendar"]) + encoders.width(config)
    net = build_net(config, architecture, known, shape, 0.0, 0)
    state = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    serialization.restore(net, state, folder)
    net.eval()
    return ForecastModel(config, architecture, fields["calendar"], encoders, tensors.get("linear"), net)
