"""RNN, LSTM and GRU of torch.nn with their forward pass on `rekur.kernels.scan`.

Construction, parameters, initialisation, state_dict and printing are torch's: these classes add no attribute, so that
assigning `rekur.nn.GRU` to the class of an existing `torch.nn.GRU` converts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rekur.cells import LSTM as LSTM_CELL
from rekur.cells import LSTMState, cell
from rekur.core import NamedState, State, Weights, choose
from rekur.kernels import scan
from rekur.nn.fallback import (
    TorchTracing,
    batch_lengths,
    few_rows,
    parameters,
    run_packed,
    state_matches,
    supported,
    uses_bfloat16,
)
from rekur.nn.projection import scan_projected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    Blocks = list[tuple[Weights, Tensor | None]]  # the parameters of each layer and direction, P if projected

_LSTM = LSTM_CELL()
_CELLS = {"RNN_TANH": cell("rnn"), "RNN_RELU": cell("rnn_relu"), "LSTM": cell("lstm"), "GRU": cell("gru")}


class _Recurrent(TorchTracing, nn.RNNBase):
    """Forward pass of the three layers; a mixin in front of a class of torch.nn."""

    precision = "float32"  # the default, on the class: a layer whose class was changed lacks the attribute

    def __init__(self, *args: Any, precision: str = "float32", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if precision != "float32":
            self.precision = choose("precision", precision, ("float32", "bf16"))

    def extra_repr(self) -> str:
        """Return the sizes, as torch prints them, and the precision unless it is float32."""
        return super().extra_repr() + ", precision=bf16" * (self.precision == "bf16")

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | tuple[Tensor, Tensor] | None = None,
        lengths: Tensor | None = None,  # by position too, as the TorchScript exporter passes all arguments
    ) -> Any:
        """Run all layers over the sequence.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (T, B, I), or (B, T, I) if `batch_first`, or (T, I) for one row.
        hx : Tensor, tuple of Tensor or None, default None
            States before the first step, (L·D, B, H), or (L·D, H) for one row; for an LSTM the pair (h, c). Zero if
            None.
        lengths : Tensor of integers or None, default None
            Number of valid steps of each row, (B,) in 0 … T, in any order; all T if None. Steps beyond it are never
            read, give zeros and get exactly zero gradient; an empty row keeps its initial state.

        Returns
        -------
        output : Tensor or PackedSequence
            (T, B, D·H), (B, T, D·H) or (T, D·H), as `input`.
        last : Tensor or tuple of Tensor
            States after the last step of each row, as `hx`.

        Raises
        ------
        OptionError
            `lengths` together with a PackedSequence.
        DataError
            `lengths` that are not integers in 0 … T, or with a single row.
        RuntimeError, ValueError
            Misuse that torch.nn refuses, in its own words.
        """
        self.refuse_symbolic(input)
        if lengths is not None:
            lengths = batch_lengths(lengths, input)
        blocks = self._blocks()
        states = cast("State | None", hx if hx is None or self.mode == "LSTM" else (hx,))
        single = lengths is None and self._single(input)
        if single or not self._supported(input, states, blocks[0][0].W):
            if lengths is None:
                return super().forward(input, hx)
            return run_packed(super().forward, cast("Tensor", input), hx, lengths, self.batch_first)
        output: Tensor | PackedSequence
        if isinstance(input, PackedSequence):
            output, last = self._fold_packed(input, blocks, states)
        elif input.dim() == 3:
            output, last = self._fold(input, blocks, states, lengths, not self.batch_first)
        else:
            states = states and [s.unsqueeze(1) for s in states]  # S × (L·D, 1, H)
            batch, last = self._fold(input.unsqueeze(0), blocks, states, None, False)
            output, last = batch.squeeze(0), [s.squeeze(1) for s in last]
        return output, last[0] if len(last) == 1 else tuple(last)

    def _blocks(self) -> Blocks:
        """The parameters of each layer and direction."""
        blocks = [parameters(self, names) for names in self._all_weights]
        if self.proj_size:
            return [(Weights(*tensors), P) for *tensors, P in blocks]
        return [(Weights(*tensors), None) for tensors in blocks]

    def _single(self, input: Tensor | PackedSequence) -> bool:
        """Whether this is one step of one row, for which torch is faster in all but an LSTM."""
        if self.mode == "LSTM" or isinstance(input, PackedSequence) or self.precision == "bf16" or uses_bfloat16(input):
            return False
        return few_rows(input.numel(), self.input_size)

    def _supported(self, input: Tensor | PackedSequence, states: State | None, W: Tensor) -> bool:
        """Whether the kernels take this call; torch runs or refuses any other."""
        dims, time = 3, 1 if self.batch_first else 0
        rows: tuple[int, ...] = ()
        if isinstance(input, PackedSequence):
            x, dims, time, rows = input.data, 2, 0, (int(input.batch_sizes[0]),)
        else:
            x = input
            if input.dim() == 2:
                dims, time = 2, 0
            elif input.dim() == 3:
                rows = (input.shape[1 - time],)
        if not supported(x, W) or x.dim() != dims or x.shape[time] == 0 or x.shape[-1] != self.input_size:
            return False
        if states is None:
            return True
        widths = (self.proj_size or self.hidden_size, self.hidden_size)[: len(_CELLS[self.mode].states)]
        return len(states) == len(widths) and all(
            state_matches(state, (len(self._all_weights), *rows, width), x)
            for state, width in zip(states, widths, strict=True)
        )

    def _fold(
        self, x: Tensor, blocks: Blocks, states: State | None, lengths: Tensor | None, time_major: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Fold layer after layer: x (T, B, I) if `time_major`, else (B, T, I), gives y alike and S × (L·D, B, H)."""
        kind, D = _CELLS[self.mode], 2 if self.bidirectional else 1
        if torch.is_autocast_enabled("cpu"):  # to bfloat16
            with torch.autocast("cpu", enabled=False):
                return self._fold(x.to(torch.bfloat16), blocks, states, lengths, time_major)
        input_dtype = x.dtype
        if self.precision == "bf16" and input_dtype is torch.float32:
            x = x.to(torch.bfloat16)
        if x.dtype is torch.bfloat16:  # weights and states are float32 then
            blocks = [(_float_weights(weights), _float(P)) for weights, P in blocks]
            states = states and [s.float() for s in states]
        starts = self._starts(states)
        ends: list[NamedState] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = dropout(x, self.dropout)
            rows = x.transpose(0, 1) if time_major else x  # (B, T, I)
            sides = []
            for k in range(layer * D, layer * D + D):
                weights, P = blocks[k]
                if P is None:
                    y, end = scan(kind, rows, weights, starts[k], lengths, k > layer * D)
                else:
                    start = cast("LSTMState | None", starts[k])
                    y, end = scan_projected(_LSTM, rows, weights, P, start, lengths, k > layer * D)
                sides.append(y.transpose(0, 1) if time_major else y)
                ends.append(end)
            x = sides[0] if D == 1 else torch.cat(sides, dim=-1)
        if len(ends) == 1:
            last = [end.unsqueeze(0) for end in ends[0]]
        else:
            last = [torch.stack(same) for same in zip(*ends, strict=True)]
        if x.dtype is torch.bfloat16:
            x, last = x.to(input_dtype), [s.to(input_dtype) for s in last]
        return x.contiguous(), last

    def _starts(self, states: State | None) -> Sequence[NamedState | None]:
        """The state before the first step of each layer and direction, None for zeros."""
        kind = _CELLS[self.mode]
        if states is None:
            return [None] * len(self._all_weights)
        return [kind.state(**dict(zip(kind.states, block, strict=True))) for block in zip(*states, strict=True)]

    def _fold_packed(
        self, packed: PackedSequence, blocks: Blocks, states: State | None
    ) -> tuple[PackedSequence, list[Tensor]]:
        """Fold a PackedSequence: its rows padded, longest first, and packed again."""
        data, sizes, order, back = packed
        x, lengths = pad_packed_sequence(PackedSequence(data, sizes))  # (T, B, I), (B,)
        if states is not None and order is not None:
            states = [s.index_select(1, order) for s in states]
        y, last = self._fold(x, blocks, states, lengths, True)
        if back is not None:
            last = [s.index_select(1, back) for s in last]
        return PackedSequence(pack_padded_sequence(y, lengths).data, sizes, order, back), last


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()


