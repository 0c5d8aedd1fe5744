"""Numbers, metrics, frequencies and names as text and HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from rekur.baselines import METHODS, describe
from rekur.data.frequency.frequency import DAY, HOUR, MINUTE, SECOND, WEEK, Frequency
from rekur.forecasting.forecast import NAME

METRICS = {
    "MASE": (
        "MASE",
        "mean absolute scaled error: in units of the in-sample error of the seasonal naive forecast; below 1 is "
        "better than that.",
    ),
    "sMAPE": ("sMAPE %", "symmetric mean absolute percentage error, between 0 and 200."),
    "RMSE": ("RMSE", "root mean squared error, in the unit of the values; large errors weigh more."),
    "WQL": (
        "WQL",
        "weighted quantile loss: the error of all quantiles, not of the median alone, relative to the size of "
        "the values.",
    ),
    "MSIS80": (
        "MSIS",
        "mean scaled interval score of the 80 % interval: its width and ten times the distance of values outside "
        "it, in the units of MASE.",
    ),
    "coverage80": (
        "80 % coverage",
        "share of the values inside the 80 % interval: 80 % is best, more is too cautious.",
    ),
}
"""Heading and description of each metric."""

SCORES = {
    "accuracy": "share of the predictions that are right.",
    "f1": "F1 of each label, the harmonic mean of precision and recall; the mean over labels, rare ones count as much.",
    "exact_match": "share of the examples that are right as a whole.",
    "span_f1": "F1 of whole spans, such as a name of several words: right if all of its tags are.",
    "word_error_rate": "words that were replaced, left out or added, as a share of the true words; 0 is best.",
    "character_error_rate": "the same for characters; 0 is best.",
    "bleu": "share of the runs of one to four words that also stand in the true text, from 0 to 1.",
    "rouge1": "words that the predicted and the true text share, as F1.",
    "rouge2": "pairs of words that both share, as F1.",
    "rougeL": "length of the longest sequence of words that both share, as F1.",
    "perplexity": "number of equally likely pieces, words or parts of words, to guess the next from; less is better.",
    "r2": "share of the variance of the values that is explained; 1 is best, 0 is as good as their mean.",
    "rmse": "root mean squared error, in the unit of the values.",
    "mae": "mean absolute error, in the unit of the values.",
}
"""Description of each score of a task on sequences."""

NETWORKS = {
    "corrected": "a linear forecast from the last values, which recurrent blocks correct; it reads each window "
    "relative to the window's own level and spread.",
    "direct": "one recurrence without a linear forecast; it reads each window relative to its last value, in units of "
    "the spread of the series.",
}
"""Description of each kind of network."""

MODELS = {
    "regression": "the effects of the covariates known for the future, and the Theta method for the rest.",
    "smoothing": "the Theta method: exponential smoothing of the values without their season, with half of the trend.",
    "seasonal_naive": "the value of one season before.",
    "naive": "the last value.",
    "drift": "the last value, continued by the mean slope of the history.",
}
"""Description of each baseline."""

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SPACE = "\u00a0"  # does not break


def format_number(value: float, digits: int = 4) -> str:
    """Format a number with significant digits, and a power of ten where it is very large or small.

    >>> format_number(12345.678), format_number(0.98765), format_number(float("nan"))
    ('12,346', '0.9877', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 7:
        return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")
    scaled, power = f"{value:.{digits - 1}e}".split("e")
    return f"{scaled}{SPACE}×{SPACE}10{str(int(power)).translate(SUPERSCRIPT)}".replace("-", "−")


def format_metric(name: str, value: float) -> str:
    """Format the value of a metric for its column of the table."""
    if not math.isfinite(value):
        return "–"
    if name == "coverage80":
        return f"{100 * value:.0f}{SPACE}%"
    if name == "sMAPE":
        return f"{value:.2f}"
    if name in ("MASE", "MSIS80"):
        return f"{value:.3f}" if value < 1000 else format_number(value)
    return format_number(value, 3 if name == "WQL" else 4)


def distance_to_best(name: str, value: float) -> float:
    """Distance of a metric from its best possible value."""
    return abs(value - 0.8) if name == "coverage80" else value


def model_name(name: str) -> str:
    """Readable name of a model: rekur or a baseline."""
    return describe(name) if name in METHODS else NAME if name == NAME else name.replace("_", " ")


def format_frequency(freq: Frequency) -> str:
    """Format a frequency: hourly, every 30 minutes, monthly."""
    if freq.kind == "business":
        return "business days"
    if freq.kind == "integer":
        return "one step apart" if freq.step == 1 else f"{freq.step:,} units apart"
    if freq.kind == "month":
        names = {1: "monthly", 3: "quarterly", 12: "yearly"}
        return names.get(freq.step, f"every {plural(freq.step, 'month')}")
    names = {SECOND: "every second", MINUTE: "every minute", HOUR: "hourly", DAY: "daily", WEEK: "weekly"}
    if freq.step in names:
        return names[freq.step]
    units = ((WEEK, "week"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
    return next(
        (f"every {plural(freq.step // size, unit)}" for size, unit in units if freq.step % size == 0),
        f"every {freq.step:,} µs",
    )


def plural(n: int, noun: str) -> str:
    """Format a count with its noun: 1 row, 2 rows, 3 series.

    >>> plural(1, "row"), plural(2000, "row"), plural(2, "series")
    ('1 row', '2,000 rows', '2 series')
    """
    return f"{n:,} {noun}" if n == 1 or noun.endswith("s") else f"{n:,} {noun}s"


def definition_list(items: Sequence[tuple[str, ...]]) -> str:
    """Terms with their descriptions, or with values and their descriptions, as an HTML list; all are escaped."""
    lines = []
    for term, text, *more in items:
        described = "".join(f"<small>{escape(each)}</small>" for each in more if each)
        lines.append(f"<div><dt>{escape(term)}</dt><dd>{escape(text)}{described}</dd></div>")
    return f"<dl>{''.join(lines)}</dl>"
