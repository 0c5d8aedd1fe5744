"""Forecast result: quantiles of every series and step, as a frame of the user's type, sample paths or a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array, DataError, OptionError, percentage, positive
from rekur.data.ingest.schema import Frame, id_columns
from rekur.data.ingest.to_frame import to_frame
from rekur.data.panel import Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.sample_paths import draw_paths, whole_numbers
from rekur.metrics import at_level
from rekur.plotting import figure

NAME = "rekur"
"""Name of the column of the median forecast."""

SHOWN_ROWS = 10
"""Rows of a frame that a notebook shows."""

NUMBERS = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class Forecast:
    """Quantile forecasts of the steps after the end of each series.

    Parameters
    ----------
    panel : PanelGroup
        The history.
    levels : tuple of float
        Rising quantile levels, Q.
    values : np.ndarray
        Quantiles, shape (S, h, Q).
    frame_type : frame, optional
        An empty frame of the type that results take; pandas if None.
    rank_templates : tuple of np.ndarray, default ()
        Ranks of the held-out errors, shape (W, h), one array a panel, for sample paths.
    counts : tuple of bool, default ()
        Whether the forecasts of each panel are counts: medians, quantiles and sample paths are then whole numbers.
    notes : tuple of str, default ()
        Notes on the table that was forecast, on the model if that is the table of `fit`, and on `futr_df`.
    members : mapping of str to np.ndarray, optional
        Quantiles of every network and baseline, shape (S, h, Q); NaN where a frequency has no such network.

    Examples
    --------
    >>> import rekur
    >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
    >>> forecast = rekur.Forecaster(horizon=3).fit(df).forecast()
    >>> forecast.values.shape
    (1, 3, 13)
    >>> forecast.frame(level=[80]).columns.tolist()
    ['ds', 'rekur', 'rekur-lo-80', 'rekur-hi-80']
    """

    panel: PanelGroup
    levels: tuple[float, ...]
    values: Array
    frame_type: Frame = None
    rank_templates: tuple[Array, ...] = ()
    counts: tuple[bool, ...] = ()
    notes: tuple[str, ...] = ()
    members: Mapping[str, Array] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Forecast({self._extent()})"

    def _extent(self) -> str:
        """Numbers of series and steps, and the times of the steps."""
        S, times = len(self.panel), self.times
        ends = times.min(), times.max()
        first, last = (np.datetime_as_string(t, "auto") if times.dtype.kind == "M" else t for t in ends)
        zone = "" if self.panel.parts[0].tz is None else " UTC"
        return f"{S:,} series × {plural(self.horizon, 'step')}, {first} … {last}{zone}"

    def _repr_html_(self) -> str:
        """The forecast as a notebook shows it: its extent and the first rows of its frame."""
        frame = replace(self, frame_type=None).frame([80])
        rest = f"<p>… {len(frame):,} rows in all</p>" if len(frame) > SHOWN_ROWS else ""
        head = frame.head(SHOWN_ROWS).to_html(index=False, border=0, float_format="{:.6g}".format)
        return f"<div><p>Forecast of {self._extent()}</p>{head}{rest}</div>"

    @property
    def horizon(self) -> int:
        """Steps of the forecast."""
        return int(self.values.shape[1])

    def paths(self, samples: int = 1000, seed: int = 0) -> Array:
        """Sample paths whose steps depend on one another as the held-out errors did.

        Sums, maxima and other functions of several steps thus have valid distributions, which the quantiles of single
        steps do not give.

        Parameters
        ----------
        samples : int, default 1000
            Number of paths of each series, n.
        seed : int, default 0
            Seed of the random numbers.

        Returns
        -------
        np.ndarray
            Paths, shape (S, n, h).

        Raises
        ------
        OptionError
            The forecast is longer than the horizon that was learned.

        Examples
        --------
        >>> import rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> rekur.Forecaster(horizon=3).fit(df).forecast().paths(samples=50).shape
        (1, 50, 3)
        """
        positive("samples", samples)
        learned = min((template.shape[1] for template in self.rank_templates), default=0)
        if self.horizon > learned:
            raise OptionError(
                f"paths of {self.horizon} steps cannot be drawn: the model was fitted with a horizon of {learned}"
            )
        out, row = np.empty((len(self.values), samples, self.horizon)), 0
        counts = self.counts or (False,) * len(self.rank_templates)
        for k, q in enumerate(np.split(self.values, self.panel.first[1:-1])):
            for paths in draw_paths(q, self.levels, self.rank_templates[k], samples, seed):
                out[row : row + len(paths)] = whole_numbers(paths) if counts[k] else paths
                row += len(paths)
        return out

    def _rounded(self, values: Array) -> Array:
        """Values (S, ...) with those of counts as whole numbers."""
        if not any(self.counts):
            return values
        counts = np.repeat(self.counts, [len(part) for part in self.panel.parts])
        return np.where(counts.reshape(-1, *(1,) * (values.ndim - 1)), whole_numbers(values), values)

    @property
    def times(self) -> Array:
        """Times of the forecast, (S, h), in UTC if there is a zone."""
        lengths = np.concatenate([part.lengths for part in self.panel.parts])
        return self.panel.times(np.arange(len(lengths))[:, None], lengths[:, None] + np.arange(self.horizon))

    def frame(self, level: Sequence[float] | None = None, quantiles: Sequence[float] | None = None) -> Frame:
        """One row a series and step: id, time, the median "rekur", intervals and quantiles, and those of the members.

        Parameters
        ----------
        level : sequence of float, optional
            Central intervals in percent, from 1 to 95: [80] adds the columns rekur-lo-80 and rekur-hi-80.
        quantiles : sequence of float, optional
            Quantile levels: [0.1] adds the column rekur_ql0.1.

        Returns
        -------
        frame
            Of the type passed to `Forecaster.fit` or `Forecaster.predict`.

        Raises
        ------
        OptionError
            A level lies beyond those that were learned.

        Examples
        --------
        >>> from rekur.data.panel import read_panel
        >>> panel = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "y": [1.0, 2.0, 3.0]}))
        >>> forecast = Forecast(PanelGroup((panel,)), (0.1, 0.5, 0.9), np.array([[[3.0, 4.0, 5.0]]]))
        >>> forecast.frame(level=[80])
                  ds  rekur  rekur-lo-80  rekur-hi-80
        0 2024-01-04    4.0          3.0          5.0
        """
        columns = index_columns(self.panel, np.repeat(np.arange(len(self.panel)), self.horizon), self.times.ravel())
        for model, q in {NAME: self.values, **self.members}.items():
            for name, values in forecast_columns(q, self.levels, level, quantiles, model).items():
                if name in columns:
                    raise DataError(f"the table has a column {name!r}, the name of a column of the result; rename it")
                columns[name] = self._rounded(values).ravel()
        return self._to_frame(columns)

    def sample_frame(self, samples: int, seed: int = 0) -> Frame:
        """Sample paths as a frame: one row a series, path and step, with the number of the path.

        Parameters
        ----------
        samples : int
            Number of paths of each series.
        seed : int, default 0
            Seed of the random numbers.

        Returns
        -------
        frame
            Columns id, time, "sample" and "rekur".

        Examples
        --------
        >>> import rekur
        >>> df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=70), "y": [float(t % 7) for t in range(70)]})
        >>> rekur.Forecaster(horizon=3).fit(df).forecast().sample_frame(2).columns.tolist()
        ['ds', 'sample', 'rekur']
        """
        paths = self.paths(samples, seed)
        S, n, h = paths.shape
        times = np.repeat(self.times[:, None], n, axis=1).ravel()
        columns = index_columns(self.panel, np.repeat(np.arange(S), n * h), times)
        columns["sample"] = np.tile(np.repeat(np.arange(n), h), S)
        columns[NAME] = paths.ravel()
        return self._to_frame(columns)

    def _to_frame(self, columns: dict[str, Array]) -> Frame:
        return panel_frame(columns, self.frame_type, self.panel)

    def plot(self, series: object = None, engine: str = "plotly") -> Any:
        """Draw the end of the history, the forecast and its 80 and 95 % intervals.

        Parameters
        ----------
        series : label, optional
            Label of a series; the first one if None.
        engine : {"plotly", "matplotlib"}, default "plotly"
            Library that draws; matplotlib is installed apart.

        Returns
        -------
        plotly.graph_objects.Figure or matplotlib.figure.Figure

        Examples
        --------
        >>> from rekur.data.panel import read_panel
        >>> panel = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "y": [1.0, 2.0, 3.0]}))
        >>> forecast = Forecast(PanelGroup((panel,)), (0.1, 0.5, 0.9), np.array([[[3.0, 4.0, 5.0]]]))
        >>> type(forecast.plot()).__name__
        'Figure'
        """
        s = 0 if series is None else self.row(series)
        return figure(*self.panel.locate(s), self.values[s], self.levels, engine)

    def row(self, series: object) -> int:
        """Number of the series with a label.

        Raises
        ------
        OptionError
            There is no such series.

        Examples
        --------
        >>> from rekur.data.panel import read_panel
        >>> panel = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "y": [1.0, 2.0, 3.0]}))
        >>> forecast = Forecast(PanelGroup((panel,)), (0.1, 0.5, 0.9), np.array([[[3.0, 4.0, 5.0]]]))
        >>> forecast.row(None)
        0
        """
        ids = self.panel.ids
        matches = np.flatnonzero(ids == series)
        if not len(matches):
            raise OptionError(f"there is no series {series!r}; the first one is {ids[0]!r}")
        return int(matches[0])


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 step, 1,000 steps."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def empty_frame(df: Frame) -> Frame:
    """An empty frame of the type, the columns and the time zone of a user's table; None for a panel."""
    if isinstance(df, (Panel, PanelGroup)):
        return None
    if isinstance(df, (pd.DataFrame, pd.Series)):
        return df.head(0)
    return nw.from_native(df, eager_only=True).head(0).to_native()


