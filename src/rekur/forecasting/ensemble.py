"""What a forecaster has learned: networks of one or two designs, blended with baselines."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.scaling import seasonal_steps
from rekur.forecasting.backtest import actual
from rekur.forecasting.calibration import followed
from rekur.forecasting.config import EPOCH, LEVELS, Architecture, ForecastConfig
from rekur.forecasting.model_averaging import BLENDED, ModelAverage, baseline, history, weigh
from rekur.forecasting.sample_paths import KEPT, ranks, walk
from rekur.kernels.threads import threads

if TYPE_CHECKING:
    from rekur.forecasting.model import ForecastModel, WindowTrainer
    from rekur.training.checkpoint import Checkpoint

WIDE = 128  # hidden size from which on a second thread pays
REACHES = (1.0, 0.5, 1.5)  # how far the members of an ensemble look back, in turn
JUDGES, ROWS = 500, 1_000_000  # windows held out that the blend is weighed on, and rows of past they take, at most


@dataclass
class Ensemble:
    """Networks by design, the blend, and what the baselines need; without networks it is smoothing alone."""

    seasons: tuple[int, ...]
    horizon: int
    networks: dict[str, list[ForecastModel]]
    blend: ModelAverage
    dependence: Array  # (W, h) ranks, see `paths`

    def quantiles(
        self,
        table: Panel,
        series: Array,
        stop: Array,
        future: Array | None = None,
        horizon: int | None = None,
        since: Array | None = None,
    ) -> Array:
        """Quantiles (n, h, Q) of the steps from rows `stop` of `series` on.

        future: (n, h, F) covariates of these steps, those of the table if None · since: (S,) the first row of each
        series that training has not seen, whose errors the intervals follow; None: they stay as they were learned
        """
        h = self.horizon if horizon is None else horizon
        if since is None:
            return self._blended(table, series, stop, future, h)
        asked = None if future is None else self._blended(table, series, stop, future, h)
        made = partial(self._blended, table, future=None, h=h)
        return followed(made, asked, table, (series, stop), since, (h, self.horizon))

    def _blended(self, table: Panel, series: Array, stop: Array, future: Array | None, h: int) -> Array:
        """The blend; members without a share are not run."""
        made = {name: self.member(name, table, (series, stop), future, h) for name in self.blend.weights}
        silent = ~np.all([np.isfinite(q).all(axis=(1, 2)) for q in made.values()], axis=0)
        if silent.any() and "smoothing" not in made:
            made["smoothing"] = np.full((len(series), h, len(LEVELS)), np.nan)
            made["smoothing"][silent] = self.member("smoothing", table, (series[silent], stop[silent]), None, h)
        mixed = self.blend.mix(made, LEVELS, self.horizon)
        return np.maximum(mixed, 0.0) if self._counts else mixed

    @property
    def _counts(self) -> bool:
        """Whether the networks have learned counts, which are never negative."""
        some = next(iter(self.networks.values()), None)
        return some is not None and some[0].design.likelihood == "negative_binomial"

    def member(
        self, name: str, table: Panel, windows: tuple[Array, Array], future: Array | None, horizon: int
    ) -> Array:
        """Quantiles (n, h, Q) of one member: a baseline, or the median of the networks of one design."""
        if name in BLENDED:
            return baseline(name, table, windows, self.seasons, max(horizon, self.horizon), LEVELS)[:, :horizon]
        with few(self.networks[name][0]):
            made = [network.quantiles(table, *windows, future, horizon) for network in self.networks[name]]
        return made[0] if len(made) == 1 else np.asarray(np.median(made, axis=0))

    def weighed(self, table: Panel, errors: Array) -> Ensemble:
        """The same with its blend chosen on the windows held out of a table, in units of the errors (S,)."""
        from rekur.forecasting.window_features import held_out

        recipe = next(iter(self.networks.values()))[0].recipe
        windows = held_out(table, recipe, min(JUDGES, ROWS // history(self.seasons)))
        made = {name: self.member(name, table, windows, None, self.horizon) for name in (*self.networks, *BLENDED)}
        block = (table.freq.count(table.start.min(), table.start)[0][windows[0]] + windows[1]) // self.horizon
        counts = len(np.unique(np.stack([windows[0], block]), axis=1).T), len(np.unique(block))
        y = actual(table, *windows, self.horizon)
        blend = weigh(made, y, errors[windows[0]], counts, LEVELS, block)
        found = ranks(blend.mix(made, LEVELS, self.horizon), y)
        return replace(self, blend=blend, dependence=found if len(found) > 1 else self.dependence)


def few(network: ForecastModel) -> Any:
    """One thread for a small network, which a second one only slows down."""
    return threads(1 if network.net.embed.out_features < WIDE else None)


def alone(seasons: tuple[int, ...], horizon: int) -> Ensemble:
    """Smoothing without any network."""
    return Ensemble(seasons, horizon, {}, ModelAverage({"smoothing": 1.0}), walk(KEPT, horizon))


def members(recipe: ForecastConfig, count: int) -> list[tuple[Architecture, ForecastConfig, int]]:
    """(design, recipe, number) of every network to train: `count` of each design, that look back anew."""
    found = []
    for design in recipe.designs:
        for k in range(count):
            steps = REACHES[k % len(REACHES)] * recipe.past
            past = max(-(-int(steps) // recipe.patch) * recipe.patch, -(-recipe.season // recipe.patch) * recipe.patch)
            seconds = recipe.training.max_seconds
            share = None if seconds is None else seconds / count / len(recipe.designs)
            found.append((design, replace(recipe, past=past, training=replace(recipe.training, max_seconds=share)), k))
    return found


def learn(
    table: Panel,
    seasons: tuple[int, ...],
    recipe: ForecastConfig,
    shape: tuple[str, int, int],
    seeds: tuple[int, int],
    watch: Callable[[dict[str, float]], None] | None,
    saver: Checkpoint | None,
    start: Ensemble | None = None,
) -> tuple[Ensemble, list[dict[str, float]]]:
    """Train every network and weigh them; the ensemble and the records of the epochs' ends.

    shape: cell, hidden size, layers · seeds: the first seed, and how many networks of each design · start: go on from
    its networks, which stay as they are.
    """
    from rekur.forecasting.model import WindowTrainer, improve, prepare

    errors = seasonal_steps(table.y, table.offsets, recipe.season)
    plan = members(recipe, seeds[1])
    made = Ensemble(seasons, recipe.horizon, {}, ModelAverage({}), walk(KEPT, recipe.horizon))
    records: list[dict[str, float]] = []
    best: dict[str, float] = {}
    last = []  # what remains to be done once all is weighed
    for number, (design, own, k) in enumerate(plan):
        name, seed = design.name, seeds[0] + 1000 * k
        if start is None:
            deal = prepare(table, own, design, shape, errors, seed)
        else:
            network = replace(copy.deepcopy(start.networks[name][k]), recipe=own)
            deal = WindowTrainer(network.panel(table), network, errors)
        made.networks.setdefault(name, []).append(deal.network)
        done = number * recipe.training.max_epochs

        def shown(record: dict[str, float], done: int = done) -> None:
            if watch is not None:
                watch({**record, "step": record["step"] + done * EPOCH, "epoch": record["epoch"] + done})

        saver = None if saver is None else saver.next(f"{name} {k}")
        try:
            with few(deal.network):
                rival = min((loss for other, loss in best.items() if other != name), default=np.inf)
                found = improve(deal, seed, shown, saver, rival)
        except KeyboardInterrupt as interrupt:  # the best weights so far are in place
            raise Stopped(made.weighed(table, errors)) from interrupt
        losses = [record["val_loss"] for record in found]
        best[name] = min(best.get(name, np.inf), *losses)
        last.append((deal, 1 + losses.index(min(losses)), seed, k))
        records += [{**r, "epoch": r["epoch"] + len(records), "member": number} for r in found]
    made = made.weighed(table, errors)
    end(made, last, saver)
    return made, records


def end(made: Ensemble, last: list[tuple[WindowTrainer, int, int, int]], saver: Checkpoint | None) -> None:
    """Train the networks that have a share on the rows held out too: (deal, epochs, seed, number) of each."""
    from rekur.forecasting.model import finish

    for deal, epochs, seed, k in last:
        name = deal.network.design.name
        if name in made.blend.weights:
            saver = None if saver is None else saver.next(f"{name} {k} last")
            with few(deal.network):
                finish(deal, epochs, seed, saver)


class Stopped(KeyboardInterrupt):
    """Training was interrupted; what it has come to can be used."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.ensemble = ensemble
