"""Checks of shapes, dtypes, devices and lengths, done once for every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from rekur.core import DataError, State, Weights
from rekur.kernels import torch_private

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CellNames", "check", "check_values"]


class CellNames(Protocol):
    """The declaration of a cell, without its equations."""

    @property
    def name(self) -> str:
        """Name of the cell."""

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states."""


def check(
    cell: CellNames, x: Tensor, weights: Weights, state: State | None, lengths: Tensor | None, resets: Tensor | None
) -> None:
    """Raise a DataError unless every shape and dtype is as the kernels require."""
    if x.ndim != 3:
        raise DataError(f"x must be (B, T, I), not {tuple(x.shape)}")
    W, R, bW, bR = weights
    B, T, I = x.shape  # noqa: E741
    H = R.shape[-1]
    rows = len(cell.gates) * H
    if (
        W.shape != (rows, I)
        or R.shape != (rows, H)
        or (bW is not None and bW.shape != (rows,))
        or (bR is not None and bR.shape != (rows,))
    ):
        required = {"W": (rows, I), "R": (rows, H), "bW": (rows,), "bR": (rows,)}
        shapes = {name: tuple(w.shape) for name, w in weights._asdict().items() if w is not None}
        name = next(name for name, shape in shapes.items() if shape != required[name])
        raise DataError(f"{name} has shape {shapes[name]}, but cell {cell.name!r} needs {required[name]}")
    if (state is not None and len(state) != len(cell.states)) or H < 1 or I < 1:
        raise DataError(f"cell {cell.name!r} needs the states {cell.states}, H ≥ 1 and I ≥ 1")
    dtype, cpu = R.dtype, x.is_cpu  # x may be bfloat16, the states never are
    for tensor in state or ():
        if tensor.shape != (B, H) or tensor.dtype is not dtype or tensor.is_cpu is not cpu:
            raise DataError(
                f"a state is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}, "
                f"but must be {dtype} {(B, H)} on {x.device}"
            )
    if lengths is not None:
        if lengths.shape != (B,) or lengths.dtype is not torch.int64:
            raise DataError(f"lengths must be int64 ({B},), not {lengths.dtype} {tuple(lengths.shape)}")
        if lengths.is_cpu is not cpu:
            raise DataError(f"lengths are on {lengths.device}, but x on {x.device}")
    if resets is not None and (resets.shape != (B, T) or resets.dtype is not torch.bool or resets.is_cpu is not cpu):
        raise DataError(
            f"resets must be bool {(B, T)} on {x.device}, not {resets.dtype} {tuple(resets.shape)} on {resets.device}"
        )


def check_values(lengths: Tensor, T: int) -> None:
    """Raise a DataError unless all lengths lie in 0 … T; in a compiled graph, fail when it runs."""
    message = f"lengths must lie in 0 … {T}"
    inside = ((lengths >= 0) & (lengths <= T)).all()
    if torch.compiler.is_compiling():
        torch_private.assert_async(inside, message)
    elif not inside:
        raise DataError(message)
