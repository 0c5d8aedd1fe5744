"""Forecast model: a linear autoregression corrected by a recurrent network, from windows to quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rekur.core import Array
from rekur.data.imputation import seasonal_fill
from rekur.data.panel import Panel
from rekur.data.scaling import WindowScale
from rekur.data.windows import WindowIndex
from rekur.forecasting.config import LEVELS, Architecture, ForecastConfig
from rekur.forecasting.window_features import CovariateEncoders, WindowFeatures
from rekur.layers.forecast_nets import DirectNet, PatchHead, PatchNet
from rekur.layers.heads import QuantileHead
from rekur.layers.likelihoods import CountHead, StudentTHead

MAX_REGRESSORS = 4096
"""Columns that the linear path reads, at most."""

CHUNK_WINDOWS = 512
"""Windows forecast at a time."""

HEADS: dict[str, type[QuantileHead | StudentTHead | CountHead]] = {
    "quantiles": QuantileHead,
    "student_t": StudentTHead,
    "negative_binomial": CountHead,
}


@dataclass(frozen=True)
class NetworkShape:
    """Cell, hidden size and number of layers of a network; a value."""

    cell: str
    hidden_size: int
    num_layers: int


@dataclass
class ForecastModel:
    """One forecasting network.

    Parameters
    ----------
    config : ForecastConfig
        Lengths of context, horizon and patch.
    architecture : Architecture
        Kind of network, scaling and likelihood.
    columns : list of int
        Indices of the calendar features.
    encoders : CovariateEncoders
        Encoders of the covariates.
    linear : torch.Tensor or None
        Weights of the linear path, shape (L + ·, h); None if there is no linear path.
    net : PatchNet or DirectNet
        The recurrent network.
    """

    config: ForecastConfig
    architecture: Architecture
    columns: list[int]
    encoders: CovariateEncoders
    linear: Tensor | None
    net: PatchNet | DirectNet

    def features(self, panel: Panel) -> WindowFeatures:
        """The features of a panel that this network reads."""
        return WindowFeatures(panel, self.config, self.architecture.scaling, self.columns, self.encoders)

    def quantiles(
        self, panel: Panel, series: Array, stop: Array, future: Array | None = None, horizon: int | None = None
    ) -> Array:
        """Quantile forecasts of windows.

        Parameters
        ----------
        panel : Panel
            Series that hold the windows.
        series, stop : np.ndarray
            Series and first target row of each window, shape (n,).
        future : np.ndarray, optional
            Known future covariates of the targets, shape (n, h, F); None for the covariates of the panel.
        horizon : int, optional
            Steps to forecast, other than those learned if wanted: the recurrence runs on.

        Returns
        -------
        np.ndarray
            Quantiles, shape (n, h, Q); NaN for windows without any observation.
        """
        h = self.config.horizon if horizon is None else horizon
        features = self.features(panel)
        covered = self.config.patches(h) * self.config.patch_length
        steps = max(h, min(covered, self.config.horizon))  # to the end of the last patch
        windows, out = features.windows(series, stop, h), np.empty((len(series), h, len(LEVELS)))
        with torch.inference_mode():
            for index in np.array_split(np.arange(len(series)), -(-len(series) // CHUNK_WINDOWS)):
                chunk = windows.take(index)
                past, _, scale = features.scaled(chunk)
                x = self.inputs(features, chunk, past, None if future is None else future[index], steps)
                q = self.forward(x, scale, h)
                q[~np.isfinite(past).any(axis=1)] = np.nan
                out[index] = q
        return out

    def inputs(
        self, features: WindowFeatures, windows: WindowIndex, past: Array, future: Array | None, horizon: int
    ) -> Tensor:
        """Inputs of the network: patches (n, P, 2·p + K) with the linear forecast of scaled contexts (n, L)."""
        return features.inputs(windows, past, self.linear_forecast(features, windows, past, future, horizon), future)

    def forward(self, x: Tensor, scale: WindowScale, horizon: int) -> Array:
        """Quantiles (n, h, Q) in the units of the series, in memory (Q, n, h), from inputs (n, P, 2·p + K)."""
        raw, head = self.net(x, self.config.patches(horizon)), self.net.head  # (n, P, p, ·)
        if isinstance(head, CountHead):
            raw = head.place(raw, *level_and_spread(scale).chunk(2, dim=1))
        levels = head.decode(raw).movedim(-1, 0).flatten(2)[..., :horizon]  # (Q, n, h)
        q = np.moveaxis(levels.double().numpy(), 0, -1)
        return q if isinstance(head, CountHead) else scale.undo(q)

    def linear_forecast(
        self, features: WindowFeatures, windows: WindowIndex, past: Array, future: Array | None, horizon: int
    ) -> Array:
        """Linear forecast (n, h) of scaled contexts (n, L), fed back beyond its horizon; 0 without a linear path."""
        if self.linear is None:
            return np.zeros((len(past), horizon))
        L, H = self.config.context_length, self.config.horizon
        known = features.future_inputs(windows, future, horizon + H)
        context, forecast = past, np.empty((len(past), 0))
        while forecast.shape[1] < horizon:
            start = forecast.shape[1]
            steps = regressors(context, known[:, start : start + L + H], self.config) @ self.linear.numpy()
            forecast = np.concatenate([forecast, steps], axis=1)
            context = np.concatenate([context, steps], axis=1)[:, -L:]
        return forecast[:, :horizon]


def regressors(past: Array, known: Array, config: ForecastConfig) -> Array:
    """Regressors of the linear path, (n, L + ·): scaled contexts (n, L) and known inputs (n, L + h, K).

    If these would be more than 4096, those of the context are left out of the known inputs. A missing value is 0, the
    level, or, if the panel has gaps, that of another season.
    """
    past = seasonal_fill(past, config.season) if config.has_gaps else past
    if known.shape[1] * known.shape[2] + past.shape[1] > MAX_REGRESSORS:
        known = known[:, past.shape[1] :]
    return np.concatenate([np.nan_to_num(past), known.reshape(len(past), -1)], axis=1)


def regressor_count(config: ForecastConfig, known: int) -> int:
    """Number of regressors of the linear path with so many known inputs a step."""
    L, h = config.context_length, config.horizon
    count = L + (L + h) * known
    return count if count <= MAX_REGRESSORS else L + h * known


def level_and_spread(scale: WindowScale) -> Tensor:
    """Level and spread of windows, (n, 2)."""
    return torch.from_numpy(np.concatenate([scale.level, scale.spread], axis=1).astype(np.float32))


def build_net(
    config: ForecastConfig, architecture: Architecture, known: int, shape: NetworkShape, dropout: float, seed: int
) -> PatchNet | DirectNet:
    """An untrained network; known is the number of known inputs of a patch."""
    hidden, patch = shape.hidden_size, config.patch_length
    head: PatchHead = HEADS[architecture.likelihood](hidden, patch, LEVELS, seed)
    if architecture.corrected:
        return PatchNet(shape.cell, patch, known, hidden, shape.num_layers, head, dropout, seed)
    return DirectNet(shape.cell, patch, known, hidden, head, dropout, seed)
