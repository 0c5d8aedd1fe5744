"""Irregularly spaced times: the usual step nearest to theirs, and their phase within it."""

from __future__ import annotations

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    WEEKDAYS,
    Frequency,
    month_spans,
    months_of,
)
from rekur.data.frequency.inference import MIN_IRREGULAR_MONTH, MIN_STEPS_IRREGULAR, Spacing, infer_each
from rekur.data.ingest.sorted_rows import SortedRows

__all__ = ["circular_phase", "combined_phases", "fits_usual_step", "is_irregular", "snap_to_grid", "usual_frequency"]

USUAL_TICKS = [
    *(n * SECOND for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12)),
    DAY,
    WEEK,
]
USUAL_FREQUENCIES = [
    *(Frequency.of_ticks(step, weekday=0) for step in USUAL_TICKS),
    *(Frequency.of_months(n, "S") for n in (1, 3, 12)),
]
"""The steps of irregular times; below one second powers of ten of microseconds."""
MIN_RESULTANT_LENGTH = 0.6  # mean resultant length from which on times are concentrated at one phase
MAX_STEP_RATIO = 2.0  # between the median step of irregular times and the step of their grid
MIN_ROWS = 5  # rows from which on a series has a frequency of its own
NEXT_STEP_PHASE = 0.75  # phase from which on concentrated times belong to the next step
NO_PHASE = -1.0  # steps begin at their grid time


def usual_frequency(gap: float, integers: bool) -> Frequency:
    """Return the frequency in common use nearest to a step on a logarithmic scale.

    gap: in microseconds, or in units where times are `integers`.

    >>> usual_frequency(11.3 * 60e6, integers=False).name, usual_frequency(29 * 86400e6, integers=False).name
    ('10min', 'MS')
    """
    if integers:
        return Frequency.of_integers(max(1, round(gap)))
    if gap < 0.7 * SECOND:
        return Frequency.of_ticks(10 ** max(0, round(np.log10(gap))))
    return min(USUAL_FREQUENCIES, key=lambda freq: abs(np.log(freq.length / gap)))


def is_irregular(spacing: Spacing | None, rows: int, freq: Frequency, others_irregular: bool = False) -> bool:
    """Return whether times off the grid of `freq` are irregular by nature rather than by a few errors.

    That is so if more than half of at least 20 steps are no multiple of the most common one (of fewer steps where
    there are other irregular series), if there is one time a month on any day, or if there is one time only.

    spacing: of the series, see `rekur.data.frequency.inference.infer`; rows: its number of rows.
    """
    if spacing is None:
        return True
    if freq.kind == "month" and spacing.gaps.min() >= MIN_IRREGULAR_MONTH:
        return True
    short = others_irregular and (rows < MIN_ROWS or 2 * len(spacing.off_step) > len(spacing.gaps))
    return (spacing.uneven or short) and spacing.frequency is None


def fits_usual_step(gap: float, freq: Frequency, rows: int) -> bool:
    """Return whether irregular times of a median gap, of a number of rows, can be put on the grid of `freq`."""
    usual = usual_frequency(gap, freq.kind == "integer")
    ratio = freq.length / gap
    limit = MAX_STEP_RATIO if rows > MIN_STEPS_IRREGULAR else MAX_STEP_RATIO**2  # few gaps have an uncertain median
    return bool(1 / limit <= ratio <= limit or (usual.kind, usual.step) == (freq.kind, freq.step))


def _steps_since_origin(times: Array, freq: Frequency) -> tuple[Array, Array, int, int]:
    """Return the step (n,) of each time since 1970, its phase (n,) in [0, 1), and the length and origin of steps."""
    weeks = freq.kind == "tick" and freq.step % WEEK == 0
    origin = 4 * DAY + WEEKDAYS.index(freq.name[-3:]) * DAY if weeks else 0  # 5 January 1970 was a Monday
    step = DAY if freq.kind == "business" else freq.step
    k, rest = np.divmod(times.astype(np.int64) - origin, step)
    return k, rest / step, step, origin


def circular_phase(times: Array, codes: Array, freq: Frequency) -> Array:
    """Return the circular mean phase of the times within a step, per series (S,) in [0, 1); -1 if not concentrated.

        z = mean exp(2πi·φ),  phase = arg(z) / 2π

    where φ is the phase of a time within its step; concentrated is |z| ≥ 0.6 over more than 20 times.

    times (n,); codes (n,): the number of the series of each.
    """
    count = np.maximum(np.bincount(codes), 1)
    if freq.kind == "month":
        return np.full(len(count), NO_PHASE)
    angle = 2 * np.pi * _steps_since_origin(times, freq)[1]
    mean = (np.bincount(codes, np.cos(angle)) + 1j * np.bincount(codes, np.sin(angle))) / count
    phase = (np.angle(mean) / (2 * np.pi)) % 1
    concentrated = (np.abs(mean) >= MIN_RESULTANT_LENGTH) & (count > MIN_STEPS_IRREGULAR)
    return np.where(concentrated, phase, NO_PHASE)


def snap_to_grid(times: Array, codes: Array, freq: Frequency, phases: Array) -> Array:
    """Return the grid time of the step of each time (n,); the grid is the same for all series.

    A step begins at its grid time. Where the times of a series are concentrated at one of the `phases` (S,), as
    readings shortly before or after the full hour are, a step is centred at that phase.

    codes (n,): the number of the series of each time; phases: from `circular_phase`.
    """
    if freq.kind == "month":
        first = (months_of(times).astype(np.int64) // freq.step * freq.step).astype("M8[M]")
        last = first + np.timedelta64(freq.step - 1, "M")
        return np.asarray((month_spans(last)[1] if freq.end else first).astype("M8[us]"))
    k, phase, step, origin = _steps_since_origin(times, freq)
    centre = phases[codes]
    shift = np.floor(phase - centre + 0.5) + (centre >= NEXT_STEP_PHASE)
    k = k + np.where(centre >= 0, shift, 0.0).astype(np.int64)
    if freq.kind == "business":
        k -= np.maximum((k + 3) % 7 - 4, 0)  # a weekend belongs to its Friday
    return np.asarray((k * step + origin).astype(times.dtype))


def combined_phases(rows: SortedRows, exact: Array, freq: Frequency) -> Array:
    """Return no phase for the series of several rows a step, which are those of the calendar, NaN for others, (S,)."""
    phases = np.full(len(rows.ids), np.nan)
    off_grid = np.flatnonzero(~rows.all_by_series(exact))
    part = rows.select(off_grid)
    for s, spacing, n in zip(off_grid, infer_each(part.times, part.first), np.diff(part.first), strict=True):
        regular = spacing is not None and spacing.frequency is not None and spacing.frequency.length < freq.length
        if regular or is_irregular(spacing, int(n), freq):
            phases[s] = NO_PHASE
    return phases
