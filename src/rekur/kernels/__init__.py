"""The one narrow door to the kernels: `scan` folds a sequence, `step` advances by one, `why_not` tells.

Any object that fulfils `rekur.core.Cell` may pass; no cell is known here. The reference backend is plain torch
over `cell.point`, always right and differentiable. The native backend is a fused C++ kernel proved equal to it.
`backend="auto"` chooses; a backend asked for by name runs or raises with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rekur.core import BackendError, Cell, Weights, choose
from rekur.kernels import checkpointing, checks, native, reference

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BACKENDS", "describe", "scan", "step", "why_not"]

BACKENDS = ("auto", "native", "reference")


def why_not(cell: Cell, x: Tensor, weights: Weights) -> str | None:
    """Return the reason why the native kernel cannot run this problem, or None if it can."""
    return native.why_not(cell, x, weights)


def describe() -> str:
    """One line: the native instruction sets compiled in, those this machine runs, and the one in use."""
    return native.describe()


def _backend(cell: Cell, x: Tensor, weights: Weights, backend: str) -> Any:
    if backend not in BACKENDS:
        choose("backend", backend, BACKENDS)
    if backend == "reference":
        return reference
    reason = native.why_not(cell, x, weights)
    if reason is None:
        return native
    if backend == "native":
        raise BackendError(f"backend='native' cannot run the cell {cell.name!r}: {reason}")
    return reference


def _autocast(run: Any, cell: Cell, x: Tensor, weights: Weights, state: Any, *rest: Any) -> Any:
    """Under autocast to bfloat16, x and y are that, beside weights and states in float32; else x is what they are."""
    with torch.autocast("cpu", enabled=False):
        dtype = weights.R.dtype
        half = dtype is torch.float32 and torch.get_autocast_dtype("cpu") is torch.bfloat16
        if state is not None:
            state = cell.state(**{name: s.to(dtype) for name, s in zip(cell.states, state, strict=True)})
        return run(cell, x.to(torch.bfloat16 if half else dtype), weights, state, *rest)


def scan(
    cell: Cell,
    x: Tensor,
    weights: Weights,
    state: Any,
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
    resets: Tensor | None = None,
    recompute: bool = False,
) -> tuple[Tensor, Any]:
    """Fold the cell over time.

        s_t = cell(x_t, s_{t-1}),  y_t = h_t,  t = 1 … length, or t = length … 1 if `reverse`

    Parameters
    ----------
    cell : what `rekur.core.Cell` describes
    x : (B, T, I); any strides. In bfloat16 the products take x, W, R and h rounded to that and y is that too, while
        weights, states, sums and gates are float32; so it is under `torch.autocast("cpu", torch.bfloat16)`
    weights : W (G·H, I), R (G·H, H), biases (G·H,) or None
    state : S tensors (B, H), the state before the first step; None for zeros
    lengths : (B,) int64 in 0 … T, or None for all T. What stands beyond a row's length is never read into a
        result, gives y = 0 and receives exactly zero gradient; a row of length 0 returns its initial state.
    reverse : walk each row from its last valid step to its first
    backend : "auto", "native" or "reference"
    resets : (B, T) bool, or None for never. Where it is true the states before that step of the walk are zero.
    recompute : keep the states of some √T steps alone and run the others again for the gradient: memory √T
        instead of T, one more forward pass; the same results

    Returns
    -------
    y : (B, T, H), the first state after each step, in the order of x
    state : S tensors (B, H) after the last step of each row; gradients flow through both

    Raises
    ------
    BackendError : a backend asked for by name cannot run this problem
    DataError : shapes, dtypes or lengths that do not fit
    """
    result: tuple[Tensor, Any]
    if torch.is_autocast_enabled("cpu"):
        result = _autocast(scan, cell, x, weights, state, lengths, reverse, backend, resets, recompute)
        return result
    checks.check(cell, x, weights, state, lengths, resets)
    room = _backend(cell, x, weights, backend)
    if room is reference and lengths is not None:
        checks.check_values(lengths, x.shape[1])
    if state is None and (room is reference or not x.shape[1]):
        state = cell.zeros(x.shape[0], weights.R.shape[1], weights.R)
    arguments = (cell, x, weights, state, lengths, resets, reverse)
    again = recompute and torch.is_grad_enabled()
    result = checkpointing.scan(room.scan, *arguments) if again else room.scan(*arguments)
    return result


def step(cell: Cell, x: Tensor, weights: Weights, state: Any, backend: str = "auto") -> Any:
    """Advance by one step: x (B, I) and S states (B, H) give the new S states (B, H)."""
    if torch.is_autocast_enabled("cpu"):
        return _autocast(step, cell, x, weights, state, backend)
    checks.check(cell, x.unsqueeze(1), weights, state, None, None)
    return _backend(cell, x, weights, backend).step(cell, x, weights, state)
