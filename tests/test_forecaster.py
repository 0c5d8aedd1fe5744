"""The forecaster: every kind of table in, the same kind out; one seed, one result; saved and loaded; checked."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import rekur
from rekur import Forecaster
from rekur.core import DataError, ModelFileError, NotFittedError, OptionError
from rekur.forecasting.config import LEVELS, default_config
from rekur.training.config import Training

pytestmark = pytest.mark.usefixtures("short_epochs")

QUICK = Training(
    max_epochs=1, batch_size=16, learning_rate=2e-3, optimizer="adamw", weight_decay=0.0, warmup=0.0, ema_decay=0.0
)


def panel(series: int = 3, n: int = 90, noise: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Daily series with a weekly season, each at its own level."""
    random, days = np.random.default_rng(seed), pd.date_range("2024-01-01", periods=n)
    season = np.array([0.0, 1.0, 3.0, 2.0, 1.0, -2.0, -3.0])
    parts = []
    for s in range(series):
        y = 10 * (s + 1) + (s + 1) * season[np.arange(n) % 7] + noise * random.normal(size=n)
        parts.append(pd.DataFrame({"unique_id": f"s{s}", "ds": days, "y": y}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    """A forecaster of the panel, a week ahead."""
    return Forecaster(7, training=QUICK).fit(panel())


def test_the_forecast_follows_the_season(fitted: Forecaster) -> None:
    frame = fitted.predict(level=[80, 90], quantiles=[0.3])
    assert list(frame.columns) == [
        "unique_id", "ds", "rekur", "rekur-lo-80", "rekur-hi-80", "rekur-lo-90", "rekur-hi-90", "rekur_ql0.3",
    ]  # fmt: skip
    assert len(frame) == 21
    assert frame.ds.iloc[0] == pd.Timestamp("2024-03-31")
    season = np.array([-3.0, 0.0, 1.0, 3.0, 2.0, 1.0, -2.0])
    truth = np.concatenate([10 * (s + 1) + (s + 1) * season for s in range(3)])
    assert np.abs(frame["rekur"] - truth).max() < 1.0
    assert (frame["rekur-lo-90"] <= frame["rekur-lo-80"]).all()
    assert (frame["rekur-hi-80"] <= frame["rekur-hi-90"]).all()


def test_quantiles_do_not_cross(fitted: Forecaster) -> None:
    values = fitted.forecast().values
    assert values.shape == (3, 7, len(LEVELS))
    assert (np.diff(values, axis=-1) >= 0).all()


def test_one_seed_one_result_and_files_keep_it(fitted: Forecaster, tmp_path: Path) -> None:
    again = Forecaster(7, training=QUICK).fit(panel())
    pd.testing.assert_frame_equal(again.predict(level=[90]), fitted.predict(level=[90]), rtol=0, atol=0)
    other = Forecaster(7, training=QUICK, random_state=1).fit(panel())
    networks = [model.predict(models=True)["corrected"] for model in (other, fitted)]
    assert not np.array_equal(*networks)
    fitted.save(tmp_path / "m")
    loaded = rekur.load(tmp_path / "m")
    assert loaded.get_params() == fitted.get_params()
    pd.testing.assert_frame_equal(loaded.predict(level=[90]), fitted.predict(level=[90]), rtol=0, atol=0)
    newer = panel(2, 60, seed=5)
    with pytest.warns(UserWarning, match="30 steps before the end of training"):
        made = [model.predict(newer) for model in (loaded, fitted)]
    pd.testing.assert_frame_equal(*made, rtol=0, atol=0)


def test_series_never_seen_are_forecast(fitted: Forecaster) -> None:
    new = panel(1, 50, seed=9).assign(unique_id="new", y=lambda d: d.y * 1000)
    frame = fitted.predict(new)
    assert frame.unique_id.unique().tolist() == ["new"]
    assert frame["rekur"].between(5_000, 15_000).all()


def test_a_row_does_not_depend_on_the_other_series(fitted: Forecaster) -> None:
    whole = fitted.predict(panel())
    alone = fitted.predict(panel().query("unique_id == 's1'"))
    np.testing.assert_allclose(alone["rekur"], whole.query("unique_id == 's1'")["rekur"], rtol=1e-5)


def test_every_kind_of_frame_comes_back_as_it_came(fitted: Forecaster) -> None:
    df = panel()
    expected = fitted.predict(df)["rekur"].to_numpy()
    for frame, kind in ((pl.from_pandas(df), pl.DataFrame), (pa.Table.from_pandas(df), pa.Table)):
        out = fitted.predict(frame)
        assert isinstance(out, kind)
        np.testing.assert_allclose(np.asarray(out["rekur"]), expected, rtol=1e-12)


def test_names_plain_and_wide_tables() -> None:
    df = panel(2)
    renamed = df.rename(columns={"unique_id": "shop", "ds": "day", "y": "sales"})
    names = {"id_col": "shop", "time_col": "day", "target_col": "sales"}
    long = Forecaster(3, training=QUICK).fit(renamed, **names).predict()
    assert list(long.columns) == ["shop", "day", "rekur"]
    wide = Forecaster(3, training=QUICK).fit(df.pivot(index="ds", columns="unique_id", values="y").reset_index())
    np.testing.assert_allclose(wide.predict()["rekur"], long["rekur"], rtol=1e-6)
    plain = Forecaster(3, training=QUICK).fit(df[df.unique_id == "s0"][["ds", "y"]]).predict()
    assert list(plain.columns) == ["ds", "rekur"]


def test_missing_values_and_rows_are_carried_not_filled() -> None:
    df = panel(2, 120)
    df.loc[5:9, "y"] = np.nan
    df = df.drop(index=[40, 41, 150])
    model = Forecaster(7, training=QUICK).fit(df)
    assert np.isnan(model.panel_.y).sum() == 8
    assert any("missing" in note for note in model.notes_)
    assert np.isfinite(model.predict()["rekur"]).all()


@pytest.mark.parametrize("scale", [1e12, 1e-12, -1.0])
def test_scale_and_sign_make_no_difference(scale: float) -> None:
    df = panel(2, 80)
    base = Forecaster(7, training=QUICK).fit(df).predict(level=[80])
    other = Forecaster(7, training=QUICK).fit(df.assign(y=df.y * scale)).predict(level=[80])
    error = np.abs(other["rekur"] / scale - base["rekur"]).max()
    assert error < (1e-3 if scale > 0 else 1.0), f"differs by {error}"
    assert (other["rekur-lo-80"] <= other["rekur-hi-80"]).all()


@pytest.mark.parametrize("value", [0.0, 5.0, -1e12, 1e-12])
def test_a_constant_series_stays_constant(value: float) -> None:
    df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=80), "y": value})
    frame = Forecaster(5, training=QUICK).fit(df).predict(level=[80])
    np.testing.assert_allclose(frame[["rekur", "rekur-lo-80", "rekur-hi-80"]], value, rtol=1e-6, atol=0)


