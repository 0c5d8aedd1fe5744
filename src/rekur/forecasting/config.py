"""The defaults of a forecast: how far to look back, how to cut patches and how long to train, by season and size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.data.scaling import WindowScaling
from rekur.training.config import Training

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""The quantile levels the network learns; others are read between them."""

LIKELIHOODS = ("quantiles", "student_t", "negative_binomial")
"""What a network can end in: free quantiles, or the distribution of heavy tails or of counts."""

FEWEST = 3
"""Values that a series must have to be forecast."""

EPOCH = 100
"""Steps between two validations."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e3)
"""Ridge penalties tried for the linear path; the last one is seasonal naive."""

GAPS = 0.1  # share of missing values from which on the time since the last one is an input
LONG = 3.0  # pasts that a typical series must hold before its windows can be told apart by their size
MANY = 2000  # windows for training from which on a second design is trained


@dataclass(frozen=True)
class Architecture:
    """One kind of network; a value.

    name: "corrected", blocks of normalised recurrence that correct the linear path, or "direct", one plain recurrence
    without it · scaling: of its windows · likelihood: what it ends in, one of `LIKELIHOODS`
    """

    name: str
    scaling: WindowScaling
    likelihood: str = "quantiles"

    @property
    def corrected(self) -> bool:
        """Whether there is a linear path to correct."""
        return self.name == "corrected"


@dataclass(frozen=True)
class ForecastConfig:
    """How one forecaster is built; a value.

    season: m · horizon: h · past: L, steps a window looks back · patch: p steps · first: rows of past that a window
    for training must have · held: rows at the end of each series kept for validation · designs: the networks that are
    trained · training: how to train · gaps: so many values are missing that the time since the last one is an input.
    """

    season: int
    horizon: int
    past: int
    patch: int
    first: int
    held: int
    designs: tuple[Architecture, ...]
    training: Training
    gaps: bool = False

    @property
    def future(self) -> int:
        """Future patches: ⌈h / p⌉."""
        return self.patches(self.horizon)

    def patches(self, horizon: int) -> int:
        """Patches that a horizon takes."""
        return -(-horizon // self.patch)


def recipe(
    seasons: tuple[int, ...],
    horizon: int,
    lengths: np.ndarray,
    seconds: float | None = None,
    sized: bool = False,
    likelihood: str = "quantiles",
) -> ForecastConfig | None:
    """Choose the defaults for seasons (main one first), a horizon and the lengths (S,) of the series.

    The past spans two of the longest or four of the shortest season (four of the longest where the series are long),
    at most 1024 steps, and no more than a typical series can give; a patch is the season or its largest part of at
    most 48 steps. `sized` tells that no value is negative: a logarithm is then taken, but not of counts. Returns None
    where no series is long enough to hold a window for training and one for validation: then nothing is trained.
    """
    m = seasons[0]
    typical = float(np.quantile(lengths, 0.75))
    room = int(typical) - 2 * horizon
    if room < max(m + 1, 4) or typical < 24:
        return None
    patch = max((p for p in range(1, 49) if m % p == 0), default=1) if m >= 4 else min(4, horizon)
    cycles = 4 if typical >= 60 * seasons[-1] else 2
    wanted = min(max(cycles * seasons[-1], 4 * m, 16), max(1024, m))
    past = max(min(wanted, room // patch * patch if room >= m else m), m)
    past = -(-past // patch) * patch
    held = max(horizon, int(0.15 * typical), min(3 * horizon, int(0.25 * typical)))
    held = min(held, max(horizon, (int(typical) - past) // 2 // horizon * horizon))
    first = min(past, max(m + 1, int(typical) - held - horizon - 1, 4))
    windows = int(np.maximum(0, lengths - held - horizon - first + 1).sum())
    if windows == 0:
        return None
    log = sized and likelihood != "negative_binomial"
    designs = [Architecture("corrected", WindowScaling(log=log), likelihood)]
    if windows >= MANY and typical >= LONG * past:
        designs.append(Architecture("direct", WindowScaling("last", "history"), likelihood))
    return ForecastConfig(m, horizon, past, patch, first, held, tuple(designs), training(windows, seconds))


def training(windows: int, seconds: float | None) -> Training:
    """How to train on so many windows."""
    return Training(
        max_epochs=int(np.clip(windows // 12, 200, 5000)) // EPOCH,
        batch_size=int(np.clip(2 ** int(np.log2(max(windows / 4, 1))), 16, 128)),
        learning_rate=2e-3,
        optimizer="adamw",
        weight_decay=0.01,
        warmup=0.02,
        ema_decay=0.99,
        patience=5,
        max_seconds=seconds,
    )
