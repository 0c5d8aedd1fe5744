"""Attention: weighted means of an encoder's outputs for each step of a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from rekur.core import choose

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("dot", "additive")


class Attention(nn.Module):
    """Multiplicative or additive attention of queries over a memory.

        dot        e_ut = q_uᵀ·W·m_t / √M                (Luong's "general", scaled)
        additive   e_ut = vᵀ·tanh(W·q_u + U·m_t)         (Bahdanau)
        a_u = softmax over t of (e_u + b_u),  c_u = Σ_t a_ut · m_t

    where q are the queries, m the memory, b a bias of the scores, a the weights and c the contexts.

    Parameters
    ----------
    query_size : int
        Size H of the queries.
    memory_size : int
        Size M of the vectors of the memory.
    kind : {"dot", "additive"}, default "dot"
        Score of a query and a vector of the memory.
    seed : int, default 0
        Seed of the initial weights.

    Raises
    ------
    OptionError
        The kind is not known.

    Notes
    -----
    Shapes: queries (B, U, H), memory (B, T, M), mask (B, T) bool, bias (B, U, T) or None for zeros → contexts
    (B, U, M), weights (B, U, T), zero where the mask is false.

    References
    ----------
    D. Bahdanau, K. Cho and Y. Bengio, 2015, "Neural machine translation by jointly learning to align and translate",
    ICLR; M.-T. Luong, H. Pham and C. D. Manning, 2015, "Effective approaches to attention-based neural machine
    translation", EMNLP.

    Examples
    --------
    >>> import torch
    >>> mask = torch.tensor([[True, True, True, False]])
    >>> contexts, weights = Attention(5, 6)(torch.ones(1, 2, 5), torch.ones(1, 4, 6), mask)
    >>> contexts.shape, weights[0, 0].tolist()[-1]
    (torch.Size([1, 2, 6]), 0.0)
    """

    def __init__(self, query_size: int, memory_size: int, kind: str = "dot", seed: int = 0) -> None:
        super().__init__()
        self.query_size, self.memory_size = query_size, memory_size
        self.kind = choose("attention", kind, KINDS)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.query = nn.Linear(query_size, memory_size, bias=False)
            if kind == "additive":
                self.key, self.score = nn.Linear(memory_size, memory_size), nn.Linear(memory_size, 1, bias=False)

    def forward(
        self, queries: Tensor, memory: Tensor, mask: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Contexts (B, U, M) and weights (B, U, T)."""
        q = self.query(queries)  # (B, U, M)
        if self.kind == "dot":
            scores = q @ memory.transpose(1, 2) / memory.shape[-1] ** 0.5  # (B, U, T)
        else:
            scores = self.score(torch.tanh(q[:, :, None] + self.key(memory)[:, None]))[..., 0]  # (B, U, T)
        scores = scores if bias is None else scores + bias
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        return weights @ memory, weights
