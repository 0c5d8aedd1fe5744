"""What the tasks on sequences share: items in, a net, a target out; fit, save and restore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from rekur import inputs, serialization
from rekur.core import DataError, OptionError
from rekur.data.items import Batcher, LazySequences
from rekur.estimator import BaseEstimator, check_seed, learning
from rekur.inputs.datasets import VIDEOS
from rekur.sequence.defaults import DEFAULTS, NetworkSize, TaskDefaults, shaped
from rekur.training.checkpoint import Checkpoint, fingerprint
from rekur.training.config import Training
from rekur.training.loop import Problem, fit
from rekur.training.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batching import Batch

HELD = 0.1  # share of the rows held out where nothing is said
FEWEST = 200  # rows from which on some are held out


class SequenceEstimator(BaseEstimator):
    """Fit, predict and save; a subclass says what comes out, gives the targets, the net, its loss and its error."""

    out: str  # what comes out, as in `RECIPES`
    cell: str
    training: Training | None
    input: Any
    random_state: int

    reader_: Any
    shape_: NetworkSize
    net_: nn.Module
    learned_: dict[str, Any]
    history_: list[dict[str, float]]

    def _build(self) -> nn.Module:
        """The net, from `reader_`, `shape_` and `learned_`."""
        raise NotImplementedError

    def _targets(self, y: Any, learn: bool) -> Any:
        """Targets as `Batcher` take them."""
        raise NotImplementedError

    def _learn(self, chosen: Any, x: Any, y: Any) -> Any:
        """The reader of the input, from the training data."""
        return chosen.learn(x)

    def _items(self, x: Any) -> LazySequences:
        """The training data as items."""
        items: LazySequences = self.reader_.items(x)
        return items

    def _settle(self, items: LazySequences, targets: Any) -> None:
        """Learn what only items and targets together tell."""

    def _check(self, items: LazySequences, targets: Any) -> None:
        """Raise a DataError where a target does not fit its sequence."""

    def _loss(self, net: nn.Module, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The loss of a batch, and the state to carry on, if any."""
        raise NotImplementedError

    def _error(self, net: nn.Module, held: Batcher) -> float:
        """What training should make small, on rows held out: one minus accuracy, an error rate, a loss."""
        raise NotImplementedError

    def _sizes(self) -> dict[str, Any]:
        """What the user says of the shape; None where the recipe decides."""
        return {name: getattr(self, name, None) for name in ("hidden_size", "num_layers", "bidirectional", "dropout")}

    def _given(self, x: Any) -> Any:
        """The input that was asked for, or the one that fits the data."""
        chosen = self.input if self.input is not None else guessed(x)
        if (self.out, chosen.kind) not in DEFAULTS:
            fit_for = [kind for out, kind in DEFAULTS if out == self.out]
            raise OptionError(f"{type(self).__name__} takes {' or '.join(fit_for)}, not {chosen.kind}")
        return chosen

    def _plan(self, chosen: Any) -> TaskDefaults:
        """How large the net is and how it is trained, for an input."""
        return DEFAULTS[self.out, chosen.kind]

    def _fit(
        self,
        x: Any,
        y: Any,
        validation: float | tuple[Any, ...] | None,
        epochs: int | None,
        progress: bool | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> tuple[Batcher, Batcher | None]:
        """Train the net; the rows it was trained on, and those held out."""
        check_seed(self.random_state)
        chosen = self._given(x)
        recipe = self._plan(chosen)
        self.shape_, self.learned_ = shaped(recipe, **self._sizes()), {}
        self.reader_ = self._learn(chosen, x, y)
        items, targets = self._items(x), self._targets(y, learn=True)
        check_rows(items, targets)
        self._settle(items, targets)
        self._check(items, targets)
        train, held = self._split(items, targets, validation)
        options = (self.training or Training()).merged_with(recipe.training)
        train = replace(train, size=options.batch_size)
        options = recipe.trained(len(train), self.training, epochs)
        net = self._build()
        validate = None if held is None else lambda: self._error(net, replace(held, size=2 * options.batch_size))
        problem = Problem(net, train.shuffled, len(train), partial(self._loss, net), validate)
        saver = None
        if checkpoint is not None:
            seen = {"options": asdict(options), "data": seen_in(items, targets, validation)}
            saver = Checkpoint(checkpoint, {**self._describe(), **seen})
        title = f"{type(self).__name__.lower()} {self.cell}"
        try:
            with Progress(title, options.max_epochs * len(train), progress) as watch:
                self.history_ = fit(problem, options, self.random_state, watch, saver)
        except KeyboardInterrupt:  # the best weights so far are in place
            self.net_, self.history_ = net, []
            raise
        self.net_ = net
        return train, held

    def _split(self, items: LazySequences, targets: Any, validation: Any) -> tuple[Batcher, Batcher | None]:
        """Rows to train on and rows held out: those given, or a share drawn by the seed."""
        whole = Batcher(items, targets, seed=self.random_state)
        if isinstance(validation, tuple):
            vx, vy = validation[0] if len(validation) == 2 else (validation[0], validation[2]), validation[1]
            held_items, held_targets = self.reader_.items(vx), self._targets(vy, learn=False)
            check_rows(held_items, held_targets)
            self._check(held_items, held_targets)
            return whole, Batcher(held_items, held_targets, seed=self.random_state)
        N = len(items.lengths)
        share = (HELD if N >= FEWEST else 0.0) if validation is None else validation
        if not 0 <= share < 1:
            raise OptionError(f"validation must be a share in [0, 1) or (x, y), got {validation!r}")
        n = round(N * share)
        if n == 0:
            return whole, None
        if n == N:
            raise OptionError(f"validation={validation} of {n} rows leaves none to train on")
        order = np.random.default_rng(self.random_state).permutation(N)
        return replace(whole, rows=np.sort(order[n:])), replace(whole, rows=np.sort(order[:n]))

    def _each(self, tell: Callable[[Batch], Iterable[Any]], x: Any, y: Any = None) -> list[Any]:
        """What `tell` says of each row of new data x (with targets y), in the order of x."""
        self.check_fitted("net_")
        told: dict[int, Any] = {}
        with torch.inference_mode():
            for batch in Batcher(self.reader_.items(x), y, 64).ordered():
                assert batch.rows is not None
                told |= zip(batch.rows.tolist(), tell(batch), strict=True)
        return [told[row] for row in range(len(told))]

    def _describe(self) -> dict[str, Any]:
        parameters = dict(self.get_params(deep=False))
        parameters["training"] = None if self.training is None else asdict(self.training)
        parameters["input"] = None if self.input is None else {"kind": self.input.kind, **asdict(self.input)}
        about = {"reader": self.reader_.describe(), "shape": asdict(self.shape_), "learned": self.learned_}
        return {"kind": type(self).__name__, "parameters": parameters, **about}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`."""
        self.check_fitted("net_")
        tensors = {f"net.{name}": tensor for name, tensor in self.net_.state_dict().items()}
        tensors |= {f"input.{name}": tensor for name, tensor in self.reader_.tensors().items()}
        tensors |= {f"learned.{name}": tensor for name, tensor in self._tensors().items()}
        serialization.save(folder, {**self._describe(), "history": self.history_}, tensors)

    def _tensors(self) -> dict[str, Tensor]:
        """What a subclass has learned besides, and a file must hold."""
        return {}

    def _recall(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `_tensors` gave."""

    @classmethod
    def _values(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the constructor from what a file says of them."""
        return parameters

    @classmethod
    def _restore(cls, description: dict[str, Any], tensors: dict[str, Tensor], folder: str) -> Any:
        parameters = dict(description["parameters"])
        if parameters["training"] is not None:
            parameters["training"] = Training(**parameters["training"])
        if parameters["input"] is not None:
            options = dict(parameters["input"])
            parameters["input"] = inputs.find(options.pop("kind"))(**options)
        model = cls(**cls._values(parameters))
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "input": {}, "learned": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        model.shape_, model.learned_ = NetworkSize(**description["shape"]), description["learned"]
        model.history_ = description["history"]
        model.reader_ = inputs.restore(description["reader"], parts["input"])
        model._recall(parts["learned"])
        model.net_ = model._build()
        serialization.restore(model.net_, parts["net"], folder)
        model.net_.eval()
        return model


class PairedEstimator(SequenceEstimator):
    """An estimator that is fitted to rows and their targets, and to nothing else."""

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        validation: float | tuple[Any, ...] | None = None,
        epochs: int | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train on sequences x and what they map to, y, one for each row, of the kinds that the class tells.

        The other arguments are as in `rekur.Classifier.fit`. A target that does not fit its sequence is refused with
        its row.
        """
        with learning(self, "net_"):
            self._fit(x, y, validation, epochs, progress, checkpoint)
        return self


def guessed(x: Any) -> Any:
    """The input that fits some data.

    Strings are text, lists of strings words, paths recordings or videos by their ending, pairs (samples, rate)
    recordings, arrays of bytes with four axes videos, and all else numbers.
    """
    first: Any = x[0] if isinstance(x, list | tuple) and len(x) else None
    first = np.asarray(x, dtype=object).reshape(-1)[0] if hasattr(x, "dtype") and x.dtype.kind in "OUT" else first
    if isinstance(first, os.PathLike):
        ending = os.path.splitext(os.fspath(first))[1].lower()
        return inputs.find("video" if ending in VIDEOS else "audio")()
    if isinstance(first, str):
        return inputs.find("text")()
    if isinstance(x, list) and isinstance(first, tuple) and len(first) == 2 and np.ndim(first[1]) == 0:
        return inputs.find("audio")()
    if getattr(first, "dtype", None) == np.uint8 and np.ndim(first) == 4:
        return inputs.find("video")()
    if isinstance(first, Sequence) and len(first) and isinstance(first[0], str):
        return inputs.find("words")()
    return inputs.find("numbers")()


def check_rows(items: LazySequences, targets: Any) -> None:
    """Raise unless there is a target for each row."""
    n = len(targets) if isinstance(targets, torch.Tensor) else len(targets.lengths)
    if n != len(items.lengths):
        raise DataError(f"x has {len(items.lengths)} rows but y has {n}")


def seen_in(items: LazySequences, targets: Any, validation: Any) -> str:
    """A fingerprint of the data a training sees: every target, and up to a hundred of the sequences."""
    y = targets if isinstance(targets, torch.Tensor) else torch.cat([targets[k] for k in range(len(targets.lengths))])
    some = np.unique(np.linspace(0, len(items.lengths) - 1, 100).astype(int))
    share = validation if isinstance(validation, float) else repr(type(validation))
    return fingerprint(items.lengths, y.numpy(), *(items[int(k)].numpy() for k in some), np.array(str(share)))
