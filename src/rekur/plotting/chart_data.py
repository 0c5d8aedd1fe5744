"""Data of a fan chart, for any plotting library: history, median and prediction intervals of one series.

h horizon · Q quantile levels · n rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.metrics import at_level

Interval = tuple[Array, Array, Array]
"""Times, lower and upper limits of a prediction interval, (n,) each."""

INTERVALS = (95, 80)
"""The prediction intervals of a chart in percent, the widest first."""

MAX_CUTOFF_LINES = 12
"""Windows up to which the cutoff of each is marked by a line."""

MIN_HISTORY_ROWS, MAX_HISTORY_ROWS = 30, 2000


@dataclass(frozen=True)
class FanChart:
    """A forecast as a chart shows it.

    Parameters
    ----------
    times, median : Array
        Times and median of the forecast, (h,).
    intervals : dict of int to Interval
        Prediction intervals by percent: (h + 1,) if they open from the last value, (2,) for one step, which is drawn
        as wide as a step.
    connection : pair of Array, optional
        Times (2,) and values (2,) from the last value to the first forecast; None where the last value is missing.
    """

    times: Array
    median: Array
    intervals: dict[int, Interval]
    connection: tuple[Array, Array] | None = None


def series_label(panel: Panel, s: int) -> str:
    """Name of series s; that of the target column where the panel has no names of series."""
    name = panel.ids[s]
    return (panel.columns.target or "y") if name is None else str(name)


def axis_names(panel: Panel) -> tuple[str, str]:
    """Names of the time and the value axis: the user's columns, and the zone of the times."""
    time = str(panel.columns.time) + (f" ({panel.tz})" if panel.tz else "")
    return time, "value" if panel.wide else str(panel.columns.target or "y")


def history_rows(panel: Panel, s: int, horizon: int, season: int | None = None) -> int:
    """Number of rows drawn at the end of series s: four horizons or three seasons, whichever is longer."""
    rows = max(4 * horizon, 3 * (season or panel.freq.season), MIN_HISTORY_ROWS)
    return min(panel.length(s), rows, max(MAX_HISTORY_ROWS, 2 * horizon))


def local_times(panel: Panel, s: int, rows: ArrayLike) -> Array:
    """Times of rows of series s in the zone of the panel; rows may lie beyond the end of the series."""
    return panel.clocks(np.asarray(s), np.asarray(rows))


def history(panel: Panel, s: int, start: int, stop: int) -> tuple[Array, Array]:
    """Times and values of the rows start … stop - 1 of series s; NaN where a value is missing."""
    return local_times(panel, s, np.arange(start, stop)), panel.values(s)[start:stop]


def fan_chart(
    panel: Panel, s: int, stop: int, quantiles: Array, levels: Sequence[float], connect: bool = True
) -> FanChart:
    """Fan chart of the forecast, quantiles (h, Q), of the rows from `stop` on of series s.

    With `connect` it starts at the value before, if that is known. The interval of a single step never does: it would
    be a wedge.
    """
    h = len(quantiles)
    times = local_times(panel, s, stop + np.arange(h))
    median = at_level(quantiles, levels, 0.5)
    last = float(panel.values(s)[stop - 1]) if 0 < stop <= panel.length(s) else float("nan")
    connected = connect and bool(np.isfinite(last) and np.isfinite(median[0]))
    before = local_times(panel, s, [stop - 1])
    x = step_edges(panel, s, stop) if h == 1 else np.concatenate([before, times]) if connected else times
    intervals = {}
    for percent in INTERVALS:
        low, high = (at_level(quantiles, levels, 0.5 + side * percent / 200) for side in (-1, 1))
        if h == 1:
            low, high = np.repeat(low, 2), np.repeat(high, 2)
        elif connected:
            low, high = np.append(last, low), np.append(last, high)
        finite = np.isfinite(low) & np.isfinite(high)
        if finite.sum() > connected:
            intervals[percent] = (x[finite], low[finite], high[finite])
    connection = (np.append(before, times[:1]), np.array([last, median[0]])) if connected else None
    return FanChart(times, median, intervals, connection)


def covers_interval(levels: Sequence[float], percent: int) -> bool:
    """Whether the quantile levels reach as far as a prediction interval."""
    return levels[0] <= 0.5 - percent / 200 + 1e-9 and levels[-1] >= 0.5 + percent / 200 - 1e-9


def step_edges(panel: Panel, s: int, row: int) -> Array:
    """Times half a step before and half a step after a row of series s, (2,)."""
    before, at, after = local_times(panel, s, [row - 1, row, row + 1])
    return np.array([at - (at - before) / 2, at + (after - at) / 2])


def drawn_windows(stops: Array, h: int) -> Array:
    """Positions of the windows (w,) of one series that are drawn: the latest without overlap, that fit the chart."""
    order = np.argsort(stops)[::-1]
    drawn: list[int] = []
    for k in order[stops[order] >= stops.max(initial=0) - MAX_HISTORY_ROWS].tolist():
        if not drawn or stops[k] + h <= stops[drawn[-1]]:
            drawn.append(k)
    return np.array(drawn[::-1], dtype=int)


def window_fans(panel: Panel, s: int, stops: Array, quantiles: Array, levels: Sequence[float]) -> list[FanChart]:
    """Fan charts of the forecasts, quantiles (w, h, Q), of the windows of series s that begin at rows (w,)."""
    return [fan_chart(panel, s, int(stop), q, levels, False) for stop, q in zip(stops, quantiles, strict=True)]


def window_history(panel: Panel, s: int, stops: Array, h: int) -> tuple[Array, Array]:
    """Times and values of series s from two horizons, or 20 rows, before its windows of h steps to their end."""
    first = max(0, int(stops.min()) - max(2 * h, 20))
    return history(panel, s, first, min(int(stops.max()) + h, panel.length(s)))


def cutoffs(panel: Panel, s: int, stops: Array, h: int) -> Array:
    """Times of the last rows before windows of h steps that are marked; none where they are many or single steps."""
    return local_times(panel, s, (stops if h > 1 and len(stops) <= MAX_CUTOFF_LINES else stops[:0]) - 1)


def isolated(y: Array) -> Array:
    """Mask of values without a neighbour, which a line would not show, (n,) bool."""
    finite = np.concatenate([[False], np.isfinite(y), [False]])
    return np.asarray(finite[1:-1] & ~finite[:-2] & ~finite[2:])
