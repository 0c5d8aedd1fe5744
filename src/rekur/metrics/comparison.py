"""Comparison of a model with baselines on the same rows: scores, a paired test and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from rekur.core import Array

__all__ = ["Comparison", "mcnemar", "paired_bootstrap", "ratio"]

Total: TypeAlias = Callable[[Array], Array]
"""Sums of row statistics (R, k) to scores (R,)."""

LEVEL = 0.05
"""Largest p-value of a significant difference."""

MIN_ROWS = 10
"""Rows below which a bootstrap, whose p-values are then too small, decides nothing."""

RESAMPLES = 1000
"""Resamples of a bootstrap."""

CHUNK = 20
"""Resamples that are drawn at once."""


def ratio(sums: Array) -> Array:
    """Quotient of two sums, the score of most row statistics: accuracy, F1, error rates, means.

    Parameters
    ----------
    sums : (R, 2) float
        Sums of numerators and denominators over rows.

    Returns
    -------
    (R,) float
        0 where the denominator is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rekur.metrics import ratio
    >>> ratio(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [0.75, 0.0]
    """
    quotients: Array = np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] != 0)
    return quotients


def mcnemar(first: Array, second: Array) -> float:
    """P-value of McNemar's exact test: whether two models make equally many errors on the same rows.

        p = min(1, 2·Σ_{i ≤ min(n₁, n₂)} binomial(n₁ + n₂, i) / 2^(n₁ + n₂))

    where n₁ rows are right by the first model alone and n₂ by the second alone.

    Parameters
    ----------
    first, second : (n,) bool
        Whether each row is right.

    Returns
    -------
    float
        1 if all rows agree.

    References
    ----------
    Q. McNemar, 1947, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12.

    Examples
    --------
    >>> import numpy as np
    >>> from rekur.metrics import mcnemar
    >>> mcnemar(np.array([True] * 6), np.array([False] * 5 + [True]))
    0.0625
    """
    one, two = int((first & ~second).sum()), int((second & ~first).sum())
    n = one + two
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2)
        for i in range(min(one, two) + 1)
    ]
    return float(min(1.0, 2 * math.fsum(math.exp(value) for value in logs)))


def paired_bootstrap(first: Array, second: Array, total: Total = ratio, random_state: int = 0) -> float:
    """P-value of the difference between the scores of two models on the same rows, by the paired bootstrap.

        p = min(1, 2·(1 + min(#{d_r ≤ 0}, #{d_r ≥ 0})) / (1 + R))

    where d_r is the difference of the scores on the r-th of R = 1,000 resamples of the rows with replacement.

    Parameters
    ----------
    first, second : (n, k) float
        Statistics of each row by each model, such as errors and words.
    total : callable, default `ratio`
        Sums of the statistics (R, k) to scores (R,).
    random_state : int, default 0
        Seed of the resamples.

    Returns
    -------
    float
        Above 0; 1 if the scores are equal on every resample.

    References
    ----------
    B. Efron, R. J. Tibshirani, 1993, "An introduction to the bootstrap", chapter 15 · P. Koehn, 2004, "Statistical
    significance tests for machine translation evaluation", EMNLP.

    Examples
    --------
    >>> import numpy as np
    >>> from rekur.metrics import paired_bootstrap
    >>> errors, words = np.arange(50) % 3, np.full(50, 9)
    >>> better, worse = np.stack([errors, words], 1), np.stack([errors + 1, words], 1)
    >>> paired_bootstrap(better, worse) < 0.01, paired_bootstrap(better, better)
    (True, 1.0)
    """
    n = len(first)
    generator = np.random.default_rng(random_state)
    at_most = at_least = 0
    for _ in range(RESAMPLES // CHUNK):
        counts = generator.multinomial(n, np.full(n, 1 / n), size=CHUNK).astype(float)
        difference = total(counts @ first) - total(counts @ second)
        at_most, at_least = at_most + int((difference <= 0).sum()), at_least + int((difference >= 0).sum())
    return min(1.0, 2 * (1 + min(at_most, at_least)) / (1 + RESAMPLES))


@dataclass(frozen=True)
class Comparison:
    """Scores of a model and of baselines on the same rows, and the verdict.

    Parameters
    ----------
    scores : mapping of str to float
        Scores of the model, and of the first baseline with `baseline_` before their names.
    score : str
        Name of the score that decides.
    model : (n, k) float
        Statistics of each row from which the deciding score of the model follows.
    baselines : mapping of str to (n, k) float
        The same of each baseline, by its name.
    total : callable, default `ratio`
        Sums of the statistics (R, k) to scores (R,).
    less_is_better : bool, default False
        Whether the deciding score is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from rekur.metrics import Comparison
    >>> right, ones = np.arange(200) % 10 > 0, np.ones(200)
    >>> baselines = {"most frequent label": np.stack([np.arange(200) % 2, ones], 1)}
    >>> print(Comparison({}, "accuracy", np.stack([right, ones], 1), baselines).verdict())
    accuracy 0.9 on 200 rows: better than the baseline, most frequent label (0.5, p < 0.001)
    """

    scores: Mapping[str, float]
    score: str
    model: Array = field(repr=False)
    baselines: Mapping[str, Array] = field(repr=False)
    total: Total = field(default=ratio, repr=False)
    less_is_better: bool = False

    def __str__(self) -> str:
        return self.verdict()

    @property
    def baseline_name(self) -> str:
        """Name of the baseline whose scores are among `scores`: the first."""
        return next(iter(self.baselines))

    def values(self) -> dict[str, float]:
        """Deciding score of each baseline, the best one first.

        Returns
        -------
        dict of str to float
            By the names of the baselines.
        """
        values = {name: self._value(rows) for name, rows in self.baselines.items()}
        return dict(sorted(values.items(), key=lambda pair: pair[1] if self.less_is_better else -pair[1]))

    def p_value(self, baseline: str) -> float:
        """P-value of the difference between model and baseline.

        Parameters
        ----------
        baseline : str
            Name of the baseline.

        Returns
        -------
        float
            From McNemar's test where rows are right or wrong, from a paired bootstrap otherwise.
        """
        other = self.baselines[baseline]
        if self._is_exact(baseline):
            return mcnemar(self.model[:, 0] == 1, other[:, 0] == 1)
        return paired_bootstrap(self.model, other, self.total)

    def outcome(self) -> str:
        """The model against the best baseline: "better", "worse", "close" or "equal".

        Returns
        -------
        str
            "equal" on every row, "close" where the difference has a p-value above 0.05 or, unless rows are right or
            wrong, there are fewer than ten of them.

        Examples
        --------
        >>> import numpy as np
        >>> from rekur.metrics import Comparison
        >>> rows = np.ones((9, 2))
        >>> Comparison({}, "accuracy", rows, {"most frequent label": rows}).outcome()
        'equal'
        """
        best, p = self._best
        if np.array_equal(self.model, self.baselines[best]):
            return "equal"
        if p > LEVEL or self._too_few(best):
            return "close"
        better = (self._value(self.model) < self._value(self.baselines[best])) == self.less_is_better
        return "better" if better else "worse"

    def verdict(self) -> str:
        """One sentence: the score, and whether it is better or worse than the best baseline or too close to call.

        A difference with a p-value above 0.05 is too close to call. Fewer than ten rows that are not right or wrong are
        too few for a p-value.
        """
        value, values = self._value(self.model), self.values()
        best, *others = values
        kind = "the best baseline" if others else "the baseline"
        rest = "".join(f"; {name} {values[name]:.4g}" for name in others)
        start = f"{self.score.replace('_', ' ')} {value:.4g} on {len(self.model):,} rows"
        outcome = self.outcome()
        if outcome == "equal":
            return f"{start}: equal to {kind}, {best}, on every row{rest}"
        if self._too_few(best):
            return f"{start}: too few rows for a verdict against {kind}, {best} ({values[best]:.4g}){rest}"
        _, p = self._best
        against = f"{kind}, {best} ({values[best]:.4g}, {'p < 0.001' if p < 0.001 else f'p = {p:.2g}'})"
        if outcome == "close":
            return f"{start}: too close to call against {against}{rest}"
        return f"{start}: {outcome} than {against}{rest}" + (f"; use {best}" if outcome == "worse" else "")

    def _is_exact(self, baseline: str) -> bool:
        """Whether the rows of model and baseline are right or wrong, so that McNemar's exact test compares them."""
        return self.total is ratio and all(_right_or_wrong(rows) for rows in (self.model, self.baselines[baseline]))

    def _too_few(self, baseline: str) -> bool:
        """Whether there are too few rows for the p-value of a bootstrap."""
        return len(self.model) < MIN_ROWS and not self._is_exact(baseline)

    @cached_property
    def _best(self) -> tuple[str, float]:
        """The best baseline, and the p-value of the difference between it and the model."""
        best = next(iter(self.values()))
        return best, self.p_value(best)

    def _value(self, rows: Array) -> float:
        return float(self.total(rows.sum(axis=0, dtype=float)[None])[0])


def _right_or_wrong(rows: Array) -> bool:
    """Whether statistics (n, 2) are zeros and ones over ones."""
    return rows.shape[1] == 2 and bool((rows[:, 1] == 1).all() and np.isin(rows[:, 0], (0, 1)).all())
