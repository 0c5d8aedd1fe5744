"""What the command line shows of a backtest and a forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Grid

from rekur.baselines import describe
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import NAME, Forecast


def console() -> Console:
    """Standard output; as wide as it takes where it is not a terminal."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=120)


def scores(tested: Backtest) -> None:
    """Print the verdict and the metrics of every model, best MASE first."""
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("past windows", justify="left")
    for name in ("MASE", "sMAPE %", "RMSE", "WQL", "covers 80 %"):
        grid.add_column(name, justify="right")
    metrics = tested.metrics()
    for name in sorted(metrics, key=lambda model: metrics[model]["MASE"]):
        m = metrics[name]
        row = [f"{m['MASE']:.3f}", f"{m['sMAPE']:.2f}", f"{m['RMSE']:.4g}", f"{m['WQL']:.4f}", f"{m['coverage80']:.0%}"]
        grid.add_row(name if name == NAME else describe(name), *row, style="bold" if name == NAME else "")
    out = console()
    out.print(tested.verdict(), style="bold", soft_wrap=True)
    out.print(grid)


def cell(value: Any, days: bool) -> str:
    """One value in words; times as days where all of them are."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value.date()) if days and hasattr(value, "date") else str(value)


def preview(predicted: Forecast, frame: Any, most: int) -> None:
    """Print the first steps of the first series of a forecast."""
    S, h, _ = predicted.values.shape
    rows = frame.iloc[np.concatenate([np.arange(min(most, h)) + s * h for s in range(min(most, S))])]
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name in frame.columns:
        grid.add_column(str(name), justify="right" if frame[name].dtype.kind == "f" else "left")
    times = predicted.times
    days = (
        times.dtype.kind == "M" and predicted.panel.parts[0].tz is None and bool((times == times.astype("M8[D]")).all())
    )
    for row in rows.itertuples(index=False):
        grid.add_row(*(cell(value, days) for value in row))
    out = console()
    out.print(grid)
    if len(rows) < len(frame):
        out.print(f"… {S} series × {h} steps in all", style="dim")
