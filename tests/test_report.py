"""The report: what the page says and escapes, what is drawn, and how it reaches the disk."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur import report
from rekur.baselines import describe
from rekur.core import DataError, MissingDependencyError, OptionError
from rekur.data.frequency.frequency import Frequency
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.config import LEVELS
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.forecast import Forecast
from rekur.plotting import figure
from rekur.plotting.chart_data import fan_chart
from rekur.report.formatting import METRICS, format_frequency, format_metric, format_number
from report_cases import (
    EVIL,
    Reader,
    data_of,
    grid_of,
    line_of,
    make_all,
    make_backtest,
    make_model,
    make_prediction,
    make_table,
    spread,
)


@pytest.fixture(scope="module")
def full() -> tuple[Forecast, Backtest, SimpleNamespace]:
    return make_all()


@pytest.fixture(scope="module")
def page(full: tuple[Forecast, Backtest, SimpleNamespace]) -> str:
    return report.html(*full, source="sales <1>.csv", title="Plan & <b>hope</b>")


def test_page_loads_nothing(page: str) -> None:
    """No tag names a place to load from, and the browser is told to refuse."""
    reader = Reader(page)
    for tag, attrs in reader.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            assert attrs.get(name) in (None, "data:,", "#"), (tag, attrs)
    policy = next(attrs["content"] for _, attrs in reader.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "@import" not in page.split("<style>")[1].split("</style>")[0]
    assert "fetch(" not in page
    assert page.count("uPlot (v") == page.count("The MIT License") == 1
    assert len(page.encode()) < 250_000


def test_user_text_is_escaped(page: str) -> None:
    """Names, notes, title and source are text wherever they stand."""
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 3
    assert all(attrs.get("class") for tag, attrs in reader.tags if tag == "i")
    for said in (
        "sales <1>.csv",
        "Plan & <b>hope</b>",
        "2 values are missing <i>",
        "short <b>: fewer than 3 values",
    ):
        assert said in reader.text, said
    data = data_of(page)
    assert EVIL in [series["label"] for series in data["series"]]
    assert data["axes"][0] == {"x": "ds <b>", "y": "y & z", "unit": "D"}


def test_page_says_what_it_should(page: str, full: tuple[Forecast, Backtest, SimpleNamespace]) -> None:
    """The line under the title, the verdict, settings, notes and the order of the sections."""
    reader = Reader(page)
    missing = int(np.isnan(full[0].panel.parts[0].y).sum())
    for said in (
        f"30 series · 1,800 rows ({missing} missing) · monthly · 12 steps ahead: 2025-01-01 to 2025-12-01",
        full[1].verdict(),
        "80 % corrected network, 20 % smoothing (Theta)",
        "LSTM, 2 layers of 48 units",
        "random state3",
        "a note of the model",
        "the largest errors first: mase of rekur and of",
        "corrected network: a linear forecast from the last values, which recurrent blocks correct",
        "smoothing (theta): the theta method",
        "stepsvalues that the recurrence reads at once",
    ):
        assert said.lower() in reader.text.lower(), said
    titles = ["Verdict", "Accuracy", "Forecast", "Backtest", "Trend and season", "Errors of all past windows"]
    titles += ["Training", "Settings", "Notes", "This report"]
    places = [page.index(f"<h2>{title}") for title in titles]
    assert places == sorted(places)


def test_verdict_has_its_colour() -> None:
    table = make_table(["a"])
    for error, kind in ((0.1, "verdict beats"), (0.25, "verdict behind")):
        backtest = make_backtest(table, error=error)
        reader = Reader(report.html(make_prediction(table), backtest))
        assert kind in reader.sections()
        assert backtest.verdict() in reader.text
    blind = make_backtest(table)
    blind.scale[:] = 0.0
    assert "verdict" in Reader(report.html(make_prediction(table), blind)).sections()


def test_measures_are_those_of_the_backtest(page: str, full: tuple[Forecast, Backtest, SimpleNamespace]) -> None:
    """Every value of the table, the best model first and the best value of each column bold."""
    scores = full[1].metrics()
    rows = Reader(page).tables[0]
    assert [head.replace("\u00ad", "") for head in rows[0]] == ["model", *(head for head, _ in METRICS.values())]
    order = sorted(scores, key=lambda name: scores[name]["MASE"])
    readable = [name if name == "rekur" else describe(name) for name in order]
    assert [row[0] for row in rows[1:]] == readable
    for name, row in zip(order, rows[1:], strict=True):
        assert row[1:] == [format_metric(key, scores[name][key]) for key in METRICS]
    best = format_metric("MASE", min(values["MASE"] for values in scores.values()))
    error = format_metric("MASE", full[1].standard_errors()["rekur"]["MASE"])
    assert f'<td class="best"><b>{best}</b><small> ± {error}</small></td>' in page
    assert '<tr class="rekur-row"><th scope="row">rekur</th>' in page


def test_each_network_has_a_training_chart_of_its_own() -> None:
    """The epochs of each network are counted from 1 in its own chart, beside its name, description and weight."""
    table = make_table([None])
    model = make_model(table)
    first = model.config_.architectures[0]
    model.config_ = replace(model.config_, architectures=(first, replace(first, name="direct")))
    model.history_ = [{**record, "member": k // 3, "epoch": k + 1} for k, record in enumerate(model.history_)]
    page = report.html(make_prediction(table), None, model)
    data = data_of(page)
    for k, epochs in enumerate(([1, 2, 3], [1, 2])):
        chart = data["charts"][f"training-{k}"]
        assert grid_of(data, chart) == epochs
        assert [len(each["values"]) for each in chart["lines"]] == [len(epochs), len(epochs), 1]
    text = Reader(page).text
    assert "Corrected networkA linear forecast from the last values" in text
    assert "Its weight in the forecast is 80\u00a0%." in text
    assert "Direct networkOne recurrence without a linear forecast" in text
    assert "It has no weight." in text
    assert "3 epochs, the lowest validation loss 0.4000 at epoch 3, whose weights are used" in text


def test_forecast_alone() -> None:
    """Without backtest and model those parts are left out, and the page says that nothing was tested."""
    page = report.html(make_prediction(make_table([None])))
    reader = Reader(page)
    assert "No backtest was run" in reader.text
    assert "Forecast of y & z" in reader.text
    for title in ("Verdict", "Backtest", "Errors", "Covariates", "Training", "Settings"):
        assert f"<h2>{title}" not in page
    assert data_of(page)["charts"] == {}
    assert "backtest" not in data_of(page)["series"][0]
    assert '<input type="search"' not in page


def test_numbers_are_the_forecast(page: str, full: tuple[Forecast, Backtest, SimpleNamespace]) -> None:
    """The table, and with it the download, holds every value of the forecast, under the names of `Forecast.frame`."""
    data = data_of(page)
    frame = full[0].frame(level=[80, 95]).set_index("id")
    assert data["table"]["id"] == "id"
    assert data["table"]["time"] == full[0].panel.parts[0].columns.time
    assert data["table"]["columns"] == [name for name in frame.columns if name.startswith("rekur")]
    assert sorted(series["label"] for series in data["series"]) == sorted(frame.index.unique())
    for series in data["series"]:
        expected = frame.loc[series["label"]]
        numbers = series["numbers"]
        times = np.array(grid_of(data, series["forecast"])[numbers["from"] :], "M8[s]")
        assert (times == expected[data["table"]["time"]].to_numpy()).all()
        for name, column in zip(data["table"]["columns"], numbers["columns"], strict=True):
            assert column == pytest.approx(expected[name].tolist(), abs=1e-5)


def test_levels_of_the_table() -> None:
    """The intervals asked for stand in the table in addition to those drawn; one beyond the model is refused."""
    prediction = make_prediction(make_table([None]))
    data = data_of(report.html(prediction, level=[90]))
    sides = [f"rekur-{side}-{percent}" for percent in (80, 90, 95) for side in ("lo", "hi")]
    assert data["table"]["columns"] == ["rekur", *sides]
    assert data["table"]["id"] is None
    assert [band["percent"] for band in data["series"][0]["forecast"]["bands"]] == [95, 80]
    with pytest.raises(OptionError, match="level=99"):
        report.html(prediction, level=[99])


def test_largest_errors_come_first() -> None:
    """The series are in the order of their MASE on the past windows, which stands beside their names."""
    table = make_table(["a", "b", "c"])
    tested = make_backtest(table)
    tested.forecasts["rekur"][tested.series == 1] += 5.0
    tested.forecasts["rekur"][tested.series == 2] += 1.0
    data = data_of(report.html(make_prediction(table), tested))
    assert [series["label"] for series in data["series"]] == ["b", "c", "a"]
    scores = tested.scores.values["MASE"]
    for series, row in zip(data["series"], (1, 2, 0), strict=True):
        means = [scores[name][tested.series == row].mean() for name in ("rekur", "naive")]
        assert series["mase"] == pytest.approx(means, rel=1e-3)


def test_series_without_windows() -> None:
    """A series that the backtest left out says so."""
    table = make_table(["a", "b"])
    tested = make_backtest(table.select(np.array([True, False])))
    first, second = data_of(report.html(make_prediction(table), tested))["series"]
    assert first["backtest"] is not None
    assert "backtest" not in second
    assert "was not tested" in second["note"]


def test_drawn_windows_do_not_overlap() -> None:
    table = make_table(["a"])
    one = make_backtest(table, h=6, windows=4)
    close = Backtest(**{**vars(one), "stop": np.array([39, 45, 48, 54])})
    series = data_of(report.html(make_prediction(table), close))["series"][0]
    assert "4 windows of 6 steps, of which 3 are drawn" in series["note"]
    starts = [each["from"] for each in series["backtest"]["lines"] if each["name"] == "rekur"]
    assert np.diff(starts).tolist() == [9, 6]  # from 39 to 48 and 54


@pytest.mark.parametrize("most", [1, 2, 7, 30, 99])
def test_most_series(full: tuple[Forecast, Backtest, SimpleNamespace], most: int) -> None:
    """No more series than asked for, and the page names the number left out."""
    page = report.html(full[0], max_series=most)
    labels = [one["label"] for one in data_of(page)["series"]]
    assert labels == full[0].panel.ids[: min(most, 30)].tolist()
    left_out = f"{min(most, 30)} of 30 series stand here; {30 - most} are left out"
    assert (left_out in Reader(page).text) == (most < 30)


def test_whole_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page holds more of the history than is shown at first, less of each of many series."""
    table = make_table(["a", "b"], n=300)
    page = report.html(make_prediction(table))
    one = data_of(page)["series"][0]
    assert len(line_of(one["forecast"], "history")["values"]) == 300
    assert one["forecast"]["view"] == 300 - 48
    assert ">Whole history</button>" in page
    monkeypatch.setattr("rekur.report.series.MAX_ROWS", 200)
    one = data_of(report.html(make_prediction(table)))["series"][0]
    assert one["forecast"]["view"] == 100 - 48


