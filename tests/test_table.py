"""Any table of the user becomes series on a regular grid, or an error that says where and what to do."""

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import rekur
from rekur import data
from rekur.core import DataError, OptionError
from rekur.data.ingest.future_covariates import future_rows
from rekur.data.panel import Columns, Panel, read_panel, read_panels

DAYS = pd.date_range("2024-01-01", periods=10, freq="D")
KINDS: dict[str, Callable[[pd.DataFrame], object]] = {
    "pandas": lambda df: df,
    "pandas-arrow": lambda df: df.convert_dtypes(dtype_backend="pyarrow"),
    "pandas-nullable": lambda df: df.convert_dtypes(),
    "polars": pl.from_pandas,
    "pyarrow": lambda df: pa.Table.from_pandas(df, preserve_index=False),
}


def long(series: int = 2, n: int = 10, freq: str = "D") -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=n, freq=freq).as_unit("us")
    ids = np.repeat([f"s{i}" for i in range(series)], n)
    y = np.arange(series * n, dtype=float)
    return pd.DataFrame({"unique_id": ids, "ds": np.tile(times, series), "y": y, "x": -y})


def same(a: Panel, b: Panel) -> None:
    assert a.ids.tolist() == b.ids.tolist()
    assert a.offsets.tolist() == b.offsets.tolist()
    assert (a.start == b.start).all()
    assert a.freq == b.freq
    assert np.array_equal(a.y, b.y, equal_nan=True)
    assert np.array_equal(a.future, b.future, equal_nan=True)
    assert (a.columns, a.tz, a.local, a.wide) == (b.columns, b.tz, b.local, b.wide)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["plain", "holes", "shuffled", "zone", "integer", "ids"])
def test_every_kind_of_frame_gives_the_same_table(kind: str, case: str) -> None:
    df = long(3)
    if case == "holes":
        df = df.drop(index=[3, 4, 17])
        df.loc[[6, 20], "y"] = np.nan
    if case == "shuffled":
        df = df.sample(frac=1, random_state=1).reset_index(drop=True)
    if case == "zone":
        df["ds"] = df["ds"].dt.tz_localize("Europe/Berlin")
    if case == "integer":
        df["ds"] = np.tile(np.arange(10), 3)
    if case == "ids":
        df["unique_id"] = np.repeat([30, 10, 20], 10)
    expected = read_panel(df, future=["x"])
    found = read_panel(KINDS[kind](df), future=["x"])
    same(found, expected)
    assert all(type(a) is type(b) for a, b in zip(found.ids, expected.ids, strict=True))


def test_missing_rows_and_values_are_nan_and_told() -> None:
    df = long(2).drop(index=[3, 4])
    df.loc[7, "y"] = np.nan
    found = read_panel(df)
    assert found.lengths.tolist() == [10, 10]
    assert np.flatnonzero(np.isnan(found.y)).tolist() == [3, 4, 7]
    assert (found.times(0) == DAYS.to_numpy().astype("M8[us]")).all()
    assert any("2 absent rows and 1 empty value" in note for note in found.notes)
    assert (found.next_times(2)[0] == np.array(["2024-01-11", "2024-01-12"], dtype="M8[us]")).all()


def test_order_of_series_and_edges_of_missing_targets_are_kept() -> None:
    df = pd.DataFrame({"unique_id": ["b", "b", "b", "a", "a"], "ds": [1, 2, 3, 7, 8], "y": [None, 1, None, 3, 4]})
    found = read_panel(df)
    assert found.ids.tolist() == ["b", "a"]
    assert found.start.tolist() == [1, 7]
    assert np.isnan(found.values(0)).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("item_id", "timestamp", "target"), {}),
        (("Unique_ID", "Date", "Y"), {}),
        (("shop", "day", "sold"), {"id_col": "shop", "time_col": "day", "target_col": "sold"}),
    ],
)
def test_names_of_columns(names: tuple[str, str, str], options: dict[str, str]) -> None:
    df = long()[["unique_id", "ds", "y"]]
    found = read_panel(df.set_axis(list(names), axis=1), **options)
    assert found.columns == Columns(*names)
    assert np.array_equal(found.y, read_panel(df).y)


