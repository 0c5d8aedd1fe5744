"""Panels of several frequencies: one `Panel` a frequency, and the reading of a user's table into them."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array, DataError, OptionError, nearest
from rekur.data.ingest.covariates import read_covariate, static_values
from rekur.data.ingest.notes import longest_gap
from rekur.data.ingest.parsing import plural, series_codes
from rekur.data.ingest.schema import ID_COLUMNS, Frame, as_table, missing_column, quoted
from rekur.data.panel import Panel, read_panels

if TYPE_CHECKING:
    from typing import Unpack


MODEL_OPTIONS = {name: name for name in ("cell", "freq", "horizon", "select", "season_length", "training")} | {
    "h": "horizon",
    "epochs": "training=Training(max_epochs=…)",
}
"""Options of the forecaster that users pass to its methods, and their names."""

SYNONYMS = {
    **dict.fromkeys(("y", "value", "label"), "target_col"),
    **dict.fromkeys(("ds", "date", "timestamp"), "time_col"),
    **dict.fromkeys(("unique_id", "item_id", "series", "group"), "id_col"),
    **dict.fromkeys(("exog", "covariates", "future", "futr_exog"), "futr_exog_list"),
    **dict.fromkeys(("past", "hist_exog"), "hist_exog_list"),
    **dict.fromkeys(("static", "stat_exog"), "stat_exog_list"),
}
"""Names that other libraries and users have for `ColumnOptions`."""


class ColumnOptions(TypedDict, total=False):
    """How the columns of a user's table are read; see `rekur.Forecaster.fit`."""

    id_col: str | Sequence[str] | None
    time_col: str | None
    target_col: str | Sequence[str] | None
    futr_exog_list: Sequence[str]
    hist_exog_list: Sequence[str]
    stat_exog_list: Sequence[str]
    duplicates: str


@dataclass(frozen=True)
class PanelGroup:
    """Panels of one or several frequencies; series are numbered through all of them.

    Parameters
    ----------
    parts : tuple of Panel
        One panel a frequency.

    Examples
    --------
    >>> from rekur.data.panel import read_panel
    >>> days = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=4), "y": [1.0, 2.0, 3.0, 4.0]}))
    >>> weeks = read_panel(pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=4, freq="7D"), "y": 1.0}))
    >>> group = PanelGroup((days, weeks))
    >>> len(group), group.locate(1)[0].freq.name
    (2, 'W-MON')
    """

    parts: tuple[Panel, ...]

    @classmethod
    def of(cls, panels: Panel | PanelGroup) -> PanelGroup:
        """A group of one panel, or the group itself."""
        return cls((panels,)) if isinstance(panels, Panel) else panels

    @cached_property
    def first(self) -> Array:
        """Number of the first series of each part, and the number of all series; shape (parts + 1,)."""
        return np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def ids(self) -> Array:
        """Labels of all series, (S,)."""
        return np.concatenate([part.ids for part in self.parts])

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the data, preceded by the frequency if there are several."""
        if len(self.parts) == 1:
            return self.parts[0].notes
        return tuple(f"{part.freq.name}: {note}" for part in self.parts for note in part.notes)

    @property
    def skipped(self) -> tuple[tuple[object, str], ...]:
        """Label and reason of each series that was left out."""
        return tuple(pair for part in self.parts for pair in part.skipped)

    def locate(self, s: int) -> tuple[Panel, int]:
        """The panel that holds series s, and the number of the series in it."""
        k = int(np.searchsorted(self.first, s, side="right")) - 1
        return self.parts[k], s - int(self.first[k])

    def times(self, series: Array, rows: Array) -> Array:
        """Times of rows of series, in UTC if there is a zone; both arguments broadcast."""
        series, rows = np.broadcast_arrays(series, rows)
        out = np.empty(series.shape, self.parts[0].start.dtype)
        for part, low, high in zip(self.parts, self.first[:-1], self.first[1:], strict=True):
            inside = (series >= low) & (series < high)
            out[inside] = part.at(series[inside] - low, rows[inside])
        return out


def column_options(df: Frame, **options: Unpack[ColumnOptions]) -> ColumnOptions:
    """Options completed by their defaults, or, of a panel, by its own columns.

    Raises
    ------
    OptionError
        An option is not one of `ColumnOptions`.
    """
    if unknown := [name for name in options if name not in ColumnOptions.__annotations__]:
        raise _unknown_option(unknown[0])
    present = _present(df)
    complete: ColumnOptions = {
        "id_col": _one_or_several(options.get("id_col"), present),
        "time_col": options.get("time_col"),
        "target_col": _one_or_several(options.get("target_col"), present),
        "futr_exog_list": _matching(options.get("futr_exog_list", ()), present),
        "hist_exog_list": _matching(options.get("hist_exog_list", ()), present),
        "stat_exog_list": _matching(options.get("stat_exog_list", ()), present),
        "duplicates": options.get("duplicates", "error"),
    }
    if isinstance(df, (Panel, PanelGroup)):
        panel = PanelGroup.of(df).parts[0]
        complete["id_col"], complete["time_col"] = panel.columns.id, panel.columns.time
        complete["target_col"] = None if panel.wide else panel.columns.target
        complete["futr_exog_list"], complete["hist_exog_list"] = panel.future_names, panel.past_names
        complete["stat_exog_list"] = panel.static_names
    return complete


def _unknown_option(name: str) -> OptionError:
    """Error for a name that is none of `ColumnOptions`, with the one that is meant."""
    known = list(ColumnOptions.__annotations__)
    if name in MODEL_OPTIONS:
        other = MODEL_OPTIONS[name]
        return OptionError(f"{name!r} is not an option for the columns of a table; pass {other} to rekur.Forecaster")
    meant = nearest(name, known, SYNONYMS)
    return OptionError(
        f"{name!r} is not an option for the columns of a table; the options are {', '.join(known)}{meant}"
    )


def _names(names: Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _present(df: Frame) -> list[str]:
    """Columns of a user's table; none of a panel or of what is no table."""
    if isinstance(df, pd.DataFrame):
        return [str(name) for name in df.columns]
    table = nw.from_native(df, eager_only=True, pass_through=True)
    return table.columns if isinstance(table, nw.DataFrame) else []


