"""Numbers: arrays (B, T, I) with lengths, or lists of arrays (T, I)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rekur.core import DataError, choose
from rekur.data.items import LazySequences, listed

if TYPE_CHECKING:
    from torch import Tensor

SCALES = ("auto", "column", "whole", "none")
MANY = 64  # columns from which on those of like spread are taken to be of one kind
ALIKE = 100.0  # times by which their spreads may differ
STEADY = 1e-6  # spread up to which a column does not vary


@dataclass(frozen=True)
class Numbers:
    """Sequences of numbers: sensor readings, joints of a skeleton, features of frames or of speech.

    scale : "column" centres each column and divides it by its standard deviation over the training data; "whole"
    divides all by one, the root of their mean square, for columns of one kind, such as features of frames, of which
    the small ones say little; "none" leaves all as it is; "auto" takes "whole" for 64 columns or more whose spreads
    lie within a factor of 100, and "column" otherwise · deltas : add the differences between a step and the one before
    as columns
    """

    scale: str = "auto"
    deltas: bool = False
    kind: ClassVar[str] = "numbers"

    def learn(self, values: Any) -> NumbersReader:
        """A reader for sequences like these: their columns, with mean and standard deviation."""
        import torch

        choose("scale", self.scale, SCALES)

        sequences = read(values)
        reader = NumbersReader(self, sequences[0].shape[1], torch.empty(0))
        count, total, square = 0, torch.zeros(reader.size, dtype=torch.float64), torch.zeros(reader.size).double()
        items = reader.items(sequences)
        for row in range(len(sequences)):
            sequence = items[row].double()
            count, total, square = count + len(sequence), total + sequence.sum(0), square + sequence.square().sum(0)
        mean = total / count
        spread = (square / count - mean.square()).clamp_min(0).sqrt()
        parts = spread.view(-1, reader.columns)  # of the values, and of the differences
        divisor = torch.stack([self._divisor(part) for part in parts]).flatten()
        statistics = torch.stack([mean * (self.scale != "none"), divisor])
        return NumbersReader(self, reader.columns, statistics.float())

    def _divisor(self, spread: Tensor) -> Tensor:
        """What columns of such standard deviations (C,) are divided by, (C,)."""
        varied = spread[spread > STEADY]
        if self.scale == "none" or not len(varied):
            return spread.new_ones(spread.shape)
        alike = len(spread) >= MANY and bool(varied.max() <= ALIKE * varied.min())
        if self.scale == "whole" or (self.scale == "auto" and alike):
            return spread.square().mean().sqrt().expand_as(spread)
        return spread.where(spread > STEADY, 1.0)

    def restore(self, learned: dict[str, Any], tensors: dict[str, Tensor]) -> NumbersReader:
        """The reader that `describe` and `tensors` tell of."""
        return NumbersReader(self, learned["columns"], tensors["scale"])


@dataclass(frozen=True)
class NumbersReader:
    """Reads sequences (T, I) of as many columns as it has learned; statistics (2, I): mean and spread."""

    options: Numbers
    columns: int
    statistics: Tensor

    @property
    def size(self) -> int:
        """Numbers of a step."""
        return self.columns * (1 + self.options.deltas)

    def items(self, values: Any) -> LazySequences:
        """Sequences, or an array with its lengths, as items."""
        import torch

        sequences = read(values)
        odd = [k for k, s in enumerate(sequences) if s.shape[1] != self.columns]
        if odd:
            raise DataError(f"x has {sequences[odd[0]].shape[1]} columns, but the model was fitted with {self.columns}")
        if self.options.deltas:
            sequences = [torch.cat([s, torch.diff(s, dim=0, prepend=s[:1])], dim=1) for s in sequences]
        return listed(sequences)

    def describe(self) -> dict[str, Any]:
        """What a file must know."""
        return {"kind": "numbers", "options": asdict(self.options), "learned": {"columns": self.columns}}

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold."""
        return {"scale": self.statistics}


def read(values: Any) -> list[Tensor]:
    """Sequences (T, I) as float32 tensors; the first value that is not finite is named.

    values : an array (B, T, I), a pair (array, lengths (B,) or None), or a list of arrays (T, I).
    """
    import torch

    from rekur.data.batching import PaddedArray
    from rekur.data.validation import floats, whole_lengths

    if isinstance(values, list) and values and isinstance(values[0], torch.Tensor) and values[0].ndim == 2:
        return values
    array, lengths = (values.values, values.lengths) if isinstance(values, PaddedArray) else (values, None)
    ragged = isinstance(array, list) and len({np.shape(row) for row in array}) > 1
    if ragged and lengths is None:
        return [floats(f"sequence {row} of x", one, "TI") for row, one in enumerate(array)]
    whole = floats("x", array, "BTI")
    known = whole_lengths(lengths, *whole.shape[:2])
    return list(whole) if known is None else [row[:n] for row, n in zip(whole, known.tolist(), strict=True)]
