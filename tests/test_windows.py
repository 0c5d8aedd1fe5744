"""Windows, scales and the blend: what a forecaster does with rows before and after the network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekur.data.batching import Batcher, LazySequences
from rekur.data.frequency.calendar_features import features
from rekur.data.panel import read_panel
from rekur.data.scaling import ExpandingStd, WindowScaling
from rekur.data.windows import AllWindows, WindowIndex
from rekur.forecasting.calibration import BLOCK_MARGIN, smooth_quantiles
from rekur.forecasting.config import LEVELS, default_config
from rekur.forecasting.ensemble import within_limits
from rekur.forecasting.model_averaging import (
    ModelAverage,
    PastForecasts,
    average_models,
    baseline_weights,
    network_share,
)
from rekur.forecasting.window_features import CovariateEncoders, WindowFeatures, calendar_columns, past_windows
from rekur.metrics import seasonal_scale


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.integers(1, 8),
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(0, 5),
)
def test_windows_are_as_many_as_the_formula_says_and_never_see_their_target(
    lengths: list[int], past: int, horizon: int, first: int, gap: int
) -> None:
    """Every window holds its series' own rows in order, its target lies inside the series and before the gap."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    all_of_them = AllWindows.of(offsets, past, horizon, first, gap)
    windows = all_of_them.pick(np.arange(len(all_of_them)))
    assert len(windows) == sum(max(0, n - gap - horizon - first + 1) for n in lengths)
    y = np.concatenate([1000 * s + np.arange(n) for s, n in enumerate(lengths)]).astype(float)
    values = windows.gather(y)
    for k in range(len(windows)):
        s, stop = windows.series[k], windows.stop[k]
        assert first <= stop <= lengths[s] - gap - horizon
        expected = np.arange(stop - past, stop + horizon)
        np.testing.assert_array_equal(values[k], np.where(expected >= 0, 1000 * s + expected, np.nan))


def test_a_window_at_the_edge_of_an_empty_series_is_missing() -> None:
    windows = WindowIndex(np.array([0, 0, 3]), 2, 2, np.array([1]), np.array([3]))
    np.testing.assert_array_equal(windows.gather(np.array([1.0, 2, 3])), [[2, 3, np.nan, np.nan]])


@pytest.mark.parametrize("factor", [1.0, 1e12, 1e-12, -1.0])
@pytest.mark.parametrize("shift", [0.0, 1e3])
@pytest.mark.parametrize("level", ["season", "last"])
def test_scale_and_back(factor: float, shift: float, level: str) -> None:
    """Scaled values are the same whatever the unit, and come back as they were."""
    y = np.random.default_rng(0).normal(size=(4, 20))
    y[1, 3:9] = np.nan
    y[2, 17:] = np.nan
    base = WindowScaling(level).of(y, 7)
    scale = WindowScaling(level).of(factor * (y + shift), 7)
    z = scale.apply(factor * (y + shift))
    np.testing.assert_allclose(z, np.sign(factor) * base.apply(y), atol=1e-9)
    np.testing.assert_allclose(scale.undo(z[..., None])[..., 0], factor * (y + shift), rtol=1e-12)
    expected = np.nanmean(y[:, -7:], axis=1, keepdims=True) if level == "season" else y[:, -1:].copy()
    if level == "last":
        expected[2] = y[2, 16]
    np.testing.assert_allclose(base.level, expected)
    np.testing.assert_allclose(base.spread[:, 0] ** 2, np.nanmean((y - expected) ** 2, axis=1))


@pytest.mark.parametrize("factor", [1.0, 1e9, 1e-9])
def test_the_logarithm_knows_no_unit_and_comes_back(factor: float) -> None:
    y = np.random.default_rng(0).lognormal(sigma=2, size=(4, 20))
    y[0, 4], y[1, 3:9], y[2] = 0.0, np.nan, -y[2]
    scaling = WindowScaling(log=True)
    base, scale = scaling.of(y, 7), scaling.of(factor * y, 7)
    np.testing.assert_allclose(scale.apply(factor * y), base.apply(y), atol=1e-9)
    np.testing.assert_allclose(scale.undo(scale.apply(factor * y)[..., None])[..., 0], factor * y, rtol=1e-9)
    small = 1e-6 * base.size()[:, None]  # one unit of the scaled values, at the level
    at = base.undo(np.zeros((4, 1, 1)))[..., 0]
    np.testing.assert_allclose(base.apply(at + small), 1e-6, rtol=1e-4)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=4), st.integers(0, 300))
