"""The core of Regressor: arrays in, a stack of cells, a head, arrays out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from rekur import serialization
from rekur.core import DataError, OptionError
from rekur.data.batching import Arrays, Batch
from rekur.data.validation import floats, whole_lengths
from rekur.estimator import BaseEstimator, check_seed
from rekur.layers.stack import Stack
from rekur.training.checkpoint import Checkpoint, fingerprint
from rekur.training.config import Training
from rekur.training.loop import Problem, fit
from rekur.training.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor


class Net(nn.Module):
    """A stack and a head: x (B, T, I) → raw output of the head after the last step, or after each."""

    def __init__(self, stack: Stack, head: nn.Module, each: bool) -> None:
        super().__init__()
        self.stack, self.head, self.each = stack, head, each

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """x (B, T, I) → raw (B, ...) or (B, T, ...), and the states."""
        y, states = self.stack(x, state, lengths)
        return self.head(y if self.each else self.stack.last(states)), states


class ArrayEstimator(BaseEstimator):
    """Fit, predict and save for arrays (B, T, I); a subclass gives the target and the head."""

    cell: str
    hidden_size: int
    num_layers: int
    bidirectional: bool
    dropout: float
    training: Training
    random_state: int

    net_: Net
    sizes_: dict[str, Any]
    history_: list[dict[str, float]]

    def _head(self, H: int) -> nn.Module:
        raise NotImplementedError

    def _target(self, y: ArrayLike, learn: bool) -> Tensor:
        raise NotImplementedError

    def _build(self) -> Net:
        s = self.sizes_
        stack = Stack(
            self.cell,
            s["I"],
            self.hidden_size,
            self.num_layers,
            self.bidirectional,
            self.dropout,
            seed=self.random_state,
        )
        return Net(stack, self._head(stack.size), s["each"])

    def _fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        lengths: ArrayLike | None,
        validation: float | tuple[Any, ...],
        epochs: int | None,
        progress: bool | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> None:
        check_seed(self.random_state)
        self.sizes_ = {}
        options = self.training if epochs is None else replace(self.training, max_epochs=epochs)
        data = floats("x", x, "BTI")
        B, T, I = data.shape  # noqa: E741
        target = self._target(y, learn=True)
        if len(target) != B:
            raise DataError(f"x has {B} rows but y has {len(target)}")
        self.sizes_["I"] = I
        if self.sizes_["each"] and target.shape[1] != T:
            raise DataError(f"x has {T} steps but y has {target.shape[1]}")
        if options.bptt is not None and (self.bidirectional or not self.sizes_["each"]):
            raise OptionError("bptt needs a target for each step, y (B, T, K), and bidirectional=False")
        whole = Arrays(
            data, target, whole_lengths(lengths, B, T), None, options.batch_size, self.random_state, options.bptt
        )
        train, held = self._split(whole, validation)
        net = self._build()
        problem = Problem(
            net,
            train.shuffled,
            len(train),
            lambda batch, state: self._loss(net, batch, state),
            None if held is None else lambda: self._validate(net, held),
            lambda batch: "",
        )
        saver = None
        if checkpoint is not None:
            parts = validation if isinstance(validation, tuple) else (validation,)
            seen = {"options": asdict(options), "data": fingerprint(x, y, lengths, *parts)}
            saver = Checkpoint(checkpoint, {**self._describe(), **seen})
        try:
            with Progress(
                f"{type(self).__name__.lower()} {self.cell}", options.max_epochs * len(train), progress
            ) as watch:
                self.history_ = fit(problem, options, self.random_state, watch, saver)
        except KeyboardInterrupt:  # the best weights so far are in place
            self.net_, self.history_ = net, []
            raise
        self.net_ = net

    def _split(self, whole: Arrays, validation: float | tuple[Any, ...]) -> tuple[Arrays, Arrays | None]:
        if isinstance(validation, tuple):
            if len(validation) not in (2, 3):
                raise OptionError("validation must be a share in [0, 1) or (x, y) or (x, y, lengths)")
            vx = floats("validation x", validation[0], "BTI")
            lengths = whole_lengths(validation[2] if len(validation) == 3 else None, *vx.shape[:2])
            vy = self._target(validation[1], learn=False)
            if vx.shape[2] != whole.x.shape[2] or len(vy) != len(vx) or vy.shape[1:] != whole.y.shape[1:]:
                raise DataError(f"validation has the shapes {tuple(vx.shape)} and {tuple(vy.shape)}, which do not fit")
            return whole, replace(whole, x=vx, y=vy, lengths=lengths)
        if not 0 <= validation < 1:
            raise OptionError(f"validation must be a share in [0, 1) or (x, y), got {validation!r}")
        n = round(len(whole.x) * validation)
        if n == 0:
            return whole, None
        if n == len(whole.x):
            raise OptionError(f"validation={validation} of {n} rows leaves none to train on")

        def part(rows: slice) -> Arrays:
            lengths = None if whole.lengths is None else whole.lengths[rows]
            return replace(whole, x=whole.x[rows], y=whole.y[rows], lengths=lengths)

        return part(slice(None, -n)), part(slice(-n, None))

    def _loss(self, net: Net, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        raw, states = net(batch.x, state, batch.lengths)
        head: Any = net.head
        return head.loss(raw, batch.y, self._weight(net, batch)), states

    @staticmethod
    def _weight(net: Net, batch: Batch) -> Tensor | None:
        if batch.lengths is None or not net.each:
            return None
        return (torch.arange(batch.x.shape[1]) < batch.lengths[:, None]).float()  # (B, T)

    def _validate(self, net: Net, held: Arrays) -> float:
        losses = [(float(self._loss(net, b, None)[0]), len(b.x)) for b in replace(held, chunk=None).ordered()]
        return sum(loss * n for loss, n in losses) / sum(n for _, n in losses)

    def _outputs(self, x: ArrayLike, lengths: ArrayLike | None) -> np.ndarray:
        self.check_fitted("net_")
        data = floats("x", x, "BTI")
        if data.shape[2] != self.sizes_["I"]:
            raise DataError(f"x has {data.shape[2]} columns, but the model was fitted with {self.sizes_['I']}")
        n = whole_lengths(lengths, *data.shape[:2])
        return np.concatenate(list(self._decoded(data, n)))

    def _decoded(self, x: Tensor, lengths: Tensor | None) -> Iterator[np.ndarray]:
        head: Any = self.net_.head
        with torch.inference_mode():
            for start in range(0, len(x), 512):
                rows = slice(start, start + 512)
                raw, _ = self.net_(x[rows], None, None if lengths is None else lengths[rows])
                yield head.decode(raw).numpy()

    def _describe(self) -> dict[str, Any]:
        parameters = {**self.get_params(deep=False), "training": asdict(self.training)}
        return {"kind": type(self).__name__, "parameters": parameters, "sizes": self.sizes_}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`."""
        self.check_fitted("net_")
        serialization.save(folder, {**self._describe(), "history": self.history_}, self.net_.state_dict())

    @classmethod
    def _restore(cls, description: dict[str, Any], tensors: dict[str, Tensor], folder: str) -> Any:
        parameters = description["parameters"]
        model = cls(**{**parameters, "training": Training(**parameters["training"])})
        model.sizes_, model.history_ = description["sizes"], description["history"]
        model.net_ = model._build()
        serialization.restore(model.net_, tensors, folder)
        model.net_.eval()
        return model