def test_plain_and_wide_tables() -> None:
    plain = read_panel(pd.DataFrame({"when": DAYS, "sold": np.arange(10)}))
    assert plain.columns == Columns(None, "when", "sold")
    assert plain.ids.tolist() == [None]
    wide = read_panel(pd.DataFrame({"date": DAYS, "a": np.arange(10), 7: np.arange(10) * 2.0}).drop(index=[2]))
    assert wide.wide
    assert wide.columns == Columns(None, "date", None)
    assert wide.ids.tolist() == ["a", "7"]
    assert wide.values(1)[[1, 3]].tolist() == [2, 6]
    assert np.isnan(wide.values(0)[2])
    indexed = read_panel(pd.Series(np.arange(10.0), index=DAYS))
    assert np.array_equal(indexed.y, plain.y)
    beside = read_panel(pd.DataFrame({"date": DAYS, "a": 1.0, "b": 2.0, "hot": np.arange(10)}), future=["hot"])
    assert beside.future.shape == (20, 1)
    assert beside.future[10:, 0].tolist() == list(range(10))
    panel = read_panel(pd.DataFrame({"Source": ["u"] * 5 + ["v"] * 5, "Year": np.tile(np.arange(5), 2), "Mean": 1.0}))
    assert panel.ids.tolist() == ["u", "v"]
    assert any("'Source'" in note for note in panel.notes)


@pytest.mark.parametrize(
    ("texts", "expected", "freq"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "2024-01-01", "D"),
        (["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"], "2024-01-01", "h"),
        (["2024-01-01T05:00:00Z", "2024-01-01T06:00:00Z"], "2024-01-01T05:00", "h"),
        (["2024-01-01T05:00:00+0200", "2024-01-01T06:00:00+0200"], "2024-01-01T03:00", "h"),
        (["2024-01", "2024-02", "2024-03"], "2024-01-01", "MS"),
        (["2024Q1", "2024Q2", "2024Q3"], "2024-01-01", "QS"),
        (["12/30/2023", "12/31/2023", "01/01/2024"], "2023-12-30", "D"),
        (["30.12.2023", "31.12.2023", "01.01.2024"], "2023-12-30", "D"),
        (["31/12/2023 23:00", "01/01/2024 00:00"], "2023-12-31T23:00", "h"),
        (["1/13/11", "1/14/11"], "2011-01-13", "D"),
        (["Jan 5, 2024", "Jan 6, 2024"], "2024-01-05", "D"),
        (["20240131", "20240201"], "2024-01-31", "D"),
        ([dt.date(2024, 1, 5), dt.date(2024, 1, 6)], "2024-01-05", "D"),
        ([20240131, 20240201], "2024-01-31", "D"),
        ([1999.0, 2000.0], 1999, "1"),
    ],
)
def test_times_as_people_write_them(texts: list[object], expected: object, freq: str) -> None:
    found = read_panel(pd.DataFrame({"ds": texts, "y": np.arange(len(texts), dtype=float)}))
    assert found.start[0] == (expected if isinstance(expected, int) else np.datetime64(str(expected), "us"))
    assert found.freq.name == freq


def test_months_written_as_numbers_and_text_numbers() -> None:
    months = [year * 100 + month for year in (2022, 2023) for month in range(1, 13)]
    assert read_panel(pd.DataFrame({"period": months, "y": 1.0})).freq.name == "MS"
    found = read_panel(pd.DataFrame({"ds": DAYS[:4], "y": [" 12.5", "1e-12", "NA", "1e12"]}))
    assert np.array_equal(found.y, [12.5, 1e-12, np.nan, 1e12], equal_nan=True)