def panel_frame(columns: dict[str, Array], frame_type: Frame, panel: PanelGroup) -> Frame:
    """A frame of a type, with times in the zone of a panel."""
    return to_frame(columns, pd.DataFrame() if frame_type is None else frame_type, panel.parts[0].tz)


def index_columns(panel: PanelGroup, series: Array, times: Array) -> dict[str, Array]:
    """Id and time columns (n,) of rows of series (n,); without an id if the table had none."""
    names, labels = panel.parts[0].columns, panel.ids[series]
    columns = {"unique_id": labels} if panel.parts[0].wide else id_columns(names, labels)
    return {**columns, names.time: times}


def forecast_columns(
    values: Array,
    levels: Sequence[float],
    level: Sequence[float] | None,
    quantiles: Sequence[float] | None,
    name: str,
) -> dict[str, Array]:
    """Columns (...) of the median, of intervals and of quantiles, from quantiles (..., Q) of rising levels (Q,)."""
    columns = {name: at_level(values, levels, 0.5)}
    level, quantiles = ([v] if isinstance(v, (int, float)) else v for v in (level, quantiles))
    for percent in level or ():
        percentage("level", percent)
        for side, tail in (("lo", 0.5 - percent / 200), ("hi", 0.5 + percent / 200)):
            columns[f"{name}-{side}-{percent:g}"] = quantile_column(values, levels, tail, f"level={percent:g}")
    for q in quantiles or ():
        if not isinstance(q, NUMBERS) or not 0 < q < 1:
            raise OptionError(f"quantiles must lie between 0 and 1, got {q!r}")
        columns[f"{name}_ql{q:g}"] = quantile_column(values, levels, q, f"quantile {q:g}")
    return columns


def quantile_column(values: Array, levels: Sequence[float], q: float, request: str) -> Array:
    """Forecast (...) of one quantile level, interpolated; an OptionError beyond the levels that were learned."""
    if not levels[0] - 1e-9 <= q <= levels[-1] + 1e-9:
        widest = 100 * (1 - 2 * levels[0])
        raise OptionError(f"{request} is outside the quantiles of the model: use a level of at most {widest:g}")
    return at_level(values, levels, q)
