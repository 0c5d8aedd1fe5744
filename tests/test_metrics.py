"""Measures: by hand, by identity, and against published scores of the M4 competition."""

from __future__ import annotations

import csv
import doctest
import gzip
from pathlib import Path

import numpy as np
import pytest

from rekur import metrics as M
from rekur.baselines import forecast
from rekur.core import DataError, OptionError
from rekur.metrics import clusters, comparison, point_forecast, quantile_forecast, sequence

MODULES = (clusters, comparison, point_forecast, quantile_forecast, sequence)
NAN = float("nan")
LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def ragged(path: Path) -> np.ndarray:
    """One row a series, right-aligned, NaN before its start, (B, T)."""
    if not path.is_file():
        pytest.skip(f"no such data: {path}")
    with gzip.open(path, "rt") as file:
        rows = [[float(v) for v in row[1:] if v not in ("", "NA")] for row in list(csv.reader(file))[1:]]
    out = np.full((len(rows), max(map(len, rows))), np.nan)
    for i, row in enumerate(rows):
        out[i, out.shape[1] - len(row) :] = row
    return out


def test_examples_run():
    assert all(doctest.testmod(module).failed == 0 for module in MODULES)
    assert sum(doctest.testmod(module).attempted for module in MODULES) >= 2 * len(M.__all__)


def test_missing_actual_values_are_left_out():
    y, f = [[1.0, NAN, 3.0], [NAN, NAN, NAN]], [[2.0, 9.0, 1.0], [5.0, 5.0, 5.0]]
    assert M.mae(y, f) == 1.5
    assert M.rmse(y, f) == pytest.approx(2.5**0.5)
    assert M.smape(y, f) == pytest.approx((200 / 3 + 100) / 2)
    assert M.mase(y, f, [3.0, 1.0]) == 0.5
    assert M.coverage(y, [[0.0] * 3] * 2, [[2.0] * 3] * 2) == 0.5
    assert M.wql(y, np.array(f)[..., None], [0.5]) == pytest.approx(3 / 4)


def test_nothing_to_measure_is_nan():
    y = np.full((2, 3), NAN)
    values = [M.mae(y, y), M.rmse(y, y), M.smape(y, y), M.mase(y, y, [1, 1]), M.coverage(y, y, y)]
    assert np.isnan([*values, M.wql(y, y[..., None], [0.5]), M.msis(y, y, y, [1, 1])]).all()


def test_a_missing_forecast_does_not_look_good():
    y, f = [[1.0, 2.0]], [[1.0, NAN]]
    assert np.isnan([M.mae(y, f), M.rmse(y, f), M.smape(y, f), M.mase(y, f, [1.0])]).all()
    assert np.isnan(M.coverage(y, f, [[3.0, 3.0]]))
    assert np.isnan(M.coverage([[9.0, 9.0]], f, [[3.0, 3.0]])), "not even where the other end already misses"


def test_scale_ignores_gaps_and_padding():
    y = np.array([[NAN, NAN, 1.0, 3.0, NAN, 4.0, 8.0]])
    assert M.seasonal_scale(y) == pytest.approx([3.0])
    assert M.seasonal_scale(y, 2) == pytest.approx([1.0])
    assert np.array_equal(M.seasonal_scale(y[:, 2:], 2), M.seasonal_scale(y, 2))


@pytest.mark.parametrize("season", [1, 2, 5, 40])
def test_scale_of_series_one_after_another_is_that_of_padded_ones(season, monkeypatch):
    rng = np.random.default_rng(season)
    series = [rng.normal(size=n) for n in (1, 2, 9, 40, 41, 120)]
    series[4][::7] = NAN
    padded = np.full((len(series), 120), NAN)
    for row, values in zip(padded, series, strict=True):
        row[120 - len(values) :] = values
    offsets = np.cumsum([0, *map(len, series)])

    def mean_difference(values, lag):
        pairs = [abs(values[t] - values[t - lag]) for t in range(lag, len(values))]
        pairs = [pair for pair in pairs if not np.isnan(pair)]
        return sum(pairs) / len(pairs) if pairs else NAN

    expected = [mean_difference(values, season) for values in series]
    expected = [a if np.isnan(b) else b for a, b in zip((mean_difference(v, 1) for v in series), expected, strict=True)]
    flat = M.seasonal_scale(np.concatenate(series), season, offsets)
    np.testing.assert_array_equal(flat, M.seasonal_scale(padded, season))
    np.testing.assert_allclose(flat, expected, rtol=1e-12)
    with pytest.raises(DataError, match="with offsets"):
        M.seasonal_scale(padded, season, offsets)
    monkeypatch.setattr(point_forecast, "_MAX_VALUES", 30)
    np.testing.assert_array_equal(M.seasonal_scale(np.concatenate(series), season, offsets), flat)


def test_pinball_of_single_errors():
    error, levels = np.array([[1.0], [-2.0]]), np.array([0.1, 0.5])
    np.testing.assert_allclose(M.pinball_error(error, levels), [[0.1, 0.5], [1.8, 1.0]])


