"""Training of forecasting networks: linear path, recurrent path, early stopping, refit on held-out rows, ensembles."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rekur.core import Array, Record
from rekur.data.batching import Batch
from rekur.data.panel import Panel
from rekur.data.scaling import WindowScale
from rekur.data.windows import WindowIndex
from rekur.forecasting.config import LEVELS, PENALTIES, STEPS_PER_EPOCH, Architecture, ForecastConfig
from rekur.forecasting.ensemble import Ensemble, limited_threads
from rekur.forecasting.model import (
    CHUNK_WINDOWS,
    ForecastModel,
    NetworkShape,
    build_net,
    level_and_spread,
    regressor_count,
    regressors,
)
from rekur.forecasting.model_averaging import ModelAverage
from rekur.forecasting.sample_paths import MAX_TEMPLATES, random_walk_template
from rekur.forecasting.window_features import (
    CovariateEncoders,
    WindowFeatures,
    calendar_columns,
    validation_windows,
    window_weights,
)
from rekur.layers.autoregression import seasonal_naive, solve
from rekur.layers.likelihoods import CountHead
from rekur.metrics import pinball_error, seasonal_scale
from rekur.training.deadline import Deadline
from rekur.training.loop import Problem, fit, validation_losses
from rekur.training.progress import stage

if TYPE_CHECKING:
    from rekur.training.checkpoint import Checkpoint

MAX_LINEAR_WINDOWS = 20_000
"""Windows that the linear path is solved on, at most."""

TRIAL_WINDOWS = 512
"""Windows that the linear path is solved on first under a time limit."""

EIGENDECOMPOSITION_SECONDS = 0.4
"""About the time of the eigendecomposition of a matrix of 1024 rows; it grows with the third power."""

LINEAR_SHARE, TRAINING_SHARE = 0.3, 0.7
"""Shares of a time limit, at most: of the linear path in that of its network, and of the networks in the whole."""

TRIAL_EPOCHS, MAX_LOSS_RATIO = 5, 1.5
"""Epochs, and the ratio of its loss to that of another architecture, after which a network is stopped."""

MAX_LOSS_RISE = 1.05
"""Ratio of the loss to its minimum so far from which on a network is stopped."""

REFIT_SHARE = 0.2
"""Share of the training that is repeated on the held-out rows too."""

CONTEXT_FACTORS = (1.0, 0.5, 1.5)
"""Context lengths of the members of an ensemble, in turn, in units of the configured one."""

SEED_STEP = 1000
"""Difference between the seeds of two members of an ensemble."""


@dataclass(frozen=True)
class Validation:
    """Held-out windows prepared for validation: inputs, scale, actual values and the weights of their errors."""

    x: Tensor  # (n, P, ·)
    scale: WindowScale
    actual: Array  # (n, h), 0 where missing
    weight: Array  # (n, h), 1 / unit of the errors, 0 where missing

    def __len__(self) -> int:
        return len(self.x)


@dataclass
class WindowTrainer:
    """Training problem of one network on the windows of a panel.

    Parameters
    ----------
    features : WindowFeatures
        The panel as the network reads it.
    model : ForecastModel
        The network; its weights are changed in place.
    errors : np.ndarray
        Seasonal naive error of each series, the unit of all losses, shape (S,).
    """

    features: WindowFeatures
    model: ForecastModel
    errors: Array

    def problem(self, held_out: int, seed: int) -> Problem:
        """The training problem on all windows that end before the last `held_out` rows of each series."""
        config, net, panel = self.model.config, self.model.net, self.features.panel
        windows = self.features.training_windows(held_out)

        def batches(epoch: int) -> Iterator[Batch]:
            random = np.random.default_rng((seed, epoch))
            for _ in range(STEPS_PER_EPOCH):
                yield self.batch(windows.pick(random.integers(0, len(windows), config.training.batch_size)))

        def loss(batch: Batch, _: object) -> tuple[Tensor, None]:
            raw, head = net(batch.x, config.future_patches), net.head
            if isinstance(head, CountHead) and batch.scale is not None:
                raw = head.place(raw, *batch.scale.chunk(2, dim=1))
            return head.loss(raw, batch.y, batch.weight), None

        def explain(batch: Batch) -> str:
            invalid = (~batch.x.isfinite()).flatten(1).any(1)
            if batch.rows is None or not bool(invalid.any()):
                return ""
            label = panel.ids[int(batch.rows[invalid.int().argmax()])]
            return f"the series {label!r} holds values that overflow float32"

        return Problem(net, batches, STEPS_PER_EPOCH, loss, None, explain)

    def batch(self, windows: WindowIndex) -> Batch:
        """Inputs x (n, P, ·), targets y, scaled unless they are counts, and their weights, both (n, patches, p)."""
        past, target, scale = self.features.scaled(windows)
        x = self.model.inputs(self.features, windows, past, None, target.shape[1])
        observed, counts = np.isfinite(target), isinstance(self.model.net.head, CountHead)
        weight = window_weights(scale, self.errors[windows.series])
        weight = observed * (weight / max(weight.mean(), 1e-12))[:, None]
        target = scale.undo(target[..., None])[..., 0] if counts else target
        y, w = (self._patches(each) for each in (np.where(observed, target, 0.0), weight))
        rows = torch.from_numpy(windows.series)
        return Batch(x, y, None, w, rows, scale=level_and_spread(scale) if counts else None)

    def _patches(self, values: Array) -> Tensor:
        """Values (n, h) of the horizon in patches (n, ⌈h / p⌉, p), filled up with zeros."""
        config = self.model.config
        pad = config.future_patches * config.patch_length - values.shape[1]
        padded = np.pad(values.astype(np.float32), ((0, 0), (0, pad)))
        return torch.from_numpy(padded).view(len(values), -1, config.patch_length)

    def prepared(self, windows: WindowIndex) -> list[Validation]:
        """Held-out windows in chunks, ready to be forecast again and again."""
        chunks = np.array_split(np.arange(len(windows)), -(-len(windows) // CHUNK_WINDOWS))
        return [self._prepare(windows.take(chunk)) for chunk in chunks]

    def _prepare(self, windows: WindowIndex) -> Validation:
        past, target, scale = self.features.scaled(windows)
        x = self.model.inputs(self.features, windows, past, None, target.shape[1])
        weight = window_weights(scale, self.errors[windows.series])
        observed = np.isfinite(target) & (weight > 0)[:, None]
        actual = np.where(observed, scale.undo(target[..., None])[..., 0], 0.0)
        size = scale.size()
        return Validation(x, scale, actual, observed * (weight / np.where(size > 0, size, 1.0))[:, None])

    def validation_loss(self, chunks: list[Validation]) -> float:
        """Mean pinball loss in units of the seasonal naive error, which all architectures share."""
        losses = [self._chunk_loss(chunk) for chunk in chunks]
        sizes = [len(chunk) for chunk in chunks]
        return sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)

    def _chunk_loss(self, chunk: Validation) -> float:
        q = self.model.forward(chunk.x, chunk.scale, chunk.actual.shape[1])
        total, count = 0.0, int(np.count_nonzero(chunk.weight))
        for k, level in enumerate(LEVELS):
            total += float((pinball_error(chunk.actual - q[..., k], level) * chunk.weight).sum())
        return total / max(count, 1) / len(LEVELS)


def new_trainer(
    panel: Panel, member: Member, shape: NetworkShape, errors: Array, seed: int, deadline: Deadline
) -> WindowTrainer:
    """A trainer of a new network: the linear path solved in closed form, the recurrent path untrained.

    The penalty of the linear path is chosen on the held-out rows of each series, which are not learned from.

    Parameters
    ----------
    panel : Panel
        Series to learn from.
    member : Member
        Kind and configuration of the network.
    shape : NetworkShape
        Cell and size of the network.
    errors : np.ndarray
        Seasonal naive error of each series, shape (S,).
    seed : int
        Seed of the weights.
    deadline : Deadline
        End of the time of the linear path.
    """
    config, architecture = member.config, member.architecture
    columns, encoders = calendar_columns(panel), CovariateEncoders.of(panel)
    features = WindowFeatures(panel, config, architecture.scaling, columns, encoders)
    windows = features.training_windows(config.validation_size)
    dropout = 0.1 if len(windows) > 2000 else 0.2
    linear = None
    if architecture.corrected:
        held_out = features.windows(*validation_windows(panel, config))
        linear = solve_linear_until(
            deadline, features, windows.pick(linear_sample(len(windows), seed)), held_out, errors
        )
    net = build_net(config, architecture, features.width, shape, dropout, seed)
    return WindowTrainer(features, ForecastModel(config, architecture, columns, encoders, linear, net), errors)


def linear_sample(count: int, seed: int) -> Array:
    """Numbers of the windows that the linear path is solved on: all, or 20,000 of more, drawn without replacement."""
    if count <= MAX_LINEAR_WINDOWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MAX_LINEAR_WINDOWS, replace=False, shuffle=False))


def continued_trainer(panel: Panel, config: ForecastConfig, model: ForecastModel, errors: Array) -> WindowTrainer:
    """A trainer of a copy of a trained network on another panel."""
    network = replace(copy.deepcopy(model), config=config)
    return WindowTrainer(network.features(panel), network, errors)


def solve_linear_until(
    deadline: Deadline, features: WindowFeatures, windows: WindowIndex, held_out: WindowIndex, errors: Array
) -> Tensor:
    """Weights of the linear path on as many of the windows as the time allows, those of seasonal naive without time."""
    if deadline.limit is None:
        return solve_linear(features, windows, held_out, errors)
    config, known = features.config, features.encoders.future.width
    columns = regressor_count(config, known)
    if EIGENDECOMPOSITION_SECONDS * (columns / 1024) ** 3 > deadline.remaining():
        return seasonal_naive_weights(config, columns)
    clock, step = Deadline.after(None), max(1, len(windows) // TRIAL_WINDOWS)
    few = np.arange(0, len(windows), step)
    weights = solve_linear(features, windows.take(few), held_out, errors)
    affordable = int(len(few) * deadline.remaining() / max(clock.elapsed(), 1e-9))
    if step == 1 or affordable <= len(few):
        return weights
    return solve_linear(
        features, windows.take(np.arange(0, len(windows), -(-len(windows) // affordable))), held_out, errors
    )


def seasonal_naive_weights(config: ForecastConfig, columns: int) -> Tensor:
    """Weights (columns, h) of the seasonal naive forecast, 0 for all regressors but the context."""
    prior = torch.zeros(columns, config.horizon, dtype=torch.float64)
    prior[: config.context_length] = seasonal_naive(config.context_length, config.horizon, config.season)
    return prior


def solve_linear(features: WindowFeatures, windows: WindowIndex, held_out: WindowIndex, errors: Array) -> Tensor:
    """Weights of the linear path (L + ·, h), with the penalty that is best on the held-out windows."""
    c = features.config
    past, target, scale = features.scaled(windows)
    weight = window_weights(scale, errors[windows.series])
    x = regressors(past, features.future_inputs(windows, None, c.horizon), c)
    prior = seasonal_naive_weights(c, x.shape[1])
    weights = torch.from_numpy(weight / max(weight.mean(), 1e-12))
    candidates = solve(torch.from_numpy(x), torch.from_numpy(target), weights, prior, PENALTIES)
    past, target, scale = features.scaled(held_out)
    weight = window_weights(scale, errors[held_out.series])[:, None]
    x = regressors(past, features.future_inputs(held_out, None, c.horizon), c)
    losses = [np.nansum(np.abs(target - x @ W.numpy()) * weight) for W in candidates]
    return candidates[int(np.argmin(losses))]


def train(
    trainer: WindowTrainer,
    seed: int,
    on_record: Callable[[Record], None] | None = None,
    checkpoint: Checkpoint | None = None,
    other_loss: float = np.inf,
    deadline: Deadline | None = None,
) -> list[Record]:
    """Train a network until the loss on the held-out windows no longer improves, or rises.

    Parameters
    ----------
    trainer : WindowTrainer
        The network and its windows.
    seed : int
        Seed of the batches and of dropout.
    on_record : callable, optional
        Called with the record of each step.
    checkpoint : Checkpoint, optional
        Written after each epoch.
    other_loss : float, default inf
        Validation loss of another architecture; training ends early if this one stays far behind.
    deadline : Deadline, optional
        End of training; None for no limit.
    """
    config, features = trainer.model.config, trainer.features
    held_out = trainer.prepared(features.windows(*validation_windows(features.panel, config)))

    problem = replace(
        trainer.problem(config.validation_size, seed),
        validate=lambda: trainer.validation_loss(held_out),
        should_stop=lambda history: stops_early(validation_losses(history), other_loss),
    )
    return fit(problem, config.training, seed, on_record, checkpoint, deadline)


def stops_early(losses: list[float], other_loss: float) -> bool:
    """Whether training ends: the validation loss is 5 % above its minimum, or far behind that of another architecture.

    Parameters
    ----------
    losses : list of float
        Validation loss of each epoch.
    other_loss : float
        Validation loss of another architecture.

    References
    ----------
    L. Prechelt, 1998, "Early stopping - but when?", Neural Networks: Tricks of the Trade (generalization loss).
    """
    behind = len(losses) >= TRIAL_EPOCHS and min(losses) > MAX_LOSS_RATIO * other_loss
    return behind or losses[-1] > MAX_LOSS_RISE * min(losses)


def refit(
    trainer: WindowTrainer, epochs: int, seed: int, deadline: Deadline, checkpoint: Checkpoint | None = None
) -> None:
    """Train a fifth of the `epochs` that the best weights took longer, at half the rate, on the held-out rows too."""
    options, more = trainer.model.config.training, round(REFIT_SHARE * epochs)
    if more:
        last = replace(options, max_epochs=more, learning_rate=options.learning_rate / 2, patience=None)
        fit(trainer.problem(0, seed + 1), last, seed + 1, None, checkpoint, deadline)


@dataclass(frozen=True)
class Member:
    """One network to train: its architecture, its configuration and its number within the architecture."""

    architecture: Architecture
    config: ForecastConfig
    number: int

    def seed(self, first: int) -> int:
        """Seed of the network."""
        return first + SEED_STEP * self.number

    @property
    def name(self) -> str:
        """Name of the network in checkpoints."""
        return f"{self.architecture.name} {self.number}"


def ensemble_members(config: ForecastConfig, size: int) -> list[Member]:
    """The networks to train: `size` of each architecture, with context lengths of their own."""
    members, patch = [], config.patch_length
    for architecture in config.architectures:
        for number in range(size):
            steps = CONTEXT_FACTORS[number % len(CONTEXT_FACTORS)] * config.context_length
            context = max(-(-int(steps) // patch) * patch, -(-config.season // patch) * patch)
            members.append(Member(architecture, replace(config, context_length=context), number))
    return members


@dataclass(frozen=True)
class TrainedMember:
    """A trained network that may be refitted: its trainer, the epochs of its best weights and its seed."""

    member: Member
    trainer: WindowTrainer
    epochs: int
    seed: int


@dataclass(frozen=True)
class TrainingRun:
    """How the networks of an ensemble are trained.

    Parameters
    ----------
    shape : NetworkShape
        Cell and size of the networks.
    seed : int
        Seed of the first network.
    size : int
        Networks of each architecture.
    deadline : Deadline
        End of training, refit and averaging.
    on_record : callable or None
        Called with the record of each step.
    checkpoint : Checkpoint or None
        Written after each epoch.
    """

    shape: NetworkShape
    seed: int
    size: int
    deadline: Deadline
    on_record: Callable[[Record], None] | None = None
    checkpoint: Checkpoint | None = None


def train_ensemble(
    panel: Panel, seasons: tuple[int, ...], config: ForecastConfig, run: TrainingRun, start: Ensemble | None = None
) -> tuple[Ensemble, list[Record], list[str]]:
    """Train all networks, choose their weights and refit those that have one.

    Under a time limit the networks share 70 % of the time, what one leaves going to the next; the rest is for the
    choice of the weights and the refit.

    Parameters
    ----------
    panel : Panel
        Series of one frequency.
    seasons : tuple of int
        Season lengths, the main one first.
    config : ForecastConfig
        Configuration of the networks.
    run : TrainingRun
        Sizes, seeds, time limit and checkpoint.
    start : Ensemble, optional
        Networks to go on from; they are not changed.

    Returns
    -------
    Ensemble; list of records, one an epoch; list of notes on what the time limit has cut
    """
    errors = np.nan_to_num(seasonal_scale(panel.y, config.season, panel.offsets))
    template = random_walk_template(MAX_TEMPLATES, config.horizon)
    selected = config.select if start is None else start.selected
    ensemble = Ensemble(seasons, config.horizon, {}, ModelAverage({}), template, selected)
    records: list[Record] = []
    best: dict[str, float] = {}
    trained: list[TrainedMember] = []
    checkpoint, phase = run.checkpoint, run.deadline.portion(TRAINING_SHARE)
    members = ensemble_members(config, run.size)
    for position, member in enumerate(members):
        name, seed = member.architecture.name, member.seed(run.seed)
        deadline = phase.portion(1 / (len(members) - position))
        stage(f"windows and linear path of the {name} network")
        if start is None:
            trainer = new_trainer(panel, member, run.shape, errors, seed, deadline.portion(LINEAR_SHARE))
        else:
            trainer = continued_trainer(panel, member.config, start.networks[name][member.number], errors)
        ensemble.networks.setdefault(name, []).append(trainer.model)
        shown = shifted(run.on_record, position * config.training.max_epochs)
        checkpoint = None if checkpoint is None else checkpoint.next(member.name)
        with limited_threads(trainer.model):
            other = min((loss for key, loss in best.items() if key != name), default=np.inf)
            epochs = train(trainer, seed, shown, checkpoint, other, deadline)
        losses = validation_losses(epochs)
        best[name] = min(best.get(name, np.inf), *losses, np.inf)
        trained.append(TrainedMember(member, trainer, 1 + losses.index(min(losses)) if losses else 0, seed))
        records += [{**r, "epoch": r["epoch"] + len(records), "member": position} for r in epochs]
    stage("weights of the average and intervals")
    ensemble = ensemble.averaged(panel, errors, run.deadline)
    stage("last epochs on the held-out rows too")
    refit_members(ensemble, trained, run.deadline, checkpoint)
    return ensemble, records, cut_notes(members, records, run.deadline)


def cut_notes(members: list[Member], records: list[Record], deadline: Deadline) -> list[str]:
    """Notes on the networks whose training the time limit has cut."""
    notes = []
    for position, member in enumerate(members):
        epochs = [record for record in records if record["member"] == position]
        whole = sum("cut" not in record or record["step"] % STEPS_PER_EPOCH == 0 for record in epochs)
        if deadline.limit is not None and (not epochs or "cut" in epochs[-1]):
            cut = f"was cut by the time limit of {deadline.limit:.3g} s"
            count = f"after {whole} of {member.config.training.max_epochs} epochs"
            notes.append(f"training of the {member.architecture.name} network {cut} {count}")
    return notes


def shifted(on_record: Callable[[Record], None] | None, epochs: int) -> Callable[[Record], None]:
    """A callback that counts the epochs of the networks before."""

    def call(record: Record) -> None:
        if on_record is not None:
            step, epoch = record["step"] + epochs * STEPS_PER_EPOCH, record["epoch"] + epochs
            on_record({**record, "step": step, "epoch": epoch})

    return call


def refit_members(
    ensemble: Ensemble, trained: list[TrainedMember], deadline: Deadline, checkpoint: Checkpoint | None
) -> None:
    """Refit the networks that have a weight, or forecast alone, on the held-out rows too."""
    used = (*ensemble.blend.weights, ensemble.selected)
    weighted = [each for each in trained if each.member.architecture.name in used]
    for position, each in enumerate(weighted):
        checkpoint = None if checkpoint is None else checkpoint.next(f"{each.member.name} last")
        with limited_threads(each.trainer.model):
            refit(each.trainer, each.epochs, each.seed, deadline.portion(1 / (len(weighted) - position)), checkpoint)
