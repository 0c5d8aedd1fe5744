"""Memory of a training step: growth of a fresh process beyond the inputs and parameters of the step.

A server process imports torch and rekur and starts no thread; each measurement is a fork of it, so that no memory of an
earlier measurement is reused. The child runs a tiny problem first, which loads code and starts the threads, then builds
the inputs of the step. The growth is the peak of the resident memory over three steps (VmHWM, reset through
/proc/self/clear_refs) minus the resident memory before them. malloc returns memory as soon as it is freed
(MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_), so that the peak is the memory in use at one time, gradients, output
and caches of the tool included, without the reserve of the allocator. The kernel counts in batches of pages for each
thread: differences below half a MiB are not meaningful.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from rivals import TOOLS, Job

if TYPE_CHECKING:
    from cases import Case

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
REPEATS, STEPS = 3, 3


def growths(name: str, cell: str, case: Case, threads: int) -> list[float]:
    """MiB, measured in as many processes as REPEATS says."""
    if not sys.platform.startswith("linux"):
        raise SystemExit("memory is measured on Linux alone; leave it out with --modes")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "rekur.nn"])
    grown = []
    before = {key: os.environ.get(key) for key in MALLOC}
    os.environ.update(MALLOC)  # read by malloc when the server starts
    for _ in range(REPEATS):
        pipe, theirs = context.Pipe()
        child = context.Process(target=_grow, args=(theirs, name, cell, case, threads), daemon=True)
        child.start()
        theirs.close()
        grown.append(pipe.recv())
        child.join()
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})
    return grown


def _grow(pipe: Connection, name: str, cell: str, case: Case, threads: int) -> None:
    from rivals.with_torch import numbers

    for sizes in (type(case)(2, 2, case.I, 16), case):
        ready = TOOLS[name].prepare(name, Job(cell, "training", "float32", threads, numbers(sizes, cell)))
        if sizes is case:
            Path("/proc/self/clear_refs").write_text("5")
            before = _status("VmRSS")
        for _ in range(STEPS):
            ready.call()
    pipe.send((_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    """KiB, from /proc/self/status."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if not match:
        raise SystemExit(f"/proc/self/status has no {field}")
    return int(match[1])
