"""The native backend: the fused kernels of the extension `rekur._native` behind `torch.autograd`.

The door has checked every shape; the kernels take addresses and sizes and cannot fail. `REKUR_ISA=name` in the
environment, read once on import, forces an instruction set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from rekur.core import BackendError, Cell, OptionError, Weights

if TYPE_CHECKING:
    from torch import Tensor

try:
    from rekur import _native  # after torch, whose threads it shares
except ImportError:
    _native = None

__all__ = ["describe", "forced", "scan", "step", "why_not"]

_CELLS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = _native.cells() if _native else {}


def _select(target: str) -> None:
    try:
        _native.select(target)
    except ValueError as error:
        raise OptionError(f"REKUR_ISA: {error}") from None


if _native is not None and os.environ.get("REKUR_ISA"):
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
        return "kernels: reference only, the extension is not built"
    compiled, supported = (", ".join(_native.targets(only)) for only in (False, True))
    return f"kernels: native, compiled for {compiled}; this machine runs {supported}; in use {_native.active()}"


def why_not(cell: Cell, x: Tensor, weights: Weights) -> str | None:
    """Return the reason why the native kernel cannot run this problem, or None if it can."""
    if _native is None:
        return "the extension is not built"
    known = _CELLS.get(cell.name)
    if known is None:
        return f"the extension knows only the cells {', '.join(_CELLS)}"
    if known[1] != cell.gates or known[2] != cell.states:
        return f"the extension's {cell.name!r} has gates {known[1]} and states {known[2]}"
    dtype = x.dtype
    if dtype is not torch.float32 and dtype is not torch.float64:
        return f"the dtype {dtype} is not supported, only float32 and float64"
    for tensor in (x, *weights):
        if tensor is not None:
            if tensor.dtype is not dtype:
                return f"x is {dtype} but a weight is {tensor.dtype}"
            if not tensor.is_cpu:
                return f"a tensor is on {tensor.device}, not on the CPU"
    return None


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _inner(tensor: Tensor) -> Tensor:
    """The tensor with its last dimension contiguous, copied only if it is not."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _forward(
    cell: Cell,
    x: Tensor,
    weights: tuple[Tensor | None, ...],
    state: tuple[Tensor, ...],
    lengths: Tensor | None,
    reverse: bool,
    training: bool,
) -> tuple[Any, Any, Tensor, list[Tensor]]:
    """Run the forward kernel on contiguous weights and states; returns plan, tape, y and the last states."""
    W, R, bW, bR = weights
    B, T, I = x.shape  # noqa: E741
    H = state[0].shape[1]
    y = x.new_empty(B, T, H)
    last = [torch.empty_like(s) for s in state]
    plan, tape = _native.forward(
        _CELLS[cell.name][0], x.dtype is torch.float64, B, T, I, H, reverse, _address(lengths),
        torch.get_num_threads(), training, x.data_ptr(), x.stride(0), x.stride(1),
        _address(W), _address(R), _address(bW), _address(bR),
        state[0].data_ptr(), state[1].data_ptr() if len(state) > 1 else 0,
        y.data_ptr(), y.stride(0), y.stride(1),
        last[0].data_ptr(), last[1].data_ptr() if len(last) > 1 else 0,
    )  # fmt: skip
    return plan, tape, y, last


class _Scan(torch.autograd.Function):
    """The fold over time and its gradient; a second differentiation is refused."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, lengths: Tensor | None, reverse: bool, x: Tensor, *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        weights = tensors[:4]
        state: Any = tensors[4:]
        ctx.plan, tape, y, last = _forward(cell, x, weights, state, lengths, reverse, True)
        memory = torch.frombuffer(tape, dtype=torch.uint8)  # a tensor, so that autograd frees it after use
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, weights[0], weights[1], memory)
        return y, *last

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # a graph of this pass was asked for
            raise BackendError("the native kernel has no second derivative; use backend='reference'")
        x, W, R, memory = ctx.saved_tensors
        needs = ctx.needs_input_grad
        if dy is not None:
            dy = _inner(dy)
        ends = [None if d is None else d.contiguous() for d in dlast]
        dx = torch.empty_like(x) if needs[3] else None
        dW = torch.empty_like(W) if needs[4] else None
        dR = torch.empty_like(R) if needs[5] else None
        dbW = W.new_empty(W.shape[0]) if needs[6] else None
        dbR = W.new_empty(W.shape[0]) if needs[7] else None
        starts = [x.new_empty(x.shape[0], R.shape[1]) if need else None for need in needs[8:]]
        two = len(starts) > 1
        _native.backward(
            ctx.plan, memory.data_ptr(), torch.get_num_threads(), x.data_ptr(), x.stride(0), x.stride(1),
            W.data_ptr(), R.data_ptr(),
            *((0, 0, 0) if dy is None else (dy.data_ptr(), dy.stride(0), dy.stride(1))),
            _address(ends[0]), _address(ends[1]) if two else 0,
            *((0, 0, 0) if dx is None else (dx.data_ptr(), dx.stride(0), dx.stride(1))),
            _address(dW), _address(dR), _address(dbW), _address(dbR),
            _address(starts[0]), _address(starts[1]) if two else 0,
        )  # fmt: skip
        return None, None, None, dx, dW, dR, dbW, dbR, *starts


def scan(
    cell: Cell, x: Tensor, weights: Weights, state: Any, lengths: Tensor | None, reverse: bool
) -> tuple[Tensor, Any]:
    """Fold the cell over x (B, T, I); see `rekur.kernels.scan`."""
    x = _inner(x)
    tensors: list[Any] = [None if w is None else w.contiguous() for w in weights]
    tensors += [s.contiguous() for s in state]
    if lengths is not None:
        lengths = lengths.contiguous()
    if torch.is_grad_enabled() and (
        x.requires_grad or any(tensor is not None and tensor.requires_grad for tensor in tensors)
    ):
        y, *last = _Scan.apply(cell, lengths, reverse, x, *tensors)  # type: ignore[no-untyped-call]
    else:
        _, _, y, last = _forward(cell, x, tuple(tensors[:4]), tuple(tensors[4:]), lengths, reverse, False)
    return y, cell.state(**dict(zip(cell.states, last, strict=True)))


def step(cell: Cell, x: Tensor, weights: Weights, state: Any) -> Any:
    """Advance by one step: x (B, I), S states (B, H)."""
    return scan(cell, x[:, None], weights, state, None, False)[1]
