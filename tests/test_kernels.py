"""Every cell × instruction set × dtype: equal to the reference, and every law by itself; then `scan` and `step`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch

import laws
from cases import CASES, DTYPES, LAYOUTS, SMALL, Case, build, threads
from identities import IDENTITIES, check_identity
from rekur.cells import CELLS, cell
from rekur.core import BackendError, OptionError
from rekur.kernels import extension, native, reference, scan, step, unsupported_reason

LAWFUL = (
    Case(4, 5, 3, 17, lengths=(5, 0, 2, 4)),
    Case(7, 4, 2, 9, reverse=True, biases="W"),
    Case(2, 3, 1, 8, layout="sliced", biases=""),
    Case(1, 0, 2, 3),
)
"""A few problems on which each law is tried; the law `kernel` is tried on all of CASES."""

LARGE = tuple(case for case in CASES if case.B * case.T * case.H > 4000)
"""The problems worth dividing among threads."""


def targets() -> tuple[str, ...]:
    """The instruction sets this machine can run; one nameless one where the extension is not built."""
    try:
        from rekur import _native
    except ImportError:
        return ("native",)
    return tuple(_native.targets())


@pytest.fixture(params=targets())
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The native backend, held to one instruction set; skipped with the reason where it cannot run."""
    problem = build(SMALL[1], cell("rnn"))
    reason = unsupported_reason(problem.cell, problem.x, problem.weights)
    if reason is not None:
        pytest.skip(f"the native backend cannot run: {reason}")
    with extension.forced(request.param):
        yield "native"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_equals_the_reference(backend: str, name: str, case: Case, dtype: str) -> None:
    laws.check_kernel(cell(name), replace(case, dtype=dtype), backend)


@pytest.mark.parametrize("law", laws.LAWS)
@pytest.mark.parametrize("name", CELLS)
def test_law(backend: str, name: str, law: str) -> None:
    for case in LAWFUL:
        for dtype in DTYPES:
            laws.LAWS[law](cell(name), replace(case, dtype=dtype), backend)


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_gradient(backend: str, name: str, case: Case) -> None:
    laws.check_gradient(cell(name), case, backend)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CELLS)
def test_threads_on_large_cases(backend: str, name: str, dtype: str) -> None:
    for case in LARGE:
        laws.check_threads(cell(name), replace(case, dtype=dtype), backend)


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda f: f.__name__)
def test_identity(backend: str, identity: Any) -> None:
    check_identity(identity, backend)


def test_the_instruction_set_is_the_one_asked_for(backend: str, request: pytest.FixtureRequest) -> None:
    """The one forced by the fixture is active; an unknown one is refused with a list, and nothing changes."""
    asked = request.node.callspec.params["backend"]
    assert extension._native.active() == asked
    with pytest.raises(OptionError, match=f"'mmx' is not available here.*{asked}"), extension.forced("mmx"):
        pass
    assert extension._native.active() == asked


def test_calls_at_the_same_time(backend: str) -> None:
    """Calls from several Python threads do not see one another."""
    problems = [build(case, cell(name)) for case in LARGE for name in ("lstm", "gru")]
    run = laws.runner(backend)
    want = [laws.results(run, problem) for problem in problems]
    with threads(2), ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            for got, wanted in zip(pool.map(partial(laws.results, run), problems), want, strict=True):
                laws.assert_same_bits(got, wanted, "calls at the same time")


