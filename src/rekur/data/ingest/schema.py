"""Schema of a data frame: which columns are id, time, target and covariates of a long, plain or wide table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import narwhals as nw
import pandas as pd

from rekur.core import Array, DataError, nearest
from rekur.data.ingest.parsing import (
    FILE_ATTRIBUTES,
    MONTH_NAMES,
    Column,
    RowNames,
    Table,
    is_number,
    is_text,
    is_time,
    is_time_text,
    key_columns,
    object_series,
    plain_time,
)

__all__ = [
    "ID_COLUMNS",
    "TARGET_COLUMNS",
    "TIME_COLUMNS",
    "Columns",
    "Frame",
    "Schema",
    "as_table",
    "file_attributes",
    "id_columns",
    "infer_schema",
    "infer_time_column",
    "missing_column",
    "quoted",
    "time_columns",
]

Frame: TypeAlias = Any
"""A data frame of the user: pandas, polars or pyarrow, or a pandas Series with a time index; `as_table` checks it."""

ID_COLUMNS = ("unique_id", "item_id", "series_id")
TIME_COLUMNS = ("ds", "timestamp", "datetime", "date", "time", "date_time", "datum")
TARGET_COLUMNS = ("y", "target")
TIME_UNITS = ("period", "year", "quarter", "month", "week", "day", "hour", "minute", "step", "t")
TIME_NAME = re.compile(rf"(?:\d{{4}}[ -])?{MONTH_NAMES.pattern}(?:[ -]\d{{2,4}})?|(?:19|20)\d\d", re.IGNORECASE)
MIN_TIME_NAMES = 3  # columns named by a time that make a table of times as columns
MAX_NAMES = 12  # names that an error lists


class Columns(NamedTuple):
    """Names of the id, time and target columns; None for the id of a single series and id and target of a wide table.

    Several columns may name the series together.

    >>> Columns("unique_id", "ds", "y").time
    'ds'
    """

    id: str | tuple[str, ...] | None
    time: str
    target: str | None

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the columns that name the series."""
        return () if self.id is None else (self.id,) if isinstance(self.id, str) else self.id


class Schema(NamedTuple):
    """Columns of a table by role.

    Parameters
    ----------
    columns : Columns
        Id, time and target.
    values : tuple of str
        The target column, or all series of a wide table.
    covariates : tuple of str
        Covariate columns.
    wide : bool
        Each series is a column of its own.
    note : str, default ""
        Note on a role that was inferred.
    unused : tuple of str, default ()
        Columns without a role.
    """

    columns: Columns
    values: tuple[str, ...]
    covariates: tuple[str, ...]
    wide: bool
    note: str = ""
    unused: tuple[str, ...] = ()


def file_attributes(df: Frame) -> Mapping[str, Any]:
    """Return what `rekur.data.read_file` knows of the file of a frame: notes, questions, and the place of its header.

    >>> file_attributes(pd.DataFrame())
    {}
    """
    known: Mapping[str, Any] = df.attrs.get(FILE_ATTRIBUTES, {}) if isinstance(df, pd.DataFrame) else {}
    return known


def id_columns(columns: Columns, labels: Array) -> dict[str, Array]:
    """Return the columns that name the series of rows (n,) from the labels of these series (n,).

    >>> import numpy as np
    >>> id_columns(Columns(("shop", "dept"), "ds", "y"), np.array(["a/1", "a/2"], dtype=object))["dept"].tolist()
    ['1', '2']
    """
    if columns.id is None or isinstance(columns.id, str):
        return {} if columns.id is None else {columns.id: labels}
    return key_columns(columns.id, labels)


