"""Cross-validation on past windows (backtest): forecasts of model and baselines, metrics and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from rekur.core import Array, DataError, OptionError
from rekur.data.ingest.schema import Frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.baselines.window_forecasts import BaselineForecasts, affordable_windows
from rekur.forecasting.config import LEVELS, season_lengths
from rekur.forecasting.forecast import NAME, forecast_columns, index_columns, panel_frame, plural
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.forecasting.selection.past_windows import PastWindows, TooShortError, spread_windows
from rekur.forecasting.selection.scores import WindowScores
from rekur.forecasting.selection.verdict import Verdict, verdict
from rekur.forecasting.window_features import actual_values, time_blocks
from rekur.metrics import at_level, seasonal_scale, summary
from rekur.plotting import windows_figure
from rekur.training.deadline import Deadline
from rekur.training.progress import displayed, phase, stage

MIN_COVERAGE_VALUES = 20
"""Values from which on the verdict judges the coverage of the intervals."""

MAX_LISTED = 10
"""Omitted series that a note names."""


@dataclass(frozen=True)
class Backtest:
    """Forecasts of past windows by rekur and by each baseline, from the same cutoffs.

    Parameters
    ----------
    panel : PanelGroup
        The complete history.
    series, stop : np.ndarray
        Series of each window, counted through all panels, and the row of the series where it begins; shape (W,).
    actual : np.ndarray
        Actual values, NaN where missing, shape (W, h).
    levels : tuple of float
        Quantile levels, Q.
    forecasts : mapping of str to np.ndarray
        Quantiles of each model, shape (W, h, Q).
    scale : np.ndarray
        In-sample seasonal naive error of the series of each window, the unit of MASE, shape (W,).
    n_windows : int
        Windows of each series, at most.
    frame_type : frame, optional
        An empty frame of the type that results take; pandas if None.
    untested : tuple of str, default ()
        Frequencies all of whose series are too short.
    skipped : tuple of (label, str), default ()
        Series too short for the windows, and the reason.
    planned : int, default 0
        Windows of each series without a time limit, if it left fewer.

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": [float(t % 7) for t in range(90)]})
    >>> backtest = rekur.Forecaster(horizon=3).backtest(df, n_windows=2)
    >>> backtest.actual.shape
    (2, 3)
    >>> backtest.frame().columns[:4].tolist()
    ['ds', 'cutoff', 'y', 'rekur']
    """

    panel: PanelGroup
    series: Array
    stop: Array
    actual: Array
    levels: tuple[float, ...]
    forecasts: Mapping[str, Array]
    scale: Array
    n_windows: int
    frame_type: Frame = None
    untested: tuple[str, ...] = ()
    skipped: tuple[tuple[object, str], ...] = ()
    planned: int = 0

    def __repr__(self) -> str:
        return f"Backtest({self._extent()}: {self.verdict()})"

    def _extent(self) -> str:
        """Numbers of series, windows and steps."""
        series, h = len(np.unique(self.series)), self.actual.shape[1]
        return f"{series:,} series × {plural(self.n_windows, 'window')} × {plural(h, 'step')}"

    def _repr_html_(self) -> str:
        """The backtest as a notebook shows it: its extent, the verdict and the metrics of each model."""
        table = pd.DataFrame.from_dict(self.metrics(), orient="index").sort_values("MASE")
        html = table.to_html(border=0, float_format="{:.4g}".format)
        return f"<div><p>Backtest of {self._extent()}</p><p><b>{escape(self.verdict())}</b></p>{html}</div>"

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics of each model over all windows.

        Returns
        -------
        dict of str to dict
            MASE, sMAPE, RMSE, WQL, MSIS80 and coverage80 by model, see `rekur.metrics.summary`.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": [float(t % 7) for t in range(20)]})
        >>> backtest = rekur.Forecaster(horizon=2).backtest(df, n_windows=1)
        >>> list(backtest.metrics()["seasonal_naive"])
        ['MASE', 'sMAPE', 'RMSE', 'WQL', 'MSIS80', 'coverage80']
        """
        return {name: summary(self.actual, q, self.levels, self.scale) for name, q in self.forecasts.items()}

    @property
    def times(self) -> Array:
        """Times of the windows, (W, h), in UTC if there is a zone."""
        return self.panel.times(self.series[:, None], self.steps)

    @property
    def steps(self) -> Array:
        """Rows of the windows within their series, (W, h)."""
        return np.asarray(self.stop[:, None] + np.arange(self.actual.shape[1]))

    def frame(self, level: Sequence[float] | None = None, quantiles: Sequence[float] | None = None) -> Frame:
        """One row a window and step: id, time, cutoff, actual value, rekur and every baseline.

        Parameters
        ----------
        level, quantiles : sequence of float, optional
            Intervals in percent and quantile levels, as in `Forecast.frame`.

        Returns
        -------
        frame
            Of the same type as the input.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": [float(t % 7) for t in range(20)]})
        >>> backtest = rekur.Forecaster(horizon=2).backtest(df, n_windows=1)
        >>> backtest.frame().columns.tolist()
        ['ds', 'cutoff', 'y', 'rekur', 'naive', 'seasonal_naive', 'drift', 'smoothing']
        """
        h = self.actual.shape[1]
        columns = index_columns(self.panel, np.repeat(self.series, h), self.times.ravel())
        columns["cutoff"] = np.repeat(self.panel.times(self.series, self.stop - 1), h)
        target = self.panel.parts[0].columns.target or "y"
        if target in {*columns, *self.forecasts}:
            raise DataError(f"the target has the name {target!r} of a column of the result; rename it")
        columns[target] = self.actual.ravel()
        for model, q in self.forecasts.items():
            for name, values in forecast_columns(q, self.levels, level, quantiles, model).items():
                columns[name] = values.ravel()
        return panel_frame(columns, self.frame_type, self.panel)

    def standard_errors(self) -> dict[str, dict[str, float]]:
        """Standard errors of the mean MASE and MSIS80 of each model, from the spread between the times of the windows.

        Returns
        -------
        dict of str to dict
            By model; infinite for windows of one time. Windows of one time count as one, see
            `rekur.metrics.clustered_mean`.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=40), "y": [float(t % 9) for t in range(40)]})
        >>> backtest = rekur.Forecaster(horizon=2).backtest(df, n_windows=4)
        >>> backtest.standard_errors()["naive"]["MASE"] > 0
        True
        """
        names = ("MASE", "MSIS80")
        return {model: {name: self.scores.mean(name, model).error for name in names} for model in self.forecasts}

    def window_scores(self) -> Frame:
        """Scores of every window, one row a window and model: id, cutoff, model, MASE, MSIS80.

        Returns
        -------
        frame
            Of the same type as the input; NaN where a window has no value, or its series no scale.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=40), "y": [float(t % 9) for t in range(40)]})
        >>> scores = rekur.Forecaster(horizon=2).backtest(df, n_windows=4).window_scores()
        >>> scores.columns.tolist(), len(scores)
        (['cutoff', 'model', 'MASE', 'MSIS80'], 20)
        """
        models = list(self.forecasts)
        series, stop = np.repeat(self.series, len(models)), np.repeat(self.stop, len(models))
        columns = index_columns(self.panel, series, self.panel.times(series, stop - 1))
        columns["cutoff"] = columns.pop(self.panel.parts[0].columns.time)
        columns["model"] = np.array(models * len(self.series), dtype=object)
        for metric in ("MASE", "MSIS80"):
            columns[metric] = np.stack([self.scores.values[metric][model] for model in models], axis=1).ravel()
        return panel_frame(columns, self.frame_type, self.panel)

    @cached_property
    def scores(self) -> WindowScores:
        """Scores of each window, as arrays."""
        return WindowScores.of(self.actual, self.forecasts, self.levels, self.scale, self.clusters)

    @property
    def clusters(self) -> Array:
        """Number of the block of time of each window, (W,), one horizon long, within which errors are correlated."""
        h, parts = self.actual.shape[1], len(self.panel.parts)
        blocks = np.empty(len(self.series), np.int64)
        for k, part in enumerate(self.panel.parts):
            inside = np.flatnonzero((self.series >= self.panel.first[k]) & (self.series < self.panel.first[k + 1]))
            block = time_blocks(part, self.series[inside] - self.panel.first[k], self.stop[inside], h)
            blocks[inside] = block * parts + k
        return blocks

    def of_part(self, k: int) -> Backtest | None:
        """The windows of the panel of one frequency; None if its series are too short."""
        if len(self.panel.parts) == 1:
            return self
        chosen = np.flatnonzero((self.series >= self.panel.first[k]) & (self.series < self.panel.first[k + 1]))
        if not len(chosen):
            return None
        return replace(
            self,
            panel=PanelGroup((self.panel.parts[k],)),
            series=self.series[chosen] - self.panel.first[k],
            stop=self.stop[chosen],
            actual=self.actual[chosen],
            forecasts={name: q[chosen] for name, q in self.forecasts.items()},
            scale=self.scale[chosen],
        )

    def plot(self, series: object = None, engine: str = "plotly") -> Any:
        """Draw the actual values of one series and the forecasts of rekur on its past windows, as `Forecast.plot` does.

        Of windows that overlap the latest ones are drawn.

        Parameters
        ----------
        series : label, optional
            Label of a series; the first one with a window if None.
        engine : {"plotly", "matplotlib"}, default "plotly"
            Library that draws; matplotlib is installed apart.

        Returns
        -------
        plotly.graph_objects.Figure or matplotlib.figure.Figure

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": [float(t % 7) for t in range(20)]})
        >>> type(rekur.Forecaster(horizon=2, select="naive").backtest(df, n_windows=3).plot()).__name__
        'Figure'
        """
        tested = self.panel.ids[np.unique(self.series)].tolist()
        if series is not None and series not in tested:
            raise OptionError(f"there is no series {series!r} in the backtest; the first one is {tested[0]!r}")
        s = int(self.series.min()) if series is None else int(np.flatnonzero(self.panel.ids == series)[0])
        windows = np.flatnonzero(self.series == s)
        return windows_figure(
            *self.panel.locate(s), self.stop[windows], self.forecasts[NAME][windows], self.levels, engine
        )

    def verdict(self, used: str | None = None) -> str:
        """One sentence: rekur against seasonal naive and the best baseline, with the spread of the windows.

        A difference within the noise of the windows (a t test at 5 %, clustered by time) is "too close to call", or, if
        it is large, "cannot be told apart". A baseline is recommended by its mean pinball loss, see
        `rekur.forecasting.selection.scores.WindowScores.select`.

        Parameters
        ----------
        used : str, optional
            The model that forecasts the future, for the end of the sentence: a baseline, or "blend" for any other.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": [float(t % 7) for t in range(20)]})
        >>> backtest = rekur.Forecaster(horizon=2).backtest(df, n_windows=3)
        >>> backtest.verdict()
        'rekur and seasonal naive cannot be told apart (MASE 1.69 ± 0.69 vs 0.00) over 3 windows'
        """
        return self.outcome(used).text

    def outcome(self, used: str | None = None) -> Verdict:
        """The verdict with its kind: rekur beats the best baseline, is close to it or behind."""
        counted = np.isfinite(self.actual).sum() >= MIN_COVERAGE_VALUES
        coverage = self.metrics()[NAME]["coverage80"] if counted else np.nan
        result = verdict(self.scores, self.n_windows, self._itself(), used, coverage)
        untested = f" (too short to be tested: {', '.join(self.untested)})" if self.untested else ""
        return replace(result, text=f"{result.text}{untested}")

    def _itself(self) -> str | None:
        """The baseline whose medians are those of rekur in all windows."""
        medians = {name: at_level(q, self.levels, 0.5) for name, q in self.forecasts.items()}
        same = (name for name in medians if name != NAME and np.allclose(medians[name], medians[NAME], 1e-9, 0.0, True))
        return next(same, None)

    def notes(self) -> list[str]:
        """Sentences on the windows that a time limit left out, and on the series that are too short for the rest."""
        notes = []
        if self.planned:
            windows = f"{self.n_windows} window" + "s" * (self.n_windows > 1)
            notes.append(f"the time limit left time for {windows} of the backtest instead of {self.planned}")
        if self.skipped:
            labels = ", ".join(repr(label) for label, _ in self.skipped[:MAX_LISTED])
            more = len(self.skipped) - MAX_LISTED
            rest = f" and {more} more" if more > 0 else ""
            count = len(self.skipped)
            notes.append(f"{count} series are too short for the windows and left out of the test: {labels}{rest}")
        return notes


