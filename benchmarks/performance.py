"""Page docs/performance.md from the rows of layers.py."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

Row = dict[str, str]
NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "torch": "torch.nn", "flax": "Flax NNX", "openvino": "OpenVINO"}
NO_RIVAL = ("rekur", "gemm")
LEAD = 1.2  # a lead below this is counted apart
PRODUCT = 2 * 2048**3  # operations of the yardstick
INTRO = """# Performance

Speed of the layers of `rekur.nn` compared with other libraries on the CPU; written by `make bench`. Times are medians
in milliseconds; ratios are time of the rival ÷ time of rekur: above 1 rekur is faster, **below 1, in bold, slower**.
Shapes are batch, time, input size, hidden size. GRU is the form with the reset after the product; RNN has tanh.
Quartiles, repetitions, variants and differences of the results are in
[layers.csv](../benchmarks/results/layers.csv); instructions to run and read the benchmark are in
[benchmarks/README.md](../benchmarks/README.md).
"""


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shape(row: Row) -> str:
    return ",".join(row[name] for name in "BTIH")


def problem(row: Row) -> tuple[str, ...]:
    return row["precision"], row["mode"], row["cell"], row["shape"]


def name(row: Row, column: str = "tool") -> str:
    return NAMES.get(row[column], row[column])


def ratio(row: Row) -> float:
    return float(row["ratio"])


def select(rows: Iterable[Row], **wanted: str) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row[column] == value for column, value in wanted.items())]


def values(rows: Iterable[Row], column: str) -> list[str]:
    """The values of a column, in the order they come."""
    return list(dict.fromkeys(row[column] for row in rows))


def best(rows: Iterable[Row]) -> list[Row]:
    """The fastest rival of each problem."""
    first: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: float(row["ratio"] or "inf")):
        if row["tool"] not in NO_RIVAL and row["status"] == "ok" and row["unit"] == "ms":
            first.setdefault(problem(row), row)
    return list(first.values())


def table(header: list[str], lines: list[list[str]]) -> str:
    """Markdown, or nothing if there is no line."""
    body = ["| " + " | ".join(line) + " |" for line in (header, *lines)]
    return "\n".join([body[0], "|---" * len(header) + "|", *body[1:]]) + "\n" if lines else ""


def shown(value: float) -> str:
    text = f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return text if value >= 1 else f"**{text}**"


def means(rows: list[Row]) -> str:
    """Geometric mean over the shapes and the least ratio, against torch.nn and against the best rival of each shape."""
    lines = []
    for row in select(rows, tool="torch", status="ok", unit="ms"):
        same = {column: row[column] for column in ("precision", "mode", "cell")}
        first = [name(row, "cell"), row["mode"], row["precision"]]
        if first in [line[:3] for line in lines]:
            continue
        line = first
        for rivals in (select(rows, tool="torch", status="ok", **same), best(select(rows, **same))):
            least = min(rivals, key=ratio)
            middle = math.exp(statistics.mean(math.log(ratio(each)) for each in rivals))
            line = [*line, shown(middle), f"{shown(ratio(least))} {name(least)} at {least['shape']}"]
        lines.append([*line, str(len(select(rows, tool="torch", status="ok", **same)))])
    return table(["cell", "mode", "precision", "÷ torch.nn", "least", "÷ best rival", "least", "shapes"], lines)


def losses(rows: list[Row]) -> str:
    """Number of problems in which a rival is faster or close, and the problems in which it is faster."""
    first = best(rows)
    lost = [row for row in first if ratio(row) < 1]
    close = [row for row in first if 1 <= ratio(row) < LEAD]
    text = f"Of {len(first)} problems, rekur is slower than its best rival in {len(lost)} and leads by less than {LEAD}"
    named = [
        f"- {name(row, 'cell')} {row['shape']} {row['mode']} {row['precision']}: {name(row)} {shown(ratio(row))}"
        for row in lost
    ]
    return "\n".join([f"{text} in {len(close)}.", *[""] * bool(named), *named]) + "\n" if first else ""


def every_shape(rows: list[Row], mode: str, precision: str) -> str:
    """A line for each cell and shape with the ratios of all rivals, and the best of them."""
    rows = select(rows, mode=mode, precision=precision)
    rivals = [tool for tool in values(rows, "tool") if tool not in NO_RIVAL]
    lines = []
    for ours in select(rows, tool="rekur", unit="ms"):
        here = select(rows, cell=ours["cell"], shape=ours["shape"])
        line = [name(ours, "cell"), ours["shape"], ours["median"]]
        for tool in rivals:
            matches = select(here, tool=tool)
            timed = matches and matches[0]["status"] == "ok"
            line.append(shown(ratio(matches[0])) if timed else "✗" if matches else "–")
        lines.append([*line, *(f"{name(row)} {shown(ratio(row))}" for row in best(here))])
    return table(["cell", "shape", "rekur ms", *(NAMES.get(tool, tool) for tool in rivals), "best rival"], lines)


def operations(row: Row) -> float:
    """Operations in products: forward 2·B·T·G·H·(I+H); training adds 2·B·T·G·H·H for dh and the first for dW, dR."""
    B, T, I, H = (int(row[size]) for size in "BTIH")  # noqa: E741
    once = 2 * B * T * {"rnn": 1, "gru": 3, "lstm": 4}[row["cell"]] * H
    return once * (I + H) if row["mode"] == "inference" else once * (2 * (I + H) + H)


def share(rows: list[Row]) -> str:
    """Rate of the products relative to that of a large product timed in the same rounds."""
    lines = []
    for yardstick in select(rows, tool="gemm", status="ok"):
        same = {column: yardstick[column] for column in ("cell", "mode", "precision", "shape")}
        line = [name(yardstick, "cell"), same["mode"], same["precision"]]
        line.append(f"{PRODUCT / float(yardstick['median']) / 1e6:.0f}")
        for tool in ("rekur", "torch"):
            matches = select(rows, tool=tool, status="ok", **same)
            part = operations(matches[0]) / PRODUCT * ratio(yardstick) / ratio(matches[0]) if matches else math.nan
            speed = operations(matches[0]) / float(matches[0]["median"]) / 1e6 if matches else math.nan
            line += [f"{speed:.0f}" if matches else "–", f"{part:.0%}"]
        lines.append(line)
    header = ["cell", "mode", "precision", "product GFLOP/s", "rekur GFLOP/s", "share", "torch.nn GFLOP/s", "share"]
    return table(header, lines)


def beside_torch(rows: list[Row], mode: str) -> str:
    """Values of rekur and torch, for the modes of these two only."""
    lines = []
    for row in select(rows, mode=mode, tool="torch", status="ok"):
        same = {column: row[column] for column in ("cell", "shape", "precision", "mode")}
        both = [f"{float(each['median']):.2f}" for each in (*select(rows, tool="rekur", **same), row)]
        lines.append([name(row, "cell"), row["shape"], row["precision"], *both, shown(ratio(row))])
    unit = "MiB" if mode == "memory" else "ms"
    return table(["cell", "shape", "precision", f"rekur {unit}", f"torch.nn {unit}", "ratio"], lines)


def absent(rows: list[Row]) -> str:
    """Problems that were not timed, and the reasons."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row["status"] != "ok":
            groups.setdefault((name(row), row["precision"], row["status"].split(":")[0]), []).append(row)
    lines = []
    for (tool, precision, _), matches in groups.items():
        first = f"{name(matches[0], 'cell')} {matches[0]['shape']} {matches[0]['mode']}"
        status = matches[0]["status"]
        lines.append(f"- {tool} in {precision}, {len(matches)} of the problems, the first {first}: {status}")
    return "\n".join(lines) + "\n" if lines else ""


