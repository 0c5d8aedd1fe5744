"""Stacks of recurrent layers: several layers in one or both directions, with dropout and layer normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from rekur.cells import cell as cell_by_name
from rekur.core import OptionError, State, Weights, positive
from rekur.kernels import scan

if TYPE_CHECKING:
    from torch import Generator, Tensor

MakeLayer = Callable[[int, int, bool], nn.Module]
"""(input size, index of the layer, reverse) → one layer in one direction."""


class Direction(nn.Module):
    """One recurrent layer in one direction, with its parameters.

    Parameters
    ----------
    cell : str
        Name of the cell, see `rekur.cells.CELLS`.
    input_size : int
        Number I of inputs of a step.
    hidden_size : int
        Size H of the hidden state.
    reverse : bool, default False
        Whether to walk from the last step to the first.
    generator : torch.Generator, default None
        Source of the initial weights, U(-1/√H, 1/√H).

    Notes
    -----
    Shapes: x (B, T, I), state S × (B, H) or None for zeros → y (B, T, H), state S × (B, H).

    Examples
    --------
    >>> import torch
    >>> y, state = Direction("lstm", 3, 5)(torch.zeros(2, 7, 3))
    >>> y.shape, state.c.shape
    (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, reverse: bool = False, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.cell, self.hidden_size, self.reverse = cell_by_name(cell), hidden_size, reverse
        for name, value in self.cell.init(input_size, hidden_size, generator)._asdict().items():
            self.register_parameter(name, nn.Parameter(value))

    @property
    def weights(self) -> Weights:
        """Parameters of the cell as one value."""
        return Weights(*(self._parameters[name] for name in Weights._fields))  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, state: State | None = None, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Outputs (B, T, H) and the state after the last step of each row."""
        return scan(self.cell, x, self.weights, state, lengths, self.reverse, resets=resets)


class LayerStack(nn.Module):
    """L layers, each in D directions, the outputs of both directions concatenated as input of the next layer.

    `make_layer` builds one layer in one direction: a module (x, state, lengths) → (y, state) whose outputs y (B, T, H,
    ...) have their features on axis 2. `pool` maps the outputs of the last layer to vectors.
    """

    def __init__(
        self,
        make_layer: MakeLayer,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        normalize: bool = False,
        pool: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        positive("hidden_size", hidden_size)
        positive("num_layers", num_layers)
        if not 0 <= dropout < 1:
            raise OptionError(f"dropout must lie in [0, 1), got {dropout!r}")
        self.num_directions, self.dropout, self.pool = 1 + bidirectional, dropout, pool
        self.size = hidden_size * self.num_directions
        sizes = [input_size] + [self.size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(make_layer(size, k, bool(d)) for d in range(self.num_directions))
            for k, size in enumerate(sizes)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) if normalize else nn.Identity() for size in [*sizes, self.size])

    def forward(
        self, x: Tensor, states: list[State] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Outputs (B, T, size) and L·D states, from the initial `states` (L·D of them) or zeros."""
        final: list[State] = []
        for k, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=False)):
            inputs = F.dropout(norm(x), self.dropout, self.training and k > 0)
            outputs = []
            for direction in layer:  # type: ignore[attr-defined]
                y, state = direction(inputs, None if states is None else states[len(final)], lengths)
                outputs.append(y)  # (B, T, H, ...)
                final.append(state)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)  # (B, T, D·H, ...)
        y = self.norms[-1](x)
        return y if self.pool is None else self.pool(y), final

    def last(self, states: list[State]) -> Tensor:
        """Output (B, size) after the last step of each row in both directions, from the L·D final states."""
        outputs = [state[0] for state in states[-self.num_directions :]]
        y = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
        return y if self.pool is None else self.pool(y)


class Stack(LayerStack):
    """L recurrent layers, each in one or both directions, with dropout between them.

        y⁰ = x,  yˡ = [scan→(n(yˡ⁻¹)), scan←(n(yˡ⁻¹))],  y = n(yᴸ)

    where n is the identity, or layer normalisation if `normalize` is set.

    Parameters
    ----------
    cell : str
        Name of the cell, see `rekur.cells.CELLS`.
    input_size : int
        Number I of inputs of a step.
    hidden_size : int
        Size H of the hidden state of each direction.
    num_layers : int, default 1
        Number L of layers.
    bidirectional : bool, default False
        Whether each layer also walks backward; the backward outputs are concatenated behind the forward ones.
    dropout : float, default 0.0
        Share of the outputs set to zero between layers during training, in [0, 1).
    normalize : bool, default False
        Whether to normalise each step over its features before each layer and after the last one; deep stacks train
        faster with it.
    seed : int, default 0
        Seed of the initial weights, U(-1/√H, 1/√H).

    Attributes
    ----------
    size : int
        Size D·H of the outputs, D = 2 if bidirectional.

    Raises
    ------
    OptionError
        A size is not positive, the cell is not known, or dropout lies outside [0, 1).

    Notes
    -----
    Shapes: x (B, T, I) → y (B, T, D·H) and a list of L·D states: layer 0 forward, layer 0 backward, layer 1 …

    References
    ----------
    J. L. Ba et al., 2016, "Layer normalization", arXiv:1607.06450.

    Examples
    --------
    >>> import torch
    >>> stack = Stack("lstm", 3, 5, num_layers=2)
    >>> y, states = stack(torch.zeros(2, 7, 3))
    >>> y.shape, len(states), states[0].c.shape
    (torch.Size([2, 7, 5]), 2, torch.Size([2, 5]))
    >>> stack.last(states).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        normalize: bool = False,
        seed: int = 0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)

        def make_layer(size: int, k: int, reverse: bool) -> Direction:
            return Direction(cell, size, hidden_size, reverse, generator)

        super().__init__(make_layer, input_size, hidden_size, num_layers, bidirectional, dropout, normalize)
