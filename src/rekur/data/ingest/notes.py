"""Notes on a table that was read: its layout, its missing values and the empty rows at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import DAY, DAY_NAMES, HOUR, format_time
from rekur.data.ingest.doubtful_values import doubtful_value_notes
from rekur.data.ingest.parsing import plural
from rekur.data.ingest.regular_grid import RegularGrid
from rekur.data.ingest.schema import Schema, quoted

if TYPE_CHECKING:
    from rekur.data.panel import Panel

__all__ = [
    "Gap",
    "closed_times_note",
    "constant_covariates",
    "empty_ends",
    "longest_gap",
    "single_values",
    "table_notes",
]

MIN_SUMMED = 2  # series that a total sums, at least
ROUNDED = 1e-3  # share of its mean by which a total may differ from the sum
MIN_WEEKS = 8  # of a series from which its closed times are looked for
MAX_SHARE = 0.02  # of the steps of a weekday or hour that have a value, up to which it is closed
OPEN_SHARE = 0.5  # of the other steps that have a value, at least
MIN_MISSING = 0.9 / 24  # share of missing values from which a series may have an hour that is closed
MAX_SERIES = 100  # that are looked at
MAX_HOURS = 4  # that a note lists
LONG_GAP = 10  # steps from which a gap that holds most missing values is named


class Gap(NamedTuple):
    """Missing values between two rows of a series that have values.

    >>> Gap(0, 3, 9).steps
    5
    """

    series: int
    before: int
    after: int

    @property
    def steps(self) -> int:
        """Number of missing values."""
        return self.after - self.before - 1

    def ends(self, panel: Panel) -> str:
        """Return the times of the two rows."""
        first, last = map(format_time, panel.clocks(np.array([self.series]), np.array([self.before, self.after])))
        return f"{first} and {last}"


def longest_gap(panel: Panel) -> Gap | None:
    """Return the longest gap between two values of a series of a panel, None where no value between is missing.

    >>> import pandas as pd
    >>> from rekur.data import read_panel
    >>> longest_gap(read_panel(pd.DataFrame({"ds": [1, 2, 5], "y": 1.0})))
    Gap(series=0, before=1, after=4)
    """
    rows = np.flatnonzero(np.isfinite(panel.y))
    series = np.searchsorted(panel.offsets, rows, side="right") - 1
    steps = np.where(np.diff(series) == 0, np.diff(rows), 0)
    if not len(steps) or steps.max() < 2:
        return None
    k = int(steps.argmax())
    s = int(series[k])
    return Gap(s, int(rows[k] - panel.offsets[s]), int(rows[k + 1] - panel.offsets[s]))


def single_values(covariates: Mapping[str, tuple[Array, tuple[str, ...]]], names: Sequence[str]) -> list[str]:
    """Return notes on covariates of one value beside empty cells, as where only the days of an event are marked.

    covariates: values (n,) and labels by name; names: those that change with time.

    >>> single_values({"promo": (np.array([np.nan, 0.0, 0.0]), ("yes",))}, ["promo"])
    ["covariate 'promo' is 'yes' or empty, and empty is taken as unknown: fill in no or 0 if it means none"]
    """
    notes = []
    for name in names:
        values, labels = covariates[name]
        known = values[~np.isnan(values)]
        if 0 < len(known) < len(values) and (known == known[0]).all():
            value = repr(labels[int(known[0])]) if labels else f"{known[0]:g}"
            notes.append(
                f"covariate {name!r} is {value} or empty, and empty is taken as unknown: fill in no or 0 if it means "
                "none"
            )
    return notes


def constant_covariates(covariates: Mapping[str, tuple[Array, tuple[str, ...]]]) -> list[str]:
    """Return a note on the covariates, values (n,) and labels by name, all of whose values are the same.

    >>> constant_covariates({"country": (np.array([0.0, 0.0]), ("DE",)), "price": (np.array([1.0, 2.0]), ())})
    ["covariates without effect: 'country', as all values are the same"]
    """
    names = [name for name, (values, _) in covariates.items() if len(values) and values.min() == values.max()]
    return [f"covariates without effect: {quoted(names, limit=6)}, as all values are the same"] if names else []


def empty_ends(offsets: Array, y: Array) -> Array:
    """Return how many rows at the end of each series have no value, (S,); 0 for a series without any value.

    offsets (S+1,): first row of each series; y (N,): their values.

    >>> empty_ends(np.array([0, 3, 5]), np.array([1.0, np.nan, np.nan, 2.0, 3.0])).tolist()
    [2, 0]
    """
    last = np.maximum.reduceat(np.where(np.isfinite(y), np.arange(len(y)), -1), offsets[:-1])
    return np.where(last < 0, 0, offsets[1:] - 1 - last)


def table_notes(schema: Schema, grid: RegularGrid, panel: Panel) -> tuple[str, ...]:
    """Return the notes on a table and on its missing values; the panel has the series of the grid."""
    notes = [schema.note] if schema.note else []

    def row_of(s: int, row: int) -> str:
        """Name of a row of a series in the table."""
        return grid.row_name(row + (0 if schema.wide else int(panel.offsets[s])))

    if schema.wide:
        notes.append(f"a wide table: {len(schema.values)} series, one a column")
        notes += [
            f"column {name!r} is the sum of the other series and is forecast as one more: leave it out if it is "
            "not wanted"
            for name in _totals(schema, panel)
        ]
    if schema.unused:
        notes.append(f"not used: {quoted(schema.unused, limit=6)}")
    notes += grid.notes
    missing, total = int(np.isnan(panel.y).sum()), len(panel.y)
    missing_rows = grid.missing_rows * len(schema.values)
    if missing:
        counts = [(missing_rows, "absent row"), (missing - missing_rows, "empty value")]
        causes = " and ".join(plural(count, noun) for count, noun in counts if count)
        notes.append(f"{missing} of {total} values are missing ({missing / total:.2%}): {causes}")
        gap = longest_gap(panel)
        if gap is not None and gap.steps >= max(LONG_GAP, missing / 2):
            of = f" in series {panel.ids[gap.series]!r}" if len(panel) > 1 else ""
            notes[-1] += f"; nothing between {gap.ends(panel)}{of} ({row_of(gap.series, gap.after)})"
        notes += [note for note in [closed_times_note(panel)] if note]
    notes += doubtful_value_notes(panel, row_of)
    rows = empty_ends(panel.offsets, panel.y)
    if rows.any():
        notes.append(_end_note(schema, panel, rows))
    return tuple(notes)


def _totals(schema: Schema, panel: Panel) -> list[str]:
    """Return the columns of a wide table that are the sum of all others, of two at least."""
    y = np.nan_to_num(panel.y.reshape(len(schema.values), -1))  # (S, T)
    if len(y) < MIN_SUMMED + 1:
        return []
    apart = np.abs(2 * y - y.sum(axis=0)).max(axis=1)
    size = np.abs(y).mean(axis=1)
    return [name for name, far, mean in zip(schema.values, apart, size, strict=True) if far < ROUNDED * mean]


def _end_note(schema: Schema, panel: Panel, rows: Array) -> str:
    """Return the note on series (S,) that end with rows without a value, which are the future in most tables."""
    s, count = int(np.argmax(rows > 0)), int((rows > 0).sum())
    several, label, length = len(rows) > 1, panel.ids[s], panel.length(s)
    first, last = map(format_time, panel.clocks(np.array([s]), np.array([length - rows[s], length - 1])))
    span = first if rows[s] == 1 else f"{first} to {last}"
    where = repr(label) if schema.wide else f"{schema.values[0]!r}" + (f" of series {label!r}" if several else "")
    of = f" in {count} of {len(rows)} series" if several else ""
    verb = "is" if rows.sum() == 1 else "are"
    return (
        f"{plural(int(rows.sum()), 'row')} at the end {verb} empty{of} (column {where}, {span}): the forecast begins "
        "after the last row; to forecast empty rows, take them out of the table and pass their covariates, if any, "
        "in futr_df"
    )


def closed_times_note(panel: Panel) -> str:
    """Return the note on weekdays and hours of the day without a value, "" where there are none.

    >>> import pandas as pd
    >>> from rekur.data import read_panel
    >>> days = pd.bdate_range("2024-01-01", periods=60)
    >>> closed_times_note(read_panel(pd.DataFrame({"ds": days, "y": 1.0}), freq="D")).split(":")[0]
    'no value on Saturday and Sunday'
    """
    if panel.freq.kind != "tick" or panel.freq.step > DAY or DAY % panel.freq.step:
        return ""
    weeks = panel.lengths * panel.freq.step / (7 * DAY)
    missing = 1 - panel.seen / np.maximum(panel.lengths, 1)
    candidates = np.flatnonzero((weeks >= MIN_WEEKS) & (missing >= MIN_MISSING))[:MAX_SERIES]
    closed = [(int(s), *_closed(panel, int(s))) for s in candidates]
    closed = [each for each in closed if each[1] or each[2]]
    if not closed:
        return ""
    s, days, hours = closed[0]
    of = ""
    if len(panel) > 1:
        of = f" of series {panel.ids[s]!r}" + (f" and {len(closed) - 1} more" if len(closed) > 1 else "")
    times = [f"on {_listed([DAY_NAMES[day] for day in days])}"] if days else []
    if hours:
        names = [f"{hour:02}:00" for hour in hours]
        times.append(f"at {_listed(names)}" if len(hours) <= MAX_HOURS else f"in {len(hours)} hours such as {names[0]}")
    cure = "; days of few rows are better summed: freq='D' with duplicates='sum'" if hours and panel.uneven else ""
    return f"no value {' or '.join(times)}{of}: the forecast of such times is as if they were open, leave it out{cure}"


def _closed(panel: Panel, s: int) -> tuple[list[int], list[int]]:
    """Return the weekdays (0 for Monday) and the hours of other days on which a series has no value."""
    observed = np.isfinite(panel.values(s))
    clocks = panel.clocks(np.array([s]), np.arange(len(observed)))
    day, hour = clocks.astype("M8[D]"), (clocks - clocks.astype("M8[D]")).astype(np.int64) // HOUR
    weekday = (day.astype(np.int64) + 3) % 7
    days = _never(weekday, observed)
    others = ~np.isin(weekday, days)
    hours = _never(hour[others], observed[others]) if panel.freq.step < DAY else []
    others[others] = ~np.isin(hour[others], hours)
    return (days, hours) if observed[others].mean() >= OPEN_SHARE else ([], [])


def _never(key: Array, observed: Array) -> list[int]:
    """Return the keys (n,) of which hardly a row is observed."""
    count, seen = np.bincount(key), np.bincount(key, weights=observed)
    rare = np.flatnonzero((count >= MIN_WEEKS) & (seen < MAX_SHARE * count))
    return rare.tolist() if len(rare) < (count > 0).sum() else []


def _listed(names: list[str]) -> str:
    """Return names as "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
