"""A conditional random field over the tags of a sequence: neighbours are judged together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from rekur.layers.heads import linear

if TYPE_CHECKING:
    from torch import Tensor


class TagHead(nn.Module):
    """A tag for each step, each judged alone: p_t = softmax(W·h_t + b).

    h (B, T, H) → raw (B, T, K); target (B, T) int64; weight (B, T), 1 within the length; decode gives (B, T) tags.
    """

    def __init__(self, H: int, K: int, seed: int = 0) -> None:
        super().__init__()
        self.linear = linear(H, K, seed)

    def forward(self, h: Tensor) -> Tensor:
        """h (B, T, H) → scores (B, T, K)."""
        y: Tensor = self.linear(h)
        return y

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The mean cross-entropy of a step."""
        each = nn.functional.cross_entropy(raw.transpose(1, 2), target, reduction="none")  # (B, T)
        return (each * weight).sum() / weight.sum()

    def decode(self, raw: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The best tag of each step."""
        return raw.argmax(-1)


class CRFHead(nn.Module):
    """Tags for all steps together, a linear-chain conditional random field.

        score(y) = s_{y_1} + Σ_t (W·h_t + b)_{y_t} + Σ_t A_{y_t, y_{t+1}} + e_{y_T}
        loss = (log Σ_{y'} exp score(y') - score(y)) / T, averaged over the steps of the batch

    where A (K, K) are the transitions, s and e (K,) those from the start and to the end. The sum runs over all tag
    sequences (forward algorithm), the best one is found by Viterbi's.

    h (B, T, H) → raw (B, T, K); target (B, T) int64; weight (B, T), 1 within the length; decode gives (B, T) tags.

    Source: J. Lafferty, A. McCallum and F. Pereira, 2001, "Conditional random fields", ICML.
    """

    def __init__(self, H: int, K: int, seed: int = 0) -> None:
        super().__init__()
        self.linear = linear(H, K, seed)
        self.transitions = nn.Parameter(torch.zeros(K, K))  # from (row) to (column)
        self.start, self.end = nn.Parameter(torch.zeros(K)), nn.Parameter(torch.zeros(K))

    def forward(self, h: Tensor) -> Tensor:
        """h (B, T, H) → scores (B, T, K)."""
        y: Tensor = self.linear(h)
        return y

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Minus the log-probability of the target, per step."""
        inside = weight > 0
        return (self.total(raw, inside) - self.score(raw, target, inside)).sum() / weight.sum()

    def score(self, raw: Tensor, target: Tensor, inside: Tensor) -> Tensor:
        """The score of one tag sequence, (B,)."""
        own = raw.gather(2, target[..., None])[..., 0] * inside  # (B, T)
        steps = self.transitions[target[:, :-1], target[:, 1:]] * inside[:, 1:]  # (B, T - 1)
        last = target.gather(1, inside.sum(1, keepdim=True) - 1)[:, 0]  # (B,)
        return self.start[target[:, 0]] + own.sum(1) + steps.sum(1) + self.end[last]

    def total(self, raw: Tensor, inside: Tensor) -> Tensor:
        """The logarithm of the sum of exp(score) over all tag sequences, (B,)."""
        alpha = self.start + raw[:, 0]  # (B, K)
        for t in range(1, raw.shape[1]):
            after = torch.logsumexp(alpha[:, :, None] + self.transitions, dim=1) + raw[:, t]  # (B, K)
            alpha = torch.where(inside[:, t, None], after, alpha)
        return torch.logsumexp(alpha + self.end, dim=1)

    def decode(self, raw: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The best tag sequence (B, T); beyond the lengths its last tag is repeated."""
        B, T, K = raw.shape
        lengths = torch.full((B,), T) if lengths is None else lengths
        best, stay = self.start + raw[:, 0], torch.arange(K).expand(B, K)
        back = []
        for t in range(1, T):
            scores, origin = (best[:, :, None] + self.transitions).max(dim=1)  # (B, K)
            inside = (t < lengths)[:, None]
            best = torch.where(inside, scores + raw[:, t], best)
            back.append(torch.where(inside, origin, stay))
        tags = [(best + self.end).argmax(1)]
        for origin in reversed(back):
            tags.append(origin.gather(1, tags[-1][:, None])[:, 0])
        return torch.stack(tags[::-1], dim=1)
