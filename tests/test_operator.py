"""The scan as an operator: in compiled and exported graphs, under torch.func, autocast and hooks, across processes."""

from __future__ import annotations

import copy
import io
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap
from torch.utils.data import DataLoader, Dataset

from cases import Case, Named, build, lay_out, leaves, probe, runner, threads, with_leaves
from laws import assert_near, assert_same_bits
from rekur.cells import CELLS, cell
from rekur.core import BackendError, DataError
from rekur.kernels import extension, scan, step, unsupported_reason
from rekur.layers.stack import Stack

_native = pytest.importorskip("rekur._native", reason="the extension is not built")

EVERY = pytest.mark.parametrize("name", CELLS)
SCRIPT = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch itself uses it
CASE = Case(3, 4, 2, 5, lengths=(4, 0, 3), reverse=True, dtype="float64")
run, by_reference = runner("native"), runner("reference")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """No graph compiled by one test is met by another."""
    torch._dynamo.reset()


def compiled(function: Callable, **options: Any) -> Callable:
    """The function as one graph, run by torch's own operators."""
    return torch.compile(function, fullgraph=True, **{"backend": "aot_eager", **options})  # type: ignore[no-any-return]


def operands(name: str, case: Case = CASE, asks: bool = False) -> tuple[Any, ...]:
    """The arguments of `rekur::scan`."""
    _, x, weights, state, lengths, reverse = build(case, cell(name))
    tensors = [None if t is None else t.requires_grad_(asks) for t in (x, *weights, *state)]
    return (name, *tensors[:5], tensors[5:], lengths, None, reverse)


def outcome(model: Stack, x: Tensor, lengths: Tensor | None = None) -> Named:
    """All outputs of a stack by name."""
    y, states = model(x, None, lengths)
    return {"y": y, **{f"last {k}": s for k, s in enumerate(s for state in states for s in state)}}


# The operators themselves


@pytest.mark.parametrize(("name", "dtype"), [("lstm", "float32"), ("gru", "float64"), ("rnn", "float32")])
def test_opcheck(name: str, dtype: str) -> None:
    for case in (replace(CASE, dtype=dtype), Case(2, 3, 1, 4, layout="time_first", biases="R", dtype=dtype)):
        for asks in (False, True):
            torch.library.opcheck(torch.ops.rekur.scan.default, operands(name, case, asks))
        given = operands(name, case)
        # but for comparing outputs: bytes of the tape that nobody reads are not written
        tests = ("test_schema", "test_autograd_registration", "test_faketensor")
        torch.library.opcheck(torch.ops.rekur.scan_tape.default, given, test_utils=tests)
        *outputs, tape = torch.ops.rekur.scan_tape(*given)
        ends = [torch.randn_like(out) for out in outputs]
        states = len(ends) - 1
        for some, wanted in (
            (ends, [True] * (5 + states)),
            ([None, *ends[1:]], [False, True] * 2 + [True] * (1 + states)),
        ):
            wanted = [*wanted[:3], wanted[3] and given[4] is not None, *wanted[4:]]
            arguments = (name, *given[1:4], tape, None, some, wanted)
            torch.library.opcheck(torch.ops.rekur.scan_backward.default, arguments)