def test_short_series_are_left_out_and_listed_or_forecast_without_training() -> None:
    df = pd.concat([panel(2), pd.DataFrame({"unique_id": "tiny", "ds": pd.to_datetime(["2024-01-01"]), "y": [1.0]})])
    model = Forecaster(7, training=QUICK).fit(df)
    assert model.panel_.skipped == (("tiny", "fewer than 3 values"),)
    assert set(model.predict().unique_id) == {"s0", "s1"}
    few = Forecaster(4).fit(panel(1, 9))
    assert not few.ensemble_.networks
    assert any("smoothing (Theta) alone" in note for note in few.notes_)
    assert np.isfinite(few.predict(level=[80]).drop(columns=["unique_id", "ds"])).all(axis=None)
    with pytest.raises(DataError, match="too short"):
        Forecaster(4).fit(panel(1, 2))


def test_known_future_values_are_used_and_asked_for() -> None:
    """A promotion that doubles the value is seen coming."""
    df = panel(3, 160)
    random = np.random.default_rng(3)
    promo = random.random(len(df)) < 0.3
    df = df.assign(promo=promo.astype(float), y=df.y * (1 + promo))
    training = Training(max_epochs=4, batch_size=64, learning_rate=5e-3, optimizer="adamw")
    future = df.groupby("unique_id").tail(7)[["unique_id", "ds", "promo"]]
    past = df.drop(future.index)
    model = Forecaster(7, training=training).fit(past, futr_exog_list=["promo"])
    truth, known = df.loc[future.index, "y"].to_numpy(), model.predict(futr_df=future)["rekur"].to_numpy()
    blind = Forecaster(7, training=training).fit(past).predict()["rekur"].to_numpy()
    assert np.abs(known - truth).mean() < 0.5 * np.abs(blind - truth).mean()
    with pytest.raises(DataError, match="promo"):
        model.predict()
    with pytest.raises(DataError, match="s1"):
        model.predict(futr_df=future.query("unique_id != 's1'"))


