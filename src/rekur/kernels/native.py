"""The native backend: the fused kernels of the extension behind `torch.autograd`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rekur.core import Cell, Weights

if TYPE_CHECKING:
    from torch import Tensor


def why_not(cell: Cell, x: Tensor, weights: Weights) -> str | None:
    """Return the reason why the native kernel cannot run this problem, or None if it can."""
    return "the extension is not built"


def scan(
    cell: Cell, x: Tensor, weights: Weights, state: Any, lengths: Tensor | None, reverse: bool
) -> tuple[Tensor, Any]:
    """Fold the cell over x (B, T, I); see `rekur.kernels.scan`."""
    raise NotImplementedError


def step(cell: Cell, x: Tensor, weights: Weights, state: Any) -> Any:
    """Advance by one step: x (B, I), S states (B, H)."""
    raise NotImplementedError
