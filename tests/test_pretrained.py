"""Pretrained forecaster: synthetic series, coordinates of a forecast, network and its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rekur.forecasting import config
from rekur.pretrained import train
from rekur.pretrained.coordinates import CANDIDATES, coordinates, impute
from rekur.pretrained.generators import LONG, SHORT, Mixture, draw_series
from rekur.pretrained.generators.mixture import FAMILIES, gaps
from rekur.pretrained.net import LEVELS, MIDDLE, CandidateNet
from rekur.pretrained.zero import zero_shot

PATCH = 16


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_finite_series_with_its_seed(family: str) -> None:
    """Values are finite, differ between rows and depend on the seed alone."""
    periods = np.array([[24, 168], [12, 1], [7, 365], [1, 1]])
    first, again = (FAMILIES[family](np.random.default_rng(3), periods, 96) for _ in range(2))
    assert first.shape == (4, 96)
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("mixture", [LONG, SHORT], ids=["long", "short"])
def test_mixture_knows_most_seasons(mixture: Mixture) -> None:
    """Seasonal series repeat after the period that is known more than after half of it."""
    series = draw_series(np.random.default_rng(0), mixture, 256)
    assert series.values.shape == (256, mixture.length)
    known = series.periods[:, 0]
    assert (series.periods >= 1).all()
    assert 0.5 < (known > 1).mean() < 0.95
    nearer = []
    for y, p in zip(series.values, known, strict=True):
        if 4 <= p <= mixture.length // 4 and np.isfinite(y).all() and y.std() > 0:
            d = np.diff(y)
            same, half = (np.corrcoef(d[lag:], d[:-lag])[0, 1] for lag in (p, p // 2))
            nearer.append(same > half)
    share = np.mean(nearer)
    print(f"{len(nearer)} series, {share:.2f} nearer")
    assert share > 0.75


def test_gaps_leave_most_of_a_series() -> None:
    """At most 35 % are missing, and something is."""
    missing = gaps(np.random.default_rng(0), 200, 100)
    assert missing.any()
    assert missing.mean(1).max() < 0.35


def test_gaps_are_filled_by_the_value_a_period_before() -> None:
    """A missing step takes the nearest period that is visible, else the last value; the beginning takes the first."""
    x = torch.tensor([[9.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0]])
    visible = torch.tensor([[0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0]], dtype=torch.bool)
    filled, first = impute(x, visible, torch.tensor([[3]]))
    assert first.item() == 1
    assert filled.tolist() == [[1, 1, 2, 3, 4, 2, 6, 4, 2, 6, 4, 2]]


def example(seed: int = 0, size: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Six series of ten patches with their periods; the last three patches and one within are hidden."""
    rng = np.random.default_rng(seed)
    t = np.arange(10 * PATCH)
    values = np.sin(2 * np.pi * t / 12) + 0.3 * rng.standard_normal((size, len(t))) + 0.01 * t
    visible = torch.ones(size, 10, dtype=torch.bool)
    visible[:, 4] = False
    visible[:, 7:] = False
    periods = torch.tensor([[12, 1], [12, 36], [1, 1], [7, 1], [24, 48], [5, 1]])[:size]
    return torch.from_numpy(values.astype(np.float32)), visible, periods


def test_hidden_values_do_not_leak() -> None:
    """Neither inputs nor base nor candidates depend on hidden values, whatever they are."""
    values, visible, periods = example()
    before = coordinates(values, visible, periods, PATCH)
    hidden = ~visible.repeat_interleave(PATCH, 1)
    after = coordinates(torch.where(hidden, 1e3, values), visible, periods, PATCH)
    for name in ("inputs", "base", "candidates", "scale"):
        assert torch.equal(getattr(before, name), getattr(after, name)), name
    assert not torch.equal(before.target, after.target)


def test_later_values_do_not_leak() -> None:
    """Base and candidates of a patch depend on values before it alone, but for the common scale."""
    values, visible, periods = example()
    changed = values.clone()
    changed[:, 6 * PATCH :] += 5
    a, b = (coordinates(x, visible, periods, PATCH) for x in (values, changed))
    for name in ("base", "candidates"):
        x, y = ((getattr(c, name) * (1 if name == "base" else c.scale[:, :, None, None]))[:, :5] for c in (a, b))
        keep = [i for i, c in enumerate(CANDIDATES) if c not in ("last", "growth")]  # bounded in units of the scale
        x, y = (x, y) if name == "base" else (x[..., keep], y[..., keep])
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)


def test_base_is_the_seasonal_naive_forecast() -> None:
    """After the end of the history the base repeats the last period."""
    values, visible, periods = example()
    visible[:, 4] = True
    base = coordinates(values, visible, periods, PATCH).base[:, -3:].flatten(1)
    for y, b, p in zip(values, base, periods[:, 0].tolist(), strict=True):
        past = y[: 7 * PATCH]
        expected = past[len(past) - p + torch.arange(3 * PATCH) % p]
        torch.testing.assert_close(b, expected, rtol=1e-5, atol=1e-5)


