"""Recurrent kernels: `scan` folds a cell over a sequence, `step` advances it by one time step.

Any object with the protocol `rekur.core.Cell` can be folded. The reference backend is plain torch over `Cell.point`,
differentiable to any order. The native backend is a fused C++ kernel, tested to equal the reference.
`backend="auto"` chooses between them; a backend requested by name runs or raises with the reason, which
`unsupported_reason` also returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rekur.core import BackendError, Cell, GatesT, RecurrentT, State, StateT, Weights, choose
from rekur.kernels import checkpointing, checks, native, reference
from rekur.kernels.extension import describe
from rekur.kernels.native import unsupported_reason

if TYPE_CHECKING:
    from typing import Protocol

    from torch import Tensor

    class _Backend(Protocol):
        def scan(
            self,
            cell: Cell[GatesT, RecurrentT, StateT],
            x: Tensor,
            weights: Weights,
            state: State | None,
            lengths: Tensor | None,
            resets: Tensor | None,
            reverse: bool,
        ) -> tuple[Tensor, StateT]: ...

        def step(self, cell: Cell[GatesT, RecurrentT, StateT], x: Tensor, weights: Weights, state: State) -> StateT: ...


__all__ = ["BACKENDS", "describe", "scan", "step", "unsupported_reason"]

BACKENDS = ("auto", "native", "reference")
"""The values of the argument `backend`."""

FEW_ROWS, LARGE_LAYER = 16, 300_000
"""Rows of a single step, at most, and weights of a layer, at least, for which plain torch is faster; four times as many
weights for more than one row."""


def _backend(cell: Cell[GatesT, RecurrentT, StateT], x: Tensor, weights: Weights, backend: str) -> _Backend:
    """The backend for an input x (B, T, I)."""
    if backend not in BACKENDS:
        choose("backend", backend, BACKENDS)
    if backend == "reference" or (backend == "auto" and _packing_dominates(x, weights)):
        return reference
    reason = native.unsupported_reason(cell, x, weights)
    if reason is None:
        return native
    if backend == "native":
        raise BackendError(f"backend='native' cannot run the cell {cell.name!r}: {reason}")
    return reference


def _packing_dominates(x: Tensor, weights: Weights) -> bool:
    """Whether packing the weights takes longer than one step of a few rows of x (B, T, I) of a large layer, untrained.

    Decoders and streams take such steps: a row of an LSTM of 400 units in 0.4 ms in place of 1.0, of 512 in 0.9 of 3.3.
    """
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or x.dtype is torch.bfloat16:
        return False
    size = weights.W.numel() + weights.R.numel()
    return x.shape[1] == 1 and size >= LARGE_LAYER * (1 if len(x) == 1 else 4) and len(x) <= FEW_ROWS


def _autocast(x: Tensor, weights: Weights, state: State | None) -> tuple[Tensor, State | None]:
    """Cast x for autocast to bfloat16, else to the dtype of the weights; states always have the latter."""
    dtype = weights.R.dtype
    half = dtype is torch.float32 and torch.get_autocast_dtype("cpu") is torch.bfloat16
    cast = x.to(torch.bfloat16 if half else dtype)
    return cast, None if state is None else [s.to(dtype) for s in state]


def scan(
    cell: Cell[GatesT, RecurrentT, StateT],
    x: Tensor,
    weights: Weights,
    state: State | None,
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
    resets: Tensor | None = None,
    recompute: bool = False,
) -> tuple[Tensor, StateT]:
    """Fold a recurrent cell over time.

        s_t = cell(x_t, s_{t-1}),  y_t = h_t,  t = 1 … length, or t = length … 1 if `reverse`

    where s_t are the S states after step t and h_t is the first of them.

    Parameters
    ----------
    cell : Cell
        A cell of `rekur.cells`, or any object with the protocol `rekur.core.Cell`.
    x : Tensor
        Input (B, T, I) with any strides, float32, float64 or bfloat16. In bfloat16 the products take x, W, R and h
        rounded to bfloat16 and y is bfloat16, while weights, states, sums and gates are float32; so it is under
        `torch.autocast("cpu", torch.bfloat16)`.
    weights : Weights
        W (G·H, I), R (G·H, H), biases (G·H,) or None.
    state : sequence of Tensor or None
        S tensors (B, H), the state before the first step; None for zeros.
    lengths : Tensor of int64 or None, default None
        Lengths (B,) in 0 … T; None for all T. What stands beyond a row's length is never read into a result, gives
        y = 0 and receives exactly zero gradient; a row of length 0 returns its initial state.
    reverse : bool, default False
        Walk each row from its last valid step to its first.
    backend : {"auto", "native", "reference"}, default "auto"
        "auto" runs the native kernels where they support the problem, but for a single step of a few rows of a large
        layer without gradients, for which they would first pack the weights.
    resets : Tensor of bool or None, default None
        (B, T); the states before a step of the walk become zero where it is true. None for never.
    recompute : bool, default False
        Keep the states of about √T steps alone and compute the others again for the gradient: memory √T instead of
        T for one more forward pass, with the same results.

    Returns
    -------
    y : Tensor
        The first state after each step, (B, T, H), in the order of x.
    state : NamedTuple of Tensor
        S tensors (B, H) after the last step of each row; gradients flow through both results.

    Raises
    ------
    BackendError
        A backend requested by name cannot run this problem.
    DataError
        Shapes, dtypes or lengths do not fit.
    OptionError
        `backend` is unknown.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import cell
    >>> from rekur.kernels import scan
    >>> lstm, x = cell("lstm"), torch.randn(2, 5, 3)
    >>> y, state = scan(lstm, x, lstm.init(3, 4), None, lengths=torch.tensor([5, 2]))
    >>> y.shape, state.h.shape, bool((y[1, 2:] == 0).all())
    (torch.Size([2, 5, 4]), torch.Size([2, 4]), True)
    """
    if torch.is_autocast_enabled("cpu"):
        x, state = _autocast(x, weights, state)
        with torch.autocast("cpu", enabled=False):
            return scan(cell, x, weights, state, lengths, reverse, backend, resets, recompute)
    checks.check(cell, x, weights, state, lengths, resets)
    chosen = _backend(cell, x, weights, backend)
    if chosen is reference and lengths is not None:
        checks.check_values(lengths, x.shape[1])
    if state is None and not x.shape[1]:
        state = cell.zeros(x.shape[0], weights.R.shape[1], weights.R)
    if recompute and torch.is_grad_enabled():
        return checkpointing.scan(chosen.scan, cell, x, weights, state, lengths, resets, reverse)
    return chosen.scan(cell, x, weights, state, lengths, resets, reverse)


def step(
    cell: Cell[GatesT, RecurrentT, StateT], x: Tensor, weights: Weights, state: State, backend: str = "auto"
) -> StateT:
    """Advance a recurrent cell by one time step.

    Parameters
    ----------
    cell, weights, backend
        As in `scan`.
    x : Tensor
        Input (B, I) of the step.
    state : sequence of Tensor
        S tensors (B, H), the state before the step.

    Returns
    -------
    state : NamedTuple of Tensor
        S tensors (B, H), the state after the step.

    Raises
    ------
    BackendError, DataError, OptionError
        As in `scan`.

    Examples
    --------
    >>> import torch
    >>> from rekur.cells import cell
    >>> from rekur.kernels import step
    >>> gru, x = cell("gru"), torch.randn(2, 3)
    >>> step(gru, x, gru.init(3, 4), gru.zeros(2, 4, x)).h.shape
    torch.Size([2, 4])
    """
    if torch.is_autocast_enabled("cpu"):
        x, cast = _autocast(x, weights, state)
        with torch.autocast("cpu", enabled=False):
            return step(cell, x, weights, state if cast is None else cast, backend)
    checks.check(cell, x.unsqueeze(1), weights, state, None, None)
    return _backend(cell, x.unsqueeze(1), weights, backend).step(cell, x, weights, state)
