"""Exogenous covariates: reading of numbers and labels, and their encoding as inputs of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.ingest.parsing import MISSING_TEXTS, Column, Table, is_text, object_series, to_numbers

__all__ = ["EncodedColumn", "ExogenousEncoder", "read_covariate", "static_values"]

MAX_LABELS = 64  # of one column, the most frequent ones


def _read_labels(column: Column, where: str, labels: Sequence[str] | None) -> tuple[Array, tuple[str, ...]]:
    """Return a column as numbers, or as the numbers of its labels (n,), and the labels, none for numbers."""
    if not labels and (labels is not None or not is_text(column.dtype)):
        return to_numbers(column, where), ()
    codes, distinct = pd.factorize(object_series(column) if is_text(column.dtype) else column.to_numpy())
    text = [str(label).strip() for label in distinct]
    if labels is None:
        present = [label.lower() not in MISSING_TEXTS for label in text]
        words = pd.Series([label for label, known in zip(text, present, strict=True) if known])
        parsed = pd.to_numeric(words, errors="coerce").notna()
        if 2 * parsed.sum() >= len(parsed):  # a mistyped number is no label
            return to_numbers(column, where), ()
        counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
        order = sorted((i for i in range(len(distinct)) if present[i]), key=lambda i: (-counts[i], text[i]))
        labels = tuple(dict.fromkeys(text[i] for i in order))[:MAX_LABELS]
    numbers = {label: float(k) for k, label in enumerate(labels)}
    values = np.array([numbers.get(label, np.nan) for label in text] + [np.nan])
    return values[codes], tuple(labels)


def read_covariate(
    table: Table, name: str, labels: Mapping[str, tuple[str, ...]] | None, source: str
) -> tuple[Array, tuple[str, ...]]:
    """Read a covariate as numbers, or as the numbers of its labels.

    Parameters
    ----------
    table : narwhals.DataFrame
        The table.
    name : str
        Name of the column.
    labels : mapping of str to tuple of str, or None
        Labels of each covariate that were learned before (a covariate without entry held numbers); None to learn them:
        the 64 most frequent ones of a column of text, unless half of its values or more are numbers.
    source : str
        Name of the table in errors.

    Returns
    -------
    values : (n,) float64
        NaN for a missing value and for a label that is not among the learned ones.
    labels : tuple of str
        The labels by number; empty for numbers.

    Raises
    ------
    DataError
        If a value is neither a number nor a label.

    Examples
    --------
    >>> from rekur.data.ingest.schema import as_table
    >>> table = as_table(pd.DataFrame({"kind": ["b", "a", "b"]}), "the table")
    >>> values, labels = read_covariate(table, "kind", None, "the table")
    >>> values.tolist(), labels
    ([0.0, 1.0, 0.0], ('b', 'a'))
    """
    known = None if labels is None else labels.get(name, ())
    return _read_labels(table[name], f"{source}, column {name!r} (covariate)", known)


def static_values(values: Array, codes: Array, ids: Array, where: str) -> Array:
    """Return the one value of each series (S,) of a column (n,), NaN if all are missing.

    codes (n,): number of the series of each row; ids (S,): labels of the series; where: names the column in errors.

    Raises
    ------
    DataError
        If a series has two values.
    """
    observed = ~np.isnan(values)
    out = np.full(len(ids), np.nan)
    out[codes[observed][::-1]] = values[observed][::-1]
    changed = np.flatnonzero(observed & (values != out[codes]))
    if len(changed):
        label = ids[codes[changed[0]]]
        raise DataError(f"{where}: it changes within series {label!r}, a static covariate must not; use hist_exog_list")
    return out


@dataclass(frozen=True)
class EncodedColumn:
    """Encoding of one covariate: one-hot labels, or a standardised number.

    Parameters
    ----------
    name : str
        Name of the covariate.
    labels : int, default 0
        Number of labels, one input each; 0 for a number.
    mean, scale : float, default 0.0 and 1.0
        Centre and standard deviation of a number.
    has_missing : bool, default False
        A second input marks missing numbers.

    Examples
    --------
    >>> EncodedColumn("price", mean=3.0, has_missing=True).width
    2
    """

    name: str
    labels: int = 0
    mean: float = 0.0
    scale: float = 1.0
    has_missing: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        return self.labels or 1 + self.has_missing


@dataclass(frozen=True)
class ExogenousEncoder:
    """Encoding of covariates as inputs of a network: labels one-hot, numbers standardised.

    A label that was not learned, and a missing one, has 0 in all its inputs; a missing number is 0.

    Parameters
    ----------
    columns : tuple of EncodedColumn
        The covariates.

    Examples
    --------
    >>> encoder = ExogenousEncoder.of(np.array([[1.0, 0.0], [3.0, 1.0]]), ["x", "kind"], {"kind": ("a", "b")})
    >>> encoder.apply(np.array([[3.0, 0.0]])).tolist()
    [[1.0, 1.0, 0.0]]
    """

    columns: tuple[EncodedColumn, ...]

    @classmethod
    def of(cls, values: Array, names: Sequence[str], labels: Mapping[str, Sequence[str]]) -> ExogenousEncoder:
        """Learn the encoding of covariates.

        Parameters
        ----------
        values : (N, F) float64
            Numbers, and numbers of labels; NaN where missing.
        names : sequence of str
            F names.
        labels : mapping of str to sequence of str
            Labels of the covariates that have any.
        """
        columns = list[EncodedColumn]()
        for j, name in enumerate(names):
            if labels.get(name):
                columns.append(EncodedColumn(name, labels=len(labels[name])))
                continue
            observed = values[:, j][np.isfinite(values[:, j])]
            mean, deviation = (float(observed.mean()), float(observed.std())) if len(observed) else (0.0, 0.0)
            scale = deviation if deviation > 1e-10 * abs(mean) else 1.0
            columns.append(EncodedColumn(name, mean=mean, scale=scale, has_missing=len(observed) < len(values)))
        return cls(tuple(columns))

    @property
    def width(self) -> int:
        """Number of inputs K."""
        return sum(column.width for column in self.columns)

    def apply(self, values: Array) -> Array:
        """Return inputs (..., K) float32 of values (..., F)."""
        parts = list[Array]()
        for j, column in enumerate(self.columns):
            x = values[..., j]
            if column.labels:
                parts.append(x[..., None] == np.arange(column.labels))
                continue
            observed = np.isfinite(x)
            parts.append(np.where(observed, (x - column.mean) / column.scale, 0.0)[..., None])
            if column.has_missing:
                parts.append(~observed[..., None])
        if not parts:
            return np.zeros((*values.shape[:-1], 0), np.float32)
        return np.concatenate([part.astype(np.float32) for part in parts], axis=-1)
