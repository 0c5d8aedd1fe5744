"""Heads of a known distribution: Student-t for heavy tails, negative binomial for counts.

As in `heads`, each maps h (..., H) to a raw output, `loss` compares it and `decode` reads it as quantiles (..., K, Q).
`middle`, the entry that says where the distribution lies, is the first one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from rekur.layers.heads import DistributionHead, average

if TYPE_CHECKING:
    from torch import Tensor

NODES = 101  # values of 1/ν between 0 and 1/2 at which quantiles of Student's t are worked out
SHAPES = 1000  # shapes of gamma distributions of which quantiles are worked out
MANY = 60.0  # mean count from which on a gamma distribution stands for the negative binomial one


class StudentTHead(DistributionHead):
    """K values that are Student-t distributed, with more than two degrees of freedom.

        μ = (W·h + b)₁,  s = softplus((W·h + b)₂),  ν = 2 + softplus((W·h + b)₃)
        loss = mean of -log p(y),
        p(y) = Γ((ν+1)/2) / (Γ(ν/2)·√(ν·π)·s) · (1 + ((y - μ)/s)²/ν)^(-(ν+1)/2)

    h (..., H) → raw (..., K, 3); target (..., K); decode gives the quantiles (..., K, Q) of rising levels (Q,).
    """

    def __init__(self, H: int, K: int, levels: Sequence[float], seed: int = 0) -> None:
        super().__init__(H, K, 3, seed)
        self.levels = tuple(levels)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean negative log-likelihood; the weight has the shape of the target."""
        μ, s, ν = self._parameters_of(raw)
        log = torch.lgamma((ν + 1) / 2) - torch.lgamma(ν / 2) - 0.5 * torch.log(ν * math.pi) - torch.log(s)
        log = log - (ν + 1) / 2 * torch.log1p(((target - μ) / s) ** 2 / ν)
        return average(-log.unsqueeze(-1), weight)

    def decode(self, raw: Tensor) -> Tensor:
        """Quantiles (..., K, Q)."""
        μ, s, ν = self._parameters_of(raw)
        units = student_quantiles(1.0 / ν.detach().double().numpy(), self.levels)
        return μ.unsqueeze(-1) + s.unsqueeze(-1) * torch.from_numpy(units).to(raw.dtype)

    @staticmethod
    def _parameters_of(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return raw[..., 0], F.softplus(raw[..., 1]) + 1e-4, 2.0 + F.softplus(raw[..., 2])


class CountHead(DistributionHead):
    """K counts with a negative binomial distribution.

        m = mean,  α = softplus((W·h + b)₂),  variance m + α·m²
        loss = mean of -log p(y),  p(y) = Γ(y+r) / (Γ(y+1)·Γ(r)) · (r/(r+m))^r · (m/(r+m))^y,  r = 1/α

    h (..., H) → raw (..., K, 2), of which the first is a scaled value; `place` makes it the mean:

        m = u·softplus((level + spread·(W·h + b)₁) / u),  u = spread / 4

    target (..., K) are the counts themselves; decode gives their quantiles (..., K, Q), whole numbers.

    Source of the likelihood in forecasting: D. Salinas et al., 2020, "DeepAR", International Journal of Forecasting 36.
    """

    def __init__(self, H: int, K: int, levels: Sequence[float], seed: int = 0) -> None:
        super().__init__(H, K, 2, seed)
        self.levels = tuple(levels)

    def place(self, raw: Tensor, level: Tensor, spread: Tensor) -> Tensor:
        """Raw (B, K, 2) with scaled values → with means; level, spread (B, 1) of each window."""
        unit = (spread / 4).clamp_min(1e-6)
        mean = unit * F.softplus((level + spread * raw[..., 0]) / unit)
        return torch.stack([mean.clamp_min(1e-6), raw[..., 1]], dim=-1)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean negative log-likelihood of counts (..., K), from raw with means."""
        m, r = raw[..., 0], 1.0 / self._dispersion(raw)
        log = torch.lgamma(target + r) - torch.lgamma(target + 1) - torch.lgamma(r)
        log = log - r * torch.log1p(m / r) + target * (torch.log(m) - torch.log(r + m))
        return average(-log.unsqueeze(-1), weight)

    def decode(self, raw: Tensor) -> Tensor:
        """Quantiles (..., K, Q), from raw with means."""
        mean, alpha = raw[..., 0].double().numpy(), self._dispersion(raw).double().numpy()
        return torch.from_numpy(count_quantiles(mean, alpha, self.levels))

    @staticmethod
    def _dispersion(raw: Tensor) -> Tensor:
        return F.softplus(raw[..., 1]) + 1e-3


def student_quantiles(inverse: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles (..., Q) of Student's t with ν = 1/inverse degrees of freedom, inverse (...) within 0 … 1/2."""
    nodes, table = _student_table(levels)
    return np.stack([np.interp(inverse, nodes, column) for column in table.T], axis=-1)


@cache
def _student_table(levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (NODES, Q) at evenly spaced 1/ν.

    P(T ≤ t) = 1/2 + ∫₀^θ cos^(ν-1) / (2·∫₀^(π/2) cos^(ν-1)),  t = √ν·tan θ
    """
    nodes, normal = np.linspace(0.0, 0.5, NODES), NormalDist()
    out = np.array([[normal.inv_cdf(p) for p in levels]] * NODES)
    for i, x in enumerate(nodes[1:], 1):
        ν = 1.0 / x
        θ = np.linspace(0.0, min(np.pi / 2, 12.0 / np.sqrt(ν)), 20_001)[:-1]
        density = np.cos(θ) ** (ν - 1)
        area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        share = 0.5 * area / area[-1]
        t = np.sqrt(ν) * np.tan(θ)
        out[i] = [np.sign(p - 0.5) * np.interp(abs(p - 0.5), share, t) for p in levels]
    return nodes, out


def count_quantiles(mean: np.ndarray, dispersion: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles (..., Q) of negative binomial counts with mean m and variance m + α·m²: the least k with P(≤ k) ≥ p.

    Small counts are summed up one by one; for means above `MANY` a gamma distribution of the same mean and variance
    is read from a table and rounded.
    """
    m, α = mean.ravel(), dispersion.ravel()
    out = np.empty((m.size, len(levels)))
    small = m < MANY
    out[small] = _summed(m[small], α[small], levels)
    out[~small] = _gamma(m[~small], α[~small], levels)
    return out.reshape(*mean.shape, len(levels))


def _summed(m: np.ndarray, α: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles (n, Q) by adding up the probabilities p_k = p_{k-1}·(k-1+r)/k·m/(r+m)."""
    out, r = np.full((m.size, len(levels)), -1.0), 1.0 / α
    p = np.exp(-r * np.log1p(m / r))
    total, ratio, k, wanted = p.copy(), m / (r + m), 0, np.asarray(levels)
    open_ = np.ones(m.size, dtype=bool)
    while open_.any():
        at = np.flatnonzero(open_)
        out[at] = np.where((out[at] < 0) & (total[at, None] >= wanted), float(k), out[at])
        open_[at] = out[at, -1] < 0
        k += 1
        p *= (k - 1 + r) / k * ratio
        total += p
    return out


def _gamma(m: np.ndarray, α: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles (n, Q) of the gamma distribution of mean m and variance m + α·m², rounded."""
    nodes, table = _gamma_table(levels)
    shape, unit = 1.0 / (1.0 / m + α), 1.0 + α * m
    units = np.stack([np.exp(np.interp(np.log(shape), nodes, column)) for column in table.T], axis=-1)
    return np.asarray(np.round(units * unit[:, None]))


@cache
def _gamma_table(levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the quantiles (SHAPES, Q) of gamma distributions of unit scale, by that of their shape."""
    nodes = np.linspace(math.log(1e-3), math.log(1e4), SHAPES)
    shape = torch.from_numpy(np.exp(nodes))[:, None].expand(-1, len(levels))
    wanted = torch.tensor(levels, dtype=torch.float64).expand_as(shape)
    high = torch.log(shape + 60.0 * shape.sqrt() + 60.0)
    low = torch.full_like(high, -700.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = torch.special.gammainc(shape, middle.exp()) < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return nodes, high.numpy()
