"""Connectionist temporal classification: a sequence of labels without knowing where each stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.heads import linear

if TYPE_CHECKING:
    from torch import Tensor

LIKELY = -8.0  # log-probability below which a label is not looked at in the search
Rate = Callable[[tuple[int, ...], int], float]


class CTCHead(nn.Module):
    """K labels and a blank at each step; the loss sums over all ways to spread the target over the steps.

        p(y | x) = Σ_π Π_t softmax(W·h_t + b)_{π_t}, over the paths π that give y without repeats and blanks
        loss = -log p(y | x) / length of y, averaged over the rows

    h (B, T, H) → raw (B, T, K) with the blank among the K; target (B, U) int64, weight (B, U), 1 within its length.

    Source: A. Graves et al., 2006, "Connectionist temporal classification", ICML; the loss is torch's.
    """

    def __init__(self, H: int, K: int, blank: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.linear, self.blank = linear(H, K, seed), blank

    def forward(self, h: Tensor) -> Tensor:
        """h (B, T, H) → scores (B, T, K)."""
        y: Tensor = self.linear(h)
        return y

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The mean loss of a label; `lengths` (B,) are the steps of each row."""
        steps = torch.full((len(raw),), raw.shape[1]) if lengths is None else lengths
        log_p = raw.log_softmax(-1).transpose(0, 1)  # (T, B, K)
        return F.ctc_loss(log_p, target, steps, weight.sum(1).long(), self.blank)

    def decode(self, raw: Tensor, lengths: Tensor | None = None) -> list[list[int]]:
        """The best path: the most probable label of each step, repeats merged, blanks removed."""
        steps = [raw.shape[1]] * len(raw) if lengths is None else lengths.tolist()
        return [self.merged(row[:n]) for row, n in zip(raw.argmax(-1).tolist(), steps, strict=True)]

    def merged(self, path: list[int]) -> list[int]:
        """A path without repeats and blanks."""
        return [k for k, before in zip(path, [self.blank, *path[:-1]], strict=True) if k not in (before, self.blank)]

    def aligned(self, raw: Tensor) -> list[tuple[int, int]]:
        """The labels of the best path of one row (T, K), each with the step where it begins."""
        path = raw.argmax(-1).tolist()
        before = [self.blank, *path[:-1]]
        return [(k, t) for t, (k, b) in enumerate(zip(path, before, strict=True)) if k not in (b, self.blank)]

    def search(self, raw: Tensor, beams: int, rate: Rate | None = None, bonus: float = 0.0) -> list[int]:
        """The best labels of one row (T, K) by prefix beam search.

        Of each prefix the paths that end in a blank and those that end in its last label are summed apart. `rate`
        gives what a language model thinks of a label after a prefix (a weighted log-probability), and of the end where
        the label is the blank; `bonus` is added for each label.

        Source: A. Hannun et al., 2014, "First-pass large vocabulary continuous speech recognition …".
        """
        log_p = raw.log_softmax(-1).numpy().astype(float)
        kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
        extra: dict[tuple[int, ...], float] = {(): 0.0}
        for row in log_p:
            after: dict[tuple[int, ...], Any] = defaultdict(lambda: [-np.inf, -np.inf])
            likely = np.flatnonzero(row > LIKELY).tolist() or [int(row.argmax())]
            for prefix, (ends_blank, ends_label) in kept.items():
                both = np.logaddexp(ends_blank, ends_label)
                for k in likely:
                    if k == self.blank:
                        after[prefix][0] = np.logaddexp(after[prefix][0], both + row[k])
                        continue
                    longer = (*prefix, k)
                    if prefix and prefix[-1] == k:  # without a blank between, the label goes on
                        after[prefix][1] = np.logaddexp(after[prefix][1], ends_label + row[k])
                        after[longer][1] = np.logaddexp(after[longer][1], ends_blank + row[k])
                    else:
                        after[longer][1] = np.logaddexp(after[longer][1], both + row[k])
                    if longer not in extra:
                        extra[longer] = extra[prefix] + bonus + (0.0 if rate is None else rate(prefix, k))
            ranked = sorted(after, key=lambda p: -(np.logaddexp(*after[p]) + extra[p]))[:beams]
            kept = {prefix: (after[prefix][0], after[prefix][1]) for prefix in ranked}
        if rate is not None:
            extra |= {prefix: extra[prefix] + rate(prefix, self.blank) for prefix in kept}
        best: tuple[int, ...] = max(kept, key=lambda prefix: np.logaddexp(*kept[prefix]) + extra[prefix])
        return list(best)