def test_cross_validation_has_every_window_and_model() -> None:
    df = panel(2, 100)
    frame = Forecaster(7, training=QUICK).cross_validation(df, n_windows=2, step_size=5, level=[80])
    assert {"unique_id", "ds", "cutoff", "y", "rekur", "rekur-lo-80", "seasonal_naive", "smoothing"} <= set(
        frame.columns
    )
    assert len(frame) == 2 * 2 * 7
    assert frame.groupby("unique_id").cutoff.unique().iloc[0].tolist() == [
        pd.Timestamp("2024-03-28"), pd.Timestamp("2024-04-02"),
    ]  # fmt: skip
    merged = frame.merge(df, on=["unique_id", "ds"])
    np.testing.assert_array_equal(merged.y_x, merged.y_y)
    naive = frame.assign(before=frame.ds - pd.Timedelta(days=7)).merge(
        df, left_on=["unique_id", "before"], right_on=["unique_id", "ds"]
    )
    np.testing.assert_allclose(naive.seasonal_naive, naive.y_y)


def test_the_backtest_sees_nothing_of_its_windows() -> None:
    """What stands after the first cutoff can be anything; the forecast from it stays the same."""
    df = panel(2, 100)
    changed = df.copy()
    changed.loc[changed.ds > pd.Timestamp("2024-04-02"), "y"] = 1e6
    kept = [Forecaster(7, training=QUICK).cross_validation(d, n_windows=1)["rekur"].to_numpy() for d in (df, changed)]
    np.testing.assert_array_equal(kept[0], kept[1])


def test_refit_learns_before_each_window() -> None:
    df, model = panel(2, 120, noise=2.0), Forecaster(7, training=QUICK, select="corrected")
    once, anew = (model.cross_validation(df, n_windows=2, refit=r) for r in (False, True))
    first, second = (np.arange(len(once)) // 7 % 2 == k for k in (0, 1))
    np.testing.assert_allclose(once["rekur"][first], anew["rekur"][first], rtol=1e-6)
    assert np.abs(once["rekur"][second] - anew["rekur"][second]).max() > 1e-3


def test_the_verdict_is_honest() -> None:
    days = pd.date_range("2024-01-01", periods=300)  # a cycle of 5.3 days, which no whole season matches
    noise = np.random.default_rng(0).normal(size=300)
    df = pd.DataFrame({"ds": days, "y": 50 + 5 * np.sin(2 * np.pi * np.arange(300) / 5.3) + 0.1 * noise})
    good = Forecaster(7, training=QUICK).backtest(df, n_windows=6)
    assert good.verdict().startswith("rekur beats seasonal naive by ")
    assert " over 6 windows" in good.verdict()
    worse = {**good.forecasts, "rekur": good.forecasts["rekur"] + 100}
    from dataclasses import replace

    text = replace(good, forecasts=worse).verdict()
    assert text.startswith("rekur is behind ")
    assert "; use " in text
    scores = good.metrics()
    assert set(scores) == {"rekur", "naive", "seasonal_naive", "drift", "smoothing"}
    assert scores["rekur"]["MASE"] < scores["naive"]["MASE"]


def test_whole_numbers_as_times_and_their_season() -> None:
    n = 240
    y = np.sin(2 * np.pi * np.arange(n) / 12) + 0.01 * np.random.default_rng(0).normal(size=n)
    model = Forecaster(12, training=QUICK).fit(pd.DataFrame({"ds": np.arange(n), "y": y}))
    assert model.seasons_ == (12,)
    frame = model.predict()
    assert frame.ds.tolist() == list(range(n, n + 12))
    assert np.abs(frame["rekur"] - np.sin(2 * np.pi * frame.ds / 12)).max() < 0.1


@pytest.mark.parametrize("freq", ["h", "30min", "15min", "D", "B", "W-SUN", "MS", "QS", "YS"])
@pytest.mark.parametrize("n", [8, 40, 400])
def test_every_frequency_has_defaults(freq: str, n: int) -> None:
    """Only the horizon is given; from eight values on there is a forecast with intervals."""
    y = 10 + np.random.default_rng(0).normal(size=n).cumsum()
    df = pd.DataFrame({"ds": pd.date_range("1900-01-01", periods=n, freq=freq), "y": y})
    model = Forecaster(3, training=QUICK, hidden_size=8, num_layers=1).fit(df)
    assert model.panel_.freq.name == freq
    assert np.isfinite(model.predict(level=[80])[["rekur", "rekur-lo-80", "rekur-hi-80"]]).all(axis=None)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"horizon": 0}, "horizon"), ({"horizon": 2.5}, "whole"), ({"horizon": 2, "cell": "tcn"}, "'gru'"),
     ({"horizon": 2, "freq": "fortnight"}, "fortnight"), ({"horizon": 2, "season_length": 0}, "season"),
     ({"horizon": 2, "training": {"max_epochs": 2}}, "rekur.Training, such as .* got a dict")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(options: dict, text: str) -> None:
    with pytest.raises(OptionError, match=text):
        Forecaster(**options).fit(panel(1))


