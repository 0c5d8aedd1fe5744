"""GRU cells: the gated recurrent unit with the reset gate after or before the recurrent product."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rekur.cells.base import DenseCell, HiddenState

if TYPE_CHECKING:
    from torch import Tensor


class GRUGates(NamedTuple):
    """Pre-activations of reset gate, update gate and candidate, each (..., H)."""

    r: Tensor
    z: Tensor
    n: Tensor


class LateGRUGates(NamedTuple):
    """Recurrent parts of reset and update gate (B, H), and the function (B, H) → R·(·) + bR of the candidate."""

    r: Tensor
    z: Tensor
    n: Callable[[Tensor], Tensor]


class GRU(DenseCell[GRUGates, GRUGates, HiddenState]):
    """Gated recurrent unit, reset gate applied after the recurrent product; `GRUBefore` applies it before.

        r, z = σ(W·x + bW + R·h + bR), each with its own rows           reset, update gate
        n    = tanh(W·x + bW + r ⊙ (R·h + bR))                          candidate
        h'   = (1 - z) ⊙ n + z ⊙ h

    where x (B, I) is the input, h (B, H) the hidden state, W (3·H, I), R (3·H, H) and bW, bR (3·H,) hold
    the gates in the order r, z, n.

    This is the GRU of torch and cuDNN, reset_after=True in Keras and linear_before_reset=1 in ONNX.

    References
    ----------
    K. Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP, which resets h before the product.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import GRU
    >>> cell, zero, one = GRU(), torch.zeros(1, 3), torch.ones(1, 1)
    >>> cell.point(cell.gate(zero), cell.gate(zero), cell.state(h=one)).h
    tensor([[0.5000]])
    """

    name = "gru"
    Gates, State = GRUGates, HiddenState

    def point(self, wx: GRUGates, rh: GRUGates, s: HiddenState, /) -> HiddenState:
        """Advance by one step from the gate parts (B, H) and the old state."""
        r, z = (wx.r + rh.r).sigmoid(), (wx.z + rh.z).sigmoid()
        n = (wx.n + r * rh.n).tanh()
        return HiddenState(h=(1 - z) * n + z * s.h)


class GRUBefore(DenseCell[GRUGates, LateGRUGates, HiddenState]):
    """Gated recurrent unit, reset gate applied before the recurrent product; `GRU` applies it after.

        r, z = σ(W·x + bW + R·h + bR), each with its own rows           reset, update gate
        n    = tanh(W·x + bW + R·(r ⊙ h) + bR)                          candidate
        h'   = (1 - z) ⊙ n + z ⊙ h

    Symbols, shapes and the order of the gates as in `GRU`. This is reset_after=False in Keras and
    linear_before_reset=0, the default, in ONNX. Where r = 1 both forms are the same.

    References
    ----------
    K. Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import GRUBefore
    >>> from rekur.core import Weights
    >>> cell, one, weights = GRUBefore(), torch.ones(1, 1), Weights(torch.zeros(3, 1), torch.ones(3, 1))
    >>> cell.point(cell.gate(torch.zeros(1, 3)), cell.recur(one, weights), cell.state(h=one)).h
    tensor([[0.8988]])
    """

    name = "gru_before"
    Gates, RecurrentGates, State = GRUGates, LateGRUGates, HiddenState
    late = ("n",)

    def point(self, wx: GRUGates, rh: LateGRUGates, s: HiddenState, /) -> HiddenState:
        """Advance by one step from the gate parts (B, H), R·(·) + bR of n as a function, and the old state."""
        r, z = (wx.r + rh.r).sigmoid(), (wx.z + rh.z).sigmoid()
        n = (wx.n + rh.n(r * s.h)).tanh()
        return HiddenState(h=(1 - z) * n + z * s.h)
