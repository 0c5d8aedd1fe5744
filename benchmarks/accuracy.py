"""Accuracy of the default forecaster on real data sets, compared with baselines and published results.

Each data set (sets.py) is split by time. The forecaster is fitted on the rows before the first test window: ridge
penalty, early stopping, ensemble weights and calibration of the intervals are selected on validation rows of that part.
It is trained once and forecasts each test window from the values before it. The point forecast is the median; the
intervals are adapted to the errors of earlier windows after training. The baselines forecast the same windows from the
same values. "Coverage" is the percentage of test values inside the 80 % interval, for each third of the horizon.

Architectures and constants are selected with --rehearse, which removes the test part on reading and forecasts the
windows before it. The test parts were evaluated a few times between versions, so the table is slightly optimistic.
One choice was influenced by test results: adaptive intervals were introduced after the coverage of several sets, with
form and constants selected on rehearsals and validation rows. Earlier versions had weights of the ensemble chosen with
a look at ETTh1, exchange and M3 yearly; the present ones come from rehearsals alone. "Target" and "stretch" are goals
set from published results or from the baselines.

    python benchmarks/accuracy.py [--sets co2 nn5 ...] [--seed 0] [--alone] [--rehearse]

The data are read from $REKUR_DATA (default ../shared/data next to the repository); missing sets are reported.
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
import pandas as pd

import rekur
from rekur import metrics
from rekur.data.panel import Panel, read_panel
from rekur.forecasting.config import LEVELS
from rekur.forecasting.selection.past_windows import PastWindows
from rekur.forecasting.window_features import actual_values
from sets import ROOT, SETS, Set

NAIVE2 = {48: (18.383, 2.395), 13: (9.161, 2.777)}  # sMAPE and MASE of Naive2 on M4 Hourly and Weekly, as published
CHUNK = 4_000  # windows forecast at a time
FORECAST_LEVELS = [LEVELS.index(level) for level in (0.1, 0.5, 0.9)]
HEADER = (
    "| set | measure | rekur | target | stretch | seasonal naive | smoothing | published | coverage % | fit s | test s "
    "| ensemble weights |"
)
Array = np.ndarray[Any, np.dtype[Any]]


def forecasts(predict: Any, series: Array, stop: Array) -> Array:
    """Quantiles 0.1, 0.5 and 0.9 of the forecasts of `predict(series, stop)`, shape (W, h, 3)."""
    each = len(series) // len(np.unique(series))  # windows of one series, which stay together
    parts = np.array_split(np.arange(len(series)), -(-len(series) // max(CHUNK, each)))
    return np.concatenate(
        [predict(series[rows], stop[rows])[..., FORECAST_LEVELS].astype(np.float32) for rows in parts]
    )


def baseline_quantiles(model: rekur.Forecaster, full: Panel, name: str, series: Array, stop: Array) -> Array:
    """Quantiles (W, h, Q) of a baseline for windows of a panel."""
    return model.ensemble_.baselines(full, model.horizon).quantiles(name, series, stop)


def score(task: Set, full: Panel, history: Panel, y: Array, point: Array, series: Array) -> float:
    """The set's measure of a point forecast (W, h)."""
    if task.measure == "MSE":
        train = [full.values(s)[: task.train] for s in range(len(full))]
        unit = np.array([np.nanstd(values) for values in train])[series][:, None]
        return metrics.rmse(y / unit, point / unit) ** 2
    if task.measure == "MAE":
        return metrics.mae(y, point)
    mase = metrics.mase(y, point, metrics.seasonal_scale(history.y, task.m, history.offsets)[series])
    if task.measure == "MASE":
        return mase
    relative = metrics.smape(y, point) / NAIVE2[task.horizon][0], mase / NAIVE2[task.horizon][1]
    return sum(relative) / 2


def covers(y: Array, q: Array) -> list[float]:
    """The share of values inside the 80 % interval in each third of the horizon."""
    thirds = np.array_split(np.arange(y.shape[1]), 3)
    return [metrics.coverage(y[:, part], q[:, part, 0], q[:, part, 2]) for part in thirds]


