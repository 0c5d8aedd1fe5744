"""Conversion of arrays to data frames of the user's library, with the types and time zone of the input."""

from __future__ import annotations

from collections.abc import Mapping

import narwhals as nw
import numpy as np
import pandas as pd
from narwhals.dtypes import DType

from rekur.core import Array
from rekur.data.ingest.parsing import Column
from rekur.data.ingest.schema import Frame

__all__ = ["to_frame"]


def _time_zone(template: Frame) -> str | None:
    """Return the time zone of the index, or of the first column that has one."""
    if isinstance(template, (pd.DataFrame, pd.Series)):  # narwhals 2.29 misses zones with an underscore in pandas
        if isinstance(template.index, pd.DatetimeIndex) and template.index.tz:
            return str(template.index.tz)
        dtypes = [template.dtype] if isinstance(template, pd.Series) else list(template.dtypes)
        zoned = next((dtype for dtype in dtypes if isinstance(dtype, pd.DatetimeTZDtype)), None)
        if zoned is not None:
            return str(zoned.tz)
        if isinstance(template, pd.Series):
            return None
    dtypes = nw.from_native(template, eager_only=True).schema.values()
    zones = (dtype.time_zone for dtype in dtypes if isinstance(dtype, nw.Datetime))
    return next((zone for zone in zones if zone), None)


def _cast(column: Column, dtype: DType | None, tz: str | None) -> Column:
    """Return a column with the type of the column of the same name in the input, times in zone `tz`."""
    if isinstance(column.dtype, nw.Datetime):
        native = column.to_native()
        if isinstance(native, pd.Series):
            times = native if tz is None else native.dt.tz_localize("UTC").dt.tz_convert(tz)
            return nw.from_native(times, series_only=True)
        if tz is not None:
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(tz)
        elif dtype == nw.Date:
            return column.cast(nw.Date)
        unit = dtype.time_unit if isinstance(dtype, nw.Datetime) else "us"
        return column.cast(nw.Datetime(unit, tz))
    if dtype is not None and column.dtype == nw.String and dtype.is_numeric():  # a part of a label
        return column.cast(dtype)
    if dtype is not None and dtype.is_integer() and column.dtype.is_float() and not column.is_finite().all():
        return column  # values that are still to be filled in
    if dtype is not None and (dtype.is_integer() or dtype in (nw.String, nw.Categorical, nw.Enum)):
        return column.cast(dtype)
    return column


def to_frame(columns: Mapping[str, Array], template: Frame, tz: str | None = None) -> Frame:
    """Convert columns to a data frame of the same library as `template`: pandas, polars or pyarrow.

    A column that `template` has too takes its type (dates remain dates, 32-bit integers 32-bit integers); dates that
    were text become datetimes.

    Parameters
    ----------
    columns : mapping of str to (n,) array
        Numbers, labels or datetime64.
    template : data frame
        Frame of the user; a pandas Series yields a pandas frame. Its rows are not read.
    tz : str or None, default None
        Zone of the output of times in UTC; None for the zone that `template` has. Without a zone times are naive.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or pyarrow.Table

    Examples
    --------
    >>> to_frame({"unique_id": np.array(["a"]), "y": np.array([1.5])}, pd.DataFrame({"unique_id": ["b"]}))
      unique_id    y
    0         a  1.5
    """
    backend = nw.get_native_namespace(template)
    tz = tz or _time_zone(template)
    schema = {} if isinstance(template, pd.Series) else dict(nw.from_native(template, eager_only=True).schema)
    data: dict[str, Array | list[object]] = {}
    for name, values in columns.items():
        values = np.asarray(values)
        if values.dtype.kind == "M":
            values = values.astype("M8[us]")
        data[name] = list(values) if values.dtype.kind in "OU" else values
    frame = nw.from_dict(data, backend=backend)
    return frame.with_columns(_cast(frame[name], schema.get(name), tz) for name in frame.columns).to_native()
