"""Direct autoregression for all steps of a horizon: ridge regression in closed form, shrunk to seasonal naive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def seasonal_naive(context_length: int, horizon: int, season: int) -> Tensor:
    """Weights (L, h) of the seasonal naive forecast: each step repeats the value one season before.

    Parameters
    ----------
    context_length : int
        Steps of the context, L; at least the season.
    horizon : int
        Steps to forecast, h.
    season : int
        Season length in steps.

    Returns
    -------
    Tensor
        Weights of shape (L, h), float64.

    Examples
    --------
    >>> (torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64) @ seasonal_naive(3, 4, season=2)).tolist()
    [[2.0, 3.0, 2.0, 3.0]]
    """
    W = torch.zeros(context_length, horizon, dtype=torch.float64)
    k = torch.arange(horizon)
    W[context_length - season + k % season, k] = 1.0
    return W


def solve(x: Tensor, y: Tensor, weight: Tensor, prior: Tensor, penalties: Sequence[float]) -> list[Tensor]:
    """Ridge regression towards prior weights, for several penalties from one eigendecomposition.

        W = argmin Σ_n w_n² ‖y_n - Wᵀ·x_n‖² + λ·N·‖W - W₀‖²
          = W₀ + (XᵀX + λ·N·1)⁻¹ Xᵀ(Y - X·W₀),  rows scaled by w_n

    where w are the weights of the rows and λ is the penalty. A missing target (NaN) counts as if the prior met it. As λ
    grows the weights become the prior W₀.

    Parameters
    ----------
    x : Tensor
        Regressors, shape (N, L).
    y : Tensor
        Targets, NaN where missing, shape (N, h).
    weight : Tensor
        Weights w of the rows, shape (N,).
    prior : Tensor
        Prior weights W₀, shape (L, h).
    penalties : sequence of float
        Penalties λ.

    Returns
    -------
    list of Tensor
        Weights of shape (L, h), one tensor a penalty.

    References
    ----------
    A. E. Hoerl and R. W. Kennard, 1970, "Ridge regression", Technometrics 12(1).

    Examples
    --------
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
