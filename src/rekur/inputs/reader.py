"""Protocols of an input and its reader: what every kind of input has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.data.batching import LazySequences

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

    def learn(self, values: Any) -> Reader:
        """Reader and its state learned from the training data."""

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
