"""Details of the report of a forecast: errors by step, calibration, residuals, season, trend, covariates, origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur import report
from rekur.forecasting.config import LEVELS
from rekur.metrics import at_level
from rekur.report.diagnostics import (
    central_levels,
    coverage_by_level,
    error_by_series,
    error_by_step,
    residual_histogram,
    residual_summary,
)
from rekur.report.drawing import grid, rounded
from rekur.report.seasonal import moving_average, seasonal_profile, trend
from report_cases import Reader, data_of, grid_of, line_of, make_backtest, make_prediction, make_table


def test_errors_by_step_and_series() -> None:
    """Means of the scaled absolute errors, missing values left out, like those of the table of metrics."""
    table = make_table(["a", "b"])
    backtest = make_backtest(table)
    backtest.forecasts["rekur"][:, 3] += 7.0
    median = at_level(backtest.forecasts["rekur"], LEVELS, 0.5)
    scaled = np.abs(backtest.actual - median) / backtest.scale[:, None]
    assert np.isnan(backtest.actual).any()
    assert error_by_step(backtest, "rekur") == pytest.approx(np.nanmean(scaled, axis=0))
    scores = backtest.scores.values["MASE"]["rekur"]
    assert error_by_series(backtest, "rekur") == pytest.approx([scores[backtest.series == s].mean() for s in (0, 1)])
    unscaled = replace(backtest, scale=np.where(backtest.series == 0, 0.0, backtest.scale))
    assert np.isnan(error_by_series(unscaled, "rekur")[0])


def test_coverage_by_level() -> None:
    """A forecast whose quantiles are those of the values holds each level; the widths of intervals rise with it."""
    table = make_table([None], n=400)
    one = make_backtest(table, h=10, windows=30)
    rng = np.random.default_rng(0)
    actual = rng.uniform(0.0, 1.0, one.actual.shape)
    exact = np.broadcast_to(np.array(LEVELS), (*actual.shape, len(LEVELS)))
    backtest = replace(one, actual=actual, forecasts={**one.forecasts, "rekur": exact})
    assert central_levels(LEVELS) == [20, 40, 60, 80, 90, 95]
    shares = coverage_by_level(backtest, "rekur")
    assert shares == pytest.approx(np.array([20, 40, 60, 80, 90, 95]) / 100, abs=0.08)
    chart = data_of(report.html(make_prediction(table, 10), backtest))["charts"]["calibration"]
    assert line_of(chart, "rekur")["values"] == pytest.approx(100 * shares, abs=0.1)


def test_residuals() -> None:
    """All but the largest residuals stand in the histogram, whose middle bin is centred at zero; bias is stated."""
    backtest = make_backtest(make_table(["a"]), h=12, windows=3)
    centers, counts = residual_histogram(backtest)
    observed = int(np.isfinite(backtest.actual).sum())
    assert 0.98 * observed <= counts.sum() <= observed
    assert centers[len(centers) // 2] == pytest.approx(0.0, abs=1e-12)
    assert "0\u00a0% of the values lie above the median" in residual_summary(backtest)
    assert "the median is 0.10 units too high" in residual_summary(backtest)
    blind = replace(backtest, scale=np.zeros(3))
    assert len(residual_histogram(blind)[0]) == 0
    page = report.html(make_prediction(backtest.panel.parts[0]), blind)
    assert "residuals" not in data_of(page)["charts"]


@pytest.mark.parametrize("m", [4, 7])
def test_season_and_trend(m: int) -> None:
    """A line with a season is taken apart into both; missing values leave gaps in neither."""
    n = 12 * m + 2
    season = np.arange(m) - (m - 1) / 2
    y = 0.5 * np.arange(n) + season[np.arange(n) % m]
    profile = seasonal_profile(y, m)
    assert profile is not None
    assert profile == pytest.approx(season[(np.arange(m) + n) % m], abs=1e-9)
    inner = slice(m, n - m)
    assert trend(y, profile, m, n)[inner] == pytest.approx(0.5 * np.arange(n)[inner], abs=1e-9)
    y[n // 2] = np.nan
    assert np.isfinite(trend(y, seasonal_profile(y, m), m, n)).all()
    assert seasonal_profile(y[: 2 * m - 1], m) is None
    assert seasonal_profile(np.full(n, np.nan), m) is None


def test_moving_average_of_an_even_season() -> None:
    """The ends count half."""
    assert moving_average(np.array([0.0, 0.0, 8.0, 0.0, 0.0]), 2)[1:4] == pytest.approx([2.0, 4.0, 2.0])


def test_trend_goes_on_through_the_forecast() -> None:
    """The trend of the forecast starts where that of the history ends; the season spans the horizon."""
    data = data_of(report.html(make_prediction(make_table([None]))))
    chart = data["series"][0]["trend"]
    history, forecast = (line_of(chart, f"trend of the {part}") for part in ("history", "forecast"))
    assert forecast["from"] == len(history["values"])
    assert forecast["before"] == pytest.approx(history["values"][-1], abs=1e-3)
    assert len(forecast["values"]) == 12
    season = line_of(data["series"][0]["season"], "season of the history")
    assert sum(season["values"]) == pytest.approx(0.0, abs=1e-3)
    short = data_of(report.html(make_prediction(make_table([None], n=15), 3)))["series"][0]
    assert short["season"] is None


def test_covariates_are_named_with_their_importance() -> None:
    """A covariate that decides the values stands before one of no use."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=150)
    df = pd.DataFrame({"ds": days, "noise": rng.normal(size=150), "promo <b>": (rng.random(150) < 0.3).astype(float)})
    df["y"] = 10 + 8 * df["promo <b>"] + 0.1 * rng.normal(size=150)
    model = rekur.Forecaster(horizon=3, hidden_size=8, num_layers=1, training=rekur.Training(max_epochs=2))
    model.fit(df, target_col="y", futr_exog_list=["noise", "promo <b>"])
    future = pd.DataFrame(
        {"ds": days[-1] + pd.to_timedelta([1, 2, 3], "D"), "noise": 0.0, "promo <b>": [1.0, 0.0, 1.0]}
    )
    reader = Reader(report.html(model.forecast(futr_df=future), model=model))
    (rows,) = (table for table in reader.tables if table[0][0] == "covariate")
    assert [row[0] for row in rows[1:]] == ["promo <b>", "noise"]
    first, second = (float(row[1].removesuffix("\u00a0%").replace("−", "-")) for row in rows[1:])
    assert first > 10
    assert first > second
    assert "known for the future" in reader.text


