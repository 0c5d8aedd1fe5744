"""What a forecaster can do once it has learned: other horizons, paths, ensembles, new data, reasons, resuming."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur import Forecaster
from rekur.core import DataError, OptionError
from rekur.forecasting.baselines.window_forecasts import BaselineForecasts
from rekur.forecasting.config import LEVELS
from rekur.forecasting.sample_paths import GRID_SIZE, draw_paths, random_walk_template, rank_template
from rekur.training.config import Training

pytestmark = pytest.mark.usefixtures("short_epochs")

QUICK = Training(max_epochs=1, batch_size=16, learning_rate=2e-3, optimizer="adamw")


def panel(series: int = 4, n: int = 400, seed: int = 0, noise: float = 0.3) -> pd.DataFrame:
    """Daily series with a weekly season and errors that last: long enough for both designs."""
    random, parts = np.random.default_rng(seed), []
    for s in range(series):
        walk = np.convolve(random.normal(size=n + 20), 0.8 ** np.arange(20), "valid")[:n]
        y = 20 + 3 * np.sin(2 * np.pi * np.arange(n) / 7) + noise * walk
        parts.append(pd.DataFrame({"unique_id": f"s{s}", "ds": pd.date_range("2022-01-01", periods=n), "y": y}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    """A forecaster with both designs."""
    return Forecaster(14, training=QUICK).fit(panel(8))


def test_long_series_get_both_designs_and_a_blend_is_told(fitted: Forecaster) -> None:
    assert set(fitted.ensemble_.networks) == {"corrected", "direct"}
    assert sum(fitted.ensemble_.blend.weights.values()) == pytest.approx(1)
    assert any(note.startswith("ensemble weights from the validation windows: ") for note in fitted.notes_)


def test_the_horizon_is_free(fitted: Forecaster, tmp_path: Path) -> None:
    """Fewer steps are the first ones of more; beyond those learned the recurrence runs on and stays sane."""
    fitted.save(tmp_path / "m")
    model = rekur.load(tmp_path / "m")
    usual, few, many = (model.predict(h=h, level=[80]) for h in (14, 5, 60))
    assert (len(usual), len(few), len(many)) == (8 * 14, 8 * 5, 8 * 60)
    columns = ["rekur", "rekur-lo-80", "rekur-hi-80"]
    for name in columns:
        first = usual[name].to_numpy().reshape(8, 14)[:, :5]
        np.testing.assert_allclose(few[name].to_numpy().reshape(8, 5), first, rtol=1e-5)
    whole = np.stack([many[name].to_numpy().reshape(8, 60) for name in columns])
    first = np.stack([usual[n].to_numpy().reshape(8, 14) for n in columns])
    np.testing.assert_allclose(whole[:, :, :14], first, atol=0.3)  # smoothing chooses its rates by the horizon
    season = 20 + 3 * np.sin(2 * np.pi * (400 + np.arange(60)) / 7)
    assert np.abs(whole[0] - season).mean() < 1.5
    assert (whole[1] < whole[2]).all()
    with pytest.raises(OptionError, match="h must"):
        model.predict(h=0)


def test_paths_have_the_forecast_distribution_and_the_dependence_held_out() -> None:
    random = np.random.default_rng(0)
    errors = random.normal(size=(400, 12)).cumsum(axis=1)  # errors that pile up
    at = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    q = np.sqrt(np.arange(1, 13))[:, None] * at
    found = rank_template(np.broadcast_to(q, (400, 12, len(LEVELS))), errors)
    assert found.shape == (200, 12)
    np.testing.assert_allclose(np.sort(found, axis=0)[:, 3], (np.arange(200) + 0.5) / 200)
    for dependence in (found, random_walk_template(300, 12)):
        (paths,) = next(draw_paths(q[None], LEVELS, dependence, 2000, 0))
        np.testing.assert_allclose(paths.std(axis=0), np.sqrt(np.arange(1, 13)), rtol=0.06)
        np.testing.assert_allclose(np.quantile(paths, 0.9, axis=0), q[:, LEVELS.index(0.9)], rtol=0.12)
        total = np.sqrt(sum(min(i, j) for i in range(1, 13) for j in range(1, 13)))  # of a sum of random walks
        assert paths.sum(axis=1).std() == pytest.approx(total, rel=0.15)  # steps drawn alone: 8.8 instead of 25.5


@pytest.mark.parametrize("n", [7, 4000])  # paths of several series at a time, and of one
def test_paths_are_those_of_one_series_after_another(n: int) -> None:
    random = np.random.default_rng(1)
    q, template = np.sort(random.normal(size=(5, 9, len(LEVELS))), axis=-1), random_walk_template(30, 12)
    got = np.concatenate(list(draw_paths(q, LEVELS, template, n, 3)))
    random, normal = np.random.default_rng(3), NormalDist()
    nodes = np.array([normal.inv_cdf(level) for level in LEVELS])
    grid = np.array([normal.inv_cdf((k + 0.5) / GRID_SIZE) for k in range(GRID_SIZE)])
    for s in range(5):
        windows = random.permutation(np.arange(n) % 30)
        u = template[windows, :9] + (random.random((n, 9)) - 0.5) / 30
        z = grid[np.clip((u * GRID_SIZE).astype(int), 0, GRID_SIZE - 1)]
        right = np.clip(np.searchsorted(nodes, z), 1, len(LEVELS) - 1)
        low, high = q[s, np.arange(9), right - 1], q[s, np.arange(9), right]
        expected = low + (high - low) * (z - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
        np.testing.assert_array_equal(got[s], expected)


def test_samples_come_as_a_frame(fitted: Forecaster) -> None:
    frame = fitted.predict(samples=50)
    assert list(frame.columns) == ["unique_id", "ds", "sample", "rekur"]
    assert len(frame) == 8 * 50 * 14
    pd.testing.assert_frame_equal(frame, fitted.predict(samples=50))
    median = frame.groupby(["unique_id", "ds"])["rekur"].median().to_numpy()
    np.testing.assert_allclose(median, fitted.predict()["rekur"], atol=0.35)
    with pytest.raises(OptionError, match="paths of 20 steps cannot be drawn"):
        fitted.forecast(h=20).paths()
    short = Forecaster(4).fit(panel(1, 12))
    assert np.isfinite(short.forecast().paths(10)).all()


def test_an_ensemble_is_the_median_of_its_networks(tmp_path: Path) -> None:
    model = Forecaster(7, training=QUICK, ensemble_size=3).fit(panel(2, 120))
    group = model.ensemble_.networks["corrected"]
    assert len({network.config.context_length for network in group}) > 1
    windows = np.arange(2), model.panel_.lengths
    known = BaselineForecasts(model.panel_, model.seasons_, 7)
    made = [network.quantiles(model.panel_, *windows) for network in group]
    np.testing.assert_array_equal(
        model.ensemble_.member("corrected", model.panel_, windows, None, 7, known), np.median(made, axis=0)
    )
    model.save(tmp_path / "m")
    pd.testing.assert_frame_equal(rekur.load(tmp_path / "m").predict(level=[80]), model.predict(level=[80]))


def test_many_series_are_forecast_a_few_at_a_time(fitted: Forecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast of a series depends on no other, with new history and for every member."""
    newer = panel(8, 420)
    whole = [fitted.forecast(models=True), fitted.forecast(newer, models=True)]
    monkeypatch.setattr("rekur.forecasting.ensemble.CHUNK_SERIES", 3)
    parts = [fitted.forecast(models=True), fitted.forecast(newer, models=True)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5)
        for name, q in one.members.items():
            np.testing.assert_allclose(q, other.members[name], rtol=1e-5)


