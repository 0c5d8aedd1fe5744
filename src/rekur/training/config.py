"""Options of a training run: epochs, batches, optimizer, learning-rate schedule and stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, ClassVar, TypeVar, cast

from rekur.core import CheckedArguments, OptionError, choose, number, positive, whole

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine")

Options = TypeVar("Options")


def remember_explicit(options: type[Options]) -> type[Options]:
    """Let a dataclass with a field `explicit` record which of its other fields the caller has passed."""
    initialize = cast(Callable[..., None], options.__init__)
    defaults = {each.name: each.default for each in fields(cast(Any, options)) if each.name != "explicit"}

    @wraps(initialize)
    def init(self: Options, *args: object, **keywords: object) -> None:
        initialize(self, *args, **keywords)
        before = keywords.get("explicit")
        names = {*list(defaults)[: len(args)], *keywords}
        if before is not None:  # dataclasses.replace passes every field
            names = {
                *cast("tuple[str, ...]", before),
                *(n for n, value in defaults.items() if getattr(self, n) != value),
            }
        object.__setattr__(self, "explicit", tuple(name for name in defaults if name in names))

    options.__init__ = init  # type: ignore[assignment]
    return options


@remember_explicit
@dataclass(frozen=True)
class Training(CheckedArguments):
    """Options of one training run, an immutable value.

    Each task has defaults of its own, tuned on held-out data. A `Training` passed to an estimator replaces those
    fields that were passed to it, and no other: `Training(batch_size=64)` changes the batch size alone.

        learning rate at step s of S:  η·(s + 1)/(w·S + 1) while s < w·S, then
        constant: η,  cosine: η·(0.01 + 0.99·(1 + cos(π·(s - w·S)/(S - w·S)))/2)

    where η is the peak learning rate and w the warm-up share.

    Parameters
    ----------
    max_epochs : int, default 10
        Passes over the training data at most. An epoch of `rekur.Forecaster` has 100 batches.
    batch_size : int, default 32
        Rows of a batch.
    learning_rate : float, default 1e-3
        Peak learning rate η.
    optimizer : {"adam", "adamw", "sgd"}, default "adam"
        Update rule, see `rekur.training.optimizer.Optimizer`; "sgd" has a momentum of 0.9.
    weight_decay : float, default 0.0
        Factor λ of the weight decay.
    gradient_clip : float or None, default 1.0
        Largest norm of the gradient; a longer gradient is scaled down to it. None for no limit.
    schedule : {"constant", "cosine"}, default "constant"
        Course of the learning rate after the warm-up; "cosine" ends at a hundredth of the peak.
    warmup : float, default 0.0
        Share w of all steps in which the learning rate rises linearly from zero, in [0, 1).
    patience : int or None, default None
        Epochs without a lower validation loss after which training stops. None for no early stopping.
    bptt : int or None, default None
        Steps through which gradients flow back (truncated backpropagation through time). None for all steps.
    ema_decay : float, default 0.0
        Decay of the exponential moving average of the weights, in [0, 1). With 0.99, validation and result use the
        average of about the last hundred steps; 0 uses the weights themselves.
    max_seconds : float or None, default None
        Time limit of the loop in seconds, read after each step; the record of an epoch that it cuts has the entry
        `cut`. `rekur.Forecaster` shares it among all phases of `fit`. None for no limit.
    explicit : tuple of str, default ()
        Names of the fields passed by the caller; filled in by the constructor.

    Raises
    ------
    OptionError
        If a field is unknown or has a value outside its range.

    Examples
    --------
    >>> import rekur
    >>> from rekur.training.config import Training
    >>> Training(batch_size=64)
    Training(batch_size=64)
    >>> tuned = Training(max_epochs=30, learning_rate=0.002, optimizer="adamw")
    >>> options = Training(batch_size=64).merged_with(tuned)
    >>> options.batch_size, options.learning_rate, options.optimizer
    (64, 0.002, 'adamw')
    """

    synonyms: ClassVar[Mapping[str, str]] = {
        "lr": "learning_rate",
        "max_time": "max_seconds",
        "time_limit": "max_seconds",
    }
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
    explicit: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        choose("schedule", self.schedule, SCHEDULES)
        choose("optimizer", self.optimizer, OPTIMIZERS)
        for name in ("max_epochs", "batch_size"):
            whole(name, getattr(self, name))
        for name in ("patience", "bptt"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name))
        positive("learning_rate", self.learning_rate)
        for name in ("gradient_clip", "max_seconds"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        if not 0 <= number("warmup", self.warmup) < 1 or number("weight_decay", self.weight_decay) < 0:
            raise OptionError("warmup must lie in [0, 1) and weight_decay must not be negative")
        if not 0 <= number("ema_decay", self.ema_decay) < 1:
            raise OptionError(f"ema_decay must lie in [0, 1), got {self.ema_decay!r}")

    def __repr__(self) -> str:
        return f"Training({', '.join(f'{name}={getattr(self, name)!r}' for name in self.explicit)})"

    def replace(self, **changes: object) -> Training:
        """Copy with some fields changed; the changed fields count as passed by the caller.

        Parameters
        ----------
        **changes : object
            New values of fields by name.

        Returns
        -------
        Training
            The copy.

        Raises
        ------
        OptionError
            If a field is unknown or has a value outside its range.

        Examples
        --------
        >>> from rekur.training.config import Training
        >>> Training(batch_size=64).replace(patience=3)
        Training(batch_size=64, patience=3)
        """
        return Training(**{name: getattr(self, name) for name in self.explicit} | changes)

    def merged_with(self, defaults: Training) -> Training:
        """Fields passed by the caller, and those of `defaults` for all others.

        Parameters
        ----------
        defaults : Training
            Values of the fields that were not passed.

        Returns
        -------
        Training
            Options with a value for every field; all of them count as passed by the caller.

        Examples
        --------
        >>> from rekur.training.config import Training
        >>> Training(optimizer="adam").merged_with(Training(optimizer="sgd", patience=5)).patience
        5
        """
        return Training(**{name: getattr(self if name in self.explicit else defaults, name) for name in FIELDS})

    def rate_at(self, step: int, steps: int) -> float:
        """Learning rate of one step.

        Parameters
        ----------
        step : int
            Number of the step, from 0.
        steps : int
            Steps of the whole run.

        Returns
        -------
        float
            The learning rate.

        Examples
        --------
        >>> from rekur.training.config import Training
        >>> options = Training(learning_rate=1.0, schedule="cosine")
        >>> [round(options.rate_at(step, 100), 3) for step in (0, 50, 99)]
        [1.0, 0.505, 0.01]
        """
        rising = self.warmup * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        if self.schedule == "constant":
            return self.learning_rate
        progress = (step - rising) / max(1.0, steps - rising)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


FIELDS = tuple(each.name for each in fields(Training) if each.name != "explicit")
"""Names of the options of a training run."""