def as_table(df: Frame, source: str) -> Table:
    """Return a data frame as a narwhals frame with text names; a pandas index of times becomes a column.

    Raises
    ------
    DataError
        If it is no data frame, has no rows or columns, or a column name twice.
    """
    if isinstance(df, pd.Series):
        df = df.to_frame("y" if df.name is None else df.name)
    if isinstance(df, pd.DataFrame):
        df = _plain_pandas(df, source)
    try:
        table: Table = nw.from_native(df, eager_only=True)
    except TypeError:
        cure = " (call .collect() first)" if hasattr(df, "collect") else ""
        raise DataError(
            f"{source} is a {type(df).__name__}; a pandas, polars or pyarrow table is needed{cure}"
        ) from None
    if not table.columns or not len(table):
        raise DataError(f"{source} has {'columns but no rows' if table.columns else 'no columns'}: there is no data")
    return table


def _plain_pandas(df: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return a pandas frame with distinct text names and its index of times, if any, as a column."""
    if isinstance(df.columns, pd.MultiIndex) or isinstance(df.index, pd.MultiIndex):
        raise DataError(f"{source} has an index of several levels; use reset_index() and plain column names")
    if isinstance(df.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        name = "ds" if df.index.name is None else str(df.index.name)
        if name not in df.columns:
            df = df.copy(deep=False)
            df.insert(0, name, df.index)
    if any(not isinstance(c, str) for c in df.columns):
        df = df.set_axis([str(c) for c in df.columns], axis=1)
    duplicated = df.columns[df.columns.duplicated()]
    if len(duplicated):
        raise DataError(f"{source} has two columns named {duplicated[0]!r}; rename one of them")
    return df


def quoted(names: Iterable[str], limit: int = MAX_NAMES) -> str:
    """Return names in quotes separated by commas, the first `limit` of them."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(repr(name) for name in names[:limit]) + more


def missing_column(source: str, name: str, columns: Iterable[str], used: Iterable[str] = ()) -> DataError:
    """Return the error for a column that a table lacks: its columns, and the nearest of those that are not `used`."""
    names = list(columns)
    near = nearest(name, [each for each in names if each not in set(used)])
    return DataError(f"{source} has no column {name!r}; its columns are {quoted(names)}{near}")


def _checked_name(table: Table, name: str, option: str, source: str) -> str:
    """Return `name` if it is a column, else raise a DataError that lists the columns.

    option: the argument that names the column; "" where a model has learned its name.
    """
    if name not in table.columns:
        notes = file_attributes(table.to_native()).get("notes", ())
        joined = next((note for note in notes if note.endswith("were joined") and repr(name) in note), None)
        if joined is not None:
            raise DataError(f"{source}: the {joined}; name the first of them with {option}")
        raise DataError(
            f"{source} has no column {name!r}; its columns are {quoted(table.columns)}: "
            f"{f'name one of them with {option}' if option else 'rename the one that the model was fitted to'}"
            f"{nearest(name, table.columns)}"
        )
    return name


def _match_alias(names: Sequence[str], aliases: Sequence[str]) -> str | None:
    """Return the name that equals the first possible alias, if need be ignoring case."""
    lower = {name.lower().strip(): name for name in reversed(names)}
    exact = next((alias for alias in aliases if alias in names), None)
    return exact or next((lower[alias] for alias in aliases if alias in lower), None)


def infer_time_column(table: Table, candidates: Sequence[str], source: str) -> str:
    """Return the column with a known name for times, or the only one that holds times.

    candidates: the columns that may be it; source: name of the table in errors.

    Raises
    ------
    DataError
        If none or several could be it.

    Examples
    --------
    >>> table = as_table(pd.DataFrame({"sold": [1.5], "day": ["2024-01-31"], "price": [2.0]}), "sales.csv")
    >>> infer_time_column(table, table.columns, "sales.csv")
    'day'
    """
    dates = [name for name in candidates if is_time(table[name])]
    alias = _match_alias(candidates, TIME_COLUMNS)
    if alias is not None and (is_time(table[alias]) or len(dates) != 1):
        return alias
    if len(dates) == 1:
        return dates[0]
    text = [name for name in candidates if is_text(table[name].dtype) and _looks_like_time(table[name])]
    if len(text) == 1 and not dates:
        return text[0]
    units = [name for name in candidates if name.lower().strip() in TIME_UNITS]
    if len(units) == 1 and not dates:
        return units[0]
    others = [name for name in candidates if name.lower().strip() not in TARGET_COLUMNS]
    if others and len(candidates) <= 2 and not dates:
        return others[0]
    several = f" ({quoted(text or dates)} hold times)" if len(text or dates) > 1 else ""
    raise DataError(
        f"{source} has no unambiguous time column{several}; its columns are {quoted(table.columns)}: name it with "
        "time_col"
    )


def time_columns(table: Table) -> list[str]:
    """Return the columns that hold times by name or content.

    >>> time_columns(as_table(pd.DataFrame({"y": [1.5], "day": ["2024-01-31"]}), "sales.csv"))
    ['day']
    """

    def holds_times(name: str) -> bool:
        column = table[name]
        return is_time(column) or (is_text(column.dtype) and _looks_like_time(column))

    return [name for name in table.columns if _match_alias([name], TIME_COLUMNS) or holds_times(name)]


def _looks_like_time(column: Column) -> bool:
    """Return whether the first value of a text column reads as a time."""
    first = plain_time(str(column[0]).strip())
    if is_time_text(first):
        return True
    if not any(c.isdigit() for c in first) or not any(c.isalpha() or c in ":-/" for c in first):
        return False  # a number, perhaps with a decimal comma
    return not pd.isna(pd.to_datetime(first, errors="coerce"))


def _infer_targets(table: Table, roles: Columns, candidates: list[str], source: str) -> Schema:
    """Choose the target among the columns that are neither id, time nor covariate.

    roles: the id, the time, and the target if the user named it.
    """
    id_col, time_col, target_col = roles
    target = _match_alias(candidates, TARGET_COLUMNS) if target_col is None else target_col
    if target is None and len(candidates) == 1:
        target = candidates[0]
    doubts = file_attributes(table.to_native()).get("doubts", {})
    numeric = [name for name in candidates if is_number(table[name].dtype) or name in doubts]
    text = [name for name in candidates if name not in numeric]
    if target is None and id_col is not None and len(numeric) == 1:
        target = numeric[0]
    pair = target is None and id_col is None and len(candidates) == 2 and len(numeric) == 1
    if pair and is_text(table[text[0]].dtype):
        note = f"column {text[0]!r} was taken as the name of the series"
        return Schema(Columns(text[0], time_col, numeric[0]), (numeric[0],), (), False, note)
    if target is not None:
        return Schema(Columns(id_col, time_col, target), (target,), (), False)
    if not candidates:
        raise DataError(
            f"{source} has only the columns {quoted(table.columns)}: times and values need two columns or more"
        )
    if id_col is not None or text:
        _refuse_second_header(table, text, source)
        why = f"column {text[0]!r} is not numeric" if id_col is None else "several columns could be the target"
        raise DataError(
            f"{source}: it is not clear what to forecast ({why}); its columns are {quoted(table.columns)}: "
            "name the target with target_col" + (_id_cure(text) if id_col is None else "")
        )
    return Schema(Columns(None, time_col, None), tuple(candidates), (), True)


def _id_cure(text: Sequence[str]) -> str:
    """Return the advice to name the series by columns of text, or by any column if there is none."""
    if len(text) > 1:
        return f" and each column that names the series with id_col ({quoted(text)} hold no numbers)"
    return " (and the column that names the series with id_col)"


def _refuse_second_header(table: Table, names: Sequence[str], source: str) -> None:
    """Raise a DataError for columns of numbers below a text in the first row, as below a header of two rows."""
    for name in names:
        first, *others = object_series(table[name]).tolist()
        numbers = pd.to_numeric(pd.Series([first, *others]), errors="coerce").isna()
        if others and numbers[0] and not numbers[1:].any():
            raise DataError(
                f"{source}, column {name!r}, {RowNames.of(table)(0)}: {str(first)!r} is not a number, but all "
                "others are; if the header has two rows, keep one"
            )


def infer_schema(
    table: Table,
    id_col: str | Sequence[str] | None,
    time_col: str | None,
    target_col: str | Sequence[str] | None,
    covariates: Sequence[str],
    source: str,
    learned: bool = False,
) -> Schema:
    """Return the role of every column: as named, by a known name, or because no other reading is possible.

    Parameters
    ----------
    table : narwhals.DataFrame
        The table.
    id_col, target_col : str, sequence of str or None
        Names of the columns; None to infer them. Several ids name the series together; several targets are the series
        of a wide table.
    time_col : str or None
        Name of the time column; None to infer it.
    covariates : sequence of str
        Names of covariates.
    source : str
        Name of the table in errors.
    learned : bool, default False
        The names are those that a model was fitted to.

    Returns
    -------
    Schema

    Raises
    ------
    DataError
        If a named column does not exist, or the table can be read in several ways.

    Examples
    --------
    >>> table = as_table(pd.DataFrame({"date": ["2024-01-01"], "shop": ["a"], "sales": [1.0]}), "sales.csv")
    >>> infer_schema(table, "shop", None, None, (), "sales.csv").columns
    Columns(id='shop', time='date', target='sales')
    """
    names, targets, ids = table.columns, _listed(target_col), _listed(id_col)
    if time_col is None:
        _refuse_times_as_columns(table, source)
    for name in covariates:
        if name not in names:
            raise DataError(
                f"{source} has no column {name!r} (covariate); its columns are {quoted(names)}{nearest(name, names)}"
            )
    taken = {*targets, *covariates}
    if not ids and len(targets) < 2:
        ids = _listed(_match_alias([name for name in names if name not in taken and name != time_col], ID_COLUMNS))
    for name in ids:
        _checked_name(table, name, "" if learned else "id_col", source)
    rest = [name for name in names if name not in taken and name not in ids]
    if time_col is None:
        time_col = infer_time_column(table, rest, source)
    else:
        _checked_name(table, time_col, "" if learned else "time_col", source)
    roles = [*ids, time_col, *targets, *covariates]
    if len(set(roles)) < len(roles):
        name = next(name for name in roles if roles.count(name) > 1)
        raise DataError(f"{source}: column {name!r} has two roles; id, time, target and covariates must differ")
    for name in targets:
        _checked_name(table, name, "" if learned else "target_col", source)
    rest = [name for name in rest if name != time_col]
    if len(targets) > 1:
        if ids:
            raise DataError(f"{source}: each of several targets is a series of its own; leave out id_col")
        schema = Schema(Columns(None, time_col, None), targets, (), True)
    else:
        columns = Columns(ids if len(ids) > 1 else ids[0] if ids else None, time_col, targets[0] if targets else None)
        schema = _infer_targets(table, columns, rest, source)
    used = {*schema.columns.ids, time_col, *schema.values, *covariates}
    unused = tuple(name for name in names if name not in used)
    return schema._replace(covariates=tuple(covariates), unused=unused)


def _refuse_times_as_columns(table: Table, source: str) -> None:
    """Raise a DataError for a table with a column for each time, such as Jan 2023, Feb 2023 and so on."""
    names = table.columns
    times = [name for name in names if is_time_text(name) or TIME_NAME.fullmatch(plain_time(name.strip()))]
    if len(times) < MIN_TIME_NAMES or 2 * len(times) < len(names):
        return
    if not time_columns(table.select([name for name in names if name not in times])):
        raise DataError(
            f"{source} has a column for each time ({quoted(times, limit=3)}), but a row for each time is needed: "
            "transpose the sheet, or use df.melt() of pandas"
        )


def _listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return no, one or several names as a tuple."""
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)
