"""Cells that torch.nn does not have, written out from their papers: row by row, step by step, weight by weight."""

from __future__ import annotations

import torch
from torch import Tensor

from cases import Fold, Named, Problem


def _sigma(a: Tensor) -> Tensor:
    return 1 / (1 + (-a).exp())


def gru_before(problem: Problem) -> Named:
    """Cho et al. 2014, section 2.3: the reset gate hides parts of h from the candidate."""
    x, (W, R, bW, bR), H = problem.x, problem.weights, problem.state.h.shape[1]
    Wr, Wz, Wn = W.split(H)
    Ur, Uz, Un = R.split(H)
    br, bz, bn = sum((b for b in (bW, bR) if b is not None), W.new_zeros(3 * H)).split(H)
    y, last = [], []
    for b, h in enumerate(problem.state.h):
        length = x.shape[1] if problem.lengths is None else int(problem.lengths[b])
        rows = {t: torch.zeros_like(h) for t in range(x.shape[1])}
        for t in reversed(range(length)) if problem.reverse else range(length):
            r = _sigma(Wr @ x[b, t] + Ur @ h + br)
            z = _sigma(Wz @ x[b, t] + Uz @ h + bz)
            candidate = torch.tanh(Wn @ x[b, t] + Un @ (r * h) + bn)
            rows[t] = h = z * h + (1 - z) * candidate
        y += list(rows.values())
        last.append(h)
    return {"y": torch.stack(y).unflatten(0, x.shape[:2]), "last h": torch.stack(last)}


FORMULAS: dict[str, Fold] = {"gru_before": gru_before}
"""By the name of the cell; differentiable for every leaf."""
