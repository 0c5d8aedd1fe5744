"""What Translator and Captioner share: a sequence in, a text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError, OptionError, choose, positive
from rekur.data.items import Batcher, LazySequences, listed, unpadded
from rekur.inputs.text import TextReader, strings
from rekur.inputs.tokenizer import END, START
from rekur.layers.attention import Attention
from rekur.layers.decoder import Decoder
from rekur.layers.encoders import encoder
from rekur.layers.seq2seq import Seq2Seq, coverage_loss
from rekur.layers.stack import Stack
from rekur.sequence.base import PairedEstimator
from rekur.training.config import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batching import Batch

MEASURED = 500  # rows held out that are written out after each epoch, at most


@dataclass(frozen=True)
class GenerationConfig:
    """How a text is written; a value.

    attention : "dot" (Luong) or "additive" (Bahdanau) · copy : let the decoder take over tokens of the source ·
    coverage : weight of the penalty for looking twice at one place · sampling : share of the tokens before that the
    decoder tells itself while training · smoothing : of the labels ·
    beams, norm, unique, longest : of the search, see `rekur.layers.beam_search` ·
    measure : "bleu" or "rouge", by which the best epoch is found
    """

    attention: str = "dot"
    copy: bool = False
    coverage: float = 0.0
    scheduled_sampling: float = 0.0
    label_smoothing: float = 0.1
    num_beams: int = 5
    length_penalty: float = 0.7
    no_repeat_ngram: int = 0
    max_length: int = 100
    metric: str = "bleu"

    @property
    def search(self) -> dict[str, Any]:
        """How to search, but for the beams."""
        return {
            "max_length": self.max_length,
            "length_penalty": self.length_penalty,
            "no_repeat_ngram": self.no_repeat_ngram,
        }

    def __post_init__(self) -> None:
        choose("attention", self.attention, ("dot", "additive"))
        choose("metric", self.metric, ("bleu", "rouge"))
        for name in ("num_beams", "max_length"):
            positive(name, getattr(self, name))
        if not 0 <= self.scheduled_sampling <= 1 or not 0 <= self.label_smoothing < 1 or self.coverage < 0:
            raise OptionError(
                "scheduled_sampling must lie in [0, 1], label_smoothing in [0, 1), and coverage must not be negative"
            )


SUMMARY = GenerationConfig(
    copy=True, coverage=0.3, length_penalty=1.0, no_repeat_ngram=3, max_length=60, metric="rouge"
)
"""How summaries are written: much is taken over from the text, nothing is told twice."""


class Seq2SeqEstimator(PairedEstimator):
    """Read a sequence and write a text; a subclass says what is read and where its pieces come from."""

    out = "text"

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        generation: GenerationConfig = GenerationConfig(),
        training: Training | None = None,
        input: Any = None,
        random_state: int = 0,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.generation = generation
        self.training = training
        self.input = input
        self.random_state = random_state

    @property
    def text_(self) -> TextReader:
        """What knows the pieces of the texts that are written."""
        raise NotImplementedError

    def predict(self, x: Any, beams: int | None = None) -> list[str]:
        """The texts written for sequences; `beams` in place of `writing.beams`, 1 for greedy."""
        w = self.generation

        def tell(batch: Batch) -> list[str]:
            found = self._net.generate(batch.x, batch.lengths, beams or w.num_beams, **w.search)
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
        return told["bleu"] if self.generation.metric == "bleu" else told["rouge1"]

    @property
    def _net(self) -> Seq2Seq:
        self.check_fitted("net_")
        net: Any = self.net_
        return net  # type: ignore[no-any-return]

    def evaluate(self, x: Any, y: Sequence[Any]) -> dict[str, float]:
        """Scores of the texts written for x beside those of a simple baseline."""
        raise NotImplementedError

    def _measured(self, actual: Sequence[Any], predicted: Sequence[str]) -> dict[str, float]:
        if self.generation.metric == "rouge":
            return metrics.rouge(actual, predicted)
        return {"bleu": metrics.bleu(actual, predicted)}

    def _build(self) -> nn.Module:
        s, w = self.shape_, self.generation
        front = encoder(self.reader_, s.vectors, s.dropout, s.forget, self.random_state)
        H = s.hidden_size // (1 + s.bidirectional)
        seen = self.reader_.options.kind != "text"  # what is seen needs a hand to be learned: `normalize`, `hints`
        stack = Stack(self.cell, front.size, H, s.num_layers, s.bidirectional, s.dropout, seen, self.random_state)
        attention = Attention(s.hidden_size, stack.size, w.attention, self.random_state)
        decoder = Decoder(self.cell, self.text_.size, s.vectors, attention, s.dropout, w.copy, self.random_state + 1)
        return Seq2Seq(front, stack, decoder, (START, END), seen)

    def _targets(self, y: Sequence[str], learn: bool) -> LazySequences:
        most = self.generation.max_length
        rows = [self.text_.tokenizer.encode(text)[:most] for text in strings(y)]
        if all(not row for row in rows):
            raise DataError("all texts to be written are empty")
        return listed([torch.tensor([*row, END]) for row in rows])

    def _loss(self, net: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        w = self.generation
        written, memory = net(batch.x, batch.lengths, batch.y, w.scheduled_sampling)
        assert batch.weight is not None
        loss = net.decoder.loss(written, memory, batch.y, batch.weight, w.label_smoothing)
        loss = loss + net.token_loss(memory, batch.y, batch.weight)
        if w.coverage:
            loss = loss + w.coverage * coverage_loss(written.attention, batch.weight)
        return loss, None

    def _error(self, net: Any, held: Batcher) -> float:
        actual, predicted = [], []
        for batch in held.ordered():
            actual += [self.text_.tokenizer.decode(row) for row in batch.y.tolist()]
            found = net.generate(batch.x, batch.lengths, 1, **self.generation.search)
            predicted += [self.text_.tokenizer.decode(row) for row in found]
        told = self._measured(actual, predicted)
        return 1 - next(iter(told.values())) / 100

    def _split(self, items: Any, targets: Any, validation: Any) -> tuple[Batcher, Batcher | None]:
        train, held = super()._split(items, targets, validation)
        if held is None or len(held.order) <= MEASURED:
            return train, held
        some = np.random.default_rng(self.random_state).choice(held.order, MEASURED, replace=False)
        return train, Batcher(held.x, held.y, held.size, held.seed, np.sort(some))

    def _describe(self) -> dict[str, Any]:
        described = super()._describe()
        described["parameters"]["generation"] = asdict(self.generation)
        return described

    @classmethod
    def _values(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {**parameters, "generation": GenerationConfig(**parameters["generation"])}