def test_size_of_many_series(full: tuple[Forecast, Backtest, SimpleNamespace], monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, past windows are left out of the page first, then series; it says so."""
    whole = data_of(report.html(*full))
    assert all("backtest" in series for series in whole["series"])
    sizes = []
    for limit, complete in ((30_000, True), (12_000, False)):
        monkeypatch.setattr("rekur.report.series.MAX_BYTES", limit)
        page = report.html(*full)
        series = data_of(page)["series"]
        assert (len(series) == 30) == complete
        assert ("are left out" in Reader(page).text) != complete
        assert [each["label"] for each in series] == [each["label"] for each in whole["series"]][: len(series)]
        assert "backtest" not in series[-1]
        assert "so that the page stays small" in series[-1]["note"]
        sizes.append(len(page.split('id="data">')[1].split("</script>")[0]))
        assert sizes[-1] < 1.3 * limit
    assert sizes[0] > sizes[1]
    table = full[0].panel.parts[0]
    table = replace(table, start=table.start - np.arange(30) * np.timedelta64(31, "D"), freq=Frequency.parse("D"))
    monkeypatch.setattr("rekur.report.series.MAX_BYTES", 12_000)
    page = report.html(make_prediction(table))
    assert len(page.split('id="data">')[1].split("</script>")[0]) < 16_000


@pytest.mark.parametrize("most", [0, -1, 2.5, True])
def test_most_is_checked(full: tuple[Forecast, Backtest, SimpleNamespace], most: object) -> None:
    with pytest.raises(OptionError, match="max_series must be"):
        report.html(full[0], max_series=most)  # type: ignore[arg-type]


def test_chart_shows_gaps_and_forecast() -> None:
    """Missing values stay missing, and the forecast starts at the last value."""
    table = make_table([None])
    prediction = make_prediction(table)
    data = data_of(report.html(prediction))
    chart, numbers = data["series"][0]["forecast"], data["series"][0]["numbers"]
    seen, points = line_of(chart, "history"), np.array(grid_of(data, chart), "M8[s]")
    assert len(seen["values"]) == 60
    assert chart["view"] == 12
    assert [k for k, value in enumerate(seen["values"]) if value is None] == [48, 50]
    assert points[len(seen["values"]) - 1] == np.datetime64("2024-12-01")
    median = line_of(chart, "rekur")
    assert points[median["from"]] == np.datetime64("2025-01-01")
    assert median["before"] == seen["values"][-1]
    assert median["values"] == 0  # the column of the numbers
    assert numbers["columns"][0] == pytest.approx(prediction.values[0, :, LEVELS.index(0.5)], abs=1e-5)
    assert {band["percent"]: (band["low"], band["high"]) for band in chart["bands"]} == {80: (1, 2), 95: (3, 4)}
    assert chart["marks"] == [int(np.datetime64("2024-12-01", "s").astype(int))]


@pytest.mark.parametrize("freq", ["MS", "h", "B", "3"])
def test_one_step_has_a_band(freq: str) -> None:
    """The band of one step is as wide as a step, though it is but one forecast."""
    table = make_table([None], freq=freq)
    found = fan_chart(table, 0, 60, make_prediction(table, 1).values[0], LEVELS)
    x, low, high = found.intervals[80]
    assert x[0] < found.times[0] < x[1]
    assert (low < high).all()
    report.html(make_prediction(table, 1), make_backtest(table, 1, 8))


def test_narrow_levels_draw_what_they_hold() -> None:
    """Levels that do not reach 95 % give one band; missing forecasts give none."""
    table = make_table([None])
    values = make_prediction(table).values[..., 2:-2]
    page = report.html(Forecast(PanelGroup((table,)), LEVELS[2:-2], values))
    assert "80 % interval" in page
    assert "95 % interval" not in page
    nothing = Forecast(PanelGroup((table,)), LEVELS, np.full((1, 12, len(LEVELS)), np.nan))
    report.html(nothing)
    assert len(nothing.plot().data) == 2


def test_last_value_missing() -> None:
    """Where the last value is missing, the forecast stands alone."""
    table = make_table([None])
    table.y[-1] = np.nan
    prediction = Forecast(PanelGroup((table,)), LEVELS, spread(np.full((1, 12), 10.0), 2.0))
    assert line_of(data_of(report.html(prediction))["series"][0]["forecast"], "rekur")["before"] is None
    found = fan_chart(table, 0, 60, prediction.values[0], LEVELS)
    assert found.connection is None
    assert len(found.intervals[80][0]) == 12


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (float("nan"), "–"), (0.98765, "0.9877"), (12345.678, "12,346"), (-3.14159, "−3.142"),
        (1.5e12, "1.500\u00a0×\u00a010¹²"), (2.345e-13, "2.345\u00a0×\u00a010⁻¹³"), (float("inf"), "–"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("freq", "text"),
    [
        ("h", "hourly"), ("30min", "every 30 minutes"), ("B", "business days"), ("QS", "quarterly"),
        ("2W", "every 2 weeks"), ("1", "one step apart"), ("5", "5 units apart"), ("6MS", "every 6 months"),
        ("ms", "every 1,000 µs"),
    ],
)  # fmt: skip
def test_frequencies(freq: str, text: str) -> None:
    assert format_frequency(Frequency.parse(freq)) == text


@pytest.mark.parametrize("size", [1e12, 1e-12])
def test_scale_of_the_values(size: float) -> None:
    table = make_table([None], size=size)
    reader = Reader(report.html(make_prediction(table), make_backtest(table)))
    assert "\u00a0×\u00a010" in reader.tables[0][1][3]
    assert "nan" not in reader.text


def test_figure_plotly() -> None:
    """A figure of plotly with title, axes, history, both bands and the median."""
    import plotly.graph_objects as go

    found = make_prediction(make_table([EVIL, "b"])).plot()
    assert isinstance(found, go.Figure)
    assert found.layout.title.text.startswith("&lt;script&gt;")
    assert {trace.name for trace in found.data} == {"95 % interval", "80 % interval", "history", "rekur"}
    assert "@" not in found.to_json()


@pytest.mark.parametrize(("freq", "h"), [("MS", 12), ("h", 1), ("3", 4)])
def test_figure_matplotlib(freq: str, h: int) -> None:
    """The same with matplotlib, also for integer times and one step."""
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = make_prediction(make_table(["cost in $ or $"], freq=freq), h).plot(engine="matplotlib")
    axis = found.axes[0]
    assert axis.get_xlabel() == "ds <b>"
    assert axis.get_title(loc="left") == r"cost in \$ or \$"
    assert len(axis.collections) == 2
    found.canvas.draw()
    plt.close(found)


def test_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is unknown or absent, and a series that is not there, are named with the cure."""
    prediction = make_prediction(make_table([None]))
    with pytest.raises(OptionError, match="'plotly', 'matplotlib'"):
        prediction.plot(engine="ggplot")
    with pytest.raises(OptionError, match="series number 1 does not exist"):
        figure(prediction.panel.parts[0], 1, prediction.values[0], prediction.levels)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"] or ["matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"pip install matplotlib"):
        prediction.plot(engine="matplotlib")


