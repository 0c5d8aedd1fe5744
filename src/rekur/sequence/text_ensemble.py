"""Linear n-gram model of texts (bag of n-grams, tf-idf, logistic regression) and its ensemble with a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rekur.core import library
from rekur.inputs.words import sentence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array
    from rekur.inputs.reader import Reader
    from rekur.serialization import Description

SparseMatrix: TypeAlias = Any
"""A sparse matrix of scipy."""

HASH_BITS = 18
"""2^18 columns for words and pairs of words, and as many for strings of characters."""

MAX_CHARACTERS = 2**23
"""Characters of the training texts above which strings of characters are left out."""

FEATURES: tuple[Mapping[str, Any], ...] = (
    {"ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"},
    {"ngram_range": (2, 7), "analyzer": "char"},
)
"""Options of scikit-learn's vectorizers: words and pairs of words, and strings of 2 to 7 characters."""

START = "¶ "
"""Stands before each text, so that its first word is a pair and a string of its own."""

INVERSE_PENALTY = 64.0
"""C of scikit-learn's logistic regression, selected by cross-validation on three data sets."""

POWERS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
"""Candidates for the powers α and β of the two models."""

POWER_PENALTY = 20.0
"""Factor of (α - β)² in the loss by which the powers are chosen, in rows."""

NEEDS = 'labels of text need scikit-learn: pip install "rekur[text]"'


@dataclass(frozen=True)
class NGramModel:
    """Log-probabilities of K labels from the words, pairs of words and strings of characters of a text.

        x_g = idf_g · [g occurs] / √Σ_g (idf_g · [g occurs])²,  idf_g = 1 + log((1 + N) / (1 + N_g))
        z_k = b_k + Σ_g w_kg · x_g,  p = softmax(log sigmoid(z))

    where N_g of N texts hold the n-gram g, and each text begins with a mark of its own. Words and pairs are one part of
    x, strings of 2 to 7 characters another (not where the training texts have more than 2^23 characters), each part of
    length 1. Each label is separated from all others by logistic regression with a quadratic penalty. The column of an
    n-gram is its hash.

    Parameters
    ----------
    weights : Tensor of shape (K, P·2^18)
        Weights w of the P parts.
    bias : Tensor of shape (K,)
        Biases b.
    idf : Tensor of shape (P·2^18,)
        Inverse document frequencies.

    References
    ----------
    K. Spärck Jones, 1972, "A statistical interpretation of term specificity and its application in retrieval",
    Journal of Documentation 28.

    Examples
    --------
    >>> model = NGramModel.fit(["good film", "bad film"] * 3, [1, 0] * 3, 2)
    >>> model.log_proba(["a good one"]).argmax(1).tolist()
    [1]
    """

    weights: Tensor
    bias: Tensor
    idf: Tensor

    @classmethod
    def fit(cls, texts: Sequence[str], y: ArrayLike, K: int, random_state: int = 0) -> NGramModel:
        """Fit to texts and their labels in 0 … K - 1."""
        import torch

        labels, parts = np.asarray(y), len(FEATURES) if sum(map(len, texts)) <= MAX_CHARACTERS else 1
        matrices = occurrences(texts, parts)
        counts = np.concatenate([np.asarray(matrix.sum(0)).ravel() for matrix in matrices])
        idf = 1 + np.log((1 + len(texts)) / (1 + counts))
        X = weighted(matrices, idf)
        weights, bias = np.zeros((K, X.shape[1]), dtype=np.float32), np.zeros(K, dtype=np.float32)
        for k in range(1 if K == 2 else 0, K):
            regression = library("sklearn.linear_model", NEEDS).LogisticRegression(
                C=INVERSE_PENALTY, solver="liblinear", dual=True, max_iter=1000, random_state=random_state
            )
            regression.fit(X, labels == k)
            weights[k], bias[k] = regression.coef_[0], regression.intercept_[0]
        if K == 2:
            weights[0], bias[0] = -weights[1], -bias[1]
        return cls(torch.from_numpy(weights), torch.from_numpy(bias), torch.from_numpy(idf.astype(np.float32)))

    def log_proba(self, texts: Sequence[str]) -> Array:
        """Log-probabilities (N, K) of the labels of texts."""
        X = weighted(occurrences(texts, len(self.idf) >> HASH_BITS), self.idf.numpy())
        z = np.asarray(X @ self.weights.numpy().T) + self.bias.numpy()
        return log_normalized(-np.logaddexp(0, -z))  # of log sigmoid

    def tensors(self) -> dict[str, Tensor]:
        """Columns that have occurred with their weights and idf, and the idf of all others."""
        import torch

        columns = (self.idf < self.idf.max()).nonzero()[:, 0]
        return {
            "columns": columns,
            "weights": self.weights[:, columns],
            "bias": self.bias,
            "idf": self.idf[columns],
            "max_idf": self.idf.max(),
            "size": torch.tensor(len(self.idf)),
        }

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> NGramModel:
        """The model that `tensors` gave."""
        columns, size = tensors["columns"], int(tensors["size"])
        weights, idf = tensors["weights"].new_zeros(len(tensors["weights"]), size), tensors["max_idf"].repeat(size)
        weights[:, columns], idf[columns] = tensors["weights"], tensors["idf"]
        return cls(weights, tensors["bias"], idf)