def test_levels_beyond_what_was_learned_are_refused(fitted: Forecaster) -> None:
    with pytest.raises(OptionError, match="at most 95"):
        fitted.predict(level=[99])
    for level in (["80"], [True], [0], [None]):
        with pytest.raises(OptionError, match="level must be a number between 0 and 100, in percent, got"):
            fitted.predict(level=level)
    with pytest.raises(OptionError, match=r"level 0.8 is below 1 %: levels are in percent, 80 for 0.8"):
        fitted.predict(level=0.8)
    with pytest.raises(OptionError, match="quantiles must lie between 0 and 1"):
        fitted.predict(quantiles=["0.5"])
    with pytest.raises(OptionError, match="not fitted"):
        Forecaster(3).predict()
    with pytest.raises(DataError, match="series 'a' has the frequency h, but the model was fitted to D"):
        fitted.predict(pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024", periods=60, freq="h"), "y": 1.0}))


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="fewer windows"):
        Forecaster(7).backtest(panel(1, 20), n_windows=3)
    with pytest.raises(OptionError, match="n_windows"):
        Forecaster(7).backtest(panel(1), n_windows=0)


def test_a_time_limit_leaves_a_forecast_and_a_note() -> None:
    """Without time for an epoch the linear path and the baselines remain; the limit of `training` holds too."""
    df = panel(3, 400)
    model = Forecaster(7).fit(df, time_limit=0.01)
    cut = [note for note in model.notes_ if "cut by the time limit of 0.01 s after 0 of" in note]
    assert len(cut) == len(model.ensemble_.networks)
    assert np.isfinite(model.predict(level=[80]).iloc[:, 2:].to_numpy()).all()
    assert np.isfinite(model.backtest(df, n_windows=1, time_limit=0.01).metrics()["rekur"]["MASE"])
    several = Forecaster(7, training=Training(max_seconds=0.02)).fit(df)
    assert any("time limit of 0.02 s" in note for note in several.notes_)
    assert not any("time limit" in note for note in Forecaster(7, training=QUICK).fit(df, time_limit=600).notes_)
    with pytest.raises(OptionError, match="time_limit"):
        model.fit(df, time_limit=0)


def test_a_time_limit_leaves_fewer_windows_of_a_backtest_and_a_note() -> None:
    df = panel(2, 400)
    backtest = Forecaster(7, training=QUICK).backtest(df, time_limit=0.001)
    assert backtest.n_windows == 1
    assert backtest.series.tolist() == [0, 1]
    assert backtest.notes() == ["the time limit left time for 1 window of the backtest instead of 8"]
    whole = Forecaster(7, training=QUICK).backtest(df, time_limit=600)
    assert whole.n_windows == 8
    assert whole.notes() == []
    assert Forecaster(7, training=QUICK).backtest(df, n_windows=3, time_limit=0.001).n_windows == 3


