"""What a call brings, whether the kernels take it, and how torch itself runs it if they do not.

Other devices, other dtypes, single rows and misuse go to torch's own forward pass, so that the result or the error is
torch's by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rekur.core import DataError, OptionError

if TYPE_CHECKING:
    from torch import Tensor, nn


def take(module: nn.Module, names: Sequence[str]) -> list[Any]:
    """Return the parameters with these names as they are now.

    Asked on every call, so that a parametrization, a parameter put in place of another or `torch.func.functional_call`
    is never missed.
    """
    own = module._parameters  # what lies there is found ten times faster than as an attribute
    return [own[name] if name in own else getattr(module, name) for name in names]


def fits(x: Tensor, W: Tensor) -> bool:
    """Whether the kernels take a call with this input and these weights: float32, float64, bfloat16 or, under autocast
    to bfloat16, any of its first and last.

    Not while a trace records torch's own operators.
    """
    if not x.is_cpu or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") is torch.bfloat16 and {x.dtype, W.dtype} <= _HALVES
    return W.dtype is x.dtype and (x.dtype is torch.float64 or x.dtype in _HALVES)


def half(x: Tensor) -> bool:
    """Whether a call with this input asks for bfloat16."""
    return x.dtype is torch.bfloat16 or bool(torch.is_autocast_enabled("cpu"))


_HALVES = {torch.float32, torch.bfloat16}


def few(rows: Any, most: int) -> bool:
    """Whether a call has so few rows that torch is faster, because the kernels first bring the weights in their order.

    Never where a graph is made, which must hold for other numbers of rows too.
    """
    return not torch.compiler.is_compiling() and bool(rows <= most)


def suits(state: Tensor, shape: tuple[int, ...], x: Tensor) -> bool:
    """Whether an initial state has this shape, and the dtype and device of an x that fits."""
    same = state.dtype is x.dtype or (torch.is_autocast_enabled("cpu") and state.dtype in _HALVES)
    return state.is_cpu and state.shape == shape and same


def whole(lengths: Any, input: Any) -> Tensor:
    """Lengths of any integer type as int64 on the device of the input, which must be a batch."""
    if isinstance(input, PackedSequence):
        raise OptionError("a PackedSequence has its own lengths; pass it without lengths=, or the padded tensor with")
    if input.dim() != 3:
        raise DataError(f"lengths are for a batch; input has {input.dim()} axes, not 3: cut a single row instead")
    found: Tensor = torch.as_tensor(lengths, device=input.device)
    if found.is_floating_point() or found.is_complex() or found.dtype is torch.bool:
        raise DataError(f"lengths must be integers, not {found.dtype}")
    return found.to(torch.int64)


def by_packing(
    run: Callable[..., Any], input: Tensor, hx: Any, lengths: Tensor, batch_first: bool
) -> tuple[Tensor, Any]:
    """Let torch's own forward pass run over rows of these lengths.

    Packing knows no empty row: such a row is run for one step of zeros, and then what is due stands in its place.

    Parameters
    ----------
    run : the forward pass of a module of torch.nn
    input : (T, B, I), or (B, T, I) if `batch_first`
    hx : the initial states or None
    lengths : (B,) int64

    Returns
    -------
    output : like `input`, zero beyond the lengths
    last : the last states
    """
    B, T = input.shape[:2] if batch_first else (input.shape[1], input.shape[0])
    empty = lengths == 0  # (B,)
    counts = lengths.masked_fill(empty, 1).cpu()
    if counts.shape != (B,) or (B and not 1 <= int(counts.min()) <= int(counts.max()) <= T):
        raise DataError(f"lengths must be {(B,)} integers in 0 … {T}, and there must be a step")
    beside = empty[:, None, None] if batch_first else empty[:, None]
    packed = pack_padded_sequence(input.masked_fill(beside, 0), counts, batch_first, enforce_sorted=False)
    output, last = run(packed, hx)
    output, _ = pad_packed_sequence(output, batch_first, total_length=T)

    def keep(state: Tensor, start: Any) -> Tensor:
        return torch.where(empty[:, None], start, state)  # (L·D, B, H)

    if isinstance(last, tuple):
        last = tuple(map(keep, last, (0, 0) if hx is None else hx))
    else:
        last = keep(last, 0 if hx is None else hx)
    return output.masked_fill(beside, 0), last