def test_coordinates_follow_scale_and_level() -> None:
    """a·x + b has the same inputs, candidates and targets, and a base that is moved alike."""
    values, visible, periods = example()
    values[:, ::7] = torch.nan
    a, b = (coordinates(x, visible, periods, PATCH) for x in (values, 20 * values - 7))
    keep = [i for i, c in enumerate(CANDIDATES) if c != "growth"]  # of positive series alone
    torch.testing.assert_close(a.candidates[..., keep], b.candidates[..., keep], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(a.target, b.target, rtol=1e-3, atol=1e-3, equal_nan=True)
    torch.testing.assert_close(20 * a.base - 7, b.base, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("values", [[np.nan] * 32, [3.0] * 32, [np.nan] * 31 + [1.0]], ids=["none", "constant", "one"])
def test_degenerate_series_give_finite_numbers(values: list[float]) -> None:
    """No value at all, a constant and a single value."""
    x = torch.tensor([[*values, *[np.nan] * PATCH]], dtype=torch.float32)
    c = coordinates(x, torch.tensor([[True, True, False]]), torch.tensor([[1, 1]]), PATCH)
    for name in ("inputs", "base", "candidates", "scale"):
        assert getattr(c, name).isfinite().all(), name
    assert c.weight.sum() <= np.isfinite(values).sum()


def test_untrained_net_is_close_to_seasonal_naive_and_its_quantiles_increase() -> None:
    """The median starts at the base; quantiles are in order."""
    net = CandidateNet(hidden_size=16, num_layers=1)
    with torch.no_grad():
        net.head.weight.zero_()
    values, visible, periods = example()
    c = coordinates(values, visible, periods, PATCH)
    q = net.quantiles(c, last=3)
    assert q.shape == (6, 3, PATCH, len(LEVELS))
    torch.testing.assert_close(q[..., MIDDLE], c.base[:, -3:])
    assert (q.diff(dim=-1) > 0).all()


def test_levels_are_those_of_the_forecaster() -> None:
    """Quantiles of the network can stand beside those of the forecaster's networks and baselines."""
    assert LEVELS == config.LEVELS


def test_loss_is_the_pinball_loss_of_the_quantiles() -> None:
    """The fused loss equals twice the mean pinball loss in seasonal errors, of the known targets."""
    net = CandidateNet(hidden_size=16, num_layers=1, seed=1)
    values, visible, periods = example()
    values[:, -20:-10] = torch.nan
    c = coordinates(values, visible, periods, PATCH)
    with torch.no_grad():
        q = (net.quantiles(c, last=9) - c.base[..., None]) / c.scale[:, :, None, None]
        error, level = c.target.nan_to_num()[..., None] - q, torch.tensor(LEVELS)
        pinball = 2 * torch.maximum(level * error, (level - 1) * error).mean(-1)
        expected = (pinball * c.weight).sum() / c.weight.sum()
        torch.testing.assert_close(net.loss(c), expected, rtol=1e-4, atol=1e-4)


def test_forecast_does_not_depend_on_the_batch() -> None:
    """Series of several lengths get the forecasts that they get alone."""
    net, rng = CandidateNet(hidden_size=16, num_layers=1).eval(), np.random.default_rng(0)
    series = [rng.standard_normal(n).cumsum() for n in (40, 7, 300)]
    periods = np.array([[12, 1], [1, 1], [24, 1]])
    together = zero_shot(net, series, periods, horizon=20)
    alone = np.concatenate([zero_shot(net, series[i : i + 1], periods[i : i + 1], 20) for i in range(3)])
    assert together.shape == (3, 20, len(LEVELS))
    assert np.abs(together[2] - alone[2]).max() < 1e-4
    for i in range(2):  # a longer batch has patches before the first value, which the recurrence reads
        assert np.abs(together[i] - alone[i]).max() < 1e-4


def test_training_resumes_with_the_numbers_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two halves of a run give the bits of a whole one, and the log has their rows."""
    monkeypatch.setattr(train, "BATCH", {LONG.length: 2, SHORT.length: 4})
    options: dict[str, int | str] = {"seed": 5, "cell": "gru", "hidden_size": 8, "num_layers": 1}
    for folder, parts in (("whole", [11]), ("halves", [5, 6])):
        for steps in parts:
            (tmp_path / folder).mkdir(exist_ok=True)
            run = train.Run.resume(tmp_path / folder, options, "cpu")
            train.train(run, tmp_path / folder, steps, "cpu")
    whole, halves = (train.Run.resume(tmp_path / folder, options, "cpu") for folder in ("whole", "halves"))
    assert whole.step == halves.step == 11
    assert whole.windows == halves.windows == 2 * 8 + 4 * 3
    assert torch.equal(whole.optimizer.mean, halves.optimizer.mean)
    assert len((tmp_path / "halves" / "log.csv").read_text().splitlines()) == 3


def test_training_refuses_a_checkpoint_of_other_options(tmp_path: Path) -> None:
    """Another size of the network is named in one line."""
    options: dict[str, int | str] = {"seed": 5, "cell": "gru", "hidden_size": 8, "num_layers": 1}
    train.Run.start(options, "cpu").save(tmp_path / "checkpoint")
    with pytest.raises(train.ModelFileError, match="hidden_size"):
        train.Run.resume(tmp_path, options | {"hidden_size": 16}, "cpu")
