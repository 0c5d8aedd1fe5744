"""Counts: which tables hold them, and what they are forecast by."""

from __future__ import annotations

import numpy as np

from rekur.core import DataError
from rekur.data.frequency.frequency import format_time
from rekur.data.panel import Panel

ROWS = 1_000_000  # that are looked at at a time
ZEROS = 0.2  # share of zeros from which on counts are those of rare events


def likelihood(found: Panel, asked: str) -> str:
    """What the networks of a table learn: what is asked for, or, if that is "auto", what suits its values.

    Raises
    ------
    DataError : a negative binomial distribution was asked for, and a value is no count; the text names it.
    """
    if asked not in ("auto", "negative_binomial"):
        return asked
    seen = zeros = 0
    for first in range(0, len(found.y), ROWS):
        y = found.y[first : first + ROWS]
        odd = np.flatnonzero((y < 0) | (np.isfinite(y) & (y % 1 != 0)))
        if len(odd):
            if asked == "auto":
                return "quantiles"
            refuse(found, first + int(odd[0]))
        seen, zeros = seen + int(np.isfinite(y).sum()), zeros + int((y == 0).sum())
    return "negative_binomial" if asked != "auto" or zeros >= ZEROS * seen else "quantiles"


def refuse(found: Panel, row: int) -> None:
    """Raise the error of a value that is no count."""
    s = int(np.searchsorted(found.offsets, row, side="right")) - 1
    which = "" if found.ids[s] is None else f"series {found.ids[s]!r}, "
    when = format_time(found.at(np.array(s), row - found.offsets[s]))
    raise DataError(
        f"{which}{when}: {found.y[row]:g} is not a count, as likelihood='negative_binomial' needs; use 'quantiles', "
        "or, where the values of one time were averaged, duplicates='sum'"
    )
