"""Forecast ensemble: networks of one or two architectures and baselines, averaged and calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np

from rekur.baselines import METHODS, REGRESSION
from rekur.core import Array, OptionError, nearest
from rekur.data.panel import Panel
from rekur.forecasting.baselines.covariate_regression import CovariateRegression
from rekur.forecasting.baselines.window_forecasts import BaselineForecasts, baseline_names, history_length
from rekur.forecasting.calibration import adaptive_quantiles, trend_growth
from rekur.forecasting.config import LEVELS, ForecastConfig
from rekur.forecasting.model import ForecastModel
from rekur.forecasting.model_averaging import (
    AVERAGED_BASELINES,
    ModelAverage,
    PastForecasts,
    average_models,
    calibrated,
    display_name,
)
from rekur.forecasting.sample_paths import MAX_TEMPLATES, random_walk_template, rank_template, whole_numbers
from rekur.forecasting.selection.scores import NAME, SELECTIONS, Evidence, WindowScores
from rekur.forecasting.window_features import (
    HISTORY_SHARE,
    actual_values,
    past_windows,
    time_blocks,
    validation_windows,
)
from rekur.kernels.threads import threads
from rekur.metrics import seasonal_scale
from rekur.training.deadline import Deadline

CHUNK_SERIES = 2048
"""Series whose next steps are forecast at a time."""

TWO_THREAD_HIDDEN_SIZE = 128
"""Hidden size from which on a second thread pays."""

MAX_DISTANCE = 2.0
"""Distance of the quantiles of a network from the 95 % interval of naive, in units of its width, at most."""

MAX_AVERAGING_WINDOWS = 500
MAX_AVERAGING_ROWS = 1_000_000
TRIAL_WINDOWS = 4
"""Past windows that the weights are chosen on, and rows of their histories, at most; windows to time."""


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
        Networks by architecture; without any the forecast is that of the baselines.
    blend : ModelAverage
        Weights and interval factors.
    rank_template : np.ndarray
        Ranks of the held-out errors, shape (W, h), see `rekur.forecasting.sample_paths`.
    selected : str, default "auto"
        Model that forecasts: "blend", the name of a network or baseline, or "auto" until it is chosen on held-out
        windows.
    alone : dict of str to ModelAverage, optional
        Each network and baseline alone, with calibrated intervals.
    evidence : Evidence, optional
        Reason of the choice of a baseline.
    regression : CovariateRegression, optional
        Covariates as the baseline "regression" reads them; None without covariates known for the future.
    """

    seasons: tuple[int, ...]
    horizon: int
    networks: dict[str, list[ForecastModel]]
    blend: ModelAverage
    rank_template: Array
    selected: str = "auto"
    alone: dict[str, ModelAverage] = field(default_factory=dict)
    evidence: Evidence | None = None
    regression: CovariateRegression | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """Networks and baselines that can forecast alone."""
        return (*self.networks, *baseline_names(self.regression))

    @property
    def history_rows(self) -> int:
        """Rows at the end of a series that a forecast reads, at most."""
        contexts = [network.config.context_length for group in self.networks.values() for network in group]
        return max([*contexts, history_length(self.seasons)])

    def unread_covariates(self, panel: Panel) -> tuple[str, ...]:
        """Covariates of a panel that the model in use does not read: networks read all, the regression future ones."""
        if set(self.average.weights) & set(self.networks):
            return ()
        known = () if REGRESSION in self.average.weights else panel.future_names
        return (*known, *panel.past_names, *panel.static_names)

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
        return replace(self, selected=select, evidence=None)

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
            known = known_baselines or self.baselines(panel, max(h, self.horizon))
            steps = max(h, self.horizon) if self.average.smooth else h  # smoothed along all that was learned
            return self._averaged(panel, known, series, stop, future, steps)[:, :h]

        if since is None:
            return self._rounded(averaged(series, stop, future))
        predicted = None if future is None else averaged(series, stop, future)
        q = adaptive_quantiles(averaged, predicted, panel, (series, stop), since, (h, self.horizon))
        return self._rounded(q)

    def baselines(self, panel: Panel, horizon: int) -> BaselineForecasts:
        """The baselines on a panel."""
        return BaselineForecasts(panel, self.seasons, horizon, self.regression)

    def _rounded(self, q: Array) -> Array:
        """Quantiles (n, h, Q) of counts as whole numbers: those of the rounded values of the average."""
        return whole_numbers(q) if self.counts else q

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
        return self.average.combine(members, LEVELS, self.horizon)

    @property
    def counts(self) -> bool:
        """Whether the networks model counts, whole numbers that are never negative."""
        group = next(iter(self.networks.values()), None)
        return group is not None and group[0].architecture.likelihood == "negative_binomial"

    def notes(self, likelihood: str) -> list[str]:
        """Notes on the weights, and on the output distribution that was chosen where the `likelihood` is "auto"."""
        notes = []
        if likelihood == "auto" and self.counts:
            learned = "the networks learn a negative binomial distribution, and the"
            learned = learned if set(self.average.weights) & set(self.networks) else "the"
            notes.append(f"the values are counts, many of them 0: {learned} forecasts are rounded to whole numbers")
        notes.append(f"ensemble weights from the validation windows: {self.blend.describe()}")
        return [*notes, *self.selection_notes()]

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
        if name in METHODS:
            return known.quantiles(name, *windows, future)[:, :horizon]
        with limited_threads(self.networks[name][0]):
            q = [network.quantiles(panel, *windows, future, horizon) for network in self.networks[name]]
        median = q[0] if len(q) == 1 else np.asarray(np.median(q, axis=0))
        return within_limits(median, known.quantiles("naive", *windows)[:, :horizon])

    def next_quantiles(
        self, names: Sequence[str], panel: Panel, future: Array | None, h: int, since: Array
    ) -> list[Array]:
        """Quantiles (S, h, Q) of the steps after each series by each of some models, see `using` and `quantiles`."""
        models, out = [self.using(name) for name in names], np.empty((len(names), len(panel), h, len(LEVELS)))
        for first in range(0, len(panel), CHUNK_SERIES):
            chunk = slice(first, min(first + CHUNK_SERIES, len(panel)))
            part, ahead = panel.part(chunk.start, chunk.stop), None if future is None else future[chunk]
            known, series = self.baselines(part, max(h, self.horizon)), np.arange(len(part))
            for model, q in zip(models, out, strict=True):
                q[chunk] = model.quantiles(part, series, part.lengths, ahead, h, since[chunk], known)
        return list(out)

    def selection_notes(self) -> list[str]:
        """Sentence on the model in use, unless it is the average of networks and baselines."""
        if self.evidence is not None:
            return [self.evidence.note()]
        if self.selected in ("auto", "blend"):
            return []
        return [f"the forecast is {display_name(self.selected)} alone, as select={self.selected!r}"]

    def note_without_network(self) -> str:
        """Sentence on a forecast by baselines alone."""
        if self.evidence is None and self.selected in METHODS:
            return f"{self.selection_notes()[0]}: no network is trained"
        reason = "the series are too short to train on"
        return "; ".join([f"{reason}: the average is {self.blend.describe()}", *self.selection_notes()])

    def averaged(self, panel: Panel, errors: Array, deadline: Deadline) -> Ensemble:
        """The same networks; weights, intervals and the model in use from past windows, in units of the errors (S,).

        Under a time limit there are fewer windows where all would take more than half of the time that remains.
        """
        judged = self._with_regression(panel.cut(np.ceil(HISTORY_SHARE * panel.lengths).astype(int)))
        return judged._averaged_on(panel, errors, deadline)._with_regression(panel)

    def _with_regression(self, panel: Panel) -> Ensemble:
        """The same ensemble with the regression on covariates learned from a panel."""
        rows = history_length(self.seasons)
        return replace(self, regression=CovariateRegression.of(panel, self.seasons, rows))

    def _averaged_on(self, panel: Panel, errors: Array, deadline: Deadline) -> Ensemble:
        """Weights, intervals and the model in use from past windows of a panel."""
        limit = min(MAX_AVERAGING_WINDOWS, MAX_AVERAGING_ROWS // history_length(self.seasons))
        known, h = self.baselines(panel, self.horizon), self.horizon
        if deadline.limit is not None:
            limit = self._affordable_windows(panel, errors, known, limit, deadline.portion(0.5))
        windows = past_windows(panel, self.seasons[0], h, limit)
        past = self._forecasts(panel, windows, errors, known, known.names) if len(windows[0]) else None
        held_out = None
        if self.networks:
            windows = validation_windows(panel, self._config, limit)
            held_out = self._forecasts(panel, windows, errors, known, self.members)
        growth = trend_growth(panel.lengths, self.seasons[0], h)
        has_covariates = bool(panel.future_names)
        may_smooth = not has_covariates  # whose values differ from step to step
        names = (*self.networks, *AVERAGED_BASELINES)
        averaged, compared = (None if each is None else each.of_members(names) for each in (held_out, past))
        ensemble = replace(self, blend=average_models(averaged, compared, growth, may_smooth, has_covariates), alone={})
        final = past if held_out is None else held_out
        if final is None:
            return replace(ensemble, selected="blend" if self.selected == "auto" else self.selected)
        windows_of = {name: past if name in METHODS and past is not None else final for name in final.forecasts}
        alone = {name: calibrated({name: 1.0}, each, growth, may_smooth) for name, each in windows_of.items()}
        ensemble = replace(ensemble, alone=alone)._selected(final)
        template = rank_template(ensemble.average.combine(final.forecasts, LEVELS, h), final.actual)
        return replace(ensemble, rank_template=template if len(template) > 1 else self.rank_template)

    @property
    def _config(self) -> ForecastConfig:
        """Configuration of the first network."""
        return next(iter(self.networks.values()))[0].config

    def _affordable_windows(
        self, panel: Panel, errors: Array, known: BaselineForecasts, limit: int, deadline: Deadline
    ) -> int:
        """Held-out windows, and past windows, that can be forecast until the deadline: those of a trial or more."""
        count, clock = min(limit, TRIAL_WINDOWS), Deadline.after(None)
        few = validation_windows(panel, self._config, count)
        self._forecasts(panel, few, errors, known, self.members)
        affordable = int(0.5 * len(few[0]) * deadline.remaining() / max(clock.elapsed(), 1e-9))
        return min(limit, max(affordable, count))

    def _selected(self, past: PastForecasts) -> Ensemble:
        """The same ensemble; if the model in use is still to be chosen, the baseline that past windows show better."""
        if self.selected != "auto":
            return self
        final = {name: self.alone[name].combine({name: q}, LEVELS, self.horizon) for name, q in past.forecasts.items()}
        final[NAME] = self.blend.combine(past.forecasts, LEVELS, self.horizon)
        evidence = WindowScores.of(past.actual, final, LEVELS, past.scale, past.blocks).select()
        if evidence is not None and self.networks:
            evidence = replace(evidence, windows="held-out windows")
        return replace(self, selected="blend" if evidence is None else evidence.name, evidence=evidence)

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
        blocks = time_blocks(panel, series, stop, h)
        return PastForecasts(members, actual_values(panel, series, stop, h), errors[series], blocks, LEVELS)


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
    """Baselines without any network: their average, the one that past windows show to be better, or a named one."""
    template = random_walk_template(MAX_TEMPLATES, horizon)
    errors = np.nan_to_num(seasonal_scale(panel.y, seasons[0], panel.offsets))
    ensemble = Ensemble(seasons, horizon, {}, ModelAverage({"smoothing": 1.0}), template, select)
    ensemble = ensemble.averaged(panel, errors, Deadline.after(None))
    return replace(ensemble, blend=ModelAverage({})) if select in METHODS else ensemble
