"""Frequencies of time series: inference, irregular times, calendar features and season lengths."""
