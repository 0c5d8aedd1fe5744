"""RNN, LSTM and GRU of torch.nn with their forward pass on `rekur.kernels.scan`.

Construction, parameters, initialisation, state_dict and printing are torch's: these classes add no attribute, so that
`module.__class__ = rekur.nn.GRU` turns a torch.nn.GRU that exists already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rekur.cells import cell
from rekur.core import Weights, choose
from rekur.kernels import scan
from rekur.nn.calls import by_packing, few, fits, half, suits, take, whole
from rekur.nn.projection import scan_projected

if TYPE_CHECKING:
    from torch import Tensor

    Blocks = list[tuple[Weights, Tensor | None]]  # the parameters of each layer and direction, P if projected

_CELLS = {"RNN_TANH": cell("rnn"), "RNN_RELU": cell("rnn_relu"), "LSTM": cell("lstm"), "GRU": cell("gru")}


class _Recurrent(nn.RNNBase):
    """What the three share; it stands before a class of torch.nn and takes over its forward pass."""

    precision = "float32"  # where there is no other; a layer whose class was changed has no attribute of its own

    def __init__(self, *args: Any, precision: str = "float32", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if precision != "float32":
            self.precision = choose("precision", precision, ("float32", "bf16"))

    def extra_repr(self) -> str:
        """The sizes, as torch prints them, and the precision if it is not the usual one."""
        return super().extra_repr() + ", precision=bf16" * (self.precision == "bf16")

    def forward(self, input: Any, hx: Any = None, *, lengths: Tensor | None = None) -> Any:
        """Run all layers over the sequence.

        Parameters
        ----------
        input : (T, B, I), or (B, T, I) if `batch_first`, or (T, I) for one row; or a PackedSequence
        hx : (L·D, B, H), or (L·D, H) for one row, the states before the first step, for an LSTM the pair (h, c);
            zero if None
        lengths : (B,) integers in 0 … T, in any order, how many steps of each row count; all if None. What stands
            beyond is never read, gives zeros and gets exactly zero gradient; an empty row keeps its initial state.

        Returns
        -------
        output : (T, B, D·H), (B, T, D·H), (T, D·H) or a PackedSequence, as `input` is
        last : the states after the last step of each row, as `hx`

        Raises
        ------
        OptionError : `lengths` together with a PackedSequence
        DataError : `lengths` that are no integers in 0 … T, or given for one row
        RuntimeError, ValueError : what torch.nn refuses, in its own words
        """
        if lengths is not None:
            lengths = whole(lengths, input)
        blocks = self._blocks()
        states = hx if hx is None or self.mode == "LSTM" else (hx,)
        single = lengths is None and self._single(input)
        if single or not self._fits(input, states, blocks[0][0].W):
            if lengths is None:
                return super().forward(input, hx)
            return by_packing(super().forward, input, hx, lengths, self.batch_first)
        output: Any
        if isinstance(input, PackedSequence):
            output, last = self._fold_packed(input, blocks, states)
        elif input.dim() == 3:
            output, last = self._fold(input, blocks, states, lengths, not self.batch_first)
        else:
            states = states and [s.unsqueeze(1) for s in states]  # S × (L·D, 1, H)
            output, last = self._fold(input.unsqueeze(0), blocks, states, None, False)
            output, last = output.squeeze(0), [s.squeeze(1) for s in last]
        return output, last[0] if len(last) == 1 else tuple(last)

    def _blocks(self) -> Blocks:
        """The parameters of each layer and direction."""
        found = [take(self, names) for names in self._all_weights]
        if self.proj_size:
            return [(Weights(*tensors), P) for *tensors, P in found]
        return [(Weights(*tensors), None) for tensors in found]

    def _single(self, input: Any) -> bool:
        """Whether this is one step of one row, which torch makes faster in all but an LSTM."""
        if self.mode == "LSTM" or isinstance(input, PackedSequence) or self.precision == "bf16" or half(input):
            return False
        return few(input.numel(), self.input_size)

    def _fits(self, input: Any, states: Any, W: Tensor) -> bool:
        """Whether the kernels take this call; torch runs or refuses any other."""
        x, dims, time = input, 3, 1 if self.batch_first else 0
        rows: tuple[int, ...] = ()
        if isinstance(input, PackedSequence):
            x, dims, time, rows = input.data, 2, 0, (int(input.batch_sizes[0]),)
        elif input.dim() == 2:
            dims, time = 2, 0
        elif input.dim() == 3:
            rows = (input.shape[1 - time],)
        if not fits(x, W) or x.dim() != dims or x.shape[time] == 0 or x.shape[-1] != self.input_size:
            return False
        if states is None:
            return True
        widths = (self.proj_size or self.hidden_size, self.hidden_size)[: len(_CELLS[self.mode].states)]
        return len(states) == len(widths) and all(
            suits(state, (len(self._all_weights), *rows, width), x) for state, width in zip(states, widths, strict=True)
        )

    def _fold(
        self, x: Tensor, blocks: Blocks, states: Any, lengths: Tensor | None, time_major: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Fold layer after layer: x (T, B, I) if `time_major`, else (B, T, I), gives y alike and S × (L·D, B, H)."""
        kind, D = _CELLS[self.mode], 2 if self.bidirectional else 1
        if torch.is_autocast_enabled("cpu"):  # to bfloat16
            with torch.autocast("cpu", enabled=False):
                return self._fold(x.to(torch.bfloat16), blocks, states, lengths, time_major)
        given = x.dtype
        if self.precision == "bf16" and given is torch.float32:
            x = x.to(torch.bfloat16)
        if x.dtype is torch.bfloat16:  # weights and states are float32 then
            blocks = [(Weights(*(_float(w) for w in weights)), _float(P)) for weights, P in blocks]
            states = states and [s.float() for s in states]
        starts = self._starts(blocks[0][0].W, x.shape[1 if time_major else 0], states)
        ends = []
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
                    y, end = scan_projected(kind, rows, weights, P, starts[k], lengths, k > layer * D)
                sides.append(y.transpose(0, 1) if time_major else y)
                ends.append(end)
            x = sides[0] if D == 1 else torch.cat(sides, dim=-1)
        if len(ends) == 1:
            last = [end.unsqueeze(0) for end in ends[0]]
        else:
            last = [torch.stack(same) for same in zip(*ends, strict=True)]
        if x.dtype is torch.bfloat16:
            x, last = x.to(given), [s.to(given) for s in last]
        return x.contiguous(), last

    def _starts(self, x: Tensor, B: int, states: Any) -> list[Any]:
        """The state before the first step of each layer and direction; without `hx` it is zero, or no h to project."""
        kind = _CELLS[self.mode]
        if states is not None:
            return [kind.state(**dict(zip(kind.states, each, strict=True))) for each in zip(*states, strict=True)]
        if not self.proj_size:
            return [None] * len(self._all_weights)
        return [kind.zeros(B, self.hidden_size, x)._replace(h=None)] * len(self._all_weights)

    def _fold_packed(self, packed: PackedSequence, blocks: Blocks, states: Any) -> tuple[PackedSequence, list[Tensor]]:
        """Fold a PackedSequence: its rows padded, longest first, and packed again."""
        data, sizes, order, back = packed
        x, lengths = pad_packed_sequence(PackedSequence(data, sizes))  # (T, B, I), (B,)
        if states is not None and order is not None:
            states = [s.index_select(1, order) for s in states]
        y, last = self._fold(x, blocks, states, lengths, True)
        if back is not None:
            last = [s.index_select(1, back) for s in last]
        return PackedSequence(pack_padded_sequence(y, lengths).data, sizes, order, back), last


