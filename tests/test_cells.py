"""Every cell × every law, on the reference; and every law against a kernel that breaks it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.gradcheck import GradcheckError

import laws
from cases import DTYPES, LAYOUTS, SMALL, Case
from identities import IDENTITIES, check_identity
from rekur.cells import CELLS, DenseCell, HiddenState, cell
from rekur.cells.gru import LateGRUGates
from rekur.kernels import native, reference


@st.composite
def small_cases(draw: st.DrawFn) -> Case:
    """Any problem up to 4 rows of 6 steps."""
    B, T, I, H = (draw(st.integers(low, high)) for low, high in ((1, 4), (0, 6), (1, 4), (1, 5)))  # noqa: E741
    lengths = draw(st.none() | st.tuples(*[st.integers(0, T)] * B))
    choose = [draw(st.sampled_from(options)) for options in (LAYOUTS, ("WR", "W", "R", ""), DTYPES)]
    return Case(B, T, I, H, lengths, draw(st.booleans()), choose[0], draw(st.booleans()), choose[1], choose[2])


@pytest.mark.parametrize("law", laws.LAWS)
@pytest.mark.parametrize("name", CELLS)
@given(case=small_cases())
def test_law(name: str, law: str, case: Case) -> None:
    laws.LAWS[law](cell(name), case, "reference")


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=5)
@given(case=small_cases())
def test_gradient(name: str, case: Case) -> None:
    small = replace(case, B=min(case.B, 2), T=min(case.T, 3), H=min(case.H, 3))
    lengths = case.lengths and tuple(min(n, small.T) for n in case.lengths[: small.B])
    laws.check_gradient(cell(name), replace(small, lengths=lengths), "reference")


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_gradient_of_the_listed_cases(name: str, case: Case) -> None:
    laws.check_gradient(cell(name), case, "reference")


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda f: f.__name__)
def test_identity(identity: Any) -> None:
    check_identity(identity, "reference")


def test_late_gates_are_the_last() -> None:
    with pytest.raises(TypeError, match="Odd: the late gates must be the last ones"):
        type("Odd", (DenseCell,), {"name": "odd", "Gates": LateGRUGates, "State": HiddenState, "late": ("r",)})


# A law that nothing can break proves nothing: each broken kernel below must be caught by the law it breaks.


def _spoil(x: Any, weights: Any, state: Any, lengths: Any, resets: Any, reverse: bool, how: str) -> tuple[Any, ...]:
    """The arguments of a scan, changed as a wrong kernel would see them."""
    changed = {
        "cut x": x.detach(),
        "read neighbours": x + 1e-3 * x.sum(0),
        "scale by threads": x * (1 + torch.finfo(x.dtype).eps * torch.get_num_threads()),
        "hide NaN": x.nan_to_num(),
    }.get(how, x)
    state = type(state)(*(0 * s if how == "forget state" else s for s in state))
    lengths = None if how == "ignore lengths" else lengths
    weights = weights._replace(R=weights.R.flip(0)) if how == "swap gates" else weights
    return changed, weights, state, lengths, resets, reverse and how != "ignore direction"


def _broken_scan(how: str, right: Any, cell: Any, *arguments: Any) -> Any:
    y, last = right(cell, *_spoil(*arguments, how=how))
    if how == "cut state":
        last = type(last)(*(s.detach() for s in last))
    if how == "write x":
        arguments[0].detach().add_(1)
    return (y * (1 + 1e-3) if how == "round badly" else y), last


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("forget state", "split"),
        ("read neighbours", "batch"),
        ("ignore lengths", "padding"),
        ("ignore direction", "reverse"),
        ("swap gates", "torch"),
        ("scale by threads", "threads"),
        ("round badly", "step"),
        ("write x", "purity"),
        ("cut x", "gradient"),
        ("cut state", "gradient"),
        ("round badly", "kernel"),
        ("cut x", "kernel"),
        ("cut state", "kernel"),
        ("hide NaN", "extremes"),
    ],
)
@pytest.mark.parametrize("name", CELLS)
def test_law_catches(monkeypatch: pytest.MonkeyPatch, name: str, how: str, law: str) -> None:
    room, backend = (native, "native") if law in ("kernel", "extremes") else (reference, "reference")
    monkeypatch.setattr(native, "unsupported_reason", lambda *_: None)
    monkeypatch.setattr(room, "scan", partial(_broken_scan, how, reference.scan))
    case = Case(4, 5, 2, 3, lengths=(5, 2, 4, 3), reverse=True)
    with pytest.raises((AssertionError, GradcheckError)):
        getattr(laws, f"check_{law}")(cell(name), case, backend)


def test_a_failure_tells_its_bound() -> None:
    one = torch.ones(2, 3)
    with pytest.raises(AssertionError, match=r"y\[0, 0\] is 1.5, not 1; off by 0.5, allowed c·\(T\+1\)·eps"):
        laws.assert_near({"y": 1.5 * one}, {"y": one}, 4, "a law")
    with pytest.raises(AssertionError, match="off by inf"):
        laws.assert_near({"y": torch.nan * one}, {"y": one}, 4, "a law")
