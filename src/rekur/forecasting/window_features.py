"""Window features: scaled values, observation masks, calendar features and covariates of windows, cut into patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rekur.core import Array
from rekur.data.frequency.calendar_features import feature_names, features
from rekur.data.imputation import forward_fill
from rekur.data.ingest.covariates import ExogenousEncoder
from rekur.data.panel import Panel
from rekur.data.scaling import ExpandingStd, WindowScale, WindowScaling
from rekur.data.windows import AllWindows, WindowIndex
from rekur.forecasting.config import ForecastConfig

MAX_WINDOW_WEIGHT = 50.0
"""Largest size of a window in units of the seasonal naive error of its series."""

MAX_VALIDATION_WINDOWS = 2000
MAX_PAST_WINDOWS = 30
"""Past windows of a series that the baselines are compared on, at most."""

HISTORY_SHARE, MIN_PAST_ROWS = 2 / 3, 6
"""Share of a series, and rows, that precede a past window at least."""

VALIDATION_OVERLAP = 12
"""Validation windows of one series that share a step, at most: nearer ones tell little more."""

DAYS_PER_CYCLE = {"year": 730.0, "month": 61.0, "week": 14.0}
"""Days that a panel must span for a calendar feature: two cycles."""


def calendar_columns(panel: Panel) -> list[int]:
    """Indices of the calendar features whose cycle the panel spans at least twice."""
    names = feature_names(panel.freq)
    spans = panel.freq.advance(panel.start, panel.lengths) - panel.start
    days = float(np.max(spans).astype("m8[D]").astype(int)) if names else 0.0
    return [i for i, name in enumerate(names) if days >= DAYS_PER_CYCLE.get(name.split("_")[0], 2.0)]


def actual_values(panel: Panel, series: Array, stop: Array, horizon: int) -> Array:
    """Values (n, h) from rows `stop` of `series` on, NaN where none was observed."""
    return WindowIndex(panel.offsets, 0, horizon, series, stop).gather(panel.y)


def time_blocks(panel: Panel, series: Array, stop: Array, horizon: int) -> Array:
    """Number of the block of time, one horizon long, in which each window (series, stop) begins, (n,).

    The errors of windows in one block are correlated.
    """
    begin, _ = panel.freq.count(panel.start.min(), panel.start)
    return np.asarray((begin[series] + stop) // horizon)


@dataclass(frozen=True)
class CovariateEncoders:
    """Encoders of the known future, past and static covariates of a panel."""

    future: ExogenousEncoder
    past: ExogenousEncoder
    static: ExogenousEncoder

    @classmethod
    def of(cls, panel: Panel) -> CovariateEncoders:
        """Learn the encoders from a panel."""
        return cls(
            ExogenousEncoder.of(panel.future, panel.future_names, panel.labels),
            ExogenousEncoder.of(panel.past, panel.past_names, panel.labels),
            ExogenousEncoder.of(panel.static, panel.static_names, panel.labels),
        )

    def width(self, config: ForecastConfig) -> int:
        """Inputs of a patch other than values, mask and calendar: covariates, and ages with gaps."""
        return (self.future.width + self.past.width + config.has_gaps) * config.patch_length + self.static.width


class WindowFeatures:
    """Features of the windows of a panel: scaled values, cut into patches, with calendar and covariates.

    Parameters
    ----------
    panel : Panel
        Series of one frequency.
    config : ForecastConfig
        Lengths of context, horizon and patch.
    scaling : WindowScaling
        Scaling of the windows.
    columns : list of int
        Indices of the calendar features, from `calendar_columns`.
    encoders : CovariateEncoders
        Encoders of the covariates.
    """

    def __init__(
        self,
        panel: Panel,
        config: ForecastConfig,
        scaling: WindowScaling,
        columns: list[int],
        encoders: CovariateEncoders,
    ) -> None:
        self.panel, self.config, self.scaling, self.columns = panel, config, scaling, columns
        if columns:
            self._compute_calendar(config.patches(config.horizon) * config.patch_length)
        self.encoders = encoders
        self.future, self.past = encoders.future.apply(panel.future), encoders.past.apply(panel.past)  # (N, ·)
        self.static = encoders.static.apply(panel.static)  # (S, ·)
        history = scaling.spread == "history"
        self.history_std = ExpandingStd.of(panel.y, panel.offsets, panel.earlier) if history else None

    def windows(self, series: Array, stop: Array, horizon: int | None = None) -> WindowIndex:
        """Windows whose target begins at rows `stop` of `series`, both (n,)."""
        h = self.config.horizon if horizon is None else horizon
        return WindowIndex(self.panel.offsets, self.config.context_length, h, series, stop)

    def training_windows(self, held_out: int) -> AllWindows:
        """All windows that end before the last `held_out` rows of each series."""
        c = self.config
        return AllWindows.of(self.panel.offsets, c.context_length, c.horizon, c.min_context, held_out)

    def scaled(self, windows: WindowIndex) -> tuple[Array, Array, WindowScale]:
        """Scaled context (n, L) and target (n, h), NaN where missing, and their scale."""
        L = self.config.context_length
        values = windows.gather(self.panel.y).astype(np.float64)
        history = None if self.history_std is None else self.history_std.before(windows.series, windows.stop)
        scale = self.scaling.of(values[:, :L], self.config.season, history)
        values = scale.apply(values)
        return values[:, :L], values[:, L:], scale

    def future_inputs(self, windows: WindowIndex, future: Array | None, horizon: int) -> Array:
        """Encoded known future covariates, (n, L + horizon, K); the last ones are repeated beyond the known rows.

        `future` (n, h, F) holds the covariates of rows beyond the panel; None reads them from the panel.
        """
        L = self.config.context_length
        if not self.future.shape[1]:
            return np.zeros((len(windows), L + horizon, 0), np.float32)
        known = np.nan_to_num(windows.gather(self.future))  # (n, L + h, K), 0 outside the series
        if future is not None:
            known[:, L:] = self.encoders.future.apply(future)
        more = L + horizon - known.shape[1]
        return np.pad(known, ((0, 0), (0, more), (0, 0)), mode="edge")

    def inputs(self, windows: WindowIndex, past: Array, base: Array, future: Array | None) -> Tensor:
        """Patches (n, P, 2·p + K) of windows: values, observation mask and known inputs.

        Parameters
        ----------
        windows : WindowIndex
            The windows.
        past : np.ndarray
            Scaled context, NaN where missing, shape (n, L). A missing value is 0, or, if the panel has gaps, the last
            observed value; then log(1 + age in steps) / 3 is a known input.
        base : np.ndarray
            Base forecast, used in place of the future values, shape (n, h).
        future : np.ndarray, optional
            Known future covariates of rows beyond the panel, shape (n, h, F); None reads them from the panel.
        """
        c, (n, h), p = self.config, base.shape, self.config.patch_length
        past_patches, patches = c.context_length // p, c.context_length // p + c.patches(h)
        x = np.zeros((n, patches, 2 * p + self.width), np.float32)
        observed = np.isfinite(past)
        last, age = forward_fill(past) if c.has_gaps else (np.where(observed, past, 0.0), None)
        ahead = np.pad(base, ((0, 0), (0, c.patches(h) * p - h)), mode="edge")
        x[:, :past_patches, :p], x[:, past_patches:, :p] = last.reshape(n, -1, p), ahead.reshape(n, -1, p)
        x[:, :past_patches, p : 2 * p] = observed.reshape(n, -1, p)
        column = 2 * p
        for part in self._known(windows, age, patches, future):  # (n, patches or fewer, ·)
            x[:, : part.shape[1], column : column + part.shape[2]] = part
            column += part.shape[2]
        return torch.from_numpy(x)

    def _known(self, windows: WindowIndex, age: Array | None, patches: int, future: Array | None) -> Iterator[Array]:
        """Known inputs of the patches, (n, patches, ·), or of those of the context, (n, L / p, ·)."""
        n, p, L = len(windows), self.config.patch_length, self.config.context_length
        if age is not None:
            yield (np.log1p(age) / 3).reshape(n, -1, p)
        if self.columns:
            yield self._calendar_features(windows, np.arange(0, patches * p, p))
        if self.future.shape[1]:
            yield self.future_inputs(windows, future, patches * p - L).reshape(n, patches, -1)
        if self.past.shape[1]:
            known = np.nan_to_num(replace(windows, horizon=0).gather(self.past))  # (n, L, ·)
            yield known.reshape(n, L // p, -1)
        if self.static.shape[1]:
            yield np.repeat(self.static[windows.series][:, None], patches, axis=1)

    def _calendar_features(self, windows: WindowIndex, steps: Array) -> Array:
        """Calendar features (n, P, C) at steps counted from the beginning of each window."""
        ahead = windows.stop - self.panel.lengths[windows.series] + steps[-1] + 1 - self.config.context_length
        if (longest := int(ahead.max(initial=0))) > self.ahead:
            self._compute_calendar(longest)
        return np.asarray(self.calendar[(self.first[windows.series] + windows.stop)[:, None] + steps])

    def _compute_calendar(self, ahead: int) -> None:
        """Compute the calendar features of each time from L steps before a series to `ahead` steps after it, once.

        Times between two series that lie far apart are left out.
        """
        panel, earliest = self.panel, self.panel.start.min()
        begin = panel.freq.count(earliest, panel.start)[0]
        start, stop = begin - self.config.context_length, begin + panel.lengths + ahead
        order = np.argsort(start, kind="stable")
        reach = np.maximum.accumulate(stop[order])
        is_apart = np.append(True, start[order][1:] > reach[:-1])  # of all series that begin earlier
        spans = start[order][is_apart], reach[np.append(is_apart[1:], True)]
        rows = np.cumsum(spans[1] - spans[0])
        shift = np.append(0, rows[:-1]) - spans[0]  # of a step to its row in the calendar
        times = panel.freq.advance(earliest, np.arange(rows[-1]) - np.repeat(shift, spans[1] - spans[0]))
        self.calendar = features(panel.freq, panel.clock(times))[:, self.columns]
        self.first, self.ahead = start.copy(), ahead
        self.first[order] += shift[np.cumsum(is_apart) - 1]

    @property
    def width(self) -> int:
        """Known inputs of a patch, K."""
        return len(self.columns) + self.encoders.width(self.config)


def validation_windows(
    panel: Panel, config: ForecastConfig, limit: int = MAX_VALIDATION_WINDOWS
) -> tuple[Array, Array]:
    """Series and first target row of the windows held out at the end of each series, evenly spread, about `limit`.

    Those of one series are a twelfth of the horizon apart or more.
    """
    span = config.validation_size - config.horizon
    nearest = max(1, config.horizon // VALIDATION_OVERLAP)
    step = int(np.clip(span * len(panel) // limit, nearest, config.horizon))
    back = np.arange(config.horizon, config.validation_size + 1, step)[::-1]
    stop = (panel.lengths[:, None] - back).ravel()
    series = np.repeat(np.arange(len(panel)), len(back))
    keep = np.flatnonzero(stop >= min(config.min_context, config.season + 1))
    keep = keep[:: max(1, len(keep) // limit)]
    return series[keep], stop[keep]


def past_windows(panel: Panel, season: int, horizon: int, limit: int) -> tuple[Array, Array]:
    """Series and first target row of windows that do not overlap, back from the end of each series, about `limit`.

    The history before a window is two thirds of the series at least, so that a method that reads it is as good as on
    the whole series, and no series has more than 30 windows.
    """
    back = horizon * np.arange(MAX_PAST_WINDOWS, 0, -1)
    stop = panel.lengths[:, None] - back
    least = np.maximum(HISTORY_SHARE * panel.lengths, max(MIN_PAST_ROWS, min(horizon, season + 1)))
    valid = stop >= least[:, None]
    rows = np.flatnonzero(valid.any(axis=1))
    rows = rows[:: max(1, -(-int(valid.sum()) // limit))]
    return np.repeat(rows, valid[rows].sum(axis=1)), stop[rows][valid[rows]]


def window_weights(scale: WindowScale, errors: Array) -> Array:
    """Weight of the scaled error of each window, (n,): its size in units of the seasonal naive error of its series."""
    size = scale.size()
    ratio = np.minimum(size / np.where(errors > 0, errors, 1.0), MAX_WINDOW_WEIGHT)
    return np.asarray(np.where(errors > 0, ratio, 0.0))
