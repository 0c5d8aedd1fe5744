"""The five steps of training: forward, loss, backpropagation through time, update, repeat until it no longer improves.

`train` is the loop. It knows neither tables nor cells: it takes batches and a function batch → loss, and yields
records. `fit` consumes them: progress, early stopping, the best weights and checkpoints live there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rekur.core import TrainingError
from rekur.training.config import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rekur.data.batching import Batch
    from rekur.training.optimizer import Optimizer

Record = dict[str, float]
"""step, epoch, loss, norm (of the gradient), rate, seconds; at the end of an epoch also mean_loss and val_loss."""


@dataclass(frozen=True)
class Problem:
    """What to train; a value.

    model · batches: epoch → the batches of that epoch · length: how many they are ·
    loss: (batch, state carried in or None) → (loss, state to carry on or None) ·
    validate: () → validation loss, or None · explain: batch → where the first value that is not finite stands ·
    hopeless: records so far → whether to give up.
    """

    model: nn.Module
    batches: Callable[[int], Iterable[Batch]]
    length: int
    loss: Callable[[Batch, Any], tuple[Tensor, Any]]
    validate: Callable[[], float] | None = None
    explain: Callable[[Batch], str] | None = None
    hopeless: Callable[[list[Record]], bool] | None = None


def train(problem: Problem, options: Training, optimizer: Optimizer, seed: int, epoch: int = 0) -> Iterator[Record]:
    """Run the five steps from the given epoch on and yield a record after each step."""
    import torch

    start = time.perf_counter()
    while epoch < options.max_epochs:
        with torch.random.fork_rng(devices=[]):  # dropout draws from the seed and the epoch alone
            torch.manual_seed(seed * 1_000_003 + epoch)
            problem.model.train()
            total, record, state = 0.0, Record(), None
            for i, batch in enumerate(problem.batches(epoch)):
                optimizer.zero_grad()
                loss, state = problem.loss(batch, None if batch.first else detach(state))  # forward, loss
                torch.autograd.backward(loss)  # backpropagation through time
                value, norm = float(loss.detach()), optimizer.clip(options.gradient_clip)
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise TrainingError(blame(problem, batch, value))
                step = epoch * problem.length + i
                rate = options.rate_at(step, options.max_epochs * problem.length)
                optimizer.step(rate)  # update
                total += value
                record = {"step": step + 1, "epoch": epoch + 1, "loss": value, "norm": norm, "rate": rate}
                record["seconds"] = time.perf_counter() - start
                if i + 1 < problem.length:
                    yield record
            record["mean_loss"] = total / problem.length
            if problem.validate is not None:
                problem.model.eval()
                with torch.inference_mode(), optimizer.averaged():
                    record["val_loss"] = problem.validate()
                if not math.isfinite(record["val_loss"]):
                    raise TrainingError("the validation loss is not finite; lower the learning rate or scale the data")
        yield record
        epoch += 1  # repeat


def detach(state: Any) -> Any:
    """The same state, cut off from the steps that led to it."""
    if state is None or hasattr(state, "detach"):
        return None if state is None else state.detach()
    parts = [detach(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


def blame(problem: Problem, batch: Batch, value: float) -> str:
    """Say where the first value that is not finite stands: in the data, a layer's output or a gradient."""
    import torch

    what = "the loss" if not math.isfinite(value) else "the gradient"
    cure = "lower the learning rate, clip the gradient (clip=1) or scale the data"
    if problem.explain is not None and (where := problem.explain(batch)):
        return f"{what} is not finite: {where}"
    found: list[str] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and not bool(tensor.isfinite().all()):
                found.append(name)

        return hook

    hooks = [m.register_forward_hook(watch(n)) for n, m in problem.model.named_modules() if n]
    with torch.no_grad():
        problem.loss(batch, None)
    for hook in hooks:
        hook.remove()
    if found:
        return f"{what} is not finite: the layer {found[0]!r} is the first to overflow; {cure}"
    for name, p in problem.model.named_parameters():
        if p.grad is not None and not bool(p.grad.isfinite().all()):
            return f"{what} is not finite: the gradient of {name!r} overflows; {cure}"
    return f"{what} is not finite, though every layer's output is; {cure}"


def fit(
    problem: Problem,
    options: Training,
    seed: int = 0,
    watch: Callable[[Record], None] | None = None,
    checkpoint: Any = None,
) -> list[Record]:
    """Train until it no longer improves and leave the best weights in the model.

    The best weights are those of the lowest validation loss; without validation, the last ones. `watch` sees every
    record. `checkpoint` (a `Checkpoint`) is written after each epoch and, where it already holds one, training goes on
    from there with the numbers of an uninterrupted run. On Ctrl-C the best weights so far are put into the model
    before the interrupt goes on.
    """
    from rekur.training.optimizer import Optimizer

    optimizer = Optimizer(problem.model.parameters(), options.optimizer, options.weight_decay, options.ema_decay)
    history: list[Record] = [] if checkpoint is None else checkpoint.resume(optimizer)
    best = optimizer.result() if checkpoint is None or checkpoint.best is None else checkpoint.best
    try:
        for record in (
            () if finished(history, options, problem) else train(problem, options, optimizer, seed, len(history))
        ):
            if watch is not None:
                watch(record)
            if "mean_loss" not in record:
                continue
            history.append(record)
            if improved(history):
                best = optimizer.result()
            if checkpoint is not None:
                checkpoint.write(optimizer, best, history)
            if finished(history, options, problem):
                break
    finally:
        optimizer.flat.copy_(best)
        optimizer.release()
        problem.model.eval()
    return history


def improved(history: list[Record]) -> bool:
    """Whether the newest epoch is the best so far."""
    return "val_loss" not in history[-1] or history[-1]["val_loss"] <= min(r["val_loss"] for r in history)


def finished(history: list[Record], options: Training, problem: Problem) -> bool:
    """Whether it no longer improves, is given up, or the epochs or the time are over."""
    if not history:
        return False
    if problem.hopeless is not None and problem.hopeless(history):
        return True
    if len(history) >= options.max_epochs or (
        options.max_seconds is not None and history[-1]["seconds"] >= options.max_seconds
    ):
        return True
    if options.patience is None or "val_loss" not in history[-1]:
        return False
    losses = [record["val_loss"] for record in history]
    return len(losses) - 1 - losses.index(min(losses)) >= options.patience
