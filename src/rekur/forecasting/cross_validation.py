"""Cross-validation on past windows (backtest): forecasts of model and baselines, metrics and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rekur.baselines import BASELINES, describe
from rekur.core import Array, DataError, OptionError
from rekur.data.ingest.schema import Frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.config import LEVELS, MIN_OBSERVATIONS, season_lengths
from rekur.forecasting.ensemble import BaselineForecasts
from rekur.forecasting.forecast import NAME, forecast_columns, index_columns, panel_frame
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.forecasting.window_features import actual_values
from rekur.metrics import seasonal_scale, summary
from rekur.training.deadline import Deadline

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
        Windows of each series.
    frame_type : frame, optional
        An empty frame of the type that results take; pandas if None.
    untested : tuple of str, default ()
        Frequencies all of whose series are too short.
    skipped : tuple of (label, str), default ()
        Series too short for the windows, and the reason.

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

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics of each model over all windows.

        Returns
        -------
        dict of str to dict
            MASE, sMAPE, RMSE, WQL and coverage80 by model, see `rekur.metrics.summary`.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": [float(t % 7) for t in range(20)]})
        >>> backtest = rekur.Forecaster(horizon=2).backtest(df, n_windows=1)
        >>> list(backtest.metrics()["seasonal_naive"])
        ['MASE', 'sMAPE', 'RMSE', 'WQL', 'coverage80']
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

    def verdict(self) -> str:
        """One sentence: whether rekur beats seasonal naive and the best baseline, and the model to use.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": [float(t % 7) for t in range(20)]})
        >>> backtest = rekur.Forecaster(horizon=2).backtest(df, n_windows=1)
        >>> backtest.verdict().endswith("use seasonal naive")
        True
        """
        untested = f" (too short to be tested: {', '.join(self.untested)})" if self.untested else ""
        return f"{self._verdict()}{untested}"

    def _verdict(self) -> str:
        scores = {name: values["MASE"] for name, values in self.metrics().items()}
        where = f"on {self.n_windows} window{'s' if self.n_windows > 1 else ''}"
        score, naive = scores[NAME], scores["seasonal_naive"]
        if not np.isfinite(score):
            return f"no verdict: the actual values of the test are constant or missing {where}"
        best = min((name for name in scores if name != NAME), key=lambda name: scores[name])
        if score <= scores[best]:
            text = f"rekur beats {describe('seasonal_naive')} by {gain(score, naive)} (MASE {score:.2f} vs {naive:.2f})"
            if best != "seasonal_naive":
                text += f" and the best baseline, {describe(best)}, by {gain(score, scores[best])} ({scores[best]:.2f})"
            return f"{text} {where}"
        text = f"rekur does not beat {describe(best)} (MASE {score:.2f} vs {scores[best]:.2f}) {where}"
        if best != "seasonal_naive":
            relation = f"better than {describe('seasonal_naive')} by {gain(score, naive)}"
            text += f", though it is {relation}" if score < naive else ""
        return f"{text}; use {describe(best)}"

    def skipped_note(self) -> str:
        """Sentence on the series that are too short for the windows; empty without such series."""
        if not self.skipped:
            return ""
        labels = ", ".join(repr(label) for label, _ in self.skipped[:MAX_LISTED])
        more = len(self.skipped) - MAX_LISTED
        rest = f" and {more} more" if more > 0 else ""
        return f"{len(self.skipped)} series are too short for the windows and left out of the test: {labels}{rest}"


def gain(score: float, other: float) -> str:
    """Share by which a score is smaller than another, in percent."""
    return f"{100 * (1 - score / other):.0f} %" if other > 0 else "0 %"


class TooShortError(DataError):
    """No series holds the windows of a backtest."""


@dataclass(frozen=True)
class PastWindows:
    """The last windows of every series, `step_size` rows apart.

    Parameters
    ----------
    horizon : int
        Rows of a window.
    n_windows : int
        Windows of each series.
    step_size : int
        Rows between the beginnings of two windows.

    Examples
    --------
    >>> PastWindows(horizon=7, n_windows=3, step_size=7).starts.tolist()
    [21, 14, 7]
    """

    horizon: int
    n_windows: int
    step_size: int

    def __post_init__(self) -> None:
        for name in ("n_windows", "step_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(f"{name} must be a whole number above zero, got {value!r}")

    @property
    def starts(self) -> Array:
        """Rows between the beginning of each window and the end of its series, (n_windows,), the first window first."""
        return np.asarray(self.horizon + self.step_size * np.arange(self.n_windows - 1, -1, -1))

    def history(self, panel: Panel, window: int = 0) -> Panel:
        """The rows before a window of each series."""
        return panel.cut(np.maximum(panel.lengths - self.starts[window], 0))

    def long_enough(self, history: Panel, season: int) -> Array:
        """Mask (S,) of the series with enough rows and values before the first window."""
        least = max(MIN_OBSERVATIONS, min(self.horizon, season + 1))
        return np.asarray((history.lengths >= least) & (history.seen >= MIN_OBSERVATIONS))

    def of_series(self, panel: Panel, history: Panel, season: int) -> tuple[Array, Array]:
        """Series and first row of the windows of the series that are long enough, shapes (W,).

        Raises
        ------
        TooShortError
            No series is long enough.
        """
        rows = np.flatnonzero(self.long_enough(history, season))
        if not len(rows):
            raise TooShortError(
                f"no series is long enough for {self.n_windows} windows of {self.horizon} steps: the longest has "
                f"{int(panel.lengths.max())} rows; use fewer windows or a shorter horizon"
            )
        stop = (panel.lengths[rows][:, None] - self.starts).ravel()
        return np.repeat(rows, self.n_windows), stop


def cross_validate(
    forecaster: PanelForecaster,
    panels: Panel | PanelGroup,
    *,
    n_windows: int = 3,
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
    n_windows : int, default 3
        Windows of each series; the last one ends with the series.
    step_size : int, optional
        Rows between windows; the horizon if None.
    refit : bool or int, default False
        Train on the rows before the first window only (False), before every window (True), or before every k-th one.
    time_limit : float, optional
        Seconds that the backtest may take, but for the forecasts of its windows by the networks.
    progress : bool, optional
        Whether to show a bar; if None, on a terminal.

    Returns
    -------
    Backtest
        Series too short for the windows are listed in `Backtest.skipped`.

    Raises
    ------
    DataError
        No series is long enough.

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> from rekur.data.panel import read_panel
    >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": [float(t % 7) for t in range(90)]})
    >>> cross_validate(rekur.Forecaster(horizon=3), read_panel(df), n_windows=2).stop.tolist()
    [84, 87]
    """
    group = PanelGroup.of(panels)
    windows = PastWindows(forecaster.horizon, n_windows, forecaster.horizon if step_size is None else step_size)
    deadline, count = Deadline.after(time_limit), len(group.parts)
    tests: dict[int, Backtest] = {}
    for k, panel in enumerate(group.parts):
        try:
            tests[k] = _backtest_panel(
                forecaster, panel, windows, int(refit), deadline.portion(1 / (count - k)), progress
            )
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
) -> Backtest:
    """Backtest of a panel of one frequency, refitted before every `refit`-th window, or fitted once if 0."""
    history, h = windows.history(panel), windows.horizon
    fitted = forecaster.unfitted()
    seasons = season_lengths(history, forecaster.season_length)
    series, stop = windows.of_series(panel, history, seasons[0])
    known = BaselineForecasts(panel, seasons, h)
    baselines = {name: known.quantiles(name, series, stop) for name in BASELINES}
    q = np.empty((len(series), h, len(LEVELS)))
    number = np.arange(len(series)) % windows.n_windows
    step = refit or windows.n_windows
    for first in range(0, windows.n_windows, step):
        past = windows.history(panel, first)
        fits = -(-(windows.n_windows - first) // step)
        fitted.fit_panel(past, seasons, deadline.portion(1 / fits), progress)
        chosen = (number >= first) & (number < first + step)
        q[chosen] = fitted.ensemble_.quantiles(
            panel, series[chosen], stop[chosen], since=past.lengths, known_baselines=known
        )
    forecasts = {NAME: q, **baselines}
    scale = np.nan_to_num(seasonal_scale(history.y, seasons[0], history.offsets))[series]
    short = panel.ids[~windows.long_enough(history, seasons[0])]
    return Backtest(
        PanelGroup((panel,)),
        series,
        stop,
        actual_values(panel, series, stop, h),
        LEVELS,
        forecasts,
        scale,
        windows.n_windows,
        skipped=tuple((label, f"too short for {windows.n_windows} windows of {h} steps") for label in short),
    )


def join_backtests(group: PanelGroup, tests: Mapping[int, Backtest]) -> Backtest:
    """The backtests of the parts of a group, by the number of the part, as one; parts without one are listed in it."""
    parts = list(tests.values())
    if len(group.parts) == 1:
        return parts[0]
    untested = [part for k, part in enumerate(group.parts) if k not in tests]
    reason = f"too short for {parts[0].n_windows} windows of {parts[0].actual.shape[1]} steps"
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
        untested=tuple(part.freq.name for part in untested),
        skipped=tuple(skipped),
    )
