"""Every example of the documentation runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from rekur.cli import main

ROOT = Path(__file__).resolve().parents[1]
ADAPTERS = {"rekur.interop.aeon", "rekur.interop.sktime"}  # need libraries that only tests/referees has
MODULES = sorted(
    str(path.relative_to(ROOT / "src").with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for path in (ROOT / "src/rekur").rglob("*.py")
    if any(">>> " in line and "+SKIP" not in line for line in path.read_text(encoding="utf-8").splitlines())
)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ADAPTERS])
def test_docstrings(name: str) -> None:
    """The examples of one module."""
    with np.printoptions(legacy=False):
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_readme(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of the README run one after another; each prints what its block of output shows, to 5 %."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", text, re.S)
    assert blocks, "the README has no Python example"
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for code, shown in blocks:
        exec(compile(code, "README.md", "exec"), space)
        printed = capsys.readouterr().out
        words, expected = printed.split(), shown.split()
        assert len(words) == len(expected), printed
        for word, other in zip(words, expected, strict=True):
            if re.fullmatch(r"-?\d+\.\d+", other):
                assert float(word) == pytest.approx(float(other), rel=0.05), printed
            else:
                assert word == other, printed


def test_data_page(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of docs/data.md run one after another, commands too; each prints the lines that it shows."""
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|sh)\n(.*?)```\n(?:\n```text\n(.*?)```)?", text, re.S)
    assert {language for language, *_ in blocks} == {"python", "sh"}
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for language, code, shown in blocks:
        if language == "python":
            exec(compile(code, "data.md", "exec"), space)
        else:
            with pytest.raises(SystemExit, match="0"):
                main(shlex.split(code)[1:])
        printed = capsys.readouterr().out
        assert [line for line in shown.splitlines() if line not in printed.splitlines()] == [], printed
