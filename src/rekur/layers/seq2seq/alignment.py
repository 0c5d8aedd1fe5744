"""Word alignment: which token of the source each token of the target translates (IBM model 1 with a diagonal prior)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from rekur.inputs.tokenizer import PAD

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 6
"""Iterations of the expectation-maximization algorithm."""

DIAGONAL = 4.0
"""Factor λ of the prior for tokens at the same relative position."""

SMOOTHING = 1e-3
"""Count added to each pair of tokens."""


def align(table: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Probability that each token of the target translates each token of the source.

        a_ut ∝ exp(-λ·|u/U - t/T|)·p(y_u | x_t),  Σ_t a_ut = 1

    Parameters
    ----------
    table : Tensor
        Probabilities p(y | x) of target tokens, (V, V), by target and source token.
    source : Tensor
        Tokens x (B, T) int64, zeros beyond the length T of a row.
    target : Tensor
        Tokens y (B, U) int64, zeros beyond the length U of a row.

    Returns
    -------
    Tensor
        Probabilities a (B, U, T), zero beyond the lengths.

    References
    ----------
    P. F. Brown et al., 1993, "The mathematics of statistical machine translation", Computational Linguistics 19 (2)
    (model 1); C. Dyer, V. Chahuneau and N. A. Smith, 2013, "A simple, fast, and effective reparameterization of IBM
    model 2", NAACL (the prior).

    Examples
    --------
    >>> import torch
    >>> table = torch.full((6, 6), 0.1)
    >>> table[4, 5] = 0.9
    >>> align(table, torch.tensor([[4, 5]]), torch.tensor([[4]])).argmax(-1)
    tensor([[1]])
    """
    inside = (target != PAD)[:, :, None] & (source != PAD)[:, None]  # (B, U, T)
    U, T = ((tokens != PAD).sum(1).clamp_min(1)[:, None, None] for tokens in (target, source))
    place = torch.arange(target.shape[1])[:, None] / U - torch.arange(source.shape[1]) / T  # (B, U, T)
    joint = torch.exp(-DIAGONAL * place.abs()) * table[target[:, :, None], source[:, None]] * inside
    return joint / joint.sum(-1, keepdim=True).clamp_min(torch.finfo(joint.dtype).tiny)


def lexical_translation(pairs: Iterable[tuple[Tensor, Tensor]], vocabulary_size: int) -> Tensor:
    """Probabilities p(y | x) of target tokens y given a source token x, learned from pairs of texts.

    Parameters
    ----------
    pairs : iterable of (Tensor, Tensor)
        Batches of sources (B, T) and targets (B, U), padded with zeros; read more than once.
    vocabulary_size : int
        Number V of tokens of both sides.

    Returns
    -------
    Tensor
        Probabilities (V, V), by target and source token; each column sums to one.

    Examples
    --------
    >>> import torch
    >>> pairs = [(torch.tensor([[4, 5], [4, 6]]), torch.tensor([[7, 8], [7, 9]]))]
    >>> table = lexical_translation(pairs, vocabulary_size=10)
    >>> table[:, 4].argmax().item(), table[:, 5].argmax().item()
    (7, 8)
    """
    batches = list(pairs)
    V = vocabulary_size
    table = torch.full((V, V), 1 / V)
    for _ in range(ITERATIONS):
        counts = torch.full((V * V,), SMOOTHING / V)
        for source, target in batches:
            cells = target[:, :, None] * V + source[:, None]  # (B, U, T)
            counts.index_add_(0, cells.flatten(), align(table, source, target).flatten())
        table = counts.view(V, V) / counts.view(V, V).sum(0)
    return table


def alignment_loss(attention: Tensor, alignment: Tensor) -> Tensor:
    """Cross-entropy of the attention given an alignment: the mean over the target tokens of -Σ_t a_ut·log α_ut.

    Parameters
    ----------
    attention : Tensor
        Weights α (B, U, T) of a decoder.
    alignment : Tensor
        Probabilities a (B, U, T), as `align` returns them.

    Returns
    -------
    Tensor
        Loss, a scalar.

    References
    ----------
    W. Chen et al., 2016, "Guided alignment training for topic-aware neural machine translation", AMTA.

    Examples
    --------
    >>> import torch
    >>> alignment = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> round(alignment_loss(torch.full((1, 2, 2), 0.5), alignment).item(), 4)
    0.6931
    """
    floor = torch.finfo(attention.dtype).tiny
    return -(alignment * attention.clamp_min(floor).log()).sum() / alignment.sum()
