"""Variational dropout: one mask for all steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def variational_dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Dropout that sets the same entries to zero at every step of a row.

    Parameters
    ----------
    x : Tensor
        Sequences (B, T, H).
    p : float
        Probability that an entry is set to zero; the others are divided by 1 - p.
    training : bool, default True
        Whether to drop anything at all.

    Returns
    -------
    Tensor
        Sequences (B, T, H).

    References
    ----------
    Y. Gal and Z. Ghahramani, 2016, "A theoretically grounded application of dropout in recurrent neural networks",
    NeurIPS.

    Examples
    --------
    >>> import torch
    >>> y = variational_dropout(torch.ones(2, 3, 8), 0.5)
    >>> bool((y == y[:, :1]).all()), sorted(y.unique().tolist())
    (True, [0.0, 2.0])
    """
    mask = dropout_mask(x, p, training)
    return x if mask is None else x * mask


def dropout_mask(x: Tensor, p: float, training: bool = True) -> Tensor | None:
    """Factors (B, 1, H) of variational dropout of x (B, T, H): 0 or 1 / (1 - p); None without dropout."""
    return F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), p) if p and training else None
