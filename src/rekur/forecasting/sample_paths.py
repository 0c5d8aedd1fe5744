"""Sample paths: whole trajectories whose steps hang together as the errors did on the windows held out."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from rekur.core import Array

KEPT = 300  # windows held out whose errors are remembered


def ranks(q: Array, actual: Array) -> Array:
    """How the values of windows stood among one another at each step, each in its own forecast, (W, h) in (0, 1).

    q (n, h, Q) rising quantiles · actual (n, h). Windows with a value missing are left out. Each column holds the
    ranks 1/2W, 3/2W, … in some order: what is kept of the errors is their dependence alone.
    """
    whole = np.flatnonzero(np.isfinite(actual).all(axis=1) & np.isfinite(q).all(axis=(1, 2)))
    whole = whole[:: max(1, -(-len(whole) // KEPT))]
    q, actual = q[whole], actual[whole][..., None]
    below = (q <= actual).sum(axis=-1)  # (W, h), quantiles that the value exceeds
    low = np.take_along_axis(q, np.maximum(below - 1, 0)[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(q, np.minimum(below, q.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    width = q[..., -1] - q[..., 0]
    outside = np.where(below == 0, actual[..., 0] - q[..., 0], actual[..., 0] - q[..., -1])
    between = (actual[..., 0] - low) / np.where(high > low, high - low, 1.0)
    inner = (below > 0) & (below < q.shape[-1])
    place = below + np.where(inner, between, np.tanh(outside / np.where(width > 0, width, 1.0)))
    order = place.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return np.asarray((order + 0.5) / max(len(whole), 1))


def walk(n: int, h: int) -> Array:
    """The ranks (n, h) of random walks, where nothing was held out."""
    z = np.random.default_rng(0).normal(size=(n, h)).cumsum(axis=1)
    return np.asarray((z.argsort(axis=0).argsort(axis=0) + 0.5) / n)


def draw(q: Array, levels: tuple[float, ...], dependence: Array, n: int, seed: int) -> Array:
    """Draw n paths of each forecast, (S, n, h), from quantiles q (S, h, Q) and ranks (W, h).

    A path takes the ranks of one window, blurred by 1/W, and reads the quantile of each step at its rank, between the
    levels and beyond them along the normal distribution. Each step of the paths has the forecast distribution.

    Source of the reordering: M. Clark et al., 2004, "The Schaake shuffle", Journal of Hydrometeorology 5(1).
    """
    random, normal = np.random.default_rng(seed), NormalDist()
    S, h, Q = q.shape
    at = np.array([normal.inv_cdf(level) for level in levels])
    grid = np.array([normal.inv_cdf((k + 0.5) / 4096) for k in range(4096)])
    out, steps = np.empty((S, n, h)), np.arange(h)
    for s in range(S):
        windows = random.permutation(np.arange(n) % len(dependence))
        u = dependence[windows, :h] + (random.random((n, h)) - 0.5) / len(dependence)  # (n, h) in (0, 1)
        z = grid[np.clip((u * 4096).astype(int), 0, 4095)]
        right = np.clip(np.searchsorted(at, z), 1, Q - 1)
        low, high = q[s, steps, right - 1], q[s, steps, right]
        out[s] = low + (high - low) * (z - at[right - 1]) / (at[right] - at[right - 1])
    return out
