"""CPU seconds of fitting forecasters, and their scores on rehearsals, before and after a change.

Each set is fitted and scored as by `accuracy.py --rehearse`: the test part is removed first. "single" is one hourly
series of 9,400 points (pjm_load), 168 steps ahead: the command `rekur forecast` with its backtest is timed, and the
forecaster of `fit` is scored on the 20 windows behind the series. Two checkouts are timed in turn on the same machine,
in processes of one thread; CPU seconds are hardly changed by other work on the machine, as seconds of wall time are.

    python benchmarks/fit_time.py [--sets nn5 ...] [--seeds 0 1] [--before FOLDER]

where FOLDER is a checkout of an earlier commit with its extension. The records are written to results/fit_time.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import accuracy
import rekur
from rekur.data.panel import read_panel
from rekur.forecasting.window_features import actual_values
from sets import ROOT, SETS, Set, pjm_load

ROWS, WINDOWS = 9_400, 20


def single() -> pd.DataFrame:
    """One hourly series with the windows that score it, before the test part of pjm_load."""
    df, task = pjm_load(), SETS["pjm_load"]
    return df[: len(df) - task.windows * task.step].tail(ROWS + WINDOWS * 168)


TASKS = {"single": Set(single, "one hourly series of 9,400 points", 168, "MASE", 0, 0, "", WINDOWS, 168, m=24), **SETS}
DEFAULT = ("single", "m4_hourly", "nn5", "pjm_load", "bike_sharing")


def command_seconds(df: pd.DataFrame) -> float:
    """CPU seconds of `rekur forecast` on a table: start, backtest, fit and forecast."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "series.csv"
        df.to_csv(file, index=False)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [
            sys.executable,
            "-c",
            "from rekur.cli import main; main()",
            "forecast",
            str(file),
            "--horizon",
            "168",
        ]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, seed: int) -> dict[str, Any]:
    """CPU seconds of the fit of one set and its score on the rehearsal."""
    task = TASKS[name]
    full = read_panel(task.read(), future=task.future)
    test = accuracy.PastWindows(task.horizon, task.windows, task.step)
    full = full if name == "single" else test.history(full)
    history = test.history(full)
    start = time.process_time()
    model = rekur.Forecaster(task.horizon, random_state=seed, **task.options).fit(history, progress=False)
    seconds = time.process_time() - start
    series = np.repeat(np.arange(len(full)), task.windows)
    stop = (full.lengths[:, None] - test.starts).ravel()
    predict = partial(model.ensemble_.quantiles, full, horizon=task.horizon, since=history.lengths)
    q = accuracy.forecasts(predict, series, stop)
    y = actual_values(full, series, stop, task.horizon)
    record = {"set": name, "seed": seed, "fit_cpu_s": seconds}
    if name == "single":
        record["command_cpu_s"] = command_seconds(task.read().head(ROWS))
    return {
        **record,
        "score": accuracy.score(task, full, history, y, q[..., 1], series),
        "covers": accuracy.covers(y, q),
    }


def timed(folder: Path, name: str, seed: int) -> dict[str, Any]:
    """The record of one set by the package of a checkout, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder / 'benchmarks'}"}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}  # rekur and the benchmarks of the checkout alone
    command = [sys.executable, __file__, "--one", name, str(seed)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Time the selected sets by one or two checkouts in turn and store the records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=TASKS, default=list(DEFAULT))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit")
    parser.add_argument("--results", default=str(ROOT / "benchmarks" / "results" / "fit_time.csv"), help="the records")
    parser.add_argument("--one", nargs=2, metavar=("SET", "SEED"), help="measure one set in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    checkouts = {"before": options.before, "now": ROOT} if options.before else {"now": ROOT}
    records = []
    for name in options.sets:
        for seed in options.seeds:
            for label, folder in checkouts.items():
                record = {"checkout": label, **timed(folder, name, seed)}
                record["covers"] = " ".join(f"{100 * share:.0f}" for share in record["covers"])
                records.append(record)
                print(", ".join(f"{key} {value}" for key, value in record.items()), flush=True)
            pd.DataFrame(records).to_csv(options.results, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
