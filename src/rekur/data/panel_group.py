"""Tables of different frequency, read as one where times and values of single series are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rekur.core import Array
from rekur.data.frequency.frequency import Frequency
from rekur.data.panel import Columns, Panel


@dataclass(frozen=True)
class PanelGroup:
    """The series of several tables, one table after another, as in `parts`.

    What is asked of it goes by the number of a series among all; each part keeps its own frequency.
    """

    parts: tuple[Panel, ...]

    @cached_property
    def first(self) -> Array:
        """The number of the first series of each part, and how many there are in all, (parts + 1,)."""
        return np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def ids(self) -> Array:
        """The labels of all series, (S,)."""
        return np.concatenate([part.ids for part in self.parts])

    @property
    def lengths(self) -> Array:
        """The number of rows of each series, (S,)."""
        return np.concatenate([part.lengths for part in self.parts])

    @property
    def y(self) -> Array:
        """The values of all series, (N,)."""
        return np.concatenate([part.y for part in self.parts])

    @property
    def freqs(self) -> tuple[Frequency, ...]:
        """The frequency of each part."""
        return tuple(freq for part in self.parts for freq in part.freqs)

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """What the labels of each covariate are, the same in all parts."""
        return self.parts[0].labels

    @property
    def columns(self) -> Columns:
        """The names of the user's columns."""
        return self.parts[0].columns

    @property
    def tz(self) -> str | None:
        """The time zone of the user's times."""
        return self.parts[0].tz

    @property
    def wide(self) -> bool:
        """A wide table has one frequency."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found in each part."""
        return tuple(f"{part.freq.name}: {note}" for part in self.parts for note in part.notes)

    @property
    def skipped(self) -> tuple[tuple[Any, str], ...]:
        """The series left out, and why."""
        return tuple(each for part in self.parts for each in part.skipped)

    def owner(self, s: int) -> tuple[Panel, int]:
        """The part that holds series s, and its number there."""
        k = int(np.searchsorted(self.first, s, side="right")) - 1
        return self.parts[k], s - int(self.first[k])

    def length(self, s: int) -> int:
        """The number of rows of series s."""
        part, own = self.owner(s)
        return part.length(own)

    def values(self, s: int) -> Array:
        """The values of series s, (n,)."""
        part, own = self.owner(s)
        return part.values(own)

    def step(self, s: int) -> Frequency:
        """The frequency of series s."""
        return self.owner(s)[0].freq

    def at(self, series: Array, rows: Array) -> Array:
        """The times of rows of series, in UTC where there is a zone; both broadcast."""
        return self._each(series, rows, lambda part: part.at)

    def clocks(self, series: Array, rows: Array) -> Array:
        """The times of rows of series as the clocks of the zone show them; both broadcast."""
        return self._each(series, rows, lambda part: part.clocks)

    def _each(self, series: Array, rows: Array, ask: Callable[[Panel], Callable[[Array, Array], Array]]) -> Array:
        series, rows = np.broadcast_arrays(series, rows)
        out = np.empty(series.shape, self.parts[0].start.dtype)
        for part, a, b in zip(self.parts, self.first[:-1], self.first[1:], strict=True):
            here = (series >= a) & (series < b)
            out[here] = ask(part)(series[here] - a, rows[here])
        return out


def parts_of(found: Panel | PanelGroup) -> tuple[Panel, ...]:
    """The tables of one frequency each."""
    return found.parts if isinstance(found, PanelGroup) else (found,)


def locate(panel: Panel | PanelGroup, s: int) -> tuple[Panel, int]:
    """The panel of one frequency that holds series s, and the position of the series there."""
    return panel.owner(s) if isinstance(panel, PanelGroup) else (panel, s)
