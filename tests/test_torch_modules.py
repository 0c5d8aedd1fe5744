"""The cases with which torch tests its own recurrent modules, run on torch.nn and rekur.nn alike.

`torch.testing._internal.common_modules` of the installed torch holds them: how a module is built and called, what it
must equal, and which calls it must refuse. They are skipped, with the reason, where it cannot be imported.
"""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
import types
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

import rekur.nn
from cases import Named, probe
from laws import assert_near, assert_same_bits

CLASSES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")


def module_cases() -> dict[str, Any]:
    """torch's description of each of the six classes, by name."""
    missing = importlib.util.find_spec("expecttest") is None
    if missing:  # torch takes from it only the base class of test classes that are not used here
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.testing._internal.common_modules import module_db
    except Exception as error:  # internal to torch, which may change it at any time
        pytest.skip(f"torch's module cases cannot be imported: {error!r}", allow_module_level=True)
    finally:
        if missing:
            del sys.modules["expecttest"]
    return {info.module_cls.__name__: info for info in module_db if info.module_cls.__name__ in CLASSES}


INFOS = module_cases()
every_class = pytest.mark.parametrize("name", CLASSES)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
every_mode = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def inputs(name: str, dtype: torch.dtype, training: bool) -> list[Any]:
    """torch's inputs of one class: `constructor_input`, `forward_input` and `reference_fn` each."""
    info = INFOS[name]
    return list(info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=training))


def build(name: str, case: Any, dtype: torch.dtype, training: bool) -> tuple[Any, Any]:
    """torch's module and rekur's, with the same parameters."""
    arguments, options = case.constructor_input.args, {**case.constructor_input.kwargs, "dtype": dtype}
    pair = [getattr(house, name)(*arguments, **options).train(training) for house in (torch.nn, rekur.nn)]
    pair[1].load_state_dict(pair[0].state_dict())
    return pair[0], pair[1]


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of an argument or a result in order; of a PackedSequence its data."""
    if isinstance(value, PackedSequence):
        yield value.data
    elif isinstance(value, torch.Tensor):
        yield value
    elif value is not None:
        for part in value:
            yield from tensors_in(part)


def by_name(value: Any) -> Named:
    return {f"result {k}": tensor for k, tensor in enumerate(tensors_in(value))}


def results(module: Any, case: Any) -> Named:
    """Outputs, last states, and the gradients of a number that depends on all of them."""
    arguments, options = copy.deepcopy((case.forward_input.args, case.forward_input.kwargs))
    leaves = {f"argument {k}": tensor.requires_grad_() for k, tensor in enumerate(tensors_in(arguments))}
    leaves |= dict(module.named_parameters())
    outputs = by_name(module(*arguments, **options))
    grads = torch.autograd.grad(probe(outputs), list(leaves.values()), allow_unused=True, materialize_grads=True)
    gradients = {f"gradient of {leaf}": grad for leaf, grad in zip(leaves, grads, strict=True)}
    return {**{name: output.detach() for name, output in outputs.items()}, **gradients}


def test_number_of_inputs() -> None:
    """348 of torch 2.13, in two dtypes, for training and inference; none of the classes may be missing."""
    assert sorted(INFOS) == sorted(CLASSES)
    counts = {
        name: sum(len(inputs(name, dtype, mode)) for dtype in (torch.float32, torch.float64) for mode in (True, False))
        for name in CLASSES
    }
    assert min(counts.values()) >= 8
    assert sum(counts.values()) >= 348, counts


@every_mode
@every_dtype
@every_class
def test_equal_to_torch(name: str, dtype: torch.dtype, training: bool) -> None:
    """The same outputs, last states and gradients from the same parameters."""
    for case in inputs(name, dtype, training):
        theirs, ours = build(name, case, dtype, training)
        assert_near(results(ours, case), results(theirs, case), 10, f"{name}{case.constructor_input.kwargs}")


@every_mode
@every_dtype
@every_class
def test_equal_to_torch_reference(name: str, dtype: torch.dtype, training: bool) -> None:
    """The function with which torch says what such a call must give, applied to rekur's module."""
    for case in inputs(name, dtype, training):
        _, ours = build(name, case, dtype, training)
        got = by_name(ours(*case.forward_input.args, **case.forward_input.kwargs))
        want = by_name(case.reference_fn(ours, *case.forward_input.args, **case.forward_input.kwargs))
        assert_near(got, want, 10, f"{name}{case.constructor_input.kwargs}")


@every_dtype
@every_class
def test_state_dict_and_pickle(name: str, dtype: torch.dtype) -> None:
    """Parameters go to torch and back unchanged; a pickled module gives the same bits."""
    for case in inputs(name, dtype, training=True):
        theirs, ours = build(name, case, dtype, training=True)
        back = build(name, case, dtype, training=True)[0]
        back.load_state_dict(ours.state_dict())
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert_same_bits(back.state_dict(), theirs.state_dict(), "parameters after a round trip")
        copied = pickle.loads(pickle.dumps(ours))
        assert type(copied) is getattr(rekur.nn, name)
        assert_same_bits(results(copied, case), results(ours, case), "a pickled module")


@every_dtype
@every_class
def test_refused_calls(name: str, dtype: torch.dtype) -> None:
    """What torch must refuse, rekur refuses with the same error."""
    info = INFOS[name]

    def build_and_call(case: Any, built: bool) -> None:
        module = getattr(rekur.nn, name)(*case.constructor_input.args, **case.constructor_input.kwargs)
        assert built, "this module should not have been built"
        module(*case.forward_input.args, **case.forward_input.kwargs)

    for error in info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=True):
        with pytest.raises(error.error_type, match=error.error_regex):
            build_and_call(error.module_error_input, built=error.error_on.name == "FORWARD_ERROR")
