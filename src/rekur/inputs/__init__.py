"""Inputs: from arrays, text, recordings and videos to sequences of numbers or tokens, read one by one.

An input is a frozen value of options; `learn` looks at the training data and gives a reader, which turns values into
`LazySequences`. A reader is data: `describe` and `tensors` go into the model's folder, `restore` makes it again.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rekur.core import ModelFileError

__all__ = ["INPUTS", "find", "restore"]

INPUTS = {
    "audio": "rekur.inputs.audio.Audio",
    "numbers": "rekur.inputs.numbers.Numbers",
    "text": "rekur.inputs.text.Text",
    "video": "rekur.inputs.video.Video",
    "words": "rekur.inputs.words.Words",
}
"""Every input by its name."""


def find(name: str) -> Any:
    """The class of an input."""
    module, _, kind = INPUTS[name].rpartition(".")
    return getattr(import_module(module), kind)


def restore(description: dict[str, Any], tensors: dict[str, Any]) -> Any:
    """Make a reader again from what `describe` and `tensors` gave."""
    name = description["kind"]
    if name not in INPUTS:
        raise ModelFileError(f"the input {name!r} is not known; it may be of a newer release of rekur")
    return find(name)(**description["options"]).restore(description["learned"], tensors)
