"""Frequencies: arithmetic, inference, irregular sampling, calendar features and seasonality."""
