"""Exponential smoothing: seasons taken off, then half Theta and half damped trend, each a blend of rates.

b series · T time · h horizon · P smoothing rates · K judged horizons · m season · n seasons seen
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rekur.baselines.simple import Fit, Floats, fold, shift

_POWER = 0.5  # without negative values √y is smoothed, which steadies the variance of sizes and counts
# γ: no season at all, the mean of all seasons, ..., the last season
_SEASON_RATES = (None, 0.0, 0.1, 0.25, 0.5, 1.0)
_THETA = [(α, 0.0, 1.0) for α in (0.03, 0.1, 0.25, 0.5, 0.75, 0.99)]
_HOLT = [(α, α * r, φ) for α in (0.05, 0.2, 0.5, 0.9) for r in (0.0, 0.2) for φ in (0.8, 0.9, 1.0)]
_RATES = np.array(_THETA + _HOLT)  # (P, 3) rows of α, β, φ
_HALVES = (slice(0, len(_THETA)), slice(len(_THETA), len(_RATES)))
_NEAR_ZERO = 1e-300


def _repeats(z: Floats, m: int) -> NDArray[np.bool_]:
    """Whether the values one season apart are alike in each row, (b,).

        |r_m| > 1.28·√((1 + 2·Σ_{i<m} r_i²) / n)  and  n ≥ 3·m

    where r_i are autocorrelations at lag i and n counts the observations: a test at 80 %, two-sided.

    Source: M. S. Bartlett, 1946, "On the theoretical specification and sampling properties of autocorrelated
    time-series", used (with 1.645) by the Theta and Naive2 benchmarks of the M4 competition.
    """
    seen = ~np.isnan(z)
    n = seen.sum(axis=1)
    mean = np.where(seen, z, 0.0).sum(axis=1) / n
    d = np.where(seen, z - mean[:, None], 0.0)
    energy = np.maximum((d * d).sum(axis=1), _NEAR_ZERO)
    r = np.stack([np.einsum("bt,bt->b", d[:, k:], d[:, :-k]) / energy for k in range(1, m + 1)])  # (m, b)
    bound = 1.28 * np.sqrt((1.0 + 2.0 * (r[:-1] ** 2).sum(axis=0)) / n)
    return np.asarray((np.abs(r[-1]) > bound) & (n >= 3 * m))


def _centred(z: Floats, m: int) -> Floats:
    """Centred moving average over one season, (b, T); NaN at the ends and where half is unseen."""
    seen = ~np.isnan(z)
    sums = []
    for x in (np.where(seen, z, 0.0), seen.astype(np.float64)):
        c = np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)
        window = c[:, m:] - c[:, :-m]  # (b, T-m+1)
        sums.append(window if m % 2 else 0.5 * (window[:, 1:] + window[:, :-1]))
    total, count = sums  # (b, T-2·(m//2))
    begun = np.arange(total.shape[1]) >= seen.argmax(axis=1)[:, None]
    out = np.full(z.shape, np.nan)
    known = begun & (count > 0.5 * m)
    out[:, m // 2 : z.shape[1] - m // 2] = np.where(known, total / np.maximum(count, 1.0), np.nan)
    return out


def _blend(losses: Floats, n: Floats, floor: Floats) -> Floats:
    """Weights (P, b) of P models from their squared errors, summed over n steps for each of K horizons.

        w ∝ Π_k SSE_k^(-n_k / 2K)

    where losses (K, P, b) are the sums, n (K, b), and floor (b,) is what counts as no error. With K = 1 these
    are Akaike weights of Gaussian models with equally many parameters.
    """
    log = (0.5 / len(n) * n[:, None] * np.log(np.maximum(losses, floor))).sum(axis=0)  # (P, b)
    w = np.exp(log.min(axis=0) - log)
    return np.asarray(w / w.sum(axis=0))


def _profile(z: Floats, m: int, floor: Floats) -> Floats:
    """The season that follows the last column, (b, m), mean zero.

        s ← s + γ_i·(d_i - s),  γ_i = γ / (1 - (1-γ)^i)

    where d_i (b, m) is season i of z less its centred moving average. The rates γ, and having no season at
    all, are blended by their errors one season ahead. The growing-memory γ_i makes s the weighted mean of all
    seasons so far.
    """
    folded = fold(z - _centred(z, m), m)  # (b, n, m)
    b = len(z)
    s, loss = np.zeros((len(_SEASON_RATES), b, m)), np.zeros((len(_SEASON_RATES), b))
    count, n = np.zeros((b, m)), np.zeros(b)
    for d in folded.swapaxes(0, 1):
        seen = ~np.isnan(d)
        error = np.where(seen, d - s, 0.0)  # (rates, b, m)
        judged = seen & (count > 0)
        loss += np.where(judged, error * error, 0.0).sum(axis=2)
        n += judged.sum(axis=1)
        count += seen
        i = np.maximum(count, 1.0)
        for j, rate in enumerate(_SEASON_RATES):
            if rate is not None:
                s[j] += error[j] * (rate / (1.0 - (1.0 - rate) ** i) if rate > 0 else 1.0 / i)
    season = np.einsum("pb,pbm->bm", _blend(loss[None], n[None], floor), s)
    return np.asarray(season - season.mean(axis=1, keepdims=True))


def _line(z: Floats) -> Floats:
    """Slope of the least squares line through each row, (b,); 0 for a row of one observation."""
    seen = ~np.isnan(z)
    n = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    t = np.arange(z.shape[1]) - (z.shape[1] - 1.0)
    time = np.where(seen, t - (seen * t).sum(axis=1, keepdims=True) / n, 0.0)
    value = np.where(seen, z - np.where(seen, z, 0.0).sum(axis=1, keepdims=True) / n, 0.0)
    return np.asarray((time * value).sum(axis=1) / np.maximum((time * time).sum(axis=1), _NEAR_ZERO))


def _reach(φ: Floats, k: int) -> Floats:
    """φ + φ² + ... + φ^k: how far a damped slope carries in k steps."""
    gap = np.maximum(1.0 - φ, 1e-9)
    return np.asarray(np.where(φ < 1.0 - 1e-9, φ * (1.0 - φ**k) / gap, float(k)))


def _holt(
    z: Floats, rates: Floats, start: Floats, judged: Sequence[int] = (), path: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Damped trend smoothing of all rows by all rates: last level, slope (P, b), squared errors (K, P, b).

        f = l + φ·b,   e = z_t - f,   l ← f + α·e,   b ← φ·b + β·e

    where rates (3, P, b or 1) hold α, β, φ, start (b,) is the first slope, and a missing value leaves e = 0.
    The errors are those made k steps ahead, for each k in judged; path (2, T, P, b) receives all levels and
    slopes.
    """
    α, β, φ = rates
    seen = ~np.isnan(z).T  # (T, b)
    first, value = seen.argmax(axis=0), np.where(seen, z.T, 0.0)  # (b,), (T, b)
    age = np.arange(len(value))[:, None] - first  # (T, b)
    ripe = [(seen & (age >= k)).astype(np.float64) for k in (1, *judged)]  # 1 where an error counts, else 0
    level, slope, f, e = (np.zeros((len(α), len(z))) for _ in range(4))
    said = [np.zeros((k, len(α), len(z))) for k in judged]  # the last k forecasts made k steps ahead
    reach = [_reach(φ, k) for k in judged]
    losses = np.zeros((len(judged), len(α), len(z)))
    begins = np.isin(np.arange(len(value)), first)
    for t in range(first.min(), len(value)):
        for i, k in enumerate(judged):
            np.subtract(value[t], said[i][t % k], out=e)
            e *= ripe[i + 1][t]
            losses[i] += np.multiply(e, e, out=e)
        slope *= φ
        np.add(level, slope, out=f)
        np.subtract(value[t], f, out=e)
        e *= ripe[0][t]
        np.add(f, np.multiply(α, e, out=level), out=level)
        slope += np.multiply(β, e, out=e)
        if begins[t]:
            new = first == t
            level[:, new], slope[:, new] = value[t, new], start[new]
        for i, k in enumerate(judged):
            np.add(np.multiply(reach[i], slope, out=said[i][t % k]), level, out=said[i][t % k])
        if path is not None:
            path[0, t], path[1, t] = level, slope
    return level, slope, losses


