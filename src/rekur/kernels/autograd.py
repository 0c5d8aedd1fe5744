"""Autograd of the scan: the first derivative runs on the kernels, higher ones on the reference backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import torch

from rekur.core import BackendError, Cell, NamedState, State, Weights
from rekur.kernels import reference, torch_ops, torch_private
from rekur.kernels.extension import CompiledCell

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Gradient", "Passes", "Scan", "ScanContext", "record"]

FoldedCell: TypeAlias = "Cell[Any, Any, NamedState] | CompiledCell"
"""A cell with its equations or, in a graph, its declaration only."""

Tensors: TypeAlias = "Sequence[Tensor | None]"


class Passes(Protocol):
    """The forward and the backward pass: `rekur.kernels.extension`, or the operators around it."""

    def forward(
        self,
        cell: str,
        x: Tensor,
        weights: Weights,
        state: State,
        lengths: Tensor | None,
        resets: Tensor | None,
        reverse: bool,
        training: bool,
    ) -> list[Tensor]:
        """Return y, the last states and, in training, the tape."""

    def backward(
        self,
        cell: str,
        x: Tensor,
        W: Tensor,
        R: Tensor,
        tape: Tensor,
        resets: Tensor | None,
        ends: Sequence[Tensor | None],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Return the gradients of x, W, R, bW, bR and S × state, None where `wanted` is false."""


