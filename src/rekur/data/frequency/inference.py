"""Frequency inference: the most common step of sorted times, of which all other steps are multiples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.frequency.frequency import (
    DAY,
    SECOND,
    Frequency,
    format_time,
    month_positions,
)

__all__ = ["Spacing", "infer", "infer_each", "infer_frequency"]

MIN_STEPS_IRREGULAR = 20  # smallest number of steps to distinguish irregular times from a single wrong time
MAX_STEPS_PER_ROW = 20.0  # grid steps per row of a sparse series, at most
MAX_BINCOUNT_RANGE = 1 << 20
MAX_KNOWN_TIMES = 1_000  # of series, whose spacing is kept
MIN_MONTH = 28 * DAY
MIN_IRREGULAR_MONTH = 26 * DAY


class Spacing(NamedTuple):
    """Steps between consecutive rows of sorted series, and the frequency of which all of them are multiples.

    gaps (n,) int64 lengths of the steps above zero in microseconds or units; pairs (n,) first row of each step; step:
    the most common length; frequency: None if the steps have none.
    """

    gaps: Array
    pairs: Array
    step: int
    frequency: Frequency | None = None

    @property
    def off_step(self) -> Array:
        """Indices of the steps that are no multiple of the most common one."""
        return np.flatnonzero(self.gaps % self.step)

    @property
    def uneven(self) -> bool:
        """Whether at least 20 steps are known and more than half of them are no multiple of the most common one."""
        return len(self.gaps) >= MIN_STEPS_IRREGULAR and 2 * len(self.off_step) > len(self.gaps)

    @property
    def median(self) -> float:
        """Median length of the steps."""
        return float(np.median(self.gaps))


def infer(times: Array, offsets: Array | None = None) -> Spacing | None:
    """Return the steps of series and their common frequency; None if no series has two different times.

    Rows at least 28 days apart on a fixed day, or on the last day, of the month are months, quarters or years; daily
    rows without weekends are business days (holidays may be missing); otherwise the frequency is the most common
    number of microseconds, named by the largest unit that fits. Whole days, or integers, without a common step have
    the greatest common divisor of their steps as frequency if they are sparse on it rather than late or early.

    times (N,) datetime64[us] or int64, series after series, ascending within each; offsets (S+1,) as in
    `infer_frequency`, None for one series.
    """
    gaps = np.diff(times).astype(np.int64)
    inside = np.ones(len(gaps), dtype=bool)
    if offsets is not None:
        inside[np.asarray(offsets)[1:-1] - 1] = False
    pairs = np.flatnonzero(inside & (gaps > 0))
    if not len(pairs):
        return None
    spacing = Spacing(gaps[pairs], pairs, _most_common(gaps[pairs])[0])
    return spacing._replace(frequency=_common_frequency(times, spacing))


def infer_each(times: Array, offsets: Array) -> Iterator[Spacing | None]:
    """Yield what `infer` gives for each series of times (N,) on its own, S of them; offsets (S+1,).

    Series with the same times, as most panels have, share one result; the last 1,000 are kept.
    """

    @lru_cache(maxsize=MAX_KNOWN_TIMES)
    def known(times_of_series: bytes) -> Spacing | None:
        return infer(np.frombuffer(times_of_series, times.dtype))

    for start, stop in pairwise(offsets):
        yield known(times[start:stop].tobytes())


def infer_frequency(times: Array, offsets: Array, describe: Callable[[int], str] | None = None) -> Frequency:
    """Infer the one frequency of all series: the most common step, of which all other steps are multiples.

    Parameters
    ----------
    times : (N,) datetime64[us] or int64
        Times, series after series, ascending within each.
    offsets : (S+1,) int64
        First row of each series, and N.
    describe : callable, default None
        Maps a position in `times` to text such as "series 'A', row 17" for error messages.

    Returns
    -------
    Frequency

    Raises
    ------
    DataError
        If no series has two times, or the steps are irregular.

    Examples
    --------
    >>> days = np.arange("2024-01-01", "2024-01-08", dtype="M8[D]").astype("M8[us]")
    >>> infer_frequency(days, np.array([0, 7])).name
    'D'
    """
    spacing = infer(times, offsets)
    if spacing is None:
        raise DataError("no series has two different times, so the frequency cannot be inferred: pass it as freq=")
    if spacing.frequency is None:
        raise DataError(_describe_irregular(times, spacing, describe or (lambda i: f"position {i}")))
    return spacing.frequency


def _most_common(values: Array) -> tuple[int, int]:
    """Return the most common of integers (n,), the smallest in a tie, and its count."""
    low, high = int(values.min()), int(values.max())
    if low == high:
        return low, len(values)
    if high - low < MAX_BINCOUNT_RANGE:
        counts = np.bincount(values - low)
        return low + int(counts.argmax()), int(counts.max())
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[counts.argmax()]), int(counts.max())


def _common_frequency(times: Array, spacing: Spacing) -> Frequency | None:
    """Return the frequency of which all steps are multiples, or None."""
    integers = times.dtype.kind in "iu"
    gaps, step = spacing.gaps, spacing.step
    if not integers:
        if gaps.min() >= MIN_MONTH and (months := _month_frequency(times, spacing.pairs)):
            return months
        if step == DAY and _is_business_daily(times, spacing):
            return Frequency.of_business_days()
    if len(spacing.off_step):
        step = int(np.gcd.reduce(gaps))
        multiples = gaps // step
        # a sparse series also has short steps; times that are all late or early do not
        sparse = multiples.mean() < MAX_STEPS_PER_ROW and 3 * multiples.min() <= np.median(multiples)
        if not (spacing.uneven and sparse and (integers or step % DAY == 0)):
            return None
    return Frequency.of_integers(step) if integers else Frequency.of_ticks(step).anchored(times)


def _is_business_daily(times: Array, spacing: Spacing) -> bool:
    """Return whether daily rows at one time of day have no weekend day and step over at least one weekend."""
    weekday = (times.astype("M8[D]").astype(np.int64) + 3) % 7
    if len(times) < 6 or (weekday > 4).any():
        return False
    over_weekend = weekday[spacing.pairs] + spacing.gaps // DAY > 4
    clock = times - times.astype("M8[D]")
    return bool(over_weekend.any() and (clock == clock[0]).all())


def _month_frequency(times: Array, pairs: Array) -> Frequency | None:
    """Return the month step of rows at least 28 days apart, or None if the day of the month varies."""
    codes, labels = pd.factorize(times)  # series often share their times
    distinct = np.asarray(labels)
    clock = distinct - distinct.astype("M8[D]")
    if (clock != clock[0]).any():
        return None
    months, day, is_end = month_positions(distinct)
    before, after = codes[pairs], codes[pairs + 1]
    same_day = day[after] == day[before]
    clipped = (is_end[before] & (day[after] > day[before])) | (is_end[after] & (day[after] < day[before]))
    if not (is_end.all() or (same_day | clipped).all()):
        return None
    numbers = months.astype(np.int64)
    steps = numbers[after] - numbers[before]
    step = _most_common(steps)[0]
    if (steps % step).any():
        return None
    return Frequency.of_months(step, "E" if is_end.all() else "S" if (day == 1).all() else "")


def _describe_irregular(times: Array, spacing: Spacing, describe: Callable[[int], str]) -> str:
    """Return an error text with the first row off the most common step and the frequency that would hold all rows."""
    gaps, step, index = spacing.gaps, spacing.step, int(spacing.off_step[0])
    integers = times.dtype.kind in "iu"
    common = int(np.gcd.reduce(gaps))
    i = int(spacing.pairs[index])
    step_name, gap_name = (
        str(length) if integers else Frequency.of_ticks(length).name for length in (step, int(gaps[index]))
    )
    text = (
        f"the spacing is irregular: most rows are {step_name} apart, but {describe(i + 1)} "
        f"({format_time(times[i + 1])}) follows {format_time(times[i])} after {gap_name}."
    )
    if not integers and gaps.min() >= MIN_IRREGULAR_MONTH:
        _, day, is_end = month_positions(times)
        common, count = _most_common(day)
        other_days = np.flatnonzero((day != common) & ~is_end)
        if 2 * count > len(times) and len(other_days):
            i = int(other_days[0])
            rule = f"most rows are on day {common} of a month"
            text = f"the spacing is irregular: {rule}, not {describe(i)} ({format_time(times[i])})."
        return text + ' If there is one row per month, pass freq="ME" (or "QE", "YE")'
    sparse = common >= SECOND and int(gaps.sum()) // common < MAX_STEPS_PER_ROW * len(gaps)
    if integers or gaps.min() >= DAY or sparse:
        freq = common if integers else f'"{Frequency.of_ticks(common).name}"'
        return text + f" Pass the true step as freq=, for example freq={freq}, which holds all rows"
    return text + " Round the times or average them over regular steps, or pass the step as freq="
