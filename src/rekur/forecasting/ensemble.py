"""Forecast ensemble: networks of one or two architectures and baselines, averaged and calibrated."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from rekur import baselines
from rekur.core import Array
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex
from rekur.forecasting.calibration import adaptive_quantiles
from rekur.forecasting.config import LEVELS
from rekur.forecasting.model import ForecastModel
from rekur.forecasting.model_averaging import AVERAGED_BASELINES, ModelAverage, average_models
from rekur.forecasting.sample_paths import MAX_TEMPLATES, random_walk_template, rank_template
from rekur.forecasting.window_features import actual_values, validation_windows
from rekur.kernels.threads import threads

MIN_HISTORY = 2048
"""Rows of a series that a baseline reads, unless its seasons need more."""

CHUNK_VALUES = 4_000_000
"""Values of histories that a baseline reads at a time."""

TWO_THREAD_HIDDEN_SIZE = 128
"""Hidden size from which on a second thread pays."""

MAX_AVERAGING_WINDOWS = 500
MAX_AVERAGING_ROWS = 1_000_000
"""Held-out windows that the weights are chosen on, and rows of their histories, at most."""


def history_length(seasons: tuple[int, ...]) -> int:
    """Rows of a series that a baseline reads: three of the longest season at least."""
    return max(MIN_HISTORY, 3 * max(seasons) + 1)


def baseline_quantiles(
    name: str,
    panel: Panel,
    windows: tuple[Array, Array],
    seasons: tuple[int, ...],
    horizon: int,
    levels: tuple[float, ...],
) -> Array:
    """Forecasts (n, h, Q) of one baseline for windows (series, stop).

    With two seasons, smoothing is the mean of two runs, with the main season and with both.
    """
    series, stop = windows
    rows = int(min(history_length(seasons), stop.max(initial=1)))
    index, out = WindowIndex(panel.offsets, rows, 0, series, stop), []
    for chunk in np.array_split(np.arange(len(series)), max(1, len(series) * rows // CHUNK_VALUES)):
        y = index.take(chunk).gather(panel.y)
        q = baselines.forecast(name, y, seasons[0], horizon, levels)
        if name == "smoothing" and len(seasons) > 1:
            q = (q + baselines.forecast(name, y, seasons[0], horizon, levels, seasons[1:])) / 2
        out.append(q)
    return np.concatenate(out)


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
    """

    def __init__(self, panel: Panel, seasons: tuple[int, ...], horizon: int) -> None:
        self.panel, self.seasons, self.horizon = panel, seasons, horizon
        self._rows = int(panel.lengths.max(initial=0)) + 1
        self._computed: dict[str, tuple[Array, Array]] = {}

    def quantiles(self, name: str, series: Array, stop: Array) -> Array:
        """Quantiles (n, h, Q) of one baseline for windows (series, stop), both (n,)."""
        wanted = series * self._rows + stop
        known, q = self._computed.get(name, (np.zeros(0, np.int64), np.zeros((0, self.horizon, len(LEVELS)))))
        missing = ~np.isin(wanted, known)
        if missing.any():
            windows, first = np.unique(wanted[missing], return_index=True)
            first.sort()  # in the order of the request
            windows = wanted[missing][first]
            pair = windows // self._rows, windows % self._rows
            more = baseline_quantiles(name, self.panel, pair, self.seasons, self.horizon, LEVELS)
            known, q = np.concatenate([known, windows]), np.concatenate([q, more])
            order = np.argsort(known)
            known, q = known[order], q[order]
            self._computed[name] = known, q
        return np.asarray(q[np.searchsorted(known, wanted)])


