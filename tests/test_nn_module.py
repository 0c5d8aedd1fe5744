"""rekur.nn's modules are torch.nn's modules: construction, parameters, copies, files, hooks and errors."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import rekur
import rekur.nn
from laws import assert_near, assert_same_bits
from twins import MODES, B, Call, H, I, T, leaves, results, run, twins

KINDS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")
every_mode = pytest.mark.parametrize("mode", MODES)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_class = pytest.mark.parametrize("kind", KINDS + CELLS)


def both(kind: str) -> tuple[Any, Any]:
    """torch's class and ours."""
    return getattr(nn, kind), getattr(rekur.nn, kind)


@every_class
def test_class(kind: str) -> None:
    """A subclass with the same name and signature that draws the same parameters and prints the same."""
    theirs, ours = both(kind)
    assert issubclass(ours, theirs)
    assert ours.__name__ == theirs.__name__
    arguments = {name: argument.kind for name, argument in inspect.signature(ours).parameters.items()}
    assert arguments.pop("precision", inspect.Parameter.KEYWORD_ONLY) is inspect.Parameter.KEYWORD_ONLY
    assert arguments == {name: argument.kind for name, argument in inspect.signature(theirs).parameters.items()}
    torch.manual_seed(7)
    want = theirs(3, 5, bias=True)
    torch.manual_seed(7)
    got = ours(3, 5, bias=True)
    assert list(got.state_dict()) == list(want.state_dict())
    assert_same_bits(got.state_dict(), want.state_dict(), "the first parameters")
    assert vars(got).keys() == vars(want).keys()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("RNN", {"nonlinearity": "relu", "bias": False}),
        ("LSTM", {"proj_size": 2, "num_layers": 2, "dropout": 0.5}),
        ("GRU", {"bidirectional": True, "batch_first": True}),
        ("RNNCell", {"nonlinearity": "relu", "bias": False}),
        ("LSTMCell", {"bias": False}),
        ("GRUCell", {}),
    ],
)
def test_prints_as_torch_does(kind: str, options: dict[str, Any]) -> None:
    theirs, ours = both(kind)
    assert repr(ours(3, 4, **options)) == repr(theirs(3, 4, **options))
    assert repr(nn.Sequential(ours(3, 4, **options))) == repr(nn.Sequential(theirs(3, 4, **options)))


@every_class
def test_wrong_arguments_are_refused_by_torch(kind: str) -> None:
    theirs, ours = both(kind)
    wrong: list[dict[str, Any]] = [{"hidden_size": -1}, {"hidden_size": "4"}]
    if kind in KINDS:
        wrong += [{"num_layers": 0}, {"dropout": 1.5}, {"bias": 1}, {"proj_size": 9}, {"hidden_size": 0}]
    for options in wrong:
        arguments = {"input_size": 3, "hidden_size": 4, **options}
        assert refusal(lambda build=ours, given=arguments: build(**given)) == refusal(
            lambda build=theirs, given=arguments: build(**given)
        )


