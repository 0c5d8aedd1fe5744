"""Outputs of a command: checks before any work is done, and saving of models with a checkpoint meanwhile."""

from __future__ import annotations

import glob
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Protocol

import narwhals as nw

from rekur.cli.options import STDOUT, Outputs, checkpoint_of
from rekur.core import DataError, OptionError, library
from rekur.data.ingest import files
from rekur.data.ingest.file_formats import NEEDS_PARQUET
from rekur.data.ingest.schema import Frame
from rekur.training.checkpoint import Checkpoint
from rekur.training.progress import LOGGER, displayed

CONLL_SUFFIX = ".conll"
"""Suffix of files of words and tags."""


class Savable(Protocol):
    """A model that can be written to a folder once it has the attribute `fitted_attribute`."""

    fitted_attribute: ClassVar[str]

    def save(self, folder: str) -> None:
        """Write the fitted model to a folder."""


def fit_and_save(model: Savable, save: str | None, fit: Callable[[str | None], object]) -> None:
    """Fit a model and save it, with a checkpoint next to the folder meanwhile; a fit that Ctrl-C ends can be resumed.

    `fit` takes the folder of the checkpoint.
    """
    try:
        fit(None if save is None else checkpoint_of(save))
    except KeyboardInterrupt:
        if save is not None and checkpoints(save):
            print(f"rekur: the same command resumes the training from {checkpoint_of(save)}", file=sys.stderr)
        raise
    if save is not None:
        model.save(save)
        for folder in checkpoints(save):
            Checkpoint.remove(folder)


def checkpoints(save: str) -> list[Path]:
    """Checkpoints of a model that is saved to `save`: one, or one for each of several frequencies."""
    checkpoint = Path(checkpoint_of(save))
    folders = (checkpoint, *checkpoint.parent.glob(f"{glob.escape(checkpoint.name)}-*"))
    return [folder for folder in folders if folder.exists()]


def source_name(file: str | Sequence[str]) -> str:
    """Name of an input file, or of several, in messages."""
    first, *others = [file] if isinstance(file, str) else file
    name = "standard input" if first == "-" else first
    return f"{name} and {len(others)} more" if others else name


@contextmanager
def working(outputs: Outputs) -> Iterator[None]:
    """Show the progress of the work inside on standard error.

    That is one bar for all of it on a terminal, a line every ten seconds elsewhere, and with `--verbose` the records of
    the logger of rekur.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    level = LOGGER.level
    if outputs.verbose:
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
    try:
        with displayed(not (outputs.quiet or outputs.verbose)):
            yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


def write_table(frame: Frame, path: str | None) -> None:
    """Write a table to a file, or as CSV to standard output; nothing if `path` is None."""
    if path == STDOUT:
        sys.stdout.write(nw.from_native(frame, eager_only=True).write_csv(None))
        sys.stdout.flush()
    elif path is not None:
        files.write_file(frame, path)


def write_conll(path: str, sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> None:
    """Write words and tags as CoNLL: a word and its tag a line, split by a tab, an empty line after each sentence."""
    pairs = zip(sentences, tags, strict=True)
    rows = ("".join(f"{word}\t{tag}\n" for word, tag in zip(*pair, strict=True)) for pair in pairs)
    try:
        files.write_bytes(Path(path), "\n".join(rows).encode())
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error


def check_inputs(outputs: Outputs, sources: Iterable[str | None]) -> None:
    """Raise if an output would take the place of a file that is read."""
    read = {Path(source).resolve() for source in sources if source not in (None, STDOUT)}
    for option, path in (("--out", outputs.out), ("--report", outputs.report)):
        if path is not None and path != STDOUT and Path(path).resolve() in read:
            raise OptionError(f"{option} {path} is a file that is read; name another one")


def check_suffix(out: str | None, others: tuple[str, ...] = ()) -> None:
    """Raise unless the suffix of `--out` is that of a table, or one of `others`."""
    if out is None or out == STDOUT or out.lower().endswith(others or "/"):
        return
    files.check_suffix(out)
    if out.lower().endswith(files.PARQUET_SUFFIXES):
        library("pyarrow.parquet", f"--out {out}: {NEEDS_PARQUET}")
