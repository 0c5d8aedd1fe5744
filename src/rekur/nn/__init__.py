"""Drop-in replacements of torch.nn's recurrent modules, on rekur's kernels.

Import LSTM from `rekur.nn` in place of `torch.nn`; `accelerate` replaces the layers of an existing model.
"""

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
