"""Forecaster: probabilistic forecasts of many series with recurrent networks, averaged with statistical baselines."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rekur.baselines import METHODS, REGRESSION
from rekur.core import DataError, OptionError, choose, positive
from rekur.data.ingest.future_covariates import future_columns, next_covariates, range_notes
from rekur.data.ingest.schema import Frame
from rekur.data.panel import Panel
from rekur.data.panel_group import (
    ColumnOptions,
    PanelGroup,
    column_options,
    read_group,
    static_names,
    without_short,
)
from rekur.estimator import BaseEstimator, check_seed, learning
from rekur.forecasting import serialization
from rekur.forecasting.baselines.window_forecasts import rows_read
from rekur.forecasting.calibration import first_unseen_row
from rekur.forecasting.config import (
    GAP_SHARE,
    LEVELS,
    LIKELIHOODS,
    MIN_OBSERVATIONS,
    STEPS_PER_EPOCH,
    ForecastConfig,
    choose_likelihood,
    default_config,
    refuse_long_season,
    season_lengths,
    with_selection,
)
from rekur.forecasting.cross_validation import Backtest, cross_validate
from rekur.forecasting.ensemble import Ensemble, baseline_ensemble
from rekur.forecasting.forecast import Forecast, empty_frame, panel_frame
from rekur.forecasting.model import NetworkShape
from rekur.forecasting.multi_frequency import MultiFrequencyForecaster, effect_notes, same_step
from rekur.forecasting.permutation_importance import permutation_importance
from rekur.forecasting.selection.scores import SELECTIONS
from rekur.forecasting.selection.unseen_windows import unseen_windows
from rekur.forecasting.training import REFIT_SHARE, TrainingRun, train_ensemble
from rekur.serialization import Description
from rekur.training.config import Training
from rekur.training.deadline import Deadline
from rekur.training.progress import Progress

if TYPE_CHECKING:
    from typing import Unpack

    from torch import Tensor

    from rekur.training.checkpoint import Checkpoint


class Forecaster(BaseEstimator):
    """Forecast many series at once: median and prediction intervals of the next `horizon` steps.

    One or two recurrent networks are trained on all series together (global models):

        ŷ = scale⁻¹(linear(x) + network(x)),  x = scale(context)

    where the scale is the level and spread of each window, the linear path is an autoregression solved in closed form
    and shrunk to seasonal naive, and the network, recurrent blocks over patches of the window, corrects it and gives
    its quantiles. Long series get a second network that keeps the size of a window within its series and forecasts
    directly. On held-out windows the networks are averaged with exponential smoothing, a regression on the covariates
    known for the future, seasonal naive and naive, and the intervals are calibrated by their coverage of past windows.
    Series of several frequencies get a forecaster each.

    Parameters
    ----------
    horizon : int
        Steps to forecast; `predict` accepts fewer or more.
    freq : str or int, default None
        Frequency such as "h", "D", "MS" or 1; inferred from the times if None.
    season_length : int, default None
        Season length in steps; if None, from the frequency, or from the values if times are integers.
    cell : {"gru", "gru_before", "lstm", "rnn", "rnn_relu"}, default "gru"
        Recurrent cell, one of `rekur.cells.CELLS`.
    hidden_size : int, default 64
        Size of the hidden state.
    num_layers : int, default 2
        Number of recurrent blocks of the first network.
    training : Training, default None
        Options of training that replace the defaults, which are chosen by the size of the data. An epoch is 100 batches
        of windows drawn at random.
    random_state : int, default 0
        Seed; the same seed gives the same numbers.
    ensemble_size : int, default 1
        Networks of each kind, with seeds and context lengths of their own; their median is the forecast.
    likelihood : {"auto", "quantiles", "student_t", "negative_binomial"}, default "auto"
        Output distribution: free quantiles, Student's t for heavy tails, or negative binomial for counts, whose
        forecasts are whole numbers: quantiles of the average, rounded. "auto" takes negative binomial if all values are
        counts and a fifth of them 0, else quantiles.
    select : str, default "auto"
        Model that forecasts: "blend" for the average, "corrected" or "direct" for one network, "naive",
        "seasonal_naive", "drift", "smoothing" or "regression" (on covariates known for the future) for a baseline,
        without training; "auto" for the average unless a baseline is better by evidence, on the held-out windows or in
        a backtest that is passed to `fit`.

    Attributes
    ----------
    panel_ : Panel
        The series that were learned; absent after a fit to several frequencies.
    ensemble_ : Ensemble
        Networks and their weights; absent after a fit to several frequencies.
    config_ : ForecastConfig or None
        Configuration of the networks; None if the series are too short to train on.
    seasons_ : tuple of int
        Season lengths in steps, the main one first.
    multi_ : MultiFrequencyForecaster or None
        Forecasters of the single frequencies, if there are several.
    notes_ : list of str
        Notes on the data and the model.
    history_ : list of dict
        Records of the epochs.

    Examples
    --------
    >>> import pandas as pd, rekur
    >>> days = pd.date_range("2024-01-01", periods=70)
    >>> df = pd.DataFrame({"ds": days, "y": [float(t.weekday()) for t in days]})
    >>> rekur.Forecaster(horizon=3).fit(df).predict()["rekur"].round().abs().tolist()
    [0.0, 1.0, 2.0]
    """

    fitted_attribute = "multi_"
    nested_options: ClassVar[Mapping[str, type]] = {"training": Training}

    panel_: Panel
    ensemble_: Ensemble
    config_: ForecastConfig | None
    seasons_: tuple[int, ...]
    multi_: MultiFrequencyForecaster | None
    columns_: ColumnOptions
    frame_type_: Frame
    notes_: list[str]
    history_: list[dict[str, float]]

    def __init__(
        self,
        horizon: int,
        freq: str | int | None = None,
        season_length: int | None = None,
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 2,
        training: Training | None = None,
        random_state: int = 0,
        ensemble_size: int = 1,
        likelihood: str = "auto",
        select: str = "auto",
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
        self.select = select

    def fit(
        self,
        df: Frame,
        *,
        static_df: Frame | None = None,
        time_limit: float | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        backtest: Backtest | None = None,
        **columns: Unpack[ColumnOptions],
    ) -> Forecaster:
        """Learn from a table of series.

        Parameters
        ----------
        df : pandas, polars or pyarrow frame, or Panel
            Long (id, time, value), plain (time, value) or wide (one column per series).
        static_df : frame, optional
            Static covariates: one row a series, with its id; all its columns are used unless `stat_exog_list` is given.
        time_limit : float, optional
            Seconds that `fit` may take in all, of which a run resumed from a checkpoint has used a part; a note says
            where training was cut. If not one epoch fits, the linear path and the baselines remain.
        progress : bool, optional
            Whether to show a bar; if None, on a terminal or in a notebook.
        checkpoint : path, optional
            Folder written after each epoch; training resumes from a checkpoint in it. An interrupt (Ctrl-C) leaves the
            forecaster as it was before `fit`.
        backtest : Backtest, optional
            Backtest of the same series: select="auto" takes the baseline that it shows to be better, if there is one.
        id_col, time_col, target_col : str, optional
            Names of the columns, see `rekur.data.panel.read_panels`; several of id and target, and patterns of targets
            and covariates such as "load*".
        futr_exog_list : sequence of str, default ()
            Covariates known for the future too: numbers or labels, which may be missing.
        hist_exog_list : sequence of str, default ()
            Covariates known up to the present only.
        stat_exog_list : sequence of str, default ()
            Covariates with one value a series.
        duplicates : {"error", "mean", "first", "last", "sum"}, default "error"
            Treatment of rows of one series at one time, or in one step of `freq`.

        Returns
        -------
        Forecaster
            The fitted forecaster.

        Raises
        ------
        DataError
            The table cannot be used; the text names column, series and row.
        OptionError
            A parameter cannot be used.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> days = pd.date_range("2024-01-01", periods=70)
        >>> df = pd.DataFrame({"day": days, "sales": [float(t.weekday()) for t in days]})
        >>> rekur.Forecaster(horizon=3).fit(df, time_col="day", target_col="sales").seasons_
        (7,)
        """
        self.check()
        if backtest is not None and self.select != "auto":
            raise OptionError(f"backtest has no effect with select={self.select!r}: leave one of them out")
        deadline = self._deadline(Deadline.after(time_limit))
        with learning(self, "multi_"):
            options = column_options(df, **columns)
            if static_df is not None and not options["stat_exog_list"]:
                options["stat_exog_list"] = static_names(static_df, options["id_col"])
            group = self.usable(read_group(df, options, freq=self.freq, static_df=static_df))
            refuse_long_season(group.parts, self.season_length)
            self.columns_, self.frame_type_ = options, empty_frame(df)
            if len(group.parts) == 1:
                panel = group.parts[0]
                self.fit_panel(panel, season_lengths(panel, self.season_length), deadline, progress, checkpoint)
                self.multi_ = None
            else:
                multi = MultiFrequencyForecaster([self.unfitted() for _ in group.parts])
                multi.fit(group, deadline.seconds(), progress, checkpoint)
                self._delegate_to(multi)
            if backtest is not None:
                self._parts().follow(backtest)
                self.notes_ = self.notes_ if self.multi_ is None else self.multi_.notes
        return self

    def _deadline(self, deadline: Deadline) -> Deadline:
        """The end of training: the argument of a method, or that of `training`, whichever comes first."""
        return deadline.within(None if self.training is None else self.training.max_seconds)

    def _delegate_to(self, multi: MultiFrequencyForecaster) -> None:
        """Forecast by several forecasters from now on."""
        for name in ("panel_", "ensemble_", "config_", "seasons_"):
            vars(self).pop(name, None)
        self.multi_, self.notes_, self.history_ = multi, multi.notes, multi.history

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        OptionError
            A parameter cannot be used.

        Examples
        --------
        >>> import rekur
        >>> rekur.Forecaster(horizon=3).check()
        """
        from rekur.cells import CELLS

        choose("cell", self.cell, CELLS)
        choose("likelihood", self.likelihood, ("auto", *LIKELIHOODS))
        choose("select", self.select, SELECTIONS)
        check_seed(self.random_state)
        if self.training is not None and not isinstance(self.training, Training):
            kind = type(self.training).__name__
            raise OptionError(f"training must be a rekur.Training, such as Training(max_epochs=20), got a {kind}")
        for name in ("horizon", "hidden_size", "num_layers", "ensemble_size", "season_length"):
            value = getattr(self, name)
            if name != "season_length" or value is not None:
                _check_whole(name, value)
        if self.training is not None and self.training.bptt is not None:
            raise OptionError("bptt has no effect on a forecaster, which learns from windows as a whole: leave it out")

    def unfitted(self) -> Forecaster:
        """Unfitted forecaster with the same parameters."""
        return type(self)(**self.get_params(deep=False))

    def read(self, df: Frame, source: str = "the table", *, static_df: Frame | None = None) -> PanelGroup:
        """Read new data by the columns, frequencies and labels that were learned.

        Parameters
        ----------
        df : frame or Panel
            Series learned or new.
        source : str, default "the table"
            Name of the table in errors.
        static_df : frame, optional
            Static covariates of new series.

        Returns
        -------
        PanelGroup
            Series with fewer than three values are left out and listed.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> len(rekur.Forecaster(horizon=3).fit(df).read(df))
        1
        """
        self.check_fitted()
        return self._read_again(df, self.columns_, source, static_df)

    def _read_again(
        self, df: Frame, columns: ColumnOptions, source: str = "the table", static_df: Frame | None = None
    ) -> PanelGroup:
        """Read data by the frequencies, labels and static covariates that were learned."""
        learned = self._learned_panels()
        group = read_group(
            df, columns, freq=self.freq, learned=learned, static_df=static_df, static_source=learned, source=source
        )
        return self.usable(group, source)

    def _learned_panels(self) -> tuple[Panel, ...]:
        return tuple(part.panel_ for part in self._parts().parts)

    def _parts(self) -> MultiFrequencyForecaster:
        """Forecasters of the single frequencies; only this one for a single frequency."""
        return MultiFrequencyForecaster((self,)) if self.multi_ is None else self.multi_

    def usable(self, group: PanelGroup, source: str = "the table") -> PanelGroup:
        """The series that are long enough to be forecast; the others are listed in `Panel.skipped`."""
        group = without_short(group, MIN_OBSERVATIONS, rows_read(group.parts, self.season_length), source)
        if len(group.parts) > 1 and self.season_length is not None:
            steps = " and ".join(part.freq.name for part in group.parts)
            raise OptionError(f"season_length={self.season_length} does not fit series of {steps}: leave it out")
        return group

    def fit_panel(
        self,
        panel: Panel,
        seasons: tuple[int, ...],
        deadline: Deadline | None = None,
        progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        """Train on a panel of one frequency; the first step of `fit` and of every window of a backtest.

        Parameters
        ----------
        panel : Panel
            Series of one frequency.
        seasons : tuple of int
            Season lengths in steps, the main one first.
        deadline : Deadline, optional
            End of training; None for no limit.
        progress, checkpoint
            As in `fit`.
        """
        if self.select == REGRESSION and not panel.future_names:
            raise OptionError("select='regression' needs covariates known for the future: name them in futr_exog_list")
        self.panel_, self.seasons_ = panel, seasons
        self.config_, self.history_, self.notes_ = self._config(panel), [], list(panel.notes)
        if self.config_ is None:
            self.ensemble_ = baseline_ensemble(panel, self.seasons_, self.horizon, self.select)
            self.notes_ += [self.ensemble_.note_without_network(), *effect_notes(panel, self.ensemble_)]
            return
        deadline = self._deadline(deadline or Deadline.after(None))
        saver = None if checkpoint is None else serialization.checkpoint(self, checkpoint)
        if saver is not None:
            deadline = deadline.resumed(saver.seconds())
        self.ensemble_, self.history_, notes = self._train(panel, self.config_, deadline, progress, saver)
        self.notes_ += [*notes, *self.ensemble_.notes(self.likelihood), *effect_notes(panel, self.ensemble_)]

    def _train(
        self,
        panel: Panel,
        config: ForecastConfig,
        deadline: Deadline,
        progress: bool | None,
        saver: Checkpoint | None = None,
        start: Ensemble | None = None,
    ) -> tuple[Ensemble, list[dict[str, float]], list[str]]:
        shape, seeds = (
            NetworkShape(self.cell, self.hidden_size, self.num_layers),
            (self.random_state, self.ensemble_size),
        )
        epochs = config.training.max_epochs * len(config.architectures) * self.ensemble_size
        steps = round((1 + REFIT_SHARE) * epochs * STEPS_PER_EPOCH)
        with Progress(f"training {self.cell}", steps, progress) as on_record:
            run = TrainingRun(shape, *seeds, deadline, on_record, saver)
            return train_ensemble(panel, self.seasons_, config, run, start)

    def _config(self, panel: Panel) -> ForecastConfig | None:
        """Configuration of the networks of a panel; None without any, as it is too short or a baseline is selected."""
        if self.select in METHODS:
            return None
        likelihood, nonnegative = choose_likelihood(panel, self.likelihood), not (panel.y < 0).any()
        config = default_config(self.seasons_, self.horizon, panel.lengths, nonnegative, likelihood)
        if (config := with_selection(config, self.select)) is None:
            return None
        config = replace(config, has_gaps=bool(np.isnan(panel.y).mean() >= GAP_SHARE))
        return config if self.training is None else replace(config, training=self.training.merged_with(config.training))

    def forecast(
        self,
        df: Frame | None = None,
        *,
        static_df: Frame | None = None,
        futr_df: Frame | None = None,
        h: int | None = None,
        models: bool = False,
    ) -> Forecast:
        """Forecast as a `Forecast`, which gives frames, sample paths and charts.

        Parameters
        ----------
        df, static_df, futr_df, h, models
            As in `predict`.

        Returns
        -------
        Forecast
            Quantiles of every series and step.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> rekur.Forecaster(horizon=3).fit(df).forecast(h=5).values.shape
        (1, 5, 13)
        """
        self.check_fitted()
        steps = self.horizon if h is None else h
        _check_whole("h", steps)
        parts = self._parts()
        group = PanelGroup(self._learned_panels()) if df is None else self.read(df, static_df=static_df)
        frame_type = self.frame_type_ if df is None or isinstance(df, (Panel, PanelGroup)) else empty_frame(df)
        forecast = parts.forecast(group, futr_df, steps, self.select, models)
        notes = self.notes_ if df is None else group.notes
        return replace(forecast, frame_type=frame_type, notes=tuple(dict.fromkeys([*notes, *forecast.notes])))

    def forecast_panel(
        self, panel: Panel, futr_df: Frame | None, h: int, select: str = "auto", models: bool = False
    ) -> Forecast:
        """Forecast a panel of the one frequency that was learned.

        Parameters
        ----------
        panel : Panel
            Series learned or new.
        futr_df : frame or None
            Known future covariates.
        h : int
            Steps to forecast.
        select : str, default "auto"
            Model that forecasts; "auto" for the one that was chosen.
        models : bool, default False
            Whether to forecast by every network and baseline too.

        Returns
        -------
        Forecast
            Quantiles of every series and step.
        """
        ensemble = self.ensemble_.using(select)
        future, notes = next_covariates(panel, self.columns_["futr_exog_list"], futr_df, h)
        if future is not None and ensemble.regression is not None:
            notes += range_notes(panel, future, ensemble.regression.ranges())
        names = (select, *ensemble.members) if models else (select,)
        values, *others = ensemble.next_quantiles(names, panel, future, h, first_unseen_row(self.panel_, panel))
        members, counts = dict(zip(names[1:], others, strict=True)), (ensemble.counts,)
        return Forecast(PanelGroup((panel,)), LEVELS, values, None, (ensemble.rank_template,), counts, notes, members)

    def make_future_frame(self, df: Frame | None = None, *, h: int | None = None) -> Frame:
        """Table of future covariates to fill in, for `predict`: id, time and empty columns for every step.

        Parameters
        ----------
        df : frame, optional
            Series to forecast; None for the series of `fit`.
        h : int, optional
            Steps to forecast; the horizon if None.

        Returns
        -------
        frame
            Its covariates are NaN; put numbers or labels in their place.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": 1.0, "promo": 0.0})
        >>> model = rekur.Forecaster(horizon=2).fit(df, target_col="y", futr_exog_list=["promo"])
        >>> model.make_future_frame().columns.tolist()
        ['ds', 'promo']
        """
        self.check_fitted()
        group = PanelGroup(self._learned_panels()) if df is None else self.read(df)
        steps = self.horizon if h is None else h
        _check_whole("h", steps)
        columns = [future_columns(panel, steps) for panel in group.parts]
        joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
        return panel_frame(joined, self.frame_type_ if df is None else empty_frame(df), group)

    def predict(
        self,
        df: Frame | None = None,
        *,
        static_df: Frame | None = None,
        futr_df: Frame | None = None,
        h: int | None = None,
        level: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        samples: int | None = None,
        models: bool = False,
    ) -> Frame:
        """Forecast the steps after each series, as a frame.

        A warning names columns of `futr_df` that are not read, missing values, and a history shorter than in `fit`;
        `Forecast.notes` holds all notes.

        Parameters
        ----------
        df : frame, optional
            New series or new history, without training again; None for the table of `fit`.
        static_df : frame, optional
            Static covariates of new series: one row a series.
        futr_df : frame, optional
            Id, time and the columns of futr_exog_list for every step to forecast; refused if `fit` had none.
        h : int, optional
            Steps to forecast, fewer or more than the horizon that was learned; beyond it the recurrence runs on.
        level : sequence of float, optional
            Central intervals in percent, from 1 to 95, such as [80, 90], as columns rekur-lo-80, rekur-hi-80, …
        quantiles : sequence of float, optional
            Quantile levels from 0.025 to 0.975 such as [0.1, 0.9], as columns rekur_ql0.1, …
        samples : int, optional
            Number of sample paths to draw instead, numbered in the column "sample"; see `Forecast.paths`.
        models : bool, default False
            Whether to add the forecasts of every network and baseline, with columns named like those of "rekur".

        Returns
        -------
        frame
            One row per series and step, of the same type as the input.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> rekur.Forecaster(horizon=3).fit(df).predict(level=[80]).columns.tolist()
        ['ds', 'rekur', 'rekur-lo-80', 'rekur-hi-80']
        """
        if models and samples is not None:
            raise OptionError("models=True has no effect on samples, paths of one model: leave one of them out")
        forecast = self.forecast(df, static_df=static_df, futr_df=futr_df, h=h, models=models)
        for note in forecast.notes:
            if note not in (*self.notes_, *forecast.panel.notes):  # on futr_df, or on what the forecast does not read
                warnings.warn(note, stacklevel=2)
        return (
            forecast.frame(level, quantiles) if samples is None else forecast.sample_frame(samples, self.random_state)
        )

    def plot(
        self,
        df: Frame | None = None,
        *,
        series: object = None,
        futr_df: Frame | None = None,
        h: int | None = None,
        engine: str = "plotly",
    ) -> Any:
        """Draw the end of one series, its forecast and the 80 and 95 % intervals.

        Parameters
        ----------
        df, futr_df, h
            As in `predict`.
        series : label, optional
            Label of a series; the first one if None.
        engine : {"plotly", "matplotlib"}, default "plotly"
            Library that draws; matplotlib is installed apart.

        Returns
        -------
        plotly.graph_objects.Figure or matplotlib.figure.Figure

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> type(rekur.Forecaster(horizon=3, select="naive").fit(df).plot()).__name__
        'Figure'
        """
        return self.forecast(df, futr_df=futr_df, h=h).plot(series, engine)

    def backtest(
        self,
        df: Frame,
        *,
        n_windows: int | None = None,
        step_size: int | None = None,
        refit: bool | int = False,
        time_limit: float | None = None,
        progress: bool | None = None,
        static_df: Frame | None = None,
        **columns: Unpack[ColumnOptions],
    ) -> Backtest:
        """Forecast past windows with new forecasters and with the baselines; this forecaster is not changed.

        Parameters
        ----------
        df : frame or Panel
            The complete history, as in `fit`.
        n_windows : int, optional
            Windows of each series; the last one ends with the series. None: up to eight windows spread over the last
            quarter, a year at most, see `rekur.forecasting.selection.past_windows.spread_windows`.
        step_size : int, optional
            Steps between windows; the horizon if None.
        refit : bool or int, default False
            Train a copy on the rows before the first window only (False), before every window (True), or before every
            k-th one.
        time_limit : float, optional
            Seconds that training may take.
        progress : bool, optional
            Whether to show a bar; if None, on a terminal or in a notebook.
        static_df : frame, optional
            Static covariates, as in `fit`.
        **columns
            id_col, time_col, target_col, futr_exog_list, hist_exog_list, stat_exog_list, duplicates as in `fit`; those
            not given are the ones of `fit` if the forecaster is fitted.

        Returns
        -------
        Backtest
            Forecasts, metrics and verdict; series too short for the windows are listed in `Backtest.skipped`.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": [float(t % 7) for t in range(90)]})
        >>> sorted(rekur.Forecaster(horizon=3).backtest(df).metrics())
        ['drift', 'naive', 'rekur', 'seasonal_naive', 'smoothing']
        """
        self.check()
        group = self._read_history(df, columns, static_df)
        backtest = cross_validate(
            self,
            group,
            n_windows=n_windows,
            step_size=step_size,
            refit=refit,
            time_limit=time_limit,
            progress=progress,
        )
        return replace(backtest, frame_type=empty_frame(df))

    def compare(self, df: Frame, *, static_df: Frame | None = None) -> Backtest:
        """Compare this fitted forecaster with the baselines on rows that it has not seen, without training.

        Parameters
        ----------
        df : frame
            History and rows to forecast. Of series that were learned the rows after the end of training are forecast,
            of new ones the last quarter: up to eight windows of the horizon each.
        static_df : frame, optional
            Static covariates of new series.

        Returns
        -------
        Backtest
            Forecasts, metrics and verdict; series without such rows are listed in `Backtest.skipped`.

        Raises
        ------
        DataError
            No series has a horizon of such rows.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": [float(t % 7) for t in range(90)]})
        >>> model = rekur.Forecaster(horizon=7, select="seasonal_naive").fit(df.head(70))
        >>> model.compare(df).stop.tolist()
        [76, 83]
        """
        group = self.read(df, static_df=static_df)
        return replace(unseen_windows(self._parts().part_for, group), frame_type=empty_frame(df))

    def _read_history(self, df: Frame, columns: ColumnOptions, static_df: Frame | None) -> PanelGroup:
        """Read a history to refit on; columns default to those of `fit`."""
        panels = self._learned_panels() if hasattr(self, "multi_") else ()
        fitted = self.columns_ if panels and not isinstance(df, (Panel, PanelGroup)) else {}
        merged: ColumnOptions = {**fitted, **columns}
        options = column_options(df, **merged)
        if static_df is not None and "stat_exog_list" not in columns:
            options["stat_exog_list"] = static_names(static_df, options["id_col"])
        group = self.usable(read_group(df, options, freq=self.freq, static_df=static_df, static_source=panels))
        refuse_long_season(group.parts, self.season_length)
        return group

    def cross_validation(
        self,
        df: Frame,
        h: int | None = None,
        *,
        n_windows: int = 3,
        step_size: int | None = None,
        refit: bool | int = False,
        level: Sequence[float] | None = None,
        quantiles: Sequence[float] | None = None,
        time_limit: float | None = None,
        progress: bool | None = None,
        static_df: Frame | None = None,
        **columns: Unpack[ColumnOptions],
    ) -> Frame:
        """Forecast past windows, as a frame: id, time, cutoff, the actual value, rekur and the baselines.

        Series too short for the windows are left out and named in a warning.

        Parameters
        ----------
        df : frame or Panel
            The complete history, as in `fit`.
        h : int, optional
            Steps of a window; the horizon if None.
        n_windows : int, default 3
            Windows of each series; the last one ends with the series.
        step_size, refit, time_limit, progress, static_df, **columns
            As in `backtest`.
        level, quantiles : sequence of float, optional
            Intervals and quantiles, as in `predict`.

        Returns
        -------
        frame
            One row per window and step, of the same type as the input.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": [float(t % 7) for t in range(90)]})
        >>> frame = rekur.Forecaster(horizon=7).cross_validation(df, h=3, n_windows=2)
        >>> len(frame), frame.columns[:4].tolist()
        (6, ['ds', 'cutoff', 'y', 'rekur'])
        """
        forecaster = self if h is None else copy.copy(self).set_params(horizon=h)
        backtest = forecaster.backtest(
            df,
            n_windows=n_windows,
            step_size=step_size,
            refit=refit,
            time_limit=time_limit,
            progress=progress,
            static_df=static_df,
            **columns,
        )
        for note in backtest.notes():
            warnings.warn(note, stacklevel=2)
        return backtest.frame(level, quantiles)

    def explain(
        self,
        df: Frame,
        *,
        n_windows: int = 3,
        static_df: Frame | None = None,
        **columns: Unpack[ColumnOptions],
    ) -> Frame:
        """Permutation importance of the covariates on a backtest; this forecaster stays as it is.

        Parameters
        ----------
        df, static_df, **columns
            As in `backtest`.
        n_windows : int, default 3
            Windows of each series; the last one ends with the series.

        Returns
        -------
        frame
            Columns "covariate" and "importance", the share by which the pinball loss grows when the values are
            shuffled (0 for a covariate of no use), the most important one first.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> promo = pd.Series([float(t % 5 == 0) for t in range(90)])
        >>> y = promo + pd.Series([t * 37 % 11 / 10 for t in range(90)])
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=90), "y": y, "promo": promo})
        >>> model = rekur.Forecaster(horizon=3, hidden_size=8, num_layers=1)
        >>> model.explain(df, n_windows=1, target_col="y", futr_exog_list=["promo"]).covariate.tolist()
        ['promo']
        """
        self.check()
        group = self._read_history(df, columns, static_df)
        first = group.parts[0]
        if not (first.future_names or first.past_names or first.static_names):
            raise OptionError("there are no covariates to explain: name some in futr_exog_list or another list")
        names, importance = permutation_importance(self, group, n_windows)
        return panel_frame({"covariate": names, "importance": importance}, empty_frame(df), PanelGroup((first,)))

    def fine_tune(
        self,
        df: Frame,
        *,
        time_limit: float | None = None,
        progress: bool | None = None,
        static_df: Frame | None = None,
        **columns: Unpack[ColumnOptions],
    ) -> Forecaster:
        """Train on another table, such as newer or related series, from the weights learned so far.

        The architecture is unchanged; each network trains at a quarter of the usual learning rate until the validation
        loss on the new table no longer improves, and ensemble weights and intervals are re-estimated. The new table
        replaces that of `fit`; it must have the frequency and the covariates of the model.

        Parameters
        ----------
        df : frame or Panel
            The new series.
        time_limit : float, optional
            Seconds that training may take.
        progress : bool, optional
            Whether to show a bar; if None, on a terminal or in a notebook.
        static_df : frame, optional
            Static covariates of new series.
        **columns
            Column options as in `fit`, by default the options of `fit`.

        Returns
        -------
        Forecaster
            This forecaster.

        Examples
        --------
        >>> import pandas as pd, rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> model = rekur.Forecaster(horizon=3, hidden_size=8, num_layers=1).fit(df)
        >>> model.fine_tune(df.assign(y=df.y + 1)).predict().shape
        (3, 2)
        """
        self.check_fitted()
        options: ColumnOptions = {**self.columns_, **columns}
        column_options(None, **options)  # refuses unknown names
        tuned = copy.copy(self)
        tuned.columns_ = options
        deadline = self._deadline(Deadline.after(time_limit))
        group = tuned._read_again(df, options, static_df=static_df)
        tuned.frame_type_ = empty_frame(df)
        if tuned.multi_ is not None:
            tuned._delegate_to(tuned.multi_.fine_tuned(group, deadline.seconds(), progress))
        else:
            tuned._fine_tune_panel(tuned._own_panel(group), deadline, progress)
        vars(self).update(vars(tuned))
        return self

    def _own_panel(self, group: PanelGroup) -> Panel:
        """The panel of a group of one frequency, which must be that of the model."""
        if len(group.parts) > 1 or not same_step(self.panel_, group.parts[0]):
            names = " and ".join(part.freq.name for part in group.parts)
            raise DataError(f"the table has the frequency {names}, but the model was fitted to {self.panel_.freq.name}")
        return group.parts[0]

    def _fine_tune_panel(self, panel: Panel, deadline: Deadline, progress: bool | None) -> None:
        new = self._config(panel) if self.ensemble_.networks else None
        if new is None or self.config_ is None:
            raise DataError("the series are too short for fine-tuning, or the model has no network: use fit")
        choose_likelihood(panel, self.config_.architectures[0].likelihood)  # refuses values that are no counts
        training = replace(new.training, learning_rate=new.training.learning_rate / 4)
        config = replace(
            self.config_,
            min_context=min(new.min_context, self.config_.context_length),
            validation_size=new.validation_size,
            training=training,
        )
        self.ensemble_, self.history_, notes = self._train(panel, config, deadline, progress, start=self.ensemble_)
        self.config_, self.panel_ = config, panel
        effects = effect_notes(panel, self.ensemble_)
        self.notes_ = [*panel.notes, *notes, *self.ensemble_.notes(self.likelihood), *effects]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted model to a folder, as config.json and model.safetensors.

        The loaded model forecasts the same numbers. The files hold the end of every series, from which forecasts go on:
        all rows of a series of up to 2,048 rows, the last 2,048 to 2,111 of a longer one, or more where three seasons
        or the context of a network are longer. They thus hold data of the training: for most tables all of its values.

        Parameters
        ----------
        folder : path
            A new or empty folder, or one that holds a model of rekur.

        Examples
        --------
        >>> import pandas as pd, rekur, tempfile
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> folder = tempfile.mkdtemp()
        >>> rekur.Forecaster(horizon=3, hidden_size=8, num_layers=1).fit(df).save(folder)
        >>> rekur.load(folder).horizon
        3
        """
        self.check_fitted()
        serialization.save(folder, self._parts().parts, self.columns_)

    def restore_panel(
        self,
        columns: ColumnOptions,
        panel: Panel,
        ensemble: Ensemble,
        config: ForecastConfig | None,
        notes: Sequence[str],
        history: Sequence[dict[str, float]],
    ) -> None:
        """Set the fitted state of one panel, as read from a file."""
        self.columns_, self.frame_type_, self.multi_ = columns, None, None
        self.panel_, self.ensemble_, self.config_, self.seasons_ = panel, ensemble, config, ensemble.seasons
        self.notes_, self.history_ = list(notes), list(history)

    @classmethod
    def _restore(cls, description: Description, tensors: dict[str, Tensor], folder: str) -> Forecaster:
        parts = serialization.restore(cls, description, tensors, folder)
        if len(parts) == 1:
            return parts[0]
        model = parts[0].unfitted()
        model.columns_, model.frame_type_ = description["columns"], None
        model._delegate_to(MultiFrequencyForecaster(parts))
        return model

    def _summary(self) -> list[tuple[str, str]]:
        """Lines on the task, the data and the scores of model and baselines, for `_repr_html_`."""
        return [("task", f"forecast {self.horizon} steps"), *self._parts().summary()]


def _check_whole(name: str, value: object) -> None:
    """Raise an OptionError unless a value is a whole number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise OptionError(f"{name} must be a whole number, got {value!r}")
    positive(name, int(value))
