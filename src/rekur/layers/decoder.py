"""The decoder: writes tokens one after another, looking at what an encoder has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from rekur.inputs.tokens import START
from rekur.layers.encoders import embedding
from rekur.layers.pool import mean
from rekur.layers.stack import Direction

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.layers.attention import Attention


COPIED = 2.0  # k's part of the gate at first: nine of ten tokens are taken over
DRAWN = 3.0  # how much attention is drawn to what follows the token before, at first


class Memory(NamedTuple):
    """What the encoder has read: vectors m (B, T, M), which of them count, and the tokens they stand for, if any."""

    m: Tensor
    inside: Tensor  # (B, T) bool
    tokens: Tensor | None = None  # (B, T) int64


class Written(NamedTuple):
    """What the decoder gives for each of U steps, of which `log_p` and `loss` make probabilities."""

    o: Tensor  # (B, U, I)
    attention: Tensor  # (B, U, T)
    gate: Tensor | None = None  # k·[…] (B, U, 1), if it may copy


class Decoder(nn.Module):
    """Two recurrent layers with attention between them, so that all steps of a known target run at once.

        s_u = cell₁(E[w_{u-1}], s_{u-1}),  c_u = attention(s_u, m),  t_u = cell₂([s_u; c_u], t_{u-1})
        o_u = tanh(W·[t_u; c_u; E[w_{u-1}]]),  p_u = softmax(E·o_u + b)

    where m is the memory and both cells start at tanh(V·mean_t m_t). The table E is shared by both ends. With `copy`,
    a gate g_u = sigmoid(k·[t_u; c_u; o_u]) mixes in the tokens of the memory:

        p_u = (1 - g_u)·softmax(E·o_u + b) + g_u·Σ_t a_ut·[token_t]

    and attention is drawn to what is worth being taken over, r_t = sigmoid(v·m_t + e), and to what follows the token
    before: b_ut = log r_t + (f·s_u + d)·[token_{t-1} = w_{u-1}] is added to its scores, so that whole passages are
    easily taken over, also of words that were never seen. r learns by itself too, which tokens occur in the target.

    Sources: O. Press and L. Wolf, 2017, "Using the output embedding to improve language models", EACL; A. See,
    P. J. Liu and C. D. Manning, 2017, "Get to the point: summarization with pointer-generator networks", ACL;
    S. Gehrmann, Y. Deng and A. Rush, 2018, "Bottom-up abstractive summarization", EMNLP (r); what follows is akin to
    the selective read of J. Gu et al., 2016, "Incorporating copying mechanism in sequence-to-sequence learning", ACL.
    """

    def __init__(
        self,
        cell: str,
        V: int,
        I: int,  # noqa: E741
        attention: Attention,
        dropout: float = 0.0,
        copy: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        H, M = attention.H, attention.M
        self.dropout, self.attention = dropout, attention
        self.embedding = embedding(V, I, seed)
        generator = torch.Generator().manual_seed(seed)
        self.first = Direction(cell, I, H, False, generator)
        self.second = Direction(cell, H + M, H, False, generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bridge = nn.Linear(M, 2 * H)
            self.out = nn.Linear(H + M + I, I)
            self.gate = nn.Linear(H + M + I, 1) if copy else None
            self.follow = nn.Linear(H, 1) if copy else None
            self.worth = nn.Linear(M, 1) if copy else None
        if self.gate is not None and self.follow is not None:
            nn.init.constant_(self.gate.bias, COPIED)
            nn.init.constant_(self.follow.bias, DRAWN)
        self.bias = nn.Parameter(torch.zeros(V))

    def start(self, memory: Memory) -> list[Any]:
        """The states of both cells before the first token."""
        halves = torch.tanh(self.bridge(mean(memory.m, memory.inside))).chunk(2, dim=-1)
        states = []
        for direction, h in zip((self.first, self.second), halves, strict=True):
            zeros = direction.cell.zeros(len(h), direction.H, h)
            states.append(zeros._replace(h=h))
        return states

    def forward(self, tokens: Tensor, memory: Memory, states: list[Any] | None = None) -> tuple[Written, list[Any]]:
        """tokens (B, U), each the one before that which is to be told → what is written, and the states after it."""
        states = self.start(memory) if states is None else states
        E = F.dropout(self.embedding(tokens), self.dropout, self.training)  # (B, U, I)
        s, first = self.first(E, states[0])  # (B, U, H)
        c, attention = self.attention(s, memory.m, memory.inside, self._drawn(s, tokens, memory))  # (B, U, M)
        t, second = self.second(F.dropout(torch.cat([s, c], -1), self.dropout, self.training), states[1])
        read = F.dropout(torch.cat([t, c, E], -1), self.dropout, self.training)
        o = F.dropout(torch.tanh(self.out(read)), self.dropout, self.training)  # (B, U, I)
        gate = None if self.gate is None or memory.tokens is None else self.gate(read)  # (B, U, 1)
        return Written(o, attention, gate), [first, second]

    def _drawn(self, s: Tensor, tokens: Tensor, memory: Memory) -> Tensor | None:
        """How much attention is drawn to each place of the memory, b (B, U, T)."""
        if self.follow is None or self.worth is None or memory.tokens is None:
            return None
        before = F.pad(memory.tokens[:, :-1], (1, 0), value=START)  # (B, T)
        worth = F.logsigmoid(self.worth(memory.m)).transpose(1, 2)  # (B, 1, T)
        drawn: Tensor = worth + self.follow(s) * (before[:, None] == tokens[..., None])
        return drawn

    def log_p(self, written: Written, memory: Memory) -> Tensor:
        """The log-probability of every token at every step, (B, U, V)."""
        own = F.linear(written.o, self.embedding.weight, self.bias).log_softmax(-1)
        if written.gate is None or memory.tokens is None:
            return own
        where = memory.tokens[:, None].expand_as(written.attention)  # (B, U, T)
        copied = torch.zeros_like(own).scatter_add(2, where, written.attention)
        return mixed(own, copied, written.gate)

    def loss(self, written: Written, memory: Memory, target: Tensor, weight: Tensor, smoothing: float) -> Tensor:
        """The mean of -(1 - ε)·log p_y - ε·mean_k log q_k over the steps that count; ε is `smoothing`.

        q is p without what is copied. Only the steps that count are told, and copies of the target alone are summed.
        With `copy`, the mean cross-entropy of r is added.
        target (B, U), weight (B, U).
        """
        inside = weight > 0
        y = target[inside][:, None]  # (N, 1)
        scores = F.linear(written.o[inside], self.embedding.weight, self.bias)  # (N, V)
        total = scores.logsumexp(-1, keepdim=True)
        log_p = scores.gather(1, y) - total
        if written.gate is not None and memory.tokens is not None:
            same = memory.tokens[:, None] == target[..., None]  # (B, U, T)
            copied = (written.attention * same).sum(-1, keepdim=True)[inside]
            log_p = mixed(log_p, copied, written.gate[inside])
        loss = smoothing * (total.mean() - scores.mean()) - (1 - smoothing) * log_p.mean()
        if self.worth is None or memory.tokens is None:
            return loss
        there = (same & inside[..., None]).any(1)  # (B, T)
        worth = self.worth(memory.m)[..., 0][memory.inside]
        return loss + F.binary_cross_entropy_with_logits(worth, there[memory.inside].float())


def mixed(own: Tensor, copied: Tensor, gate: Tensor) -> Tensor:
    """log((1 - g)·exp(own) + g·copied) with g = sigmoid(gate)."""
    return torch.logaddexp(own + F.logsigmoid(-gate), copied.clamp_min(1e-9).log() + F.logsigmoid(gate))
