"""Covariates of the steps to forecast: read from a data frame of the user, or the empty frame to fill in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array, DataError, OptionError, nearest
from rekur.data.frequency.frequency import format_time
from rekur.data.ingest.covariates import read_covariate
from rekur.data.ingest.notes import empty_ends
from rekur.data.ingest.parsing import MISSING_TEXTS, Table, plural, series_codes
from rekur.data.ingest.schema import Frame, as_table, file_attributes, id_columns, missing_column, quoted
from rekur.data.ingest.sorted_rows import to_wall_time
from rekur.data.ingest.times import TimeColumn, to_times
from rekur.data.panel import Panel

__all__ = ["future_columns", "future_notes", "future_rows", "is_shared", "next_covariates", "range_notes"]

MAX_ROWS_SHOWN = 3  # in an error
FAR = 0.5  # widths of the learned range
UNKNOWN = 2
"""State of a value whose label was not learned."""


def future_columns(panel: Panel, horizon: int) -> dict[str, Array]:
    """Return id, time and empty covariates of the steps after each series.

    Parameters
    ----------
    panel : Panel
        The history.
    horizon : int
        Number of steps.

    Returns
    -------
    dict of str to (S·horizon,) array

    Examples
    --------
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": [1, 2, 3], "y": 1.0, "x": 0.0}), future=["x"])
    >>> future_columns(panel, 2)
    {'ds': array([4, 5]), 'x': array([nan, nan])}
    """
    columns: dict[str, Array] = {}
    times = panel.at(np.arange(len(panel))[:, None], panel.lengths[:, None] + np.arange(horizon))  # (S, h)
    if panel.columns.id is not None:
        columns |= id_columns(panel.columns, np.repeat(panel.ids, horizon))
    elif panel.wide:
        times = times[:1]  # the series of a wide table share their covariates
    columns[panel.columns.time] = times.ravel()
    return {**columns, **{name: np.full(times.size, np.nan) for name in panel.future_names}}


def next_covariates(
    panel: Panel, names: Sequence[str], df: Frame | None, horizon: int
) -> tuple[Array | None, tuple[str, ...]]:
    """Covariates (S, h, F) of the steps after each series for a model that has those of `names`, and notes on them.

    Raises
    ------
    DataError
        If the model has covariates and there is no table, or it lacks values.
    OptionError
        If there is a table, and the model has no covariates.
    """
    if not names:
        if df is not None:
            cure = "leave out futr_df, or name some in futr_exog_list of fit"
            raise OptionError(f"the model has no future covariates: {cure}")
        return None, ()
    if df is None:
        raise DataError(f"the model needs future values of {', '.join(names)}: pass futr_df")
    values = future_rows(panel, df, horizon)
    return values, future_notes(panel, df, values)


def future_rows(panel: Panel, df: Frame, horizon: int, source: str = "the future table") -> Array:
    """Read the covariates of the steps after each series.

    Parameters
    ----------
    panel : Panel
        The history.
    df : data frame
        A frame with the id and time columns and all future covariates of the panel; other rows are ignored. Without
        id columns its rows hold for every series, as those of a calendar do.
    horizon : int
        Number of steps h.
    source : str, default "the future table"
        Name of the frame in errors.

    Returns
    -------
    (S, h, F) float64
        NaN where a value is missing.

    Raises
    ------
    DataError
        If a column or a row is missing.

    Examples
    --------
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": [1, 2, 3], "y": 1.0, "x": 0.0}), future=["x"])
    >>> future_rows(panel, pd.DataFrame({"ds": [4, 5], "x": [7.0, 8.0]}), 2).tolist()
    [[[7.0], [8.0]]]
    """
    table = as_table(df, source)
    columns = panel.columns
    shared = is_shared(panel, table)
    needed = (*(() if shared else columns.ids), columns.time, *panel.future_names)
    for name in needed:
        if name not in table.columns:
            raise missing_column(source, name, table.columns, needed)
        if name in (doubts := file_attributes(df).get("doubts", {})):
            raise DataError(f"{source}, column {name!r}: {doubts[name]}")
    where, whole = f"{source}, column {columns.time!r}", panel.freq.kind == "integer"
    times = _panel_times(panel, to_times(table[columns.time], where, whole), source)
    rows = np.arange(len(table))
    if columns.id is None:
        series = np.zeros(len(table), dtype=np.int64)
    elif shared:
        rows = np.flatnonzero((times >= panel.next_times(1).min()) & (times <= panel.next_times(horizon).max()))
        series, rows = np.repeat(np.arange(len(panel)), len(rows)), np.tile(rows, len(panel))
    else:
        codes, ids = series_codes(table, columns.id, source)
        series = pd.Index(panel.ids).get_indexer(pd.Index(ids))[codes]
    k, exact = panel.freq.count(panel.start[np.maximum(series, 0)], times[rows])
    step = k - panel.lengths[np.maximum(series, 0)]
    use = (series >= 0) & exact & (step >= 0) & (step < horizon)
    groups = 1 if columns.id is None else len(panel)
    counts = np.bincount(series[use] * horizon + step[use], minlength=groups * horizon)
    held = ""
    if (
        columns.id is not None
        and not shared
        and (series < 0).any()
        and not counts.reshape(groups, horizon).any(axis=1).all()
    ):
        label = ids[codes[int((series < 0).argmax())]]
        held = f"; it has {label!r}, which is not in the history{nearest(str(label), list(map(str, panel.ids)))}"
    elif not use.any():
        held = f"; it has times from {format_time(times.min())} to {format_time(times.max())}"
    _require_each_step_once(panel, counts.reshape(groups, horizon), source, held)
    out = np.empty((groups, horizon, len(panel.future_names)))
    for j, name in enumerate(panel.future_names):
        out[series[use], step[use], j] = read_covariate(table, name, panel.labels, source)[0][rows[use]]
    return np.repeat(out, len(panel), axis=0) if groups < len(panel) else out


def is_shared(panel: Panel, table: Table) -> bool:
    """Return whether a table of future values names no series of the panel, so that its rows hold for all of them."""
    return panel.columns.id is not None and not set(panel.columns.ids) & set(table.columns)


def future_notes(panel: Panel, df: Frame, values: Array, source: str = "the future table") -> tuple[str, ...]:
    """Notes on columns that are not read, and on missing values and labels that were not learned.

    Parameters
    ----------
    panel : Panel
        The history.
    df : data frame
        The frame that was read.
    values : (S, h, F) float64
        Covariates from `future_rows`.
    source : str, default "the future table"
        Name of the frame in notes and errors.

    Returns
    -------
    tuple of str

    Raises
    ------
    DataError
        If all values of a covariate are missing, as in a frame of `future_columns` that was not filled in, unless each
        was one label or empty in the history too; or if no value is a label that was learned.

    Examples
    --------
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": [1, 2, 3], "y": 1.0, "x": 0.0}), future=["x"])
    >>> df = pd.DataFrame({"ds": [4, 5], "x": [7.0, None], "z": 1.0})
    >>> future_notes(panel, df, future_rows(panel, df, 2))
    ("the future table: not used: 'z'", "the future table, column 'x': 1 of 2 values is missing, the first at 5")
    """
    table, columns = as_table(df, source), panel.columns
    known = {*columns.ids, columns.time, columns.target, *panel.future_names}
    unused = [name for name in table.columns if name not in known]
    notes = [f"{source}: {note}" for note in file_attributes(df).get("notes", ())]
    notes += [f"{source}: not used: {quoted(unused)}"] if unused else []
    if is_shared(panel, table):
        notes.append(f"{source}: without a column {quoted(columns.ids)}, its rows were taken for every series")
    for j, name in enumerate(panel.future_names):
        where, missing = f"{source}, column {name!r}", np.isnan(values[..., j])
        new: dict[str, None] = {}
        if panel.labels.get(name):
            states, new = _label_states(table, name, panel.labels[name])
            plain = replace(panel, future=panel.future[:, j : j + 1], future_names=(name,), labels={})
            state = future_rows(plain, states, values.shape[1], source)[..., 0]
            missing = state > 0
            new = new if (state == UNKNOWN).any() else {}
            if (state == UNKNOWN).all():
                learned = quoted(panel.labels[name], limit=MAX_ROWS_SHOWN)
                raise DataError(f"{where}: {next(iter(new))!r} was not learned, as all other values: write {learned}")
        may_be_empty = len(panel.labels.get(name, ())) == 1 and np.isnan(panel.future[:, j]).any()
        if missing.all() and not new and not may_be_empty and np.isfinite(panel.future[:, j]).any():
            raise DataError(f"{where}: all values are missing: fill them in")
        if missing.any():
            notes.append(f"{where}: {_missing_note(panel, missing, list(new))}")
    return tuple(notes)


def range_notes(
    panel: Panel, values: Array, ranges: Mapping[str, tuple[float, float]], source: str = "the future table"
) -> tuple[str, ...]:
    """Notes on covariates with values outside the learned range by more than half its width, one a covariate.

    Parameters
    ----------
    panel : Panel
        The history.
    values : (S, h, F) float64
        Covariates from `future_rows`.
    ranges : mapping of str to (float, float)
        Smallest and largest learned value by covariate.
    source : str, default "the future table"
        Name of the frame in notes.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from rekur.data import read_panel
    >>> panel = read_panel(pd.DataFrame({"ds": [1, 2, 3], "y": 1.0, "x": [0.0, 5.0, 10.0]}), future=["x"])
    >>> range_notes(panel, np.array([[[12.0], [90.0]]]), {"x": (0.0, 10.0)})
    ("the future table, column 'x': 1 of 2 values is far outside the learned range, 0 to 10: 90 at 5",)
    """
    notes = []
    for j, name in enumerate(panel.future_names):
        if name not in ranges:
            continue
        x, (low, high) = values[..., j], ranges[name]
        distance = np.nan_to_num(np.maximum(low - x, x - high))  # 0 for a missing value
        far = distance > FAR * (high - low)
        if far.any():
            s, step = np.unravel_index(distance.argmax(), x.shape)
            notes.append(
                f"{source}, column {name!r}: {_of_values(far)} far outside the learned range, {low:g} to {high:g}: "
                f"{x[s, step]:g} {_place(panel, int(s), int(step))}"
            )
    return tuple(notes)


def _of_values(mask: Array) -> str:
    """How many values a mask marks, with the verb."""
    count = int(mask.sum())
    return f"{count} of {mask.size} values {'is' if count == 1 else 'are'}"


def _place(panel: Panel, s: int, step: int) -> str:
    """Series, if it has a name, and time of a step after it."""
    series = f"of series {panel.ids[s]!r} " if panel.columns.id is not None else ""
    return f"{series}at {format_time(panel.next_times(step + 1)[s, step])}"


def _label_states(table: Table, name: str, labels: Sequence[str]) -> tuple[Frame, dict[str, None]]:
    """The table with 1 for each missing value of a column of labels and 2 for each new label, and these labels."""
    known, new, states = {*labels, *MISSING_TEXTS}, dict[str, None](), []
    for value in table[name].to_list():
        text = "" if value is None or value != value else str(value).strip()
        unknown = bool(text) and text not in known and text.lower() not in MISSING_TEXTS
        if unknown:
            new[text] = None
        states.append(float(UNKNOWN if unknown else value is None or value != value))
    return table.with_columns(nw.new_series(name, states, backend=table.implementation)).to_native(), new


def _missing_note(panel: Panel, missing: Array, new: Sequence[str]) -> str:
    """Number, kind and place of the values (S, h) of a covariate that are missing."""
    s, step = (int(place[0]) for place in np.nonzero(missing))
    kind = f"missing or a label that was not learned, such as {new[0]!r}," if new else "missing,"
    return f"{_of_values(missing)} {kind} the first {_place(panel, s, step)}"


def _panel_times(panel: Panel, column: TimeColumn, source: str) -> Array:
    """Return times in the kind and on the clock of the panel's."""
    if column.values.dtype.kind != panel.start.dtype.kind:
        raise DataError(f"{source}: its times must be of the same kind as in the history (dates or whole numbers)")
    if (column.tz is None) != (panel.tz is None):
        raise DataError(
            f"{source}: its times have time zone {column.tz or 'none'}, the history has {panel.tz or 'none'}"
        )
    return to_wall_time(column.values, panel.tz) if panel.local and panel.tz else column.values


