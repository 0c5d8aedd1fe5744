"""torch.nn's recurrent modules, to the letter, on rekur's kernels.

`from rekur.nn import LSTM` in place of `from torch.nn import LSTM` is the whole change; `accelerate` makes it for the
layers of a model that exists already.
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