def _float(weight: Any) -> Any:
    return weight if weight is None else weight.float()


class RNN(_Recurrent, nn.RNN):
    """torch.nn.RNN, faster on the CPU: same arguments, parameters and results, and `lengths` in place of packing.

    The mathematics stands in `rekur.cells.RNN` and, for `nonlinearity="relu"`, in `rekur.cells.ReluRNN`.

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
    """torch.nn.LSTM, faster on the CPU: same arguments, parameters and results, and `lengths` in place of packing.

    The mathematics stands in `rekur.cells.LSTM`; the projection of `proj_size` in `rekur.nn.projection`.

    >>> import torch
    >>> from rekur.nn import LSTM
    >>> model = LSTM(8, 16, num_layers=2, bidirectional=True)
    >>> output, (h, c) = model(torch.randn(5, 3, 8))
    >>> output.shape, h.shape, c.shape
    (torch.Size([5, 3, 32]), torch.Size([4, 3, 16]), torch.Size([4, 3, 16]))
    """


class GRU(_Recurrent, nn.GRU):
    """torch.nn.GRU, faster on the CPU: same arguments, parameters and results, and `lengths` in place of packing.

    The mathematics stands in `rekur.cells.GRU`.

    >>> import torch
    >>> from rekur.nn import GRU
    >>> theirs = torch.nn.GRU(8, 16)
    >>> ours = GRU(8, 16)
    >>> ours.load_state_dict(theirs.state_dict())
    <All keys matched successfully>
    >>> x = torch.randn(5, 3, 8)
    >>> torch.allclose(ours(x)[0], theirs(x)[0], atol=1e-6)
    True
    """
