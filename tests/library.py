"""A library as peers write them, for the tests of `rekur.accelerate`, and how two of its models are compared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import LSTM  # as a library does that was imported before

import rekur.nn
from laws import assert_near

B, T, I, H = 3, 7, 4, 5  # noqa: E741
SIX = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")


class Wide(LSTM):
    """What libraries do often: a constructor of their own, torch's forward pass."""

    def __init__(self, size: int) -> None:
        super().__init__(size, H, batch_first=True)
        self.size = size
        nn.init.ones_(self.bias_hh_l0)


class Wider(Wide):
    """A subclass of the subclass."""


class Stepped(nn.Module):
    """A library's decoder: a cell in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(H, H)

    def forward(self, x: Tensor) -> Tensor:
        state, steps = None, []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            steps.append(state[0])
        return torch.stack(steps, 1)


class Library(nn.Module):
    """A model as peers write it: lists, names out of strings, layers used twice, cells, a subclass."""

    def __init__(self) -> None:
        super().__init__()
        self.past = getattr(nn, "GRU")(I, H, num_layers=2, batch_first=True, bidirectional=True)  # noqa: B009
        self.mid = nn.ModuleList([nn.Sequential(nn.Linear(2 * H, I)), Wide(I)])
        self.twice = nn.RNN(H, H, nonlinearity="relu", batch_first=True)
        self.again = self.twice
        self.future = Stepped()
        self.head = nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.past(x)
        x, _ = self.mid[1](self.mid[0](x))
        x, last = self.twice(x)
        x, _ = self.again(x, last)
        return self.head(self.future(x))


class OwnForward(LSTM):
    def forward(self, input: Any, hx: Any = None) -> Any:
        return super().forward(2 * input, hx)


LIBRARY = {"past": rekur.nn.GRU, "mid.1": rekur.nn.LSTM, "twice": rekur.nn.RNN, "future.cell": rekur.nn.LSTMCell}


def results(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The output, what `x` and every parameter get as gradient."""
    x = x.clone().requires_grad_()
    y = model(x)
    y = y if isinstance(y, Tensor) else y[0]
    model.zero_grad()
    (y.sin().sum() + y.square().sum()).backward()
    return {"y": y.detach(), "dx": x.grad, **{name: p.grad for name, p in model.named_parameters()}}


def both(build: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> tuple[nn.Module, nn.Module]:
    """Two models with the same parameters; the second is to be accelerated."""
    plain = build().to(dtype)
    return plain, copy.deepcopy(plain)


def assert_same_model(fast: nn.Module, plain: nn.Module, what: str) -> None:
    """Equal results and gradients on one input, up to the rounding of the steps."""
    x = torch.randn(B, T, I, dtype=next(plain.parameters()).dtype)
    assert_near(results(fast, x), results(plain, x), 6 * T, what, size=10)
