"""Files in and out, frames of the kind that came in, and the bundled samples."""

import datetime as dt
import gzip
import io
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rekur.core import DataError, OptionError
from rekur.data import samples
from rekur.data.ingest.files import read_file, write_file
from rekur.data.ingest.to_frame import to_frame
from rekur.data.panel import read_panel

TEXT = "ds,y\n2024-01-01,1.5\n2024-01-02,\n2024-01-03,3\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_reads_text_of_any_delimiter(tmp_path: Path, delimiter: str, packed: bool) -> None:
    data = b"\xef\xbb\xbf" + TEXT.replace(",", delimiter).encode()
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    found = read_file(path)
    assert found.columns.tolist() == ["ds", "y"]
    assert read_panel(found).y.tolist()[::2] == [1.5, 3.0]


def test_reads_quotes_spaces_and_indices_written_along(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('\n"ds" , "y, z"\n2024-01-01,1\n2024-01-02,2\n')
    assert read_file(path).columns.tolist() == ["ds", "y, z"]
    path.write_text(",ds,y\n0,2024-01-01,1\n1,2024-01-02,2\n")
    assert read_file(path).columns.tolist() == ["ds", "y"]
    path.write_text(",y\n2024-01-01,1\n2024-01-02,2\n")
    assert read_file(path).columns.tolist() == ["ds", "y"]
    path.write_text("ds,y,\n2024-01-01,1,\n2024-01-02,2,\n")
    assert read_file(path).columns.tolist() == ["ds", "y"]
    path.write_text("ds,y\r\n2024-01-01,1\r\n2024-01-02,2\r\n", newline="")
    assert len(read_file(path)) == 2


def test_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert len(read_file("-")) == 3
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(DataError, match="standard input is empty"):
        read_file("-")


BAD: dict[str, tuple[bytes, str]] = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n\n  \n", "is empty"),
    "header.csv": (b"ds,y\n", "a header but no rows"),
    "sheet.csv": (b"PK\x03\x04abc", "damaged zip or Excel.*CSV"),
    "zero.csv": (b"ds,y\n\0\0", "not a text file"),
    "ragged.csv": (b"ds,y\n2024-01-01,1\n2024-01-02,2,3\n", "line 3"),
    "longer.csv": (b"ds,y\n2024-01-01,1,2\n2024-01-02,2,3\n", r"more values than the header has names \(2\)"),
    "headless.csv": (b"2024-01-01,1\n2024-01-02,2\n", "begins with data.*line 1"),
    "twice.csv": (b"ds,y,y\n2024-01-01,1,2\n", "two columns named 'y'"),
    "cut.csv.gz": (gzip.compress(TEXT.encode() * 99)[:-20], "damaged gzip"),
    "rot.csv.gz": (b"\x1f\x8b\x08\x00" + b"x" * 50, "damaged gzip"),
    "rot.parquet": (b"PAR1 nothing", "not a readable Parquet"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_file(tmp_path: Path, name: str) -> None:
    data, text = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=text) as caught:
        read_file(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv cannot be read: No such file"):
        read_file(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="holds no table"):
        read_file(tmp_path)


def test_header_of_a_published_file_that_does_not_fit(data_dir: Path) -> None:
    with pytest.raises(DataError, match="more values than the header has names"):
        read_file(data_dir / "climate" / "co2-mm-mlo.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_write_and_read_back(tmp_path: Path, name: str, kind: str) -> None:
    df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=3), "y": [1.5, np.nan, 3.0]})
    write_file(
        df if kind == "pandas" else pl.from_pandas(df) if kind == "polars" else pa.Table.from_pandas(df),
        tmp_path / name,
    )
    assert read_panel(read_file(tmp_path / name)).y.tolist()[::2] == [1.5, 3.0]
    write_file(df.iloc[:2], tmp_path / name)
    assert len(read_file(tmp_path / name)) == 2
    assert os.listdir(tmp_path) == [name]


def test_writing_fails_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    df = pd.DataFrame({"y": [1.0]})
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_file(df, tmp_path / "none" / "a.csv")
    with pytest.raises(DataError, match=r"suffix.*\.parquet"):
        write_file(df, tmp_path / "a.xlsx")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv cannot be written: Is a directory"):
        write_file(df, tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="No space left"):
        write_file(df, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "b.csv"]


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        read_file(tmp_path / "a.parquet")


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("tz", [None, "America/New_York"])
def test_frames_come_out_as_they_came_in(kind: str, tz: str | None) -> None:
    days = pd.date_range("2024-01-01", periods=10, tz=tz).as_unit("us")
    df = pd.DataFrame({"unique_id": ["s0"] * 10 + ["s1"] * 10, "ds": days.append(days), "y": 1.0})
    like = df if kind == "pandas" else pl.from_pandas(df) if kind == "polars" else pa.Table.from_pandas(df)
    found = read_panel(like)
    ids = np.repeat(found.ids, 2)
    made = to_frame(
        {
            "unique_id": ids,
            "ds": found.at(np.arange(len(found))[:, None], found.lengths[:, None] + [0, 1]).ravel(),
            "lo": np.ones(4),
        },
        like,
    )
    assert type(made) is type(like)
    again = made if isinstance(made, pd.DataFrame) else made.to_pandas()
    expected = pd.DatetimeIndex(["2024-01-11", "2024-01-12"] * 2).tz_localize(tz)
    assert (pd.DatetimeIndex(again["ds"]) == expected).all()
    if isinstance(made, pl.DataFrame):
        assert made.schema["ds"] == like.schema["ds"]
        assert made.join(like, on="unique_id").height == 40


def test_dates_of_polars_stay_dates() -> None:
    df = pl.DataFrame({"ds": pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 1, 9), eager=True), "y": range(9)})
    found = read_panel(df)
    assert found.freq.name == "D"
    made = to_frame({"ds": found.next_times(1).ravel()}, df)
    assert made["ds"].to_list() == [dt.date(2024, 1, 10)]


def test_fixed_offsets_go_round() -> None:
    df = pd.DataFrame({"ds": ["2024-01-01T05:00:00+02:00", "2024-01-01T06:00:00+02:00"], "y": [1.0, 2.0]})
    found = read_panel(df)
    made = to_frame({"ds": found.at(np.zeros(1, int), found.lengths)}, df, found.tz)
    assert str(made["ds"][0]) == "2024-01-01 07:00:00+02:00"
    to_frame({"ds": found.next_times(1).ravel()}, pl.from_pandas(df), found.tz)


def test_samples() -> None:
    weather = samples.nyc_weather()
    assert weather.columns.tolist() == ["unique_id", "ds", "y", "humid", "wind_speed", "pressure"]
    assert len(weather) == 26_115
    found = read_panel(weather, future=["humid", "pressure"])
    assert (found.freq.name, found.ids.tolist(), len(found.y)) == ("h", ["EWR", "JFK", "LGA"], 26_190)
    oil = read_panel(samples.oil_prices())
    assert (oil.freq.name, oil.ids.tolist()) == ("B", ["WTI", "Brent"])
    assert np.nanmin(oil.y) == -36.98
    assert all(samples.load(name).equals(getattr(samples, name)()) for name in samples.NAMES)
    with pytest.raises(OptionError, match="'oil_prices'"):
        samples.load("gold")


def test_samples_are_small_and_credited() -> None:
    folder = Path(samples.__file__).parent
    assert sum(file.stat().st_size for file in folder.glob("*.csv.gz")) < 1_000_000
    assert all(name in (folder / "CREDITS.md").read_text() for name in samples.NAMES)
