"""rekur.nn and torch.nn, in one process and on the same tensors; and one large product as a yardstick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rekur.nn
from rekur.cells import cell
from rekur.kernels import describe
from rivals import Job, Named, Ready, RefusedError

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from cases import Case, build

PARAMETERS = {"W": "weight_ih_l0", "R": "weight_hh_l0", "bW": "bias_ih_l0", "bR": "bias_hh_l0"}
LARGE = 2048


def numbers(case: Case, kind: str) -> Named:
    """The numbers of a case, as `Job` holds them."""
    problem = build(case, cell(kind))
    dy = torch.randn(case.T, case.B, case.H, generator=torch.Generator().manual_seed(1))
    tensors = {"x": problem.x.transpose(0, 1), "dy": dy, **problem.weights._asdict()}
    if kind == "gru":
        tensors["bR"][2 * case.H :] = 0  # flax's GRU has no bias there
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}


def prepare(name: str, job: Job) -> Ready:
    """Make the layer of `name` ready on T × B × I tensors, the default of torch.nn."""
    torch.set_num_threads(job.threads)
    if name == "gemm":
        return _product(job)
    if name == "rekur" and job.bf16:
        _offered(job)
    return _layer(name, job, job.bf16)


def _offered(job: Job) -> None:
    """Refuse bf16 where autocast changes no bit of rekur's result, or gives torch's."""
    cast, plain, torchs = (
        _once(*which) for which in (("rekur", job, True), ("rekur", job, False), ("torch", job, True))
    )
    if torch.equal(cast, plain):
        raise RefusedError("rekur.nn computes in float32 under autocast")
    if torch.equal(cast, torchs):
        raise RefusedError("rekur.nn hands over to torch.nn under autocast")


def _once(name: str, job: Job, bf16: bool) -> Tensor:
    y: Tensor = _layer(name, job, bf16).call().float()
    return y


def _layer(name: str, job: Job, bf16: bool) -> Ready:
    _, _, I, H = job.sizes  # noqa: E741
    module = getattr(nn if name == "torch" else rekur.nn, job.cell.upper())(I, H).train(job.training)
    parameters = {key: getattr(module, attribute) for key, attribute in PARAMETERS.items()}
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(job.numbers[key]))
    x, fold = torch.from_numpy(job.numbers["x"]), _fold(name, module, job)

    def inference() -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            return fold(x)

    dy = torch.from_numpy(job.numbers["dy"]).to(inference().dtype if bf16 else torch.float32)

    def training() -> Tensor:
        for parameter in parameters.values():
            parameter.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            y = fold(x)
        y.backward(dy)
        return y

    def answer(y: Tensor) -> Named:
        results = {"y": y, **{f"d{key}": parameter.grad for key, parameter in parameters.items() if job.training}}
        return {key: tensor.detach().float().numpy() for key, tensor in results.items()}

    return Ready(training if job.training else inference, answer, describe() if name == "rekur" else "")


def _fold(name: str, module: Any, job: Job) -> Any:
    """x (T, B, I) to y (T, B, H); unequal rows by `lengths=` in rekur, by packing and padding in torch."""
    if job.lengths is None:
        return lambda x: module(x)[0]
    lengths, T = torch.tensor(job.lengths), job.sizes[1]
    if name == "rekur":
        return lambda x: module(x, lengths=lengths)[0]

    def packed(x: Tensor) -> Tensor:
        y, _ = module(pack_padded_sequence(x, lengths, enforce_sorted=False))
        out: Tensor = pad_packed_sequence(y, total_length=T)[0]
        return out

    return packed


def _product(job: Job) -> Ready:
    """A square product of 2048 × 2048 matrices, 2·2048³ operations."""
    a, b = (torch.randn(LARGE, LARGE).to(torch.bfloat16 if job.bf16 else torch.float32) for _ in range(2))
    return Ready(lambda: torch.mm(a, b), lambda _: {}, f"{LARGE}³")
