"""Training of forecasting networks: its early end, its validation windows and its batches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from rekur.data.panel import read_panel
from rekur.forecasting.config import LEVELS, default_config
from rekur.forecasting.model import NetworkShape
from rekur.forecasting.training import Member, WindowTrainer, new_trainer, stops_early
from rekur.forecasting.window_features import actual_values, validation_windows
from rekur.layers.forecast_nets import PatchNet
from rekur.layers.heads import QuantileHead
from rekur.metrics import pinball_error, seasonal_scale
from rekur.training.deadline import Deadline


@pytest.mark.parametrize(
    ("losses", "other", "ends"),
    [
        ([0.4], np.inf, False),
        ([0.4, 0.41, 0.415], np.inf, False),
        ([0.4, 0.43], np.inf, True),
        ([0.4, 0.43, 0.39], np.inf, False),
        ([0.9, 0.8, 0.7, 0.65], 0.4, False),
        ([0.9, 0.8, 0.7, 0.65, 0.64], 0.4, True),
        ([0.9, 0.8, 0.7, 0.65, 0.5], 0.4, False),
    ],
)
def test_training_ends_at_a_rise_of_the_loss_or_far_behind(losses: list[float], other: float, ends: bool) -> None:
    assert stops_early(losses, other) is ends


def hourly_trainer(horizon: int) -> WindowTrainer:
    """Trainer of the first network on 1,500 hours of two series with a few gaps."""
    hours = np.arange(1500)
    frames = []
    for k in range(2):
        y = 10 + k + np.sin(hours * np.pi / 12) + 0.1 * np.random.default_rng(k).normal(size=len(hours))
        y[5::97] = np.nan
        ds = pd.date_range("2024-01-01", periods=len(hours), freq="h")
        frames.append(pd.DataFrame({"unique_id": k, "ds": ds, "y": y}))
    panel = read_panel(pd.concat(frames))
    config = default_config((24,), horizon, panel.lengths, nonnegative=True)
    assert config is not None
    errors = seasonal_scale(panel.y, 24, panel.offsets)
    member = Member(config.architectures[0], config, 0)
    return new_trainer(panel, member, NetworkShape("gru", 8, 2), errors, 0, Deadline.after(None))


def test_validation_windows_are_a_twelfth_of_the_horizon_apart() -> None:
    trainer = hourly_trainer(40)
    series, stop = validation_windows(trainer.features.panel, trainer.model.config)
    assert np.diff(stop[series == 0]).tolist() == [3] * (len(stop) // 2 - 1)


@pytest.mark.parametrize("horizon", [24, 29])
def test_the_validation_loss_is_the_mean_pinball_loss_in_units_of_the_errors(horizon: int) -> None:
    """Also of a horizon that ends within a patch, and with missing values."""
    trainer = hourly_trainer(horizon)
    panel, net = trainer.features.panel, trainer.model.net.eval()
    assert isinstance(net, PatchNet)
    windows = validation_windows(panel, trainer.model.config)
    y = actual_values(panel, *windows, horizon)
    error = (y[..., None] - trainer.model.quantiles(panel, *windows)) / trainer.errors[windows[0]][:, None, None]
    with torch.inference_mode():
        loss = trainer.validation_loss(trainer.prepared(trainer.features.windows(*windows)))
    assert loss == pytest.approx(np.nanmean(pinball_error(error, np.asarray(LEVELS))), rel=1e-6)


def test_steps_beyond_the_horizon_have_no_weight() -> None:
    """Targets are filled up to whole patches; the loss is that of the steps of the horizon alone."""
    trainer = hourly_trainer(29)
    config, net = trainer.model.config, trainer.model.net.eval()
    batch = trainer.batch(trainer.features.training_windows(config.validation_size).pick(np.arange(7)))
    assert batch.y.shape == (7, 2, 24)
    assert batch.weight is not None
    assert isinstance(net.head, QuantileHead)
    assert float(batch.weight.flatten(1)[:, 29:].abs().max()) == 0
    raw = net(batch.x, 2)
    cut = net.head.loss(raw.flatten(1, 2)[:, :29], batch.y.flatten(1)[:, :29], batch.weight.flatten(1)[:, :29])
    torch.testing.assert_close(net.head.loss(raw, batch.y, batch.weight), cut)