BAD: dict[str, tuple[object, dict[str, object], str]] = {
    "infinite": (
        long().assign(y=[*range(15), np.inf, *range(4)]),
        {},
        r"'y', row with index 15: the value is infinite",
    ),
    "text": (
        long().assign(y=["1"] * 8 + ["closed"] + ["2"] * 11),
        {},
        r"'y', row with index 8: 'closed' is not a number",
    ),
    "comma": (long().assign(y=["12,5"] * 20), {}, r"row with index 0: '12,5'.*decimal point"),
    "thousands": (long().assign(y=["1,234.5"] * 20), {}, r"row with index 0: '1,234.5'.*thousands"),
    "missing": (long().assign(y=np.nan), {}, r"all values of 'y' are missing"),
    "dates": (long().assign(y=DAYS[0]), {}, r"'y' holds Datetime.*numbers are needed"),
    "no id": (long(), {"id_col": "shop"}, r"no column 'shop'.*'unique_id', 'ds', 'y', 'x'.*id_col"),
    "no time": (long(), {"time_col": "when"}, r"no column 'when'.*'ds'.*time_col"),
    "no target": (long(), {"target_col": "sold"}, r"no column 'sold'.*'y'.*target_col"),
    "no future": (long(), {"future": ["rain"]}, r"no column 'rain' \(covariate\).*'x'"),
    "text future": (
        long().assign(x=["wet", *map(str, range(len(long()) - 1))]),
        {"future": ["x"]},
        r"'x' \(covariate\), row with index 0: 'wet' is not a number",
    ),
    "one role": (long(), {"future": ["y"], "target_col": "y"}, r"'y' has two roles"),
    "unclear target": (long().rename(columns={"y": "z"}), {}, r"not clear what to forecast.*target_col"),
    "text in wide": (pd.DataFrame({"ds": DAYS, "a": 1, "b": "x", "c": 1}), {}, r"'b' is not numeric.*target_col"),
    "unclear time": (
        pd.DataFrame({"p": 1, "q": 2, "r": [3] * 4}),
        {},
        r"no unambiguous time column.*'p', 'q', 'r'.*time_col",
    ),
    "date": (
        long().assign(ds=["2024-01-01"] * 5 + ["soon"] + ["2024-01-02"] * 14),
        {},
        r"'ds', row with index 5: 'soon'",
    ),
    "no date": (long().assign(ds=[None, *["2024-01-02"] * 19]), {}, r"'ds', row with index 0: the time is empty"),
    "no day": (long().assign(ds=[*DAYS, pd.NaT, *DAYS[1:]]), {}, r"'ds', row with index 10: the time is empty"),
    "no name": (
        long().assign(unique_id=[None, *["a"] * 19]),
        {},
        r"'unique_id', row with index 0: the name .* is missing",
    ),
    "ambiguous": (pd.DataFrame({"ds": ["01/02/2024", "01/03/2024"], "y": 1}), {}, r"day/month or month/day"),
    "half a zone": (
        pd.DataFrame({"ds": ["2024-01-01T00:00Z", "2024-01-02T00:00"], "y": 1}),
        {},
        r"some times have a time zone \(Z\) and some have none; write the zone in all",
    ),
    "decimal": (pd.DataFrame({"ds": [1.0, 2.5], "y": 1}), {}, r"'ds', row with index 1: 2.5 is not a time"),
    "irregular": (
        long(1, 6, "h").assign(
            ds=[*pd.date_range("2024-01-01", periods=5, freq="h"), pd.Timestamp("2024-01-01 04:20")]
        ),
        {},
        r"irregular: most rows are h apart, but series 's0', row with index 5 \(2024-01-01 04:20:00\).*20min",
    ),
    "off the grid": (long(1, 6, "h"), {"freq": "2h"}, r"series 's0', row with index 1: the time 2024-01-01 01:00:00"),
    "too fine": (
        long(2),
        {"freq": "h"},
        r"freq='h' does not fit: the times of sales.csv are 24 such steps apart or more",
    ),
    "months": (long(1, 9, "MS"), {"freq": "D"}, r"are 29 such steps apart or more \(MS\).* leave freq= out"),
    "too coarse": (
        long(1, 40),
        {"freq": "M"},
        r"pass the true step as freq=D; for coarser steps say how their rows are combined",
    ),
    "wrong kind": (long().assign(ds=range(20)), {"freq": "h"}, r"freq='h' does not fit.*whole numbers"),
    "twice": (
        pd.concat([long(2), long(2).iloc[[14]]]),
        {},
        r"series 's1', the time 2024-01-05 occurs twice, in row 14, .*and row 20, .*id_col too .*duplicates=\"mean\"",
    ),
    "panel": (long()[["ds", "y"]], {}, r"2024-01-01 occurs twice, in row with index 0 and row with index 10.*id_col"),
    "two keys": (
        long(2).assign(shop="A", dept=long(2)["unique_id"])[["shop", "dept", "ds", "y"]],
        {"id_col": "shop", "target_col": "y"},
        r"name the column that tells them apart with id_col too \(not used: 'dept'\); else combine them",
    ),
    "mixed steps": (
        pd.concat([long(1, 99), long(1, 9, "W").assign(unique_id="w")]),
        {},
        r"different frequencies, D \(such as 's0'\), W-SUN \(such as 'w'\).*freq=",
    ),
    "far apart": (
        pd.DataFrame({"ds": ["1970-01-01T00:00:00", "2024-01-01T00:00:00", "2024-01-01T00:00:01"], "y": 1.0}),
        {},
        r"span 1704067202 steps",
    ),
    "one row": (long(1, 1), {}, r"freq="),
    "no rows": (long().iloc[:0], {}, r"columns but no rows"),
    "nothing": (pd.DataFrame(), {}, r"no columns"),
    "lazy": (pl.from_pandas(long()).lazy(), {}, r"LazyFrame.*collect"),
    "a list": ([1, 2, 3], {}, r"is a list; a pandas, polars or pyarrow table"),
    "names twice": (pd.DataFrame([[1, 2, 3]], columns=["ds", "y", "y"]), {}, r"two columns named 'y'"),
    "levels": (long().set_index(["unique_id", "ds"]), {}, r"reset_index"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_cause_and_the_cure(name: str) -> None:
    df, options, text = BAD[name]
    with pytest.raises((DataError, OptionError), match=text) as caught:
        read_panel(df, source="sales.csv", **options)
    assert "\n" not in str(caught.value)
    assert "sales.csv" in str(caught.value)


@pytest.mark.parametrize(("rule", "value"), [("mean", 4.5), ("first", 4), ("last", 5), ("sum", 9)])
def test_rules_for_doubled_rows(rule: str, value: float) -> None:
    df = long(1)[["unique_id", "ds", "y"]]
    more = df.iloc[[4, 4]].assign(y=[5.0, np.nan])
    found = read_panel(pd.concat([df, more]), duplicates=rule)
    assert found.y[4] == value
    assert len(found.y) == 10
    with pytest.raises(OptionError, match="'sum'"):
        read_panel(df, duplicates="median")


def test_clock_changes_of_pjm(data_dir) -> None:
    for name, gaps in (("DUQ", 24), ("PJME", 30)):
        df = pd.read_csv(data_dir / "pjm_load" / f"{name}_hourly.csv.gz")
        found = read_panel(df)
        assert found.freq.name == "h"
        assert np.isnan(found.y).sum() == gaps
        assert any(note.startswith("4 times doubled where clocks go back") for note in found.notes)
        at = int(found.freq.count(found.start[0], np.datetime64("2014-11-02T02:00", "us"))[0])
        both = df[df["Datetime"] == "2014-11-02 02:00:00"].iloc[:, 1]
        assert found.y[at] == both.mean()


def test_clock_change_rule_is_narrow() -> None:
    hours = pd.date_range("2023-10-20", periods=24 * 20, freq="h")
    night, noon, monday = (
        np.flatnonzero(hours == t)[0] for t in ("2023-10-29 02:00", "2023-10-29 12:00", "2023-10-30 02:00")
    )
    df = pd.DataFrame({"ds": hours, "y": 1.0})
    assert len(read_panel(pd.concat([df, df.iloc[[night]]])).y) == len(df)
    for rows in ([noon], [monday], [night, night], [night - 1, night, night + 1]):
        with pytest.raises(DataError, match="occurs twice"):
            read_panel(pd.concat([df, df.iloc[rows]]))


def test_zones_count_days_by_the_clock_and_hours_in_utc() -> None:
    days = pd.date_range("2024-03-25", periods=14, freq="D", tz="Europe/Berlin")
    found = read_panel(pd.DataFrame({"ds": days, "y": 1.0}))
    assert (found.freq.name, found.tz, found.local, len(found.y)) == ("D", "Europe/Berlin", True, 14)
    assert (
        found.at(np.array(0), np.arange(found.length(0))) == days.tz_convert("UTC").tz_localize(None).to_numpy()
    ).all()
    hours = pd.date_range("2024-03-30", periods=72, freq="h", tz="Europe/Berlin")
    found = read_panel(pd.DataFrame({"ds": hours, "y": 1.0}))
    assert (found.freq.name, found.local, len(found.y)) == ("h", False, 72)
    assert (found.clock(found.times(0)) == hours.tz_localize(None).to_numpy()).all()


@pytest.mark.parametrize("freq", ["ME", "M", "MS"])
def test_months_on_wandering_days_are_taken_if_asked(freq: str) -> None:
    fridays = pd.DatetimeIndex(["2024-01-26", "2024-02-23", "2024-03-29", "2024-04-26", "2024-06-28"])
    df = pd.DataFrame({"ds": fridays, "y": np.arange(5.0)})
    with pytest.raises(DataError, match='freq="ME"'):
        read_panel(df)
    found = read_panel(df, freq=freq)
    assert np.array_equal(found.y, [0, 1, 2, 3, np.nan, 4], equal_nan=True)
    assert found.start[0] == np.datetime64("2024-01-01" if freq == "MS" else "2024-01-31", "us")
    assert any("varies" in note for note in found.notes)


def test_real_files(data_dir) -> None:
    cases = [
        ("nyc_weather/weather.csv.gz", {"id_col": "origin", "time_col": "time_hour", "target_col": "temp"}, "h", 3),
        ("market_prices/wti-daily.csv.gz", {}, "B", 1),
        ("market_prices/vix-daily.csv.gz", {}, "B", 4),
        ("market_prices/sp500-monthly-shiller.csv.gz", {"target_col": "SP500"}, "MS", 1),
        ("nn5/nn5.csv.gz", {}, "D", 111),
        ("climate/global-temp-monthly.csv", {}, "MS", 2),
        ("climate/monthly-sunspots.csv", {}, "MS", 1),
        ("vic_elec/vic_elec.csv.gz", {"time_col": "time_utc", "target_col": "demand_mw"}, "30min", 1),
        ("ili/national_illness.csv", {}, "W-TUE", 7),
    ]
    for file, options, freq, series in cases:
        found = read_panel(pd.read_csv(data_dir / file), **options)
        assert (found.freq.name, len(found)) == (freq, series), file
    electricity = pd.read_csv(data_dir / "vic_elec" / "vic_elec.csv.gz")
    utc, local = (read_panel(electricity, time_col=f"time_{t}", target_col="demand_mw") for t in ("utc", "local"))
    assert local.tz == "Australia/Sydney"
    assert np.array_equal(local.y, utc.y, equal_nan=True)
    assert (local.start == utc.start).all()
    with pytest.raises(DataError, match=r"2011-01-01 occurs twice, in row with index 0 and row with index 1.*id_col"):
        read_panel(pd.read_csv(data_dir / "bike_sharing" / "hour.csv.gz"), time_col="dteday", target_col="cnt")


def test_cut_select_and_skip() -> None:
    found = read_panel(long(3), future=["x"])
    cut = found.cut(np.array([4, 99, 2]))
    assert cut.lengths.tolist() == [4, 10, 2]
    assert cut.y.tolist() == [*range(4), *range(10, 20), 20, 21]
    assert cut.future[:, 0].tolist() == [-v for v in cut.y]
    assert found.cut(10) is found
    one = found.select(["s1"])
    assert one.ids.tolist() == ["s1"]
    assert one.y.tolist() == list(range(10, 20))
    assert np.shares_memory(one.cut(3).y, one.y)
    left = found.skip(np.array([False, True, False]), "too short")
    assert left.ids.tolist() == ["s0", "s2"]
    assert left.skipped == (("s1", "too short"),)
    with pytest.raises(DataError, match="no series 's9'"):
        found.select(["s9"])


@pytest.mark.parametrize("kind", KINDS)
def test_future_rows(kind: str) -> None:
    df = long(2, 12)
    later = df[df["ds"] >= "2024-01-11"]
    history = read_panel(df[df["ds"] < "2024-01-11"], future=["x"])
    found = future_rows(history, KINDS[kind](later.sample(frac=1, random_state=0).reset_index(drop=True)), 2)
    assert found.shape == (2, 2, 1)
    assert found[:, :, 0].tolist() == [[-10, -11], [-22, -23]]
    with pytest.raises(DataError, match=r"1 row is absent of the 4.*'s1' at 2024-01-12"):
        future_rows(history, later.iloc[:-1], 2)
    with pytest.raises(DataError, match=r"twice.*'s0' at 2024-01-11"):
        future_rows(history, pd.concat([later, later.iloc[:1]]), 2)
    with pytest.raises(DataError, match=r"no column 'x'"):
        future_rows(history, later.drop(columns="x"), 2)
    with pytest.raises(DataError, match=r"it has 'S1', which is not in the history; did you mean 's1'"):
        future_rows(history, later.replace("s1", "S1"), 2)
    with pytest.raises(DataError, match=r"it has times from 2025-01-10 to 2025-01-11"):
        future_rows(history, later.assign(ds=later.ds + pd.Timedelta("365D")), 2)


def test_future_rows_of_a_wide_table_are_shared() -> None:
    wide = pd.DataFrame({"ds": DAYS, "a": 1.0, "b": 2.0, "hot": np.arange(10.0)})
    found = future_rows(read_panel(wide.iloc[:8], future=["hot"]), wide.iloc[8:], 2)
    assert found[:, :, 0].tolist() == [[8, 9], [8, 9]]


def test_a_hundred_thousand_series_take_seconds() -> None:
    series, n = 100_000, 20
    df = pd.DataFrame({"unique_id": np.repeat(np.arange(series), n), "ds": np.tile(np.arange(n), series), "y": 1.0})
    begin = time.perf_counter()
    found = read_panel(df)
    assert len(found) == series
    assert time.perf_counter() - begin < 10


def test_series_of_different_frequency_make_tables_of_their_own() -> None:
    """Rows of days, weeks and months, mixed and shuffled: each table is what reading its series alone gives."""
    parts = [
        long(3, 40).assign(unique_id=lambda d: "d" + d.unique_id),
        long(2, 30, "W-MON").assign(unique_id=lambda d: "w" + d.unique_id),
        long(1, 12, "MS"),
    ]
    df = pd.concat(parts).sample(frac=1, random_state=0).assign(shop=lambda d: d.unique_id.str[0])
    found = read_panels(df, future=["x"], static=["shop"])
    assert [each.freq.name for each in found] == ["D", "W-MON", "MS"]
    for each, part in zip(found, parts, strict=True):
        order = pd.Categorical(part.unique_id, each.ids)
        alone = read_panel(part.assign(order=order).sort_values(["order", "ds"], kind="stable"), future=["x"])
        np.testing.assert_array_equal(each.y, alone.y)
        np.testing.assert_array_equal(each.future, alone.future)
        np.testing.assert_array_equal(each.start, alone.start)
        assert each.static.shape == (len(each), 1)


def test_an_error_in_a_table_of_two_frequencies_names_the_given_row() -> None:
    df = pd.concat([long(1, 30), long(1, 12, "W").assign(unique_id="w")], ignore_index=True)
    df = pd.concat([df, df.iloc[[35]]], ignore_index=True)
    with pytest.raises(
        DataError, match=r"series 'w', the time 2024-02-11 occurs twice, in row with index 35 and row with index 42"
    ):
        read_panels(df)


@pytest.mark.parametrize("freq", [None, "10min", "h"])
def test_uneven_times_are_laid_on_usual_steps(freq: str | None) -> None:
    random = np.random.default_rng(0)
    gaps = random.exponential(11 * 60, size=400)
    ds = pd.Timestamp("2024-03-01 00:03") + pd.to_timedelta(np.cumsum(gaps).round(3), unit="s")
    y = random.normal(size=400)
    found = read_panel(pd.DataFrame({"ds": ds, "y": y}), freq=freq)
    step = freq or "10min"  # the median gap is 8.8 minutes
    assert found.freq.name == step
    means = pd.Series(y, index=ds).resample(step).mean()
    np.testing.assert_allclose(found.y, means.to_numpy())
    assert (found.times(0) == means.index.to_numpy()).all()
    assert any("uneven" in note for note in found.notes)
    sums = read_panel(pd.DataFrame({"ds": ds, "y": y}), freq=freq, duplicates="sum")
    np.testing.assert_allclose(np.nansum(sums.y), y.sum())


def test_uneven_series_of_whole_numbers_and_beside_even_ones() -> None:
    random = np.random.default_rng(1)
    uneven = pd.DataFrame({"unique_id": "u", "ds": np.cumsum(random.integers(7, 14, 50)), "y": 1.0})
    alone = read_panel(uneven.drop(columns="unique_id"))
    assert alone.freq.step == round(np.median(np.diff(uneven.ds)))
    assert alone.seen[0] <= 50
    days = long(1, 30)
    events = days.ds[0] + pd.to_timedelta(np.sort(random.uniform(0, 30 * 24, 300)).round(4), unit="h")
    found = read_panels(pd.concat([days, pd.DataFrame({"unique_id": "u", "ds": events, "y": 1.0})]))
    assert [each.freq.name for each in found] == ["D", "2h"]


def test_a_few_rows_beside_the_grid_stay_an_error() -> None:
    df = long(1, 60, "h")
    df.loc[30, "ds"] += pd.Timedelta("7min")
    with pytest.raises(DataError, match=r"irregular: most rows are h apart, but .*row with index 30"):
        read_panels(df)
    with pytest.raises(DataError, match=r"row with index 30: the time .* is not a whole number of steps"):
        read_panels(df, freq="h")


@pytest.mark.parametrize(
    "months",
    [
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene feb mar abr may jun jul ago sep oct nov dic",
        "januari februari mars april maj juni juli augusti september oktober november december",
    ],
)
def test_months_of_other_languages(months: str) -> None:
    [panel] = read_panels(pd.DataFrame({"ds": [f"{month} 2024" for month in months.split()], "y": range(12)}))
    assert panel.freq.name == "MS"
    assert panel.start[0] == np.datetime64("2024-01-01")
    assert len(panel.y) == 12


def test_a_covariate_of_one_value_or_none_is_named() -> None:
    df = long(1, 10).assign(promo=["yes", None] * 5, deal=["yes", "no"] * 5)
    [panel] = read_panels(df, future=["promo", "deal"])
    assert [note for note in panel.notes if "covariate" in note] == [
        "covariate 'promo' is 'yes' or empty, and empty is taken as unknown: fill in no or 0 if it means none"
    ]


def test_rows_are_summed_to_a_coarser_step_if_both_are_named() -> None:
    quarters = pd.DataFrame({"ds": pd.date_range("2024-03-04", periods=10 * 96, freq="15min"), "y": 1.0})
    with pytest.raises(DataError, match="for coarser steps say how their rows are combined, duplicates='sum' or"):
        read_panels(quarters, freq="D")
    [days] = read_panels(quarters, freq="D", duplicates="sum")
    assert days.y.tolist() == [96.0] * 10
    assert "the rows of each step of D were combined: duplicates='sum'" in days.notes
    assert not any("the first step" in note or "the last step" in note for note in days.notes)
    [days] = read_panels(quarters[:-60], freq="D", duplicates="sum")
    assert days.y[-2:].tolist() == [96.0, 36.0]
    assert any("the last step sums 36 rows, others 96: if it is not over" in note for note in days.notes)
    [hours] = read_panels(quarters.assign(y=range(960)), freq="h", duplicates="mean")
    assert hours.y[:2].tolist() == [1.5, 5.5]
    model = rekur.Forecaster(horizon=2, freq="D", select="naive").fit(quarters[:-96], duplicates="sum")
    assert model.predict(quarters)["rekur"].tolist() == [96.0] * 2


def test_a_note_names_sums_of_a_first_step_that_the_data_begin_within() -> None:
    days = pd.DataFrame({"ds": pd.date_range("2024-01-05", periods=24), "y": 1.0})  # from a Friday to a Sunday
    [weeks] = read_panels(days, freq="W-MON", duplicates="sum")
    assert weeks.y.tolist() == [3.0, 7.0, 7.0, 7.0]
    assert [note for note in weeks.notes if " sums " in note] == [
        "the first step sums 3 rows, others 7: if the data begin within it, take its rows out of the table"
    ]
    whole = pd.DataFrame({"id": "whole", "ds": pd.date_range("2024-01-01", periods=28), "y": 1.0})
    [weeks] = read_panels(pd.concat([days.assign(id="cut"), whole]), freq="W-MON", duplicates="sum", id_col="id")
    assert any("the first step of 1 of 2 series sums 3 rows, others 7" in note for note in weeks.notes)


@pytest.mark.parametrize(
    ("freq", "first", "note"),
    [
        ("W", "2023-12-31", "steps begin on Sunday and have its date; freq='W-MON' begins them on Monday"),
        ("W-MON", "2024-01-01", "steps begin on Monday and have its date"),
    ],
)
def test_the_note_on_summed_weeks_names_their_first_day(freq: str, first: str, note: str) -> None:
    days = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=28), "y": 1.0})
    [weeks] = read_panels(days, freq=freq, duplicates="sum")
    assert str(weeks.start[0]).startswith(first)
    assert f"the rows of each step of {weeks.freq.name} were combined: duplicates='sum'; {note}" in weeks.notes


