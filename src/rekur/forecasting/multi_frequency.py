"""A panel of several frequencies: a forecaster for each, whose results are put together."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rekur.core import DataError
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup, parts_of
from rekur.forecasting.backtest import Backtest
from rekur.forecasting.forecast import Forecast

MOMENT = 0.001  # seconds


def share(time_limit: float | None, parts: Sequence[Panel]) -> float | None:
    """The part of the time that each frequency may take."""
    return None if time_limit is None else time_limit / len(parts)


def fit(
    model: Any,
    found: PanelGroup,
    time_limit: float | None,
    progress: bool | None,
    checkpoint: str | os.PathLike[str] | None,
) -> None:
    """Fit a forecaster of the same parameters to each part, in an equal share of the time.

    Interrupted, the parts that were not yet trained get what a moment gives, so that the whole can be used.
    """
    seconds = share(time_limit, found.parts)
    made, stopped = list[Any](), None
    for k, part in enumerate(found.parts):
        own = type(model)(**model.get_params(deep=False))
        beside = None if checkpoint is None else f"{os.fspath(checkpoint)}-{k}"
        try:
            own.fit(part, time_limit=seconds, progress=progress, checkpoint=beside)
        except KeyboardInterrupt as interrupt:
            if stopped is not None or not hasattr(own, "ensemble_"):
                raise
            stopped, seconds = interrupt, MOMENT
        made.append(own)
    gather(model, made)
    if stopped is not None:
        raise stopped


def gather(model: Any, made: Sequence[Any]) -> None:
    """Let a model consist of the forecasters made for its parts; what an earlier table had as one is forgotten."""
    for name in ("seasons_", "recipe_"):
        vars(model).pop(name, None)
    model.parts_ = tuple(made)
    model.table_ = PanelGroup(tuple(own.table_ for own in made))
    model.ensemble_ = tuple(own.ensemble_ for own in made)
    model.notes_ = [f"{own.table_.freq.name}: {note}" for own in made for note in own.notes_]
    model.history_ = [record for own in made for record in own.history_]


def forecast(model: Any, found: Panel | PanelGroup, futr_df: Any, h: int) -> Forecast:
    """The forecasts of all parts, one after another."""
    made = [owner(model, part).forecast(part, futr_df=futr_df, h=h) for part in parts_of(found)]
    values = np.concatenate([each.values for each in made])
    dependence = tuple(each.dependence for each in made)
    return Forecast(
        PanelGroup(tuple(part for each in made for part in parts_of(each.table))),
        made[0].levels,
        values,
        None,
        dependence,
    )


def fine_tune(model: Any, found: Panel | PanelGroup, time_limit: float | None, progress: bool | None) -> None:
    """Fine-tune the forecasters of the frequencies that a table has; the others stay as they are."""
    seconds, made = share(time_limit, parts_of(found)), list(model.parts_)
    for part in parts_of(found):
        k = model.parts_.index(owner(model, part))
        if made[k] is not model.parts_[k]:
            raise DataError(f"series at {part.freq.name} and others are learned by one model: tune them one by one")
        made[k] = tuned = copy.copy(made[k])
        tuned.fine_tune(part, time_limit=seconds, progress=progress)
    gather(model, made)


def owner(model: Any, part: Panel) -> Any:
    """The forecaster of the frequency of a table, if there are two of its length the one that stands where it does."""
    parts = model.parts_ if isinstance(model.table_, PanelGroup) else (model,)
    like = [own for own in parts if alike(own.table_, part)]
    if like:
        return next((own for own in like if own.table_.freq.end == part.freq.end), like[0])
    known = " and ".join(own.table_.freq.name for own in parts)
    raise DataError(f"the table has series of the frequency {part.freq.name}, the model knows {known}")


def alike(one: Panel, other: Panel) -> bool:
    """Whether the steps of two tables are as long, wherever in the week or month they stand."""
    return (one.freq.kind, one.freq.step, one.local) == (other.freq.kind, other.freq.step, other.local)


def join(parts: Sequence[Panel], made: Mapping[int, Backtest]) -> Backtest:
    """The backtests of parts, by their numbers, as one; those without one are named in it."""
    tests = list(made.values())
    if len(parts) == 1:
        return tests[0]
    table = PanelGroup(tuple(parts))
    forecasts = {name: np.concatenate([test.forecasts[name] for test in tests]) for name in tests[0].forecasts}
    return Backtest(
        table,
        np.concatenate([test.series + table.first[k] for k, test in made.items()]),
        np.concatenate([test.stop for test in tests]),
        np.concatenate([test.actual for test in tests]),
        tests[0].levels,
        forecasts,
        np.concatenate([test.scale for test in tests]),
        tests[0].windows,
        untested=tuple(part.freq.name for k, part in enumerate(parts) if k not in made),
    )
