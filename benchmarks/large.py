"""Size: many generated monthly series in one file, read, fitted and forecast; seconds, memory and where they go.

Two jobs. "long": 100,000 series of 60 to 1,000 months (log-uniform, 33 million rows) from Parquet, forecast for 18
months. "short": a million series of 24 months from a CSV file, forecast for 6 months. Each series has its own level,
trend, season and noise. The file is generated in a process of its own. Then one process reads it, fits the default
forecaster, forecasts all series and takes the forecasts as a frame. Peak memory is that of each stage, with all that
the process holds, the libraries included; pandas' own reading of the CSV file, in another process, is for comparison.
"Kernels" is the share of the training loops that is spent in forward, backward and update, the rest is the dealing of
batches.

    python benchmarks/large.py [--job long] [--series 100000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import rekur
from rekur.data.ingest import files
from rekur.forecasting import training as network


class Job(NamedTuple):
    """Series, their months at least and at most, months to forecast, and the suffix of the file."""

    series: int
    least: int
    most: int
    horizon: int
    suffix: str


JOBS = {"long": Job(100_000, 60, 1_000, 18, "parquet"), "short": Job(1_000_000, 24, 24, 6, "csv")}
PART = 5_000  # series generated at a time
GIB = 2**20  # in KiB


def generate(path: str, job: Job) -> None:
    """Write the file."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    random, writer = np.random.default_rng(0), None
    lengths = np.exp(random.uniform(np.log(job.least), np.log(job.most), job.series)).astype(int)
    for first in range(0, job.series, PART):
        ids, times, values = [], [], []
        for s in range(first, min(first + PART, job.series)):
            n, t = lengths[s], np.arange(lengths[s])
            season = 0.3 * random.uniform() * np.sin(2 * np.pi * (t + random.integers(12)) / 12)
            drift = random.normal(0, 0.002) * t + np.cumsum(random.normal(0, 0.02, n))
            ids.append(np.full(n, s))
            times.append(np.datetime64("1940-01", "M") + (job.most - n) + t)
            values.append(random.lognormal(4, 1) * (1 + season + drift + random.normal(0, 0.05, n)))
        names = np.char.add("s", np.concatenate(ids).astype(str))
        days = np.concatenate(times).astype("M8[D]")
        columns = {"unique_id": pa.array(names), "ds": pa.array(days if job.suffix == "csv" else days.astype("M8[ms]"))}
        part = pa.table({**columns, "y": np.concatenate(values)})
        if writer is None:
            writer = (
                csv.CSVWriter(path, part.schema) if job.suffix == "csv" else parquet.ParquetWriter(path, part.schema)
            )
        writer.write_table(part)
    if writer is not None:
        writer.close()


class Dealing:
    """Counts the seconds that batches take to deal, beside those of the whole training loops."""

    def __init__(self) -> None:
        self.batches, self.loops = 0.0, 0.0

    def watch(self) -> None:
        """Measure from now on."""
        batch, fit = network.WindowTrainer.batch, network.fit

        def dealt(deal: Any, windows: Any) -> Any:
            start = time.perf_counter()
            result = batch(deal, windows)
            self.batches += time.perf_counter() - start
            return result

        def fitted(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = fit(*arguments)
            self.loops += time.perf_counter() - start
            return result

        network.WindowTrainer.batch, network.fit = dealt, fitted  # type: ignore[method-assign]


def memory(name: str) -> float:
    """GiB that this process holds (VmRSS) or held at most (VmHWM)."""
    match = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(match[1]) / GIB if match else float("nan")


def stage(name: str, work: Callable[..., Any], *arguments: object) -> Any:
    """Call `work`, and print seconds, processor seconds and the memory held at most and at the end."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of this stage alone
    start, processor = time.perf_counter(), time.process_time()
    outcome = work(*arguments)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    held = f"peak {memory('VmHWM'):.2f} GiB, held after it {memory('VmRSS'):.2f} GiB"
    print(f"{name:12} {seconds:6.1f} s, {processor:6.1f} s CPU, {held}", flush=True)
    return outcome


def run(path: str, horizon: int) -> None:
    """Read, fit, forecast."""
    dealing = Dealing()
    dealing.watch()
    start, processor = time.perf_counter(), time.process_time()
    df = stage("read", files.read_file, path)
    rows = len(df)
    model = stage("fit", rekur.Forecaster(horizon).fit, df)
    del df
    forecast = stage("forecast", model.forecast)
    frame = stage("frame", forecast.frame, [80])
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    print(f"{'together':12} {seconds:6.1f} s, {processor:6.1f} s CPU")
    print(f"{rows:,} rows, {len(frame):,} forecasts; {model.ensemble_.blend.describe()}")
    if dealing.loops:
        print(f"kernels {100 * (1 - dealing.batches / dealing.loops):.0f} % of training")


def alone(work: Callable[..., Any], *arguments: object) -> None:
    """Do it in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()


def read_by_pandas(path: str) -> None:
    """Read a CSV file by pandas."""
    stage("pandas' read", pd.read_csv, path)


def main() -> None:
    """Generate, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--job", choices=JOBS, default="long")
    parser.add_argument("--series", type=int, help="number of series, if another one")
    parser.add_argument("--folder", help="where the file is kept; a temporary one if not given")
    options = parser.parse_args()
    job = JOBS[options.job]
    job = job._replace(series=options.series or job.series)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(options.folder or temporary) / f"{options.job}-{job.series}.{job.suffix}"
        if not path.exists():
            alone(generate, str(path), job)
        if job.suffix == "csv":
            alone(read_by_pandas, str(path))
        alone(run, str(path), job.horizon)


if __name__ == "__main__":
    main()
