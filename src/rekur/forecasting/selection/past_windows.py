"""Windows of a backtest: how many, how far apart, and the series that hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.core import Array, DataError, OptionError
from rekur.data.panel import Panel
from rekur.forecasting.config import MIN_OBSERVATIONS

MAX_WINDOWS = 8
"""Windows of each series in a backtest, at most, unless more are requested."""

MAX_TOTAL_WINDOWS, MAX_TOTAL_HORIZONS = 4000, 12_000
"""Windows of all series, and horizons that they reach back over, from which on each series has fewer."""

YEAR = 365.25 * 86_400_000_000
"""Microseconds of a year."""


class TooShortError(DataError):
    """No series holds the windows of a backtest."""


@dataclass(frozen=True)
class PastWindows:
    """The last windows of every series, `step_size` rows apart.

    Parameters
    ----------
    horizon : int
        Rows of a window.
    n_windows : int
        Windows of each series.
    step_size : int
        Rows between the beginnings of two windows.

    Examples
    --------
    >>> PastWindows(horizon=7, n_windows=3, step_size=7).starts.tolist()
    [21, 14, 7]
    """

    horizon: int
    n_windows: int
    step_size: int

    def __post_init__(self) -> None:
        for name in ("n_windows", "step_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(f"{name} must be a whole number above zero, got {value!r}")

    @property
    def starts(self) -> Array:
        """Rows between the beginning of each window and the end of its series, (n_windows,), the first window first."""
        return np.asarray(self.horizon + self.step_size * np.arange(self.n_windows - 1, -1, -1))

    def history(self, panel: Panel, window: int = 0) -> Panel:
        """The rows before a window of each series."""
        return panel.cut(np.maximum(panel.lengths - self.starts[window], 0))

    def long_enough(self, history: Panel, season: int) -> Array:
        """Mask (S,) of the series with enough rows and values before the first window."""
        least = max(MIN_OBSERVATIONS, min(self.horizon, season + 1))
        return np.asarray((history.lengths >= least) & (history.seen >= MIN_OBSERVATIONS))

    def of_series(self, panel: Panel, history: Panel, season: int) -> tuple[Array, Array]:
        """Series and first row of the windows of the series that are long enough, shapes (W,).

        Raises
        ------
        TooShortError
            No series is long enough.
        """
        rows = np.flatnonzero(self.long_enough(history, season))
        if not len(rows):
            raise TooShortError(
                f"no series is long enough for {self.n_windows} windows of {self.horizon} steps: the longest has "
                f"{int(panel.lengths.max())} rows; use fewer windows or a shorter horizon"
            )
        stop = (panel.lengths[rows][:, None] - self.starts).ravel()
        return np.repeat(rows, self.n_windows), stop


def spread_windows(panel: Panel, horizon: int, refit: bool = False) -> PastWindows:
    """Windows spread over the past of a panel: up to eight, a multiple of the horizon apart.

    They reach back over a quarter of a typical series (75 % quantile of the lengths), a year at most, or over three
    horizons within a third of it, so that most of the rows are left to train on, and only as far as nine of ten series
    are long enough. With more than 500 series each has fewer windows, three at least, and with `refit` three at most.

    Parameters
    ----------
    panel : Panel
        The complete history.
    horizon : int
        Rows of a window.
    refit : bool, default False
        Whether a model is trained for every window.

    Returns
    -------
    PastWindows
        One window at least.

    Examples
    --------
    >>> import pandas as pd
    >>> from rekur.data.panel import read_panel
    >>> df = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=1000), "y": [float(t % 7) for t in range(1000)]})
    >>> spread_windows(read_panel(df), horizon=7).starts.tolist()
    [203, 175, 147, 119, 91, 63, 35, 7]
    """
    season = panel.freq.season
    typical, short = (int(np.quantile(panel.lengths, level)) for level in (0.75, 0.1))
    year = typical if panel.freq.kind == "integer" else max(int(YEAR / panel.freq.length), MAX_WINDOWS * horizon)
    room = max(min(typical // 4, year), min(3 * horizon, typical // 3))
    room = min(room, horizon * max(MAX_TOTAL_HORIZONS // len(panel), 3))
    room = min(room, max(short - max(MIN_OBSERVATIONS, min(horizon, season + 1)), horizon))
    most = 3 if refit else int(np.clip(MAX_TOTAL_WINDOWS // len(panel), 3, MAX_WINDOWS))
    count = int(np.clip(room // horizon, 1, most))
    return PastWindows(horizon, count, horizon * max((room // horizon - 1) // max(count - 1, 1), 1))
