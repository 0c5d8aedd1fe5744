"""Shared notation, the protocol of a recurrent cell, and the errors of rekur.

The notation of every equation, shape comment and weight matrix in the project:

    B batch size · T time steps · I input size · H hidden size · K outputs
    G gates · S states · L layers · D directions
    W input weights (G·H, I) · R recurrent weights (G·H, H) · b bias · h the hidden state · c the cell state

Public functions take and return the axis order (B, T, features); the native kernels work in (T, B, features).
No option chooses an axis order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from numbers import Real
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__version__ = "0.1.0"

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
"""A numpy array of any shape and dtype."""

Record: TypeAlias = dict[str, float]
"""Record of a training step: step, epoch, loss, norm (of the gradient), rate, seconds; at the end of an epoch also
mean_loss and val_loss."""


class State(Protocol):
    """The S state tensors (B, H) of a recurrent cell; the first one is the output h."""

    def __len__(self) -> int:
        """S."""

    def __iter__(self) -> Iterator[Tensor]:
        """The tensors in the order that the cell declares."""

    def __getitem__(self, index: int, /) -> Tensor:
        """The state tensor at this place."""


class NamedState(State, Protocol):
    """A state as a `typing.NamedTuple`, as `Cell.state` builds it, with the fields of `Cell.states`."""

    @property
    def h(self) -> Tensor:
        """The hidden state (B, H)."""


GatesT = TypeVar("GatesT")  # gate pre-activations W·x + bW by name
RecurrentT = TypeVar("RecurrentT")  # gate pre-activations R·h + bR by name
StateT = TypeVar("StateT", bound=NamedState)


class Weights(NamedTuple):
    """The parameters of one cell in one direction, gates stacked in the order that the cell declares.

    Attributes
    ----------
    W : Tensor
        Input weights (G·H, I).
    R : Tensor
        Recurrent weights (G·H, H).
    bW : Tensor or None, default None
        Bias added to W·x, (G·H,).
    bR : Tensor or None, default None
        Bias added to R·h, (G·H,).

    Examples
    --------
    >>> import torch
    >>> from rekur.core import Weights
    >>> Weights(torch.zeros(12, 3), torch.zeros(12, 4)).bW is None
    True
    """

    W: Tensor
    R: Tensor
    bW: Tensor | None = None
    bR: Tensor | None = None


class Cell(Protocol[GatesT, RecurrentT, StateT]):
    """A recurrent cell as the kernels see it: names, and the parts of one time step.

        s_t = point(gate(project(x_t)), recur(h_{t-1}), s_{t-1})

    Attributes
    ----------
    name : str
        Name of the cell; the native kernels are looked up by it.
    gates, states : tuple of str
        Names in the order in which they are stacked in memory; the first state is the output.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """Map x (..., I) to the part of the gates that does not depend on the state, (..., G·H)."""

    def recur(self, h: Tensor, weights: Weights) -> RecurrentT:
        """Map h (B, H) to the sequential part of the gates, by name, as `point` takes it."""

    def point(self, wx: GatesT, rh: RecurrentT, s: StateT, /) -> StateT:
        """Advance by one step, elementwise: both parts of the gates and the old state give the new state."""

    def gate(self, stacked: Tensor) -> GatesT:
        """Split (..., G·H) into gates by name, each (..., H)."""

    def state(self, **tensors: Tensor) -> StateT:
        """Build a state by name."""

    def zeros(self, B: int, H: int, like: Tensor) -> StateT:
        """Return the default initial state, S zero tensors (B, H) with the dtype and device of `like`."""


class RekurError(Exception):
    """Base of every error that rekur raises on purpose; the text names the cause and the cure."""


class DataError(RekurError, ValueError):
    """A table or array cannot be used."""


class OptionError(RekurError, ValueError):
    """An option has an unknown or unusable value."""


class NotFittedError(OptionError, AttributeError):
    """An estimator was used before `fit`; also scikit-learn's error of that name where scikit-learn is loaded."""


class MissingDependencyError(RekurError, ImportError):
    """A library needed for some tasks is missing or broken; the message says how to install it."""


class BackendError(RekurError, RuntimeError):
    """A backend requested by name cannot run this problem."""


class TrainingError(RekurError, ArithmeticError):
    """Training stopped at a loss or gradient that is not finite."""


class ModelFileError(RekurError, ValueError):
    """A saved model is damaged, incomplete or from a newer release."""


