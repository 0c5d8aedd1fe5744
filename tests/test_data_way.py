"""The way of the data: how often reading a frame enters each file that finds its frequency."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import numpy as np
import pandas as pd
import pytest

import rekur.data.frequency
from rekur.data import read_panel, read_panels

FOLDER = str(Path(rekur.data.frequency.__file__).parent)
MAX_FILES, MAX_ENTRIES = 4, 3


def long_frame(freq: str, rows: int = 60, tz: str | None = None) -> pd.DataFrame:
    """Two series on one frequency."""
    times = pd.date_range("2024-01-01", periods=rows, freq=freq, tz=tz)
    ids = np.repeat(["a", "b"], rows)
    return pd.DataFrame({"unique_id": ids, "ds": [*times, *times], "y": np.arange(2.0 * rows)})


def entries(df: pd.DataFrame) -> Counter[str]:
    """Calls into each file of `rekur.data.frequency` from a function of another file while a frame is read."""
    count: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, arg: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(FOLDER) and frame.f_back and frame.f_back.f_code.co_filename != file:
            count[Path(file).name] += 1

    sys.setprofile(profile)
    try:
        read_panels(df)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("freq", ["D", "h", "10min", "B", "W-MON", "MS", "ME", "QS", "YE"])
@pytest.mark.parametrize("tz", [None, "Europe/Berlin"])
def test_few_files_find_the_frequency_and_none_is_entered_often(freq: str, tz: str | None) -> None:
    df = long_frame(freq, tz=tz)
    assert read_panel(df).freq.name == freq
    for frame in (df, df.sample(frac=1, random_state=0), df.drop(index=[7, 70])):
        count = entries(frame)
        assert 0 < len(count) <= MAX_FILES, count
        assert max(count.values()) <= MAX_ENTRIES, count


def test_integer_times_and_text_take_the_same_way() -> None:
    df = long_frame("D")
    for ds in (np.tile(np.arange(60), 2), df.ds.astype(str)):
        count = entries(df.assign(ds=ds))
        assert 0 < len(count) <= MAX_FILES, count
        assert max(count.values()) <= MAX_ENTRIES, count
