"""The defaults of a forecast: how far to look back, how to cut patches and how long to train, by season and size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rekur.train import Training

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""The quantile levels the network learns; others are read between them."""

FEWEST = 3
"""Values that a series must have to be forecast."""

EPOCH = 50
"""Steps between two validations."""

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e3)
"""Ridge penalties tried for the linear path; the last one is seasonal naive."""


@dataclass(frozen=True)
class Recipe:
    """How one forecaster is built; a value.

    season: m · horizon: h · past: L, steps a window looks back · patch: p steps · first: rows of past that a window
    for training must have · held: rows at the end of each series kept for validation · training: how to train.
    """

    season: int
    horizon: int
    past: int
    patch: int
    first: int
    held: int
    training: Training

    @property
    def future(self) -> int:
        """Future patches: ⌈h / p⌉."""
        return -(-self.horizon // self.patch)


def recipe(seasons: tuple[int, ...], horizon: int, lengths: np.ndarray, seconds: float | None = None) -> Recipe | None:
    """Choose the defaults for seasons (main one first), a horizon and the lengths (S,) of the series.

    The past spans two of the longest or four of the shortest season, at most 1024 steps, and no more than a typical
    series can give; a patch is the season or its largest part of at most 48 steps. Returns None where no series is
    long enough to hold a window for training and one for validation: then nothing is trained.
    """
    m = seasons[0]
    typical = float(np.quantile(lengths, 0.75))
    room = int(typical) - 2 * horizon
    if room < max(m + 1, 4) or typical < 24:
        return None
    patch = max((p for p in range(1, 49) if m % p == 0), default=1) if m >= 4 else min(4, horizon)
    wanted = min(max(2 * seasons[-1], 4 * m, 16), max(1024, m))
    past = max(min(wanted, room // patch * patch if room >= m else m), m)
    past = -(-past // patch) * patch
    held = max(horizon, min(int(0.1 * typical), 20 * horizon))
    held = min(held, max(horizon, (int(typical) - past) // 2 // horizon * horizon))
    first = min(past, max(m + 1, int(typical) - held - horizon - 1, 4))
    windows = int(np.maximum(0, lengths - held - horizon - first + 1).sum())
    if windows == 0:
        return None
    steps = int(np.clip(windows // 25, 200, 600))
    training = Training(
        epochs=steps // EPOCH,
        batch=int(np.clip(2 ** int(np.log2(max(windows / 4, 1))), 16, 128)),
        rate=2e-3,
        optimizer="adamw",
        weight_decay=0.01,
        schedule="cosine",
        warmup=0.05,
        patience=6,
        seconds=seconds,
    )
    return Recipe(m, horizon, past, patch, first, held, training)
