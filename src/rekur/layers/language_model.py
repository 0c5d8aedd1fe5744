"""Recurrent language model network: the next token from all tokens before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.dropout import variational_dropout
from rekur.layers.encoders import embedding
from rekur.layers.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import State


class LanguageNet(nn.Module):
    """Scores of the next token, with one embedding shared by input and output.

        h_t = stack of cells over E[w_1] … E[w_t],  p(w_{t+1}) = softmax(E·(W·h_t + c) + b)

    where w are the tokens and E is the embedding (V, I).

    Parameters
    ----------
    cell : str
        Name of the cell, see `rekur.cells.CELLS`.
    vocabulary_size : int
        Number V of tokens.
    embedding_size : int
        Size I of the embedding.
    hidden_size : int
        Size H of the hidden state.
    num_layers : int
        Number of recurrent layers.
    dropout : float
        Share of entries set to zero during training, the same ones at every step before and behind the stack.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: tokens (B, T) int64 → scores (B, T, V) and the states of the stack.

    References
    ----------
    O. Press and L. Wolf, 2017, "Using the output embedding to improve language models", EACL.

    Examples
    --------
    >>> import torch
    >>> net = LanguageNet("lstm", vocabulary_size=9, embedding_size=4, hidden_size=8, num_layers=2, dropout=0.0)
    >>> scores, states = net(torch.tensor([[4, 5, 6]]))
    >>> scores.shape, len(states)
    (torch.Size([1, 3, 9]), 2)
    """

    def __init__(
        self,
        cell: str,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = embedding(vocabulary_size, embedding_size, seed)
        self.stack = Stack(cell, embedding_size, hidden_size, num_layers, dropout=dropout, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.back = nn.Linear(hidden_size, embedding_size)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, tokens: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Scores (B, T, V) of the token behind each of tokens (B, T), and the states after the last."""
        x = variational_dropout(self.embedding(tokens), self.dropout, self.training)  # (B, T, I)
        h, states = self.stack(x, states)
        o = self.back(variational_dropout(h, self.dropout, self.training))  # (B, T, I)
        return F.linear(o, self.embedding.weight, self.bias), states
