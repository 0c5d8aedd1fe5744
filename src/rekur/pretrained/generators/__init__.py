"""Synthetic series of many kinds, drawn in batches: the only training data of the pretrained networks."""

from rekur.pretrained.generators.mixture import LONG, SHORT, Mixture, draw_series
from rekur.pretrained.generators.series import Series

__all__ = ["LONG", "SHORT", "Mixture", "Series", "draw_series"]
