"""Private names of torch that the native backend needs, looked up once and guarded.

`MISSING` is None if the installed torch has all of them. Otherwise it names those that are absent; then the native
backend is unavailable with this reason, the reference backend runs, and calling an absent function raises a
BackendError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch.autograd import forward_ad

from rekur.core import BackendError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "MISSING",
    "REVERSE_MODE",
    "any_requires_grad",
    "assert_async",
    "below_autograd",
    "dispatch_modes",
    "forward_mode_level",
    "is_tracing",
    "lean_apply",
    "transform_depth",
    "transform_levels",
]

_absent: list[str] = []


def _find(path: str) -> Any:
    """Return the object at this path below torch, or a function that raises a BackendError if there is none."""
    value: object = torch
    for part in path.split("."):
        value = getattr(value, part, None)
    if value is not None:
        return value
    _absent.append(f"torch.{path}")

    def refuse(*arguments: object) -> NoReturn:
        raise BackendError(f"torch {torch.__version__} lacks torch.{path}; install a torch that rekur supports")

    return refuse


any_requires_grad: Callable[..., bool] = _find("_C._any_requires_grad")
"""Whether any of these tensors and lists of tensors requires a gradient."""

below_autograd: Callable[[], AbstractContextManager[None]] = _find("_C._AutoDispatchBelowAutograd")
"""A context in which operators skip autograd."""

dispatch_modes: Callable[[], int] = _find("_C._len_torch_dispatch_stack")
"""The number of active dispatch modes."""

is_tracing: Callable[[], bool] = _find("_C._is_tracing")
"""Whether `torch.jit.trace` records."""

transform_depth: Callable[[], int] = _find("_C._functorch.get_dynamic_layer_stack_depth")
"""The number of active transforms of `torch.func`."""

transform_levels: Callable[[], Sequence[torch._C._functorch.CInterpreter]] = _find(
    "_C._functorch.get_interpreter_stack"
)
"""The active transforms of `torch.func`, each with a method `key`."""

REVERSE_MODE: object = _find("_C._functorch.TransformType.Grad")
"""The key of a transform that differentiates in reverse mode."""

assert_async: Callable[[Tensor, str], None] = _find("_assert_async")
"""Fail with a message when a compiled graph runs, unless the tensor is true."""

if not hasattr(forward_ad, "_current_level"):
    _absent.append("torch.autograd.forward_ad._current_level")

MISSING: str | None = f"torch {torch.__version__} lacks {', '.join(_absent)}" if _absent else None
"""Why the native backend cannot run with the installed torch, or None if it can."""


def forward_mode_level() -> int:
    """Return the level of forward-mode differentiation, -1 outside of it."""
    return forward_ad._current_level


def lean_apply(function: type[torch.autograd.Function]) -> Callable[..., tuple[Tensor, ...]]:
    """Return the apply method of an autograd function without its search for default arguments.

    For calls with all arguments given and outside of the transforms of `torch.func`.
    The public method also binds default arguments, which takes longer than all the rest of a small scan.
    """
    direct = getattr(super(torch.autograd.Function, function), "apply", None)
    return function.apply if direct is None else direct
