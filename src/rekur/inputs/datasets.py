"""Examples: sequences and targets from a user's table, text file, CoNLL file or folder of recordings or videos.

Which column is what is found by its name, as `COLUMNS` lists for each task, or named by the user. Rows without text
or target, and files that cannot be read, are left out and named; where nothing is left, that is an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rekur.core import DataError, OptionError
from rekur.data.ingest import files
from rekur.inputs import audio, video

PATHS = ("path", "file", "filename")
TEXTS = ("text", "sentence", "tokens", "words")
COLUMNS = {
    "classify": ((*TEXTS, *PATHS), ("label", "class", "target", "category")),
    "tag": (("tokens", "words", "text", "sentence"), ("tags", "labels", "slots", "label")),
    "translate": (("source", "text", "article", "description"), ("target", "translation", "summary", "title")),
    "transcribe": ((*PATHS, "audio"), ("transcript", "text", "sentence")),
    "caption": ((*PATHS, "video"), ("caption", "text", "sentence")),
    "language": (TEXTS, ()),
}
"""For each task the names of the columns of sequences and of targets, the first that is there counts."""

VIDEOS = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".opus", ".au")
CONLL = (".conll", ".conllu", ".bio", ".iob")


@dataclass
class Dataset:
    """Sequences x, their targets y (None where there are none), how each is called, and what was left out and why."""

    x: list[Any]
    y: list[Any] | None
    names: list[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def part(self, rows: Sequence[int]) -> Dataset:
        """Some of the rows."""
        y = None if self.y is None else [self.y[k] for k in rows]
        return Dataset([self.x[k] for k in rows], y, [self.names[k] for k in rows])


@dataclass(frozen=True)
class DatasetColumns:
    """The columns as the user names them: of the sequences, of the targets, and of what tells series apart."""

    x: str | None = None
    y: str | None = None
    id: str | None = None


def read(source: str, task: str, columns: DatasetColumns = DatasetColumns(), targets: bool = True) -> Dataset:
    """Read the examples of a task; with `targets` each must have one.

    source : a folder; a recording or video; a CoNLL file; lines of text (.txt, or - for standard input); or a table
    (CSV, TSV, JSON lines or Parquet, also packed by gzip or xz)
    """
    path = Path(source)
    if source != "-" and not path.exists():
        raise DataError(f"{source} is not there: name a file or folder that is, or - for lines on standard input")
    if path.is_dir():
        found = folder(path, task, targets)
    elif path.suffix.lower() in (*SOUNDS, *VIDEOS):
        found = Dataset([path], None, [source])
    elif task == "tag" and unpacked(path) in CONLL:
        found = conll(source, columns)
    elif source == "-" or unpacked(path) == ".txt":
        lines = [line for line in files.read_text(source).splitlines() if line.strip()]
        x: list[Any] = [line.split() for line in lines] if task == "tag" else list(lines)
        found = Dataset(x, None, [f"line {k + 1}" for k in range(len(lines))])
    else:
        found = table(source, task, columns, targets)
    if targets and found.y is None and task != "language":
        raise DataError(f"{source} holds no targets to learn from: {task} needs a table with a column of them")
    return readable(found, source)


def unpacked(path: Path) -> str:
    """The ending of a file's name, without that of its packing."""
    return Path(path.name.removesuffix(".gz").removesuffix(".xz")).suffix.lower()


def folder(path: Path, task: str, targets: bool) -> Dataset:
    """Recordings or videos: each folder within is a label, or a text of the same name stands beside each file."""
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in (*SOUNDS, *VIDEOS))
    if not found:
        raise DataError(f"{path} holds no recordings or videos ({', '.join((*SOUNDS[:3], *VIDEOS[:3]))} …)")
    names = [str(file.relative_to(path)) for file in found]
    if not targets:
        return Dataset(list(found), None, names)
    if task == "classify":
        alone = [file for file in found if file.parent == path]
        if alone:
            raise DataError(
                f"{alone[0]} stands in no folder of its label: sort files as {path}/LABEL/FILE, or give a table"
            )
        return Dataset(list(found), [file.parent.name for file in found], names)
    texts = [file.with_suffix(".txt") for file in found]
    missing = [(name, "no text stands beside it") for name, text in zip(names, texts, strict=True) if not text.exists()]
    kept = [k for k, text in enumerate(texts) if text.exists()]
    y = [files.read_text(str(texts[k])).strip() for k in kept]
    return Dataset([found[k] for k in kept], y, [names[k] for k in kept], missing)


def conll(source: str, columns: DatasetColumns) -> Dataset:
    """Sentences of a CoNLL file: a word a line, columns split by blanks, an empty line between sentences.

    In CoNLL-U the words stand in the second column and the tags (UPOS) in the fourth, else in the first and the last;
    `columns` may name others by number, counted from 1.
    """
    universal = ".conllu" in source
    where = [columns.x or ("2" if universal else "1"), columns.y or ("4" if universal else "0")]
    if not all(part.isdigit() for part in where):
        raise OptionError(f"the columns of a CoNLL file are numbers, counted from 1, not {' and '.join(where)}")
    word, tag = (int(part) - 1 for part in where)
    x: list[Any] = [[]]
    y: list[Any] = [[]]
    for number, line in enumerate(files.read_text(source).splitlines(), start=1):
        cells = line.split("\t") if universal else line.split()
        if not line.strip() or line.startswith("-DOCSTART-"):
            x, y = ([*x, []], [*y, []]) if x[-1] else (x, y)
        elif not (universal and (line[0] == "#" or not cells[0].isdigit())):
            if len(cells) <= max(word, tag, 1):
                raise DataError(f"line {number} of {source} has {len(cells)} columns: {line!r}")
            x[-1].append(cells[word])
            y[-1].append(cells[tag])
    x, y = [row for row in x if row], [row for row in y if row]
    return Dataset(x, y, [f"sentence {k + 1}" for k in range(len(x))])


