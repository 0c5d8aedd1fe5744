"""A progress bar over the records of a training; on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Progress:
    """Show loss, validation loss, rate, gradient norm and time left, on standard error if that is a terminal.

    `show=None` asks the terminal, True and False decide. Use it as a context manager and call it with records.
    """

    def __init__(self, title: str, steps: int, show: bool | None = None) -> None:
        self.title, self.steps = title, steps
        self.on = sys.stderr.isatty() if show is None else show
        self.bar: Any = None
        self.task: Any = None
        self.drawn = 0.0
        self.validation = ""

    def __enter__(self) -> Callable[[dict[str, float]], None] | None:
        if not self.on:
            return None
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=Console(stderr=True, force_terminal=True), transient=True)
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=self.steps, state="")
        return self.show

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def show(self, record: dict[str, float]) -> None:
        """Draw a record, at most ten times a second."""
        if "val_loss" in record:
            self.validation = f" · validation {record['val_loss']:.4g}"
        now = time.monotonic()
        if now - self.drawn < 0.1 and "val_loss" not in record:
            return
        self.drawn = now
        state = f"epoch {record['epoch']:.0f} · loss {record['loss']:.4g}{self.validation}"
        state += f" · rate {record['rate']:.1e} · gradient {record['norm']:.2g}"
        self.bar.update(self.task, completed=record["step"], state=state)
