"""Values that are probably mistakes: numbers far from all others or in place of a missing value, zeros at the end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import format_time
from rekur.data.ingest.parsing import plural
from rekur.data.windows import portions

if TYPE_CHECKING:
    from rekur.data.panel import Panel

__all__ = ["doubtful_value_notes"]

MIN_VALUES = 20  # of a series that is looked at
FAR = 50.0  # distance from the median, in interquartile ranges, beyond which a value is far
ALONE = 10.0  # times as far from the median as any value that is not far, and as large unless of another sign
MAX_FAR = 3  # values of a series that may be far
SENTINEL = re.compile(r"-?9{2,}(\.9+)?")  # as -999 or 9999
MIN_ZEROS = 3  # at the end of a series without others
NEAR_ZERO = 0.1  # share of the median below which a value before the zeros is near them
ROWS_AT_A_TIME = 1_000_000
MIN_DEVIATION = 3.0  # in standard deviations, of the value furthest from the mean, below which none is far


def doubtful_value_notes(panel: Panel, row_of: Callable[[int, int], str]) -> list[str]:
    """Return notes on values that are probably mistakes, one for each kind.

    row_of: series and row -> name of the row in the table.

    >>> import pandas as pd
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": range(30), "y": [*range(20, 49), 99999]}))
    >>> doubtful_value_notes(panel, lambda s, row: f"row {row + 2}")
    ['99999 at 29 (row 31) is far from all other values (20 to 48): mend it, or leave it empty, if it is wrong']
    """
    far, sentinels, zeros = [], [], []
    for s in _candidates(panel).tolist():
        y = panel.values(s)
        known = np.flatnonzero(np.isfinite(y))
        values = y[known]
        if len(at := _sentinels(values)):
            sentinels.append((s, known[at], np.delete(values, at)))
        elif len(at := _far(values)):
            far.append((s, known[at], np.delete(values, at)))
        elif len(at := _zeros(values)):
            zeros.append((s, known[at], np.delete(values, at)))
    apart = "far from all other values ({low:g} to {high:g})"
    kinds = (
        (far, f"is {apart}: mend it, or leave it empty, if it is wrong"),
        (sentinels, f"occurs {{times}}, {apart}: leave these cells empty if it stands for a missing value"),
        (zeros, "is the first of {times} at the end, but none is before: leave them out if they are missing"),
    )
    notes = []
    for cases, text in kinds:
        if cases:
            s, rows, others = cases[0]
            time = format_time(panel.clocks(np.array([s]), rows[:1])[0])
            of = f" of series {panel.ids[s]!r}" if len(panel) > 1 else ""
            more = f" (so in {len(cases) - 1} more series)" if len(cases) > 1 else ""
            first = f"{panel.values(s)[rows[0]]:.10g} at {time}{of} ({row_of(s, int(rows[0]))})"
            count = plural(len(rows), "zero") if cases is zeros else f"{len(rows)} times"
            notes.append(f"{first} {text.format(low=others.min(), high=others.max(), times=count)}{more}")
    return notes


def _candidates(panel: Panel) -> Array:
    """Return the series with a value some standard deviations from the mean, or a zero at the end and few others."""
    wanted = np.zeros(len(panel), dtype=bool)
    for a, b in portions(panel.offsets, ROWS_AT_A_TIME):
        y, lengths = panel.y[panel.offsets[a] : panel.offsets[b]], panel.lengths[a:b]
        nonempty = np.flatnonzero(lengths)
        first = (panel.offsets[a:b] - panel.offsets[a])[nonempty]
        if len(first):
            wanted[a + nonempty] = _stands_out(y, first, lengths[nonempty])
    return np.flatnonzero(wanted)


def _stands_out(y: Array, first: Array, lengths: Array) -> Array:
    """Return the mask (S,) of series that may hold a doubtful value; first (S,): their first rows."""
    finite = np.isfinite(y)
    seen = np.add.reduceat(finite, first, dtype=np.int64)
    count, known = np.maximum(seen, 1), np.where(finite, y, 0.0)
    mean = np.add.reduceat(known, first) / count
    deviation = np.where(finite, np.abs(y - np.repeat(mean, lengths)), 0.0)
    std = np.sqrt(np.add.reduceat(deviation * deviation, first) / count)
    far = np.maximum.reduceat(deviation, first) > MIN_DEVIATION * std
    zeros = np.add.reduceat(y == 0, first, dtype=np.int64)
    return np.asarray((seen >= MIN_VALUES) & (far | ((y[first + lengths - 1] == 0) & (2 * zeros < seen))))


def _sentinels(values: Array) -> Array:
    """Return the places of a number such as -999 that repeats, further from all others than they are apart."""
    for extreme in (values.min(), values.max()):
        at = np.flatnonzero(values == extreme)
        others = np.delete(values, at)
        if len(at) > 1 and len(others) and SENTINEL.fullmatch(f"{extreme:.10g}"):
            distance = others.min() - extreme if extreme < 0 else extreme - others.max()
            if distance > np.ptp(others):
                return at
    return np.zeros(0, np.int64)


def _far(values: Array) -> Array:
    """Return the places of up to three single values that are far from all others."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    distance = np.abs(values - median)
    at = np.flatnonzero(distance > FAR * (high - low))
    if high == low or not 0 < len(at) <= MAX_FAR or (np.diff(at) == 1).any():
        return np.zeros(0, np.int64)
    others, least = np.delete(values, at), np.abs(values[at]).min()
    other_sign = bool((values[at] < 0).all() and others.min() >= 0)
    alone = distance[at].min() > ALONE * np.delete(distance, at).max()
    return at if alone and (other_sign or least > ALONE * np.abs(others).max()) else np.zeros(0, np.int64)


def _zeros(values: Array) -> Array:
    """Return the places of a run of zeros at the end of values that are not near zero."""
    count = len(values) - 1 - int(np.flatnonzero(values != 0)[-1]) if values.any() else 0
    before = np.abs(values[: len(values) - count])
    if count < MIN_ZEROS or len(before) < MIN_VALUES or before.min() <= NEAR_ZERO * np.median(before):
        return np.zeros(0, np.int64)
    return np.arange(len(before), len(values))
