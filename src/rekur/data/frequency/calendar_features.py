"""Calendar features of a time index: sines and cosines of the position in the day, week, month and year."""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import DAY, HOUR, MINUTE, WEEK, Frequency

__all__ = ["feature_names", "features"]

PERIODS: dict[str, tuple[int, int]] = {  # name: (period in microseconds, harmonics)
    "minute": (MINUTE, 1),
    "hour": (HOUR, 1),
    "day": (DAY, 2),
    "week": (WEEK, 3),
}


def _cycles(freq: Frequency) -> list[tuple[str, int]]:
    """Return the calendar cycles longer than a step of the frequency, each with its number of harmonics."""
    if freq.kind == "integer" or (freq.kind == "month" and freq.season == 1):
        return []
    if freq.kind == "month":
        return [("year", 2 if freq.step < 3 else 1)]
    if freq.kind == "business":
        return [("week", 2), ("month", 1), ("year", 1)]
    if freq.step >= WEEK:
        return [("year", 2)]
    if freq.step >= DAY:
        return [("week", 3), ("month", 1), ("year", 1)]
    short = [(n, h) for n, (p, h) in PERIODS.items() if p >= 2 * freq.step and (n != "minute" or freq.step < MINUTE)]
    return [*short, ("year", 1)]


def feature_names(freq: Frequency) -> tuple[str, ...]:
    """Return the names of the columns of `features`.

    Parameters
    ----------
    freq : Frequency
        Frequency of the times.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> feature_names(Frequency.parse("MS"))
    ('year_sin1', 'year_cos1', 'year_sin2', 'year_cos2')
    """
    return tuple(f"{name}_{f}{k + 1}" for name, order in _cycles(freq) for k in range(order) for f in ("sin", "cos"))


def _phase(cycle: str, times: Array) -> Array:
    """Return the phase of each time (n,) in a cycle, 0 ≤ phase < 1."""
    if cycle in PERIODS:
        shift = 3 * DAY if cycle == "week" else 0  # 1 January 1970 was a Thursday
        period = PERIODS[cycle][0]
        return np.asarray(((times.astype(np.int64) + shift) % period) / period)
    first = times.astype("M8[M]" if cycle == "month" else "M8[Y]")
    length = (first + 1).astype("M8[us]") - first.astype("M8[us]")
    return np.asarray((times - first.astype("M8[us]")).astype(np.int64) / length.astype(np.int64))


def features(freq: Frequency, times: Array) -> Array:
    """Return calendar features of times as harmonics of the cycles that suit a frequency.

        sin(2π·k·φ), cos(2π·k·φ)

    where φ is the phase of a time in the minute, hour, day, week, month or year, and k = 1, 2, … the harmonic. Integer
    and yearly frequencies have none.

    Parameters
    ----------
    freq : Frequency
        Frequency of the times.
    times : (n,) datetime64[us] or int64
        Wall-clock times.

    Returns
    -------
    (n, C) float32
        Values in [-1, 1]; C = len(feature_names(freq)).

    Examples
    --------
    >>> features(Frequency.parse("MS"), np.array(["2024-01-01"], dtype="M8[us]")).tolist()
    [[0.0, 1.0, 0.0, 1.0]]
    """
    out = np.empty((len(times), len(feature_names(freq))), dtype=np.float32)
    column = 0
    for cycle, order in _cycles(freq):
        angle = 2 * np.pi * _phase(cycle, times)
        for k in range(1, order + 1):
            out[:, column] = np.sin(k * angle)
            out[:, column + 1] = np.cos(k * angle)
            column += 2
    return out