def cross_validate(
    forecaster: PanelForecaster,
    panels: Panel | PanelGroup,
    *,
    n_windows: int | None = None,
    step_size: int | None = None,
    refit: bool | int = False,
    time_limit: float | None = None,
    progress: bool | None = None,
) -> Backtest:
    """Forecast past windows by a copy of a forecaster and by every baseline.

    Parameters
    ----------
    forecaster : PanelForecaster
        Its parameters are used; it is not changed and need not be fitted.
    panels : Panel or PanelGroup
        The complete history. A copy is trained for each frequency.
    n_windows : int, optional
        Windows of each series; the last one ends with the series. None: windows spread over the past, see
        `spread_windows`.
    step_size : int, optional
        Rows between windows; the horizon if None.
    refit : bool or int, default False
        Train on the rows before the first window only (False), before every window (True), or before every k-th one.
    time_limit : float, optional
        Seconds that the backtest may take, but for the forecasts of its windows by the networks. Where the baselines
        would take more than half of it, there are fewer windows, unless their number is given.
    progress : bool, optional
        Whether to show a bar; if None, on a terminal or in a notebook.

    Returns
    -------
    Backtest
        Series too short for the windows are listed in `Backtest.skipped`.

    Raises
    ------
    DataError
        No series is long enough.
    OptionError
        `step_size` without `n_windows`.

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> from rekur.data.panel import read_panel
    >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": [float(t % 7) for t in range(90)]})
    >>> cross_validate(rekur.Forecaster(horizon=3), read_panel(df), n_windows=2).stop.tolist()
    [84, 87]
    """
    group = PanelGroup.of(panels)
    h, deadline, count = forecaster.horizon, Deadline.after(time_limit), len(group.parts)
    if n_windows is None and step_size is not None:
        raise OptionError(f"step_size={step_size} needs n_windows: the windows are spread over the past without it")
    tests: dict[int, Backtest] = {}
    for k, panel in enumerate(group.parts):
        share = deadline.portion(1 / (count - k))
        if n_windows is None:
            windows = spread_windows(panel, h, bool(refit))
        else:
            windows = PastWindows(h, n_windows, h if step_size is None else step_size)
        try:
            planned, known = windows.n_windows, None
            if n_windows is None and share.limit is not None:
                windows, known = affordable_windows(windows, panel, forecaster.season_length, share)
            with displayed(progress), phase(f"series at {panel.freq.name}" * (count > 1), 1 / (count - k)):
                tests[k] = _backtest_panel(forecaster, panel, windows, int(refit), share, progress, known)
            if windows.n_windows < planned:
                tests[k] = replace(tests[k], planned=planned)
        except TooShortError:
            if k == len(group.parts) - 1 and not tests:
                raise
    return join_backtests(group, tests)


