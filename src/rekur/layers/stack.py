"""A stack of recurrent layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import dropout

from rekur.cells import cell as cell_by_name
from rekur.core import OptionError, Weights, positive
from rekur.kernels import scan

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Direction(nn.Module):
    """One cell folded over time in one direction, with its parameters.

    x (B, T, I), state S × (B, H) or None for zeros → y (B, T, H), state S × (B, H).
    """

    def __init__(self, cell: str, I: int, H: int, reverse: bool, generator: Generator | None) -> None:  # noqa: E741
        super().__init__()
        self.cell, self.H, self.reverse = cell_by_name(cell), H, reverse
        for name, value in self.cell.init(I, H, generator)._asdict().items():
            self.register_parameter(name, nn.Parameter(value))

    @property
    def weights(self) -> Weights:
        """The parameters of the cell as a value."""
        return Weights(*(self._parameters[name] for name in Weights._fields))  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, state: Any = None, lengths: Tensor | None = None, backend: str = "auto"
    ) -> tuple[Tensor, Any]:
        """Fold over x; see the class for the shapes."""
        return scan(self.cell, x, self.weights, state, lengths, self.reverse, backend)


class Stack(nn.Module):
    """L recurrent layers, each in D directions, with dropout between them.

        y⁰ = x,  yˡ = [scan→(n(yˡ⁻¹)), scan←(n(yˡ⁻¹))],  y = n(yᴸ)

    where n is the identity, or layer normalisation if `normalize` is set.

    Parameters
    ----------
    cell : name of the cell, see `rekur.cells.CELLS`
    I, H : input and hidden size
    layers : L
    bidirectional : D = 2, the backward direction concatenated behind the forward one
    dropout : share of the outputs set to zero between layers while training
    normalize : give every step mean 0 and variance 1 over its entries, then a learned scale and shift, before each
        layer and behind the last: deep stacks then learn from the first steps on
    seed : seed of the initial weights, U(-1/√H, 1/√H)

    Shapes: x (B, T, I) → y (B, T, D·H) and a list of L·D states, layer 0 forward, layer 0 backward, layer 1 …

    >>> import torch
    >>> y, states = Stack("lstm", 3, 5, layers=2)(torch.zeros(2, 7, 3))
    >>> y.shape, len(states), states[0].c.shape
    (torch.Size([2, 7, 5]), 2, torch.Size([2, 5]))

    Source of the normalisation: J. L. Ba et al., 2016, "Layer normalization", arXiv:1607.06450.
    """

    def __init__(
        self,
        cell: str,
        I: int,  # noqa: E741
        H: int,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        normalize: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive("hidden", H)
        positive("layers", layers)
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout must lie in [0, 1), got {dropout!r}")
        self.D, self.size, self.dropout = 1 + bidirectional, H * (1 + bidirectional), dropout
        generator = torch.Generator().manual_seed(seed)
        sizes = [I] + [self.size] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(Direction(cell, size, H, bool(d), generator) for d in range(self.D)) for size in sizes
        )
        each = [nn.LayerNorm(size) if normalize else nn.Identity() for size in [*sizes, self.size]]
        self.norms = nn.ModuleList(each)

    def forward(
        self, x: Tensor, states: Any = None, lengths: Tensor | None = None, backend: str = "auto"
    ) -> tuple[Tensor, list[Any]]:
        """Fold over x (B, T, I) from `states` (L·D of them) or zeros."""
        after: list[Any] = []
        for i, layer in enumerate(self.layers):
            before = self.norms[i](x)
            before = before if i == 0 or not (self.dropout and self.training) else dropout(before, self.dropout)
            outputs = []
            for direction in layer:  # type: ignore[attr-defined]
                state = None if states is None else states[len(after)]
                y, state = direction(before, state, lengths, backend)
                outputs.append(y)  # (B, T, H)
                after.append(state)
            x = outputs[0] if self.D == 1 else torch.cat(outputs, dim=-1)  # (B, T, D·H)
        return self.norms[-1](x), after

    def last(self, states: list[Any]) -> Tensor:
        """The output after the last step of each row, both directions: L·D states → (B, D·H)."""
        return torch.cat([state[0] for state in states[-self.D :]], dim=-1) if self.D > 1 else states[-1][0]
