"""Optimizers: Adam, AdamW and gradient descent with momentum over one flat vector of parameters.

All parameters of a model become views of one vector, and so do their gradients: a step, the gradient norm and its
clipping are then a handful of vector operations, whatever the number of layers. (torch.optim is not used: its first
optimizer of a process imports the compiler stack, which takes longer than training a small model.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rekur.core import choose
from rekur.training.config import OPTIMIZERS


class Optimizer:
    """Update rule of the parameters from their gradients.

        adam    m = β₁·m + (1 - β₁)·g,  v = β₂·v + (1 - β₂)·g²,  θ = θ - η·m̂ / (√v̂ + ε),  g includes λ·θ
        adamw   the same with θ = θ - η·λ·θ first and g without λ·θ
        sgd     m = μ·m + g + λ·θ,  θ = θ - η·m

    where η is the learning rate, λ the weight decay, m̂ and v̂ are corrected for the start at zero, β₁ = μ = 0.9,
    β₂ = 0.999 and ε = 1e-8. With a decay a > 0 the result is the moving average θ̄ = a·θ̄ + (1 - a)·θ, in the first
    k steps with k/(k + 10) in place of a larger a.

    Parameters
    ----------
    parameters : iterable of Parameter
        Parameters of the model; those that require no gradient are left out.
    kind : {"adam", "adamw", "sgd"}, default "adam"
        Update rule.
    weight_decay : float, default 0.0
        Factor λ.
    ema_decay : float, default 0.0
        Decay a of the moving average; 0 for none.

    References
    ----------
    D. P. Kingma and J. Ba, 2015, "Adam: a method for stochastic optimization", ICLR.
    I. Loshchilov and F. Hutter, 2019, "Decoupled weight decay regularization", ICLR.

    Examples
    --------
    >>> import torch
    >>> w = torch.nn.Parameter(torch.tensor([2.0]))
    >>> optimizer = Optimizer([w], "sgd")
    >>> (w**2).sum().backward()
    >>> optimizer.step(0.1)
    >>> round(w.item(), 4)
    1.6
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], kind: str = "adam", weight_decay: float = 0.0, ema_decay: float = 0.0
    ) -> None:
        self.kind, self.weight_decay, self.steps = choose("optimizer", kind, OPTIMIZERS), weight_decay, 0
        self.parameters = [p for p in parameters if p.requires_grad]
        self.flat = torch.cat([p.detach().flatten() for p in self.parameters])
        self.grad, self.m = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.v = torch.zeros_like(self.flat) if kind != "sgd" else self.flat.new_zeros(0)
        self.ema_decay, self.mean = ema_decay, self.flat.clone() if ema_decay else self.flat.new_zeros(0)
        start = 0
        for p in self.parameters:
            stop = start + p.numel()
            p.data = self.flat[start:stop].view_as(p)
            p.grad = self.grad[start:stop].view_as(p)
            start = stop

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        self.grad.zero_()

    def clip(self, norm: float | None) -> float:
        """Scale the gradient down to a norm if it is longer; return its norm before."""
        length = float(torch.linalg.vector_norm(self.grad))
        if norm is not None and length > norm:
            self.grad.mul_(norm / length)
        return length

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update all parameters once."""
        self._update(rate)
        if self.ema_decay:
            self.mean.lerp_(self.flat, 1 - min(self.ema_decay, self.steps / (self.steps + 10)))

    def _update(self, rate: float) -> None:
        self.steps += 1
        flat, g, m, v = self.flat, self.grad, self.m, self.v
        if self.weight_decay and self.kind == "adamw":
            flat.mul_(1 - rate * self.weight_decay)
        elif self.weight_decay:
            g.add_(flat, alpha=self.weight_decay)
        if self.kind == "sgd":
            flat.sub_(m.mul_(0.9).add_(g), alpha=rate)
            return
        m.lerp_(g, 0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        scale = (1 - 0.999**self.steps) ** 0.5
        flat.addcdiv_(m, v.sqrt().add_(1e-8 * scale), value=-rate * scale / (1 - 0.9**self.steps))

    def result(self) -> Tensor:
        """Copy of the resulting parameters: the moving average, if enabled."""
        return (self.mean if self.ema_decay else self.flat).clone()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Replace the parameters by the result within the context."""
        if not self.ema_decay:
            yield
            return
        now = self.flat.clone()
        self.flat.copy_(self.result())
        try:
            yield
        finally:
            self.flat.copy_(now)

    def release(self) -> None:
        """Give every parameter memory of its own again and drop the gradients."""
        for p in self.parameters:
            p.data, p.grad = p.data.clone(), None

    def state(self) -> dict[str, Tensor]:
        """Tensors of the state: parameters, moments, average and number of steps."""
        steps = torch.tensor(self.steps)
        return {
            "flat": self.flat.clone(),
            "m": self.m.clone(),
            "v": self.v.clone(),
            "mean": self.mean.clone(),
            "steps": steps,
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Return to a state taken before."""
        self.flat.copy_(state["flat"])
        self.m.copy_(state["m"])
        self.v.copy_(state["v"])
        self.mean.copy_(state["mean"])
        self.steps = int(state["steps"])
