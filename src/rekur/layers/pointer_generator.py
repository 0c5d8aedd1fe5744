"""Copying: what a decoder takes over from the text that was read, and what it is drawn to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from rekur.inputs.tokenizer import START

if TYPE_CHECKING:
    from torch import Tensor

GATE = 2.0  # k's part of the gate at first: nine of ten tokens are taken over
DRAWN = 3.0  # how much attention is drawn to what follows the token before, at first


class Memory(NamedTuple):
    """What the encoder has read: vectors m (B, T, M), which of them count, and the tokens they stand for, if any."""

    m: Tensor
    inside: Tensor  # (B, T) bool
    tokens: Tensor | None = None  # (B, T) int64

    @property
    def source(self) -> Tensor:
        """The tokens, of a memory that has them."""
        assert self.tokens is not None
        return self.tokens


class PointerGenerator(nn.Module):
    """A gate that mixes the tokens of the memory into what a decoder tells, and what draws its attention.

        g_u = sigmoid(k·z_u),  p_u = (1 - g_u)·p'_u + g_u·Σ_t a_ut·[token_t]
        r_t = sigmoid(v·m_t + e),  b_ut = log r_t + (f·s_u + d)·[token_{t-1} = w_{u-1}]

    where p' is what the decoder tells by itself and a its attention, to whose scores b is added: r draws it to what is
    worth being taken over, the other part to what follows the token before, so that whole passages are easily taken
    over, also of words that were never seen. r learns by itself too, which tokens occur in the target.

    s (B, U, H) of the decoder's first cell, m (B, T, M), z (B, U, Z) all that its output is told from.

    Sources: A. See, P. J. Liu and C. D. Manning, 2017, "Get to the point: summarization with pointer-generator
    networks", ACL; S. Gehrmann, Y. Deng and A. Rush, 2018, "Bottom-up abstractive summarization", EMNLP (r); what
    follows is akin to the selective read of J. Gu et al., 2016, "Incorporating copying mechanism in
    sequence-to-sequence learning", ACL.
    """

    def __init__(self, H: int, M: int, Z: int) -> None:
        super().__init__()
        self.gate, self.follow, self.worth = nn.Linear(Z, 1), nn.Linear(H, 1), nn.Linear(M, 1)
        nn.init.constant_(self.gate.bias, GATE)
        nn.init.constant_(self.follow.bias, DRAWN)

    def drawn(self, s: Tensor, tokens: Tensor, memory: Memory) -> Tensor:
        """How much attention is drawn to each place of the memory after tokens (B, U): b (B, U, T)."""
        before = F.pad(memory.source[:, :-1], (1, 0), value=START)  # (B, T)
        worth = F.logsigmoid(self.worth(memory.m)).transpose(1, 2)  # (B, 1, T)
        b: Tensor = worth + self.follow(s) * (before[:, None] == tokens[..., None])
        return b

    def masses(self, attention: Tensor, memory: Memory, V: int) -> Tensor:
        """Σ_t a_ut·[token_t] of every token, (B, U, V)."""
        where = memory.source[:, None].expand_as(attention)  # (B, U, T)
        return attention.new_zeros(*attention.shape[:2], V).scatter_add(2, where, attention)

    def loss(self, memory: Memory, same: Tensor) -> Tensor:
        """The mean cross-entropy of r and whether a token occurs in the target; same (B, U, T): which tokens equal."""
        there = same.any(1)[memory.inside]
        return F.binary_cross_entropy_with_logits(self.worth(memory.m)[..., 0][memory.inside], there.float())


def mixed(own: Tensor, copied: Tensor, gate: Tensor) -> Tensor:
    """log((1 - g)·exp(own) + g·copied) with g = sigmoid(gate)."""
    return torch.logaddexp(own + F.logsigmoid(-gate), copied.clamp_min(1e-9).log() + F.logsigmoid(gate))
