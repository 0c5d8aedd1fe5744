"""Panels of several frequencies, and tables of uneven times: forecast as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.core import DataError, NotFittedError, OptionError
from rekur.data.panel import read_panels
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.forecaster import Forecaster
from rekur.training.config import Training

pytestmark = pytest.mark.usefixtures("short_epochs")

QUICK = Training(max_epochs=1, batch_size=16, learning_rate=2e-3)
LENGTHS = {"D": 120, "W-SUN": 110, "MS": 60}


def series(name: str, freq: str, seed: int) -> pd.DataFrame:
    n, random = LENGTHS[freq], np.random.default_rng(seed)
    ds = pd.date_range("2015-01-01", periods=n, freq=freq)
    x = random.normal(size=n)
    return pd.DataFrame({"unique_id": name, "ds": ds, "y": 10 + x + 0.1 * random.normal(size=n), "x": x})


def panel() -> pd.DataFrame:
    parts = [series("d0", "D", 0), series("m0", "MS", 1), series("w0", "W-SUN", 2), series("d1", "D", 3)]
    return pd.concat(parts, ignore_index=True)


def model(**options: object) -> Forecaster:
    return Forecaster(3, training=QUICK, hidden_size=8, num_layers=1, **options)  # type: ignore[arg-type]


def test_each_frequency_is_forecast_as_if_it_were_alone(tmp_path: Path) -> None:
    df = panel().drop(columns="x")
    made = model().fit(df[df.unique_id == "d0"]).fit(df)
    assert not hasattr(made, "seasons_")
    whole = made.predict(level=[80])
    assert whole.unique_id.drop_duplicates().tolist() == ["d0", "d1", "m0", "w0"]
    for letter in "dmw":
        part = df[df.unique_id.str[0] == letter]
        alone = model().fit(part).predict(level=[80])
        here = whole[whole.unique_id.str[0] == letter].reset_index(drop=True)
        pd.testing.assert_frame_equal(here, alone)
        pd.testing.assert_frame_equal(made.predict(part, level=[80]), alone)
    made.save(tmp_path / "model")
    loaded = rekur.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(level=[80]), whole)
    pd.testing.assert_frame_equal(loaded.predict(df, level=[80]), whole)
    assert made.predict(samples=4).shape[0] == 4 * 3 * 4
    assert made.forecast().paths(5).shape == (4, 5, 3)
    assert any(note.startswith("W-SUN: frequency W-SUN") for note in made.notes_)


def test_the_column_options_of_several_frequencies_are_saved(tmp_path: Path) -> None:
    """A loaded model reads new data by the options of `fit`, such as the rule for doubled rows."""
    df = panel().drop(columns="x").rename(columns={"ds": "when"})
    doubled = pd.concat([df, df.tail(1).assign(y=1000.0)], ignore_index=True)
    made = model().fit(doubled, time_col="when", duplicates="first")
    made.save(tmp_path / "model")
    pd.testing.assert_frame_equal(rekur.load(tmp_path / "model").predict(doubled), made.predict(doubled))


def test_the_backtest_of_several_frequencies_is_that_of_each() -> None:
    df = panel().drop(columns="x")
    tested = model().backtest(df, n_windows=2)
    frame = tested.frame()
    assert isinstance(tested.panel, PanelGroup)
    for letter in "dmw":
        alone = model().backtest(df[df.unique_id.str[0] == letter], n_windows=2).frame()
        pd.testing.assert_frame_equal(frame[frame.unique_id.str[0] == letter].reset_index(drop=True), alone)
    assert "over 2 windows" in tested.verdict()


def test_known_covariates_of_several_frequencies() -> None:
    df, names = panel(), {"futr_exog_list": ["x"]}
    made = model().fit(df, **names)
    future = made.make_future_frame()
    assert len(future) == 4 * 3
    with pytest.raises(DataError, match=r"3 rows are absent of the 6 .*'d0' at 2015-05-01"):
        made.predict(futr_df=future.assign(x=0.0)[future.unique_id != "d0"])
    low, high = (made.predict(futr_df=future.assign(x=value)).rekur.to_numpy() for value in (-1.0, 1.0))
    assert (high > low).all()
    assert made.explain(df, n_windows=1, **names).importance[0] > 0.1
    tuned = made.fine_tune(df[df.unique_id == "w0"], **names)
    assert len(tuned.predict(futr_df=future.assign(x=0.0))) == 4 * 3


def rekur_tables(df: pd.DataFrame) -> PanelGroup:
    return PanelGroup(tuple(read_panels(df)))


def test_a_frequency_that_was_not_learned_is_refused() -> None:
    df = panel().drop(columns="x")
    made = model().fit(df[df.unique_id != "m0"])
    with pytest.raises(DataError, match="frequency MS, but the model was fitted to D and W-SUN"):
        made.predict(df)
    alone = model().fit(df[df.unique_id == "d0"])
    with pytest.raises(DataError, match="frequency D and W-SUN, but the model was fitted to D"):
        alone.fine_tune(rekur_tables(df[df.unique_id != "m0"]))


def test_one_season_does_not_hold_for_several_frequencies() -> None:
    with pytest.raises(OptionError, match="season_length=7 does not fit series of D and MS and W-SUN"):
        model(season_length=7).fit(panel())


def test_an_interrupt_leaves_no_model_of_some_frequencies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stopped in the second part: there is no model, and the checkpoints of both parts resume the run."""
    from rekur.forecasting import forecaster

    seen: list[int] = []

    def stop(record: dict[str, int]) -> None:
        seen.append(record["step"])
        if len(seen) == 70:
            raise KeyboardInterrupt

    options = {"training": Training(max_epochs=2, batch_size=16), "hidden_size": 8, "num_layers": 1}
    df, model = panel().drop(columns="x"), Forecaster(3, **options)
    with monkeypatch.context() as patch:
        patch.setattr(forecaster.Progress, "__enter__", lambda self: stop)
        with pytest.raises(KeyboardInterrupt):
            model.fit(df, checkpoint=tmp_path / "c")
    with pytest.raises(NotFittedError, match="not fitted"):
        model.predict()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["c-0", "c-1"]
    resumed = model.fit(df, checkpoint=tmp_path / "c")
    pd.testing.assert_frame_equal(resumed.predict(), Forecaster(3, **options).fit(df).predict())


