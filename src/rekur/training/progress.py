"""Progress of long work: one bar on a terminal or in a notebook, lines of text elsewhere, and records of a logger.

The work in progress has one display, whatever it consists of: a backtest, the training of several networks, a final
fit. Each is a phase that takes a share of what remains, see `phase`; `stage` says what is done at present.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from html import escape
from types import TracebackType
from typing import Protocol

from rekur.core import Record

LOGGER = logging.getLogger("rekur")
"""Logger of rekur: phases of the work and epochs of training, at the level INFO."""

LOGGER.addHandler(logging.NullHandler())

INTERVAL = 10.0
"""Seconds between two lines of text."""

REDRAW_SECONDS = 0.1
"""Seconds between two drawings of a bar, at least."""

RUN_SHARE = 0.8
"""Share of what remains of a phase that one training run takes, as others may follow."""


class View(Protocol):
    """How the state of the work is shown."""

    def draw(self, text: str, done: float) -> None:
        """Show what is done at present, and the share of the whole that is done."""

    def close(self) -> None:
        """Leave nothing behind."""


class TerminalBar:
    """A bar on standard error, with the time elapsed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.bar.start()
        self.task = self.bar.add_task("", total=1.0)

    def draw(self, text: str, done: float) -> None:
        """Redraw the bar."""
        self.bar.update(self.task, completed=done, description=text)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.stop()


class NotebookBar:
    """A bar below the cell of a notebook."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self.html = HTML
        self.handle = display(HTML(""), display_id=True)

    def draw(self, text: str, done: float) -> None:
        """Redraw the bar."""
        self.handle.update(self.html(f'<progress value="{done:.3f}"></progress> {escape(text)}'))

    def close(self) -> None:
        """Remove the bar."""
        self.handle.update(self.html(""))


class Lines:
    """Lines of text on standard error, one every `INTERVAL` seconds."""

    def __init__(self) -> None:
        self.text, self.done, self.start = "", 0.0, time.monotonic()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self) -> None:
        while not self.ended.wait(INTERVAL):
            share = f"{100 * self.done:.0f} % " if self.done else ""  # work without phases has no share
            seconds = time.monotonic() - self.start
            print(f"… {self.text} · {share}after {seconds:.0f} s", file=sys.stderr, flush=True)

    def draw(self, text: str, done: float) -> None:
        """Keep the text for the next line."""
        self.text, self.done = text, done

    def close(self) -> None:
        """Write no more lines."""
        self.ended.set()
        self.thread.join()


class Display:
    """State of the work in progress, which a view shows.

    Parameters
    ----------
    view : View or None
        None shows nothing.
    """

    def __init__(self, view: View | None) -> None:
        self.view = view
        self.titles: list[str] = []
        self.state = ""
        self.done, self.end, self.drawn = 0.0, 1.0, 0.0

    def draw(self, state: str, done: float) -> None:
        """Show what is done at present, and the share of the whole that is done, which never falls."""
        self.state, self.done = state, max(self.done, done)
        now = time.monotonic()
        if self.view is not None and now - self.drawn >= REDRAW_SECONDS:
            self.drawn = now
            self.view.draw(" · ".join(text for text in (*self.titles, state) if text), self.done)

    @contextmanager
    def phase(self, title: str, share: float) -> Iterator[None]:
        """A phase of the work, which takes a share of what remains of the phase around it."""
        end = self.end
        self.end = self.done + share * (end - self.done)
        self.titles.append(title)
        self.drawn = 0.0
        self.draw("", self.done)
        try:
            yield
        finally:
            self.titles.pop()
            self.draw("", self.end)
            self.end = end


_DISPLAY: ContextVar[Display | None] = ContextVar("display", default=None)


def new_view(show: bool | None) -> View | None:
    """The view for an argument `progress`: None shows a bar on a terminal or in a notebook, True also lines of text."""
    if show is False:
        return None
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__):  # Jupyter, also a subclass of it
        return NotebookBar()
    if sys.stderr.isatty():
        return TerminalBar()
    return Lines() if show else None


@contextmanager
def displayed(show: bool | None) -> Iterator[Display | None]:
    """The display of the work in progress: a new one, unless this is a phase of other work; None for a silent one.

    Parameters
    ----------
    show : bool or None
        Whether to show it; None shows it on a terminal or in a notebook.

    Examples
    --------
    >>> with displayed(False) as display, displayed(None) as inner:
    ...     print(display is inner, display.view)
    True None
    """
    outer = _DISPLAY.get()
    if outer is not None:
        yield None if show is False else outer
        return
    display = Display(new_view(show))
    token = _DISPLAY.set(display)
    try:
        yield display
    finally:
        _DISPLAY.reset(token)
        if display.view is not None:
            display.view.close()


@contextmanager
def phase(title: str, share: float = 1.0) -> Iterator[None]:
    """A phase of the work in progress.

    Parameters
    ----------
    title : str
        Name of the phase; empty for a share of the work without a name.
    share : float, default 1.0
        Share of what remains of the work, or of the phase around this one, that it takes.

    Examples
    --------
    >>> with displayed(False), phase("backtest", 0.5):
    ...     stage("forecasts of the windows")
    """
    if title:
        LOGGER.info(title)
    display = _DISPLAY.get()
    if display is None:
        yield
        return
    with display.phase(title, share):
        yield


def stage(title: str) -> None:
    """Say what is done at present, within the present phase."""
    LOGGER.info(title)
    display = _DISPLAY.get()
    if display is not None:
        display.drawn = 0.0
        display.draw(title, display.done)


class Progress:
    """Epoch, loss and validation loss of a training run.

    A context manager: it gives the function to call with each record, or None where nothing is shown or logged. Within
    other work, see `displayed`, the run is a phase of it.

    Parameters
    ----------
    title : str
        Name of the run.
    steps : int
        Steps of the whole run.
    show : bool or None, default None
        Whether to show the progress: None on a terminal or in a notebook, True also elsewhere, as lines of text.

    Examples
    --------
    >>> from rekur.training import Progress
    >>> with Progress("training gru", steps=100, show=False) as on_record:
    ...     print(on_record)
    None
    """

    def __init__(self, title: str, steps: int, show: bool | None = None) -> None:
        self.title, self.steps, self.shown = title, steps, show
        self.display: Display | None = None
        self.validation, self.first = "", 0.0
        self.contexts = ExitStack()

    def __enter__(self) -> Callable[[Record], None] | None:
        share = 1.0 if _DISPLAY.get() is None else RUN_SHARE
        self.display = self.contexts.enter_context(displayed(self.shown))
        if self.display is not None:
            self.contexts.enter_context(self.display.phase(self.title, share))
            self.first = self.display.done
        visible = self.display is not None and self.display.view is not None
        LOGGER.info(self.title)
        return self.show if visible or LOGGER.isEnabledFor(logging.INFO) else None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.contexts.close()

    def show(self, record: Record) -> None:
        """Show the record of a step, and log that of an epoch."""
        if "val_loss" in record:
            self.validation = f" · validation {record['val_loss']:.4g}"
        text = f"epoch {record['epoch']:.0f} · loss {record['loss']:.4g}{self.validation}"
        if "mean_loss" in record:
            rate, norm = f"rate {record['rate']:.1e}", f"gradient {record['norm']:.2g}"
            LOGGER.info("%s · %s · %s · %s", self.title, text, rate, norm)
        if self.display is not None:
            done = min(1.0, record["step"] / max(self.steps, 1))
            self.display.draw(text, self.first + done * (self.display.end - self.first))
