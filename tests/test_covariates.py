"""Covariates: numbers and labels, of the future, of the past and of whole series, with gaps and labels never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur import Forecaster
from rekur.core import DataError, OptionError
from rekur.data.ingest.covariates import ExogenousEncoder
from rekur.data.panel import read_panel
from rekur.forecasting.baselines.covariate_regression import CovariateRegression
from rekur.training.config import Training

pytestmark = pytest.mark.usefixtures("short_epochs")

TRAINING = Training(max_epochs=3, batch_size=64, learning_rate=5e-3, optimizer="adamw")
QUICK = Training(max_epochs=1, batch_size=16, learning_rate=2e-3, optimizer="adamw")


def shops(n: int = 160, seed: int = 3) -> pd.DataFrame:
    """Sales of three shops: a deal multiplies them, its kind is a label; the size of a shop is static."""
    random, parts = np.random.default_rng(seed), []
    for s, size in enumerate(("small", "large", "small")):
        deal = random.choice(["none", "half", "gift"], size=n, p=[0.7, 0.15, 0.15])
        factor = np.select([deal == "half", deal == "gift"], [2.0, 1.5], 1.0)
        y = 20 * (s + 1) * factor * (1 + 0.02 * random.normal(size=n))
        days = pd.date_range("2024-01-01", periods=n)
        visits = np.roll(y, -1) + random.normal(size=n)  # tells the next value
        parts.append(pd.DataFrame({"unique_id": f"s{s}", "ds": days, "y": y, "deal": deal, "size": size, "v": visits}))
    return pd.concat(parts, ignore_index=True)


def ends(df: pd.DataFrame, h: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All but the last h days of every shop, and those."""
    last = df.groupby("unique_id").tail(h)
    return df.drop(last.index), last


def test_labels_known_for_the_future_are_used_and_new_ones_are_let_in(tmp_path: Path) -> None:
    past, last = ends(shops(), 7)
    model = Forecaster(7, training=TRAINING).fit(past, futr_exog_list=["deal"], stat_exog_list=["size"])
    future = last[["unique_id", "ds", "deal"]]
    truth, known = last["y"].to_numpy(), model.predict(futr_df=future)["rekur"].to_numpy()
    blind = Forecaster(7, training=TRAINING).fit(past).predict()["rekur"].to_numpy()
    assert np.abs(known - truth).mean() < 0.5 * np.abs(blind - truth).mean()
    model.save(tmp_path / "m")
    loaded = rekur.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(futr_df=future)["rekur"], known)
    odd = future.assign(deal=np.where(np.arange(len(future)) % 7 == 2, "never seen", future["deal"]))
    unknown, missing_values = loaded.forecast(futr_df=odd), "3 of 21 values are missing, the first of series 's0' at"
    assert any("3 of 21 values are missing or a label that was not learned" in note for note in unknown.notes)
    missing = future.assign(deal=future["deal"].where(np.arange(len(future)) % 7 != 2))
    with pytest.warns(UserWarning, match=missing_values):
        np.testing.assert_array_equal(model.predict(futr_df=missing)["rekur"], unknown.frame()["rekur"])
    new = past.query("unique_id == 's1'").assign(unique_id="new", size="huge")
    rows = future.query("unique_id == 's1'").assign(unique_id="new")
    assert np.isfinite(model.predict(new, futr_df=rows)["rekur"]).all()


def weeks(n: int = 178, seed: int = 0) -> pd.DataFrame:
    """Weekly sales of one shop with a season of a year, and promotions that raise them by half."""
    random, t = np.random.default_rng(seed), np.arange(n)
    promo = (random.random(n) < 0.15).astype(float)
    y = 5000 + 600 * np.sin(2 * np.pi * t / 52) + 2500 * promo + random.normal(0, 200, n)
    return pd.DataFrame({"ds": pd.date_range("2021-01-04", periods=n, freq="W-MON"), "y": y, "promo": promo})


