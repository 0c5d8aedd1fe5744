"""Heads: from the output of a stack to values, quantiles or labels, with loss beside decoding.

Every head maps h (..., H) to a raw output, `loss(raw, target, weight)` compares it and `decode(raw)` reads it, so
that training and prediction cannot drift apart. `weight` has the leading shape of the target or is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.core import OptionError, choose

if TYPE_CHECKING:
    from torch import Tensor

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


def average(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Weighted mean; weight (...) broadcasts over the last axis of losses (..., K)."""
    if weight is None:
        return losses.mean()
    weight = weight.unsqueeze(-1)
    return (losses * weight).sum() / (weight.sum() * losses.shape[-1]).clamp_min(1e-12)


class ValueHead(nn.Module):
    """K values: y = W·h + b; the loss is "mse", "mae" or "huber".

    h (..., H) → raw (..., K); target (..., K); decode gives (..., K).
    """

    def __init__(self, H: int, K: int, loss: str = "mse", seed: int = 0) -> None:
        super().__init__()
        self.linear = linear(H, K, seed)
        self.measure = choose("loss", loss, LOSSES)

    def forward(self, h: Tensor) -> Tensor:
        """h (..., H) → (..., K)."""
        y: Tensor = self.linear(h)
        return y

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean loss over all values."""
        if weight is None:
            return LOSSES[self.measure](raw, target)
        return average(LOSSES[self.measure](raw, target, reduction="none"), weight)

    def decode(self, raw: Tensor) -> Tensor:
        """The values themselves."""
        return raw


class LabelHead(nn.Module):
    """One of K labels by cross-entropy: p = softmax(W·h + b).

        loss = - Σ w_y · log p_y / Σ w_y

    h (..., H) → raw (..., K) logits; target (...) int64; decode gives the probabilities (..., K).
    """

    def __init__(self, H: int, K: int, seed: int = 0) -> None:
        super().__init__()
        self.linear = linear(H, K, seed)

    def forward(self, h: Tensor) -> Tensor:
        """h (..., H) → logits (..., K)."""
        y: Tensor = self.linear(h)
        return y

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The weighted mean cross-entropy."""
        losses = F.cross_entropy(raw.flatten(0, -2), target.flatten(), reduction="none")
        return average(losses[:, None], None if weight is None else weight.flatten())

    def decode(self, raw: Tensor) -> Tensor:
        """Probabilities (..., K)."""
        return raw.softmax(dim=-1)


class DistributionHead(nn.Module):
    """What the heads of distributions share: K values, each told by `size` raw entries, a linear map of h.

    h (..., H) → raw (..., K, size); `middle` is the entry that says where the distribution lies.
    """

    middle = 0

    def __init__(self, H: int, K: int, size: int, seed: int) -> None:
        super().__init__()
        self.K = K
        self.linear = linear(H, K * size, seed)

    def forward(self, h: Tensor) -> Tensor:
        """h (..., H) → raw (..., K, size)."""
        y: Tensor = self.linear(h).unflatten(-1, (self.K, -1))
        return y


class QuantileHead(DistributionHead):
    """Q quantiles of each of K values that cannot cross: the median plus cumulated positive steps.

        q_m = (W·h + b)_m,  q_{j±1} = q_j ± softplus((W·h + b)_{j±1})
        loss = 2 · mean over values and levels τ of max(τ·(y - q_τ), (τ - 1)·(y - q_τ))

    where m is the level nearest to 0.5. With Q = 1 and τ = 0.5 the loss is the absolute error.
    h (..., H) → raw (..., K, Q); target (..., K); decode gives (..., K, Q), increasing along the last axis.

    Source of the loss: R. Koenker and G. Bassett, 1978, "Regression quantiles", Econometrica 46(1).
    """

    levels: Tensor

    def __init__(self, H: int, K: int, levels: Sequence[float], seed: int = 0) -> None:
        if not levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
            raise OptionError(f"quantile levels must increase within (0, 1), got {list(levels)!r}")
        super().__init__(H, K, len(levels), seed)
        self.middle = min(range(len(levels)), key=lambda j: abs(levels[j] - 0.5))
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32), persistent=False)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Twice the mean pinball loss; the weight has the shape of the target."""
        error = target.unsqueeze(-1) - self.decode(raw)  # (..., K, Q)
        return average(2 * torch.maximum(self.levels * error, (self.levels - 1) * error), weight)

    def decode(self, raw: Tensor) -> Tensor:
        """Quantiles (..., K, Q)."""
        m = self.middle
        median = raw[..., m : m + 1]
        above = median + F.softplus(raw[..., m + 1 :]).cumsum(-1)
        below = median - F.softplus(raw[..., :m]).flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, median, above], dim=-1)


def linear(H: int, K: int, seed: int) -> nn.Linear:
    """A linear map with weights from U(-1/√H, 1/√H) drawn from its own seed."""
    with torch.random.fork_rng(devices=[]):  # the weights that torch draws are replaced at once
        layer = nn.Linear(H, K)
    generator = torch.Generator().manual_seed(seed + 1)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(H**-0.5), H**-0.5, generator=generator)
    return layer
