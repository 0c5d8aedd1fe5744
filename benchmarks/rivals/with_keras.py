"""Keras 3 on the backend that KERAS_BACKEND names: one layer as a compiled function, sequences in and out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

os.environ |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}

import keras
import numpy as np

from rivals import Job, Named, Ready, fastest, regate

Variants = Iterator[tuple[str, Callable[[], Any]]]

LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
ORDER = {"rnn": (0,), "lstm": (0, 1, 2, 3), "gru": (1, 0, 2)}  # GRU: z r n; the order back is the same


def prepare(name: str, job: Job) -> Ready:
    """The layer on B × T × I arrays, the only layout that Keras has."""
    B, T, I, H = job.sizes  # noqa: E741
    dtype = "bfloat16" if job.bf16 else "float32"
    options = {"reset_after": True} if job.cell == "gru" else {}
    options |= {"recurrent_initializer": "zeros"}  # the default one has no bfloat16; the weights are given
    layer = getattr(keras.layers, LAYERS[job.cell])(H, return_sequences=True, dtype=dtype, **options)
    layer.build((B, T, I))
    W, R, bW, bR = (regate(job.numbers[key], ORDER[job.cell]) for key in ("W", "R", "bW", "bR"))
    arrays = (W.T, R.T, np.stack([bW, bR]) if job.cell == "gru" else bW + bR)
    weights = [keras.ops.convert_to_tensor(array, "float32") for array in arrays]
    others = [variable.value for variable in layer.non_trainable_variables]
    x, dy = (np.ascontiguousarray(job.numbers[key].swapaxes(0, 1)) for key in ("x", "dy"))
    arguments = (weights, keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(dy, dtype))

    def forward(weights: Any, x: Any) -> Any:
        weights, x = [keras.ops.cast(weight, dtype) for weight in weights], keras.ops.cast(x, dtype)
        return layer.stateless_call(weights, others, x)[0]

    calls = (_with_jax if name == "keras-jax" else _with_tensorflow)(forward, job.training, *arguments)
    return fastest(Ready(call, lambda outputs: _answer(job, *outputs), variant) for variant, call in calls)


def _with_jax(forward: Any, training: bool, weights: Any, x: Any, dy: Any) -> Variants:
    import jax

    @jax.jit
    def train(weights: Any, x: Any, dy: Any) -> Any:
        y, back = jax.vjp(lambda weights: forward(weights, x), weights)
        return y, back(dy)[0]

    infer = jax.jit(forward)
    run = (lambda: train(weights, x, dy)) if training else lambda: (infer(weights, x), ())
    yield "jax.jit", lambda: jax.block_until_ready(run())


def _with_tensorflow(forward: Any, training: bool, weights: Any, x: Any, dy: Any) -> Variants:
    import tensorflow as tf

    def train(weights: Any, x: Any, dy: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            y = forward(weights, x)
        return y, tape.gradient(y, weights, dy)

    for jit in (False, True):
        run = tf.function(train if training else lambda weights, x, dy: (forward(weights, x), ()), jit_compile=jit)
        yield f"tf.function, jit_compile={jit}", partial(run, weights, x, dy)


def _answer(job: Job, y: Any, grads: Any) -> Named:
    named = {"y": np.asarray(y, np.float32).swapaxes(0, 1)}
    if job.training:
        dW, dR, db = (np.asarray(grad, np.float32) for grad in grads)
        biases = {"dbW": db[0], "dbR": db[1]} if job.cell == "gru" else {"dbW": db}
        outputs = {"dW": dW.T, "dR": dR.T, **biases}
        named |= {key: regate(grad, ORDER[job.cell]) for key, grad in outputs.items()}
    return named
