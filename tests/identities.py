"""What a cell must be where its formula has a closed form: a running sum, a memory, a layer without memory.

Each function holds some gates open or shut, runs the cell and gives (what came out, what theory says).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cases import Case, Named, Problem, build, runner
from laws import assert_near
from rekur.cells import cell
from rekur.core import Weights

OPEN, SHUT = 100.0, -100.0  # sigmoid(±100) is 1 and, to rounding, 0


def _closed(name: str, backend: str, T: int = 9, **gates: float | None) -> tuple[Problem, Named]:
    """A cell with R = 0 and no bR, so that its gates see x alone, and its results.

    A gate given as a number does not see x either: it is held at sigmoid(number).
    """
    problem = _held(name, T, **gates)
    weights = problem.weights._replace(R=torch.zeros_like(problem.weights.R), bR=None)
    problem = problem._replace(weights=weights)
    return problem, runner(backend)(problem)


def _held(name: str, T: int = 9, **gates: float | None) -> Problem:
    """A cell of which some gates see neither x nor h: they are held at sigmoid(number)."""
    problem = build(Case(3, T, 2, 5, dtype="float64"), cell(name))
    H = problem.state[0].shape[-1]
    W, R, bW, bR = (w.clone() for w in problem.weights)
    for gate, value in gates.items():
        rows = slice(H * problem.cell.gates.index(gate), H * (problem.cell.gates.index(gate) + 1))
        W[rows], R[rows], bW[rows], bR[rows] = 0, 0, value, 0
    return problem._replace(weights=Weights(W, R, bW, bR))


def _candidate(problem: Problem, gate: str) -> Tensor:
    """tanh(W·x + bW) of one gate, (B, T, H)."""
    return getattr(problem.cell.gate(problem.cell.project(problem.x, problem.weights)), gate).tanh()


def lstm_adds_up(backend: str) -> tuple[Named, Named]:
    """LSTM with i = f = o = 1 and R = 0 adds up: c_t = c_0 + Σ_{k≤t} tanh(W_g·x_k + b_g), h_t = tanh(c_t)."""
    p, got = _closed("lstm", backend, i=OPEN, f=OPEN, o=OPEN)
    c = p.state.c[:, None] + _candidate(p, "g").cumsum(1)
    return got, {"y": c.tanh(), "last h": c[:, -1].tanh(), "last c": c[:, -1]}


def lstm_forgets(backend: str) -> tuple[Named, Named]:
    """LSTM with i = o = 1, f = 0 and R = 0 has no memory: c_t = g_t and h_t = tanh(g_t)."""
    p, got = _closed("lstm", backend, i=OPEN, f=SHUT, o=OPEN)
    c = _candidate(p, "g")
    return got, {"y": c.tanh(), "last h": c[:, -1].tanh(), "last c": c[:, -1]}


def lstm_keeps_its_cell(backend: str) -> tuple[Named, Named]:
    """LSTM with f = 1, i = 0 keeps c_0 for ever, and with o = 0 it shows nothing: h_t = 0."""
    p, got = _closed("lstm", backend, i=SHUT, f=OPEN, o=SHUT)
    return got, {"y": torch.zeros_like(got["y"]), "last h": torch.zeros_like(p.state.h), "last c": p.state.c}


def gru_keeps_its_state(backend: str) -> tuple[Named, Named]:
    """GRU with z = 1 keeps its state: h_t = h_0, whatever x is."""
    p, got = _closed("gru", backend, z=OPEN)
    return got, {"y": p.state.h[:, None].expand_as(got["y"]), "last h": p.state.h}


def gru_forgets(backend: str) -> tuple[Named, Named]:
    """GRU with z = 0 and R = 0 has no memory: h_t = tanh(W_n·x_t + b_n)."""
    p, got = _closed("gru", backend, z=SHUT)
    n = _candidate(p, "n")
    return got, {"y": n, "last h": n[:, -1]}


def gru_before_is_gru_without_reset(backend: str) -> tuple[Named, Named]:
    """Where r = 1 it does not matter whether h is reset before its product with R or after it."""
    p = _held("gru_before", r=OPEN)
    return runner(backend)(p), runner(backend)(p._replace(cell=cell("gru")))


def gru_before_forgets(backend: str) -> tuple[Named, Named]:
    """GRUBefore with r = z = 0 has no memory, yet both its biases, whatever R is: h_t = tanh(W_n·x_t + bW_n + bR_n)."""
    p = _held("gru_before", r=SHUT, z=SHUT)
    h = (p.cell.gate(p.cell.project(p.x, p.weights)).n + p.cell.gate(p.weights.bR).n).tanh()
    return runner(backend)(p), {"y": h, "last h": h[:, -1]}


def rnn_forgets(backend: str) -> tuple[Named, Named]:
    """Elman's cell with R = 0 is a layer without memory: h_t = tanh(W·x_t + bW)."""
    p, got = _closed("rnn", backend)
    h = _candidate(p, "a")
    return got, {"y": h, "last h": h[:, -1]}


def relu_rnn_adds_up(backend: str) -> tuple[Named, Named]:
    """The ReLU cell with W = R = identity and no bias sums inputs and state that are not negative:
    h_t = h_0 + Σ_{k≤t} x_k."""
    p = build(Case(3, 9, 5, 5, dtype="float64", biases=""), cell("rnn_relu"))
    one = torch.eye(5, dtype=torch.float64)
    p = p._replace(x=p.x.abs(), weights=Weights(one, one), state=p.cell.state(h=p.state.h.abs()))
    h = p.state.h[:, None] + p.x.cumsum(1)
    return runner(backend)(p), {"y": h, "last h": h[:, -1]}


IDENTITIES = (
    lstm_adds_up,
    lstm_forgets,
    lstm_keeps_its_cell,
    gru_keeps_its_state,
    gru_forgets,
    gru_before_is_gru_without_reset,
    gru_before_forgets,
    rnn_forgets,
    relu_rnn_adds_up,
)


def check_identity(identity: Callable[[str], tuple[Named, Named]], backend: str) -> None:
    """A cell with its gates held open or shut is the sum, the memory or the layer that theory says."""
    got, want = identity(backend)
    assert_near(got, want, 9, str(identity.__doc__))
