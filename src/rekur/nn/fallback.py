"""Which calls of a layer the kernels run, and torch's own forward pass for all others.

Other devices, other dtypes, single rows and misuse go to torch's forward pass, so that the result or the error is
torch's by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rekur.core import DataError, OptionError

if TYPE_CHECKING:
    from torch import Tensor, nn

RESTORE = "call rekur.nn.restore(model) first, which puts torch's own layers back, or use torch.compile or torch.export"
_HALF_DTYPES = {torch.float32, torch.bfloat16}  # dtypes of a call in bfloat16


class TorchTracing:
    """What tracers of torch ask of a layer: those that record torch's own layers alone are refused, with the cure."""

    def __prepare_scriptable__(self) -> object:
        """Refuse `torch.jit.script`, which calls this method of every layer of a model."""
        raise OptionError(f"torch.jit.script cannot compile rekur.nn.{type(self).__name__}: {RESTORE}")

    def refuse_symbolic(self, input: object) -> None:
        """Refuse an input of `torch.fx.symbolic_trace`, which has no shape."""
        if isinstance(input, Proxy):
            raise OptionError(f"torch.fx.symbolic_trace cannot trace rekur.nn.{type(self).__name__}: {RESTORE}")


def parameters(module: nn.Module, names: Sequence[str]) -> Iterable[Any]:
    """Return the present parameters with these names; one that the layer lacks may be None.

    Looked up on every call, so that a parametrization, a replaced parameter or `torch.func.functional_call` is never
    missed.
    """
    registered = module._parameters  # this lookup takes a tenth of the time of an attribute
    return [registered[name] if name in registered else getattr(module, name) for name in names]


def supported(x: Tensor, W: Tensor) -> bool:
    """Whether the kernels take a call with this input and these weights.

    They take float32, float64, bfloat16 and, under autocast to bfloat16, float32 and bfloat16 mixed. Not while a
    trace or an export to ONNX records torch's own operators.
    """
    if not x.is_cpu or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():  # type: ignore[attr-defined,no-untyped-call]
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") is torch.bfloat16 and {x.dtype, W.dtype} <= _HALF_DTYPES
    return W.dtype is x.dtype and (x.dtype is torch.float64 or x.dtype in _HALF_DTYPES)


def uses_bfloat16(x: Tensor) -> bool:
    """Whether a call with this input computes in bfloat16."""
    return x.dtype is torch.bfloat16 or bool(torch.is_autocast_enabled("cpu"))


def few_rows(rows: int, limit: int) -> bool:
    """Whether a call has at most `limit` rows, for which torch is faster, because the kernels first pack the weights.

    Never where a graph is traced, which must hold for other numbers of rows too.
    """
    return not torch.compiler.is_compiling() and bool(rows <= limit)


def state_matches(state: Tensor, shape: tuple[int, ...], x: Tensor) -> bool:
    """Whether an initial state has this shape, and the dtype and device of an x that the kernels take."""
    same = state.dtype is x.dtype or (torch.is_autocast_enabled("cpu") and state.dtype in _HALF_DTYPES)
    return state.is_cpu and state.shape == shape and same


def batch_lengths(lengths: Tensor | Sequence[int], input: Tensor | PackedSequence) -> Tensor:
    """Return lengths of any integer type as int64 on the device of the input, which must be a batch."""
    if isinstance(input, PackedSequence):
        raise OptionError("a PackedSequence has its own lengths; pass it without lengths=, or the padded tensor with")
    if input.dim() != 3:
        raise DataError(f"lengths require a batch; input has {input.dim()} axes, not 3: cut a single row instead")
    tensor = torch.as_tensor(lengths, device=input.device)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype is torch.bool:
        raise DataError(f"lengths must be integers, not {tensor.dtype}")
    return tensor.to(torch.int64)


def run_packed(
    run: Callable[..., Any],
    input: Tensor,
    hx: Tensor | tuple[Tensor, Tensor] | None,
    lengths: Tensor,
    batch_first: bool,
) -> tuple[Tensor, Tensor | tuple[Tensor, ...]]:
    """Run torch's own forward pass over rows of unequal length, packed.

    Packing has no empty rows: such a row is run for one step of zeros, and then replaced by its due result.

    Parameters
    ----------
    run : callable
        Forward pass of a module of torch.nn.
    input : Tensor
        (T, B, I), or (B, T, I) if `batch_first`.
    hx : Tensor, tuple of Tensor or None
        Initial states.
    lengths : Tensor of int64
        (B,) in 0 … T.
    batch_first : bool
        Axis order of `input`.

    Returns
    -------
    output : Tensor
        In the axis order of `input`, zero beyond the lengths.
    last : Tensor or tuple of Tensor
        States after the last step of each row.
    """
    B, T = input.shape[:2] if batch_first else (input.shape[1], input.shape[0])
    empty = lengths == 0  # (B,)
    counts = lengths.masked_fill(empty, 1).cpu()
    if counts.shape != (B,) or (B and not 1 <= int(counts.min()) <= int(counts.max()) <= T):
        raise DataError(f"lengths must be {(B,)} integers in 0 … {T}, and there must be a step")
    blank = empty[:, None, None] if batch_first else empty[:, None]
    packed = pack_padded_sequence(input.masked_fill(blank, 0), counts, batch_first, enforce_sorted=False)
    output, last = run(packed, hx)
    output, _ = pad_packed_sequence(output, batch_first, total_length=T)
    pair = isinstance(last, tuple)
    ends = last if pair else (last,)
    starts = [0] * len(ends) if hx is None else hx if pair else (hx,)
    ends = tuple(
        torch.where(empty[:, None], start, end) for start, end in zip(starts, ends, strict=True)
    )  # (L·D, B, H)
    return output.masked_fill(blank, 0), ends if pair else ends[0]
