"""A torch that lacks private names: the reference backend runs, and the reason is said."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rekur
from rekur.core import BackendError
from rekur.kernels import torch_private

NAMES = (
    "_C._any_requires_grad",
    "_C._AutoDispatchBelowAutograd",
    "_C._len_torch_dispatch_stack",
    "_C._is_tracing",
    "_C._functorch.get_dynamic_layer_stack_depth",
    "_C._functorch.get_interpreter_stack",
    "_C._functorch.TransformType.Grad",
    "_assert_async",
    "autograd.forward_ad._current_level",
)
"""Every private name that `rekur.kernels.torch_private` looks up."""

CODE = """
import sys
from functools import reduce
import torch
names, held = sys.argv[1:], []
for path in names:
    *owners, name = path.replace(".Grad", "").split(".")
    owner = reduce(getattr, owners, torch)
    held.append((owner, name, getattr(owner, name)))
    delattr(owner, name)
import rekur.layers.stack, rekur.nn
for owner, name, value in held:
    setattr(owner, name, value)  # torch itself needs them
from rekur.cells import cell
from rekur.core import BackendError
from rekur.kernels import describe, scan, step
gru, x = cell("gru"), torch.randn(2, 5, 3)
weights = gru.init(3, 4)
weights.W.requires_grad_()
y, last = scan(gru, x, weights, None)
assert torch.equal(y, scan(gru, x, weights, None, backend="reference")[0])
y.sum().backward()
step(gru, x[:, 0], weights, last)
rekur.nn.GRU(3, 4)(x)
print(describe())
try:
    scan(gru, x, weights, None, backend="native")
except BackendError as error:
    print(error)
"""


@pytest.mark.parametrize("names", [NAMES[5:6], NAMES], ids=["one", "all"])
def test_reference_without_private_names(names: tuple[str, ...]) -> None:
    """Nothing fails at import; `auto` runs the reference; `native` is refused with the names that are missing."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *names],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("kernels: reference only, torch")
    assert lines[1].startswith("backend='native' cannot run the cell 'gru': torch")
    for line in lines:
        assert sorted(line.partition(" lacks ")[2].split(", ")) == sorted(f"torch.{name}" for name in names)


def test_an_absent_name_is_refused() -> None:
    with pytest.raises(BackendError, match=r"lacks torch\._C\._no_such_name"):
        torch_private._find("_C._no_such_name")()
    assert torch_private._absent.pop() == "torch._C._no_such_name"
    assert torch_private.MISSING is None


def test_private_names_stand_in_one_file() -> None:
    """No other file of the package reads a private name of torch or of its autograd."""
    house = Path(rekur.__file__).parent
    for path in house.rglob("*.py"):
        if path.name == "torch_private.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                owner = ast.unparse(node.value)
                assert not owner.startswith(("torch", "forward_ad")), f"{path.name}:{node.lineno}: {owner}.{node.attr}"