def test_summed_evenings_belong_to_their_day() -> None:
    days = pd.date_range("2024-01-01", periods=30)
    minutes = np.random.default_rng(0).integers(18 * 60, 24 * 60, 30 * 4)
    till = pd.DataFrame({"ds": days.repeat(4) + pd.to_timedelta(minutes, unit="min"), "y": 1.0})
    [panel] = read_panels(till, freq="D", duplicates="sum")
    assert panel.start[0] == np.datetime64("2024-01-01")
    assert panel.y.tolist() == [4.0] * 30


def test_a_step_that_few_rows_keep_may_still_be_named() -> None:
    """Rows on Mondays and Thursdays, or without weekends, have days as their step if the user says so."""
    days = pd.date_range("2024-01-01", periods=60)
    for kept in (days.day_of_week.isin([0, 3]), days.day_of_week < 5):
        df = pd.DataFrame({"ds": days[kept], "y": 1.0})
        assert read_panel(df, freq="D").length(0) > kept.sum()


def test_empty_rows_at_the_end_are_named() -> None:
    df = long(3)
    df.loc[[9, 18, 19], "y"] = np.nan
    note = next(note for note in read_panel(df).notes if "at the end" in note)
    assert note.startswith(
        "3 rows at the end are empty in 2 of 3 series (column 'y' of series 's0', 2024-01-10): the forecast begins"
    )
    assert "in futr_df" in note
    single = read_panel(long(1, 30).assign(y=[1.0] * 28 + [np.nan] * 2)[["ds", "y"]]).notes
    assert any("2 rows at the end are empty (column 'y', 2024-01-29 to 2024-01-30)" in note for note in single)
    wide = pd.DataFrame({"ds": df.ds[:10], "a": 1.0, "b": [1.0] * 9 + [np.nan]})
    assert any("1 row at the end is empty in 1 of 2 series (column 'b'" in note for note in read_panel(wide).notes)
    assert not any("at the end" in note for note in read_panel(long(3)).notes)


