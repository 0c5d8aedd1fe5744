"""Notes on values that are probably mistakes, and on weekdays and hours that never have a value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rekur.data.panel import read_panel

DAYS = pd.date_range("2025-01-01", periods=120)
SALES = 50 + 10.0 * (DAYS.day_of_week == 5) + np.arange(120) * 7 % 5


def notes(y: np.ndarray | pd.Series[float], days: pd.DatetimeIndex = DAYS) -> str:
    """Notes on a table of one series."""
    return "\n".join(read_panel(pd.DataFrame({"ds": days, "y": y})).notes)


@pytest.mark.parametrize(
    ("rows", "value", "text"),
    [
        ([110], 99999, "99999 at 2025-04-21 (row with index 110) is far from all other values (50 to 64)"),
        ([30, 31, 70], -999, "-999 at 2025-01-31 (row with index 30) occurs 3 times, far from all other values"),
        (range(113, 120), 0, "0 at 2025-04-24 (row with index 113) is the first of 7 zeros at the end"),
    ],
)
def test_probable_mistakes_are_told_and_kept(rows: list[int], value: float, text: str) -> None:
    y = SALES.copy()
    y[list(rows)] = value
    assert text in notes(y)
    assert (read_panel(pd.DataFrame({"ds": DAYS, "y": y})).y == y).all()


def test_ordinary_values_are_not_doubted() -> None:
    counts = np.where(np.arange(120) % 3, 0.0, 4.0)  # intermittent demand ends with zeros
    spike = np.where(np.arange(120) == 60, 400.0, SALES)
    fading = np.maximum(np.arange(115.0, -5.0, -1.0), 0)
    heavy = np.random.default_rng(0).standard_cauchy(120)
    for y in (SALES, counts, spike, fading, heavy, np.ones(120)):
        assert "all other values" not in notes(y)
        assert "zeros at the end" not in notes(y)


def test_closed_weekdays_and_hours_are_named() -> None:
    opened = DAYS.day_of_week < 6
    assert "no value on Sunday: the forecast of such times is as if they were open" in notes(
        SALES[opened], DAYS[opened]
    )
    assert "no value on" not in notes(SALES[:40][opened[:40]], DAYS[:40][opened[:40]])  # too few weeks
    hours = pd.date_range("2025-01-01", periods=24 * 70, freq="h")
    hours = hours[(hours.hour > 1) & (hours.day_of_week != 0)]
    assert "no value on Monday or at 00:00 and 01:00:" in notes(np.arange(len(hours)) % 9 + 1.0, hours)
    some = np.random.default_rng(0).random(120) < 0.9
    assert "no value on" not in notes(SALES[some], DAYS[some])