def test_an_interrupt_leaves_the_forecaster_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the middle of training: without a model before there is none now, and a checkpoint resumes the run."""
    from rekur.forecasting import forecaster

    def stop(record: dict) -> None:
        if record["step"] == 30:
            raise KeyboardInterrupt

    options = {"training": Training(max_epochs=3, batch_size=16), "hidden_size": 8, "num_layers": 1}
    model = Forecaster(7, **options)
    with monkeypatch.context() as patch:
        patch.setattr(forecaster.Progress, "__enter__", lambda self: stop)
        with pytest.raises(KeyboardInterrupt):
            model.fit(panel(3, 200), checkpoint=tmp_path / "c")
        for use in (model.predict, lambda: model.save(tmp_path / "m")):
            with pytest.raises(NotFittedError, match="not fitted"):
                use()
        assert not [name for name in vars(model) if name.endswith("_")]
    resumed = model.fit(panel(3, 200), checkpoint=tmp_path / "c").predict(level=[80])
    pd.testing.assert_frame_equal(resumed, Forecaster(7, **options).fit(panel(3, 200)).predict(level=[80]))
    monkeypatch.setattr(forecaster.Progress, "__enter__", lambda self: stop)
    for learn in (model.fit, model.fine_tune):
        with pytest.raises(KeyboardInterrupt):
            learn(panel(3, 200, seed=4))
        pd.testing.assert_frame_equal(model.predict(level=[80]), resumed)


def test_the_default_config_fits_into_the_series() -> None:
    """Past, patch and held-out part leave at least one window for training, whatever the lengths."""
    for m in ((1,), (4,), (7,), (12,), (24, 168), (48, 336), (52,), (288, 2016)):
        for n in (24, 30, 50, 100, 400, 3000):
            for h in (1, 6, 24, 60):
                made = default_config(m, h, np.array([n, n // 2]))
                if made is not None:
                    assert made.context_length % made.patch_length == 0, made
                    assert made.context_length >= m[0], made
                    assert made.min_context + made.horizon + made.validation_size <= n, made


def test_a_series_that_went_silent_is_carried_on_by_smoothing(fitted: Forecaster) -> None:
    """Where a window has seen nothing, the network has nothing to say and invents nothing."""
    df = panel(2, 100)
    df.loc[(df.unique_id == "s1") & (df.index % 100 >= 40), "y"] = np.nan
    frame = fitted.predict(df, level=[80]).set_index("unique_id").loc["s1"]
    assert frame["rekur"].between(10, 30).all()
    assert (frame["rekur-lo-80"] < frame["rekur-hi-80"]).all()


def test_a_new_table_is_read_at_the_models_frequency(fitted: Forecaster) -> None:
    """Three rows a week apart are three days seen and the others missing, not a weekly series."""
    df = pd.DataFrame({"unique_id": "w", "ds": pd.date_range("2024-01-01", periods=3, freq="7D"), "y": [9.0, 10, 11]})
    frame = fitted.predict(df)
    assert frame.ds.tolist() == list(pd.date_range("2024-01-16", periods=7))


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    training = Training(max_epochs=2, batch_size=16)
    Forecaster(7, training=training).fit(panel(), checkpoint=tmp_path / "c")
    Forecaster(7, training=training).fit(panel(), checkpoint=tmp_path / "c")
    with pytest.raises(ModelFileError, match="another training"):
        Forecaster(7, training=training).fit(panel(seed=1), checkpoint=tmp_path / "c")


def test_a_season_longer_than_the_usual_history_is_kept_by_files(tmp_path: Path) -> None:
    rows, season = 6500, 2100
    y = np.sin(2 * np.pi * np.arange(rows) / season)
    df = pd.DataFrame({"ds": np.arange(rows), "y": y})
    model = Forecaster(5, season_length=season, training=QUICK, hidden_size=np.int64(8)).fit(df)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(rekur.load(tmp_path / "m").predict()["rekur"], model.predict()["rekur"])
    np.testing.assert_allclose(
        model.backtest(df, n_windows=1).forecasts["seasonal_naive"][0, :, 6], y[-5 - season : -season], atol=1e-9
    )


def test_an_interrupt_before_training_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from rekur.forecasting import training

    model = Forecaster(7, training=QUICK).fit(panel())
    before = model.predict()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "new_trainer", stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(panel(seed=4))
    pd.testing.assert_frame_equal(model.predict(), before)
    fresh = Forecaster(7, training=QUICK)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(panel())
    with pytest.raises(NotFittedError, match="not fitted"):
        fresh.save("nowhere")


def test_the_arguments_of_nixtla_work() -> None:
    df = panel(2, 120, noise=2.0)
    model = Forecaster(7, training=QUICK)
    frame = model.cross_validation(
        df, h=3, n_windows=4, step_size=2, refit=2, level=[80], quantiles=[0.3], time_limit=9
    )
    assert len(frame) == 2 * 4 * 3
    assert {"rekur-lo-80", "rekur_ql0.3", "naive-hi-80"} <= set(frame.columns)
    assert frame.groupby("unique_id").cutoff.nunique().tolist() == [4, 4]
    assert model.horizon == 7
    expected = Forecaster(3, training=QUICK).cross_validation(df, n_windows=4, step_size=2, refit=2)
    np.testing.assert_array_equal(frame["rekur"], expected["rekur"])
    every, second = (
        Forecaster(3, training=QUICK).cross_validation(df, n_windows=4, step_size=2, refit=k)["rekur"]
        for k in (True, 2)
    )
    window = np.arange(len(every)) // 3 % 4
    np.testing.assert_allclose(every[window % 2 == 0], second[window % 2 == 0], rtol=1e-6)  # trained on the same rows


def test_series_too_short_for_the_windows_are_listed() -> None:
    df = pd.concat([panel(2, 100), panel(1, 20).assign(unique_id="short")])
    model = Forecaster(7, training=QUICK)
    backtest = model.backtest(df, n_windows=2)
    assert backtest.skipped == (("short", "too short for 2 windows of 7 steps"),)
    assert backtest.notes() == ["1 series are too short for the windows and left out of the test: 'short'"]
    with pytest.warns(UserWarning, match="left out of the test: 'short'"):
        frame = model.cross_validation(df, n_windows=2)
    assert set(frame.unique_id) == {"s0", "s1"}


def test_each_baseline_is_run_once_for_a_set_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The average, the intervals and the table of a backtest share the forecasts of the same windows."""
    from rekur.forecasting.baselines.window_forecasts import BaselineForecasts

    windows_of: dict[tuple[int, str], list[tuple[int, int]]] = {}
    original = BaselineForecasts._forecast

    def counted(self: BaselineForecasts, name: str, series: np.ndarray, stop: np.ndarray, *rest: Any) -> np.ndarray:
        pairs = zip(series.tolist(), stop.tolist(), strict=True)
        windows_of.setdefault((int(self.panel.lengths.sum()), name), []).extend(pairs)
        return original(self, name, series, stop, *rest)

    monkeypatch.setattr(BaselineForecasts, "_forecast", counted)
    df = panel(2, 120, noise=2.0)
    Forecaster(7, training=QUICK).backtest(df.assign(x=np.arange(len(df)) % 5), n_windows=2, futr_exog_list=["x"])
    assert {name for _, name in windows_of} == {"drift", "naive", "regression", "seasonal_naive", "smoothing"}
    assert all(len(pairs) == len(set(pairs)) for pairs in windows_of.values())


