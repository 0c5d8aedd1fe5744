"""Videos of `actions.py` and `captions.py`: moving handwritten digits, as real video files."""

import sys
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from clips import make


def films(folder: str, rows: int | None) -> tuple[list[Path], pd.DataFrame]:
    """Write the videos; return their paths and a table of their labels and sentences."""
    frame = make(Path(folder), rows or 1000, 0)
    return [Path(folder) / path for path in frame.path], frame
