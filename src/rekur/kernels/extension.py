"""The extension `rekur._native`: which instruction set it uses, and its two passes, called with addresses and sizes.

The door has checked every shape; the kernels cannot fail. `REKUR_ISA=name` in the environment, read once on import,
forces an instruction set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from rekur.core import Cell, DataError, OptionError, Weights

if TYPE_CHECKING:
    from torch import Tensor

MISSING = "the extension is not built"
"""Why there are no kernels, if there are none."""

try:
    from rekur import _native as _native  # after torch, whose threads it shares
except ImportError as error:
    _native = None
    if find_spec("rekur._native"):
        MISSING = f"the extension cannot be loaded: {error}"

__all__ = [
    "CELLS",
    "DTYPES",
    "MISSING",
    "backward",
    "describe",
    "forced",
    "forward",
    "new_gradients",
    "new_outputs",
    "tape_bytes",
    "why_not",
]

CELLS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = _native.cells() if _native else {}
"""The compiled cells: name to (number, gates, states)."""

DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}
"""What x and y may be, with the number of the kernels for it. To bfloat16 belong weights and states in float32."""


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


def describe() -> str:
    """One line: the instruction sets compiled in, those this machine runs, and the one in use."""
    if _native is None:
        return f"kernels: reference only, {MISSING}"
    compiled, supported = (", ".join(_native.targets(only)) for only in (False, True))
    return f"kernels: native, compiled for {compiled}; this machine runs {supported}; in use {_native.active()}"


def why_not(cell: Cell, x: Tensor, weights: Weights) -> str | None:
    """Return the reason why the kernels cannot run this problem, or None if they can."""
    known = CELLS.get(cell.name)
    if known is None:
        return f"the extension knows only the cells {', '.join(CELLS)}" if CELLS else MISSING
    if known[1] != cell.gates or known[2] != cell.states:
        return f"the extension's {cell.name!r} has gates {known[1]} and states {known[2]}"
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
    """Memory for y (B, T, H) and the last states S × (B, H).

    In time y is laid out like x: a transposed view of a contiguous (T, B, H) if x is one of a (T, B, I).
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
    """Memory for the gradients of x, W, R, bW, bR and S × state; None for those not wanted."""
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
    """What a forward pass keeps in training, also for sizes that are symbols."""
    a, b, c, d = _native.tape_sizes(CELLS[cell][0], DTYPES[x.dtype], int(R.shape[1]), resets is not None)
    B, T, _ = x.shape
    return a + b * T + (c + d * T) * B  # type: ignore[no-any-return]


def forward(
    cell: str,
    x: Tensor,
    weights: Sequence[Any],
    state: Sequence[Tensor] | None,
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
    """The gradients of x, W, R, bW, bR and S × state from those of y and S × last; None for those not wanted."""
    grads = new_gradients(x, W, R, wanted)
    dx, dW, dR, dbW, dbR, dinit0, dinit1 = grads + [None] * (7 - len(grads))
    x, W, R = _rows(x), W.contiguous(), R.contiguous()
    dy, dlast0, dlast1 = ends if len(ends) > 2 else (*ends, None)
    dy_batch = dy_time = dx_batch = dx_time = 0
    if dy is not None:
        dy = _rows(dy)
        dy_batch, dy_time, _ = dy.stride()
    if dx is not None:
        dx_batch, dx_time, _ = dx.stride()
    dlast0 = None if dlast0 is None else dlast0.resolve_neg().contiguous()
    dlast1 = None if dlast1 is None else dlast1.resolve_neg().contiguous()
    _native.backward(
        tape.data_ptr(), *_mask(resets), torch.get_num_threads(), x.data_ptr(), x.stride(0), x.stride(1),
        W.data_ptr(), R.data_ptr(),
        _address(dy), dy_batch, dy_time, _address(dlast0), _address(dlast1), _address(dx), dx_batch, dx_time,
        _address(dW), _address(dR), _address(dbW), _address(dbR), _address(dinit0), _address(dinit1),
    )  # fmt: skip
    return grads
