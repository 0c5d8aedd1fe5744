"""Cells that fold over pictures: convolutions stand where a dense cell multiplies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from rekur.cells import CELLS
from rekur.cells import cell as cell_by_name
from rekur.core import OptionError, choose, positive
from rekur.layers.pooling import within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

CONVOLUTIONAL = tuple(f"conv_{name}" for name, kind in CELLS.items() if not kind.late)
"""The cells there are: "conv_lstm" is the LSTM with convolutions, and so on."""


class ConvRecurrent(nn.Module):
    """One cell folded over a sequence of pictures, in one direction: ConvLSTM, ConvGRU, ConvRNN.

        gates = W ∗ x + bW and R ∗ h + bR, then the cell's own step at every place of the picture

    where ∗ is a convolution with zeros around the picture, which keeps its size. The step is that of `rekur.cells`:
    with kernels of size 1 every place is a sequence of its own, read by the dense cell with the same weights.

    Parameters
    ----------
    cell : one of `CONVOLUTIONAL`
    C, H : channels of the pictures, and of the state
    kernel : width and height of the kernels, odd
    reverse : from the last picture to the first
    seed : seed of the weights, U(-1/√n, 1/√n) with n = H·kernel²

    Shapes: x (B, T, C, height, width), lengths (B,) or None → y (B, T, H, height, width), states S × (B, H, height,
    width) after the last picture of each row; y is 0 beyond a length.

    Source: X. Shi et al., 2015, "Convolutional LSTM network: a machine learning approach for precipitation
    nowcasting", NeurIPS, here without the connections from the cell state to the gates.

    >>> import torch
    >>> y, state = ConvRecurrent("conv_lstm", 3, 8)(torch.zeros(2, 5, 3, 6, 7))
    >>> y.shape, state.c.shape
    (torch.Size([2, 5, 8, 6, 7]), torch.Size([2, 8, 6, 7]))
    """

    def __init__(self, cell: str, C: int, H: int, kernel: int = 3, reverse: bool = False, seed: int = 0) -> None:
        super().__init__()
        positive("hidden", H)
        if kernel < 1 or kernel % 2 == 0:
            raise OptionError(f"kernel must be odd, so that pictures keep their size, got {kernel!r}")
        self.cell = cell_by_name(choose("cell", cell, CONVOLUTIONAL).removeprefix("conv_"))
        self.H, self.kernel, self.reverse = H, kernel, reverse
        drawn = self.cell.init(C * kernel**2, H * kernel**2, torch.Generator().manual_seed(seed))
        G = len(self.cell.gates) * H
        # `init` draws G·H·kernel² rows, of which a convolution has G·H; their bound is the one wanted.
        self.W = nn.Parameter(drawn.W[:G].reshape(G, C, kernel, kernel).clone())
        self.R = nn.Parameter(drawn.R[:G].reshape(G, H, kernel, kernel).clone())
        self.bW, self.bR = (nn.Parameter(b[:G].clone()) for b in (drawn.bW, drawn.bR) if b is not None)

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Fold over x; see the class for the shapes."""
        B, T, _, height, width = x.shape
        inside = within(lengths, x)[..., None, None, None]  # (B, T, 1, 1, 1)
        flat = x.masked_fill(~inside, 0).flatten(0, 1)
        wx = self._gates(flat, self.W, self.bW).view(B, T, height, width, -1)
        before = [x.new_zeros(B, self.H, height, width) for _ in self.cell.states] if state is None else state
        state = self._state(before, 1, -1)  # channels last: (B, height, width, H)
        y = [x] * T
        for t in reversed(range(T)) if self.reverse else range(T):
            rh = self.cell.gate(self._gates(state[0].movedim(-1, 1), self.R, self.bR))
            new = self.cell.point(self.cell.gate(wx[:, t]), rh, state)
            y[t] = new[0].masked_fill(~inside[:, t], 0)
            state = type(new)(*(torch.where(inside[:, t], n, s) for n, s in zip(new, state, strict=True)))
        return torch.stack(y, dim=1).movedim(-1, 2), self._state(state, -1, 1)

    def _gates(self, x: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        """x (N, channels, height, width) → (N, height, width, G·H)."""
        return F.conv2d(x, kernels, bias, padding=self.kernel // 2).movedim(1, -1)

    def _state(self, tensors: Iterable[Tensor], old: int, new: int) -> Any:
        """A state whose channels have moved to another place."""
        return self.cell.state(**{n: s.movedim(old, new) for n, s in zip(self.cell.states, tensors, strict=True)})


class ConvRecurrentStack(nn.Module):
    """L layers of cells over pictures, each in D directions, and a vector for each step.

        y_t = [mean over the picture; maximum over the picture] of the last layer's state at t

    It stands where `rekur.layers.stack.Stack` does for vectors: x (B, T, C, height, width) → y (B, T, 2·D·H) and the
    states, layer 0 forward, layer 0 backward, layer 1 …
    """

    def __init__(
        self,
        cell: str,
        C: int,
        H: int,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive("layers", layers)
        self.D, self.size, self.dropout = 1 + bidirectional, 2 * H * (1 + bidirectional), dropout
        sizes = [C] + [self.D * H] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(ConvRecurrent(cell, C, H, reverse=bool(d), seed=seed + 2 * k + d) for d in range(self.D))
            for k, C in enumerate(sizes)
        )

    def forward(self, x: Tensor, states: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, list[Any]]:
        """Fold over x from `states` (L·D of them) or zeros."""
        after: list[Any] = []
        for k, layer in enumerate(self.layers):
            before = F.dropout(x, self.dropout, self.training and k > 0)
            outputs = []
            for direction in layer:  # type: ignore[attr-defined]
                y, state = direction(before, None if states is None else states[len(after)], lengths)
                outputs.append(y)
                after.append(state)
            x = torch.cat(outputs, dim=2)  # (B, T, D·H, height, width)
        return told(x), after

    def last(self, states: list[Any]) -> Tensor:
        """What the last step of each row tells, both directions: (B, 2·D·H)."""
        return told(torch.cat([state[0] for state in states[-self.D :]], dim=1))


def told(y: Tensor) -> Tensor:
    """Mean and maximum over the picture: (..., C, height, width) → (..., 2·C)."""
    return torch.cat([y.mean((-2, -1)), y.amax((-2, -1))], dim=-1)
