"""Output heads for values, labels and quantiles, each with its loss and its decoding.

A head maps features h (..., H) to a raw output; its method loss compares the raw output with the target and its method
decode turns it into predictions, so that training and prediction share one parametrisation. Weights have the leading
shape of the target, or are None for equal weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.core import OptionError, choose
from rekur.layers.fused import quantile_loss

if TYPE_CHECKING:
    from torch import Tensor

LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}


def linear(input_size: int, output_size: int, seed: int) -> nn.Linear:
    """Linear layer with weights and biases from U(-1/√H, 1/√H), H the input size, drawn from a seed of its own."""
    with torch.random.fork_rng(devices=[]):  # torch's own initial weights are replaced at once
        layer = nn.Linear(input_size, output_size)
    generator = torch.Generator().manual_seed(seed + 1)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(input_size**-0.5), input_size**-0.5, generator=generator)
    return layer


def average(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Weighted mean of losses (..., K); the weight (...) is broadcast over the last axis."""
    if weight is None:
        return losses.mean()
    weight = weight.unsqueeze(-1)
    return (losses * weight).sum() / (weight.sum() * losses.shape[-1]).clamp_min(1e-12)


class LinearHead(nn.Module):
    """Linear part of a head: raw = W·h + b.

    Parameters
    ----------
    input_size : int
        Number H of features.
    output_shape : tuple of int
        Shape of the raw output of one step.
    seed : int, default 0
        Seed of the initial weights, U(-1/√H, 1/√H).

    Examples
    --------
    >>> import torch
    >>> LinearHead(8, (3, 2))(torch.zeros(5, 4, 8)).shape
    torch.Size([5, 4, 3, 2])
    """

    def __init__(self, input_size: int, output_shape: tuple[int, ...], seed: int = 0) -> None:
        super().__init__()
        self.output_shape = output_shape
        self.linear = linear(input_size, math.prod(output_shape), seed)

    def forward(self, h: Tensor) -> Tensor:
        """Raw output (..., *output_shape) of features h (..., H)."""
        raw: Tensor = self.linear(h)
        return raw.reshape(*h.shape[:-1], *self.output_shape)


