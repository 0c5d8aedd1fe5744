"""Metrics: accuracy of forecasts, and scores of labels, tags and texts."""

from __future__ import annotations

from rekur.metrics.clusters import ClusteredMean, clustered_mean, student_t
from rekur.metrics.comparison import Comparison, mcnemar, paired_bootstrap, ratio
from rekur.metrics.point_forecast import mae, mase, rmse, seasonal_scale, smape
from rekur.metrics.quantile_forecast import at_level, coverage, msis, pinball, pinball_error, summary, wql
from rekur.metrics.sequence import (
    accuracy,
    bio_spans,
    bleu,
    character_error_rate,
    confusion_matrix,
    macro_f1,
    rouge,
    score_table,
    span_f1,
    word_error_rate,
)

__all__ = [
    "ClusteredMean",
    "Comparison",
    "accuracy",
    "at_level",
    "bio_spans",
    "bleu",
    "character_error_rate",
    "clustered_mean",
    "confusion_matrix",
    "coverage",
    "macro_f1",
    "mae",
    "mase",
    "mcnemar",
    "msis",
    "paired_bootstrap",
    "pinball",
    "pinball_error",
    "ratio",
    "rmse",
    "rouge",
    "score_table",
    "seasonal_scale",
    "smape",
    "span_f1",
    "student_t",
    "summary",
    "word_error_rate",
    "wql",
]
