"""Beam search: the most probable sequence of tokens, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

Step = Callable[[Any, Any], tuple[Any, Any]]
"""(tokens (N,), state) → (log-probabilities (N, V), state)."""


def pick(state: Any, rows: Tensor) -> Any:
    """A state of tensors (N, ...), however nested, with the given rows."""
    if state is None or isinstance(state, torch.Tensor):
        return None if state is None else state[rows]
    parts = [pick(part, rows) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


def beam(
    step: Step,
    state: Any,
    B: int,
    ends: tuple[int, int],
    beams: int = 5,
    longest: int = 100,
    norm: float = 0.7,
    unique: int = 0,
) -> list[list[int]]:
    """The best sequence of each of B rows, from what `ends` says it begins with up to what it ends with, without both.

        score(y) = log p(y) / ((5 + |y|) / 6)^norm

    `state` has B·beams rows, those of one row beside each other; it is given to `step` with the newest tokens and
    reordered as the beams are. Search ends where no open beam of a row can beat its best ended one any more, or at
    `longest` tokens. With beams=1 it is greedy. With `unique` n > 0 no n tokens stand beside each other twice.

    Sources: Y. Wu et al., 2016, "Google's neural machine translation system", section 7 (the score); R. Paulus,
    C. Xiong and R. Socher, 2018, "A deep reinforced model for abstractive summarization", ICLR (nothing twice).
    """
    start, end = ends
    rows = torch.arange(B)[:, None] * beams  # (B, 1)
    tokens = torch.full((B * beams,), start)
    open_score = torch.full((B, beams), -torch.inf)
    open_score[:, 0] = 0.0
    told = torch.empty(B, beams, 0, dtype=torch.long)
    best: list[tuple[float, list[int]]] = [(-float("inf"), [])] * B
    for length in range(1, longest + 1):
        log_p, state = step(tokens, state)
        if unique:
            log_p = log_p.clone()
            for row, text in enumerate(told.flatten(0, 1).tolist()):
                log_p[row, repeated(text, unique)] = -torch.inf
        V = log_p.shape[-1]
        scores = open_score[..., None] + log_p.view(B, beams, V)  # (B, beams, V)
        penalty = ((5 + length) / 6) ** norm
        ended = scores[..., end] / penalty  # (B, beams)
        for row in range(B):
            k = int(ended[row].argmax())
            if ended[row, k] > best[row][0]:
                best[row] = float(ended[row, k]), told[row, k].tolist()
        scores[..., end] = -torch.inf
        open_score, flat = scores.flatten(1).topk(beams, dim=1)  # (B, beams)
        origin = flat // V
        told = torch.cat([told.gather(1, origin[..., None].expand(-1, -1, length - 1)), (flat % V)[..., None]], dim=2)
        state, tokens = pick(state, (rows + origin).flatten()), (flat % V).flatten()
        bound = open_score[:, 0] / ((5 + longest) / 6) ** norm  # the best an open beam can come to
        if all(best[row][0] >= float(bound[row]) for row in range(B)):
            return [tokens_of for _, tokens_of in best]
    return [best[row][1] if best[row][0] > -float("inf") else told[row, 0].tolist() for row in range(B)]


def repeated(text: list[int], n: int) -> list[int]:
    """The tokens that would end n tokens which stand in a text already.

    >>> repeated([1, 2, 3, 1, 2], 3)
    [3]
    """
    tail = text[len(text) - n + 1 :]
    return [text[k + n - 1] for k in range(len(text) - n + 1) if text[k : k + n - 1] == tail]
