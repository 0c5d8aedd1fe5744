"""RNNCell, LSTMCell and GRUCell of torch.nn with their forward pass on `rekur.kernels.step`."""

from __future__ import annotations

from typing import Any

from torch import nn

from rekur.cells import DenseCell, cell
from rekur.core import Weights
from rekur.kernels import step
from rekur.nn.calls import few, fits, half, suits, take

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_LSTM, _GRU = cell("lstm"), cell("gru")
_RNN = {"tanh": cell("rnn"), "relu": cell("rnn_relu")}


class _Cell(nn.RNNCellBase):
    """What the three share; it stands before a class of torch.nn and takes over its forward pass."""

    _kind: DenseCell | None

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Advance by one step.

        Parameters
        ----------
        input : (B, I), or (I,) for one row
        hx : (B, H) or (H,), the state before the step, for an LSTM the pair (h, c); zero if None

        Returns
        -------
        state : the state after the step, as `hx`
        """
        kind, weights = self._kind, Weights(*take(self, _NAMES))
        shape = (*input.shape[:-1], self.hidden_size)
        states = hx if hx is None or kind is _LSTM else (hx,)
        if (
            kind is None
            or not fits(input, weights.W)
            or half(input)
            or input.dim() not in (1, 2)
            or few(1 if input.dim() == 1 else input.shape[0], 3)
            or input.shape[-1] != self.input_size
            or (states is not None and len(states) != len(kind.states))
            or (states is not None and not all(suits(state, shape, input) for state in states))
        ):
            return super().forward(input, hx)
        x = input
        if input.dim() == 1:  # in a graph
            x, states = input.unsqueeze(0), states and [s.unsqueeze(0) for s in states]  # (1, I), S × (1, H)
        if states is None:
            start = kind.zeros(x.shape[0], self.hidden_size, x)
        else:
            start = kind.state(**dict(zip(kind.states, states, strict=True)))
        last = step(kind, x, weights, start)
        if input.dim() == 1:
            last = [s.squeeze(0) for s in last]
        return last[0] if len(last) == 1 else tuple(last)


class RNNCell(_Cell, nn.RNNCell):
    """torch.nn.RNNCell, faster on the CPU: same arguments, parameters and results.

    The mathematics stands in `rekur.cells.RNN` and, for `nonlinearity="relu"`, in `rekur.cells.ReluRNN`.

    >>> import torch
    >>> from rekur.nn import RNNCell
    >>> RNNCell(8, 16)(torch.randn(2, 8)).shape
    torch.Size([2, 16])
    """

    @property
    def _kind(self) -> DenseCell | None:  # type: ignore[override]
        return _RNN.get(self.nonlinearity)  # torch refuses one that is not known


class LSTMCell(_Cell, nn.LSTMCell):
    """torch.nn.LSTMCell, faster on the CPU: same arguments, parameters and results.

    The mathematics stands in `rekur.cells.LSTM`.

    >>> import torch
    >>> from rekur.nn import LSTMCell
    >>> h, c = LSTMCell(8, 16)(torch.randn(2, 8))
    >>> h.shape, c.shape
    (torch.Size([2, 16]), torch.Size([2, 16]))
    """

    _kind = _LSTM


class GRUCell(_Cell, nn.GRUCell):
    """torch.nn.GRUCell, faster on the CPU: same arguments, parameters and results.

    The mathematics stands in `rekur.cells.GRU`.

    >>> import torch
    >>> from rekur.nn import GRUCell
    >>> model, h = GRUCell(8, 16), None
    >>> for x in torch.randn(5, 2, 8):
    ...     h = model(x, h)
    >>> h.shape
    torch.Size([2, 16])
    """

    _kind = _GRU
