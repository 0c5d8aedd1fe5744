"""The long short-term memory."""

from __future__ import annotations

from typing import Any

from rekur.cells.base import DenseCell


class LSTM(DenseCell):
    """The long short-term memory with forget gate.

        i, f, o = σ(W·x + bW + R·h + bR), each with its own rows        input, forget, output gate
        g       = tanh(W·x + bW + R·h + bR)                             candidate
        c'      = f ⊙ c + i ⊙ g
        h'      = o ⊙ tanh(c')

    where x (B, I) is the input, h and c (B, H) the hidden and the cell state, W (4·H, I), R (4·H, H) and
    bW, bR (4·H,) hold the gates in the order i, f, g, o.

    Sources: S. Hochreiter and J. Schmidhuber, 1997, "Long short-term memory", Neural Computation 9(8);
    F. A. Gers, J. Schmidhuber and F. Cummins, 2000, "Learning to forget", Neural Computation 12(10).

    >>> import torch
    >>> from rekur.cells import LSTM
    >>> cell, zero, one = LSTM(), torch.zeros(1, 4), torch.ones(1, 1)
    >>> cell.point(cell.gate(zero), cell.gate(zero), cell.state(h=one, c=one)).c
    tensor([[0.5000]])
    """

    name = "lstm"
    gates = ("i", "f", "g", "o")
    states = ("h", "c")

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step from the named gate parts (B, H) and the old state."""
        i, f = (wx.i + rh.i).sigmoid(), (wx.f + rh.f).sigmoid()
        g, o = (wx.g + rh.g).tanh(), (wx.o + rh.o).sigmoid()
        c = f * s.c + i * g
        return self.state(h=o * c.tanh(), c=c)
