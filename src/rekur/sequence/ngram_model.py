"""Linear n-gram model of texts: bag of n-grams, tf-idf, logistic regression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rekur.core import DataError, library
from rekur.inputs.words import sentence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from rekur.core import Array

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

TEXTS_AT_A_TIME = 1000
"""Texts whose labels are predicted at a time."""

NEEDS = "labels of text need scikit-learn: pip install scikit-learn"


@dataclass(frozen=True)
class NGrams:
    """N-grams that occur in N texts, each part a sparse matrix (N, 2^18) of zeros and ones."""

    parts: list[SparseMatrix]

    @classmethod
    def of(cls, texts: Sequence[str], parts: int | None = None) -> NGrams:
        """Words and pairs of words of texts, and strings of characters where there are two parts.

        None takes two parts unless the texts have more than 2^23 characters.
        """
        if parts is None:
            parts = len(FEATURES) if sum(map(len, texts)) <= MAX_CHARACTERS else 1
        vectorizer = library("sklearn.feature_extraction.text", NEEDS).HashingVectorizer
        options = {"n_features": 2**HASH_BITS, "binary": True, "norm": None, "alternate_sign": False}
        marked = [START + text for text in texts]
        return cls([vectorizer(**options, **features).transform(marked) for features in FEATURES[:parts]])

    def __len__(self) -> int:
        return int(self.parts[0].shape[0])

    def rows(self, rows: Array) -> NGrams:
        """Those of some texts."""
        return NGrams([part[rows] for part in self.parts])

    def counts(self) -> Array:
        """Texts that hold each n-gram, (P·2^18,)."""
        return np.concatenate([np.asarray(part.sum(0)).ravel() for part in self.parts])

    def weighted(self, idf: Array) -> SparseMatrix:
        """Occurrences weighted by their idf, each part of a row divided by its length: (N, P·2^18)."""
        normalize = library("sklearn.preprocessing", NEEDS).normalize
        pairs = zip(self.parts, np.split(idf, len(self.parts)), strict=True)
        parts = [normalize(matrix.multiply(part_idf).tocsr()) for matrix, part_idf in pairs]
        return library("scipy.sparse", NEEDS).hstack(parts, format="csr")


@dataclass(frozen=True)
class NGramModel:
    """Log-probabilities of K labels from the words, pairs of words and strings of characters of a text.

        x_g = idf_g · [g occurs] / √Σ_g (idf_g · [g occurs])²,  idf_g = 1 + log((1 + N) / (1 + N_g))
        z_k = b_k + Σ_g w_kg · x_g,  p = softmax(log sigmoid(z))

    where N_g of N texts hold the n-gram g, and each text begins with a mark of its own. Words and pairs are one part of
    x, strings of 2 to 7 characters another (not where the training texts have more than 2^23 characters), each part of
    length 1. Each label is separated from all others by logistic regression with a quadratic penalty. The column of an
    n-gram is its hash; only the C columns that occur in the training texts have weights.

    Parameters
    ----------
    columns : Tensor of shape (C,)
        Numbers of the columns with weights, in 0 … P·2^18 - 1 for P parts.
    weights : Tensor of shape (K, C)
        Weights w.
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
    >>> model = NGramModel.fit(NGrams.of(["good film", "bad film"] * 3), [1, 0] * 3, 2)
    >>> model.log_proba(["a good one"]).argmax(1).tolist()
    [1]
    """

    columns: Tensor
    weights: Tensor
    bias: Tensor
    idf: Tensor

    @classmethod
    def fit(
        cls, ngrams: NGrams, y: ArrayLike, K: int, weight: Array | None = None, random_state: int = 0
    ) -> NGramModel:
        """Fit to the n-grams of texts and their labels in 0 … K - 1, rows weighted by `weight` (N,).

        A label that does not occur has no weights, and the bias of a label that is half as frequent as one of one row.
        """
        import torch

        labels, N = np.asarray(y), len(ngrams)
        counts = ngrams.counts()
        idf, columns = 1 + np.log((1 + N) / (1 + counts)), np.flatnonzero(counts)
        X = ngrams.weighted(idf)[:, columns]
        weights, bias = np.zeros((K, len(columns)), dtype=np.float32), np.full(K, -np.log(2 * N), dtype=np.float32)
        present = np.unique(labels).tolist()
        for k in present[1:] if len(present) == 2 else present:
            regression = library("sklearn.linear_model", NEEDS).LogisticRegression(
                C=INVERSE_PENALTY, solver="liblinear", dual=True, max_iter=1000, random_state=random_state
            )
            regression.fit(X, labels == k, weight)
            weights[k], bias[k] = regression.coef_[0], regression.intercept_[0]
        if len(present) == 2:
            first, second = present
            weights[first], bias[first] = -weights[second], -bias[second]
        tensors = torch.from_numpy(columns), torch.from_numpy(weights), torch.from_numpy(bias)
        return cls(*tensors, torch.from_numpy(idf.astype(np.float32)))

    def log_proba(self, texts: Sequence[str] | NGrams) -> Array:
        """Log-probabilities (N, K) of the labels of texts."""
        ngrams = texts if isinstance(texts, NGrams) else NGrams.of(texts, len(self.idf) >> HASH_BITS)
        X = ngrams.weighted(self.idf.numpy())[:, self.columns.numpy()]
        weights, bias, parts = self.weights.numpy(), self.bias.numpy(), []
        for first in range(0, X.shape[0], TEXTS_AT_A_TIME):
            part = X[first : first + TEXTS_AT_A_TIME]
            occurring = np.unique(part.indices)  # a product copies all weights that it is given
            z = np.asarray(part[:, occurring] @ weights[:, occurring].T) + bias
            parts.append(log_normalized(-np.logaddexp(0, -z)))  # of log sigmoid
        return np.concatenate(parts)

    def tensors(self) -> dict[str, Tensor]:
        """Columns with their weights and idf, and the idf of all others."""
        import torch

        return {
            "columns": self.columns,
            "weights": self.weights,
            "bias": self.bias,
            "idf": self.idf[self.columns],
            "max_idf": self.idf.max(),
            "size": torch.tensor(len(self.idf)),
        }

    @classmethod
    def restore(cls, tensors: dict[str, Tensor]) -> NGramModel:
        """The model that `tensors` gave."""
        columns, idf = tensors["columns"], tensors["max_idf"].repeat(int(tensors["size"]))
        idf[columns] = tensors["idf"]
        return cls(columns, tensors["weights"], tensors["bias"], idf)


def check_scikit_learn() -> None:
    """Raise a MissingDependencyError unless scikit-learn, which fits the n-gram model, is installed."""
    library("sklearn.linear_model", NEEDS)


def joined(x: Sequence[str | Sequence[str]]) -> list[str]:
    """Texts as strings; lists of words are joined by blanks; a row that is neither is named in a DataError."""
    if not len(x):
        raise DataError("x holds no text; pass a list of texts")
    for row, text in enumerate(x):
        if isinstance(text, str):
            continue
        if not isinstance(text, Iterable) or not all(isinstance(word, str) for word in text):
            raise DataError(f"row {row} of x is not a text but of type {type(text).__name__}: pass texts, as in fit")
    return [sentence(text) for text in x]


def log_normalized(log_p: Array) -> Array:
    """Log-probabilities whose exponentials sum to one in each row."""
    normalized: Array = log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    return normalized
