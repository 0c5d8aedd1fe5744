"""Attention: for each step of a decoder, a weighted mean of what an encoder has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from rekur.core import choose

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("dot", "additive")


class Attention(nn.Module):
    """Weights over the memory for each query.

        dot        e_ut = q_uᵀ·W·m_t / √M                (Luong's "general", scaled)
        additive   e_ut = vᵀ·tanh(W·q_u + U·m_t)         (Bahdanau)
        a_u = softmax over t of (e_u + b_u),  c_u = Σ_t a_ut · m_t

    queries (B, U, H), memory (B, T, M), inside (B, T) bool, b (B, U, T) or None for zeros → c (B, U, M), a (B, U, T).

    Sources: D. Bahdanau, K. Cho and Y. Bengio, 2015, "Neural machine translation by jointly learning to align and
    translate", ICLR; M.-T. Luong, H. Pham and C. D. Manning, 2015, "Effective approaches to attention-based neural
    machine translation", EMNLP.
    """

    def __init__(self, H: int, M: int, kind: str = "dot", seed: int = 0) -> None:
        super().__init__()
        self.H, self.M = H, M
        self.kind = choose("attention", kind, KINDS)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.query = nn.Linear(H, M, bias=False)
            if kind == "additive":
                self.key, self.score = nn.Linear(M, M), nn.Linear(M, 1, bias=False)

    def forward(
        self, queries: Tensor, memory: Tensor, inside: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Contexts (B, U, M) and weights (B, U, T)."""
        q = self.query(queries)  # (B, U, M)
        if self.kind == "dot":
            scores = q @ memory.transpose(1, 2) / memory.shape[-1] ** 0.5  # (B, U, T)
        else:
            scores = self.score(torch.tanh(q[:, :, None] + self.key(memory)[:, None]))[..., 0]  # (B, U, T)
        scores = scores if bias is None else scores + bias
        weights = scores.masked_fill(~inside[:, None], -torch.inf).softmax(-1)
        return weights @ memory, weights
