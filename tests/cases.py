"""The problems on which kernels are compared, their gradients checked, their time taken: one list for all.

    for case in CASES:
        problem = build(case, cell("lstm"))
        y, state = scan(*problem)

Numbers are drawn in double from a fixed seed and then rounded to the type of the case, so that a case in
float and the same case in double are the same problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import Weights

LAYOUTS = ("plain", "time_first", "feature_first", "sliced", "unaligned", "expanded")
DTYPES = ("float32", "float64")

Named = dict[str, "Tensor"]
Fold = Callable[["Problem"], Named]


@dataclass(frozen=True)
class Case:
    """The shape of a problem; it holds no numbers and needs no torch."""

    B: int
    T: int
    I: int  # noqa: E741
    H: int
    lengths: tuple[int, ...] | None = None
    reverse: bool = False
    layout: str = "plain"  # strides of x, of the weights and of the state
    initial: bool = True  # False: the state before the first step is zero
    biases: str = "WR"  # which of bW and bR there are
    dtype: str = "float32"

    def __str__(self) -> str:
        parts = [f"B{self.B}-T{self.T}-I{self.I}-H{self.H}"]
        if self.lengths is not None:
            shown = map(str, self.lengths)
            parts.append("len" + (".".join(shown) if self.B <= 5 else f"{min(self.lengths)}to{max(self.lengths)}"))
        parts += ["reverse"] * self.reverse + [self.layout] * (self.layout != "plain")
        parts += ["zero"] * (not self.initial) + [f"bias{self.biases or 'less'}"] * (self.biases != "WR")
        return "-".join([*parts, self.dtype.replace("float", "f")])

    def inside(self) -> Tensor:
        """(B, T), true where a step lies within the length of its row."""
        import torch

        lengths = torch.tensor((self.T,) * self.B if self.lengths is None else self.lengths)
        return torch.arange(self.T) < lengths[:, None]


class Problem(NamedTuple):
    """A case with its numbers, in the order of the arguments of `rekur.kernels.scan`."""

    cell: Any
    x: Tensor  # (B, T, I)
    weights: Weights
    state: Any  # S × (B, H)
    lengths: Tensor | None  # (B,)
    reverse: bool


def build(case: Case, cell: Any, seed: int = 0) -> Problem:
    """Draw the numbers: x and the state from N(0, 1), the parameters from U(-1/√H, 1/√H)."""
    import torch

    from rekur.core import Weights

    generator = torch.Generator().manual_seed(seed)
    rows, bound = len(cell.gates) * case.H, case.H**-0.5

    def place(tensor: Tensor) -> Tensor:
        return lay_out(tensor.to(getattr(torch, case.dtype)), case.layout)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def uniform(*shape: int) -> Tensor:
        return bound * (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1)

    x = place(normal(case.B, case.T, case.I))
    W, R, bW, bR = (place(uniform(rows, *rest)) for rest in ((case.I,), (case.H,), (), ()))
    weights = Weights(W, R, bW if "W" in case.biases else None, bR if "R" in case.biases else None)
    state = cell.state(**{name: place(case.initial * normal(case.B, case.H)) for name in cell.states})
    lengths = None if case.lengths is None else torch.tensor(case.lengths, dtype=torch.int64)
    return Problem(cell, x, weights, state, lengths, case.reverse)


def lay_out(tensor: Tensor, layout: str) -> Tensor:
    """The same numbers with other strides; what lies between them in memory is NaN."""
    if layout == "time_first" and tensor.ndim > 1:  # what torch.nn hands over by default
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)
    if layout == "feature_first" and tensor.ndim > 1:  # what a convolution hands over
        return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
    if layout == "sliced":  # every second column of something wider
        wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1] + 1), float("nan"))
        wide[..., 1::2] = tensor
        return wide[..., 1::2]
    if layout == "unaligned":  # dense, but one element off the start of a block of memory
        return tensor.new_full((tensor.numel() + 1,), float("nan"))[1:].view(tensor.shape).copy_(tensor)
    if layout == "expanded" and tensor.ndim == 3:  # one row of x, seen B times
        return tensor[:1].expand_as(tensor)
    return tensor


_EDGES = (7, 8, 9, 15, 16, 17)  # vector widths and their neighbours
_RAGGED = (5, 3, 1, 0, 4)
_SCATTERED = tuple(17 * row % 41 for row in range(33))  # 0 … 40, in no order

SMALL = (
    Case(1, 1, 1, 1),
    Case(2, 3, 2, 3),
    Case(2, 3, 2, 3, lengths=(3, 1), reverse=True),
    Case(3, 4, 2, 2, lengths=(2, 0, 4), layout="sliced"),
    Case(2, 4, 2, 3, layout="time_first", initial=False, biases="R"),
    Case(2, 3, 1, 9, reverse=True, biases=""),
    Case(2, 0, 3, 2),
)
"""The cases small enough for a gradient by finite differences."""

CASES = (
    *SMALL,
    *(Case(3, 4, 2, H) for H in (*_EDGES, 31, 32, 33)),
    *(Case(B, 3, 2, 5) for B in _EDGES),
    *(Case(2, 3, width, 5) for width in _EDGES),
    # primes
    Case(5, 7, 3, 11),
    Case(13, 2, 17, 19, reverse=True),
    Case(2, 37, 1, 23, initial=False),
    # lengths: ragged, all zero, all full; empty time, empty batch
    Case(5, 5, 2, 9, lengths=_RAGGED),
    Case(5, 5, 2, 9, lengths=_RAGGED, reverse=True),
    Case(5, 5, 3, 16, lengths=_RAGGED, reverse=True, initial=False),
    Case(3, 4, 2, 5, lengths=(0, 0, 0)),
    Case(3, 4, 2, 5, lengths=(4, 4, 4)),
    Case(1, 6, 2, 5, lengths=(4,), reverse=True),
    Case(2, 0, 3, 4),
    Case(2, 0, 3, 4, lengths=(0, 0), reverse=True),
    Case(0, 4, 2, 3),
    # strides and absent biases
    *(Case(3, 5, 4, 17, lengths=(5, 2, 4), layout=layout) for layout in LAYOUTS),
    *(Case(3, 4, 2, 9, biases=biases, initial=False) for biases in ("", "W", "R")),
    # large enough to be divided among threads and into chunks of time
    Case(33, 40, 5, 40, lengths=_SCATTERED),
    Case(33, 40, 5, 40, lengths=_SCATTERED, reverse=True),
    Case(64, 24, 8, 64),
    Case(1, 40, 8, 128),
    # long
    Case(2, 150, 1, 8, reverse=True),
)
"""Every case in float; `dataclasses.replace(case, dtype="float64")` gives it in double."""


def leaves(problem: Problem) -> Named:
    """All tensors a gradient may be asked for, by name."""
    state = {f"{name}0": s for name, s in zip(problem.cell.states, problem.state, strict=True)}
    weights = {k: w for k, w in problem.weights._asdict().items() if w is not None}
    return {"x": problem.x, **weights, **state}


def with_leaves(problem: Problem, tensors: Named) -> Problem:
    """The same problem with other tensors."""
    weights = type(problem.weights)(*(tensors.get(name) for name in problem.weights._fields))  # type: ignore[arg-type]
    state = problem.cell.state(**{name: tensors[f"{name}0"] for name in problem.cell.states})
    return problem._replace(x=tensors["x"], weights=weights, state=state)


def runner(backend: str) -> Fold:
    """`scan`, with its results by name: y (B, T, H) and each last state (B, H)."""

    from rekur.kernels import scan

    def run(problem: Problem) -> Named:
        y, last = scan(*problem, backend=backend)
        return {"y": y, **{f"last {name}": getattr(last, name) for name in problem.cell.states}}

    return run


def probe(outputs: Named) -> Tensor:
    """A number that depends on every output, on each with its own random weight."""
    import torch

    generator = torch.Generator().manual_seed(1)
    terms = [
        (torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out.dtype) * out).sum()
        for out in outputs.values()
    ]
    return torch.stack(terms).sum()


def gradients(run: Fold, problem: Problem, loss: Callable[[Named], Tensor] = probe, of: str | None = None) -> Named:
    """The gradient of `loss` for every leaf, or for the one called `of`; zero where nothing depends on it."""
    import torch

    tensors = {name: t.detach() for name, t in leaves(problem).items()}
    asked = {name: t.requires_grad_() for name, t in tensors.items() if of in (None, name)}
    value = loss(run(with_leaves(problem, tensors)))
    if not value.requires_grad:
        return {name: torch.zeros_like(t) for name, t in asked.items()}
    found = torch.autograd.grad(value, list(asked.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(asked, found, strict=True))


def results(run: Fold, problem: Problem) -> Named:
    """All outputs and all gradients."""
    grads = {f"gradient of {name}": g for name, g in gradients(run, problem).items()}
    return {**{name: out.detach() for name, out in run(problem).items()}, **grads}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many threads, then as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_SHAPES = (
    (32, 100, 1, 64),
    (32, 100, 32, 128),
    (64, 336, 8, 128),
    (128, 100, 64, 256),
    (32, 1000, 1, 64),
    (1, 1000, 8, 64),
    (256, 48, 1, 32),
)


def _uniform(B: int, T: int) -> tuple[int, ...]:
    """B lengths evenly from 1 to T, in no order."""
    return tuple(1 + round((37 * row % B) * (T - 1) / (B - 1)) for row in range(B))


TIMED = tuple(Case(*shape, layout="time_first", initial=False) for shape in _SHAPES)
"""What benchmarks/layers.py compares and times, as torch.nn's modules are given it by default."""

UNEQUAL = tuple(
    Case(B, *rest, lengths=_uniform(B, rest[0]), layout="time_first", initial=False) for B, *rest in _SHAPES if B > 1
)
"""The same with rows of unequal length."""
