"""Sequence-to-sequence network: encoder, recurrent stack and decoder with attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.heads import linear
from rekur.layers.pooling import length_mask, max_pool, mean_pool
from rekur.layers.seq2seq.beam_search import beam_search, select_rows
from rekur.layers.seq2seq.decoder import Decoder, DecoderOutput
from rekur.layers.seq2seq.pointer_generator import Memory

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import State
    from rekur.layers.stack import LayerStack

    DecoderState = tuple[Memory, list[State]]


class Seq2Seq(nn.Module):
    """Encoder, recurrent stack and a decoder that attends to the outputs of the stack.

    With `auxiliary_loss`, a linear layer over the mean and maximum of the memory predicts which tokens the target
    contains:

        loss = Σ_k cross-entropy of sigmoid(W·[mean_t m_t; max_t m_t] + b)_k and [k occurs in the target]

    where m is the memory. An encoder of numbers or frames learns from it long before the decoder's attention does.

    Parameters
    ----------
    encoder : Module
        Maps x (B, T, ...) and lengths (B,) to vectors (B, T', I) and lengths.
    stack : Stack
        Recurrent layers over the vectors.
    decoder : Decoder
        Predicts the tokens of the target.
    special_tokens : (int, int)
        Start token and end token of a target.
    auxiliary_loss : bool, default False
        Whether `token_loss` is trained.

    Notes
    -----
    Shapes: x (B, T, ...), target (B, U) int64 ending with the end token → `DecoderOutput` of U steps, and the `Memory`
    of x.

    Examples
    --------
    >>> import torch
    >>> from rekur.layers import Attention, Decoder, Stack, TokenEncoder
    >>> stack = Stack("gru", 8, 6)
    >>> decoder = Decoder("gru", vocabulary_size=9, embedding_size=8, attention=Attention(7, stack.size))
    >>> net = Seq2Seq(TokenEncoder(9, 8), stack, decoder, special_tokens=(2, 3)).eval()
    >>> output, memory = net(torch.tensor([[4, 5, 6, 7]]), None, torch.tensor([[8, 4, 3]]))
    >>> output.attention.shape
    torch.Size([1, 3, 4])
    >>> with torch.inference_mode():
    ...     tokens = net.generate(torch.tensor([[4, 5, 6, 7]]), None, num_beams=2, max_length=5)
    >>> len(tokens[0]) <= 5
    True
    """

    def __init__(
        self,
        encoder: nn.Module,
        stack: LayerStack,
        decoder: Decoder,
        special_tokens: tuple[int, int],
        auxiliary_loss: bool = False,
    ) -> None:
        super().__init__()
        self.token_head = linear(2 * stack.size, len(decoder.bias), 0) if auxiliary_loss else None
        self.encoder, self.stack, self.decoder = encoder, stack, decoder
        self.start_token, self.end_token = special_tokens

    def memory(self, x: Tensor, lengths: Tensor | None) -> Memory:
        """Memory of x (B, T, ...) for the decoder to attend to."""
        vectors, steps = self.encoder(x, lengths)
        m, _ = self.stack(vectors, None, steps)  # (B, T', M)
        return Memory(m, length_mask(steps, m), x if self.decoder.reads_source else None)

    def forward(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, scheduled_sampling: float = 0.0
    ) -> tuple[DecoderOutput, Memory]:
        """Outputs of the decoder for each step of the target (B, U), from the tokens before it.

        With `scheduled_sampling`, that share of the previous tokens is replaced by the decoder's own predictions of a
        first pass over all steps.

        References
        ----------
        S. Bengio et al., 2015, "Scheduled sampling for sequence prediction with recurrent neural networks", NeurIPS;
        T. Mihaylova and A. F. T. Martins, 2019, "Scheduled sampling for transformers", ACL workshop.
        """
        memory = self.memory(x, lengths)
        start = torch.full_like(target[:, :1], self.start_token)
        previous = torch.cat([start, target[:, :-1]], dim=1)  # (B, U)
        if scheduled_sampling:
            with torch.no_grad():
                predicted = self.decoder.log_p(self.decoder(previous, memory)[0], memory).argmax(-1)  # (B, U)
            replaced = (torch.rand(previous.shape) < scheduled_sampling) & (previous != 0)
            previous = torch.where(replaced, torch.cat([start, predicted[:, :-1]], dim=1), previous)
        return self.decoder(previous, memory)[0], memory

    def token_loss(self, memory: Memory, target: Tensor, weight: Tensor) -> Tensor:
        """Cross-entropy of which tokens the target contains, averaged over the rows; 0 without `auxiliary_loss`."""
        m, mask = memory.vectors, memory.mask
        if self.token_head is None:
            return m.new_zeros(())
        raw = self.token_head(torch.cat([mean_pool(m, mask), max_pool(m, mask)], dim=1))  # (B, V)
        occurs = torch.zeros_like(raw).scatter(1, torch.where(weight > 0, target, self.end_token), 1.0)
        return F.binary_cross_entropy_with_logits(raw, occurs, reduction="none").sum(1).mean()

    def generate(
        self,
        x: Tensor,
        lengths: Tensor | None,
        num_beams: int = 5,
        max_length: int = 100,
        length_penalty: float = 0.7,
        no_repeat_ngram: int = 0,
    ) -> list[list[int]]:
        """Best sequences of tokens for x (B, T, ...) by `rekur.layers.beam_search`, which explains the options."""
        memory = self.memory(x, lengths)
        B = len(memory.vectors)
        memory = select_rows(memory, torch.arange(B).repeat_interleave(num_beams))

        def step(tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
            memory, states = state
            output, states = self.decoder(tokens[:, None], memory, states)
            return self.decoder.log_p(output, memory)[:, 0], (memory, states)

        state = memory, self.decoder.start(memory)
        special = self.start_token, self.end_token
        return beam_search(step, state, B, special, num_beams, max_length, length_penalty, no_repeat_ngram)


def coverage_loss(attention: Tensor, weight: Tensor) -> Tensor:
    """Penalty of attending repeatedly to one position: the mean over steps of Σ_t min(a_ut, Σ_{u' < u} a_u't).

    Parameters
    ----------
    attention : Tensor
        Weights a (B, U, T).
    weight : Tensor
        Weights of the steps (B, U), 1 within the length of a target and 0 beyond.

    Returns
    -------
    Tensor
        Loss, a scalar.

    References
    ----------
    A. See, P. J. Liu and C. D. Manning, 2017, "Get to the point: summarization with pointer-generator networks", ACL,
    equation 12.

    Examples
    --------
    >>> import torch
    >>> attention = torch.tensor([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]])
    >>> round(coverage_loss(attention, torch.ones(1, 3)).item(), 4)
    0.3333
    """
    covered = attention.cumsum(1) - attention  # (B, U, T)
    overlap = torch.minimum(attention, covered).sum(-1)  # (B, U)
    return (overlap * weight).sum() / weight.sum()
