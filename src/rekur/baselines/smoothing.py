"""Exponential smoothing: seasonal adjustment, then the mean of Theta and damped trend smoothing, averaged over rates.

b series · T time · h horizon · P smoothing rates · K scored horizons · m season · n seasons
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rekur.baselines.simple import Fit, fold, shift
from rekur.core import Array

__all__ = ["smoothing", "stabilized"]

_POWER = 0.5  # series without negative values are smoothed as √y, which stabilises the variance of counts
# γ: no season, the mean of all seasons, ..., the last season
_SEASON_RATES = (None, 0.0, 0.1, 0.25, 0.5, 1.0)
_THETA = [(α, 0.0, 1.0) for α in (0.03, 0.1, 0.25, 0.5, 0.75, 0.99)]
_HOLT = [(α, α * r, φ) for α in (0.05, 0.2, 0.5, 0.9) for r in (0.0, 0.2) for φ in (0.8, 0.9, 1.0)]
_RATES = np.array(_THETA + _HOLT)  # (P, 3) rows of α, β, φ
_METHODS = (slice(0, len(_THETA)), slice(len(_THETA), len(_RATES)))
_NEAR_ZERO = 1e-300


def _is_seasonal(z: Array, m: int) -> Array:
    """Return whether each row of z (b, T) has a season of m steps, (b,) bool.

        |r_m| > 1.28·√((1 + 2·Σ_{i<m} r_i²) / n)  and  n ≥ 3·m

    where r_i is the autocorrelation at lag i and n the number of observations: a two-sided test at 80 %.

    Source: M. S. Bartlett, 1946, "On the theoretical specification and sampling properties of autocorrelated
    time-series", used (with 1.645) by the Theta and Naive2 benchmarks of the M4 competition.
    """
    observed = ~np.isnan(z)
    n = observed.sum(axis=1)
    mean = np.where(observed, z, 0.0).sum(axis=1) / n
    d = np.where(observed, z - mean[:, None], 0.0)
    energy = np.maximum((d * d).sum(axis=1), _NEAR_ZERO)
    r = np.stack([np.einsum("bt,bt->b", d[:, k:], d[:, :-k]) / energy for k in range(1, m + 1)])  # (m, b)
    bound = 1.28 * np.sqrt((1.0 + 2.0 * (r[:-1] ** 2).sum(axis=0)) / n)
    return np.asarray((np.abs(r[-1]) > bound) & (n >= 3 * m))


def _moving_average(z: Array, m: int) -> Array:
    """Return the centred moving average of z (b, T) over one season; NaN at the ends and where half is missing."""
    observed = ~np.isnan(z)
    sums = []
    for x in (np.where(observed, z, 0.0), observed.astype(np.float64)):
        c = np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)
        window = c[:, m:] - c[:, :-m]  # (b, T-m+1)
        sums.append(window if m % 2 else 0.5 * (window[:, 1:] + window[:, :-1]))
    total, count = sums  # (b, T-2·(m//2))
    started = np.arange(total.shape[1]) >= observed.argmax(axis=1)[:, None]
    out = np.full(z.shape, np.nan)
    defined = started & (count > 0.5 * m)
    out[:, m // 2 : z.shape[1] - m // 2] = np.where(defined, total / np.maximum(count, 1.0), np.nan)
    return out


def _model_weights(losses: Array, n: Array, floor: Array) -> Array:
    """Return weights (P, b) of P models from their squared errors, summed over n steps for each of K horizons.

        w ∝ Π_k SSE_k^(-n_k / 2K)

    where losses (K, P, b) are the sums, n (K, b), and floor (b,) is a lower bound of a sum. With K = 1 these are
    Akaike weights of Gaussian models with the same number of parameters.
    """
    log = (0.5 / len(n) * n[:, None] * np.log(np.maximum(losses, floor))).sum(axis=0)  # (P, b)
    w = np.exp(log.min(axis=0) - log)
    return np.asarray(w / w.sum(axis=0))


def _next_season(z: Array, m: int, floor: Array) -> Array:
    """Return the season after the last column, (b, m), of mean zero.

        s ← s + γ_i·(d_i - s),  γ_i = γ / (1 - (1-γ)^i)

    where d_i (b, m) is season i of z less its centred moving average. The rates γ, and no season, are averaged with
    weights by their errors one season ahead. The rate γ_i makes s the weighted mean of all seasons up to i.
    """
    folded = fold(z - _moving_average(z, m), m)  # (b, n, m)
    b = len(z)
    s, loss = np.zeros((len(_SEASON_RATES), b, m)), np.zeros((len(_SEASON_RATES), b))
    count, n = np.zeros((b, m)), np.zeros(b)
    for d in folded.swapaxes(0, 1):
        observed = ~np.isnan(d)
        error = np.where(observed, d - s, 0.0)  # (rates, b, m)
        scored = observed & (count > 0)
        loss += np.where(scored, error * error, 0.0).sum(axis=2)
        n += scored.sum(axis=1)
        count += observed
        i = np.maximum(count, 1.0)
        for j, rate in enumerate(_SEASON_RATES):
            if rate is not None:
                s[j] += error[j] * (rate / (1.0 - (1.0 - rate) ** i) if rate > 0 else 1.0 / i)
    season = np.einsum("pb,pbm->bm", _model_weights(loss[None], n[None], floor), s)
    return np.asarray(season - season.mean(axis=1, keepdims=True))


def _slope(z: Array) -> Array:
    """Return the slope of the least squares line of each row, (b,); 0 for a row of one observation."""
    observed = ~np.isnan(z)
    n = np.maximum(observed.sum(axis=1, keepdims=True), 1)
    t = np.arange(z.shape[1]) - (z.shape[1] - 1.0)
    time = np.where(observed, t - (observed * t).sum(axis=1, keepdims=True) / n, 0.0)
    value = np.where(observed, z - np.where(observed, z, 0.0).sum(axis=1, keepdims=True) / n, 0.0)
    return np.asarray((time * value).sum(axis=1) / np.maximum((time * time).sum(axis=1), _NEAR_ZERO))


def _damped_sum(φ: Array, k: int) -> Array:
    """Return φ + φ² + ... + φ^k, the factor of a damped slope k steps ahead."""
    gap = np.maximum(1.0 - φ, 1e-9)
    return np.asarray(np.where(φ < 1.0 - 1e-9, φ * (1.0 - φ**k) / gap, float(k)))


def _holt(
    z: Array, rates: Array, start: Array, scored: Sequence[int] = (), path: Array | None = None
) -> tuple[Array, Array, Array]:
    """Damped trend smoothing of all rows with all rates: last level, slope (P, b), squared errors (K, P, b).

        f = l + φ·b,   e = z_t - f,   l ← f + α·e,   b ← φ·b + β·e

    where rates (3, P, b or 1) hold α, β, φ, start (b,) is the first slope, and e = 0 for a missing value. The squared
    errors are of forecasts k steps ahead for each k in scored; path (2, T, P, b) receives all levels and slopes.
    """
    α, β, φ = rates
    observed = ~np.isnan(z).T  # (T, b)
    first, value = observed.argmax(axis=0), np.where(observed, z.T, 0.0)  # (b,), (T, b)
    age = np.arange(len(value))[:, None] - first  # (T, b)
    counted = [(observed & (age >= k)).astype(np.float64) for k in (1, *scored)]  # 1 where an error counts, else 0
    level, slope, f, e = (np.zeros((len(α), len(z))) for _ in range(4))
    forecasts = [np.zeros((k, len(α), len(z))) for k in scored]  # the last k of those made k steps ahead
    factors = [_damped_sum(φ, k) for k in scored]
    losses = np.zeros((len(scored), len(α), len(z)))
    starts = np.isin(np.arange(len(value)), first)
    for t in range(first.min(), len(value)):
        for i, k in enumerate(scored):
            np.subtract(value[t], forecasts[i][t % k], out=e)
            e *= counted[i + 1][t]
            losses[i] += np.multiply(e, e, out=e)
        slope *= φ
        np.add(level, slope, out=f)
        np.subtract(value[t], f, out=e)
        e *= counted[0][t]
        np.add(f, np.multiply(α, e, out=level), out=level)
        slope += np.multiply(β, e, out=e)
        if starts[t]:
            new = first == t
            level[:, new], slope[:, new] = value[t, new], start[new]
        for i, k in enumerate(scored):
            np.add(np.multiply(factors[i], slope, out=forecasts[i][t % k]), level, out=forecasts[i][t % k])
        if path is not None:
            path[0, t], path[1, t] = level, slope
    return level, slope, losses


def _smooth(z: Array, horizon: int, floor: Array) -> tuple[Array, Callable[[int], Array]]:
    """Return the mean of Theta and damped trend smoothing: point forecasts (b, h) and forecasts of the past.

    Either method averages its rates with weights by their errors 1, h/3 and h steps ahead. Theta is exponential
    smoothing with half the slope of the least squares line as drift. The forecasts of the past come from one run with
    mean rates.
    """
    b, T = z.shape
    scored = sorted({1, max(1, horizon // 3), horizon})
    start, observed = 0.5 * _slope(z), ~np.isnan(z)
    level, slope, losses = _holt(z, _RATES.T[:, :, None], start, scored)
    age = np.arange(T) - observed.argmax(axis=1)[:, None]  # (b, T)
    n = np.array([(observed & (age >= k)).sum(axis=1) for k in scored])  # (K, b)
    mean, point = np.empty((3, 2, b)), np.zeros((b, horizon))
    for i, method in enumerate(_METHODS):
        w = _model_weights(losses[:, method], n, floor)  # (P, b)
        mean[:, i] = _RATES[method].T @ w
        factors = np.stack([_damped_sum(_RATES[method, 2], k) for k in range(1, horizon + 1)])  # (h, P)
        point += 0.5 * ((w * level[method]).sum(axis=0) + factors @ (w * slope[method])).T
    path = np.zeros((2, T, 2, b))
    _holt(z, mean, start, path=path)

    def ahead(k: int) -> Array:
        forecasts = (path[0] + _damped_sum(mean[2], k) * path[1]).mean(axis=1).T  # (b, T)
        return shift(np.where(age >= 0, forecasts, np.nan), k)

    return point, ahead


def stabilized(y: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return z (b, T), y in units of the largest of each row, √ of it for rows without negative values, and y of z."""
    unit = np.fmax.reduce(np.abs(y), axis=1, keepdims=True)
    nonnegative = ~(y < 0).any(axis=1, keepdims=True)  # (b, 1)

    def undo(z: Array) -> Array:
        return np.asarray(unit * np.where(nonnegative, np.maximum(z, 0.0) ** (1.0 / _POWER), z))

    return np.where(nonnegative, np.abs(y / unit) ** _POWER, y / unit), undo


