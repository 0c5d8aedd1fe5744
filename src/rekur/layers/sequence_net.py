"""The net of most tasks: encoder → stack of cells → head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

from rekur.layers.pooling import concat_pool

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.layers.conv_recurrent import ConvRecurrentStack
    from rekur.layers.stack import Stack


class SequenceNet(nn.Module):
    """An encoder, a stack and a head: one raw output for the whole sequence, or one for each step.

    x (B, T, ...) → raw (B, ...) from the pooled outputs, or (B, T', ...), and the lengths (B,) of the steps.
    """

    def __init__(
        self, encoder: nn.Module, stack: Stack | ConvRecurrentStack, head: nn.Module, each: bool, dropout: float
    ) -> None:
        super().__init__()
        self.encoder, self.stack, self.head, self.each, self.dropout = encoder, stack, head, each, dropout

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x (B, T, ...) → raw output of the head, and lengths."""
        vectors, lengths = self.encoder(x, lengths)
        y, states = self.stack(vectors, None, lengths)  # (B, T', H)
        read = y if self.each else concat_pool(y, self.stack.last(states), lengths)
        return self.head(F.dropout(read, self.dropout, self.training)), lengths
