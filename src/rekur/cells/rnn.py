"""The simple recurrent network."""

from __future__ import annotations

from typing import Any

from rekur.cells.base import DenseCell


class RNN(DenseCell):
    """The simple (Elman) recurrent cell with tanh.

        h' = tanh(W·x + bW + R·h + bR)

    where x (B, I) is the input, h and h' (B, H) the hidden state before and after the step, W (H, I) the
    input weights, R (H, H) the recurrent weights and bW, bR (H,) the biases.

    Source: J. L. Elman, 1990, "Finding structure in time", Cognitive Science 14, 179-211.

    >>> import torch
    >>> from rekur.cells import RNN
    >>> cell, one = RNN(), torch.ones(1, 1)
    >>> cell.point(cell.gate(one), cell.gate(0 * one), cell.state(h=one)).h
    tensor([[0.7616]])
    """

    name = "rnn"
    gates = ("a",)
    states = ("h",)

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step from the named gate parts (B, H) and the old state."""
        return self.state(h=(wx.a + rh.a).tanh())


class ReluRNN(DenseCell):
    """The simple recurrent cell with the rectified linear unit.

        h' = max(0, W·x + bW + R·h + bR)

    Symbols and shapes as in `RNN`.

    Source: Q. V. Le, N. Jaitly and G. E. Hinton, 2015, "A simple way to initialize recurrent networks of
    rectified linear units", arXiv 1504.00941.

    >>> import torch
    >>> from rekur.cells import ReluRNN
    >>> cell, one = ReluRNN(), torch.ones(1, 1)
    >>> cell.point(cell.gate(one), cell.gate(-3 * one), cell.state(h=one)).h
    tensor([[0.]])
    """

    name = "rnn_relu"
    gates = ("a",)
    states = ("h",)

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step from the named gate parts (B, H) and the old state."""
        return self.state(h=(wx.a + rh.a).relu())
