"""The grid of time: arithmetic of steps, frequencies found from times, season lengths, calendar features."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rekur.core import DataError, OptionError
from rekur.data.frequency.calendar_features import feature_names, features
from rekur.data.frequency.frequency import Frequency
from rekur.data.frequency.inference import infer_frequency
from rekur.data.frequency.seasonality import detect_season

parse = Frequency.parse
NAMES = ["s", "min", "5min", "10min", "15min", "30min", "h", "2h", "D", "3D", "B", "W-SUN", "W-MON", "2W-SUN"]
NAMES += ["MS", "ME", "2MS", "QS", "QE", "YS", "YE", "month", "quarter", "year", "1", "10", "500ms"]


def us(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="M8[us]")


@pytest.mark.parametrize("name", NAMES)
def test_name_round_trips(name: str) -> None:
    assert parse(name).name == name
    assert parse(parse(name).name) == parse(name)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("H", "h"),
        ("T", "min"),
        ("15T", "15min"),
        ("S", "s"),
        ("M", "ME"),
        ("Q", "QE"),
        ("A", "YE"),
        ("Y", "YE"),
        ("AS", "YS"),
        ("QS-OCT", "QS"),
        ("YE-JUN", "YE"),
        ("A-DEC", "YE"),
        ("W", "W-SUN"),
        ("w-tue", "W-TUE"),
        ("d", "D"),
        ("60min", "h"),
        ("24h", "D"),
        ("7D", "W-SUN"),
        ("12MS", "YS"),
        ("3ME", "QE"),
        ("daily", "D"),
        ("hourly", "h"),
        ("monthly", "month"),
        ("2 hours", "2h"),
        (1, "1"),
        (60, "60"),
    ],
)
def test_other_spellings(given_name: str | int, name: str) -> None:
    assert parse(given_name).name == name


@pytest.mark.parametrize("bad", ["", "x", "fortnight", "-1h", "0h", "0", "1.5h", "2B", True, "h h"])
def test_unknown_frequency_lists_examples(bad: str) -> None:
    with pytest.raises(OptionError, match=r"examples.*'30min'.*'MS'"):
        parse(bad)


@pytest.mark.parametrize(
    ("name", "seasons"),
    [
        ("h", (24, 168)),
        ("30min", (48, 336)),
        ("15min", (96, 672)),
        ("10min", (144, 1008)),
        ("5min", (288, 2016)),
        ("min", (1440,)),
        ("s", (3600, 60)),
        ("D", (7,)),
        ("B", (5,)),
        ("W", (52,)),
        ("MS", (12,)),
        ("ME", (12,)),
        ("QS", (4,)),
        ("YE", (1,)),
        ("2h", (12, 84)),
        ("7h", (24,)),
        ("3D", (1,)),
        ("1", (1,)),
    ],
)
def test_seasons(name: str, seasons: tuple[int, ...]) -> None:
    assert parse(name).seasons == seasons
    assert parse(name).season == seasons[0]


@pytest.mark.parametrize("name", ["s", "30min", "h", "D", "B", "W-SUN", "MS", "ME", "QS", "QE", "YS", "YE"])
def test_advance_equals_pandas(name: str) -> None:
    expected = pd.date_range("2019-11-15", periods=300, freq=name).to_numpy().astype("M8[us]")
    freq = parse(name)
    assert (freq.advance(expected[0], np.arange(300)) == expected).all()
    k, exact = freq.count(expected[0], expected)
    assert exact.all()
    assert (k == np.arange(300)).all()


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    start=st.datetimes(min_value=pd.Timestamp("1800-01-01"), max_value=pd.Timestamp("2200-01-01")),
    k=st.integers(0, 400),
)
def test_count_undoes_advance(name: str, start: object, k: int) -> None:
    freq = parse(name)
    first = np.array([17]) if freq.kind == "integer" else freq.advance(us(str(start)), 0)
    then = freq.advance(first, k)
    steps, exact = freq.count(first, then)
    assert exact.all()
    assert steps[0] == k
    if freq.kind != "integer":
        assert not freq.count(first, then + np.timedelta64(1, "us"))[1].any()


def test_month_steps_keep_the_day_and_clip_it() -> None:
    assert (parse("month").advance(us("2024-01-31"), [1, 2, 3]) == us("2024-02-29", "2024-03-31", "2024-04-30")).all()
    assert (parse("ME").advance(us("2024-02-29"), [1, 12]) == us("2024-03-31", "2025-02-28")).all()
    assert parse("month").advance(us("2024-01-15T06:00"), 1) == us("2024-02-15T06:00")


@pytest.mark.parametrize(
    "name", ["s", "5min", "h", "6h", "D", "B", "W-SUN", "W-WED", "MS", "ME", "QS", "QE", "YS", "YE"]
)
def test_detects_full_and_thinned_grids(name: str) -> None:
    times = pd.date_range("2021-03-01", periods=120, freq=name).to_numpy().astype("M8[us]")
    assert infer_frequency(times, np.array([0, 120])) == parse(name).anchored(times)
    assert infer_frequency(times, np.array([0, 120])).name == name
    keep = np.random.default_rng(0).random(120) > 0.1
    assert infer_frequency(times[keep], np.array([0, keep.sum()])).name == name


def test_detects_a_fixed_day_of_the_month() -> None:
    times = us("2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30", "2024-05-30")
    assert infer_frequency(times, np.array([0, 5])) == Frequency("month", 1, False, "month")
    days = parse("month").advance(us("2024-01-15"), np.arange(9))
    assert infer_frequency(days, np.array([0, 9])).name == "month"


def test_four_weeks_are_not_a_month() -> None:
    times = us("2024-01-01") + np.arange(20) * np.timedelta64(28, "D")
    assert infer_frequency(times, np.array([0, 20])).name == "4W-MON"


def test_a_short_file_of_days_is_daily_until_a_weekend_is_skipped() -> None:
    days = pd.bdate_range("2024-01-01", periods=10).to_numpy().astype("M8[us]")
    assert infer_frequency(days[:5], np.array([0, 5])).name == "D"
    assert infer_frequency(days, np.array([0, 10])).name == "B"
    saturday = np.sort(np.append(days, us("2024-01-06")))
    assert infer_frequency(saturday, np.array([0, 11])).name == "D"


def test_detects_integers_and_many_series() -> None:
    times = np.concatenate([np.arange(0, 50, 5), np.arange(1000, 1100, 5)])
    assert infer_frequency(times, np.array([0, 10, 30])) == Frequency("integer", 5, False, "5")


def test_irregular_spacing_names_the_row_and_the_cure() -> None:
    times = us("2024-01-01", "2024-01-01T01:00", "2024-01-01T02:00", "2024-01-01T02:20", "2024-01-01T03:20")
    with pytest.raises(DataError, match=r"irregular.*row 5 \(2024-01-01 02:20:00\).*freq=\"20min\""):
        infer_frequency(times, np.array([0, 5]), lambda i: f"row {i + 2}")


def test_one_time_a_series_has_no_frequency() -> None:
    with pytest.raises(DataError, match="freq="):
        infer_frequency(us("2024-01-01", "2024-01-02"), np.array([0, 1, 2]))


def test_season_of_m4_hourly_and_nn5(data_dir) -> None:
    m4 = pd.read_csv(data_dir / "m4" / "Hourly-train.csv.gz", index_col=0).to_numpy(dtype=float)
    assert detect_season([row[~np.isnan(row)] for row in m4]) == 24
    nn5 = pd.read_csv(data_dir / "nn5" / "nn5.csv.gz", index_col=0).to_numpy(dtype=float).T
    assert detect_season(nn5) == 7
    padded = np.full((20, 960), np.nan)
    for target, row in zip(padded, m4[:20], strict=True):
        row = row[~np.isnan(row)]
        target[960 - len(row) :] = row
    assert detect_season(padded) == 24


def test_season_of_single_real_series(data_dir) -> None:
    for file, column, season in [
        ("vic_elec/vic_elec.csv.gz", "demand_mw", 48),
        ("pjm_load/DUQ_hourly.csv.gz", "DUQ_MW", 24),
        ("climate/daily-min-temperatures.csv", "Temp", 365),
        ("market_prices/wti-daily.csv.gz", "Price", 1),
    ]:
        assert detect_season([pd.read_csv(data_dir / file)[column].to_numpy(dtype=float)]) == season, file


def test_season_of_made_series() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(144)
    air = 100 * np.exp(0.01 * t) * (1 + 0.2 * np.sin(2 * np.pi * t / 12) + 0.1 * np.cos(4 * np.pi * t / 12))
    assert detect_season([air + rng.normal(0, 5, 144)]) == 12
    assert detect_season([air[:36]]) == 12
    assert detect_season([air[:35]], candidates=(12,)) == 1  # fewer than three periods
    holes = np.where(rng.random(144) < 0.2, np.nan, air)
    assert detect_season(holes[None]) == 12
    assert detect_season([rng.normal(size=500)]) == 1
    assert detect_season(rng.normal(size=(30, 200)).cumsum(axis=1)) == 1
    assert detect_season([np.zeros(100)]) == detect_season([np.full(9, np.nan)]) == detect_season([]) == 1


@pytest.mark.parametrize("name", NAMES)
def test_features_lie_on_circles(name: str) -> None:
    freq = parse(name)
    start = np.array(5) if freq.kind == "integer" else us("2023-12-25T13:00")[0]
    found = features(freq, freq.advance(start, np.arange(50)))
    assert found.dtype == np.float32
    assert found.shape == (50, len(feature_names(freq)))
    assert (np.abs(found) <= 1).all()
    if found.shape[1]:
        assert np.allclose(found[:, 0::2] ** 2 + found[:, 1::2] ** 2, 1, atol=1e-5)


def test_features_know_the_hour_and_the_weekday() -> None:
    names = feature_names(parse("h"))
    assert names[:4] == ("day_sin1", "day_cos1", "day_sin2", "day_cos2")
    monday, noon = features(parse("h"), us("2024-01-01T00:00", "2024-01-01T12:00"))
    assert np.allclose(monday[:2], [0, 1])
    assert np.allclose(noon[:2], [0, -1], atol=1e-6)
    assert np.allclose(monday[names.index("week_cos1")], 1)
    assert feature_names(parse(1)) == feature_names(parse("YS")) == ()
