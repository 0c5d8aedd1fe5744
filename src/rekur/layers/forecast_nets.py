"""The forecasting network: recurrent blocks over patches of a window, past and future alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.dropout import variational_dropout
from rekur.layers.heads import QuantileHead, linear
from rekur.layers.likelihoods import CountHead, StudentTHead
from rekur.layers.stack import Direction

if TYPE_CHECKING:
    from torch import Tensor


PatchHead: TypeAlias = QuantileHead | StudentTHead | CountHead
"""What a net ends in: a head of all steps of a patch."""


def init_narrow(head: PatchHead, patch: int) -> PatchHead:
    """The same head, which begins with a narrow distribution around its place: all biases -2, that of the place 0."""
    with torch.no_grad():
        head.linear.bias.view(patch, -1).fill_(-2.0)[:, head.middle] = 0.0
    return head


class Block(nn.Module):
    """A recurrent layer and a gated multilayer perceptron, each normalised before and added to its input.

        y = x + scan(norm(x)),  z = y + W₃·(silu(W₁·norm(y)) ⊙ W₂·norm(y))

    x (B, P, H) → z (B, P, H).

    Source of the gated perceptron: N. Shazeer, 2020, "GLU variants improve transformer", arXiv 2002.05202.
    """

    def __init__(self, cell: str, H: int, dropout: float, seed: int) -> None:
        super().__init__()
        self.dropout = dropout
        self.before, self.between = nn.LayerNorm(H), nn.LayerNorm(H)
        self.recurrent = Direction(cell, H, H, False, torch.Generator().manual_seed(seed))
        self.up, self.gate, self.down = (
            linear(H, 2 * H, seed),
            linear(H, 2 * H, seed + 1),
            linear(2 * H, H, seed),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, P, H) → (B, P, H)."""
        y = x + self._drop(self.recurrent(self.before(x))[0])
        z = self.between(y)
        return y + self._drop(self.down(F.silu(self.gate(z)) * self.up(z)))

    def _drop(self, x: Tensor) -> Tensor:
        return variational_dropout(x, self.dropout, self.training)


class DirectNet(nn.Module):
    """The distribution of the patches to come from one plain recurrence.

    A window is cut into P patches of p steps; the last n of them lie in the future, where values and "observed" are 0
    and only the known inputs tell them apart. The recurrent state carries the past through them:

        e_j = relu(W·[values_j, observed_j, known_j] + b),  y = scan(e_1 … e_P),  raw_j = head(y_j)

    Nothing is normalised on the way, so that the size of a window stays visible.
    x (B, P, 2·p + K): values (p), observed (p) and K known inputs of each patch → raw (B, n·p, ·) of the head.

    Source of the recurrence over segments: S. Lin et al., 2023, "SegRNN: segment recurrent neural network for
    long-term time series forecasting", arXiv 2308.11200.
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
        """x (B, P, 2·p + K), the number n of future patches → raw (B, n·p, ·)."""
        y, _ = self.recurrent(F.relu(self.embed(x)))  # (B, P, H)
        raw: Tensor = self.head(self.dropout(y[:, -future:])).flatten(1, 2)
        return raw


class PatchNet(nn.Module):
    """The distribution of the patches to come, as corrections of a linear forecast.

    A window is cut into P patches of p steps; the last n of them lie in the future, where the values are those of a
    linear forecast and "observed" is 0. The blocks run over all patches in order, so that the recurrent state carries
    the past into the future, and the head reads the future patches:

        e_j = W·[values_j, observed_j, known_j] + b,  z = blocks(e_1 … e_P)
        raw_j = head(norm(z_j)), its place moved by values_j,  j in the future

    x (B, P, 2·p + K): values (p), observed (p) and K known inputs of each patch → raw (B, n·p, ·) of the head.
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
        """x (B, P, 2·p + K), the number n of future patches → raw (B, n·p, ·)."""
        z = self.embed(x)  # (B, P, H)
        for block in self.blocks:
            z = block(z)
        raw = self.head(self.norm(z[:, -future:])).flatten(1, 2)  # (B, n·p, ·)
        base = x[:, -future:, : self.patch].flatten(1)  # (B, n·p)
        m = self.head.middle
        return torch.cat([raw[..., :m], raw[..., m : m + 1] + base[..., None], raw[..., m + 1 :]], dim=-1)
