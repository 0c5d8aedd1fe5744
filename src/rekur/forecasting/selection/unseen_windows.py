"""Windows that a fitted forecaster has not seen: forecasts of new rows and of new series, without training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from rekur.core import Array, DataError
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.calibration import first_unseen_row
from rekur.forecasting.config import MIN_OBSERVATIONS
from rekur.forecasting.cross_validation import Backtest, backtest_of, join_backtests
from rekur.forecasting.forecast import plural
from rekur.forecasting.panel_forecaster import PanelForecaster
from rekur.forecasting.selection.past_windows import MAX_WINDOWS
from rekur.metrics import seasonal_scale


def unseen_windows(part_for: Callable[[Panel], PanelForecaster], group: PanelGroup) -> Backtest:
    """Forecast windows that training has not seen by fitted forecasters and by every baseline, without training.

    Parameters
    ----------
    part_for : callable
        The fitted forecaster of a panel.
    group : PanelGroup
        Series learned or new. Of a series that was learned the rows after the end of training are tested, of a new one
        its last quarter; up to eight windows of each.

    Returns
    -------
    Backtest
        Series without such a window are listed in `Backtest.skipped`.

    Raises
    ------
    DataError
        No series has such a window.
    """
    tests: dict[int, Backtest] = {}
    for k, panel in enumerate(group.parts):
        test = _windows_of(part_for(panel), panel)
        if test is not None:
            tests[k] = test
    if not tests:
        h = part_for(group.parts[0]).horizon
        raise DataError(
            f"no series has {plural(h, 'row')} that the model was not fitted to: pass newer rows or other series, or "
            f"backtest on the past with a new model"
        )
    return join_backtests(group, tests)


def _windows_of(fitted: PanelForecaster, panel: Panel) -> Backtest | None:
    """The windows of a panel that training has not seen; None if there are none."""
    h, seasons, lengths = fitted.horizon, fitted.seasons_, panel.lengths
    unseen = first_unseen_row(fitted.panel_, panel)
    least = max(MIN_OBSERVATIONS, min(h, seasons[0] + 1))
    learned = pd.Index(panel.ids).isin(fitted.panel_.ids)
    first = np.maximum(np.where(learned, unseen, lengths - np.maximum(lengths // 4, h)), least)
    stops = lengths[:, None] - h * np.arange(MAX_WINDOWS, 0, -1)
    series, window = np.nonzero(stops >= first[:, None])
    if not len(series):
        return None
    stop, known = stops[series, window], fitted.ensemble_.baselines(panel, h)
    q = fitted.ensemble_.quantiles(panel, series, stop, since=unseen, known_baselines=known)
    skipped = tuple((label, f"no {plural(h, 'row')} to test") for label in np.delete(panel.ids, np.unique(series)))
    test = backtest_of(q, (series, stop), known, panel.cut(first), int(np.bincount(series).max()), skipped)
    return replace(test, scale=_learned_scale(fitted, panel, first, test.scale, series))


def _learned_scale(fitted: PanelForecaster, panel: Panel, first: Array, scale: Array, series: Array) -> Array:
    """Units (W,) of the errors of windows: that of the training rows where the table has fewer before the windows."""
    learned = fitted.panel_
    place = pd.Index(learned.ids).get_indexer(pd.Index(panel.ids))
    lacking = (place >= 0) & (first < learned.lengths[place])
    known = np.nan_to_num(seasonal_scale(learned.y, fitted.seasons_[0], learned.offsets))[place]
    return np.asarray(np.where(lacking[series], known[series], scale))
