"""Forecasts, backtests and models made by hand, and a reader of the page, for the tests of the report."""

from __future__ import annotations

import base64
import json
import math
import zlib
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np

from rekur.baselines import BASELINES
from rekur.data.frequency.frequency import Frequency
from rekur.data.panel import Columns, Panel
from rekur.data.panel_group import PanelGroup
from rekur.forecasting.config import LEVELS, default_config
from rekur.forecasting.cross_validation import Backtest
from rekur.forecasting.ensemble import Ensemble
from rekur.forecasting.forecast import Forecast
from rekur.forecasting.model_averaging import ModelAverage

EVIL = "<script>alert(1)</script> & \"x\" 'y'"


def make_table(ids: list[object], n: int = 60, freq: str = "MS", size: float = 1.0, **fields: object) -> Panel:
    """A table of waves with noise and two gaps, one of them around a lone value."""
    rng = np.random.default_rng(0)
    waves = [size * (10 + s + np.sin(np.arange(n) * math.pi / 6) + 0.1 * rng.normal(size=n)) for s in range(len(ids))]
    y = np.stack(waves)
    y[:, [n - 12, n - 10]] = np.nan
    whole = Frequency.parse(freq).kind == "integer"
    start = np.full(len(ids), 7) if whole else np.full(len(ids), "2020-01-01", "M8[us]")
    names = np.empty(len(ids), dtype=object)
    names[:] = ids
    columns = Columns(None if ids == [None] else "id", "ds <b>", "y & z")
    fields = {"columns": columns, "notes": ("2 values are missing <i>",), **fields}
    empty = np.empty((y.size, 0))
    return Panel(names, np.arange(len(ids) + 1) * n, start, Frequency.parse(freq), y.ravel(), empty, **fields)  # type: ignore[arg-type]


def spread(point: np.ndarray, width: float) -> np.ndarray:
    """Quantiles (..., Q) around a point forecast (...)."""
    return point[..., None] + width * (np.array(LEVELS) - 0.5)


def make_prediction(table: Panel, h: int = 12) -> Forecast:
    """The last value carried on."""
    last = table.y[table.offsets[1:] - 1]
    values = spread(np.repeat(last[:, None], h, axis=1), 0.3 * abs(float(last[0])))
    return Forecast(PanelGroup((table,)), LEVELS, values, notes=(*table.notes, "a note of the model"))


def make_backtest(table: Panel, h: int = 12, windows: int = 3, error: float = 0.1) -> Backtest:
    """Windows in which rekur is off by `error` and the baselines by 0.2, 0.3, ... of the first series' size."""
    rows = np.arange(len(table))
    back = h * np.arange(windows, 0, -1)
    series, stop = np.repeat(rows, windows), (table.lengths[rows][:, None] - back).ravel()
    at = (table.offsets[series] + stop)[:, None] + np.arange(h)
    actual = table.y[at]
    truth = np.nan_to_num(actual, nan=float(np.nanmean(actual)))
    size = float(np.nanmean(table.y)) / 10
    misses = {"rekur": error, **{name: 0.2 + 0.1 * k for k, name in enumerate(BASELINES)}}
    forecasts = {name: spread(truth + size * miss, size * 0.6) for name, miss in misses.items()}
    return Backtest(PanelGroup((table,)), series, stop, actual, LEVELS, forecasts, np.full(len(series), size), windows)


def make_model(table: Panel, h: int = 12) -> SimpleNamespace:
    """What the page asks of a fitted forecaster."""
    records = [{"epoch": k + 1, "mean_loss": 0.5 / (k + 1), "val_loss": 0.4 + 0.1 * (k != 2)} for k in range(5)]
    built = default_config((12,), h, table.lengths)
    assert built is not None
    average = ModelAverage({"corrected": 0.8, "smoothing": 0.2}, (1.25, 1.0, 1.0))
    return SimpleNamespace(
        cell="lstm",
        horizon=h,
        panel_=table,
        hidden_size=48,
        num_layers=2,
        random_state=3,
        config_=built,
        multi_=None,
        ensemble_=Ensemble((12,), h, {}, average, np.zeros((2, h)), "blend"),
        select="auto",
        seasons_=(12,),
        history_=records,
    )


VOID = ("meta", "link", "br", "img", "input")


class Reader(HTMLParser):
    """Tags with their attributes, the text outside scripts and styles, the rows of the tables, and the tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.rows, self.open = "", [[]], list[str]()
        self.tables: list[list[list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.rows.append([])
            self.tables[-1].append(self.rows[-1])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            return
        self.text += data
        if {"td", "th"} & set(self.open) and (self.open[-1] != "small"):
            self.rows[-1][-1] += data

    def sections(self) -> list[str]:
        return [attrs.get("class") or "" for tag, attrs in self.tags if tag == "section"]


def data_of(page: str) -> dict:
    """The data of the page."""
    packed = page.split('id="data">')[1].split("</script>")[0]
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def grid_of(data: dict, chart: dict) -> list[float]:
    """Points of a chart."""
    grid = data["grids"][chart["x"]]
    return grid if isinstance(grid, list) else [grid["start"] + k * grid["step"] for k in range(grid["count"])]


def line_of(chart: dict, name: str) -> dict:
    """The first line of a chart with a name."""
    return next(each for each in chart["lines"] if each["name"] == name)


def make_all() -> tuple[Forecast, Backtest, SimpleNamespace]:
    """Thirty series, the first with an evil name, and one left out."""
    table = make_table([EVIL, *(f"series {k}" for k in range(1, 30))], skipped=(("short <b>", "fewer than 3 values"),))
    return make_prediction(table), make_backtest(table), make_model(table)
