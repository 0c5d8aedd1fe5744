"""Datasets from files: sequences and targets from a table, a text file, a CoNLL file or a folder of media files.

The columns are recognised by the names of a `DatasetFormat`, or named by the user. Rows without a sequence or
target, and files that cannot be decoded, are skipped and listed; a source with no usable example is an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rekur.core import CheckedArguments, DataError, OptionError
from rekur.data.ingest import files
from rekur.data.ingest.delimited import ReadOptions
from rekur.data.ingest.parsing import plural, row_name
from rekur.data.ingest.schema import file_attributes, missing_column, quoted
from rekur.inputs import audio, video
from rekur.inputs.formats import PATH_COLUMNS, DatasetFormat
from rekur.inputs.labels import with_whole_numbers, without_blanks
from rekur.inputs.media_files import SOUNDS, VIDEOS
from rekur.inputs.readings import ReadingColumns, read_readings

CONLL = (".conll", ".conllu", ".bio", ".iob")
CONLLU = re.compile(r"\d+(-\d+)?(\t[^\t]*){9}$")
"""A line of CoNLL-U: a number and nine other columns."""

NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")

LONG_NAME = 40
"""A column name of more characters looks like data: the table lacks a header."""

SHOWN_REASONS = 3  # why examples were left out, where none can be used

COMMENT = re.compile(r"#\s*(\w+\s*=|(id|newdoc|newpar)\b)")
"""A comment of a CoNLL file, which begins with a key; a word # is followed by columns."""

Sequences = list[Any]  # texts, lists of words, paths or arrays
Targets = list[Any]  # labels, lists of tags or texts