def test_the_data_are_not_kept_and_the_summary_tells_of_them(fitted: Forecaster) -> None:
    assert len(fitted.frame_type_) == 0
    assert list(fitted.frame_type_.columns) == ["unique_id", "ds", "y"]
    assert len(fitted.backtest(panel(), n_windows=1).frame_type) == 0
    lines = dict(fitted._summary())
    assert lines["task"] == "forecast 7 steps"
    assert lines["data"] == "3 series, 270 rows, frequency D"
    assert "seasonal naive" in lines["pinball loss on held-out windows"]
    assert "3 series" in fitted._repr_html_()
    assert "not fitted" in Forecaster(3)._repr_html_()


def test_unknown_columns_and_wrong_horizons_are_refused(fitted: Forecaster) -> None:
    with pytest.raises(OptionError, match="'target' is not an option"):
        Forecaster(3).backtest(panel(), target="y")
    for h in (2.5, True, 0):
        with pytest.raises(OptionError, match="h must"):
            fitted.predict(h=h)


def test_one_forecast_of_the_command_line_reads_once_and_builds_two_forecasters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rekur.cli import main
    from rekur.data import panel_group

    panel(1, 120)[["ds", "y"]].to_csv(tmp_path / "a.csv", index=False)
    calls: list[str] = []
    read, build = panel_group.read_panels, Forecaster.__init__

    def reads(*arguments: object, **options: object) -> object:
        calls.append("read")
        return read(*arguments, **options)  # type: ignore[arg-type]

    def builds(self: Forecaster, *arguments: object, **options: object) -> None:
        calls.append("build")
        build(self, *arguments, **options)  # type: ignore[arg-type]

    builds.__signature__ = inspect.signature(build)  # type: ignore[attr-defined]
    monkeypatch.setattr(panel_group, "read_panels", reads)
    monkeypatch.setattr(Forecaster, "__init__", builds)
    with pytest.raises(SystemExit, match="0"):
        main(["forecast", str(tmp_path / "a.csv"), "--horizon", "3", "--windows", "1"])
    assert sorted(calls) == ["build", "build", "read"]
    assert "over 1 window" in capsys.readouterr().out


