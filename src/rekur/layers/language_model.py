"""The net of a language model: each token is told from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.encoders import embedding
from rekur.layers.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class LanguageNet(nn.Module):
    """Tokens to the probabilities of the next: one table of vectors at both ends.

        h_t = stack of cells over E[w_1] … E[w_t],  p(w_{t+1}) = softmax(E·(W·h_t + c) + b)

    tokens (B, T) int64 → scores (B, T, V) and the states of the stack.

    Source: O. Press and L. Wolf, 2017, "Using the output embedding to improve language models", EACL.
    """

    def __init__(self, cell: str, V: int, I: int, H: int, layers: int, dropout: float, seed: int = 0) -> None:  # noqa: E741
        super().__init__()
        self.dropout = dropout
        self.embedding = embedding(V, I, seed)
        self.stack = Stack(cell, I, H, layers, dropout=dropout, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.back = nn.Linear(H, I)
        self.bias = nn.Parameter(torch.zeros(V))

    def forward(self, tokens: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        """tokens (B, T) → scores (B, T, V), states."""
        x = locked(self.embedding(tokens), self.dropout, self.training)  # (B, T, I)
        h, states = self.stack(x, states)
        o = self.back(locked(h, self.dropout, self.training))  # (B, T, I)
        return F.linear(o, self.embedding.weight, self.bias), states


def locked(x: Tensor, share: float, training: bool) -> Tensor:
    """Dropout with one mask for all steps: x (B, T, I).

    Source: Y. Gal and Z. Ghahramani, 2016, "A theoretically grounded application of dropout in recurrent neural
    networks", NeurIPS.
    """
    if not training or not share:
        return x
    mask = F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), share, True)
    return x * mask
