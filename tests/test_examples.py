"""Each example, as a person would run it, on a part of its data: it learns within seconds to half a minute."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LEARNED = {  # the data it needs, rows, epochs, and the share of its first loss that must not be exceeded in the end
    "sentiment": ("sst2", 1000, 4, 0.97),
    "slots": ("slots", 1000, 3, 0.7),
    "translation": ("multi30k", 200, 4, 0.97),
    "summaries": ("scitldr", 60, 2, 0.99),
    "language": ("tinyshakespeare", 1500, 2, 0.92),
    "digits": ("fsdd", 400, 6, 0.6),
    "speech": ("fsdd", 100, 6, 0.6),
    "movement": ("indoor_movement", None, 40, 0.7),
    "actions": (".", 200, 16, 0.8),
    "captions": (".", 100, 6, 0.8),
}

SLOW = ("sentiment", "translation", "summaries", "language", "actions", "movement")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in LEARNED]
)
def test_the_example_learns(
    name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, rows, epochs, share = LEARNED[name]
    if not (data_dir / data).is_dir():
        pytest.skip(f"{data_dir / data} is not there; set REKUR_DATA to the folder of the data sets")
    script = str(ROOT / "examples" / f"{name}.py")
    words = [script, str(data_dir), "--epochs", str(epochs), *([] if rows is None else ["--rows", str(rows)])]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    model = runpy.run_path(script, run_name="__main__")["model"]
    losses = [record["mean_loss"] for record in model.history_]
    assert losses[-1] < share * losses[0], losses
    printed = capsys.readouterr()
    assert printed.err == ""
    found = ast.literal_eval(next(line for line in printed.out.splitlines() if line.startswith("{")))
    assert any(key.startswith("baseline_") for key in found)


def test_every_example_is_run() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} - {"common", "films"} == set(LEARNED)
