"""Which column is what: id, time, target and covariates of a long, plain or wide table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import pandas as pd

from rekur.core import DataError, nearest
from rekur.data.ingest.parsing import is_number, is_text, is_time

IDS = ("unique_id", "item_id", "series_id")
TIMES = ("ds", "timestamp", "datetime", "date", "time", "date_time")
PARTS = ("period", "year", "quarter", "month", "week", "day", "hour", "minute", "step", "t")
TARGETS = ("y", "target")


class Columns(NamedTuple):
    """The names of the id, time and target columns; None where there is none (a wide table: id, target)."""

    id: str | None
    time: str
    target: str | None


class Schema(NamedTuple):
    """The columns by role; `values` are the target column, or all series of a wide table."""

    columns: Columns
    values: tuple[str, ...]
    future: tuple[str, ...]
    wide: bool
    note: str = ""


def as_frame(df: Any, source: str) -> nw.DataFrame[Any]:
    """Return any table as a narwhals frame with text names; a pandas index of times becomes a column.

    Raises
    ------
    DataError : no such table, no rows, no columns, or doubled column names.
    """
    if isinstance(df, pd.Series):
        df = df.to_frame("y" if df.name is None else df.name)
    if isinstance(df, pd.DataFrame):
        if isinstance(df.columns, pd.MultiIndex) or isinstance(df.index, pd.MultiIndex):
            raise DataError(f"{source} has an index of several levels; use reset_index() and plain column names")
        if isinstance(df.index, (pd.DatetimeIndex, pd.PeriodIndex)):
            name = "ds" if df.index.name is None else str(df.index.name)
            df = df.reset_index(names=name) if name not in df.columns else df.reset_index(drop=True)
        if any(not isinstance(c, str) for c in df.columns):
            df = df.set_axis([str(c) for c in df.columns], axis=1)
        doubled = df.columns[df.columns.duplicated()]
        if len(doubled):
            raise DataError(f"{source} has two columns named {doubled[0]!r}; rename one of them")
    try:
        frame: nw.DataFrame[Any] = nw.from_native(df, eager_only=True)
    except TypeError:
        cure = " (call .collect() first)" if hasattr(df, "collect") else ""
        raise DataError(
            f"{source} is a {type(df).__name__}; a pandas, polars or pyarrow table is needed{cure}"
        ) from None
    if not frame.columns or not len(frame):
        raise DataError(f"{source} has {'columns but no rows' if frame.columns else 'no columns'}: there is no data")
    return frame


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names as text, the first `most` of them."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(n) for n in names[:most]) + more


def _named(frame: nw.DataFrame[Any], name: str, option: str, source: str) -> str:
    """Return `name` if it is a column, else say which columns there are."""
    if name not in frame.columns:
        raise DataError(
            f"{source} has no column {name!r}; its columns are {listed(frame.columns)}: name one of them with {option}"
            f"{nearest(name, frame.columns)}"
        )
    return name


def _alias(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first of `names` that is a known alias, exactly or but for case."""
    lower = {n.lower().strip(): n for n in reversed(names)}
    return next((k for k in known if k in names), next((lower[k] for k in known if k in lower), None))


def _time(frame: nw.DataFrame[Any], given: str | None, rest: list[str], source: str) -> str:
    """Find the time column: the one named, one with a known name, or the only one that holds times."""
    if given is not None:
        return _named(frame, given, "time_col", source)
    dates = [n for n in rest if is_time(frame[n])]
    known = _alias(rest, TIMES)
    if known is not None and (is_time(frame[known]) or len(dates) != 1):
        return known
    if len(dates) == 1:
        return dates[0]
    text = [n for n in rest if is_text(frame[n].dtype) and _looks_like_time(frame[n])]
    if len(text) == 1 and not dates:
        return text[0]
    parts = [n for n in rest if n.lower().strip() in PARTS]
    if len(parts) == 1 and not dates:
        return parts[0]
    others = [n for n in rest if n.lower().strip() not in TARGETS]
    if others and len(rest) <= 2 and not dates:
        return others[0]
    raise DataError(
        f"{source} has no column that is clearly the time; its columns are {listed(frame.columns)}: "
        "name it with time_col"
    )


def _looks_like_time(column: nw.Series[Any]) -> bool:
    """Tell whether the first value of a text column reads as a time."""
    first = str(column[0])
    if not any(c.isdigit() for c in first) or first.replace(".", "").isdigit():
        return False
    return not pd.isna(pd.to_datetime(first, errors="coerce"))


def _targets(
    frame: nw.DataFrame[Any], roles: tuple[str | None, str, str | None], rest: list[str], source: str
) -> Schema:
    """Choose the target among the columns that are neither id, time nor covariate."""
    id_col, time, given = roles
    target = _named(frame, given, "target_col", source) if given is not None else _alias(rest, TARGETS)
    if target is None and len(rest) == 1:
        target = rest[0]
    numeric = [n for n in rest if is_number(frame[n].dtype)]
    text = [n for n in rest if n not in numeric]
    if target is None and id_col is not None and len(numeric) == 1:
        target = numeric[0]
    if target is None and id_col is None and len(rest) == 2 and len(numeric) == 1 and is_text(frame[text[0]].dtype):
        note = f"column {text[0]!r} was taken as the name of the series"
        return Schema(Columns(text[0], time, numeric[0]), (numeric[0],), (), False, note)
    if target is not None:
        return Schema(Columns(id_col, time, target), (target,), (), False)
    if not rest:
        raise DataError(f"{source} has only the columns {listed(frame.columns)}: there is none to forecast")
    if id_col is not None or text:
        why = f"column {text[0]!r} is not numeric" if id_col is None else "several columns could be the target"
        raise DataError(
            f"{source}: it is not clear what to forecast ({why}); its columns are {listed(frame.columns)}: "
            "name the target with target_col"
            + (" (and the column that names the series with id_col)" if id_col is None else "")
        )
    return Schema(Columns(None, time, None), tuple(rest), (), True)


def find_roles(
    frame: nw.DataFrame[Any],
    id_col: str | None,
    time_col: str | None,
    target_col: str | None,
    future: Sequence[str],
    source: str,
) -> Schema:
    """Find the role of every column, by option, by known name, or because only one reading is possible.

    Raises
    ------
    DataError : a named column does not exist, or the table can be read in several ways.
    """
    names = frame.columns
    for name in future:
        if name not in names:
            raise DataError(
                f"{source} has no column {name!r} (covariate); its columns are {listed(names)}{nearest(name, names)}"
            )
    taken = {n for n in (target_col, *future) if n is not None}
    id_found = _named(frame, id_col, "id_col", source) if id_col is not None else None
    if id_col is None:
        id_found = _alias([n for n in names if n not in taken and n != time_col], IDS)
    rest = [n for n in names if n not in taken and n != id_found]
    time = _time(frame, time_col, rest, source)
    given = [n for n in (id_found, time, target_col, *future) if n is not None]
    if len(set(given)) < len(given):
        twice = next(n for n in given if given.count(n) > 1)
        raise DataError(f"{source}: column {twice!r} was given two roles; id, time, target and covariates must differ")
    rest = [n for n in rest if n != time]
    return _targets(frame, (id_found, time, target_col), rest, source)._replace(future=tuple(future))
