"""Recurrent cells: RNN, LSTM and GRU, each as a declaration of gates and states and the equations of one step."""

from typing import Any

from rekur.cells.base import AnyCell, DenseCell, HiddenState
from rekur.cells.gru import GRU, GRUBefore
from rekur.cells.lstm import LSTM, LSTMState
from rekur.cells.rnn import RNN, ReluRNN
from rekur.core import NamedState, choose

__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "RNN",
    "AnyCell",
    "DenseCell",
    "GRUBefore",
    "HiddenState",
    "LSTMState",
    "ReluRNN",
    "cell",
]

CELLS: dict[str, type[AnyCell]] = {kind.name: kind for kind in (RNN, ReluRNN, LSTM, GRU, GRUBefore)}
"""Every cell by its name; the laws of a cell are tested over this list."""


def cell(name: str) -> DenseCell[Any, Any, NamedState]:
    """Return a cell by its name.

    Parameters
    ----------
    name : {"rnn", "rnn_relu", "lstm", "gru", "gru_before"}
        A key of `CELLS`.

    Returns
    -------
    cell : DenseCell
        The cell; it holds no parameters.

    Raises
    ------
    OptionError
        `name` is not in `CELLS`; the message lists the names.

    Examples
    --------
    >>> from rekur.cells import cell
    >>> cell("gru").gates
    ('r', 'z', 'n')
    """
    return CELLS[choose("cell", name, CELLS)]()