def _smooth(z: Floats, horizon: int, floor: Floats) -> tuple[Floats, Callable[[int], Floats]]:
    """Half Theta, half damped trend: point forecasts (b, h) and what was said k steps ahead.

    Each half blends its rates by their errors 1, h/3 and h steps ahead. The Theta half is exponential
    smoothing with half the slope of the least squares line as its drift. What was said comes from one run
    with mean rates.
    """
    b, T = z.shape
    judged = sorted({1, max(1, horizon // 3), horizon})
    start, seen = 0.5 * _line(z), ~np.isnan(z)
    level, slope, losses = _holt(z, _RATES.T[:, :, None], start, judged)
    age = np.arange(T) - seen.argmax(axis=1)[:, None]  # (b, T)
    n = np.array([(seen & (age >= k)).sum(axis=1) for k in judged])  # (K, b)
    mean, point = np.empty((3, 2, b)), np.zeros((b, horizon))
    for i, half in enumerate(_HALVES):
        w = _blend(losses[:, half], n, floor)  # (P, b)
        mean[:, i] = _RATES[half].T @ w
        reach = np.stack([_reach(_RATES[half, 2], k) for k in range(1, horizon + 1)])  # (h, P)
        point += 0.5 * ((w * level[half]).sum(axis=0) + reach @ (w * slope[half])).T
    path = np.zeros((2, T, 2, b))
    _holt(z, mean, start, path=path)

    def ahead(k: int) -> Floats:
        said = (path[0] + _reach(mean[2], k) * path[1]).mean(axis=1).T  # (b, T)
        return shift(np.where(age >= 0, said, np.nan), k)

    return point, ahead


def smoothing(y: Floats, seasons: Sequence[int], horizon: int) -> Fit:
    """Seasons taken off, then half Theta and half damped trend, on √y where no value is negative.

    Sources: V. Assimakopoulos, K. Nikolopoulos, 2000, "The theta model", International Journal of Forecasting
    16, in the form of R. J. Hyndman, B. Billah, 2003, "Unmasking the Theta method", same journal, 19; E. S.
    Gardner, E. McKenzie, 1985, "Forecasting trends in time series", Management Science 31.
    """
    b, T = y.shape
    unit = np.fmax.reduce(np.abs(y), axis=1, keepdims=True)
    sized = ~(y < 0).any(axis=1, keepdims=True)  # (b, 1)
    z = np.where(sized, np.abs(y / unit) ** _POWER, y / unit)
    floor = 1e-20 * np.where(np.isnan(z), 0.0, z * z).sum(axis=1) + _NEAR_ZERO  # (b,)
    season = np.zeros((b, T + horizon))
    for m in seasons:
        if 1 < m <= T // 3:
            rest = z - season[:, :T]
            on = np.flatnonzero(_repeats(rest, m))
            if on.size:
                season[on] += _profile(rest[on], m, floor[on])[:, np.arange(-T, horizon) % m]
    point, ahead = _smooth(z - season[:, :T], horizon, floor)

    def undo(x: Floats) -> Floats:
        return np.asarray(unit * np.where(sized, np.maximum(x, 0.0) ** (1.0 / _POWER), x))

    return Fit(z, point + season[:, T:], lambda k: ahead(k) + season[:, :T], undo)
