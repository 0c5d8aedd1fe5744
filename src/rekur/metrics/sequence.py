"""Scores of labels, tags and texts: pure functions; those of texts come from the libraries that define them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.core import library

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NEEDS = 'this score needs {}: pip install "rekur[{}]"'


def accuracy(actual: Sequence[Any], predicted: Sequence[Any]) -> float:
    """The share that is right.

    >>> accuracy(["a", "b"], ["a", "c"])
    0.5
    """
    return sum(bool(a == b) for a, b in zip(actual, predicted, strict=True)) / len(actual)


def macro_f1(actual: ArrayLike, predicted: ArrayLike) -> float:
    """F1 of each label, averaged over the labels that occur.

        F1_k = 2·tp_k / (2·tp_k + fp_k + fn_k)

    >>> macro_f1(["a", "a", "b"], ["a", "b", "b"])
    0.6666666666666666
    """
    y, f = np.asarray(actual), np.asarray(predicted)
    each = []
    for label in np.unique(np.concatenate([y, f])):
        right = int(((y == label) & (f == label)).sum())
        each.append(2 * right / (int((y == label).sum()) + int((f == label).sum())))
    return float(np.mean(each))


def confusion(actual: ArrayLike, predicted: ArrayLike, classes: ArrayLike) -> np.ndarray:
    """How often a label (row) was taken for another (column), (K, K).

    >>> confusion(["a", "a", "b"], ["a", "b", "b"], ["a", "b"]).tolist()
    [[1, 1], [0, 1]]
    """
    index = {label: k for k, label in enumerate(np.asarray(classes).tolist())}
    counts = np.zeros((len(index), len(index)), dtype=int)
    for a, b in zip(np.asarray(actual).tolist(), np.asarray(predicted).tolist(), strict=True):
        if a in index:
            counts[index[a], index[b]] += 1
    return counts


def spans(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """The spans (name, first step, step after the last) that a row of BIO tags tells of.

    A span starts at B-name, and also at I-name where no span of that name goes on, as in the CoNLL evaluation.

    >>> sorted(spans(["B-city", "I-city", "O", "I-day"]))
    [('city', 0, 2), ('day', 3, 4)]
    """
    found, start, name = set(), 0, ""
    for k, tag in enumerate([*tags, "O"]):
        mark, _, here = tag.partition("-")
        if name and (mark != "I" or here != name):
            found.add((name, start, k))
            name = ""
        if mark in "BI" and here and not name:
            name, start = here, k
    return found


def span_f1(actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F1 of spans: one counts as right where its name, its start and its end are.

    Source: E. F. Tjong Kim Sang and S. Buchholz, 2000, "Introduction to the CoNLL-2000 shared task".

    >>> span_f1([["B-a", "I-a", "O"]], [["B-a", "O", "O"]])
    0.0
    """
    right = told = there = 0
    for y, f in zip(actual, predicted, strict=True):
        a, b = spans(y), spans(f)
        right, told, there = right + len(a & b), told + len(b), there + len(a)
    return 2 * right / (told + there) if told + there else 1.0


def word_error(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """The word error rate: substitutions, deletions and insertions as a share of the words there are (jiwer)."""
    return float(library("jiwer", NEEDS.format("jiwer", "audio")).wer(list(actual), list(predicted)))


def letter_error(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """The character error rate: the same over characters (jiwer)."""
    return float(library("jiwer", NEEDS.format("jiwer", "audio")).cer(list(actual), list(predicted)))


def bleu(actual: Sequence[str], predicted: Sequence[str], lower: bool = False) -> float:
    """BLEU of the corpus in percent, tokenised by 13a, with case unless `lower` (sacrebleu).

    Source: M. Post, 2018, "A call for clarity in reporting BLEU scores", WMT.
    """
    return float(
        library("sacrebleu", NEEDS.format("sacrebleu", "text"))
        .corpus_bleu(list(predicted), [list(actual)], lowercase=lower)
        .score
    )


def rouge(actual: Sequence[str | Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """ROUGE-1, -2 and -L as F1 in percent, stemmed; the best of several references counts (rouge-score).

    Source: C.-Y. Lin, 2004, "ROUGE: a package for automatic evaluation of summaries".
    """
    kinds = ("rouge1", "rouge2", "rougeL")
    scorer = library("rouge_score.rouge_scorer", NEEDS.format("rouge-score", "text")).RougeScorer(
        kinds, use_stemmer=True
    )
    totals = dict.fromkeys(kinds, 0.0)
    for references, made in zip(actual, predicted, strict=True):
        known = [references] if isinstance(references, str) else references
        best = [scorer.score(reference, made) for reference in known]
        for kind in kinds:
            totals[kind] += 100 * max(score[kind].fmeasure for score in best) / len(predicted)
    return totals


def beside(found: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Each score in words, with that of the baseline, or a dash where there is none.

    >>> beside({"accuracy": 0.5, "f1": 0.25, "baseline_accuracy": 0.1})
    [('accuracy', '0.5', '0.1'), ('f1', '0.25', '–')]
    """
    names = [name for name in found if not name.startswith("baseline_")]
    bases = [found.get(f"baseline_{name}") for name in names]
    return [
        (n.replace("_", " "), f"{found[n]:.4g}", "–" if b is None else f"{b:.4g}")
        for n, b in zip(names, bases, strict=True)
    ]