WRONG: dict[str, Callable[[laws.Problem], laws.Problem]] = {
    "W too wide": lambda p: p._replace(weights=p.weights._replace(W=torch.zeros(12, 4))),
    "W too short": lambda p: p._replace(weights=p.weights._replace(W=torch.zeros(11, 2))),
    "R too wide": lambda p: p._replace(weights=p.weights._replace(R=torch.zeros(12, 4))),
    "R too short": lambda p: p._replace(weights=p.weights._replace(R=torch.zeros(9, 3))),
    "bW too short": lambda p: p._replace(weights=p.weights._replace(bW=torch.zeros(11))),
    "bR too short": lambda p: p._replace(weights=p.weights._replace(bR=torch.zeros(11))),
    "state too wide": lambda p: p._replace(state=p.cell.state(h=torch.zeros(2, 4), c=torch.zeros(2, 4))),
    "state of more rows": lambda p: p._replace(state=p.cell.state(h=torch.zeros(3, 3), c=torch.zeros(3, 3))),
    "state of another dtype": lambda p: p._replace(state=p.cell.state(h=p.state.h.double(), c=p.state.c)),
    "weights of another dtype": lambda p: p._replace(weights=p.weights._replace(R=p.weights.R.double())),
    "a length for too many rows": lambda p: p._replace(lengths=torch.tensor([1, 2, 3])),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_shapes_are_refused(backend: str, wrong: str) -> None:
    """Nothing is ever read beside an argument: what does not fit is an error, not a number."""
    problem = WRONG[wrong](build(Case(2, 4, 2, 3), cell("lstm")))
    for asked in (backend, "auto", "reference"):
        with pytest.raises((ValueError, RuntimeError)):
            scan(*problem, backend=asked)


@pytest.mark.parametrize("length", [-1, 5, 2**40])
def test_lengths_beyond_time_are_refused(backend: str, length: int) -> None:
    problem = build(Case(2, 4, 2, 3), cell("gru"))
    with pytest.raises(ValueError, match="lengths must lie in 0"):
        scan(*problem._replace(lengths=torch.tensor([4, length])), backend=backend)


# scan and step


class Leak:
    """A cell rekur has never seen, after the protocol alone: h' = (1 - a) ⊙ h + a ⊙ x, a = σ(bW)."""

    name, gates, states = "leak", ("x",), ("h",)

    class State(NamedTuple):
        h: torch.Tensor

    def project(self, x: Any, weights: Any) -> Any:
        return torch.nn.functional.linear(x, weights.W) * weights.bW.sigmoid()

    def recur(self, h: Any, weights: Any) -> Any:
        return h * (1 - weights.bW.sigmoid())

    def point(self, wx: Any, rh: Any, s: Any) -> Any:
        return self.state(h=wx + rh)

    def gate(self, stacked: Any) -> Any:
        return stacked

    def state(self, **tensors: Any) -> Any:
        return self.State(**tensors)


def test_a_cell_of_ones_own_runs_on_the_reference() -> None:
    """`auto` takes it, equal to the formula; `native` refuses it with the reason that unsupported_reason gives."""
    x, weights, state, *rest = build(Case(2, 4, 3, 5, dtype="float64"), Leak())[1:]
    a, h = weights.bW.sigmoid(), [state.h]
    for t in range(4):
        h.append((1 - a) * h[-1] + a * (x[:, t] @ weights.W.T))
    y, last = scan(Leak(), x, weights, state, *rest)
    want = {"y": torch.stack(h[1:], dim=1), "h": h[-1]}
    laws.assert_near({"y": y, "h": last.h}, want, 4, "a cell of one's own")
    reason = unsupported_reason(Leak(), x, weights)
    assert reason
    for call in (scan, step):
        with pytest.raises(BackendError) as caught:
            call(Leak(), x if call is scan else x[:, 0], weights, state, backend="native")
        assert reason in str(caught.value)
        assert "leak" in str(caught.value)


def test_an_unknown_backend_is_refused() -> None:
    problem = build(SMALL[1], cell("gru"))
    with pytest.raises(OptionError, match="backend='cuda' is not known; choose one of 'auto', 'native'"):
        scan(*problem, backend="cuda")


@pytest.mark.parametrize("reason", [None, "no reason at all"])
def test_auto_asks_unsupported_reason(monkeypatch: pytest.MonkeyPatch, reason: str | None) -> None:
    """`auto` runs native exactly when nothing speaks against it; a name is never answered by another."""
    ran = []
    for room in (native, reference):
        monkeypatch.setattr(room, "scan", lambda *_, room=room: ran.append(room))
    monkeypatch.setattr(native, "unsupported_reason", lambda *_: reason)
    problem = build(SMALL[1], cell("lstm"))
    scan(*problem)
    scan(*problem, backend="reference")
    assert ran == [reference if reason else native, reference]
    if reason:
        with pytest.raises(BackendError, match=reason):
            scan(*problem, backend="native")
    else:
        scan(*problem, backend="native")
    assert ran[2:] == ([] if reason else [native])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cases_are_the_same_numbers_in_every_layout(layout: str) -> None:
    """A layout changes strides, never numbers (`expanded` repeats the first row of x)."""
    plain, other = (build(Case(3, 4, 2, 5, layout=name), cell("lstm")) for name in ("plain", layout))
    want = laws.leaves(plain)
    if layout == "expanded":
        want["x"] = want["x"][:1].repeat(3, 1, 1)
    laws.assert_same_bits(laws.leaves(other), want, layout)
    moved = {name for name, t in laws.leaves(other).items() if t.stride() != want[name].stride() or t.data_ptr() % 64}
    assert "x" in moved or layout == "plain"


@pytest.mark.parametrize(
    ("rows", "hidden_size", "runs"), [(1, 64, "native"), (1, 320, "reference"), (40, 320, "native")]
)
def test_a_step_of_few_rows_of_a_large_layer_runs_in_plain_torch(rows: int, hidden_size: int, runs: str) -> None:
    """Without gradients: training, more rows and more steps stay with the kernels."""
    lstm, x = cell("lstm"), torch.randn(rows, 1, 8, generator=torch.Generator().manual_seed(0))
    weights, state = lstm.init(8, hidden_size), lstm.zeros(rows, hidden_size, x)
    with torch.no_grad():
        scans = [scan(lstm, x, weights, state, backend=backend)[1] for backend in ("auto", runs)]
        steps = [step(lstm, x[:, 0], weights, state, backend=backend) for backend in ("auto", runs)]
    trained = [scan(lstm, x, weights, state, backend=backend)[1] for backend in ("auto", "native")]
    for got, want in (scans, steps, trained):
        laws.assert_same_bits(got._asdict(), want._asdict(), runs)
