"""Models of other libraries, unchanged and inside `with rekur.accelerated():`: difference of the losses, and times.

The program
    neuralforecast's GRU and LSTM, Darts's RNNModel and BlockRNNModel, each with GRU and with LSTM: a day ahead from
    a week before, hourly air temperature at LaGuardia (the bundled nyc_weather, 8,730 hours of 2013; gaps filled
    linearly; standardised), float32, 64 hidden units (--hidden), 100 steps of Adam (--steps). All else is the
    library's default. Nothing in these libraries is changed or known to rekur: they build torch.nn's layers
    themselves, once as usual ("plain") and once inside the context ("rekur").

Measurements
    difference: the losses of all steps, in the order of training, plain and rekur from the same seed: the largest
    |rekur - plain| / |plain| of any step. It must stay below 1e-3, else the script ends with status 1; so it does
    if no layer was replaced.
    fit: wall seconds from building the model to the end of its training, as a user sees it, so with the library's
    own work (sampling windows, logging, the other layers, the update), which rekur does not change. Plain and rekur
    take turns in one process, after a short fit of each that is not counted; the table shows medians and the median
    of the ratios (plain ÷ rekur) within the rounds. Every round uses the same seed and takes the same steps.

Not measured
    Imports, prediction, accuracy (the models are the same), accelerators: all stays on the CPU.

A library that is not installed is listed as such. Progress bars, checkpoints and loggers are off in both.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from textbook import machine

PAST, AHEAD, SEED, LIMIT = 168, 24, 1, 1e-3
QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
QUIET |= {"enable_checkpointing": False}
COLUMNS = [
    "peer", "model", "way", "round", "status", "steps", "hidden", "threads", "fit_s", "cpu_s", "loss_first",
    "loss_last", "difference", "replaced", "left", "load_before", "versions", "started", "cpu", "cores", "system",
    "settings",
]  # fmt: skip
HERE = Path(__file__).parent
Fit = Callable[[int, int], list[float]]  # steps, hidden → the loss of each step


def series() -> Any:
    """The temperature as a data frame: unique_id, ds and y, without gaps."""
    from rekur.data import samples

    frame = samples.nyc_weather()
    y = frame[frame["unique_id"] == "LGA"].set_index("ds")["y"].resample("h").mean().interpolate()
    y = ((y - y.mean()) / y.std()).astype("float32")
    return y.rename_axis("ds").reset_index().assign(unique_id="LGA")


def use_neuralforecast(name: str, data: Any) -> Fit:
    """The model itself keeps (step, loss) in `train_trajectories`."""
    from neuralforecast import NeuralForecast, models

    def fit(steps: int, hidden: int) -> list[float]:
        model = getattr(models, name)(
            h=AHEAD, input_size=PAST, encoder_hidden_size=hidden, max_steps=steps, random_seed=SEED, **QUIET
        )
        forecast = NeuralForecast(models=[model], freq="h")
        forecast.fit(df=data)
        return [loss for _, loss in forecast.models[0].train_trajectories]

    return fit


def use_darts(kind: str, name: str, data: Any) -> Fit:
    """A callback of its trainer notes the loss of each step."""
    import pytorch_lightning as lightning
    from darts import TimeSeries, models

    values = TimeSeries.from_dataframe(data, time_col="ds", value_cols="y")
    lengths = {"RNNModel": {"training_length": PAST + AHEAD}, "BlockRNNModel": {"output_chunk_length": AHEAD}}[kind]

    class Note(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            losses.append(outputs["loss"].item())

    losses: list[float] = []

    def fit(steps: int, hidden: int) -> list[float]:
        losses.clear()
        trainer = QUIET | {"max_steps": steps, "callbacks": [Note()]}
        model = getattr(models, kind)(
            model=name,
            input_chunk_length=PAST,
            hidden_dim=hidden,
            random_state=SEED,
            pl_trainer_kwargs=trainer,
            **lengths,
        )
        model.fit(values)
        return list(losses)

    return fit


PEERS: dict[tuple[str, str], Callable[[Any], Fit]] = {
    ("neuralforecast", "GRU"): partial(use_neuralforecast, "GRU"),
    ("neuralforecast", "LSTM"): partial(use_neuralforecast, "LSTM"),
    ("darts", "RNNModel GRU"): partial(use_darts, "RNNModel", "GRU"),
    ("darts", "RNNModel LSTM"): partial(use_darts, "RNNModel", "LSTM"),
    ("darts", "BlockRNNModel GRU"): partial(use_darts, "BlockRNNModel", "GRU"),
    ("darts", "BlockRNNModel LSTM"): partial(use_darts, "BlockRNNModel", "LSTM"),
}


def hush() -> None:
    """Let the libraries train without a word; errors are still raised."""
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning_fabric", "darts", "neuralforecast"):
        logging.getLogger(name).setLevel(logging.ERROR)


def one_fit(fit: Fit, way: str, steps: int, hidden: int) -> tuple[list[float], dict[str, Any]]:
    """The losses of one fit, and its row without what depends on other fits."""
    import rekur

    context = rekur.accelerated() if way == "rekur" else nullcontext(rekur.Accelerated())
    load, start, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    with context as report:
        losses = fit(steps, hidden)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return losses, {
        "way": way,
        "fit_s": round(seconds, 4),
        "cpu_s": round(cpu, 4),
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "replaced": "; ".join(layer.kind for layer in report.replaced),
        "left": "; ".join(f"{layer.kind}: {layer.reason}" for layer in report.left),
        "load_before": round(load, 2),
    }


def compare(fit: Fit, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Plain and rekur in turn, each fit as a row."""
    for way in ("plain", "rekur"):  # not counted: what happens once in a process
        one_fit(fit, way, 2, args.hidden)
    for k in range(args.runs):
        plain, row = one_fit(fit, "plain", args.steps, args.hidden)
        yield row | {"round": k}
        ours, row = one_fit(fit, "rekur", args.steps, args.hidden)
        pairs = zip(ours, plain, strict=True)
        yield row | {"round": k, "difference": max(abs(a - b) / abs(b) for a, b in pairs)}


def rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All fits, each as a row of the CSV."""
    import torch

    import rekur

    try:
        from rekur import _native

        kernel = _native.active()
    except ImportError:
        kernel = "reference, extension not built"
    data = series()
    if args.threads:
        torch.set_num_threads(args.threads)
    here = {"steps": args.steps, "hidden": args.hidden, "threads": torch.get_num_threads()} | machine()
    for (peer, model), use in PEERS.items():
        if peer not in args.peers:
            continue
        start = {"peer": peer, "model": model, "status": "ok"} | here
        try:
            fit = use(data)
        except ImportError as error:
            yield start | {"status": f"not installed: {error}"}
            continue
        hush()
        about = " ".join(f"{name}={version(name)}" for name in (peer, "pytorch-lightning", "torch"))
        for row in compare(fit, args):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            yield start | {"versions": f"rekur={rekur.__version__} kernel={kernel} {about}", "started": now} | row


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table with a line for each model."""
    lines = ["| peer | model | layers replaced | loss, first → last | difference | plain s | rekur s | plain ÷ rekur |"]
    lines.append("|---" * 8 + "|")
    for peer, model in dict.fromkeys((row["peer"], row["model"]) for row in rows):
        mine = [row for row in rows if (row["peer"], row["model"]) == (peer, model)]
        if mine[0]["status"] != "ok":
            lines.append(f"| {peer} | {model} | {mine[0]['status']} |" + " |" * 5)
            continue
        plain, ours = ([row for row in mine if row["way"] == way] for way in ("plain", "rekur"))
        times = [statistics.median(row["fit_s"] for row in part) for part in (plain, ours)]
        ratio = statistics.median(a["fit_s"] / b["fit_s"] for a, b in zip(plain, ours, strict=False))
        cells = [
            peer,
            model,
            ours[0]["replaced"] or "none",
            f"{ours[0]['loss_first']:.4f} → {ours[0]['loss_last']:.4f}",
        ]
        cells += [f"{max(row['difference'] for row in ours):.1e}", *(f"{value:.2f}" for value in times), f"{ratio:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peers", nargs="+", default=["neuralforecast", "darts"], choices=["neuralforecast", "darts"])
    parser.add_argument("--runs", type=int, default=3, help="rounds, each with a plain and a rekur fit of each model")
    parser.add_argument("--steps", type=int, default=100, help="training steps of a fit")
    parser.add_argument("--hidden", type=int, default=64, help="hidden units of a layer")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0 leaves its default")
    parser.add_argument("--csv", type=Path, default=HERE / "results/peers.csv")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="") as file:
        sheet = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        sheet.writeheader()
        for row in rows(args):
            rows.append(row)
            sheet.writerow(row)
            file.flush()
            print(*(row.get(name, "") for name in COLUMNS[:13]), file=sys.stderr)
    print(" · ".join(f"{name} {value}" for name, value in machine().items()), f"· {args.steps} steps\n")
    print(table(rows))
    ours = [row for row in rows if row.get("way") == "rekur"]
    wrong = [row for row in ours if not row["replaced"] or not row["difference"] <= LIMIT]
    if wrong or not ours:
        named = {f"{row['peer']} {row['model']}" for row in wrong} or {"nothing ran"}
        sys.exit(f"\nnot proved: {', '.join(sorted(named))}")


if __name__ == "__main__":
    main()
