"""Connectionist temporal classification (CTC): loss, greedy decoding and prefix beam search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F

from rekur.layers.heads import LinearHead

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array

MIN_LOG_PROBABILITY = -8.0
"""Labels below this log-probability are pruned from the prefix beam search of a step."""

Prefix: TypeAlias = tuple[int, ...]
LabelScorer: TypeAlias = Callable[[Prefix, int], float]
"""Weighted log-probability of a label after a prefix of labels, as a language model gives it."""


class CTCHead(LinearHead):
    """K labels, one of them a blank, at each step; the loss sums over all alignments of the target with the steps.

        p(y | x) = Σ_π Π_t softmax(W·h_t + b)_{π_t}
        loss = -log p(y | x) / length of y, averaged over the rows

    where the sum runs over the paths π that give y once repeats are merged and blanks removed.

    Parameters
    ----------
    input_size : int
        Number H of features.
    num_labels : int
        Number K of labels, the blank included.
    blank : int, default 0
        Index of the blank.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: h (B, T, H) → raw (B, T, K); target (B, U) int64; weight (B, U), 1 within the length of a target and 0
    beyond; lengths (B,) of the rows, or None for T; `decode` gives a list of labels for each row. The loss is
    `torch.nn.functional.ctc_loss`.

    References
    ----------
    A. Graves et al., 2006, "Connectionist temporal classification", ICML.

    Examples
    --------
    >>> import torch
    >>> head = CTCHead(8, 3)
    >>> raw = torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 0, 1, 2]]), 3) * 9.0
    >>> head.decode(raw)
    [[1, 1, 2]]
    >>> head.align(raw[0])
    [(1, 1), (1, 4), (2, 5)]
    """

    def __init__(self, input_size: int, num_labels: int, blank: int = 0, seed: int = 0) -> None:
        super().__init__(input_size, (num_labels,), seed)
        self.blank = blank

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Mean CTC loss per label."""
        steps = torch.full((len(raw),), raw.shape[1]) if lengths is None else lengths
        log_p = raw.log_softmax(-1).transpose(0, 1)  # (T, B, K)
        return F.ctc_loss(log_p, target, steps, weight.sum(1).long(), self.blank)

    def decode(self, raw: Tensor, lengths: Tensor | None = None) -> list[list[int]]:
        """Labels of the best path of each row: the most probable label of each step, collapsed."""
        steps = [raw.shape[1]] * len(raw) if lengths is None else lengths.tolist()
        paths = raw.argmax(-1).tolist()
        return [
            [label for label, _ in collapse_path(path[:n], self.blank)] for path, n in zip(paths, steps, strict=True)
        ]

    def align(self, raw: Tensor) -> list[tuple[int, int]]:
        """Labels of the best path of one row (T, K), each with the step at which it begins."""
        return collapse_path(raw.argmax(-1).tolist(), self.blank)

    def search(
        self, raw: Tensor, num_beams: int, scorer: LabelScorer | None = None, length_bonus: float = 0.0
    ) -> list[int]:
        """Best labels of one row (T, K) by prefix beam search.

        For each prefix the paths that end in a blank and those that end in its last label are summed separately.

        Parameters
        ----------
        raw : Tensor
            Raw output (T, K) of one row, within its length.
        num_beams : int
            Number of prefixes kept at each step.
        scorer : callable, default None
            Weighted log-probability of a label after a prefix from a language model; of the end of the text where the
            label is the blank.
        length_bonus : float, default 0.0
            Score added for each label.

        Returns
        -------
        list of int
            Labels of the best prefix.

        References
        ----------
        A. Hannun et al., 2014, "First-pass large vocabulary continuous speech recognition using bi-directional
        recurrent DNNs".
        """
        log_p = raw.log_softmax(-1).numpy().astype(float)
        beam: dict[Prefix, list[float]] = {(): [0.0, -np.inf]}  # log p of ending in a blank, in a label
        extra: dict[Prefix, float] = {(): 0.0}  # language model and bonus

        def score(prefix: Prefix, ends: list[float]) -> float:
            return float(np.logaddexp(ends[0], ends[1]) + extra[prefix])

        for row in log_p:
            extended = self._extend(beam, row)
            for prefix in extended:
                if prefix not in extra:
                    shorter, k = prefix[:-1], prefix[-1]
                    extra[prefix] = extra[shorter] + length_bonus + (0.0 if scorer is None else scorer(shorter, k))
            beam = dict(sorted(extended.items(), key=lambda item: -score(*item))[:num_beams])
        if scorer is not None:
            extra |= {prefix: extra[prefix] + scorer(prefix, self.blank) for prefix in beam}
        best, _ = max(beam.items(), key=lambda item: score(*item))
        return list(best)

    def _extend(self, beam: dict[Prefix, list[float]], row: np.ndarray) -> dict[Prefix, list[float]]:
        """Log-probabilities of the prefixes after one more step, from the previous ones and row (K,)."""
        extended: dict[Prefix, list[float]] = defaultdict(lambda: [-np.inf, -np.inf])
        labels = np.flatnonzero(row > MIN_LOG_PROBABILITY).tolist() or [int(row.argmax())]
        for prefix, (ends_blank, ends_label) in beam.items():
            either = np.logaddexp(ends_blank, ends_label)
            for k in labels:
                if k == self.blank:
                    extended[prefix][0] = np.logaddexp(extended[prefix][0], either + row[k])
                    continue
                longer = (*prefix, k)
                if prefix and prefix[-1] == k:  # without a blank in between the label continues
                    extended[prefix][1] = np.logaddexp(extended[prefix][1], ends_label + row[k])
                    extended[longer][1] = np.logaddexp(extended[longer][1], ends_blank + row[k])
                else:
                    extended[longer][1] = np.logaddexp(extended[longer][1], either + row[k])
        return extended


