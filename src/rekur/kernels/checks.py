"""What every backend may rely on: shapes, dtypes and lengths, checked once at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekur.core import Cell, DataError, Weights

if TYPE_CHECKING:
    from torch import Tensor


def check(cell: Cell, x: Tensor, weights: Weights, state: Any, lengths: Tensor | None) -> None:
    """Raise a DataError unless every shape and dtype is what the kernels will read."""
    import torch

    if x.ndim != 3:
        raise DataError(f"x must be (B, T, I), not {tuple(x.shape)}")
    B, T, I = x.shape  # noqa: E741
    H = weights.R.shape[1]
    rows = len(cell.gates) * H
    wanted = (("W", weights.W, (rows, I)), ("R", weights.R, (rows, H)))
    wanted += (("bW", weights.bW, (rows,)), ("bR", weights.bR, (rows,)))  # type: ignore[assignment]
    for name, tensor, shape in wanted:
        if tensor is not None and tensor.shape != shape:
            raise DataError(f"{name} has shape {tuple(tensor.shape)}, but cell {cell.name!r} needs {shape}")
    if len(state) != len(cell.states) or H < 1 or I < 1:
        raise DataError(f"cell {cell.name!r} needs the states {cell.states}, H ≥ 1 and I ≥ 1")
    for name, tensor in zip(cell.states, state, strict=True):
        if tensor.shape != (B, H) or tensor.dtype is not x.dtype:
            raise DataError(f"state {name} is {tensor.dtype} {tuple(tensor.shape)}, but must be {x.dtype} {(B, H)}")
    if lengths is not None:
        if lengths.shape != (B,) or lengths.dtype is not torch.int64:
            raise DataError(f"lengths must be int64 ({B},), not {lengths.dtype} {tuple(lengths.shape)}")
        if B and (int(lengths.min()) < 0 or int(lengths.max()) > T):
            raise DataError(f"lengths must lie in 0 … {T}")
