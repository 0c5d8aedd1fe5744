"""Cells with dense recurrence: gates W·x + bW and R·h + bR, by name."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias

from rekur.core import GatesT, RecurrentT, StateT, Weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor


class HiddenState(NamedTuple):
    """The state of a cell without further memory.

    Attributes
    ----------
    h : Tensor
        Hidden state (B, H), which is the output.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import HiddenState
    >>> HiddenState(torch.zeros(2, 3)).h.shape
    torch.Size([2, 3])
    """

    h: Tensor


class DenseCell(Generic[GatesT, RecurrentT, StateT]):
    """Base of all cells with dense recurrence: a declaration and `point`, the equations of one step.

    A subclass gives `name`, `Gates`, `State` and `point`, and overrides nothing else. The fields of `Gates`, in
    memory order, equal the order of the gates in torch.nn. The last gates may be `late`: their rows of R multiply
    not h but a value that `point` computes, so `recur` returns a function for each of them, in a `RecurrentGates`.

    Attributes
    ----------
    name : str
        Name of the cell, a key of `rekur.cells.CELLS`.
    gates : tuple of str
        Names of the gates, the fields of `Gates`.
    states : tuple of str
        Names of the states, the fields of `State`; the first one is the output h.
    late : tuple of str, default ()
        Names of the late gates, the last ones of `gates`.
    Gates, RecurrentGates, State : type of NamedTuple
        Value types: gates from the input, gates from the state (default `Gates`), and the state.

    Examples
    --------
    A leaky integrator, h' = h + σ(a)·(n - h), with two gates:

    >>> import torch
    >>> from typing import NamedTuple
    >>> from rekur.cells import DenseCell, HiddenState
    >>> from rekur.kernels import scan
    >>> class LeakGates(NamedTuple):
    ...     a: torch.Tensor
    ...     n: torch.Tensor
    >>> class Leak(DenseCell):
    ...     name, Gates, State = "leak", LeakGates, HiddenState
    ...
    ...     def point(self, wx, rh, s):
    ...         return self.state(h=s.h + (wx.a + rh.a).sigmoid() * (wx.n + rh.n - s.h))
    >>> leak = Leak()
    >>> y, state = scan(leak, torch.zeros(2, 7, 3), leak.init(3, 4), None)
    >>> y.shape, leak.gates
    (torch.Size([2, 7, 4]), ('a', 'n'))
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    late: tuple[str, ...] = ()
    Gates: Callable[..., GatesT]
    RecurrentGates: Callable[..., RecurrentT]
    State: Callable[..., StateT]

    def __init_subclass__(cls) -> None:
        """Derive the names of gates and states, and check the declaration."""
        declared: Any = cls
        cls.gates, cls.states = declared.Gates._fields, declared.State._fields
        if "RecurrentGates" not in vars(cls):
            cls.RecurrentGates = declared.Gates
        if not cls.states or cls.states[0] != "h":
            raise TypeError(f"{cls.__name__}: the first state must be the output h")
        if cls.late != cls.gates[len(cls.gates) - len(cls.late) :]:
            raise TypeError(f"{cls.__name__}: the late gates must be the last ones")

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """W·x + bW: (..., I) → (..., G·H)."""
        from torch.nn.functional import linear

        return linear(x, weights.W, weights.bW)

    def recur(self, h: Tensor, weights: Weights) -> RecurrentT:
        """R·h + bR: (B, H) → gates by name, each (B, H), the late ones as functions m (B, H) → R·m + bR (B, H)."""
        from torch.nn.functional import linear

        G, early = len(self.gates), len(self.gates) - len(self.late)
        if not self.late:
            return self.RecurrentGates(*linear(h, weights.R, weights.bR).chunk(G, dim=-1))
        biases = [None] * G if weights.bR is None else weights.bR.chunk(G)
        products = [partial(linear, weight=R, bias=b) for R, b in zip(weights.R.chunk(G), biases, strict=True)]
        return self.RecurrentGates(*(product(h) for product in products[:early]), *products[early:])

    def gate(self, stacked: Tensor) -> GatesT:
        """Split (..., G·H) into gates by name, each (..., H)."""
        return self.Gates(*stacked.chunk(len(self.gates), dim=-1))

    def state(self, **tensors: Tensor) -> StateT:
        """Build a state by name."""
        return self.State(**tensors)

    def point(self, wx: GatesT, rh: RecurrentT, s: StateT, /) -> StateT:
        """Advance by one step, elementwise; implemented by the subclass."""
        raise NotImplementedError

    def zeros(self, B: int, H: int, like: Tensor) -> StateT:
        """Return the default initial state: S zero tensors (B, H)."""
        return self.State(*(like.new_zeros(B, H) for _ in self.states))

    def init(self, I: int, H: int, generator: Generator | None = None) -> Weights:  # noqa: E741
        """Draw all parameters from U(-1/√H, 1/√H), as torch.nn does.

        Parameters
        ----------
        I : int
            Input size.
        H : int
            Hidden size.
        generator : torch.Generator or None, default None
            Source of randomness; None uses the global one.

        Returns
        -------
        weights : Weights
            W (G·H, I), R (G·H, H), bW and bR (G·H,), float32.
        """
        import torch

        bound = 1.0 / math.sqrt(H)
        rows = len(self.gates) * H

        def draw(*shape: int) -> Tensor:
            return torch.empty(*shape).uniform_(-bound, bound, generator=generator)

        return Weights(draw(rows, I), draw(rows, H), draw(rows), draw(rows))


AnyCell: TypeAlias = DenseCell[Any, Any, Any]
"""A cell whose gates and states are known by name only."""
