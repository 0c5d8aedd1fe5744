"""Stacks, heads, the linear path and the patches: equal to torch where torch has them, and the promises they make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rekur.core import OptionError
from rekur.layers.autoregression import seasonal_naive, solve
from rekur.layers.dropout import variational_dropout
from rekur.layers.forecast_nets import PatchNet
from rekur.layers.fused import gated_perceptron
from rekur.layers.heads import LabelHead, QuantileHead, ValueHead
from rekur.layers.stack import Stack

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
NAMES = {"W": "weight_ih", "R": "weight_hh", "bW": "bias_ih", "bR": "bias_hh"}


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", KINDS)
def test_stack_equals_torch(cell: str, both: bool) -> None:
    """Two layers, one or two directions, unequal lengths: outputs, last states and their order are torch's."""
    B, T, I, H = 4, 9, 3, 6  # noqa: E741
    lengths = torch.tensor([9, 4, 1, 7])
    ours = Stack(cell, I, H, num_layers=2, bidirectional=both)
    theirs = KINDS[cell](I, H, num_layers=2, bidirectional=both, batch_first=True)
    for k, layer in enumerate(ours.layers):
        for d, direction in enumerate(layer):
            for name, parameter in direction.named_parameters():
                getattr(theirs, f"{NAMES[name]}_l{k}{'_reverse' * d}").data.copy_(parameter.data)
    x = torch.randn(B, T, I, generator=torch.Generator().manual_seed(0))
    y, states = ours(x, None, lengths)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, last = theirs(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=T)
    bound = 4 * T * torch.finfo(torch.float32).eps
    assert (y - expected).abs().max() <= bound, f"{(y - expected).abs().max():.1e} > {bound:.1e}"
    h = last[0] if cell == "lstm" else last
    assert (torch.stack([state.h for state in states]) - h).abs().max() <= bound
    end = torch.cat([h[-2], h[-1]], 1) if both else h[-1]
    assert (ours.last(states) - end).abs().max() <= bound


def test_stack_goes_on_from_its_states() -> None:
    stack = Stack("lstm", 2, 5, num_layers=3)
    x = torch.randn(2, 10, 2, generator=torch.Generator().manual_seed(0))
    whole, _ = stack(x)
    first, states = stack(x[:, :6])
    second, _ = stack(x[:, 6:], states)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_normalized_layers_see_and_give_steps_of_mean_zero_and_variance_one() -> None:
    x = 7 + 3 * torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    plain, normal = (Stack("gru", 5, 6, normalize=r) for r in (False, True))
    one = torch.nn.functional.layer_norm
    torch.testing.assert_close(normal(x)[0], one(plain(one(x, (5,)))[0], (6,)))
    with torch.no_grad():
        normal.norms[-1].weight.fill_(2.0)
        normal.norms[-1].bias.fill_(1.0)
    torch.testing.assert_close(normal(x)[0], 1 + 2 * one(plain(one(x, (5,)))[0], (6,)))


def test_dropout_acts_between_layers_while_training_only() -> None:
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    one, two = Stack("gru", 2, 8, dropout=0.5), Stack("gru", 2, 8, num_layers=2, dropout=0.5)
    assert torch.equal(one.train()(x)[0], one.eval()(x)[0])
    assert not torch.equal(two.train()(x)[0], two.eval()(x)[0])
    assert torch.equal(two.eval()(x)[0], two.eval()(x)[0])


def test_weights_are_drawn_like_torchs_and_from_the_seed() -> None:
    one, same, other = (Stack("gru", 3, 16, num_layers=2, seed=s) for s in (1, 1, 2))
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        assert a.abs().max() <= 16**-0.5