def library(name: str, needs: str) -> ModuleType:
    """Import an optional library.

    Parameters
    ----------
    name : str
        Module to import.
    needs : str
        Message of the error: purpose of the library and installation command.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    MissingDependencyError
        The library is missing or broken.

    Examples
    --------
    >>> from rekur.core import library
    >>> library("json", "JSON files need the package json").loads("[1]")
    [1]
    """
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: without the native library that it wraps
        raise MissingDependencyError(needs) from error


def nearest(value: str, known: Iterable[str], synonyms: Mapping[str, str] | None = None) -> str:
    """Return a suggestion for a misspelt name as the end of a message, or "" if no known name is close.

    `synonyms` gives the known names of names that users bring from elsewhere.

    Examples
    --------
    >>> from rekur.core import nearest
    >>> nearest("gur", ["lstm", "gru"])
    "; did you mean 'gru'?"
    """
    from difflib import get_close_matches

    names = {name.lower(): name for name in reversed(list(known))}
    meant = (synonyms or {}).get(value)
    if meant in names.values():
        return f"; did you mean {meant!r}?"
    close = get_close_matches(value.lower(), names, n=1)
    return f"; did you mean {names[close[0]]!r}?" if close else ""


class CheckedArguments:
    """Base of the classes whose constructor refuses the name of an argument that it does not have.

    The OptionError suggests the nearest name.

    Examples
    --------
    >>> class Walk(CheckedArguments):
    ...     def __init__(self, steps=1): ...
    >>> Walk(step=2)
    Traceback (most recent call last):
    ...
    rekur.core.OptionError: Walk has no parameter 'step'; it has steps; did you mean 'steps'?
    """

    synonyms: ClassVar[Mapping[str, str]] = {}
    """Names that other libraries have for the arguments."""

    def __new__(cls, *args: object, **arguments: object) -> Self:
        """A new object; the names of the arguments are checked before they are taken."""
        cls.check_names(arguments)
        return super().__new__(cls)

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """Raise an OptionError for the first name that is no argument of the constructor."""
        from inspect import signature

        known = list(signature(cls).parameters)
        for name in names:
            if name not in known:
                listed = [each for each in known if each != "explicit"]  # filled in by the constructor
                meant = nearest(name, listed, cls.synonyms)
                raise OptionError(f"{cls.__name__} has no parameter {name!r}; it has {', '.join(listed)}{meant}")


def choose(name: str, value: str, known: Iterable[str]) -> str:
    """Check that an option has one of the known values.

    Parameters
    ----------
    name : str
        Name of the option, for the message.
    value : str
        Value of the option.
    known : iterable of str
        Valid values.

    Returns
    -------
    value : str
        The value.

    Raises
    ------
    OptionError
        The value is not known; the message lists the valid ones.

    Examples
    --------
    >>> from rekur.core import choose
    >>> choose("cell", "gru", ["lstm", "gru"])
    'gru'
    """
    valid = list(known)
    if value not in valid:
        listed = ", ".join(map(repr, valid))
        raise OptionError(f"{name}={value!r} is not known; choose one of {listed}{nearest(str(value), valid)}")
    return value


def positive(name: str, value: object) -> None:
    """Raise an OptionError unless the value of an option is a number above zero.

    Examples
    --------
    >>> from rekur.core import positive
    >>> positive("hidden_size", 8)
    """
    if not number(name, value) > 0:
        raise OptionError(f"{name} must be above zero, got {value!r}")


def number(name: str, value: object) -> float:
    """Value of an option as a number; an OptionError for text, None and anything else.

    Examples
    --------
    >>> from rekur.core import number
    >>> number("dropout", 0.5)
    0.5
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise OptionError(f"{name} must be a number, got {value!r}")
    return float(value)


def whole(name: str, value: object) -> None:
    """Raise an OptionError unless the value of an option is a whole number above zero.

    Examples
    --------
    >>> from rekur.core import whole
    >>> whole("hidden_size", 8)
    """
    positive(name, value)
    if number(name, value) % 1:
        raise OptionError(f"{name} must be a whole number, got {value!r}")


def percentage(name: str, value: object) -> None:
    """Raise an OptionError unless the level of an interval is a percentage of 1 or more.

    Examples
    --------
    >>> from rekur.core import percentage
    >>> percentage("level", 80)
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 100:
        raise OptionError(f"{name} must be a number between 0 and 100, in percent, got {value!r}")
    if float(value) < 1:
        hint = f"{100 * float(value):g} for {value}"
        raise OptionError(f"{name} {value} is below 1 %: levels are in percent, {hint}")