@EVERY
def test_a_tape_is_the_same_size_on_every_target_and_knows_its_own(name: str) -> None:
    """A graph compiled with one instruction set runs with another, also if it changes before the backward pass."""
    for case in (CASE, Case(2, 3, 2, 33), Case(4, 1, 1, 8)):
        given = operands(name, case, asks=True)
        sizes, x = {}, given[1]
        for target in _native.targets():
            with extension.forced(target):
                told = extension.tape_bytes(name, x, given[3], None)
                sizes[target] = torch.ops.rekur.scan_tape(*given)[-1].shape, told
                y = torch.ops.rekur.scan(*given)[0]
                (want,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
            for other in _native.targets():
                with extension.forced(other):
                    (got,) = torch.autograd.grad(y.sum(), x, retain_graph=True)
                assert torch.equal(got, want), f"{name}: forward on {target}, backward on {other}"
        assert len(set(sizes.values())) == 1, f"{name}: {sizes}"
        (shape, told), *_ = sizes.values()
        assert shape == (told,)


def test_misuse_of_the_operators_is_refused() -> None:
    """An operator called by its name makes the same checks."""
    name, x, W, R, *rest = operands("lstm")
    scan_op = torch.ops.rekur.scan
    with pytest.raises(DataError, match=r"W has shape \(3, 2\)"):
        scan_op(name, x, W[:3], R, *rest)
    with pytest.raises(BackendError, match="supports only the cells"):
        scan_op("mamba", x, W, R, *rest)
    with pytest.raises(BackendError, match="float16"):
        scan_op(name, x.half(), W, R, *rest)
    with pytest.raises(DataError, match="tape"):
        torch.ops.rekur.scan_backward(
            name, x, W, R, torch.zeros(8, dtype=torch.uint8), None, [x, None, None], [True] * 7
        )


def test_a_tape_that_is_not_of_a_forward_pass_is_refused() -> None:
    """Its size is right, but not its content: no gradient, and no address beyond the arrays."""
    name, x, W, R, *rest = operands("lstm")
    y, _, _, tape = torch.ops.rekur.scan_tape(name, x, W, R, *rest)
    resets = rest[-2]

    def gradients(tape: torch.Tensor) -> list[torch.Tensor]:
        grads: list[torch.Tensor] = torch.ops.rekur.scan_backward(
            name, x, W, R, tape, resets, [torch.ones_like(y), None, None], [True] * 7
        )
        return grads

    assert len(gradients(tape)) == 7
    tables = slice(-8 * (x.shape[1] + 2) - 8 * x.shape[0], None)  # rows of each step, order and lengths
    for part in (slice(0, 4), slice(4, 8), slice(8, 12), slice(16, 24), slice(48, 56), tables):
        for value in (77, 255):
            changed = tape.clone()
            changed[part] = value
            with pytest.raises(DataError, match="not that of a forward pass of this cell, type and shape"):
                gradients(changed)


# Graphs


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_compiled(name: str) -> None:
    """With sizes that change, with and without lengths, in training and inference: the numbers of an eager call."""
    model = Stack(name, 3, 5, bidirectional=True)
    graph = compiled(lambda x, lengths: outcome(model, x, lengths), dynamic=True)
    for ragged in (False, True):
        for B, T in ((2, 4), (3, 7), (5, 2)):
            x = torch.randn(B, T, 3, requires_grad=True)
            lengths = torch.randint(0, T + 1, (B,)) if ragged else None
            want, got = outcome(model, x, lengths), graph(x, lengths)
            assert_same_bits(got, want, f"{B}, {T}")
            pair = [torch.autograd.grad(probe(out), [x, *model.parameters()]) for out in (got, want)]
            assert_near(*(dict(enumerate(g)) for g in pair), T, "gradient")  # type: ignore[arg-type]
    with torch.no_grad():
        assert_same_bits(graph(x, lengths), outcome(model, x, lengths), "inference")


@SCRIPT
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a compiler")
def test_inductor() -> None:
    """Between operators that inductor writes itself, on a batch that lies time by time."""
    model, scale = Stack("gru", 3, 6), torch.randn(3)

    def loss(x: Tensor) -> Tensor:
        return model((scale * x).relu())[0].sin().mean()

    x = torch.randn(5, 2, 3).transpose(0, 1).requires_grad_()
    pair = [torch.autograd.grad(f(x), [x, *model.parameters()]) for f in (compiled(loss, backend="inductor"), loss)]
    assert_near(*(dict(enumerate(g)) for g in pair), 5, "inductor")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_exported() -> None:
    """One operator a scan, for any batch and time, also after a file; the loaded program can be trained."""
    B, T = torch.export.Dim("B"), torch.export.Dim("T")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stack, self.head = Stack("lstm", 3, 5, num_layers=2), torch.nn.Linear(5, 2)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.head(self.stack(x, None, lengths)[0])  # type: ignore[no-any-return]

    model, file = Model(), io.BytesIO()
    example = (torch.randn(4, 6, 3), torch.tensor([6, 2, 0, 3]))
    program = torch.export.export(model, example, dynamic_shapes=({0: B, 1: T}, {0: B}))
    assert sum(node.target is torch.ops.rekur.scan.default for node in program.graph.nodes) == 2
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for b, t in ((4, 6), (2, 9), (1, 1)):
        x, lengths = torch.randn(b, t, 3, requires_grad=True), torch.randint(0, t + 1, (b,))
        want, got = model(x, lengths), loaded(x, lengths)
        assert torch.equal(got, want)
        assert torch.equal(*(torch.autograd.grad(y.square().sum(), x)[0] for y in (got, want)))


def test_modules_in_graphs() -> None:
    """rekur.nn, time first. Dynamo refuses every instance of torch.nn.GRU unless `allow_rnn` is set."""
    nn = pytest.importorskip("rekur.nn")
    x = torch.randn(6, 5, 3)
    for module in (nn.GRU(3, 5, bidirectional=True), nn.GRUCell(3, 5)):
        given = x if isinstance(module, torch.nn.GRU) else x[0]
        with torch._dynamo.config.patch(allow_rnn=True):
            got, want = compiled(module)(given), module(given)
        assert torch.equal(got[0], want[0])
        program = torch.export.export(module, (given,), dynamic_shapes=({0: torch.export.Dim("first")},))
        assert torch.equal(program.module()(given[:4])[0], module(given[:4])[0])


def test_fake_and_meta_tensors() -> None:
    """Shapes and strides without numbers."""
    for mode, device in ((torch._subclasses.FakeTensorMode(), "cpu"), (torch.no_grad(), "meta")):
        with mode, torch.enable_grad():
            model = Stack("lstm", 3, 5)
            model = model if device == "cpu" else model.to(device)
            x = torch.randn(7, 4, 3, device=device).transpose(0, 1)
            layer: Any = model.layers[0][0]  # type: ignore[index]
            assert unsupported_reason(layer.cell, x, layer.weights) is None  # so it is the native backend that runs
            y, states = model(x)
            y.sum().backward()
            assert y.stride() == (5, 20, 1)
            assert states[0].c.shape == (4, 5)
            assert layer.R.grad.shape == (20, 5)


@SCRIPT
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traced_by_torchscript() -> None:
    """The numbers of the example are not taken for constants."""
    kind, x, weights, state, *_ = build(CASE, cell("gru"))
    with torch.no_grad():
        traced = torch.jit.trace(lambda x: scan(kind, x, weights, state)[0], x)
        x = torch.randn(3, 9, 2, dtype=torch.float64)
        assert torch.equal(traced(x), scan(kind, x, weights, state)[0])


def test_lengths_are_checked_when_a_graph_runs() -> None:
    for backend in ("native", "reference"):
        problem = build(CASE, cell("gru"))
        torch._dynamo.reset()
        graph = compiled(lambda lengths, p=problem, b=backend: scan(*p[:4], lengths, backend=b)[0])
        graph(torch.tensor([0, 4, 2]))
        for wrong in ([0, 5, 2], [-1, 4, 2]):
            with pytest.raises((DataError, RuntimeError), match="lengths must lie in 0 … 4"):
                graph(torch.tensor(wrong))


# Derivatives


@EVERY
def test_second_derivative(name: str) -> None:
    """By finite differences, for every pair of inputs and through every output; the third against the reference."""
    case = replace(CASE, B=2, T=3, I=1, H=2, lengths=(3, 2))
    problem = build(case, cell(name))
    names = list(leaves(problem))
    tensors = [t.requires_grad_() for t in leaves(problem).values()]

    def outputs(*args: Tensor) -> tuple[Tensor, ...]:
        return tuple(run(with_leaves(problem, dict(zip(names, args, strict=True)))).values())

    assert torch.autograd.gradgradcheck(outputs, tensors)
    thirds = {}
    for fold in (run, by_reference):
        value: Any = probe(fold(with_leaves(problem, dict(zip(names, tensors, strict=True))))).square()
        for _ in range(2):
            found = torch.autograd.grad(value, tensors, create_graph=True, allow_unused=True, materialize_grads=True)
            value = sum(g.square().sum() for g in found)
        last = torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True)
        thirds[fold] = dict(zip(names, last, strict=True))
    if name != "rnn_relu":  # of which nothing but products is left
        assert any(t.abs().max() > 1e-6 for t in thirds[run].values())
    assert_near(thirds[run], thirds[by_reference], 3 * case.T, "third derivative")


