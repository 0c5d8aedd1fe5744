"""Flax NNX: its cells under nnx.RNN, as one function compiled by jax.jit, which is faster to call than nnx.jit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rivals import Job, Named, Ready, fastest

PLAIN = (("ii", "if_", "ig", "io"), ("hi", "hf", "hg", "ho"))  # the layers of the plain LSTMCell
UNROLLED = 4


def prepare(name: str, job: Job) -> Ready:
    """The fastest of the variants: LSTM cells plain and optimised, loops unrolled or not."""
    return fastest(_layer(job, *variant) for variant in _variants(job.cell))


def _variants(kind: str) -> Iterator[tuple[Any, int]]:
    if kind == "lstm":
        yield nnx.LSTMCell, 1
    main = {"rnn": nnx.SimpleCell, "lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}[kind]
    yield main, 1
    yield main, UNROLLED


def _layer(job: Job, kind: Any, unroll: int) -> Ready:
    B, _, I, H = job.sizes  # noqa: E741
    dtype = jnp.bfloat16 if job.bf16 else jnp.float32
    cell = kind(I, H, dtype=dtype, rngs=nnx.Rngs(0))
    _load(cell, job)
    zero = jnp.zeros((B, H), dtype)
    start = (zero, zero) if job.cell == "lstm" else zero
    graph, params, rest = nnx.split(nnx.RNN(cell, time_major=True, unroll=unroll), nnx.Param, ...)
    x, dy = jnp.asarray(job.numbers["x"]), jnp.asarray(job.numbers["dy"], dtype)

    @jax.jit
    def forward(params: Any, x: Any) -> Any:
        return nnx.merge(graph, params, rest)(x, initial_carry=start)

    @jax.jit
    def train(params: Any, x: Any, dy: Any) -> Any:
        y, back = jax.vjp(lambda params: forward(params, x), params)
        return y, back(dy)[0]

    def call() -> Any:
        return jax.block_until_ready(train(params, x, dy) if job.training else (forward(params, x), None))

    def answer(outputs: Any) -> Named:
        y, grads = outputs
        named = {"y": np.asarray(y, np.float32)}
        return named | (_gradients(nnx.to_pure_dict(grads)["cell"], kind) if job.training else {})

    return Ready(call, answer, f"{kind.__name__}, unroll {unroll}")


def _load(cell: Any, job: Job) -> None:
    """Set the weights; kernels are (in, G·H), and there is one bias, on the side that has it."""
    bias = job.numbers["bW"] + job.numbers["bR"]
    for side, name in enumerate(("W", "R")):
        layers = PLAIN[side] if isinstance(cell, nnx.LSTMCell) else (("dense_i", "dense_h")[side],)
        kernels, biases = np.split(job.numbers[name], len(layers)), np.split(bias, len(layers))
        for layer, kernel, b in zip(layers, kernels, biases, strict=True):
            linear = getattr(cell, layer)
            linear.kernel[...] = jnp.asarray(kernel.T)
            if linear.bias is not None:
                linear.bias[...] = jnp.asarray(b)


def _gradients(grads: Any, kind: Any) -> Named:
    sides = PLAIN if kind is nnx.LSTMCell else (("dense_i",), ("dense_h",))
    outputs: dict[str, list[Any]] = {"dW": [], "dR": [], "dbW": []}
    for side, name in zip(sides, ("dW", "dR"), strict=True):
        for layer in side:
            outputs[name].append(np.asarray(grads[layer]["kernel"]).T)
            if "bias" in grads[layer]:
                outputs["dbW"].append(np.asarray(grads[layer]["bias"]))
    return {name: np.concatenate(parts) for name, parts in outputs.items()}
