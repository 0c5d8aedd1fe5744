"""Comparison of a model with baselines: paired tests, and verdicts on planted better, worse and equal predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rekur import metrics
from rekur.core import Array
from rekur.metrics import Comparison, mcnemar, paired_bootstrap, ratio
from rekur.metrics.row_statistics import (
    bleu_rows,
    bleu_total,
    label_rows,
    rouge_rows,
    span_rows,
    span_total,
    tag_rows,
    word_error_rows,
)


def right(n: int, errors: int, seed: int = 0) -> Array:
    """Whether each of n rows is right, with so many errors."""
    rows = np.ones(n, dtype=bool)
    rows[np.random.default_rng(seed).permutation(n)[:errors]] = False
    return rows


def compared(model: Array, baseline: Array) -> Comparison:
    ones = np.ones(len(model))
    baselines = {
        "linear n-gram model": np.stack([baseline, ones], 1),
        "most frequent label": np.stack([0 * ones] * 2, 1),
    }
    baselines["most frequent label"][:, 1] = 1
    return Comparison({}, "accuracy", np.stack([model, ones], 1), baselines)


def test_a_better_model_is_called_better() -> None:
    comparison = compared(right(400, 40), right(400, 100, 1))
    verdict = comparison.verdict()
    assert str(comparison) == verdict
    assert "array" not in repr(comparison)
    expected = "accuracy 0.9 on 400 rows: better than the best baseline, linear n-gram model (0.75, p < 0.001)"
    assert verdict == f"{expected}; most frequent label 0"


def test_a_worse_model_is_called_worse_and_the_baseline_recommended() -> None:
    verdict = compared(right(400, 100), right(400, 40, 1)).verdict()
    assert "worse than the best baseline, linear n-gram model (0.9, p < 0.001)" in verdict
    assert verdict.endswith("use linear n-gram model")


def test_a_small_difference_is_too_close_to_call() -> None:
    verdict = compared(right(400, 40), right(400, 44, 1)).verdict()
    assert "too close to call against the best baseline, linear n-gram model (0.89, p = 0" in verdict
    assert "use" not in verdict


def test_equal_predictions_are_called_equal() -> None:
    rows = right(50, 5)
    assert "equal to the best baseline, linear n-gram model, on every row" in compared(rows, rows).verdict()


def test_errors_are_better_when_smaller() -> None:
    rows = np.stack([np.full(100, 2.0), np.full(100, 10.0)], 1)
    noise = np.random.default_rng(0).integers(0, 3, 100)
    worse = rows + np.stack([noise, np.zeros(100)], 1)
    model = Comparison({}, "word_error_rate", rows, {"other": worse}, less_is_better=True)
    assert "word error rate 0.2 on 100 rows: better than the baseline, other" in model.verdict()
    turned = Comparison({}, "word_error_rate", worse, {"other": rows}, less_is_better=True)
    assert turned.verdict().endswith("; use other")


@pytest.mark.parametrize(("one", "two"), [(0, 0), (3, 3), (1, 7), (5, 20), (60, 100), (1000, 1100)])
def test_mcnemar_is_the_exact_binomial_test(one: int, two: int) -> None:
    first = np.repeat([True, False, True], [one, two, 10])
    second = np.repeat([False, True, True], [one, two, 10])
    n = one + two
    tail = sum(math.comb(n, i) for i in range(min(one, two) + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(first, second) == mcnemar(second, first)


def test_the_bootstrap_is_calibrated_on_equal_models() -> None:
    """Two models of equal worth are seldom called different, and the test agrees with McNemar's."""
    small = 0
    for seed in range(20):
        first, second = right(200, 50, seed), right(200, 50, 100 + seed)
        pair = [np.stack([rows, np.ones(200)], 1) for rows in (first, second)]
        small += paired_bootstrap(*pair) < 0.05
    assert small <= 3
    assert abs(paired_bootstrap(*pair) - mcnemar(first, second)) < 0.25


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    rows = np.random.default_rng(0).random((60, 2)) + 1
    other = np.random.default_rng(1).random((60, 2)) + 1
    assert paired_bootstrap(rows, other) == paired_bootstrap(rows, other)


ACTUAL = [["B-a", "I-a", "O"], ["O", "B-b"], ["O"]]
PREDICTED = [["B-a", "O", "O"], ["O", "B-b"], ["O"]]


def total(rows: Array) -> Array:
    return rows.sum(axis=0)[None]


def test_row_statistics_add_up_to_the_scores() -> None:
    y, f = np.array(["a", "b", "a"]), np.array(["a", "b", "b"])
    assert ratio(total(label_rows(y, f)))[0] == metrics.accuracy(list(y), list(f))
    assert span_total(total(span_rows(ACTUAL, PREDICTED)))[0] == metrics.span_f1(ACTUAL, PREDICTED)
    assert ratio(total(tag_rows(ACTUAL, PREDICTED)))[0] == pytest.approx(5 / 6)
    assert span_total(np.zeros((1, 2)))[0] == 1


TEXTS = ["the cat sat on the mat today", "a dog, it barks loudly at night .", "no"]
OTHERS = {
    "near": ["the cat sat on a mat today", "a dog , it barks at night .", "yes no"],
    "short": ["the cat", "dog", "no"],
    "wrong": ["x y z", "q", "r s t u v w"],
    "empty": ["", "", ""],
    "same": TEXTS,
}


@pytest.mark.parametrize("name", OTHERS)
def test_bleu_of_counts_is_that_of_the_corpus(name: str) -> None:
    pytest.importorskip("sacrebleu")
    value = bleu_total(total(bleu_rows(TEXTS, OTHERS[name])))[0]
    assert value == pytest.approx(metrics.bleu(TEXTS, OTHERS[name]), abs=1e-12)


def test_word_errors_and_rouge_add_up() -> None:
    pytest.importorskip("jiwer")
    pytest.importorskip("rouge_score")
    predicted = OTHERS["near"]
    assert ratio(total(word_error_rows(TEXTS, predicted)))[0] == pytest.approx(
        metrics.word_error_rate(TEXTS, predicted)
    )
    assert ratio(total(rouge_rows(TEXTS, predicted)))[0] == pytest.approx(metrics.rouge(TEXTS, predicted)["rouge1"])


@pytest.mark.parametrize("n", [5, 9, 12])
def test_a_bootstrap_of_few_rows_decides_nothing(n: int) -> None:
    words = np.full(n, 9.0)
    model, empty = (np.stack([errors, words], axis=1) for errors in (0 * words, words))
    comparison = Comparison({}, "word_error_rate", model, {"empty": empty}, less_is_better=True)
    few = f"on {n} rows: too few rows for a verdict against the baseline, empty (1)"
    assert (comparison.outcome() == "close") == (few in comparison.verdict()) == (n < 10)
    assert ("p = 0.002" in comparison.verdict()) == (n >= 10)
    right, wrong = (np.stack([answers, np.ones(n)], axis=1) for answers in (np.ones(n), np.zeros(n)))
    exact = Comparison({}, "accuracy", right, {"most frequent label": wrong})
    assert exact.outcome() == ("close" if n == 5 else "better")


def test_bleu_gives_no_advice(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("sacrebleu")
    texts = ["the dog sees a house ."] * 120
    assert metrics.bleu(texts, texts) == pytest.approx(1)
    assert not caplog.records
