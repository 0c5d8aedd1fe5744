"""Targets: rows to train on and rows held out, random segmentations, and targets that do not occur in training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import torch

from rekur.core import OptionError
from rekur.data.batching import Batcher, LazySequences, train_validation_split
from rekur.data.validation import UserData
from rekur.inputs.text import TextReader
from rekur.training.checkpoint import fingerprint

if TYPE_CHECKING:
    from rekur.core import Array
    from rekur.inputs.reader import Reader

Validation: TypeAlias = "float | tuple[UserData, ...] | None"
"""None for an automatic share, a share in [0, 1), 0 for none, or data (x, y) or (x, y, lengths)."""

SplitKind: TypeAlias = Literal["random", "stratified", "last"]
"""Rows that are held out: a random share, a random share of each label, or the last ones."""

VALIDATION_SHARE = 0.1
"""Share of the rows held out automatically."""

MIN_ROWS_TO_SPLIT = 200
"""Rows from which on a part is held out automatically."""

UNKNOWN = -1
"""Number of a label that does not occur in the training data. No prediction equals it, so that it counts as an error in
every score; the validation error leaves it out."""

FINGERPRINTED_FILES = 100
"""Recordings or videos that are decoded, so that a checkpoint recognises its data, at most."""

SHOWN = 5
"""Unknown targets that a note names."""


def label_numbers(values: Iterable[Hashable], labels: Sequence[Hashable]) -> list[int]:
    """Number of each value among the labels, `UNKNOWN` for one that is none of them.

    >>> label_numbers(["b", "c"], labels=["a", "b"])
    [1, -1]
    """
    numbers = {label: k for k, label in enumerate(labels)}
    return [numbers.get(value, UNKNOWN) for value in values]


def unknown_labels(values: Iterable[Hashable], labels: Iterable[Hashable]) -> Counter[str]:
    """Values that are none of the labels, as texts, and their counts.

    >>> unknown_labels(["b", "c", "c"], labels=["a", "b"])
    Counter({"'c'": 2})
    """
    known = set(labels)
    return Counter(repr(value) for value in values if value not in known)


def unknown_note(unknown: Counter[str], kind: str, where: str) -> list[str]:
    """Note on targets that do not occur in the training data, in a list; an empty list without any.

    >>> unknown_note(Counter({"'c'": 2}), "label", "validation data")
    ["1 label of the validation data is unknown to the model ('c' 2 times): it counts as an error"]
    """
    if not unknown:
        return []
    most = unknown.most_common(SHOWN)
    names = [f"{name} {n} times" if n > 1 else f"{name} once" for name, n in most]
    names += [f"{len(unknown) - SHOWN:,} more"] * (len(unknown) > SHOWN)
    one = len(unknown) == 1
    subject = f"1 {kind} of the {where} is" if one else f"{len(unknown):,} {kind}s of the {where} are"
    verb = "it counts as an error" if one else "they count as errors"
    return [f"{subject} unknown to the model ({', '.join(names)}): {verb}"]


def split_rows(
    n: int,
    validation: Validation,
    random_state: int,
    kind: SplitKind,
    labels: Array | None,
    groups: Array | None = None,
) -> tuple[Array, Array]:
    """Rows to train on and rows held out, of n rows; none are held out where the user gives validation data.

    Equal rows, of one number in `groups`, are all held out or all trained on, see `train_validation_split`.
    """
    if isinstance(validation, tuple):
        if len(validation) not in (2, 3):
            raise OptionError("validation must be a share in [0, 1), (x, y) or (x, y, lengths)")
        return np.arange(n), np.arange(0)
    share = validation
    if share is None:
        share = VALIDATION_SHARE if n >= MIN_ROWS_TO_SPLIT else 0.0
    if isinstance(share, bool) or not isinstance(share, float | int):
        raise OptionError(f"validation must be a share in [0, 1) or (x, y), got a {type(share).__name__}")
    if not 0 <= share < 1:
        raise OptionError(f"validation must be a share in [0, 1) or (x, y), got {validation!r}")
    if n and round(n * share) == n:
        raise OptionError(f"validation={validation} of {n} rows leaves no training rows; use a smaller share")
    return train_validation_split(n, share, random_state, labels=labels, groups=groups, ordered=kind == "last")


def with_known_labels(data: Batcher) -> Batcher | None:
    """The rows with a label that occurs in the training data, None without any; rows of values stay as they are."""
    targets, rows = data.y, data.row_numbers
    assert targets is not None
    if targets[int(rows[0])].is_floating_point():
        return data
    known = [row for row in rows.tolist() if bool((targets[row] != UNKNOWN).any())]
    return replace(data, rows=np.array(known)) if known else None


@runtime_checkable
class SamplingCodec(Protocol):
    """Codec of texts that draws their segmentation into tokens."""

    def sampled(self, y: Sequence[str], alpha: float) -> LazySequences:
        """Tokens of a random segmentation of each text, with the exponent `alpha`."""


def drawn_rows(train: Batcher, x: UserData, y: UserData, reader: Reader, codec: object, alpha: float | None) -> Batcher:
    """Training rows with random segmentations of the texts x and y; as they are where `alpha` is None."""
    if alpha is None or not isinstance(reader, TextReader) or not isinstance(codec, SamplingCodec):
        return train
    source, target = cast("Sequence[str]", x), cast("Sequence[str]", y)
    return replace(train, x=reader.sampled(source, alpha), y=codec.sampled(target, alpha))


def data_fingerprint(data: Batcher) -> str:
    """Hash of the rows of a batcher: all lengths, targets and sequences, of recordings and videos a hundred."""
    rows = chosen = data.row_numbers
    if not data.x.in_memory:
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, FINGERPRINTED_FILES).astype(int))]
    targets = torch.empty(0) if data.y is None else data.y
    if isinstance(targets, LazySequences):
        targets = torch.cat([targets[int(row)] for row in rows])
    weight = None if data.weight is None else data.weight.numpy()
    return fingerprint(data.x.lengths, rows, targets.numpy(), weight, *(data.x[int(row)].numpy() for row in chosen))
