"""Training loop: forward, loss, backpropagation through time, update, repeat until the loss no longer improves.

`train` is independent of data and cells: it takes batches and a function batch → loss, and yields records.
`fit` consumes the records: progress, early stopping, best weights and checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rekur.core import Record, TrainingError
from rekur.training.config import Training
from rekur.training.deadline import Deadline

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.core import State
    from rekur.data.batching import Batch
    from rekur.training.checkpoint import Checkpoint
    from rekur.training.optimizer import Optimizer

States: TypeAlias = "list[State] | None"
"""States of a stack, carried from one piece of a sequence to the next; None for zeros."""

CURE = "lower the learning rate, clip the gradient (gradient_clip=1) or scale the data"


@dataclass(frozen=True)
class Problem:
    """Model, data and loss of one training run.

    Parameters
    ----------
    model : Module
        Network to train.
    batches : callable
        Epoch, from 0, to the batches of that epoch.
    length : int
        Batches of an epoch.
    loss : callable
        (batch, states carried in or None) to (loss, states to carry on or None).
    validate : callable or None, default None
        () to the validation loss; None for no validation.
    describe_nonfinite : callable or None, default None
        Batch to the place of its first value that is not finite, or an empty text.
    should_stop : callable or None, default None
        Records of the epochs so far to whether training stops before its end.

    Examples
    --------
    Fit y = 2x with one weight:

    >>> import torch
    >>> from rekur.data.batching import Batch
    >>> from rekur.training import Problem, Training, fit
    >>> x = torch.linspace(-1, 1, 32)[:, None, None]  # (B, T, I)
    >>> model = torch.nn.Linear(1, 1)
    >>> problem = Problem(
    ...     model,
    ...     batches=lambda epoch: [Batch(x, 2 * x[:, 0])],
    ...     length=1,
    ...     loss=lambda batch, states: (((model(batch.x[:, 0]) - batch.y) ** 2).mean(), None),
    ... )
    >>> history = fit(problem, Training(max_epochs=100, learning_rate=0.1))
    >>> round(model.weight.item(), 2)
    2.0
    """

    model: nn.Module
    batches: Callable[[int], Iterable[Batch]]
    length: int
    loss: Callable[[Batch, States], tuple[Tensor, States]]
    validate: Callable[[], float] | None = None
    describe_nonfinite: Callable[[Batch], str] | None = None
    should_stop: Callable[[list[Record]], bool] | None = None


def train(
    problem: Problem,
    options: Training,
    optimizer: Optimizer,
    seed: int,
    epoch: int = 0,
    deadline: Deadline | None = None,
) -> Iterator[Record]:
    """Train from an epoch on; yield a record after each step.

    The clock is read after each step. Where the time that remains does not exceed that of the last validation, the
    epoch is cut: it is validated, unless it is the first one, and its record is marked by `cut`.

    Parameters
    ----------
    problem : Problem
        Model, data and loss.
    options : Training
        Options of the run, complete.
    optimizer : Optimizer
        Optimizer of the parameters of the model.
    seed : int
        Seed of dropout and of every other draw of a step.
    epoch : int, default 0
        Epoch to begin with.
    deadline : Deadline, optional
        End of training; None for that of `options.max_seconds`.

    Yields
    ------
    Record
        After each step; that of the last step of an epoch also holds the mean loss and the validation loss.

    Raises
    ------
    TrainingError
        If a loss or a gradient is not finite.

    Examples
    --------
    >>> import torch
    >>> from rekur.data.batching import Batch
    >>> from rekur.training import Optimizer, Problem, Training, train
    >>> x, model = torch.ones(4, 1, 1), torch.nn.Linear(1, 1)
    >>> problem = Problem(model, lambda epoch: [Batch(x, x[:, 0])] * 2, 2, lambda b, s: (model(b.x).mean() ** 2, None))
    >>> optimizer = Optimizer(model.parameters(), "sgd")
    >>> [int(record["step"]) for record in train(problem, Training(max_epochs=2), optimizer, seed=0)]
    [1, 2, 3, 4]
    """
    import torch

    deadline = deadline or Deadline.after(options.max_seconds)
    validation_seconds = 0.0
    while epoch < options.max_epochs:
        with torch.random.fork_rng(devices=[]):  # dropout depends on the seed and the epoch only
            torch.manual_seed(seed * 1_000_003 + epoch)
            problem.model.train()
            total, step, record, states, cut = 0.0, epoch * problem.length, Record(), None, False
            for i, batch in enumerate(problem.batches(epoch)):
                optimizer.zero_grad()
                loss, states = problem.loss(batch, None if batch.first else detach(states))  # forward, loss
                torch.autograd.backward(loss)  # backpropagation through time
                value, norm = float(loss.detach()), optimizer.clip(options.gradient_clip)
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise TrainingError(diagnose_nonfinite(problem, batch, value))
                step = epoch * problem.length + i
                rate = options.rate_at(step, options.max_epochs * problem.length)
                optimizer.step(rate)  # update
                total += value
                record = {"step": step + 1, "epoch": epoch + 1, "loss": value, "norm": norm, "rate": rate}
                record["seconds"], last = deadline.elapsed(), i + 1 == problem.length
                cut = not last and deadline.remaining() <= validation_seconds
                if cut:
                    break
                if not last:
                    yield record
            record["mean_loss"] = total / (step + 1 - epoch * problem.length)
            if problem.validate is not None and (validation_seconds or not cut):
                record["val_loss"], validation_seconds = validated(problem.model, problem.validate, optimizer)
        if cut or (epoch + 1 < options.max_epochs and deadline.remaining() <= validation_seconds):
            record["cut"] = 1.0
        yield record
        epoch += 1  # repeat


def validated(model: nn.Module, validate: Callable[[], float], optimizer: Optimizer) -> tuple[float, float]:
    """Validation loss of the averaged weights, and the seconds that it took."""
    import torch

    clock = Deadline.after(None)
    model.eval()
    with torch.inference_mode(), optimizer.averaged():
        loss = validate()
    if not math.isfinite(loss):
        raise TrainingError("the validation loss is not finite; use a lower learning rate or scale the data")
    return loss, clock.elapsed()


def detach(states: States) -> States:
    """States without the graph of the steps that led to them."""
    return None if states is None else [_detached(state) for state in states]


def _detached(state: State) -> State:
    """One state, a NamedTuple of tensors (B, H), without its graph."""
    build: Callable[[Iterable[Tensor]], State] = getattr(type(state), "_make", tuple)
    return build(tensor.detach() for tensor in state)


def diagnose_nonfinite(problem: Problem, batch: Batch, value: float) -> str:
    """Place of the first value that is not finite: the data, the output of a layer or a gradient."""
    import torch

    quantity = "the loss" if not math.isfinite(value) else "the gradient"
    if problem.describe_nonfinite is not None and (place := problem.describe_nonfinite(batch)):
        return f"{quantity} is not finite: {place}"
    overflowing: list[str] = []

    def hook_for(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_: nn.Module, __: object, output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and not bool(tensor.isfinite().all()):
                overflowing.append(name)

        return hook

    hooks = [module.register_forward_hook(hook_for(name)) for name, module in problem.model.named_modules() if name]
    with torch.no_grad():
        problem.loss(batch, None)
    for hook in hooks:
        hook.remove()
    if overflowing:
        return f"{quantity} is not finite: the layer {overflowing[0]!r} is the first to overflow; {CURE}"
    for name, p in problem.model.named_parameters():
        if p.grad is not None and not bool(p.grad.isfinite().all()):
            return f"{quantity} is not finite: the gradient of {name!r} overflows; {CURE}"
    return f"{quantity} is not finite, though every layer's output is; {CURE}"


def fit(
    problem: Problem,
    options: Training,
    seed: int = 0,
    on_record: Callable[[Record], None] | None = None,
    checkpoint: Checkpoint | None = None,
    deadline: Deadline | None = None,
) -> list[Record]:
    """Train until the loss no longer improves and leave the best weights in the model.

    The best weights are those of the lowest validation loss; without validation, the last ones. On Ctrl-C the best
    weights so far are put into the model before the interrupt goes on.

    Parameters
    ----------
    problem : Problem
        Model, data and loss.
    options : Training
        Options of the run, complete.
    seed : int, default 0
        Seed of dropout and of every other draw of a step.
    on_record : callable or None, default None
        Called with the record of each step.
    checkpoint : Checkpoint or None, default None
        Written after each epoch; where it holds one already, training goes on from it with the numbers of an
        uninterrupted run.
    deadline : Deadline, optional
        End of training; None for that of `options.max_seconds`, of which a resumed run has used a part.

    Returns
    -------
    list of Record
        One record for each epoch; that of an epoch that the deadline has cut has the entry `cut`.

    Raises
    ------
    TrainingError
        If a loss or a gradient is not finite.

    Examples
    --------
    >>> import torch
    >>> from rekur.data.batching import Batch
    >>> from rekur.training import Problem, Training, fit
    >>> x, model = torch.ones(4, 1, 1), torch.nn.Linear(1, 1)
    >>> problem = Problem(model, lambda epoch: [Batch(x, x[:, 0])], 1, lambda b, s: (model(b.x).mean() ** 2, None))
    >>> history = fit(problem, Training(max_epochs=20, learning_rate=0.1))
    >>> len(history), history[-1]["loss"] < history[0]["loss"]
    (20, True)
    """
    from rekur.training.memory import reuse_freed_memory
    from rekur.training.optimizer import Optimizer

    reuse_freed_memory()
    optimizer = Optimizer(problem.model.parameters(), options.optimizer, options.weight_decay, options.ema_decay)
    history: list[Record] = [] if checkpoint is None else checkpoint.resume(optimizer)
    deadline = deadline or Deadline.after(options.max_seconds, history[-1]["seconds"] if history else 0.0)
    best = optimizer.result() if checkpoint is None or checkpoint.best is None else checkpoint.best
    try:
        ended = finished(history, options, problem) or deadline.passed
        for record in () if ended else train(problem, options, optimizer, seed, len(history), deadline):
            if on_record is not None:
                on_record(record)
            if "mean_loss" not in record:
                continue
            history.append(record)
            if improved(history):
                best = optimizer.result()
            if checkpoint is not None:
                checkpoint.write(optimizer, best, history)
            if "cut" in record or finished(history, options, problem):
                break
    finally:
        optimizer.flat.copy_(best)
        optimizer.release()
        problem.model.eval()
    return history


def improved(history: list[Record]) -> bool:
    """Whether the newest epoch is the best so far."""
    return "val_loss" not in history[-1] or history[-1]["val_loss"] <= min(validation_losses(history))


def validation_losses(history: list[Record]) -> list[float]:
    """Validation losses of the epochs; infinite for one that was cut before its validation."""
    return [record.get("val_loss", math.inf) for record in history]


def finished(history: list[Record], options: Training, problem: Problem) -> bool:
    """Whether training ends: no more improvement, stopped by the problem, or out of epochs."""
    if not history:
        return False
    if problem.should_stop is not None and problem.should_stop(history):
        return True
    if len(history) >= options.max_epochs:
        return True
    if options.patience is None or "val_loss" not in history[-1]:
        return False
    losses = validation_losses(history)
    return len(losses) - 1 - losses.index(min(losses)) >= options.patience
