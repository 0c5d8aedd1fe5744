"""What is drawn of a series, for any engine: its history, and a forecast as a median with bands.

S series · h horizon · Q quantile levels · n rows drawn
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.metrics.forecast import at_level

Band = tuple[Array, Array, Array]

BANDS = (95, 80)
"""The intervals drawn, in percent, the widest first."""

FEWEST, MOST = 30, 2000  # rows of history drawn, where there are so many


@dataclass(frozen=True)
class Fan:
    """A forecast to be drawn.

    x, median (h,) · bands: percent → (x, lower, upper), (h + 1,) if they open from the last value, (2,) for
    one step, which is drawn as wide as a step · join: the last value and the first forecast, x (2,) and y (2,),
    or None where the last value is missing.
    """

    x: Array
    median: Array
    bands: dict[int, Band]
    join: tuple[Array, Array] | None = None


def label(table: Panel, s: int) -> str:
    """The name of series s; a table without names gives that of its target."""
    name = table.ids[s]
    return (table.columns.target or "y") if name is None else str(name)


def axis_names(table: Panel) -> tuple[str, str]:
    """The names of the time and the value axis: the user's columns, and the zone of the times."""
    time = str(table.columns.time) + (f" ({table.tz})" if table.tz else "")
    return time, "value" if table.wide else str(table.columns.target or "y")


def look_back(table: Panel, s: int, horizon: int, season: int | None = None) -> int:
    """How many rows at the end of series s are drawn: four horizons or three seasons, whichever is longer."""
    wanted = max(4 * horizon, 3 * (season or table.freq.season), FEWEST)
    return min(table.length(s), wanted, max(MOST, 2 * horizon))


def clock(table: Panel, s: int, rows: Any) -> Array:
    """The times of some rows of series s as clocks in its zone show them; rows may lie beyond its end."""
    return table.clocks(np.asarray(s), np.asarray(rows))


def history(table: Panel, s: int, first: int, stop: int) -> tuple[Array, Array]:
    """Times and values of the rows first … stop - 1 of series s, NaN where a value is missing."""
    return clock(table, s, np.arange(first, stop)), table.values(s)[first:stop]


def fan(table: Panel, s: int, stop: int, quantiles: Array, levels: Sequence[float], join: bool = True) -> Fan:
    """Prepare the forecast, quantiles (h, Q), of the rows from `stop` on of series s.

    With `join` it starts at the value before, if that was seen. The band of a single step never does: it would
    be a wedge.
    """
    h = len(quantiles)
    x = clock(table, s, stop + np.arange(h))
    median = at_level(quantiles, levels, 0.5)
    last = float(table.values(s)[stop - 1]) if 0 < stop <= table.length(s) else float("nan")
    joined = join and np.isfinite(last) and np.isfinite(median[0])
    before = clock(table, s, [stop - 1])
    place = sides(table, s, stop) if h == 1 else np.concatenate([before, x]) if joined else x
    bands = {}
    for percent in BANDS:
        low, high = (at_level(quantiles, levels, 0.5 + side * percent / 200) for side in (-1, 1))
        if h == 1:
            low, high = np.repeat(low, 2), np.repeat(high, 2)
        elif joined:
            low, high = np.append(last, low), np.append(last, high)
        seen = np.isfinite(low) & np.isfinite(high)
        if seen.sum() > joined:
            bands[percent] = (place[seen], low[seen], high[seen])
    line = (np.append(before, x[:1]), np.array([last, median[0]])) if joined else None
    return Fan(x, median, bands, line)


def covered(levels: Sequence[float], percent: int) -> bool:
    """Whether the levels reach as far as an interval."""
    return levels[0] <= 0.5 - percent / 200 + 1e-9 and levels[-1] >= 0.5 + percent / 200 - 1e-9


def sides(table: Panel, s: int, k: int) -> Array:
    """The times half a step before and half a step after row k of series s, (2,)."""
    before, at, after = clock(table, s, [k - 1, k, k + 1])
    return np.array([at - (at - before) / 2, at + (after - at) / 2])


def alone(y: Array) -> Array:
    """Where a value has no neighbour and a line would not show it, (n,) bool."""
    seen = np.concatenate([[False], np.isfinite(y), [False]])
    return np.asarray(seen[1:-1] & ~seen[:-2] & ~seen[2:])
