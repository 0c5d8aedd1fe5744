"""Linear-chain conditional random field over the labels of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from rekur.layers.heads import LinearHead

if TYPE_CHECKING:
    from torch import Tensor


class CRFHead(LinearHead):
    """Labels of all steps jointly, by a linear-chain conditional random field.

        score(y) = s_{y_1} + Σ_t (W·h_t + b)_{y_t} + Σ_t A_{y_t, y_{t+1}} + e_{y_T}
        loss = (log Σ_{y'} exp score(y') - score(y)) / T, averaged over the steps of the batch

    where A (K, K) are the transition scores, s (K,) those of the first label and e (K,) those of the last. The sum
    runs over all label sequences (forward algorithm); `decode` finds the best one (Viterbi algorithm).

    Parameters
    ----------
    input_size : int
        Number H of features.
    num_labels : int
        Number K of labels.
    seed : int, default 0
        Seed of the initial weights W and b; the transitions start at zero.

    Notes
    -----
    Shapes: h (B, T, H) → raw (B, T, K); target (B, T) int64; weight (B, T), 1 within the length of a row and 0
    beyond; `decode` gives (B, T) int64.

    References
    ----------
    J. Lafferty, A. McCallum and F. Pereira, 2001, "Conditional random fields", ICML.

    Examples
    --------
    >>> import torch
    >>> head = CRFHead(8, 3)
    >>> raw = head(torch.zeros(2, 5, 8))
    >>> head.decode(raw, lengths=torch.tensor([5, 3])).shape
    torch.Size([2, 5])
    """

    def __init__(self, input_size: int, num_labels: int, seed: int = 0) -> None:
        super().__init__(input_size, (num_labels,), seed)
        self.transitions = nn.Parameter(torch.zeros(num_labels, num_labels))  # from (row) to (column)
        self.start, self.end = nn.Parameter(torch.zeros(num_labels)), nn.Parameter(torch.zeros(num_labels))

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Negative log-likelihood of the target per step."""
        mask = weight > 0
        return (self.log_partition(raw, mask) - self.score(raw, target, mask)).sum() / weight.sum()

    def score(self, raw: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Score (B,) of one label sequence for each row; mask (B, T) bool, true within the length."""
        emissions = raw.gather(2, target[..., None])[..., 0] * mask  # (B, T)
        steps = self.transitions[target[:, :-1], target[:, 1:]] * mask[:, 1:]  # (B, T - 1)
        last = target.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]  # (B,)
        return self.start[target[:, 0]] + emissions.sum(1) + steps.sum(1) + self.end[last]

    def log_partition(self, raw: Tensor, mask: Tensor) -> Tensor:
        """Logarithm (B,) of the sum of exp(score) over all label sequences; mask (B, T) bool."""
        alpha = self.start + raw[:, 0]  # (B, K)
        for t in range(1, raw.shape[1]):
            step = torch.logsumexp(alpha[:, :, None] + self.transitions, dim=1) + raw[:, t]  # (B, K)
            alpha = torch.where(mask[:, t, None], step, alpha)
        return torch.logsumexp(alpha + self.end, dim=1)

    def decode(self, raw: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Best label sequence (B, T) of each row; beyond its length the last label is repeated."""
        B, T, K = raw.shape
        lengths = torch.full((B,), T) if lengths is None else lengths
        best, identity = self.start + raw[:, 0], torch.arange(K).expand(B, K)
        backpointers = []
        for t in range(1, T):
            scores, origin = (best[:, :, None] + self.transitions).max(dim=1)  # (B, K)
            mask = (t < lengths)[:, None]
            best = torch.where(mask, scores + raw[:, t], best)
            backpointers.append(torch.where(mask, origin, identity))
        labels = [(best + self.end).argmax(1)]
        for origin in reversed(backpointers):
            labels.append(origin.gather(1, labels[-1][:, None])[:, 0])
        return torch.stack(labels[::-1], dim=1)
