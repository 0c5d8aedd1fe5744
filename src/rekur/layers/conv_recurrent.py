"""Convolutional recurrent layers (ConvLSTM, ConvGRU) over sequences of images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.cells import CELLS
from rekur.cells import cell as cell_by_name
from rekur.core import NamedState, OptionError, State, choose, positive
from rekur.kernels.reference import fold
from rekur.layers.pooling import global_pool, length_mask
from rekur.layers.stack import LayerStack

if TYPE_CHECKING:
    from torch import Tensor

CONVOLUTIONAL = tuple(f"conv_{name}" for name, kind in CELLS.items() if not kind.late)
"""Names of the convolutional cells: "conv_lstm" is the LSTM with convolutions, and so on."""


class ConvRecurrent(nn.Module):
    """Convolutional recurrent layer in one direction: ConvLSTM, ConvGRU, ConvRNN.

        gates = W ∗ x + bW and R ∗ h + bR, then the step of the cell at every pixel

    where ∗ is a convolution with zero padding, which keeps the size of the image. The step is that of `rekur.cells`:
    with kernels of size 1 every pixel is a sequence of its own, read by the dense cell with the same weights.

    Parameters
    ----------
    cell : str
        Name of the cell, one of `CONVOLUTIONAL`.
    input_channels : int
        Number C of channels of the images.
    hidden_channels : int
        Number H of channels of the state.
    kernel_size : int, default 3
        Width and height of the kernels, odd.
    reverse : bool, default False
        Whether to walk from the last image to the first.
    seed : int, default 0
        Seed of the initial weights, U(-1/√n, 1/√n) with n = H·kernel_size².

    Raises
    ------
    OptionError
        The cell is not known, or the size of the kernels is even.

    Notes
    -----
    Shapes: x (B, T, C, height, width), lengths (B,) or None → y (B, T, H, height, width) and the state
    S × (B, H, height, width) after the last image of each row; y is 0 beyond a length.

    References
    ----------
    X. Shi et al., 2015, "Convolutional LSTM network: a machine learning approach for precipitation nowcasting",
    NeurIPS; here without the connections from the cell state to the gates.

    Examples
    --------
    >>> import torch
    >>> y, state = ConvRecurrent("conv_lstm", 3, 8)(torch.zeros(2, 5, 3, 6, 7))
    >>> y.shape, state.c.shape
    (torch.Size([2, 5, 8, 6, 7]), torch.Size([2, 8, 6, 7]))
    """

    def __init__(
        self,
        cell: str,
        input_channels: int,
        hidden_channels: int,
        kernel_size: int = 3,
        reverse: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive("hidden_channels", hidden_channels)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise OptionError(f"kernel_size must be odd, so that images keep their size, got {kernel_size!r}")
        self.cell = cell_by_name(choose("cell", cell, CONVOLUTIONAL).removeprefix("conv_"))
        self.hidden_channels, self.kernel_size, self.reverse = hidden_channels, kernel_size, reverse
        C, H, area = input_channels, hidden_channels, kernel_size**2
        initial = self.cell.init(C * area, H * area, torch.Generator().manual_seed(seed))
        G = len(self.cell.gates) * H
        # `init` draws G·H·area rows, of which a convolution has G·H; their bound is the one wanted.
        self.W = nn.Parameter(initial.W[:G].reshape(G, C, kernel_size, kernel_size).clone())
        self.R = nn.Parameter(initial.R[:G].reshape(G, H, kernel_size, kernel_size).clone())
        self.bW, self.bR = (nn.Parameter(b[:G].clone()) for b in (initial.bW, initial.bR) if b is not None)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs and the state after the last image of each row; see the class for the shapes."""
        B, T, _, height, width = x.shape
        mask = length_mask(lengths, x)[..., None, None, None]  # (B, T, 1, 1, 1)
        images = x.masked_fill(~mask, 0).flatten(0, 1)
        wx = self._convolve(images, self.W, self.bW).view(B, T, height, width, -1)
        if state is None:
            zeros = x.new_zeros(B, self.hidden_channels, height, width)
            state = self.cell.state(**dict.fromkeys(self.cell.states, zeros))
        start = self._move_channels(state, 1, -1)  # channels last: (B, height, width, H)
        outputs, last = fold(self._advance, wx.transpose(0, 1), start, mask.transpose(0, 1), reverse=self.reverse)
        return torch.stack(outputs, dim=1).movedim(-1, 2), self._move_channels(last, -1, 1)

    def _advance(self, wx: Tensor, state: NamedState) -> NamedState:
        """State one step on from the gates wx (B, height, width, G·H) of an image."""
        rh = self.cell.gate(self._convolve(state.h.movedim(-1, 1), self.R, self.bR))
        return self.cell.point(self.cell.gate(wx), rh, state)

    def _convolve(self, x: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        """Gates (N, height, width, G·H) from images x (N, channels, height, width)."""
        return F.conv2d(x, kernels, bias, padding=self.kernel_size // 2).movedim(1, -1)

    def _move_channels(self, state: Iterable[Tensor], source: int, destination: int) -> NamedState:
        """State with the axis of its channels moved."""
        tensors = (s.movedim(source, destination) for s in state)
        return self.cell.state(**dict(zip(self.cell.states, tensors, strict=True)))


class ConvRecurrentStack(LayerStack):
    """L convolutional recurrent layers, each in one or both directions, and one vector for each step.

        y_t = [mean over the pixels; maximum over the pixels] of the last layer's outputs at t

    Parameters
    ----------
    cell : str
        Name of the cell, one of `CONVOLUTIONAL`.
    input_channels : int
        Number C of channels of the images.
    hidden_channels : int
        Number H of channels of the state of each direction.
    num_layers : int, default 1
        Number L of layers.
    bidirectional : bool, default False
        Whether each layer also walks backward.
    dropout : float, default 0.0
        Share of the outputs set to zero between layers during training, in [0, 1).
    seed : int, default 0
        Seed of the initial weights.

    Attributes
    ----------
    size : int
        Size 2·D·H of the vectors, D = 2 if bidirectional.

    Notes
    -----
    Shapes: x (B, T, C, height, width) → y (B, T, 2·D·H) and a list of L·D states: layer 0 forward, layer 0 backward,
    layer 1 …

    Examples
    --------
    >>> import torch
    >>> stack = ConvRecurrentStack("conv_gru", 3, 8, bidirectional=True)
    >>> y, states = stack(torch.zeros(2, 5, 3, 6, 7))
    >>> y.shape, stack.last(states).shape
    (torch.Size([2, 5, 32]), torch.Size([2, 32]))
    """

    def __init__(
        self,
        cell: str,
        input_channels: int,
        hidden_channels: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        def make_layer(channels: int, k: int, reverse: bool) -> ConvRecurrent:
            return ConvRecurrent(cell, channels, hidden_channels, reverse=reverse, seed=seed + 2 * k + reverse)

        super().__init__(
            make_layer, input_channels, hidden_channels, num_layers, bidirectional, dropout, pool=global_pool
        )
        self.size = 2 * self.size
