"""A backtest: forecasts of past windows beside the baselines, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rekur.baselines import BASELINES, describe
from rekur.core import Array, DataError, OptionError
from rekur.data.ingest.to_frame import to_frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.data.scaling import seasonal_steps
from rekur.data.windows import WindowIndex
from rekur.forecasting.config import FEWEST, LEVELS
from rekur.forecasting.forecast import NAME, kind, spread
from rekur.forecasting.model_averaging import baseline
from rekur.metrics.forecast import summary


@dataclass(frozen=True)
class Backtest:
    """Forecasts of W past windows by rekur and by each baseline, from the same cutoffs.

    table: the whole history · series (W,), stop (W,): each window begins at row `stop` of its series · actual (W, h)
    with NaN where nothing was seen · levels (Q,) · forecasts: model → (W, h, Q) · scale (W,) the in-sample seasonal
    naive error, the unit of MASE · windows: how many a series · untested: frequencies whose series are too short.
    """

    table: Panel | PanelGroup
    series: Array
    stop: Array
    actual: Array
    levels: tuple[float, ...]
    forecasts: dict[str, Array]
    scale: Array
    windows: int
    like: Any = None
    untested: tuple[str, ...] = ()

    def metrics(self) -> dict[str, dict[str, float]]:
        """model → MASE, sMAPE, RMSE, WQL and coverage80, over all windows."""
        return {name: summary(self.actual, q, self.levels, self.scale) for name, q in self.forecasts.items()}

    @property
    def times(self) -> Array:
        """The times of the windows, (W, h), in UTC where there is a zone."""
        return self.table.at(self.series[:, None], self.steps)

    @property
    def steps(self) -> Array:
        """The rows of the windows within their series, (W, h)."""
        return np.asarray(self.stop[:, None] + np.arange(self.actual.shape[1]))

    def frame(self, level: Sequence[float] | None = None, quantiles: Sequence[float] | None = None) -> Any:
        """One row for each window and step: id, time, cutoff, the actual value, rekur and every baseline."""
        h = self.actual.shape[1]
        columns: dict[str, Any] = {}
        if self.table.columns.id is not None or self.table.wide:
            columns[self.table.columns.id or "unique_id"] = np.repeat(self.table.ids[self.series], h)
        columns[self.table.columns.time] = self.times.ravel()
        columns["cutoff"] = np.repeat(self.table.at(self.series, self.stop - 1), h)
        target = self.table.columns.target or "y"
        if target in {*columns, *self.forecasts}:
            raise DataError(f"the target is called {target!r}, as a column of the result is; rename it")
        columns[target] = self.actual.ravel()
        for model, values in self.forecasts.items():
            for name, column in spread(values, self.levels, level, quantiles, model).items():
                columns[name] = column.ravel()
        return to_frame(columns, kind(self.like), self.table.tz)

    def verdict(self) -> str:
        """One sentence: whether rekur beats seasonal naive and the best baseline, and what to use if it does not."""
        left = f" (too short to be tested: {', '.join(self.untested)})" if self.untested else ""
        return f"{self._verdict()}{left}"

    def _verdict(self) -> str:
        scores = {name: values["MASE"] for name, values in self.metrics().items()}
        where = f"on {self.windows} window{'s' if self.windows > 1 else ''}"
        own, naive = scores[NAME], scores["seasonal_naive"]
        if not np.isfinite(own):
            return f"no verdict: the actual values of the test are constant or missing {where}"
        best = min((name for name in scores if name != NAME), key=lambda name: scores[name])
        if own <= scores[best]:
            text = f"rekur beats {describe('seasonal_naive')} by {gain(own, naive)} (MASE {own:.2f} vs {naive:.2f})"
            if best != "seasonal_naive":
                text += f" and the best baseline, {describe(best)}, by {gain(own, scores[best])} ({scores[best]:.2f})"
            return f"{text} {where}"
        text = f"rekur does not beat {describe(best)} (MASE {own:.2f} vs {scores[best]:.2f}) {where}"
        if best != "seasonal_naive":
            relation = f"better than {describe('seasonal_naive')} by {gain(own, naive)}"
            text += f", though it is {relation}" if own < naive else ""
        return f"{text}; use {describe(best)}"


def gain(own: float, other: float) -> str:
    """The share by which `own` is smaller than `other`, in percent."""
    return f"{100 * (1 - own / other):.0f} %" if other > 0 else "0 %"


def actual(table: Panel, series: Array, stop: Array, horizon: int) -> Array:
    """The values (n, h) from rows `stop` of `series` on, NaN where nothing was seen."""
    return WindowIndex(table.offsets, 0, horizon, series, stop).gather(table.y)


def backs(windows: tuple[int, int], horizon: int) -> Array:
    """How many rows before the end of a series each window begins: (how many, steps apart) → (n,), first one first."""
    for name, value in zip(("n_windows", "step_size"), windows, strict=True):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise OptionError(f"{name} must be a whole number above zero, got {value!r}")
    return np.asarray(horizon + windows[1] * np.arange(windows[0] - 1, -1, -1))


def before(table: Panel, windows: tuple[int, int], horizon: int) -> Panel:
    """What precedes the first window."""
    return table.cut(np.maximum(table.lengths - backs(windows, horizon)[0], 0))


class TooShortError(DataError):
    """No series can hold the windows of a backtest."""


def past_windows(
    history: Panel, table: Panel, windows: tuple[int, int], horizon: int, seasons: tuple[int, ...]
) -> tuple[Array, Array]:
    """Series and stops of the windows of a backtest; series too short for them and some values before are left out."""
    rows = np.flatnonzero((history.lengths >= max(FEWEST, min(horizon, seasons[0] + 1))) & (history.seen >= FEWEST))
    if not len(rows):
        raise TooShortError(
            f"no series is long enough for {windows[0]} windows of {horizon} steps: the longest has "
            f"{int(table.lengths.max())} rows; ask for fewer windows or a shorter horizon"
        )
    stop = (table.lengths[rows][:, None] - backs(windows, horizon)).ravel()
    return np.repeat(rows, windows[0]), stop


def run(
    learn: Any, table: Panel, windows: tuple[int, int], horizon: int, seasons: tuple[int, ...], refit: bool
) -> Backtest:
    """Forecast past windows of a table, (how many, steps apart), by rekur and by every baseline.

    `learn(history)` returns a function (series, stop) → quantiles (n, h, Q) that has learned from `history` alone: what
    precedes the first window, or, with `refit`, each window. Series too short to hold the windows and some values
    before them are left out of the test.
    """
    back, history = backs(windows, horizon), before(table, windows, horizon)
    series, stop = past_windows(history, table, windows, horizon, seasons)
    own = np.empty((len(series), horizon, len(LEVELS)))
    for k in range(windows[0]) if refit else (0,):
        some = np.arange(k, len(series), windows[0]) if refit else np.arange(len(series))
        past = table.cut(np.maximum(table.lengths - back[k], 0)) if refit else history
        own[some] = learn(past)(series[some], stop[some])
    forecasts = {NAME: own}
    for name in BASELINES:
        forecasts[name] = baseline(name, table, (series, stop), seasons, horizon, LEVELS)
    scale = seasonal_steps(history.y, history.offsets, seasons[0])[series]
    return Backtest(table, series, stop, actual(table, series, stop, horizon), LEVELS, forecasts, scale, windows[0])
