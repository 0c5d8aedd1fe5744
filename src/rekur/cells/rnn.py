"""Simple recurrent cells: the Elman network with tanh or the rectified linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rekur.cells.base import DenseCell, HiddenState

if TYPE_CHECKING:
    from torch import Tensor


class RNNGates(NamedTuple):
    """The pre-activation (..., H)."""

    a: Tensor


class RNN(DenseCell[RNNGates, RNNGates, HiddenState]):
    """Simple (Elman) recurrent cell with tanh.

        h' = tanh(W·x + bW + R·h + bR)

    where x (B, I) is the input, h and h' (B, H) the hidden state before and after the step, W (H, I) the
    input weights, R (H, H) the recurrent weights and bW, bR (H,) the biases.

    References
    ----------
    J. L. Elman, 1990, "Finding structure in time", Cognitive Science 14, 179-211.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import RNN
    >>> cell, one = RNN(), torch.ones(1, 1)
    >>> cell.point(cell.gate(one), cell.gate(0 * one), cell.state(h=one)).h
    tensor([[0.7616]])
    """

    name = "rnn"
    Gates, State = RNNGates, HiddenState

    def point(self, wx: RNNGates, rh: RNNGates, s: HiddenState, /) -> HiddenState:
        """Advance by one step from the gate parts (B, H); the previous state enters only through them."""
        return HiddenState(h=(wx.a + rh.a).tanh())


class ReluRNN(DenseCell[RNNGates, RNNGates, HiddenState]):
    """Simple recurrent cell with the rectified linear unit.

        h' = max(0, W·x + bW + R·h + bR)

    Symbols and shapes as in `RNN`.

    References
    ----------
    Q. V. Le, N. Jaitly and G. E. Hinton, 2015, "A simple way to initialize recurrent networks of rectified linear
    units", arXiv 1504.00941.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import ReluRNN
    >>> cell, one = ReluRNN(), torch.ones(1, 1)
    >>> cell.point(cell.gate(one), cell.gate(-3 * one), cell.state(h=one)).h
    tensor([[0.]])
    """

    name = "rnn_relu"
    Gates, State = RNNGates, HiddenState

    def point(self, wx: RNNGates, rh: RNNGates, s: HiddenState, /) -> HiddenState:
        """Advance by one step from the gate parts (B, H); the previous state enters only through them."""
        return HiddenState(h=(wx.a + rh.a).relu())
