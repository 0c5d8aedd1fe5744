"""RNNCell, LSTMCell and GRUCell of torch.nn with their forward pass on `rekur.kernels.step`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch import nn

from rekur.cells import GRU, LSTM, RNN, AnyCell, ReluRNN
from rekur.core import State, Weights
from rekur.kernels import step
from rekur.nn.fallback import TorchTracing, few_rows, parameters, state_matches, supported, uses_bfloat16

if TYPE_CHECKING:
    from torch import Tensor

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_LSTM, _GRU = LSTM(), GRU()
_RNN: dict[str, AnyCell] = {"tanh": RNN(), "relu": ReluRNN()}
_FEW_ROWS = 3  # up to which torch is faster


class _Cell(TorchTracing, nn.RNNCellBase):
    """Forward pass of the three cells; a mixin in front of a class of torch.nn."""

    _kind: AnyCell | None

    def forward(self, input: Tensor, hx: Tensor | tuple[Tensor, Tensor] | None = None) -> Any:
        """Advance by one step.

        Parameters
        ----------
        input : Tensor
            (B, I), or (I,) for one row.
        hx : Tensor, tuple of Tensor or None, default None
            State before the step, (B, H) or (H,); for an LSTM the pair (h, c). Zero if None.

        Returns
        -------
        state : Tensor or tuple of Tensor
            State after the step, as `hx`.
        """
        self.refuse_symbolic(input)
        kind, weights = self._kind, Weights(*parameters(self, _NAMES))
        shape = (*input.shape[:-1], self.hidden_size)
        states = cast("State | None", hx if hx is None or kind is _LSTM else (hx,))
        if (
            kind is None
            or not supported(input, weights.W)
            or uses_bfloat16(input)
            or input.dim() not in (1, 2)
            or few_rows(1 if input.dim() == 1 else input.shape[0], _FEW_ROWS)
            or input.shape[-1] != self.input_size
            or (states is not None and len(states) != len(kind.states))
            or (states is not None and not all(state_matches(state, shape, input) for state in states))
        ):
            return super().forward(input, hx)
        x = input
        if input.dim() == 1:  # in a graph
            x, states = input.unsqueeze(0), states and [s.unsqueeze(0) for s in states]  # (1, I), S × (1, H)
        start = kind.zeros(x.shape[0], self.hidden_size, x) if states is None else states
        last: State = step(kind, x, weights, start)
        if input.dim() == 1:
            last = [s.squeeze(0) for s in last]
        return last[0] if len(last) == 1 else tuple(last)


class RNNCell(_Cell, nn.RNNCell):
    """torch.nn.RNNCell, faster on the CPU: same arguments, parameters and results.

        h' = tanh(W·x + bW + R·h + bR)

    where x (B, I) is the input, h (B, H) the hidden state, and W, R, bW, bR are the parameters weight_ih,
    weight_hh, bias_ih, bias_hh; max(0, ·) in place of tanh for nonlinearity="relu". See `rekur.cells.RNN`.

    Parameters
    ----------
    *args, **kwargs
        Those of torch.nn.RNNCell.

    Examples
    --------
    >>> import torch
    >>> from rekur.nn import RNNCell
    >>> RNNCell(8, 16)(torch.randn(2, 8)).shape
    torch.Size([2, 16])
    """

    @property
    def _kind(self) -> AnyCell | None:  # type: ignore[override]
        return _RNN.get(self.nonlinearity)  # torch refuses an unknown one


class LSTMCell(_Cell, nn.LSTMCell):
    """torch.nn.LSTMCell, faster on the CPU: same arguments, parameters and results.

        i, f, o = σ(W·x + bW + R·h + bR), each with its own rows
        g       = tanh(W·x + bW + R·h + bR)
        c'      = f ⊙ c + i ⊙ g,  h' = o ⊙ tanh(c')

    where x (B, I) is the input, h and c (B, H) are hidden and cell state, and W, R, bW, bR are the parameters
    weight_ih, weight_hh, bias_ih, bias_hh. See `rekur.cells.LSTM`.

    Parameters
    ----------
    *args, **kwargs
        Those of torch.nn.LSTMCell.

    Examples
    --------
    >>> import torch
    >>> from rekur.nn import LSTMCell
    >>> h, c = LSTMCell(8, 16)(torch.randn(2, 8))
    >>> h.shape, c.shape
    (torch.Size([2, 16]), torch.Size([2, 16]))
    """

    _kind = _LSTM


class GRUCell(_Cell, nn.GRUCell):
    """torch.nn.GRUCell, faster on the CPU: same arguments, parameters and results.

        r, z = σ(W·x + bW + R·h + bR), each with its own rows
        n    = tanh(W·x + bW + r ⊙ (R·h + bR))
        h'   = (1 - z) ⊙ n + z ⊙ h

    where x (B, I) is the input, h (B, H) the hidden state, and W, R, bW, bR are the parameters weight_ih,
    weight_hh, bias_ih, bias_hh. See `rekur.cells.GRU`.

    Parameters
    ----------
    *args, **kwargs
        Those of torch.nn.GRUCell.

    Examples
    --------
    >>> import torch
    >>> from rekur.nn import GRUCell
    >>> model, h = GRUCell(8, 16), None
    >>> for x in torch.randn(5, 2, 8):
    ...     h = model(x, h)
    >>> h.shape
    torch.Size([2, 16])
    """

    _kind = _GRU
