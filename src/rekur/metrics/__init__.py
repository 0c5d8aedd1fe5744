"""Metrics of forecasts, labels and texts: pure functions, each with its source."""

from __future__ import annotations

from rekur.metrics.forecast import (
    at_level,
    coverage,
    mae,
    mase,
    msis,
    pinball,
    pinball_error,
    rmse,
    seasonal_scale,
    smape,
    summary,
    wql,
)
from rekur.metrics.sequence import (
    accuracy,
    beside,
    bleu,
    confusion,
    letter_error,
    macro_f1,
    rouge,
    span_f1,
    spans,
    word_error,
)

__all__ = [
    "accuracy",
    "at_level",
    "beside",
    "bleu",
    "confusion",
    "coverage",
    "letter_error",
    "macro_f1",
    "mae",
    "mase",
    "msis",
    "pinball",
    "pinball_error",
    "rmse",
    "rouge",
    "seasonal_scale",
    "smape",
    "span_f1",
    "spans",
    "summary",
    "word_error",
    "wql",
]
