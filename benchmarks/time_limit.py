"""Time limits of the forecaster: seconds that `Forecaster.fit(time_limit=)` and `rekur forecast --time-limit` take.

Two tables are made: one hourly series of 10,000 values (a day, a week, a random walk and noise; 168 steps ahead) and
2,000 monthly series of 60 to 300 values (a year, a trend and noise; 18 steps ahead). Each is fitted with limits of 5,
20 and 60 seconds; a run is within its limit if it ends within 110 % of it and 2 seconds. `fit` is timed without
imports and reading of files, the command with both. The wall clock counts: run it on a calm machine. The processor time
stands beside it, and the notes tell what was cut.

    python benchmarks/time_limit.py [--limits 5 20 60] [--tables hourly monthly] [--ways fit command]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

HORIZONS = {"hourly": 168, "monthly": 18}
COMMAND = "from rekur.cli import main; main()"


def hourly() -> pd.DataFrame:
    """One hourly series of 10,000 values."""
    random, t = np.random.default_rng(0), np.arange(10_000)
    season = 10 * np.sin(2 * np.pi * t / 24) + 4 * np.sin(2 * np.pi * t / 168)
    y = 100 + season + 0.3 * random.normal(size=len(t)).cumsum() + random.normal(size=len(t))
    return pd.DataFrame({"ds": pd.date_range("2022-01-01", periods=len(t), freq="h"), "y": y})


def monthly() -> pd.DataFrame:
    """2,000 monthly series of 60 to 300 values."""
    random, parts = np.random.default_rng(0), []
    for s in range(2000):
        n = int(random.integers(60, 301))
        t = np.arange(n)
        y = 500 + random.uniform(-1, 3) * t + 50 * np.sin(2 * np.pi * (t / 12 + random.random()))
        y += random.uniform(2, 30) * random.normal(size=n).cumsum()
        parts.append(pd.DataFrame({"unique_id": s, "ds": pd.date_range("1990-01-01", periods=n, freq="MS"), "y": y}))
    return pd.concat(parts, ignore_index=True)


def timed(way: str, name: str, df: pd.DataFrame, limit: float) -> tuple[float, float, list[str]]:
    """Wall seconds, processor seconds and notes of one run."""
    if way == "fit":
        from rekur import Forecaster

        start, cpu = time.monotonic(), time.process_time()
        model = Forecaster(HORIZONS[name]).fit(df, time_limit=limit)
        return time.monotonic() - start, time.process_time() - cpu, model.notes_
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        df.to_csv(file, index=False)
        words = ["forecast", str(file), "-H", str(HORIZONS[name]), "--time-limit", str(limit)]
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        ran = subprocess.run([sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=True)
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        notes = [line.removeprefix("· ") for line in ran.stdout.splitlines() if line.startswith("· ")]
        return time.monotonic() - start, cpu, notes


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--limits", type=float, nargs="+", default=[5, 20, 60])
    parser.add_argument("--tables", nargs="+", default=list(HORIZONS), choices=list(HORIZONS))
    parser.add_argument("--ways", nargs="+", default=["fit", "command"], choices=["fit", "command"])
    args = parser.parse_args()
    import rekur.forecasting.forecaster  # noqa: F401  not timed

    print("way      table    limit    wall     cpu  within")
    for way in args.ways:
        for name in args.tables:
            df = {"hourly": hourly, "monthly": monthly}[name]()
            for limit in args.limits:
                wall, cpu, notes = timed(way, name, df, limit)
                within = "yes" if wall <= 1.1 * limit + 2 else "NO"
                print(f"{way:8} {name:8} {limit:5.0f} {wall:7.1f} {cpu:7.1f}  {within}")
                for note in notes:
                    print(f"    {note}", flush=True)


if __name__ == "__main__":
    main()
