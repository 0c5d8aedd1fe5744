"""Forecasts of the baselines for windows of a panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from rekur import baselines
from rekur.baselines import BASELINES, METHODS, REGRESSION
from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex
from rekur.forecasting.baselines.covariate_regression import CovariateRegression
from rekur.forecasting.baselines.wall_clock import WallClock
from rekur.forecasting.config import LEVELS, season_lengths
from rekur.forecasting.selection.past_windows import PastWindows
from rekur.training.deadline import Deadline

MIN_HISTORY = 2048
"""Rows of a series that a baseline reads, unless its seasons need more."""

CHUNK_VALUES = 4_000_000
"""Values of histories that a baseline reads at a time."""


def history_length(seasons: tuple[int, ...]) -> int:
    """Rows of a series that a baseline reads: three of the longest season at least."""
    return max(MIN_HISTORY, 3 * max(seasons) + 1)


def rows_read(panels: Sequence[Panel], season_length: int | None) -> int:
    """Rows of a series of some panels that a baseline reads, at most."""
    seasons = (season_length or 1,)
    return max(history_length(seasons if panel.freq.kind == "integer" else panel.freq.seasons) for panel in panels)


class BaselineForecasts:
    """Forecasts of the baselines for windows of one panel, cached by window.

    Parameters
    ----------
    panel : Panel
        Series that hold the windows.
    seasons : tuple of int
        Season lengths, the main one first.
    horizon : int
        Steps to forecast.
    regression : CovariateRegression, optional
        Covariates as the baseline "regression" reads them; None without any.
    """

    def __init__(
        self, panel: Panel, seasons: tuple[int, ...], horizon: int, regression: CovariateRegression | None = None
    ) -> None:
        self.panel, self.seasons, self.horizon, self.regression = panel, seasons, horizon, regression
        self._rows = int(panel.lengths.max(initial=0)) + 1
        self._computed: dict[str, tuple[Array, Array]] = {}

    @classmethod
    def learned(cls, history: Panel, panel: Panel, seasons: tuple[int, ...], horizon: int) -> BaselineForecasts:
        """Baselines on a panel that have learned what covariates mean from its history."""
        regression = CovariateRegression.of(history, seasons, history_length(seasons))
        return cls(panel, seasons, horizon, regression)

    def with_covariates(self, panel: Panel) -> BaselineForecasts:
        """Baselines on the same series with other covariates; the forecasts of those that read none are kept."""
        other = BaselineForecasts(panel, self.seasons, self.horizon, self.regression)
        other.reuse(self)
        return other

    def reuse(self, other: BaselineForecasts) -> None:
        """Take over the forecasts of the same series, seasons and horizon that read no covariates."""
        self._computed |= {name: each for name, each in other._computed.items() if name != REGRESSION}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the baselines."""
        return baseline_names(self.regression)

    def quantiles(self, name: str, series: Array, stop: Array, future: Array | None = None) -> Array:
        """Quantiles (n, h, Q) of one baseline for windows (series, stop), both (n,), which are not to be changed.

        `future` (n, h', F) holds known covariates of rows beyond the panel; None reads them from the panel.
        """
        wanted = series * self._rows + stop
        known, q = self._computed.get(name, (np.zeros(0, np.int64), np.zeros((0, self.horizon, len(LEVELS)))))
        place = np.searchsorted(known, wanted)
        missing = known.take(place, mode="clip") != wanted if len(known) else np.ones(len(wanted), bool)
        if missing.any():
            windows, first = np.unique(wanted[missing], return_index=True)
            first.sort()  # in the order of the request
            windows = wanted[missing][first]
            pair = windows // self._rows, windows % self._rows
            more = self._forecast(name, *pair, None if future is None else future[missing][first])
            if len(known):
                windows, more = np.concatenate([known, windows]), np.concatenate([q, more])
            if (np.diff(windows) < 0).any():  # else no copy
                order = np.argsort(windows)
                windows, more = windows[order], more[order]
            known, q = self._computed[name] = windows, more
        return q if np.array_equal(known, wanted) else np.asarray(q[np.searchsorted(known, wanted)])

    def _forecast(self, name: str, series: Array, stop: Array, future: Array | None) -> Array:
        """Forecasts (n, h, Q) of one baseline for windows (series, stop).

        With two seasons, smoothing is the mean of two runs, with the main season and with both. Seasons follow the
        clock of the time zone.
        """
        rows, h = int(min(history_length(self.seasons), stop.max(initial=1))), self.horizon
        season, *others = self.seasons
        index, out = WindowIndex(self.panel.offsets, rows, 0, series, stop), np.empty((len(series), h, len(LEVELS)))
        width = 1 if name != REGRESSION else 1 + self._inputs.shape[1]
        for chunk in np.array_split(np.arange(len(series)), max(1, len(series) * rows * width // CHUNK_VALUES)):
            windows = index.take(chunk)
            clock = WallClock.of(self.panel, replace(windows, horizon=h))
            y, steps = windows.gather(self.panel.y), h if clock is None else clock.horizon
            y = y if clock is None else clock.history(y)
            if self.regression is not None and name == REGRESSION:
                ahead = None if future is None else future[chunk]
                x = self.regression.of_windows(self._inputs, replace(windows, horizon=h), ahead)
                x = x if clock is None else clock.covariates(x)
                q = baselines.forecast(name, y, season, steps, LEVELS, others, x, self.regression.prior)
            else:
                q = baselines.forecast(name, y, season, steps, LEVELS)
                if name == "smoothing" and others:
                    q = (q + baselines.forecast(name, y, season, steps, LEVELS, others)) / 2
            out[chunk] = q if clock is None else clock.target(q)
        return out

    @cached_property
    def _inputs(self) -> Array:
        """Inputs of the regression of all rows, (N, K)."""
        assert self.regression is not None
        return self.regression.inputs(self.panel.future)


def baseline_names(regression: CovariateRegression | None) -> tuple[str, ...]:
    """Names of the baselines: "regression" is one of them where there are covariates known for the future."""
    return BASELINES if regression is None else METHODS


def affordable_windows(
    windows: PastWindows, panel: Panel, season_length: int | None, deadline: Deadline
) -> tuple[PastWindows, BaselineForecasts]:
    """As many of the windows, from the last one back, as the baselines forecast in about half of the time left.

    Parameters
    ----------
    windows : PastWindows
        The windows without a time limit.
    panel : Panel
        The complete history.
    season_length : int or None
        Season length, as in `rekur.Forecaster`.
    deadline : Deadline
        End of the backtest.

    Returns
    -------
    PastWindows
        One window at least.
    BaselineForecasts
        Those of the last window.
    """
    last, clock = replace(windows, n_windows=1), Deadline.after(None)
    history = last.history(panel)
    seasons = season_lengths(history, season_length)
    trial = last.of_series(panel, history, seasons[0])
    known = BaselineForecasts.learned(history, panel, seasons, windows.horizon)
    for name in known.names:
        known.quantiles(name, *trial)
    more = int(max(deadline.remaining(), 0.0) / 2 / max(clock.elapsed(), 1e-9))
    return replace(windows, n_windows=min(1 + more, windows.n_windows)), known
