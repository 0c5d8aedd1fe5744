"""Size: 100,000 generated monthly series from a Parquet file, fitted and forecast; seconds, memory and where they go.

The series are 60 to 1,000 months long (log-uniform, 33 million rows), each with its own level, trend, season and noise.
The file is generated in a process of its own. Then one process reads it, fits the default forecaster for 18 months and
forecasts all series. Peak memory is that of this process, the libraries included. "Kernels" is the share of the
training loops that is spent in forward, backward and update, the rest is the dealing of batches.

    python benchmarks/large.py [--series 100000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import rekur
from rekur.data.ingest import files
from rekur.forecasting import training as network

PART = 5_000  # series generated at a time
MOST = 1_000


def generate(path: str, series: int) -> None:
    """Write the file."""
    import pyarrow as pa
    from pyarrow import parquet

    random, writer = np.random.default_rng(0), None
    lengths = np.exp(random.uniform(np.log(60), np.log(MOST), series)).astype(int)
    for first in range(0, series, PART):
        ids, times, values = [], [], []
        for s in range(first, min(first + PART, series)):
            n, t = lengths[s], np.arange(lengths[s])
            season = 0.3 * random.uniform() * np.sin(2 * np.pi * (t + random.integers(12)) / 12)
            drift = random.normal(0, 0.002) * t + np.cumsum(random.normal(0, 0.02, n))
            ids.append(np.full(n, s))
            times.append(np.datetime64("1940-01", "M") + (MOST - n) + t)
            values.append(random.lognormal(4, 1) * (1 + season + drift + random.normal(0, 0.05, n)))
        names = np.char.add("s", np.concatenate(ids).astype(str))
        columns = {"unique_id": pa.array(names), "ds": pa.array(np.concatenate(times).astype("M8[ms]"))}
        part = pa.table({**columns, "y": np.concatenate(values)})
        writer = writer or parquet.ParquetWriter(path, part.schema)
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


def stages(path: str) -> Iterator[tuple[str, float]]:
    """Run it; the name of each stage and the seconds it took."""
    start = time.perf_counter()
    df = files.read_file(path)
    yield "read", time.perf_counter() - start
    start = time.perf_counter()
    model = rekur.Forecaster(18).fit(df)
    yield "fit", time.perf_counter() - start
    start = time.perf_counter()
    frame = model.predict(level=[80])
    yield "forecast", time.perf_counter() - start
    print(f"{len(df):,} rows, {len(frame):,} forecasts; {model.ensemble_.blend.describe()}")


def main() -> None:
    """Generate, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--folder", help="where the file is kept; a temporary one if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(options.folder or temporary) / f"monthly-{options.series}.parquet"
        if not path.exists():
            maker = multiprocessing.get_context("spawn").Process(target=generate, args=(str(path), options.series))
            maker.start()
            maker.join()
        dealing, total = Dealing(), 0.0
        dealing.watch()
        for name, seconds in stages(str(path)):
            total += seconds
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"{name:9} {seconds:6.1f} s, peak {peak:.2f} GiB", flush=True)
        print(f"together  {total:6.1f} s; kernels {100 * (1 - dealing.batches / dealing.loops):.0f} % of training")


if __name__ == "__main__":
    main()