def _float_weights(weights: Weights) -> Weights:
    return Weights(weights.W.float(), weights.R.float(), _float(weights.bW), _float(weights.bR))


class RNN(_Recurrent, nn.RNN):
    """torch.nn.RNN, faster on the CPU: same arguments, parameters and results, and lengths in place of packing.

        h_t = tanh(W·x_t + bW + R·h_{t-1} + bR)

    where x_t (B, I) is the input of the layer at step t, h_t (B, H) its hidden state and output, and W, R, bW, bR are
    the parameters weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 (and so on); max(0, ·) in place of tanh
    for nonlinearity="relu". See `rekur.cells.RNN`.

    Parameters
    ----------
    *args, **kwargs
        Those of torch.nn.RNN.
    precision : {"float32", "bf16"}, default "float32"
        "bf16" computes products of float32 inputs in bfloat16.

    Examples
    --------
    >>> import torch
    >>> from rekur.nn import RNN
    >>> model = RNN(8, 16, batch_first=True)
    >>> output, h = model(torch.randn(2, 5, 8), lengths=torch.tensor([5, 3]))
    >>> output.shape, h.shape
    (torch.Size([2, 5, 16]), torch.Size([1, 2, 16]))
    >>> bool((output[1, 3:] == 0).all()), torch.equal(output[1, 2], h[0, 1])
    (True, True)
    """


