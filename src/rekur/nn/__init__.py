"""Drop-in replacements of torch.nn's recurrent modules, on rekur's kernels.

Import LSTM from `rekur.nn` in place of `torch.nn`; `accelerate` replaces the layers of an existing model.
"""

import sys
from typing import TYPE_CHECKING, NoReturn

from rekur.nn.accelerate import Accelerated, Layer, accelerate, accelerated, restore
from rekur.nn.cells import GRUCell, LSTMCell, RNNCell
from rekur.nn.recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Accelerated",
    "GRUCell",
    "LSTMCell",
    "Layer",
    "RNNCell",
    "accelerate",
    "accelerated",
    "restore",
]


if not TYPE_CHECKING:  # hidden from type checkers, so that they report a misspelt name

    def __getattr__(name: str) -> NoReturn:
        """Say where the other layers of torch.nn are."""
        import torch

        message = f"module {__name__!r} has no attribute {name!r}"
        if not name.startswith("_") and hasattr(torch.nn, name):
            message += f": it holds the recurrent layers alone; take torch.nn.{name}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
