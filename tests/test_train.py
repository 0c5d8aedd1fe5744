"""The five steps of training: the loop, the update, the schedule, stopping, resuming and bad numbers."""

from __future__ import annotations

import copy
import json
import math
import pickle
import platform
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rekur import Regressor
from rekur.core import DataError, ModelFileError, OptionError, Record, TrainingError
from rekur.data.batching import Batch, Batcher, LazySequences, chunks
from rekur.layers.stack import Stack
from rekur.training.checkpoint import Checkpoint
from rekur.training.config import OPTIMIZERS, Training
from rekur.training.deadline import Deadline
from rekur.training.loop import Problem, detach, fit, train
from rekur.training.memory import reuse_freed_memory
from rekur.training.optimizer import Optimizer


def sine(n: int = 160, T: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, T, 1) of a sine and the value after each (n,)."""
    wave = np.sin(np.arange(n + T) / 4).astype(np.float32)
    x = np.lib.stride_tricks.sliding_window_view(wave, T)[:n, :, None]
    return x.copy(), wave[T : T + n]


class Affine(nn.Module):
    """The smallest model that can learn."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0, -1.0]))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1, 2) → (B,)."""
        return (x[:, 0] * self.w).sum(-1)


def affine_problem(model: nn.Module, validate: object = None, bad: float = 1.0) -> Problem:
    """Learn y = 3·x₀ + x₁ from four rows, in two batches."""
    x = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]], [[2.0, -1.0]]])
    y = (x[:, 0] * torch.tensor([3.0, 1.0])).sum(-1) * bad
    data = Batcher(LazySequences.from_list(list(x)), y, size=2)
    return Problem(model, data.shuffled, len(data), lambda b, _: (((model(b.x) - b.y) ** 2).mean(), None), validate)


def test_the_loop_learns_and_yields_a_record_for_each_step() -> None:
    model = Affine()
    optimizer = Optimizer(model.parameters())
    records = list(train(affine_problem(model), Training(max_epochs=200, learning_rate=0.1), optimizer, seed=0))
    assert [r["step"] for r in records] == list(range(1, 401))
    assert {"step", "epoch", "loss", "norm", "rate", "seconds"} <= set(records[0])
    assert records[-1]["mean_loss"] < 1e-3 < records[1]["mean_loss"]
    torch.testing.assert_close(model.w.detach(), torch.tensor([3.0, 1.0]), atol=0.05, rtol=0)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_update_equals_torch(kind: str, decay: float) -> None:
    """Twenty updates by hand and by torch.optim give the same parameters."""
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    made = {
        "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=decay),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=decay),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=decay),
    }[kind](theirs.parameters())
    own = Optimizer(ours.parameters(), kind, decay)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(20):
        own.zero_grad()
        (ours(x) ** 2).sum().backward()
        own.step(0.01)
        made.zero_grad()
        (theirs(x) ** 2).sum().backward()
        made.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_clipping_shortens_the_gradient_and_tells_its_length() -> None:
    model = Affine()
    optimizer = Optimizer(model.parameters())
    optimizer.grad.copy_(torch.tensor([3.0, 4.0]))
    assert optimizer.clip(1.0) == pytest.approx(5.0)
    assert float(optimizer.grad.norm()) == pytest.approx(1.0)
    assert optimizer.clip(None) == pytest.approx(1.0)


