"""What Translator and Captioner share: a sequence in, a text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rekur import scores
from rekur.core import DataError, OptionError, choose, positive
from rekur.inputs.items import Buckets, Items, listed, unpadded
from rekur.inputs.text import TextReader, strings
from rekur.inputs.tokens import END, START
from rekur.layers.attention import Attention
from rekur.layers.decoder import Decoder
from rekur.layers.encoders import encoder
from rekur.layers.seq2seq import Seq2Seq, coverage_loss
from rekur.layers.stack import Stack
from rekur.tasks.sequences import PairedEstimator
from rekur.train import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batches import Batch

MEASURED = 500  # rows held out that are written out after each epoch, at most


@dataclass(frozen=True)
class Writing:
    """How a text is written; a value.

    attention : "dot" (Luong) or "additive" (Bahdanau) · copy : let the decoder take over tokens of the source ·
    coverage : weight of the penalty for looking twice at one place · sampling : share of the tokens before that the
    decoder tells itself while training · smoothing : of the labels ·
    beams, norm, unique, longest : of the search, see `rekur.layers.search.beam` ·
    measure : "bleu" or "rouge", by which the best epoch is found
    """

    attention: str = "dot"
    copy: bool = False
    coverage: float = 0.0
    sampling: float = 0.0
    smoothing: float = 0.1
    beams: int = 5
    norm: float = 0.7
    unique: int = 0
    longest: int = 100
    measure: str = "bleu"

    @property
    def search(self) -> dict[str, Any]:
        """How to search, but for the beams."""
        return {"longest": self.longest, "norm": self.norm, "unique": self.unique}

    def __post_init__(self) -> None:
        choose("attention", self.attention, ("dot", "additive"))
        choose("measure", self.measure, ("bleu", "rouge"))
        for name in ("beams", "longest"):
            positive(name, getattr(self, name))
        if not 0 <= self.sampling <= 1 or not 0 <= self.smoothing < 1 or self.coverage < 0:
            raise OptionError("sampling must lie in [0, 1], smoothing in [0, 1), and coverage must not be negative")


SUMMARY = Writing(copy=True, coverage=0.3, norm=1.0, unique=3, longest=60, measure="rouge")
"""How summaries are written: much is taken over from the text, nothing is told twice."""


class Writer(PairedEstimator):
    """Read a sequence and write a text; a subclass says what is read and where its pieces come from."""

    out = "text"

    def __init__(
        self,
        cell: str = "gru",
        hidden: int | None = None,
        layers: int | None = None,
        dropout: float | None = None,
        writing: Writing = Writing(),
        training: Training | None = None,
        input: Any = None,
        seed: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout
        self.writing = writing
        self.training = training
        self.input = input
        self.seed = seed

    @property
    def text_(self) -> TextReader:
        """What knows the pieces of the texts that are written."""
        raise NotImplementedError

    def predict(self, x: Any, beams: int | None = None) -> list[str]:
        """The texts written for sequences; `beams` in place of `writing.beams`, 1 for greedy."""
        w = self.writing

        def tell(batch: Batch) -> list[str]:
            found = self._net.write(batch.x, batch.lengths, beams or w.beams, **w.search)
            return [self.text_.tokenizer.decode(tokens) for tokens in found]

        return self._each(tell, x)

    def attention(self, x: Any, y: Sequence[str]) -> list[np.ndarray]:
        """Where the decoder looks while it writes the texts y, one array (U, T) for each row."""

        def tell(batch: Batch) -> list[np.ndarray]:
            weights = self._net(batch.x, batch.lengths, batch.y)[0].attention
            steps = [weights.shape[2]] * len(weights) if batch.lengths is None else batch.lengths.tolist()
            return [one[: len(y), :T].numpy() for one, y, T in zip(weights, unpadded(batch), steps, strict=True)]

        return self._each(tell, x, self._targets(y, learn=False))

    def score(self, x: Any, y: Sequence[Any]) -> float:
        """BLEU, or ROUGE-1 where that is the measure, in percent."""
        told = self.evaluate(x, y)
        return told["bleu"] if self.writing.measure == "bleu" else told["rouge1"]

    @property
    def _net(self) -> Seq2Seq:
        self.check_fitted("net_")
        net: Any = self.net_
        return net  # type: ignore[no-any-return]

    def evaluate(self, x: Any, y: Sequence[Any]) -> dict[str, float]:
        """Scores of the texts written for x beside those of a simple baseline."""
        raise NotImplementedError

    def _measured(self, actual: Sequence[Any], predicted: Sequence[str]) -> dict[str, float]:
        if self.writing.measure == "rouge":
            return scores.rouge(actual, predicted)
        return {"bleu": scores.bleu(actual, predicted)}

    def _build(self) -> nn.Module:
        s, w = self.shape_, self.writing
        front = encoder(self.reader_, s.vectors, s.dropout, s.forget, self.seed)
        H = s.hidden // (1 + s.bidirectional)
        seen = self.reader_.options.kind != "text"  # what is seen needs a hand to be learned: `normalize`, `hints`
        stack = Stack(self.cell, front.size, H, s.layers, s.bidirectional, s.dropout, seen, self.seed)
        attention = Attention(s.hidden, stack.size, w.attention, self.seed)
        decoder = Decoder(self.cell, self.text_.size, s.vectors, attention, s.dropout, w.copy, self.seed + 1)
        return Seq2Seq(front, stack, decoder, (START, END), seen)

    def _targets(self, y: Sequence[str], learn: bool) -> Items:
        most = self.writing.longest
        rows = [self.text_.tokenizer.encode(text)[:most] for text in strings(y)]
        if all(not row for row in rows):
            raise DataError("all texts to be written are empty")
        return listed([torch.tensor([*row, END]) for row in rows])

    def _loss(self, net: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        w = self.writing
        written, memory = net(batch.x, batch.lengths, batch.y, w.sampling)
        assert batch.weight is not None
        loss = net.decoder.loss(written, memory, batch.y, batch.weight, w.smoothing)
        loss = loss + net.hint_loss(memory, batch.y, batch.weight)
        if w.coverage:
            loss = loss + w.coverage * coverage_loss(written.attention, batch.weight)
        return loss, None

    def _error(self, net: Any, held: Buckets) -> float:
        actual, predicted = [], []
        for batch in held.ordered():
            actual += [self.text_.tokenizer.decode(row) for row in batch.y.tolist()]
            found = net.write(batch.x, batch.lengths, 1, **self.writing.search)
            predicted += [self.text_.tokenizer.decode(row) for row in found]
        told = self._measured(actual, predicted)
        return 1 - next(iter(told.values())) / 100

    def _split(self, items: Any, targets: Any, validation: Any) -> tuple[Buckets, Buckets | None]:
        train, held = super()._split(items, targets, validation)
        if held is None or len(held.order) <= MEASURED:
            return train, held
        some = np.random.default_rng(self.seed).choice(held.order, MEASURED, replace=False)
        return train, Buckets(held.x, held.y, held.size, held.seed, np.sort(some))

    def _describe(self) -> dict[str, Any]:
        described = super()._describe()
        described["parameters"]["writing"] = asdict(self.writing)
        return described

    @classmethod
    def _values(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {**parameters, "writing": Writing(**parameters["writing"])}
