"""Textbook program, a simple RNN with a dense layer, in rekur and other libraries: same steps, same data, one table.

The program
    Simple RNN (64 units, tanh) and a dense layer with one output, mean squared error, Adam with rate 1e-3,
    batches of 32 in a new order each epoch, float32, 10 epochs. Data: the oil temperature (column OT) of ETTh1,
    17,420 hours; a window of 48 values gives the next one. Training: the first 13,888 windows, which are rows
    0 to 13,935. Test: the 3,484 windows after them, targets in rows 13,936 to 17,419; their history may reach
    back into the training rows. Standardised with the mean and standard deviation of the 13,936 training rows.
    This is not the 12/4/4 months split of the long-horizon benchmarks: the errors do not compare with theirs.

Measurements
    fit: wall seconds from building the model to the end of training, as a user sees it, so with the first-call
    compilation of those who compile. Each fit runs in a process of its own, one at a time, in turn (A B C A B C
    ...), so that the noise of the machine spreads over all; round k uses seed k. cpu: the processor seconds of
    the same fit, all threads, waiting ones included where they spin. epoch: the mean of the second to the last
    epoch, free of compilation. Ratios (÷ rekur) are medians of the ratios of fit within each round.
    error: MSE and MAE of the test windows on the standardised scale, mean ± standard deviation over the runs.
    persistence: the error of repeating the last value of each window.

Not measured
    Imports and reading the data (import seconds are in the CSV; the first optimiser of a torch process imports
    a compiler stack for seconds: that counts as import here, in favour of torch). Accelerators: all are kept on
    the CPU. Tuned programs: each rival has its own initial weights and its own defaults, Keras also that of
    jit_compile; rekur clips the gradient norm at 1, its default. Memory, prediction speed.

Plain torch is nn.RNN and nn.Linear in a loop over shuffled index tensors, which beats a DataLoader; it runs at 1
and at 2 threads (and at all cores where there are more); the better counts (marked *). rekur counts at its
default of threads, 1 thread is shown too. Keras with torch takes minutes and runs once unless --slow-runs asks
for more. A rival that is not installed, or fails, is listed as such.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PAST, TRAIN, HIDDEN, BATCH, RATE = 48, 13_888, 64, 32, 1e-3
RIVALS = ("rekur", "torch", "keras-jax", "keras-tensorflow", "keras-torch")
SLOW = ("keras-torch",)
SETTINGS = ("OMP_", "GOMP_", "KMP_", "MKL_", "XLA_FLAGS", "TF_XLA", "TF_ENABLE", "TF_NUM", "REKUR_ISA")
COLUMNS = [
    "rival", "asked_threads", "threads", "round", "seed", "epochs", "status", "fit_s", "cpu_s", "epoch_s",
    "import_s", "mse", "mae", "load_before", "load_after", "versions", "python", "started", "cpu", "cores", "system",
    "settings",
]  # fmt: skip
HERE = Path(__file__).parent
Fit = Callable[[np.ndarray, np.ndarray, int, int], tuple[Callable[[np.ndarray], Any], list[float]]]


def windows() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (B, T, 1) and y (B,) for training, then for the test; float32, standardised by the training rows."""
    path = Path(os.environ.get("REKUR_DATA", HERE.parent / "../shared/data")) / "ett/ETTh1.csv.gz"
    series = np.loadtxt(path, delimiter=",", skiprows=1, usecols=7)
    known = series[: TRAIN + PAST]
    series = ((series - known.mean()) / known.std()).astype(np.float32)
    x = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(series[:-1], PAST))[..., None]
    y = series[PAST:]
    return x[:TRAIN], y[:TRAIN], x[TRAIN:], y[TRAIN:]