def test_promotions_of_a_short_history_move_the_forecast(tmp_path: Path) -> None:
    """Three years of weeks with 26 promotions: networks alone hardly learn them, the regression does."""
    df = weeks()
    past, last = df[:170], df[170:].drop(columns="y")
    model = Forecaster(8, training=TRAINING).fit(past, futr_exog_list=["promo"])
    without, with_promotion = (model.predict(futr_df=last.assign(promo=p))["rekur"].to_numpy() for p in (0.0, 1.0))
    assert (with_promotion - without).mean() == pytest.approx(2500, rel=0.15)
    model.save(tmp_path / "m")
    pd.testing.assert_frame_equal(
        rekur.load(tmp_path / "m").predict(futr_df=last, models=True), model.predict(futr_df=last, models=True)
    )
    backtest = model.backtest(past, n_windows=3)
    assert backtest.metrics()["regression"]["MASE"] < 0.6 * backtest.metrics()["smoothing"]["MASE"]
    assert "regression" not in Forecaster(8, training=QUICK).backtest(past[["ds", "y"]], n_windows=2).metrics()


@pytest.mark.parametrize("kind", ["weekly", "monthly"])
def test_the_effect_is_not_halved_where_one_block_of_time_is_held_out(kind: str) -> None:
    """The network of a short history does not learn the effect: the average does not believe in it by half."""
    random, t = np.random.default_rng(1), np.arange(164 if kind == "weekly" else 84)
    if kind == "weekly":
        x = (random.random(t.size) < 0.15).astype(float)
        y = 500 * (1 + 0.5 * x) * (1 + 0.1 * np.sin(t / 8)) + random.normal(0, 20, t.size)
        freq, horizon = "W-MON", 8
    else:
        x = random.integers(18, 24, t.size).astype(float)
        y = 5000 * x * (1 + 0.003 * t) + random.normal(0, 2000, t.size)
        freq, horizon = "MS", 12
    df = pd.DataFrame({"ds": pd.date_range("2018-01-01", periods=t.size, freq=freq), "y": y, "x": x})
    past, last = df[:-horizon], df[-horizon:].drop(columns="y")
    model = Forecaster(horizon).fit(past, futr_exog_list=["x"])
    frames = [model.predict(futr_df=last.assign(x=level)) for level in (x.min(), x.max())]
    effect = frames[1]["rekur"].mean() / frames[0]["rekur"].mean() - 1
    assert effect == pytest.approx(0.5 if kind == "weekly" else 23 / 18 - 1, rel=0.25)


def test_a_covariate_of_one_value_is_named() -> None:
    df = weeks(60).assign(country="DE", zero=0.0)
    model = Forecaster(4, select="regression").fit(df, futr_exog_list=["promo", "country"], hist_exog_list=["zero"])
    assert "covariates without effect: 'country', 'zero', as all values are the same" in model.notes_


def test_labels_of_the_future_table() -> None:
    """No label that was learned is an error; where empty cells are learned, all may be empty."""
    df = weeks(60).drop(columns="promo").assign(promo=np.where(np.arange(60) % 7 == 2, "x", None))
    past, last = df[:56], df[56:].drop(columns="y")
    model = Forecaster(4, select="regression").fit(past, futr_exog_list=["promo"])
    assert np.isfinite(model.forecast(futr_df=last.assign(promo=None)).values).all()
    with pytest.raises(DataError, match="column 'promo': 'X' was not learned, as all other values: write 'x'"):
        model.predict(futr_df=last.assign(promo="X"))


def test_the_regression_alone() -> None:
    """It needs no training and reads what is known for the future; a column known for the past alone is named."""
    df = weeks().assign(visits=1.0)
    past, last = df[:170], df[170:].drop(columns=["y", "visits"])
    model = Forecaster(8, select="regression").fit(past, futr_exog_list=["promo"], hist_exog_list=["visits"])
    notes = " ".join(model.notes_)
    assert "covariates without effect: 'visits'; the forecast is one of a regression on those known" in notes
    assert "the forecast is dynamic regression alone" in notes
    frame = model.predict(futr_df=last, level=[80])
    assert np.abs(frame["rekur"] - df.y[170:].to_numpy()).mean() < 300
    assert (frame["rekur-lo-80"] < frame["rekur"]).all()
    with pytest.raises(OptionError, match="select='regression' needs covariates known for the future"):
        Forecaster(8, select="regression").fit(past[["ds", "y"]])