def test_the_spread_of_a_history_is_that_of_its_whole_blocks_and_sees_nothing_later(
    lengths: list[int], at: int
) -> None:
    random = np.random.default_rng(sum(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    y = 1e6 + random.normal(size=offsets[-1])
    y[random.random(len(y)) < 0.1] = np.nan
    series, stop = np.arange(len(lengths)), np.minimum(at, lengths)
    got = ExpandingStd.of(y, offsets).before(series, stop)
    for s in series:
        part = y[offsets[s] : offsets[s] + stop[s] // 64 * 64]
        expected = np.nanstd(part) if len(part) else np.nan
        np.testing.assert_allclose(got[s], expected, rtol=1e-6)


def test_windows_without_values_or_without_change_have_no_spread() -> None:
    past = np.array([[np.nan, np.nan], [5.0, 5.0], [0.1 + 0.2, 0.3]])
    scale = WindowScaling().of(past, 1)
    assert scale.spread.tolist() == [[0.0], [0.0], [0.0]]
    assert scale.level[:2].tolist() == [[0.0], [5.0]]
    np.testing.assert_array_equal(scale.undo(np.full((3, 2, 1), 9.0))[1], [[5.0], [5.0]])


def normal(middle: np.ndarray, spread: float) -> np.ndarray:
    """Quantiles of a normal distribution around each middle, (n, h, Q)."""
    from statistics import NormalDist

    return middle[..., None] + spread * np.array([NormalDist().inv_cdf(q) for q in LEVELS])


def past_forecasts(
    forecasts: dict[str, np.ndarray], actual: np.ndarray, scale: np.ndarray, blocks: np.ndarray | None = None
) -> PastForecasts:
    blocks = np.arange(len(actual)) if blocks is None else blocks
    return PastForecasts(forecasts, actual, scale, blocks, LEVELS)


def test_the_blend_follows_the_better_part_and_its_intervals_cover() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(200, 12))
    actual, scale = truth + 0.1 * random.normal(size=truth.shape), np.ones(200)
    good, bad = normal(truth, 0.1), normal(truth + 3, 0.1)

    def weighed(network: np.ndarray, smooth: np.ndarray, n: int = 200) -> ModelAverage:
        return average_models(
            past_forecasts({"direct": network[:n], "smoothing": smooth[:n]}, actual[:n], scale[:n], np.arange(n))
        )

    assert weighed(good, bad).weights == {"direct": 1.0}  # a share below 5 % is dropped
    assert weighed(bad, good).weights == {"smoothing": 1.0}
    np.testing.assert_allclose(weighed(good, good).interval_scale, np.exp(BLOCK_MARGIN), atol=0.15)
    assert min(weighed(normal(truth, 0.05), normal(truth, 0.05)).interval_scale) > 1.6
    assert max(weighed(normal(truth, 0.2), normal(truth, 0.2)).interval_scale) < 0.65
    few = weighed(good, bad, 1).weights
    assert 0.5 < few["direct"] < 0.6
    step = np.arange(1, 13)[:, None]
    grown = truth[..., None] + (normal(truth, 0.1) - truth[..., None]) / np.sqrt(step)
    factors = weighed(grown, grown).interval_factors(12, 12)
    np.testing.assert_allclose(factors, np.minimum(np.exp(BLOCK_MARGIN) * np.sqrt(step[:, 0]), 3), rtol=0.2)
    assert (np.diff(np.log(factors)) > 0).all()  # smooth along the horizon


def test_one_block_of_time_proves_little() -> None:
    """Errors of 200 series at one time are one observation of how far they lie from the median."""
    random = np.random.default_rng(0)
    actual = 0.3 * random.normal(size=(200, 6))
    q = normal(np.zeros((200, 6)), 0.1)  # a third of the spread
    known = past_forecasts({"smoothing": q}, actual, np.ones(200), np.zeros(200, int))
    np.testing.assert_allclose(average_models(None, known).interval_scale, np.exp(np.log(3) / 11 + 0.05), rtol=0.05)
    spread = past_forecasts({"smoothing": q}, actual, np.ones(200), np.arange(200))
    assert min(average_models(None, spread).interval_scale) > 2.5


def test_a_baseline_has_a_weight_only_where_it_is_proved_better_than_smoothing() -> None:
    random = np.random.default_rng(1)
    actual = random.normal(size=(120, 4))
    smooth, naive = normal(np.zeros((120, 4)), 1.0), normal(np.full((120, 4), 2.0), 1.0)
    blocks = np.repeat(np.arange(30), 4)
    bad_smoothing = past_forecasts({"smoothing": naive, "naive": smooth}, actual, np.ones(120), blocks)
    assert baseline_weights(bad_smoothing) == pytest.approx({"smoothing": 0.25, "naive": 0.75})
    good_smoothing = past_forecasts({"smoothing": smooth, "naive": naive}, actual, np.ones(120), blocks)
    assert baseline_weights(good_smoothing) == {"smoothing": 1.0}
    one_block = past_forecasts({"smoothing": naive, "naive": smooth}, actual, np.ones(120), blocks * 0)
    assert baseline_weights(one_block) == {"smoothing": 1.0}


def test_the_prior_share_of_networks_follows_the_significance_of_their_gain() -> None:
    blocks = np.repeat(np.arange(12), 20)  # clusters: the standard error is that of twelve numbers
    means = np.random.default_rng(0).normal(size=12)
    means -= means.mean()
    gains, error = means[blocks], means.std(ddof=1) / np.sqrt(12)
    best = np.full(240, 4.0)
    assert network_share(best + gains, best, blocks) == pytest.approx(0.5)
    assert network_share(best + gains + error, best, blocks) == pytest.approx(0.75)
    assert network_share(best + gains - 3 * error, best, blocks) == 0.0
    # one block proves little
    assert network_share(best, 1.1 * best, blocks * 0) == pytest.approx(0.45)
    assert network_share(best, 2 * best, blocks * 0) == pytest.approx(0.0)
    assert network_share(best, 0.1 * best, blocks * 0) == 0.5


def test_forecasts_are_smooth_along_the_horizon_where_no_season_speaks_against_it() -> None:
    """Outputs of a network that zigzag on a random walk are smoothed; those that follow a season are kept."""
    random = np.random.default_rng(0)
    step = np.arange(1, 13)
    walk = random.normal(size=(300, 12)).cumsum(axis=1)
    zigzag = 1 + 0.3 * (-1.0) ** step
    centre = np.broadcast_to(0.1 * (-1.0) ** step, walk.shape)
    q = centre[..., None] + (np.sqrt(step) * zigzag)[:, None] * normal(np.zeros((300, 12)), 1.0)
    average = average_models(past_forecasts({"direct": q, "smoothing": q}, walk, np.ones(300)))
    assert average.smooth == "paths"
    smooth = average.combine({"direct": q, "smoothing": q}, LEVELS, 12)[0]
    low, median, high = (smooth[:, LEVELS.index(level)] for level in (0.1, 0.5, 0.9))
    assert (np.diff(high - low) > 0).all()
    assert np.abs(np.diff(median, 2)).max() < 0.1 * np.abs(np.diff(centre[0], 2)).max()
    np.testing.assert_allclose(high - low, 2 * 1.2816 * np.sqrt(step), rtol=0.25)
    season = random.normal(size=(300, 12)) * zigzag + centre * 10
    q = 10 * centre[..., None] + zigzag[:, None] * normal(np.zeros((300, 12)), 1.0)
    kept = average_models(past_forecasts({"direct": q, "smoothing": q}, season, np.ones(300)))
    assert kept.smooth == ""
    counts = np.maximum(q, 0.0)
    assert (smooth_quantiles(counts, LEVELS, "paths") >= 0).all()
    constant = np.zeros((1, 12, len(LEVELS)))
    np.testing.assert_array_equal(smooth_quantiles(constant, LEVELS, "paths"), constant)
    np.testing.assert_array_equal(smooth_quantiles(q, LEVELS, ""), q)


def test_a_network_is_limited_by_the_interval_of_naive() -> None:
    q = normal(np.zeros((3, 2)), 1.0)
    q[1] *= 1e6
    naive = normal(np.zeros((3, 2)), 1.0)
    limited = within_limits(q, naive)
    np.testing.assert_array_equal(limited[[0, 2]], q[[0, 2]])
    assert np.abs(limited).max() == pytest.approx(2.5 * np.ptp(naive[0, 0]))
    np.testing.assert_array_equal(within_limits(q, np.full_like(q, np.nan)), q)


def test_past_windows_leave_most_of_a_series_before_them() -> None:
    panel = read_panel(
        pd.concat(
            [
                pd.DataFrame({"unique_id": s, "ds": np.arange(n), "y": np.arange(n, dtype=float)})
                for s, n in (("a", 30), ("b", 7), ("c", 200))
            ]
        )
    )
    series, stop = past_windows(panel, 1, 3, 1000)
    assert stop[series == 0].tolist() == [21, 24, 27]
    assert not (series == 1).any()
    assert (stop[series == 2] >= 134).all()


def test_nothing_held_out_changes_nothing() -> None:
    q = normal(np.zeros((2, 3)), 1.0)
    blend = average_models(past_forecasts({"direct": q, "smoothing": q}, np.full((2, 3), np.nan), np.ones(2)))
    assert blend == ModelAverage({"direct": 0.5, "smoothing": 0.5})


def test_a_blend_keeps_the_order_and_does_without_what_is_missing() -> None:
    one, two = normal(np.zeros((2, 3)), 1.0), normal(np.ones((2, 3)), 2.0)
    blend = ModelAverage({"direct": 0.25, "smoothing": 0.75}, (1.0, 1.5, 2.0))
    mixed = blend.combine({"direct": one, "smoothing": two}, LEVELS, 3)
    assert (np.diff(mixed, axis=-1) > 0).all()
    np.testing.assert_allclose(mixed[..., LEVELS.index(0.5)], 0.75)
    np.testing.assert_allclose(np.ptp(mixed, axis=-1)[0] / np.ptp(mixed[0, 0]), [1, 1.5, 2])
    silent = np.full_like(one, np.nan)
    plain = ModelAverage({"direct": 1.0})
    np.testing.assert_array_equal(plain.combine({"direct": one, "smoothing": two}, LEVELS, 3), one)
    np.testing.assert_array_equal(plain.combine({"direct": silent, "smoothing": two}, LEVELS, 3), two)
    np.testing.assert_allclose(blend.combine({"direct": one, "smoothing": silent}, LEVELS, 3)[:, 0], one[:, 0])
    assert blend.interval_factors(6, 3).tolist() == [1, 1.5, 2, 2, 2, 2]  # format 1
    np.testing.assert_allclose(ModelAverage({}, (1.0, 4.0)).interval_factors(6, 4), [1, 2, 3, 4, 4, 4])
    assert blend.describe() == "75 % smoothing (Theta), 25 % direct network"


def test_batches_hold_every_row_once_in_an_order_of_the_epoch() -> None:
    import torch

    rows = LazySequences.from_list(list(torch.arange(10.0)[:, None, None]))
    data = Batcher(rows, torch.arange(10), size=4, seed=1)
    orders = [torch.cat([batch.y for batch in data.shuffled(epoch)]).tolist() for epoch in (0, 0, 1)]
    assert sorted(len(batch.y) for batch in data.shuffled(0)) == [2, 4, 4]
    assert len(data) == 3
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(10))
    assert torch.cat([batch.y for batch in data.ordered()]).tolist() == list(range(10))


def test_one_window_that_cannot_be_forecast_does_not_decide_for_the_others() -> None:
    """A network or a smoothing forecast that is missing is left out of the weighing, not all windows."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(50, 10))
    actual, scale = truth + 0.1 * random.normal(size=truth.shape), np.ones(50)
    good, bad = normal(truth, 0.1), normal(truth + 3, 0.1)
    whole = average_models(past_forecasts({"direct": good, "smoothing": bad}, actual, scale))
    for part in (0, 1):
        holes = [good.copy(), bad.copy()]
        holes[part][7] = np.nan
        found = average_models(past_forecasts(dict(zip(("direct", "smoothing"), holes, strict=True)), actual, scale))
        assert found.weights == pytest.approx(whole.weights, abs=0.01)
        np.testing.assert_allclose(found.interval_scale, whole.interval_scale, atol=0.05)


def test_rows_of_an_empty_last_series_are_missing() -> None:
    windows = WindowIndex(np.array([0, 3, 3]), 2, 1, np.array([1]), np.array([0]))
    assert np.isnan(windows.gather(np.array([1.0, 2, 3]))).all()


def test_a_perfect_season_is_measured_by_its_steps() -> None:
    y = 5.0 + np.arange(120) % 7
    assert seasonal_scale(y, 7, np.array([0, 120]))[0] == pytest.approx(seasonal_scale(y[None], 1)[0])
    assert seasonal_scale(np.full(9, 2.0), 7, np.array([0, 9])).tolist() == [0.0]


@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_the_calendar_holds_each_time_of_the_series_once_and_none_between_them(tz: str | None) -> None:
    starts = ("2021-03-27 23:00", "2024-05-01", "2024-05-03 07:13", "2031-01-01")
    frames = [
        pd.DataFrame({"unique_id": s, "ds": pd.date_range(start, periods=n, freq="min", tz=tz), "y": 1.0})
        for s, start, n in zip("cadb", starts, (6000, 7000, 5000, 80), strict=True)
    ]
    panel = read_panel(pd.concat([frames[1], frames[3], frames[0], frames[2]]))
    config = default_config((1440,), 30, panel.lengths)
    columns = calendar_columns(panel)
    windows = WindowFeatures(panel, config, WindowScaling(), columns, CovariateEncoders.of(panel))
    margin = config.context_length + config.patches(30) * config.patch_length
    assert len(windows.calendar) <= panel.lengths.sum() + 4 * margin
    L, steps = config.context_length, np.arange(0, 200 + config.context_length, config.patch_length)
    series, stop = np.array([0, 1, 2, 2, 3, 3]), np.array([7000, 80, 0, 5990, 5000, 1])
    for each in (steps[: L // config.patch_length + 1], steps):  # within the horizon, and beyond it
        got = windows._calendar_features(windows.windows(series, stop), each)
        clock = panel.clocks(series[:, None], (stop - L)[:, None] + each)
        expected = features(panel.freq, clock.ravel())[:, columns].reshape(got.shape)
        np.testing.assert_array_equal(got, expected)
