"""Prediction intervals of a baseline from its errors on the past."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from rekur.baselines.simple import Fit, carried_forward, shift
from rekur.core import Array

__all__ = ["forecast_quantiles"]

_MAX_STEPS = 24  # steps ahead at which the mean error is measured
_NORMAL_WEIGHT = 100.0  # errors of a sample that count as much as the normal distribution
_PRIOR_WEIGHT = 5.0  # errors, per step ahead, that count as much as the growth of a random walk


def _error_quantiles(errors: Array, levels: Array) -> Array:
    """Return quantiles (b, Q) of errors (b, n) of mean size 1: those of the sample, shrunk to the normal distribution.

    The median is 0 and no level crosses it, so that the level 0.5 is the point forecast.
    """
    ordered = np.sort(errors, axis=1)  # NaN comes last
    n = (~np.isnan(errors)).sum(axis=1, keepdims=True)  # (b, 1)
    last = np.maximum(n - 1, 0)
    position = np.clip(levels * (n + 1) - 1, 0, last)  # (b, Q)
    low = position.astype(np.intp)
    a = np.take_along_axis(ordered, low, axis=1)
    c = np.take_along_axis(ordered, np.minimum(low + 1, last), axis=1)
    sample = np.where(n > 0, a + (position - low) * (c - a), 0.0)
    normal = np.sqrt(np.pi / 2) * np.array([NormalDist().inv_cdf(p) for p in levels])
    mixed = (n * sample + _NORMAL_WEIGHT * normal) / (n + _NORMAL_WEIGHT)
    below, above = np.minimum(mixed, 0.0), np.maximum(mixed, 0.0)
    return np.asarray(np.where(levels < 0.5, below, above) * (levels != 0.5))


def forecast_quantiles(fit: Fit, levels: Array) -> Array:
    """Return quantiles (b, h, Q): the point forecast plus the error size k steps ahead times quantiles of unit errors.

        size_k = (n_k·mean|e_k| + 5k·size_{k-1}·√(k/(k-1))) / (n_k + 5k)

    where e_k are the n_k errors of the forecasts made k steps ahead on the past. Few errors, and overlapping ones at
    long horizons, are thus shrunk to the growth of a random walk. All sizes are multiplied by 1 + 3/n_1, since the
    method was fitted to the same values. Of a long horizon 24 steps k are measured, with the measured step before in
    place of k-1; the sizes between them are interpolated. Without any error one step ahead, as of seasonal naive before
    the end of the first season, those of naive take their place.
    """
    b, h = fit.point.shape
    steps = np.unique(np.linspace(1, h, min(h, _MAX_STEPS)).round().astype(int))
    size, sizes, unit_errors, previous = np.zeros(b), np.empty((b, len(steps))), list[Array](), 1
    correction = 1.0 + 3.0 / np.maximum((~np.isnan(fit.past)).sum(axis=1) - 1, 1)  # (b,)
    for j, k in enumerate(steps):
        error = fit.past - fit.ahead(k)
        observed = ~np.isnan(error)
        if k == 1 and not observed.any(axis=1).all():
            of_naive = fit.past - shift(carried_forward(fit.past), 1)
            error = np.where(observed.any(axis=1, keepdims=True), error, of_naive)
            observed = ~np.isnan(error)
        n = observed.sum(axis=1)
        mean = np.where(observed, np.abs(error), 0.0).sum(axis=1) / np.maximum(n, 1)
        prior = 0.0 if k == 1 else _PRIOR_WEIGHT * k
        size = (n * mean + prior * size * np.sqrt(k / previous)) / np.maximum(n + prior, 1)
        sizes[:, j], previous = size * correction, k
        if j in (0, len(steps) // 2, len(steps) - 1):
            unit_errors.append(error / np.where(mean > 0, mean, 1.0)[:, None])
    quantiles = _error_quantiles(np.concatenate(unit_errors, axis=1), levels)
    interpolation = np.stack([np.interp(np.arange(1, h + 1), steps, unit) for unit in np.eye(len(steps))])  # (steps, h)
    q = fit.point[:, :, None] + (sizes @ interpolation)[:, :, None] * quantiles[:, None, :]  # (b, h, Q)
    return q if fit.undo is None else fit.undo(q.reshape(b, -1)).reshape(q.shape)
