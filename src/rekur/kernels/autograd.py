"""The scan as a differentiable function: its gradient is the kernel's, the gradient of that one the reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from rekur.core import BackendError, Weights
from rekur.kernels import reference, torch_ops

__all__ = ["Gradient", "Scan", "record", "transforms"]

transforms = torch._C._functorch.get_dynamic_layer_stack_depth  # of torch.func, how many are active


class Scan(torch.autograd.Function):
    """The fold over time. Its outputs are y, the last states and the tape, which has no gradient.

    `passes` has the functions `forward` and `backward`: `rekur.kernels.extension`, or the operators around it.
    """

    @staticmethod
    def forward(
        passes: Any, cell: Any, reverse: bool, lengths: Any, resets: Any, x: Any, *rest: Any
    ) -> tuple[Any, ...]:
        """Run the forward pass. The rest are W, R, bW, bR and S × state or, for zeros, nothing."""
        return tuple(passes.forward(cell.name, x, rest[:4], rest[4:], lengths, resets, reverse, True))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the tape and references to all inputs: a second derivative needs them."""
        ctx.passes, ctx.cell, ctx.reverse = inputs[:3]
        ctx.mark_non_differentiable(output[-1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[-1], *inputs[3:])

    @staticmethod
    def backward(ctx: Any, *ends: Any) -> tuple[Any, ...]:
        """The gradients, differentiable again where a graph of this pass may be asked for."""
        ends, wanted = ends[:-1], ctx.needs_input_grad[5:]
        tape, lengths, resets, x, W, R, *others = ctx.saved_tensors
        passes = torch_ops if torch.compiler.is_compiling() else ctx.passes  # compiled may be this pass alone
        if torch.is_grad_enabled() or transforms():
            arguments = (passes, ctx.cell, ctx.reverse, wanted, tape, lengths, resets, x, W, R, *others, *ends)
            found: Any = iter(Gradient.apply(*arguments))  # type: ignore[no-untyped-call]
            found = [next(found) if want else None for want in wanted]
        else:
            try:
                found = passes.backward(ctx.cell.name, x, W, R, tape, resets, ends, wanted)
            except RuntimeError as error:  # a tensor without memory of its own
                raise BackendError(f"the native kernel cannot read these gradients; use torch.func: {error}") from None
        return None, None, None, None, None, *found


# Function.apply without its search for default arguments, which takes longer than all the rest of a small scan, and
# without its care for torch.func: the same function where no transform is active.
record: Any = super(torch.autograd.Function, Scan).apply


class Gradient(torch.autograd.Function):
    """The backward pass: from the inputs of a scan and the gradients of its outputs to the wanted gradients.

    It is computed from the tape; what is derived from it, or mapped over, runs on the reference.
    """

    @staticmethod
    def forward(
        passes: Any,
        cell: Any,
        reverse: bool,
        wanted: Sequence[bool],
        tape: Any,
        lengths: Any,
        resets: Any,
        *tensors: Any,
    ) -> tuple[Any, ...]:
        """Run the backward pass. The tensors are x, W, R, bW, bR, S × state, dy, S × dlast."""
        ends = tensors[len(wanted) :]
        return tuple(g for g in passes.backward(cell.name, *tensors[:3], tape, resets, ends, wanted) if g is not None)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep references to all inputs but the tape."""
        ctx.constants = inputs[:4]
        ctx.save_for_backward(*inputs[5:])

    @staticmethod
    def backward(ctx: Any, *ends: Any) -> tuple[Any, ...]:
        """The derivative of the reference's gradient."""
        arguments = (*ctx.constants, None, *ctx.saved_tensors)
        places = [i for i, needed in enumerate(ctx.needs_input_grad) if needed]
        found = dict(zip(places, _pull(_by_reference, arguments, places, ends), strict=True))
        return tuple(found.get(i) for i in range(len(arguments)))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
        """The reference's gradient, mapped."""
        found = torch.vmap(_by_reference, in_dims)(*arguments)
        return found, (0,) * len(found)


def _by_reference(
    passes: Any,
    cell: Any,
    reverse: bool,
    wanted: Sequence[bool],
    tape: Any,
    lengths: Any,
    resets: Any,
    *tensors: Any,
) -> tuple[Any, ...]:
    """What `Gradient.forward` computes, by differentiating the reference."""
    if not hasattr(cell, "point"):
        raise BackendError(
            "a compiled or exported scan has no second derivative; differentiate twice outside of torch.compile"
        )
    inputs, ends = tensors[: len(wanted)], tensors[len(wanted) :]
    given = [i for i, end in enumerate(ends) if end is not None]
    if not given:
        return tuple(torch.zeros_like(tensor) for tensor, want in zip(inputs, wanted, strict=True) if want)

    def outputs(x: Any, W: Any, R: Any, bW: Any, bR: Any, *state: Any) -> tuple[Any, ...]:
        start = cell.state(**dict(zip(cell.states, state, strict=True))) if state else cell.zeros(len(x), R.shape[1], R)
        y, last = reference.scan(cell, x, Weights(W, R, bW, bR), start, lengths, resets, reverse)
        return tuple((y, *last)[i] for i in given)

    found: tuple[Any, ...] = _pull(
        outputs, inputs, [i for i, want in enumerate(wanted) if want], tuple(ends[i] for i in given)
    )
    return found


def _pull(function: Callable, arguments: Sequence[Any], places: Sequence[int], ends: tuple[Any, ...]) -> Any:
    """The gradients of the arguments at these places, from those of the function's results."""

    def chosen(*tensors: Any) -> Any:
        own = list(arguments)
        for place, tensor in zip(places, tensors, strict=True):
            own[place] = tensor
        return function(*own)

    return torch.func.vjp(chosen, *(arguments[place] for place in places))[1](ends)


def _autograd(cell: str, x: Any, *rest: Any) -> list[Any]:
    """The operator under autograd."""
    *weights, state, lengths, resets, reverse = rest
    if torch.is_grad_enabled() and torch._C._any_requires_grad(x, *weights, state):
        named = SimpleNamespace(name=cell)
        return list(record(torch_ops, named, reverse, lengths, resets, x, *weights, *state)[:-1])
    with torch._C._AutoDispatchBelowAutograd():
        return torch_ops.scan(cell, x, *rest)  # type: ignore[no-any-return]


torch_ops.library.impl("scan", _autograd, "Autograd")
