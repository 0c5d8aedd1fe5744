"""Architecture tests: import levels and cycles, size limits, public names and their documentation."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import rekur

SOURCE = Path(rekur.__file__).parent
FILES = {
    ".".join(("rekur", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}

LEVELS = {  # docs/design.md, section 3: the level of each package and of each module at the top
    **dict.fromkeys(["core", "_native"], 0),
    **dict.fromkeys(["serialization", "kernels", "data", "metrics"], 1),
    **dict.fromkeys(["training", "cells", "baselines", "inputs", "estimator", "plotting"], 2),
    **dict.fromkeys(["layers", "nn"], 3),
    "pretrained": 4,
    **dict.fromkeys(["forecasting", "sequence", "registry"], 5),
    **dict.fromkeys(["report", "interop"], 6),
    "cli": 7,
}
ADAPTERS = {"rekur.interop.aeon", "rekur.interop.sktime"}  # cannot be imported without the library that they adapt to
MANY_ARGUMENTS = {  # functions and classes with more than 8 arguments, and the reason
    "Training": "the options of one training run as one value, each with a default",
    "Panel": "the columns of one table; built by `read_panels` only",
    "ForecastConfig": "the configuration of one forecaster as one value; built by `default_config` only",
    "Ensemble": "the parts of one forecast; built by `train_ensemble`, `baseline_ensemble` and `restore_part` only",
    "Backtest": "the windows of one backtest; built by `cross_validate` only",
    "scan": "lengths, resets, direction and precision of the kernels beyond a plain fold",
    "read_panels": "the column names of a table are chosen by the user",
    "cross_validation": "the arguments of the same method in nixtla's libraries, and frames of static covariates",
    "fit": "the column names of a table are chosen by the user",
    "_fit": "the options of a command",
    "_forecast": "the options of a command",
    "_predict": "the options of a command",
    "_score": "the options of a command",
    "Forecaster": "hyperparameters, each with a default",
    "Classifier": "hyperparameters, each with a default",
    "Regressor": "hyperparameters, each with a default",
    "Transcriber": "hyperparameters, each with a default",
    "ClassifierAdapter": "the parameters of Classifier",
    "RegressorAdapter": "the parameters of Regressor",
    "RekurForecaster": "the parameters of Forecaster",
    "Augmentation": "the options of data augmentation as one value, each with a default",
    "NetworkSize": "the size of a network as one value, each with a default",
    "ForecastOptions": "the options of a command as one value, each with a default",
    "GenerationConfig": "the options of text generation as one value, each with a default",
    "SortedRows": "the rows of a table in order and their places in it; built by `sort_rows` only",
    "RegularGrid": "the positions of the rows of a table on a grid; built by `regular_grids` only",
}


LONG_FILES = {  # files with more than 500 lines including docstrings, and the reason
    "rekur.forecasting.forecaster": "one public class; nearly half of its lines are docstrings of its methods",
}


def where(module: str, line: int) -> str:
    """File and line, for an error message."""
    return f"{FILES[module].relative_to(SOURCE.parent)}:{line}"


def package_of(module: str) -> str:
    """First folder or file below rekur."""
    return module.split(".")[1]


every_module = pytest.mark.parametrize("module", FILES)


def imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of every module of rekur that this one imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.startswith("rekur."))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where(module, node.lineno)}: relative import"
            source = node.module or ""
            homes = rekur._HOMES if source == "rekur" else {}
            names = {homes.get(alias.name, f"{source}.{alias.name}") for alias in node.names}
            targets = {name if name in FILES or name == "rekur._native" else source for name in names}
            yield from ((node.lineno, name) for name in sorted(targets) if name.startswith("rekur."))


@every_module
def test_imports_go_down(module: str) -> None:
    """A module imports from lower levels, or from files of the same folder on the same level.

    Imports for annotations alone (TYPE_CHECKING) may also come from the same level of another folder.
    """
    if module == "rekur":  # public names are imported on first use; those of a TYPE_CHECKING block never
        nodes = [node for node in TREES[module].body if not isinstance(node, ast.If)]
        assert {target for node in nodes for _, target in imports(module, node)} == {"rekur.core", "rekur.registry"}
        return
    package = package_of(module)
    assert package in LEVELS, f"{package} has no level: add it to docs/design.md, section 3, and to LEVELS"
    typing = [
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    for line, target in imports(module, TREES[module]):
        other = package_of(target)
        same_level = target not in FILES or FILES[target].parent == FILES[module].parent
        same_level = same_level or any(node.lineno < line <= node.end_lineno for node in typing)
        level = LEVELS.get(other, 9)
        down = other == package or level < LEVELS[package] or (same_level and level == LEVELS[package])
        assert down, f"{where(module, line)}: {package} (level {LEVELS[package]}) imports {target} (level {level})"


def test_imports_have_no_cycle() -> None:
    """No import cycle between modules at import time; the CycleError lists the modules of a cycle."""
    lazy = ast.FunctionDef | ast.ClassDef | ast.If  # imports that run later or serve annotations alone
    graph = {
        module: {target for node in tree.body if not isinstance(node, lazy) for _, target in imports(module, node)}
        for module, tree in TREES.items()
    }
    graph = {module: targets - {module} for module, targets in graph.items()}
    assert set(TopologicalSorter(graph).static_order()) >= set(FILES)


def in_order(names: list[str]) -> list[str]:
    """Sort CONSTANTS, then Classes, then functions, each with numbers in natural order (ruff's RUF022)."""

    def key(name: str) -> tuple[int, list[tuple[int, int | str]]]:
        kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
        parts = [part for part in re.split(r"(\d+)", name) if part]
        return kind, [(0, int(part)) if part.isdigit() else (1, part) for part in parts]

    return sorted(names, key=key)


def bound(module: str, tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Each name bound by a file, and whether `__all__` must list it.

    Required are classes, functions and imports of a package from its files; constants and other imports are optional.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, True
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((target.id, False) for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            yield from (
                (
                    alias.asname or alias.name,
                    f"{node.module}.".startswith(f"{module}.") and f"{node.module}.{alias.name}" not in FILES,
                )
                for alias in node.names
            )


@every_module
def test_public_names_are_listed(module: str) -> None:
    """`__all__` is sorted and complete and lists existing names only; a package must have one."""
    listed = [
        ast.literal_eval(node.value)
        for node in TREES[module].body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    names = dict(bound(module, TREES[module]))
    loaded = None if module in ADAPTERS else importlib.import_module(module)
    for lazy in ("_HOMES", "_PACKAGES"):
        names |= dict.fromkeys(getattr(loaded, lazy, ()), True)
    needed = {name for name, must in names.items() if must and not name.startswith("_")}
    if not listed:
        assert not needed or FILES[module].name != "__init__.py", f"{where(module, 1)}: no __all__ for {needed}"
        return
    assert listed[0] == in_order(listed[0]), where(module, 1)
    assert needed <= set(listed[0]) <= set(names), where(module, 1)


@pytest.mark.parametrize("name", rekur.__all__)
def test_public_name_resolves(name: str) -> None:
    """`rekur.<name>` is the object defined by its module, or a package of rekur."""
    if name in rekur._PACKAGES:
        assert getattr(rekur, name) is importlib.import_module(f"rekur.{name}")
    else:
        assert getattr(rekur, name) is getattr(importlib.import_module(rekur._HOMES[name]), name)
    assert name in dir(rekur)


def test_public_names_are_complete() -> None:
    """The public names are the estimators of the registry, the listed names and the packages."""
    assert set(rekur.__all__) == {*rekur._HOMES, *rekur._PACKAGES}
    assert {"__version__", *rekur.__all__} <= set(dir(rekur))
    with pytest.raises(AttributeError, match="'Forcaster'"):
        _ = rekur.Forcaster


def test_public_names_have_types() -> None:
    """Static and lazy imports of `rekur` take each public name from the same module."""
    block = next(node for node in TREES["rekur"].body if isinstance(node, ast.If))
    static = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert static == {**dict.fromkeys(rekur._PACKAGES, "rekur"), **rekur._HOMES}


def test_types_of_a_program(tmp_path: Path) -> None:
    """mypy resolves the public names to their classes and reports a misspelt name or argument."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    lines = ["import rekur", "reveal_type(rekur.Forecaster)", "reveal_type(rekur.nn.LSTM)", "rekur.Forcaster"]
    lines += ["rekur.Forecaster(horizn=5)", "reveal_type(rekur.inputs.Text)", "rekur.inputs.Txt", "rekur.data.Pannel"]
    (tmp_path / "program.py").write_text("\n".join(lines))
    root = SOURCE.parents[1]  # the cache is that of `make check`, where there is one
    options = ["--config-file", str(root / "pyproject.toml"), "--cache-dir", str(root / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", *options, "program.py"]
    env = {**os.environ, "MYPYPATH": str(SOURCE.parent)}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert "program.py:2: note: Revealed type is " in done.stdout, done.stdout + done.stderr
    assert "rekur.forecasting.forecaster.Forecaster" in done.stdout
    assert "rekur.nn.recurrent.LSTM" in done.stdout
    assert 'program.py:4: error: Module has no attribute "Forcaster"' in done.stdout
    assert 'program.py:5: error: Unexpected keyword argument "horizn" for "Forecaster"' in done.stdout
    assert "rekur.inputs.text.Text" in done.stdout
    assert 'program.py:7: error: Module has no attribute "Txt"' in done.stdout
    assert 'program.py:8: error: Module has no attribute "Pannel"' in done.stdout


@every_module
def test_size(module: str) -> None:
    """A file has at most 500 lines, a function at most 50 without its docstring and at most 8 arguments."""
    lines = len(FILES[module].read_text().splitlines())
    if module in LONG_FILES:
        documented = ast.Module | ast.ClassDef | ast.FunctionDef
        docs = [
            node.body[0] for node in ast.walk(TREES[module]) if isinstance(node, documented) and ast.get_docstring(node)
        ]
        lines -= sum(doc.end_lineno - doc.lineno + 1 for doc in docs)
    assert lines <= 500, f"{where(module, lines)}: more than 500 lines"
    classes = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.ClassDef)]
    owner = {method: each.name for each in classes for method in each.body}
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_doc = ast.get_docstring(node) is not None
            doc = node.body[0].end_lineno - node.body[0].lineno + 1 if has_doc else 0
            size = node.end_lineno - node.lineno + 1 - doc
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            arguments = [name for name in arguments if name not in ("self", "cls")]
            assert size <= 50, f"{where(module, node.lineno)}: {node.name} has {size} lines"
        elif isinstance(node, ast.ClassDef) and "dataclass" in "".join(map(ast.unparse, node.decorator_list)):
            arguments = [field.target.id for field in node.body if isinstance(field, ast.AnnAssign)]
        else:
            continue
        name = owner[node] if node.name == "__init__" else node.name
        allowed = name in MANY_ARGUMENTS or len(arguments) <= 8
        assert allowed, f"{where(module, node.lineno)}: {node.name} has {len(arguments)} arguments: {arguments}"


def test_exceptions_are_still_needed() -> None:
    """Each exception to the size limits names an existing class, function or long file."""
    kinds = ast.ClassDef | ast.FunctionDef
    names = {node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, kinds)}
    assert set(MANY_ARGUMENTS) <= names
    assert all(len(FILES[module].read_text().splitlines()) > 500 for module in LONG_FILES)


@every_module
def test_public_names_are_documented(module: str) -> None:
    """Every module and every public class, function and method has a docstring."""
    assert ast.get_docstring(TREES[module]), f"{where(module, 1)}: the module has no docstring"
    todo = [TREES[module]]
    while todo:
        for node in todo.pop().body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{where(module, node.lineno)}: {node.name} has no docstring"
                todo += [node] if isinstance(node, ast.ClassDef) else []


def test_import_is_light() -> None:
    """`import rekur` loads none of the heavy libraries."""
    code = "import sys, rekur; print(*{'torch', 'numpy', 'pandas', 'plotly'} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_code_map_resolves() -> None:
    """The code map of docs/design.md names, for each question, a file and a name defined in it."""
    text = (SOURCE.parents[1] / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (Where [^|]+\?) \| `([^`|]+)` \| `(\w+)` \|$", text, re.M)
    assert len(rows) >= 12
    for question, file, name in rows:
        tree = ast.parse((SOURCE / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}, question


def test_no_folder_is_crowded() -> None:
    """A folder has at most sixteen files of its own."""
    for folder in {path.parent for path in FILES.values()}:
        files = sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix in (".py", ".pyi"))
        assert len(files) <= 16, f"{folder.relative_to(SOURCE.parent)} has {len(files)} files: {', '.join(files)}"


def test_files_of_a_folder_have_no_cycle() -> None:
    """No import cycle within a folder, imports in functions included, imports for annotations alone excluded."""
    for folder in {path.parent for path in FILES.values()}:
        members = {module for module, path in FILES.items() if path.parent == folder and path.name != "__init__.py"}
        graph: dict[str, set[str]] = {}
        for module in members:
            typing = {
                line
                for node in ast.walk(TREES[module])
                if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
                for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
            }
            targets = {target for line, target in imports(module, TREES[module]) if line not in typing}
            graph[module] = (targets & members) - {module}
        assert set(TopologicalSorter(graph).static_order()) >= members
