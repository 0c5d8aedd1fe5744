"""The alphabet, the protocol of a cell and the errors: what every other room agrees on.

    B batch · T time · I input size · H hidden size · G gates · S states · L layers · D directions · K outputs
    W input weights (G·H, I) · R recurrent weights (G·H, H) · b bias · h the hidden state · c the cell state

The public layout is (B, T, ·); inside the kernels it is (T, B, ·). No option chooses an axis order.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
"""A numpy array of any shape and dtype."""

State = tuple["Tensor", ...]
"""Named tensors (B, H), a NamedTuple made from `Cell.states`; the first one is the output."""


class Weights(NamedTuple):
    """The parameters of one cell in one direction, gates stacked in the order the cell declares."""

    W: Tensor  # (G·H, I)
    R: Tensor  # (G·H, H)
    bW: Tensor | None = None  # (G·H,) added to W·x
    bR: Tensor | None = None  # (G·H,) added to R·h


class Cell(Protocol):
    """What the kernels ask of a cell: a declaration and a few small functions."""

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """Map x (..., I) to the part of the gates that does not depend on the state, (..., G·H)."""

    def recur(self, h: Tensor, weights: Weights) -> Any:
        """Map h (B, H) to the part of the gates that must be sequential, by name, as `point` takes it."""

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step, elementwise: gates by name from both parts and the old state give the new state."""

    def gate(self, stacked: Tensor) -> Any:
        """Split (..., G·H) into gates by name, each (..., H)."""

    def state(self, **tensors: Tensor) -> Any:
        """Build a state by name."""

    def zeros(self, B: int, H: int, like: Tensor) -> Any:
        """The state that stands for None: S zero tensors (B, H)."""


class RekurError(Exception):
    """The base of every error rekur raises on purpose; its text names the cause and the cure."""


class DataError(RekurError, ValueError):
    """The table or array cannot be used as it is."""


class OptionError(RekurError, ValueError):
    """An option has a value that rekur does not know or cannot use."""


class NotFittedError(OptionError, AttributeError):
    """An estimator was used before `fit`; also scikit-learn's error of that name where scikit-learn is loaded."""


class MissingDependencyError(RekurError, ImportError):
    """A library that only some tasks need is missing or broken; the text says how to install it."""


class BackendError(RekurError, RuntimeError):
    """A kernel that was asked for by name cannot run this problem."""


class TrainingError(RekurError, ArithmeticError):
    """Training met a number that is not finite and stopped."""


class ModelFileError(RekurError, ValueError):
    """A saved model is damaged, incomplete or from a newer release."""


def library(name: str, needs: str) -> Any:
    """Import a library that only some tasks need, or raise a MissingDependencyError with the text `needs`."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: without the native library that it wraps
        raise MissingDependencyError(needs) from error


def choose(name: str, value: str, known: Iterable[str]) -> str:
    """Return `value` if it is one of `known`, else raise an OptionError that lists them."""
    valid = list(known)
    if value not in valid:
        raise OptionError(f"{name}={value!r} is not known; choose one of {', '.join(map(repr, valid))}")
    return value


def positive(name: str, value: float) -> None:
    """Raise an OptionError unless `value` is above zero."""
    if not value > 0:
        raise OptionError(f"{name} must be above zero, got {value!r}")
