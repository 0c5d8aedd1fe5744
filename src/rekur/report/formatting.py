"""How the report puts numbers, frequencies and measures into words."""

from __future__ import annotations

import math
from html import escape

from rekur.baselines import BASELINES, describe
from rekur.data.frequency.frequency import DAY, HOUR, MINUTE, SECOND, WEEK, Frequency
from rekur.forecasting.forecast import NAME

MEASURES = {
    "MASE": (
        "MASE",
        "mean absolute error in units of the error that repeating the last season made in the past; below 1 is "
        "better than that.",
    ),
    "sMAPE": (
        "sMAPE %",
        "mean absolute error in percent of the mean size of value and forecast, between 0 and 200.",
    ),
    "RMSE": ("RMSE", "root of the mean squared error, in the unit of the values; large errors weigh more."),
    "WQL": (
        "WQL",
        "weighted quantile loss: how well all the quantiles fit, not the median alone, relative to the size of "
        "the values.",
    ),
    "coverage80": (
        "80 % coverage",
        "share of the values that fell into the 80 % interval: 80 % is best, more is too cautious.",
    ),
}
"""measure → its heading and what it says."""

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SPACE = "\u00a0"  # does not break


def number(value: float, digits: int = 4) -> str:
    """Write a number for people: as many digits as told, a power of ten where it is very large or small.

    >>> number(12345.678), number(0.98765), number(float("nan"))
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


def measure(name: str, value: float) -> str:
    """Write the value of a measure as its column in the table shows it."""
    if not math.isfinite(value):
        return "–"
    if name == "coverage80":
        return f"{100 * value:.0f}{SPACE}%"
    if name == "sMAPE":
        return f"{value:.2f}"
    if name == "MASE":
        return f"{value:.3f}" if value < 1000 else number(value)
    return number(value, 3 if name == "WQL" else 4)


def distance(name: str, value: float) -> float:
    """How far a measure is from the best value it could have."""
    return abs(value - 0.8) if name == "coverage80" else value


def model_name(name: str) -> str:
    """The readable name of a model."""
    return describe(name) if name in BASELINES else NAME if name == NAME else name.replace("_", " ")


def frequency(freq: Frequency) -> str:
    """A frequency in words: hourly, every 30 minutes, monthly."""
    if freq.kind == "business":
        return "business days"
    if freq.kind == "integer":
        return "one step apart" if freq.step == 1 else f"{freq.step:,} units apart"
    if freq.kind == "month":
        known = {1: "monthly", 3: "quarterly", 12: "yearly"}
        return known.get(freq.step, f"every {plural(freq.step, 'month')}")
    known = {SECOND: "every second", MINUTE: "every minute", HOUR: "hourly", DAY: "daily", WEEK: "weekly"}
    if freq.step in known:
        return known[freq.step]
    units = ((WEEK, "week"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))
    return next(
        (f"every {plural(freq.step // size, unit)}" for size, unit in units if freq.step % size == 0),
        f"every {freq.step:,} µs",
    )


def plural(n: int, noun: str) -> str:
    """A number and its noun: 1 row, 2 rows, 3 series.

    >>> plural(1, "row"), plural(2000, "row"), plural(2, "series")
    ('1 row', '2,000 rows', '2 series')
    """
    return f"{n:,} {noun}" if n == 1 or noun.endswith("s") else f"{n:,} {noun}s"


def rows(items: list[tuple[str, str]]) -> str:
    """Terms and what is to say of them, as an HTML list; both are escaped."""
    inner = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(text)}</dd></div>" for term, text in items)
    return f"<dl>{inner}</dl>"
