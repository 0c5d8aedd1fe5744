"""Sample paths of a forecast: quantiles of single steps joined by the ranks of past errors (Schaake shuffle)."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from rekur.core import Array

MAX_TEMPLATES = 300
"""Held-out windows whose ranks are kept, at most."""

GRID_SIZE = 4096
"""Values of the standard normal distribution that ranks are rounded to."""

MAX_VALUES = 30_000
"""Values of paths that are computed at a time, about."""


def rank_template(q: Array, actual: Array) -> Array:
    """Ranks of held-out values among one another at each step, each within its own forecast; (W, h) in (0, 1).

    Parameters
    ----------
    q : np.ndarray
        Rising quantiles of held-out windows, shape (n, h, Q).
    actual : np.ndarray
        Held-out values, shape (n, h). Windows with a missing value are left out.

    Returns
    -------
    np.ndarray
        Each column holds the ranks 1/2W, 3/2W, … in some order: the dependence of the errors and nothing else.
    """
    complete = np.flatnonzero(np.isfinite(actual).all(axis=1) & np.isfinite(q).all(axis=(1, 2)))
    complete = complete[:: max(1, -(-len(complete) // MAX_TEMPLATES))]
    q, actual = q[complete], actual[complete][..., None]
    below = (q <= actual).sum(axis=-1)  # (W, h), quantiles that the value exceeds
    low = np.take_along_axis(q, np.maximum(below - 1, 0)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(q, np.minimum(below, q.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    width = q[..., -1] - q[..., 0]
    outside = np.where(below == 0, actual[..., 0] - q[..., 0], actual[..., 0] - q[..., -1])
    between = (actual[..., 0] - low) / np.where(high > low, high - low, 1.0)
    inner = (below > 0) & (below < q.shape[-1])
    position = below + np.where(inner, between, np.tanh(outside / np.where(width > 0, width, 1.0)))
    order = position.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return np.asarray((order + 0.5) / max(len(complete), 1))


def random_walk_template(n: int, h: int) -> Array:
    """Ranks (n, h) of random walks, for forecasts without held-out windows."""
    z = np.random.default_rng(0).normal(size=(n, h)).cumsum(axis=1)
    return np.asarray((z.argsort(axis=0).argsort(axis=0) + 0.5) / n)


def draw_paths(q: Array, levels: tuple[float, ...], template: Array, n: int, seed: int) -> Iterator[Array]:
    """Draw n paths of each forecast, some series at a time.

    A path takes the ranks of one held-out window, blurred by 1/W, and reads the quantile of each step at its rank,
    between the levels and beyond them along the normal distribution. Each step has the forecast distribution.

    Parameters
    ----------
    q : np.ndarray
        Quantiles, shape (S, h, Q).
    levels : tuple of float
        Quantile levels, Q.
    template : np.ndarray
        Ranks from `rank_template`, shape (W, h or more).
    n : int
        Number of paths.
    seed : int
        Seed of the random numbers.

    Yields
    ------
    np.ndarray
        Paths of the next series, shape (s, n, h).

    References
    ----------
    M. Clark, S. Gangopadhyay, L. Hay, B. Rajagopalan, R. Wilby, 2004, "The Schaake shuffle", Journal of
    Hydrometeorology 5(1).
    """
    random, normal = np.random.default_rng(seed), NormalDist()
    (S, h, Q), W = q.shape, len(template)
    nodes = np.array([normal.inv_cdf(level) for level in levels])
    grid = np.array([normal.inv_cdf((k + 0.5) / GRID_SIZE) for k in range(GRID_SIZE)])
    right_node = np.clip(np.searchsorted(nodes, grid), 1, Q - 1)  # of each value of the grid
    distance, width = grid - nodes[right_node - 1], nodes[right_node] - nodes[right_node - 1]
    size = max(1, MAX_VALUES // (n * h))
    for first in range(0, S, size):
        series = np.arange(first, min(first + size, S))[:, None, None]
        draws = [(random.permutation(np.arange(n) % W), random.random((n, h))) for _ in series]
        windows, noise = np.stack([w for w, _ in draws]), np.stack([u for _, u in draws])  # (s, n), (s, n, h)
        u = template[windows, :h] + (noise - 0.5) / W  # (s, n, h) in (0, 1)
        k = np.clip((u * GRID_SIZE).astype(int), 0, GRID_SIZE - 1)
        right = right_node[k]
        low, high = q[series, np.arange(h), right - 1], q[series, np.arange(h), right]
        yield low + (high - low) * distance[k] / width[k]


def whole_numbers(values: Array) -> Array:
    """Values rounded to counts, halves up; negative ones are 0."""
    return np.asarray(np.maximum(np.floor(values + 0.5), 0.0))