def test_origin() -> None:
    """Command, date and versions stand at the end."""
    page = report.html(make_prediction(make_table([None])), command="rekur forecast 'a <b>.csv' -H 12")
    text = Reader(page).text
    assert "rekur forecast 'a <b>.csv' -H 12" in text
    assert f"rekur {rekur.__version__}, torch " in text
    assert pd.Timestamp.now().strftime("%Y-%m-%d") in text or pd.Timestamp.now().hour == 0
    assert "command" not in Reader(report.html(make_prediction(make_table([None])))).text


def test_grids_and_numbers() -> None:
    """Regular points are a start, a step and a count; others a list. Numbers lose no digit that is seen."""
    assert grid(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[us]"))["step"] == 86400
    assert len(grid(np.array(["2024-01-01", "2024-02-01", "2024-03-01"], "M8[us]"))) == 3
    assert grid(np.array(["2024-01-01T00:00:00.5"], "M8[us]")) == [1704067200.5]
    assert rounded([1234.56789, np.nan], span=10.0) == [1234.568, None]
    assert rounded([1e-12, 2.5e9]) == [1e-12, 2.5e9]


def test_one_step_and_no_season() -> None:
    """A horizon of one step has no errors by step, and times that are numbers have no season; both are drawn."""
    table = make_table([None], freq="3")
    data = data_of(report.html(make_prediction(table, 1), make_backtest(table, 1, 8)))
    assert set(data["charts"]) == {"calibration", "residuals"}
    series = data["series"][0]
    assert series["season"] is None
    assert [each["name"] for each in series["backtest"]["lines"]].count("rekur") == 1  # consecutive steps are joined
    assert grid_of(data, series["forecast"])[-1] == 7 + 3 * 60
    assert data["axes"][0]["unit"] == ""


def test_weights_of_a_named_model() -> None:
    """Where a baseline forecasts alone, its description stands in the settings."""
    table = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=20), "y": np.arange(20.0)})
    model = rekur.Forecaster(horizon=2, select="drift").fit(table)
    text = Reader(report.html(model.forecast(), model=model)).text
    assert "drift: the last value, continued by the mean slope of the history." in text