def test_a_temperature_acts_on_both_sides(tmp_path: Path) -> None:
    """A load that grows with cold and heat: the regression reads squares, as straight lines beyond their range."""
    random, t = np.random.default_rng(0), np.arange(420)
    heat = 15 - 12 * np.cos(2 * np.pi * t / 365) + random.normal(0, 4, t.size)
    y = 200 + 0.4 * (heat - 16) ** 2 + 10 * (t % 7 < 5) + random.normal(0, 3, t.size)
    df = pd.DataFrame({"ds": pd.date_range("2023-01-01", periods=t.size), "y": y, "heat": heat})
    model = Forecaster(7, select="regression").fit(df[:413], futr_exog_list=["heat"])
    future = df[413:].drop(columns="y")
    assert np.abs(model.predict(futr_df=future)["rekur"] - y[413:]).mean() < 6
    extreme = []
    for heat in (40.0, 60.0, 80.0):
        hot = model.forecast(futr_df=future.assign(heat=heat))
        extreme.append(float(hot.frame()["rekur"].mean()))
        note = (
            f"column 'heat': 7 of 7 values are far outside the learned range, -6.045 to 36.9724: {heat:g} at 2024-02-18"
        )
        assert [note in each for each in hot.notes if "range" in each] == [True] * (heat > 50)
    model.save(tmp_path / "m")
    assert rekur.load(tmp_path / "m").forecast(futr_df=future.assign(heat=80.0)).notes == hot.notes
    with pytest.warns(UserWarning, match="far outside the learned range"):
        model.predict(futr_df=future.assign(heat=[15.0] * 6 + [-80.0]))
    assert extreme[1] - extreme[0] > 100
    assert extreme[2] / extreme[1] < 2.5


def test_series_share_what_promotions_do() -> None:
    """A series without any promotion so far gets the effect that they have on the others."""
    parts = [weeks(70, seed).assign(unique_id=f"s{seed}") for seed in range(6)]
    parts[0].loc[:65, "y"] -= 2500 * parts[0].promo[:66]
    parts[0].loc[:65, "promo"] = 0.0
    df = pd.concat(parts)
    past, last = df.groupby("unique_id").head(66), df.groupby("unique_id").tail(4)
    model = Forecaster(4, select="regression").fit(past, futr_exog_list=["promo"])
    without, with_promotion = (
        model.predict(futr_df=last[["unique_id", "ds"]].assign(promo=p))["rekur"].to_numpy()[:4] for p in (0.0, 1.0)
    )
    assert (with_promotion - without).mean() == pytest.approx(2500, rel=0.25)


@pytest.mark.parametrize("time_limit", [None, 60.0])
def test_the_regression_of_a_window_reads_nothing_after_it(time_limit: float | None) -> None:
    df = pd.concat([weeks(90, seed).assign(unique_id=f"s{seed}") for seed in range(3)])
    changed = df.assign(y=df.y.where(df.groupby("unique_id").cumcount() < 82, 9e9))
    first, second = (
        Forecaster(4, select="naive").backtest(d, time_limit=time_limit, futr_exog_list=["promo"])
        for d in (df, changed)
    )
    before = first.stop <= 82
    assert before.any()
    np.testing.assert_array_equal(first.forecasts["regression"][before], second.forecasts["regression"][before])


def test_constant_and_short_series_say_nothing_of_a_promotion() -> None:
    parts = [weeks(70, seed).assign(unique_id=f"s{seed}") for seed in range(2)]
    alone = read_panel(pd.concat(parts), future=["promo"])
    both = read_panel(pd.concat([*parts, weeks(70, 9).assign(unique_id="constant", y=3.0)]), future=["promo"])
    priors = [CovariateRegression.of(panel, (52,), 70) for panel in (alone, both)]
    assert priors[0] is not None
    assert priors[1] is not None
    assert priors[1].prior == pytest.approx(priors[0].prior, rel=0.1)
    few = pd.concat([part.head(3).assign(y=[np.nan, np.nan, 1.0]) for part in parts])
    short = CovariateRegression.of(read_panel(few, future=["promo"]), (52,), 70)
    assert short is not None
    assert not any(short.prior)


