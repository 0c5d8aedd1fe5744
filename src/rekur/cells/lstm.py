"""LSTM cell: the long short-term memory with forget gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rekur.cells.base import DenseCell

if TYPE_CHECKING:
    from torch import Tensor


class LSTMGates(NamedTuple):
    """Pre-activations of input gate, forget gate, candidate and output gate, each (..., H)."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor


class LSTMState(NamedTuple):
    """State of an LSTM.

    Attributes
    ----------
    h : Tensor
        Hidden state (B, H), which is the output.
    c : Tensor
        Cell state (B, H).

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import LSTMState
    >>> LSTMState(h=torch.zeros(2, 3), c=torch.zeros(2, 3)).c.shape
    torch.Size([2, 3])
    """

    h: Tensor
    c: Tensor


class LSTM(DenseCell[LSTMGates, LSTMGates, LSTMState]):
    """Long short-term memory with forget gate.

        i, f, o = σ(W·x + bW + R·h + bR), each with its own rows        input, forget, output gate
        g       = tanh(W·x + bW + R·h + bR)                             candidate
        c'      = f ⊙ c + i ⊙ g
        h'      = o ⊙ tanh(c')

    where x (B, I) is the input, h and c (B, H) the hidden and the cell state, W (4·H, I), R (4·H, H) and
    bW, bR (4·H,) hold the gates in the order i, f, g, o.

    References
    ----------
    S. Hochreiter and J. Schmidhuber, 1997, "Long short-term memory", Neural Computation 9(8).
    F. A. Gers, J. Schmidhuber and F. Cummins, 2000, "Learning to forget", Neural Computation 12(10).

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import LSTM
    >>> cell, zero, one = LSTM(), torch.zeros(1, 4), torch.ones(1, 1)
    >>> cell.point(cell.gate(zero), cell.gate(zero), cell.state(h=one, c=one)).c
    tensor([[0.5000]])
    """

    name = "lstm"
    Gates, State = LSTMGates, LSTMState

    def point(self, wx: LSTMGates, rh: LSTMGates, s: LSTMState, /) -> LSTMState:
        """Advance by one step from the gate parts (B, H) and the old state."""
        i, f = (wx.i + rh.i).sigmoid(), (wx.f + rh.f).sigmoid()
        g, o = (wx.g + rh.g).tanh(), (wx.o + rh.o).sigmoid()
        c = f * s.c + i * g
        return LSTMState(h=o * c.tanh(), c=c)
