"""Protocols of an input and its reader: what every kind of input has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.data.batching import LazySequences

Value = TypeVar("Value")

Learned: TypeAlias = "dict[str, Any]"
"""State of a reader learned from the training data, as JSON."""


class Description(TypedDict):
    """A reader as JSON, but for its tensors."""

    kind: str
    options: dict[str, Any]
    learned: Learned


class Input(Protocol):
    """Options of an input; a frozen dataclass."""

    kind: ClassVar[str]

    def learn(self, values: Any, rows: Array | None = None) -> Reader:
        """Reader and its state learned from the training data: from `rows` of the values, all by default.

        The other values are held out; they are checked, but nothing is learned from them.
        """

    def restore(self, learned: Learned, tensors: dict[str, Tensor]) -> Reader:
        """Reader with what another one's methods describe and tensors returned."""


class Reader(Protocol):
    """Values of the user to sequences of tokens, numbers, spectra or frames; the part of an input that is learned."""

    @property
    def options(self) -> Input:
        """Options of the input."""

    @property
    def size(self) -> int:
        """Number of distinct tokens of text and words, number of values of one step otherwise."""

    def items(self, values: Any) -> LazySequences:
        """Sequences of the values, one for each."""

    def describe(self) -> Description:
        """Options and learned values, for a file."""

    def tensors(self) -> dict[str, Tensor]:
        """Learned tensors, for a file."""


def training_part(values: Sequence[Value], rows: Array | None) -> Sequence[Value]:
    """The values in `rows`, from which a reader learns; all of them for None."""
    return values if rows is None else [values[row] for row in rows]