@pytest.mark.parametrize("wrong", [{"num_layers": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_stack_options(wrong: dict) -> None:
    with pytest.raises(OptionError):
        Stack("gru", 2, 3, **wrong)


@pytest.mark.parametrize(("loss", "value"), [("mse", 2.5), ("mae", 1.5), ("huber", 1.0)])
def test_value_head(loss: str, value: float) -> None:
    """Errors 1 and 2; with weights 1 and 0 only the first counts."""
    head = ValueHead(3, 1, loss)
    raw, target = torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1)
    assert float(head.loss(raw, target)) == pytest.approx(value)
    first = {"mse": 1.0, "mae": 1.0, "huber": 0.5}[loss]
    assert float(head.loss(raw, target, torch.tensor([1.0, 0.0]))) == pytest.approx(first)
    assert torch.equal(head.decode(raw), raw)
    with pytest.raises(OptionError, match="'huber'"):
        ValueHead(3, 1, "rmse")


def test_label_head() -> None:
    head = LabelHead(4, 3)
    raw = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[0, 1], [2, 2], [1, 0], [0, 0], [1, 2]])
    expected = nn.functional.cross_entropy(raw.flatten(0, 1), target.flatten())
    assert float(head.loss(raw, target)) == pytest.approx(float(expected), rel=1e-6)
    weight = torch.zeros(5, 2)
    weight[3, 1] = 2.0
    alone = nn.functional.cross_entropy(raw[3, 1][None], target[3, 1][None])
    assert float(head.loss(raw, target, weight)) == pytest.approx(float(alone), rel=1e-6)
    torch.testing.assert_close(head.probabilities(raw).sum(-1), torch.ones(5, 2))
    assert torch.equal(head.decode(raw), raw.argmax(-1))


def test_quantiles_rise_and_their_loss_is_least_at_the_quantiles() -> None:
    """Trained on draws of a known distribution, every level finds its quantile."""
    levels = (0.1, 0.25, 0.5, 0.9)
    head = QuantileHead(1, 1, levels)
    random = torch.Generator().manual_seed(0)
    draws = -torch.log(torch.rand(4000, 1, generator=random))  # exponential: quantile τ is -log(1 - τ)
    raw = torch.zeros(1, 1, 4, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        head.loss(raw.expand(4000, 1, 4), draws).backward()
        optimizer.step()
    found = head.decode(raw.detach())[0, 0]
    torch.testing.assert_close(
        found, torch.tensor([-np.log(1 - q) for q in levels], dtype=torch.float32), atol=0.06, rtol=0
    )
    wild = head.decode(100 * torch.randn(50, 1, 4, generator=random))
    assert (wild.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_quantile_levels_are_checked(levels: tuple) -> None:
    with pytest.raises(OptionError, match="increase"):
        QuantileHead(1, 1, levels)


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.5, 0.9), (0.2, 0.4, 0.9, 0.95), (0.6, 0.9)])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_fused_quantile_loss_is_the_mean_pinball_loss(levels: tuple[float, ...], weighted: bool) -> None:
    """Equal to the plain expression over decoded quantiles in value and gradient, and correct by gradcheck."""
    random = torch.Generator().manual_seed(0)
    head = QuantileHead(1, 5, levels).double()
    raw = 4 * torch.randn(3, 5, len(levels), generator=random, dtype=torch.float64)
    raw[0, 0] = 30.0  # softplus(x) = x
    raw.requires_grad_()
    y = torch.randn(3, 5, generator=random, dtype=torch.float64)
    weight = torch.rand(3, 5, generator=random, dtype=torch.float64) if weighted else None
    error = y[..., None] - head.decode(raw)
    each = 2 * torch.maximum(head.levels * error, (head.levels - 1) * error).mean(-1)
    plain = each.mean() if weight is None else (each * weight).sum() / weight.sum()
    torch.testing.assert_close(head.loss(raw, y, weight), plain)
    expected, gradient = (torch.autograd.grad(loss, raw)[0] for loss in (plain, head.loss(raw, y, weight)))
    torch.testing.assert_close(gradient, expected)
    assert torch.autograd.gradcheck(lambda raw: head.loss(raw, y, weight), raw)


