"""Forecast ensemble: networks of one or two architectures and baselines, averaged and calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np

from rekur import baselines
from rekur.baselines import BASELINES
from rekur.core import Array, OptionError, nearest
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex
from rekur.forecasting.calibration import adaptive_quantiles, trend_growth
from rekur.forecasting.config import LEVELS
from rekur.forecasting.model import ForecastModel
from rekur.forecasting.model_averaging import ModelAverage, PastForecasts, average_models, calibrated, display_name
from rekur.forecasting.sample_paths import MAX_TEMPLATES, random_walk_template, rank_template
from rekur.forecasting.selection.scores import NAME, SELECTIONS, Evidence, WindowScores
from rekur.forecasting.window_features import actual_values, past_windows, validation_windows
from rekur.kernels.threads import threads
from rekur.metrics import seasonal_scale

MIN_HISTORY = 2048
"""Rows of a series that a baseline reads, unless its seasons need more."""

CHUNK_VALUES = 4_000_000
"""Values of histories that a baseline reads at a time."""

TWO_THREAD_HIDDEN_SIZE = 128
"""Hidden size from which on a second thread pays."""

MAX_DISTANCE = 2.0
"""Distance of the quantiles of a network from the 95 % interval of naive, in units of its width, at most."""

MAX_AVERAGING_WINDOWS = 500
MAX_AVERAGING_ROWS = 1_000_000
"""Past windows that the weights are chosen on, and rows of their histories, at most."""


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
        Networks by architecture; without any the forecast is that of baselines.
    blend : ModelAverage
        Weights and interval factors.
    rank_template : np.ndarray
        Ranks of the held-out errors, shape (W, h), see `rekur.forecasting.sample_paths`.
    selected : str, default "auto"
        Model that forecasts: "blend", the name of a network or baseline, or "auto" until it is chosen on held-out
        windows.
    alone : mapping of str to ModelAverage, optional
        Each network and baseline alone, with calibrated intervals.
    evidence : Evidence, optional
        Reason of the choice of a baseline.
    """

    seasons: tuple[int, ...]
    horizon: int
    networks: dict[str, list[ForecastModel]]
    blend: ModelAverage
    rank_template: Array
    selected: str = "auto"
    alone: Mapping[str, ModelAverage] = field(default_factory=dict)
    evidence: Evidence | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """Networks and baselines that can forecast alone."""
        return (*self.networks, *BASELINES)

    @property
    def average(self) -> ModelAverage:
        """The average in use: that of the members, or one of them alone."""
        if self.selected in ("auto", "blend"):
            return self.blend
        return self.alone.get(self.selected, ModelAverage({self.selected: 1.0}))

    def using(self, select: str) -> Ensemble:
        """The same ensemble with another model in use; "auto" leaves it as it is.

        Raises
        ------
        OptionError
            There is no such model.
        """
        if select == "auto":
            return self
        known = ("auto", *(("blend",) if self.blend.weights else ()), *self.members)
        if select not in known:
            reason = "it was not trained" if select in SELECTIONS else "there is no such model"
            listed = ", ".join(map(repr, known))
            raise OptionError(
                f"select={select!r} cannot be used, as {reason}: choose one of {listed}{nearest(select, known)}"
            )
        return replace(self, selected=select)

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
        members = {name: self.member(name, panel, windows, future, h, known) for name in self.average.weights}
        silent = ~np.all([np.isfinite(q).all(axis=(1, 2)) for q in members.values()], axis=0)
        if silent.any() and "smoothing" not in members:
            members["smoothing"] = np.full((len(series), h, len(LEVELS)), np.nan)
            members["smoothing"][silent] = known.quantiles("smoothing", series[silent], stop[silent])[:, :h]
        mean = self.average.combine(members, LEVELS, self.horizon)
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
        """Quantiles (n, h, Q) of one member: a baseline, or the median of the networks of one architecture, limited."""
        if name in BASELINES:
            return known.quantiles(name, *windows)[:, :horizon]
        with limited_threads(self.networks[name][0]):
            q = [network.quantiles(panel, *windows, future, horizon) for network in self.networks[name]]
        median = q[0] if len(q) == 1 else np.asarray(np.median(q, axis=0))
        return within_limits(median, known.quantiles("naive", *windows)[:, :horizon])

    def next_quantiles(
        self, names: Sequence[str], panel: Panel, future: Array | None, h: int, since: Array
    ) -> list[Array]:
        """Quantiles (S, h, Q) of the steps after each series by each of some models, see `using` and `quantiles`."""
        known, series = BaselineForecasts(panel, self.seasons, max(h, self.horizon)), np.arange(len(panel))
        return [self.using(name).quantiles(panel, series, panel.lengths, future, h, since, known) for name in names]

    def selection_notes(self) -> list[str]:
        """Sentence on the model in use, unless it is the average of networks and baselines."""
        if self.evidence is not None:
            return [self.evidence.note("past windows", "the average" if self.networks else self.blend.describe())]
        if self.selected in ("auto", "blend"):
            return []
        return [f"the forecast is {display_name(self.selected)} alone, as select={self.selected!r}"]

    def note_without_network(self) -> str:
        """Sentence on a forecast by baselines alone."""
        if self.evidence is None and self.selected in BASELINES:
            return f"{self.selection_notes()[0]}: no network is trained"
        reason = "the series are too short to train on"
        return (
            "; ".join([reason, *self.selection_notes()])
            if self.evidence
            else f"{reason}: the forecast is {self.blend.describe()}"
        )

    def averaged(self, panel: Panel, errors: Array) -> Ensemble:
        """The same networks, if any, with weights, intervals and the model in use from past windows of a panel.

        Parameters
        ----------
        panel : Panel
            Series of one frequency.
        errors : np.ndarray
            Unit of the errors of each series, shape (S,).
        """
        limit = min(MAX_AVERAGING_WINDOWS, MAX_AVERAGING_ROWS // history_length(self.seasons))
        known, h, season = BaselineForecasts(panel, self.seasons, self.horizon), self.horizon, self.seasons[0]
        past = self._forecasts(panel, past_windows(panel, season, h, limit), errors, known, BASELINES)
        held_out = None
        if self.networks:
            config = next(iter(self.networks.values()))[0].config
            held_out = self._forecasts(panel, validation_windows(panel, config, limit), errors, known, self.members)
        final, growth = held_out or past, trend_growth(panel.lengths, season, h)
        if not self.networks and not len(final.actual):
            return self
        alone = {name: calibrated({name: 1.0}, final.only([name]), growth) for name in self.members}
        ensemble = replace(self, alone=alone)
        if self.networks or self.selected in ("auto", "blend"):
            ensemble = replace(ensemble, blend=average_models(held_out, past, growth))
        if self.selected == "auto":
            ensemble = ensemble.by_evidence(final)
        template = rank_template(ensemble.average.combine(final.forecasts, LEVELS, h), final.actual)
        return replace(ensemble, rank_template=template if len(template) > 1 else self.rank_template)

    def _forecasts(
        self,
        panel: Panel,
        windows: tuple[Array, Array],
        errors: Array,
        known: BaselineForecasts,
        names: tuple[str, ...],
    ) -> PastForecasts:
        """Forecasts of past windows (series, stop) by members."""
        (series, stop), h = windows, self.horizon
        members = {name: self.member(name, panel, windows, None, h, known) for name in names}
        block = (panel.freq.count(panel.start.min(), panel.start)[0][series] + stop) // h
        return PastForecasts(members, actual_values(panel, series, stop, h), errors[series], block, LEVELS)

    def by_evidence(self, known: PastForecasts) -> Ensemble:
        """The same ensemble with the average in use, or the baseline that past windows show to be better."""
        final = {
            name: average.combine({name: known.forecasts[name]}, LEVELS, self.horizon)
            for name, average in self.alone.items()
        }
        final[NAME] = self.blend.combine(known.forecasts, LEVELS, self.horizon)
        evidence = WindowScores.of(known.actual, final, LEVELS, known.scale, known.blocks).select()
        return replace(self, selected="blend" if evidence is None else evidence.name, evidence=evidence)


def within_limits(q: Array, naive: Array) -> Array:
    """Quantiles (n, h, Q) of a network, no further from the 95 % interval of naive than twice its width.

    A window unlike any in training can make the quantiles of a network explode, above all where it learns logarithms.
    """
    low, high = naive[..., :1], naive[..., -1:]
    width = high - low
    limit = np.where(width > 0, MAX_DISTANCE * width, np.inf)  # NaN and 0 limit nothing
    return np.asarray(np.where(np.isfinite(limit), np.clip(q, low - limit, high + limit), q))


def limited_threads(network: ForecastModel) -> AbstractContextManager[None]:
    """One thread for a small network, which a second thread only slows down."""
    return threads(1 if network.net.embed.out_features < TWO_THREAD_HIDDEN_SIZE else None)


def baseline_ensemble(panel: Panel, seasons: tuple[int, ...], horizon: int, select: str) -> Ensemble:
    """Baselines without any network: their average, the one that past windows show to be better, or a requested one."""
    template = random_walk_template(MAX_TEMPLATES, horizon)
    blend = ModelAverage({"smoothing": 1.0} if select in ("auto", "blend") else {})
    errors = np.nan_to_num(seasonal_scale(panel.y, seasons[0], panel.offsets))
    return Ensemble(seasons, horizon, {}, blend, template, select).averaged(panel, errors)
