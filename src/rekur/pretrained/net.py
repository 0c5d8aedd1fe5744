"""Network of the pretrained forecaster: recurrent blocks over patches, which weigh corrections of seasonal naive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from rekur.layers.forecast_nets import Block
from rekur.layers.fused import quantile_loss
from rekur.layers.heads import linear
from rekur.pretrained.coordinates import CANDIDATES, KNOWN

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.pretrained.coordinates import Coordinates

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""Levels of the quantiles."""
MIDDLE = LEVELS.index(0.5)


class CandidateNet(nn.Module):
    """Quantiles as seasonal naive plus weighed candidates, for the patch after each one.

        z = blocks(W·inputs + b),  [r, w] = head(norm(z))
        median = base + d·(r₀ + Σ_k w_k·c_k),  the other quantiles by positive increments

    where c are the candidates and d the seasonal error, see `rekur.pretrained.coordinates.Coordinates`. With r₀ = w = 0
    the median is the seasonal naive forecast. A patch of the future is an input without values, so that the recurrence
    carries the past into it and the horizon is free.

    Parameters
    ----------
    cell : str, default "gru"
        Recurrent cell, one of `rekur.cells.CELLS`.
    patch : int, default 16
        Steps p of a patch.
    hidden_size : int, default 96
        Hidden size H.
    num_layers : int, default 4
        Number of blocks.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: inputs (B, P, I) → quantiles (B, n, p, Q), in units of d and less the base, as a median and increments.

    Examples
    --------
    >>> net = CandidateNet(hidden_size=8, num_layers=1)
    >>> values, periods = torch.arange(64.0).view(1, 64), torch.tensor([[12, 1]])
    >>> visible = torch.tensor([[True, True, True, False]])
    >>> from rekur.pretrained.coordinates import coordinates
    >>> net.quantiles(coordinates(values, visible, periods, net.patch), last=1).shape
    torch.Size([1, 1, 16, 13])
    """

    def __init__(
        self, cell: str = "gru", patch: int = 16, hidden_size: int = 96, num_layers: int = 4, seed: int = 0
    ) -> None:
        super().__init__()
        self.patch, outputs = patch, len(LEVELS) + len(CANDIDATES)
        self.embed = linear(3 * patch + KNOWN, hidden_size, seed)
        blocks = [Block(cell, hidden_size, 0.0, seed + 10 * i) for i in range(num_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(hidden_size)
        self.head = linear(hidden_size, outputs * patch, seed)
        with torch.no_grad():  # begin at seasonal naive with a fan of quantiles
            self.head.weight.mul_(0.1)
            self.head.bias.view(outputs, patch).zero_()[: len(LEVELS)] = -1.0
            self.head.bias.view(outputs, patch)[MIDDLE] = 0.0
            for block in blocks:
                block.down.weight.zero_()

    def forward(self, coordinates: Coordinates, last: int) -> Tensor:
        """Median and increments (B, n, p, Q) of the last n = `last` patches, Q first in memory."""
        z = self.embed(coordinates.inputs)  # (B, P, H)
        patches = z.shape[1]
        for i, block in enumerate(self.blocks):
            z = block(z, last if i + 1 == len(self.blocks) else patches, coordinates.start)
        z = self.norm(z)  # (B, n, H)
        B, n, H = z.shape
        raw = torch.addmm(self.head.bias[:, None], self.head.weight, z.view(B * n, H).t())  # (outputs·p, B·n)
        raw = raw.view(-1, self.patch, B, n).permute(2, 3, 1, 0)  # (B, n, p, outputs)
        levels, weights = raw[..., : len(LEVELS)], raw[..., len(LEVELS) :]
        moved = (weights * coordinates.candidates[:, -last:]).sum(-1)  # (B, n, p)
        parts = [levels[..., i] + moved if i == MIDDLE else levels[..., i] for i in range(len(LEVELS))]
        return torch.stack(parts).permute(1, 2, 3, 0)

    def loss(self, coordinates: Coordinates) -> Tensor:
        """Pinball loss of all patches in seasonal errors, its mean over the known targets."""
        raw = self(coordinates, coordinates.inputs.shape[1])
        levels = raw.new_tensor(LEVELS)
        return quantile_loss(raw, coordinates.target.nan_to_num(), coordinates.weight, levels, MIDDLE)

    def quantiles(self, coordinates: Coordinates, last: int) -> Tensor:
        """Quantiles (B, n, p, Q) of the last n = `last` patches in the unit of the series."""
        raw = self(coordinates, last)
        median = raw[..., MIDDLE : MIDDLE + 1]
        steps = nn.functional.softplus(raw)
        up = median + steps[..., MIDDLE + 1 :].cumsum(-1)
        down = median - steps[..., :MIDDLE].flip(-1).cumsum(-1).flip(-1)
        base, scale = coordinates.base[:, -last:, :, None], coordinates.scale[:, :, None, None]
        return base + scale * torch.cat([down, median, up], -1)
