"""Long tables of readings: the rows of one id are the steps of a sequence, columns of numbers its readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rekur.core import Array, DataError, nearest
from rekur.data.ingest.parsing import MISSING_TEXTS, Table, TextSeries, is_number, is_text, row_name, to_numbers
from rekur.data.ingest.schema import as_table, quoted, time_columns
from rekur.data.ingest.times import to_times

if TYPE_CHECKING:
    from rekur.serialization import Description

SHARE_OF_NUMBERS = 0.5  # of the cells of a column of readings that are numbers; fewer make a column of texts


@dataclass(frozen=True)
class ReadingColumns:
    """Columns of a long table of readings.

    Parameters
    ----------
    id : str
        Column whose values group the rows into sequences.
    names : tuple of str
        Columns of the readings, in the order in which a model reads them.
    target : str or None, default None
        Column of the labels.

    Examples
    --------
    >>> ReadingColumns("session", ("ax", "ay"), "activity").names
    ('ax', 'ay')
    """

    id: str
    names: tuple[str, ...]
    target: str | None = None

    @classmethod
    def restore(cls, description: Description | None) -> ReadingColumns | None:
        """The columns of a saved model; None where it holds none."""
        return None if description is None else cls(**{**description, "names": tuple(description["names"])})


@dataclass(frozen=True)
class Readings:
    """Sequences of a long table, one for each value of the id.

    Parameters
    ----------
    x : list of array of shape (T, I)
        Readings.
    ids : list
        Values of the id.
    rows : list of array of shape (T,)
        Rows of the steps of each sequence, in their order.
    columns : ReadingColumns
        Columns that were read.
    notes : list of str
        Notes on the columns and the order of the steps.
    """

    x: list[Array]
    ids: list[object]
    rows: list[Array]
    columns: ReadingColumns
    notes: list[str] = field(default_factory=list)


def read_readings(
    frame: pd.DataFrame, source: str, id: str, target: str | None, model: ReadingColumns | None = None
) -> Readings:
    """Group a long table into sequences: rows of one `id` are the steps, columns of numbers the readings.

    The steps are in the order of the rows, or of a column of dates or times. A `model` reads the columns that it was
    trained on, by their names; others are not used.

    Raises
    ------
    DataError
        If there is no column of numbers or not all of the model's, or a cell is missing or no number.

    Examples
    --------
    >>> frame = pd.DataFrame({"session": [1, 1, 2], "ax": [0.5, 0.1, 0.4], "device": ["a", "a", "b"]})
    >>> readings = read_readings(frame, "walks.csv", "session", None)
    >>> [len(x) for x in readings.x], readings.notes[1]
    ([2, 1], "not used: 'device', which holds no numbers")
    """
    table = as_table(frame, source)
    others = [name for name in table.columns if name not in (id, target)]
    times = [name for name in time_columns(table) if name in others and not is_number(table[name].dtype)]
    if model is not None:
        missing = [name for name in model.names if name not in others]
        if missing:
            raise DataError(
                f"{source} has no column {' and no '.join(map(repr, missing))}, which the model reads; its columns are "
                f"{quoted(table.columns)}{nearest(missing[0], others) if len(missing) == 1 else ''}"
            )
        times = [name for name in times if name not in model.names]
        names, unused = list(model.names), {name: "" for name in others if name not in (*model.names, *times)}
        unused.pop(model.target or "", None)
    else:
        names, unused = _columns_of_numbers(table, [name for name in others if name not in times])
    if not names:
        raise DataError(f"{source} has no column of numbers besides {id!r}")
    values = np.stack([_numbers(table, name, source) for name in names], axis=1).astype(np.float32)
    lacking = np.flatnonzero(frame[id].isna())
    if len(lacking):
        raise DataError(f"{row_name(int(lacking[0]))} of {source} has no value in {id!r}; fill or remove it first")
    groups = {key: np.asarray(rows) for key, rows in frame.groupby(id, sort=False).indices.items()}
    order, rows = "", list(groups.values())
    for name in times:
        unused[name], sorted_rows = _in_order(table, rows, name, source)
        if sorted_rows is not None and not order:
            order, rows = name, sorted_rows
            del unused[name]
    by = f"of {order!r}" if order else "of the rows"
    read = f"readings: {quoted(names)}; the steps of each {id!r} are in the order {by}"
    notes = [read] if model is None or order else []
    notes += [f"not used: {name!r}{reason}" for name, reason in unused.items()]
    notes += [] if order else _counter_notes(values, names, rows, id, model is None)
    columns = ReadingColumns(id, tuple(names), target or (None if model is None else model.target))
    return Readings([values[steps] for steps in rows], list(groups), rows, columns, notes)


def _columns_of_numbers(table: Table, candidates: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The columns of readings, those with texts among their numbers included, and the other ones with the reason."""
    names, unused = [], {}
    for name in candidates:
        column = table[name]
        if column.dtype.is_numeric() or (is_text(column.dtype) and _mostly_numbers(column.to_native())):
            names.append(name)
        elif is_number(column.dtype):
            unused[name] = ", which holds true and false: write 1 and 0 to use it"
        else:
            unused[name] = ", which holds no numbers"
    return names, unused


def _mostly_numbers(column: TextSeries) -> bool:
    """Whether half of the cells of a column of text that are not missing, or more, are numbers."""
    texts = column.dropna().astype(str).str.strip()
    texts = texts[~texts.str.lower().isin(MISSING_TEXTS)]
    return bool(pd.to_numeric(texts, errors="coerce").notna().mean() >= SHARE_OF_NUMBERS)


def _numbers(table: Table, name: str, source: str) -> Array:
    """A column of readings as numbers; a cell that is missing or no number is an error that names its row."""
    values = to_numbers(table[name], f"{source}, column {name!r}")
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        raise DataError(f"{row_name(int(missing[0]))} of {source} has no value in {name!r}; fill or remove it first")
    return values


def _in_order(table: Table, rows: Sequence[Array], name: str, source: str) -> tuple[str, list[Array] | None]:
    """Rows of the steps of each sequence in the order of a column of times; None where it gives no order, and why."""
    if table[name].null_count():
        return ", a column of times with empty cells", None
    values = to_times(table[name], f"{source}, column {name!r}").values
    if all((values[steps] == values[steps[0]]).all() for steps in rows):
        return ", a column of times that are the same at all steps of a sequence", None
    return ", as another column orders the steps", [steps[np.argsort(values[steps], kind="stable")] for steps in rows]


def _counter_notes(values: Array, names: Sequence[str], rows: Sequence[Array], id: str, learning: bool) -> list[str]:
    """Notes on columns that count the steps of each sequence; unless `learning`, if the rows do not follow them."""
    notes = []
    for k, name in enumerate(names):
        counts = [values[steps, k] for steps in rows]
        if max(map(len, counts)) > 1 and all(np.array_equal(np.sort(c), c.min() + np.arange(len(c))) for c in counts):
            note = (
                f"{name!r} counts the steps of each {id!r} and is read as a reading: leave it out if it means nothing"
            )
            mixed = any((np.diff(c) < 0).any() for c in counts)
            note += f"; the rows do not follow it: sort the table by {name!r} to read the steps in that order" * mixed
            notes += [note] * (learning or mixed)
    return notes
