"""Windows, scales and the blend: what a forecaster does with rows before and after the network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rekur.data.batches import Arrays
from rekur.data.transform import seasonal_steps, window_scale
from rekur.data.windows import Windows, every
from rekur.metrics import seasonal_scale
from rekur.tasks.blend import Blend, weigh
from rekur.tasks.recipe import LEVELS


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
    windows = every(offsets, past, horizon, first, gap)
    assert len(windows) == sum(max(0, n - gap - horizon - first + 1) for n in lengths)
    y = np.concatenate([1000 * s + np.arange(n) for s, n in enumerate(lengths)]).astype(float)
    values = windows.gather(y, np.arange(len(windows)))
    for k in range(len(windows)):
        s, stop = windows.series[k], windows.stop[k]
        assert first <= stop <= lengths[s] - gap - horizon
        expected = np.arange(stop - past, stop + horizon)
        np.testing.assert_array_equal(values[k], np.where(expected >= 0, 1000 * s + expected, np.nan))


def test_a_window_at_the_edge_of_an_empty_series_is_missing() -> None:
    windows = Windows(np.array([0, 0, 3]), 2, 2, np.array([1]), np.array([3]))
    np.testing.assert_array_equal(windows.gather(np.array([1.0, 2, 3]), np.array([0])), [[2, 3, np.nan, np.nan]])


@pytest.mark.parametrize("factor", [1.0, 1e12, 1e-12, -1.0])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_scale_and_back(factor: float, shift: float) -> None:
    """Scaled values are the same whatever the unit, and come back as they were."""
    y = np.random.default_rng(0).normal(size=(4, 20))
    y[1, 3:9] = np.nan
    base = window_scale(y, 7)
    scale = window_scale(factor * (y + shift), 7)
    z = scale.apply(factor * (y + shift))
    np.testing.assert_allclose(z, np.sign(factor) * base.apply(y), atol=1e-9)
    np.testing.assert_allclose(scale.undo(z[..., None])[..., 0], factor * (y + shift), rtol=1e-12)
    level = np.nanmean(y[:, -7:], axis=1, keepdims=True)
    np.testing.assert_allclose(base.level, level)
    np.testing.assert_allclose(base.spread[:, 0] ** 2, np.nanmean((y - level) ** 2, axis=1))


def test_windows_without_values_or_without_change_have_no_spread() -> None:
    past = np.array([[np.nan, np.nan], [5.0, 5.0], [0.1 + 0.2, 0.3]])
    scale = window_scale(past, 1)
    assert scale.spread.tolist() == [[0.0], [0.0], [0.0]]
    assert scale.level[:2].tolist() == [[0.0], [5.0]]
    np.testing.assert_array_equal(scale.undo(np.full((3, 2, 1), 9.0))[1], [[5.0], [5.0]])


@given(st.lists(st.integers(1, 25), min_size=1, max_size=4), st.integers(1, 6))
def test_seasonal_steps_are_the_scale_of_mase(lengths: list[int], season: int) -> None:
    random = np.random.default_rng(sum(lengths))
    y = random.normal(size=sum(lengths))
    y[random.random(len(y)) < 0.1] = np.nan
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    padded = np.full((len(lengths), max(lengths)), np.nan)
    for s, n in enumerate(lengths):
        padded[s, max(lengths) - n :] = y[offsets[s] : offsets[s + 1]]
    expected = np.nan_to_num(seasonal_scale(padded, season))
    np.testing.assert_allclose(seasonal_steps(y, offsets, season), expected, rtol=1e-12)


def normal(middle: np.ndarray, spread: float) -> np.ndarray:
    """Quantiles of a normal distribution around each middle, (n, h, Q)."""
    from statistics import NormalDist

    return middle[..., None] + spread * np.array([NormalDist().inv_cdf(q) for q in LEVELS])


def test_the_blend_follows_the_better_part_and_only_ever_widens() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(50, 10))
    actual, scale = truth + 0.1 * random.normal(size=truth.shape), np.ones(50)
    good, bad = normal(truth, 0.1), normal(truth + 3, 0.1)
    assert weigh(good, bad, actual, scale, LEVELS).network > 0.8
    assert weigh(bad, good, actual, scale, LEVELS).network < 0.2
    assert weigh(good, good, actual, scale, LEVELS).widen == pytest.approx(1, abs=0.1)
    assert weigh(normal(truth, 0.05), normal(truth, 0.05), actual, scale, LEVELS).widen > 1.5
    assert weigh(normal(truth, 1.0), normal(truth, 1.0), actual, scale, LEVELS).widen == 1
    few = weigh(good[:1, :2], bad[:1, :2], actual[:1, :2], scale[:1], LEVELS)
    assert 0.5 < few.network < 0.6


def test_nothing_held_out_changes_nothing() -> None:
    q = normal(np.zeros((2, 3)), 1.0)
    assert weigh(q, q, np.full((2, 3), np.nan), np.ones(2), LEVELS) == Blend(0.5, 1.0)


def test_a_blend_keeps_the_order_and_does_without_what_is_missing() -> None:
    one, two = normal(np.zeros((2, 3)), 1.0), normal(np.ones((2, 3)), 2.0)
    mixed = Blend(0.25, 1.5).mix(one, two, LEVELS)
    assert (np.diff(mixed, axis=-1) > 0).all()
    np.testing.assert_allclose(mixed[..., LEVELS.index(0.5)], 0.75)
    np.testing.assert_array_equal(Blend(0.25, 1.0).mix(one, np.full_like(one, np.nan), LEVELS), one)


def test_arrays_deal_every_row_once_in_an_order_of_the_epoch() -> None:
    import torch

    data = Arrays(torch.arange(10.0)[:, None, None], torch.arange(10), size=4, seed=1)
    orders = [torch.cat([batch.y for batch in data.shuffled(epoch)]).tolist() for epoch in (0, 0, 1)]
    assert [len(batch.y) for batch in data.shuffled(0)] == [4, 4, 2]
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
    whole = weigh(good, bad, actual, scale, LEVELS)
    for part in (0, 1):
        holes = [good.copy(), bad.copy()]
        holes[part][7] = np.nan
        found = weigh(*holes, actual, scale, LEVELS)
        assert found.network == pytest.approx(whole.network, abs=0.01)
        assert found.widen == pytest.approx(whole.widen, abs=0.05)


def test_rows_of_an_empty_last_series_are_missing() -> None:
    windows = Windows(np.array([0, 3, 3]), 2, 1, np.array([1]), np.array([0]))
    assert np.isnan(windows.gather(np.array([1.0, 2, 3]), np.array([0]))).all()


def test_a_perfect_season_is_measured_by_its_steps() -> None:
    y = 5.0 + np.arange(120) % 7
    assert seasonal_steps(y, np.array([0, 120]), 7)[0] == pytest.approx(seasonal_scale(y[None], 7)[0])
    assert seasonal_steps(np.full(9, 2.0), np.array([0, 9]), 7).tolist() == [0.0]
