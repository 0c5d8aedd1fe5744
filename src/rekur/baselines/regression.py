"""Dynamic regression: a regression on covariates known for the future, whose errors exponential smoothing forecasts.

b series · T time · h horizon · F columns of trend and season · K covariates · R smoothing rates · P penalties
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rekur.baselines.simple import Fit
from rekur.baselines.smoothing import smoothing, stabilized
from rekur.core import Array

__all__ = ["RegressionMoments", "common_coefficients", "regression"]

_RATES = (0.02, 0.1, 0.3, 0.6, 0.95)
_PENALTIES = 10.0 ** np.arange(-3, 4)  # λ: variance of an innovation in units of that of a coefficient
_MAX_HARMONICS = 6
_LINE_UNIT = 1024.0  # steps
_RIDGE = 1e-9
_NEAR_ZERO = 1e-300


def _trend_and_season(z: Array, seasons: Sequence[int]) -> tuple[Array, Array]:
    """Return columns (T, F) of a line and of harmonics of the seasons, and which of them each row of z has, (b, F).

    A row has those of a season if it goes through it twice or more.
    """
    b, T = z.shape
    t, rows = np.arange(T) - T, T - (~np.isnan(z)).argmax(axis=1)
    columns, used = [np.ones(T), t / _LINE_UNIT], [np.ones(b, bool), np.ones(b, bool)]
    for m in seasons:
        for k in range(1, min(m // 2, _MAX_HARMONICS) + 1 if 1 < m <= T // 2 else 1):
            angle = 2 * np.pi * k * t / m
            waves = [np.cos(angle), np.sin(angle)] if 2 * k < m else [np.cos(angle)]
            columns, used = [*columns, *waves], [*used, *(rows >= 2 * m for _ in waves)]
    return np.stack(columns, axis=1), np.stack(used, axis=1)


def _innovations(columns: Array, observed: Array, rate: float) -> Array:
    """Return errors (T, b, C) of exponential smoothing of columns (T, b, C) from 0 on; 0 where not observed (T, b).

    e_t = z_t - l_{t-1},  l_t = l_{t-1} + α·e_t
    """
    level, out = np.zeros(columns.shape[1:]), np.empty_like(columns)
    counted = observed.astype(np.float64)[..., None]
    for t, e in enumerate(out):
        np.subtract(columns[t], level, out=e)
        e *= counted[t]
        level += rate * e
    return out


@dataclass(frozen=True)
class RegressionMoments:
    """Second moments of the innovations of values and covariates, less trend and season, for each smoothing rate.

    Parameters
    ----------
    xx, xy, yy : np.ndarray
        Sums of products, shapes (R, b, K, K), (R, b, K) and (R, b).
    degrees : np.ndarray
        Observed values less columns of trend and season, 1 or more, shape (b,).
    log_det : np.ndarray
        Logarithm of the determinant of the moments of trend and season, shape (R, b).
    """

    xx: Array
    xy: Array
    yy: Array
    degrees: Array
    log_det: Array

    @classmethod
    def of(cls, z: Array, x: Array, seasons: Sequence[int]) -> RegressionMoments:
        """Compute the moments of values z (b, T), NaN where missing, and covariates x (b, T, K)."""
        (fixed, used), observed = _trend_and_season(z, seasons), ~np.isnan(z).T
        F = fixed.shape[1]
        columns = np.empty((*z.T.shape, F + x.shape[2] + 1))
        np.multiply(fixed[:, None], used, out=columns[..., :F])
        columns[..., F:-1], columns[..., -1] = x.swapaxes(0, 1), np.nan_to_num(z.T)
        products = []
        for rate in _RATES:
            e = _innovations(columns, observed, rate).swapaxes(0, 1)
            products.append(e.swapaxes(1, 2) @ e)
        G = np.stack(products)  # (R, b, F+K+1, F+K+1)
        A = G[..., :F, :F]
        size = np.trace(A, axis1=-2, axis2=-1)[..., None, None]
        A = A + np.eye(F) * np.where(used, _RIDGE * (size[..., 0] + _RIDGE), 1.0)[..., None, :]
        rest = G[..., F:, F:] - G[..., F:, :F] @ np.linalg.solve(A, G[..., :F, F:])
        yy = np.maximum(rest[..., -1, -1], _NEAR_ZERO)
        degrees = np.maximum(observed.sum(axis=0) - used.sum(axis=1), 1)
        return cls(rest[..., :-1, :-1], rest[..., :-1, -1], yy, degrees, np.linalg.slogdet(A)[1])

    def coefficients(self, prior: Array) -> tuple[Array, Array, Array]:
        """Return coefficients (b, K), and rate and variance (b,) of the most probable innovations.

            β ~ N(prior, σ²/λ),  e^z ~ N(e^x·β, σ²)

        The posterior means are averaged over rates and penalties λ, and no change of the prior (K,), with weights by
        the likelihood of the innovations, over which trend, season and σ are integrated or maximised.
        """
        yy = self.yy - 2 * self.xy @ prior + np.einsum("k,rbkl,l->rb", prior, self.xx, prior)
        yy = np.maximum(yy, _RIDGE * self.yy)
        values, vectors = np.linalg.eigh(self.xx)
        d = np.maximum(values, 0.0)[..., None]  # (R, b, K, 1)
        c = np.einsum("rbkj,rbk->rbj", vectors, self.xy - self.xx @ prior)[..., None]
        mean = c / (d + _PENALTIES)  # (R, b, K, P)
        squares = np.maximum(yy[..., None] - (c * mean).sum(axis=2), _RIDGE * self.yy[..., None])  # (R, b, P)
        squares = np.concatenate([squares, yy[..., None]], axis=2)
        shrinkage = np.pad(np.log1p(d / _PENALTIES).sum(axis=2), ((0, 0), (0, 0), (0, 1)))
        log = -0.5 * (self.degrees[:, None] * np.log(squares) + shrinkage + self.log_det[..., None])
        w = np.exp(log - log.max(axis=(0, 2), keepdims=True))  # (R, b, P+1)
        w /= w.sum(axis=(0, 2), keepdims=True)
        change = np.einsum("rbkj,rbj->bk", vectors, (mean * w[:, :, None, :-1]).sum(axis=3))
        best, rows = w.max(axis=2).argmax(axis=0), np.arange(len(self.degrees))
        variance = squares[best, rows, w[best, rows].argmax(axis=1)] / self.degrees
        return prior + change, best, variance


def common_coefficients(moments: Iterable[RegressionMoments], width: int) -> Array:
    """Return the coefficients (K,) that all series share, shrunk to 0, from the moments of groups of series.

    Each series counts by the variance of its innovations.
    """
    xx, xy, variances = np.zeros((width, width)), np.zeros(width), list[Array]()
    for each in moments:
        _, rate, variance = each.coefficients(np.zeros(width))
        rows = np.arange(len(rate))
        xx += np.einsum("b,bkl->kl", 1 / variance, each.xx[rate, rows])
        xy += np.einsum("b,bk->k", 1 / variance, each.xy[rate, rows])
        variances.append(variance)
    if not sum(map(len, variances)):
        return np.zeros(width)
    unit = float(np.median(np.concatenate(variances)))
    values, vectors = np.linalg.eigh(unit * xx)
    d, c = np.maximum(values, 0.0)[:, None], (vectors.T @ (unit * xy))[:, None]
    mean = c / (d + _PENALTIES)  # (K, P)
    log = 0.5 * ((c * mean).sum(axis=0) / unit - np.log1p(d / _PENALTIES).sum(axis=0))
    w = np.exp(log - log.max())
    return np.asarray(vectors @ (mean @ (w / w.sum())))


def regression(y: Array, seasons: Sequence[int], horizon: int, covariates: Array, prior: Array) -> Fit:
    """Regression on covariates with errors of exponential smoothing.

        z_t = x_t·β + η_t,  η forecast by `smoothing`

    where z is y or, without negative values, √y. β is estimated from innovations: the errors of exponential smoothing
    of z, of each covariate, and of trend and season, by which all are regressed first. That is least squares for errors
    η that are a random walk with noise around trend and season. η is forecast with the main season and with all.

    Parameters
    ----------
    y : np.ndarray
        Histories (b, T), NaN where missing.
    seasons : sequence of int
        Season lengths, the main one first.
    horizon : int
        Steps to forecast.
    covariates : np.ndarray
        Values x (b, T + h, K), about of size 1.
    prior : np.ndarray
        Coefficients (K,) that the data of a series change, for series divided by their largest value.

    References
    ----------
    R. J. Hyndman, G. Athanasopoulos, 2021, "Forecasting: principles and practice", third edition, chapter 10; P. de
    Jong, 1991, "The diffuse Kalman filter", Annals of Statistics 19 (regression of innovations).
    """
    z = stabilized(y)[0]
    moments = RegressionMoments.of(z, covariates[:, : y.shape[1]], seasons)
    effects = np.einsum("btk,bk->bt", covariates, moments.coefficients(prior)[0])
    fits = [smoothing(y, used, horizon, effects) for used in dict.fromkeys([tuple(seasons[:1]), tuple(seasons)])]

    def ahead(k: int) -> Array:
        return np.asarray(np.mean([fit.ahead(k) for fit in fits], axis=0))

    return Fit(z, np.asarray(np.mean([fit.point for fit in fits], axis=0)), ahead, fits[0].undo)
