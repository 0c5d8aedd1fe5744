"""A table as a network sees it: windows become patches of scaled values, masks and known inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rekur.core import Array
from rekur.data.frequency.calendar_features import feature_names, features
from rekur.data.imputation import carried
from rekur.data.ingest.covariates import ExogenousEncoder
from rekur.data.panel import Panel
from rekur.data.scaling import ExpandingStd, WindowScale, WindowScaling
from rekur.data.windows import AllWindows, WindowIndex
from rekur.forecasting.config import ForecastConfig

HEAVIEST = 50.0  # most that a window may count compared with the error of seasonal naive


def calendar_columns(table: Panel) -> list[int]:
    """Which calendar features the table can teach: those of cycles it has seen at least twice."""
    names = feature_names(table.freq)
    spans = table.freq.advance(table.start, table.lengths) - table.start
    days = float(np.max(spans).astype("m8[D]").astype(int)) if names else 0.0
    need = {"year": 730.0, "month": 61.0, "week": 14.0}
    return [i for i, name in enumerate(names) if days >= need.get(name.split("_")[0], 2.0)]


@dataclass(frozen=True)
class CovariateEncoders:
    """How the covariates of a table become inputs: those of the future, of the past and of whole series."""

    future: ExogenousEncoder
    past: ExogenousEncoder
    static: ExogenousEncoder

    @classmethod
    def of(cls, table: Panel) -> CovariateEncoders:
        """Learn from a table."""
        return cls(
            ExogenousEncoder.of(table.future, table.future_names, table.labels),
            ExogenousEncoder.of(table.past, table.past_names, table.labels),
            ExogenousEncoder.of(table.static, table.static_names, table.labels),
        )

    def width(self, recipe: ForecastConfig) -> int:
        """How many inputs a patch has beside values, mask and calendar: covariates, and ages where there are gaps."""
        return (self.future.width + self.past.width + recipe.gaps) * recipe.patch + self.static.width


class WindowFeatures:
    """A table, and how windows of it are read for a design: scaled, cut into patches, weighed."""

    def __init__(
        self, table: Panel, recipe: ForecastConfig, scaling: WindowScaling, columns: list[int], known: CovariateEncoders
    ) -> None:
        self.table, self.recipe, self.scaling, self.columns = table, recipe, scaling, columns
        self.first = np.zeros(len(table), np.int64)
        self.calendar = np.zeros((0, len(columns)), np.float32)  # from L steps before the earliest row on
        if columns:
            self.first = table.freq.count(table.start.min(), table.start)[0]
            self._reach(recipe.past + int((self.first + table.lengths).max()))
        self.known = known
        self.future, self.past = known.future.apply(table.future), known.past.apply(table.past)  # (N, ·)
        self.static = known.static.apply(table.static)  # (S, ·)
        self.spread = ExpandingStd.of(table.y, table.offsets) if scaling.spread == "history" else None

    def windows(self, series: Array, stop: Array, horizon: int | None = None) -> WindowIndex:
        """Windows of this table that end before the given rows."""
        h = self.recipe.horizon if horizon is None else horizon
        return WindowIndex(self.table.offsets, self.recipe.past, h, series, stop)

    def every(self, held: int) -> AllWindows:
        """The windows to train on: all that end before the last `held` rows of each series."""
        r = self.recipe
        return AllWindows.of(self.table.offsets, r.past, r.horizon, r.first, held)

    def scaled(self, windows: WindowIndex) -> tuple[Array, Array, WindowScale]:
        """Scaled past (n, L) and target (n, h), NaN where nothing was seen, and their scale."""
        L = self.recipe.past
        values = windows.gather(self.table.y).astype(np.float64)
        history = None if self.spread is None else self.spread.before(windows.series, windows.stop)
        scale = self.scaling.of(values[:, :L], self.recipe.season, history)
        values = scale.apply(values)
        return values[:, :L], values[:, L:], scale

    def ahead(self, windows: WindowIndex, future: Array | None, horizon: int) -> Array:
        """Inputs from known future covariates, (n, L + horizon, K), the last ones repeated beyond what is known.

        `future` (n, h, F) holds the covariates of rows beyond the table; None reads them from it.
        """
        if not self.future.shape[1]:
            return np.zeros((len(windows), self.recipe.past + horizon, 0), np.float32)
        known = np.nan_to_num(windows.gather(self.future))  # (n, L + h, K), 0 outside the series
        if future is not None:
            known[:, self.recipe.past :] = self.known.future.apply(future)
        more = self.recipe.past + horizon - known.shape[1]
        return np.pad(known, ((0, 0), (0, more), (0, 0)), mode="edge")

    def inputs(self, windows: WindowIndex, past: Array, base: Array, future: Array | None) -> Tensor:
        """Patches (n, P, 2·p + K): values with a base forecast (n, h) as future, observed, known inputs.

        Where there are gaps a missing value is the last one seen, and log(1 + its age in steps) / 3 is a known input.
        `future` (n, h, F) holds known future covariates, for rows beyond the table; None reads them from it.
        """
        r, (n, h) = self.recipe, base.shape
        pad = r.patches(h) * r.patch - h
        seen = np.isfinite(past)
        last, age = carried(past) if r.gaps else (np.where(seen, past, 0.0), None)
        values = np.concatenate([last, base, np.repeat(base[:, -1:], pad, axis=1)], axis=1)
        observed = np.concatenate([seen, np.zeros((n, h + pad))], axis=1)
        parts = [values.reshape(n, -1, r.patch), observed.reshape(n, -1, r.patch)]
        if age is not None:
            parts.append(np.pad(np.log1p(age) / 3, ((0, 0), (0, h + pad))).reshape(n, -1, r.patch))
        if self.columns:
            parts.append(self._calendar(windows, np.arange(0, values.shape[1], r.patch)))
        patches = values.shape[1] // r.patch
        if self.future.shape[1]:
            parts.append(self.ahead(windows, future, h + pad).reshape(n, patches, -1))
        if self.past.shape[1]:
            known = np.nan_to_num(replace(windows, horizon=0).gather(self.past))  # (n, L, ·)
            known = np.pad(known, ((0, 0), (0, h + pad), (0, 0)))
            parts.append(known.reshape(n, patches, -1))
        if self.static.shape[1]:
            parts.append(np.repeat(self.static[windows.series][:, None], patches, axis=1))
        return torch.from_numpy(np.concatenate(parts, axis=2).astype(np.float32))

    def _calendar(self, windows: WindowIndex, steps: Array) -> Array:
        """Calendar features (n, P, C) at steps counted from the beginning of each window."""
        at = (self.first[windows.series] + windows.stop)[:, None] + steps
        self._reach(int(at.max()) + 1)
        return np.asarray(self.calendar[at])

    def _reach(self, rows: int) -> None:
        """Make the calendar so many rows long, if it is shorter."""
        steps = np.arange(len(self.calendar), rows) - self.recipe.past
        if len(steps):
            freq, begin = self.table.freq, self.table.start.min()
            more = features(freq, self.table.clock(freq.advance(begin, steps)))[:, self.columns]
            self.calendar = np.concatenate([self.calendar, more])

    @property
    def width(self) -> int:
        """K, the known inputs of a patch."""
        return len(self.columns) + self.known.width(self.recipe)


def held_out(table: Panel, recipe: ForecastConfig, most: int = 2000) -> tuple[Array, Array]:
    """Series and stops of the windows held out at the end of each series, evenly spread, at most about `most`."""
    span = recipe.held - recipe.horizon
    step = int(np.clip(span * len(table) // most, 1, recipe.horizon))
    back = np.arange(recipe.horizon, recipe.held + 1, step)[::-1]
    stop = (table.lengths[:, None] - back).ravel()
    series = np.repeat(np.arange(len(table)), len(back))
    keep = np.flatnonzero(stop >= min(recipe.first, recipe.season + 1))
    keep = keep[:: max(1, len(keep) // most)]
    return series[keep], stop[keep]


def importance(scale: WindowScale, errors: Array) -> Array:
    """How much a scaled error of a window counts, (n,): its size in units of the series' seasonal naive error."""
    size = scale.size()
    return np.asarray(np.where(errors > 0, np.minimum(size / np.where(errors > 0, errors, 1.0), HEAVIEST), 0.0))