@pytest.mark.parametrize("dropout", [True, False])
def test_the_fused_perceptron_equals_its_expression(dropout: bool) -> None:
    """z = y + mask·(W₃·(silu(W₁·n) · (W₂·n))) with the gradients of autograd, and correct by gradcheck."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()

    y, mask = draw(2, 3, 4), (torch.rand(2, 1, 4, generator=random) > 0.3).double() if dropout else None
    parameters = [draw(4), draw(4), draw(8, 4), draw(8), draw(8, 4), draw(8), draw(4, 8), draw(4)]
    γ, β, W1, b1, W2, b2, W3, b3 = parameters
    n = F.layer_norm(y, (4,), γ, β, 1e-3)
    z = F.linear(F.silu(F.linear(n, W1, b1)) * F.linear(n, W2, b2), W3, b3)
    plain, fused = y + (z if mask is None else z * mask), gated_perceptron(y, mask, 1e-3, *parameters)
    torch.testing.assert_close(fused, plain)
    weight = torch.randn(2, 3, 4, generator=random, dtype=torch.float64)
    expected, grads = (torch.autograd.grad((out * weight).sum(), [y, *parameters]) for out in (plain, fused))
    for name, a, b in zip("yγβWbVcUd", grads, expected, strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")
    assert torch.autograd.gradcheck(lambda *t: gated_perceptron(t[0], mask, 1e-3, *t[1:]), [y, *parameters])


def test_the_linear_path_is_ridge_towards_the_prior() -> None:
    """No penalty gives least squares, an endless one the prior; between them the normal equations hold."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(60, 5, generator=random, dtype=torch.float64)
    y = torch.randn(60, 2, generator=random, dtype=torch.float64)
    w = torch.rand(60, generator=random, dtype=torch.float64) + 0.5
    prior = torch.randn(5, 2, generator=random, dtype=torch.float64)
    free, some, tied = solve(x, y, w, prior, [0.0, 0.3, 1e12])
    torch.testing.assert_close(free, torch.linalg.lstsq(w[:, None] * x, w[:, None] * y).solution)
    torch.testing.assert_close(tied, prior, atol=1e-6, rtol=0)
    gradient = x.T @ (w[:, None] ** 2 * (x @ some - y)) + 0.3 * 60 * (some - prior)
    assert gradient.abs().max() < 1e-10


def test_seasonal_naive_weights_repeat_the_last_season() -> None:
    past = torch.arange(10, dtype=torch.float64)
    assert (past @ seasonal_naive(10, 7, 3)).tolist() == [7, 8, 9, 7, 8, 9, 7]


def test_patches_begin_at_the_linear_forecast_and_the_past_flows_into_the_future() -> None:
    net = PatchNet("gru", 4, 3, 8, 2, QuantileHead(8, 4, (0.1, 0.5, 0.9)), 0.0, 0).eval()
    x = torch.randn(5, 7, 11, generator=torch.Generator().manual_seed(0), requires_grad=True)
    raw = net(x, 2)
    assert raw.shape == (5, 2, 4, 3)
    median = net.head.decode(raw)[..., 1]
    torch.testing.assert_close(median, x[:, -2:, :4])
    (gradient,) = torch.autograd.grad(raw[:, 0].sum(), x)
    assert gradient[:, 0].abs().max() > 0
    assert gradient[:, -1].abs().max() == 0


def test_variational_dropout_drops_the_same_entries_at_every_step() -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 6, 40) + 0.5
    y = variational_dropout(x, 0.25)
    dropped = y == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(y))
    torch.testing.assert_close(y[~dropped], x[~dropped] / 0.75)
    assert 0.1 < float(dropped.float().mean()) < 0.4
    assert variational_dropout(x, 0.25, training=False) is x
    assert variational_dropout(x, 0.0) is x


def test_the_loss_and_labels_of_steps_do_not_depend_on_how_they_are_shaped() -> None:
    """(B, T) steps at once, or one row of B·T labels."""
    random = torch.Generator().manual_seed(0)
    head, h = LabelHead(4, 3), torch.randn(2, 5, 4, generator=random)
    target, weight = torch.randint(0, 3, (2, 5), generator=random), torch.rand(2, 5, generator=random)
    raw = head(h)
    torch.testing.assert_close(
        head.loss(raw, target, weight), head.loss(raw.flatten(0, 1), target.flatten(), weight.flatten())
    )
    assert head.decode(raw, torch.tensor([5, 3])).tolist() == head.probabilities(raw).argmax(-1).tolist()