def collapse_path(path: Sequence[int], blank: int, previous: int | None = None) -> list[tuple[int, int]]:
    """Labels of a CTC path without repeats and blanks, each with the step at which it begins.

    Parameters
    ----------
    path : sequence of int
        One label for each step.
    blank : int
        Index of the blank.
    previous : int, default None
        Label of the step before the path, where the path continues another one; None for a blank.

    Returns
    -------
    list of (int, int)
        Label and step.

    Examples
    --------
    >>> collapse_path([1, 1, 0, 1, 2, 2], blank=0)
    [(1, 0), (1, 3), (2, 4)]
    >>> collapse_path([1, 2], blank=0, previous=1)
    [(2, 1)]
    """
    before = [blank if previous is None else previous, *path[:-1]]
    return [(k, t) for t, (k, b) in enumerate(zip(path, before, strict=True)) if k not in (b, blank)]


def forced_alignment(log_p: Array, labels: Sequence[int], blank: int) -> list[tuple[int, int]]:
    """First and last step of each label of a target on its most probable path (Viterbi).

    Parameters
    ----------
    log_p : array (T, K)
        Log-probabilities of the labels at each step.
    labels : sequence of int
        Target of U labels, which needs T steps at most.
    blank : int
        Label of the blank.

    Returns
    -------
    list of (int, int)
        U pairs.

    References
    ----------
    A. J. Viterbi, 1967, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", IEEE
    Transactions on Information Theory 13.

    Examples
    --------
    >>> import numpy as np
    >>> log_p = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.4, 0.1, 0.5]])
    >>> forced_alignment(log_p, [1, 2], blank=0)
    [(1, 2), (3, 3)]
    """
    path = np.full(2 * len(labels) + 1, blank)  # states: blank, label, blank, ..., label, blank
    path[1::2] = labels
    may_skip = np.concatenate([[False, False], (path[2:] != blank) & (path[2:] != path[:-2])])
    score, sources = np.full(len(path), -np.inf), np.zeros((len(log_p), len(path)), np.int64)
    score[:2] = log_p[0, path[:2]]
    for t in range(1, len(log_p)):
        one, two = (np.concatenate([np.full(k, -np.inf), score[: len(path) - k]]) for k in (1, 2))
        options = np.stack([score, one, np.where(may_skip, two, -np.inf)])
        sources[t] = options.argmax(axis=0)
        score = options.max(axis=0) + log_p[t, path]
    state = len(path) - 1 - int(len(path) > 1 and score[-2] > score[-1])
    states = [state]
    for t in range(len(log_p) - 1, 0, -1):
        state -= int(sources[t, state])
        states.append(state)
    steps = np.array(states[::-1])
    at = [np.flatnonzero(steps == 2 * k + 1) for k in range(len(labels))]
    return [(int(each[0]), int(each[-1])) for each in at]