def test_a_promotion_that_new_rows_lack_is_not_said_to_be_without_effect() -> None:
    df = weeks(100)
    model = Forecaster(4, select="regression").fit(df, futr_exog_list=["promo"])
    quiet = df[df.promo == 0].tail(12).assign(ds=df.ds.tail(12).to_numpy())
    future = pd.DataFrame({"ds": pd.date_range(quiet.ds.iloc[-1], periods=5, freq="W-MON")[1:], "promo": 1.0})
    assert not any("without effect" in note for note in model.forecast(quiet, futr_df=future).notes)


def test_what_is_known_of_the_past_alone_tells_the_next_value() -> None:
    past, last = ends(shops(400), 1)
    truth = last["y"].to_numpy()
    errors = []
    for names in ((), ("v",)):
        model = Forecaster(1, training=Training(max_epochs=15, batch_size=64, learning_rate=5e-3, optimizer="adamw"))
        errors.append(np.abs(model.fit(past, hist_exog_list=names).predict()["rekur"].to_numpy() - truth).mean())
    assert errors[1] < 0.6 * errors[0], errors


def test_the_past_alone_never_sees_its_future_values() -> None:
    """What stands in a past-only column after the cutoff changes no forecast."""
    df = shops(100)
    changed = df.copy()
    changed.loc[changed.ds > changed.ds.max() - pd.Timedelta(days=7), "v"] = 1e9
    made = [
        Forecaster(7, training=QUICK).cross_validation(d, n_windows=1, hist_exog_list=["v"])["rekur"]
        for d in (df, changed)
    ]
    np.testing.assert_array_equal(made[0], made[1])


def test_gaps_are_told_from_values() -> None:
    encoding = ExogenousEncoder.of(
        np.array([[1.0, 0], [3.0, 1], [np.nan, np.nan]]), ["x", "kind"], {"kind": ("a", "b")}
    )
    assert encoding.width == 4
    made = encoding.apply(np.array([[3.0, 0], [np.nan, 1], [1.0, np.nan]]))
    np.testing.assert_allclose(made, [[1, 0, 1, 0], [0, 1, 0, 1], [-1, 0, 0, 0]])
    assert ExogenousEncoder.of(np.array([[5.0], [5.0]]), ["x"], {}).apply(np.array([[5.0], [7.0]])).tolist() == [
        [0],
        [2],
    ]


def test_missing_values_in_every_kind_of_covariate() -> None:
    df = shops(120)
    holes = np.random.default_rng(0).random((3, len(df))) < 0.2
    df["deal"] = df["deal"].where(~holes[0])
    df["v"] = df["v"].where(~holes[1])
    df["size"] = df["size"].where(~holes[2])
    past, last = ends(df, 7)
    model = Forecaster(7, training=QUICK).fit(
        past, futr_exog_list=["deal"], hist_exog_list=["v"], stat_exog_list="size"
    )
    with pytest.warns(UserWarning, match="the future table, column 'deal': . of 21 values are missing, the first of"):
        assert np.isfinite(model.predict(futr_df=last[["unique_id", "ds", "deal"]])["rekur"]).all()


def test_the_frame_to_fill_in() -> None:
    past, last = ends(shops(), 7)
    model = Forecaster(7, training=QUICK).fit(past, futr_exog_list=["deal"])
    frame = model.make_future_frame()
    assert list(frame.columns) == ["unique_id", "ds", "deal"]
    pd.testing.assert_frame_equal(frame[["unique_id", "ds"]], last[["unique_id", "ds"]].reset_index(drop=True))
    frame["deal"] = last["deal"].to_numpy()
    filled = model.predict(futr_df=frame)["rekur"]
    np.testing.assert_array_equal(filled, model.predict(futr_df=last[["unique_id", "ds", "deal"]])["rekur"])
    assert len(model.make_future_frame(h=3)) == 9
    with pytest.raises(DataError, match=r"2 rows are absent.*'s0' at 2024-06-02, 's2' at 2024-06-08"):
        model.predict(futr_df=frame.drop(index=[0, 20]))