def _backtest_panel(
    forecaster: PanelForecaster,
    panel: Panel,
    windows: PastWindows,
    refit: int,
    deadline: Deadline,
    progress: bool | None,
    known: BaselineForecasts | None,
) -> Backtest:
    """Backtest of a panel of one frequency, refitted before every `refit`-th window, or fitted once if 0.

    Forecasts of the baselines that are `known` are used again.
    """
    history, h = windows.history(panel), windows.horizon
    fitted = forecaster.unfitted()
    seasons = season_lengths(history, forecaster.season_length)
    series, stop = windows.of_series(panel, history, seasons[0])
    timed, known = known, BaselineForecasts.learned(history, panel, seasons, h)
    if timed is not None and timed.seasons == seasons:
        known.reuse(timed)
    stage("baselines of the windows")
    for name in known.names:
        known.quantiles(name, series, stop)  # stored for the forecaster and for the result
    q = np.empty((len(series), h, len(LEVELS)))
    number = np.arange(len(series)) % windows.n_windows
    step = refit or windows.n_windows
    for first in range(0, windows.n_windows, step):
        past, share = windows.history(panel, first), step / (windows.n_windows - first)
        with phase(f"window {first + 1} of {windows.n_windows}" * bool(refit), min(1.0, share)):
            fitted.fit_panel(past, seasons, deadline.portion(share), progress)
        stage("forecasts of the windows")
        chosen = (number >= first) & (number < first + step)
        pair = series[chosen], stop[chosen]
        q[chosen] = fitted.ensemble_.quantiles(panel, *pair, since=past.lengths, known_baselines=known)
    short = panel.ids[~windows.long_enough(history, seasons[0])]
    skipped = tuple((label, f"too short for {windows.n_windows} windows of {h} steps") for label in short)
    return backtest_of(q, (series, stop), known, history, windows.n_windows, skipped)