def test_schedule_rises_then_falls() -> None:
    options = Training(learning_rate=1.0, schedule="cosine", warmup=0.1)
    rates = [options.rate_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 10
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rates[-1] < 0.02
    assert {Training(learning_rate=0.5).rate_at(step, 9) for step in range(9)} == {0.5}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"max_epochs": 0}, "epochs"), ({"learning_rate": -1.0}, "rate"), ({"schedule": "x"}, "constant"),
     ({"optimizer": "x"}, "sgd"), ({"warmup": 1.0}, "warmup")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(wrong: dict, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Training(**wrong)


def test_a_field_that_is_passed_changes_that_field_of_the_defaults_alone() -> None:
    """Also where the value passed is that of the class, and through copies, pickles and files."""
    tuned = Training(max_epochs=30, batch_size=20, learning_rate=2e-3, optimizer="adamw", patience=5)
    options = Training(batch_size=32)
    assert options.merged_with(tuned) == tuned.replace(batch_size=32).merged_with(Training())
    assert Training(3).merged_with(tuned).batch_size == 20
    copies = [replace(options), copy.deepcopy(options), pickle.loads(pickle.dumps(options)), options.replace()]
    copies.append(Training(**json.loads(json.dumps(asdict(options)))))
    for one in copies:
        assert one == options
        assert one.merged_with(tuned) == options.merged_with(tuned)
    assert replace(options, patience=None, max_epochs=9).explicit == ("max_epochs", "batch_size")
    assert options.replace(patience=None).merged_with(tuned).patience is None
    assert repr(options) == "Training(batch_size=32)"
    with pytest.raises(OptionError, match="no parameter 'batch'"):
        options.replace(batch=3)


def test_training_stops_when_it_no_longer_improves_and_keeps_the_best() -> None:
    """Validation losses 3, 2, 5, 6, 7 … with patience 2: four epochs, and the weights after the second."""
    model, seen, losses = Affine(), [], iter([3.0, 2.0, 5.0, 6.0, 7.0, 8.0])

    def validate() -> float:
        seen.append(model.w.detach().clone())
        return next(losses)

    history = fit(affine_problem(model, validate), Training(max_epochs=6, patience=2))
    assert [r["val_loss"] for r in history] == [3.0, 2.0, 5.0, 6.0]
    torch.testing.assert_close(model.w.detach(), seen[1], atol=0, rtol=0)


def test_truncated_steps_carry_the_state_and_cut_the_gradient() -> None:
    """Cut into pieces, a sequence gives the same outputs; the gradient reaches back to the piece's start only."""
    stack = Stack("lstm", 2, 5)
    x = torch.randn(3, 9, 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    whole, _ = stack(x)
    pieces, state = [], None
    for piece in chunks(Batch(x, torch.zeros(3, 9, 1), torch.tensor([9, 9, 9])), 4):
        assert piece.first == (not pieces)
        y, state = stack(piece.x, detach(state), piece.lengths)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    (gradient,) = torch.autograd.grad(pieces[-1].sum(), x)
    assert float(gradient[:, :8].abs().max()) == 0.0
    assert float(gradient[:, 8:].abs().min()) > 0.0


def test_bptt_as_long_as_the_sequence_changes_nothing() -> None:
    x, y = sine()
    y = np.cumsum(x, axis=1)

    def loss(bptt: int | None) -> float:
        model = Regressor(hidden_size=8, training=Training(max_epochs=2, bptt=bptt)).fit(x, y)
        return model.history_[-1]["mean_loss"]

    assert loss(12) == loss(None) != loss(4)


def test_bptt_needs_a_target_for_each_step() -> None:
    x, y = sine()
    with pytest.raises(OptionError, match="bptt"):
        Regressor(training=Training(bptt=4)).fit(x, y)


def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(tmp_path: Path) -> None:
    """Dropout, shuffling, schedule, moments and the best weights all go on as if nothing had happened."""
    x, y = sine()
    options = Training(max_epochs=6, schedule="cosine", warmup=0.2)

    def model() -> Regressor:
        return Regressor(cell="lstm", hidden_size=8, num_layers=2, dropout=0.3, training=options)

    whole = model().fit(x, y, validation=0.2)
    stopped, folder = 0, tmp_path / "check"

    def watch(record: dict) -> None:
        nonlocal stopped
        stopped = record["epoch"]
        if record["epoch"] == 4:
            raise KeyboardInterrupt

    import rekur.sequence.base as base

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base.Progress, "__enter__", lambda self: watch)
        with pytest.raises(KeyboardInterrupt):
            model().fit(x, y, validation=0.2, checkpoint=folder)
    resumed = model().fit(x, y, validation=0.2, checkpoint=folder)
    assert stopped == 4
    numbers = [{k: v for k, v in r.items() if k != "seconds"} for r in resumed.history_]
    assert numbers == [{k: v for k, v in r.items() if k != "seconds"} for r in whole.history_]
    np.testing.assert_array_equal(resumed.predict(x), whole.predict(x))
    with pytest.raises(ModelFileError, match="another training"):
        model().set_params(hidden_size=9).fit(x, y, checkpoint=folder)


def test_checkpoint_is_whole_or_absent(tmp_path: Path) -> None:
    """A checkpoint that cannot be written leaves the one before as it was."""
    model = Affine()
    optimizer = Optimizer(model.parameters())
    checkpoint = Checkpoint(tmp_path / "c", {"what": 1})
    checkpoint.write(optimizer, optimizer.flat, [{"epoch": 1.0}])
    before = {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()}
    with pytest.raises(ValueError, match="JSON compliant"):
        checkpoint.write(optimizer, optimizer.flat, [{"epoch": math.nan}])
    assert {p.name: p.read_bytes() for p in (tmp_path / "c").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_loss_that_is_not_finite_stops_and_names_the_layer() -> None:
    class Explodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x[:, 0]) * 1e38 * 1e38).sum(-1)

    with pytest.raises(TrainingError, match="layer 'second'"):
        fit(affine_problem(Explodes()), Training())


