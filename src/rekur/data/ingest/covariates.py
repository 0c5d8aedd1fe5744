"""Covariates: numbers or labels that stand beside the target, and how a network reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.ingest.parsing import MISSING, is_text, numbers, objects

__all__ = ["ExogenousEncoder", "column", "constant", "covariate"]

MOST = 64  # labels of one column that are told apart, the most frequent ones


def column(series: nw.Series[Any], where: str, labels: Sequence[str] | None = None) -> tuple[Array, tuple[str, ...]]:
    """Read a column as numbers, or as the numbers of its labels: values (n,), and the labels or nothing.

    Text that is mostly numbers must be all numbers. Missing values are NaN, and so is a label that is not among
    `labels`, those of the table that was learned from (empty: it held numbers; None: nothing was learned yet).
    """
    if not labels and (labels is not None or not is_text(series.dtype)):
        return numbers(series, where), ()
    codes, found = pd.factorize(objects(series) if is_text(series.dtype) else series.to_numpy())
    text = [str(label).strip() for label in found]
    known = [label.lower() not in MISSING for label in text]
    if labels is None:
        parsed = pd.to_numeric(pd.Series([t for t, k in zip(text, known, strict=True) if k]), errors="coerce").notna()
        if 2 * parsed.sum() >= len(parsed):  # a number written wrongly is no label
            return numbers(series, where), ()
        counts = np.bincount(codes[codes >= 0], minlength=len(found))
        order = sorted((i for i in range(len(found)) if known[i]), key=lambda i: (-counts[i], text[i]))
        labels = tuple(dict.fromkeys(text[i] for i in order))[:MOST]
    place = {label: float(k) for k, label in enumerate(labels)}
    values = np.array([place.get(label, np.nan) for label in text] + [np.nan])
    return values[codes], tuple(labels)


def covariate(
    frame: nw.DataFrame[Any], name: str, labels: Mapping[str, tuple[str, ...]] | None, source: str
) -> tuple[Array, tuple[str, ...]]:
    """Return a covariate as given, (n,), and its labels if it has any."""
    known = None if labels is None else labels.get(name, ())
    return column(frame[name], f"{source}, column {name!r} (covariate)", known)


def constant(values: Array, codes: Array, ids: Array, where: str) -> Array:
    """The one value of each series, (S,), of a column (n,) whose rows belong to series `codes`; NaN if there is none.

    Raises
    ------
    DataError : a series has two values.
    """
    seen = ~np.isnan(values)
    out = np.full(len(ids), np.nan)
    out[codes[seen][::-1]] = values[seen][::-1]
    odd = np.flatnonzero(seen & (values != out[codes]))
    if len(odd):
        label = ids[codes[odd[0]]]
        raise DataError(f"{where}: it changes within series {label!r}, a static covariate must not; use hist_exog_list")
    return out


@dataclass(frozen=True)
class ExogenousEncoder:
    """How columns of covariates become inputs; a value.

    columns: one of each: {"name", "labels"} for labels, which become one input each, or {"name", "centre", "spread",
    "gaps"} for numbers, which are centred and scaled and, where values were missing, have a second input that says so.
    A label never seen, or missing, is 0 in all its inputs.
    """

    columns: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, values: Array, names: Sequence[str], labels: Mapping[str, Sequence[str]]) -> ExogenousEncoder:
        """Learn from values (N, F)."""
        columns: list[dict[str, Any]] = []
        for j, name in enumerate(names):
            if labels.get(name):
                columns.append({"name": name, "labels": len(labels[name])})
                continue
            seen = values[:, j][np.isfinite(values[:, j])]
            centre, spread = (float(seen.mean()), float(seen.std())) if len(seen) else (0.0, 0.0)
            spread = spread if spread > 1e-10 * abs(centre) else 1.0
            gaps = len(seen) < len(values)
            columns.append({"name": name, "centre": centre, "spread": spread, "gaps": gaps})
        return cls(tuple(columns))

    @property
    def width(self) -> int:
        """K, how many inputs they make."""
        return sum(each.get("labels") or 1 + each["gaps"] for each in self.columns)

    def apply(self, values: Array) -> Array:
        """Inputs (..., K) float32 of values (..., F)."""
        parts = []
        for j, each in enumerate(self.columns):
            x = values[..., j]
            if "labels" in each:
                parts.append(x[..., None] == np.arange(each["labels"]))
                continue
            seen = np.isfinite(x)
            parts.append(np.where(seen, (x - each["centre"]) / each["spread"], 0.0)[..., None])
            if each["gaps"]:
                parts.append(~seen[..., None])
        if not parts:
            return np.zeros((*values.shape[:-1], 0), np.float32)
        return np.concatenate([part.astype(np.float32) for part in parts], axis=-1)
