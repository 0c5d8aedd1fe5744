"""The native kernels: equal to the reference on every instruction set this machine has."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import rekur
from rekur.cells import CELLS, cell
from rekur.core import OptionError, Weights
from rekur.kernels import extension, native, reference, scan, step

_native = pytest.importorskip("rekur._native", reason="the extension is not built")

TARGETS = _native.targets()
DTYPES = (torch.float32, torch.float64)
EPS = {torch.float32: 1.2e-7, torch.float64: 2.3e-16}
# 15, 16, 17 surround the widths 4, 8, 16; the last one needs more than one chunk of time.
SIZES = ((1, 1, 1, 1), (2, 3, 1, 15), (3, 5, 2, 16), (7, 4, 5, 17), (5, 9, 17, 64), (37, 25, 3, 83))
EVERY = pytest.mark.parametrize("name", CELLS)
ON_EACH = pytest.mark.parametrize("target", TARGETS)


def problem(name, B, T, I, H, dtype, ragged=False, seed=0):  # noqa: E741
    """Weights, x, states and lengths drawn from one seed."""
    draw = torch.Generator().manual_seed(seed)
    kind = cell(name)
    weights = Weights(*(w.to(dtype) for w in kind.init(I, H, draw)))
    x = torch.randn(B, T, I, dtype=dtype, generator=draw)
    state = kind.state(**{s: 0.5 * torch.randn(B, H, dtype=dtype, generator=draw) for s in kind.states})
    lengths = None
    if ragged:
        lengths = torch.randint(0, T + 1, (B,), generator=draw)
        lengths[0] = 0
        x = x.masked_fill((torch.arange(T) >= lengths[:, None])[..., None], float("nan"))
    return kind, x, weights, state, lengths


def outcome(backend, kind, x, weights, state, lengths, reverse):
    """Outputs, last states and every gradient of a loss through all of them."""
    leaves = [t.detach().requires_grad_() for t in (*weights, *state)]
    x = x.detach().requires_grad_()
    start = kind.state(**dict(zip(kind.states, leaves[4:], strict=True)))
    y, last = backend.scan(kind, x, Weights(*leaves[:4]), start, lengths, None, reverse)
    draw = torch.Generator().manual_seed(1)
    loss = sum((out * torch.randn(out.shape, dtype=out.dtype, generator=draw)).sum() for out in (y, *last))
    grads = torch.autograd.grad(loss, [x, *leaves], allow_unused=True, materialize_grads=True)
    return [y, *last, *grads]


def check_close(got, want, steps):
    """Every tensor within c·T·eps of its partner, relative to the largest entry."""
    for number, (a, b) in enumerate(zip(got, want, strict=True)):
        bound = 40 * (steps + 4) * EPS[a.dtype]
        error = ((a - b).abs().max() / (1 + b.abs().max())).item() if a.numel() else 0.0
        assert error <= bound, f"tensor {number}: error {error:.2e} above {bound:.2e}"


@EVERY
def test_declarations_agree(name):
    _, gates, states = _native.cells()[name]
    assert (gates, states) == (cell(name).gates, cell(name).states)


@ON_EACH
@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("ragged", "reverse"), list(itertools.product((False, True), repeat=2)))
def test_equals_reference(target, name, dtype, ragged, reverse):
    for B, T, I, H in SIZES:  # noqa: E741
        case = problem(name, B, T, I, H, dtype, ragged)
        with extension.forced(target):
            assert _native.active() == target
            got = outcome(native, *case, reverse)
        check_close(got, outcome(reference, *case, reverse), T)
        if ragged:
            beyond = torch.arange(T) >= case[4][:, None]
            assert (got[0][beyond] == 0).all()
            assert (got[1 + len(case[3])][beyond] == 0).all()


@EVERY
@pytest.mark.parametrize("make", ["transposed", "strided", "expanded", "sliced"])
def test_strides_of_x(name, make):
    kind, x, weights, state, _ = problem(name, 4, 5, 3, 10, torch.float32)
    view = {
        "transposed": x.transpose(0, 1).contiguous().transpose(0, 1),
        "strided": x.repeat_interleave(2, 2)[..., ::2],
        "expanded": x[:1].expand(4, -1, -1),
        "sliced": torch.cat([x, x], 1)[:, ::2],
    }[make]
    got = outcome(native, kind, view, weights, state, None, False)
    check_close(got, outcome(reference, kind, view, weights, state, None, False), 5)


@EVERY
def test_empty(name):
    for B, T in ((0, 3), (2, 0), (0, 0)):
        case = problem(name, B, T, 2, 3, torch.float32)
        got, want = outcome(native, *case, False), outcome(reference, *case, False)
        assert [t.shape for t in got] == [t.shape for t in want]
        check_close(got, want, 1)


@EVERY
def test_without_bias_and_without_x_gradient(name):
    kind, x, weights, state, _ = problem(name, 3, 4, 2, 9, torch.float64)
    leaves = [w.detach().requires_grad_() for w in weights[:2]]
    results = []
    for backend in (native, reference):
        y, last = backend.scan(kind, x, Weights(*leaves), state, None, None, False)
        results.append([y, *last, *torch.autograd.grad(y.sum(), leaves)])
    check_close(*results, 4)


@ON_EACH
@EVERY
@pytest.mark.parametrize("reverse", [False, True])
def test_gradcheck(target, name, reverse):
    """In double, for all inputs, through y and all last states."""
    kind, x, weights, state, _ = problem(name, 3, 4, 2, 5, torch.float64)
    lengths = torch.tensor([4, 0, 3])

    def run(x, W, R, bW, bR, *start):
        named = kind.state(**dict(zip(kind.states, start, strict=True)))
        y, last = native.scan(kind, x, Weights(W, R, bW, bR), named, lengths, None, reverse)
        return y, *last

    inputs = [t.requires_grad_() for t in (x, *weights, *state)]
    with extension.forced(target):
        assert torch.autograd.gradcheck(run, inputs)


@EVERY
def test_graphs_own_their_tapes(name):
    """Two live graphs, a second backward, and a forward that never meets its backward."""
    first, second = (problem(name, 5, 6, 2, 20, torch.float32, seed=seed) for seed in (1, 2))

    def start(case):
        kind, x, weights, state, _ = case
        leaves = [w.detach().requires_grad_() for w in weights]
        return native.scan(kind, x, Weights(*leaves), state, None, None, False)[0], leaves

    alone = [torch.autograd.grad(y.square().sum(), leaves) for y, leaves in (start(first), start(second))]
    (ya, la), (yb, lb), _ = start(first), start(second), start(second)
    both = [torch.autograd.grad(y.square().sum(), leaves, retain_graph=True) for y, leaves in ((ya, la), (yb, lb))]
    again = torch.autograd.grad(ya.square().sum(), la)
    for got, want in ((both[0], alone[0]), (both[1], alone[1]), (again, alone[0])):
        assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_a_backward_returns_the_tape_to_the_pool():
    """As torch does with every saved tensor, although the graph itself may live on."""
    _native.pool_clear()
    kind, x, weights, state, _ = problem("lstm", 16, 64, 4, 64, torch.float32)
    y, _ = native.scan(kind, x.requires_grad_(), weights, state, None, None, False)
    tape = 16 * 64 * 6 * 64 * 4
    assert _native.pool_bytes() < tape
    y.sum().backward()
    assert _native.pool_bytes() > tape
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_memory_comes_back_to_the_pool():
    _native.pool_clear()
    case = problem("lstm", 8, 40, 4, 32, torch.float32)
    for _ in range(3):
        outcome(native, *case, False)
    gc.collect()
    kept = _native.pool_bytes()
    for _ in range(20):
        outcome(native, *case, False)
    gc.collect()
    assert 0 < kept == _native.pool_bytes()
    _native.pool_clear()
    assert _native.pool_bytes() == 0


@ON_EACH
@EVERY
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("B", [37, 70])
def test_threads_give_the_same_bits(target, name, B, ragged):
    """Large enough that all threads are used; more of them than lanes of rows, of which there are two and four."""
    case = problem(name, B, 80, 3, 70, torch.float32, ragged)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            with extension.forced(target):
                results.append(outcome(native, *case, False))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@EVERY
def test_rows_do_not_depend_on_their_neighbours(name):
    kind, x, weights, state, _ = problem(name, 11, 7, 3, 33, torch.float32)
    with torch.no_grad():
        y, _ = native.scan(kind, x, weights, state, None, None, False)
        for rows in ([3], [10, 0], [5, 4, 3, 2, 1, 0, 6]):
            part = type(state)(*(s[rows] for s in state))
            assert torch.equal(native.scan(kind, x[rows], weights, part, None, None, False)[0], y[rows])


def test_denormals_are_flushed_and_the_mode_is_restored():
    kind, x, weights, state, _ = problem("rnn", 2, 3, 1, 4, torch.float32)
    native.scan(kind, x.requires_grad_(), weights, state, None, None, False)[0].sum().backward()
    assert torch.tensor([1e-40]).mul(1.0).item() > 0


@EVERY
def test_step_equals_reference(name):
    kind, x, weights, state, _ = problem(name, 5, 1, 3, 18, torch.float32)
    got = step(kind, x[:, 0], weights, state, backend="native")
    want = step(kind, x[:, 0], weights, state, backend="reference")
    assert type(got) is type(want)
    check_close(got, want, 1)


def test_the_reason_is_told():
    kind, x, weights, _, _ = problem("gru", 2, 3, 2, 4, torch.float32)
    assert native.unsupported_reason(kind, x, weights) is None
    assert "float16" in native.unsupported_reason(kind, x.half(), weights)
    assert "float64" in native.unsupported_reason(kind, x.double(), weights)
    assert "meta" in native.unsupported_reason(kind, x.to("meta"), weights)
    for change in ({"name": "unheard"}, {"gates": ("z", "r", "n")}, {"states": ("h", "c")}):
        other = type("Other", (), {"name": "gru", "gates": kind.gates, "states": kind.states, **change})
        assert "extension" in native.unsupported_reason(other(), x, weights)


def test_wrong_shapes_are_refused():
    kind, x, weights, state, _ = problem("lstm", 2, 3, 2, 4, torch.float32)
    wrong = (
        (x[..., :1], weights, state, None),
        (x, weights._replace(bR=weights.bR[1:]), state, None),
        (x, weights, type(state)(state.h, state.c[:1]), None),
        (x, weights, type(state)(state.h, state.c.double()), None),
        (x, weights, state, torch.tensor([1, 4])),
        (x, weights, state, torch.tensor([-1, 3])),
        (x, weights, state, torch.tensor([1.0, 2.0])),
    )
    for x_, weights_, state_, lengths in wrong:
        with pytest.raises(ValueError, match=r"shape|state|lengths"):
            scan(kind, x_, weights_, state_, lengths, backend="native")


@ON_EACH
@EVERY
@pytest.mark.parametrize("half", [False, True])
def test_an_infinite_x_stays_where_it_is(target, name, half):
    """It saturates gates; the units that only fill a vector do not turn it into NaN for others."""
    kind, x, weights, state, _ = problem(name, 3, 4, 2, 5, torch.float32)
    x = x.clone()
    x[1, 2, 0] = float("inf")
    x = x.bfloat16() if half else x
    R = weights.R.clone().requires_grad_()
    found = []
    for run in (native, reference):
        with extension.forced(target):
            y, _ = run.scan(kind, x, weights._replace(R=R), state, None, None, False)
            found.append((y.detach().float(), *torch.autograd.grad(y.float().sum(), [R])))
    for got, want in zip(*found, strict=True):
        assert bool(want.isfinite().all())
        torch.testing.assert_close(got, want, rtol=0, atol=2.0**-4 if half else 1e-5)


def test_unknown_target_is_refused():
    with pytest.raises(OptionError, match="scalar"), extension.forced("abacus"):
        pass
    code = "import rekur.kernels; from rekur import _native; print(_native.active())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    refused, forced = (
        subprocess.run(
            [sys.executable, "-c", code], env={**environment, "REKUR_ISA": name}, capture_output=True, text=True
        )
        for name in ("abacus", "scalar")
    )
    assert refused.returncode != 0
    assert "abacus" in refused.stderr
    assert "scalar" in refused.stderr
    assert forced.stdout.strip() == "scalar", forced.stderr


def test_without_the_extension_the_reference_runs():
    """As on a machine without a compiler: `auto` runs, `native` says why it cannot, and so does `rekur info`."""
    code = """
