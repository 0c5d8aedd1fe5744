"""The gated recurrent unit in its two forms."""

from __future__ import annotations

from typing import Any

from rekur.cells.base import DenseCell


class GRU(DenseCell):
    """The gated recurrent unit, reset gate applied after the recurrent product; `GRUBefore` applies it before.

        r, z = σ(W·x + bW + R·h + bR), each with its own rows           reset, update gate
        n    = tanh(W·x + bW + r ⊙ (R·h + bR))                          candidate
        h'   = (1 - z) ⊙ n + z ⊙ h

    where x (B, I) is the input, h (B, H) the hidden state, W (3·H, I), R (3·H, H) and bW, bR (3·H,) hold
    the gates in the order r, z, n.

    This is the GRU of torch and cuDNN, `reset_after=True` in Keras and `linear_before_reset=1` in ONNX.

    Source: K. Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", EMNLP, which resets h before the product.

    >>> import torch
    >>> from rekur.cells import GRU
    >>> cell, zero, one = GRU(), torch.zeros(1, 3), torch.ones(1, 1)
    >>> cell.point(cell.gate(zero), cell.gate(zero), cell.state(h=one)).h
    tensor([[0.5000]])
    """

    name = "gru"
    gates = ("r", "z", "n")
    states = ("h",)

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step from the named gate parts (B, H) and the old state."""
        r, z = (wx.r + rh.r).sigmoid(), (wx.z + rh.z).sigmoid()
        n = (wx.n + r * rh.n).tanh()
        return self.state(h=(1 - z) * n + z * s.h)


class GRUBefore(DenseCell):
    """The gated recurrent unit, reset gate applied before the recurrent product; `GRU` applies it after.

        r, z = σ(W·x + bW + R·h + bR), each with its own rows           reset, update gate
        n    = tanh(W·x + bW + R·(r ⊙ h) + bR)                          candidate
        h'   = (1 - z) ⊙ n + z ⊙ h

    Symbols, shapes and the order of the gates as in `GRU`. This is `reset_after=False` in Keras and
    `linear_before_reset=0`, the default, in ONNX. Where r = 1 both forms are the same.

    Source: K. Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", EMNLP.

    >>> import torch
    >>> from rekur.cells import GRUBefore
    >>> from rekur.core import Weights
    >>> cell, one, weights = GRUBefore(), torch.ones(1, 1), Weights(torch.zeros(3, 1), torch.ones(3, 1))
    >>> cell.point(cell.gate(torch.zeros(1, 3)), cell.recur(one, weights), cell.state(h=one)).h
    tensor([[0.8988]])
    """

    name = "gru_before"
    gates = ("r", "z", "n")
    states = ("h",)
    late = ("n",)

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step from the named gate parts (B, H), R·(·) + bR of n as a function, and the old state."""
        r, z = (wx.r + rh.r).sigmoid(), (wx.z + rh.z).sigmoid()
        n = (wx.n + rh.n(r * s.h)).tanh()
        return self.state(h=(1 - z) * n + z * s.h)
