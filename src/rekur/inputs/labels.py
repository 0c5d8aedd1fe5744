"""Labels as users write them: whole numbers beside empty cells, blanks at the ends, spellings that differ in case."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rekur.core import Array
from rekur.data.ingest.schema import quoted

MAX_NAMED = 6  # labels that a note names


def with_whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with integers in the columns of whole numbers that missing cells have made fractions.

    >>> with_whole_numbers(pd.DataFrame({"stars": [1.0, None], "score": [0.5, None]})).dtypes.astype(str).tolist()
    ['Int64', 'float64']
    """
    floats = [name for name, dtype in frame.dtypes.items() if dtype == np.float64 and frame[name].isna().any()]
    whole = [name for name in floats if _is_whole(frame[name].dropna().to_numpy())]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _is_whole(values: Array) -> bool:
    """Whether values are whole numbers that a float holds exactly, one at least."""
    return bool(len(values) and (np.abs(values) < 2.0**53).all() and (values % 1 == 0).all())


def without_blanks(labels: Sequence[object]) -> tuple[list[object], list[str]]:
    """Labels without blanks at their ends, and a note on those that had some.

    >>> without_blanks(["good ", "good", 3])
    (['good', 'good', 3], ["blanks at the ends of labels were removed: 'good ' once"])
    """
    padded = Counter(label for label in labels if isinstance(label, str) and label != label.strip())
    stripped = [label.strip() if isinstance(label, str) else label for label in labels]
    return stripped, [f"blanks at the ends of labels were removed: {counted(padded)}"] if padded else []


def label_notes(labels: Sequence[object]) -> list[str]:
    """Notes on labels that differ in case alone, and on those of one example.

    >>> label_notes(["good", "good", "Good", "bad", "bad"])[0]
    "labels that differ in case alone are learned as different ones: 'good' 2 times, 'Good' once"
    """
    counts, spellings, notes = Counter(labels), defaultdict[str, list[str]](list), []
    for label in counts:
        if isinstance(label, str):
            spellings[label.casefold()].append(label)
    alike = {label: counts[label] for group in spellings.values() if len(group) > 1 for label in group}
    if alike:
        notes.append(f"labels that differ in case alone are learned as different ones: {counted(alike)}")
    single = [str(label) for label, count in counts.items() if count == 1]
    if single:
        subject = f"the label {single[0]!r} has" if len(single) == 1 else f"{len(single):,} labels have"
        names = "" if len(single) == 1 else f", {quoted(single, MAX_NAMED)}"
        notes.append(f"{subject} one example{names}: too few to learn it and to score it")
    return notes


def counted(counts: dict[str, int]) -> str:
    """Labels and how often they occur, the most frequent ones first.

    >>> counted({"b": 1, "a": 2})
    "'a' 2 times, 'b' once"
    """
    most = Counter(counts).most_common(MAX_NAMED)
    names = [f"{label!r} {count:,} times" if count > 1 else f"{label!r} once" for label, count in most]
    return ", ".join([*names, f"{len(counts) - MAX_NAMED:,} more"] if len(counts) > MAX_NAMED else names)
