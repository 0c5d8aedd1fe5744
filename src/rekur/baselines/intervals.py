"""Quantiles around a point forecast from the method's own errors in the past."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from rekur.baselines.simple import Fit, Floats

_JUDGED = 24  # steps ahead at which the size of errors is looked at, at most


def _shape(errors: Floats, levels: Floats) -> Floats:
    """Quantiles (b, Q) of errors (b, n) of mean size 1: the sample's, drawn to the normal's where n < 100.

    The median is 0 and no level crosses it, so that the level 0.5 is the point forecast.
    """
    ordered = np.sort(errors, axis=1)  # NaN comes last
    n = (~np.isnan(errors)).sum(axis=1, keepdims=True)  # (b, 1)
    top = np.maximum(n - 1, 0)
    at = np.clip(levels * (n + 1) - 1, 0, top)  # (b, Q)
    low = at.astype(np.intp)
    a = np.take_along_axis(ordered, low, axis=1)
    c = np.take_along_axis(ordered, np.minimum(low + 1, top), axis=1)
    sample = np.where(n > 0, a + (at - low) * (c - a), 0.0)
    normal = np.sqrt(np.pi / 2) * np.array([NormalDist().inv_cdf(p) for p in levels])
    mixed = (n * sample + 100.0 * normal) / (n + 100.0)
    below, above = np.minimum(mixed, 0.0), np.maximum(mixed, 0.0)
    return np.asarray(np.where(levels < 0.5, below, above) * (levels != 0.5))


def spread(fit: Fit, levels: Floats) -> Floats:
    """Quantiles (b, h, Q): the point forecast plus the size of the errors k steps ahead times their shape.

        size_k = (n_k·mean|e_k| + 5k·size_{k-1}·√(k/(k-1))) / (n_k + 5k)

    where e_k are the n_k errors the method made k steps ahead in the past. Few errors, and overlapping ones far
    ahead, thus lean on the growth of a random walk. All sizes are widened by 1 + 3/n_1, since the errors are
    those of a method fitted to the same values. Of a long horizon some steps k are judged, with the one judged
    before in place of k-1; the sizes between them lie on a line.
    """
    b, h = fit.point.shape
    steps = np.unique(np.linspace(1, h, min(h, _JUDGED)).round().astype(int))
    size, sizes, standard, before = np.zeros(b), np.empty((b, len(steps))), [], 1
    wide = 1.0 + 3.0 / np.maximum((~np.isnan(fit.past)).sum(axis=1) - 1, 1)  # (b,)
    for j, k in enumerate(steps):
        error = fit.past - fit.ahead(k)
        seen = ~np.isnan(error)
        n = seen.sum(axis=1)
        mean = np.where(seen, np.abs(error), 0.0).sum(axis=1) / np.maximum(n, 1)
        prior = 0.0 if k == 1 else 5.0 * k
        size = (n * mean + prior * size * np.sqrt(k / before)) / np.maximum(n + prior, 1)
        sizes[:, j], before = size * wide, k
        if j in (0, len(steps) // 2, len(steps) - 1):
            standard.append(error / np.where(mean > 0, mean, 1.0)[:, None])
    shape = _shape(np.concatenate(standard, axis=1), levels)
    lines = np.stack([np.interp(np.arange(1, h + 1), steps, unit) for unit in np.eye(len(steps))])  # (steps, h)
    q = fit.point[:, :, None] + (sizes @ lines)[:, :, None] * shape[:, None, :]  # (b, h, Q)
    return q if fit.undo is None else fit.undo(q.reshape(b, -1)).reshape(q.shape)
