"""Scores of labels, tags and texts: accuracy, F1, confusion matrix, error rates, BLEU and ROUGE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import Array, library

__all__ = [
    "accuracy",
    "bio_spans",
    "bleu",
    "character_error_rate",
    "confusion_matrix",
    "macro_f1",
    "rouge",
    "score_table",
    "scoring_library",
    "span_f1",
    "word_error_rate",
]

LIBRARIES = {
    "bleu": ("sacrebleu", "sacrebleu"),
    "character_error_rate": ("jiwer", "jiwer"),
    "rouge": ("rouge_score.rouge_scorer", "rouge-score"),
    "word_error_rate": ("jiwer", "jiwer"),
}
"""Module and package of the library that computes a score."""

BASELINE = "baseline_"
"""Prefix of the score of a baseline."""
NO_SCORE = "–"


def scoring_library(score: str) -> ModuleType:
    """The library that computes a score of `LIBRARIES`; a MissingDependencyError where it is not installed."""
    module, package = LIBRARIES[score]
    return library(module, f"the score {score.replace('_', ' ')} needs {package}: pip install {package}")


def accuracy(actual: Sequence[object], predicted: Sequence[object]) -> float:
    """Share of predictions that equal the actual values, from 0 to 1.

    Parameters
    ----------
    actual, predicted : sequence
        Labels, texts or other values.

    Returns
    -------
    float

    References
    ----------
    C. D. Manning, P. Raghavan, H. Schütze, 2008, "Introduction to information retrieval", section 8.3.

    Examples
    --------
    >>> from rekur.metrics import accuracy
    >>> accuracy(["a", "b"], ["a", "c"])
    0.5
    """
    return sum(bool(y == f) for y, f in zip(actual, predicted, strict=True)) / len(actual)


def macro_f1(actual: ArrayLike, predicted: ArrayLike) -> float:
    """F1 of each label, averaged over the labels that occur, from 0 to 1.

        F1_k = 2·tp_k / (2·tp_k + fp_k + fn_k)

    where tp, fp and fn are the true positives, false positives and false negatives of label k.

    Parameters
    ----------
    actual, predicted : (n,) array-like
        Labels.

    Returns
    -------
    float

    References
    ----------
    C. J. van Rijsbergen, 1979, "Information retrieval", second edition.

    Examples
    --------
    >>> from rekur.metrics import macro_f1
    >>> macro_f1(["a", "a", "b"], ["a", "b", "b"])
    0.6666666666666666
    """
    y, f = np.asarray(actual), np.asarray(predicted)
    scores = []
    for label in sorted({*y.tolist(), *f.tolist()}, key=str):  # labels may be of several types
        correct = int(((y == label) & (f == label)).sum())
        scores.append(2 * correct / (int((y == label).sum()) + int((f == label).sum())))
    return float(np.mean(scores))


def confusion_matrix(actual: ArrayLike, predicted: ArrayLike, classes: ArrayLike) -> Array:
    """Counts of each actual label (row) by predicted label (column).

    Parameters
    ----------
    actual, predicted : (n,) array-like
        Labels; rows whose actual label is none of the classes are left out.
    classes : (K,) array-like
        The labels in the order of rows and columns.

    Returns
    -------
    (K, K) int

    References
    ----------
    T. Fawcett, 2006, "An introduction to ROC analysis", Pattern Recognition Letters 27.

    Examples
    --------
    >>> from rekur.metrics import confusion_matrix
    >>> confusion_matrix(["a", "a", "b"], ["a", "b", "b"], ["a", "b"]).tolist()
    [[1, 1], [0, 1]]
    """
    index = {label: k for k, label in enumerate(np.asarray(classes).tolist())}
    counts = np.zeros((len(index), len(index)), dtype=int)
    for y, f in zip(np.asarray(actual).tolist(), np.asarray(predicted).tolist(), strict=True):
        if y in index:
            counts[index[y], index[f]] += 1
    return counts


def bio_spans(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Spans of a row of BIO tags, as (name, first step, step after the last).

    A span starts at B-name, and also at I-name where no span of that name continues, as in the CoNLL evaluation.

    Parameters
    ----------
    tags : sequence of str
        "O", or "B-" or "I-" and a name.

    Returns
    -------
    set of (str, int, int)

    References
    ----------
    E. F. Tjong Kim Sang, S. Buchholz, 2000, "Introduction to the CoNLL-2000 shared task".

    Examples
    --------
    >>> from rekur.metrics import bio_spans
    >>> sorted(bio_spans(["B-city", "I-city", "O", "I-day"]))
    [('city', 0, 2), ('day', 3, 4)]
    """
    spans, start, name = set(), 0, ""
    for k, tag in enumerate([*tags, "O"]):
        mark, _, label = tag.partition("-")
        if name and (mark != "I" or label != name):
            spans.add((name, start, k))
            name = ""
        if mark in "BI" and label and not name:
            name, start = label, k
    return spans


