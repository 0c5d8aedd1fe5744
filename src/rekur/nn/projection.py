"""LSTM with projected hidden state (proj_size), computed by the ordinary LSTM kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import linear

from rekur.cells import LSTM, LSTMState
from rekur.core import Weights
from rekur.kernels import scan

if TYPE_CHECKING:
    from torch import Tensor


def scan_projected(
    cell: LSTM,
    x: Tensor,
    weights: Weights,
    P: Tensor,
    state: LSTMState | None,
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, LSTMState]:
    """Fold an LSTM whose hidden state is h = P·m, m = o ⊙ tanh(c).

        R·h_{t-1} = (R·P)·m_{t-1},  y_t = P·m_t

    so that an ordinary LSTM with the recurrent weights R·P gives m. The initial h₀ need not be P·m₀ for any m₀: it
    enters as further inputs with the weights R that are h₀ at the first step of a row and zero at all others.

    Parameters
    ----------
    cell : LSTM
        The cell.
    x : Tensor
        Input (B, T, I).
    weights : Weights
        W (4·H, I), R (4·H, K), biases (4·H,) or None.
    P : Tensor
        Projection (K, H).
    state : LSTMState or None
        Initial h (B, K) and c (B, H); None for zeros.
    lengths, reverse
        As in `rekur.kernels.scan`.

    Returns
    -------
    y : Tensor
        Output (B, T, K).
    state : LSTMState
        Last h (B, K) and c (B, H).

    References
    ----------
    H. Sak, A. Senior and F. Beaufays, 2014, "Long short-term memory based recurrent neural network architectures for
    large vocabulary speech recognition", arXiv 1402.1128.
    """
    W, R, bW, bR = weights
    if state is None:
        start = cell.zeros(x.shape[0], P.shape[1], R)
    else:
        T = x.shape[1]
        first = 0 if not reverse else T - 1 if lengths is None else lengths[:, None] - 1
        at_first = (torch.arange(T) == first)[..., None]  # (T, 1) or (B, T, 1)
        x = torch.cat((x, torch.where(at_first, state.h[:, None], 0).to(x.dtype)), dim=-1)  # (B, T, I + K)
        W = torch.cat((W, R), dim=1)  # (4·H, I + K)
        start = LSTMState(h=torch.zeros_like(state.c), c=state.c)
    m, last = scan(cell, x, Weights(W, R @ P, bW, bR), start, lengths, reverse)
    h = linear(last.h, P)  # (B, K)
    if state is not None and lengths is not None:
        h = torch.where(lengths[:, None] > 0, h, state.h)
    return linear(m, P.to(m.dtype)), LSTMState(h=h, c=last.c)
