"""Recurrent decoder with attention and, optionally, a pointer-generator network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from rekur.inputs.tokenizer import PAD
from rekur.layers.encoders import embedding
from rekur.layers.pooling import mean_pool
from rekur.layers.seq2seq.pointer_generator import PointerGenerator, mix_log_p
from rekur.layers.stack import Direction

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import State
    from rekur.layers.seq2seq.attention import Attention
    from rekur.layers.seq2seq.pointer_generator import Memory

LEXICON_FLOOR = 1e-3  # ε: least probability of a translation


class DecoderOutput(NamedTuple):
    """Outputs of a decoder for U steps, from which `Decoder.log_p` and `Decoder.loss` compute probabilities.

    Attributes
    ----------
    features : Tensor
        Features o (B, U, I).
    attention : Tensor
        Weights (B, U, T) of the positions of the memory.
    gate : Tensor or None, default None
        Logit (B, U, 1) of copying a source token, with a pointer-generator network.

    Examples
    --------
    >>> import torch
    >>> output = DecoderOutput(features=torch.zeros(1, 3, 8), attention=torch.full((1, 3, 2), 0.5))
    >>> output.attention.sum(-1).tolist(), output.gate
    ([[1.0, 1.0, 1.0]], None)
    """

    features: Tensor
    attention: Tensor
    gate: Tensor | None = None


class Decoder(nn.Module):
    """Two recurrent layers with attention between them, so that all steps of a known target run at once.

        s_u = cell₁(E[w_{u-1}], s_{u-1}),  c_u = attention(s_u, m),  t_u = cell₂([s_u; c_u], t_{u-1})
        o_u = tanh(W·[t_u; c_u; E[w_{u-1}]]),  p_u = softmax(E·o_u + b)

    where m is the memory, w are the tokens of the target, E is the embedding that input and output share, and both
    cells start at tanh(V·mean_t m_t). With `copy`, source tokens are mixed in, see `PointerGenerator`. With `lexicon`,
    log(Σ_t a_ut·P(· | x_t) + ε) is added to the scores E·o_u + b, where P(y | x) are the probabilities that a source
    token x is translated by y, the buffer `Decoder.lexicon`.

    Parameters
    ----------
    cell : str
        Name of the cell, see `rekur.cells.CELLS`.
    vocabulary_size : int
        Number V of tokens.
    embedding_size : int
        Size I of the embedding.
    attention : Attention
        Attention over the memory; it sets the sizes H of the state and M of the memory.
    dropout : float, default 0.0
        Share of entries set to zero during training.
    copy : bool, default False
        Whether to copy source tokens with a pointer-generator network.
    seed : int, default 0
        Seed of the initial weights.
    lexicon : bool, default False
        Whether the scores are biased by a lexicon, uniform at first.

    References
    ----------
    O. Press and L. Wolf, 2017, "Using the output embedding to improve language models", EACL; P. Arthur, G. Neubig and
    S. Nakamura, 2016, "Incorporating discrete translation lexicons into neural machine translation", EMNLP.

    Examples
    --------
    >>> import torch
    >>> from rekur.layers import Attention, Memory
    >>> decoder = Decoder("gru", vocabulary_size=9, embedding_size=8, attention=Attention(7, 6))
    >>> memory = Memory(torch.zeros(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))
    >>> output, states = decoder(torch.tensor([[2, 4, 5], [2, 6, 7]]), memory)
    >>> decoder.log_p(output, memory).shape
    torch.Size([2, 3, 9])
    """

    lexicon: Tensor | None

    def __init__(
        self,
        cell: str,
        vocabulary_size: int,
        embedding_size: int,
        attention: Attention,
        dropout: float = 0.0,
        copy: bool = False,
        seed: int = 0,
        lexicon: bool = False,
    ) -> None:
        super().__init__()
        V, I, H, M = vocabulary_size, embedding_size, attention.query_size, attention.memory_size  # noqa: E741
        self.dropout, self.attention = dropout, attention
        self.embedding = embedding(V, I, seed)
        generator = torch.Generator().manual_seed(seed)
        self.first = Direction(cell, I, H, False, generator)
        self.second = Direction(cell, H + M, H, False, generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bridge = nn.Linear(M, 2 * H)
            self.out = nn.Linear(H + M + I, I)
            self.pointer = PointerGenerator(H, M, H + M + I) if copy else None
        self.bias = nn.Parameter(torch.zeros(V))
        self.register_buffer("lexicon", torch.full((V, V), 1 / V) if lexicon else None)

    @property
    def reads_source(self) -> bool:
        """Whether the memory must hold the source tokens."""
        return self.pointer is not None or self.lexicon is not None

    def start(self, memory: Memory) -> list[State]:
        """States of both cells before the first token."""
        halves = torch.tanh(self.bridge(mean_pool(memory.vectors, memory.mask))).chunk(2, dim=-1)
        states: list[State] = []
        for direction, h in zip((self.first, self.second), halves, strict=True):
            cell = direction.cell
            zeros = dict(zip(cell.states, cell.zeros(len(h), direction.hidden_size, h), strict=True))
            states.append(cell.state(**{**zeros, "h": h}))
        return states

    def forward(
        self, tokens: Tensor, memory: Memory, states: list[State] | None = None
    ) -> tuple[DecoderOutput, list[State]]:
        """Outputs for the previous tokens (B, U) of U steps, and the states after the last of them."""
        states = self.start(memory) if states is None else states
        E = self._drop(self.embedding(tokens))  # (B, U, I)
        s, first = self.first(E, states[0])  # (B, U, H)
        bias = None if self.pointer is None else self.pointer.attention_bias(s, tokens, memory)  # (B, U, T)
        c, attention = self.attention(s, memory.vectors, memory.mask, bias)  # (B, U, M)
        t, second = self.second(self._drop(torch.cat([s, c], -1)), states[1])
        z = self._drop(torch.cat([t, c, E], -1))
        o = self._drop(torch.tanh(self.out(z)))  # (B, U, I)
        gate = None if self.pointer is None else self.pointer.gate(z)  # (B, U, 1)
        return DecoderOutput(o, attention, gate), [first, second]

    def log_p(self, output: DecoderOutput, memory: Memory) -> Tensor:
        """Log-probability of every token at every step, (B, U, V)."""
        generated = (self._scores(output.features) + self._lexical_bias(output, memory)).log_softmax(-1)
        if self.pointer is None or output.gate is None:
            return generated
        copied = self.pointer.copy_distribution(output.attention, memory, len(self.bias))
        return mix_log_p(generated, copied, output.gate)

    def loss(self, output: DecoderOutput, memory: Memory, target: Tensor, weight: Tensor, smoothing: float) -> Tensor:
        """Mean of -(1 - ε)·log p_y - ε·mean_k log q_k over the steps of positive weight.

        ε is `smoothing` and q is p without the copied tokens. With a pointer-generator network its auxiliary loss is
        added.

        Parameters
        ----------
        output : DecoderOutput
            Outputs for the U steps of the target.
        memory : Memory
            Memory that the outputs were computed from.
        target : Tensor
            Tokens (B, U) int64.
        weight : Tensor
            Weights (B, U), 1 within the length of a target and 0 beyond.
        smoothing : float
            Label smoothing ε.

        Returns
        -------
        Tensor
            Loss, a scalar.
        """
        mask = weight > 0
        y = target[mask][:, None]  # (N, 1)
        scores = self._scores(output.features[mask]) + self._lexical_bias(output, memory, mask)  # (N, V)
        log_normalizer = scores.logsumexp(-1, keepdim=True)
        log_p = scores.gather(1, y) - log_normalizer
        loss = smoothing * (log_normalizer.mean() - scores.mean())
        if self.pointer is not None and output.gate is not None:
            equal = memory.source[:, None] == target.masked_fill(~mask, PAD)[..., None]  # (B, U, T)
            copied = (output.attention * equal).sum(-1, keepdim=True)[mask]
            log_p = mix_log_p(log_p, copied, output.gate[mask])
            loss = loss + self.pointer.loss(memory, equal)
        return loss - (1 - smoothing) * log_p.mean()

    def _scores(self, features: Tensor) -> Tensor:
        """Scores (..., V) of features (..., I)."""
        return F.linear(features, self.embedding.weight, self.bias)

    def _lexical_bias(self, output: DecoderOutput, memory: Memory, mask: Tensor | None = None) -> Tensor:
        """Logarithm of the lexicon's probabilities (B, U, V), or (N, V) within a mask (B, U); 0 without a lexicon."""
        if self.lexicon is None:
            return self.bias.new_zeros(())
        p = output.attention @ self.lexicon[memory.source]  # (B, U, V)
        return ((p if mask is None else p[mask]) + LEXICON_FLOOR).log()

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
