"""Problems nobody thought of: random sizes, lengths, resets, strides, types, losses, instruction sets and threads.

Every trial is drawn from one fixed seed and compares the native kernel with the reference within the bound of
`laws.assert_near` for numbers of size √(I/H) and T + 3 steps, as x·W, the loss and the sum over rows round too.
A failure shows the trial as an expression that runs again by itself:

    cd tests && python -c "from test_fuzz import *; Trial(...).check()"

`REKUR_FUZZ=100000` in the environment draws so many trials instead of a few hundred; the first ones stay the same.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import laws
from cases import DTYPES, LAYOUTS, Case, Named, Problem, build, gradients, leaves, probe, threads
from rekur.cells import CELLS, cell
from rekur.kernels import extension, scan

_native = pytest.importorskip("rekur._native", reason="the extension is not built")

TARGETS = _native.targets()
TRIALS = int(os.environ.get("REKUR_FUZZ", "400"))
EDGES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
COARSE = torch.finfo(torch.bfloat16).eps / torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Trial:
    """One random problem and how it is run; its representation is the code that makes it again."""

    cell: str
    case: Case
    half: bool  # x in bfloat16
    resets: bool
    recompute: bool
    through: str  # the outputs the loss looks at
    of: str | None  # the one leaf whose gradient is asked for, or all
    target: str
    threads: int
    seed: int

    def check(self) -> None:
        """Outputs and gradients of the native kernel are those of the reference."""
        kind, case = cell(self.cell), self.case
        problem, loss = build(case, kind, self.seed), losses(kind)[self.through]
        if self.half:
            problem = problem._replace(x=problem.x.bfloat16())
        generator = torch.Generator().manual_seed(self.seed)
        resets = torch.rand(case.T, case.B, generator=generator).T < 0.2 if self.resets else None

        def results(backend: str) -> Named:
            def run(p: Problem) -> Named:
                y, last = scan(*p, backend=backend, resets=resets, recompute=self.recompute and backend == "native")
                return {"y": y, **{f"last {name}": getattr(last, name) for name in kind.states}}

            grads = gradients(run, problem, loss, self.of)
            found = {**run(problem), **{f"gradient of {name}": g for name, g in grads.items()}}
            return {name: t.float() if self.half else t for name, t in found.items()}

        want = results("reference")
        with extension.forced(self.target), threads(self.threads):
            got = results("native")
        assert got.keys() == want.keys()
        for name, wanted in want.items():
            largest = wanted.abs().max().item() if wanted.numel() else 0.0
            size = max(1.0, largest, (case.I / case.H) ** 0.5) * (COARSE if self.half else 1.0)
            laws.assert_near({name: got[name]}, {name: wanted}, case.T + 3, repr(self), size)


def losses(kind: Any) -> dict[str, Callable[[Named], Tensor]]:
    """Those of the laws, and two whose gradient for y comes with other strides."""
    return {
        **laws.losses(kind),
        "y, time first": lambda out: probe({"y": out["y"].transpose(0, 1).contiguous()}),
        "y, feature first": lambda out: probe({"y": out["y"].transpose(1, 2).contiguous()}),
    }


def draw_case(draw: random.Random) -> Case:
    """Mostly small, often beside a vector width; one in sixteen is large enough for several threads."""
    if draw.randrange(16) == 0:
        B, T, I, H = draw.randint(20, 50), draw.randint(10, 25), draw.randint(1, 30), draw.randint(50, 110)  # noqa: E741
    else:
        B, T = draw.choice((0, *EDGES[:12], draw.randint(1, 40))), draw.choice((0, 1, 2, 3, draw.randint(1, 20)))
        I, H = (draw.choice((*EDGES, draw.randint(1, 70))) for _ in "IH")  # noqa: E741
    lengths = draw.choice((None, [0] * B, [T] * B, *[[draw.randint(0, T) for _ in range(B)] for _ in range(3)]))
    return Case(
        B,
        T,
        I,
        H,
        lengths=None if lengths is None else tuple(lengths),
        reverse=draw.random() < 0.5,
        layout=draw.choice(LAYOUTS),
        initial=draw.random() < 0.7,
        biases=draw.choice(("", "W", "R", "WR", "WR")),
        dtype=draw.choice(DTYPES),
    )


def trials(name: str, count: int) -> Iterator[Trial]:
    """The first trials of a cell; a larger count begins with those of a smaller one."""
    draw, kind = random.Random(name), cell(name)
    for seed in range(count):
        case = draw_case(draw)
        yield Trial(
            name,
            case,
            half=draw.random() < 0.4 and case.dtype == "float32",
            resets=draw.random() < 0.25,
            recompute=draw.random() < 0.15,
            through=draw.choice(tuple(losses(kind))),
            of=draw.choice((None, None, *leaves(build(case, kind)))),
            target=TARGETS[int(len(TARGETS) * draw.random())],  # one number drawn, however many targets there are
            threads=draw.choice((1, 1, 2, 3)),
            seed=seed,
        )


@pytest.mark.parametrize("name", CELLS)
def test_random_problems_equal_the_reference(name: str) -> None:
    for trial in trials(name, -(-TRIALS // len(CELLS))):
        trial.check()


def test_a_trial_can_be_run_again() -> None:
    """What a failure prints is the trial."""
    for trial in trials("lstm", 20):
        assert eval(repr(trial)) == trial