def test_uneven_times_are_forecast_on_their_usual_steps(tmp_path: Path) -> None:
    """Readings at random times of a sine of one day: the forecast follows it, after saving and loading too."""
    random = np.random.default_rng(0)
    hours = np.cumsum(random.exponential(0.9, size=1500))
    y = np.sin(2 * np.pi * hours / 24) + 0.05 * random.normal(size=len(hours))
    ds = pd.Timestamp("2024-01-01 00:20") + pd.to_timedelta(hours.round(4), unit="h")
    df = pd.DataFrame({"ds": ds, "y": y})
    made = Forecaster(24, freq="h").fit(df)
    assert any("uneven" in note for note in made.notes_)
    assert made.config_.has_gaps
    predicted = made.predict()
    middle = (predicted.ds - ds[0]) / pd.Timedelta("1h") + hours[0] + 0.5  # a step holds the readings of its hour
    error = np.abs(predicted.rekur - np.sin(2 * np.pi * middle / 24))
    assert error.mean() < 0.2
    made.save(tmp_path / "model")
    pd.testing.assert_frame_equal(rekur.load(tmp_path / "model").predict(df), predicted)


def test_a_short_history_is_forecast_by_the_model_of_its_series() -> None:
    """Rows that look like days alone belong to the weeks they were learned with; new series go where they fit."""
    df = panel().drop(columns="x")
    made = model().fit(df)
    w0 = df[df.unique_id == "w0"]
    with pytest.warns(UserWarning, match="4 since 2017-01-15: the 106 rows before them"):
        predicted = made.predict(w0.tail(4))
    assert (predicted.ds.diff().dropna() == pd.Timedelta("7D")).all()
    monday = w0.assign(unique_id="new", ds=w0.ds + pd.Timedelta("1D"))
    assert made.predict(monday).ds.dt.day_of_week.unique().tolist() == [0]


def test_frequencies_too_short_for_a_test_are_left_out_of_it() -> None:
    df = pd.concat([panel(), series("y0", "MS", 5)]).drop(columns="x")
    few = df[~df.unique_id.isin(["m0", "y0"]) | (df.ds < "2015-09-01")]
    tested = model().backtest(few, n_windows=3)
    assert tested.untested == ("MS",)
    assert tested.verdict().endswith("(too short to be tested: MS)")
    assert set(tested.frame().unique_id) == {"d0", "d1", "w0"}
    assert len(tested.panel) == 5
    with pytest.raises(DataError, match="no series is long enough"):
        model().backtest(few, n_windows=99)


def test_fine_tuning_that_fails_leaves_the_model_as_it_was() -> None:
    df = panel().drop(columns="x")
    made = model().fit(df)
    before = made.predict()
    with pytest.raises(DataError, match="no column 'z'"):
        made.fine_tune(df, target_col="z")
    short = df[df.unique_id != "m0"].assign(y=lambda d: d.y + 1)
    with pytest.raises(DataError, match="too short for fine-tuning"):
        made.fine_tune(pd.concat([short, df[df.unique_id == "m0"].tail(9)]))
    pd.testing.assert_frame_equal(made.predict(), before)
    made.fine_tune(short)
    assert (made.predict().rekur - before.rekur).abs().max() > 0.1


def test_a_table_without_names_goes_where_it_fits() -> None:
    df = panel().drop(columns="x")
    made = model().fit(df)
    plain = df[df.unique_id == "m0"].drop(columns="unique_id")
    assert made.predict(plain).ds.iloc[0] == pd.Timestamp("2020-01-01")
    wide = plain.rename(columns={"y": "m0"}).assign(other=plain.y + 1)
    assert made.predict(wide).ds.unique().tolist() == list(pd.date_range("2020-01-01", periods=3, freq="MS"))


def test_one_model_forecasts_starts_and_ends_of_months() -> None:
    starts = series("m0", "MS", 1).drop(columns="x")
    ends = starts.assign(unique_id="e", ds=starts.ds + pd.offsets.MonthEnd(1))
    made = model().fit(starts)
    both = made.predict(pd.concat([starts, ends]))
    assert both.ds.tolist() == [*pd.date_range("2020-01-01", periods=3, freq="MS"),
                                *pd.date_range("2020-01-31", periods=3, freq="ME")]  # fmt: skip
    several = model().fit(panel().drop(columns="x"))
    with pytest.raises(DataError, match="learned by one model: tune them one by one"):
        several.fine_tune(pd.concat([starts, ends]))
