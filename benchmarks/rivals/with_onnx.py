"""onnxruntime and OpenVINO: the layer exported as one ONNX node, on buffers bound once; inference alone."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rivals import Job, Ready, RefusedError, regate

NODES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
ORDER = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}  # LSTM: i o f c; GRU: z r n


def prepare(name: str, job: Job) -> Ready:
    """The one node by the runtime `name`."""
    return _onnxruntime(job) if name == "onnxruntime" else _openvino(job)


def graph(job: Job) -> onnx.ModelProto:
    """x (T, B, I) → y (T, 1, B, H), the weights inside."""
    B, T, I, H = job.sizes  # noqa: E741
    W, R, bW, bR = (regate(job.numbers[key], ORDER[job.cell]) for key in ("W", "R", "bW", "bR"))
    weights = {"W": W[None], "R": R[None], "B": np.concatenate([bW, bR])[None]}
    options = {"linear_before_reset": 1} if job.cell == "gru" else {}
    node = helper.make_node(NODES[job.cell], ["x", *weights], ["y"], hidden_size=H, **options)
    whole = helper.make_graph(
        [node],
        job.cell,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (T, B, I))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (T, 1, B, H))],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _room(job: Job) -> np.ndarray:
    B, T, _, H = job.sizes
    return np.zeros((T, 1, B, H), np.float32)


def _onnxruntime(job: Job) -> Ready:
    import onnxruntime as ort

    if job.bf16:
        raise RefusedError("its CPU provider has no bfloat16 RNN, LSTM or GRU")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    session = ort.InferenceSession(graph(job).SerializeToString(), options, providers=["CPUExecutionProvider"])
    x, y = ort.OrtValue.ortvalue_from_numpy(job.numbers["x"]), ort.OrtValue.ortvalue_from_numpy(_room(job))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)
    return Ready(lambda: session.run_with_iobinding(binding), lambda _: {"y": y.numpy()[:, 0]}, "bound buffers")


def _openvino(job: Job) -> Ready:
    import openvino as ov

    core = ov.Core()
    if job.bf16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise RefusedError("it has no bfloat16 on this CPU")
    options = {
        "INFERENCE_NUM_THREADS": job.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if job.bf16 else "f32",  # where the CPU has bfloat16 it is the default
    }
    model = core.read_model(graph(job).SerializeToString())
    request = core.compile_model(model, "CPU", options).create_infer_request()
    x, y = ov.Tensor(job.numbers["x"]), ov.Tensor(_room(job))  # copies: a shared array would not be kept alive
    request.set_input_tensor(x)
    request.set_output_tensor(y)
    return Ready(request.infer, lambda _: {"y": y.data[:, 0].copy()}, "bound buffers")