def smoothing(y: Array, seasons: Sequence[int], horizon: int, effects: Array | None = None) -> Fit:
    """Seasonal adjustment, then the mean of Theta and damped trend smoothing, of √y where no value is negative.

    The effects (b, T + h) of covariates on the values of `stabilized`, if there are any, are left out and added again.

    References: V. Assimakopoulos, K. Nikolopoulos, 2000, "The theta model", International Journal of Forecasting
    16, in the form of R. J. Hyndman, B. Billah, 2003, "Unmasking the Theta method", same journal, 19; E. S.
    Gardner, E. McKenzie, 1985, "Forecasting trends in time series", Management Science 31.
    """
    (b, T), (z, undo) = y.shape, stabilized(y)
    known = np.zeros((b, T + horizon)) if effects is None else effects
    floor = 1e-20 * np.where(np.isnan(z), 0.0, z * z).sum(axis=1) + _NEAR_ZERO  # (b,)
    adjusted, season = z - known[:, :T], np.zeros((b, T + horizon))
    for m in seasons:
        if 1 < m <= T // 3:
            rest = adjusted - season[:, :T]
            rows = np.flatnonzero(_is_seasonal(rest, m))
            if rows.size:
                season[rows] += _next_season(rest[rows], m, floor[rows])[:, np.arange(-T, horizon) % m]
    point, ahead = _smooth(adjusted - season[:, :T], horizon, floor)
    known = known + season
    return Fit(z, point + known[:, T:], lambda k: ahead(k) + known[:, :T], undo)
