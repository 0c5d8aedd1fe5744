"""Forecasting networks: recurrent blocks over the patches of a window, context and future alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.dropout import dropout_mask
from rekur.layers.fused import gated_perceptron
from rekur.layers.heads import QuantileHead, linear
from rekur.layers.likelihoods import CountHead, StudentTHead
from rekur.layers.stack import Direction

if TYPE_CHECKING:
    from torch import Tensor


PatchHead: TypeAlias = QuantileHead | StudentTHead | CountHead
"""Output head of a network, for all steps of a patch."""


def init_narrow(head: PatchHead, patch: int) -> PatchHead:
    """Initialise a head to a narrow distribution around its location: all biases -2, that of the location 0."""
    with torch.no_grad():
        head.linear.bias.view(patch, -1).fill_(-2.0)[:, head.middle] = 0.0
    return head


class Block(nn.Module):
    """Pre-normalised residual block: a recurrent layer and a gated multilayer perceptron.

        y = x + scan(norm(x)),  z = y + W₃·(silu(W₁·norm(y)) ⊙ W₂·norm(y))

    where norm is layer normalisation and scan the recurrence over the P patches.

    Parameters
    ----------
    cell : str
        Recurrent cell, one of `rekur.cells.CELLS`.
    hidden_size : int
        Size H of inputs, states and outputs.
    dropout : float
        Probability of variational dropout of both branches.
    seed : int
        Seed of the initial weights.

    Notes
    -----
    Shapes: x (B, P, H) → z (B, n, H) of the last n = `last` patches.

    References
    ----------
    N. Shazeer, 2020, "GLU variants improve transformer", arXiv 2002.05202.

    Examples
    --------
    >>> Block("gru", 8, dropout=0.0, seed=0)(torch.zeros(2, 5, 8), last=3).shape
    torch.Size([2, 3, 8])
    """

    def __init__(self, cell: str, hidden_size: int, dropout: float, seed: int) -> None:
        super().__init__()
        self.dropout = dropout
        self.before, self.between = nn.LayerNorm(hidden_size), nn.LayerNorm(hidden_size)
        self.recurrent = Direction(cell, hidden_size, hidden_size, False, torch.Generator().manual_seed(seed))
        self.up, self.gate, self.down = (
            linear(hidden_size, 2 * hidden_size, seed),
            linear(hidden_size, 2 * hidden_size, seed + 1),
            linear(2 * hidden_size, hidden_size, seed),
        )

    def forward(self, x: Tensor, last: int, resets: Tensor | None = None) -> Tensor:
        """Output (B, n, H) for the last n = `last` patches of x (B, P, H); `resets` as in `scan`."""
        y, mask = self.recurrent(self.before(x), resets=resets)[0], self._mask(x)
        x, y = x[:, -last:], y[:, -last:]
        y = x + y if mask is None else torch.addcmul(x, y, mask)
        layers = (self.between, self.gate, self.up, self.down)
        parameters = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
        return gated_perceptron(y, self._mask(x), self.between.eps, *parameters)

    def _mask(self, x: Tensor) -> Tensor | None:
        return dropout_mask(x, self.dropout, self.training)


class DirectNet(nn.Module):
    """Direct forecast of all future patches by one recurrence, without normalisation.

        e_j = relu(W·[values_j, mask_j, known_j] + b),  y = scan(e_1 … e_P),  raw_j = head(y_j)

    where a window is cut into P patches of p steps. In the last n patches, the future, values and mask are 0 and only
    the known inputs differ; the recurrent state carries the context through them. As nothing is normalised, the network
    sees the size of a window.

    Parameters
    ----------
    cell : str
        Recurrent cell, one of `rekur.cells.CELLS`.
    patch : int
        Steps p of a patch.
    known : int
        Number K of known inputs of a patch.
    hidden : int
        Hidden size H.
    head : QuantileHead, StudentTHead or CountHead
        Head of the p steps of a patch.
    dropout : float
        Probability of dropout before the head.
    seed : int
        Seed of the initial weights.

    Notes
    -----
    Shapes: x (B, P, 2·p + K), the values (p), the mask of observed values (p) and K known inputs of each patch → raw
    (B, n, p, ·) of the head.

    References
    ----------
    S. Lin, W. Lin, W. Wu, F. Zhao, R. Mo, H. Zhang, 2023, "SegRNN: segment recurrent neural network for long-term time
    series forecasting", arXiv 2308.11200.

    Examples
    --------
    >>> net = DirectNet("gru", 4, 1, 8, QuantileHead(8, 4, (0.1, 0.5, 0.9)), 0.0, 0)
    >>> net(torch.zeros(2, 6, 9), future=2).shape
    torch.Size([2, 2, 4, 3])
    """

    def __init__(
        self, cell: str, patch: int, known: int, hidden: int, head: PatchHead, dropout: float, seed: int
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embed = linear(2 * patch + known, hidden, seed)
        self.recurrent = Direction(cell, hidden, hidden, False, torch.Generator().manual_seed(seed))
        self.head = init_narrow(head, patch)

    def forward(self, x: Tensor, future: int) -> Tensor:
        """Raw output (B, n, p, ·) of the head for the last n = `future` patches of x (B, P, 2·p + K)."""
        y, _ = self.recurrent(F.relu(self.embed(x)))  # (B, P, H)
        raw: Tensor = self.head(self.dropout(y[:, -future:]))
        return raw


class PatchNet(nn.Module):
    """Correction of a linear forecast of all future patches by recurrent blocks.

        e_j = W·[values_j, mask_j, known_j] + b,  z = blocks(e_1 … e_P)
        raw_j = head(norm(z_j)), its location moved by values_j,  j in the future

    where a window is cut into P patches of p steps. In the last n patches, the future, the values are those of a linear
    forecast and the mask is 0. The blocks run over all patches in order, so that the recurrent state carries the
    context into the future.

    Parameters
    ----------
    cell : str
        Recurrent cell, one of `rekur.cells.CELLS`.
    patch : int
        Steps p of a patch.
    known : int
        Number K of known inputs of a patch.
    hidden : int
        Hidden size H.
    layers : int
        Number of blocks.
    head : QuantileHead, StudentTHead or CountHead
        Head of the p steps of a patch.
    dropout : float
        Probability of variational dropout in the blocks.
    seed : int
        Seed of the initial weights.

    Notes
    -----
    Shapes: x (B, P, 2·p + K), the values (p), the mask of observed values (p) and K known inputs of each patch → raw
    (B, n, p, ·) of the head.

    Examples
    --------
    >>> net = PatchNet("gru", 4, 1, 8, 2, QuantileHead(8, 4, (0.1, 0.5, 0.9)), 0.0, 0)
    >>> net(torch.zeros(2, 6, 9), future=2).shape
    torch.Size([2, 2, 4, 3])
    """

    def __init__(
        self,
        cell: str,
        patch: int,
        known: int,
        hidden: int,
        layers: int,
        head: PatchHead,
        dropout: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.embed = linear(2 * patch + known, hidden, seed)
        self.blocks = nn.ModuleList(Block(cell, hidden, dropout, seed + 10 * i) for i in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = init_narrow(head, patch)
        with torch.no_grad():  # begin at the linear forecast
            weight = self.head.linear.weight.view(patch, -1, hidden).mul_(0.1)
            weight[:, self.head.middle] = 0.0

    def forward(self, x: Tensor, future: int) -> Tensor:
        """Raw output (B, n, p, ·) of the head for the last n = `future` patches of x (B, P, 2·p + K)."""
        z, patches = self.embed(x), x.shape[1]  # (B, P, H)
        for i, block in enumerate(self.blocks):
            z = block(z, future if i + 1 == len(self.blocks) else patches)
        raw: Tensor = self.head(self.norm(z))  # (B, n, p, ·)
        raw[..., self.head.middle] += x[:, -future:, : self.patch]
        return raw
