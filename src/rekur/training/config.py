"""`Training`: the options of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rekur.core import OptionError, choose, positive

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Training:
    """How to train; a value.

    epochs: how often all batches are seen at most · batch: rows of a batch · rate: the (peak) learning rate ·
    optimizer: "adam", "adamw" or "sgd" (momentum 0.9) · weight_decay · clip: longest gradient allowed, or None ·
    schedule: "constant", or "cosine" down to a hundredth of the rate · warmup: share of the steps in which the
    rate rises linearly from zero · patience: epochs without a better validation loss after which to stop, or None ·
    bptt: steps through which gradients flow back (truncated backpropagation through time), or None for all ·
    average: share of the old in the running mean of the weights after a step; with 0.99, validation and the result
    take the mean of about the last hundred steps; 0 for the weights themselves · seconds: stop after that time.
    """

    max_epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    gradient_clip: float | None = 1.0
    schedule: str = "constant"
    warmup: float = 0.0
    patience: int | None = None
    bptt: int | None = None
    ema_decay: float = 0.0
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        choose("schedule", self.schedule, SCHEDULES)
        choose("optimizer", self.optimizer, ("adam", "adamw", "sgd"))
        for name in ("max_epochs", "batch_size", "learning_rate", "gradient_clip", "patience", "bptt", "max_seconds"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        for name in ("max_epochs", "batch_size", "patience", "bptt"):
            if getattr(self, name) is not None and getattr(self, name) != int(getattr(self, name)):
                raise OptionError(f"{name} must be a whole number, got {getattr(self, name)!r}")
        if not 0 <= self.warmup < 1 or self.weight_decay < 0:
            raise OptionError("warmup must lie in [0, 1) and weight_decay must not be negative")
        if not 0 <= self.ema_decay < 1:
            raise OptionError(f"ema_decay must lie in [0, 1), got {self.ema_decay!r}")

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step (counted from 0) out of `steps`."""
        rising = self.warmup * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        if self.schedule == "constant":
            return self.learning_rate
        done = (step - rising) / max(1.0, steps - rising)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
