"""The model that forecasts: selection by evidence or by name, members beside the forecast, verdict and its windows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur import Forecaster, Training
from rekur.baselines import BASELINES
from rekur.cli import main
from rekur.core import DataError, OptionError
from rekur.data.panel import read_panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.config import LEVELS
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.selection.past_windows import spread_windows
from rekur.forecasting.selection.scores import WindowScores
from rekur.metrics import clustered_mean

pytestmark = pytest.mark.usefixtures("short_epochs")

QUICK = Training(max_epochs=1, batch_size=16)
SMALL = {"training": QUICK, "hidden_size": 8, "num_layers": 1}


def table(n: int = 120, kind: str = "season", series: int = 1) -> pd.DataFrame:
    """Daily series: a week and noise, or a random walk."""
    random = np.random.default_rng(0)
    times = pd.date_range("2023-01-01", periods=n)
    frames = []
    for s in range(series):
        noise = random.normal(size=n)
        y = 100 + noise.cumsum() if kind == "walk" else 10 + 3 * np.sin(np.arange(n) * 2 * np.pi / 7) + noise / 2
        frames.append(pd.DataFrame({"unique_id": f"s{s}", "ds": times, "y": y}))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(7, **SMALL).fit(table())


def made_backtest(errors: dict[str, float], windows: int = 6, noise: float = 0.1, seed: int = 0) -> Backtest:
    """A backtest of one series in which each model is off by an error of its own in every window, and by noise."""
    panel, h, random = read_panel(table(200)), 7, np.random.default_rng(seed)
    stop = 200 - h * np.arange(windows, 0, -1)
    actual = panel.y[stop[:, None] + np.arange(h)]
    width = np.array(LEVELS) - 0.5
    forecasts = {
        name: (actual + error + noise * random.normal(size=(windows, 1)))[..., None] + width
        for name, error in errors.items()
    }
    series = np.zeros(windows, np.int64)
    return Backtest(
        rekur.Forecaster(7).usable(PanelGroup((panel,))),
        series,
        stop,
        actual,
        LEVELS,
        forecasts,
        np.ones(windows),
        windows,
    )


EQUAL = {"naive": 1.0, "seasonal_naive": 1.5, "drift": 2.0, "smoothing": 1.2}


@pytest.mark.parametrize("name", ["corrected", *BASELINES])
def test_a_selected_member_is_the_forecast(fitted: Forecaster, name: str) -> None:
    """The forecast of a model fitted to one member, its column of `models=True`, and `set_params` afterwards agree."""
    frame = fitted.predict(models=True, level=[80])
    again = rekur.Forecaster(7, select=name, **SMALL).fit(table())
    assert any(f"select={name!r}" in note for note in again.notes_)
    np.testing.assert_array_equal(again.predict()["rekur"], again.predict(models=True)[name])
    if name in BASELINES:
        assert again.ensemble_.networks == {}
        np.testing.assert_array_equal(again.predict()["rekur"], frame[name])
    fitted.set_params(select=name)
    try:
        alone = fitted.predict(level=[80])
    finally:
        fitted.set_params(select="auto")
    for column in ("", "-lo-80", "-hi-80"):
        np.testing.assert_array_equal(alone[f"rekur{column}"], frame[f"{name}{column}"])
    assert (frame[f"{name}-lo-80"] < frame[name]).all()
    assert (frame[name] < frame[f"{name}-hi-80"]).all()


def test_naive_is_the_last_value_with_calibrated_intervals() -> None:
    df = table(150, "walk")
    model = Forecaster(7, select="naive").fit(df)
    assert (model.predict()["rekur"] == df.y.iloc[-1]).all()
    assert model.ensemble_.average.interval_scale != (1.0, 1.0, 1.0)
    assert model.history_ == []
    assert "no network is trained" in model.notes_[-1]


def test_loaded_models_forecast_by_the_same_member(tmp_path: Path) -> None:
    for k, select in enumerate(("auto", "blend", "drift", "corrected")):
        model = Forecaster(7, select=select, **SMALL).fit(table())
        model.save(tmp_path / str(k))
        loaded = rekur.load(tmp_path / str(k))
        assert loaded.select == select
        pd.testing.assert_frame_equal(loaded.predict(models=True, level=[80]), model.predict(models=True, level=[80]))


def test_names_that_cannot_be_selected_are_refused_with_the_list(fitted: Forecaster) -> None:
    with pytest.raises(OptionError, match=r"'naive', 'seasonal_naive', 'drift', 'smoothing'.*did you mean 'naive'"):
        Forecaster(7, select="nave").fit(table())
    with pytest.raises(DataError, match=r"select='direct'.*use 'corrected'"):
        Forecaster(7, select="direct", **SMALL).fit(table())
    with pytest.raises(DataError, match="too short to train a network"):
        Forecaster(2, select="corrected").fit(table(10))
    baseline = Forecaster(7, select="drift").fit(table()).set_params(select="blend")
    with pytest.raises(OptionError, match="select='blend' cannot be used, as it was not trained"):
        baseline.predict()
    with pytest.raises(OptionError, match=r"models.*samples"):
        fitted.predict(models=True, samples=3)
    with pytest.raises(OptionError, match="backtest has no effect with select='naive'"):
        Forecaster(7, select="naive").fit(table(), backtest=made_backtest({"rekur": 1.0, **EQUAL}))


def test_a_backtest_selects_the_better_baseline(fitted: Forecaster) -> None:
    """A baseline that is better by evidence is taken; one within noise, or better on one window, is not."""
    behind = made_backtest({"rekur": 1.4, **EQUAL})
    assert behind.scores.select().name == "naive"
    assert "rekur is behind naive by " in behind.verdict()
    assert behind.verdict().endswith("; use naive (select='naive')")
    assert "; the forecast is therefore naive" in behind.verdict(used="naive")
    itself = made_backtest({"rekur": 1.0, **EQUAL})
    itself = replace(itself, forecasts={**itself.forecasts, "rekur": itself.forecasts["naive"]})
    assert "rekur, here by naive alone," in itself.verdict()
    assert "; the forecast itself, chosen on all rows, is by the average of models" in itself.verdict(used="blend")
    assert "the average" not in itself.verdict(used="naive")
    model = Forecaster(7, **SMALL).fit(table(), backtest=behind)
    assert model.ensemble_.selected == "naive"
    assert model.predict()["rekur"].nunique() == 1
    assert "naive alone: its quantile loss on the windows of the backtest" in model.notes_[-1]
    assert "lower than that of rekur fitted before them" in model.notes_[-1]
    assert "select='blend' takes the average" in model.notes_[-1]
    blend = model.set_params(select="blend").predict()["rekur"]
    np.testing.assert_array_equal(blend, fitted.set_params(select="blend").predict()["rekur"])
    fitted.set_params(select="auto")
    for other in (made_backtest({"rekur": 1.0, **EQUAL}, noise=0.5), made_backtest({"rekur": 1.4, **EQUAL}, 1)):
        assert other.scores.select() is None
        assert "use " not in other.verdict()
    assert "too close to call" in made_backtest({"rekur": 1.0, **EQUAL}, noise=0.5).verdict()
    assert "cannot be told apart" in made_backtest({"rekur": 1.4, **EQUAL}, 1).verdict()


def test_the_verdict_of_the_winner_names_both_baselines_and_the_intervals() -> None:
    text = made_backtest({"rekur": 0.3, **EQUAL}).verdict()
    assert text.startswith("rekur beats seasonal naive by 78 % (MASE 0.31 ± 0.02 vs 1.41)")
    assert "and the best baseline, naive, by 69 % (0.99)" in text
    assert "over 6 windows, and the intervals of rekur score" in text


def test_the_verdict_says_where_the_forecast_is_a_baseline() -> None:
    """Never "beats smoothing by 0 %": the forecast is smoothing itself, and the others are compared with it."""
    backtest = Forecaster(2).backtest(table(16), n_windows=3)
    text = backtest.verdict()
    assert text.startswith("rekur, here by smoothing (Theta) alone, ")
    assert "0 %" not in text.replace("10 %", "").replace("20 %", "")
    alone = Forecaster(7, select="naive").backtest(table(120, "walk"), n_windows=3)
    assert alone.verdict().startswith("rekur, here by naive alone, ")
    np.testing.assert_array_equal(alone.forecasts["rekur"][..., 6], alone.forecasts["naive"][..., 6])


def test_the_verdict_names_intervals_that_are_too_narrow() -> None:
    backtest = Forecaster(7, select="naive").backtest(table(120, "walk"), n_windows=3)
    assert "intervals held" not in backtest.verdict()
    q = backtest.forecasts["rekur"]
    narrow = q[..., 6:7] + 0.01 * (q - q[..., 6:7])
    text = replace(backtest, forecasts={**backtest.forecasts, "rekur": narrow}).verdict()
    assert re.search(r"; its 80 % intervals held [0-9] % of the values", text)


def test_ten_rows() -> None:
    for kind in ("season", "walk"):
        df = table(10, kind)
        frame = Forecaster(2).fit(df).predict(models=True, level=[80])
        assert frame.notna().all(axis=None)
        assert [name for name in BASELINES if name in frame] == list(BASELINES)
        assert Forecaster(2).backtest(df).n_windows == 1


def test_baselines_are_selected_on_past_windows_of_short_series() -> None:
    """Twelve rows of each of 150 independent random walks are too few for a network; naive is the better baseline."""
    random = np.random.default_rng(1)
    y = 50 + random.normal(size=(150, 12)).cumsum(axis=1)
    starts = pd.date_range("1900", periods=150, freq="YS")  # years of their own: the windows are independent
    frames = [
        pd.DataFrame({"unique_id": s, "ds": pd.date_range(starts[s], periods=12, freq="YS"), "y": y[s]})
        for s in range(150)
    ]
    model = Forecaster(3).fit(pd.concat(frames))
    assert model.ensemble_.selected in ("naive", "blend")
    assert model.config_ is None


def test_several_frequencies_select_each() -> None:
    days = table(120).assign(unique_id="day")
    months = table(60, "walk").assign(unique_id="month", ds=pd.date_range("2015-01-01", periods=60, freq="MS"))
    df = pd.concat([days, months])
    model = Forecaster(6, **SMALL).fit(df)
    frame = model.predict(models=True)
    assert {"naive", "corrected"} <= set(frame.columns)
    naive = Forecaster(6, select="naive").fit(df).predict()
    np.testing.assert_array_equal(naive["rekur"], frame["naive"])
    backtest = Forecaster(6, select="naive").backtest(df)
    group = backtest.panel
    assert [len(backtest.of_part(k).series) for k in range(2)] == [
        np.sum((backtest.series >= group.first[k]) & (backtest.series < group.first[k + 1])) for k in range(2)
    ]
    better = {**backtest.forecasts, "rekur": backtest.forecasts["rekur"] + 50 * (backtest.series == 0)[:, None, None]}
    model = Forecaster(6, **SMALL).fit(df, backtest=replace(backtest, forecasts=better))
    assert [part.ensemble_.selected in BASELINES for part in model.multi_.parts] == [
        part.panel_.ids[0] == group.ids[0] for part in model.multi_.parts
    ]
    assert sum("the windows of the backtest" in note for note in model.notes_) == 1


def test_fine_tuning_keeps_the_selection() -> None:
    model = Forecaster(7, **SMALL).fit(table(), backtest=made_backtest({"rekur": 1.4, **EQUAL}))
    model.fine_tune(table().assign(y=lambda df: df.y + 1))
    assert model.ensemble_.selected == "naive"
    assert model.predict()["rekur"].nunique() == 1
    model = Forecaster(7, select="corrected", **SMALL).fit(table())
    assert model.fine_tune(table()).ensemble_.selected == "corrected"


def test_windows_spread_over_the_past_leave_rows_to_train_on() -> None:
    """At most a third of a typical series, a quarter from a few windows on, a year of long series; one at least."""
    for n, h in ((10, 2), (40, 12), (120, 12), (400, 7), (4000, 14), (20_000, 1)):
        windows = spread_windows(read_panel(table(n)), h)
        assert 1 <= windows.n_windows <= 8
        assert windows.starts[-1] == h
        assert windows.starts[0] <= max(n / 3, h)
        assert windows.starts[0] <= max(366, 3 * h)
        assert windows.n_windows == 8 or n < 400
    assert spread_windows(read_panel(table(400)), 7, refit=True).n_windows == 3
    short = pd.concat([table(30).assign(unique_id="a"), table(900).assign(unique_id="b")])
    assert spread_windows(read_panel(short), 7).starts[0] < 120
    with pytest.raises(OptionError, match="step_size=3 needs n_windows"):
        Forecaster(7).backtest(table(), step_size=3)


def test_scores_of_windows_and_their_errors() -> None:
    """Means of the windows are the metrics; series of one time count once."""
    backtest = Forecaster(7, select="naive").backtest(table(120, "walk", series=3))
    frame, metrics = backtest.window_scores(), backtest.metrics()
    assert list(frame.columns) == ["unique_id", "cutoff", "model", "MASE", "MSIS80"]
    assert len(frame) == 3 * backtest.n_windows * 5
    for name, group in frame.groupby("model"):
        assert group.MASE.mean() == pytest.approx(metrics[name]["MASE"])
        assert group.MSIS80.mean() == pytest.approx(metrics[name]["MSIS80"])
    assert backtest.scores.mean("MASE", "naive").clusters == backtest.n_windows
    of_times = frame[frame.model == "naive"].groupby("cutoff").MASE.mean()
    expected = of_times.std() / np.sqrt(len(of_times))
    assert backtest.standard_errors()["naive"]["MASE"] == pytest.approx(expected)
    one = Forecaster(7, select="naive").backtest(table(120, "walk"), n_windows=1)
    assert np.isinf(one.standard_errors()["naive"]["MASE"])


def test_differences_below_half_a_percent_are_no_win() -> None:
    random = np.random.default_rng(0)
    actual = random.normal(size=(40, 3))
    q = actual[..., None] + random.normal(size=(40, 3, 1)) + np.array(LEVELS) - 0.5
    near = actual[..., None] + (q - actual[..., None]) * 1.0001
    scores = WindowScores.of(actual, {"rekur": near, "naive": q}, LEVELS, np.ones(40), np.arange(40))
    assert scores.verdict("MASE", "naive", "rekur") == 0
    assert clustered_mean(np.ones(5), np.arange(5)).is_significant


def test_planted_series() -> None:
    """A random walk is forecast by naive or nearly so; a week with noise is not."""
    walk, week = table(400, "walk").drop(columns="unique_id"), table(400).drop(columns="unique_id")
    models = [Forecaster(7, training=QUICK, hidden_size=16) for _ in range(2)]
    tests = [model.backtest(df) for model, df in zip(models, (walk, week), strict=True)]
    for model, df, test in zip(models, (walk, week), tests, strict=True):
        assert test.n_windows == 8
        model.fit(df, backtest=test)
    frame = models[0].predict(models=True)
    assert (frame["rekur"] - frame["naive"]).abs().mean() < 0.5, "half a step of the walk"
    assert models[1].ensemble_.selected in ("blend", "smoothing")
    assert "use naive" not in tests[1].verdict()


def test_the_command_line_names_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--model` of forecast and predict, its notes and its errors, in the words of the command line."""
    file, model, out = tmp_path / "in.csv", tmp_path / "model", tmp_path / "out.csv"
    table(120, "walk").drop(columns="unique_id").to_csv(file, index=False)

    def run(*arguments: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    code, text, _ = run("forecast", file, "-H", 7, "--model", "naive", "--save", model)
    assert code in (0, None)
    assert "· the forecast is naive alone, as --model 'naive': no network is trained" in text
    assert "rekur, here by naive alone, " in text
    code, text, _ = run("predict", model, "--model", "drift", "--out", out)
    assert code in (0, None)
    assert "· the model that forecasts is the one named, drift" in text
    np.testing.assert_allclose(
        pd.read_csv(out)["rekur"], rekur.load(model).set_params(select="drift").predict()["rekur"], rtol=1e-12
    )
    code, _, error = run("predict", model, "--model", "nave")
    assert code == 2
    assert "did you mean 'naive'?" in error
    code, _, error = run("predict", model, "--model", "blend")
    assert code == 2
    assert "--model 'blend' cannot be used" in error


def test_only_rows_that_training_has_not_seen_are_compared() -> None:
    """Of learned series the rows after training, of new ones the last quarter; others are listed."""
    days = pd.date_range("2024-01-01", periods=80)
    frame = pd.concat([pd.DataFrame({"unique_id": name, "ds": days, "y": np.arange(80.0) % 7}) for name in "abc"])
    learned = frame[(frame.unique_id != "c") & (frame.ds < "2024-03-01")]  # 60 rows
    model = rekur.Forecaster(horizon=8, select="naive").fit(learned)
    newer = frame[(frame.unique_id != "b") | (frame.ds < "2024-03-05")]
    test = model.compare(newer)
    pairs = list(zip(test.panel.ids[test.series], test.stop.tolist(), strict=True))
    assert pairs == [("a", 64), ("a", 72), ("c", 64), ("c", 72)]
    assert test.skipped == (("b", "no 8 rows to test"),)
    naive = test.forecasts["naive"]
    np.testing.assert_allclose(test.forecasts["rekur"][..., 6], naive[..., 6])
    changed = newer.assign(y=np.where((newer.unique_id == "a") & (newer.ds >= days[72]), 99.0, newer.y))
    np.testing.assert_array_equal(model.compare(changed).forecasts["rekur"], test.forecasts["rekur"])
    with pytest.raises(rekur.DataError, match="no series has 8 rows that the model was not fitted to"):
        model.compare(learned)
