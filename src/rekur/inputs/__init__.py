"""Inputs: options of text, words, numbers, audio and video, and the readers that turn them into sequences.

An input is a frozen dataclass of options, see `rekur.inputs.reader.Input`. Its method learn looks at the training data
and returns a reader, see `rekur.inputs.reader.Reader`, which turns values into sequences that are read on demand and is
saved with the model; `restore` builds it again.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from rekur.core import ModelFileError, choose

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.inputs.audio import Audio
    from rekur.inputs.numbers import Numbers
    from rekur.inputs.reader import Description, Input, Reader
    from rekur.inputs.text import Text
    from rekur.inputs.video import Video
    from rekur.inputs.words import Words

__all__ = ["INPUTS", "Audio", "Numbers", "Text", "Video", "Words", "find", "restore"]

_HOMES = {
    "Audio": "rekur.inputs.audio",
    "Numbers": "rekur.inputs.numbers",
    "Text": "rekur.inputs.text",
    "Video": "rekur.inputs.video",
    "Words": "rekur.inputs.words",
}

INPUTS = {name.lower(): name for name in _HOMES}
"""Class of every input by its kind."""


if not TYPE_CHECKING:  # hidden from type checkers, so that they report a misspelt name

    def __getattr__(name: str) -> type[Input]:
        """Resolve the class of an input on first use, so that importing this package loads no large library."""
        if name in _HOMES:
            return _class_of(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def _class_of(name: str) -> type[Input]:
    """Import the class of an input."""
    kind: type[Input] = getattr(import_module(_HOMES[name]), name)
    return kind


def __dir__() -> list[str]:
    return list(__all__)


def find(kind: str) -> type[Input]:
    """Class of an input.

    Parameters
    ----------
    kind : {"audio", "numbers", "text", "video", "words"}
        Kind of the input.

    Returns
    -------
    type
        `Audio`, `Numbers`, `Text`, `Video` or `Words`.

    Raises
    ------
    OptionError
        The kind is not known.

    Examples
    --------
    >>> find("text")(vocabulary_size=500)
    Text(vocabulary_size=500, pieces='unigram', lowercase=False, max_length=1000)
    """
    return _class_of(INPUTS[choose("input", kind, INPUTS)])


def restore(description: Description, tensors: dict[str, Tensor]) -> Reader:
    """Reader of a saved model.

    Parameters
    ----------
    description : dict
        Result of the reader's method describe.
    tensors : dict of str to Tensor
        Result of the reader's method tensors.

    Returns
    -------
    Reader
        Reader equal to the saved one.

    Raises
    ------
    ModelFileError
        The kind of the input is not known.

    Examples
    --------
    >>> reader = find("words")().learn([["a", "cat"], ["a", "dog"]])
    >>> restore(reader.describe(), reader.tensors()).size == reader.size
    True
    """
    kind = description["kind"]
    if kind not in INPUTS:
        raise ModelFileError(f"the input {kind!r} is not supported by this release; install a newer release of rekur")
    return find(kind)(**description["options"]).restore(description["learned"], tensors)