def conditions(rows: list[Row]) -> str:
    """Machine, versions, date."""
    first, versions = rows[0], {part.replace("=", " ") for row in rows for part in row["versions"].split()}
    kernels = values(select(rows, tool="rekur", status="ok", unit="ms"), "variant")
    return (
        f"{first['date']}; {first['cpu']}, {first['cores']} cores, {first['system']}; Python {first['python']}, "
        f"{', '.join(sorted(versions))}; {'; '.join(kernels)}; thread settings: {first['settings']}; "
        f"load average before the run: {first['load']}.\n"
    )


SECTIONS: dict[str, Callable[[list[Row]], str]] = {
    "Geometric means": means,
    "Losses": losses,
    "Training step": lambda rows: every_shape(rows, "training", "float32"),
    "Inference": lambda rows: every_shape(rows, "inference", "float32"),
    "Training step in bf16": lambda rows: every_shape(rows, "training", "bf16"),
    "Inference in bf16": lambda rows: every_shape(rows, "inference", "bf16"),
    "Share of the rate of a large product (2048³)": share,
    "Unequal lengths, training step": lambda rows: beside_torch(rows, "unequal"),
    "Memory of a training step": lambda rows: beside_torch(rows, "memory"),
    "Not timed": absent,
}


def report(rows: list[Row], method: str) -> str:
    """The page; `method` is its last section."""
    rows = [row | {"shape": shape(row)} for row in rows]
    parts = [INTRO, conditions(rows)] if rows else [INTRO]
    for threads in values(rows, "threads"):
        parts.append(f"## {threads} thread{'s' * (threads != '1')}\n")
        for title, section in SECTIONS.items():
            if text := section(select(rows, threads=threads)):
                parts += [f"### {title}\n", text]
    return "\n".join([*parts, "## Method\n", method])
