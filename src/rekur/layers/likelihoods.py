"""Parametric output distributions: Student's t for heavy tails and negative binomial for counts.

As the heads of `rekur.layers.heads`, each maps h (..., H) to a raw output, `loss` compares it with targets and `decode`
gives quantiles (..., K, Q). The location parameter is the first one.
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

from rekur.core import Array
from rekur.layers.heads import DistributionHead, average

if TYPE_CHECKING:
    from torch import Tensor

STUDENT_NODES = 101
"""Values of 1/ν between 0 and 1/2 at which quantiles of Student's t are tabulated."""

GAMMA_NODES = 1000
"""Shapes at which quantiles of the gamma distribution are tabulated."""

MAX_SUMMED_MEAN = 60.0
"""Mean count from which on a gamma distribution approximates the negative binomial one."""


class StudentTHead(DistributionHead):
    """K values with a Student's t distribution of more than two degrees of freedom.

        μ = (W·h + b)₁,  s = softplus((W·h + b)₂),  ν = 2 + softplus((W·h + b)₃)
        loss = mean of -log p(y),
        p(y) = Γ((ν+1)/2) / (Γ(ν/2)·√(ν·π)·s) · (1 + ((y - μ)/s)²/ν)^(-(ν+1)/2)

    where μ is the location, s the scale and ν the degrees of freedom.

    Parameters
    ----------
    input_size : int
        Number H of features.
    output_size : int
        Number K of values.
    levels : sequence of float
        Q rising quantile levels.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: h (..., H) → raw (..., K, 3); target (..., K); weight (..., K) or None; `decode` gives (..., K, Q).

    Examples
    --------
    >>> head = StudentTHead(8, 2, levels=[0.1, 0.5, 0.9])
    >>> head.decode(head(torch.zeros(5, 8)).detach()).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, input_size: int, output_size: int, levels: Sequence[float], seed: int = 0) -> None:
        super().__init__(input_size, output_size, 3, seed)
        self.levels = tuple(levels)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood; the weight has the shape of the target."""
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

        m = u·softplus((level + spread·(W·h + b)₁) / u),  u = spread / 4
        α = softplus((W·h + b)₂),  variance m + α·m²
        loss = mean of -log p(y),  p(y) = Γ(y+r) / (Γ(y+1)·Γ(r)) · (r/(r+m))^r · (m/(r+m))^y,  r = 1/α

    where m is the mean, which `place` computes from the scaled value (W·h + b)₁ and the level and spread of a window,
    and α is the dispersion.

    Parameters
    ----------
    input_size : int
        Number H of features.
    output_size : int
        Number K of counts.
    levels : sequence of float
        Q rising quantile levels.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: h (..., H) → raw (..., K, 2); target (..., K), the counts themselves; weight (..., K) or None; `decode`
    gives whole numbers (..., K, Q).

    References
    ----------
    D. Salinas, V. Flunkert, J. Gasthaus, T. Januschowski, 2020, "DeepAR", International Journal of Forecasting 36.

    Examples
    --------
    >>> head = CountHead(8, 2, levels=[0.1, 0.5, 0.9])
    >>> raw = head.place(head(torch.zeros(5, 8)).detach(), level=torch.full((5, 1), 3.0), spread=torch.ones(5, 1))
    >>> head.decode(raw).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, input_size: int, output_size: int, levels: Sequence[float], seed: int = 0) -> None:
        super().__init__(input_size, output_size, 2, seed)
        self.levels = tuple(levels)

    def place(self, raw: Tensor, level: Tensor, spread: Tensor) -> Tensor:
        """Raw output (B, ..., 2) with means in place of scaled values; level and spread (B, 1) of each window."""
        level, spread = (each.view(-1, *[1] * (raw.dim() - 2)) for each in (level, spread))
        unit = (spread / 4).clamp_min(1e-6)
        mean = unit * F.softplus((level + spread * raw[..., 0]) / unit)
        return torch.stack([mean.clamp_min(1e-6), raw[..., 1]], dim=-1)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood of counts (..., K), from a raw output with means."""
        m, r = raw[..., 0], 1.0 / self._dispersion(raw)
        log = torch.lgamma(target + r) - torch.lgamma(target + 1) - torch.lgamma(r)
        log = log - r * torch.log1p(m / r) + target * (torch.log(m) - torch.log(r + m))
        return average(-log.unsqueeze(-1), weight)

    def decode(self, raw: Tensor) -> Tensor:
        """Quantiles (..., K, Q), from a raw output with means."""
        mean, alpha = raw[..., 0].double().numpy(), self._dispersion(raw).double().numpy()
        return torch.from_numpy(count_quantiles(mean, alpha, self.levels))

    @staticmethod
    def _dispersion(raw: Tensor) -> Tensor:
        return F.softplus(raw[..., 1]) + 1e-3


def student_quantiles(inverse: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles (..., Q) of Student's t with ν = 1/inverse degrees of freedom, inverse (...) within 0 … 1/2."""
    nodes, table = _student_table(levels)
    return np.stack([np.interp(inverse, nodes, column) for column in table.T], axis=-1)