def test_scale_of_short_and_constant_series():
    assert M.seasonal_scale([[NAN, 1.0, 3.0]], 12) == pytest.approx([2.0]), "fewer than m + 1: season 1"
    assert M.seasonal_scale([[1.0, 3.0, 1.0, 3.0]], 2) == pytest.approx([2.0]), "exact repetition: season 1"
    assert M.seasonal_scale([[5.0, 5.0, 5.0]])[0] == 0.0
    assert np.isnan(M.seasonal_scale([[NAN, NAN, 5.0], [NAN, NAN, NAN]])).all()


@pytest.mark.parametrize("scale", [0.0, NAN])
def test_windows_without_scale_are_left_out(scale):
    y = [[1.0, 2.0], [5.0, 5.0]]
    for other in (5.0, 6.0):
        f = [[1.0, 3.0], [5.0, other]]
        assert M.mase(y, f, [1.0, scale]) == 0.5
        assert M.msis(y, f, f, [1.0, scale], level=0.5) == pytest.approx(2.0)


def test_quantile_losses_agree():
    rng = np.random.default_rng(0)
    y, q = rng.normal(size=(5, 4)), np.sort(rng.normal(size=(5, 4, 9)), axis=2)
    e = y[..., None] - q
    by_hand = np.where(e > 0, LEVELS * e, (LEVELS - 1) * e).mean(axis=(0, 1))
    assert M.pinball(y, q, LEVELS) == pytest.approx(by_hand)
    assert M.wql(y, q, LEVELS) == pytest.approx(2 * by_hand.mean() / np.abs(y).mean())
    assert 2 * M.pinball(y, q[..., 4:5], [0.5])[0] == pytest.approx(M.mae(y, q[..., 4]))


def test_interval_score_is_the_sum_of_its_quantile_losses():
    """(hi - lo) + 2/α·(misses) = 2/α·(pinball of α/2 + pinball of 1 - α/2) (Gneiting & Raftery, 2007)."""
    rng = np.random.default_rng(1)
    y, q = rng.normal(size=(5, 4)), np.sort(rng.normal(size=(5, 4, 2)), axis=2)
    loss = M.pinball(y, q, [0.1, 0.9]).sum()
    assert M.msis(y, q[..., 0], q[..., 1], np.ones(5), level=0.8) == pytest.approx(loss * 2 / 0.2)


def test_summary_reads_between_levels():
    y, scale = np.array([[2.0, 4.0]]), [1.0]
    q = np.array([[[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]]])
    told = M.summary(y, q, [0.05, 0.5, 0.95], scale)
    assert told == pytest.approx(
        {"MASE": 0, "sMAPE": 0, "RMSE": 0, "WQL": told["WQL"], "MSIS80": 32 / 9, "coverage80": 1.0}
    )
    inner = M.summary(y, q, [0.2, 0.5, 0.8], scale)
    assert np.isnan(inner["coverage80"])
    assert inner["MASE"] == 0, "the tails are not invented, the rest is told"
    assert M.at_level([[0.0, 4.0]], [0.25, 0.75], 0.375) == pytest.approx([1.0])


def test_wrong_shapes_and_levels_are_named():
    with pytest.raises(DataError, match=r"\(1, 2\).*\(1, 3\)"):
        M.mae([[1.0, 2.0]], [[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match="each of the 1 windows"):
        M.mase([[1.0]], [[1.0]], [1.0, 2.0])
    with pytest.raises(DataError, match="2 levels"):
        M.wql([[1.0]], [[[1.0]]], [0.1, 0.9])
    with pytest.raises(OptionError, match="rise"):
        M.pinball([[1.0]], [[[1.0, 2.0]]], [0.9, 0.1])
    with pytest.raises(OptionError, match="season"):
        M.seasonal_scale([[1.0, 2.0]], 0)


@pytest.mark.parametrize(("group", "m", "expected"), [("Hourly", 24, (18.383, 2.395)), ("Weekly", 1, (9.161, 2.777))])
def test_published_scores_of_naive2(data_dir, group, m, expected):
    """The official scores of the M4 benchmark Naive2, from its official forecasts."""
    y, f = (ragged(data_dir / "m4" / f"{group}-{part}.csv.gz") for part in ("test", "naive2"))
    scale = M.seasonal_scale(ragged(data_dir / "m4" / f"{group}-train.csv.gz"), m)
    assert (round(M.smape(y, f), 3), round(M.mase(y, f, scale), 3)) == expected


@pytest.mark.parametrize(
    ("group", "name", "m", "expected"), [("Hourly", "seasonal_naive", 24, 1.193), ("Weekly", "naive", 1, 2.777)]
)
def test_known_scores_of_naive_methods(data_dir, group, name, m, expected):
    past, y = (ragged(data_dir / "m4" / f"{group}-{part}.csv.gz") for part in ("train", "test"))
    q = forecast(name, past, m, y.shape[1], LEVELS)
    told = M.summary(y, q, LEVELS, M.seasonal_scale(past, m))
    assert told["MASE"] == pytest.approx(expected, abs=5e-4)
    assert told["coverage80"] == pytest.approx(0.8, abs=0.08)
