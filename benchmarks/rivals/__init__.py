"""Who is timed by layers.py and how each is asked: one job in, one call that can be repeated out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

Named = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """One problem in one mode. Gates stand in torch's order: LSTM i f g o, GRU r z n."""

    cell: str  # "rnn", "lstm" or "gru"
    mode: str  # "training": forward and backward from a ready gradient of y; "inference": forward
    precision: str  # "float32" or "bf16"
    threads: int
    numbers: Named  # x (T, B, I), dy (T, B, H), W (G·H, I), R (G·H, H), bW and bR (G·H,), float32
    lengths: tuple[int, ...] | None = None

    @property
    def training(self) -> bool:
        """Whether parameter gradients are asked for."""
        return self.mode == "training"

    @property
    def bf16(self) -> bool:
        """Whether the products are to be taken in bfloat16."""
        return self.precision == "bf16"

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """B, T, I, H."""
        T, B, I = self.numbers["x"].shape  # noqa: E741
        return B, T, I, self.numbers["dy"].shape[2]


@dataclass(frozen=True)
class Ready:
    """A job made ready: `call` runs it once to its end, `answer` turns what it returned into y, dW, dR, dbW, dbR."""

    call: Callable[[], Any]
    answer: Callable[[Any], Named]  # y (T, B, H), gradients as in Job.numbers, float32; those it has
    variant: str = ""


class RefusedError(Exception):
    """This tool does not offer what the job asks for; the text says what."""


@dataclass(frozen=True)
class Tool:
    """A tool: the module with its `prepare`, its packages, and the process it runs in together with others."""

    module: str
    packages: tuple[str, ...]
    process: str
    modes: tuple[str, ...] = ("training", "inference")

    def prepare(self, name: str, job: Job) -> Ready:
        """Make the job ready; RefusedError says why not."""
        ready: Ready = import_module(f"rivals.{self.module}").prepare(name, job)
        return ready

    def versions(self) -> str:
        """Each package with its version."""
        return " ".join(f"{package}={version(package)}" for package in self.packages)


TOOLS = {
    "rekur": Tool("with_torch", ("rekur", "torch"), "torch"),
    "torch": Tool("with_torch", ("torch",), "torch"),
    "gemm": Tool("with_torch", ("torch",), "gemm"),  # the yardstick: one large product
    "flax": Tool("with_flax", ("flax", "jax", "jaxlib"), "flax"),
    "keras-jax": Tool("with_keras", ("keras", "jax", "jaxlib"), "keras-jax"),
    "keras-tensorflow": Tool("with_keras", ("keras", "tensorflow"), "keras-tensorflow"),
    "onnxruntime": Tool("with_onnx", ("onnxruntime", "onnx"), "onnxruntime", ("inference",)),
    "openvino": Tool("with_onnx", ("openvino", "onnx"), "openvino", ("inference",)),
}
"""All tools; those with the same process share it and are called in turn, call by call."""


def fastest(variants: Iterable[Ready]) -> Ready:
    """The variant whose better one of two calls is shortest, after one that compiles."""
    return min(variants, key=lambda ready: min([clock(ready.call) for _ in range(3)][1:]))


def clock(call: Callable[[], Any]) -> float:
    """The wall seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def regate(stacked: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Take the gates stacked along axis 0 in another order."""
    parts = np.split(stacked, len(order))
    return np.concatenate([parts[k] for k in order])
