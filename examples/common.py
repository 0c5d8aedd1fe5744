"""What the examples share: where the data is, and how long to train."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """The folder of the data, how many examples to use (None: all), and how many epochs (None: as many as fit)."""

    data: Path
    rows: int | None
    epochs: int | None


def asked(text: str | None) -> Asked:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(text or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--rows", type=int, help="use so many examples")
    parser.add_argument("--epochs", type=int, help="see all data so many times")
    return Asked(**vars(parser.parse_args()))