def backtest_of(
    q: Array,
    windows: tuple[Array, Array],
    known: BaselineForecasts,
    history: Panel,
    n_windows: int,
    skipped: tuple[tuple[object, str], ...],
) -> Backtest:
    """Quantiles (W, h, Q) of windows (series, stop) beside those of the baselines; the history gives the scale."""
    (series, stop), panel = windows, known.panel
    return Backtest(
        PanelGroup((panel,)),
        series,
        stop,
        actual_values(panel, series, stop, known.horizon),
        LEVELS,
        {NAME: q, **{name: known.quantiles(name, series, stop) for name in known.names}},
        np.nan_to_num(seasonal_scale(history.y, known.seasons[0], history.offsets))[series],
        n_windows,
        skipped=skipped,
    )


def join_backtests(group: PanelGroup, tests: Mapping[int, Backtest]) -> Backtest:
    """The backtests of the parts of a group, by the number of the part, as one; parts without one are listed in it."""
    parts = list(tests.values())
    if len(group.parts) == 1:
        return parts[0]
    untested = [part for k, part in enumerate(group.parts) if k not in tests]
    reason = f"too short for windows of {parts[0].actual.shape[1]} steps"
    skipped = [pair for test in parts for pair in test.skipped]
    skipped += [(label, reason) for part in untested for label in part.ids]
    return replace(
        parts[0],
        panel=group,
        series=np.concatenate([test.series + group.first[k] for k, test in tests.items()]),
        stop=np.concatenate([test.stop for test in parts]),
        actual=np.concatenate([test.actual for test in parts]),
        forecasts={name: np.concatenate([test.forecasts[name] for test in parts]) for name in parts[0].forecasts},
        scale=np.concatenate([test.scale for test in parts]),
        n_windows=max(test.n_windows for test in parts),
        untested=tuple(part.freq.name for part in untested),
        skipped=tuple(skipped),
        planned=max(test.planned for test in parts),
    )
