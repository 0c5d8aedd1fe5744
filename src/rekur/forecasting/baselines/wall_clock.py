"""Windows of series in UTC by the clock of their time zone, so that a season of a day begins at midnight all year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import DAY
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex


@dataclass(frozen=True)
class WallClock:
    """Steps by which the clock of the rows of windows is ahead of that of the last row before the target.

    A row moves by its steps. Where the clock is set forward, one hour of the target is left out and one of the history
    is missing; where it is set back, two hours of the history become one, the later one, and the target repeats an
    hour, with the covariates of the later one.

    Parameters
    ----------
    past : (n, L) int array
        Steps of the history.
    ahead : (n, h) int array
        Steps of the target.
    """

    past: Array
    ahead: Array

    @classmethod
    def of(cls, panel: Panel, windows: WindowIndex) -> WallClock | None:
        """The clock of windows of a panel; None if it is not set within them."""
        freq, L = panel.freq, windows.context_length
        if panel.tz is None or panel.local or freq.kind != "tick" or freq.step >= DAY:
            return None
        ends, which = np.unique(freq.advance(panel.start[windows.series], windows.stop), return_inverse=True)
        times = freq.advance(ends[:, None], np.arange(-L, windows.horizon))
        offset = (panel.clock(times) - times).astype("m8[us]").astype(np.int64)
        ahead = np.trunc((offset - offset[:, L - 1 : L]) / freq.step).astype(np.int64)
        return cls(ahead[which, :L], ahead[which, L:]) if ahead.any() else None

    @property
    def horizon(self) -> int:
        """Steps of the clock until the end of the target."""
        return int(self.ahead.shape[1] + max(self.ahead.max(), 0))

    def history(self, values: Array) -> Array:
        """Values (n, L) by the clock, NaN where it leaves out a step."""
        source = sources(self.past, values.shape[1])
        return np.where(source < 0, np.nan, np.take_along_axis(values, np.maximum(source, 0), axis=1))

    def covariates(self, values: Array) -> Array:
        """Covariates (n, L + h, K) by the clock, those of the step before where it leaves out one."""
        L = self.past.shape[1]
        source = sources(np.concatenate([self.past, self.ahead], axis=1), L + self.horizon)
        source = np.maximum.accumulate(np.maximum(source, 0), axis=1)
        return np.take_along_axis(values, source[..., None], axis=1)

    def target(self, q: Array) -> Array:
        """Quantiles (n, h, Q) of the target, from those of the steps of the clock."""
        steps = np.maximum(np.arange(self.ahead.shape[1]) + self.ahead, 0)
        return np.take_along_axis(q, steps[..., None], axis=1)


def sources(shift: Array, length: int) -> Array:
    """Columns (n, length) that move to each column by their shift (n, m), the last one of several, -1 for none."""
    n, m = shift.shape
    place = np.arange(m) + shift
    source = np.full((n, length + 1), -1)  # the last column takes what falls outside
    np.put_along_axis(source, np.where((place >= 0) & (place < length), place, length), np.arange(m)[None], axis=1)
    return source[:, :-1]