def table(source: str, task: str, columns: DatasetColumns, targets: bool) -> Dataset:
    """A table with a column of texts or of paths (from the table's folder on), or of readings told apart by `id`."""
    frame = files.read_file(source)
    for name in (columns.x, columns.y, columns.id):
        if name is not None and name not in frame.columns:
            raise DataError(f"{source} has no column {name!r}; it has {', '.join(map(str, frame.columns))}")
    y_name = columns.y or (first(frame, COLUMNS[task][1], columns.x) if task != "language" else None)
    if columns.id is not None:
        return readings(frame, source, columns.id, y_name, targets)
    x_name = columns.x or first(frame, COLUMNS[task][0], y_name)
    other = first(frame, PATHS, y_name)
    if task == "classify" and columns.x is None and other not in (None, x_name):
        raise DataError(f"{source} has texts in {x_name!r} and paths in {other!r}; name the one to read, with --x")
    if x_name is None:
        raise DataError(f"{source} has no column {' or '.join(COLUMNS[task][0])}; name the one to read, with --x")
    if targets and y_name is None and task != "language":
        raise DataError(f"{source} has no column {' or '.join(COLUMNS[task][1])}; name the one to learn, with --y")
    wanted = [x_name] if y_name is None or task == "language" else [x_name, y_name]
    wanted = wanted if targets else [x_name]
    bad = frame[wanted].isna().any(axis=1).to_numpy() | (frame[x_name].astype(str).str.strip() == "").to_numpy()
    skipped = [(f"row {k + 1}", "a value is missing") for k in np.flatnonzero(bad)]
    good = np.flatnonzero(~bad)
    cells = frame[x_name].iloc[good]
    x: list[Any] = [str(cell) for cell in cells]
    names = [f"row {k + 1}" for k in good]
    if x_name in PATHS or task in ("transcribe", "caption"):
        base = Path(source).parent
        x, names = [base / cell for cell in x], list(map(str, x))
    elif task == "tag":
        x = [cell.split() for cell in x]
    if len(wanted) == 1:
        return Dataset(x, None, names, skipped)
    y: list[Any] = frame[y_name].iloc[good].tolist()
    if task != "classify":
        y = [str(cell).split() if task == "tag" else str(cell) for cell in y]
    return Dataset(x, y, names, skipped)


def first(frame: pd.DataFrame, names: Sequence[str], taken: str | None) -> str | None:
    """The first of some names that is a column, and not taken."""
    return next((name for name in names if name in frame.columns and name != taken), None)


def readings(frame: pd.DataFrame, source: str, id: str, y_name: str | None, targets: bool) -> Dataset:
    """A long table: rows of one `id` are the steps of one sequence, its numeric columns what was read."""
    numeric = frame.drop(columns=[name for name in (id, y_name) if name is not None]).select_dtypes("number")
    if not numeric.shape[1]:
        raise DataError(f"{source} has no column of numbers besides {id!r}")
    holes = numeric.isna()
    if holes.to_numpy().any():
        row, column = np.argwhere(holes.to_numpy())[0]
        raise DataError(
            f"row {row + 1} of {source} has no value in {numeric.columns[column]!r}; fill or remove it first"
        )
    parts = frame.groupby(id, sort=False).indices
    x: list[Any] = [numeric.to_numpy(dtype=np.float32)[rows] for rows in parts.values()]
    names = [str(key) for key in parts]
    if not targets:
        return Dataset(x, None, names)
    if y_name is None:
        raise DataError(
            f"{source} has no column {' or '.join(COLUMNS['classify'][1])}; name the one to learn, with --y"
        )
    labels = frame[y_name].to_numpy()
    for key, rows in parts.items():
        if len(set(labels[rows].tolist())) > 1:
            raise DataError(f"{id} {key!r} has several labels in {y_name!r}: one for each sequence is needed")
    return Dataset(x, [labels[rows[0]] for rows in parts.values()], names)


def readable(found: Dataset, source: str) -> Dataset:
    """The examples without files that cannot be read; each is opened and read once to find out."""
    kept, skipped = [], list(found.skipped)
    for k, value in enumerate(found.x):
        try:
            if isinstance(value, Path):
                check(value)
            kept.append(k)
        except DataError as error:
            skipped.append((found.names[k], str(error)))
    if not kept:
        why = skipped[0][1] if skipped else "it has no rows"
        raise DataError(f"nothing of {source} can be used: {why}")
    left = found.part(kept)
    left.skipped = skipped
    return left


def check(path: Path) -> None:
    """Raise a DataError unless a recording or video can be read to its end and is not too long."""
    if path.suffix.lower() in VIDEOS:
        video.count(path, video.Video().longest)
        for _ in video.decoded(path, 8):
            pass
    else:
        audio.length(path, audio.Audio().longest)
        audio.wave(os.fspath(path))
