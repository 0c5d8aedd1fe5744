"""Training of the pretrained network on synthetic series: resumable, one seed one result on the CPU.

    python -m rekur.pretrained.train FOLDER --steps 10000

goes on from FOLDER/checkpoint, or begins a new run, and appends the losses to FOLDER/log.csv. Ctrl-C ends it with a
checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from rekur import serialization
from rekur.core import ModelFileError, Record, TrainingError
from rekur.pretrained.coordinates import Coordinates, coordinates
from rekur.pretrained.generators import LONG, SHORT, Mixture, Series, draw_series
from rekur.pretrained.net import CandidateNet
from rekur.training import Optimizer
from rekur.training.memory import reuse_freed_memory

BATCH = {LONG.length: 128, SHORT.length: 256}  # series of a step
SHARE_SHORT = 0.35  # of the steps
DRAW = 8  # batches drawn at once
WARMUP, RATE, EMA, DECAY = 200, 3e-3, 0.998, 0.01
VALIDATION_SEED = 2**32  # no step draws with it
CHECKPOINT_SECONDS = 600.0


@dataclass(frozen=True)
class Masked:
    """Series with hidden patches: what a network reads and what it is asked for.

    Parameters
    ----------
    values : (B, T) tensor
        Values.
    visible : (B, T/p) bool tensor
        Patches that may be read.
    periods : (B, 2) tensor
        Shorter and longer period of each series; 1 for none.
    """

    values: torch.Tensor
    visible: torch.Tensor
    periods: torch.Tensor

    def coordinates(self, patch: int, device: str) -> Coordinates:
        """Coordinates of the batch on a device."""
        return coordinates(self.values.to(device), self.visible.to(device), self.periods.to(device), patch)


def mask_patches(rng: np.random.Generator, series: Series, patch: int) -> Masked:
    """Hide the end of each series and up to two runs within it, and cut the beginning of a part of the series.

    The hidden end has 1 to 4 patches in half of the rows, in the others up to a third of the series.
    """
    B, T = series.values.shape
    N = T // patch
    position = np.arange(N)
    run = np.where(rng.random(B) < 0.5, rng.integers(1, 5, B), rng.integers(1, max(N // 3, 4) + 1, B))
    end = (N - run)[:, None]
    visible = position < end
    for share in (0.35, 0.15):
        length = rng.integers(1, 4, (B, 1)) * (rng.random((B, 1)) < share)
        start = (rng.random((B, 1)) * end).astype(np.int64)
        visible &= ~((position >= start) & (position < start + length) & (position > 1))
    begin = np.where(rng.random(B) < 0.5, rng.random(B) ** 0.5 * (end[:, 0] * patch - 12), 0).astype(np.int64)[:, None]
    values = np.where(np.arange(T) < begin, np.nan, series.values)
    visible |= position == end - 1
    return Masked(torch.from_numpy(values), torch.from_numpy(visible), torch.from_numpy(series.periods))


def draw_batches(seed: int, index: int, mixture: Mixture, patch: int) -> list[Masked]:
    """Batches number index · 8 to index · 8 + 7 of a mixture, the same for the same seed."""
    rng = np.random.default_rng([seed, mixture.length, index])
    size = BATCH[mixture.length]
    masked = mask_patches(rng, draw_series(rng, mixture, DRAW * size), patch)
    return [
        Masked(masked.values[i : i + size], masked.visible[i : i + size], masked.periods[i : i + size])
        for i in range(0, DRAW * size, size)
    ]


def batches(seed: int, step: int, patch: int, device: str) -> Iterator[tuple[str, Coordinates]]:
    """Endless batches from a step on: (kind, coordinates)."""
    drawn: dict[int, tuple[int, list[Masked]]] = {}
    while True:
        short = int(step * SHARE_SHORT)  # of the steps before this one, evenly spread
        mixture, number = (SHORT, short) if int((step + 1) * SHARE_SHORT) > short else (LONG, step - short)
        step += 1
        if mixture.length not in drawn or drawn[mixture.length][0] != number // DRAW:
            drawn[mixture.length] = number // DRAW, draw_batches(seed, number // DRAW, mixture, patch)
        batch = drawn[mixture.length][1][number % DRAW]
        yield "short" if mixture is SHORT else "long", batch.coordinates(patch, device)


def validation_losses(net: CandidateNet, device: str) -> Record:
    """Losses on synthetic series that no step draws: on all patches and on the hidden ends."""
    losses = Record()
    net.eval()
    for name, mixture in (("long", LONG), ("short", SHORT)):
        sums: dict[str, list[float]] = {"": [], "_end": []}
        for batch in draw_batches(VALIDATION_SEED, 0, mixture, net.patch):
            c = batch.coordinates(net.patch, device)
            with torch.inference_mode():
                sums[""].append(float(net.loss(c)))
                end = ~batch.visible.to(device)[:, 1:, None] & (c.weight > 0)
                sums["_end"].append(float(net.loss(replace(c, weight=c.weight * end))))
        losses |= {f"loss_{name}{key}": float(np.mean(values)) for key, values in sums.items()}
    net.train()
    return losses


def build(options: dict[str, int | str]) -> CandidateNet:
    """Network of the options of a run, untrained."""
    hidden_size, num_layers, seed = (int(options[name]) for name in ("hidden_size", "num_layers", "seed"))
    return CandidateNet(str(options["cell"]), hidden_size=hidden_size, num_layers=num_layers, seed=seed)


@dataclass
class Run:
    """State of a training run.

    Parameters
    ----------
    net : CandidateNet
        Network.
    optimizer : Optimizer
        Optimizer of its parameters.
    options : dict
        Seed and size of the network; those of a checkpoint hold.
    step, windows : int
        Steps so far and series seen.
    seconds : float
        Time of training so far.
    """

    net: CandidateNet
    optimizer: Optimizer
    options: dict[str, int | str]
    step: int = 0
    windows: int = 0
    seconds: float = 0.0

    @classmethod
    def start(cls, options: dict[str, int | str], device: str) -> Run:
        """Run at its beginning."""
        net = build(options).to(device)
        return cls(net, Optimizer(net.parameters(), "adamw", DECAY, EMA), options)

    @classmethod
    def resume(cls, folder: Path, options: dict[str, int | str], device: str) -> Run:
        """Run of the checkpoint in a folder, or a new one if there is none."""
        folder = folder / "checkpoint"
        if not (folder / "config.json").exists():
            return cls.start(options, device)
        description, tensors = serialization.load(folder)
        if description.get("kind") != "pretraining":
            raise ModelFileError(f"{folder} does not hold a pretraining run; choose another folder")
        if description["options"] != options:
            raise ModelFileError(
                f"{folder} holds a run with {description['options']}, not {options}; go on with those or choose "
                "another folder"
            )
        run = cls.start(description["options"], device)
        run.optimizer.restore(tensors)
        run.step, run.windows, run.seconds = (description[name] for name in ("step", "windows", "seconds"))
        return run

    def save(self, folder: Path) -> None:
        """Replace the checkpoint in a folder by the present state."""
        description = {
            "kind": "pretraining",
            "options": self.options,
            "step": self.step,
            "windows": self.windows,
            "seconds": self.seconds,
        }
        serialization.save(folder, description, {name: t.cpu() for name, t in self.optimizer.state().items()})


def train(
    run: Run,
    folder: Path,
    steps: int,
    device: str,
    decay: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Train for some steps, with a checkpoint and a row of the log every ten minutes and at the end.

    Parameters
    ----------
    run : Run
        State to begin with.
    folder : Path
        Folder of the checkpoint and the log.
    steps : int
        Number of steps.
    device : str
        Device of torch.
    decay : bool, default False
        Whether the learning rate falls linearly to 2 % at the last step. The network is then written to the folder
        `released` and the checkpoint stays, so that training can go on from it.
    interrupted : callable, optional
        Asked after each step whether to end.
    """
    reuse_freed_memory()
    first, last, clock, written = run.step, run.step + steps, time.monotonic(), time.monotonic()
    sums = {"long": [0.0, 0], "short": [0.0, 0]}
    for kind, batch in batches(int(run.options["seed"]), run.step, run.net.patch, device):
        rate = RATE * min(1.0, (run.step + 1) / WARMUP)
        if decay:
            rate *= 1 - 0.98 * (run.step - first + 1) / steps
        run.optimizer.zero_grad()
        loss = run.net.loss(batch)
        torch.autograd.backward(loss)
        value, norm = float(loss.detach()), run.optimizer.clip(1.0)
        if not np.isfinite(value + norm):
            raise TrainingError(f"the loss or its gradient is not finite at step {run.step}; lower the learning rate")
        run.optimizer.step(rate)
        sums[kind][0] += value
        sums[kind][1] += 1
        run.step, run.windows = run.step + 1, run.windows + len(batch.scale)
        ended = run.step == last or interrupted()
        if ended or time.monotonic() - written >= CHECKPOINT_SECONDS:
            run.seconds, clock, written = run.seconds + time.monotonic() - clock, time.monotonic(), time.monotonic()
            with run.optimizer.averaged():
                losses = validation_losses(run.net, device)
            run.save(folder / ("released" if decay else "checkpoint"))
            trained = {f"train_{name}": total / max(count, 1) for name, (total, count) in sums.items()}
            append(folder / "log.csv", {"step": run.step, "windows": run.windows, "minutes": run.seconds / 60,
                                         "rate": rate, **trained, **losses})  # fmt: skip
            sums = {"long": [0.0, 0], "short": [0.0, 0]}
        if ended:
            return


def append(path: Path, row: Record) -> None:
    """Append a row to a CSV file and print it."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10_000, help="steps of training; about 165 series each")
    parser.add_argument(
        "--decay", action="store_true", help="let the learning rate fall, and write a network to release"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cell", default="gru")
    parser.add_argument("--hidden-size", type=int, default=96)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    options: dict[str, int | str] = {
        "seed": arguments.seed,
        "cell": arguments.cell,
        "hidden_size": arguments.hidden_size,
        "num_layers": arguments.layers,
    }
    arguments.folder.mkdir(parents=True, exist_ok=True)
    run = Run.resume(arguments.folder, options, arguments.device)
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: signals.append(received))
    train(run, arguments.folder, arguments.steps, arguments.device, arguments.decay, lambda: bool(signals))


if __name__ == "__main__":
    main()
