"""Cells over pictures: the dense cells at every place, which see their neighbours and mind lengths and direction."""

from __future__ import annotations

import pytest
import torch

from rekur.cells import cell as cell_by_name
from rekur.core import OptionError, Weights
from rekur.kernels import scan
from rekur.layers.conv_recurrent import CONVOLUTIONAL, ConvRecurrent, ConvRecurrentStack

every_cell = pytest.mark.parametrize("name", CONVOLUTIONAL)


def drawn(*shape: int) -> torch.Tensor:
    """Normal numbers by a fixed seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@every_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_kernels_of_size_one_are_the_dense_cell_at_every_place(name: str, reverse: bool) -> None:
    """y and its gradient, with rows of unequal length."""
    made = ConvRecurrent(name, 3, 4, kernel_size=1, reverse=reverse, seed=1)
    x, lengths = drawn(2, 5, 3, 2, 3).requires_grad_(), torch.tensor([5, 3])
    y, state = made(x, None, lengths)
    weights = Weights(made.W.flatten(1), made.R.flatten(1), made.bW, made.bR)
    places = x.permute(0, 3, 4, 1, 2).flatten(0, 2)  # (B·height·width, T, C)
    inner = cell_by_name(name.removeprefix("conv_"))
    wanted, after = scan(inner, places, weights, None, lengths.repeat_interleave(6), reverse, "reference")
    shape = (2, 2, 3, 5, 4)
    torch.testing.assert_close(y, wanted.view(shape).permute(0, 3, 4, 1, 2))
    torch.testing.assert_close(state[0], after[0].view(2, 2, 3, 4).permute(0, 3, 1, 2))
    mine, theirs = (torch.autograd.grad(out.square().sum(), x)[0] for out in (y, wanted))
    torch.testing.assert_close(mine, theirs)


@every_cell
def test_a_place_sees_its_neighbours_one_kernel_further_each_step(name: str) -> None:
    made = ConvRecurrent(name, 1, 2, seed=1)
    x = drawn(1, 3, 1, 9, 9)
    other = x.clone()
    other[0, 0, 0, 4, 4] += 1.0
    far = (made(other)[0] - made(x)[0]).abs().amax(2)[0] > 0  # (T, 9, 9)
    for t, reach in enumerate((1, 2, 3)):
        inside = torch.zeros(9, 9, dtype=torch.bool)
        inside[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
        assert not bool(far[t][~inside].any())
        assert bool(far[t][4 - reach].any())


def test_what_stands_beyond_a_length_reaches_nothing() -> None:
    stack = ConvRecurrentStack("conv_lstm", 2, 3, num_layers=2, bidirectional=True)
    x, lengths = drawn(2, 4, 2, 3, 3), torch.tensor([4, 2])
    other = x.clone()
    other[1, 2:] = torch.nan
    y, states = stack(x, None, lengths)
    changed, after = stack(other, None, lengths)
    alone, last = stack(x[1:, :2])
    torch.testing.assert_close(changed, y)
    torch.testing.assert_close(stack.last(after), stack.last(states))
    torch.testing.assert_close(y[1:, :2], alone)
    torch.testing.assert_close(stack.last(states)[1:], stack.last(last))
    assert y.shape == (2, 4, stack.size)


def test_a_fold_goes_on_from_the_state_it_left() -> None:
    made, x = ConvRecurrent("conv_gru", 2, 3), drawn(1, 6, 2, 4, 4)
    whole, end = made(x)
    first, state = made(x[:, :2])
    second, after = made(x[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(after.h, end.h)


def test_weights_come_from_the_bound_of_their_fan_in() -> None:
    made = ConvRecurrent("conv_lstm", 2, 8, kernel_size=3)
    bound = (8 * 9) ** -0.5
    for weight in (made.W, made.R, made.bW, made.bR):
        assert 0.8 * bound < float(weight.detach().abs().max()) <= bound
    with pytest.raises(OptionError, match="kernel_size must be odd"):
        ConvRecurrent("conv_lstm", 2, 8, kernel_size=2)
    with pytest.raises(OptionError, match="conv_gru_before"):
        ConvRecurrent("conv_gru_before", 2, 8)
