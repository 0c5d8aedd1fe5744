"""How large the net of a task is and how it is trained, where the user does not say: a recipe for each input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rekur.training.config import Training


@dataclass(frozen=True)
class NetworkSize:
    """The size of a net; a value.

    vectors : size of what the encoder gives, where it can be chosen · hidden, layers, bidirectional : the stack ·
    dropout : share of entries set to zero while training, before, between and behind the layers · forget : share of
    tokens that are hidden, of bands and spans of time, or spread of the noise, while training
    """

    vectors: int = 128
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.3
    forget: float = 0.0


RISING = 100  # steps in which the rate rises, at least


@dataclass(frozen=True)
class TaskDefaults:
    """A shape, how to train, and how many steps that should take, within what number of epochs.

    Training ends before if a third of the epochs, and no fewer than five, have brought nothing better. The rate rises
    for a hundred steps or more (at most three tenths of all): nets over frames never learn if it is high at once.
    """

    shape: NetworkSize
    training: Training
    steps: int
    epochs: tuple[int, int]

    def trained(self, length: int, training: Training | None = None, epochs: int | None = None) -> Training:
        """Options for epochs of `length` steps: the fields of `training`, and these defaults for all others.

        `epochs` takes the place of `training.max_epochs`.
        """
        options = Training() if training is None else training
        fewest, most = self.epochs
        if epochs is not None:
            options = options.replace(max_epochs=epochs)
        elif "max_epochs" not in options.explicit:
            options = options.replace(max_epochs=max(fewest, min(most, round(self.steps / length))))
        warmup = min(0.3, max(self.training.warmup, RISING / (length * options.max_epochs)))
        return options.merged_with(self.training.replace(patience=max(5, options.max_epochs // 3), warmup=warmup))


STEADY = Training(
    batch_size=32, learning_rate=2e-3, schedule="cosine", warmup=0.05, optimizer="adamw", weight_decay=1e-2
)
SPOKEN = TaskDefaults(NetworkSize(192, 192, 3, True, 0.2, 0.2), replace(STEADY, batch_size=16), 8_000, (10, 120))

DEFAULTS: Mapping[tuple[str, str], TaskDefaults] = {
    ("label", "numbers"): TaskDefaults(NetworkSize(64, 64, 1, True, 0.2, 0.05), STEADY, 2_000, (10, 150)),
    ("label", "text"): TaskDefaults(NetworkSize(128, 128, 1, True, 0.5, 0.1), STEADY, 3_000, (4, 8)),
    ("label", "words"): TaskDefaults(NetworkSize(100, 128, 1, True, 0.5, 0.1), STEADY, 3_000, (4, 12)),
    ("label", "audio"): TaskDefaults(NetworkSize(128, 128, 2, True, 0.2, 0.15), STEADY, 3_000, (10, 60)),
    ("label", "video"): TaskDefaults(NetworkSize(64, 128, 1, True, 0.1, 0.15), STEADY, 1_500, (8, 40)),
    ("label", "pictures"): TaskDefaults(NetworkSize(32, 32, 1, False, 0.2), STEADY, 1_500, (8, 40)),
    ("tags", "words"): TaskDefaults(NetworkSize(100, 128, 1, True, 0.5, 0.05), STEADY, 6_000, (10, 30)),
    ("transcript", "audio"): SPOKEN,
    ("transcript", "numbers"): SPOKEN,
    ("text", "text"): TaskDefaults(
        NetworkSize(256, 256, 1, True, 0.3, 0.05), replace(STEADY, batch_size=64), 7_000, (10, 40)
    ),
    ("text", "video"): TaskDefaults(NetworkSize(64, 128, 1, True, 0.1, 0.15), STEADY, 2_500, (10, 80)),
    ("text", "numbers"): TaskDefaults(NetworkSize(64, 128, 1, True, 0.1), STEADY, 4_000, (10, 80)),
    ("next", "text"): TaskDefaults(
        NetworkSize(400, 400, 2, False, 0.25), replace(STEADY, batch_size=20, bptt=35), 8_000, (3, 15)
    ),
}
"""By what comes out and what goes in; the sizes were chosen on held-out parts (docs/design.md, section 6)."""


def shaped(recipe: TaskDefaults, **given: Any) -> NetworkSize:
    """The shape of a recipe, with what the user has said instead."""
    return replace(recipe.shape, **{name: value for name, value in given.items() if value is not None})
