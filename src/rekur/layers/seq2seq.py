"""Sequence to sequence: an encoder that reads and a decoder that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.beam_search import beam, pick
from rekur.layers.decoder import Decoder, Written
from rekur.layers.heads import linear
from rekur.layers.pointer_generator import Memory
from rekur.layers.pooling import mean, most, within

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.layers.stack import Stack


class Seq2Seq(nn.Module):
    """An encoder, a stack over what it gives, and a decoder that attends to the stack's outputs.

    With `hints`, mean and maximum of what is read learn by themselves which tokens the target holds:

        loss = Σ_k cross-entropy of sigmoid(W·[mean_t m_t; max_t m_t] + b)_k and [k occurs in the target]

    which shows an encoder of frames or numbers what to look for long before the decoder's attention does.

    x (B, T, ...), target (B, U) int64 that ends with `end` → `Written` for each of its U steps, and the `Memory` of x.
    """

    def __init__(
        self,
        encoder: nn.Module,
        stack: Stack,
        decoder: Decoder,
        ends: tuple[int, int],
        hints: bool = False,
    ) -> None:
        super().__init__()
        self.hints = linear(2 * stack.size, len(decoder.bias), 0) if hints else None
        self.encoder, self.stack, self.decoder = encoder, stack, decoder
        self.begin, self.end = ends

    def memory(self, x: Tensor, lengths: Tensor | None) -> Memory:
        """What the encoder reads in x (B, T, ...)."""
        vectors, steps = self.encoder(x, lengths)
        m, _ = self.stack(vectors, None, steps)  # (B, T', M)
        return Memory(m, within(steps, m), None if self.decoder.copying is None else x)

    def forward(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, sampling: float = 0.0
    ) -> tuple[Written, Memory]:
        """Tell each token of the target from those before it.

        With `sampling`, that share of the tokens before is replaced by what the decoder itself tells there in a first
        pass (scheduled sampling, all steps at once).

        Sources: S. Bengio et al., 2015, "Scheduled sampling …", NeurIPS; T. Mihaylova and A. F. T. Martins, 2019,
        "Scheduled sampling for transformers", ACL workshop.
        """
        memory = self.memory(x, lengths)
        begin = torch.full_like(target[:, :1], self.begin)
        before = torch.cat([begin, target[:, :-1]], dim=1)  # (B, U)
        if sampling:
            with torch.no_grad():
                told = self.decoder.log_p(self.decoder(before, memory)[0], memory).argmax(-1)  # (B, U)
            own = torch.cat([begin, told[:, :-1]], dim=1)
            swap = (torch.rand(before.shape) < sampling) & (before != 0)
            before = torch.where(swap, own, before)
        return self.decoder(before, memory)[0], memory

    def hint_loss(self, memory: Memory, target: Tensor, weight: Tensor) -> Tensor:
        """How badly what is read tells which tokens are to be written, averaged over the rows; 0 without `hints`."""
        if self.hints is None:
            return memory.m.new_zeros(())
        raw = self.hints(torch.cat([mean(memory.m, memory.inside), most(memory.m, memory.inside)], dim=1))  # (B, V)
        there = torch.zeros_like(raw).scatter(1, torch.where(weight > 0, target, self.end), 1.0)
        return F.binary_cross_entropy_with_logits(raw, there, reduction="none").sum(1).mean()

    def write(self, x: Tensor, lengths: Tensor | None, beams: int, **search: Any) -> list[list[int]]:
        """The best sequences of tokens for x (B, T, ...), by beam search; `search` holds arguments of `beam`."""
        memory = self.memory(x, lengths)
        B = len(memory.m)
        memory = pick(memory, torch.arange(B).repeat_interleave(beams))

        def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
            kept, states = state
            written, after = self.decoder(tokens[:, None], kept, states)
            return self.decoder.log_p(written, kept)[:, 0], (kept, after)

        return beam(step, (memory, self.decoder.start(memory)), B, (self.begin, self.end), beams, **search)


def coverage_loss(attention: Tensor, weight: Tensor) -> Tensor:
    """How much is looked at twice: the mean over steps of Σ_t min(a_ut, Σ_{u' < u} a_u't).

    attention (B, U, T), weight (B, U). Source: See, Liu and Manning, 2017, equation 12.
    """
    before = attention.cumsum(1) - attention  # (B, U, T)
    twice = torch.minimum(attention, before).sum(-1)  # (B, U)
    return (twice * weight).sum() / weight.sum()
