"""Baselines of series with a time zone: seasons follow the clock when it is set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.forecasting.baselines.wall_clock import WallClock, sources


def load(times: pd.DatetimeIndex) -> np.ndarray:
    """A load that follows the clock: two peaks a day."""
    hour = times.hour.to_numpy() + times.minute.to_numpy() / 60
    return 2 + 1.5 * np.exp(-(((hour - 19) / 3) ** 2)) + np.exp(-(((hour - 7.5) / 1.5) ** 2))


@pytest.mark.parametrize("freq", ["h", "30min"])
@pytest.mark.parametrize("select", ["smoothing", "seasonal_naive"])
@pytest.mark.parametrize("end", ["2025-10-26", "2025-10-27", "2025-11-01", "2025-03-30", "2025-03-31", "2025-04-04"])
def test_season_follows_the_clock(end: str, select: str, freq: str) -> None:
    """A season without noise is forecast before, on and after the day on which the clock is set (span 2.5)."""
    times = pd.date_range(pd.Timestamp(end) - pd.Timedelta(days=24), end, freq=freq, tz="Europe/Berlin")[:-1]
    df = pd.DataFrame({"ds": times, "y": load(times)})
    steps = 36 if freq == "h" else 72
    predicted = rekur.Forecaster(horizon=steps, select=select).fit(df).predict()
    error = np.abs(predicted.rekur.to_numpy() - load(pd.DatetimeIndex(predicted.ds)))
    print(error.max())
    assert error.max() < 5e-3


def test_covariates_follow_the_clock() -> None:
    """The regression finds the effect of a covariate across the change, but for the first of the two equal hours."""
    times = pd.date_range("2025-10-05", "2025-10-28", freq="h", tz="Europe/Berlin")
    x = (np.arange(len(times)) * 37 % 11 < 3).astype(float)
    y = load(times) + 2 * x + 0.01 * np.random.default_rng(0).standard_normal(len(times))
    df = pd.DataFrame({"ds": times, "y": y, "x": x})
    history, ahead = df[:-48], df[-48:]
    model = rekur.Forecaster(horizon=48, select="regression").fit(history, futr_exog_list=["x"])
    predicted = model.predict(futr_df=ahead[["ds", "x"]])
    error = np.abs(predicted.rekur.to_numpy() - ahead.y.to_numpy())
    clock = ahead.ds.dt.tz_localize(None)
    error = error[~clock.duplicated(keep="last")]
    print(error.max())
    assert len(error) == 47
    assert error.max() < 0.3


def test_rows_move_by_the_clock() -> None:
    """Set back, an hour holds two rows and the later one stays; set forward, an hour holds none."""
    assert sources(np.array([[1, 1, 1, 0, 0, 0]]), 6).tolist() == [[-1, 0, 1, 3, 4, 5]]
    assert sources(np.array([[-1, -1, -1, 0, 0, 0]]), 6).tolist() == [[1, 2, -1, 3, 4, 5]]
    clock = WallClock(np.zeros((1, 4), np.int64), np.array([[0, 1, 1]]))
    assert clock.horizon == 4
    assert clock.target(np.arange(4.0).reshape(1, 4, 1))[0, :, 0].tolist() == [0, 2, 3]
    back = WallClock(np.zeros((1, 4), np.int64), np.array([[0, -1, -1]]))
    assert back.target(np.arange(3.0).reshape(1, 3, 1))[0, :, 0].tolist() == [0, 0, 1]
