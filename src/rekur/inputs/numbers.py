"""Numeric input: arrays (B, T, I) with lengths, or lists of arrays (T, I), standardised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias, cast

import numpy as np

from rekur.core import CheckedArguments, DataError, choose
from rekur.data.batching import LazySequences, PaddedArray
from rekur.inputs.reader import training_part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Description, Learned

SCALES = ("auto", "column", "global", "none")
MIN_ALIKE_COLUMNS = 64  # number of columns from which on they may share one divisor
MAX_STD_RATIO = 100.0  # largest ratio of the standard deviations of columns that share one divisor
CONSTANT_STD = 1e-6  # standard deviation up to which a column counts as constant

NumberSequences: TypeAlias = "ArrayLike | Sequence[ArrayLike | Tensor] | PaddedArray"
"""An array (B, T, I), an array with lengths, or a list of arrays or tensors (T, I)."""


@dataclass(frozen=True)
class Numbers(CheckedArguments):
    """Sequences of numbers: sensor readings, joints of a skeleton, features of frames or of speech.

    Parameters
    ----------
    scale : {"auto", "column", "global", "none"}, default "auto"
        "column" centres each column and divides it by its standard deviation over the training data; "global" centres
        each column and divides all by the root of their mean variance, for columns of one kind, such as features of
        frames, of which those with small values say little; "none" leaves the numbers as they are; "auto" takes
        "global" for 64 columns or more whose standard deviations lie within a factor of 100, and "column" otherwise.
    deltas : bool, default False
        Whether to add the difference of each step and the one before as columns.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(12.0).reshape(2, 3, 2)
    >>> reader = Numbers(deltas=True).learn(x)
    >>> reader.size, reader.items([x[0], x[1, :2]]).lengths.tolist()
    (4, [3, 2])
    >>> reader.statistics[0].tolist()[:2]
    [5.0, 6.0]
    """

    scale: str = "auto"
    deltas: bool = False
    kind: ClassVar[str] = "numbers"

    def learn(self, values: NumberSequences, rows: Array | None = None) -> NumbersReader:
        """Reader with the number of columns, and the mean and divisor of each over the sequences in `rows`, or all.

        Raises
        ------
        OptionError
            The scale is not known.
        DataError
            Shapes that do not fit, or a value that is not finite, with its place.
        """
        import torch

        choose("scale", self.scale, SCALES)
        sequences = read(values)
        reader = NumbersReader(self, sequences[0].shape[1], torch.empty(0))
        count = 0
        total = torch.zeros(reader.size, dtype=torch.float64)
        square = torch.zeros(reader.size, dtype=torch.float64)
        for sequence in reader.prepare(training_part(sequences, rows)):
            x = sequence.double()
            count, total, square = count + len(x), total + x.sum(0), square + x.square().sum(0)
        mean = total / count
        std = (square / count - mean.square()).clamp_min(0).sqrt()
        groups = std.view(-1, reader.columns)  # of the values, and of the differences
        divisor = torch.stack([self._divisor(group) for group in groups]).flatten()
        statistics = torch.stack([mean * (self.scale != "none"), divisor])
        return NumbersReader(self, reader.columns, statistics.float())

    def _divisor(self, std: Tensor) -> Tensor:
        """Divisors (C,) of columns with standard deviations (C,)."""
        varying = std[std > CONSTANT_STD]
        if self.scale == "none" or not len(varying):
            return std.new_ones(std.shape)
        alike = len(std) >= MIN_ALIKE_COLUMNS and bool(varying.max() <= MAX_STD_RATIO * varying.min())
        if self.scale == "global" or (self.scale == "auto" and alike):
            return std.square().mean().sqrt().expand_as(std)
        return std.where(std > CONSTANT_STD, 1.0)

    def restore(self, learned: Learned, tensors: dict[str, Tensor]) -> NumbersReader:
        """Reader with what `NumbersReader.describe` and `NumbersReader.tensors` returned."""
        return NumbersReader(self, learned["columns"], tensors["scale"])


@dataclass(frozen=True)
class NumbersReader:
    """Arrays to sequences (T, I) float32 with the learned number of columns.

    Parameters
    ----------
    options : Numbers
        Options of the input.
    columns : int
        Number of columns of the data.
    statistics : Tensor
        Mean and divisor (2, I) of each column, the differences included; the encoder of the net applies them.
    """

    options: Numbers
    columns: int
    statistics: Tensor

    @property
    def size(self) -> int:
        """Number I of values of a step, the differences included."""
        return self.columns * (1 + self.options.deltas)

    def items(self, values: NumberSequences) -> LazySequences:
        """Sequences (T, I), unscaled.

        Raises
        ------
        DataError
            Shapes that do not fit, or a value that is not finite, with its place.
        """
        return LazySequences.from_list(self.prepare(read(values)))

    def prepare(self, sequences: Sequence[Tensor]) -> Sequence[Tensor]:
        """Sequences (T, I) of (T, columns), with the differences."""
        import torch

        invalid = [s.shape[1] for s in sequences if s.shape[1] != self.columns]
        if invalid:
            raise DataError(f"x has {invalid[0]} columns, but the model was fitted with {self.columns}")
        if self.options.deltas:
            return [torch.cat([s, torch.diff(s, dim=0, prepend=s[:1])], dim=1) for s in sequences]
        return sequences

    def describe(self) -> Description:
        """Options and number of columns, for a file."""
        return {"kind": "numbers", "options": asdict(self.options), "learned": {"columns": self.columns}}

    def tensors(self) -> dict[str, Tensor]:
        """Mean and divisor of the columns, for a file."""
        return {"scale": self.statistics}


def read(values: NumberSequences) -> list[Tensor]:
    """Sequences (T, I) as float32 tensors; the first value that is not finite is named in a DataError."""
    import torch

    from rekur.data.validation import floats, whole_lengths

    if isinstance(values, PaddedArray):
        batch = floats("x", values.values, "BTI")
        steps = whole_lengths(values.lengths, *batch.shape[:2])
    elif isinstance(values, list) and (
        any(isinstance(row, torch.Tensor) for row in values) or len({np.shape(row) for row in values}) > 1
    ):
        rows = [row.detach().cpu() if isinstance(row, torch.Tensor) else row for row in values]
        return [floats(f"sequence {k} of x", row, "TI") for k, row in enumerate(rows)]
    else:
        batch, steps = floats("x", cast("ArrayLike", values), "BTI"), None
    return list(batch) if steps is None else [row[:n] for row, n in zip(batch, steps.tolist(), strict=True)]