def test_a_static_covariate_that_changes_is_refused() -> None:
    with pytest.raises(DataError, match=r"'deal' \(static\): it changes within series 's0'.*hist_exog_list"):
        read_panel(shops(), static=["deal"])


def test_text_that_is_numbers_is_numbers() -> None:
    df = shops(20).assign(x=lambda d: np.arange(len(d)).astype(str))
    found = read_panel(df, future=["x"])
    assert found.labels == {}
    assert found.future[:, 0].tolist() == list(range(60))
    rare = df.assign(deal=np.where(np.arange(len(df)) < 3, "gift", "half"))
    assert read_panel(rare, future=["deal"]).labels["deal"] == ("half", "gift")  # the most frequent one first
    with pytest.raises(DataError, match=r"row with index 4: '4,5' is not a number"):
        read_panel(df.assign(x=np.where(np.arange(len(df)) == 4, "4,5", df["x"])), future=["x"])


def test_static_covariates_of_a_frame_are_those_of_columns(tmp_path: Path) -> None:
    """static_df gives the numbers of static columns, in prediction, saving, cross-validation and explanation too."""
    df = shops(120)
    static = pd.DataFrame({"unique_id": ["s2", "s0", "s1"], "size": ["small", "small", "large"]})
    plain = df[["unique_id", "ds", "y"]]
    columns = Forecaster(7, training=QUICK).fit(df[[*plain.columns, "size"]], stat_exog_list="size")
    framed = Forecaster(7, training=QUICK).fit(plain, static_df=static)
    assert framed.panel_.static_names == ("size",)
    expected = columns.predict(level=[80])
    pd.testing.assert_frame_equal(framed.predict(level=[80]), expected)
    pd.testing.assert_frame_equal(framed.predict(plain, level=[80]), expected)
    framed.save(tmp_path / "m")
    pd.testing.assert_frame_equal(rekur.load(tmp_path / "m").predict(plain, level=[80]), expected)
    tests = [
        framed.cross_validation(plain, n_windows=1),
        columns.cross_validation(df, n_windows=1),
        Forecaster(7, training=QUICK).cross_validation(plain, n_windows=1, static_df=static),
    ]
    pd.testing.assert_frame_equal(tests[0], tests[1])
    pd.testing.assert_frame_equal(tests[0], tests[2])
    assert framed.explain(plain, n_windows=1).covariate.tolist() == ["size"]
    new = plain[plain.unique_id == "s1"].assign(unique_id="new")
    with pytest.raises(DataError, match="no static covariates: pass static_df for the series 'new'"):
        framed.predict(new)
    more = pd.DataFrame({"unique_id": ["new"], "size": ["never seen"]})
    assert np.isfinite(framed.predict(new, static_df=more)["rekur"]).all()


def test_frames_of_static_covariates_that_do_not_fit_are_refused() -> None:
    plain = shops(60)[["unique_id", "ds", "y"]]
    static = pd.DataFrame({"unique_id": ["s0", "s1"], "size": [1.0, 2.0]})
    with pytest.raises(DataError, match="the static table has no row of the series 's2'"):
        Forecaster(3, training=QUICK).fit(plain, static_df=static)
    with pytest.raises(DataError, match="no column 'unique_id'"):
        Forecaster(3, training=QUICK).fit(plain, static_df=static.rename(columns={"unique_id": "shop"}))
    twice = pd.concat([static, static.assign(size=9.0), pd.DataFrame({"unique_id": ["s2"], "size": [3.0]})])
    with pytest.raises(DataError, match="changes within series 's0'"):
        Forecaster(3, training=QUICK).fit(plain, static_df=twice)
    with pytest.raises(DataError, match="no column 'height'"):
        Forecaster(3, training=QUICK).fit(plain, static_df=static, stat_exog_list=["height"])