def use_rekur(threads: int) -> tuple[Fit, dict[str, str]]:
    import torch

    import rekur

    estimator = rekur.Regressor  # resolved here: it is an import
    program = rekur.Training(
        batch_size=BATCH, learning_rate=RATE, optimizer="adam", weight_decay=0.0, schedule="constant", warmup=0.0
    )
    unscaled = rekur.Numbers(scale="none")  # the data are standardised already
    try:
        from rekur import _native

        kernel = _native.active()
    except ImportError:
        kernel = "reference, extension not built"
    if threads:
        torch.set_num_threads(threads)

    def fit(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> Any:
        sizes = {"cell": "rnn", "hidden_size": HIDDEN, "random_state": seed}
        model = estimator(**sizes, training=program, input=unscaled, target_scale="none")
        model.fit(x, y, epochs=epochs, validation=0.0)
        return model.predict, [record["seconds"] for record in model.history_]

    about = {"rekur": rekur.__version__, "kernel": kernel, "torch": torch.__version__}
    return fit, about | {"threads": str(torch.get_num_threads())}


def use_torch(threads: int) -> tuple[Fit, dict[str, str]]:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.dense = nn.RNN(1, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dense(self.rnn(x)[0][:, -1])

    torch.optim.Adam(nn.Linear(1, 1).parameters())  # its imports
    if threads:
        torch.set_num_threads(threads)

    def fit(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> Any:
        torch.manual_seed(seed)
        net, data, target, ends = Net(), torch.from_numpy(x), torch.from_numpy(y)[:, None], []
        loss, optimizer = nn.MSELoss(), torch.optim.Adam(net.parameters(), lr=RATE)
        for _ in range(epochs):
            for rows in torch.randperm(len(data)).split(BATCH):
                optimizer.zero_grad()
                loss(net(data[rows]), target[rows]).backward()
                optimizer.step()
            ends.append(time.perf_counter())
        return lambda new: net(torch.from_numpy(new)).detach().numpy(), ends

    return fit, {"torch": torch.__version__, "threads": str(torch.get_num_threads())}


def use_keras(threads: int) -> tuple[Fit, dict[str, str]]:
    """The backend is that of KERAS_BACKEND, the threads are the backend's default."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            ends.append(time.perf_counter())

    ends: list[float] = []
    backend = keras.backend.backend()

    def fit(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> Any:
        keras.utils.set_random_seed(seed)
        layers = keras.layers
        model = keras.Sequential([keras.Input((PAST, 1)), layers.SimpleRNN(HIDDEN), layers.Dense(1)])
        model.compile(optimizer=keras.optimizers.Adam(RATE), loss="mse")
        model.fit(x, y[:, None], batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[Clock()])
        return lambda new: model.predict(new, verbose=0), ends

    return fit, {"keras": keras.__version__, backend: version(backend), "threads": "default"}


def work(rival: str, threads: int, seed: int, epochs: int) -> dict[str, Any]:
    """One fit of one rival in this process."""
    if rival.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = rival.removeprefix("keras-")
    use = {"rekur": use_rekur, "torch": use_torch}.get(rival, use_keras)
    start = time.perf_counter()
    try:
        fit, about = use(threads)
    except ImportError as error:
        return {"status": f"not installed: {error}"}
    imported = time.perf_counter() - start
    x, y, x_test, y_test = windows()
    load, start, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    predict, ends = fit(x, y, seed, epochs)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    error = np.asarray(predict(x_test)).reshape(-1) - y_test
    return {
        "status": "ok",
        "threads": about.pop("threads"),
        "fit_s": round(seconds, 4),
        "epoch_s": round((ends[-1] - ends[0]) / (epochs - 1), 4) if epochs > 1 else "",
        "cpu_s": round(cpu, 4),
        "import_s": round(imported, 4),
        "mse": float((error**2).mean()),
        "mae": float(abs(error).mean()),
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "versions": " ".join(f"{name}={value}" for name, value in about.items()),
        "python": platform.python_version(),
    }


def start_worker(rival: str, threads: int, seed: int, epochs: int, python: str) -> dict[str, Any]:
    """Run `work` in a fresh process and read its last line."""
    env = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}
    job = [python, __file__, "--worker", rival, str(threads), str(seed), str(epochs)]
    done = subprocess.run(job, env=env, capture_output=True, text=True)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["no output"]
    return json.loads(lines[-1]) if done.returncode == 0 else {"status": f"failed: {lines[-1]}"}


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    name = facts.get("model name", platform.processor())
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    set_by_user = [f"{k}={v}" for k, v in os.environ.items() if k.startswith(SETTINGS)]
    system = f"{platform.system()} {platform.machine()}"
    return {"cpu": name, "cores": cores(), "system": system, "settings": " ".join(set_by_user) or "none"}


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def variants(rivals: list[str]) -> list[tuple[str, int]]:
    """(rival, threads); 0 leaves the threads at their default."""
    counts = {"rekur": [0, 1], "torch": sorted({1, min(2, cores()), cores()})}
    return [(rival, threads) for rival in rivals for threads in counts.get(rival, [0])]


def runs(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All runs in turn, each as a row of the CSV."""
    pythons = dict(pair.split("=", 1) for pair in args.python)
    absent: set[str] = set()
    for k in range(max(args.runs, args.seeds)):
        for rival, threads in variants(args.rivals):
            if rival in absent or (rival in SLOW and k >= args.slow_runs):
                continue
            now, seed = datetime.now(UTC).isoformat(timespec="seconds"), k % args.seeds
            result = start_worker(rival, threads, seed, args.epochs, pythons.get(rival, sys.executable))
            if result["status"] != "ok":
                absent.add(rival)
            row = {"rival": rival, "asked_threads": threads or "default", "round": k, "seed": seed}
            yield row | {"epochs": args.epochs} | result | {"started": now} | machine()


def middle(values: list[Any]) -> str:
    known = [value for value in values if value != ""]
    return f"{statistics.median(known):.2f}" if known else "–"


def mean_sd(values: list[float]) -> str:
    sd = f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.5f}{sd}"


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table with a line for each rival and number of threads."""
    base = {r["round"]: r.get("fit_s") for r in rows if (r["rival"], r["asked_threads"]) == ("rekur", "default")}
    groups: dict[tuple[str, Any], list[dict[str, Any]]] = {}
    lines = ["| rival | threads | runs | fit s, median (min–max) | ÷ rekur | cpu s | epoch s | MSE | MAE |"]
    lines.append("|---" * 9 + "|")
    for row in rows:
        if row["status"] == "ok":
            groups.setdefault((row["rival"], row["asked_threads"]), []).append(row)
        else:
            lines.append(f"| {row['rival']} | {row['asked_threads']} | 0 | {row['status']} |" + " |" * 5)
    times = {key: [r["fit_s"] for r in group] for key, group in groups.items()}
    torch = [key for key in times if key[0] == "torch"]
    best = min(torch, key=lambda key: statistics.median(times[key]), default=None)
    for key, group in groups.items():
        ratios = [r["fit_s"] / base[r["round"]] for r in group if base.get(r["round"])]
        threads = f"{group[0]['threads']}{' (default)' if key == ('rekur', 'default') else ''}"
        cells = [key[0] + " *" * (key == best), threads, str(len(group))]
        cells += [f"{middle(times[key])} ({min(times[key]):.2f}–{max(times[key]):.2f})", middle(ratios)]
        cells += [middle([r[name] for r in group]) for name in ("cpu_s", "epoch_s")]
        cells += [mean_sd([r[name] for r in group]) for name in ("mse", "mae")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="rounds at least; there are max(runs, seeds)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds; each round uses one")
    parser.add_argument("--slow-runs", type=int, default=1, help=f"rounds of {', '.join(SLOW)}")
    parser.add_argument("--rivals", nargs="+", default=list(RIVALS), choices=RIVALS)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--csv", type=Path, default=HERE / "results/textbook.csv")
    parser.add_argument("--python", action="append", default=[], metavar="RIVAL=PATH", help="its interpreter")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end the worker, show the table so far
    _, _, x, y = windows()
    rows: list[dict[str, Any]] = []
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="") as file, suppress(KeyboardInterrupt, SystemExit):
        sheet = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        sheet.writeheader()
        for row in runs(args):
            rows.append(row)
            sheet.writerow(row)
            file.flush()
            print(*(row.get(name, "") for name in COLUMNS[:9]), file=sys.stderr)
    error = x[:, -1, 0] - y
    print(" · ".join(f"{name} {value}" for name, value in machine().items()), f"· {args.epochs} epochs\n")
    print(table(rows))
    print(f"\npersistence: MSE {(error**2).mean():.5f}, MAE {abs(error).mean():.5f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(sys.argv[2], *map(int, sys.argv[3:6]))))
    else:
        main()
