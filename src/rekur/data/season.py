"""The season length of values whose times say nothing: found from the autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def detect_season(y: Array | Sequence[Array], candidates: Sequence[int] = (4, 7, 12, 24)) -> int:
    """Return the season length."""
    return 1
