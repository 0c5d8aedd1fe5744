"""Comparison of forecasts on the same windows: a mean and its standard error, where windows are correlated in clusters.

W windows · G clusters · values (W,) scores, or differences of scores, of each window · clusters (W,) their labels
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import DataError

__all__ = ["ClusteredMean", "clustered_mean", "student_t"]

INTEGRATION_STEPS = 100_001
"""Points of the integral of the density of Student's t."""


@dataclass(frozen=True)
class ClusteredMean:
    """Mean of scores with a standard error that counts clusters of windows as independent.

    Parameters
    ----------
    mean : float
        Mean over the windows; NaN without any.
    error : float
        Standard error of the mean; infinite with fewer than two clusters.
    clusters : int
        Number of clusters, G.

    Examples
    --------
    >>> from rekur.metrics import ClusteredMean
    >>> ClusteredMean(-0.2, 0.05, 6).is_significant
    True
    """

    mean: float
    error: float
    clusters: int

    @property
    def is_significant(self) -> bool:
        """Whether the mean differs from zero in a two-sided t test at 5 %; False with fewer than two clusters."""
        return self.exceeds(0.975)

    def exceeds(self, level: float) -> bool:
        """Whether the size of the mean lies beyond a quantile of Student's t; False with fewer than two clusters."""
        return self.clusters > 1 and abs(self.mean) > student_t(level, self.clusters - 1) * self.error

    @property
    def t(self) -> float:
        """Size of the mean in standard errors, |mean| / error; infinite where the error is zero."""
        return abs(self.mean) / self.error if self.error > 0 else np.inf


def clustered_mean(values: ArrayLike, clusters: ArrayLike) -> ClusteredMean:
    """Mean of values, with the standard error of clusters.

        error = √(G/(G - 1) · Σ_g (Σ_{w in g} (x_w - x̄))²) / W

    where x_w are the values of W windows, x̄ is their mean, and g runs over G clusters. Windows of one time, which the
    same event moves, belong to one cluster. NaN values are left out.

    Parameters
    ----------
    values : (W,) array-like
        Score, or difference of two scores, of each window.
    clusters : (W,) array-like
        Label of the cluster of each window.

    Returns
    -------
    ClusteredMean

    Raises
    ------
    DataError
        If the shapes differ.

    References
    ----------
    K. Liang, S. Zeger, 1986, "Longitudinal data analysis using generalized linear models", Biometrika 73.

    Examples
    --------
    >>> from rekur.metrics import clustered_mean
    >>> round(clustered_mean([1.0, 3.0, 1.0, 3.0], clusters=[0, 1, 2, 3]).error, 3)
    0.577
    >>> clustered_mean([1.0, 3.0, 1.0, 3.0], clusters=[0, 0, 1, 1]).error
    0.0
    """
    x, labels = np.asarray(values, np.float64), np.asarray(clusters)
    if x.ndim != 1 or x.shape != labels.shape:
        raise DataError(f"values {x.shape} and clusters {labels.shape} must both have the shape (windows,)")
    known = ~np.isnan(x)
    x, labels = x[known], labels[known]
    if not len(x):
        return ClusteredMean(float("nan"), float("inf"), 0)
    _, number = np.unique(labels, return_inverse=True)
    sums = np.bincount(number, x - x.mean())
    G = len(sums)
    error = float(np.sqrt(np.square(sums).sum() * G / (G - 1))) / len(x) if G > 1 else float("inf")
    return ClusteredMean(float(x.mean()), error, G)


@cache
def student_t(level: float, freedom: int) -> float:
    """Quantile of Student's t, to five digits.

        level = 1/2 + 1/2·∫₀^θ cos(φ)^(ν - 1) dφ / ∫₀^π/2 cos(φ)^(ν - 1) dφ,  t = √ν·tan θ

    where ν are the degrees of freedom; the integrals are sums of trapezoids.

    Parameters
    ----------
    level : float
        Level of the quantile, from 0.5 to below 1.
    freedom : int
        Degrees of freedom ν, from 1 on.

    Returns
    -------
    float

    References
    ----------
    Student, 1908, "The probable error of a mean", Biometrika 6.

    Examples
    --------
    >>> from rekur.metrics import student_t
    >>> [round(student_t(0.975, ν), 3) for ν in (1, 5, 1000)]
    [12.706, 2.571, 1.962]
    """
    angle = np.linspace(0.0, np.pi / 2, INTEGRATION_STEPS)
    density = np.cos(angle) ** (freedom - 1)
    integral = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(np.sqrt(freedom) * np.tan(np.interp((level - 0.5) * 2 * integral[-1], integral, angle)))
