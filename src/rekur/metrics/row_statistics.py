"""Statistics of each row from whose sums the scores of labels, tags and texts follow: the input of a paired test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rekur.core import Array
from rekur.metrics.comparison import ratio
from rekur.metrics.sequence import bio_spans, rouge, scoring_library

__all__ = [
    "bleu_rows",
    "bleu_total",
    "label_rows",
    "rouge_rows",
    "span_rows",
    "span_total",
    "tag_rows",
    "word_error_rows",
]

BLEU_ORDER = 4
"""Words of the longest n-grams of BLEU."""


def label_rows(actual: Array, predicted: Array) -> Array:
    """Right labels and labels of each row, (n, 2): `ratio` of the sums is the accuracy."""
    return np.stack([actual == predicted, np.ones(len(actual), dtype=bool)], axis=1).astype(float)


def tag_rows(actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Array:
    """Right tags and tags of each sentence, (n, 2): `ratio` of the sums is the accuracy."""
    pairs = zip(actual, predicted, strict=True)
    return np.array([(sum(a == b for a, b in zip(y, f, strict=True)), len(y)) for y, f in pairs], dtype=float)


def span_rows(actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Array:
    """Twice the right spans, and actual and predicted spans, of each sentence, (n, 2)."""
    spans = [(bio_spans(y), bio_spans(f)) for y, f in zip(actual, predicted, strict=True)]
    return np.array([(2 * len(y & f), len(y) + len(f)) for y, f in spans], dtype=float)


def span_total(sums: Array) -> Array:
    """F1 from sums of `span_rows` (R, 2); 1 without spans."""
    return np.where(sums[:, 1] == 0, 1.0, ratio(sums))


def word_error_rows(actual: Sequence[str], predicted: Sequence[str]) -> Array:
    """Substitutions, deletions and insertions of words, and actual words, of each row, (n, 2); needs jiwer."""
    jiwer = scoring_library("word_error_rate")
    rows = []
    for y, f in zip(actual, predicted, strict=True):
        words = len(y.split())
        rows.append((jiwer.wer(y, f) * words if words else len(f.split()), words))
    return np.array(rows, dtype=float)


def rouge_rows(actual: Sequence[str | Sequence[str]], predicted: Sequence[str]) -> Array:
    """ROUGE-1 and 1 for each row, (n, 2): `ratio` of the sums is the mean; needs rouge-score."""
    return np.array([(rouge([y], [f])["rouge1"], 1.0) for y, f in zip(actual, predicted, strict=True)])


def bleu_rows(actual: Sequence[str], predicted: Sequence[str]) -> Array:
    """Counts of BLEU of each row, (n, 10): right n-grams and n-grams of 1 to 4 words, words of both texts."""
    sacrebleu = scoring_library("bleu")
    scores = [sacrebleu.sentence_bleu(f, [y]) for y, f in zip(actual, predicted, strict=True)]
    return np.array([(*s.counts, *s.totals, s.sys_len, s.ref_len) for s in scores], dtype=float)


def bleu_total(sums: Array) -> Array:
    """BLEU from 0 to 1 from sums of `bleu_rows` (R, 10).

        BLEU = exp(min(0, 1 - r / c) + ¼·Σ_n log(m_n / t_n))

    for c predicted and r actual words, and m_n of t_n predicted n-grams that are right; the k-th zero among the m_n
    counts as 2^-k.

    References
    ----------
    B. Chen, C. Cherry, 2014, "A systematic comparison of smoothing techniques for sentence-level BLEU", WMT.
    """
    right, totals = sums[:, :BLEU_ORDER], sums[:, BLEU_ORDER : 2 * BLEU_ORDER]
    predicted, actual = sums[:, -2], sums[:, -1]
    smoothed = np.where(right > 0, right, 0.5 ** np.cumsum(right == 0, axis=1))
    valid = (totals > 0).all(axis=1) & (right[:, 0] > 0)
    precision = np.divide(smoothed, totals, out=np.ones_like(totals), where=totals > 0)
    shortness = 1 - np.divide(actual, predicted, out=np.ones_like(actual), where=predicted > 0)
    return np.where(valid, np.exp(np.minimum(0, shortness) + np.log(precision).mean(axis=1)), 0.0)
