"""The network of a forecaster: windows of a table in, quantiles out; how it is trained and what it remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rekur.data.batches import Batch
from rekur.data.calendar import feature_names, features
from rekur.data.table import Table
from rekur.data.transform import Scale, seasonal_steps, window_scale
from rekur.data.windows import Windows, every
from rekur.layers.autoregression import seasonal_naive, solve
from rekur.layers.patch import PatchNet
from rekur.tasks.recipe import EPOCH, LEVELS, PENALTIES, Recipe
from rekur.train import Problem, Record, fit

Array = np.ndarray[Any, np.dtype[Any]]
MOST_ROWS = 20_000  # windows that the linear path is solved on
HEAVIEST = 50.0  # most that a window may count compared with the error of seasonal naive


def calendar_columns(table: Table) -> list[int]:
    """Which calendar features the table can teach: those of cycles it has seen at least twice."""
    names = feature_names(table.freq)
    spans = table.freq.advance(table.start, table.lengths) - table.start
    days = float(np.max(spans).astype("m8[D]").astype(int)) if names else 0.0
    need = {"year": 730.0, "month": 61.0, "week": 14.0}
    return [i for i, name in enumerate(names) if days >= need.get(name.split("_")[0], 2.0)]


class Panel:
    """A table as the network sees it: windows become patches of scaled values, masks and known inputs."""

    def __init__(self, table: Table, recipe: Recipe, columns: list[int], scaling: tuple[Array, Array]) -> None:
        self.table, self.recipe, self.columns = table, recipe, columns
        reach = recipe.future * recipe.patch
        self.first = np.zeros(len(table), np.int64)
        self.calendar = np.zeros((0, 0), np.float32)
        if columns:
            begin = table.start.min()
            self.first = table.freq.count(begin, table.start)[0]
            steps = int((self.first + table.lengths).max()) + reach
            times = table.clock(table.freq.advance(begin, np.arange(-recipe.past, steps)))
            self.calendar = features(table.freq, times)[:, columns]
        centre, spread = scaling
        self.known = ((table.future - centre) / spread).astype(np.float32)  # (N, F)

    def windows(self, series: Array, stop: Array) -> Windows:
        """Windows of this table that end before the given rows."""
        return Windows(self.table.offsets, self.recipe.past, self.recipe.horizon, series, stop)

    def scaled(self, windows: Windows, some: Array) -> tuple[Array, Array, Scale]:
        """Scaled past (n, L) and target (n, h), NaN where nothing was seen, and their scale."""
        L = self.recipe.past
        values = windows.gather(self.table.y, some)
        scale = window_scale(values[:, :L], self.recipe.season)
        values = scale.apply(values)
        return values[:, :L], values[:, L:], scale

    def inputs(self, windows: Windows, some: Array, past: Array, linear: Array, future: Array | None) -> Tensor:
        """Patches (n, P, 2·p + K): values with the linear forecast (n, h) as future, observed, known inputs.

        `future` (n, h, F) holds known future covariates, for rows beyond the table; None reads them from it.
        """
        r, n = self.recipe, len(past)
        pad = r.future * r.patch - r.horizon
        seen = np.isfinite(past)
        values = np.concatenate([np.where(seen, past, 0.0), linear, np.repeat(linear[:, -1:], pad, axis=1)], axis=1)
        observed = np.concatenate([seen, np.zeros((n, r.horizon + pad))], axis=1)
        parts = [values.reshape(n, -1, r.patch), observed.reshape(n, -1, r.patch)]
        if self.columns:
            at = self.first[windows.series[some]] + windows.stop[some]
            parts.append(self.calendar[at[:, None] + np.arange(0, values.shape[1], r.patch)])
        if self.known.shape[1]:
            known = windows.gather(self.known, some)  # (n, L + h, F)
            if future is not None:
                known[:, r.past :] = future
            known = np.pad(np.nan_to_num(known), ((0, 0), (0, pad), (0, 0)), mode="edge")
            parts.append(known.reshape(n, values.shape[1] // r.patch, -1))
        return torch.from_numpy(np.concatenate(parts, axis=2).astype(np.float32))

    @property
    def width(self) -> int:
        """K, the known inputs of a patch."""
        return len(self.columns) + int(self.known.shape[1]) * self.recipe.patch


@dataclass
class Network:
    """A trained network: the linear path (L, h), the recurrent one, and how to scale what it is given."""

    recipe: Recipe
    columns: list[int]
    scaling: tuple[Array, Array]
    linear: Tensor
    net: PatchNet

    def quantiles(self, table: Table, series: Array, stop: Array, future: Array | None = None) -> Array:
        """Quantiles (n, h, Q) of the windows of a table that end before rows `stop` of `series`.

        NaN where a window has seen nothing.
        """
        panel = Panel(table, self.recipe, self.columns, self.scaling)
        if future is not None:
            future = (future - self.scaling[0]) / self.scaling[1]
        windows, out = panel.windows(series, stop), []
        with torch.inference_mode():
            for some in np.array_split(np.arange(len(series)), -(-len(series) // 512)):
                past, _, scale = panel.scaled(windows, some)
                x = panel.inputs(windows, some, past, self._linear(past), None if future is None else future[some])
                raw = self.net(x, self.recipe.future)[:, : self.recipe.horizon]
                made = scale.undo(self.net.head.decode(raw).double().numpy())
                made[~np.isfinite(past).any(axis=1)] = np.nan
                out.append(made)
        return np.concatenate(out)

    def _linear(self, past: Array) -> Array:
        return np.asarray(np.nan_to_num(past) @ self.linear.numpy())


def prepare(table: Table, recipe: Recipe, shape: tuple[str, int, int], seed: int) -> Network:
    """Build the network of a table: the linear path solved in closed form, the recurrent one not yet trained.

    shape: cell, hidden size and layers. The last `recipe.held` rows of each series choose the penalty of the linear
    path; they are not learned from.
    """
    columns = calendar_columns(table)
    known = window_scale(table.future.T, table.future.shape[0] or 1)  # one row a covariate
    scaling = (known.level[:, 0], np.where(known.spread > 0, known.spread, 1.0)[:, 0])
    panel = Panel(table, recipe, columns, scaling)
    windows = every(table.offsets, recipe.past, recipe.horizon, recipe.first, recipe.held)
    errors = seasonal_steps(table.y, table.offsets, recipe.season)
    linear = solve_linear(panel, windows, panel.windows(*held_out(table, recipe)), errors, seed)
    dropout = 0.1 if len(windows) > 2000 else 0.2
    net = PatchNet(shape[0], recipe.patch, panel.width, shape[1], shape[2], LEVELS, dropout, seed)
    return Network(recipe, columns, scaling, linear, net)


def improve(
    network: Network, table: Table, seed: int, watch: Callable[[Record], None] | None = None, saver: Any = None
) -> list[Record]:
    """Train the recurrent path on what the linear one leaves, until the windows held out no longer improve."""
    recipe, net = network.recipe, network.net
    panel = Panel(table, recipe, network.columns, network.scaling)
    windows = every(table.offsets, recipe.past, recipe.horizon, recipe.first, recipe.held)
    held = panel.windows(*held_out(table, recipe))
    deal = Deal(panel, network, seasonal_steps(table.y, table.offsets, recipe.season))

    def batches(epoch: int) -> Iterator[Batch]:
        random = np.random.default_rng((seed, epoch))
        for _ in range(EPOCH):
            yield deal.batch(windows, random.integers(0, len(windows), recipe.training.batch))

    def loss(batch: Batch, _: Any) -> tuple[Tensor, None]:
        raw = net(batch.x, recipe.future)[:, : recipe.horizon]
        return net.head.loss(raw, batch.y, batch.weight), None

    def validate() -> float:
        parts = np.array_split(np.arange(len(held)), -(-len(held) // 512))
        losses = [(float(loss(deal.batch(held, some), None)[0]), len(some)) for some in parts]
        return sum(value * n for value, n in losses) / sum(n for _, n in losses)

    def explain(batch: Batch) -> str:
        odd = (~batch.x.isfinite()).flatten(1).any(1)
        if batch.rows is None or not bool(odd.any()):
            return ""
        return f"the series {table.ids[int(batch.rows[odd.int().argmax()])]!r} holds values that overflow float32"

    problem = Problem(net, batches, EPOCH, loss, validate, explain)
    return fit(problem, recipe.training, seed, watch, saver)


def held_out(table: Table, recipe: Recipe, most: int = 2000) -> tuple[Array, Array]:
    """Series and stops of the windows held out: back to back at the end of each series, at most about `most`."""
    count = recipe.held // recipe.horizon
    back = np.arange(count, 0, -1) * recipe.horizon
    stop = (table.lengths[:, None] - back).ravel()
    series = np.repeat(np.arange(len(table)), count)
    keep = np.flatnonzero(stop >= min(recipe.first, recipe.season + 1))
    keep = keep[:: max(1, len(keep) // most)]
    return series[keep], stop[keep]


def solve_linear(panel: Panel, windows: Windows, held: Windows, errors: Array, seed: int) -> Tensor:
    """The linear path (L, h) whose penalty is best on the windows held out."""
    r = panel.recipe
    some = np.sort(np.random.default_rng(seed).permutation(len(windows))[:MOST_ROWS])
    past, target, scale = panel.scaled(windows, some)
    weight = importance(scale, errors[windows.series[some]])
    prior = seasonal_naive(r.past, r.horizon, r.season)
    x, y = torch.from_numpy(np.nan_to_num(past)), torch.from_numpy(target)
    tried = solve(x, y, torch.from_numpy(weight / max(weight.mean(), 1e-12)), prior, PENALTIES)
    past, target, scale = panel.scaled(held, np.arange(len(held)))
    weight = importance(scale, errors[held.series])[:, None]
    misses = [np.nansum(np.abs(target - np.nan_to_num(past) @ W.numpy()) * weight) for W in tried]
    return tried[int(np.argmin(misses))]


def importance(scale: Scale, errors: Array) -> Array:
    """How much a scaled error of a window counts, (n,): its spread in units of the series' seasonal naive error."""
    spread = scale.spread[:, 0]
    safe = np.where(errors > 0, errors, 1.0)
    return np.where(errors > 0, np.minimum(spread / safe, HEAVIEST), 0.0)


@dataclass
class Deal:
    """Deals windows of a panel as batches for training."""

    panel: Panel
    network: Network
    errors: Array

    def batch(self, windows: Windows, some: Array) -> Batch:
        """Patches x (n, P, ·), scaled targets y (n, h) and their weight (n, h)."""
        past, target, scale = self.panel.scaled(windows, some)
        x = self.panel.inputs(windows, some, past, self.network._linear(past), None)
        seen = np.isfinite(target)
        weight = importance(scale, self.errors[windows.series[some]])
        weight = seen * (weight / max(weight.mean(), 1e-12))[:, None]
        y = torch.from_numpy(np.where(seen, target, 0.0).astype(np.float32))
        return Batch(x, y, None, torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(windows.series[some]))
