"""Weekdays and hours that never have a value, as those on which a shop is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import DAY, DAY_NAMES, HOUR

if TYPE_CHECKING:
    from rekur.data.panel import Panel

__all__ = ["closed_times_note"]

MIN_WEEKS = 8  # of a series from which its closed times are looked for
MAX_SHARE = 0.02  # of the steps of a weekday or hour that have a value, up to which it is closed
OPEN_SHARE = 0.5  # of the other steps that have a value, at least
MIN_MISSING = 0.9 / 24  # share of missing values from which a series may have an hour that is closed
MAX_SERIES = 100  # that are looked at
MAX_HOURS = 4  # that a note lists


def closed_times_note(panel: Panel) -> str:
    """Return the note on weekdays and hours of the day without a value, "" where there are none.

    >>> import pandas as pd
    >>> from rekur.data import read_panel
    >>> days = pd.bdate_range("2024-01-01", periods=60).union([pd.Timestamp("2024-01-06")])
    >>> closed_times_note(read_panel(pd.DataFrame({"ds": days, "y": 1.0}), freq="D")).split(":")[0]
    'no value on Saturday and Sunday'
    """
    if panel.freq.kind != "tick" or panel.freq.step > DAY or DAY % panel.freq.step:
        return ""
    weeks = panel.lengths * panel.freq.step / (7 * DAY)
    missing = 1 - panel.seen / np.maximum(panel.lengths, 1)
    candidates = np.flatnonzero((weeks >= MIN_WEEKS) & (missing >= MIN_MISSING))[:MAX_SERIES]
    found = [(int(s), *_closed(panel, int(s))) for s in candidates]
    found = [each for each in found if each[1] or each[2]]
    if not found:
        return ""
    s, days, hours = found[0]
    of = ""
    if len(panel) > 1:
        of = f" of series {panel.ids[s]!r}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
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
