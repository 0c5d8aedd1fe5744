"""The baseline of labels for text: a linear model over words, pairs of them and strings (scikit-learn)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.core import library

if TYPE_CHECKING:
    from torch import Tensor

BITS = 18  # 2^18 places for words and pairs, and as many for strings of characters
MANY = 2**23  # characters of the training data above which strings are left out: words then tell enough
PARTS: tuple[dict[str, Any], ...] = (
    {"ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"},
    {"ngram_range": (2, 7), "analyzer": "char"},
)
BEGIN = "¶ "  # stands before each text, so that what comes first is a pair and a string of its own
STRENGTH = 64.0  # C of scikit-learn: one over the weight of the penalty; found by cross-validation on three sets
NEEDS = 'labels of text need scikit-learn: pip install "rekur[text]"'


@dataclass(frozen=True)
class NGrams:
    """Scores of K labels from the words, pairs of neighbouring words and strings of characters that occur in a text.

        x_g = idf_g · [g occurs] / √Σ_g (idf_g · [g occurs])²,  idf_g = 1 + log((1 + N) / (1 + N_g))
        z_k = b_k + Σ_g w_kg · x_g,  p = softmax(log sigmoid(z))

    where N_g of N texts hold g, and each text begins with a mark of its own; words and pairs are one part of x, strings
    of 2 to 7 characters another (not where the training texts have more than 2^23 characters), each of length 1. Each
    label is told from all others by logistic regression with a quadratic penalty. With P parts: `weights` (K, P·2^18),
    `bias` (K,) and `idf` (P·2^18,); a word, pair or string has its place by a hash.

    Source: K. Spärck Jones, 1972, "A statistical interpretation of term specificity …", Journal of Documentation 28.
    """

    weights: Tensor
    bias: Tensor
    idf: Tensor

    @classmethod
    def learn(cls, texts: Sequence[str], y: Sequence[int], K: int, seed: int = 0) -> NGrams:
        """Learn from texts and their labels in 0 … K - 1."""
        import torch

        labels, parts = np.asarray(y), len(PARTS) if sum(map(len, texts)) <= MANY else 1
        found = occurring(texts, parts)
        idf = 1 + np.log((1 + len(texts)) / (1 + np.concatenate([np.asarray(X.sum(0)).ravel() for X in found])))
        X = scaled(found, idf)
        weights, bias = np.zeros((K, X.shape[1]), dtype=np.float32), np.zeros(K, dtype=np.float32)
        for k in range(1 if K == 2 else 0, K):
            told = library("sklearn.linear_model", NEEDS).LogisticRegression(
                C=STRENGTH, solver="liblinear", dual=True, max_iter=1000, random_state=seed
            )
            told.fit(X, labels == k)
            weights[k], bias[k] = told.coef_[0], told.intercept_[0]
        if K == 2:
            weights[0], bias[0] = -weights[1], -bias[1]
        return cls(torch.from_numpy(weights), torch.from_numpy(bias), torch.from_numpy(idf.astype(np.float32)))

    def log_p(self, texts: Sequence[str]) -> np.ndarray:
        """Log-probabilities (N, K)."""
        X = scaled(occurring(texts, len(self.idf) >> BITS), self.idf.numpy())
        z = np.asarray(X @ self.weights.numpy().T) + self.bias.numpy()
        return normal(-np.logaddexp(0, -z))  # of log sigmoid

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold: the places of what has occurred, and the idf of all others."""
        import torch

        where = (self.idf < self.idf.max()).nonzero()[:, 0]
        kept = {"places": where, "weights": self.weights[:, where], "bias": self.bias, "idf": self.idf[where]}
        rest = {"most": self.idf.max(), "size": torch.tensor(len(self.idf))}
        return {f"ngrams.{name}": tensor for name, tensor in {**kept, **rest}.items()}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> NGrams:
        """Make the model again from `tensors`; what does not occur in any text has the largest idf."""
        places, kept = tensors["ngrams.places"], tensors["ngrams.weights"]
        size = int(tensors["ngrams.size"])
        weights, idf = kept.new_zeros(len(kept), size), tensors["ngrams.most"].repeat(size)
        weights[:, places], idf[places] = kept, tensors["ngrams.idf"]
        return cls(weights, tensors["ngrams.bias"], idf)


def normal(log_p: np.ndarray) -> np.ndarray:
    """Log-probabilities that sum to one in each row."""
    made: np.ndarray = log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    return made


def scaled(found: Sequence[Any], idf: np.ndarray) -> Any:
    """What occurs, weighed by its idf, each part of a row divided by its length: (N, P·2^18)."""
    normalize = library("sklearn.preprocessing", NEEDS).normalize
    parts = [normalize(X.multiply(own).tocsr()) for X, own in zip(found, np.split(idf, len(found)), strict=True)]
    return library("scipy.sparse", NEEDS).hstack(parts, format="csr")


def occurring(texts: Sequence[str], parts: int) -> list[Any]:
    """What occurs in each text, for each part a sparse matrix (N, 2^18) of zeros and ones."""
    hashed = library("sklearn.feature_extraction.text", NEEDS).HashingVectorizer
    same = {"n_features": 2**BITS, "binary": True, "norm": None, "alternate_sign": False}
    begun = [BEGIN + text for text in texts]
    return [hashed(**same, **part).transform(begun) for part in PARTS[:parts]]
