"""Validation of user arrays: numbers, lengths and weights as tensors, errors that name the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rekur.core import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor


def floats(name: str, values: ArrayLike, axes: str) -> Tensor:
    """Array as a float32 tensor; `axes` names its axes, as in "BTI". The first value that is not finite is an error."""
    import torch

    try:
        array = np.asarray(values)
        if array.dtype.kind == "c":
            raise DataError(f"Complex data not supported: {name} must hold real numbers")
        array = array.astype(np.float32, copy=False)
    except DataError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} cannot be read as numbers: {error}") from error
    if array.ndim != len(axes):
        raise DataError(
            f"{name} must have the axes ({', '.join(axes)}), got the shape {array.shape}. Reshape your data"
        )
    if 0 in array.shape:
        raise DataError(f"{name} is empty: its shape is {array.shape}")
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        place = ", ".join(f"{axis}={k}" for axis, k in zip(axes, at, strict=True))
        value = "NaN" if np.isnan(array[at]) else array[at]
        raise DataError(f"{name} holds {value} at {place}; remove or fill it first")
    return torch.from_numpy(np.ascontiguousarray(array))


def whole_lengths(lengths: ArrayLike | None, B: int, T: int) -> Tensor | None:
    """Lengths (B,) as int64, each in 1 … T."""
    import torch

    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.shape != (B,) or not np.issubdtype(array.dtype, np.integer) or array.min() < 1 or array.max() > T:
        raise DataError(f"lengths must be {B} whole numbers in 1 … {T}")
    return torch.from_numpy(array.astype(np.int64))


def row_weights(weights: ArrayLike, B: int) -> Tensor:
    """Weights (B,) of rows as float32: finite, none negative, not all zero."""
    tensor = floats("sample_weight", weights, "B")
    if len(tensor) != B or bool((tensor < 0).any()) or not bool(tensor.any()):
        raise DataError(f"sample_weight must be {B} numbers, none negative and not all zero")
    return tensor
