"""The linear path: a direct autoregression for all steps ahead, solved in closed form and shrunk to seasonal naive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def seasonal_naive(L: int, h: int, season: int) -> Tensor:
    """The weights (L, h) that repeat the last season of a past of L ≥ m steps."""
    W = torch.zeros(L, h, dtype=torch.float64)
    k = torch.arange(h)
    W[L - season + k % season, k] = 1.0
    return W


def solve(x: Tensor, y: Tensor, weight: Tensor, prior: Tensor, penalties: Sequence[float]) -> list[Tensor]:
    """Ridge regression towards a prior, for several penalties at the cost of one.

        W = argmin Σ_n w_n² ‖y_n - Wᵀ·x_n‖² + λ·N·‖W - W₀‖²
          = W₀ + (XᵀX + λ·N·1)⁻¹ Xᵀ(Y - X·W₀),  rows scaled by w_n

    where x (N, L), y (N, h), weight w (N,), prior W₀ (L, h); a target that is NaN counts as if the prior met it.
    As λ grows the forecast becomes the prior itself.

    Source: A. E. Hoerl and R. W. Kennard, 1970, "Ridge regression", Technometrics 12(1).

    Returns
    -------
    one W (L, h) for each penalty λ

    >>> x = torch.eye(2, dtype=torch.float64)
    >>> solve(x, 3 * x, torch.ones(2), torch.zeros(2, 2, dtype=torch.float64), [0.5])[0]
    tensor([[1.5000, 0.0000],
            [0.0000, 1.5000]], dtype=torch.float64)
    """
    w = weight.to(x.dtype)[:, None]
    residual = (y - x @ prior).nan_to_num(0.0) * w  # (N, h)
    x = x * w  # (N, L)
    values, vectors = torch.linalg.eigh(x.T @ x)
    projected = vectors.T @ (x.T @ residual)  # (L, h)
    return [prior + vectors @ (projected / (values.clamp_min(0) + p * len(x))[:, None]) for p in penalties]