def test_the_face_of_the_package() -> None:
    """Every listed name resolves to what its file defines, and numpy alone loads without pandas."""
    assert {name: getattr(data, name).__name__ for name in data.__all__ if name != "samples"} == {
        name: name for name in data.__all__ if name != "samples"
    }
    assert data.samples.__name__ == "rekur.data.samples"
    assert set(data.__all__) <= set(dir(data))
    with pytest.raises(AttributeError, match="has no attribute 'read_pane'"):
        getattr(data, "read_pane")  # noqa: B009
    code = "import sys, rekur.data.windows; print('pandas' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "False"


def test_rows_of_frames_have_the_labels_of_their_index() -> None:
    df = long(1).assign(y=["1"] * 8 + ["closed", "2"])
    with pytest.raises(DataError, match="row with index b8: 'closed'"):
        read_panel(df.set_axis([f"b{k}" for k in range(10)]))
    with pytest.raises(DataError, match="row with index 2024-01-09 00:00:00: 'closed'"):
        read_panel(df.set_index("ds")[["y"]])


def test_a_long_gap_is_named_with_its_ends_and_the_row_after_it() -> None:
    df = long(1, 40).drop(index=range(10, 30))
    assert any("nothing between 2024-01-10 and 2024-01-31 (row with index 30)" in note for note in read_panel(df).notes)
    assert not any("between" in note for note in read_panel(df.iloc[:12]).notes[:1])


