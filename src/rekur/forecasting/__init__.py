"""Forecasting: from a panel of time series to calibrated quantile forecasts."""
