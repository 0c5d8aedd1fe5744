"""Ensemble of a network and the linear n-gram model of texts, weighted by rows that neither was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rekur.data.batching import distinct_rows
from rekur.sequence.ngram_model import NGramModel, NGrams, log_normalized

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Reader
    from rekur.serialization import Description

POWERS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
"""Candidates for the powers α and β of the two models."""

SIGNIFICANT_GAIN = 2.0
"""Gain of the network in log-likelihood, in standard errors, from which on it takes part."""

PROMISING_GAIN = 1.0
"""Gain in standard errors below which no further network is trained to measure it."""

EVIDENCE_ROWS = 500
"""Rows by which the powers are chosen, where the data have as many; twice as many where the gain is undecided."""

MIN_FOLDS = 4
"""Parts of the training rows in cross-fitting, at least."""

NetworkLogProba: TypeAlias = "Callable[[Array, Array], Array]"
"""Rows to train on and other rows to the log-probabilities (n, K) of the others by a network."""


@dataclass(frozen=True)
class TextEnsemble:
    """Geometric mixture of a network and an n-gram model: p ∝ p_net^α · p_ngrams^β.

    Parameters
    ----------
    ngrams : NGramModel
        The linear model.
    powers : (float, float)
        α and β; where α is 0 the linear model decides alone.
    """

    ngrams: NGramModel
    powers: tuple[float, float]

    @property
    def uses_network(self) -> bool:
        """Whether the network takes part."""
        return self.powers[0] > 0

    def log_proba(self, net: Array | None, texts: Sequence[str]) -> Array:
        """Log-probabilities (N, K) from those of the network (N, K), None where it takes no part, and the texts."""
        alpha, beta = self.powers
        ngrams = self.ngrams.log_proba(texts)
        return log_normalized(beta * ngrams if net is None else alpha * net + beta * ngrams)

    def describe(self) -> Description:
        """The powers as JSON values."""
        return {"powers": list(self.powers)}

    def tensors(self) -> dict[str, Tensor]:
        """Tensors of the linear model."""
        return self.ngrams.tensors()

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> TextEnsemble:
        """The ensemble that `describe` and `tensors` gave."""
        alpha, beta = description["powers"]
        return cls(NGramModel.restore(tensors), (alpha, beta))


@dataclass(frozen=True)
class LabelledTexts:
    """N-grams of N texts, their labels in 0 … K - 1 and the weights of the rows.

    Parameters
    ----------
    ngrams : NGrams
        N-grams of the texts.
    y : array of shape (N,)
        Labels.
    K : int
        Number of labels.
    weight : array of shape (N,)
        Weight of each row.
    random_state : int
        Seed of the linear models and of the folds.
    groups : array of shape (N,) or None, default None
        Numbers of the groups of equal texts, which lie in one fold; None where all differ.
    """

    ngrams: NGrams
    y: Array
    K: int
    weight: Array
    random_state: int
    groups: Array | None = None

    def fit(self, rows: Array) -> NGramModel:
        """The linear model of some rows."""
        weight = self.weight[rows]
        scaled = None if (weight == weight[0]).all() else weight / weight.mean()
        return NGramModel.fit(self.ngrams.rows(rows), self.y[rows], self.K, scaled, self.random_state)

    def folds(self, rows: Array) -> Iterator[tuple[Array, Array]]:
        """Rows to train on and rows to measure on: stratified parts of `rows` of at most `EVIDENCE_ROWS`.

        A label that occurs once stays among the rows to train on.
        """
        generator = np.random.default_rng(self.random_state)
        groups = np.arange(len(self.y)) if self.groups is None else self.groups
        distinct = rows[distinct_rows(groups[rows])]
        mixed = generator.permutation(distinct)
        by_label = mixed[np.argsort(self.y[mixed], kind="stable")]
        count = max(MIN_FOLDS, -(-len(rows) // EVIDENCE_ROWS))
        repeated = np.bincount(self.y[distinct], minlength=self.K)[self.y] > 1
        for k in range(count):
            test = by_label[k::count]
            test = test[repeated[test]]
            if len(distinct) < len(rows):
                test = rows[np.isin(groups[rows], groups[test])]
            if len(test):
                yield np.setdiff1d(rows, test), np.sort(test)


@dataclass(frozen=True)
class Evidence:
    """Log-probabilities (n, K) of rows by models that were not trained on them, their labels and weights (n,).

    `net` holds those of the network for the first rows: all of them, or fewer where no further network was trained.
    """

    net: Array
    ngrams: Array
    y: Array
    weight: Array

    def __len__(self) -> int:
        return len(self.y)

    def with_fold(self, net: Array | None, ngrams: Array, y: Array, weight: Array) -> Evidence:
        """This evidence and that of a fold, without the network if `net` is None."""
        pairs = (self.ngrams, ngrams), (self.y, y), (self.weight, weight)
        return Evidence(
            self.net if net is None else np.concatenate([self.net, net]), *(np.concatenate(pair) for pair in pairs)
        )


@dataclass(frozen=True)
class PowerChoice:
    """Powers of network and linear model, and the reason.

    Parameters
    ----------
    powers : (float, float)
        α and β.
    gain : float
        Gain of the best α and β on the best linear model alone in log-likelihood, in standard errors.
    rows : int
        Rows by which the gain was measured.
    """

    powers: tuple[float, float]
    gain: float
    rows: int

    def note(self) -> str:
        """One sentence: where the labels come from, and why."""
        alpha, beta = self.powers
        measured = f"on {self.rows:,} rows that neither was trained on"
        if not self.rows:
            return "labels from the linear model alone: too few rows to measure whether the network improves on it"
        if not alpha:
            return f"labels from the linear model alone: the network did not improve on it significantly {measured}"
        source = "the network and the linear model together: they are" if beta else "the network alone: it is"
        return f"labels from {source} better than the linear model alone by {self.gain:.1f} standard errors {measured}"


def choose_powers(evidence: Evidence) -> PowerChoice:
    """Powers of the least log loss; the linear model alone unless the network's gain is significant.

        L_i(α, β) = -log p_i(y_i),  p ∝ p_net^α · p_ngrams^β
        gain = d̄ / s(d̄),  d_i = L_i(0, β₀) - L_i(α*, β*),  s(d̄)² = Σ_i w_i²·(d_i - d̄)² / (Σ_i w_i)²

    where β₀ is the best power of the linear model alone, and (α*, β*) are the best ones of all.
    """
    n = len(evidence.net)
    y, weight = evidence.y[:n], evidence.weight[:n]
    alone = min(POWERS[1:], key=lambda beta: float(evidence.weight @ losses(beta * evidence.ngrams, evidence.y)))
    if not n:
        return PowerChoice((0.0, alone), 0.0, 0)
    net, ngrams = evidence.net, evidence.ngrams[:n]
    table = {(a, b): losses(a * net + b * ngrams, y) for a in POWERS for b in POWERS if a + b}
    best = min(table, key=lambda powers: float(weight @ table[powers]))
    linear = min((powers for powers in table if not powers[0]), key=lambda powers: float(weight @ table[powers]))
    difference = table[linear] - table[best]
    mean = float(weight @ difference / weight.sum())
    error = float(np.sqrt((weight**2) @ (difference - mean) ** 2) / weight.sum())
    gain = mean / max(error, np.finfo(float).tiny)
    return PowerChoice(best if gain >= SIGNIFICANT_GAIN else (0.0, alone), gain, n)


def losses(scores: Array, y: Array) -> Array:
    """Log loss of each row, (n,), from unnormalised log-probabilities (n, K)."""
    log_loss: Array = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(y)), y]
    return log_loss


def cross_fitted_powers(texts: LabelledTexts, rows: Array, held_out: Evidence, network: NetworkLogProba) -> PowerChoice:
    """Powers chosen by the rows held out and, until there are `EVIDENCE_ROWS` or two times as many, by folds of others.

    For each fold the linear model is trained on the other rows, and so is a network as long as it promises a gain.

    Parameters
    ----------
    texts : LabelledTexts
        The training texts.
    rows : array of shape (n,)
        Rows of the folds: those by which network and linear model of the ensemble were trained.
    held_out : Evidence
        Evidence of rows outside of `rows`; may be empty.
    network : callable
        Rows to train on and other rows to the log-probabilities of the others by a network.
    """
    evidence = held_out
    choice = choose_powers(evidence) if len(evidence) else None
    for train, test in texts.folds(rows):
        promising = choice is None or choice.gain >= PROMISING_GAIN
        undecided = promising and (choice is None or choice.gain < SIGNIFICANT_GAIN)
        if len(evidence) >= (2 if undecided else 1) * EVIDENCE_ROWS:
            break
        net = network(train, test) if promising else None
        ngrams = texts.fit(train).log_proba(texts.ngrams.rows(test))
        evidence = evidence.with_fold(net, ngrams, texts.y[test], texts.weight[test])
        choice = choose_powers(evidence)
    return choice or PowerChoice((0.0, 1.0), 0.0, 0)
