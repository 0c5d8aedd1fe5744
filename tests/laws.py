"""The laws of a cell: functions check_<law>(cell, case, backend) that raise AssertionError.

A law says what must hold for every cell, problem and backend; it knows neither formulas nor kernels.
Two numbers may differ by rounding only:

    |got - want| ≤ c · (T + 1) · eps · max(1, |want|)        c = 4, eps of the dtype, maximum over the tensor

and where the law says "the same bits", not at all. What the bound was is said in the message of a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import cases
from cases import Case, Fold, Named, Problem, build, gradients, leaves, probe, results, runner
from formulas import FORMULAS
from rekur.kernels import step

C = 4  # the constant of the bound above


def assert_near(got: Named, want: Named, T: int, what: str, size: float = 1.0) -> None:
    """Equal up to the rounding of T + 1 steps over numbers of this size."""
    assert got.keys() == want.keys()
    for name, wanted in want.items():
        value = got[name]
        assert value.shape == wanted.shape, f"{what}: {name} has shape {tuple(value.shape)}, not {tuple(wanted.shape)}"
        assert value.dtype == wanted.dtype, f"{what}: {name} is {value.dtype}, not {wanted.dtype}"
        if not wanted.numel():
            continue
        assert wanted.isfinite().all(), f"{what}: {name} should be finite"
        eps, scale = torch.finfo(wanted.dtype).eps, max(size, wanted.abs().max().item())
        bound = C * (T + 1) * eps * scale
        off = (value - wanted).abs().nan_to_num(torch.inf)
        at = tuple(int(i) for i in torch.unravel_index(off.argmax(), off.shape))
        assert off[at] <= bound, (
            f"{what}: {name}{list(at)} is {value[at]:.9g}, not {wanted[at]:.9g}; off by {off[at]:.3g}, "
            f"allowed c·(T+1)·eps·scale = {C}·{T + 1}·{eps:.3g}·{scale:.3g} = {bound:.3g}"
        )


def assert_same_bits(got: Named, want: Named, what: str) -> None:
    """Equal to the last bit."""
    assert got.keys() == want.keys()
    for name, wanted in want.items():
        off = (got[name] != wanted).sum().item()
        assert off == 0, f"{what}: {off} of {wanted.numel()} numbers of {name} have other bits"


def check_split(cell: Any, case: Case, backend: str) -> None:
    """T steps equal k steps, then T - k steps from the returned state, for every k; so do their gradients."""
    problem, run = build(case, cell), runner(backend)
    lengths = torch.full((case.B,), case.T) if problem.lengths is None else problem.lengths

    def in_two(k: int) -> Fold:
        def fold(p: Problem) -> Named:
            early = p._replace(x=p.x[:, :k], lengths=lengths.clamp(max=k))
            late = p._replace(x=p.x[:, k:], lengths=(lengths - k).clamp(min=0))
            one, two = (late, early) if p.reverse else (early, late)
            first = run(one)
            second = run(two._replace(state=cell.state(**{s: first[f"last {s}"] for s in cell.states})))
            pair = (second, first) if p.reverse else (first, second)
            return {**second, "y": torch.cat([part["y"] for part in pair], dim=1)}

        return fold

    whole = run(problem)
    for k in range(case.T + 1):
        assert_near(in_two(k)(problem), whole, case.T, f"split at {k}")
    assert_near(
        gradients(in_two(case.T // 2), problem),
        gradients(run, problem),
        case.T,
        f"gradient, split at {case.T // 2}",
    )


def check_batch(cell: Any, case: Case, backend: str) -> None:
    """A row does not depend on its neighbours (same bits, even if they are NaN), their order or number."""
    if case.B == 0:
        case = replace(case, B=1)
    problem, run = build(case, cell), runner(backend)
    want = run(problem)

    def rows(index: Tensor) -> Problem:
        state = cell.state(**{k: v[index] for k, v in problem.state._asdict().items()})
        lengths = None if problem.lengths is None else problem.lengths[index]
        return problem._replace(x=problem.x[index], state=state, lengths=lengths)

    def gradient_of_row(p: Problem, row: int) -> Named:
        grads = gradients(run, p, lambda out: probe({k: v[row] for k, v in out.items()}))
        return {name: grads[name][row] for name in ("x", *(f"{s}0" for s in cell.states))}

    for row in {0, case.B // 2, case.B - 1}:
        others = torch.arange(case.B) != row
        x, state = problem.x.clone(), cell.state(**{k: v.clone() for k, v in problem.state._asdict().items()})
        for tensor in (x, *state):
            tensor[others] = torch.nan
        beside = problem._replace(x=x, state=state)
        kept, wanted = ({k: v[row] for k, v in out.items()} for out in (run(beside), want))
        assert_same_bits(kept, wanted, f"row {row} beside rows of NaN")
        kept_gradient, gradient = (gradient_of_row(p, row) for p in (beside, problem))
        assert_same_bits(kept_gradient, gradient, f"gradient of row {row} beside rows of NaN")
        alone = {k: v[0] for k, v in run(rows(torch.tensor([row]))).items()}
        assert_near(alone, wanted, case.T, f"row {row} alone")
    order = torch.arange(case.B).flip(0)
    assert_near(run(rows(order)), {k: v[order] for k, v in want.items()}, case.T, "rows in the opposite order")


def check_padding(cell: Any, case: Case, backend: str) -> None:
    """What stands beyond a length is never read: NaN there changes no bit and gets exactly zero gradient.

    Also y is exactly 0 there, a row of length 0 returns its initial state to the bit, and lengths that are
    all T equal no lengths.
    """
    if case.lengths is None:
        full = replace(case, lengths=(case.T,) * case.B)
        run = runner(backend)
        assert_near(
            results(run, build(full, cell)),
            results(run, build(case, cell)),
            case.T,
            "all rows at full length",
        )
        case = replace(case, lengths=tuple(row % (case.T + 1) for row in range(case.B)))
    problem, run, inside = build(case, cell), runner(backend), case.inside()
    clean = problem._replace(x=problem.x.masked_fill(~inside[..., None], 0))
    want = results(run, clean)
    for filling in (torch.nan, torch.inf):
        x = problem.x.clone()
        x[~inside] = filling
        assert_same_bits(results(run, problem._replace(x=x)), want, f"{filling} beyond the lengths")
    assert (want["gradient of x"][~inside] == 0).all(), "x beyond the lengths has a gradient"
    assert (want["y"][~inside] == 0).all(), "y beyond the lengths is not zero"
    empty = ~inside.any(dim=1)
    for name, state in zip(cell.states, problem.state, strict=True):
        assert torch.equal(want[f"last {name}"][empty], state[empty]), f"{name} of a row of length 0 has changed"


def check_reverse(cell: Any, case: Case, backend: str) -> None:
    """The backward direction equals the forward one on rows reversed within their length, gradients too."""
    problem, run, inside = build(case, cell), runner(backend), case.inside()
    t = torch.arange(case.T)
    index = torch.where(inside, inside.sum(dim=1, keepdim=True) - 1 - t, t)  # (B, T), its own inverse

    def flip(tensor: Tensor) -> Tensor:
        return tensor.gather(1, index[..., None].expand(-1, -1, tensor.shape[-1]))

    def flipped(p: Problem) -> Named:
        out = run(p._replace(x=flip(p.x), reverse=not p.reverse))
        return {**out, "y": flip(out["y"])}

    assert_near(results(flipped, problem), results(run, problem), case.T, "reversed rows")


def check_gradient(cell: Any, case: Case, backend: str) -> None:
    """The gradient is the derivative, by finite differences in double.

    It is so for x, weights, biases and initial states, through y and through every last state; and a gradient
    asked for alone is the same as among all.
    """
    # numbers that share one place in memory cannot be moved apart
    layout = "plain" if case.layout == "expanded" else case.layout
    problem, run = build(replace(case, dtype="float64", layout=layout), cell), runner(backend)
    names = list(leaves(problem))
    if case.B * case.T:  # else nothing depends on the weights
        tensors = [t.detach().requires_grad_() for t in leaves(problem).values()]

        def outputs(*args: Tensor) -> tuple[Tensor, ...]:
            return tuple(run(cases.with_leaves(problem, dict(zip(names, args, strict=True)))).values())

        # gradcheck is silent about an output without a gradient
        assert all(out.requires_grad for out in outputs(*tensors)), "an output is cut off from the leaves"
        torch.autograd.gradcheck(outputs, tensors)
    together = gradients(run, problem)
    for name in names:
        alone = gradients(run, problem, of=name)
        assert_near(alone, {name: together[name]}, case.T, "gradient asked alone")


def check_kernel(cell: Any, case: Case, backend: str) -> None:
    """The backend equals the reference: all outputs, and all gradients whichever output the loss looks at."""
    problem, run = build(case, cell), runner(backend)
    want, gradients_wanted = by_reference(type(cell), case)
    assert_near(run(problem), want, case.T, backend)
    for through, loss in losses(cell).items():
        got = gradients(run, problem, loss)
        assert_near(got, gradients_wanted[through], case.T, f"{backend}, gradient through {through}")


def losses(cell: Any) -> dict[str, Callable[[Named], Tensor]]:
    """Losses that look at all outputs or at some of them, so that the other gradients are not even given."""
    return {
        "everything": probe,
        "y": lambda out: probe({"y": out["y"]}),
        "sum of y": lambda out: out["y"].sum(),  # its gradient comes with stride 0
        "last y": lambda out: out["y"][:, -1:].square().sum(),
        **{f"last {s}": lambda out, s=s: probe({s: out[f"last {s}"]}) for s in cell.states},
    }


@cache
def by_reference(kind: type, case: Case) -> tuple[Named, dict[str, Named]]:
    """Outputs, and gradients by loss, of the reference; computed once for all instruction sets."""
    cell, run = kind(), runner("reference")
    problem = build(case, cell)
    return run(problem), {name: gradients(run, problem, loss) for name, loss in losses(cell).items()}


def check_extremes(cell: Any, case: Case, backend: str) -> None:
    """Gates far in saturation equal the reference, gradients too; NaN and infinity go where they go there."""
    case = replace(case, B=max(case.B, 1), T=max(case.T, 1))
    problem, run, reference = build(case, cell), runner(backend), runner("reference")
    for size in (1e2, 1e4):
        large = problem._replace(x=size * problem.x)
        what = f"x times {size:g}"  # it enlarges the rounding of a gate, and a gradient once more
        assert_near(run(large), reference(large), case.T, what, size)
        assert_near(gradients(run, large), gradients(reference, large), case.T, what, size**2)
    for odd in (torch.nan, torch.inf, -torch.inf):
        x = problem.x.clone()
        x[0, case.T // 2, 0] = odd
        got, want = (fold(problem._replace(x=x)) for fold in (run, reference))
        for name, wanted in want.items():
            assert torch.equal(got[name].isnan(), wanted.isnan()), f"{odd} in x: {name} is NaN elsewhere"
        finite = [{k: v.nan_to_num(0, 1e3, -1e3) for k, v in out.items()} for out in (got, want)]
        assert_near(*finite, case.T, f"{odd} in x", 1e2)


def check_torch(cell: Any, case: Case, backend: str) -> None:
    """Equal to torch.nn with the same weights, or to the formula of a cell it lacks: y, last states and gradients.

    Rows of unequal length are compared with a packed sequence, the reverse direction with the second half of
    a bidirectional module. torch.nn refuses rows without steps: those get one.
    """
    case = replace(case, B=max(1, case.B), T=max(1, case.T), layout="plain")
    if case.lengths is not None:
        case = replace(case, lengths=tuple(max(1, n) for n in (*case.lengths, 1)[: case.B]))
    problem, run = build(case, cell), runner(backend)
    assert_near(results(run, problem), results(FORMULAS.get(cell.name, in_torch), problem), case.T, "torch.nn")


def module_of(name: str, I: int, H: int, **options: Any) -> torch.nn.RNNBase:  # noqa: E741
    """The module of torch.nn that is this cell."""
    if name == "rnn_relu":
        name, options = "rnn", {**options, "nonlinearity": "relu"}
    return getattr(torch.nn, name.upper())(I, H, batch_first=True, **options)


def in_torch(problem: Problem) -> Named:
    """The same fold by torch.nn.RNN, LSTM or GRU, differentiable for every leaf."""
    (T, I), H, D = problem.x.shape[1:], problem.state[0].shape[-1], 1 + problem.reverse  # noqa: E741
    module = module_of(problem.cell.name, I, H, bidirectional=problem.reverse).to(problem.x.dtype)
    W, R, bW, bR = problem.weights
    none = W.new_zeros(W.shape[0])
    own = (W, R, none if bW is None else bW, none if bR is None else bR)
    tail = "_l0_reverse" if problem.reverse else "_l0"
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parameters = {name + tail: value for name, value in zip(names, own, strict=True)}
    start = tuple(torch.stack([torch.zeros_like(s)] * (D - 1) + [s]) for s in problem.state)  # (D, B, H)
    x: Any = problem.x
    if problem.lengths is not None:
        x = pack_padded_sequence(x, problem.lengths, batch_first=True, enforce_sorted=False)
    y, last = torch.func.functional_call(module, parameters, (x, start if len(start) > 1 else start[0]))
    if problem.lengths is not None:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=T)
    last = last if len(start) > 1 else (last,)
    return {"y": y[..., -H:], **{f"last {s}": h[-1] for s, h in zip(problem.cell.states, last, strict=True)}}


def check_threads(cell: Any, case: Case, backend: str) -> None:
    """1 and 2 threads give the same bits, forward and gradients."""
    problem, run = build(case, cell), runner(backend)
    with cases.threads(1):
        want = results(run, problem)
    with cases.threads(2):
        assert_same_bits(results(run, problem), want, "2 threads instead of 1")


def check_step(cell: Any, case: Case, backend: str) -> None:
    """T calls of `step` equal one `scan`: streaming gives what training saw."""
    problem = build(replace(case, lengths=None), cell)
    order = range(case.T - 1, -1, -1) if case.reverse else range(case.T)
    want, state, got = runner(backend)(problem), problem.state, {}
    with torch.no_grad():
        for t in order:
            state = step(cell, problem.x[:, t], problem.weights, state, backend=backend)
            got[t] = state[0].clone()
    y = torch.stack([got[t] for t in range(case.T)], dim=1) if got else want["y"]
    last = {f"last {name}": getattr(state, name) for name in cell.states}
    assert_near({"y": y, **last}, want, case.T, "steps")


def check_purity(cell: Any, case: Case, backend: str) -> None:
    """A call depends on its arguments alone and changes none of them.

    It gives the same numbers whether or not a gradient is wanted, the same bits when its gradient is asked
    for twice, and does not see that another problem was run between its forward and its backward pass. It
    leaves the arithmetic of torch as it was.
    """
    problem, other, run = build(case, cell), build(case, cell, seed=7), runner(backend)
    before = {name: t.clone() for name, t in leaves(problem).items()}
    tiny = torch.full((50_000,), torch.finfo(torch.float64).tiny / 8, dtype=torch.float64)
    doubled = 2 * tiny
    want = results(run, problem)
    assert_same_bits(leaves(problem), before, "the arguments after a call")
    with torch.inference_mode():
        plain = run(problem)
    assert_near(plain, {name: want[name] for name in plain}, case.T, "inference mode")
    tensors = {name: t.detach().requires_grad_() for name, t in leaves(problem).items()}
    first = run(cases.with_leaves(problem, tensors))
    gradients(run, other)  # opens and closes a second problem while the first one waits for its backward pass
    loss, given = probe(first), list(tensors.values())
    for time in ("first", "second"):
        if not loss.requires_grad:
            break
        found = torch.autograd.grad(loss, given, retain_graph=True, allow_unused=True, materialize_grads=True)
        grads = {f"gradient of {name}": g for name, g in zip(tensors, found, strict=True)}
        wanted = {name: want[name] for name in grads}
        assert_same_bits(grads, wanted, f"the {time} backward pass of two open problems")
    after = {name: t.detach() for name, t in tensors.items()}
    assert_same_bits(after, before, "the arguments after a backward pass")
    assert torch.equal(2 * tiny, doubled), "the processor now rounds the smallest numbers to zero"


LAWS: dict[str, Callable[[Any, Case, str], None]] = {
    "split": check_split,
    "batch": check_batch,
    "padding": check_padding,
    "reverse": check_reverse,
    "extremes": check_extremes,
    "torch": check_torch,
    "threads": check_threads,
    "step": check_step,
    "purity": check_purity,
}
"""The laws that take any case; `gradient` needs a small one."""
