"""Scores of the pretrained network beside seasonal naive and Theta smoothing: MASE and scaled quantile loss.

    python benchmarks/zero_shot.py FOLDER

reads the network of `python -m rekur.pretrained.train FOLDER`; scores of all sets are a row of FOLDER/scores.csv.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from rekur import serialization
from rekur.baselines import forecast
from rekur.metrics import pinball_error
from rekur.pretrained.net import LEVELS, CandidateNet
from rekur.pretrained.train import append, build
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


def scores(task: Task, quantiles: np.ndarray) -> dict[str, float]:
    """MASE and quantile loss of a task relative to those of seasonal naive, and coverage of thirds of the horizon."""
    m, h = task.season, task.targets.shape[1]
    scale = np.array([np.nanmean(np.abs(y[m:] - y[:-m])) for y in task.histories])[:, None]
    naive = np.concatenate([forecast("seasonal_naive", y[None], m, h, [0.5])[..., 0] for y in task.histories])
    keep = scale[:, 0] > 0
    low, middle, high = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
    quantiles, levels = quantiles[..., low : high + 1], np.array(LEVELS[low : high + 1])  # the usual nine
    error = np.nanmean(np.abs(task.targets - quantiles[..., middle - low]) / scale, axis=1)[keep]
    base = np.nanmean(np.abs(task.targets - naive) / scale, axis=1)[keep]
    gap = (task.targets[..., None] - quantiles) / scale[..., None]
    pinball = np.nanmean(2 * pinball_error(gap, levels), axis=(1, 2))[keep]
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


def read(folder: Path) -> tuple[CandidateNet, dict[str, Any]]:
    """Network of a run that has been trained for most steps, with averaged weights."""
    written = [serialization.load(folder / name) for name in ("checkpoint", "released") if (folder / name).exists()]
    description, tensors = max(written, key=lambda each: each[0]["step"])
    net = build(description["options"])
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
    if arguments.sets == list(DEVELOPMENT) and not arguments.no_seasons:
        row = {"step": description["step"], "windows": description["windows"], **mean}
        append(arguments.folder / "scores.csv", row | {name: scored["mase"] for name, scored in rows.items()})


if __name__ == "__main__":
    main()