def test_the_columns_of_fit_hold_for_what_looks_back() -> None:
    df = shops(100)
    model = Forecaster(7, training=QUICK).fit(df, futr_exog_list=["deal"], hist_exog_list=["v"])
    assert sorted(model.explain(df, n_windows=1).covariate) == ["deal", "v"]
    expected = Forecaster(7, training=QUICK).cross_validation(
        df, n_windows=1, futr_exog_list=["deal"], hist_exog_list=["v"]
    )
    pd.testing.assert_frame_equal(model.cross_validation(df, n_windows=1), expected)
    without = model.cross_validation(df, n_windows=1, futr_exog_list=(), hist_exog_list=())
    assert not without.rekur.equals(expected.rekur)
    plain = df[["unique_id", "ds", "y"]]
    for look_back in (model.cross_validation, model.backtest, model.explain):
        with pytest.raises(DataError, match="no column 'deal'"):  # not left out in silence
            look_back(plain, n_windows=1)
    assert len(model.cross_validation(plain, n_windows=1, futr_exog_list=(), hist_exog_list=())) == 3 * 7
    with pytest.raises(OptionError, match="no covariates to explain: name some in futr_exog_list"):
        model.explain(plain, futr_exog_list=(), hist_exog_list=())


def test_no_table_of_future_values_is_ignored_in_silence() -> None:
    past, last = ends(shops(60), 7)
    model = Forecaster(7, training=QUICK).fit(past, futr_exog_list=["deal"])
    known = last[["unique_id", "ds", "deal"]]
    assert model.forecast(futr_df=last[["unique_id", "ds", "deal", "y"]]).notes == tuple(model.notes_)
    with pytest.warns(UserWarning, match="the future table: not used: 'size', 'v'"):
        model.predict(futr_df=last)
    odd = known.assign(deal=np.where(np.arange(21) == 9, "never", np.where(np.arange(21) == 12, None, known.deal)))
    note = (
        "the future table, column 'deal': 2 of 21 values are missing or a label that was not learned, such as "
        "'never', the first of series 's1' at 2024-02-25"
    )
    assert note in model.forecast(futr_df=odd).notes
    with pytest.warns(UserWarning, match="'never', the first of series 's1' at"):
        model.predict(futr_df=odd)
    with pytest.raises(DataError, match="column 'deal': all values are missing: fill them in"):
        model.predict(futr_df=model.make_future_frame())
    plain = Forecaster(7, training=QUICK).fit(past)
    with pytest.raises(OptionError, match="no future covariates: leave out futr_df, or name some in futr_exog_list"):
        plain.predict(futr_df=known)
    with pytest.raises(DataError, match=r"no column 'deel' .*its columns are 'unique_id', 'ds', .*did you mean 'deal'"):
        Forecaster(7, training=QUICK).fit(past, futr_exog_list=["deel"])


def test_notes_are_those_of_the_table_that_is_forecast() -> None:
    df = shops(60)[["unique_id", "ds", "y"]]
    df.loc[[3, 5], "y"] = np.nan
    model = Forecaster(7, training=QUICK).fit(df)
    assert any("2 of 180 values are missing" in note for note in model.forecast().notes)
    assert model.forecast(df[df.unique_id == "s1"]).notes == ("frequency D",)
    gaps = df[df.unique_id == "s1"].assign(y=lambda d: d.y.where(np.arange(60) != 8))
    assert model.forecast(gaps).notes == (
        "frequency D",
        "1 of 60 values are missing (1.67%): 1 empty value",
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_whole_numbers_of_the_future_may_be_filled_in(library: str) -> None:
    """A column of 0 and 1 is of a type without missing values: it is one of floats until it is filled in."""
    days = pd.date_range("2024-01-01", periods=60)
    df = pd.DataFrame(
        {"ds": days, "y": [float(t % 7) for t in range(60)], "holiday": [int(t % 9 == 0) for t in range(60)]}
    )
    frame = df if library == "pandas" else pytest.importorskip("polars").from_pandas(df)
    model = rekur.Forecaster(horizon=3, select="smoothing").fit(frame, futr_exog_list=["holiday"])
    future = model.make_future_frame()
    assert future["holiday"].to_numpy().shape == (3,)
    assert np.isnan(future["holiday"].to_numpy().astype(float)).all()
