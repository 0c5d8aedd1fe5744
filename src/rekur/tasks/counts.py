"""Counts: which tables hold them, and what they are forecast by."""

from __future__ import annotations

from typing import Any

import numpy as np

from rekur.core import DataError
from rekur.data.steps import shown
from rekur.data.table import Table

Array = np.ndarray[Any, np.dtype[Any]]
ZEROS = 0.2  # share of zeros from which on counts are those of rare events


def likelihood(found: Table, asked: str) -> str:
    """What the networks of a table learn: what is asked for, or, if that is "auto", what suits its values.

    Raises
    ------
    DataError : a negative binomial distribution was asked for, and a value is no count; the text names it.
    """
    odd = np.flatnonzero((found.y < 0) | (np.isfinite(found.y) & (found.y % 1 != 0)))
    if asked == "auto":
        seen = found.y[np.isfinite(found.y)]
        return "negative_binomial" if not len(odd) and (seen == 0).mean() >= ZEROS else "quantiles"
    if asked == "negative_binomial" and len(odd):
        s = int(np.searchsorted(found.offsets, odd[0], side="right")) - 1
        which = "" if found.ids[s] is None else f"series {found.ids[s]!r}, "
        when = shown(found.at(np.array(s), odd[0] - found.offsets[s]))
        raise DataError(
            f"{which}{when}: {found.y[odd[0]]:g} is not a count, as likelihood='negative_binomial' needs; "
            "use 'quantiles'"
        )
    return asked
