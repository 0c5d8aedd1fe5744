"""Arrays of the user turned into tensors, with errors that name the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rekur.core import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor


def floats(name: str, values: ArrayLike, axes: str) -> Tensor:
    """An array as a float32 tensor; `axes` names them, as in "BTI". The first value that is not finite is named."""
    import torch

    try:
        array = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} cannot be read as numbers: {error}") from error
    if array.ndim != len(axes):
        raise DataError(f"{name} must have the axes ({', '.join(axes)}), got the shape {array.shape}")
    if 0 in array.shape:
        raise DataError(f"{name} is empty: its shape is {array.shape}")
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        place = ", ".join(f"{axis}={k}" for axis, k in zip(axes, at, strict=True))
        raise DataError(f"{name} holds {array[at]} at {place}; remove or fill it first")
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
