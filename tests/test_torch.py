"""Exchange with torch.nn, both ways: the same parameters in the same order give the same numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import laws
from cases import CASES, DTYPES, Case, build
from formulas import FORMULAS
from laws import assert_near, assert_same_bits, module_of
from rekur.cells import CELLS, cell
from rekur.core import Weights
from rekur.kernels import scan

TWINS = [name for name in CELLS if name not in FORMULAS]
SOME = [case for case in CASES if case.layout == "plain" and case.B * case.T * case.H <= 4000]


def parameters_of(module: torch.nn.RNNBase, tail: str) -> Weights:
    """The parameters of one layer and direction, as they are: no row changes its place."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return Weights(*(getattr(module, f"{name}_{tail}") for name in names))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWINS)
def test_to_torch(name: str, dtype: str) -> None:
    """Parameters of rekur put into torch.nn: equal outputs, last states and gradients on every case."""
    for case in SOME:
        laws.check_torch(cell(name), replace(case, dtype=dtype), "reference")


@pytest.mark.parametrize("name", TWINS)
def test_from_torch(name: str) -> None:
    """A module with two layers in two directions, folded by four scans over its own parameters."""
    module = module_of(name, 3, 5, num_layers=2, bidirectional=True).double()
    problem = build(Case(4, 6, 3, 5, dtype="float64"), cell(name))
    y, finals = problem.x, []
    for layer in range(2):
        zero = problem.cell.zeros(4, 5, like=y)
        both = [
            scan(problem.cell, y, parameters_of(module, f"l{layer}{tail}"), zero, reverse=bool(tail))
            for tail in ("", "_reverse")
        ]
        y = torch.cat([out for out, _ in both], dim=-1)  # (B, T, 2·H)
        finals += [last for _, last in both]
    want, last = module(problem.x)
    last = last if isinstance(last, tuple) else (last,)
    states = {s: torch.stack([getattr(f, s) for f in finals]) for s in problem.cell.states}  # (L·D, B, H)
    wanted = dict(zip(problem.cell.states, last, strict=True))
    assert_near({"y": y, **states}, {"y": want, **wanted}, 12, "a module of two layers and two directions")


@pytest.mark.parametrize("name", TWINS)
def test_state_dict_round_trip(name: str) -> None:
    """rekur → torch.nn → rekur gives back the same bits under torch's names."""
    weights = cell(name).init(3, 5)
    module = module_of(name, 3, 5)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    module.load_state_dict(dict(zip(names, weights, strict=True)))
    assert_same_bits(parameters_of(module, "l0")._asdict(), weights._asdict(), "the round trip")


@pytest.mark.parametrize("name", TWINS)
def test_drawn_as_torch_draws(name: str) -> None:
    """From the same seed both draw the same; a generator of one's own leaves the common one alone."""
    torch.manual_seed(3)
    module = module_of(name, 4, 6)
    torch.manual_seed(3)
    ours = cell(name).init(4, 6)
    assert_same_bits(ours._asdict(), parameters_of(module, "l0")._asdict(), "the first parameters")
    before = torch.get_rng_state()
    again = cell(name).init(4, 6, generator=torch.Generator().manual_seed(3))
    assert_same_bits(again._asdict(), ours._asdict(), "a generator of one's own")
    assert torch.equal(torch.get_rng_state(), before)
