"""Progress: one display for the whole work, lines where there is no terminal, log records, and silence by default."""

from __future__ import annotations

import logging
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import rekur
from rekur.cli import main
from rekur.training import Progress, progress
from rekur.training.progress import displayed, phase, stage

pytestmark = pytest.mark.usefixtures("short_epochs")

RECORD = {"step": 5, "epoch": 1, "loss": 0.5, "rate": 1e-3, "norm": 1.0, "val_loss": 0.25, "mean_loss": 0.5}


class Recorder:
    """A view that keeps all that it is given."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, float]] = []
        self.closed = 0

    def draw(self, text: str, done: float) -> None:
        self.drawn.append((text, done))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The view of the next work, which draws everything."""
    view = Recorder()
    monkeypatch.setattr(progress, "new_view", lambda show: None if show is False else view)
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    return view


def series(n: int = 300) -> pd.DataFrame:
    """A noisy weekly season."""
    y = np.arange(n) % 7 + np.random.default_rng(0).normal(size=n)
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=n), "y": y})


def forecaster() -> rekur.Forecaster:
    """A forecaster that trains for two epochs."""
    training = rekur.Training(max_epochs=2, batch_size=8)
    return rekur.Forecaster(7, hidden_size=4, num_layers=1, training=training)


def test_nothing_is_shown_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("training", 10) as watch:
        assert watch is None
    forecaster().fit(series())
    assert capsys.readouterr() == ("", "")


def test_lines_are_printed_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    with Progress("training gru", 10, show=True) as watch:
        assert watch is not None
        watch({**RECORD})
        time.sleep(0.12)
        watch({**RECORD, "step": 10})
        time.sleep(0.3)
    time.sleep(0.1)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert 1 <= len(lines) <= 9
    assert all(line.startswith("… training gru") for line in lines)
    assert "… training gru · epoch 1 · loss 0.5 · validation 0.25 · 100 % after " in err


def test_work_of_several_phases_has_one_display(recorder: Recorder) -> None:
    with displayed(True):
        with phase("backtest", 0.5), Progress("training gru", 10) as watch:
            watch({**RECORD})
        stage("forecasts")
        with phase("fit"), Progress("training gru", 10, show=False) as watch:
            assert watch is None
    assert recorder.closed == 1
    texts, shares = zip(*recorder.drawn, strict=True)
    assert "backtest · training gru · epoch 1 · loss 0.5 · validation 0.25" in texts
    assert list(shares) == sorted(shares)
    assert dict(recorder.drawn)["forecasts"] == 0.5
    assert shares[-1] == 1.0


def test_a_forecast_names_all_that_it_does(recorder: Recorder) -> None:
    model, frame = forecaster(), series()
    with displayed(True):
        with phase("backtest", 0.5):
            model.backtest(frame, n_windows=2)
        with phase("fit"):
            model.fit(frame)
    text, shares = "\n".join(text for text, _ in recorder.drawn), [share for _, share in recorder.drawn]
    for words in (
        "backtest · baselines of the windows",
        "backtest · forecasts of the windows",
        "fit · training gru · epoch 2",
        "fit · training gru · weights of the average and intervals",
        "fit · training gru · last epochs on the held-out rows too",
    ):
        assert words in text
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_display_is_closed_by_an_error(recorder: Recorder) -> None:
    with pytest.raises(KeyboardInterrupt), displayed(True), phase("fit"):
        raise KeyboardInterrupt
    with displayed(True) as display:
        assert display is not None
        assert (display.titles, display.done) == ([], 0.0)
    assert recorder.closed == 2


def test_a_silent_work_silences_its_phases(recorder: Recorder) -> None:
    with displayed(False), Progress("training", 10, show=True) as watch:
        assert watch is None
    assert recorder.drawn == []


def test_a_notebook_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    updates: list[str] = []
    shell = type("Shell", (type("ZMQInteractiveShell", (), {}),), {})()
    handle = SimpleNamespace(update=updates.append)
    display = SimpleNamespace(HTML=str, display=lambda html, display_id: handle)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with Progress("training <gru>", 10) as watch:
        time.sleep(0.11)
        watch({**RECORD})
    assert any("0.500" in html and "training &lt;gru&gt; · epoch 1" in html for html in updates)
    assert updates[-1] == ""


def test_epochs_are_logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("rekur").handlers)
    with caplog.at_level(logging.INFO, "rekur"):
        forecaster().fit(series(), progress=False)
    lines = [record.getMessage() for record in caplog.records if record.name == "rekur"]
    assert "training gru" in lines
    assert sum("epoch" in line and "validation" in line for line in lines) >= 2
    assert capsys.readouterr() == ("", "")


def test_verbose_prints_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"text": ["a fine film", "a dull play"] * 15, "label": [1, 0] * 15}).to_csv("in.csv", index=False)
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "classify", "in.csv", "--epochs", "2", "--hidden", "4", "-v"])
    out, err = capsys.readouterr()
    assert re.search(r"\d\d:\d\d:\d\d classifier gru · epoch 2 · loss ", err)
    assert re.search(r"^\S+ scores$", err, re.M)
    assert "epoch" not in out
    assert logging.getLogger("rekur").level == logging.NOTSET
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "classify", "in.csv", "-q", "--verbose"])
    assert "exclude each other" in capsys.readouterr().err
