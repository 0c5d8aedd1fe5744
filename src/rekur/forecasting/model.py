"""The networks of a forecaster: windows of a table in, quantiles out; how they are trained and what they remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rekur.core import Array
from rekur.data.batching import Batch
from rekur.data.imputation import seasonal
from rekur.data.panel import Panel
from rekur.data.scaling import WindowScale
from rekur.data.windows import WindowIndex
from rekur.forecasting.config import EPOCH, LEVELS, PENALTIES, Architecture, ForecastConfig
from rekur.forecasting.model_averaging import loss
from rekur.forecasting.window_features import CovariateEncoders, WindowFeatures, calendar_columns, held_out, importance
from rekur.layers.autoregression import seasonal_naive, solve
from rekur.layers.forecast_nets import DirectNet, PatchNet
from rekur.layers.heads import QuantileHead
from rekur.layers.likelihoods import CountHead, StudentTHead
from rekur.training.loop import Problem, Record, fit

MOST_ROWS = 20_000  # windows that the linear path is solved on
MOST_COLUMNS = 4096  # that the linear path reads
CHUNK = 512  # windows forecast at a time
TRIAL, BEHIND = 5, 1.5  # epochs after which a design is given up that is so many times worse than the other
LAST = 0.2  # share of the training that is repeated with the rows held out
HEADS: dict[str, type[QuantileHead | StudentTHead | CountHead]] = {
    "quantiles": QuantileHead,
    "student_t": StudentTHead,
    "negative_binomial": CountHead,
}


@dataclass
class ForecastModel:
    """A trained network: the linear path (L + ·, h) if it corrects one, the recurrent one, how inputs are scaled."""

    recipe: ForecastConfig
    design: Architecture
    columns: list[int]
    known: CovariateEncoders
    linear: Tensor | None
    net: PatchNet | DirectNet

    def panel(self, table: Panel) -> WindowFeatures:
        """A table as this network reads it."""
        return WindowFeatures(table, self.recipe, self.design.scaling, self.columns, self.known)

    def quantiles(
        self, table: Panel, series: Array, stop: Array, future: Array | None = None, horizon: int | None = None
    ) -> Array:
        """Quantiles (n, h, Q) of the windows of a table that end before rows `stop` of `series`.

        `horizon` may be other than the one trained for: the recurrence runs as far as it is asked to. NaN where a
        window has seen nothing.
        """
        h = self.recipe.horizon if horizon is None else horizon
        panel = self.panel(table)
        reach = max(h, min(self.recipe.patches(h) * self.recipe.patch, self.recipe.horizon))  # of the last patch
        windows, out = panel.windows(series, stop, h), np.empty((len(series), h, len(LEVELS)))
        with torch.inference_mode():
            for some in np.array_split(np.arange(len(series)), -(-len(series) // CHUNK)):
                part = windows.take(some)
                past, _, scale = panel.scaled(part)
                x = self.read(panel, part, past, None if future is None else future[some], reach)
                made = self.answer(x, scale, h)
                made[~np.isfinite(past).any(axis=1)] = np.nan
                out[some] = made
        return out

    def read(
        self, panel: WindowFeatures, windows: WindowIndex, past: Array, future: Array | None, horizon: int
    ) -> Tensor:
        """What the net is given of windows with scaled pasts (n, L): the linear forecast and all that is known."""
        return panel.inputs(windows, past, self.base(panel, windows, past, future, horizon), future)

    def answer(self, x: Tensor, scale: WindowScale, horizon: int) -> Array:
        """What the net makes of it: quantiles (n, h, Q) in the units of the series."""
        raw, head = self.net(x, self.recipe.patches(horizon))[:, :horizon], self.net.head
        if isinstance(head, CountHead):
            return np.asarray(head.decode(head.place(raw, *tensor_of(scale).chunk(2, dim=1))).numpy())
        return scale.undo(head.decode(raw).double().numpy())

    def base(
        self, panel: WindowFeatures, windows: WindowIndex, past: Array, future: Array | None, horizon: int
    ) -> Array:
        """The linear forecast (n, h) of scaled pasts (n, L), its own values taken as past beyond its reach; or 0."""
        if self.linear is None:
            return np.zeros((len(past), horizon))
        L, H = self.recipe.past, self.recipe.horizon
        known = panel.ahead(windows, future, horizon + H)
        seen, made = past, np.empty((len(past), 0))
        while made.shape[1] < horizon:
            at = made.shape[1]
            more = regressors(seen, known[:, at : at + L + H], self.recipe) @ self.linear.numpy()
            made = np.concatenate([made, more], axis=1)
            seen = np.concatenate([seen, more], axis=1)[:, -L:]
        return made[:, :horizon]


def regressors(past: Array, known: Array, recipe: ForecastConfig) -> Array:
    """What the linear path reads, (n, L + ·): scaled pasts (n, L), and the known inputs (n, L + h, K) of the window.

    Where these would be more than `MOST_COLUMNS`, those of the future alone. A missing value is 0, the level; where
    there are many, that of another season.
    """
    past = seasonal(past, recipe.season) if recipe.gaps else past
    if known.shape[1] * known.shape[2] + past.shape[1] > MOST_COLUMNS:
        known = known[:, past.shape[1] :]
    return np.concatenate([np.nan_to_num(past), known.reshape(len(past), -1)], axis=1)


def tensor_of(scale: WindowScale) -> Tensor:
    """Level and spread of windows, (n, 2)."""
    return torch.from_numpy(np.concatenate([scale.level, scale.spread], axis=1).astype(np.float32))


def build(
    recipe: ForecastConfig, design: Architecture, width: int, shape: tuple[str, int, int], dropout: float, seed: int
) -> PatchNet | DirectNet:
    """The net of a design, not yet trained; shape: cell, hidden size and layers; width: known inputs of a patch."""
    cell, hidden, layers = shape
    head = HEADS[design.likelihood](hidden, recipe.patch, LEVELS, seed)
    if design.corrected:
        return PatchNet(cell, recipe.patch, width, hidden, layers, head, dropout, seed)
    return DirectNet(cell, recipe.patch, width, hidden, head, dropout, seed)


def prepare(
    table: Panel, recipe: ForecastConfig, design: Architecture, shape: tuple[str, int, int], errors: Array, seed: int
) -> WindowTrainer:
    """Build the network of a table: the linear path solved in closed form, the recurrent one not yet trained.

    The last `recipe.held` rows of each series choose the penalty of the linear path; they are not learned from.
    errors: the seasonal naive error of each series, (S,), the unit of all losses
    """
    columns, known = calendar_columns(table), CovariateEncoders.of(table)
    panel = WindowFeatures(table, recipe, design.scaling, columns, known)
    windows = panel.every(recipe.held)
    dropout = 0.1 if len(windows) > 2000 else 0.2
    linear = None
    if design.corrected:
        random = np.random.default_rng(seed)
        some = np.unique(random.integers(0, len(windows), min(len(windows), MOST_ROWS)))
        linear = solve_linear(panel, windows.pick(some), panel.windows(*held_out(table, recipe)), errors)
    net = build(recipe, design, panel.width, shape, dropout, seed)
    return WindowTrainer(panel, ForecastModel(recipe, design, columns, known, linear, net), errors)


def improve(
    deal: WindowTrainer,
    seed: int,
    watch: Callable[[Record], None] | None = None,
    saver: Any = None,
    rival: float = np.inf,
) -> list[Record]:
    """Train the recurrent path until the windows held out no longer improve.

    rival: the validation loss that another design has reached; training ends early if this one stays far behind it.
    """
    recipe = deal.network.recipe
    held = deal.panel.windows(*held_out(deal.panel.table, recipe))

    def validate() -> float:
        parts = np.array_split(np.arange(len(held)), -(-len(held) // CHUNK))
        losses = [(deal.judge(held.take(some)), len(some)) for some in parts]
        return sum(value * n for value, n in losses) / sum(n for _, n in losses)

    def hopeless(history: list[Record]) -> bool:
        return len(history) >= TRIAL and min(record["val_loss"] for record in history) > BEHIND * rival

    problem = replace(deal.problem(recipe.held, seed), validate=validate, should_stop=hopeless)
    return fit(problem, recipe.training, seed, watch, saver)


def finish(deal: WindowTrainer, epochs: int, seed: int, saver: Any = None) -> None:
    """Train a little longer, at half the rate, on the rows held out too: the latest ones, now that all is chosen.

    epochs: how many the best weights took.
    """
    options, more = deal.network.recipe.training, round(LAST * epochs)
    if more:
        last = replace(options, max_epochs=more, learning_rate=options.learning_rate / 2, patience=None)
        fit(deal.problem(0, seed + 1), last, seed + 1, None, saver)


def solve_linear(panel: WindowFeatures, windows: WindowIndex, held: WindowIndex, errors: Array) -> Tensor:
    """The linear path (L + ·, h) whose penalty is best on the windows held out."""
    r = panel.recipe
    past, target, scale = panel.scaled(windows)
    weight = importance(scale, errors[windows.series])
    x = regressors(past, panel.ahead(windows, None, r.horizon), r)
    prior = torch.zeros(x.shape[1], r.horizon, dtype=torch.float64)
    prior[: r.past] = seasonal_naive(r.past, r.horizon, r.season)
    weights = torch.from_numpy(weight / max(weight.mean(), 1e-12))
    tried = solve(torch.from_numpy(x), torch.from_numpy(target), weights, prior, PENALTIES)
    past, target, scale = panel.scaled(held)
    weight, x = importance(scale, errors[held.series])[:, None], regressors(past, panel.ahead(held, None, r.horizon), r)
    misses = [np.nansum(np.abs(target - x @ W.numpy()) * weight) for W in tried]
    return tried[int(np.argmin(misses))]


@dataclass
class WindowTrainer:
    """Deals windows of a panel as batches for training, and tells how good the forecasts are."""

    panel: WindowFeatures
    network: ForecastModel
    errors: Array

    def problem(self, held: int, seed: int) -> Problem:
        """To learn all windows that end before the last `held` rows of each series."""
        recipe, net, table = self.network.recipe, self.network.net, self.panel.table
        windows = self.panel.every(held)

        def batches(epoch: int) -> Iterator[Batch]:
            random = np.random.default_rng((seed, epoch))
            for _ in range(EPOCH):
                yield self.batch(windows.pick(random.integers(0, len(windows), recipe.training.batch_size)))

        def loss(batch: Batch, _: Any) -> tuple[Tensor, None]:
            raw, head = net(batch.x, recipe.future)[:, : recipe.horizon], net.head
            if isinstance(head, CountHead) and batch.scale is not None:
                raw = head.place(raw, *batch.scale.chunk(2, dim=1))
            return head.loss(raw, batch.y, batch.weight), None

        def explain(batch: Batch) -> str:
            odd = (~batch.x.isfinite()).flatten(1).any(1)
            if batch.rows is None or not bool(odd.any()):
                return ""
            return f"the series {table.ids[int(batch.rows[odd.int().argmax()])]!r} holds values that overflow float32"

        return Problem(net, batches, EPOCH, loss, None, explain)

    def batch(self, windows: WindowIndex) -> Batch:
        """Patches x (n, P, ·), targets y (n, h), scaled if they are no counts, and their weight (n, h)."""
        past, target, scale = self.panel.scaled(windows)
        x = self.network.read(self.panel, windows, past, None, target.shape[1])
        seen, counts = np.isfinite(target), isinstance(self.network.net.head, CountHead)
        weight = importance(scale, self.errors[windows.series])
        weight = seen * (weight / max(weight.mean(), 1e-12))[:, None]
        target = scale.undo(target[..., None])[..., 0] if counts else target
        y, w = (torch.from_numpy(each.astype(np.float32)) for each in (np.where(seen, target, 0.0), weight))
        return Batch(x, y, None, w, torch.from_numpy(windows.series), scale=tensor_of(scale) if counts else None)

    def judge(self, windows: WindowIndex) -> float:
        """The mean pinball loss in units of the series' seasonal naive error, which all designs share."""
        past, target, scale = self.panel.scaled(windows)
        h = target.shape[1]
        q = self.network.answer(self.network.read(self.panel, windows, past, None, h), scale, h)
        weight = importance(scale, self.errors[windows.series])
        unit = scale.size() / np.where(weight > 0, weight, 1.0)
        seen = np.isfinite(target) & (weight > 0)[:, None]
        if not seen.any():
            return 0.0
        actual = scale.undo(target[..., None])[..., 0]
        return loss(q[seen], actual[seen], np.broadcast_to(unit[:, None], seen.shape)[seen], LEVELS)
