"""Language modelling: the next token of a text."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from rekur.core import DataError, OptionError, positive
from rekur.data.items import Batcher, LazySequences, listed
from rekur.estimator import check_seed, learning
from rekur.inputs.tokenizer import END, PAD, START
from rekur.layers.language_model import LanguageNet
from rekur.sequence.base import SequenceEstimator
from rekur.sequence.defaults import DEFAULTS
from rekur.training.config import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batching import Batch

ALONGSIDE = 20  # rows that a text to be judged is cut into


class LanguageModel(SequenceEstimator):
    """Tell the next token of a text from all before it.

        h_t = stack of cells over the tokens w_1 … w_t,  p(w_{t+1}) = softmax(E·(W·h_t + c) + b)

    The texts are joined to one stream, an end mark after each, and cut into as many rows as a batch has; the state is
    carried from piece to piece (truncated backpropagation through time, `training.bptt` steps).

    Parameters
    ----------
    cell, hidden, layers, dropout, training, seed : as in `rekur.Classifier`
    input : `Text` of `rekur.inputs`, with options: pieces="word" for words, "char" for letters

    Attributes
    ----------
    history_ : `val_loss` is the mean of -log p of the tokens held out · net_, reader_ : as in `rekur.Classifier`

    Examples
    --------
    >>> import rekur
    >>> model = rekur.LanguageModel(hidden_size=32).fit(["the cat sat on the mat"] * 400, epochs=20)
    >>> model.perplexity(["the cat sat on the mat"]) < 3
    True
    """

    out = "next"

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        training: Training | None = None,
        input: Any = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.training = training
        self.input = input
        self.random_state = random_state

    def fit(
        self,
        texts: Sequence[str],
        *,
        validation: float | Sequence[str] = 0.05,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> LanguageModel:
        """Train on texts; `validation` is the share of the last texts held out, or other texts."""
        check_seed(self.random_state)
        if isinstance(validation, float | int):
            if not 0 <= validation < 1:
                raise OptionError(f"validation must be a share in [0, 1) or texts, got {validation!r}")
            n = round(len(texts) * validation)
            texts, validation = (texts[:-n], texts[-n:]) if n else (texts, ())
        with learning(self, "net_"):
            given: Any = (validation, validation) if len(validation) else 0.0
            self._fit(texts, texts, given, epochs, progress, checkpoint)
        return self

    def perplexity(self, texts: Sequence[str]) -> float:
        """exp of the mean of -log p over the tokens of texts, end marks included."""
        self.check_fitted("net_")
        return self._perplexity(self._stream(texts))

    def _perplexity(self, tokens: np.ndarray) -> float:
        with torch.inference_mode():
            return math.exp(self._error(self.net_, rows_of(tokens, 1, 256)))

    def score(self, texts: Sequence[str]) -> float:
        """The mean of log p over the tokens of texts."""
        return -math.log(self.perplexity(texts))

    def evaluate(self, texts: Sequence[str]) -> dict[str, float]:
        """Perplexity, and that of telling each token by how often it occurs."""
        self.check_fitted("net_")
        tokens = self._stream(texts)
        p = np.array(self.learned_["counts"], dtype=float) + 1
        usual = -np.log(p / p.sum())[tokens].mean()
        return {"perplexity": self._perplexity(tokens), "baseline perplexity": float(np.exp(usual))}

    def sample(self, start: str = "", tokens: int = 50, temperature: float = 1.0, seed: int = 0) -> str:
        """A text that goes on from `start`, each token drawn from p^(1/temperature); it ends at an end mark."""
        self.check_fitted("net_")
        positive("temperature", temperature)
        generator = torch.Generator().manual_seed(seed)
        told = self.reader_.tokenizer.encode(start) if start else []
        new, states = torch.tensor([[END, *told]]), None
        for _ in range(tokens):
            with torch.inference_mode():
                scores, states = self.net_(new, states)
            p = scores[0, -1].index_fill(0, torch.tensor([PAD, START]), -torch.inf).div(temperature).softmax(0)
            new = torch.multinomial(p, 1, generator=generator)[None]
            if int(new) == END:
                break
            told.append(int(new))
        return str(self.reader_.tokenizer.decode(told))

    def _stream(self, texts: Sequence[str]) -> np.ndarray:
        items = self.reader_.items(texts)
        return np.concatenate([np.append(items[row].numpy(), END) for row in range(len(items.lengths))])

    @property
    def _recipe(self) -> Training:
        return (self.training or Training()).merged_with(DEFAULTS["next", "text"].training)

    def _items(self, x: Sequence[str]) -> LazySequences:
        tokens = self._stream(x)
        self.learned_["counts"] = np.bincount(tokens, minlength=self.reader_.size).tolist()
        return rows_of(tokens, self._recipe.batch_size).x

    def _targets(self, y: Sequence[str], learn: bool) -> LazySequences:
        made: LazySequences = rows_of(self._stream(y), self._recipe.batch_size).y
        return made

    def _split(self, items: Any, targets: Any, validation: Any) -> tuple[Batcher, Batcher | None]:
        bptt = self._recipe.bptt
        if bptt is None:
            raise OptionError("a language model is trained piece by piece: give training a bptt, such as 35")
        train = Batcher(items, targets, seed=self.random_state, chunk=bptt)
        if not isinstance(validation, tuple):
            return train, None
        tokens = self._stream(validation[0])
        return train, rows_of(tokens, min(ALONGSIDE, len(tokens)), bptt)

    def _build(self) -> nn.Module:
        s = self.shape_
        return LanguageNet(
            self.cell, self.reader_.size, s.vectors, s.hidden_size, s.num_layers, s.dropout, self.random_state
        )

    def _loss(self, net: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        scores, state = net(batch.x, state)
        return F.cross_entropy(scores.flatten(0, 1), batch.y.flatten()), state

    def _error(self, net: Any, held: Batcher) -> float:
        total, state, count = 0.0, None, 0
        for batch in held.ordered():
            loss, state = self._loss(net, batch, None if batch.first else state)
            total, count = total + float(loss) * batch.y.numel(), count + batch.y.numel()
        return total / count


def rows_of(tokens: np.ndarray, rows: int, chunk: int | None = None) -> Batcher:
    """A stream as rows of equal length; each starts with what stands before it."""
    T = len(tokens) // rows
    if not T:
        raise DataError(f"the texts have {len(tokens)} tokens, fewer than the {rows} rows of a batch")
    before = np.append([END], tokens[:-1])
    x, y = (torch.from_numpy(part[: rows * T].reshape(rows, T)) for part in (before, tokens))
    return Batcher(listed(list(x)), listed(list(y)), chunk=chunk)
