"""Training: options, the loop, the optimizer, checkpoints and progress bars."""