@dataclass
class Ensemble:
    """Networks, their average with the baselines, and the dependence between steps of the horizon.

    Parameters
    ----------
    seasons : tuple of int
        Season lengths in steps, the main one first.
    horizon : int
        Steps that were learned.
    networks : dict of str to list of ForecastModel
        Networks by architecture; without any the forecast is that of smoothing.
    blend : ModelAverage
        Weights and interval factors.
    rank_template : np.ndarray
        Ranks of the held-out errors, shape (W, h), see `rekur.forecasting.sample_paths`.
    """

    seasons: tuple[int, ...]
    horizon: int
    networks: dict[str, list[ForecastModel]]
    blend: ModelAverage
    rank_template: Array

    def quantiles(
        self,
        panel: Panel,
        series: Array,
        stop: Array,
        future: Array | None = None,
        horizon: int | None = None,
        since: Array | None = None,
        known_baselines: BaselineForecasts | None = None,
    ) -> Array:
        """Quantile forecasts of windows.

        Parameters
        ----------
        panel : Panel
            Series that hold the windows.
        series, stop : np.ndarray
            Series and first target row of each window, shape (n,).
        future : np.ndarray, optional
            Known future covariates of the targets, shape (n, h, F); None for the covariates of the panel.
        horizon : int, optional
            Steps to forecast; those learned if None.
        since : np.ndarray, optional
            First row of each series that training has not seen, shape (S,): intervals adapt to the errors made since;
            None: they stay as calibrated.
        known_baselines : BaselineForecasts, optional
            Forecasts of the baselines to reuse, of the same values and the learned horizon.

        Returns
        -------
        np.ndarray
            Quantiles, shape (n, h, Q).
        """
        h = self.horizon if horizon is None else horizon

        def averaged(series: Array, stop: Array, future: Array | None = None) -> Array:
            known = known_baselines or BaselineForecasts(panel, self.seasons, max(h, self.horizon))
            return self._averaged(panel, known, series, stop, future, h)

        if since is None:
            return averaged(series, stop, future)
        predicted = None if future is None else averaged(series, stop, future)
        return adaptive_quantiles(averaged, predicted, panel, (series, stop), since, (h, self.horizon))

    def _averaged(
        self, panel: Panel, known: BaselineForecasts, series: Array, stop: Array, future: Array | None, h: int
    ) -> Array:
        """Average of the members; those without a weight are not run."""
        windows = series, stop
        members = {name: self.member(name, panel, windows, future, h, known) for name in self.blend.weights}
        silent = ~np.all([np.isfinite(q).all(axis=(1, 2)) for q in members.values()], axis=0)
        if silent.any() and "smoothing" not in members:
            members["smoothing"] = np.full((len(series), h, len(LEVELS)), np.nan)
            members["smoothing"][silent] = known.quantiles("smoothing", series[silent], stop[silent])[:, :h]
        mean = self.blend.combine(members, LEVELS, self.horizon)
        return np.maximum(mean, 0.0) if self._counts else mean

    @property
    def _counts(self) -> bool:
        """Whether the networks model counts, which are never negative."""
        group = next(iter(self.networks.values()), None)
        return group is not None and group[0].architecture.likelihood == "negative_binomial"

    def member(
        self,
        name: str,
        panel: Panel,
        windows: tuple[Array, Array],
        future: Array | None,
        horizon: int,
        known: BaselineForecasts,
    ) -> Array:
        """Quantiles (n, h, Q) of one member: a baseline, or the median of the networks of one architecture."""
        if name in AVERAGED_BASELINES:
            return known.quantiles(name, *windows)[:, :horizon]
        with limited_threads(self.networks[name][0]):
            q = [network.quantiles(panel, *windows, future, horizon) for network in self.networks[name]]
        return q[0] if len(q) == 1 else np.asarray(np.median(q, axis=0))

    def averaged(self, panel: Panel, errors: Array) -> Ensemble:
        """The same networks, with weights chosen on the held-out windows of a panel, in units of the errors (S,)."""
        config = next(iter(self.networks.values()))[0].config
        limit = min(MAX_AVERAGING_WINDOWS, MAX_AVERAGING_ROWS // history_length(self.seasons))
        windows, h = validation_windows(panel, config, limit), self.horizon
        known = BaselineForecasts(panel, self.seasons, h)
        names = (*self.networks, *AVERAGED_BASELINES)
        members = {name: self.member(name, panel, windows, None, h, known) for name in names}
        block = (panel.freq.count(panel.start.min(), panel.start)[0][windows[0]] + windows[1]) // h
        counts = len(np.unique(np.stack([windows[0], block]), axis=1).T), len(np.unique(block))
        y = actual_values(panel, *windows, h)
        blend = average_models(members, y, errors[windows[0]], counts, LEVELS, block)
        template = rank_template(blend.combine(members, LEVELS, h), y)
        return replace(self, blend=blend, rank_template=template if len(template) > 1 else self.rank_template)


def limited_threads(network: ForecastModel) -> AbstractContextManager[None]:
    """One thread for a small network, which a second thread only slows down."""
    return threads(1 if network.net.embed.out_features < TWO_THREAD_HIDDEN_SIZE else None)


def smoothing_ensemble(seasons: tuple[int, ...], horizon: int) -> Ensemble:
    """Smoothing without any network."""
    template = random_walk_template(MAX_TEMPLATES, horizon)
    return Ensemble(seasons, horizon, {}, ModelAverage({"smoothing": 1.0}), template)