@dataclass
class Dataset:
    """Examples of a task: sequences, targets, names, and notes on skipped rows.

    Parameters
    ----------
    x : list
        Sequences: texts, lists of words, paths or arrays (T, I).
    y : list or None
        Targets, one for each sequence; None without targets.
    names : list of str
        Name of each example in messages and reports.
    skipped : list of (str, str), optional
        Name and reason of each example that was left out.
    table : pandas.DataFrame, optional
        What stands in the source, one row for each example: the columns of a table, or words, text, file.
    notes : list of str, optional
        Notes on how the file was read.
    target : str, optional
        Column of the targets in a table.
    readings : ReadingColumns, optional
        Columns of a long table of readings.

    Examples
    --------
    >>> Dataset(["good", "bad", "fine"], [1, 0, 1], ["row 2", "row 3", "row 4"]).subset([0, 2]).y
    [1, 1]
    """

    x: Sequences
    y: Targets | None
    names: list[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: list[str] = field(default_factory=list)
    target: str | None = None
    readings: ReadingColumns | None = None

    def subset(self, rows: Sequence[int]) -> Dataset:
        """Select examples by position, without notes and skipped rows.

        Parameters
        ----------
        rows : sequence of int
            Positions of the examples.

        Returns
        -------
        Dataset
            The selected examples, in the order of `rows`.
        """
        y = None if self.y is None else [self.y[row] for row in rows]
        table = self.table.iloc[list(rows)] if len(self.table) else self.table
        x, names = [self.x[row] for row in rows], [self.names[row] for row in rows]
        return replace(self, x=x, y=y, names=names, table=table, skipped=[], notes=[])


@dataclass(frozen=True)
class DatasetColumns(CheckedArguments):
    """Columns of a table as the user names them.

    Parameters
    ----------
    x : str, optional
        Column of the sequences.
    y : str, optional
        Column of the targets.
    id : str, optional
        Column whose values group the rows of a long table of readings into sequences.
    readings : ReadingColumns, optional
        Columns that a model was trained on.

    Examples
    --------
    >>> DatasetColumns(x="review", y="stars").id is None
    True
    """

    x: str | None = None
    y: str | None = None
    id: str | None = None
    readings: ReadingColumns | None = None


def read(
    source: str,
    layout: DatasetFormat,
    columns: DatasetColumns = DatasetColumns(),
    targets: bool = True,
    reading: ReadOptions | None = None,
) -> Dataset:
    """Read the examples of a task from a file or folder.

    Parameters
    ----------
    source : str
        A folder of recordings or videos; one recording or video; a CoNLL file; lines of text (.txt, or - for standard
        input); or a table (CSV, TSV, JSON lines or Parquet). Text files and tables may be packed by gzip or xz.
    layout : DatasetFormat
        Layout of the examples of the task, `rekur.registry.TASKS["Classifier"].dataset` for example.
    columns : DatasetColumns, optional
        Columns by name, where the names of `layout` do not fit.
    targets : bool, default True
        Whether targets are needed; without them only the sequences are read.
    reading : ReadOptions, optional
        Decimal mark, separator of thousands and sheet of a table.

    Returns
    -------
    Dataset
        The examples that can be used, and the others as `skipped`.

    Raises
    ------
    DataError
        If the source does not exist, lacks a column, or holds no usable example.

    Examples
    --------
    >>> import tempfile
    >>> from rekur.registry import TASKS
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("text,label\\ngood,1\\n,0\\nbad,0\\n")
    ...     file.flush()
    ...     reviews = read(file.name, TASKS["Classifier"].dataset)
    >>> reviews.x, reviews.y, reviews.skipped
    (['good', 'bad'], [1, 0], [('row 3', "no value in 'text'")])
    """
    path, reading = Path(source), reading or ReadOptions()
    if source != "-" and not path.exists():
        raise DataError(f"{source} does not exist: name a file or folder, or - for lines on standard input")
    if path.is_dir():
        dataset = read_folder(path, layout, targets)
    elif path.suffix.lower() in (*SOUNDS, *VIDEOS):
        dataset = Dataset([path], None, [source], table=pd.DataFrame({"file": [source]}))
    elif layout.sequence_kind == "words" and unpacked_suffix(path) in CONLL:
        dataset = read_conll(source, columns)
    elif source == "-" or unpacked_suffix(path) == ".txt":
        dataset = read_lines(source, layout)
    else:
        frame = files.read_file(source, **asdict(reading))
        dataset = read_table(frame, source, layout, columns, targets)
        dataset.notes, reading = [*file_attributes(frame).get("notes", ()), *dataset.notes], ReadOptions()
    if reading != ReadOptions():
        raise OptionError(f"--decimal, --thousands and --sheet are for tables, and {source} is none: leave them out")
    if targets and dataset.y is None and layout.has_targets:
        raise DataError(
            f"{source} holds no targets to learn from: a table with a column {_either(layout.targets)} is needed"
        )
    if dataset.y is not None and layout.target_kind == "label":
        dataset.y, notes = without_blanks(dataset.y)
        dataset.notes = [*dataset.notes, *notes]
    return decodable(dataset, source)


def read_lines(source: str, layout: DatasetFormat) -> Dataset:
    """Read the lines of a text file, named by their numbers; blank ones are left out."""
    lines = {k: line for k, line in enumerate(files.read_text(source).splitlines(), start=1) if line.strip()}
    x: Sequences = [line.split() if layout.sequence_kind == "words" else line for line in lines.values()]
    table = pd.DataFrame({"line": list(lines), "text": list(lines.values())})
    return Dataset(x, None, [f"line {k}" for k in lines], table=table)


def unpacked_suffix(path: Path) -> str:
    """Suffix of a file name in lower case, without that of gzip or xz."""
    return Path(path.name.removesuffix(".gz").removesuffix(".xz")).suffix.lower()


def read_folder(path: Path, layout: DatasetFormat, targets: bool) -> Dataset:
    """Read recordings or videos: subfolders are labels, or a .txt file of the same name holds the target text."""
    media = sorted(file for file in path.rglob("*") if file.suffix.lower() in (*SOUNDS, *VIDEOS))
    if not media:
        raise DataError(f"{path} holds no recordings or videos ({', '.join((*SOUNDS[:3], *VIDEOS[:3]))} …)")
    names = [str(file.relative_to(path)) for file in media]
    table = pd.DataFrame({"file": names})
    if not targets:
        return Dataset([*media], None, names, table=table)
    if layout.target_kind == "label":
        unlabelled = [file for file in media if file.parent == path]
        if unlabelled:
            raise DataError(
                f"{unlabelled[0]} is not in a folder of its label: sort the files into a folder for each label, or "
                "give a table"
            )
        return Dataset([*media], [file.parent.name for file in media], names, table=table)
    texts = [file.with_suffix(".txt") for file in media]
    missing = [
        (name, f"no transcript {text.name} stands beside {name}")
        for name, text in zip(names, texts, strict=True)
        if not text.exists()
    ]
    rows = [row for row, text in enumerate(texts) if text.exists()]
    y = [files.read_text(str(texts[row])).strip() for row in rows]
    return Dataset([media[row] for row in rows], y, [names[row] for row in rows], missing, table.iloc[rows])


def read_conll(source: str, columns: DatasetColumns) -> Dataset:
    """Read the sentences of a CoNLL file: a word a line, an empty line between sentences.

    Columns are split by tabs where the first line holds one, else by blanks. In CoNLL-U, ten columns split by tabs, the
    words stand in the second column and the tags (UPOS) in the fourth, else in the first and the last; `columns` may
    name others by number, counted from 1. Comments before a sentence are left out.
    """
    lines = files.read_text(source).splitlines()
    first = next((line for line in lines if line.strip() and line[0] != "#"), "")
    universal = unpacked_suffix(Path(source)) == ".conllu" or bool(CONLLU.match(first))
    numbers = [columns.x or ("2" if universal else "1"), columns.y or ("4" if universal else "0")]
    if not all(number.isdigit() for number in numbers):
        raise OptionError(f"the columns of a CoNLL file are numbers, counted from 1, not {' and '.join(numbers)}")
    word, tag = (int(number) - 1 for number in numbers)
    separator = "\t" if "\t" in first.strip() else None
    width = len(_cells(first, separator))
    x: Sequences = [[]]
    y: Targets = [[]]
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t") if universal else _cells(line, separator)
        comment = line.startswith("#") and not x[-1] and (len(cells) != width or COMMENT.match(line))
        if not line.strip() or line.startswith("-DOCSTART-"):
            x, y = ([*x, []], [*y, []]) if x[-1] else (x, y)
        elif not (comment or (universal and not cells[0].isdigit())):
            if len(cells) <= max(word, tag, 1):
                needed = f"{plural(len(cells), 'column')} where {max(word, tag, 1) + 1} are needed"
                cure = "write a word and its tag, split by a tab, and an empty line after each sentence"
                raise DataError(f"line {number} of {source}, {line!r}, has {needed}: {cure}")
            if len(cells[tag].split()) != 1:
                cure = f"write {'_'.join(cells[tag].split())!r}"
                raise DataError(f"the tag {cells[tag]!r} in line {number} of {source} holds a blank: {cure}")
            x[-1].append(cells[word])
            y[-1].append(cells[tag])
    x, y = [row for row in x if row], [row for row in y if row]
    table = pd.DataFrame({"sentence": range(1, len(x) + 1), "words": [" ".join(words) for words in x]})
    return Dataset(x, y, [f"sentence {k + 1}" for k in range(len(x))], table=table)


def _cells(line: str, separator: str | None) -> list[str]:
    """The columns of a line that are not empty, without blanks around them."""
    return [cell.strip() for cell in line.split(separator) if cell.strip()]


def read_table(
    frame: pd.DataFrame, source: str, layout: DatasetFormat, columns: DatasetColumns, targets: bool
) -> Dataset:
    """Read a table with a column of texts or paths (relative to the table's folder), or of readings grouped by `id`."""
    for name in (columns.x, columns.y, columns.id):
        if name is not None and name not in frame.columns:
            raise missing_column(source, name, map(str, frame.columns))
    y_name = columns.y or _first(frame, layout.targets, columns.x)
    if columns.id is not None:
        return grouped_readings(frame, source, columns, y_name, targets, layout)
    x_name = columns.x or _first(frame, layout.sequences, y_name)
    path_name = _first(frame, PATH_COLUMNS, y_name)
    if layout.target_kind == "label" and columns.x is None and path_name not in (None, x_name):
        raise DataError(f"{source} has texts in {x_name!r} and paths in {path_name!r}; name the one to read, with --x")
    _check_header(frame, source, layout, columns, x_name)
    if x_name is None:
        raise DataError(_no_column(frame, source, layout.sequences, _sequence_cure(frame, layout, columns.y)))
    if targets and y_name is None and layout.has_targets:
        raise DataError(_no_column(frame, source, layout.targets, "name the one to learn with --y"))
    frame = with_whole_numbers(frame)
    y_name = y_name if targets and layout.has_targets else None
    used = [x_name] if y_name is None else [x_name, y_name]
    blank = [x_name, y_name] if layout.target_kind == "label" else [x_name]  # a text of blanks alone is a target
    lacking = {
        name: frame[name].isna().to_numpy()
        | ((frame[name].astype(str).str.strip() == "").to_numpy() if name in blank else False)
        for name in used
    }
    unusable = np.any([*lacking.values()], axis=0)
    skipped = [
        (row_name(row), f"no value in {next(name for name in used if lacking[name][row])!r}")
        for row in np.flatnonzero(unusable).tolist()
    ]
    rows = np.flatnonzero(~unusable).tolist()
    texts = [str(cell) for cell in frame[x_name].iloc[rows]]
    x: Sequences = [*texts]
    names = [row_name(row) for row in rows]
    if x_name.strip().lower() in PATH_COLUMNS or layout.sequence_kind == "path":
        x, names = [Path(source).parent / text for text in texts], texts
    elif layout.sequence_kind == "words":
        x = [text.split() for text in texts]
    y = None if y_name is None else _targets(frame[y_name].iloc[rows].tolist(), layout)
    if y is not None and layout.target_kind == "tags":
        _check_tags(x, y, names, source, used)
    return Dataset(x, y, names, skipped, frame.iloc[rows], target=y_name)


def _check_header(
    frame: pd.DataFrame, source: str, layout: DatasetFormat, columns: DatasetColumns, x_name: str | None
) -> None:
    """Raise a DataError where the first line of a file holds data in place of names of columns.

    It does where a column named by the user has the name of one of its cells and is a sentence. Without a column of
    sequences it does where a name is a number or long, or all of them are sentences.
    """
    names = [str(name) for name in frame.columns]
    sentences = [name for name in names if len(name.split()) > 2]
    data = [name for name in (columns.x, columns.y) if name in sentences and (frame[name] == name).any()]
    if x_name is None:
        all_sentences = len(names) > 1 and len(sentences) == len(names)
        data += [name for name in names if all_sentences or len(name) > LONG_NAME or NUMBER.fullmatch(name)]
    if data:
        header = " and ".join(repr(names[0]) for names in (layout.sequences, layout.targets) if names)
        raise DataError(
            f"{source} has no names of columns: its first line looks like data, {data[0][:LONG_NAME]!r}; write a line "
            f"with names above it, such as {header}"
        )


def _sequence_cure(frame: pd.DataFrame, layout: DatasetFormat, y_name: str | None) -> str:
    """What to do where no column of sequences is recognised."""
    if y_name is not None and _first(frame[[y_name]], layout.sequences, None):
        return f"{y_name!r} is named by --y: name the column of the targets with --y, or another one to read with --x"
    grouping = None if layout.target_kind != "label" else _grouping_column(frame, y_name)
    readings = "" if grouping is None else f", or the one that groups rows of readings into sequences: --id {grouping}"
    return f"name the one to read with --x{readings}"


def _grouping_column(frame: pd.DataFrame, y_name: str | None) -> str | None:
    """The first column whose values group the rows of a long table of readings, of one label each; None without one."""
    if not frame.drop(columns=y_name or []).select_dtypes("number").shape[1]:
        return None
    for name in (str(column) for column in frame.columns if column != y_name):
        groups = frame.groupby(name)
        alike = y_name is None or int(groups[y_name].nunique().max()) == 1
        if 1 < groups.ngroups <= len(frame) // 2 and alike:
            return name
    return None


def _check_tags(x: Sequences, y: Targets, names: list[str], source: str, columns: Sequence[str]) -> None:
    """Raise a DataError unless there is a tag for each word."""
    for words, tags, name in zip(x, y, names, strict=True):
        if len(words) != len(tags):
            count, tag_count = plural(len(words), "word"), plural(len(tags), "tag")
            cure = "write one for each word, split by blanks, or name other columns with --x and --y"
            raise DataError(
                f"{name} of {source} has {count} in {columns[0]!r} but {tag_count} in {columns[1]!r}: {cure}"
            )


def _targets(cells: list[Any], layout: DatasetFormat) -> Targets:
    """The targets of a task from the cells of its column."""
    if layout.target_kind == "label":
        return cells
    return [str(cell).split() if layout.target_kind == "tags" else str(cell) for cell in cells]


def _first(frame: pd.DataFrame, names: Iterable[str], excluded: str | None) -> str | None:
    """The first of `names` that is a column of the table and not `excluded`, if need be ignoring case and blanks."""
    columns = [str(column) for column in frame.columns if column != excluded]
    plain = {column.strip().lower(): column for column in reversed(columns)}
    exact = next((name for name in names if name in columns), None)
    return exact or next((plain[name] for name in names if name in plain), None)


def _no_column(frame: pd.DataFrame, source: str, names: Sequence[str], cure: str) -> str:
    """Message that a table has none of some columns, with those it has."""
    return f"{source} has no column {_either(names)}; its columns are {quoted(map(str, frame.columns))}: {cure}"


def _either(names: Sequence[str]) -> str:
    """Column names for a message: text or sentence or tokens."""
    return " or ".join(names)


def grouped_readings(
    frame: pd.DataFrame, source: str, columns: DatasetColumns, y_name: str | None, targets: bool, layout: DatasetFormat
) -> Dataset:
    """Sequences of a long table of readings with one label each."""
    assert columns.id is not None
    known = columns.readings
    if known is not None and columns.y is None:
        y_name = _first(frame, () if known.target is None else (known.target,), columns.id)
    readings = read_readings(frame, source, columns.id, y_name, known)
    table = pd.DataFrame({columns.id: readings.ids})
    dataset = Dataset(readings.x, None, [str(key) for key in readings.ids], table=table)
    dataset.notes, dataset.readings = readings.notes, readings.columns
    if not targets:
        return dataset
    if y_name is None:
        raise DataError(_no_column(frame, source, layout.targets, "name the one to learn with --y"))
    labels, missing = with_whole_numbers(frame[[y_name]])[y_name].tolist(), frame[y_name].isna().tolist()
    labelled: list[int] = []
    skipped: list[tuple[str, str]] = []
    for k, (name, rows) in enumerate(zip(dataset.names, readings.rows, strict=True)):
        seen = [(labels[row], row) for row in rows if not missing[row]]
        other = next((row for row in rows if missing[row] or labels[row] != seen[0][0]), None) if seen else None
        if other is not None:
            first, second = (f"{labels[row]!r} in {row_name(int(row))}" for row in sorted((seen[0][1], other)))
            raise DataError(
                f"{columns.id} {name!r} of {source} has several labels in {y_name!r}, {first} and {second}: give each "
                "sequence one label"
            )
        if seen:
            labelled.append(k)
        else:
            skipped.append((name, f"no label in {y_name!r}"))
    y = [labels[readings.rows[k][0]] for k in labelled]
    return replace(dataset.subset(labelled), y=y, target=y_name, skipped=skipped, notes=dataset.notes)


def decodable(dataset: Dataset, source: str) -> Dataset:
    """The examples without media files that cannot be decoded; each file is decoded once to find out."""
    rows, skipped = [], list(dataset.skipped)
    for row, value in enumerate(dataset.x):
        try:
            if isinstance(value, Path):
                check_media(value)
            rows.append(row)
        except DataError as error:
            skipped.append((dataset.names[row], str(error)))
    if not rows:
        raise DataError(f"no row of {source} can be used: {_reasons(skipped) or 'it has no rows'}")
    return replace(dataset.subset(rows), skipped=skipped, notes=dataset.notes)


def _reasons(skipped: Sequence[tuple[str, str]]) -> str:
    """Why examples were left out, the most frequent reason first, with counts where there are several."""
    kinds: dict[str, list[str]] = {}
    for name, reason in skipped:
        kinds.setdefault(reason.partition(name)[2] or reason, []).append(reason)
    reasons = sorted(kinds.values(), key=len, reverse=True)
    if len(skipped) == 1 or not reasons:
        return "".join(each[0] for each in reasons)
    more = [f"{len(reasons) - SHOWN_REASONS:,} more reasons"] if len(reasons) > SHOWN_REASONS else []
    return "; ".join([*(f"{each[0]} ({plural(len(each), 'row')})" for each in reasons[:SHOWN_REASONS]), *more])


def check_media(path: Path) -> None:
    """Raise a DataError unless a recording or video can be decoded to its end and is not too long."""
    if path.suffix.lower() in VIDEOS:
        video.count_frames(path, video.Video().max_seconds)
        for _ in video.decoded(path, 8):
            pass
    else:
        audio.count_samples(path, audio.Audio().max_seconds)
        audio.wave(os.fspath(path))
