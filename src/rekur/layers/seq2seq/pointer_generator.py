"""Pointer-generator network: copying of source tokens into the output of a decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from rekur.inputs.tokenizer import START

if TYPE_CHECKING:
    from torch import Tensor

GATE_BIAS = 2.0  # initial bias of the gate: nine of ten tokens are copied
FOLLOW_BIAS = 3.0  # initial attention bias of the positions behind the previous token


class Memory(NamedTuple):
    """Outputs of an encoder for a decoder to attend to.

    Attributes
    ----------
    vectors : Tensor
        Vectors m (B, T, M).
    mask : Tensor
        (B, T) bool, true within the length of a row.
    tokens : Tensor or None, default None
        Tokens (B, T) int64 of a source text, for a pointer-generator network or a lexicon.

    Examples
    --------
    >>> import torch
    >>> memory = Memory(vectors=torch.zeros(2, 5, 6), mask=torch.ones(2, 5, dtype=torch.bool))
    >>> memory.vectors.shape, memory.tokens is None
    (torch.Size([2, 5, 6]), True)
    """

    vectors: Tensor
    mask: Tensor
    tokens: Tensor | None = None

    @property
    def source(self) -> Tensor:
        """Source tokens (B, T) of a memory that has them."""
        assert self.tokens is not None
        return self.tokens


class PointerGenerator(nn.Module):
    """Gate between generating and copying a token, and a bias of the attention towards tokens to copy.

        g_u = sigmoid(k·z_u),  p_u = (1 - g_u)·p'_u + g_u·Σ_t a_ut·[token_t]
        r_t = sigmoid(v·m_t + e),  b_ut = log r_t + (f·s_u + d)·[token_{t-1} = w_{u-1}]

    where p' is the distribution that the decoder generates, a its attention and b the bias of the attention's scores.
    r is the probability that a source token is copied, trained by an auxiliary loss on whether it occurs in the
    target; the second term of b favours the position behind the previous token w_{u-1}, so that whole passages are
    copied, also of unknown words. s are the outputs of the decoder's first layer, m the vectors of the memory and z
    the features that the decoder's output is computed from.

    Parameters
    ----------
    hidden_size : int
        Size H of s (B, U, H).
    memory_size : int
        Size M of m (B, T, M).
    feature_size : int
        Size Z of z (B, U, Z).

    References
    ----------
    A. See, P. J. Liu and C. D. Manning, 2017, "Get to the point: summarization with pointer-generator networks", ACL;
    S. Gehrmann, Y. Deng and A. Rush, 2018, "Bottom-up abstractive summarization", EMNLP (r). The bias towards the
    position behind the previous token is related to the selective read of J. Gu et al., 2016, "Incorporating copying
    mechanism in sequence-to-sequence learning", ACL.

    Examples
    --------
    >>> import torch
    >>> memory = Memory(torch.zeros(1, 3, 6), torch.ones(1, 3, dtype=torch.bool), torch.tensor([[4, 5, 4]]))
    >>> pointer = PointerGenerator(hidden_size=5, memory_size=6, feature_size=8)
    >>> pointer.attention_bias(torch.zeros(1, 2, 5), torch.tensor([[2, 4]]), memory).shape
    torch.Size([1, 2, 3])
    >>> pointer.copy_distribution(torch.full((1, 1, 3), 0.25), memory, vocabulary_size=6)
    tensor([[[0.0000, 0.0000, 0.0000, 0.0000, 0.5000, 0.2500]]])
    """

    def __init__(self, hidden_size: int, memory_size: int, feature_size: int) -> None:
        super().__init__()
        self.gate, self.follow = nn.Linear(feature_size, 1), nn.Linear(hidden_size, 1)
        self.relevance = nn.Linear(memory_size, 1)
        nn.init.constant_(self.gate.bias, GATE_BIAS)
        nn.init.constant_(self.follow.bias, FOLLOW_BIAS)

    def attention_bias(self, s: Tensor, tokens: Tensor, memory: Memory) -> Tensor:
        """Bias b (B, U, T) of the attention's scores after the previous tokens (B, U)."""
        previous = F.pad(memory.source[:, :-1], (1, 0), value=START)  # (B, T)
        relevance = F.logsigmoid(self.relevance(memory.vectors)).transpose(1, 2)  # (B, 1, T)
        bias: Tensor = relevance + self.follow(s) * (previous[:, None] == tokens[..., None])
        return bias

    def copy_distribution(self, attention: Tensor, memory: Memory, vocabulary_size: int) -> Tensor:
        """Probabilities Σ_t a_ut·[token_t] of copying each token, (B, U, V)."""
        tokens = memory.source[:, None].expand_as(attention)  # (B, U, T)
        return attention.new_zeros(*attention.shape[:2], vocabulary_size).scatter_add(2, tokens, attention)

    def loss(self, memory: Memory, equal: Tensor) -> Tensor:
        """Mean cross-entropy of r and whether a source token occurs in the target.

        equal (B, U, T) bool: whether token u of the target is token t of the source.
        """
        occurs = equal.any(1)[memory.mask]
        logits = self.relevance(memory.vectors)[..., 0][memory.mask]
        return F.binary_cross_entropy_with_logits(logits, occurs.float())


def mix_log_p(generated: Tensor, copied: Tensor, gate: Tensor) -> Tensor:
    """Mixture log((1 - g)·exp(generated) + g·copied) with g = sigmoid(gate), of log-probabilities and probabilities."""
    return torch.logaddexp(generated + F.logsigmoid(-gate), copied.clamp_min(1e-9).log() + F.logsigmoid(gate))
