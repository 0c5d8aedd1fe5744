"""The common part of all cells with a dense recurrence: gates = W·x + bW and R·h + bR, taken by name."""

from __future__ import annotations

import collections
import math
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rekur.core import Weights

if TYPE_CHECKING:
    from torch import Generator, Tensor


def _record(name: str, fields: tuple[str, ...]) -> Any:
    """Make a named tuple with these fields."""
    return collections.namedtuple(name, fields)


class DenseCell:
    """A declaration (ordered gates, ordered states) and `point`, the mathematics; the rest is derived.

    A subclass gives `name`, `gates`, `states` and `point(wx, rh, s)`. It is final: nothing that stands
    here is overridden. The order of the gates is their order in memory and equals torch's. The last gates may be
    `late`: their rows of R multiply not h but what `point` finds out, which gets a function for each in `rh`.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    late: tuple[str, ...] = ()
    _Gates: ClassVar[Any]
    _State: ClassVar[Any]

    def __init_subclass__(cls) -> None:
        """Check the declaration and make its two value types."""
        if len(set(cls.gates)) != len(cls.gates) or not cls.states or cls.states[0] != "h":
            raise TypeError(f"{cls.__name__}: gates must be distinct and the first state must be the output h")
        if cls.late != cls.gates[len(cls.gates) - len(cls.late) :]:
            raise TypeError(f"{cls.__name__}: the late gates must be the last ones")
        cls._Gates = _record("Gates", cls.gates)
        cls._State = _record("State", cls.states)

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """W·x + bW: (..., I) → (..., G·H)."""
        from torch.nn.functional import linear

        return linear(x, weights.W, weights.bW)

    def recur(self, h: Tensor, weights: Weights) -> Any:
        """R·h + bR: (B, H) → gates by name, each (B, H), the late ones as functions m (B, H) → R·m + bR (B, H)."""
        from torch.nn.functional import linear

        if not self.late:
            return self.gate(linear(h, weights.R, weights.bR))
        G, early = len(self.gates), len(self.gates) - len(self.late)
        biases = [None] * G if weights.bR is None else weights.bR.chunk(G)
        products = [partial(linear, weight=R, bias=b) for R, b in zip(weights.R.chunk(G), biases, strict=True)]
        return self._Gates(*(product(h) for product in products[:early]), *products[early:])

    def gate(self, stacked: Tensor) -> Any:
        """Split (..., G·H) into gates by name, each (..., H)."""
        return self._Gates(*stacked.chunk(len(self.gates), dim=-1))

    def state(self, **tensors: Tensor) -> Any:
        """Build a state by name."""
        return self._State(**tensors)

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        """One step, elementwise; given by the subclass."""
        raise NotImplementedError

    def zeros(self, B: int, H: int, like: Tensor) -> Any:
        """The state before the first step: S zero tensors (B, H)."""
        return self._State(*(like.new_zeros(B, H) for _ in self.states))

    def init(self, I: int, H: int, generator: Generator | None = None) -> Weights:  # noqa: E741
        """Draw all parameters from U(-1/√H, 1/√H), as torch.nn does."""
        import torch

        bound = 1.0 / math.sqrt(H)
        rows = len(self.gates) * H

        def draw(*shape: int) -> Tensor:
            return torch.empty(*shape).uniform_(-bound, bound, generator=generator)

        return Weights(draw(rows, I), draw(rows, H), draw(rows), draw(rows))