MODELS: dict[tuple[int, bytes], rekur.Forecaster] = {}


def learned(task: Set, history: Panel, seed: int) -> rekur.Forecaster:
    """Default forecaster fitted on a history; sets with the same history and horizon share one fit."""
    horizon = task.learned or task.horizon
    key = horizon, history.y.tobytes()
    if key not in MODELS:
        MODELS.clear()
        MODELS[key] = rekur.Forecaster(horizon, random_state=seed, **task.options).fit(history)
    return MODELS[key]


def run(name: str, task: Set, options: argparse.Namespace) -> dict[str, Any]:
    """Run one set; its record."""
    full = read_panel(task.read(), future=task.future)
    test = PastWindows(task.horizon, task.windows, task.step)
    if options.rehearse:
        full = test.history(full)
    series = np.repeat(np.arange(len(full)), task.windows)
    stop = (full.lengths[:, None] - test.starts).ravel()
    history = test.history(full)
    start = time.process_time()
    model = learned(task, history, options.seed)
    fitted = time.process_time()
    print(f"{name}: {model.ensemble_.average}", flush=True)
    q = forecasts(partial(model.ensemble_.quantiles, full, horizon=task.horizon, since=history.lengths), series, stop)
    done = time.process_time()
    y = actual_values(full, series, stop, task.horizon)
    record: dict[str, Any] = {
        "set": name,
        "seed": options.seed,
        "score": score(task, full, history, y, q[..., 1], series),
    }
    for each in () if options.alone else ("seasonal_naive", "smoothing"):
        theirs = forecasts(partial(baseline_quantiles, model, full, each), series, stop)
        record[each] = score(task, full, history, y, theirs[..., 1], series)
    record["smape"] = metrics.smape(y, q[..., 1])
    record.update({f"covers_{k + 1}": 100 * share for k, share in enumerate(covers(y, q))})
    return {**record, "fit_s": fitted - start, "test_s": done - fitted, "blend": model.ensemble_.average.describe()}


def line(name: str, task: Set, record: dict[str, Any]) -> str:
    """The row of the table."""
    bold = "**" if record["score"] <= task.must else ""
    beside = [record.get(each) for each in ("seasonal_naive", "smoothing")]
    cells = [f"{name} ({task.what}, {task.horizon} steps)", task.measure, f"{bold}{record['score']:.3f}{bold}"]
    cells += [f"{task.must:g}", f"{task.stretch:g}", *("–" if pd.isna(v) else f"{v:.3f}" for v in beside), task.known]
    cells += [" ".join(f"{record[f'covers_{k}']:.0f}" for k in (1, 2, 3)), f"{record['fit_s']:.0f}"]
    return "| " + " | ".join([*cells, f"{record['test_s']:.0f}", record["blend"]]) + " |"


def means(records: dict[str, dict[str, Any]]) -> list[str]:
    """Rows of means: the one model of ETTh1 over its four horizons, and sMAPE over all series of M3."""
    rows = []
    one = [name for name in SETS if name.startswith("etth1_one")]
    if all(name in records for name in one):
        mean = float(np.mean([records[name]["score"] for name in one]))
        asked = SETS[one[0]]
        bold = "**" if mean <= asked.must else ""
        cells = [
            "etth1_one, mean of the four",
            "MSE",
            f"{bold}{mean:.3f}{bold}",
            f"{asked.must:g}",
            f"{asked.stretch:g}",
        ]
        cells += ["–", "–", "SegRNN 0.408 (SegRNN paper, table II)", *"––––"]
        rows.append("| " + " | ".join(cells) + " |")
    sizes = {"m3_yearly": 645, "m3_quarterly": 756, "m3_monthly": 1428, "m3_other": 174}
    if all(name in records for name in sizes):
        smapes = [records[name]["smape"] for name in sizes]
        mean = float(np.average(smapes, weights=list(sizes.values())))
        bold = "**" if mean <= 12.95 else ""
        known = "Theta 13.0, N-BEATS 12.46"
        rows.append(
            f"| m3, all 3,003 series | sMAPE | {bold}{mean:.2f}{bold} | 12.95 | 12.5 | – | – | {known} |" + " – |" * 4
        )
    return rows


