"""Base of the sequence estimators: sequences in, a network, targets out; fit, predict, save and load."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias, TypeVar, cast, runtime_checkable

import numpy as np
import torch

from rekur import inputs, serialization
from rekur.core import ModelFileError, OptionError, Record
from rekur.data.batching import Batcher, LazySequences, Targets, cross_validation_folds
from rekur.data.validation import UserData, as_sequences, check_rows, equal_rows, read_labels, row_hashes
from rekur.estimator import BaseEstimator, Parameters, check_seed, learning
from rekur.inputs.numbers import NumbersReader
from rekur.inputs.readings import ReadingColumns
from rekur.inputs.text import strings
from rekur.plotting import loss_figure
from rekur.sequence.defaults import (
    Augmentation,
    NetworkSize,
    SequenceData,
    TaskDefaults,
    choose_input,
    network_size,
    task_defaults,
)
from rekur.sequence.parameters import FitOptions, check_parameters, describe_parameters, restore_parameters
from rekur.sequence.targets import (
    SplitKind,
    Validation,
    data_fingerprint,
    drawn_rows,
    split_rows,
    unknown_note,
    with_known_labels,
)
from rekur.training.checkpoint import Checkpoint
from rekur.training.config import Training
from rekur.training.loop import Problem, States, fit
from rekur.training.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor, nn

    from rekur.core import Array
    from rekur.data.batching import Batch
    from rekur.inputs.reader import Input, Reader
    from rekur.serialization import Description

TargetData: TypeAlias = UserData
"""Targets as users have them: labels, values, tags, texts."""

FOLDS = 10
"""Folds of few rows, of which each network of an ensemble holds out one."""

Value = TypeVar("Value")


class LearnedPart(Protocol):
    """A part of a fitted estimator that a file holds: JSON values and tensors."""

    def describe(self) -> Description:
        """JSON values that `restore` takes back."""

    def tensors(self) -> dict[str, Tensor]:
        """Tensors that `restore` takes back."""

    @classmethod
    def restore(cls, description: Description, tensors: dict[str, Tensor], reader: Reader) -> Self:
        """The part again, from what `describe` and `tensors` gave."""


@dataclass(frozen=True)
class TrainingData:
    """Data of a codec: x and y of the user, x as `reader` reads it, the estimator's parameters, and the training rows.

    The other rows are held out: a codec checks them, but learns nothing from them. `weight` (N,) weighs the rows.
    """

    x: SequenceData
    y: TargetData
    sequences: LazySequences
    reader: Reader
    parameters: Parameters
    rows: Array
    weight: Tensor | None = None


class TargetCodec(LearnedPart, Protocol):
    """Representation of the targets learned by `fit`, and their conversion to tensors."""

    @property
    def part_name(self) -> str:
        """Name of that which targets consist of: label, tag, character."""

    @classmethod
    def learn(cls, data: TrainingData) -> Self:
        """A codec for the targets in the training rows of `data.y`."""

    def encode(self, y: TargetData, lengths: Array) -> Targets:
        """Targets as tensors, with `UNKNOWN` for a label that does not occur in the training rows.

        A DataError for a target that does not fit the length of its sequence.
        """

    def unknown(self, y: TargetData, rows: Array | None = None) -> Counter[str]:
        """Parts of the targets (in `rows`) that do not occur in the training rows, and their counts."""


class Objective(Protocol):
    """A network with the loss that training minimises and the error that validation measures."""

    @property
    def net(self) -> nn.Module:
        """The network."""

    @property
    def error_name(self) -> str:
        """Name of the validation error, such as "1 - accuracy"."""

    @property
    def carries_states(self) -> bool:
        """Whether the states of one piece of a sequence can be carried to the next (truncated backpropagation)."""

    def loss(self, batch: Batch, states: States) -> tuple[Tensor, States]:
        """Loss of a batch, and the states to carry on."""

    def error(self, validation: Batcher) -> float:
        """Validation error: one minus an accuracy, an error rate or a loss."""

    def baseline_error(self, validation: Batcher) -> float:
        """The same error of a simple baseline."""


@runtime_checkable
class PreparedObjective(Protocol):
    """Objective that learns from the training rows before the network does."""

    def prepared(self, train: Batcher) -> Objective:
        """Objective for these rows."""


@dataclass(frozen=True)
class FitRecord:
    """Data seen by `fit`, and the validation errors of the model and of a baseline (None without validation)."""

    rows: int
    steps: int
    validation_rows: int = 0
    error_name: str = ""
    error: float | None = None
    baseline_error: float | None = None


@dataclass(frozen=True)
class Split:
    """Rows to train on, and rows held out for validation or None; in a cross-validation rows may be both."""

    train: Batcher
    validation: Batcher | None = None


class SequenceEstimator(BaseEstimator, ABC):
    """Estimator of one task on sequences.

    A subclass gives data (its task, the learned parts that a file holds, the way to hold rows out) and one method: the
    objective, which is the network with its loss and its validation error.
    """

    task: ClassVar[str]
    parts: ClassVar[Mapping[str, type[LearnedPart]]]
    shared_vocabulary: ClassVar[bool] = False
    split: ClassVar[SplitKind] = "random"
    nested_options: ClassVar[Mapping[str, type]] = {"training": Training}

    cell: str
    training: Training | None
    input: Input | None
    random_state: int

    reader_: Reader
    codec_: LearnedPart
    size_: NetworkSize
    net_: nn.Module
    fit_record_: FitRecord
    history_: list[Record]
    notes_: list[str]
    columns_: ReadingColumns | None = None

    @abstractmethod
    def _objective(self) -> Objective:
        """A new network with its loss and error, from `reader_`, `codec_` and `size_`."""

    def check_libraries(self) -> None:
        """Raise a MissingDependencyError unless the libraries of the scores are installed; checked before training."""

    @property
    def n_features_in_(self) -> int:
        """Columns of the sequences of numbers that `fit` has seen."""
        if not isinstance(getattr(self, "reader_", None), NumbersReader):
            raise AttributeError(f"this {type(self).__name__} has not been fitted to sequences of numbers")
        return cast(NumbersReader, self.reader_).columns

    @property
    def _defaults_task(self) -> str:
        """Task whose defaults apply: that of the class, or "summary" for texts that copy tokens of their source."""
        return "summary" if getattr(getattr(self, "generation", None), "copy", False) else self.task

    def _choose_input(self, x: SequenceData) -> Input:
        """The input chosen by the user or fitting the data; a parameter of the wrong type is an error."""
        check_parameters(self.get_params(deep=False), self.nested_options)
        return choose_input(self._defaults_task, type(self).__name__, x, self.input)

    def _choose_size(self, source: Input, rows: int) -> TaskDefaults:
        """Decide the size of the network; the defaults of the task for the number of rows."""
        check_seed(self.random_state)
        defaults = task_defaults(self._defaults_task, source.kind, self.cell, rows)
        self.size_ = network_size(defaults.size, self.get_params(deep=False))
        return defaults

    def _learn_input(self, x: SequenceData, source: Input, rows: Array | None = None) -> None:
        """Learn the reader of the input from some rows."""
        self.reader_ = source.learn(x, rows)
        self.columns_, self.notes_ = None, []
        self.seen_ = row_hashes(x, np.arange(len(x)) if rows is None else rows)

    def _fit(
        self,
        x: SequenceData,
        y: TargetData,
        options: FitOptions,
        *,
        source: Input,
        weight: Tensor | None = None,
    ) -> Split:
        """Learn input, targets and network; the rows trained on and held out. `weight` (N,) weighs rows in the loss."""
        n = check_rows(x, y)
        defaults = self._choose_size(source, n)
        labels = read_labels(y) if self.split == "stratified" else None
        groups = None if self.split == "last" else equal_rows(x, files=source.kind in ("audio", "video"))
        folds, share = None, options.validation
        if share is None and self.size_.members > 1:
            strata = None if labels is None else np.unique(labels, return_inverse=True)[1]
            if strata is not None and weight is not None:  # the label of a row without weight changes nothing
                strata = np.where(weight.numpy() > 0, strata, -1)
            folds = cross_validation_folds(n, FOLDS, self.random_state, labels=strata, groups=groups)
            share = 0.0
        rows, held = split_rows(n, share, self.random_state, self.split, labels, groups)
        if self.shared_vocabulary:
            self._learn_input([*strings(x), *strings(y, "y")], source, np.concatenate([rows, n + rows]))
        else:
            self._learn_input(x, source, rows)
        sequences = self.reader_.items(x)
        kind = cast(type[TargetCodec], self.parts["codec"])
        codec = kind.learn(TrainingData(x, y, sequences, self.reader_, self.get_params(deep=False), rows, weight))
        self.codec_ = codec
        targets = codec.encode(y, sequences.lengths)
        train = Batcher(sequences, targets, seed=self.random_state, rows=rows, weight=weight, folds=folds)
        validation = None if folds is None else replace(train, rows=np.flatnonzero(folds < self.size_.members))
        if isinstance(options.validation, tuple) or len(held):
            self.check_libraries()
        if isinstance(options.validation, tuple):
            validation = self._validation_data(codec, *options.validation)
        elif len(held):
            self.notes_ += unknown_note(codec.unknown(y, held), codec.part_name, "rows held out")
            validation = with_known_labels(replace(train, rows=held))
        split = Split(train, validation)
        drawn = drawn_rows(train, x, y, self.reader_, codec, self.size_.augmentation.subword_sampling)
        self._train(split, drawn, defaults, options)
        return split

    def _validation_data(
        self, codec: TargetCodec, x: SequenceData, y: TargetData, lengths: ArrayLike | None = None
    ) -> Batcher | None:
        """Validation data of the user."""
        data = as_sequences(x, lengths)
        check_rows(data, y)
        sequences = self.reader_.items(data)
        self.notes_ += unknown_note(codec.unknown(y), codec.part_name, "validation data")
        return with_known_labels(Batcher(sequences, codec.encode(y, sequences.lengths), seed=self.random_state))

    def _warn_of_unknown(self, y: TargetData) -> None:
        """Name the targets that do not occur in the training data in a warning."""
        codec = cast(TargetCodec, self.codec_)
        for note in unknown_note(codec.unknown(y), codec.part_name, "targets"):
            warnings.warn(note, stacklevel=3)

    def _train(self, split: Split, drawn: Batcher, defaults: TaskDefaults, options: FitOptions) -> None:
        """Train the network on the rows of a split, in the form drawn at random while training."""
        batch_size = (self.training or Training()).merged_with(defaults.training).batch_size
        train = replace(drawn, size=batch_size)
        training = defaults.trained(len(train), self.training, options.epochs)
        objective = self._objective()
        if isinstance(objective, PreparedObjective):
            objective = objective.prepared(train)
        if training.bptt is not None:
            if not objective.carries_states:
                raise OptionError("bptt needs a target for each step, y (B, T, K), and bidirectional=False")
            train = replace(train, chunk=training.bptt)
        validation = None if split.validation is None else replace(split.validation, size=2 * batch_size)
        problem = Problem(
            objective.net,
            self._batches(objective, train, training.max_epochs),
            len(train),
            objective.loss,
            None if validation is None or validation.folds is not None else lambda: objective.error(validation),
        )
        if problem.validate is None and self.training is not None and self.training.patience is not None:
            self.notes_.append("patience has no effect, as no rows are held out while training: pass validation=0.1")
        self.history_ = []
        title = f"{type(self).__name__.lower()} {self.cell}"
        with Progress(title, training.max_epochs * len(train), options.progress) as show:
            checkpoint = self._checkpoint(options.checkpoint, training, split)
            self.history_ = fit(problem, training, self.random_state, show, checkpoint)
        if training.max_seconds is not None and (not self.history_ or "cut" in self.history_[-1]):
            epoch = f"epoch {max(1, len(self.history_))} of {training.max_epochs}"
            self.notes_.append(f"training ended in {epoch}, at its time limit of {training.max_seconds:g} s")
        self.fit_record_, self.net_ = self._record(split, objective, validation), objective.net

    def _batches(self, objective: Objective, train: Batcher, epochs: int) -> Callable[[int], Iterable[Batch]]:
        """Batches of each of the epochs."""
        return train.shuffled

    def _record(self, split: Split, objective: Objective, validation: Batcher | None) -> FitRecord:
        """Data seen, and the best validation error with that of the baseline."""
        rows = split.train.row_numbers
        data = FitRecord(len(rows), int(split.train.x.lengths[rows].sum()))
        errors = [record["val_loss"] for record in self.history_ if "val_loss" in record]
        if validation is None or not (errors or validation.folds is not None):
            return data
        with torch.inference_mode():
            baseline, error = objective.baseline_error(validation), min(errors, default=None)
            error = objective.error(validation) if error is None else error
        held, name = len(validation.row_numbers), objective.error_name
        return replace(data, validation_rows=held, error_name=name, error=error, baseline_error=baseline)

    def _checkpoint(self, folder: str | os.PathLike[str] | None, training: Training, split: Split) -> Checkpoint | None:
        """The checkpoint in a folder, for these options and data."""
        if folder is None:
            return None
        held = None if split.validation is None else data_fingerprint(split.validation)
        seen = {"options": asdict(training), "data": data_fingerprint(split.train), "validation": held}
        return Checkpoint(folder, {**self._describe(), **seen})

    def _map_rows(
        self, function: Callable[[Batch], Iterable[Value]], x: SequenceData, y: Targets | None = None
    ) -> list[Value]:
        """Results of a function of batches for each row of new data x (with targets y), in the order of x."""
        self.check_fitted()
        results: dict[int, Value] = {}
        with torch.inference_mode():
            for batch in Batcher(self.reader_.items(x), y, 64).ordered():
                assert batch.rows is not None
                results |= zip(batch.rows.tolist(), function(batch), strict=True)
        return [results[row] for row in range(len(results))]

    def plot(self, engine: str = "plotly") -> Any:
        """Draw the training and validation loss of each epoch by plotly or matplotlib; the figure."""
        self.check_fitted()
        return loss_figure(self.history_, f"{type(self).__name__} ({self.cell})", engine)

    def _summary(self) -> list[tuple[str, str]]:
        record, size = self.fit_record_, self.size_
        parameters = sum(p.numel() for p in self.net_.parameters())
        rows = [
            ("task", f"{type(self).__name__} of {self.reader_.options.kind}"),
            ("data", f"{record.rows:,} sequences, {record.steps:,} steps"),
            ("network", f"{self.cell}, {size.num_layers} × {size.hidden_size}, {parameters:,} parameters"),
            ("epochs", str(len(self.history_))),
        ]
        if record.error is not None:
            text = f"{record.error:.4g}, baseline {record.baseline_error:.4g}, of {record.validation_rows:,} held out"
            rows.append((f"validation {record.error_name}", text))
        return [*rows, *(("note", note) for note in self.notes_)]

    def _describe(self) -> Description:
        """Parameters, input, targets and size as JSON values."""
        parts = {name: part.describe() for name, part in self._learned_parts().items()}
        return {
            "kind": type(self).__name__,
            "parameters": describe_parameters(self.get_params(deep=False)),
            "input": self.reader_.describe(),
            "size": asdict(self.size_),
            "parts": parts,
        }

    def _learned_parts(self) -> dict[str, LearnedPart]:
        """The learned parts that are present, by name."""
        learned = {name: getattr(self, f"{name}_", None) for name in self.parts}
        return {name: part for name, part in learned.items() if part is not None}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`.

        Parameters
        ----------
        folder : path
            A folder that is absent, empty or holds another model of rekur, which is replaced.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        DataError
            If the folder cannot be written or holds anything else.
        """
        self.check_fitted()
        tensors = {f"net.{name}": tensor for name, tensor in self.net_.state_dict().items()}
        tensors |= {f"input.{name}": tensor for name, tensor in self.reader_.tensors().items()}
        for part, value in self._learned_parts().items():
            tensors |= {f"{part}.{name}": tensor for name, tensor in value.tensors().items()}
        fit_state = {
            "history": self.history_,
            "fit": asdict(self.fit_record_),
            "notes": self.notes_,
            "seen": self.seen_,
        }
        columns = {} if self.columns_ is None else {"columns": asdict(self.columns_)}
        serialization.save(folder, {**self._describe(), **fit_state, **columns}, tensors)

    @classmethod
    def _restore(cls, description: Description, tensors: dict[str, Tensor], folder: str) -> Self:
        serialization.require(description, ("parameters", "input", "size", "parts", "history", "fit"), folder)
        model = cls(**restore_parameters(cls.nested_options, description["parameters"]))
        groups: dict[str, dict[str, Tensor]] = {name: {} for name in ("net", "input", *cls.parts)}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            if group not in groups:
                raise ModelFileError(f"{folder} is damaged: the tensor {name!r} does not fit the description")
            groups[group][rest] = tensor
        size = dict(description["size"])
        model.size_ = NetworkSize(**{**size, "augmentation": Augmentation(**size["augmentation"])})
        model.history_, model.fit_record_ = description["history"], FitRecord(**description["fit"])
        model.notes_, model.seen_ = (description.get(name, []) for name in ("notes", "seen"))  # absent in older files
        model.columns_ = ReadingColumns.restore(description.get("columns"))
        model.reader_ = inputs.restore(description["input"], groups["input"])
        for name, kind in cls.parts.items():
            part = description["parts"].get(name)
            setattr(model, f"{name}_", None if part is None else kind.restore(part, groups[name], model.reader_))
        net = model._objective().net
        serialization.restore(net, groups["net"], folder)
        model.net_ = net.eval()
        return model


class PairedEstimator(SequenceEstimator, ABC):
    """Estimator fitted to pairs of a sequence and its target."""

    def fit(
        self,
        x: SequenceData,
        y: TargetData,
        *,
        validation: Validation = None,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on sequences and their targets.

        Parameters
        ----------
        x : list or array
            Sequences of the kinds named in the documentation of the class.
        y : list
            A target for each sequence.
        validation : float, tuple (x, y) or None, default None
            Share of the rows held out, or data; 0 for none. None holds out a tenth where there are 200 rows or more.
            The weights of the best epoch on them are kept.
        epochs : int or None, default None
            Replaces `training.max_epochs`.
        progress : bool or None, default None
            Whether to show a progress bar; None shows it on a terminal or in a notebook.
        checkpoint : path or None, default None
            Folder written after each epoch; where it holds a checkpoint of this training, training resumes from it.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        DataError
            If data cannot be used, or a target does not fit its sequence; the text names the row.
        TrainingError
            If the loss is not finite; the text names the layer.
        """
        with learning(self, self.fitted_attribute):
            options = FitOptions(validation, epochs, progress, checkpoint)
            self._fit(x, y, options, source=self._choose_input(x))
        return self
