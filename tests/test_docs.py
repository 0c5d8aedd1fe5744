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


def pages() -> list[Path]:
    """README and the pages of the guide."""
    return [ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md"))]


def examples(page: Path) -> list[tuple[str, str]]:
    """Python blocks of a page, each with the output shown after it."""
    return re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("page", [page for page in pages() if examples(page)], ids=lambda page: page.name)
def test_pages(page: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after another; each prints what its block of output shows, to 5 %."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for code, shown in examples(page):
        exec(compile(code, page.name, "exec"), space)
        printed = capsys.readouterr().out
        words, expected = printed.split(), shown.split()
        assert len(words) == len(expected), printed
        for word, other in zip(words, expected, strict=True):
            if re.fullmatch(r"-?\d+\.\d+", other):
                assert float(word) == pytest.approx(float(other), rel=0.05), printed
            else:
                assert word == other, printed


def test_readme_has_examples() -> None:
    assert len(examples(ROOT / "README.md")) >= 4


@pytest.mark.parametrize("page", [*pages(), *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_links(page: Path) -> None:
    """Links to files and headings of the repository resolve."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        assert file.exists(), f"{page.name}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
            assert heading in anchors, f"{page.name}: {target}"


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
