"""Student-t and negative binomial heads: their losses, their quantiles, and what they are worth in a forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import distributions

import rekur
from rekur.core import DataError, OptionError
from rekur.forecasting.config import LEVELS
from rekur.forecasting.forecaster import Forecaster
from rekur.layers.likelihoods import MAX_SUMMED_MEAN, CountHead, StudentTHead, count_quantiles, student_quantiles
from rekur.metrics import wql
from rekur.training.config import Training


def test_losses_are_the_negative_log_likelihoods_of_torch() -> None:
    random = torch.Generator().manual_seed(0)
    raw, y = torch.randn(5, 4, 3, generator=random), torch.randn(5, 4, generator=random)
    head = StudentTHead(2, 4, LEVELS)
    s, nu = torch.nn.functional.softplus(raw[..., 1]) + 1e-4, 2 + torch.nn.functional.softplus(raw[..., 2])
    expected = -distributions.StudentT(nu, raw[..., 0], s).log_prob(y)
    torch.testing.assert_close(head.loss(raw, y), expected.mean())
    weight = torch.zeros(5, 4)
    weight[2, 1] = 3.0
    torch.testing.assert_close(head.loss(raw, y, weight), expected[2, 1])
    counts = torch.randint(0, 20, (5, 4), generator=random).float()
    level, spread = torch.full((5, 1), 4.0), torch.full((5, 1), 2.0)
    placed = CountHead(2, 4, LEVELS).place(raw[..., :2], level, spread)
    mean, alpha = placed[..., 0], torch.nn.functional.softplus(raw[..., 1]) + 1e-3
    torch.testing.assert_close(mean, 0.5 * torch.nn.functional.softplus((4 + 2 * raw[..., 0]) / 0.5))
    expected = -distributions.NegativeBinomial(1 / alpha, logits=torch.log(mean * alpha)).log_prob(counts)
    torch.testing.assert_close(CountHead(2, 4, LEVELS).loss(placed, counts), expected.mean())


def test_student_quantiles_are_those_of_closed_forms() -> None:
    """ν = 4 has a closed form; a large ν is the normal distribution; tables give t of 30 degrees at 97.5 %."""
    p = np.array(LEVELS)
    a = 4 * p * (1 - p)
    four = 2 * np.sign(p - 0.5) * np.sqrt(np.maximum(np.cos(np.arccos(np.sqrt(a)) / 3) / np.sqrt(a) - 1, 0))
    found = student_quantiles(np.array([0.25, 0.0, 1 / 30]), LEVELS)
    np.testing.assert_allclose(found[0], four, atol=1e-6)
    np.testing.assert_allclose(found[1, -1], 1.959964, atol=1e-6)
    np.testing.assert_allclose(found[2, -1], 2.042272, atol=1e-4)  # between two nodes
    assert (np.diff(student_quantiles(np.linspace(0, 0.5, 37), LEVELS), axis=-1) > 0).all()


@pytest.mark.parametrize("mean", [0.01, 0.7, 5.0, 59.0, 61.0, 500.0])
@pytest.mark.parametrize("alpha", [1e-3, 0.1, 2.0])
def test_count_quantiles_are_those_of_the_distribution(mean: float, alpha: float) -> None:
    """The least count whose probabilities add up to the level; off by one where a gamma distribution stands for it."""
    found = count_quantiles(np.array([mean]), np.array([alpha]), LEVELS)[0]
    k = torch.arange(20_000, dtype=torch.float64)
    r = torch.tensor(1 / alpha, dtype=torch.float64)
    below = distributions.NegativeBinomial(r, logits=torch.log(mean / r)).log_prob(k).exp().cumsum(0).numpy()
    expected = np.searchsorted(below, np.array(LEVELS) - 1e-12)
    np.testing.assert_allclose(found, expected, atol=0 if mean < MAX_SUMMED_MEAN else 1)


def demand(series: int = 30, n: int = 200, more: int = 14) -> tuple[pd.DataFrame, np.ndarray]:
    """Rare sales with a week: negative binomial counts, most of them 0, and what comes next (S, more)."""
    random, t = np.random.default_rng(0), np.arange(n + more)
    mean = np.exp(random.normal(-0.7, 0.7, size=(series, 1))) * (1 + 0.8 * np.sin(2 * np.pi * t / 7))
    y = random.negative_binomial(2, 2 / (2 + mean)).astype(float)
    ids, ds = np.repeat(np.arange(series), n), np.tile(pd.date_range("2024-01-01", periods=n), series)
    return pd.DataFrame({"unique_id": ids, "ds": ds, "y": y[:, :n].ravel()}), y[:, n:]


def test_counts_of_rare_events_are_found_and_forecast_better(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weighted quantile loss is lower than that of free quantiles, and the median is a count."""
    import rekur

    monkeypatch.setattr("rekur.forecasting.training.STEPS_PER_EPOCH", 20)
    df, actual = demand()
    losses = {}
    for likelihood in ("auto", "quantiles"):
        model = Forecaster(14, likelihood=likelihood).fit(df)
        losses[likelihood] = wql(actual, model.forecast().values, LEVELS)
        counts = any("negative binomial" in note for note in model.notes_)
        assert counts == (likelihood == "auto")
        if counts:
            assert {design.likelihood for design in model.config_.architectures} == {"negative_binomial"}
            model.save(str(tmp_path) + "/model")
            loaded = rekur.load(str(tmp_path) + "/model")
            np.testing.assert_array_equal(loaded.forecast().values, model.forecast().values)
    assert losses["auto"] < losses["quantiles"], losses


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_heavy_tails_are_learned_better_by_a_student_t_distribution(seed: int) -> None:
    """On draws of t with three degrees of freedom the pinball loss held out is lower than that of free quantiles."""
    y = 50 + np.random.default_rng(seed).standard_t(3, size=1500)
    df = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=1500), "y": y})
    losses = {}
    for likelihood in ("student_t", "quantiles"):
        model = Forecaster(7, likelihood=likelihood).fit(df)
        losses[likelihood] = min(record["val_loss"] for record in model.history_)
        assert (np.diff(model.forecast().values, axis=-1) >= 0).all()
    assert losses["student_t"] < losses["quantiles"], losses