def _require_each_step_once(panel: Panel, counts: Array, source: str, held: str) -> None:
    """Raise a DataError for steps (groups, horizon) with no row or several; held: what the table has instead."""
    if (counts == 1).all():
        return
    problem = "absent" if (counts == 0).any() else "there twice"
    series, steps = np.nonzero(counts == 0 if problem == "absent" else counts > 1)
    n, horizon = len(series), counts.shape[1]
    series, steps = series[:MAX_ROWS_SHOWN], steps[:MAX_ROWS_SHOWN]
    times = map(format_time, panel.next_times(horizon)[series, steps])
    named = panel.columns.id is not None
    rows = [f"{panel.ids[s]!r} at {time}" if named else time for s, time in zip(series, times, strict=True)]
    more = f" and {n - MAX_ROWS_SHOWN} more" if n > MAX_ROWS_SHOWN else ""
    raise DataError(
        f"{source}: {plural(n, 'row')} {'is' if n == 1 else 'are'} {problem} of the {counts.size} that the next "
        f"{horizon} steps need: {', '.join(rows)}{more}{_after_empty_end(panel, int(series[0]), problem)}"
        f"{held if problem == 'absent' else ''}"
    )


def _after_empty_end(panel: Panel, s: int, problem: str) -> str:
    """Return the hint that the steps begin after rows of series s without a value, "" where there are none."""
    count = int(empty_ends(panel.offsets, panel.y)[s])
    if problem != "absent" or not count:
        return ""
    return f"; they begin after {plural(count, 'row')} of the history without a value: take these out of it"
