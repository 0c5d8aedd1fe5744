"""Forecasting: from a table of series to quantiles of what comes next, checked against baselines."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rekur.core import DataError, OptionError, choose, positive
from rekur.data.frequency.seasonality import detect_season
from rekur.data.ingest.future_covariates import future_columns, future_rows
from rekur.data.ingest.to_frame import to_frame
from rekur.data.panel import Panel, read_panels
from rekur.data.panel_group import PanelGroup, parts_of
from rekur.estimator import check_seed, learning
from rekur.forecasting import multi_frequency, serialization
from rekur.forecasting.backtested import COVARIATES, Backtested, like_of, names_of, refuse_unknown
from rekur.forecasting.calibration import unseen
from rekur.forecasting.config import EPOCH, FEWEST, GAPS, LEVELS, LIKELIHOODS, ForecastConfig, recipe
from rekur.forecasting.ensemble import Ensemble, Stopped, alone, learn
from rekur.forecasting.forecast import Forecast, kind
from rekur.forecasting.likelihood import likelihood
from rekur.training.progress import Progress


class Forecaster(Backtested):
    """Forecast every series of a table: median and intervals for the next `horizon` steps.

    One or two recurrent networks are trained for all series (global models). The first scales each window by its own
    level and spread; a linear autoregression, solved in closed form and shrunk towards seasonal naive, gives a first
    forecast; recurrent blocks over patches of the window, its missing values marked by a mask, correct it and give its
    quantiles. The second, where series are long, keeps the size that a window has within its series and forecasts
    directly. On windows held out the networks are blended with smoothing and seasonal naive, and the intervals are
    calibrated for each third of the horizon.

    Parameters
    ----------
    horizon : steps to forecast; `predict` may ask for fewer or more
    freq : such as "h", "D", "MS" or 1; found from the times if None
    season : season length in steps; from the frequency, or from the values where times are integers, if None
    cell : "rnn", "rnn_relu", "lstm" or "gru"
    hidden, layers : size and number of the recurrent blocks
    training : a `rekur.Training`; by the size of the data if None
    seed : the same seed gives the same numbers
    ensemble : networks of each kind, which differ in seed and in how far they look back; their median counts
    likelihood : "quantiles" (free ones), "student_t" (heavy tails) or "negative_binomial" (counts); "auto" takes the
        last where all values are counts and a fifth of them 0, and quantiles elsewhere

    Attributes
    ----------
    ensemble_, recipe_, history_ : what was learned; notes_ : sentences on what was found and done

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> days = pd.date_range("2024-01-01", periods=70)
    >>> df = pd.DataFrame({"ds": days, "y": [float(t.weekday()) for t in days]})
    >>> rekur.Forecaster(horizon=3).fit(df).predict()["rekur"].round().abs().tolist()
    [0.0, 1.0, 2.0]
    """

    fitted_attribute = "ensemble_"

    def __init__(
        self,
        horizon: int,
        freq: str | int | None = None,
        season_length: int | None = None,
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 2,
        training: Any = None,
        random_state: int = 0,
        ensemble_size: int = 1,
        likelihood: str = "auto",
    ) -> None:
        self.horizon = horizon
        self.freq = freq
        self.season_length = season_length
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.training = training
        self.random_state = random_state
        self.ensemble_size = ensemble_size
        self.likelihood = likelihood

    def fit(
        self,
        df: Any,
        *,
        id_col: str | None = None,
        time_col: str | None = None,
        target_col: str | None = None,
        futr_exog_list: Sequence[str] = (),
        hist_exog_list: Sequence[str] = (),
        stat_exog_list: Sequence[str] = (),
        duplicates: str = "error",
        time_limit: float | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Forecaster:
        """Learn from a table of series.

        Parameters
        ----------
        df : pandas, polars or pyarrow frame, long (id, time, value), plain (time, value) or wide (one column a
            series), or a `rekur.data.panel.Panel`
        id_col, time_col, target_col, duplicates : see `rekur.data.panel.read_panel`
        futr_exog_list : columns that are known for the future too: numbers or labels, which may be missing
        hist_exog_list : columns that are known up to the present only
        stat_exog_list : columns with one value for a whole series
        time_limit : seconds that training may take
        progress : show a bar; None asks whether standard error is a terminal
        checkpoint : folder written after every 100 steps; if it holds one, training goes on from there

        Raises
        ------
        DataError : the table cannot be used; the text names column, series and row
        """
        self.check()
        names: dict[str, Any] = {"id_col": id_col, "time_col": time_col, "target_col": target_col}
        names["duplicates"] = duplicates
        roles = zip(COVARIATES, (futr_exog_list, hist_exog_list, stat_exog_list), strict=True)
        names.update({role: (given,) if isinstance(given, str) else tuple(given) for role, given in roles})
        with learning(self, "ensemble_"):
            self.names_ = names_of(df, names)
            self.like_ = like_of(df)
            self.table_ = self.read(df)
            if isinstance(self.table_, PanelGroup):
                multi_frequency.fit(self, self.table_, time_limit, progress, checkpoint)
                return self
            self.seasons_ = self._seasons(self.table_)
            self._learn(self.table_, time_limit, progress, checkpoint)
        return self

    def check(self) -> None:
        """Raise an OptionError unless the constructor's arguments can be used."""
        from rekur.cells import CELLS

        choose("cell", self.cell, CELLS)
        choose("likelihood", self.likelihood, ("auto", *LIKELIHOODS))
        check_seed(self.random_state)
        for name in ("horizon", "hidden_size", "num_layers", "ensemble_size", "season_length"):
            value = getattr(self, name)
            if value is None and name == "season_length":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise OptionError(f"{name} must be a whole number, got {value!r}")
            positive(name, int(value))

    def read(self, df: Any, source: str = "the table") -> Panel | PanelGroup:
        """Read a table by the column names that `fit` got; series with too few values are left out and listed.

        Series of different frequency make `PanelGroup`.
        """
        if isinstance(df, (Panel, PanelGroup)):
            found = parts_of(df)
        else:
            names = {COVARIATES.get(key, key): value for key, value in self.names_.items()}
            learned = parts_of(self.table_) if hasattr(self, "ensemble_") else ()
            found = tuple(read_panels(df, freq=self.freq, learned=learned, source=source, **names))
        seen = np.concatenate([part.seen for part in found])
        if (seen < FEWEST).all():
            most, ids = int(seen.argmax()), np.concatenate([part.ids for part in found])
            label = "the series" if ids[most] is None else f"the longest, {ids[most]!r},"
            raise DataError(f"{source}: too short to forecast: {label} has {seen[most]} values, {FEWEST} are needed")
        enough = [part.skip(part.seen < FEWEST, f"fewer than {FEWEST} values") for part in found]
        kept = [part for part in enough if len(part)]
        if len(kept) > 1 and self.season_length is not None:
            steps = " and ".join(part.freq.name for part in kept)
            raise OptionError(f"season_length={self.season_length} cannot hold for series of {steps}: leave it out")
        lost = tuple(each for part in enough if not len(part) for each in part.skipped)
        kept[0] = replace(kept[0], skipped=kept[0].skipped + lost)
        return kept[0] if len(kept) == 1 else PanelGroup(tuple(kept))

    def _seasons(self, found: Panel) -> tuple[int, ...]:
        if self.season_length is not None:
            return (self.season_length,)
        if found.freq.kind != "integer":
            return found.freq.seasons
        some = np.linspace(0, len(found) - 1, min(len(found), 50)).astype(int)
        m = detect_season([found.values(int(s)) for s in some])
        week = 7 * m  # steps of which 24 or more make a season are parts of a day
        return (m, week) if m >= 24 and np.median(found.lengths) >= 3 * week else (m,)

    def _learn(
        self,
        found: Panel,
        time_limit: float | None,
        progress: bool | None,
        checkpoint: str | os.PathLike[str] | None,
    ) -> None:
        self.recipe_, self.history_ = self._recipe(found, time_limit), list[dict[str, float]]()
        self.notes_ = list(found.notes)
        if self.recipe_ is None:
            self.notes_.append("the series are too short to train on: the forecast is smoothing alone")
            self.ensemble_ = alone(self.seasons_, self.horizon)
            return
        saver = None
        if checkpoint is not None:
            from rekur.training.checkpoint import Checkpoint, fingerprint

            grid = np.array([found.freq.name, str(found.tz), *map(str, found.ids)])
            data = fingerprint(found.offsets, found.start, found.y, found.future, found.past, found.static, grid)
            saver = Checkpoint(checkpoint, {**serialization.describe(self), "data": data})
        self.ensemble_, self.history_ = self._train(found, self.recipe_, progress, saver)
        if self.likelihood == "auto" and self.recipe_.designs[0].likelihood == "negative_binomial":
            self.notes_.append(
                "the values are counts, many of them 0: the networks learn a negative binomial distribution"
            )
        self.notes_.append(f"blended by the windows held out: {self.ensemble_.blend.describe()}")

    def _train(
        self, found: Panel, plan: ForecastConfig, progress: bool | None, saver: Any, start: Ensemble | None = None
    ) -> tuple[Ensemble, list[dict[str, float]]]:
        shape, seeds = (self.cell, self.hidden_size, self.num_layers), (self.random_state, self.ensemble_size)
        steps = plan.training.max_epochs * EPOCH * len(plan.designs) * self.ensemble_size
        try:
            with Progress(f"training {self.cell}", steps, progress) as watch:
                return learn(found, self.seasons_, plan, shape, seeds, watch, saver, start)
        except Stopped as stopped:  # the best weights so far can be used and saved
            self.ensemble_ = stopped.ensemble
            raise

    def _recipe(self, found: Panel, time_limit: float | None) -> ForecastConfig | None:
        form, sized = likelihood(found, self.likelihood), not (found.y < 0).any()
        made = recipe(self.seasons_, self.horizon, found.lengths, time_limit, sized, form)
        made = None if made is None else replace(made, gaps=bool(np.isnan(found.y).mean() >= GAPS))
        if made is None or self.training is None:
            return made
        seconds = self.training.max_seconds if time_limit is None else time_limit
        return replace(made, training=replace(self.training, max_seconds=seconds))

    def forecast(self, df: Any = None, *, futr_df: Any = None, h: int | None = None) -> Forecast:
        """Forecast as a `Forecast`, which can be drawn and turned into frames; arguments as in `predict`."""
        self.check_fitted("ensemble_")
        found = self.table_ if df is None else self.read(df)
        h = self.horizon if h is None else h
        positive("h", h)
        own = like_of(df)
        like = self.like_ if own is None else own
        if isinstance(self.table_, PanelGroup) or isinstance(found, PanelGroup):
            return replace(multi_frequency.forecast(self, found, futr_df, h), like=like)
        found, future = self._alike(found), None
        if self.names_["futr_exog_list"]:
            if futr_df is None:
                names = ", ".join(self.names_["futr_exog_list"])
                raise DataError(f"the model needs future values of {names}: pass futr_df")
            future = future_rows(found, futr_df, h)
        since = unseen(self.table_, found)
        values = self.ensemble_.quantiles(found, np.arange(len(found)), found.lengths, future, h, since)
        return Forecast(found, LEVELS, values, like, self.ensemble_.dependence)

    def _alike(self, found: Panel | PanelGroup) -> Panel:
        """The table, which must have the frequency of the model."""
        if isinstance(found, PanelGroup) or not multi_frequency.alike(parts_of(self.table_)[0], found):
            names = [" and ".join(freq.name for freq in each.freqs) for each in (found, self.table_)]
            raise DataError(f"the table has the frequency {names[0]}, the model {names[1]}")
        return found

    def make_future_frame(self, df: Any = None, *, h: int | None = None) -> Any:
        """The rows of `futr_df` to fill in: id, time and the empty columns of futr_exog_list for every step.

        Arguments as in `predict`. The columns hold NaN; put numbers, or labels, in their place.
        """
        self.check_fitted("ensemble_")
        found = self.table_ if df is None else self.read(df)
        columns = [future_columns(part, self.horizon if h is None else h) for part in parts_of(found)]
        whole = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
        return to_frame(whole, kind(self.like_ if df is None else df), found.tz)

    def predict(
        self,
        df: Any = None,
        *,
        futr_df: Any = None,
        h: int | None = None,
        level: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        samples: int | None = None,
    ) -> Any:
        """Forecast the steps after each series, as a frame of the kind that came in.

        Parameters
        ----------
        df : new series or new history, without training again; None for the table of `fit`
        futr_df : id, time and the columns of futr_exog_list for every step to forecast
        h : steps to forecast, fewer or more than the horizon that was learned; beyond it the recurrence runs on
        level : intervals in percent, such as [80, 90], as columns rekur-lo-80, rekur-hi-80, …
        quantiles : such as [0.1, 0.9], as columns rekur_ql0.1, …
        samples : draw so many whole paths instead, numbered in the column `sample`; see `Prediction.paths`
        """
        made = self.forecast(df, futr_df=futr_df, h=h)
        return made.frame(level, quantiles) if samples is None else made.sample_frame(samples, self.random_state)

    def fine_tune(
        self, df: Any, *, time_limit: float | None = None, progress: bool | None = None, **names: Any
    ) -> Forecaster:
        """Go on learning from another table, such as newer or related series, from the weights learned so far.

        The networks keep their form; each trains at a quarter of the usual rate until the windows held out of the new
        table no longer improve, and the blend and the intervals are chosen anew. The new table takes the place of that
        of `fit`. It must have the frequency and the covariates of the model; names as in `fit`, those of `fit` if not
        given.
        """
        self.check_fitted("ensemble_")
        refuse_unknown(names)
        tuned = copy.copy(self)
        tuned.names_, tuned.like_ = {**self.names_, **names}, like_of(df)
        try:
            tuned._go_on(tuned.read(df), time_limit, progress)
        except Stopped:  # the best weights so far can be used and saved
            self.ensemble_ = tuned.ensemble_
            raise
        vars(self).update(vars(tuned))
        return self

    def _go_on(self, found: Panel | PanelGroup, time_limit: float | None, progress: bool | None) -> None:
        """Fine-tune what was read."""
        if isinstance(self.table_, PanelGroup):
            multi_frequency.fine_tune(self, found, time_limit, progress)
            return
        found = self._alike(found)
        own = None if not self.ensemble_.networks else self._recipe(found, time_limit)
        if own is None or self.recipe_ is None:
            raise DataError("the series are too short to train on, or the model has no network: use fit")
        likelihood(found, self.recipe_.designs[0].likelihood)
        training = replace(own.training, learning_rate=own.training.learning_rate / 4)
        kept = replace(self.recipe_, first=min(own.first, self.recipe_.past), held=own.held, training=training)
        made = self._train(found, kept, progress, None, self.ensemble_)
        self.ensemble_, self.history_, self.recipe_, self.table_ = *made, kept, found

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder: `config.json` and `model.safetensors`."""
        self.check_fitted("ensemble_")
        serialization.save(self, folder)

    @classmethod
    def _restore(cls, description: dict[str, Any], tensors: dict[str, Any], folder: str) -> Forecaster:
        model: Forecaster = serialization.restore(cls, description, tensors, folder)
        return model
