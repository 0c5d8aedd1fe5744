"""Fused layers with gradients written by hand: fewer passes over memory than their expressions under autograd.

Each is tested against its plain expression, and by gradcheck in double precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from torch import Tensor

LARGE = 20.0
"""Value from which on softplus(x) = x within the precision of float32."""


class Context(Protocol):
    """The context object of torch between the forward and the backward pass."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors for the backward pass."""


class QuantileLoss(torch.autograd.Function):
    """Twice the weighted mean pinball loss of quantiles that are a median and cumulated positive increments.

    The gradient of the raw values is computed in the forward pass, where the exponentials of the softplus are at hand.
    """

    @staticmethod
    def forward(ctx: Context, raw: Tensor, target: Tensor, weight: Tensor, levels: Tensor, middle: int) -> Tensor:
        """Loss of raw values (Q, N), targets (N,) and weights (N,) whose sum is 1."""
        Q = len(raw)
        exponential = raw.clamp(max=LARGE).exp_()  # (Q, N)
        error = torch.log1p(exponential)
        if raw.max() > LARGE:
            error += (raw - LARGE).clamp_min_(0)
        torch.sub(target, raw[middle], out=error[middle])  # (N,)
        for j in range(middle + 1, Q):
            torch.sub(error[j - 1], error[j], out=error[j])
        for j in range(middle - 1, -1, -1):
            error[j] += error[j + 1]
        slope = error.sign().mul_(0.5).add_(levels[:, None] - 0.5)  # (Q, N)
        loss = 2 / Q * (error.mul_(slope).sum(0) @ weight)
        if ctx.needs_input_grad[0]:
            grad = slope.mul_(weight * (-2 / Q))  # of the quantiles
            for j in range(Q - 2, middle, -1):
                grad[j] += grad[j + 1]
            for j in range(1, middle):
                grad[j] += grad[j - 1]
            grad[middle] += grad[middle + 1 :][:1].sum(0) + grad[:middle][-1:].sum(0)
            sigmoid = exponential.div_(exponential + 1)
            grad[:middle].mul_(sigmoid[:middle]).neg_()
            grad[middle + 1 :].mul_(sigmoid[middle + 1 :])
            ctx.save_for_backward(grad)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the raw values (Q, N)."""
        (grad,) = ctx.saved_tensors
        return grad * grad_outputs[0], None, None, None, None


def quantile_loss(raw: Tensor, target: Tensor, weight: Tensor | None, levels: Tensor, middle: int) -> Tensor:
    """Loss of `rekur.layers.QuantileHead` of raw (..., Q), target and weight (...); fast where Q is first in memory."""
    strides = raw.stride()
    order = sorted(range(raw.dim() - 1), key=lambda axis: -strides[axis])
    rows = raw.permute(raw.dim() - 1, *order).reshape(len(levels), -1)  # (Q, N)
    y = target.permute(*order).reshape(-1)  # (N,)
    w = torch.ones_like(y) if weight is None else weight.permute(*order).reshape(-1)
    w = w / w.sum().clamp_min(1e-12)
    loss: Tensor = QuantileLoss.apply(rows, y, w, levels, middle)  # type: ignore[no-untyped-call]
    return loss


class GatedPerceptron(torch.autograd.Function):
    """Residual gated perceptron with layer normalisation before it and a dropout mask behind it."""

    @staticmethod
    def forward(ctx: Context, eps: float, y: Tensor, mask: Tensor | None, *parameters: Tensor) -> Tensor:
        """Output (B, P, H) of y (B, P, H) with the parameters (γ, β, W₁, b₁, W₂, b₂, W₃, b₃)."""
        γ, β, W1, b1, W2, b2, W3, b3 = parameters
        n, mean, rstd = torch.native_layer_norm(y.reshape(-1, y.shape[2]), [y.shape[2]], γ, β, eps)  # (N, H)
        gate = torch.addmm(b1, n, W1.t())  # (N, 2·H)
        s = gate.sigmoid()
        a = gate.mul_(s)
        u = torch.addmm(b2, n, W2.t())
        p = a * u
        z = torch.addmm(b3, p, W3.t()).view_as(y)
        ctx.save_for_backward(y, *(() if mask is None else (mask,)), n, mean, rstd, s, a, u, p, γ, β, W1, W2, W3)
        return z.add_(y) if mask is None else torch.addcmul(y, z, mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of y and the parameters."""
        y, *mask, n, mean, rstd, s, a, u, p, γ, β, W1, W2, W3 = ctx.saved_tensors
        dz, H = grad_outputs[0], y.shape[2]
        d = (dz * mask[0] if mask else dz).reshape(-1, H)  # (N, H)
        dp = d @ W3  # (N, 2·H)
        du = dp * a
        dgate = dp.mul_(u).mul_(s.addcmul(a, 1 - s))
        dn = torch.addmm(du @ W2, dgate, W1)  # (N, H)
        dy, dγ, dβ = torch.ops.aten.native_layer_norm_backward(
            dn, y.reshape(-1, H), [H], mean, rstd, γ, β, [True, True, True]
        )
        return (
            None, dz + dy.view_as(dz), None, dγ, dβ, dgate.t() @ n, dgate.sum(0), du.t() @ n, du.sum(0), d.t() @ p,
            d.sum(0),
        )  # fmt: skip


def gated_perceptron(y: Tensor, mask: Tensor | None, eps: float, *parameters: Tensor) -> Tensor:
    """z = y + mask ⊙ (W₃·(silu(W₁·n + b₁) ⊙ (W₂·n + b₂)) + b₃),  n = layer normalisation of y with γ, β and ε.

    Shapes: y (B, P, H), mask (B, 1, H) or None → z (B, P, H); the parameters are γ, β, W₁, b₁, W₂, b₂, W₃, b₃.
    """
    z: Tensor = GatedPerceptron.apply(eps, y, mask, *parameters)  # type: ignore[no-untyped-call]
    return z
