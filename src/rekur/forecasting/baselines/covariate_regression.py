"""Covariates known for the future as the baseline "regression" reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rekur.baselines.regression import RegressionMoments, common_coefficients
from rekur.baselines.smoothing import stabilized
from rekur.core import Array
from rekur.data.ingest.covariates import ExogenousEncoder
from rekur.data.panel import Panel
from rekur.data.windows import WindowIndex

MAX_SERIES = 500
"""Series from which common coefficients are estimated, at most."""

CHUNK_VALUES = 4_000_000
"""Values of inputs that are read at a time."""


@dataclass(frozen=True)
class CovariateRegression:
    """Inputs of a regression on known future covariates, and the coefficients that all series share.

    A number x of more than two values enters with its square too, (x² - 1)/2 of the standardised number, which goes on
    as a straight line beyond the range that was learned.

    Parameters
    ----------
    encoder : ExogenousEncoder
        Encoding of the covariates.
    squared : tuple of int
        Columns of the encoder that enter with their squares too.
    low, high : tuple of float
        Ranges of these columns.
    prior : tuple of float
        Coefficients of columns and squares that all series share; zeros for a single series.
    """

    encoder: ExogenousEncoder
    squared: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    prior: tuple[float, ...]

    @classmethod
    def of(cls, panel: Panel, seasons: tuple[int, ...], rows: int) -> CovariateRegression | None:
        """Learn from the last `rows` rows of the series of a panel; None without covariates known for the future."""
        if not panel.future_names:
            return None
        encoder = ExogenousEncoder.of(panel.future, panel.future_names, panel.labels)
        x = encoder.apply(panel.future)  # (N, ·)
        low, high = x.min(axis=0, initial=0.0), x.max(axis=0, initial=0.0)
        between = ((x > low) & (x < high)).any(axis=0)
        squared = tuple(np.flatnonzero(between).tolist())
        prior = (0.0,) * (x.shape[1] + len(squared))
        new = cls(encoder, squared, tuple(low[between].tolist()), tuple(high[between].tolist()), prior)
        if len(panel) == 1 or not prior:
            return new
        return replace(new, prior=tuple(common_coefficients(new._moments(panel, seasons, rows), len(prior)).tolist()))

    def _moments(self, panel: Panel, seasons: tuple[int, ...], rows: int) -> Iterator[RegressionMoments]:
        """Moments of groups of series, of some of many."""
        used = np.flatnonzero(panel.seen > 1)
        used = used[:: max(1, -(-len(used) // MAX_SERIES))]
        inputs, rows = self.inputs(panel.future), int(min(rows, panel.lengths.max()))
        for chunk in np.array_split(used, max(1, len(used) * rows * inputs.shape[1] // CHUNK_VALUES)):
            windows = WindowIndex(panel.offsets, rows, 0, chunk, panel.lengths[chunk])
            y = windows.gather(panel.y)
            varies = np.fmax.reduce(y, axis=1) > np.fmin.reduce(y, axis=1)  # a constant would outweigh all others
            windows, z = windows.take(varies), stabilized(y[varies])[0]
            yield RegressionMoments.of(z, np.nan_to_num(windows.gather(inputs)), seasons)

    def inputs(self, values: Array) -> Array:
        """Inputs (..., K) of values (..., F) of the covariates."""
        x = self.encoder.apply(values).astype(np.float64)
        chosen = x[..., list(self.squared)]
        inside = np.clip(chosen, self.low, self.high)
        return np.concatenate([x, (inside * (2 * chosen - inside) - 1) / 2], axis=-1)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest learned value of the numbers that enter with their squares, by name."""
        learned, out, first = dict(zip(self.squared, zip(self.low, self.high, strict=True), strict=True)), {}, 0
        for column in self.encoder.columns:
            if first in learned:
                low, high = learned[first]
                out[column.name] = column.mean + column.scale * low, column.mean + column.scale * high
            first += column.width
        return out

    def of_windows(self, inputs: Array, windows: WindowIndex, future: Array | None) -> Array:
        """Inputs (n, T + h, K) of windows from those of all rows (N, K), and of covariates (n, h', F) beyond the rows.

        Unknown ones are 0, and the last ones of h' < h steps are repeated.
        """
        x = np.nan_to_num(windows.gather(inputs))
        if future is not None:
            steps = np.minimum(np.arange(windows.horizon), future.shape[1] - 1)
            x[:, windows.context_length :] = self.inputs(future)[:, steps]
        return x