def weeks(n: int, start: str = "2024-01-01") -> pd.DataFrame:
    """Days with a weekly season."""
    return pd.DataFrame({"ds": pd.date_range(start, periods=n), "y": 5.0 + np.arange(n) % 7})


def test_a_loaded_model_names_the_same_rows_that_lack(tmp_path: Path) -> None:
    """Though the file holds the end of a long history alone."""
    df = weeks(3000)
    model = Forecaster(3, select="naive").fit(df)
    model.save(tmp_path / "m")
    notes = model.forecast(df.tail(10)).notes
    assert any("the 2038 rows before them" in each for each in notes), notes
    assert rekur.load(tmp_path / "m").forecast(df.tail(10)).notes == notes


def test_a_history_without_the_rows_that_were_learned_is_named() -> None:
    df = weeks(60)
    model = Forecaster(3, select="seasonal_naive").fit(df)
    note = (
        "the forecast reads the rows of the table alone, 10 since 2024-02-20: the 50 rows before them that the model "
        "was fitted to are not in it; pass the whole history to forecast from it"
    )
    assert note in model.forecast(df.tail(10)).notes
    with pytest.warns(UserWarning, match="10 since 2024-02-20"):
        model.predict(df.tail(10))
    later = model.forecast(weeks(20, "2025-01-01")).notes
    assert any("20 since 2025-01-01: the 60 rows before them" in each for each in later)
    assert any("and 306 steps between are missing" in each for each in later)
    for whole in (df, weeks(70), weeks(10, "2023-12-22")):
        assert not any("table alone" in each for each in model.forecast(whole).notes)
    several = pd.concat([df.assign(unique_id="a"), df.assign(unique_id="b")])
    model = Forecaster(3, select="naive").fit(several)
    notes = model.forecast(pd.concat([df.assign(unique_id="a"), df.tail(9).assign(unique_id="b")])).notes
    assert any("the forecast of 1 series reads the rows of the table alone, 9 of 'b' since" in each for each in notes)


def test_covariates_that_a_baseline_does_not_read_are_named() -> None:
    df = weeks(60).assign(promo=[float(t % 5 == 0) for t in range(60)])
    note = "covariates without effect: 'promo'; the forecast is one of baselines, which read none"
    model = Forecaster(3, select="naive").fit(df, target_col="y", hist_exog_list=["promo"])
    assert note in model.notes_
    assert model.forecast().notes.count(note) == 1
    small = Training(max_epochs=1)
    network = Forecaster(3, hidden_size=8, num_layers=1, training=small, select="corrected")
    network.fit(df, target_col="y", hist_exog_list=["promo"])
    assert note not in network.forecast().notes
    assert note in network.set_params(select="naive").forecast().notes


def test_steps_after_an_empty_end_are_not_asked_for_without_a_word() -> None:
    df = weeks(60).assign(promo=0.0, y=lambda d: d.y.where(np.arange(60) < 55))
    model = Forecaster(3, select="naive").fit(df, target_col="y", futr_exog_list=["promo"])
    with pytest.raises(DataError, match="they begin after 5 rows of the history without a value: take these out of it"):
        model.predict(futr_df=df[["ds", "promo"]])
