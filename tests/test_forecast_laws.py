"""Laws of the forecaster: loaded equals fitted, one series among many is forecast like one alone, all data are used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur import Forecaster
from rekur.data.panel import read_panel
from rekur.data.scaling import BLOCK_ROWS, ExpandingStd
from rekur.forecasting.model_averaging import AVERAGED_BASELINES
from rekur.forecasting.training import MAX_LINEAR_WINDOWS, linear_sample
from rekur.training.config import Training

QUICK = Training(max_epochs=1, batch_size=16, learning_rate=2e-3)


@pytest.fixture(autouse=True)
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of five batches, and an average chosen on a few windows."""
    monkeypatch.setattr("rekur.forecasting.training.STEPS_PER_EPOCH", 5)
    monkeypatch.setattr("rekur.forecasting.ensemble.MAX_AVERAGING_WINDOWS", 20)


def tiny(horizon: int = 6, **options: object) -> Forecaster:
    return Forecaster(horizon, **{"hidden_size": 8, "num_layers": 1, "training": QUICK, **options})


def series(n: int, seed: int = 0, freq: str = "h", name: str = "a", **options: object) -> pd.DataFrame:
    """One series with a season, a slow trend in level and spread, and missing values."""
    random = np.random.default_rng(seed)
    t = np.arange(n)
    y = 50 + 0.01 * t + 5 * np.sin(2 * np.pi * t / 24) + (1 + t / 2000) * random.normal(size=n)
    y[random.random(n) < 0.02] = np.nan
    return pd.DataFrame({"unique_id": name, "ds": pd.date_range("2020-01-31", periods=n, freq=freq, **options), "y": y})


def assert_loaded_equals_fitted(model: Forecaster, folder: Path, history: pd.DataFrame, **newer: pd.DataFrame) -> None:
    """Forecasts of the table of the fit, passed again or not, and of newer tables, are the same to the last bit."""
    for part in model._parts().parts:  # every member has a weight
        averaged = (*part.ensemble_.networks, *AVERAGED_BASELINES)
        members = [name for name in averaged if name in part.ensemble_.members]
        average = replace(part.ensemble_.blend, weights=dict.fromkeys(members, 1 / len(members)))
        part.ensemble_ = replace(part.ensemble_, blend=average, selected="blend")
    model.save(folder)
    loaded, future = rekur.load(folder), newer.pop("futr_df", None)
    usual = model.forecast(futr_df=future).values
    assert np.isfinite(usual).all()
    np.testing.assert_array_equal(loaded.forecast(futr_df=future).values, usual)
    for each in (model, loaded):
        np.testing.assert_array_equal(each.forecast(history, futr_df=future).values, usual)
    for df in newer.values():
        np.testing.assert_array_equal(loaded.forecast(df).values, model.forecast(df).values)
    loaded.save(folder)
    np.testing.assert_array_equal(rekur.load(folder).forecast(futr_df=future).values, usual)


@pytest.mark.parametrize("n", [50, 500, 2047, 2049, 2113, 7726])
def test_a_loaded_forecaster_equals_the_fitted_one_at_every_length(n: int, tmp_path: Path) -> None:
    df = series(n + 40)
    assert_loaded_equals_fitted(tiny().fit(df[:n]), tmp_path / "m", df[:n], newer=df[-600:])


def test_a_loaded_forecaster_equals_the_fitted_one_for_series_of_unequal_lengths(tmp_path: Path) -> None:
    later = series(5000, 3, name="late").assign(y=lambda d: d.y.where(np.arange(len(d)) > 3500))
    df = pd.concat([series(40, 0), series(2500, 1, name="b"), series(900, 2, name="c"), later])
    assert_loaded_equals_fitted(tiny().fit(df), tmp_path / "m", df)


@pytest.mark.parametrize(("freq", "options"), [("ME", {}), ("W-WED", {}), ("B", {}), ("h", {"tz": "Europe/Berlin"})])
def test_a_loaded_forecaster_equals_the_fitted_one_on_every_calendar(
    freq: str, options: dict[str, object], tmp_path: Path
) -> None:
    df = series(2400, freq=freq, **options)
    assert_loaded_equals_fitted(tiny().fit(df), tmp_path / "m", df)


def test_a_loaded_forecaster_equals_the_fitted_one_for_several_frequencies_and_covariates(tmp_path: Path) -> None:
    days = series(2300, 1, "D", "days")
    df = pd.concat([series(2600), days])
    assert_loaded_equals_fitted(tiny().fit(df), tmp_path / "several", df)
    promo, kind = np.arange(2300) % 5 == 0, np.where(np.arange(2300) % 3 == 0, "x", "z")
    full = days.assign(promo=promo.astype(float), kind=kind, past=np.arange(2300) % 11)
    history, future = full[:-6], full[-6:][["unique_id", "ds", "promo"]]
    model = tiny().fit(history, futr_exog_list=["promo"], hist_exog_list=["past", "kind"])
    assert_loaded_equals_fitted(model, tmp_path / "covariates", history, futr_df=future)


def test_the_cut_off_rows_live_on_as_sums() -> None:
    df = pd.concat([series(1000), series(300, 1, name="b"), series(10, 2, name="c")])
    panel = read_panel(df)
    tail = panel.tail(200).tail(100)
    assert tail.lengths.tolist() == [104, 108, 10]
    stop = panel.lengths // BLOCK_ROWS * BLOCK_ROWS
    whole = ExpandingStd.of(panel.y, panel.offsets).state(stop)
    cut = ExpandingStd.of(tail.y, tail.offsets, tail.earlier).state(stop - panel.lengths + tail.lengths)
    np.testing.assert_array_equal(cut, whole)
    alone = ExpandingStd.of(panel.values(1), np.array([0, 300])).state(stop[1:2])
    np.testing.assert_array_equal(alone, whole[1:2])  # no series depends on another


def test_the_linear_path_reads_all_windows_of_small_data() -> None:
    np.testing.assert_array_equal(linear_sample(300, 0), np.arange(300))
    many = linear_sample(10 * MAX_LINEAR_WINDOWS, 0)
    assert len(np.unique(many)) == MAX_LINEAR_WINDOWS
    assert 0 <= many.min() < many.max() < 10 * MAX_LINEAR_WINDOWS
    np.testing.assert_array_equal(many, linear_sample(10 * MAX_LINEAR_WINDOWS, 0))


def test_the_intervals_of_a_series_adapt_alike_alone_and_among_many() -> None:
    """The errors since training widen the intervals of a series, whatever the number of other series."""
    random, S, n = np.random.default_rng(0), 1500, 40
    times = pd.date_range("2024-01-01", periods=n + 24)
    y = random.normal(size=(S, n + 24)) * np.where(np.arange(n + 24) < n, 1.0, 5.0)
    df = pd.DataFrame({"unique_id": np.repeat(np.arange(S), n + 24), "ds": np.tile(times, S), "y": y.ravel()})
    model = tiny(4, season_length=1).fit(df[df.ds < times[n]])
    among, fixed = model.forecast(df).values[:1], model.ensemble_
    alone = model.forecast(df[df.unique_id == 0]).values
    np.testing.assert_allclose(among, alone, rtol=1e-4, atol=1e-5)
    panel = model.read(df[df.unique_id == 0]).parts[0]
    width = np.ptp(fixed.quantiles(panel, np.array([0]), panel.lengths), axis=2)
    assert (np.ptp(alone, axis=2) > 1.2 * width).any()
