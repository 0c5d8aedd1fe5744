"""Labels as targets: their numbers, and the loss and error of networks that predict one label for a sequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch

from rekur import metrics
from rekur.core import DataError, OptionError
from rekur.data.batching import Batcher
from rekur.data.validation import read_labels
from rekur.inputs.reader import training_part
from rekur.layers.heads import LabelHead
from rekur.layers.sequence_net import LabelEnsemble, SequenceNet
from rekur.sequence.base import TrainingData
from rekur.sequence.targets import label_numbers, unknown_labels
from rekur.training.loop import States

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor, nn

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Reader
    from rekur.serialization import Description


@dataclass(frozen=True)
class LabelCodec:
    """Labels in sorted order, and their counts in the training data."""

    classes: list[Any]
    counts: list[int]
    part_name: ClassVar[str] = "label"

    @classmethod
    def learn(cls, data: TrainingData) -> LabelCodec:
        """Labels of the targets; there must be two or more."""
        classes, counts = np.unique(read_labels(data.y)[data.rows], return_counts=True)
        if len(classes) < 2:
            cure = "two or more classes are needed: add rows of another one"
            raise DataError(f"y holds one class, {classes.tolist()[0]!r}, in every row that is learned, and {cure}")
        return cls(classes.tolist(), counts.tolist())

    def encode(self, y: ArrayLike, lengths: Array) -> Tensor:
        """Numbers of the labels, (B,)."""
        return torch.tensor(label_numbers(read_labels(y, mixed=True).tolist(), self.classes))

    def unknown(self, y: ArrayLike, rows: Array | None = None) -> Counter[str]:
        """Labels that do not occur in the training data, and their counts."""
        return unknown_labels(training_part(read_labels(y, mixed=True).tolist(), rows), self.classes)

    def weights(self, class_weight: str | Mapping[Any, float] | None) -> Tensor | None:
        """Weight of each label, (K,), or None where all count alike."""
        if class_weight is None:
            return None
        if class_weight == "balanced":
            counts = np.array(self.counts, dtype=np.float32)
            return torch.from_numpy(counts.sum() / (len(counts) * counts))
        if not isinstance(class_weight, Mapping) or set(class_weight) != set(self.classes):
            raise OptionError(f'class_weight must be "balanced" or give a weight for each of {self.classes}')
        return torch.tensor([float(class_weight[label]) for label in self.classes])

    def describe(self) -> Description:
        """Labels and counts as JSON values."""
        return asdict(self)

    def tensors(self) -> dict[str, Tensor]:
        """None."""
        return {}

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> LabelCodec:
        """The codec that `describe` gave."""
        return cls(**description)


@dataclass(frozen=True)
class LabelObjective:
    """Cross-entropy, weighted by label; validation measures accuracy, or macro F1 where labels are weighted.

    Each network of an ensemble learns by itself. In a cross-validation network k learns from the rows outside fold k,
    and predicts those in fold k for the validation error.
    """

    net: SequenceNet[LabelHead] | LabelEnsemble
    codec: LabelCodec
    class_weights: Tensor | None = None
    carries_states: bool = False

    @property
    def error_name(self) -> str:
        """Name of the validation error."""
        return "1 - accuracy" if self.class_weights is None else "1 - macro F1"

    @property
    def members(self) -> list[SequenceNet[LabelHead]]:
        """The networks of an ensemble, or the only one."""
        if isinstance(self.net, LabelEnsemble):
            return cast("list[SequenceNet[LabelHead]]", [*self.net.members])
        return [self.net]

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch, averaged over the networks."""
        parts = [batch if batch.folds is None else batch.select(batch.folds != k) for k in range(len(self.members))]
        losses = [self._loss(net, part) for net, part in zip(self.members, parts, strict=True) if len(part.x)]
        return torch.stack(losses).mean(), None

    def _loss(self, net: SequenceNet[LabelHead], batch: Batch) -> Tensor:
        weight = batch.weight
        if self.class_weights is not None:
            weight = self.class_weights[batch.y] if weight is None else self.class_weights[batch.y] * weight
        return net.head.loss(net(batch.x, batch.lengths).raw, batch.y, weight)

    def error(self, validation: Batcher) -> float:
        """One minus accuracy or macro F1."""
        predicted, actual = [], []
        for batch in validation.ordered():
            nets: list[nn.Module] = [self.net] if batch.folds is None else [*self.members]
            parts = [batch] if batch.folds is None else [batch.select(batch.folds == k) for k in range(len(nets))]
            for net, part in zip(nets, parts, strict=True):
                if len(part.x):
                    predicted.append(net(part.x, part.lengths).raw.argmax(-1))
                    actual.append(part.y)
        return self._error(torch.cat(predicted).numpy(), torch.cat(actual).numpy())

    def baseline_error(self, validation: Batcher) -> float:
        """The same of the most frequent label."""
        actual = torch.cat([batch.y for batch in validation.ordered()]).numpy()
        return self._error(np.full(len(actual), int(np.argmax(self.codec.counts))), actual)

    def _error(self, predicted: Array, actual: Array) -> float:
        if self.class_weights is not None:
            return 1 - metrics.macro_f1(actual, predicted)
        return 1 - float((predicted == actual).mean())