def span_f1(actual: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F1 of spans of BIO tags, from 0 to 1; a span is correct if its name, start and end are.

    Parameters
    ----------
    actual, predicted : sequence of sequences of str
        Tags of each sequence.

    Returns
    -------
    float
        1 if there are no spans in either.

    References
    ----------
    E. F. Tjong Kim Sang, S. Buchholz, 2000, "Introduction to the CoNLL-2000 shared task".

    Examples
    --------
    >>> from rekur.metrics import span_f1
    >>> span_f1([["B-a", "I-a", "O"]], [["B-a", "O", "O"]])
    0.0
    """
    correct = total = 0
    for y, f in zip(actual, predicted, strict=True):
        actual_spans, predicted_spans = bio_spans(y), bio_spans(f)
        correct += len(actual_spans & predicted_spans)
        total += len(actual_spans) + len(predicted_spans)
    return 2 * correct / total if total else 1.0


def word_error_rate(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Substitutions, deletions and insertions of words relative to the number of actual words; needs jiwer.

        WER = (S + D + I) / N

    where S, D and I are the counts of an alignment with the fewest errors and N the number of actual words.

    Parameters
    ----------
    actual, predicted : sequence of str
        Texts.

    Returns
    -------
    float
        0 for no error; may exceed 1.

    Raises
    ------
    MissingDependencyError
        Without the library jiwer.

    References
    ----------
    A. C. Morris, V. Maier, P. Green, 2004, "From WER and RIL to MER and WIL", Interspeech.

    Examples
    --------
    >>> from rekur.metrics import word_error_rate
    >>> word_error_rate(["one two"], ["one three"])
    0.5
    """
    return float(scoring_library("word_error_rate").wer(list(actual), list(predicted)))


def character_error_rate(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Substitutions, deletions and insertions of characters relative to the number of actual ones; needs jiwer.

        CER = (S + D + I) / N

    where S, D and I are the counts of an alignment with the fewest errors and N the number of actual characters.

    Parameters
    ----------
    actual, predicted : sequence of str
        Texts.

    Returns
    -------
    float
        0 for no error; may exceed 1.

    Raises
    ------
    MissingDependencyError
        Without the library jiwer.

    References
    ----------
    A. C. Morris, V. Maier, P. Green, 2004, "From WER and RIL to MER and WIL", Interspeech.

    Examples
    --------
    >>> from rekur.metrics import character_error_rate
    >>> character_error_rate(["abcd"], ["abxd"])
    0.25
    """
    return float(scoring_library("character_error_rate").cer(list(actual), list(predicted)))


def bleu(actual: Sequence[str], predicted: Sequence[str], lower: bool = False) -> float:
    """BLEU of a corpus from 0 to 1, tokenised by 13a; needs sacrebleu, which prints a hundred times as much.

    Parameters
    ----------
    actual, predicted : sequence of str
        Texts.
    lower : bool, default False
        Ignore case.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    MissingDependencyError
        Without the library sacrebleu.

    References
    ----------
    M. Post, 2018, "A call for clarity in reporting BLEU scores", WMT.

    Examples
    --------
    >>> from rekur.metrics import bleu
    >>> round(bleu(["the cat sat on the mat"], ["the cat sat on the mat"]), 6)
    1.0
    """
    sacrebleu = scoring_library("bleu")
    # force: without advice on texts that are split into words
    result = sacrebleu.corpus_bleu(list(predicted), [list(actual)], force=True, lowercase=lower)
    return float(result.score) / 100


def rouge(actual: Sequence[str | Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """ROUGE-1, ROUGE-2 and ROUGE-L as F1 from 0 to 1, with stemming; needs rouge-score.

    Parameters
    ----------
    actual : sequence of str or of sequences of str
        References of each text; of several the one with the best score counts.
    predicted : sequence of str
        Texts.

    Returns
    -------
    dict of str to float
        Keys "rouge1", "rouge2", "rougeL", values from 0 to 1.

    Raises
    ------
    MissingDependencyError
        Without the library rouge-score.

    References
    ----------
    C.-Y. Lin, 2004, "ROUGE: a package for automatic evaluation of summaries".

    Examples
    --------
    >>> from rekur.metrics import rouge
    >>> rouge(["a small cat"], ["a small cat"])["rouge2"]
    1.0
    """
    names = ("rouge1", "rouge2", "rougeL")
    rouge_scorer = scoring_library("rouge")
    scorer = rouge_scorer.RougeScorer(names, use_stemmer=True)
    totals = dict.fromkeys(names, 0.0)
    for references, text in zip(actual, predicted, strict=True):
        texts = [references] if isinstance(references, str) else references
        scores = [scorer.score(reference, text) for reference in texts]
        for name in names:
            totals[name] += max(score[name].fmeasure for score in scores) / len(predicted)
    return totals


def score_table(scores: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Rows of a table of scores: name, score of the model, and score of the baseline.

    Parameters
    ----------
    scores : mapping of str to float
        Scores by name; that of the baseline under the same name after the prefix "baseline_".

    Returns
    -------
    list of (str, str, str)
        A dash where there is no baseline.

    Examples
    --------
    >>> from rekur.metrics import score_table
    >>> score_table({"accuracy": 0.5, "f1": 0.25, "baseline_accuracy": 0.1})
    [('accuracy', '0.5', '0.1'), ('f1', '0.25', '–')]
    """
    names = [name for name in scores if not name.startswith(BASELINE)]
    baselines = [scores.get(BASELINE + name) for name in names]
    return [
        (name.replace("_", " "), f"{scores[name]:.4g}", NO_SCORE if baseline is None else f"{baseline:.4g}")
        for name, baseline in zip(names, baselines, strict=True)
    ]
