"""Baselines: laws that hold for all of them, and their accuracy on public data."""

from __future__ import annotations

import csv
import doctest
import gzip
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from rekur import metrics as M
from rekur.baselines import BASELINES, METHODS, describe, forecast, methods
from rekur.core import DataError, OptionError
from test_metrics import ragged

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
MEDIAN = 3
every = pytest.mark.parametrize("name", BASELINES)


def panel(kind: str, B: int = 7, T: int = 60) -> np.ndarray:
    """Series with a season of 4 and a trend, (B, T): above zero, of both signs, or mostly zero."""
    rng = np.random.default_rng(3)
    wave = np.tile([1.0, 2.0, 0.5, 0.2], T // 4 + 1)[:T]
    y = 5 + np.arange(T) * 0.05 + wave * rng.uniform(0, 2, (B, 1)) + rng.normal(0, 0.3, (B, T))
    return {"sized": y, "signed": y - 6, "counts": rng.poisson(0.3, (B, T)).astype(float)}[kind]


def gappy(y: np.ndarray) -> np.ndarray:
    """The same with a tenth of the values missing, also in front and at the end."""
    y = y.copy()
    y[np.random.default_rng(4).random(y.shape) < 0.1] = np.nan
    y[1, :20], y[2, -3:], y[3, :-1] = np.nan, np.nan, np.nan
    return y


kinds = pytest.mark.parametrize("kind", ["sized", "signed", "counts"])


@every
def test_scale(name):
    for kind in ("sized", "signed", "counts"):
        y = gappy(panel(kind))
        told = forecast(name, y, 4, 6, LEVELS, [12])
        for a in (1e12, 1e-12, 3.7):
            assert forecast(name, a * y, 4, 6, LEVELS, [12]) == pytest.approx(a * told, rel=1e-6, abs=a * 1e-9)


@every
def test_shift(name):
    """Adding a constant adds it to the forecast, where the method is additive."""
    y, add = gappy(panel("signed")), -0.25
    told = forecast(name, y, 4, 6, LEVELS)
    assert forecast(name, y + add, 4, 6, LEVELS) == pytest.approx(told + add, rel=1e-6, abs=1e-8)


@every
@kinds
def test_a_row_does_not_depend_on_its_neighbours(name, kind, monkeypatch):
    y = gappy(panel(kind))
    told = forecast(name, y, 4, 6, LEVELS, [12])
    for i in range(len(y)):
        alone = forecast(name, y[i : i + 1], 4, 6, LEVELS, [12])[0]
        assert alone == pytest.approx(told[i], rel=1e-9, abs=1e-9, nan_ok=True)
    monkeypatch.setattr(methods, "_MAX_ROWS", 2)
    assert forecast(name, y, 4, 6, LEVELS, [12]) == pytest.approx(told, rel=1e-9, abs=1e-9)


@every
@kinds
def test_padding_changes_nothing(name, kind):
    y = gappy(panel(kind))
    wide = np.concatenate([np.full((len(y), 37), np.nan), y], axis=1)
    told = forecast(name, y, 4, 6, LEVELS, [12])
    assert forecast(name, wide, 4, 6, LEVELS, [12]) == pytest.approx(told, rel=1e-9, abs=1e-9)


@every
@kinds
def test_quantiles_rise_and_the_point_is_the_median(name, kind):
    y = gappy(panel(kind))
    told = forecast(name, y, 4, 6, LEVELS)
    assert told.shape == (7, 6, 7)
    assert np.isfinite(told).all()
    assert (np.diff(told, axis=2) >= 0).all()
    assert np.array_equal(forecast(name, y, 4, 6, [0.5])[..., 0], told[..., MEDIAN])
    if kind != "signed" and name == "smoothing":
        assert (told >= 0).all(), "sizes and counts stay above zero"


@every
def test_edges(name):
    y = np.full((5, 30), np.nan)
    y[1, -1], y[2, 4], y[3, -2:] = 7.0, -3.0, (1.0, 2.0)
    y[4] = 1e-12 / 3
    told = forecast(name, y, 12, 5, LEVELS)
    assert np.isnan(told[0]).all(), "nothing known"
    assert (told[1] == 7.0).all(), "one observation"
    assert (told[2] == -3.0).all(), "one old observation"
    assert np.isfinite(told[3]).all(), "two observations"
    assert (told[4] == 1e-12 / 3).all(), "a constant goes on, exactly"
    assert forecast(name, np.empty((0, 30)), 1, 5, LEVELS).shape == (0, 5, 7)
    assert np.isfinite(forecast(name, [[1.0, 2.0]], 24, 1, LEVELS, [168])).all()


def test_by_hand():
    y = [[np.nan, 1.0, 5.0, 2.0, np.nan, 4.0]]
    assert forecast("naive", y, 2, 3, [0.5])[0, :, 0].tolist() == [4, 4, 4]
    assert forecast("seasonal_naive", y, 2, 3, [0.5])[0, :, 0].tolist() == [5, 4, 5]
    assert forecast("drift", y, 2, 2, [0.5])[0, :, 0] == pytest.approx([4.75, 5.5])
    assert forecast("seasonal_naive", [[1.0, 2.0]], 4, 4, [0.5])[0, :, 0].tolist() == [2, 2, 1, 2]


def test_smoothing_carries_on_what_is_exact():
    """A season that repeats, one that rides on a line, and a line."""
    t, wave = np.arange(52.0), np.tile([3.0, -1.0, -4.0, 2.0], 13)
    told = forecast("smoothing", [wave, wave + 0.5 * t - 13, t - 26], 4, 4, [0.5])[..., 0]
    ahead = np.arange(52.0, 56.0)
    assert told[0] == pytest.approx([3, -1, -4, 2], abs=0.02)
    assert told[1] == pytest.approx([3, -1, -4, 2] + 0.5 * ahead - 13, abs=1.0)
    assert told[2] == pytest.approx(ahead - 26, abs=1.5)


def test_second_season_helps():
    rng = np.random.default_rng(5)
    t = np.arange(24 * 7 * 6 + 48)
    week = 1.0 * (t // 24 % 7 < 5)
    y = 10 + np.sin(2 * np.pi * t / 24) + 3 * week + rng.normal(0, 0.1, (3, t.size))
    past, true = y[:, 48 * 3 : -48], y[:, -48:]
    one, two = (M.mae(true, forecast("smoothing", past, 24, 48, [0.5], s)[..., 0]) for s in ((), (168,)))
    assert two < 0.3 < one


def promotions(B: int, T: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sales with promotions and a useless second covariate, (B, T), and the covariates (B, T, 2)."""
    rng, t = np.random.default_rng(seed), np.arange(T)
    promo = (rng.random((B, T)) < 0.15).astype(float)
    y = 50 + 6 * np.sin(2 * np.pi * t / 52) + 25 * promo + 2 * rng.normal(size=(B, T))
    return y, np.stack([promo, rng.normal(size=(B, T))], axis=2)


def test_regression_adds_the_effect_of_a_promotion():
    """From 24 promotions of 160 weeks: the error is near that of the noise, and smoothing alone is far behind."""
    y, x = promotions(20, 168)
    past, actual = y[:, :160], y[:, 160:]
    told = forecast("regression", past, 52, 8, [0.5], covariates=x)[..., 0]
    alone = forecast("smoothing", past, 52, 8, [0.5])[..., 0]
    noise = 2 * np.sqrt(2 / np.pi)
    assert M.mae(actual, told) < 1.5 * noise
    assert M.mae(actual, alone) > 4 * noise
    effect = forecast("regression", past, 52, 8, [0.5], covariates=with_ahead(x, 8, 1.0))[..., 0]
    effect -= forecast("regression", past, 52, 8, [0.5], covariates=with_ahead(x, 8, 0.0))[..., 0]
    assert effect.mean() == pytest.approx(25, rel=0.1)


def with_ahead(x: np.ndarray, h: int, value: float) -> np.ndarray:
    """The covariates with the first one set in the last h steps."""
    x = x.copy()
    x[:, -h:, 0] = value
    return x


def test_regression_on_noise_is_smoothing():
    y, x = promotions(30, 108)
    y = y - 25 * x[..., 0]
    useless = np.random.default_rng(1).normal(size=(30, 108, 3))
    told, alone = (
        forecast(name, y[:, :100], 52, 8, [0.5], covariates=each)[..., 0]
        for name, each in (("regression", useless), ("smoothing", None))
    )
    assert M.mae(y[:, 100:], told) == pytest.approx(M.mae(y[:, 100:], alone), rel=0.03)


def test_regression_is_that_of_each_row():
    """A row depends neither on its neighbours nor on the missing values before it, and a prior that fits helps."""
    y, x = promotions(5, 66)
    y[1, :30], y[2, 5], y[3, :-10] = np.nan, np.nan, np.nan
    told = forecast("regression", y[:, :-6], 4, 6, LEVELS, [12], x)
    for i in range(5):
        alone = forecast("regression", y[i : i + 1, :-6], 4, 6, LEVELS, [12], x[i : i + 1])[0]
        assert alone == pytest.approx(told[i], rel=1e-7)
    wide = np.concatenate([np.full((5, 37), np.nan), y[:, :-6]], axis=1), np.pad(x, ((0, 0), (37, 0), (0, 0)))
    assert forecast("regression", wide[0], 4, 6, LEVELS, [12], wide[1]) == pytest.approx(told, rel=1e-6)
    few, x_few = y[:1, 50:60], with_ahead(x[:1, 50:66], 16, 0.0)  # without any promotion
    x_few[:, -6:, 0] = 1.0
    plain, informed = (forecast("regression", few, 1, 6, [0.5], (), x_few, [a, 0.0]) for a in (0.0, 0.2))
    assert (informed > plain + 5).all()


def test_regression_at_its_edges():
    for T in (1, 2, 3, 5):
        told = forecast("regression", np.arange(2.0 * T).reshape(2, T), 4, 3, LEVELS, [12], np.ones((2, T + 3, 2)))
        assert np.isfinite(told).all()
    y = np.full((2, 20), np.nan)
    y[1] = 4.0
    told = forecast("regression", y, 4, 3, LEVELS, covariates=np.ones((2, 23, 1)))
    assert np.isnan(told[0]).all()
    assert (told[1] == 4.0).all()
    with pytest.raises(OptionError, match="needs covariates"):
        forecast("regression", [[1.0, 2.0]], 1, 1, [0.5])
    with pytest.raises(OptionError, match="reads no covariates"):
        forecast("naive", [[1.0, 2.0]], 1, 1, [0.5], covariates=np.ones((1, 3, 1)))
    with pytest.raises(DataError, match=r"shape \(1, 3, K\), got the shape \(1, 2, 1\)"):
        forecast("regression", [[1.0, 2.0]], 1, 1, [0.5], covariates=np.ones((1, 2, 1)))


def test_names_and_options():
    assert BASELINES == ("naive", "seasonal_naive", "drift", "smoothing")
    assert len({describe(name) for name in METHODS}) == 5
    assert doctest.testmod(methods).failed == 0
    with pytest.raises(OptionError, match="'drift'"):
        forecast("arima", [[1.0]], 1, 1, [0.5])
    with pytest.raises(OptionError, match="horizon"):
        forecast("naive", [[1.0]], 1, 0, [0.5])
    with pytest.raises(OptionError, match="levels"):
        forecast("naive", [[1.0]], 1, 1, [0.5, 0.5])
    with pytest.raises(DataError, match="infinite"):
        forecast("naive", [[1.0, np.inf]], 1, 1, [0.5])
    with pytest.raises(DataError, match="series, time"):
        forecast("naive", [1.0], 1, 1, [0.5])


def test_import_is_light():
    code = "import sys, rekur.baselines, rekur.metrics; print({'torch', 'pandas', 'scipy'} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "set()"


def test_one_series_is_quick():
    y = np.random.default_rng(0).gamma(2, 1, (1, 120)).cumsum(axis=1)
    spent = []
    for _ in range(5):
        start = time.process_time()
        forecast("smoothing", y, 12, 18, LEVELS)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.02


def test_m3(data_dir):
    """sMAPE on the 3003 series; the winner, Theta: 16.97 / 8.96 / 13.89 / 4.41, all 12.76."""
    path = data_dir / "m3" / "m3.csv.gz"
    if not path.is_file():
        pytest.skip(f"no such data: {path}")
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    bound = {"yearly": (1, 16.1), "quarterly": (4, 9.2), "monthly": (12, 13.6), "other": (1, 4.7)}
    total = 0.0
    for group, (m, limit) in bound.items():
        series = [np.array(row["train"].split(), float) for row in rows if row["freq"] == group]
        true = np.array([row["test"].split() for row in rows if row["freq"] == group], float)
        past = np.full((len(series), max(map(len, series))), np.nan)
        for i, one in enumerate(series):
            past[i, past.shape[1] - len(one) :] = one
        told = M.summary(
            true, q := forecast("smoothing", past, m, true.shape[1], LEVELS), LEVELS, M.seasonal_scale(past, m)
        )
        assert told["sMAPE"] < limit, group
        assert 0.75 < told["coverage80"] < 0.85, group
        total += told["sMAPE"] * len(q)
    assert total / len(rows) < 12.5


@pytest.mark.parametrize(
    ("group", "seasons", "m", "limit"), [("Hourly", (24, 168), 24, 1.15), ("Weekly", (52,), 1, 2.35)]
)
def test_m4(data_dir, group, seasons, m, limit):
    """MASE; the winner, ES-RNN: hourly 0.893, weekly 2.356; the Theta benchmark: 2.455 and 2.637."""
    past, true = (ragged(data_dir / "m4" / f"{group}-{part}.csv.gz") for part in ("train", "test"))
    past = past[:, -1000:]
    told = forecast("smoothing", past, seasons[0], true.shape[1], LEVELS, seasons[1:])
    scale = M.seasonal_scale(past, m)
    assert M.mase(true, told[..., MEDIAN], scale) < limit


def test_intervals_without_an_error_of_the_method_have_those_of_naive() -> None:
    y = [[3.0, 5.0, 4.0, 6.0]]
    seasonal, naive = (forecast(name, y, 9, 2, [0.1, 0.5, 0.9]) for name in ("seasonal_naive", "naive"))
    assert seasonal[0, 0] == pytest.approx(naive[0, 0], rel=0.1)
    assert (np.diff(seasonal) > 0).all()