def test_values_that_are_not_finite_are_named_by_place() -> None:
    x, y = sine()
    x[7, 3, 0] = np.inf
    with pytest.raises(DataError, match="B=7, T=3, I=0"):
        Regressor().fit(x, y)


def test_a_rate_that_is_too_high_ends_in_an_error_not_in_nan() -> None:
    x, y = sine()
    with pytest.raises(TrainingError, match="learning rate"):
        Regressor(training=Training(learning_rate=1e30, gradient_clip=None, optimizer="sgd")).fit(x, y)


def test_seeds_do_not_touch_the_global_generator() -> None:
    x, y = sine()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    Regressor(hidden_size=4, dropout=0.5, num_layers=2).fit(x, y, epochs=1)
    assert torch.equal(before, torch.get_rng_state())


class Clock:
    """A clock that the steps of training move on."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("rekur.training.deadline.time", clock)
    return clock


def timed_problem(clock: Clock, validation_seconds: float = 1.0) -> Problem:
    """Epochs of eight steps of a second each, and a validation."""
    x, model = torch.ones(4, 1, 1), torch.nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, 5.0)

    def loss(batch: Batch, _: object) -> tuple[torch.Tensor, None]:
        clock.now += 1.0
        return (model(batch.x[:, 0]) ** 2).mean(), None

    def validate() -> float:
        clock.now += validation_seconds
        return float((model(x[:, 0]) ** 2).mean())

    return Problem(model, lambda epoch: [Batch(x, x[:, 0])] * 8, 8, loss, validate)


@pytest.mark.parametrize(
    ("limit", "steps", "validated", "end"),
    [(12.0, [8, 10], [True, True], 12.0), (3.0, [3], [False], 3.0), (8.5, [8], [True], 9.0), (0.0001, [1], [False], 1)],
)
def test_a_time_limit_cuts_an_epoch(
    clock: Clock, limit: float, steps: list[int], validated: list[bool], end: float
) -> None:
    """After each step the time that remains is compared with that of a validation; the weights so far are kept."""
    problem = timed_problem(clock)
    history = fit(problem, Training(max_epochs=5, learning_rate=0.1, max_seconds=limit))
    assert [record["step"] for record in history] == steps
    assert ["val_loss" in record for record in history] == validated
    assert ["cut" in record for record in history] == [*[False] * (len(steps) - 1), True]
    assert clock.now == end
    assert problem.model.weight.item() < 5.0
    again = fit(timed_problem(clock), Training(), deadline=Deadline.after(5.0, used=5.0))
    assert again == []


def test_the_clock_of_a_resumed_run_goes_on(clock: Clock, tmp_path: Path) -> None:
    """Interrupted in its third epoch, a run with a limit of 30 s has 13 s left: an epoch and three steps."""
    options = Training(max_epochs=9, learning_rate=0.01, max_seconds=30.0)

    def stop(record: Record) -> None:
        if record["step"] == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(timed_problem(clock), options, 0, stop, Checkpoint(tmp_path / "c", {}))
    assert Checkpoint(tmp_path / "c", {}).seconds() == 17.0
    clock.now += 1000.0
    history = fit(timed_problem(clock), options, 0, None, Checkpoint(tmp_path / "c", {}))
    assert [record["step"] for record in history] == [8, 16, 24, 27]
    assert history[-1]["seconds"] == pytest.approx(29.0)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such threshold")
def test_freed_memory_is_used_again() -> None:
    """An operation on a batch does not fault in the pages of its result each time."""
    import resource

    reuse_freed_memory()
    x = torch.ones(2688, 128)
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            results = [x * 1.0 for _ in range(5)]
            del results
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 50 * 20, f"{faults} page faults in 50 operations on 1.4 MB"
