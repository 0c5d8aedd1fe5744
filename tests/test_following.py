"""Intervals that follow the errors made since training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rekur import Forecaster
from rekur.forecasting.calibration import (
    ADAPTATION_RATE,
    MAX_PAST_WINDOWS,
    TARGET_MISS_RATE,
    adaptive_widths,
    first_unseen_row,
    interval_distance,
)
from rekur.forecasting.config import LEVELS
from rekur.training.config import Training

pytestmark = pytest.mark.usefixtures("short_epochs")

QUICK = Training(max_epochs=1, batch_size=16, learning_rate=2e-3)
HORIZON = 6


def noise(n: int, size: float, seed: int, start: str = "2024-01-01") -> pd.DataFrame:
    y = 100 + size * np.random.default_rng(seed).normal(size=n)
    return pd.DataFrame({"unique_id": "a", "ds": pd.date_range(start, periods=n), "y": y})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(HORIZON, training=QUICK, hidden_size=8, num_layers=1).fit(noise(200, 1.0, 0))


def covered(model: Forecaster, df: pd.DataFrame, stops: range) -> float:
    """The share of values that the 80 % intervals hold, each made from what precedes `stop`."""
    inside = []
    for stop in stops:
        made = model.predict(df.iloc[:stop], level=[80])
        y = df.y.to_numpy()[stop : stop + HORIZON]
        inside.append((y >= made["rekur-lo-80"]) & (y <= made["rekur-hi-80"]))
    return float(np.mean(inside))


@pytest.mark.parametrize("size", [3.0, 0.4])
def test_intervals_follow_what_came_since(fitted: Forecaster, size: float) -> None:
    """Noise three times as wide, or two fifths, after training: the intervals come to cover 80 % of it again."""
    later = pd.concat([noise(200, 1.0, 0), noise(360, size, 1, "2024-07-19")], ignore_index=True)
    stops = range(380, 554, HORIZON)
    found = fitted.read(later).parts[0]
    rows = np.array(stops)
    q = fitted.ensemble_.quantiles(found, np.zeros(len(rows), np.int64), rows)
    actual = np.stack([later.y.to_numpy()[stop : stop + HORIZON] for stop in stops])
    alone = float((interval_distance(q, actual) <= 1).mean())
    share = covered(fitted, later, stops)
    print(f"covered {share:.0%}, without following {alone:.0%}")
    assert abs(share - 0.8) < 0.06  # 180 values; their standard error is 3 %
    assert abs(alone - 0.8) > 0.05  # baselines in the average read the later rows


def test_what_training_saw_moves_nothing(fitted: Forecaster) -> None:
    df = noise(200, 1.0, 0)
    pd.testing.assert_frame_equal(fitted.predict(df, level=[80]), fitted.predict(level=[80]))
    other = noise(400, 9.0, 2).assign(unique_id="new")
    found = fitted.read(other).parts[0]
    fixed = fitted.ensemble_.quantiles(found, np.array([0]), found.lengths)
    np.testing.assert_array_equal(fitted.forecast(other).values, fixed)


def test_rows_that_training_has_not_seen(fitted: Forecaster) -> None:
    tail = pd.concat([noise(200, 1.0, 0), noise(30, 1.0, 1, "2024-07-19")]).iloc[150:]
    assert first_unseen_row(fitted.panel_, fitted.read(tail).parts[0]).tolist() == [50]
    new = tail.assign(unique_id="new")
    assert first_unseen_row(fitted.panel_, fitted.read(pd.concat([new, tail])).parts[0]).tolist() == [80, 50]
    later = noise(40, 1.0, 1, "2025-01-01")
    assert first_unseen_row(fitted.panel_, fitted.read(later).parts[0])[0] < 10


def test_windows_asked_for_together_are_those_asked_for_alone(fitted: Forecaster) -> None:
    later = pd.concat([noise(200, 1.0, 0), noise(100, 2.0, 1, "2024-07-19")], ignore_index=True)
    found, stops = fitted.read(later).parts[0], np.arange(230, 290)
    series, since = np.zeros(len(stops), np.int64), np.array([200])
    whole = fitted.ensemble_.quantiles(found, series, stops, since=since)
    for i in (0, 17, 59):
        alone = fitted.ensemble_.quantiles(found, series[:1], stops[i : i + 1], since=since)
        np.testing.assert_allclose(whole[i : i + 1], alone, rtol=1e-5)
    beyond = fitted.ensemble_.quantiles(found, series, stops, horizon=9, since=since)
    assert beyond.shape == (60, 9, len(LEVELS))


def test_the_widening_is_that_of_quantile_tracking() -> None:
    needed = np.array([[2.0, 0.5, np.nan], [0.1, 3.0, np.nan]])
    place, valid = np.array([[0, 1], [0, 1]]), np.array([[True, True], [False, True]])
    got = np.log(adaptive_widths(needed, place, valid, np.array([0, 1, 2])))
    first = ADAPTATION_RATE * np.array(
        [1 - TARGET_MISS_RATE - TARGET_MISS_RATE, -TARGET_MISS_RATE + 1 - TARGET_MISS_RATE, 0.0]
    )
    np.testing.assert_allclose(
        got, [first, ADAPTATION_RATE * np.array([-TARGET_MISS_RATE, 1 - TARGET_MISS_RATE, 0.0])], atol=1e-12
    )
    assert np.log(40) > MAX_PAST_WINDOWS * ADAPTATION_RATE * (1 - TARGET_MISS_RATE)  # the most that intervals can widen
