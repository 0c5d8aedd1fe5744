"""Training: options, the loop, the optimizer, checkpoints and progress bars."""

from __future__ import annotations

from rekur.training.checkpoint import Checkpoint
from rekur.training.config import Training
from rekur.training.deadline import Deadline
from rekur.training.loop import Problem, fit, train
from rekur.training.optimizer import Optimizer
from rekur.training.progress import Progress

__all__ = ["Checkpoint", "Deadline", "Optimizer", "Problem", "Progress", "Training", "fit", "train"]
