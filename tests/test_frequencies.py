"""Which frequency each series of a table has: found, said, or learned before; and how uneven times are laid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rekur.core import DataError
from rekur.data.frequency.frequency import Frequency
from rekur.data.frequency.irregular import snap_to_grid
from rekur.data.panel import Panel, read_panel, read_panels


def made(name: str, ds: object) -> pd.DataFrame:
    times = pd.Series(ds)
    return pd.DataFrame({"unique_id": name, "ds": times, "y": np.arange(len(times), dtype=float)})


def regular(name: str, freq: str, n: int, start: str = "2024-01-01", tz: str | None = None) -> pd.DataFrame:
    return made(name, pd.date_range(start, periods=n, freq=freq, tz=tz))


def read(*frames: pd.DataFrame, **options: object) -> dict[str, Panel]:
    found = read_panels(pd.concat(frames, ignore_index=True), **options)  # type: ignore[arg-type]
    return {label: each for each in found for label in each.ids}


def names(*frames: pd.DataFrame, **options: object) -> dict[str, str]:
    return {label: each.freq.name for label, each in read(*frames, **options).items()}


@pytest.mark.parametrize("long", ["D", "W-MON", "MS"])
@pytest.mark.parametrize("n", [12, 60])
def test_long_steps_of_a_zone_beside_hours_are_those_of_its_clocks(long: str, n: int) -> None:
    """Also where no clock change shows that they are: the days after it stay at midnight."""
    hours = regular("h", "h", 300, tz="Europe/Berlin")
    found = read(hours, regular("x", long, n, tz="Europe/Berlin"))
    assert (found["x"].freq.name, found["x"].local, found["h"].freq.name, found["h"].local) == (long, True, "h", False)
    assert found["x"].length(0) == n
    later = found["x"].clocks(np.array(0), np.arange(n + 150))
    assert (later == later.astype("M8[D]")).all()


@pytest.mark.parametrize(("freq", "n"), [("W-SUN", 110), ("MS", 40), ("QS", 12), ("B", 90)])
def test_one_absent_row_leaves_a_series_its_frequency(freq: str, n: int) -> None:
    whole = regular("x", freq, n)
    found = names(regular("d", "D", 400), whole.drop(index=n // 2), regular("y", freq, n))
    assert found == {"d": "D", "x": freq, "y": freq}


def test_chance_makes_no_frequency() -> None:
    """Rare sales of days, beside one series of weeks: none of them gets weeks, business days or two days."""
    random = np.random.default_rng(0)
    rare = [made(f"r{i}", pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.choice(400, 7, False)), "D"))
            for i in range(300)]  # fmt: skip
    two = made("two", pd.date_range("2024-01-02", periods=6, freq="2D"))
    found = names(regular("d", "D", 400), regular("w", "W-MON", 50), two, *rare)
    assert {label for label, freq in found.items() if freq != "D"} == {"w"}


def test_few_rows_go_with_the_longest_step_that_holds_them() -> None:
    found = names(regular("d", "D", 90), regular("m", "MS", 30), regular("four", "MS", 4), regular("three", "D", 3))
    assert found == {"d": "D", "m": "MS", "four": "MS", "three": "D"}


def test_sparse_whole_days_stay_days() -> None:
    random = np.random.default_rng(1)
    days = np.sort(random.choice(400, 39, False))
    found = read_panel(made("x", pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D")))
    assert (found.freq.name, found.seen[0], found.length(0)) == ("D", 39, days[-1] - days[0] + 1)


def uneven(name: str, mean: str, n: int, seed: int = 0, start: str = "2024-01-01") -> pd.DataFrame:
    gaps = np.random.default_rng(seed).exponential(pd.Timedelta(mean) / pd.Timedelta("1s"), n)
    return made(name, pd.Timestamp(start) + pd.to_timedelta(np.cumsum(gaps).round(3), unit="s"))


def test_slips_and_other_steps_do_not_go_with_uneven_times() -> None:
    slip = regular("slip", "h", 60)
    slip.loc[30, "ds"] += pd.Timedelta("7min")
    with pytest.raises(DataError, match=r"series 'slip', row with index 130"):
        read_panels(pd.concat([uneven("u", "1h", 100), slip], ignore_index=True))
    few = uneven("few", "70min", 4, 3)
    assert names(uneven("u", "90min", 100), few) == {"u": "h", "few": "h"}
    with pytest.raises(DataError, match="series 'far'"):
        read_panels(pd.concat([uneven("u", "90min", 100), uneven("far", "20D", 4, 1)]))


def test_regular_and_uneven_series_of_one_frequency_make_one_table() -> None:
    frames = regular("even", "D", 60, "2024-01-01 08:00"), uneven("u", "30h", 80)
    found = read(*frames)
    assert found["even"] is found["u"]
    assert found["u"].uneven == {"u": -1.0}
    assert found["even"].start[0] == np.datetime64("2024-01-01T08:00")
    assert any("times of 1 of 2 series are uneven" in note for note in found["u"].notes)
    said = read(regular("even", "h", 60), uneven("u", "70min", 80), freq="h")
    assert said["even"] is said["u"]
    assert said["u"].uneven == {"u": -1.0}


def test_what_is_kept_of_the_times_of_series_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [regular(f"d{k}", "D", 40 + k) for k in range(3)] + [regular(f"w{k}", "W-MON", 40) for k in range(3)]
    frames += [uneven("u", "30h", 80), uneven("few", "30h", 5, 1)]
    found = names(*frames)
    monkeypatch.setattr("rekur.data.frequency.inference.MAX_KNOWN_TIMES", 1)
    assert names(*frames) == found
    assert found["d2"] == found["u"] == "D"
    assert found["w2"] == "W-MON"


def test_a_time_that_is_there_twice_is_an_error_in_uneven_times_too() -> None:
    df = uneven("u", "30h", 80)
    df.loc[41, "ds"] = df.loc[40, "ds"]
    with pytest.raises(DataError, match=r"occurs twice, in row with index 40 and row with index 41"):
        read_panel(df)
    assert read_panel(df, duplicates="mean").seen[0] > 40


def test_labels_of_one_step_are_not_averaged_and_covariates_not_summed() -> None:
    df = uneven("u", "2h", 300).assign(kind=["ab"[i % 2] for i in range(300)], price=5.0)
    found = read_panel(df, freq="D", future=["kind", "price"], duplicates="sum")
    last = [df.kind[df.ds.dt.normalize() == day].iloc[-1] for day in pd.to_datetime(found.times(0))]
    assert [found.labels["kind"][int(code)] for code in found.future[:, 0]] == last
    assert (found.future[:, 1] == 5.0).all()
    assert found.y.sum() == df.y.sum()


@pytest.mark.parametrize("centre", [0.0, 0.02, 0.5, 0.7, 0.9])
def test_readings_around_a_place_of_their_step_fill_every_step(centre: float) -> None:
    """A reading a little before or after the full ten minutes: a row each, whichever side it falls on."""
    random = np.random.default_rng(2)
    minutes = 10 * (np.arange(400) + centre + random.uniform(-0.15, 0.15, 400))
    found = read_panel(made("x", pd.Timestamp("2024-01-01") + pd.to_timedelta((60 * minutes).round(), unit="s")))
    assert (found.freq.name, found.length(0), found.seen[0]) == ("10min", 400, 400)
    first = pd.Timestamp("2024-01-01") + pd.Timedelta("10min") * int(centre > 0.75)
    assert pd.Timestamp(found.start[0]) == first


def test_level_of_weeks_months_and_business_days() -> None:
    t = np.array(["2024-02-29T17", "2024-03-02T05", "2024-03-05"], dtype="M8[us]")
    codes = np.zeros(3, dtype=np.int64)
    for freq, days in (
        ("W-MON", ["2024-02-26", "2024-02-26", "2024-03-04"]),
        ("MS", ["2024-02-01", "2024-03-01", "2024-03-01"]),
        ("QE", ["2024-03-31", "2024-03-31", "2024-03-31"]),
        ("B", ["2024-02-29", "2024-03-01", "2024-03-05"]),
    ):
        assert (
            snap_to_grid(t, codes, Frequency.parse(freq), np.array([-1.0])).astype("M8[D]").astype(str).tolist() == days
        )


def test_starts_and_ends_of_months_stand_side_by_side() -> None:
    found = read(regular("s", "MS", 14), regular("e", "ME", 14, "2024-02-01"), regular("t", "MS", 9))
    assert found["s"] is found["t"]
    assert (found["s"].freq.name, found["e"].freq.name) == ("MS", "ME")


def test_series_keep_the_frequency_they_had() -> None:
    """However few rows are left of them, and whatever these look like alone."""
    frames = regular("d", "D", 90), regular("m", "MS", 30), regular("w", "W-SUN", 40), uneven("u", "6h", 80)
    learned = read_panels(pd.concat(frames))
    assert [each.freq.name for each in learned] == ["D", "MS", "W-SUN", "4h"]
    short = [frame.tail(n) for frame, n in zip(frames, (1, 2, 3, 15), strict=True)]
    assert names(*short, learned=learned) == {"d": "D", "m": "MS", "w": "W-SUN", "u": "4h"}
    assert read(*short, learned=learned)["u"].uneven == {"u": -1.0}
    assert names(frames[0][::7], learned=learned) == {"d": "D"}
    new = regular("new", "W-MON", 30), regular("five", "D", 5), regular("month", "ME", 5), uneven("v", "5h", 60, 5)
    assert names(*new, learned=learned) == {"new": "W-MON", "five": "D", "month": "ME", "v": "4h"}
    with pytest.raises(
        DataError, match=r"series 'q' has the frequency 7min, but the model was fitted to D and MS and W-SUN"
    ):
        read_panels(regular("q", "7min", 40), learned=learned)


def test_a_zone_is_that_of_the_table_learned_from() -> None:
    days = regular("d", "D", 60, "2024-03-01", tz="Europe/Berlin")
    learned = read_panels(days)
    for zone in ("UTC", "America/New_York"):
        again = read_panels(days.assign(ds=days.ds.dt.tz_convert(zone)), learned=learned)[0]
        assert (again.tz, again.local, again.length(0)) == ("Europe/Berlin", True, 60)
        np.testing.assert_array_equal(again.start, learned[0].start)
    with pytest.raises(DataError, match="have time zone none, but those of the training data Europe/Berlin"):
        read_panels(days.assign(ds=days.ds.dt.tz_localize(None)), learned=learned)
    with pytest.raises(DataError, match="the times are whole numbers, but those of the training data are dates"):
        read_panels(days.assign(ds=np.arange(60)), learned=learned)


def test_a_stray_day_among_months_is_named() -> None:
    df = regular("x", "MS", 30)
    df.loc[10, "ds"] += pd.Timedelta("1D")
    with pytest.raises(DataError, match=r"most rows are on day 1 of a month, not .*row with index 10 \(2024-11-02\)"):
        read_panel(df)


def test_uneven_months_are_read_again_as_they_were() -> None:
    random = np.random.default_rng(4)
    days = pd.date_range("2015-01-01", periods=60, freq="MS") + pd.to_timedelta(random.integers(0, 27, 60), unit="D")
    first = read_panel(made("x", days))
    assert (first.freq.name, first.seen[0]) == ("MS", 60)
    again = read_panels(made("x", days[-9:]), learned=[first])[0]
    assert (again.freq.name, again.seen[0], again.length(0)) == ("MS", 9, 9)


def test_uneven_days_of_a_zone_are_those_of_its_clocks() -> None:
    df = uneven("x", "26h", 200, start="2024-01-10").assign(ds=lambda d: d.ds.dt.tz_localize("UTC"))
    df["ds"] = df.ds.dt.tz_convert("America/New_York")
    found = read_panel(df)
    assert (found.freq.name, found.local) == ("D", True)
    again = read_panels(df, learned=[found])[0]
    np.testing.assert_array_equal(again.y, found.y)
    np.testing.assert_array_equal(again.start, found.start)
    days = df.y.groupby(df.ds.dt.tz_localize(None).dt.normalize()).mean()
    np.testing.assert_allclose(found.y[np.isfinite(found.y)], days.to_numpy())


def following(found: dict[str, Panel], label: str) -> str:
    """The day of the step after a series."""
    each = found[label]
    return str(each.next_times(1)[list(each.ids).index(label), 0])[:10]


@pytest.mark.parametrize("start", ["2020-02-29", "2020-01-31", "2020-04-30"])
def test_ends_of_months_stay_ends_whatever_stands_beside_them(start: str) -> None:
    ends, stray = regular("e", "ME", 40, start), made("x", [pd.Timestamp("2023-05-15")])
    last = ends.ds.iloc[-1] + pd.offsets.MonthEnd(1)
    for beside in ([stray], [regular("n", "MS", 30)], [regular("n", "MS", 30), stray], []):
        found = read(ends, *beside)
        assert following(found, "e") == str(last.date())
        learned = read_panels(pd.concat([ends, *beside]))
        for rows in (1, 2, 14):
            again = read(ends.tail(rows), *beside, learned=learned)
            assert following(again, "e") == str(last.date())
            assert not again["e"].uneven
        again = read(ends.tail(14), *beside, learned=read_panels(ends))
        assert following(again, "e") == str(last.date())
    said = read(ends, regular("n", "MS", 30), freq="MS")
    assert (following(said, "e"), following(said, "n")) == (str(last.date()), "2026-07-01")
    starts = read_panels(regular("s", "MS", 30))
    assert following(read(regular("s", "MS", 30), regular("e", "ME", 1, start), learned=starts), "s") == "2026-07-01"


def test_where_uneven_times_stand_together_is_remembered() -> None:
    random = np.random.default_rng(2)
    minutes = 10 * (np.arange(400) + 0.97 + random.uniform(-0.05, 0.02, 400))
    df = made("x", pd.Timestamp("2024-01-01") + pd.to_timedelta((60 * minutes).round(), unit="s"))
    learned = read_panels(df)
    end = learned[0].next_times(1)[0, 0]
    for rows in (3, 20, 30):
        again = read_panels(df.tail(rows), learned=learned)[0]
        assert again.next_times(1)[0, 0] == end
        assert again.seen[0] == rows


def test_uneven_series_keep_their_steps_beside_others() -> None:
    frames = uneven("u", "6D", 80), regular("w", "W-MON", 60)
    learned = read_panels(pd.concat(frames))
    alone, beside = read(frames[0], learned=learned), read(frames[0], regular("n", "W-THU", 60), learned=learned)
    k = list(beside["u"].ids).index("u")
    np.testing.assert_array_equal(alone["u"].values(0), beside["u"].values(k))
    assert alone["u"].start[0] == beside["u"].start[k]
    assert names(frames[0].assign(unique_id="v"), learned=learned) == {"v": "W-MON"}


def test_alike_uneven_series_have_one_frequency() -> None:
    found = names(*[uneven(f"s{i}", "10h", 100, i) for i in range(20)])
    assert len(set(found.values())) == 1
    for few in (4, 8, 12, 20, 22, 40):
        assert names(uneven("u", "1h", 100), uneven("v", "1h", few, 5))["v"] == "h"
        assert names(uneven("u", "1h", 100), uneven("v", "1h", few, 5), freq="h")["v"] == "h"


def test_one_row_that_fits_nowhere_refuses_no_table() -> None:
    sunday = made("x", [pd.Timestamp("2024-06-02")])
    assert names(regular("b", "B", 120), sunday) == {"b": "B", "x": "B"}
    assert names(sunday, learned=read_panels(regular("b", "B", 120))) == {"x": "B"}


@pytest.mark.parametrize("start", ["2024-03-20", "2024-03-30"])
def test_a_few_days_of_a_zone_are_days(start: str) -> None:
    zone = "Europe/Berlin"
    few = regular("s", "D", 3, start, zone)
    found = read(regular("h", "h", 300, tz=zone), regular("d", "D", 100, tz=zone), few)
    assert (found["s"] is found["d"], found["s"].local) == (True, True)
    found = read(regular("w", "W-MON", 60, tz=zone), few)
    assert (found["s"].freq.name, found["s"].local) == ("D", True)


def test_a_frequency_that_was_said_holds_for_new_series() -> None:
    learned = read_panels(regular("d", "D", 90), freq="D")
    assert names(regular("b", "B", 70), learned=learned, freq="D") == {"b": "D"}
    with pytest.raises(DataError, match="series 'b' has the frequency B, but the model was fitted to D"):
        read_panels(regular("b", "B", 70), learned=learned)
    hours = read_panels(regular("h", "h", 90), freq="h")
    assert names(uneven("u", "10min", 300), learned=hours, freq="h") == {"u": "h"}


def test_days_of_another_rhythm_than_the_zone_are_counted_in_utc() -> None:
    df = made("x", pd.date_range("2024-01-01", periods=200, tz="UTC").tz_convert("Europe/Berlin"))
    assert [(each.freq.name, each.local) for each in read_panels(df, freq="D")] == [("D", False)]


def test_labels_of_several_types_are_remembered() -> None:
    frames = uneven("a", "6h", 80, 1), uneven("a", "6h", 80).assign(unique_id=1)
    learned = read_panels(pd.concat(frames))
    short = read_panels(pd.concat([frames[0], frames[1].tail(15)]), learned=learned)
    assert short[0].uneven == {"a": -1.0, 1: -1.0}
