"""A process that keeps its tools warm and runs them when asked, so that all are timed in turn within seconds."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from rivals import TOOLS, Job, Named, Ready, RefusedError, clock

SLICE, CALM, PATIENCE = 0.01, 0.1, 1.0  # seconds, share of one core, seconds
FEWEST, MOST = 2, 200  # calls of a tool in one turn


class Worker:
    """The parent's end: one process for the tools that share it, confined to `threads` cores."""

    def __init__(self, names: list[str], threads: int) -> None:
        self.names = names
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, names, threads), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Send a command and wait for its result."""
        self.pipe.send((command, *arguments))
        try:
            return self.pipe.recv()
        except EOFError:
            raise SystemExit(f"the process of {', '.join(self.names)} ended during {command!r}") from None

    def end(self) -> None:
        """Let the process end."""
        self.pipe.send(None)
        self.process.join()


def _serve(pipe: Connection, names: list[str], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    if hasattr(os, "sched_setaffinity"):  # XLA makes as many threads as it may use cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for name in names:
        if name.startswith("keras-"):
            os.environ["KERAS_BACKEND"] = name.removeprefix("keras-")
    ready: dict[str, Ready] = {}
    with suppress(EOFError):  # the parent has gone
        for command, *arguments in iter(pipe.recv, None):
            pipe.send(_run(command, arguments, ready))


def _run(command: str, arguments: list[Any], ready: dict[str, Ready]) -> Any:
    """The result of one command: `prepare` a job, take a `turn`, draw `numbers`, or `drop` all jobs."""
    if command == "prepare":
        return _prepare(*arguments, ready)
    if command == "turn":
        return _turn(ready, *arguments)
    if command == "numbers":
        from rivals.with_torch import numbers

        return numbers(*arguments)
    ready.clear()
    return gc.collect()


def _prepare(name: str, job: Job, ready: dict[str, Ready]) -> dict[str, Any]:
    """Make a job ready, run it once and return its answer; or the reason why it cannot be run."""
    start = time.perf_counter()
    try:
        ready_tool = TOOLS[name].prepare(name, job)
        answer: Named = ready_tool.answer(ready_tool.call())
    except ImportError as error:
        return {"status": f"not installed: {error}"}
    except RefusedError as error:
        return {"status": f"not offered: {error}"}
    except Exception as error:  # the run goes on with the other tools, and the table says so
        return {"status": f"failed: {type(error).__name__}: {str(error)[:200].partition(chr(10))[0]}"}
    ready[name] = ready_tool
    settle()
    about = {"variant": ready_tool.variant, "versions": TOOLS[name].versions()}
    return {"status": "ok", "answer": answer, "prepared_s": round(time.perf_counter() - start, 2), **about}


def _turn(ready: dict[str, Ready], names: list[str], seconds: float) -> dict[str, list[float]]:
    """Call the tools in turn, A B A B …, so that the slowest takes about `seconds`; the seconds of each call."""
    calls = {name: ready[name].call for name in names}
    gc.collect()
    slowest = max(clock(call) for call in calls.values())  # not counted: threads awake, memory in place
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.disable()
    for _ in range(min(max(round(seconds / slowest), FEWEST), MOST)):
        for name, call in calls.items():
            times[name].append(clock(call))
    gc.enable()
    settle()
    return times


def settle() -> None:
    """Wait until threads that spin for more work have given their cores free."""
    for _ in range(round(PATIENCE / SLICE)):
        before = time.process_time()
        time.sleep(SLICE)
        if time.process_time() - before < CALM * SLICE:
            return