def test_a_first_derivative_keeps_its_bits_when_a_graph_is_asked_for() -> None:
    """The kernel computes it; the reference enters where it is differentiated."""
    problem = build(CASE, cell("lstm"))
    x = problem.x.requires_grad_()
    y = probe(run(problem))
    plain, again = (torch.autograd.grad(y, x, retain_graph=True, create_graph=c)[0] for c in (False, True))
    assert torch.equal(plain, again)
    assert again.requires_grad


def test_the_operator_has_no_second_derivative() -> None:
    """A graph knows cells by their names alone."""
    given = operands("gru", asks=True)
    (first,) = torch.autograd.grad(torch.ops.rekur.scan(*given)[0].sin().sum(), given[1], create_graph=True)
    with pytest.raises(BackendError, match="differentiate twice outside"):
        torch.autograd.grad(first.sum(), given[1])


@SCRIPT
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_torch_func(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reverse mode on the kernel; forward mode and maps on the reference; each the same numbers."""
    _, x, weights, state, *_ = build(replace(CASE, lengths=None), cell(name))
    ran = []
    forward = extension.forward
    monkeypatch.setattr(extension, "forward", lambda *args: ran.append(args) or forward(*args))

    def fold(x: Tensor, backend: str = "auto") -> Tensor:
        return scan(cell(name), x, weights, state, backend=backend)[0].sin()

    def loss(x: Tensor, backend: str = "auto") -> Tensor:
        return fold(x, backend).sum()

    kernel: dict[str, Callable] = {
        "grad": grad(loss),
        "grad of grad": grad(lambda x, *b: grad(loss)(x, *b).square().sum()),
        "jacrev": jacrev(fold),
        "jacrev of jacrev": jacrev(jacrev(loss)),
    }
    others: dict[str, Callable] = {
        "vmap": lambda x, *b: vmap(lambda row: fold(row, *b))(torch.stack([x, 2 * x])),
        "grad by row": lambda x, *b: vmap(grad(lambda row: loss(row, *b)))(torch.stack([x, 2 * x])),
        "hessian": hessian(loss),
        "jvp": lambda x, *b: jvp(lambda x: fold(x, *b), (x,), (x,))[1],
    }
    for what, function in {**kernel, **others}.items():
        want = function(x, "reference")
        assert not ran, what
        assert_near({what: function(x)}, {what: want}, 3 * CASE.T, name)
        assert bool(ran) == (what in kernel), what
        ran.clear()
        if what in others:
            with pytest.raises(BackendError, match=r"torch\.func|forward mode"):
                function(x, "native")


def test_functional_call() -> None:
    model, x = Stack("gru", 3, 5, num_layers=2).double(), torch.randn(2, 4, 3, dtype=torch.float64)

    def loss(parameters: Named) -> Tensor:
        return functional_call(model, parameters, (x,))[0].square().sum()  # type: ignore[no-any-return]

    loss(dict(model.named_parameters())).backward()
    want = {name: p.grad for name, p in model.named_parameters()}
    assert_near(grad(loss)(dict(model.named_parameters())), want, 4, "functional_call")  # type: ignore[arg-type]


def test_torch_func_in_a_graph() -> None:
    _, x, weights, state, *_ = build(replace(CASE, B=2, T=2, lengths=None), cell("gru"))

    def loss(x: Tensor) -> Tensor:
        return scan(cell("gru"), x, weights, state)[0].sin().sum()

    for function, given in ((grad(loss), x), (vmap(grad(loss)), torch.stack([x, 2 * x]))):
        torch._dynamo.reset()
        assert_near({"": compiled(function)(given)}, {"": function(given)}, 2, "compiled")


def test_batches_of_gradients_are_refused() -> None:
    problem = build(CASE, cell("gru"))
    with pytest.raises(BackendError, match=r"use torch\.func"):
        torch.autograd.functional.jacobian(lambda x: run(problem._replace(x=x))["y"], problem.x, vectorize=True)


def test_strides_of_incoming_gradients() -> None:
    """Transposed, spread out, negated lazily: whatever the layer above hands down."""
    problem = build(CASE, cell("lstm"))
    want = None
    for layout in ("plain", "time_first", "feature_first", "sliced", "unaligned", "negative"):
        tensors = {name: t.detach().requires_grad_() for name, t in leaves(problem).items()}
        outputs = list(run(with_leaves(problem, tensors)).values())
        draw = torch.Generator().manual_seed(3)
        ends = [torch.randn(out.shape, dtype=out.dtype, generator=draw) for out in outputs]
        ends = [torch._neg_view(-end) if layout == "negative" else lay_out(end, layout) for end in ends]
        found = dict(zip(tensors, torch.autograd.grad(outputs, list(tensors.values()), ends), strict=True))
        want = want or found
        assert_same_bits(found, want, layout)


# What surrounds a call


def test_y_lies_in_time_as_x_does() -> None:
    """A caller with time first gets time first, without a copy; the gradient of x lies like x."""
    kind, x, weights, state, *_ = build(replace(CASE, lengths=None), cell("gru"))
    for layout, first in (("plain", False), ("time_first", True), ("expanded", False), ("sliced", False)):
        given = lay_out(x, layout).detach().requires_grad_()
        y, _ = scan(kind, given, weights, state)
        assert (y.transpose(0, 1) if first else y).is_contiguous(), layout
        if layout in ("plain", "time_first"):
            assert torch.autograd.grad(y.sum(), given)[0].stride() == given.stride()
    for shape in ((1, 4), (3, 1)):
        start = kind.state(h=state.h[: shape[0]])
        y, _ = scan(kind, torch.zeros(*shape[::-1], 2, dtype=x.dtype).transpose(0, 1), weights, start)
        assert y.is_contiguous()
        assert y.transpose(0, 1).is_contiguous()


def test_a_lazily_negated_input_is_read_with_its_sign() -> None:
    kind, x, weights, state, *_ = build(CASE, cell("lstm"))
    odd = kind.state(h=torch._neg_view(-state.h), c=torch._neg_view(-state.c))
    assert torch.equal(scan(kind, torch._neg_view(-x), weights, odd)[0], scan(kind, x, weights, state)[0])


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_autocast(backend: str) -> None:
    """x and y are bfloat16, states stay in the type of the weights; outside of autocast two types are an error."""
    kind, x, weights, state, lengths, _ = build(replace(CASE, dtype="float32"), cell("lstm"))
    layer = torch.nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
        low_state = kind.state(h=state.h.bfloat16(), c=state.c)
        y, last = scan(kind, low, weights, low_state, lengths, backend=backend)
        one = step(kind, low[:, 0], weights, low_state, backend=backend)
        graph = compiled(lambda x: scan(kind, layer(x), weights, low_state, lengths, backend=backend)[0])(x)
    assert low.dtype is torch.bfloat16
    assert y.dtype is torch.bfloat16
    assert {last.h.dtype, last.c.dtype, one.h.dtype} == {torch.float32}
    want = scan(kind, low, weights, kind.state(h=low_state.h.float(), c=state.c), lengths, backend=backend)
    assert torch.equal(y, want[0])
    assert_near({"y": graph}, {"y": y.detach()}, 4, "compiled")
    y.sum().backward()
    assert layer.weight.grad is not None
    with pytest.raises(ValueError, match="a state is"):
        scan(kind, x, weights, low_state, backend=backend)


def test_saved_tensors_may_move() -> None:
    """The tape may be packed away and come back at another address, or be made a second time."""
    problem = build(CASE, cell("lstm"))
    tensors = {name: t.requires_grad_() for name, t in leaves(problem).items()}
    want = torch.autograd.grad(probe(run(problem)), list(tensors.values()))
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t.clone())
    with hooks:
        packed = probe(run(problem))
    again = torch.utils.checkpoint.checkpoint(lambda: probe(run(problem)), use_reentrant=False)
    for value in (packed, again):
        found = torch.autograd.grad(value, list(tensors.values()))
        assert all(torch.equal(a, b) for a, b in zip(found, want, strict=True))


def test_memory_of_graphs_comes_back() -> None:
    """Of forward passes without backward, of backward passes, of compiled graphs."""
    model, x = Stack("lstm", 4, 48), torch.randn(8, 40, 4)
    graph = compiled(lambda x: model(x)[0].sum())
    for call in (lambda x: model(x)[0].sum(), graph):
        call(x).backward()
        _native.pool_clear()
        loss = call(x)
        held = _native.pool_bytes()
        loss.backward()
        assert _native.pool_bytes() > held + 8 * 40 * 6 * 48 * 4, "the tape was not freed by its backward pass"
        kept = _native.pool_bytes()
        for _ in range(5):
            call(x)
        assert _native.pool_bytes() == kept


def test_copies_and_pickles_of_a_module() -> None:
    """After use as before it."""
    model, x = Stack("gru", 3, 5, num_layers=2), torch.randn(2, 4, 3)
    model(x)[0].sum().backward()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x)[0], model(x)[0])


@SCRIPT
def test_unsupported_reason_names_forward_mode() -> None:
    problem = build(CASE, cell("gru"))
    with torch.autograd.forward_ad.dual_level():
        assert "forward mode" in str(unsupported_reason(problem.cell, problem.x, problem.weights))
        dual = torch.autograd.forward_ad.make_dual(problem.x, problem.x)
        y, _ = scan(*problem._replace(x=dual)[:5])
        tangent = torch.autograd.forward_ad.unpack_dual(y).tangent
    want = jvp(lambda x: scan(*problem._replace(x=x)[:5], backend="reference")[0], (problem.x,), (problem.x,))[1]
    assert torch.equal(tangent, want)
    assert unsupported_reason(problem.cell, problem.x, problem.weights) is None


# Processes


class Folded(Dataset):
    """What each worker computes: the gradients of a problem that is large enough for two threads."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        problem = build(Case(33, 120, 5, 40), cell("gru"), seed=index)
        tensors = {name: t.requires_grad_() for name, t in leaves(problem).items()}
        end = torch.linspace(-1, 1, 33 * 120 * 40).view(33, 120, 40)
        with threads(2):  # of torch's own work only what is too small to be divided: it would wait for them
            y, _ = scan(*with_leaves(problem, tensors), backend="native")
            found = torch.autograd.grad(y, list(tensors.values()), end)
        return torch.cat([t.detach().flatten() for t in (y, *found)])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_loader(start: str) -> None:
    """Forked after the threads of this process have run, or started anew: the same bits, and no deadlock."""
    if start == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    data = Folded()
    want = [data[index] for index in range(2)]
    loader = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context=start, timeout=60)
    for got, wanted in zip(loader, want, strict=True):
        assert torch.equal(got, wanted)
