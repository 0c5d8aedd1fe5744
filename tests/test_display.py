"""Results as a notebook shows them: short texts and small tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import rekur


@pytest.fixture(scope="module")
def fitted() -> tuple[rekur.Forecaster, pd.DataFrame]:
    """A fitted forecaster and its table of two series, one with a name that must be escaped."""
    days = pd.date_range("2024-01-01", periods=40)
    parts = [pd.DataFrame({"unique_id": name, "ds": days, "y": np.arange(40.0) % 7}) for name in ("a<b", "c")]
    frame = pd.concat(parts, ignore_index=True)
    return rekur.Forecaster(horizon=14, select="seasonal_naive").fit(frame), frame


def test_a_forecast_is_short(fitted: Any) -> None:
    forecast = fitted[0].forecast()
    assert repr(forecast) == "Forecast(2 series × 14 steps, 2024-02-10 … 2024-02-23)"
    html = forecast._repr_html_()
    assert html.count("<tr") == 11
    assert "a&lt;b" in html
    assert "… 28 rows in all" in html
    assert len(html) < 5000
    short = fitted[0].forecast(h=1)
    assert repr(short) == "Forecast(2 series × 1 step, 2024-02-10 … 2024-02-10)"


def test_times_are_as_fine_as_they_must_be() -> None:
    hours = pd.date_range("2024-01-01", periods=40, freq="h")
    frame = pd.DataFrame({"ds": hours, "y": np.arange(40.0)})
    assert "2024-01-02T16:00 … 2024-01-02T17:00" in repr(rekur.Forecaster(2, select="naive").fit(frame).forecast())
    zoned = frame.assign(ds=hours.tz_localize("Europe/Berlin"))
    assert "2024-01-02T15:00 … 2024-01-02T16:00 UTC" in repr(rekur.Forecaster(2, select="naive").fit(zoned).forecast())
    numbered = frame.assign(ds=range(40))
    assert repr(rekur.Forecaster(2, select="naive").fit(numbered).forecast()).endswith("40 … 41)")


def test_a_backtest_is_short(fitted: Any) -> None:
    model, frame = fitted
    backtest = model.backtest(frame, n_windows=1)
    assert repr(backtest) == f"Backtest(2 series × 1 window × 14 steps: {backtest.verdict()})"
    html = backtest._repr_html_()
    assert html.count("<tr") == 6
    assert "MASE" in html
    assert len(html) < 5000


@pytest.mark.parametrize("engine", ["plotly", "matplotlib"])
def test_a_model_draws_its_forecast(fitted: Any, engine: str) -> None:
    if engine == "matplotlib":
        pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("Agg")
    chart = fitted[0].plot(series="c", engine=engine)
    assert type(chart).__module__.split(".")[0] == engine
    with pytest.raises(rekur.OptionError, match="there is no series 'd'"):
        fitted[0].plot(series="d")


@pytest.mark.parametrize("engine", ["plotly", "matplotlib"])
@pytest.mark.parametrize("h", [1, 3])
def test_a_backtest_draws_its_windows(engine: str, h: int) -> None:
    if engine == "matplotlib":
        pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("Agg")
    days = pd.date_range("2024-01-01", periods=40)
    df = pd.concat([pd.DataFrame({"unique_id": u, "ds": days, "y": np.arange(40) % 7.0}) for u in "ab"])
    backtest = rekur.Forecaster(h, select="naive").backtest(df, n_windows=3, step_size=1)
    chart = backtest.plot(series="b", engine=engine)
    with pytest.raises(rekur.OptionError, match="there is no series 'c' in the backtest"):
        backtest.plot(series="c", engine=engine)
    if engine == "matplotlib":
        return
    names = [trace.name for trace in chart.data]
    assert names.count("rekur") == (3 if h == 1 else 1)  # of windows that overlap the latest one
    assert names[:3] == ["95 % interval", "80 % interval", "actual"]
    assert chart.data[-1].x[-1] == "2024-02-09"
    assert len(chart.layout.shapes) == (0 if h == 1 else 1)
    assert "@" not in chart.to_json()


@pytest.mark.parametrize("engine", ["plotly", "matplotlib"])
def test_a_model_of_sequences_draws_its_training(engine: str) -> None:
    if engine == "matplotlib":
        pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("Agg")
    x = np.random.default_rng(0).normal(size=(20, 4, 1))
    model = rekur.Regressor(hidden_size=4, num_layers=1).fit(x, x.sum(axis=(1, 2)), epochs=2, validation=0.2)
    chart = model.plot(engine)
    assert type(chart).__module__.split(".")[0] == engine
    if engine == "plotly":
        assert [(trace.name, len(trace.y)) for trace in chart.data] == [("training loss", 2), ("validation loss", 2)]
    with pytest.raises(rekur.core.NotFittedError):
        rekur.Regressor().plot()
