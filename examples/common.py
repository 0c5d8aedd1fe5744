"""Command-line arguments of the examples: data folder, number of examples, number of epochs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """Data folder, number of examples (None: all), and number of epochs (None: the default of the estimator)."""

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