def _matching(names: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
    """Names with patterns such as "temp*" replaced by the columns of a table that match them."""
    columns = list[str]()
    for name in _names(names):
        matches = [name] if name in present or not present else fnmatch.filter(present, name) or [name]
        columns += [column for column in matches if column not in columns]
    return tuple(columns)


def _one_or_several(names: str | Sequence[str] | None, present: Sequence[str]) -> str | tuple[str, ...] | None:
    """One name, or several, from names and patterns; None for none."""
    columns = () if names is None else _matching(names, present)
    return columns[0] if len(columns) == 1 else columns or None


def read_group(
    df: Frame,
    columns: ColumnOptions,
    *,
    freq: str | int | None = None,
    learned: Sequence[Panel] = (),
    static_df: Frame | None = None,
    static_source: Sequence[Panel] = (),
    source: str = "the table",
) -> PanelGroup:
    """Read a user's table as panels, one a frequency; a panel or a group is taken as it is.

    Parameters
    ----------
    df : frame, Panel or PanelGroup
        The table, see `rekur.data.panel.read_panels`.
    columns : ColumnOptions
        Complete options, from `column_options`.
    freq : str or int, optional
        Frequency of all series; inferred if None.
    learned : sequence of Panel
        Panels whose frequencies and labels hold for this table too.
    static_df : frame, optional
        Static covariates: one row a series, named by the id column.
    static_source : sequence of Panel
        Panels that hold the static covariates of series where the table has no such columns.
    source : str
        Name of the table in errors.

    Raises
    ------
    DataError
        The table cannot be used; the text names column, series and row.
    """
    if isinstance(df, (Panel, PanelGroup)):
        return PanelGroup.of(df)
    static, present = tuple(columns["stat_exog_list"]), as_table(df, source).columns
    elsewhere = static_df is not None or (bool(static_source) and not set(static) <= set(present))
    panels = read_panels(
        df,
        id_col=columns["id_col"],
        time_col=columns["time_col"],
        target_col=columns["target_col"],
        future=columns["futr_exog_list"],
        past=columns["hist_exog_list"],
        static=() if elsewhere else static,
        freq=freq,
        learned=learned,
        duplicates=columns["duplicates"],
        source=source,
    )
    if static_df is not None:
        panels = with_static(panels, static_df, static, learned)
    elif elsewhere:
        panels = [_with_known_static(panel, static_source, source) for panel in panels]
    return PanelGroup(tuple(panels))


def static_names(
    static_df: Frame, id_col: str | Sequence[str] | None, source: str = "the static table"
) -> tuple[str, ...]:
    """Columns of a table of static covariates: all but the id."""
    columns = as_table(static_df, source).columns
    id_names = _id_columns(columns, id_col, source)
    return tuple(name for name in columns if name not in id_names)


def _id_columns(columns: Sequence[str], id_col: str | Sequence[str] | None, source: str) -> tuple[str, ...]:
    """Names of the id columns of a table of static covariates."""
    known = next((name for name in ID_COLUMNS if name in columns), "unique_id")
    names = _names(known if id_col is None else id_col)
    for name in names:
        if name not in columns:
            raise DataError(f"{source} has no column {name!r} that names the series; its columns are {quoted(columns)}")
    return names


def with_static(
    panels: Sequence[Panel], static_df: Frame, names: Sequence[str], learned: Sequence[Panel] = ()
) -> list[Panel]:
    """Panels with the static covariates `names` of a table that has one row a series.

    Raises
    ------
    DataError
        A column or a series is missing, or a series has two values.
    """
    source = "the static table"
    table = as_table(static_df, source)
    for name in names:
        if name not in table.columns:
            raise missing_column(source, name, table.columns, names)
    id_names = _id_columns(table.columns, panels[0].columns.id, source)
    codes, ids = series_codes(table, id_names[0] if len(id_names) == 1 else id_names, source)
    known = learned[0].labels if learned else None
    read = {name: read_covariate(table, name, known, source) for name in names}
    values = [static_values(read[name][0], codes, ids, f"{source}, column {name!r}") for name in names]
    labels = {name: kinds for name, (_, kinds) in read.items() if kinds}
    out = []
    for panel in panels:
        place = _places(pd.Index(ids), panel, f"{source} has no row of the series")
        static = np.stack([column[place] for column in values], axis=1) if values else np.zeros((len(panel), 0))
        out.append(replace(panel, static=static, static_names=tuple(names), labels={**panel.labels, **labels}))
    return out


def _with_known_static(panel: Panel, known: Sequence[Panel], source: str) -> Panel:
    """A panel with the static covariates that other panels hold of its series."""
    ids, values = np.concatenate([each.ids for each in known]), np.concatenate([each.static for each in known])
    place = _places(pd.Index(ids), panel, f"{source} has no static covariates: pass static_df for the series")
    names = known[0].static_names
    labels = {name: labels for name, labels in known[0].labels.items() if name in names}
    return replace(panel, static=values[place], static_names=names, labels={**panel.labels, **labels})


def _places(index: pd.Index[Any], panel: Panel, message: str) -> Array:
    """Positions of the series of a panel in an index of labels, (S,)."""
    place = index.get_indexer(pd.Index(panel.ids))
    if (place < 0).any():
        raise DataError(f"{message} {panel.ids[int(np.flatnonzero(place < 0)[0])]!r}")
    return np.asarray(place)


def _seen_last(panel: Panel, rows: int) -> Array:
    """Number of observed values in the last `rows` rows of each series, (S,)."""
    if panel.lengths.max(initial=0) <= rows:
        return panel.seen
    total = np.concatenate([[0], np.cumsum(np.isfinite(panel.y))])
    return np.asarray(total[panel.offsets[1:]] - total[np.maximum(panel.offsets[:-1], panel.offsets[1:] - rows)])


def _within(panel: Panel, rows: int) -> str:
    """The end of a reason that counts values in the last `rows` rows, "" where no series is longer."""
    return f" in the last {rows:,} steps" if panel.lengths.max() > rows else ""


def without_short(group: PanelGroup, least: int, rows: int, source: str = "the table") -> PanelGroup:
    """The series with `least` observed values in the last `rows` rows; the others are listed in `Panel.skipped`.

    Raises
    ------
    DataError
        No series has so many values.
    """
    counts = [_seen_last(part, rows) for part in group.parts]
    count = np.concatenate(counts)
    if (count < least).all():
        longest, ids = int(count.argmax()), group.ids
        label = "the series" if ids[longest] is None else f"the longest, {ids[longest]!r},"
        few, gap = f"{label} has {plural(int(count[longest]), 'value')}", longest_gap(group.parts[0])
        if gap is not None and (group.parts[0].seen >= least).any():
            few += f" in its last {rows:,} steps, as there is none between {gap.ends(group.parts[0])}; mend these times"
        raise DataError(f"{source}: too short to forecast: {few}; {least} are needed")
    pairs = zip(group.parts, counts, strict=True)
    parts = [
        part.skip(seen < least, f"fewer than {least} values{_within(part, rows)}") if (seen < least).any() else part
        for part, seen in pairs
    ]
    usable = [part for part in parts if len(part)]
    lost = tuple(pair for part in parts if not len(part) for pair in part.skipped)
    if lost:
        usable[0] = replace(usable[0], skipped=usable[0].skipped + lost)
    return PanelGroup(tuple(usable))
