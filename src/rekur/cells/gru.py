"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any

from rekur.cells.base import DenseCell


class GRU(DenseCell):
    """The gated recurrent unit, reset gate applied after the recurrent product.

        r, z = σ(W·x + bW + R·h + bR), each with its own rows           reset, update gate
        n    = tanh(W·x + bW + r ⊙ (R·h + bR))                          candidate
        h'   = (1 - z) ⊙ n + z ⊙ h

    where x (B, I) is the input, h (B, H) the hidden state, W (3·H, I), R (3·H, H) and bW, bR (3·H,) hold
    the gates in the order r, z, n.

    Source: K. Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", EMNLP. The paper resets h before the product; this form (torch, cuDNN) after it.

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
