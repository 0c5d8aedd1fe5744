"""Network of most sequence tasks: encoder, recurrent stack and head; and an ensemble of such networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from rekur.layers.heads import LabelHead
from rekur.layers.pooling import concat_pool

if TYPE_CHECKING:
    from torch import Tensor

    from rekur.core import State
    from rekur.layers.conv_recurrent import ConvRecurrentStack
    from rekur.layers.encoders import Encoder
    from rekur.layers.stack import Stack

Head = TypeVar("Head", bound=nn.Module)
Readout = Literal["steps", "last", "pooled"]


class SequenceOutput(NamedTuple):
    """Raw output of the head, lengths (B,) of the steps or None, and the states of the stack."""

    raw: Tensor
    lengths: Tensor | None
    states: list[State]


class SequenceNet(nn.Module, Generic[Head]):
    """Encoder, stack and head: one raw output for a sequence, or one for each step.

        h_1 … h_T = stack(encoder(x_1 … x_T)),  raw_t = head(h_t)  or  raw = head(h_T)  or
        raw = head([h_T; mean_t h_t; max_t h_t])

    Parameters
    ----------
    encoder : Encoder
        Maps inputs (B, T, ...) to vectors (B, T', I).
    stack : Stack or ConvRecurrentStack
        Maps vectors to outputs (B, T', H).
    head : Module
        Maps outputs to raw values; it also holds the loss and the decoding.
    readout : {"steps", "last", "pooled"}
        Input of the head: the output of each step, of the last step, or last output with mean and maximum.
    dropout : float, default 0.0
        Share of the entries read by the head that are set to zero while training.

    Examples
    --------
    >>> import torch
    >>> from rekur.layers.encoders import NumberEncoder
    >>> from rekur.layers.heads import ValueHead
    >>> from rekur.layers.stack import Stack
    >>> encoder = NumberEncoder(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    >>> net = SequenceNet(encoder, Stack("gru", 2, 8), ValueHead(8, 3), "last")
    >>> net(torch.zeros(4, 5, 2)).raw.shape
    torch.Size([4, 3])
    """

    def __init__(
        self, encoder: Encoder, stack: Stack | ConvRecurrentStack, head: Head, readout: Readout, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.encoder, self.stack, self.head = encoder, stack, head
        self.readout: Readout = readout
        self.dropout = dropout

    def forward(self, x: Tensor, lengths: Tensor | None = None, states: list[State] | None = None) -> SequenceOutput:
        """Map x (B, T, ...) and lengths (B,) to the raw output of the head, from `states` or zeros."""
        vectors, lengths = self.encoder(x, lengths)
        y, states = self.stack(vectors, states, lengths)  # (B, T', H)
        if self.readout == "pooled":
            y = concat_pool(y, self.stack.last(states), lengths)
        elif self.readout == "last":
            y = self.stack.last(states)
        return SequenceOutput(self.head(F.dropout(y, self.dropout, self.training)), lengths, states)


class LabelEnsemble(nn.Module):
    """Mean of the label probabilities of K networks.

        p = 1/K · Σ_k softmax(raw_k),  raw = log p

    Parameters
    ----------
    members : sequence of SequenceNet
        Networks with label heads over the same labels.

    Notes
    -----
    Shapes: x (B, T, ...) and lengths (B,) or None → raw (B, labels), the log-probabilities; the states are those of no
    network.

    References
    ----------
    L. K. Hansen and P. Salamon, 1990, "Neural network ensembles", IEEE Transactions on Pattern Analysis and Machine
    Intelligence 12 (10).

    Examples
    --------
    >>> import torch
    >>> from rekur.layers.encoders import NumberEncoder
    >>> from rekur.layers.stack import Stack
    >>> encoder = NumberEncoder(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    >>> nets = [SequenceNet(encoder, Stack("gru", 2, 8, seed=k), LabelHead(8, 3), "last") for k in range(2)]
    >>> LabelEnsemble(nets)(torch.ones(4, 5, 2)).raw.exp().sum(1).allclose(torch.ones(4))
    True
    """

    def __init__(self, members: Sequence[SequenceNet[LabelHead]]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> SequenceOutput:
        """Log-probabilities (B, labels) of x (B, T, ...) with lengths (B,)."""
        log_p = torch.stack([net(x, lengths).raw.log_softmax(-1) for net in self.members])  # (K, B, labels)
        return SequenceOutput(log_p.logsumexp(0) - math.log(len(log_p)), None, [])