class ScanContext(Protocol):
    """The context object of torch, with the attributes that `Scan` and `Gradient` keep on it."""

    passes: Passes
    cell: FoldedCell
    reverse: bool
    wanted: Sequence[bool]
    needs_input_grad: Sequence[bool]

    @property
    def saved_tensors(self) -> list[Tensor]:
        """The tensors kept; None where None was kept."""

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward pass."""

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declare outputs without a gradient."""

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether missing gradients arrive as zeros (True) or as None."""


class Scan(torch.autograd.Function):
    """The fold over time. Its outputs are y, the last states and the tape, which has no gradient."""

    @staticmethod
    def forward(
        passes: Passes,
        cell: FoldedCell,
        reverse: bool,
        lengths: Tensor | None,
        resets: Tensor | None,
        x: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run the forward pass. The tensors are W, R, bW, bR and S × state or, for zeros, nothing."""
        return tuple(passes.forward(cell.name, x, Weights(*tensors[:4]), tensors[4:], lengths, resets, reverse, True))

    @staticmethod
    def setup_context(ctx: ScanContext, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the tape and references to all inputs: a second derivative needs them."""
        ctx.passes, ctx.cell, ctx.reverse = inputs[:3]
        ctx.mark_non_differentiable(output[-1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[-1], *inputs[3:])

    @staticmethod
    def backward(ctx: ScanContext, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients, differentiable again where a graph of this pass may be needed."""
        ends, wanted = grad_outputs[:-1], ctx.needs_input_grad[5:]
        tape, lengths, resets, x, W, R, *others = ctx.saved_tensors
        passes = torch_ops if torch.compiler.is_compiling() else ctx.passes  # compiled may be this pass alone
        grads: Sequence[Tensor | None]
        if torch.is_grad_enabled() or torch_private.transform_depth():
            arguments = (passes, ctx.cell, ctx.reverse, wanted, tape, lengths, resets, x, W, R, *others, *ends)
            present = iter(Gradient.apply(*arguments))  # type: ignore[no-untyped-call]
            grads = [next(present) if want else None for want in wanted]
        else:
            try:
                grads = passes.backward(ctx.cell.name, x, W, R, tape, resets, ends, wanted)
            except RuntimeError as error:  # a tensor without memory of its own
                raise BackendError(f"the native kernel cannot read these gradients; use torch.func: {error}") from None
        return None, None, None, None, None, *grads


record = torch_private.lean_apply(Scan)
"""`Scan.apply` at less cost, for calls outside of the transforms of `torch.func`."""


class Gradient(torch.autograd.Function):
    """The backward pass: from the inputs of a scan and the gradients of its outputs to the wanted gradients.

    It is computed from the tape; its derivatives, and the pass mapped by `torch.vmap`, run on the reference backend.
    """

    @staticmethod
    def forward(
        passes: Passes,
        cell: FoldedCell,
        reverse: bool,
        wanted: Sequence[bool],
        tape: Tensor,
        lengths: Tensor | None,
        resets: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run the backward pass. The tensors are x, W, R, bW, bR, S × state, dy, S × dlast."""
        x, W, R, *ends = *tensors[:3], *tensors[len(wanted) :]
        grads = passes.backward(cell.name, x, W, R, tape, resets, ends, wanted)
        return tuple(grad for grad in grads if grad is not None)

    @staticmethod
    def setup_context(ctx: ScanContext, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep references to all inputs but the tape."""
        ctx.passes, ctx.cell, ctx.reverse, ctx.wanted = inputs[:4]
        ctx.save_for_backward(*inputs[5:])

    @staticmethod
    def backward(ctx: ScanContext, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivative of the reference backend's gradient."""
        arguments = (ctx.passes, ctx.cell, ctx.reverse, ctx.wanted, None, *ctx.saved_tensors)
        places = [i for i, needed in enumerate(ctx.needs_input_grad) if needed]
        grads = dict(zip(places, _vjp(_by_reference, arguments, places, grad_outputs), strict=True))
        return tuple(grads.get(i) for i in range(len(arguments)))

    @staticmethod
    def vmap(
        info: object, in_dims: tuple[int | None, ...], *arguments: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Map the reference backend's gradient."""
        grads = torch.vmap(_by_reference, in_dims)(*arguments)
        return grads, (0,) * len(grads)


def _by_reference(
    passes: Passes,
    cell: FoldedCell,
    reverse: bool,
    wanted: Sequence[bool],
    tape: Tensor | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    *tensors: Tensor,
) -> tuple[Tensor, ...]:
    """Compute what `Gradient.forward` returns by differentiating the reference backend."""
    if isinstance(cell, CompiledCell):
        raise BackendError(
            "a compiled or exported scan has no second derivative; differentiate twice outside of torch.compile"
        )
    inputs, ends = tensors[: len(wanted)], tensors[len(wanted) :]
    present = [i for i, end in enumerate(ends) if end is not None]
    if not present:
        return tuple(torch.zeros_like(tensor) for tensor, want in zip(inputs, wanted, strict=True) if want)

    def outputs(x: Tensor, W: Tensor, R: Tensor, bW: Tensor | None, bR: Tensor | None, *state: Tensor) -> Tensors:
        start = state or cell.zeros(len(x), R.shape[1], R)
        y, last = reference.scan(cell, x, Weights(W, R, bW, bR), start, lengths, resets, reverse)
        return tuple((y, *last)[i] for i in present)

    places = [i for i, want in enumerate(wanted) if want]
    return _vjp(outputs, inputs, places, tuple(ends[i] for i in present))


def _vjp(
    function: Callable[..., Tensors], arguments: Sequence[object], places: Sequence[int], ends: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Vector-Jacobian product: gradients of the arguments at `places`, from gradients of the function's results."""

    def partial(*tensors: Tensor) -> Tensors:
        filled = list(arguments)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        return function(*filled)

    pull = torch.func.vjp(partial, *(arguments[place] for place in places))[1]
    grads: tuple[Tensor, ...] = pull(tuple(ends))
    return grads


def _autograd(
    cell: str, x: Tensor, W: Tensor, R: Tensor, bW: Tensor | None, bR: Tensor | None, *rest: *torch_ops.Rest
) -> list[Tensor]:
    """The operator rekur::scan under autograd."""
    tensors, (state, lengths, resets, reverse) = (x, W, R, bW, bR), rest
    if torch.is_grad_enabled() and torch_private.any_requires_grad(*tensors, state):
        outputs = record(torch_ops, CompiledCell.of(cell), reverse, lengths, resets, *tensors, *state)
        return list(outputs[:-1])
    with torch_private.below_autograd():
        return torch_ops.scan(cell, *tensors, *rest)


torch_ops.library.impl("scan", _autograd, "Autograd")