def refusal(call: Callable[[], Any]) -> tuple[type, str]:
    """The error of a call that must fail."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what is asked
        call()
    return caught.type, str(caught.value)


@every_mode
def test_state_dict_both_ways(mode: str) -> None:
    """torch → rekur → torch, with every key, gives the same bits."""
    call = Call(mode, layers=2, bidirectional=True)
    theirs, ours = twins(call)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    back, _ = twins(call)
    back.load_state_dict(ours.state_dict())
    assert_same_bits(results(back, call), results(theirs, call), "there and back")
    assert [[tuple(w.shape) for w in ws] for ws in ours.all_weights] == [
        [tuple(w.shape) for w in ws] for ws in theirs.all_weights
    ]
    ours.flatten_parameters()
    assert_near(run(ours, call, leaves(call)), run(theirs, call, leaves(call)), 2 * T, "after flatten_parameters")


@every_mode
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "save"])
def test_copies(mode: str, way: str) -> None:
    """A copy computes the same and shares nothing."""
    call = Call(mode, layers=2)
    _, ours = twins(call)
    want = run(ours, call, leaves(call))
    if way == "save":
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
    else:
        again = copy.deepcopy(ours) if way == "deepcopy" else pickle.loads(pickle.dumps(ours))
    assert type(again) is type(ours)
    assert_same_bits(run(again, call, leaves(call)), want, way)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    assert_same_bits(run(ours, call, leaves(call)), want, "the original after its copy was changed")
    assert not torch.equal(run(again, call, leaves(call))["output"], want["output"])


@every_mode
def test_class_of_an_instance(mode: str) -> None:
    """A module of torch becomes one of ours, with its parameters and hooks, and back."""
    call = Call(mode, layers=2, bidirectional=True)
    module, seen = twins(call)[0], []
    module.register_forward_hook(lambda *_: seen.append(1))
    want, parameters = results(module, call), list(module.parameters())
    before, module.__class__ = module.__class__, getattr(rekur.nn, type(module).__name__)
    assert_near(results(module, call), want, 2 * T, "the module as ours")
    assert all(one is other for one, other in zip(module.parameters(), parameters, strict=True))
    assert_near(results(copy.deepcopy(module), call), want, 2 * T, "its copy")
    module.__class__ = before
    assert_same_bits(results(module, call), want, "the module as torch's again")
    assert len(seen) == 4


@every_mode
def test_parameters_are_never_stale(mode: str) -> None:
    """A parameter changed, put in place of another, cast, or given for one call is the one that counts."""
    call = Call(mode, layers=2)
    theirs, ours = twins(call)
    new = torch.randn_like(ours.weight_hh_l1)

    def check(what: str, by: Callable[[Any], Any], given: Call = call) -> None:
        for module in (theirs, ours):
            by(module)
        assert_near(results(ours, given), results(theirs, given), 2 * T, what)

    check("an update in place", lambda m: m.weight_ih_l0.data.mul_(0.5))
    check("another parameter", lambda m: setattr(m, "weight_hh_l1", nn.Parameter(new.clone())))
    check("a loaded state", lambda m: m.load_state_dict({k: 0.9 * v for k, v in m.state_dict().items()}))
    check("float", lambda m: m.float(), Call(mode, layers=2, dtype=torch.float32))
    check("double", lambda m: m.to(torch.float64))
    given = {name: 2 * parameter.detach() for name, parameter in ours.named_parameters()}
    x = leaves(call)["x"]
    got, want = (torch.func.functional_call(m, given, (x,))[0] for m in (ours, theirs))
    assert_near({"y": got}, {"y": want}, 2 * T, "functional_call")
    check("after functional_call", lambda m: None)


@pytest.mark.parametrize("change", ["weight_norm", "prune"])
def test_parametrized(change: str) -> None:
    """A weight that is computed anew for each call, and the gradient of what it is computed from."""
    call = Call("GRU")
    theirs, ours = twins(call)
    for module in (theirs, ours):
        if change == "weight_norm":
            parametrizations.weight_norm(module, "weight_hh_l0")
        else:
            prune.l1_unstructured(module, "weight_hh_l0", amount=0.4)
    assert_near(results(ours, call), results(theirs, call), T, change)
    with torch.no_grad():
        for module in (theirs, ours):
            next(p for name, p in module.named_parameters() if "hh" in name and "bias" not in name).mul_(1.5)
    assert_near(results(ours, call), results(theirs, call), T, f"{change} after an update")


@every_kind
def test_frozen(kind: str) -> None:
    """Frozen parameters get no gradient, the input still does; all frozen, there is no graph."""
    ours = both(kind)[1](I, H, 2)
    x = torch.randn(T, B, I)
    ours.weight_hh_l0.requires_grad_(False)
    ours(x)[0].sum().backward()
    assert [name for name, p in ours.named_parameters() if p.grad is None] == ["weight_hh_l0"]
    ours.requires_grad_(False)
    assert not ours(x)[0].requires_grad
    assert torch.autograd.grad(ours(x.requires_grad_())[0].sum(), x)[0].abs().sum() > 0


@every_class
def test_hooks(kind: str) -> None:
    """Forward hooks see what goes in and out, also `lengths`; a backward hook runs."""
    ours, seen = both(kind)[1](I, H), []
    ours.register_forward_pre_hook(lambda m, args, kwargs: seen.append(sorted(kwargs)), with_kwargs=True)
    ours.register_forward_hook(lambda m, args, out: seen.append(type(out)))
    ours.register_full_backward_hook(lambda m, into, out: seen.append("backward"))
    options = {"lengths": torch.tensor([2, 1])} if kind in KINDS else {}
    out = ours(torch.randn(*([T] if kind in KINDS else []), 2, I, requires_grad=True), **options)
    (out if torch.is_tensor(out) else out[0]).sum().backward()
    assert seen == [sorted(options), type(out), "backward"]


def inputs(kind: str) -> list[tuple[Any, ...]]:
    """Calls that torch refuses; each kind has a hidden size of 4 and an input size of 3."""
    x = torch.randn(5, 2, 3)

    def states(*shape: int, **options: Any) -> Any:
        state = torch.zeros(*shape, **options)
        return (state, state) if kind == "LSTM" else state

    wrong = [x[..., :2], x[0, 0], x[None], x.double(), x.long(), x[:0], x[:0, 0], x.to("meta")]
    hidden = [states(1, 3, 4), states(2, 2, 4), states(1, 2, 3), states(2, 4), states(1, 2, 4, dtype=torch.float64)]
    packed = nn.utils.rnn.pack_padded_sequence(x[..., :2], torch.tensor([5, 3]))
    return [*((x,) for x in wrong), *((x, hx) for hx in hidden), (x[:, 0], states(1, 1, 4)), (packed,)]


@every_kind
def test_misuse_is_refused_by_torch(kind: str) -> None:
    """The same error with the same words for whatever does not fit."""
    theirs, ours = (build(3, 4) for build in both(kind))
    for given in inputs(kind):
        want = refusal(lambda call=given: theirs(*call))
        assert refusal(lambda call=given: ours(*call)) == want, want


@every_kind
def test_without_numbers(kind: str) -> None:
    """On the meta device there are shapes alone."""
    ours = both(kind)[1](3, 4, 2, bidirectional=True, device="meta")
    output, last = ours(torch.empty(5, 2, 3, device="meta"))
    assert output.is_meta
    assert output.shape == (5, 2, 8)
    assert (last[0] if kind == "LSTM" else last).shape == (4, 2, 4)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.* is deprecated", "ignore::torch.jit.TracerWarning")
@every_kind
def test_traced(kind: str) -> None:
    """A trace records torch's operators, so that it computes with what it is given later."""
    ours = both(kind)[1](I, H, batch_first=True).eval()
    traced = torch.jit.trace(ours, torch.randn(2, T, I), check_trace=False)
    x = torch.randn(2, T, I)
    assert_near({"y": traced(x)[0]}, {"y": ours(x)[0]}, T, "the trace")


@every_class
def test_recorders_of_torch_alone_are_refused_with_the_cure(kind: str) -> None:
    """torch.jit.script and torch.fx.symbolic_trace take layers that `rekur.nn.restore` has put back."""
    model, cure = nn.Sequential(nn.Identity(), both(kind)[1](I, H)), rf"rekur\.nn\.{kind}: call rekur\.nn\.restore"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(rekur.OptionError, match=rf"torch\.jit\.script cannot compile {cure}"):
            torch.jit.script(model)
    with pytest.raises(rekur.OptionError, match=rf"torch\.fx\.symbolic_trace cannot trace {cure}"):
        torch.fx.symbolic_trace(model)
    rekur.nn.restore(model)
    assert len(torch.fx.symbolic_trace(model).graph.nodes) > 2


def test_other_layers_are_named_where_they_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Linear': it holds .* take torch\.nn\.Linear"):
        _ = rekur.nn.Linear
    with pytest.raises(AttributeError, match=r"'rekur\.nn' has no attribute 'Linaer'$"):
        _ = rekur.nn.Linaer
