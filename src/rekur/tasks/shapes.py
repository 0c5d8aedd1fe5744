"""How large the net of a task is and how it is trained, where the user does not say: a recipe for each input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rekur.train import Training


@dataclass(frozen=True)
class Shape:
    """The size of a net; a value.

    vectors : size of what the encoder gives, where it can be chosen · hidden, layers, bidirectional : the stack ·
    dropout : share of entries set to zero while training, before, between and behind the layers · forget : share of
    tokens that are hidden, of bands and spans of time, or spread of the noise, while training
    """

    vectors: int = 128
    hidden: int = 128
    layers: int = 1
    bidirectional: bool = True
    dropout: float = 0.3
    forget: float = 0.0


RISING = 100  # steps in which the rate rises, at least


@dataclass(frozen=True)
class Recipe:
    """A shape, how to train, and how many steps that should take, within what number of epochs.

    Training ends before if a third of the epochs, and no fewer than five, have brought nothing better. The rate rises
    for a hundred steps or more (at most three tenths of all): nets over frames never learn if it is high at once.
    """

    shape: Shape
    training: Training
    steps: int
    epochs: tuple[int, int]

    def trained(self, length: int, epochs: int | None = None) -> Training:
        """How to train where an epoch has so many steps, for so many epochs if they are given."""
        fewest, most = self.epochs
        given = max(fewest, min(most, round(self.steps / length))) if epochs is None else epochs
        rising = min(0.3, max(self.training.warmup, RISING / (length * given)))
        return replace(self.training, epochs=given, patience=max(5, given // 3), warmup=rising)


STEADY = Training(batch=32, rate=2e-3, schedule="cosine", warmup=0.05, optimizer="adamw", weight_decay=1e-2)

RECIPES: Mapping[tuple[str, str], Recipe] = {
    ("label", "numbers"): Recipe(Shape(64, 64, 1, True, 0.2, 0.05), STEADY, 2_000, (10, 150)),
    ("label", "text"): Recipe(Shape(128, 128, 1, True, 0.5, 0.1), STEADY, 3_000, (4, 8)),
    ("label", "words"): Recipe(Shape(100, 128, 1, True, 0.5, 0.1), STEADY, 3_000, (4, 12)),
    ("label", "audio"): Recipe(Shape(128, 128, 2, True, 0.2, 0.15), STEADY, 3_000, (10, 60)),
    ("label", "video"): Recipe(Shape(64, 128, 1, True, 0.1, 0.15), STEADY, 1_500, (8, 40)),
    ("label", "pictures"): Recipe(Shape(32, 32, 1, False, 0.2), STEADY, 1_500, (8, 40)),
    ("tags", "words"): Recipe(Shape(100, 128, 1, True, 0.5, 0.05), STEADY, 6_000, (10, 30)),
    ("transcript", "audio"): Recipe(Shape(192, 192, 3, True, 0.2, 0.2), replace(STEADY, batch=16), 8_000, (10, 120)),
    ("transcript", "numbers"): Recipe(Shape(192, 192, 3, True, 0.2, 0.2), replace(STEADY, batch=16), 8_000, (10, 120)),
    ("text", "text"): Recipe(Shape(256, 256, 1, True, 0.3, 0.05), replace(STEADY, batch=64), 7_000, (10, 40)),
    ("text", "video"): Recipe(Shape(64, 128, 1, True, 0.1, 0.15), STEADY, 2_500, (10, 80)),
    ("text", "numbers"): Recipe(Shape(64, 128, 1, True, 0.1), STEADY, 4_000, (10, 80)),
    ("next", "text"): Recipe(Shape(400, 400, 2, False, 0.25), replace(STEADY, batch=20, bptt=35), 8_000, (3, 15)),
}
"""By what comes out and what goes in; the sizes were chosen on held-out parts (docs/design.md, section 6)."""


def shaped(recipe: Recipe, **given: Any) -> Shape:
    """The shape of a recipe, with what the user has said instead."""
    return replace(recipe.shape, **{name: value for name, value in given.items() if value is not None})
