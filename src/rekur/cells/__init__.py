"""The cells: one file a family, each a declaration and its mathematics, once."""

from rekur.cells.base import DenseCell
from rekur.cells.gru import GRU, GRUBefore
from rekur.cells.lstm import LSTM
from rekur.cells.rnn import RNN, ReluRNN
from rekur.core import choose

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "DenseCell", "GRUBefore", "ReluRNN", "cell"]

CELLS: dict[str, type[DenseCell]] = {kind.name: kind for kind in (RNN, ReluRNN, LSTM, GRU, GRUBefore)}
"""Every cell by its name; the laws of a cell are tested over this list."""


def cell(name: str) -> DenseCell:
    """Return the cell called `name`: "rnn", "rnn_relu", "lstm", "gru" or "gru_before".

    >>> cell("gru").gates
    ('r', 'z', 'n')
    """
    return CELLS[choose("cell", name, CELLS)]()
