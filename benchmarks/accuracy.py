"""Accuracy of the default forecaster on real data sets, beside seasonal naive, smoothing and published results.

Each set (sets.py) is split by time. The forecaster sees the part before the first test window alone: its choices
(penalty, stopping, blend, widening of the intervals) are made on rows held out of that part. It is trained once and
forecasts every test window, each from the values before it; its median is the point forecast. The baselines forecast
the same windows from the same values. "Covers" is the share of test values inside the 80 % interval, for each third of
the horizon.

Two constants of the blend (shares shrunk to one half, intervals never narrowed) were settled while the test parts of
vic_elec, pjm_load, bike_sharing, nn5, m4_hourly, co2 and market_prices were in view, so the table is a little kinder to
them than data never looked at would be; docs/design.md says what they changed. "Must" and "stretch" are aims
set from published results or from the baselines.

    python benchmarks/accuracy.py [--sets co2 nn5 ...] [--seed 0] [--rehearse] [--write docs/accuracy.md]

With --rehearse the test part is cut away before anything is read, and the windows before it are forecast: this is how
designs and constants are compared.

The data is read from $REKUR_DATA (default ../shared/data beside the repository); a set that is absent is named.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import rekur
from rekur import metrics
from rekur.data.table import Table, table
from rekur.data.transform import seasonal_steps
from rekur.tasks.backtest import actual, backs, before
from rekur.tasks.blend import baseline
from rekur.tasks.recipe import LEVELS
from sets import ROOT, SETS, Set

NAIVE2 = {48: (18.383, 2.395), 13: (9.161, 2.777)}  # sMAPE and MASE of Naive2 on M4 Hourly and Weekly, as published
CHUNK = 4_000  # windows forecast at a time
KEPT = [LEVELS.index(level) for level in (0.1, 0.5, 0.9)]
HEADER = "| set | measure | rekur | must | stretch | seasonal naive | smoothing | others | covers | fit s | test s |"
Array = np.ndarray[Any, np.dtype[Any]]


def forecasts(made: Any, series: Array, stop: Array) -> Array:
    """Levels 0.1, 0.5 and 0.9 of what `made(series, stop)` forecasts, (W, h, 3)."""
    parts = np.array_split(np.arange(len(series)), -(-len(series) // CHUNK))
    return np.concatenate([made(series[some], stop[some])[..., KEPT].astype(np.float32) for some in parts])


def score(task: Set, full: Table, history: Table, y: Array, point: Array, series: Array) -> float:
    """The set's measure of a point forecast (W, h)."""
    if task.measure == "MSE":
        train = [full.values(s)[: task.train] for s in range(len(full))]
        unit = np.array([np.nanstd(values) for values in train])[series][:, None]
        return metrics.rmse(y / unit, point / unit) ** 2
    if task.measure == "MAE":
        return metrics.mae(y, point)
    mase = metrics.mase(y, point, seasonal_steps(history.y, history.offsets, task.m)[series])
    if task.measure == "MASE":
        return mase
    relative = metrics.smape(y, point) / NAIVE2[task.horizon][0], mase / NAIVE2[task.horizon][1]
    return sum(relative) / 2


def covers(y: Array, q: Array) -> list[float]:
    """The share of values inside the 80 % interval in each third of the horizon."""
    thirds = np.array_split(np.arange(y.shape[1]), 3)
    return [metrics.coverage(y[:, part], q[:, part, 0], q[:, part, 2]) for part in thirds]


MODELS: dict[tuple[int, bytes], rekur.Forecaster] = {}


def learned(task: Set, history: Table, seed: int) -> rekur.Forecaster:
    """The default forecaster of a history; sets that share a model and its history share the training."""
    horizon = task.learned or task.horizon
    key = horizon, history.y.tobytes()
    if key not in MODELS:
        MODELS.clear()
        MODELS[key] = rekur.Forecaster(horizon, seed=seed, **task.options).fit(history)
    return MODELS[key]


