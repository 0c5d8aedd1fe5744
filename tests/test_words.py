"""Vocabulary tests: meaningful names, resolvable names in docstrings and documents, examples, a budget of `Any`."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch

import rekur

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "rekur"
PYTHON = sorted([*SOURCE.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "examples").glob("*.py")])
MODULES = sorted(
    ".".join(("rekur", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
)
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])

BANNED = frozenset({"found", "made", "told", "own", "some", "given", "kept", "there"})
"""Participles and pronouns that do not describe a value, as `panel`, `frequency`, `mask` or `losses` do."""

ANY_BUDGET = 169
"""Uses of `Any` in `src/rekur`: a quarter of the 678 there were at 8e053e4."""

PUBLIC = [
    "rekur",
    *(f"rekur.{name}" for name in ("nn", "cells", "kernels", "layers", "data", "metrics", "baselines", "inputs")),
    "rekur.training",
]
"""Packages whose `__all__` is the public interface."""

OPTIONAL = ("sktime", "aeon")
"""Modules of `rekur.interop` named after optional libraries that are not installed in the test environment."""


def bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each binding in a file: variables, arguments, attributes, functions, classes, aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.arg():
                yield node.lineno, node.arg
            case ast.FunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_banned_name(path: Path) -> None:
    """No variable, argument, attribute or function has a banned name."""
    for line, name in bound_names(ast.parse(path.read_text(encoding="utf-8"))):
        plain = name.strip("_0123456789").lower()
        assert plain not in BANNED, f"{path.relative_to(ROOT)}:{line}: {name!r} is a banned name; name the value"


def test_banned_names_are_detected() -> None:
    """`bound_names` yields the names of all kinds of bindings."""
    source = (
        "import x as found\ndef made(told, *, own=1):\n    some: int = 1\n    self.given_ = [kept for kept in some]\n"
    )
    names = {name.strip("_") for _, name in bound_names(ast.parse(source))}
    assert names == BANNED - {"there"}


def test_any_stays_in_its_budget() -> None:
    """The number of uses of `Any` stays within the budget."""
    count = {
        str(path.relative_to(SOURCE)): sum(
            isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
        for path in SOURCE.rglob("*.py")
    }
    total = sum(count.values())
    print(f"{total} of {ANY_BUDGET} uses of Any")
    worst = sorted(count, key=lambda name: -count[name])[:5]
    assert total <= ANY_BUDGET, f"{total} uses of Any, most in {', '.join(f'{n} ({count[n]})' for n in worst)}"


def public_objects() -> Iterator[tuple[str, object]]:
    """Dotted name and object of every public class and function, exceptions excluded."""
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, BaseException):
                continue
            if inspect.isclass(value) or inspect.isroutine(value):
                yield f"{package}.{name}", value


@pytest.mark.parametrize("name", [name for name, _ in public_objects()])
def test_every_public_name_has_an_example(name: str) -> None:
    """The docstring of a public class or function has an example, which `test_docs.py` runs."""
    value = dict(public_objects())[name]
    assert ">>> " in (inspect.getdoc(value) or ""), f"{name} has no example in its docstring"


@cache
def modules() -> dict[str, ModuleType]:
    """Every importable module of rekur by name."""
    loaded = {}
    for name in MODULES:
        try:
            loaded[name] = importlib.import_module(name)
        except (ImportError, rekur.RekurError):
            assert name.rpartition(".")[2] in OPTIONAL, f"{name} cannot be imported"
    return loaded


@cache
def vocabulary() -> frozenset[str]:
    """Every name defined by rekur: modules, public and private names, attributes, parameters, fields, columns."""
    names = {part for name in MODULES for part in name.split(".")} | set(dir(builtins))
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Name() | ast.arg() | ast.Attribute() | ast.FunctionDef() | ast.ClassDef() | ast.keyword():
                    names.add(getattr(node, "id", None) or getattr(node, "arg", None) or "")
                    names.add(getattr(node, "attr", None) or getattr(node, "name", None) or "")
                case ast.Constant(value=str(text)) if not re.search(r"\s", text):
                    names.add(text)
    names |= set(modules()["rekur.layers.conv_recurrent"].CONVOLUTIONAL)
    for path in (ROOT / "native").rglob("*.*"):
        names |= set(re.findall(r"[A-Za-z_]\w*", path.read_text("utf-8")))
    names |= {name for name, _ in torch.nn.LSTM(1, 2, bidirectional=True, proj_size=1).named_parameters()}
    return frozenset(names)


ALIASES = {"np": "numpy", "pd": "pandas", "nw": "narwhals"}
FOREIGN = (*ALIASES, *ALIASES.values(), "torch", "polars", "pyarrow", "pathlib", "sklearn", "os", "typing", "ast")


def resolves(text: str, module: str | None) -> bool:
    """Whether a dotted name is a module or an object in one, or a simple name is defined by rekur."""
    parts = text.split(".")
    if parts[0] == "rekur" or parts[0] in FOREIGN:
        target: object = importlib.import_module(ALIASES.get(parts[0], parts[0]))
        path = ALIASES.get(parts[0], parts[0])
        for part in parts[1:]:
            path += f".{part}"
            if not hasattr(target, part):
                try:
                    importlib.import_module(path)
                except (ImportError, rekur.RekurError):
                    if part in OPTIONAL:
                        return True
                    annotated = (
                        {name for kind in inspect.getmro(target) for name in getattr(kind, "__annotations__", ())}
                        if inspect.isclass(target)
                        else set()
                    )
                    return part in annotated or (inspect.isclass(target) and part in vocabulary())
            target = getattr(target, part)
        return True
    scope = vars(modules()[module]) if module in modules() else {}
    if parts[0] in scope or hasattr(rekur, parts[0]):
        target = scope.get(parts[0], getattr(rekur, parts[0], None))
        return len(parts) == 1 or all(part in vocabulary() or hasattr(target, part) for part in parts[1:])
    return text in vocabulary() or all(part in vocabulary() for name in parts for part in name.split("__"))


NAME = re.compile(r"(?<!`)`([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?:\(\))?`(?!`)")


def docstrings(module: str) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring of a module."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


@pytest.mark.parametrize("module", MODULES)
def test_names_in_docstrings_exist(module: str) -> None:
    """Names in backticks in a docstring are importable names, arguments or attributes."""
    if module.rpartition(".")[2] in OPTIONAL:
        pytest.skip(f"{module} refers to a library that is not installed")
    for line, text in docstrings(module):
        for match in NAME.finditer(text):
            assert resolves(match[1], module), f"{module}, line {line}: `{match[1]}` is not a name of rekur"


FILES = frozenset(path.name for path in ROOT.glob("*")) | {
    path.name
    for folder in ("src", "tests", "benchmarks", "docs", "examples", "native")
    for path in (ROOT / folder).rglob("*")
}
TOOLS = frozenset(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_names_in_documents_exist(path: Path) -> None:
    """Names in backticks in a document are names of rekur, files or targets of the Makefile."""
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.S)
    for match in NAME.finditer(text):
        known = resolves(match[1], None) or match[1] in TOOLS or match[1] in FILES
        line = text[: match.start()].count("\n") + 1
        assert known, f"{path.name}, about line {line}: `{match[1]}` is not a name of rekur"


def test_unknown_names_are_detected() -> None:
    """`resolves` accepts existing names and rejects unknown ones."""
    assert resolves("rekur.Forecaster", None)
    assert resolves("numpy.ndarray", None)
    assert not resolves("rekur.Fortuneteller", None)
    assert not resolves("fortune_teller_of_rekur", None)
    assert {name for _, name, _ in pkgutil.iter_modules([str(SOURCE)])} >= {"nn", "data"}
