"""The decoder: writes tokens one after another, looking at what an encoder has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from rekur.inputs.tokenizer import PAD
from rekur.layers.encoders import embedding
from rekur.layers.pointer_generator import PointerGenerator, mixed
from rekur.layers.pooling import mean
from rekur.layers.stack import Direction

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.layers.attention import Attention
    from rekur.layers.pointer_generator import Memory


class Written(NamedTuple):
    """What the decoder gives for each of U steps, of which `log_p` and `loss` make probabilities."""

    o: Tensor  # (B, U, I)
    attention: Tensor  # (B, U, T)
    gate: Tensor | None = None  # (B, U, 1), if it may copy


class Decoder(nn.Module):
    """Two recurrent layers with attention between them, so that all steps of a known target run at once.

        s_u = cell₁(E[w_{u-1}], s_{u-1}),  c_u = attention(s_u, m),  t_u = cell₂([s_u; c_u], t_{u-1})
        o_u = tanh(W·[t_u; c_u; E[w_{u-1}]]),  p_u = softmax(E·o_u + b)

    where m is the memory and both cells start at tanh(V·mean_t m_t). The table E is shared by both ends. With `copy`,
    tokens of the memory are mixed in and draw attention, see `Copying`.

    Source: O. Press and L. Wolf, 2017, "Using the output embedding to improve language models", EACL.
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
            self.copying = PointerGenerator(H, M, H + M + I) if copy else None
        self.bias = nn.Parameter(torch.zeros(V))

    def start(self, memory: Memory) -> list[Any]:
        """The states of both cells before the first token."""
        halves = torch.tanh(self.bridge(mean(memory.m, memory.inside))).chunk(2, dim=-1)
        states = []
        for direction, h in zip((self.first, self.second), halves, strict=True):
            zeros = dict(zip(direction.cell.states, direction.cell.zeros(len(h), direction.H, h), strict=True))
            states.append(direction.cell.state(**{**zeros, "h": h}))
        return states

    def forward(self, tokens: Tensor, memory: Memory, states: list[Any] | None = None) -> tuple[Written, list[Any]]:
        """tokens (B, U), each the one before that which is to be told → what is written, and the states after it."""
        states = self.start(memory) if states is None else states
        E = F.dropout(self.embedding(tokens), self.dropout, self.training)  # (B, U, I)
        s, first = self.first(E, states[0])  # (B, U, H)
        drawn = None if self.copying is None else self.copying.drawn(s, tokens, memory)  # (B, U, T)
        c, attention = self.attention(s, memory.m, memory.inside, drawn)  # (B, U, M)
        t, second = self.second(F.dropout(torch.cat([s, c], -1), self.dropout, self.training), states[1])
        read = F.dropout(torch.cat([t, c, E], -1), self.dropout, self.training)
        o = F.dropout(torch.tanh(self.out(read)), self.dropout, self.training)  # (B, U, I)
        gate = None if self.copying is None else self.copying.gate(read)  # (B, U, 1)
        return Written(o, attention, gate), [first, second]

    def log_p(self, written: Written, memory: Memory) -> Tensor:
        """The log-probability of every token at every step, (B, U, V)."""
        own = F.linear(written.o, self.embedding.weight, self.bias).log_softmax(-1)
        if self.copying is None or written.gate is None:
            return own
        return mixed(own, self.copying.masses(written.attention, memory, len(self.bias)), written.gate)

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
        loss = smoothing * (total.mean() - scores.mean())
        if self.copying is not None and written.gate is not None:
            same = memory.source[:, None] == target.masked_fill(~inside, PAD)[..., None]  # (B, U, T)
            copied = (written.attention * same).sum(-1, keepdim=True)[inside]
            log_p = mixed(log_p, copied, written.gate[inside])
            loss = loss + self.copying.loss(memory, same)
        return loss - (1 - smoothing) * log_p.mean()