def test_what_is_no_count_is_refused() -> None:
    df, _ = demand(2)
    df.loc[5, "y"] = 2.5
    with pytest.raises(DataError, match=r"series 0, 2024-01-06: 2.5 is not a count.*quantiles"):
        Forecaster(14, likelihood="negative_binomial").fit(df)
    with pytest.raises(OptionError, match="'negative_binomial'"):
        Forecaster(14, likelihood="poisson").fit(df)


def test_a_model_of_counts_is_not_tuned_by_other_values_and_stays_above_zero() -> None:
    random = np.random.default_rng(3)
    ds = pd.date_range("2024-01-01", periods=90)
    df = pd.DataFrame({"ds": ds, "y": random.poisson(0.7, 90).astype(float)})
    made = Forecaster(
        5, training=Training(max_epochs=1, batch_size=16, learning_rate=2e-3), hidden_size=8, num_layers=1
    ).fit(df)
    assert made.config_.architectures[0].likelihood == "negative_binomial"
    with pytest.raises(DataError, match="is not a count"):
        made.fine_tune(df.assign(y=df.y + 0.5))
    falling = df.assign(y=np.where(np.arange(90) < 80, df.y + 9, 0))
    assert (made.predict(falling, level=[90])["rekur-lo-90"] >= 0).all()


def test_forecasts_of_counts_are_whole_numbers(tmp_path: Path) -> None:
    """Medians, intervals between the learned levels, sample paths and backtest; other series keep their fractions."""
    random, ds = np.random.default_rng(3), pd.date_range("2024-01-01", periods=90)
    df = pd.DataFrame({"ds": ds, "y": random.poisson(0.3, 90).astype(float)})
    quick = {"training": Training(max_epochs=1, batch_size=16), "hidden_size": 8, "num_layers": 1}
    model = Forecaster(5, **quick).fit(df)
    model.save(tmp_path / "m")
    for each in (model, rekur.load(tmp_path / "m")):
        numbers = each.predict(level=[33, 80], quantiles=[0.77]).iloc[:, 1:].to_numpy()
        assert (numbers == numbers.round()).all()
        assert (numbers >= 0).all()
        paths = each.predict(samples=30).rekur
        assert (paths == paths.round()).all()
        assert paths.nunique() > 1
    q = model.backtest(df, n_windows=1).forecasts["rekur"]
    assert (q == q.round()).all()
    note = next(note for note in model.notes_ if "counts" in note)
    assert note.endswith("forecasts are rounded to whole numbers")
    networks = set(model.ensemble_.blend.weights) & set(model.ensemble_.networks)
    assert ("negative binomial" in note) == bool(networks)
    months = pd.date_range("1990-01-01", periods=90, freq="MS")
    slow = pd.DataFrame({"unique_id": "m", "ds": months, "y": random.normal(size=90)})
    both = Forecaster(5, **quick).fit(pd.concat([df.assign(unique_id="d"), slow])).predict(level=[80])
    fractions = both.groupby("unique_id").rekur.apply(lambda y: (y % 1 != 0).any())
    assert fractions.to_dict() == {"d": False, "m": True}