@dataclass(frozen=True)
class TextEnsemble:
    """Geometric mixture of a network and an n-gram model: p ∝ p_net^α · p_ngrams^β.

    Parameters
    ----------
    ngrams : NGramModel
        The linear model.
    powers : (float, float)
        α and β.
    """

    ngrams: NGramModel
    powers: tuple[float, float]

    def log_proba(self, net: Array, texts: Sequence[str]) -> Array:
        """Log-probabilities (N, K) of the mixture from the network's log-probabilities (N, K) and the texts."""
        alpha, beta = self.powers
        return log_normalized(alpha * net + beta * self.ngrams.log_proba(texts))

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


def check_scikit_learn() -> None:
    """Raise a MissingDependencyError unless scikit-learn, which fits the n-gram model, is installed."""
    library("sklearn.linear_model", NEEDS)


def joined(x: Sequence[str | Sequence[str]]) -> list[str]:
    """Texts as strings; lists of words are joined by blanks."""
    return [sentence(text) for text in x]


def log_normalized(log_p: Array) -> Array:
    """Log-probabilities whose exponentials sum to one in each row."""
    normalized: Array = log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    return normalized


def best_powers(net: Array, ngrams: Array, y: Array) -> tuple[float, float]:
    """Powers of both models with the smallest negative log-likelihood on rows held out, drawn towards equal ones."""

    def loss(powers: tuple[float, float]) -> float:
        alpha, beta = powers
        log_p = log_normalized(alpha * net + beta * ngrams)[np.arange(len(y)), y]
        return float(-log_p.sum() + POWER_PENALTY * (alpha - beta) ** 2)

    return min(((alpha, beta) for alpha in POWERS for beta in POWERS if alpha + beta), key=loss)


def weighted(matrices: Sequence[SparseMatrix], idf: Array) -> SparseMatrix:
    """Occurrences weighted by their idf, each part of a row divided by its length: (N, P·2^18)."""
    normalize = library("sklearn.preprocessing", NEEDS).normalize
    pairs = zip(matrices, np.split(idf, len(matrices)), strict=True)
    parts = [normalize(matrix.multiply(part_idf).tocsr()) for matrix, part_idf in pairs]
    return library("scipy.sparse", NEEDS).hstack(parts, format="csr")


def occurrences(texts: Sequence[str], parts: int) -> list[SparseMatrix]:
    """N-grams of each text, for each part a sparse matrix (N, 2^18) of zeros and ones."""
    vectorizer = library("sklearn.feature_extraction.text", NEEDS).HashingVectorizer
    options = {"n_features": 2**HASH_BITS, "binary": True, "norm": None, "alternate_sign": False}
    marked = [START + text for text in texts]
    return [vectorizer(**options, **features).transform(marked) for features in FEATURES[:parts]]
