"""Splicing: new strings of words for training, from words cut out of the recordings by forced alignment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from rekur.data.batching import Batch, Batcher, pad, unpad_targets
from rekur.layers.ctc import CTCHead, forced_alignment
from rekur.layers.sequence_net import SequenceNet

MIN_STEPS = 2
"""Steps of the network that a spliced word has at least: one for its label and one for a blank."""


@dataclass(frozen=True)
class SplicedBatches:
    """Batches of an epoch in which strings of words are spliced from words of all recordings.

    At the beginning of each epoch the recordings that the network transcribes without error are aligned with their
    transcripts by it, and cut at the quietest spectrum between two words.

    Parameters
    ----------
    net : SequenceNet
        The network, as trained so far.
    train : Batcher
        Recordings (T, I) as log-mel spectra, and the labels of their words.
    reduction : int
        Spectra per step of the network.
    share : float
        Share of the strings that are spliced once all recordings are transcribed without error; in proportion to their
        number before.
    first_epoch : int
        Epoch from which on they are.
    """

    net: SequenceNet[CTCHead]
    train: Batcher
    reduction: int
    share: float
    first_epoch: int

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Batches of an epoch, from 0."""
        words, right = self.words() if epoch >= self.first_epoch else ([], 0.0)
        if not words:
            yield from self.train.shuffled(epoch)
            return
        random = np.random.default_rng((self.train.seed, epoch, self.first_epoch))
        for batch in self.train.shuffled(epoch):
            yield self.spliced(batch, words, self.share * right, random)

    def words(self) -> tuple[list[tuple[Tensor, int]], float]:
        """Spectra (T, I) and labels of words, and the share of the recordings that are transcribed without error."""
        words, right, training = list[tuple[Tensor, int]](), 0, self.net.training
        self.net.eval()
        with torch.no_grad():
            for batch in self.train.ordered():
                raw, steps, _ = self.net(batch.x, batch.lengths)
                for k, labels in enumerate(unpad_targets(batch)):
                    x = batch.x[k] if batch.lengths is None else batch.x[k, : batch.lengths[k]]
                    scores = raw[k] if steps is None else raw[k, : steps[k]]
                    if [label for label, _ in self.net.head.align(scores)] != labels:
                        continue
                    right += 1
                    spans = forced_alignment(scores.log_softmax(-1).numpy(), labels, self.net.head.blank)
                    words += zip(self.cut(x, spans), labels, strict=True)
        self.net.train(training)
        long_enough = [(x, label) for x, label in words if len(x) >= MIN_STEPS * self.reduction]
        return long_enough, right / len(self.train.row_numbers)

    def cut(self, x: Tensor, spans: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Pieces of a recording (T, I), one for each word, from the first and last steps of the words."""
        energy, cuts = x.mean(1), [0]
        for (_, end), (begin, _) in pairwise(spans):
            first, last = end * self.reduction, begin * self.reduction
            cuts.append(first + int(energy[first : max(last, first + 1)].argmin()))
        return [x[start:stop] for start, stop in pairwise([*cuts, len(x)])]

    def spliced(
        self, batch: Batch, words: Sequence[tuple[Tensor, int]], share: float, random: np.random.Generator
    ) -> Batch:
        """A batch with a share of the strings replaced by others of as many words."""
        lengths = [batch.x.shape[1]] * len(batch.x) if batch.lengths is None else batch.lengths.tolist()
        rows, targets = [], []
        for x, n, labels in zip(batch.x, lengths, unpad_targets(batch), strict=True):
            chosen = [words[k] for k in random.integers(len(words), size=len(labels))]
            replaced = bool(random.random() < share)
            rows.append(torch.cat([piece for piece, _ in chosen]) if replaced else x[:n])
            targets.append(torch.tensor([label for _, label in chosen] if replaced else labels))
        (x, steps), (y, counts) = pad(rows), pad(targets)
        weight = (torch.arange(y.shape[1]) < counts[:, None]).float()
        return replace(batch, x=x, y=y, lengths=steps, weight=weight)
