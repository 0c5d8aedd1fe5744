"""Frames for output: of the kind the user gave, with times of the type and zone that came in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from rekur.core import Array

__all__ = ["frame"]


def _zone(like: Any) -> str | None:
    """Return the time zone of the first column, or of the index, of `like` that has one."""
    if isinstance(like, (pd.DataFrame, pd.Series)) and isinstance(like.index, pd.DatetimeIndex) and like.index.tz:
        return str(like.index.tz)
    if isinstance(like, (pd.DataFrame, pd.Series)):  # narwhals 2.29 does not see zones with an underscore here
        kinds = [like.dtype] if isinstance(like, pd.Series) else list(like.dtypes)
        found = next((kind for kind in kinds if isinstance(kind, pd.DatetimeTZDtype)), None)
        if found is not None:
            return str(found.tz)
        if isinstance(like, pd.Series):
            return None
    zones = (getattr(dtype, "time_zone", None) for dtype in nw.from_native(like, eager_only=True).schema.values())
    return next((zone for zone in zones if zone), None)


def _typed(name: str, column: nw.Series[Any], schema: Mapping[str, Any], tz: str | None) -> nw.Series[Any]:
    """Return a column in the type of its namesake in the user's table."""
    wanted = schema.get(name)
    if isinstance(column.dtype, nw.Datetime):
        native = column.to_native()
        if isinstance(native, pd.Series):
            stamps = native if tz is None else native.dt.tz_localize("UTC").dt.tz_convert(tz)
            return nw.from_native(stamps, series_only=True)
        if tz is not None:
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(tz)
        elif wanted == nw.Date:
            return column.cast(nw.Date)
        unit = wanted.time_unit if isinstance(wanted, nw.Datetime) else "us"
        return column.cast(nw.Datetime(unit, tz))
    if wanted is not None and (wanted.is_integer() or wanted in (nw.String, nw.Categorical, nw.Enum)):
        return column.cast(wanted)
    return column


def frame(columns: Mapping[str, Array], like: Any, tz: str | None = None) -> Any:
    """Return a table of the same kind as `like`: pandas, polars or pyarrow.

    Times in UTC come out in zone `tz`, or, if it is None, in the zone that `like` has; without a zone they
    stay as they are. A column that `like` has too takes its type (dates stay dates, 32-bit integers 32-bit
    integers); dates that were text come out as datetimes.

    Parameters
    ----------
    columns : name -> (N,) array of numbers, labels or datetime64
    like : the user's table (of a pandas Series: a pandas frame)
    tz : the zone of times, as `Table.tz` has it

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or pyarrow.Table

    Examples
    --------
    >>> frame({"unique_id": np.array(["a"]), "y": np.array([1.5])}, like=pd.DataFrame({"unique_id": ["b"]}))
      unique_id    y
    0         a  1.5
    """
    backend = nw.get_native_namespace(like)
    tz = tz or _zone(like)
    schema = {} if isinstance(like, pd.Series) else dict(nw.from_native(like, eager_only=True).schema)
    plain: dict[str, Any] = {}
    for name, values in columns.items():
        values = np.asarray(values)
        if values.dtype.kind == "M":
            values = values.astype("M8[us]")
        plain[name] = list(values) if values.dtype.kind in "OU" else values
    made = nw.from_dict(plain, backend=backend)
    return made.with_columns(_typed(name, made[name], schema, tz) for name in made.columns).to_native()