class ValueHead(LinearHead):
    """Real values: y = W·h + b.

    Parameters
    ----------
    input_size : int
        Number H of features.
    output_size : int
        Number K of values.
    loss : {"mse", "mae", "huber"}, default "mse"
        Squared error, absolute error or Huber loss.
    seed : int, default 0
        Seed of the initial weights.

    Raises
    ------
    OptionError
        The loss is not known.

    Notes
    -----
    Shapes: h (..., H) → raw (..., K); target (..., K); `decode` gives (..., K).

    Examples
    --------
    >>> import torch
    >>> head = ValueHead(8, 2, loss="huber")
    >>> raw = head(torch.zeros(5, 8))
    >>> head.loss(raw, target=raw).item(), head.decode(raw).shape
    (0.0, torch.Size([5, 2]))
    """

    def __init__(self, input_size: int, output_size: int, loss: str = "mse", seed: int = 0) -> None:
        super().__init__(input_size, (output_size,), seed)
        self.loss_name = choose("loss", loss, LOSSES)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss over all values."""
        if weight is None:
            return LOSSES[self.loss_name](raw, target)
        return average(LOSSES[self.loss_name](raw, target, reduction="none"), weight)

    def decode(self, raw: Tensor) -> Tensor:
        """Values (..., K), the raw output itself."""
        return raw


class LabelHead(LinearHead):
    """One of K labels for each row or each step, by cross-entropy.

        p = softmax(W·h + b),  loss = -Σ w·log p_y / Σ w

    where y is the target label and w its weight.

    Parameters
    ----------
    input_size : int
        Number H of features.
    num_labels : int
        Number K of labels.
    seed : int, default 0
        Seed of the initial weights.

    Notes
    -----
    Shapes: h (..., H) → raw (..., K), the logits; target (...) int64; weight (...) or None; `decode` gives (...)
    int64 and `probabilities` (..., K).

    Examples
    --------
    >>> import torch
    >>> head = LabelHead(8, 3)
    >>> raw = head(torch.zeros(5, 4, 8))
    >>> head.decode(raw).shape, head.probabilities(raw).shape
    (torch.Size([5, 4]), torch.Size([5, 4, 3]))
    """

    def __init__(self, input_size: int, num_labels: int, seed: int = 0) -> None:
        super().__init__(input_size, (num_labels,), seed)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Weighted mean cross-entropy."""
        losses = F.cross_entropy(raw.movedim(-1, 1), target, reduction="none")  # (...)
        return average(losses[..., None], weight)

    def decode(self, raw: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Most probable label (...) of each row or step; `lengths` has no effect."""
        return raw.argmax(-1)

    def probabilities(self, raw: Tensor) -> Tensor:
        """Probabilities (..., K) of the labels."""
        return raw.softmax(dim=-1)


class DistributionHead(nn.Module):
    """Base of the heads that give each of K values a distribution with P raw parameters.

    Shapes: h (..., H) → raw (..., K, P), in memory (P, K, ...), so that the values of one parameter are contiguous.
    `middle` is the index of the location parameter among the P.
    """

    middle = 0

    def __init__(self, input_size: int, output_size: int, num_parameters: int, seed: int) -> None:
        super().__init__()
        self.output_shape = output_size, num_parameters
        self.linear = linear(input_size, output_size * num_parameters, seed)

    def forward(self, h: Tensor) -> Tensor:
        """Raw output (..., K, P) of features h (..., H)."""
        (K, P), H = self.output_shape, h.shape[-1]
        W = self.linear.weight.view(K, P, H).transpose(0, 1).reshape(P * K, H)
        b = self.linear.bias.view(K, P).t().reshape(P * K, 1)
        raw = torch.addmm(b, W, h.reshape(-1, H).t()).view(P, K, *h.shape[:-1])  # (P, K, ...)
        return raw.permute(*range(2, raw.dim()), 1, 0)


class QuantileHead(DistributionHead):
    """Q quantiles of each of K values that cannot cross: the median plus cumulated positive increments.

        q_m = (W·h + b)_m,  q_{j±1} = q_j ± softplus((W·h + b)_{j±1})
        loss = 2 · mean over values and levels τ of max(τ·(y - q_τ), (τ - 1)·(y - q_τ))

    where m is the level nearest to 0.5. With Q = 1 and τ = 0.5 the loss is the absolute error.

    Parameters
    ----------
    input_size : int
        Number H of features.
    output_size : int
        Number K of values.
    levels : sequence of float
        Q quantile levels, increasing within (0, 1).
    seed : int, default 0
        Seed of the initial weights.

    Raises
    ------
    OptionError
        The levels do not increase within (0, 1).

    Notes
    -----
    Shapes: h (..., H) → raw (..., K, Q); target (..., K); weight (..., K) or None; `decode` gives (..., K, Q),
    increasing along the last axis.

    References
    ----------
    R. Koenker and G. Bassett, 1978, "Regression quantiles", Econometrica 46(1).

    Examples
    --------
    >>> import torch
    >>> head = QuantileHead(8, 2, levels=(0.1, 0.5, 0.9))
    >>> quantiles = head.decode(head(torch.zeros(5, 8)))
    >>> quantiles.shape, bool((quantiles.diff(dim=-1) > 0).all())
    (torch.Size([5, 2, 3]), True)
    """

    levels: Tensor

    def __init__(self, input_size: int, output_size: int, levels: Sequence[float], seed: int = 0) -> None:
        if not levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
            raise OptionError(f"quantile levels must increase within (0, 1), got {list(levels)!r}")
        super().__init__(input_size, output_size, len(levels), seed)
        self.middle = min(range(len(levels)), key=lambda j: abs(levels[j] - 0.5))
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32), persistent=False)

    def loss(self, raw: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Twice the mean pinball loss; the weight has the shape of the target."""
        return quantile_loss(raw, target, weight, self.levels, self.middle)

    def decode(self, raw: Tensor) -> Tensor:
        """Quantiles (..., K, Q)."""
        increments, m = F.softplus(raw), self.middle
        upper, lower = [raw[..., m]], [raw[..., m]]
        for j in range(m + 1, raw.shape[-1]):
            upper.append(upper[-1] + increments[..., j])
        for j in range(m - 1, -1, -1):
            lower.append(lower[-1] - increments[..., j])
        return torch.stack(lower[:0:-1] + upper).movedim(0, -1)
