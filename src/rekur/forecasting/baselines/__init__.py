"""Baselines on the windows of a panel, and the covariates that they read."""
