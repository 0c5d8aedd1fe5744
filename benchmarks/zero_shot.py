"""Scores of the pretrained network beside seasonal naive and Theta smoothing: MASE and scaled quantile loss.

    python benchmarks/zero_shot.py FOLDER

reads the checkpoint of `python -m rekur.pretrained.train FOLDER` and appends a row to FOLDER/scores.csv.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from rekur import serialization
from rekur.pretrained.net import LEVELS, CandidateNet
from rekur.pretrained.zero import zero_shot
from sets import DATA, co2, m3, m4, nn5


class Task(NamedTuple):
    """Histories (T,), targets (B, h), seasons for the network and the season of MASE."""

    histories: list[np.ndarray]
    targets: np.ndarray
    periods: tuple[int, int]
    season: int


def last(df: pd.DataFrame, horizon: int, periods: tuple[int, int], season: int) -> Task:
    """The last `horizon` steps of every series."""
    series = [y.to_numpy() for _, y in df.groupby("unique_id", sort=False)["y"]]
    return Task([y[:-horizon] for y in series], np.stack([y[-horizon:] for y in series]), periods, season)


def windows(y: np.ndarray, horizon: int, count: int, step: int, periods: tuple[int, int], season: int) -> Task:
    """The last `count` windows of one series."""
    ends = [len(y) - horizon - step * i for i in range(count)]
    return Task([y[:e] for e in ends], np.stack([y[e : e + horizon] for e in ends]), periods, season)


def jena() -> np.ndarray:
    """Hourly temperatures of Jena."""
    return pd.read_csv(DATA / "weather_jena/weather.csv.gz").iloc[:, 2].astype(float).to_numpy()[::6]


def exchange() -> Task:
    """Five windows of each of eight daily exchange rates."""
    df = pd.read_csv(DATA / "exchange_rate/exchange_rate.csv.gz")
    parts = [windows(df[c].astype(float).to_numpy(), 30, 5, 30, (1, 1), 1) for c in df.columns[1:]]
    return Task([y for part in parts for y in part.histories], np.concatenate([p.targets for p in parts]), (1, 1), 1)


def duquesne() -> np.ndarray:
    """Hourly load of Duquesne."""
    return pd.read_csv(DATA / "pjm_load/DUQ_hourly.csv.gz").sort_values("Datetime")["DUQ_MW"].astype(float).to_numpy()


DEVELOPMENT: dict[str, Callable[[], Task]] = {
    "m4_hourly": lambda: last(m4("Hourly"), 48, (24, 168), 24),
    "nn5": lambda: last(nn5(), 56, (7, 1), 7),
    "duq": lambda: windows(duquesne(), 48, 20, 48 + 7, (24, 168), 24),
    "co2": lambda: windows(co2()["y"].to_numpy(), 24, 6, 24, (12, 1), 12),
    "m3_monthly": lambda: last(m3("monthly"), 18, (12, 1), 12),
    "m3_quarterly": lambda: last(m3("quarterly"), 8, (4, 1), 4),
    "m3_yearly": lambda: last(m3("yearly"), 6, (1, 1), 1),
    "exchange": exchange,
    "jena": lambda: windows(jena(), 48, 20, 48 + 7, (24, 1), 24),
}
"""Sets that may be looked at while the network is developed."""


def seasonal_naive(y: np.ndarray, m: int, horizon: int) -> np.ndarray:
    """Seasonal naive forecast, gaps filled by the value a period before."""
    y = y.copy()
    for t in np.flatnonzero(np.isnan(y)):
        y[t] = y[t - m] if t >= m else np.nan
    return y[len(y) - m + np.arange(horizon) % m]


def scores(task: Task, quantiles: np.ndarray) -> dict[str, float]:
    """MASE and quantile loss of a task relative to those of seasonal naive, and coverage of thirds of the horizon."""
    m, h = task.season, task.targets.shape[1]
    scale = np.array([np.nanmean(np.abs(y[m:] - y[:-m])) for y in task.histories])[:, None]
    naive = np.stack([seasonal_naive(y, m, h) for y in task.histories])
    keep = scale[:, 0] > 0
    low, middle, high = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
    quantiles, levels = quantiles[..., low : high + 1], np.array(LEVELS[low : high + 1])  # the usual nine
    error = np.nanmean(np.abs(task.targets - quantiles[..., middle - low]) / scale, axis=1)[keep]
    base = np.nanmean(np.abs(task.targets - naive) / scale, axis=1)[keep]
    gap = (task.targets[..., None] - quantiles) / scale[..., None]
    pinball = np.nanmean(2 * np.maximum(levels * gap, (levels - 1) * gap), axis=(1, 2))[keep]
    inside = (task.targets >= quantiles[..., 0]) & (task.targets <= quantiles[..., -1])
    thirds = [float(np.mean(part)) for part in np.array_split(inside[~np.isnan(task.targets).any(1)], 3, axis=1)]
    return {
        "mase": float(error.mean() / base.mean()),
        "median": float(np.median(error / np.maximum(base, 1e-9))),
        "worst": float(np.sort(error / np.maximum(base, 0.05))[-5:].mean()),
        "wql": float(pinball.mean() / base.mean()),
        "raw": float(error.mean()),
        **{f"coverage_{i + 1}": value for i, value in enumerate(thirds)},
    }


def _written(folder: Path) -> float:
    """Time at which a network was written."""
    return (folder / "config.json").stat().st_mtime


def read(folder: Path) -> tuple[CandidateNet, dict[str, object]]:
    """Newest network of a run, with averaged weights."""
    newest = max((folder / name for name in ("checkpoint", "released") if (folder / name).exists()), key=_written)
    description, tensors = serialization.load(newest)
    options = description["options"]
    net = CandidateNet(
        str(options["cell"]), hidden_size=int(options["hidden_size"]), num_layers=int(options["num_layers"])
    )
    torch.nn.utils.vector_to_parameters(tensors["mean"], net.parameters())
    return net.eval(), description


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="*", choices=DEVELOPMENT, default=list(DEVELOPMENT))
    parser.add_argument("--no-seasons", action="store_true", help="tell the network no season")
    arguments = parser.parse_args()
    net, description = read(arguments.folder)
    rows: dict[str, dict[str, float]] = {}
    for name in arguments.sets:
        task = DEVELOPMENT[name]()
        periods = np.tile(np.ones(2, np.int64) if arguments.no_seasons else task.periods, (len(task.histories), 1))
        clock = time.perf_counter()
        quantiles = zero_shot(net, task.histories, periods.astype(np.int64), task.targets.shape[1])
        milliseconds = 1000 * (time.perf_counter() - clock) / len(task.histories)
        rows[name] = scores(task, quantiles) | {"ms": milliseconds}
        print(f"{name:14}", "  ".join(f"{k} {v:.3f}" for k, v in rows[name].items()), flush=True)
    mean = {k: float(np.exp(np.mean([np.log(row[k]) for row in rows.values()]))) for k in ("mase", "wql")}
    print("geometric mean", "  ".join(f"{k} {v:.4f}" for k, v in mean.items()))
    path = arguments.folder / "scores.csv"
    row = {"step": description["step"], "windows": description["windows"], **mean}
    row |= {name: scored["mase"] for name, scored in rows.items()}
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
