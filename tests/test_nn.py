"""rekur.nn gives what torch.nn gives: outputs, last states and every gradient, for every way to call a module."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import rekur.nn
from cases import LAYOUTS, lay_out
from laws import assert_near, assert_same_bits
from rekur.core import DataError, OptionError
from twins import FORMS, MODES, B, Call, H, I, T, calls, leaves, results, run, twins

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
every_mode = pytest.mark.parametrize("mode", MODES)
every_form = pytest.mark.parametrize("form", FORMS)


def assert_twins(call: Call, **options: Any) -> None:
    """The two modules agree on one call."""
    theirs, ours = twins(call)
    assert_near(results(ours, call, **options), results(theirs, call, **options), call.layers * T, str(call))


@every_form
@every_mode
def test_equal_to_torch(mode: str, form: str) -> None:
    """Layers, directions, layouts, biases, initial states: all combinations."""
    for call in calls(mode, form):
        assert_twins(call)


@every_form
@every_mode
def test_equal_to_torch_in_float(mode: str, form: str) -> None:
    assert_twins(Call(mode, form, layers=2, bidirectional=True, dtype=torch.float32))


@every_form
def test_projection(form: str) -> None:
    """proj_size, also from an initial h₀ that is no projection of anything."""
    for call in calls("LSTM", form):
        assert_twins(replace(call, proj_size=2))
    assert_twins(Call("LSTM", form, layers=2, bidirectional=True, proj_size=5, dtype=torch.float32))


@pytest.mark.parametrize("only", ["output", "h", "c"])
@every_form
def test_gradients_of_one_result(form: str, only: str) -> None:
    """A loss of the outputs alone, of h_n alone, of c_n alone."""
    for mode in MODES if only != "c" else ("LSTM",):
        assert_twins(Call(mode, form, layers=2, bidirectional=True), only=(only,))
    assert_twins(Call("LSTM", form, layers=2, bidirectional=True, proj_size=2), only=(only,))


@every_form
@every_mode
def test_the_kernels_run(mode: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these calls is handed over to torch."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("handed over to torch")

    for call in (*calls(mode, form), Call(mode, form, dtype=torch.float32)):
        _, ours = twins(call)
        with monkeypatch.context() as patch:
            patch.setattr(getattr(nn, mode.removesuffix("_relu")), "forward", refuse)
            run(ours, call, leaves(call))


@every_mode
def test_without_gradient(mode: str) -> None:
    """Inference gives the same bits as training, and no graph."""
    call = Call(mode, layers=2, bidirectional=True, dtype=torch.float32)
    _, ours = twins(call)
    taught = run(ours, call, leaves(call))
    with torch.no_grad():
        still = run(ours, call, leaves(call))
    assert not any(out.requires_grad for out in still.values())
    assert_same_bits(still, {name: out.detach() for name, out in taught.items()}, "inference")
    with torch.inference_mode():
        assert_same_bits(run(ours, call, leaves(call)), still, "inference mode")


@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_sequence(enforce_sorted: bool) -> None:
    """A PackedSequence comes back as one, with the order of the rows as torch gives it."""
    theirs, ours = twins(Call("GRU", bidirectional=True))
    lengths = torch.tensor(FORMS["sorted" if enforce_sorted else "unsorted"])
    packed = pack_padded_sequence(leaves(Call("GRU"))["x"], lengths, enforce_sorted=enforce_sorted)
    got, want = ours(packed)[0], theirs(packed)[0]
    assert isinstance(got, PackedSequence)
    assert torch.equal(got.batch_sizes, want.batch_sizes)
    for one, other in ((got.sorted_indices, want.sorted_indices), (got.unsorted_indices, want.unsorted_indices)):
        assert one is other is None or torch.equal(one, other)
    assert_near({"y": pad_packed_sequence(got)[0]}, {"y": pad_packed_sequence(want)[0]}, T, "padded again")


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("proj_size", [0, 2])
def test_what_stands_beyond_a_length(proj_size: int, batch_first: bool) -> None:
    """It is never read, not even where it is NaN, gives zeros and gets exactly zero gradient."""
    call = Call("LSTM", "lengths", True, batch_first, 2, True, proj_size=proj_size)
    _, ours = twins(call)
    lengths = torch.tensor(FORMS["lengths"])
    inside = torch.arange(T) < lengths[:, None]  # (B, T)
    inside = inside if batch_first else inside.T
    tensors = leaves(call)
    x = tensors["x"]
    dirty = x.masked_fill(~inside[..., None], float("nan")).requires_grad_()
    clean, found = run(ours, call, {**tensors, "x": x}), run(ours, call, {**tensors, "x": dirty})
    assert_same_bits(found, clean, "padding of NaN")
    assert (found["output"][~inside] == 0).all()
    assert torch.equal(found["h"][:, 1], tensors["h0"][:, 1])  # the empty row
    assert torch.equal(found["c"][:, 1], tensors["c0"][:, 1])
    sum(out.sum() for out in found.values()).backward()
    assert (dirty.grad[~inside] == 0).all()
    assert dirty.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in ours.parameters())


def test_lengths_of_any_integer_type() -> None:
    _, ours = twins(Call("GRU"))
    x, counts = leaves(Call("GRU"))["x"], list(FORMS["lengths"])
    want = ours(x, lengths=torch.tensor(counts))
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        got = ours(x, lengths=torch.tensor(counts, dtype=dtype))
        assert_same_bits({"y": got[0], "h": got[1]}, {"y": want[0], "h": want[1]}, str(dtype))
    assert torch.equal(ours(x, lengths=counts)[0], want[0])
    strided = torch.tensor(counts).repeat_interleave(2)[::2]
    assert torch.equal(ours(x, lengths=strided)[0], want[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])  # the kernels, and torch's own forward pass
def test_lengths_that_do_not_fit(dtype: torch.dtype) -> None:
    ours = rekur.nn.GRU(I, H, dtype=dtype)
    x = torch.randn(T, B, I, dtype=dtype)
    with pytest.raises(OptionError, match="PackedSequence"):
        ours(pack_padded_sequence(x, torch.tensor([5, 4, 3, 2])), lengths=torch.tensor([5, 4, 3, 2]))
    with pytest.raises(DataError, match="batch"):
        ours(x[:, 0], lengths=torch.tensor([5]))
    with pytest.raises(DataError, match="integers"):
        ours(x, lengths=torch.tensor([5.0, 4.0, 3.0, 2.0]))
    with pytest.raises(DataError, match="integers"):
        ours(x, lengths=torch.ones(4, dtype=torch.bool))
    for wrong in ([6, 4, 3, 2], [-1, 4, 3, 2], [5], [5, 4, 3], [[5, 4, 3, 2]]):
        with pytest.raises(DataError, match="lengths must"):
            ours(x, lengths=torch.tensor(wrong))


@every_mode
@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides(mode: str, layout: str) -> None:
    """Any strides of the input and the states; what torch gives time-major is contiguous, here too."""
    call = Call(mode, bidirectional=True, layers=2)
    _, ours = twins(call)
    tensors = leaves(call)
    got = run(ours, call, {name: lay_out(tensor, layout) for name, tensor in tensors.items()})
    if layout == "expanded":
        tensors = {name: tensor[:1].expand_as(tensor) for name, tensor in tensors.items()}
    assert_near(got, run(ours, call, tensors), 2 * T, layout)
    for form, directions in ((True, 1), (False, 1), (True, 2), (False, 2)):
        plain = Call(mode, batch_first=form, bidirectional=directions == 2, hx=False)
        assert all(out.is_contiguous() for out in run(twins(plain)[1], plain, leaves(plain)).values())


@every_mode
def test_no_rows(mode: str) -> None:
    """A batch of no rows gives empty results and zero gradients, as in torch."""
    theirs, ours = twins(Call(mode, layers=2, bidirectional=True))
    x = torch.zeros(T, 0, I, dtype=torch.float64)
    (want, _), (got, _) = theirs(x), ours(x)
    assert got.shape == want.shape == (T, 0, 2 * H)
    got.sum().backward()
    assert all((parameter.grad == 0).all() for parameter in ours.parameters())


def positive(dropout: float, **options: Any) -> Any:
    """Two layers that pass on what they get, if it is not negative: dropout between them is all that is seen."""
    module = rekur.nn.RNN(8, 8, 2, "relu", dropout=dropout, **options)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.eye(8)) if name.startswith("weight_ih") else parameter.zero_()
    return module


def test_dropout() -> None:
    """Between the layers, in training alone: the share p is zero, the rest is 1/(1 - p) as large."""
    x = torch.rand(40, 32, 8) + 0.5
    module, p, n = positive(0.3), 0.3, x.numel()
    output, last = module(x)
    assert torch.equal(last[0], x[-1])  # the first layer itself is not touched
    kept = output != 0
    bound = 5 * (p * (1 - p) / n) ** 0.5
    share = 1 - kept.double().mean().item()
    assert abs(share - p) <= bound, f"share of zeros {share:.4f}, not {p} ± {bound:.4f}: dropped more than once?"
    torch.testing.assert_close(output[kept], x[kept] / (1 - p))
    assert torch.equal(output[-1], last[1])
    assert not torch.equal(module(x)[0] != 0, kept)
    torch.manual_seed(3)
    one = module(x)[0]
    torch.manual_seed(3)
    assert torch.equal(module(x)[0], one)
    assert torch.equal(module.eval()(x)[0], x)
    assert torch.equal(positive(0.0)(x)[0], x)
    assert (positive(1.0)(x)[0] == 0).all()


@pytest.mark.parametrize("mode", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_other_dtypes(mode: str, batch_first: bool) -> None:
    """What the kernels do not know, torch runs: the same bits, also with lengths."""
    call = Call(mode, "batch", True, batch_first, 2, True, dtype=torch.float16)
    theirs, ours = twins(call)
    assert_same_bits(results(ours, call), results(theirs, call), "float16")
    for hx in (True, False):
        ragged = replace(call, form="lengths", hx=hx)
        got, want = results(ours, ragged), results(theirs, ragged)
        assert_near(got, want, 2 * T, "float16 with lengths")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_export_to_onnx_records_the_operators_of_torch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter passes all arguments by position, and the layer then runs torch's own forward pass."""
    model, x = getattr(rekur.nn, kind)(3, 5, batch_first=True), torch.randn(2, 4, 3)
    reference = getattr(torch.nn, kind)(3, 5, batch_first=True)
    reference.load_state_dict(model.state_dict())
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    assert torch.equal(model(x, None, None)[0], reference(x)[0])


def test_export_to_onnx(tmp_path: Path) -> None:
    """A file with free sizes of batch and time, read by the reference evaluator."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator
    model, x = rekur.nn.GRU(3, 5, batch_first=True).eval(), torch.randn(2, 4, 3)
    file = tmp_path / "gru.onnx"
    names = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch", 1: "time"}}}
    torch.onnx.export(model, (x,), file, dynamo=False, **names)
    onnx.checker.check_model(onnx.load(file))
    (y, *_) = evaluator(str(file)).run(None, {"x": torch.cat([x, x], 1).numpy()})
    assert torch.allclose(torch.from_numpy(y), model(torch.cat([x, x], 1))[0], atol=1e-6)