def test_forecasts_of_baselines_are_kept_by_window(fitted: Forecaster) -> None:
    known, table = BaselineForecasts(fitted.panel_, fitted.seasons_, 14), fitted.panel_
    series, stop = np.arange(8), table.lengths - 14 * (np.arange(8) % 2)
    first = known.quantiles("naive", series[:5], stop[:5])
    assert known.quantiles("naive", series[:5], stop[:5]) is first  # no copy
    mixed = known.quantiles("naive", series[[7, 2, 2, 0]], stop[[7, 2, 2, 0]])
    np.testing.assert_array_equal(mixed[1:], first[[2, 2, 0]])
    np.testing.assert_array_equal(mixed[0, :, LEVELS.index(0.5)], table.values(7)[stop[7] - 1])


def test_fine_tuning_goes_on_from_what_was_learned(fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m")
    model = rekur.load(tmp_path / "m")
    newer = panel(2, 300, seed=5).assign(y=lambda d: 100 - 2 * d.y)
    before = model.backtest(newer, n_windows=2)  # learns anew and leaves the model alone
    assert before.metrics()["rekur"]["MASE"] > 0
    first = model.ensemble_.networks["direct"][0].net.embed.weight.clone()
    tuned = model.fine_tune(newer)
    assert tuned is model
    moved = (model.ensemble_.networks["direct"][0].net.embed.weight - first).abs().mean()
    assert 0 < moved < 0.1 * first.abs().mean()
    assert model.predict().unique_id.unique().tolist() == ["s0", "s1"]
    hours = newer.assign(ds=pd.date_range("2022-01-01", periods=300, freq="h")[np.arange(600) % 300])
    with pytest.raises(DataError, match="steps"):
        model.fine_tune(hours)


def test_explaining_finds_the_covariate_that_matters() -> None:
    df = panel(4, 200)
    random = np.random.default_rng(0)
    df["deal"] = random.choice(["no", "yes"], size=len(df), p=[0.8, 0.2])
    df["noise"] = random.normal(size=len(df))
    df["y"] += 6.0 * (df["deal"] == "yes")
    model = Forecaster(7, training=Training(max_epochs=4, batch_size=64, learning_rate=5e-3, optimizer="adamw"))
    found = model.explain(df, n_windows=2, futr_exog_list=["noise", "deal"])
    assert found.covariate.tolist() == ["deal", "noise"]
    assert found.importance[0] > 0.5
    assert abs(found.importance[1]) < 0.2
    assert not hasattr(model, "ensemble_")


KILLED = """
import sys
sys.path.insert(0, "tests")
from test_ensemble import panel, training
from rekur import Forecaster
from rekur.forecasting import training as module
module.STEPS_PER_EPOCH = 20
Forecaster(14, training=training(), ensemble_size=2).fit(panel(8), checkpoint=sys.argv[1])
"""


def training() -> Training:
    """Long enough to be killed in the middle."""
    return Training(max_epochs=6, batch_size=32, learning_rate=2e-3, optimizer="adamw", ema_decay=0.9)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill without warning")
def test_a_run_that_was_killed_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    """Killed without warning in the first network and again in a later one, the checkpoint loads each time."""
    whole = Forecaster(14, training=training(), ensemble_size=2).fit(panel(8))
    root, folder = Path(__file__).parent.parent, tmp_path / "c"
    for parts in (1, 3):
        run = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], cwd=root, env={**os.environ})
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and run.poll() is None:
            if (folder / "config.json").exists() and (folder / "config.json").read_text().count(
                '"val_loss"'
            ) > 6 * parts - 4:
                break
            time.sleep(0.002)
        assert run.poll() is None, "it ended before it could be killed"
        run.kill()
        run.wait()
        rekur.serialization.load(folder)
    resumed = Forecaster(14, training=training(), ensemble_size=2).fit(panel(8), checkpoint=folder)
    pd.testing.assert_frame_equal(resumed.predict(level=[80]), whole.predict(level=[80]), rtol=0, atol=0)
    losses = [[{k: v for k, v in r.items() if k != "seconds"} for r in m.history_] for m in (resumed, whole)]
    assert losses[0] == losses[1]
