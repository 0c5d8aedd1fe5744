"""Probabilistic forecasting of time series: the forecaster, its forecasts and its backtests."""

from __future__ import annotations

from rekur.forecasting.cross_validation import Backtest, cross_validate
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.forecaster import Forecaster

__all__ = ["Backtest", "Forecast", "Forecaster", "cross_validate"]
