"""Arguments of the sequence estimators: those of `fit`; those of the constructor, their checks and form in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING

from rekur import inputs
from rekur.core import OptionError, number, whole
from rekur.estimator import Parameters
from rekur.sequence.targets import Validation

if TYPE_CHECKING:
    from rekur.serialization import Description

SIZES = ("hidden_size", "num_layers")
FLAGS = ("bidirectional", "crf")


@dataclass(frozen=True)
class FitOptions:
    """Arguments of `fit` that all tasks share, see `PairedEstimator.fit`."""

    validation: Validation = None
    epochs: int | None = None
    progress: bool | None = None
    checkpoint: str | os.PathLike[str] | None = None


def check_parameters(parameters: Parameters, nested: Mapping[str, type]) -> None:
    """Raise an OptionError for an argument of the wrong type; `nested` holds the types of the option values."""
    for name, value in parameters.items():
        if value is None:
            continue
        if name in SIZES:
            whole(name, value)
        elif name == "dropout":
            number(name, value)
        elif name in FLAGS and not isinstance(value, bool):
            raise OptionError(f"{name} must be True or False, got {value!r}")
        elif name in nested and not isinstance(value, nested[name]):
            kind = nested[name].__name__
            fields = f"{kind}(**{value!r})" if isinstance(value, dict) else f"rekur.{kind}(...)"
            raise OptionError(f"{name} must be a {kind}, got a {type(value).__name__}: pass {fields}")
        elif name == "input" and not hasattr(value, "learn"):
            known = f"rekur.inputs.find({value!r})()" if value in inputs.INPUTS else "rekur.Numbers() or rekur.Text()"
            raise OptionError(f"input must be an input such as {known}, got {value!r}")


def describe_parameters(parameters: Parameters) -> Description:
    """Constructor arguments as JSON values: option values by their fields, mappings by their pairs."""

    def describe(value: object) -> object:
        if isinstance(value, Mapping):
            return {"pairs": [[key, item] for key, item in value.items()]}
        if is_dataclass(value) and not isinstance(value, type):
            kind = {"input": value.kind} if hasattr(value, "kind") else {}
            return {**kind, "fields": asdict(value)}
        return value

    return {name: describe(value) for name, value in parameters.items()}


def restore_parameters(nested: Mapping[str, type], described: Description) -> Parameters:
    """Constructor arguments again, from `describe_parameters`; `nested` holds the types of the option values."""

    def restore(name: str, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if "pairs" in value:
            return dict(value["pairs"])
        kind = inputs.find(value["input"]) if "input" in value else nested[name]
        return kind(**value["fields"])

    return {name: restore(name, value) for name, value in described.items()}
