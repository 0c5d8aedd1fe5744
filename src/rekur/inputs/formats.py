"""Layout of the examples of a task in tables and folders: column names, kinds of sequences and of targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["PATH_COLUMNS", "TEXT_COLUMNS", "DatasetFormat"]

PATH_COLUMNS = ("path", "file", "filename")
"""Column names of paths of recordings or videos."""

TEXT_COLUMNS = ("text", "sentence", "tokens", "words")
"""Column names of texts."""


@dataclass(frozen=True)
class DatasetFormat:
    """Layout of the examples of one task in a table, a text file or a folder.

    Parameters
    ----------
    sequences : tuple of str
        Column names of the sequences; the first one in the table is read.
    targets : tuple of str, default ()
        Column names of the targets; the first one in the table is read.
    sequence_kind : {"any", "words", "path"}, default "any"
        "words" splits a text at blanks, "path" reads every value as the path of a recording or video.
    target_kind : {"label", "tags", "text", "none"}, default "none"
        "label" keeps the values of the column and takes folder names as labels, "tags" splits a text at blanks,
        "text" reads a text, "none" is for tasks without targets.

    Examples
    --------
    >>> captions = DatasetFormat(("path",), ("caption",), "path", "text")
    >>> captions.has_targets
    True
    """

    sequences: tuple[str, ...]
    targets: tuple[str, ...] = ()
    sequence_kind: Literal["any", "words", "path"] = "any"
    target_kind: Literal["label", "tags", "text", "none"] = "none"

    @property
    def has_targets(self) -> bool:
        """Whether the task has targets in addition to the sequences."""
        return self.target_kind != "none"