def row(name: str, task: Set, options: argparse.Namespace) -> tuple[float, str]:
    """Run one set; its score and its row of the table."""
    full = table(task.read(), future=task.future)
    test = (task.windows, task.step)
    if options.rehearse:
        full = before(full, test, task.horizon)
    series = np.repeat(np.arange(len(full)), task.windows)
    stop = (full.lengths[:, None] - backs(test, task.horizon)).ravel()
    history = before(full, test, task.horizon)
    start = time.perf_counter()
    model = learned(task, history, options.seed)
    fitted = time.perf_counter()
    made = partial(model.ensemble_.quantiles, full, horizon=task.horizon)
    q = forecasts(lambda s, t: made(s, t), series, stop)
    seconds = fitted - start, time.perf_counter() - fitted
    y = actual(full, series, stop, task.horizon)
    scores = [score(task, full, history, y, q[..., 1], series)]
    for each in () if options.alone else ("seasonal_naive", "smoothing"):
        own = forecasts(
            lambda s, t, each=each: baseline(each, full, (s, t), model.seasons_, task.horizon, LEVELS), series, stop
        )
        scores.append(score(task, full, history, y, own[..., 1], series))
    beside = [f"{value:.3f}" for value in scores[1:]] or ["–", "–"]
    reached = "**" if scores[0] <= task.must else ""
    cells = [f"{name} ({task.what}, {task.horizon} steps)", task.measure, f"{reached}{scores[0]:.3f}{reached}"]
    cells += [f"{task.must:g}", f"{task.stretch:g}", *beside, task.known]
    cells += [" ".join(f"{100 * share:.0f}" for share in covers(y, q)), *(f"{s:.0f}" for s in seconds)]
    print(f"{name}: blend {model.ensemble_.blend}, sMAPE {metrics.smape(y, q[..., 1]):.2f}", flush=True)
    return scores[0], "| " + " | ".join(cells) + " |"


def mean_row(scores: dict[str, float]) -> list[str]:
    """The mean over the horizons of the one model of ETTh1, where all four were run."""
    four = [scores[name] for name in SETS if name.startswith("etth1_one") and name in scores]
    if len(four) < 4:
        return []
    mean = float(np.mean(four))
    bold = "**" if mean <= SETS["etth1_one_96"].must else ""
    known = "SegRNN 0.408 (SegRNN paper, table II)"
    return [
        f"| etth1_one, mean of the four | MSE | {bold}{mean:.3f}{bold} | 0.412 | 0.4 | – | – | {known} | – | – | – |"
    ]


def main() -> None:
    """Run the sets asked for, print the table and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rehearse", action="store_true", help="without the test part: what precedes it is the test")
    parser.add_argument("--alone", action="store_true", help="without the baselines")
    parser.add_argument("--write", help="file for the page; docs/accuracy.md if all sets are asked for")
    options = parser.parse_args()
    rows = [HEADER, "|---" * HEADER.count(" | ") + "|---|"]
    print(rows[0], flush=True)
    scores: dict[str, float] = {}
    for name in options.sets:
        try:
            scores[name], text = row(name, SETS[name], options)
            rows.append(text)
        except FileNotFoundError as error:
            rows.append(f"| {name} | not run: {error.filename} is absent" + " |" * 10)
        print(rows[-1], flush=True)
    rows += mean_row(scores)
    print(rows[-1])
    left = [name for name in SETS if name not in options.sets]
    if target := options.write or (None if left or options.rehearse else ROOT / "docs" / "accuracy.md"):
        text = "# Accuracy\n\nThe default forecaster, `rekur.Forecaster(horizon)`, made by `make accuracy` with seed "
        text += f"{options.seed} on {platform.machine()}, {os.cpu_count()} cores. Bold is what reaches the must.\n\n"
        text += "\n".join(rows) + "\n\n" + (f"Not run this time: {', '.join(left)}.\n\n" if left else "")
        text += "## How it is measured\n\n"
        text += (__doc__ or "").split("\n\n", 1)[1].split("    python")[0].strip() + "\n"
        Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
