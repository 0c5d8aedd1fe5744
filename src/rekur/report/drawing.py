"""Descriptions of charts as JSON for the script of the page: lines and bands over shared grids of times.

n points · h horizon
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from rekur.core import Array
from rekur.data.panel import Panel
from rekur.plotting.chart_data import axis_names

Json: TypeAlias = dict[str, Any]
"""A JSON object: a chart, or a part of one."""

RESOLUTION = 1e-6
"""Share of the range of a series to which the numbers of its forecast are rounded."""

CHART_RESOLUTION = 1e-4
"""Share of the range of a series to which the values of lines are rounded."""

DIGITS = 9
"""Significant digits of numbers without a range."""


@dataclass
class Canvas:
    """Axes and grids of points that the charts of a page share.

    Parameters
    ----------
    axes : list of dict
        Names of the axes, and the unit of times ("D", "m", "s" or "ms") if the points are times.
    grids : list
        Points: {"start", "step", "count"} where they are regular, a list otherwise.
    """

    axes: list[Json] = field(default_factory=list)
    grids: list[Json | list[float]] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)
    _times: dict[int, Json] = field(default_factory=dict)

    def chart(self, axis: Json, x: Array, lines: Sequence[Json], bands: Sequence[Json] = (), **options: Any) -> Json:
        """A chart over the points x (n,), numbers or times."""
        chart: Json = {"axis": self._place(self.axes, axis), "x": self._place(self.grids, grid(x))}
        return {**chart, "lines": list(lines), "bands": list(bands), "marks": [], **options}

    def time_axis(self, panel: Panel) -> Json:
        """Names of the axes of the charts of a panel, see `time_axis`; computed once."""
        if id(panel) not in self._times:
            self._times[id(panel)] = time_axis(panel)
        return self._times[id(panel)]

    def _place(self, items: list[Any], item: Json | list[float]) -> int:
        """Number of an item, which is added if it is new."""
        key = json.dumps(item)
        if key not in self._places:
            self._places[key] = len(items)
            items.append(item)
        return self._places[key]


def seconds(times: Array) -> Array:
    """Times as numbers: seconds since 1970 of datetimes, integers as they are."""
    if times.dtype.kind != "M":
        return times
    micro = times.astype("M8[us]").astype(np.int64)
    whole = micro // 1_000_000
    return whole if (whole * 1_000_000 == micro).all() else micro / 1e6


def grid(x: Array) -> Json | list[float]:
    """Points (n,) as JSON: start, step and count if they are regular and whole, a list otherwise."""
    values = seconds(np.asarray(x))
    steps = np.diff(values)
    if values.dtype.kind == "i" and len(values) > 2 and (steps == steps[0]).all():
        return {"start": int(values[0]), "step": int(steps[0]), "count": len(values)}
    listed: list[float] = values.tolist()
    return listed


def time_axis(panel: Panel) -> Json:
    """Names of the axes of the charts of a panel, and the coarsest unit that is exact for its times."""
    time, value = (name if len(name) <= 40 else name[:39] + "…" for name in axis_names(panel))
    if panel.freq.kind == "integer":
        return {"x": time, "y": value, "unit": "", "whole": True}
    rows = np.stack([np.zeros_like(panel.lengths), np.ones_like(panel.lengths), panel.lengths], axis=1)
    times = panel.clocks(np.arange(len(panel))[:, None], rows)
    exact = (unit for unit in ("D", "m", "s") if (times.astype(f"M8[{unit}]") == times).all())
    return {"x": time, "y": value, "unit": next(exact, "ms")}


def rounded(values: ArrayLike, span: float = 0.0, resolution: float = CHART_RESOLUTION) -> list[float | None]:
    """Values as JSON, rounded to a share of a span, or to nine digits without one; None where one is missing."""
    y = np.asarray(values, float)
    if np.isfinite(span) and span > 0:
        y = np.round(y, max(0, int(np.ceil(-np.log10(span * resolution)))))
        return [float(v) if np.isfinite(v) else None for v in y]
    return [float(f"{v:.{DIGITS}g}") if np.isfinite(v) else None for v in y]


def span_of(*values: Array) -> float:
    """Range of all finite values."""
    y = np.concatenate([np.ravel(each) for each in values])
    y = y[np.isfinite(y)]
    return float(np.ptp(y)) if len(y) else 0.0


def line(name: str, color: str, values: object, start: int = 0, **options: Any) -> Json:
    """A line whose first value belongs to the point `start`; without a name the pointer does not show it."""
    return {"name": name, "color": color, "values": values, "from": start, **options}


def band(percent: int, low: object, high: object, start: int = 0, **options: Any) -> Json:
    """A prediction interval whose first limits belong to the point `start`."""
    return {"percent": percent, "color": f"band{percent}", "low": low, "high": high, "from": start, **options}
