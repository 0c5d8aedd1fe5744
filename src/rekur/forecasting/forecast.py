"""What a forecast is: quantiles for every series and step, as a frame of the kind that came in, or as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rekur.core import Array, OptionError, positive
from rekur.data.ingest.to_frame import to_frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup, locate, parts_of
from rekur.forecasting.sample_paths import draw
from rekur.metrics.forecast import at_level
from rekur.plotting import figure

NAME = "rekur"


@dataclass(frozen=True)
class Forecast:
    """Quantile forecasts of the steps that follow a table.

    table: the history · levels (Q,) rising quantile levels · values (S, h, Q) · like: the user's frame, whose kind
    the result takes · dependence (W, h): the ranks of the errors held out, for sample paths; of several
    tables, those of each.
    """

    table: Panel | PanelGroup
    levels: tuple[float, ...]
    values: Array
    like: Any = None
    dependence: Array | tuple[Array | None, ...] | None = None

    def paths(self, samples: int = 1000, seed: int = 0) -> Array:
        """Whole trajectories drawn from the forecast, (S, samples, h).

        Their steps hang together as the errors did on the windows held out, so that sums, maxima and the like over the
        horizon have honest distributions, which the quantiles of single steps do not give.

        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> rekur.Forecaster(horizon=3).fit(df).forecast().paths(samples=50).shape
        (1, 50, 3)
        """
        positive("samples", samples)
        h = self.values.shape[1]
        parts = self.dependence if isinstance(self.dependence, tuple) else (self.dependence,)
        learned = min(0 if part is None else part.shape[1] for part in parts)
        if h > learned:
            raise OptionError(f"paths of {h} steps cannot be drawn: the horizon that was learned is {learned}")
        values = np.split(self.values, np.cumsum([len(part) for part in parts_of(self.table)])[:-1])
        pairs = zip(values, parts, strict=True)
        return np.concatenate([draw(q, self.levels, part, samples, seed) for q, part in pairs if part is not None])

    @property
    def times(self) -> Array:
        """The times forecast, (S, h), in UTC where there is a zone."""
        steps = self.table.lengths[:, None] + np.arange(self.values.shape[1])
        return self.table.at(np.arange(len(self.table))[:, None], steps)

    def frame(self, level: Sequence[float] | None = None, quantiles: Sequence[float] | None = None) -> Any:
        """One row for each series and step: id, time, the median `rekur` and the intervals or quantiles asked for.

        `level=[80]` adds rekur-lo-80 and rekur-hi-80, `quantiles=[0.1]` adds rekur_ql0.1.
        """
        h = self.values.shape[1]
        ids, times = self.table.columns.id or "unique_id", self.table.columns.time
        columns: dict[str, Any] = {}
        if self.table.columns.id is not None or self.table.wide:
            columns[ids] = np.repeat(self.table.ids, h)
        columns[times] = self.times.ravel()
        for name, values in spread(self.values, self.levels, level, quantiles, NAME).items():
            columns[name] = values.ravel()
        return to_frame(columns, kind(self.like), self.table.tz)

    def sample_frame(self, samples: int, seed: int = 0) -> Any:
        """One row for each series, path and step: id, time, the number of the path `sample`, and its value `rekur`."""
        paths = self.paths(samples, seed)
        S, n, h = paths.shape
        columns: dict[str, Any] = {}
        if self.table.columns.id is not None or self.table.wide:
            columns[self.table.columns.id or "unique_id"] = np.repeat(self.table.ids, n * h)
        columns[self.table.columns.time] = np.repeat(self.times[:, None], n, axis=1).ravel()
        columns["sample"] = np.tile(np.repeat(np.arange(n), h), S)
        columns[NAME] = paths.ravel()
        return to_frame(columns, kind(self.like), self.table.tz)

    def plot(self, series: Any = None, engine: str = "plotly") -> Any:
        """Draw the end of the history, the forecast and its 80 and 95 % bands.

        Parameters
        ----------
        series : label of a series; the first one if None
        engine : "plotly" or "matplotlib" (extra `rekur[plot]`)

        Returns
        -------
        a figure of that library
        """
        s = 0 if series is None else self.row(series)
        return figure(*locate(self.table, s), self.values[s], self.levels, engine)

    def row(self, series: Any) -> int:
        """The number of the series with this label."""
        found = np.flatnonzero(self.table.ids == series)
        if not len(found):
            raise OptionError(f"there is no series {series!r}; the first one is {self.table.ids[0]!r}")
        return int(found[0])


def kind(like: Any) -> Any:
    """The user's frame, or an empty pandas one where there is none."""
    import pandas as pd

    return pd.DataFrame() if like is None else like


def spread(
    values: Array,
    levels: Sequence[float],
    level: Sequence[float] | None,
    quantiles: Sequence[float] | None,
    name: str,
) -> dict[str, Array]:
    """Name the columns that were asked for: values (..., Q) of rising levels (Q,) → (...) each."""
    columns = {name: at_level(values, levels, 0.5)}
    level, quantiles = ([v] if isinstance(v, (int, float)) else v for v in (level, quantiles))
    for percent in level or ():
        if not 0 < percent < 100:
            raise OptionError(f"level must lie between 0 and 100, got {percent!r}")
        for side, tail in (("lo", 0.5 - percent / 200), ("hi", 0.5 + percent / 200)):
            columns[f"{name}-{side}-{percent:g}"] = within(values, levels, tail, f"level={percent:g}")
    for q in quantiles or ():
        if not 0 < q < 1:
            raise OptionError(f"quantiles must lie between 0 and 1, got {q!r}")
        columns[f"{name}_ql{q:g}"] = within(values, levels, q, f"quantile {q:g}")
    return columns


def within(values: Array, levels: Sequence[float], q: float, asked: str) -> Array:
    """One quantile; refused beyond the outermost that the model has learned."""
    if not levels[0] - 1e-9 <= q <= levels[-1] + 1e-9:
        widest = 100 * (1 - 2 * levels[0])
        raise OptionError(f"{asked} lies beyond what was learned: ask for a level of at most {widest:g}")
    return at_level(values, levels, q)
