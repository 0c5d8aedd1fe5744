"""Beam search: the most probable sequence of tokens under a model that predicts one token after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

import torch

if TYPE_CHECKING:
    from torch import Tensor

State = TypeVar("State")


def beam_search(
    step: Callable[[Tensor, State], tuple[Tensor, State]],
    state: State,
    batch_size: int,
    special_tokens: tuple[int, int],
    num_beams: int = 5,
    max_length: int = 100,
    length_penalty: float = 0.7,
    no_repeat_ngram: int = 0,
) -> list[list[int]]:
    """Best sequence of tokens of each row, without its start and end token.

        score(y) = log p(y) / ((5 + |y|) / 6)^α

    where α is `length_penalty`. The search of a row ends once no open beam can beat its best finished one, or at
    `max_length` tokens. One beam is greedy decoding: the most probable token at each step, up to the end token.

    Parameters
    ----------
    step : callable
        (tokens (N,), state) → (log-probabilities (N, V) of the next token, state), with N = batch_size·num_beams.
    state : nested tuples or lists of Tensor
        Initial state of N rows, the beams of one row next to each other; its tensors (N, ...) are reordered as the
        beams are.
    batch_size : int
        Number B of rows.
    special_tokens : (int, int)
        Start token and end token.
    num_beams : int, default 5
        Number of open sequences kept for each row.
    max_length : int, default 100
        Largest number of tokens.
    length_penalty : float, default 0.7
        Exponent α; larger values favour longer sequences.
    no_repeat_ngram : int, default 0
        Size of the n-grams that may occur at most once; 0 for no such limit.

    Returns
    -------
    list of list of int
        Tokens of each row.

    References
    ----------
    Y. Wu et al., 2016, "Google's neural machine translation system", section 7 (the score); R. Paulus, C. Xiong and
    R. Socher, 2018, "A deep reinforced model for abstractive summarization", ICLR (no repeated n-grams).

    Examples
    --------
    >>> import torch
    >>> bigrams = torch.tensor([[0.0, 0.9, 0.1], [0.6, 0.0, 0.4], [1.0, 0.0, 0.0]]).log()
    >>> def step(tokens, state):
    ...     return bigrams[tokens], state
    >>> beam_search(step, None, batch_size=1, special_tokens=(0, 2), num_beams=3, max_length=4)
    [[1]]
    """
    if num_beams == 1:
        return greedy_search(step, state, batch_size, special_tokens, max_length, no_repeat_ngram)
    start, end = special_tokens
    B = batch_size
    first = torch.arange(B)[:, None] * num_beams  # first beam of each row, (B, 1)
    tokens = torch.full((B * num_beams,), start)
    open_scores = torch.full((B, num_beams), -torch.inf)
    open_scores[:, 0] = 0.0
    sequences = torch.empty(B, num_beams, 0, dtype=torch.long)
    best: list[tuple[float, list[int]]] = [(-float("inf"), [])] * B
    for length in range(1, max_length + 1):
        log_p, state = step(tokens, state)
        log_p = without_repeats(log_p, sequences.flatten(0, 1), no_repeat_ngram)
        V = log_p.shape[-1]
        scores = open_scores[..., None] + log_p.view(B, num_beams, V)  # (B, num_beams, V)
        finished = scores[..., end] / ((5 + length) / 6) ** length_penalty  # (B, num_beams)
        for row in range(B):
            k = int(finished[row].argmax())
            if finished[row, k] > best[row][0]:
                best[row] = float(finished[row, k]), sequences[row, k].tolist()
        scores[..., end] = -torch.inf
        open_scores, flat = scores.flatten(1).topk(num_beams, dim=1)  # (B, num_beams)
        origin = flat // V
        prefixes = sequences.gather(1, origin[..., None].expand(-1, -1, length - 1))
        sequences = torch.cat([prefixes, (flat % V)[..., None]], dim=2)
        state, tokens = select_rows(state, (first + origin).flatten()), (flat % V).flatten()
        bound = open_scores[:, 0] / ((5 + max_length) / 6) ** length_penalty  # the best score of an open beam
        if all(best[row][0] >= float(bound[row]) for row in range(B)):
            return [sequence for _, sequence in best]
    return [best[row][1] if best[row][0] > -float("inf") else sequences[row, 0].tolist() for row in range(B)]


def greedy_search(
    step: Callable[[Tensor, State], tuple[Tensor, State]],
    state: State,
    batch_size: int,
    special_tokens: tuple[int, int],
    max_length: int = 100,
    no_repeat_ngram: int = 0,
) -> list[list[int]]:
    """Most probable token at each step up to the end token, or `max_length` tokens; arguments as in `beam_search`.

    >>> bigrams = torch.tensor([[0.0, 0.9, 0.1], [0.6, 0.0, 0.4], [1.0, 0.0, 0.0]]).log()
    >>> greedy_search(lambda tokens, state: (bigrams[tokens], state), None, 1, (0, 2), max_length=3)
    [[1, 0, 1]]
    """
    start, end = special_tokens
    tokens = torch.full((batch_size,), start)
    sequences = torch.empty(batch_size, 0, dtype=torch.long)
    is_open = torch.ones(batch_size, dtype=torch.bool)
    for _ in range(max_length):
        log_p, state = step(tokens, state)
        tokens = without_repeats(log_p, sequences, no_repeat_ngram).argmax(1).where(is_open, end)
        sequences = torch.cat([sequences, tokens[:, None]], dim=1)
        is_open &= tokens != end
        if not is_open.any():
            break
    return [row[: row.index(end)] if end in row else row for row in sequences.tolist()]


def without_repeats(log_p: Tensor, sequences: Tensor, n: int) -> Tensor:
    """Log-probabilities (N, V) with -∞ for tokens that would repeat an n-gram of their sequence (N, U), if n > 0."""
    if not n:
        return log_p
    log_p = log_p.clone()
    for row, sequence in enumerate(sequences.tolist()):
        log_p[row, repeating_tokens(sequence, n)] = -torch.inf
    return log_p


def select_rows(state: State, rows: Tensor) -> State:
    """State of tensors (N, ...), however nested, with the chosen rows."""
    if state is None or isinstance(state, torch.Tensor):
        return state if state is None else cast("State", state[rows])
    assert isinstance(state, tuple | list)
    parts = [select_rows(part, rows) for part in state]
    kind = type(state)
    return cast("State", kind(*parts) if hasattr(state, "_fields") else kind(parts))


def repeating_tokens(sequence: list[int], n: int) -> list[int]:
    """Tokens that would complete an n-gram which the sequence already contains.

    >>> repeating_tokens([1, 2, 3, 1, 2], 3)
    [3]
    """
    tail = sequence[len(sequence) - n + 1 :]
    return [sequence[k + n - 1] for k in range(len(sequence) - n + 1) if sequence[k : k + n - 1] == tail]