def test_write(tmp_path: Path) -> None:
    """The file is the page; one that stood there is replaced and nothing else is left."""
    prediction, path = make_prediction(make_table([None])), tmp_path / "report.html"
    path.write_text("old")
    report.write(path, prediction, title="one")
    assert path.read_text(encoding="utf-8") == report.html(prediction, title="one")
    report.write(str(path), prediction, None, None, title="two \ud800")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the path and the cure; nothing is left, and what stood there stays."""
    prediction, path = make_prediction(make_table([None])), tmp_path / "report.html"
    with pytest.raises(DataError, match=r"absent/x\.html: .*create that folder first"):
        report.write(tmp_path / "absent" / "x.html", prediction)
    with pytest.raises(DataError, match="name a file in it"):
        report.write(tmp_path, prediction)
    path.write_text("old")
    with pytest.raises(DataError, match="a part of the path is a file"):
        report.write(path / "x.html", prediction)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="free some space"):
        report.write(path, prediction)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_series_of_two_frequencies() -> None:
    """The settings are those of the forecaster of each frequency; each series is drawn at its own steps."""
    days = pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2024-01-01", periods=9), "y": np.arange(9.0)})
    weeks = pd.DataFrame(
        {"unique_id": "b", "ds": pd.date_range("2024-01-07", periods=9, freq="W"), "y": np.arange(9.0)}
    )
    model = rekur.Forecaster(horizon=2).fit(pd.concat([days, weeks]))
    page = report.html(model.forecast(), model=model)
    text = Reader(page).text
    for setting in ("cell, daily series", "cell, weekly series", "season, daily series7 steps", "random state0"):
        assert setting in text, setting
    data = data_of(page)
    ends = [str(np.datetime64(grid_of(data, series["forecast"])[-1], "s"))[:10] for series in data["series"]]
    assert ends == ["2024-01-11", "2024-03-17"]
