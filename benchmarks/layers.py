"""Speed of rekur's layers compared with torch.nn, Flax, Keras, onnxruntime and OpenVINO; writes docs/performance.md.

    python benchmarks/layers.py [--cells gru ...] [--shapes 32,100,1,64 ...] [--rivals torch ...] [--threads 2 1]

Measurements
    training: forward and backward pass of one layer for a dense gradient of its output; gradients of all parameters,
    not of x. inference: forward pass without gradients. unequal: training step on rows of evenly spaced lengths 1 to
    T; rekur.nn takes `lengths=`, torch.nn a packed sequence, packing and padding included. memory: growth of the
    process in a training step (rivals/memory.py). The shapes are TIMED and UNEQUAL of tests/cases.py, with the
    values that the tests use.

Procedure
    Each tool runs in one warm process; rekur and torch share one, where they alternate on the same tensors. In each
    round every process has one turn of about --turn seconds, in rotating order, and waits at its end until its
    threads sleep. Ratios are medians over the rounds of the ratios of medians within a round. Every process is
    confined to as many cores as there are threads, and the number of threads is set in every tool that has such an
    option (XLA has none and uses the available cores).
    Before timing, every tool must reproduce rekur's results with the same weights; a tool with other results is not
    timed, and the run ends with an error. Where a rival has variants (cells, unrolling, compilers), the fastest one
    in a trial on the same problem is timed.

Not measured
    Compilation and first calls; several layers; accelerators; torch.compile, which leaves these modules unchanged
    (with `torch._dynamo.config.allow_rnn` it unrolls a GRU over time: two minutes of compilation for T = 20, then
    slower than torch.nn).
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import performance
from rivals import TOOLS, Job, Named
from rivals.memory import __doc__ as memory_doc
from rivals.memory import growths
from rivals.worker import Worker
from textbook import cores, machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))
from cases import TIMED, UNEQUAL, Case  # noqa: E402

CELLS = ("rnn", "gru", "lstm")
RIVALS = tuple(name for name in TOOLS if name not in ("rekur", "gemm"))
MODES = ("training", "inference", "unequal", "memory")
PRECISIONS = ("float32", "bf16")
FEWEST, PATIENCE = 3, 20.0  # rounds in any case, seconds after which no more begin
LARGE = (128, 100, 64, 256)  # where the share of the rate of a large product is taken
COLUMNS = [
    "threads", "cell", "B", "T", "I", "H", "precision", "mode", "tool", "variant", "status", "unit", "median", "q1",
    "q3", "n", "ratio", "y_error", "gradient_error", "prepared_s", "versions", "date", "python", "cpu", "cores",
    "system", "settings", "load",
]  # fmt: skip
Row = dict[str, Any]


def shape(case: Case) -> tuple[int, int, int, int]:
    return case.B, case.T, case.I, case.H


def errors(answer: Named, ours: Named, training: bool) -> tuple[float, float]:
    """The largest difference of y, and of a gradient in parts of its largest element; NaN where a number is."""
    needed = {"y", "dW", "dR", "dbW"} if training else {"y"}
    if not needed <= set(answer) or any(answer[name].shape != ours[name].shape for name in answer):
        return np.inf, np.inf
    apart = {name: float(abs(rows - ours[name]).max()) for name, rows in answer.items()}
    return apart.pop("y"), float(np.max([0.0, *(apart[name] / abs(ours[name]).max() for name in apart)]))


def tolerances(T: int, precision: str) -> tuple[float, float]:
    """What rounding explains: float32 adds up over the steps, bfloat16 is lost in each product."""
    if precision == "bf16":
        return 2**-4, 2**-3
    eps = float(np.finfo(np.float32).eps)
    return 2 * (8 + T) * eps, 8 * (8 + T) * eps


class Bench:
    """The processes of the tools asked for, and what one problem gives."""

    def __init__(self, args: argparse.Namespace, threads: int) -> None:
        self.args, self.threads = args, threads
        names = ["rekur", "gemm", *args.rivals]
        groups = {TOOLS[name].process: [n for n in names if TOOLS[n].process == TOOLS[name].process] for name in names}
        self.workers = [Worker(group, threads) for group in groups.values()]

    def measure(self, cell: str, case: Case, mode: str, precision: str) -> Iterator[Row]:
        """Compare, then time; a row for each tool."""
        home = self.workers[0]
        numbers = home.ask("numbers", case, cell)
        asked = "training" if mode == "unequal" else mode
        job = Job(cell, asked, precision, self.threads, numbers, case.lengths)
        response = {"rekur": home.ask("prepare", "rekur", job)}
        if response["rekur"]["status"] == "ok":
            for worker in self.workers:
                for name in worker.names:
                    if name != "rekur" and self.takes_part(name, case, mode):
                        response[name] = checked(worker.ask("prepare", name, job), response["rekur"]["answer"], job)
        ready = [name for name, each in response.items() if each["status"] == "ok"]
        rounds = list(self.rounds(ready))
        for worker in self.workers:
            worker.ask("drop")
        for name, each in response.items():
            yield {"tool": name, **each, **summary(name, rounds)}

    def takes_part(self, name: str, case: Case, mode: str) -> bool:
        """Whether a tool is asked for this problem at all."""
        if name == "gemm":
            return shape(case) == LARGE and mode != "unequal"
        return name == "torch" if mode == "unequal" else mode in TOOLS[name].modes

    def rounds(self, ready: list[str]) -> Iterator[dict[str, list[float]]]:
        """The seconds of the calls of every tool, round by round."""
        if len(ready) < 2:
            return
        turns = [(worker, [name for name in worker.names if name in ready]) for worker in self.workers]
        turns = [(worker, names) for worker, names in turns if names]
        start = time.monotonic()
        for k in range(self.args.rounds):
            if k >= FEWEST and time.monotonic() - start > PATIENCE:
                return
            first = k % len(turns)
            times: dict[str, list[float]] = {}
            for worker, names in turns[first:] + turns[:first]:
                times |= worker.ask("turn", names, self.args.turn)
            yield times

    def end(self) -> None:
        """Let all processes end."""
        for worker in self.workers:
            worker.end()


def checked(response: dict[str, Any], ours: Named, job: Job) -> dict[str, Any]:
    """What `prepare` gave, with its differences from rekur; those beyond rounding are a mismatch."""
    if response["status"] != "ok" or not response["answer"]:
        return response
    differences, limits = errors(response["answer"], ours, job.training), tolerances(job.sizes[1], job.precision)
    y, gradients = differences
    text = f"y {y:.1e} (at most {limits[0]:.1e}), gradients {gradients:.1e} (at most {limits[1]:.1e})"
    if not all(error <= limit for error, limit in zip(differences, limits, strict=True)):
        response["status"] = f"mismatch: {text}"
    return response | {"y_error": f"{y:.2g}", "gradient_error": f"{gradients:.2g}" if job.training else ""}


def summary(name: str, rounds: list[dict[str, list[float]]]) -> Row:
    """Median and quartiles of all calls, and the ratio to rekur."""
    rounds = [times for times in rounds if name in times]
    if not rounds:
        return {}
    ratios = [statistics.median(times[name]) / statistics.median(times["rekur"]) for times in rounds]
    return spread([1e3 * seconds for times in rounds for seconds in times[name]], "ms", statistics.median(ratios))


def spread(values: list[float], unit: str, ratio: float) -> Row:
    q1, median, q3 = (f"{value:.5g}" for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return {"unit": unit, "median": median, "q1": q1, "q3": q3, "n": len(values), "ratio": f"{ratio:.4g}"}


def memory(cell: str, case: Case, threads: int, rivals: list[str]) -> Iterator[Row]:
    """The growth of the process in a training step, for rekur and torch."""
    rows = {name: growths(name, cell, case, threads) for name in ("rekur", "torch") if name in ("rekur", *rivals)}
    for name, grown in rows.items():
        ratio = statistics.median(grown) / statistics.median(rows["rekur"])
        yield {"tool": name, "status": "ok", "versions": TOOLS[name].versions(), **spread(grown, "MiB", ratio)}


def rows(args: argparse.Namespace) -> Iterator[Row]:
    """Everything asked for, one row a measurement."""
    about = machine() | {"date": datetime.now(UTC).date(), "python": sys.version.split()[0]}
    about["load"] = f"{os.getloadavg()[0]:.2f}"
    cases = {mode: UNEQUAL if mode == "unequal" else TIMED for mode in args.modes}
    wanted = [(mode, case) for mode in args.modes for case in cases[mode] if shape(case) in args.shapes]
    for threads in args.threads:
        bench = Bench(args, threads)
        for precision in args.precisions:
            for mode, case in wanted:
                for cell in args.cells:
                    if mode != "memory":
                        rows = bench.measure(cell, case, mode, precision)
                    elif precision == "float32":
                        rows = memory(cell, case, threads, args.rivals)
                    else:
                        continue
                    where = {"threads": threads, "cell": cell, "precision": precision, "mode": mode}
                    where |= dict(zip("BTIH", shape(case), strict=True))
                    yield from (where | row | about for row in rows)
        bench.end()


def say(row: Row) -> str:
    """One line of progress."""
    where = ",".join(str(row[name]) for name in "BTIH")
    head = f"{row['cell']:4} {where:14} {row['mode']:9} {row['precision']} {row['threads']} threads {row['tool']:11}"
    if row["status"] != "ok":
        return f"{head} {row['status']}"
    differs = f" · y {row['y_error']}" if row.get("y_error") else ""
    differs += f" gradients {row['gradient_error']}" if row.get("gradient_error") else ""
    return f"{head} {row.get('median', '–'):>8} {row.get('unit', '')} {row.get('ratio', '–'):>6}×{differs}"


def shape_of(text: str) -> tuple[int, ...]:
    sizes = tuple(map(int, text.split(",")))
    if sizes not in map(shape, TIMED):
        raise argparse.ArgumentTypeError(f"{text} is none of {' '.join(','.join(map(str, shape(c))) for c in TIMED)}")
    return sizes


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument(
        "--shapes", nargs="+", type=shape_of, default=[shape(case) for case in TIMED], metavar="B,T,I,H"
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--threads", nargs="+", type=int, default=[min(2, cores())])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=float, default=0.15, help="seconds of one turn")
    parser.add_argument("--csv", type=Path, default=ROOT / "benchmarks/results/layers.csv")
    parser.add_argument("--write", type=Path, help="file for the report; docs/performance.md if nothing is left out")
    return parser.parse_args()


def method() -> str:
    """Section on the method, from the docstrings of this script and of rivals/memory.py."""
    timing, growth = (text or "" for text in (__doc__, memory_doc))
    timing = re.sub(r"^(\w.*)\n", r"**\1.**\n", timing.split("\n\n", 2)[2], flags=re.MULTILINE)
    return re.sub(r"^    ", "", timing, flags=re.MULTILINE) + f"\n**Memory.** {growth}"


def main() -> None:
    args, done = options(), []
    everything = {"cells": CELLS, "modes": MODES, "precisions": PRECISIONS, "rivals": RIVALS, "shapes": TIMED}
    whole = all(len(getattr(args, name)) == len(values) for name, values in everything.items())
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="", encoding="utf-8") as file:
        sheet = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n", extrasaction="ignore")
        sheet.writeheader()
        try:
            for row in rows(args):
                done.append(row)
                sheet.writerow(row)
                file.flush()
                print(say(row), file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            whole = False
    text = performance.report(performance.read(args.csv), method())
    target = args.write or (ROOT / "docs/performance.md" if whole else None)
    if target:
        target.write_text(text, encoding="utf-8")
    else:
        print(text)
    if wrong := [say(row) for row in done if row["status"].startswith(("mismatch", "failed"))]:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
