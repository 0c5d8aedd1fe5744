"""Progress bar of a training run, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress:
    """Loss, validation loss, learning rate, gradient norm and time left, on standard error.

    A context manager: it gives the function to call with each record, or None where no bar is shown.

    Parameters
    ----------
    title : str
        Text before the bar.
    steps : int
        Steps of the whole run.
    show : bool or None, default None
        Whether to show the bar; None shows it if standard error is a terminal.

    Examples
    --------
    >>> from rekur.training import Progress
    >>> with Progress("training gru", steps=100, show=False) as on_record:
    ...     print(on_record)
    None
    """

    def __init__(self, title: str, steps: int, show: bool | None = None) -> None:
        self.title, self.steps = title, steps
        self.on = sys.stderr.isatty() if show is None else show
        self.bar: Bar | None = None
        self.task: TaskID | None = None
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
        if self.bar is None or self.task is None:
            return
        if "val_loss" in record:
            self.validation = f" · validation {record['val_loss']:.4g}"
        now = time.monotonic()
        if now - self.drawn < 0.1 and "val_loss" not in record:
            return
        self.drawn = now
        state = f"epoch {record['epoch']:.0f} · loss {record['loss']:.4g}{self.validation}"
        state += f" · rate {record['rate']:.1e} · gradient {record['norm']:.2g}"
        self.bar.update(self.task, completed=record["step"], state=state)