@cache
def _student_table(levels: tuple[float, ...]) -> tuple[Array, Array]:
    """Values of 1/ν (nodes,), and quantiles (nodes, Q) of Student's t at them.

    P(T ≤ t) = 1/2 + ∫₀^θ cos^(ν-1) / (2·∫₀^(π/2) cos^(ν-1)),  t = √ν·tan θ
    """
    nodes, normal = np.linspace(0.0, 0.5, STUDENT_NODES), NormalDist()
    out = np.array([[normal.inv_cdf(p) for p in levels]] * STUDENT_NODES)
    for i, x in enumerate(nodes[1:], 1):
        ν = 1.0 / x
        θ = np.linspace(0.0, min(np.pi / 2, 12.0 / np.sqrt(ν)), 20_001)[:-1]
        density = np.cos(θ) ** (ν - 1)
        area = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
        share = 0.5 * area / area[-1]
        t = np.sqrt(ν) * np.tan(θ)
        out[i] = [np.sign(p - 0.5) * np.interp(abs(p - 0.5), share, t) for p in levels]
    return nodes, out


def count_quantiles(mean: Array, dispersion: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles (..., Q) of negative binomial counts with mean m and variance m + α·m²: least k with P(Y ≤ k) ≥ p.

    For means below 60 probabilities are summed; above, the quantiles of a gamma distribution of the same mean and
    variance are interpolated and rounded.
    """
    m, α = mean.ravel(), dispersion.ravel()
    out = np.empty((m.size, len(levels)))
    small = m < MAX_SUMMED_MEAN
    out[small] = _summed(m[small], α[small], levels)
    out[~small] = _gamma(m[~small], α[~small], levels)
    return out.reshape(*mean.shape, len(levels))


def _summed(m: Array, α: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles (n, Q) by the cumulated probabilities p_k = p_{k-1}·(k-1+r)/k·m/(r+m)."""
    out, r = np.full((m.size, len(levels)), -1.0), 1.0 / α
    p = np.exp(-r * np.log1p(m / r))
    total, ratio, k, level = p.copy(), m / (r + m), 0, np.asarray(levels)
    unfinished = np.ones(m.size, dtype=bool)
    while unfinished.any():
        row = np.flatnonzero(unfinished)
        out[row] = np.where((out[row] < 0) & (total[row, None] >= level), float(k), out[row])
        unfinished[row] = out[row, -1] < 0
        k += 1
        p *= (k - 1 + r) / k * ratio
        total += p
    return out


def _gamma(m: Array, α: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles (n, Q) of the gamma distribution of mean m and variance m + α·m², rounded."""
    nodes, table = _gamma_table(levels)
    shape, unit = 1.0 / (1.0 / m + α), 1.0 + α * m
    units = np.stack([np.exp(np.interp(np.log(shape), nodes, column)) for column in table.T], axis=-1)
    return np.asarray(np.round(units * unit[:, None]))


@cache
def _gamma_table(levels: tuple[float, ...]) -> tuple[Array, Array]:
    """Logarithms of the shapes (nodes,), and of the quantiles (nodes, Q) of gamma distributions of unit scale."""
    nodes = np.linspace(math.log(1e-3), math.log(1e4), GAMMA_NODES)
    shape = torch.from_numpy(np.exp(nodes))[:, None].expand(-1, len(levels))
    level = torch.tensor(levels, dtype=torch.float64).expand_as(shape)
    high = torch.log(shape + 60.0 * shape.sqrt() + 60.0)
    low = torch.full_like(high, -700.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = torch.special.gammainc(shape, middle.exp()) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return nodes, high.numpy()