def test_a_last_time_far_from_all_others_is_refused() -> None:
    df = long(1, 40)
    df.loc[39, "ds"] = pd.Timestamp("2035-02-09")
    with pytest.raises(DataError, match=r"has 1 value in its last 2,048 steps, .* between 2024-02-08 and 2035-02-09"):
        rekur.Forecaster(2, select="naive").fit(df[["unique_id", "ds", "y"]])


def test_a_season_longer_than_the_history_is_refused_or_told() -> None:
    df = long(1, 40)[["unique_id", "ds", "y"]]
    with pytest.raises(OptionError, match=r"season_length=40 is longer than the history: .* 40 steps"):
        rekur.Forecaster(2, season_length=40, select="naive").fit(df)
    told = rekur.Forecaster(2, season_length=30, select="seasonal_naive").fit(df).forecast(df.head(20)).notes
    assert any("seasonal naive is the last value" in note for note in told)


def test_24_00_is_the_end_of_its_day() -> None:
    hours = [f"01.02.2024 {hour:02}:00" for hour in range(20, 25)]
    found = read_panel(pd.DataFrame({"ds": [*hours, "02.02.2024 01:00"], "y": 1.0}))
    assert found.freq.name == "h"
    assert found.next_times(1)[0, 0] == np.datetime64("2024-02-02T02:00")
    assert any("24:00 was read as the end of its day" in note for note in found.notes)