class LSTM(_Recurrent, nn.LSTM):
    """torch.nn.LSTM, faster on the CPU: same arguments, parameters and results, and lengths in place of packing.

        i, f, o = σ(W·x_t + bW + R·h_{t-1} + bR), each with its own rows
        g       = tanh(W·x_t + bW + R·h_{t-1} + bR)
        c_t     = f ⊙ c_{t-1} + i ⊙ g,  h_t = o ⊙ tanh(c_t)

    where x_t (B, I) is the input of the layer at step t, h_t and c_t (B, H) are its hidden and cell state, and W, R,
    bW, bR are the parameters weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 (and so on). See
    `rekur.cells.LSTM`, and `rekur.nn.projection` for proj_size.

    Parameters
    ----------
    *args, **kwargs
        Those of torch.nn.LSTM.
    precision : {"float32", "bf16"}, default "float32"
        "bf16" computes products of float32 inputs in bfloat16.

    Examples
    --------
    >>> import torch
    >>> from rekur.nn import LSTM
    >>> model = LSTM(8, 16, num_layers=2, bidirectional=True)
    >>> output, (h, c) = model(torch.randn(5, 3, 8))
    >>> output.shape, h.shape, c.shape
    (torch.Size([5, 3, 32]), torch.Size([4, 3, 16]), torch.Size([4, 3, 16]))
    """


class GRU(_Recurrent, nn.GRU):
    """torch.nn.GRU, faster on the CPU: same arguments, parameters and results, and lengths in place of packing.

        r, z = σ(W·x_t + bW + R·h_{t-1} + bR), each with its own rows
        n    = tanh(W·x_t + bW + r ⊙ (R·h_{t-1} + bR))
        h_t  = (1 - z) ⊙ n + z ⊙ h_{t-1}

    where x_t (B, I) is the input of the layer at step t, h_t (B, H) its hidden state and output, and W, R, bW, bR are
    the parameters weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 (and so on). See `rekur.cells.GRU`.

    Parameters
    ----------
    *args, **kwargs
        Those of torch.nn.GRU.
    precision : {"float32", "bf16"}, default "float32"
        "bf16" computes products of float32 inputs in bfloat16.

    Examples
    --------
    >>> import torch
    >>> from rekur.nn import GRU
    >>> reference = torch.nn.GRU(8, 16)
    >>> model = GRU(8, 16)
    >>> model.load_state_dict(reference.state_dict())
    <All keys matched successfully>
    >>> x = torch.randn(5, 3, 8)
    >>> torch.allclose(model(x)[0], reference(x)[0], atol=1e-6)
    True
    """
