"""Forecasting configuration: context length, patches, architectures, likelihood and training by season and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rekur.core import Array, DataError, OptionError
from rekur.data.frequency.frequency import format_time
from rekur.data.frequency.seasonality import detect_season
from rekur.data.panel import Panel
from rekur.data.scaling import WindowScaling
from rekur.training.config import Training

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""Quantile levels that the networks learn; others are interpolated."""

MAX_LEVEL = 100 * (1 - 2 * LEVELS[0])
"""Widest prediction interval in percent."""

LIKELIHOODS = ("quantiles", "student_t", "negative_binomial")
"""Output distributions of a network: free quantiles, Student's t for heavy tails, negative binomial for counts."""

MIN_OBSERVATIONS = 3
"""Least number of observed values of a series that is forecast."""

STEPS_PER_EPOCH = 100
"""Batches between two validations."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e3)
"""Ridge penalties tried for the linear path; the last one amounts to seasonal naive."""

GAP_SHARE = 0.1
"""Share of missing values from which on the age of the last observation is an input."""

DIRECT_CONTEXTS = 3.0
"""Contexts that a typical series must hold before the direct architecture is trained."""

DIRECT_WINDOWS = 2000
"""Training windows from which on the direct architecture is trained."""

MAX_SEASON_SERIES = 50
"""Series in which a season is looked for, at most."""

ROWS_PER_CHUNK = 1_000_000
ZERO_SHARE = 0.2
"""Share of zeros from which on counts are modelled by a negative binomial distribution."""


@dataclass(frozen=True)
class Architecture:
    """Kind of network; a value.

    Parameters
    ----------
    name : {"corrected", "direct"}
        Normalised recurrent blocks that correct a linear forecast, or one plain recurrence without it.
    scaling : WindowScaling
        Scaling of the windows.
    likelihood : {"quantiles", "student_t", "negative_binomial"}, default "quantiles"
        Output distribution.
    """

    name: str
    scaling: WindowScaling
    likelihood: str = "quantiles"

    @property
    def corrected(self) -> bool:
        """Whether the network corrects a linear forecast."""
        return self.name == "corrected"


@dataclass(frozen=True)
class ForecastConfig:
    """Configuration of the networks of one forecaster; a value.

    Parameters
    ----------
    season : int
        Main season length m in steps.
    horizon : int
        Steps to forecast, h.
    context_length : int
        Steps before the target that a window reads, L; a multiple of `patch_length`.
    patch_length : int
        Steps of one patch, p.
    min_context : int
        Least number of steps of context inside the series for a training window.
    validation_size : int
        Steps at the end of each series held out for validation.
    architectures : tuple of Architecture
        Networks to train.
    training : Training
        Options of training.
    has_gaps : bool, default False
        Whether so many values are missing that the age of the last observation is an input.
    select : str, default "auto"
        Model that forecasts, as in `rekur.Forecaster`.
    """

    season: int
    horizon: int
    context_length: int
    patch_length: int
    min_context: int
    validation_size: int
    architectures: tuple[Architecture, ...]
    training: Training
    has_gaps: bool = False
    select: str = "auto"

    @property
    def future_patches(self) -> int:
        """Patches of the horizon, ⌈h / p⌉."""
        return self.patches(self.horizon)

    def patches(self, horizon: int) -> int:
        """Patches that cover a horizon."""
        return -(-horizon // self.patch_length)


def default_config(
    seasons: tuple[int, ...],
    horizon: int,
    lengths: Array,
    nonnegative: bool = False,
    likelihood: str = "quantiles",
) -> ForecastConfig | None:
    """Default configuration for the seasons, the horizon and the lengths of the series.

    The context spans two of the longest or four of the shortest season (four of the longest where series are long), at
    most 1024 steps, and no more than a typical series holds. A patch is the season or its largest divisor up to 48.

    Parameters
    ----------
    seasons : tuple of int
        Season lengths in steps, the main one first.
    horizon : int
        Steps to forecast.
    lengths : np.ndarray
        Lengths of the series, shape (S,).
    nonnegative : bool, default False
        Whether no value is negative; a logarithm is then taken, except of counts.
    likelihood : str, default "quantiles"
        Output distribution, one of `LIKELIHOODS`.

    Returns
    -------
    ForecastConfig or None
        None if no series holds one window for training and one for validation.
    """
    m = seasons[0]
    typical = float(np.quantile(lengths, 0.75))
    room = int(typical) - 2 * horizon
    if room < max(m + 1, 4) or typical < 24:
        return None
    patch = max((p for p in range(1, 49) if m % p == 0), default=1) if m >= 4 else min(4, horizon)
    cycles = 4 if typical >= 60 * seasons[-1] else 2
    wanted = min(max(cycles * seasons[-1], 4 * m, 16), max(1024, m))
    context = max(min(wanted, room // patch * patch if room >= m else m), m)
    context = -(-context // patch) * patch
    validation = max(horizon, int(0.15 * typical), min(3 * horizon, int(0.25 * typical)))
    validation = min(validation, max(horizon, (int(typical) - context) // 2 // horizon * horizon))
    min_context = min(context, max(m + 1, int(typical) - validation - horizon - 1, 4))
    windows = int(np.maximum(0, lengths - validation - horizon - min_context + 1).sum())
    if windows == 0:
        return None
    log = nonnegative and likelihood != "negative_binomial"
    architectures = [Architecture("corrected", WindowScaling(log=log), likelihood)]
    if windows >= DIRECT_WINDOWS and typical >= DIRECT_CONTEXTS * context:
        architectures.append(Architecture("direct", WindowScaling("last", "history"), likelihood))
    training = default_training(windows)
    return ForecastConfig(m, horizon, context, patch, min_context, validation, tuple(architectures), training)


def with_selection(config: ForecastConfig | None, select: str) -> ForecastConfig | None:
    """The configuration for a selected model: of one network alone, if it is one.

    Raises
    ------
    DataError
        A network is selected that is not trained on series of this length.
    """
    if select not in ("corrected", "direct"):
        return None if config is None else replace(config, select=select)
    if config is None:
        raise DataError(
            f"select={select!r} cannot be used: the series are too short to train a network; use 'smoothing'"
        )
    architectures = tuple(each for each in config.architectures if each.name == select)
    if not architectures:
        raise DataError(
            f"select={select!r} cannot be used: the direct network needs {DIRECT_WINDOWS:,} windows to train on and "
            f"series of {DIRECT_CONTEXTS * config.context_length:,.0f} rows; use 'corrected' or 'blend'"
        )
    return replace(config, architectures=architectures, select=select)


def default_training(windows: int) -> Training:
    """Default options of training for a number of training windows."""
    return Training(
        max_epochs=int(np.clip(windows // 12, 200, 5000)) // STEPS_PER_EPOCH,
        batch_size=int(np.clip(2 ** int(np.log2(max(windows / 4, 1))), 16, 128)),
        learning_rate=2e-3,
        optimizer="adamw",
        weight_decay=0.01,
        warmup=0.02,
        ema_decay=0.99,
        patience=5,
    )


def season_lengths(panel: Panel, season_length: int | None = None) -> tuple[int, ...]:
    """Season lengths of a panel in steps, the main one first: passed, or from the frequency, or from the values."""
    if season_length is not None:
        return (season_length,)
    if panel.freq.kind != "integer":
        return panel.freq.seasons
    sample = np.linspace(0, len(panel) - 1, min(len(panel), MAX_SEASON_SERIES)).astype(int)
    m = detect_season([panel.values(int(s)) for s in sample])
    week = 7 * m  # a season of 24 steps or more is taken for a day
    return (m, week) if m >= 24 and np.median(panel.lengths) >= 3 * week else (m,)


def refuse_long_season(panels: Sequence[Panel], season_length: int | None) -> None:
    """Raise an OptionError for a season of the user that is no shorter than the longest series."""
    longest = max(int(panel.lengths.max()) for panel in panels)
    if season_length is not None and longest <= season_length:
        raise OptionError(
            f"season_length={season_length} is longer than the history: the longest series has {longest} steps; give a "
            "season of fewer steps, or leave it out"
        )


def choose_likelihood(panel: Panel, requested: str) -> str:
    """Output distribution of the networks of a panel: the requested one, or, for "auto", the one that suits the values.

    Raises
    ------
    DataError
        "negative_binomial" was requested and a value is no count; the text names the value.
    """
    if requested not in ("auto", "negative_binomial"):
        return requested
    observed = zeros = 0
    for first in range(0, len(panel.y), ROWS_PER_CHUNK):
        y = panel.y[first : first + ROWS_PER_CHUNK]
        invalid = np.flatnonzero((y < 0) | (np.isfinite(y) & (y % 1 != 0)))
        if len(invalid):
            if requested == "auto":
                return "quantiles"
            raise DataError(_not_a_count(panel, first + int(invalid[0])))
        observed, zeros = observed + int(np.isfinite(y).sum()), zeros + int((y == 0).sum())
    return "negative_binomial" if requested != "auto" or zeros >= ZERO_SHARE * observed else "quantiles"


def _not_a_count(panel: Panel, row: int) -> str:
    """Error text for a value that is no count."""
    s = int(np.searchsorted(panel.offsets, row, side="right")) - 1
    which = "" if panel.ids[s] is None else f"series {panel.ids[s]!r}, "
    when = format_time(panel.at(np.array(s), row - panel.offsets[s]))
    return (
        f"{which}{when}: {panel.y[row]:g} is not a count, as likelihood='negative_binomial' needs; use 'quantiles', "
        "or, where the values of one time were averaged, duplicates='sum'"
    )
