"""Layers: stacks of cells and the heads that turn their output into values, quantiles or labels."""
