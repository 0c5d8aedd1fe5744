"""The baseline of labels for text: a linear model over words and pairs of words (scikit-learn)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.core import DataError

if TYPE_CHECKING:
    from torch import Tensor

BITS = 18  # 2^18 places for words and pairs
STRENGTH = 1.0  # C of scikit-learn: one over the weight of the penalty
NEEDS = 'labels of text need scikit-learn: pip install "rekur[text]"'


@dataclass(frozen=True)
class NGrams:
    """Scores of K labels from the words and pairs of neighbouring words that occur in a text.

        z_k = b_k + Σ_g w_kg · r_kg · [g occurs],  p = softmax(log sigmoid(z))
        r_kg = log of the share of g in texts of label k over its share in all others, counts increased by one

    Each label is told from all others by logistic regression with a quadratic penalty on w. `weights` (K, 2^18) hold
    w·r, `bias` (K,) holds b; a word or pair has its place by a hash.

    Source: S. Wang and C. D. Manning, 2012, "Baselines and bigrams", ACL (there with a support vector machine).
    """

    weights: Tensor
    bias: Tensor

    @classmethod
    def learn(cls, texts: Sequence[str], y: Sequence[int], K: int, seed: int = 0) -> NGrams:
        """Learn from texts and their labels in 0 … K - 1."""
        import torch

        X, labels = occurring(texts), np.asarray(y)
        weights, bias = np.zeros((K, 2**BITS), dtype=np.float32), np.zeros(K, dtype=np.float32)
        for k in range(1 if K == 2 else 0, K):
            own = labels == k
            inside, outside = 1 + np.asarray(X[own].sum(0)).ravel(), 1 + np.asarray(X[~own].sum(0)).ravel()
            r = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
            told = library("sklearn.linear_model").LogisticRegression(
                C=STRENGTH, solver="liblinear", dual=True, max_iter=1000, random_state=seed
            )
            told.fit(X.multiply(r).tocsr(), own)
            weights[k], bias[k] = told.coef_[0] * r, told.intercept_[0]
        if K == 2:
            weights[0], bias[0] = -weights[1], -bias[1]
        return cls(torch.from_numpy(weights), torch.from_numpy(bias))

    def log_p(self, texts: Sequence[str]) -> np.ndarray:
        """Log-probabilities (N, K)."""
        z = np.asarray(occurring(texts) @ self.weights.numpy().T) + self.bias.numpy()
        p = -np.logaddexp(0, -z)  # log sigmoid
        told: np.ndarray = p - np.logaddexp.reduce(p, axis=1, keepdims=True)
        return told

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold: the places that are not zero."""
        where = (self.weights != 0).any(0).nonzero()[:, 0]
        return {"ngrams.places": where, "ngrams.weights": self.weights[:, where], "ngrams.bias": self.bias}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> NGrams:
        """Make the model again from `tensors`."""
        kept = tensors["ngrams.weights"]
        weights = kept.new_zeros(len(kept), 2**BITS)
        weights[:, tensors["ngrams.places"]] = kept
        return cls(weights, tensors["ngrams.bias"])


def occurring(texts: Sequence[str]) -> Any:
    """Which words, marks and pairs of them occur in each text, a sparse matrix (N, 2^18) of zeros and ones."""
    hashed = library("sklearn.feature_extraction.text").HashingVectorizer(
        n_features=2**BITS,
        ngram_range=(1, 2),
        token_pattern=r"\w+|[^\w\s]",
        binary=True,
        norm=None,
        alternate_sign=False,
    )
    return hashed.transform(texts)


def library(name: str) -> Any:
    """A part of scikit-learn, or one line that says how to get it."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise DataError(NEEDS) from None
