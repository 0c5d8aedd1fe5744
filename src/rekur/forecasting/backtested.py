"""The part of a forecaster that looks back: it is tested on past windows, and so are its covariates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rekur.core import OptionError
from rekur.data.ingest.to_frame import to_frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup, parts_of
from rekur.data.scaling import seasonal_steps
from rekur.estimator import BaseEstimator
from rekur.forecasting.backtest import Backtest, TooShortError, before, past_windows, run
from rekur.forecasting.forecast import kind
from rekur.forecasting.multi_frequency import join, share

NAMES: dict[str, Any] = {
    "id_col": None,
    "time_col": None,
    "target_col": None,
    "futr_exog_list": (),
    "hist_exog_list": (),
    "stat_exog_list": (),
    "duplicates": "error",
}
COVARIATES = {"futr_exog_list": "future", "hist_exog_list": "past", "stat_exog_list": "static"}


class Backtested(BaseEstimator):
    """What a forecaster does with the past: `backtest`, `cross_validation`, `explain`.

    It must have the parameters horizon, freq and seed, and the methods check, read, _seasons and _learn.
    """

    horizon: int
    freq: Any
    random_state: int

    def backtest(
        self,
        df: Any,
        *,
        n_windows: int = 3,
        step_size: int | None = None,
        refit: bool = False,
        time_limit: float | None = None,
        progress: bool | None = None,
        **names: Any,
    ) -> Backtest:
        """Forecast past windows beside the baselines; this forecaster stays as it is.

        A copy is trained on what precedes the first window (with `refit`, anew before each window).

        Parameters
        ----------
        df : as in `fit`; names : id_col, time_col, target_col, futr_exog_list, duplicates as in `fit`
        n_windows : windows of each series, the last one ending with it
        step_size : steps between windows; the horizon if None
        """
        windows = (n_windows, self.horizon if step_size is None else step_size)
        found = parts_of(self._reader(df, names)[1])
        limit = share(time_limit, found)
        made = of_each(found, lambda part: self._tested(part, windows, refit, limit, progress))
        return replace(join(found, made), like=like_of(df))

    def _tested(
        self, found: Panel, windows: tuple[int, int], refit: bool, time_limit: float | None, progress: bool | None
    ) -> Backtest:
        """The backtest of a table of one frequency."""
        copy, _ = self._reader(found, {})
        copy.seasons_ = copy._seasons(before(found, windows, self.horizon))

        def learn(history: Panel) -> Any:
            copy._learn(history, time_limit, progress, None)
            return lambda series, stop: copy.ensemble_.quantiles(found, series, stop, since=history.lengths)

        return run(learn, found, windows, self.horizon, copy.seasons_, refit)

    def _reader(self, df: Any, names: dict[str, Any]) -> tuple[Any, Panel | PanelGroup]:
        """A copy that has learned nothing, and the table as it reads it."""
        copy: Any = type(self)(**self.get_params(deep=False))
        copy.check()
        copy.names_ = names_of(df, {**NAMES, **names})
        refuse_unknown(names)
        return copy, copy.read(df)

    def cross_validation(
        self,
        df: Any,
        *,
        n_windows: int = 3,
        step_size: int | None = None,
        refit: bool = False,
        level: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        **names: Any,
    ) -> Any:
        """The frame of `backtest`: id, time, cutoff, the actual value, rekur and the baselines."""
        found = self.backtest(df, n_windows=n_windows, step_size=step_size, refit=refit, **names)
        return found.frame(level, quantiles)

    def explain(self, df: Any, *, n_windows: int = 3, **names: Any) -> Any:
        """What each covariate is worth, by permutation on the backtest; this forecaster stays as it is.

        Parameters
        ----------
        df, names : as in `backtest` · n_windows : windows of each series, the last one ending with it

        Returns
        -------
        frame of covariate and importance: by what share the pinball loss grows when its values are shuffled, so that
        0.5 stands for half as much again and 0 for a covariate that may be left out; the most important one first
        """
        found = parts_of(self._reader(df, names)[1])
        made = of_each(found, lambda part: self._explained(part, n_windows)).values()
        grown = np.average([each for each, _ in made], axis=0, weights=[count for _, count in made])
        named = np.array([*found[0].future_names, *found[0].past_names, *found[0].static_names], dtype=object)
        order = np.argsort(-grown, kind="stable")
        return to_frame({"covariate": named[order], "importance": grown[order]}, kind(like_of(df)))

    def _explained(self, found: Panel, n_windows: int) -> tuple[Any, int]:
        """The importances of the covariates of a table of one frequency, and by how many windows they were found."""
        from rekur.forecasting.permutation_importance import importances

        copy, _ = self._reader(found, {})
        windows = (n_windows, self.horizon)
        history = before(found, windows, self.horizon)
        copy.seasons_ = copy._seasons(history)
        copy._learn(history, None, False, None)
        series, stop = past_windows(history, found, windows, self.horizon, copy.seasons_)
        scale = seasonal_steps(history.y, history.offsets, copy.seasons_[0])[series]
        return importances(copy.ensemble_, found, (series, stop), scale, self.random_state), len(series)


def of_each(parts: Sequence[Panel], ask: Callable[[Panel], Any]) -> dict[int, Any]:
    """What is asked of each table, by its number; those too short for it are left out, unless all are."""
    made = {}
    for k, part in enumerate(parts):
        try:
            made[k] = ask(part)
        except TooShortError:
            if k == len(parts) - 1 and not made:
                raise
    return made


def refuse_unknown(names: dict[str, Any]) -> None:
    """Raise an OptionError for a name that no column or rule of a table goes by."""
    if unknown := set(names) - set(NAMES):
        raise OptionError(f"there is no {unknown.pop()!r} here; known names are {', '.join(NAMES)}")


def like_of(df: Any) -> Any:
    """The user's frame, whose kind results take; None where a `Panel` came in."""
    return None if isinstance(df, (Panel, PanelGroup)) else df


def names_of(df: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The column names as given, or as a `Panel` remembers them."""
    if not isinstance(df, (Panel, PanelGroup)):
        return given
    df = parts_of(df)[0]
    names = df.columns
    own = {"id_col": names.id, "time_col": names.time, "target_col": None if df.wide else names.target}
    covariates = zip(COVARIATES, (df.future_names, df.past_names, df.static_names), strict=True)
    return {**given, **own, **dict(covariates)}