import sys
sys.modules["rekur._native"] = None
import torch
from rekur.cells import cell
from rekur.cli import main
from rekur.core import BackendError, Weights
from rekur.kernels import scan
lstm = cell("lstm")
start = lstm.state(h=torch.zeros(2, 4), c=torch.zeros(2, 4))
problem = lstm, torch.ones(2, 5, 3), Weights(*lstm.init(3, 4, torch.Generator())), start
y, _ = scan(*problem)
assert y.shape == (2, 5, 4) and torch.equal(y, scan(*problem, backend="reference")[0])
try:
    scan(*problem, backend="native")
except BackendError as error:
    print(error)
sys.argv[1:] = ["info"]
main()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "'lstm': the extension is not built" in done.stdout, done.stderr
    assert "kernels: reference only, the extension is not built" in done.stdout, done.stderr
    forced = subprocess.run(
        [sys.executable, "-c", code], env={**environment, "REKUR_ISA": "avx2"}, capture_output=True, text=True
    )
    assert "REKUR_ISA=avx2 cannot be used: the extension is not built" in forced.stderr


def test_a_broken_extension_says_what_is_wrong(tmp_path):
    """Not that it is missing, which would send people to build what is there."""
    package = tmp_path / "rekur"
    shutil.copytree(Path(rekur.__file__).parent, package, ignore=shutil.ignore_patterns("_native*", "__pycache__"))
    (package / Path(_native.__file__).name).write_bytes(b"no library")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import rekur.kernels; print(rekur.kernels.describe())"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert "reference only, the extension cannot be loaded: " in done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_the_same():
    """The threads of the parent are gone in the child: the kernel runs on one, with the same bits."""
    case = problem("gru", 37, 60, 3, 70, torch.float32)
    want = outcome(native, *case, False)
    child = os.fork()
    if child == 0:
        kind, x, weights, state, _ = case
        with torch.no_grad():
            y, _ = native.scan(kind, x, weights, state, None, None, False)
        os._exit(0 if torch.equal(y, want[0]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