def test_labels_with_leading_zeros_are_no_second_header() -> None:
    df = long(2).assign(article=["007"] * 10 + ["012"] * 10).rename(columns={"unique_id": "shop", "y": "units"})
    with pytest.raises(DataError, match=r"each column that names the series with id_col \('shop', 'article' hold no"):
        read_panel(df)


def test_a_column_that_sums_the_others_is_told() -> None:
    df = pd.DataFrame({"ds": DAYS, "a": np.arange(10.0), "b": np.arange(10.0) ** 2}).assign(total=lambda x: x.a + x.b)
    assert any("column 'total' is the sum of the other series" in note for note in read_panel(df).notes)
    assert not any("is the sum" in note for note in read_panel(df.assign(total=df.total + 1)).notes)


def test_an_old_file_is_told() -> None:
    df = long(1, 40)[["unique_id", "ds", "y"]]
    model = rekur.Forecaster(2, select="naive").fit(df, target_col="y")
    assert any("end at 2024-01-30, 10 steps before the end of training" in x for x in model.forecast(df.head(30)).notes)
    assert not any("before the end" in note for note in model.forecast(df).notes)
    with pytest.raises(DataError, match="rename the one that the model was fitted to"):
        model.predict(df.rename(columns={"y": "sales"}))


def test_errors_on_new_rows_alone_have_the_unit_of_the_training_rows() -> None:
    df = long(1, 60)[["unique_id", "ds", "y"]].assign(y=np.random.default_rng(0).normal(9, 1, 60))
    model = rekur.Forecaster(2, select="naive").fit(df.head(40))
    whole, new = model.compare(df), model.compare(df.tail(20))
    assert new.scale[0] == whole.scale[0]
