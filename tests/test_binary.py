"""The extension as a file: no instruction set leaks out of its region, nothing is linked that need not be.

An instruction the processor lacks ends the process. It gets into baseline code by two ways: a whole function
compiled for a larger set, or an inline function shared by all objects, of which the linker keeps any one copy.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

_native = pytest.importorskip("rekur._native", reason="the extension is not built")

if sys.platform != "linux" or platform.machine() != "x86_64":
    pytest.skip("this reads x86-64 code in ELF files", allow_module_level=True)
if shutil.which("objdump") is None:
    pytest.skip("objdump is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[1]
SETS = {"avx512bf16": {"avx512", "avx2"}, "avx512": {"avx512", "avx2"}, "avx2": {"avx2"}}  # what a target may use
LATER = re.compile(  # what came between the baseline, SSE2, and AVX, and the integer sets that came with AVX2
    r"(?:movddup|movs[hl]dup|haddp.|hsubp.|addsubp.|lddqu|pshufb|palignr|ph(?:add|sub)s?[wd]|pabs.|pmulhrsw|psign.|"
    r"p?blendv?..?|dpp.|extractps|insertps|mpsadbw|packusdw|pcmp[eg][qt]q|p(?:extr|insr)[bdq]|pm(?:ax|in)(?:s[bd]|u[dw])|"
    r"pmov[sz]x..|pmul(?:dq|ld)|ptest|rounds?[sp]?[sd]|pcmp[ei]str.|crc32.|popcnt.?|aes.*|pclmul.*|"
    r"andn|bextr|bls.*|[lt]zcnt.?|mulx|pdep|pext|rorx|s[ah][lr]x|movbe.?)"
)


def needs(operation: str, operands: str) -> str:
    """The instruction set of one line of code: avx512, avx2, sse3 (anything between) or nothing for the baseline."""
    if re.search(r"%zmm|%k[0-7]|%[xy]mm(?:1[6-9]|2\d|3[01])|\{", operands):
        return "avx512"
    if re.search(r"%[xy]mm", operands) and operation.startswith("v"):
        return "avx2"
    return "sse3" if LATER.fullmatch(operation) else ""


def code(path: str) -> Counter[tuple[str, str]]:
    """How often each symbol (mangled) of a file uses each instruction set beyond the baseline."""
    command = ["objdump", "-d", "--no-show-raw-insn", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    symbol, found = "", Counter()
    for line in done.stdout.splitlines():
        if line.endswith(">:"):
            symbol = line[line.index("<") + 1 : -2]
        elif "\t" in line:
            operation, _, operands = line.rpartition("\t")[2].partition(" ")
            if kind := needs(operation, operands):
                found[symbol, kind] += 1
    return found


def owner(symbol: str) -> str:
    """The namespace below rekur a symbol belongs to, by its own (mangled) name and not by those of its arguments."""
    match = re.match(r"_ZNK?5rekur(\d+)", symbol)
    return symbol[match.end() :][: int(match[1])] if match else ""


def test_instructions_stay_in_their_regions() -> None:
    """AVX-512 in the namespaces of its targets alone, AVX2 there and in rekur::avx2; the rest is SSE2."""
    listed = subprocess.run(["nm", _native.__file__], capture_output=True, text=True).stdout
    assert "_ZN5rekur" in listed, "the extension is stripped; build it with install.strip = false"
    inside = Counter()
    for (symbol, kind), count in code(_native.__file__).items():
        where = owner(symbol)
        inside[where, kind] += count
        assert kind in SETS.get(where, ()), f"{symbol or 'code without a symbol'} holds {count} instructions of {kind}"
    for target, sets in SETS.items():
        for kind in sets:
            assert inside[target, kind] > 500, f"no {kind} in {target}: this test does not see what it should"


def test_targets_share_nothing_with_the_linker() -> None:
    """A function of which the linker keeps any one copy (a weak symbol) carries the name of its own target."""
    objects = sorted(ROOT.glob("build/*/CMakeFiles/_native.dir/native/targets/*.cpp.o"))
    if not objects:
        pytest.skip("the objects of the build are not here")
    for path in objects:
        target = path.name.partition(".")[0]
        listed = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines()
        merged = {line.split()[-1] for line in listed if line.split()[-2] == "W"}
        foreign = {symbol for symbol in merged if owner(symbol) != target}
        assert not foreign, f"{path.relative_to(ROOT)} shares {sorted(foreign)[:3]}"


def test_little_is_linked() -> None:
    """The system's libraries alone: neither torch nor an OpenMP runtime; and Python's entry point alone is offered."""
    listed = subprocess.run(["objdump", "-p", _native.__file__], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED\s+(\S+)\.so", listed))
    assert needed <= {"libstdc++", "libgcc_s", "libm", "libc", "libpthread", "libdl", "ld-linux-x86-64"}
    offered = subprocess.run(["nm", "-D", "--defined-only", _native.__file__], capture_output=True, text=True)
    names = {line.split()[-1] for line in offered.stdout.splitlines()}
    assert "PyInit__native" in names
    assert not {name for name in names if "rekur" in name}
