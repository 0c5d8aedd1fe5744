"""What a scan can do beyond a plain fold: states reset on the way, bfloat16, activations computed again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import rekur.nn
from cases import Case, Named, build, leaves, probe, threads, with_leaves
from laws import assert_near, assert_same_bits
from rekur.cells import CELLS, cell
from rekur.core import DataError
from rekur.kernels import scan
from rekur.kernels.extension import forced

_native = pytest.importorskip("rekur._native", reason="the extension is not built")
EVERY_CELL = pytest.mark.parametrize("name", CELLS)
EVERY_TARGET = pytest.mark.parametrize("target", _native.targets())
CASES = (
    Case(3, 7, 2, 5, lengths=(7, 0, 4)),
    Case(9, 11, 3, 17, reverse=True),
    Case(33, 20, 5, 40, lengths=tuple(7 * row % 21 for row in range(33)), reverse=True),
    Case(2, 9, 1, 33, layout="time_first"),
)


def draw(case: Case, name: str, half: bool = False) -> tuple[Any, torch.Tensor]:
    """A problem, with x in bfloat16 if `half`, and a mask with a fifth of its steps set."""
    problem = build(case, cell(name))
    mask = torch.rand(case.B, case.T, generator=torch.Generator().manual_seed(3)) < 0.2
    return problem._replace(x=problem.x.bfloat16()) if half else problem, mask


def outcome(problem: Any, **options: Any) -> Named:
    """All outputs and all gradients."""
    tensors = {name: t.detach().requires_grad_() for name, t in leaves(problem).items()}
    y, last = scan(*with_leaves(problem, tensors), **options)
    outputs = {"y": y, **{f"last {k}": s for k, s in enumerate(last)}}
    found = torch.autograd.grad(probe(outputs), list(tensors.values()), allow_unused=True, materialize_grads=True)
    grads = {f"gradient of {name}": g for name, g in zip(tensors, found, strict=True)}
    return {**{name: out.detach() for name, out in outputs.items()}, **grads}


@EVERY_TARGET
@EVERY_CELL
def test_resets_equal_the_reference(name: str, target: str) -> None:
    """With lengths, reverse and strides; the mask may have any strides too."""
    for case in CASES:
        problem, mask = draw(case, name)
        with forced(target):
            got = outcome(problem, backend="native", resets=mask.T.contiguous().T)
        assert_near(got, outcome(problem, backend="reference", resets=mask), case.T, f"{case}")


@EVERY_CELL
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_reset_starts_anew(name: str, backend: str) -> None:
    """What follows a reset is a fold of its own from zero; what stands beyond a length resets nothing."""
    kind, x, weights, state, _, _ = build(Case(2, 8, 2, 5), cell(name))
    mask, lengths = torch.zeros(2, 8, dtype=torch.bool), torch.tensor([8, 6])
    mask[:, 3] = mask[1, 7] = True
    y, last = scan(kind, x, weights, state, lengths, backend=backend, resets=mask)
    before, _ = scan(kind, x[:, :3], weights, state, backend=backend)
    after, end = scan(kind, x[:, 3:], weights, kind.zeros(2, 5, x), lengths - 3, backend=backend)
    assert_near({"y": y}, {"y": torch.cat([before, after], dim=1)}, 8, name)
    assert_near(dict(enumerate(last)), dict(enumerate(end)), 8, name)  # type: ignore[arg-type]


def test_resets_are_checked() -> None:
    """A mask is boolean and has one entry a step."""
    problem, mask = draw(CASES[0], "gru")
    for wrong in (mask.float(), mask[:, 1:], mask[0]):
        with pytest.raises(DataError, match="resets must be bool"):
            scan(*problem, resets=wrong)


@EVERY_TARGET
@EVERY_CELL
def test_bfloat16_equals_the_reference(name: str, target: str) -> None:
    """Products of rounded numbers, all else in float32: y in bfloat16, states and gradients of weights in float32."""
    for case in CASES:
        problem, mask = draw(case, name, half=True)
        for resets in (None, mask):
            with forced(target):
                got = outcome(problem, backend="native", resets=resets)
            want = outcome(problem, backend="reference", resets=resets)
            assert {out: t.dtype for out, t in got.items()} == {out: t.dtype for out, t in want.items()}
            low = [{out: t.bfloat16() for out, t in named.items()} for named in (got, want)]
            assert_near(*low, case.T, f"{case}")


@EVERY_CELL
def test_bfloat16_is_accurate(name: str) -> None:
    """100 steps of N(0, 1): y is off by less than 2 % of its range, gradients of weights by 4 % of their norm."""
    problem, _ = draw(Case(16, 100, 8, 64), name)
    got = outcome(problem._replace(x=problem.x.bfloat16()), backend="native")
    want = outcome(problem._replace(x=problem.x.bfloat16().float()), backend="native")
    off, scale = (got["y"] - want["y"]).abs().max(), want["y"].abs().max()
    assert off < 0.02 * scale, f"y is off by {off / scale:.4f} of its range"
    for key in ("gradient of W", "gradient of R", "gradient of bW"):
        ratio = (got[key] - want[key]).norm() / want[key].norm()
        assert ratio < 0.04, f"{key} is off by {ratio:.4f}"


@EVERY_CELL
def test_bfloat16_has_the_same_bits_on_any_number_of_threads(name: str) -> None:
    """Forward and backward, large enough that threads share it."""
    problem, _ = draw(Case(33, 40, 5, 96, lengths=tuple(11 * row % 41 for row in range(33))), name, half=True)
    runs = []
    for count in (1, 2, 3):
        with threads(count):
            runs.append(outcome(problem, backend="native"))
    assert_same_bits(runs[1], runs[0], "2 threads")
    assert_same_bits(runs[2], runs[0], "3 threads")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_bfloat16_in_modules(kind: str) -> None:
    """By autocast, by `precision` and by parameters in bfloat16: close to float32, in the type torch would give."""
    for options in ({}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 5} if kind == "LSTM" else {}):
        torch.manual_seed(0)
        module = getattr(rekur.nn, kind)(6, 16, **options)
        x = torch.randn(9, 4, 6)
        want = module(x)[0]
        with torch.autocast("cpu", torch.bfloat16):
            automatic, last = module(x, module(x)[1])
            automatic, last = module(x)
        twin = getattr(rekur.nn, kind)(6, 16, precision="bf16", **options)
        twin.load_state_dict(module.state_dict())
        precise, kept = twin(x)
        low = module.bfloat16()(x.bfloat16())[0]
        for got, dtype in ((automatic, torch.bfloat16), (precise, torch.float32), (low, torch.bfloat16)):
            assert got.dtype is dtype
            assert (got - want).abs().max() < 2 * 2**-7
            assert not torch.equal(got.float(), want)
        states = [s for end in (last, kept) for s in (end if kind == "LSTM" else (end,))]
        assert [s.dtype for s in states] == [
            t for t in (torch.bfloat16, torch.float32) for _ in range(len(states) // 2)
        ]
        low.float().sum().backward()
        assert all(p.grad.dtype is torch.bfloat16 for p in module.parameters())


@EVERY_CELL
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_recomputing_changes_nothing(name: str, backend: str) -> None:
    """The same outputs, from the kernels to the last bit, and gradients, with lengths, reverse and resets."""
    for case in CASES:
        problem, mask = draw(case, name)
        for resets in (None, mask):
            want = outcome(problem, backend=backend, resets=resets)
            got = outcome(problem, backend=backend, resets=resets, recompute=True)
            if backend == "native":
                assert_same_bits(*({k: t for k, t in r.items() if "grad" not in k} for r in (got, want)), f"{case}")
            assert_near(got, want, case.T, f"{case}")


def test_recomputing_saves_memory() -> None:
    """Of 400 steps less than an eighth is kept for the backward pass."""
    kind, x, weights, state, _, _ = build(Case(4, 400, 1, 32), cell("lstm"))
    weights.W.requires_grad_()
    kept = []
    for recompute in (False, True):
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            scan(kind, x, weights, state, recompute=recompute)
        kept.append(sum(sizes.values()))
    assert 0 < kept[1] < kept[0] / 8, kept