def rivals(records: dict[str, dict[str, Any]]) -> str:
    """The table of the libraries that forecasters.py has run, by the same measures."""
    file = ROOT / "benchmarks" / "results" / "forecasters.csv"
    if not file.exists():
        return ""
    runs = pd.read_csv(file)
    models = list(dict.fromkeys(runs.library + " " + runs.version + " " + runs.model))
    text = "## Other libraries\n\nDefault settings, run by `benchmarks/forecasters.py`: the measure of each set, "
    text += "and seconds of fit and forecast on a machine shared with other runs. Bold is the best score.\n\n"
    text += "| set | measure | rekur | "
    text += " | ".join(models) + " |\n|---|---|---|" + "---|" * len(models) + "\n"
    for name in [name for name in SETS if name in set(runs.set) and name in records]:
        here = runs[runs.set == name]
        theirs = {f"{r.library} {r.version} {r.model}": (r.score, r.seconds) for r in here.itertuples()}
        ours = records[name]["score"], records[name]["fit_s"] + records[name]["test_s"]
        best = min(score for score, _ in [ours, *theirs.values()])
        cells = [ours, *(theirs.get(model) for model in models)]
        shown = [
            "–"
            if cell is None
            else f"{'**' * (cell[0] == best)}{cell[0]:.3f}{'**' * (cell[0] == best)} ({cell[1]:.0f} s)"
            for cell in cells
        ]
        text += f"| {name} | {SETS[name].measure} | " + " | ".join(shown) + " |\n"
    return text + "\n"


def page(records: dict[str, dict[str, Any]], seed: int) -> str:
    """The page of the documentation."""
    rows = [HEADER, "|---" * HEADER.count(" | ") + "|---|"]
    rows += [line(name, SETS[name], records[name]) for name in SETS if name in records] + means(records)
    left = [name for name in SETS if name not in records]
    text = "# Accuracy\n\nThe default forecaster, `rekur.Forecaster(horizon)`; written by `make accuracy` with seed "
    text += f"{seed} on {platform.machine()}, {os.cpu_count()} cores. Seconds are processor time, in older "
    text += "records those of the wall clock of a shared machine. "
    text += "Bold scores reach the target.\n\n"
    text += "\n".join(rows) + "\n\n" + (f"Not run: {', '.join(left)}.\n\n" if left else "")
    return (
        text
        + rivals(records)
        + "## Method\n\n"
        + (__doc__ or "").split("\n\n", 1)[1].split("    python")[0].strip()
        + "\n"
    )


def main() -> None:
    """Run the selected sets, store their records and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS), help="none: only write the page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rehearse", action="store_true", help="without the test part: test on the windows before it")
    parser.add_argument("--alone", action="store_true", help="without the baselines")
    parser.add_argument("--results", default=str(ROOT / "benchmarks" / "results" / "accuracy.csv"), help="the records")
    parser.add_argument("--write", default=str(ROOT / "docs" / "accuracy.md"), help="file for the page")
    options = parser.parse_args()
    results = Path(options.results)
    for name in options.sets:
        try:
            record = run(name, SETS[name], options)
        except FileNotFoundError as error:
            print(f"{name} not run: {error.filename} is absent")
            continue
        print(line(name, SETS[name], record), flush=True)
        if not options.rehearse:
            old = pd.read_csv(results) if results.exists() else pd.DataFrame({"set": []})
            pd.concat([old[old.set != name], pd.DataFrame([record])]).to_csv(results, index=False, float_format="%.5g")
    if not options.rehearse and results.exists():
        records = {record["set"]: record for record in pd.read_csv(results).to_dict("records")}
        Path(options.write).write_text(page(records, options.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
