"""Calls into the compiled extension `rekur._native`: instruction sets, forward pass, backward pass.

The kernels take addresses and sizes and cannot fail: callers check every shape first. The environment variable
REKUR_ISA, read once on import, forces an instruction set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from rekur.core import DataError, OptionError, State, Weights
from rekur.kernels import torch_private
from rekur.kernels.checks import CellNames

if TYPE_CHECKING:
    from torch import Tensor

MISSING = torch_private.MISSING or "the extension is not built"
"""Why the native kernels cannot run, if they cannot."""

try:
    if torch_private.MISSING:
        raise ImportError(torch_private.MISSING)
    from rekur import _native as _native  # after torch, whose threads it shares
except ImportError as error:
    _native = None  # type: ignore[assignment]
    if not torch_private.MISSING and find_spec("rekur._native"):
        MISSING = f"the extension cannot be loaded: {error}"

__all__ = [
    "CELLS",
    "DTYPES",
    "MISSING",
    "CompiledCell",
    "backward",
    "describe",
    "forced",
    "forward",
    "instruction_sets",
    "new_gradients",
    "new_outputs",
    "tape_bytes",
    "unsupported_problem",
]

CELLS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = _native.cells() if _native else {}
"""The compiled cells: name to (number, gates, states)."""


@dataclass(frozen=True)
class CompiledCell:
    """Declaration of a compiled cell, without equations: a graph refers to a cell by name."""

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]

    @classmethod
    def of(cls, name: str) -> CompiledCell:
        """The declaration of this name, without gates and states if the cell is not compiled."""
        _, gates, states = CELLS.get(name, (0, (), ()))
        return cls(name, gates, states)


DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
"""Supported dtypes of x and y, with their numbers in the extension. With bfloat16, weights and states are float32."""


def _select(target: str) -> None:
    if _native is None:
        raise OptionError(f"REKUR_ISA={target} cannot be used: {MISSING}")
    try:
        _native.select(target)
    except ValueError as error:
        raise OptionError(f"REKUR_ISA: {error}") from None


if os.environ.get("REKUR_ISA"):
    _select(os.environ["REKUR_ISA"])


@contextmanager
def forced(target: str) -> Iterator[None]:
    """Use the instruction set `target` (one of `rekur._native.targets()`) inside the context."""
    before = _native.active()
    _select(target)
    try:
        yield
    finally:
        _select(before)


def instruction_sets() -> dict[str, list[str] | str | None]:
    """Instruction sets of the native kernels by "compiled", "supported" (by this machine) and "active", the one in use.

    Examples
    --------
    >>> sorted(instruction_sets())
    ['active', 'compiled', 'supported']
    """
    if _native is None:
        return {"compiled": [], "supported": [], "active": None}
    compiled, supported = (list(_native.targets(only)) for only in (False, True))
    return {"compiled": compiled, "supported": supported, "active": _native.active()}


def describe() -> str:
    """Describe the native kernels in one line: instruction sets compiled in, supported by this machine, and in use.

    Examples
    --------
    >>> from rekur.kernels import describe
    >>> describe().partition(":")[0]
    'kernels'
    """
    if _native is None:
        return f"kernels: reference only, {MISSING}"
    compiled, supported = (", ".join(_native.targets(only)) for only in (False, True))
    return f"kernels: native, compiled for {compiled}; this machine runs {supported}; in use {_native.active()}"


def unsupported_problem(cell: CellNames, x: Tensor, weights: Weights) -> str | None:
    """Return why the native kernels do not support this cell, these dtypes or this device, or None if they do."""
    compiled = CELLS.get(cell.name)
    if compiled is None:
        return f"the extension supports only the cells {', '.join(CELLS)}" if CELLS else MISSING
    _, gates, states = compiled
    if gates != cell.gates or states != cell.states:
        return f"the extension's {cell.name!r} has gates {gates} and states {states}"
    if x.dtype not in DTYPES:
        return f"the dtype {x.dtype} is not supported, only float32, float64 and bfloat16"
    dtype = torch.float32 if x.dtype is torch.bfloat16 else x.dtype
    cpu = x.is_cpu
    if not cpu and not x.is_meta:
        return f"x is on {x.device}, not on the CPU"
    for tensor in weights:
        if tensor is not None:
            if tensor.dtype is not dtype:
                return f"x is {x.dtype} but a weight is {tensor.dtype}, not {dtype}"
            if tensor.is_cpu is not cpu:
                return f"x is on {x.device} but a weight is on {tensor.device}"
    return None


def _rows(tensor: Tensor) -> Tensor:
    """The tensor with its last dimension contiguous, copied only if it is not."""
    tensor = tensor.resolve_neg()
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _mask(resets: Tensor | None) -> tuple[int, int, int]:
    return (0, 0, 0) if resets is None else (resets.data_ptr(), resets.stride(0), resets.stride(1))


def new_outputs(x: Tensor, R: Tensor, states: int) -> list[Tensor]:
    """Allocate y (B, T, H) and the last states S × (B, H).

    The axis order of y in memory follows x: a transposed view of a contiguous (T, B, H) if x is one of a (T, B, I).
    """
    (B, T, _), H = x.shape, R.shape[1]
    if x.is_contiguous() or not 0 < x.stride(0) < x.stride(1):
        outputs = [x.new_empty(B, T, H)]
    else:
        outputs = [x.new_empty_strided((B, T, H), (H, B * H, 1))]
    for _ in range(states):
        outputs.append(R.new_empty(B, H))
    return outputs


def new_gradients(x: Tensor, W: Tensor, R: Tensor, wanted: Sequence[bool]) -> list[Tensor | None]:
    """Allocate the gradients of x, W, R, bW, bR and S × state; None where `wanted` is false."""
    rows, H = R.shape
    grads = [
        torch.empty_like(_rows(x)) if wanted[0] else None,
        R.new_empty(W.shape) if wanted[1] else None,
        R.new_empty(rows, H) if wanted[2] else None,
        R.new_empty(rows) if wanted[3] else None,
        R.new_empty(rows) if wanted[4] else None,
    ]
    for of_state in wanted[5:]:
        grads.append(R.new_empty(x.shape[0], H) if of_state else None)
    return grads


def tape_bytes(cell: str, x: Tensor, R: Tensor, resets: Tensor | None) -> int:
    """Size of the tape of a forward pass in bytes; x may have symbolic sizes."""
    a, b, c, d = _native.tape_sizes(CELLS[cell][0], DTYPES[x.dtype], int(R.shape[1]), resets is not None)
    B, T, _ = x.shape
    return a + b * T + (c + d * T) * B


def forward(
    cell: str,
    x: Tensor,
    weights: Weights,
    state: State | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
    training: bool,
) -> list[Tensor]:
    """Fold from a state or from zeros: y, the last states S × (B, H) and, in training, the tape (bytes,)."""
    W, R, bW, bR = weights
    W, R, x = W.contiguous(), R.contiguous(), _rows(x)
    bW, bR = None if bW is None else bW.contiguous(), None if bR is None else bR.contiguous()
    lengths = None if lengths is None else lengths.contiguous()
    init0, init1 = [s.resolve_neg().contiguous() for s in state or ()] + [None] * (2 - len(state or ()))
    number, _, states = CELLS[cell]
    outputs = new_outputs(x, R, len(states))
    y = outputs[0]
    (B, T, I), (x_batch, x_time, _), (y_batch, y_time, _) = x.shape, x.stride(), y.stride()  # noqa: E741
    try:
        tape = _native.forward(
            number, DTYPES[x.dtype], B, T, I, R.shape[1], reverse, _address(lengths),
            *_mask(resets), torch.get_num_threads(), training, x.data_ptr(), x_batch, x_time,
            W.data_ptr(), R.data_ptr(), _address(bW), _address(bR), _address(init0), _address(init1),
            y.data_ptr(), y_batch, y_time, outputs[1].data_ptr(), outputs[2].data_ptr() if len(states) > 1 else 0,
        )  # fmt: skip
    except ValueError as error:
        raise DataError(str(error)) from None
    if training:
        outputs.append(torch.frombuffer(tape, dtype=torch.uint8))  # the tensor owns the memory, so autograd frees it
    return outputs


def backward(
    cell: str,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    tape: Tensor,
    resets: Tensor | None,
    ends: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of x, W, R, bW, bR and S × state from those of y and S × last; None where `wanted` is false.

    Raises
    ------
    DataError
        The tape is not that of a forward pass of this cell, type and shape.
    """
    grads = new_gradients(x, W, R, wanted)
    dx, dW, dR, dbW, dbR, dinit0, dinit1 = grads + [None] * (7 - len(grads))
    x, W, R = _rows(x), W.contiguous(), R.contiguous()
    B, T, I = x.shape  # noqa: E741
    dy, dlast0, dlast1 = ends if len(ends) > 2 else (*ends, None)
    dy_batch = dy_time = dx_batch = dx_time = 0
    if dy is not None:
        dy = _rows(dy)
        dy_batch, dy_time, _ = dy.stride()
    if dx is not None:
        dx_batch, dx_time, _ = dx.stride()
    dlast0 = None if dlast0 is None else dlast0.resolve_neg().contiguous()
    dlast1 = None if dlast1 is None else dlast1.resolve_neg().contiguous()
    try:
        _native.backward(
            tape.data_ptr(), tape.numel(), CELLS[cell][0], DTYPES[x.dtype], B, T, I, R.shape[1],
            *_mask(resets), torch.get_num_threads(), x.data_ptr(), x.stride(0), x.stride(1),
            W.data_ptr(), R.data_ptr(),
            _address(dy), dy_batch, dy_time, _address(dlast0), _address(dlast1), _address(dx), dx_batch, dx_time,
            _address(dW), _address(dR), _address(dbW), _address(dbR), _address(dinit0), _address(dinit1),
        )  # fmt: skip
    except ValueError as error:
        raise DataError(str(error)) from None
    return grads
