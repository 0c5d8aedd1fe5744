"""Forecasts without training: a network that was trained on synthetic series."""
