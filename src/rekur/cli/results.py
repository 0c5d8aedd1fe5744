"""Results of the commands as JSON values, one object a command; docs/json.md describes them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

import rekur
from rekur.metrics.sequence import BASELINE

if TYPE_CHECKING:
    import pandas as pd

    from rekur.cli.options import Outputs
    from rekur.forecasting.cross_validation import Backtest
    from rekur.metrics import Comparison

Result: TypeAlias = "dict[str, object]"
"""Values by key, which `write` turns into JSON."""


def result(command: str, outputs: Outputs, **values: object) -> Result:
    """The result of a command: its name, the version, the values and the files that it has written."""
    return {"command": command, "version": rekur.__version__, **values, "files": outputs.files()}


def write(values: Result) -> None:
    """Print a result as one line of JSON on standard output."""
    sys.stdout.write(json.dumps(plain(values), ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: object) -> object:
    """A value as JSON knows it: times as ISO text, null for what is missing or not finite.

    Examples
    --------
    >>> plain({"score": np.float64(0.5), "rows": (1, float("nan"))})
    {'score': 0.5, 'rows': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    iso = getattr(value, "isoformat", None)
    text = str(value) if iso is None else str(iso())
    return None if text in ("NaT", "<NA>") else text


def records(frame: pd.DataFrame) -> list[dict[str, object]]:
    """The rows of a frame, each with its values by column."""
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def skipped(pairs: Iterable[tuple[object, str]]) -> list[dict[str, object]]:
    """Series or rows that were left out, and the reasons."""
    return [{"name": name, "reason": reason} for name, reason in pairs]


def of_backtest(backtest: Backtest, used: str | None) -> dict[str, object]:
    """Verdict and metrics of a backtest; `used` is the model that forecasts, see `Backtest.verdict`."""
    verdict = backtest.outcome(used)
    return {
        "windows": backtest.n_windows,
        "verdict": verdict.text,
        "outcome": verdict.outcome,
        "metrics": backtest.metrics(),
        "standard_errors": backtest.standard_errors(),
    }


def of_comparison(comparison: Comparison) -> dict[str, object]:
    """Verdict and scores of a model and its baselines."""
    others = {name.removeprefix(BASELINE): value for name, value in comparison.scores.items() if BASELINE in name}
    return {
        "rows": len(comparison.model),
        "verdict": comparison.verdict(),
        "score": comparison.score,
        "scores": {name: value for name, value in comparison.scores.items() if BASELINE not in name},
        "baselines": [
            {
                "name": name,
                "p_value": comparison.p_value(name),
                "scores": {comparison.score: value, **(others if name == comparison.baseline_name else {})},
            }
            for name, value in comparison.values().items()
        ],
    }
