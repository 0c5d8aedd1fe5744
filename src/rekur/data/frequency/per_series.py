"""The frequencies that the times of a table show: one of all series, or that of each."""

from __future__ import annotations

import numpy as np

from rekur.core import Array, DataError
from rekur.data.frequency.calendar import SPARSE, detect, regular, spacing
from rekur.data.frequency.frequencies import MANY, SOMEWHERE, FrequencyGroup, at_ends, fits, longer, parts_on, steps
from rekur.data.frequency.frequency import DAY, Frequency
from rekur.data.frequency.irregular import SHORT, is_uneven, near, size, usual
from rekur.data.ingest.sorted_rows import SortedRows

Key = tuple[str, int, bool]


def found_in(rows: SortedRows) -> list[FrequencyGroup]:
    """The frequencies of a table: one of which all steps of all series are multiples, or each series has its own.

    A series that has a longer step of its own, such as weeks among days, makes several frequencies, and so do series
    whose steps do not fit one another. Where half of the steps of a series fit no common one its times are uneven, and
    its frequency is the usual one nearest to its median step.

    Raises
    ------
    DataError : a few rows of a series stand beside the grid of the others, or no series has two times.
    """
    count = np.diff(rows.first)
    local = bool(rows.constant[count > 1].all() and count.max() > 1)
    if not local and rows.constant[count >= SHORT].any():
        return _apart(rows)
    own = rows.by(local)
    some = int(np.searchsorted(own.first, MANY))  # every row is held against what is found
    t, first = own.t[: own.first[: some + 1][-1]], own.first[: some + 1]
    spaced = spacing(t, first)
    freq = None if spaced is None else regular(t, spaced)
    if freq is not None:
        k, exact = steps(own, freq)
        if len(rows.ids) == 1 or (exact.all() and not longer(own, k, freq, len(rows.ids)).any()):
            if freq.kind == "month" and 0 < at_ends(own, freq).sum() < len(rows.ids):
                return parts_on(rows, freq, local)
            return [FrequencyGroup(freq, None, local, None, (k, exact))]
    return _apart(rows)


class _Groups:
    """Series by the frequency of each, as they are found one after another.

    home : (S,) the number of the group of each series, -1 for none yet · uneven : (S,) whether its times are uneven
    """

    def __init__(self, rows: SortedRows) -> None:
        self.clocks = {False: rows, True: rows.by(True)}
        self.freqs: dict[Key, Frequency] = {}
        self.home = np.full(len(rows.ids), -1)
        self.uneven = np.zeros(len(rows.ids), dtype=bool)

    def add(self, s: int, freq: Frequency, local: bool) -> None:
        """Put a series to those of its frequency."""
        key = freq.kind, freq.step, local
        self.freqs.setdefault(key, freq)
        self.home[s] = list(self.freqs).index(key)

    def times(self, s: int, local: bool = False) -> Array:
        """The times of a series."""
        rows = self.clocks[local]
        return rows.t[rows.first[s] : rows.first[s + 1]]

    def common(self) -> list[tuple[int, Key]]:
        """The numbers and keys of the groups, that of most series first."""
        count = np.bincount(self.home[self.home >= 0], minlength=len(self.freqs))
        keys = list(self.freqs)
        return [(int(k), keys[k]) for k in np.argsort(-count, kind="stable") if count[k]]

    def coarse(self) -> list[tuple[int, Key]]:
        """The same, that of the longest step first."""
        return sorted(self.common(), key=lambda each: -size(self.freqs[each[1]]))

    def move(self, series: Array, groups: list[tuple[int, Key]], whole: bool = False) -> Array:
        """Put series to the first of some groups that fits them; those that none of them fits are left."""
        for k, key in groups:
            if len(series):
                there = fits(self.clocks[key[2]].of(series), self.freqs[key], len(self.home), whole)
                self.home[series[there]] = k
                series = series[~there]
        return series


def _apart(rows: SortedRows) -> list[FrequencyGroup]:
    """The series by the frequency of each, the most common first."""
    groups = _Groups(rows)
    for s in range(len(rows.ids)):
        _own(groups, s, bool(rows.constant[s]))
    short = np.diff(rows.first) < SHORT
    _settle(groups, np.flatnonzero((groups.home < 0) & ~short))
    _gather(groups)
    _settle(groups, np.flatnonzero(groups.home < 0))
    parts = list[FrequencyGroup]()
    for k, key in groups.common():
        series = np.flatnonzero(groups.home == k)
        some = None if len(series) == len(rows.ids) else series
        uneven = np.where(groups.uneven[series], SOMEWHERE, np.nan)
        parts += parts_on(rows, groups.freqs[key], key[2], some, uneven)
    return parts


def _gather(groups: _Groups) -> None:
    """Put series whose longer or uneven steps may be chance to their like: rare days to days, uneven times together."""
    order, rows = groups.common(), groups.clocks[False]
    mean = (rows.t[rows.first[1:] - 1] - rows.t[rows.first[:-1]]).astype(np.int64) / np.diff(rows.first)
    for i in range(len(order) - 1, 0, -1):
        k, (_, _, local) = order[i]
        for finer in order[:i]:
            step = size(groups.freqs[finer[1]])
            if finer[1][2] == local and step < size(groups.freqs[order[i][1]]):
                series = np.flatnonzero((groups.home == k) & (~groups.uneven | (mean < SPARSE * step)))
                groups.move(series, [finer])
                groups.uneven[series[groups.home[series] != k]] = False
    count = np.bincount(groups.home[groups.uneven], minlength=len(groups.freqs))
    large = [k for k in np.argsort(-count, kind="stable") if count[k]]
    keys = list(groups.freqs)
    for s in np.flatnonzero(groups.uneven):
        t = groups.times(int(s))
        gap = float(np.median(np.diff(t).astype(np.int64)))
        groups.home[s] = next((k for k in large if near(gap, groups.freqs[keys[k]], len(t))), groups.home[s])


def _own(groups: _Groups, s: int, local: bool) -> None:
    """Group a series by a frequency of its own, if it has one."""
    t = groups.times(s, local)
    spaced = spacing(t)
    if spaced is None or len(t) < SHORT:
        return
    freq = regular(t, spaced)
    if freq is None and spaced.uneven:
        freq = usual(float(np.median(spaced.gaps)), t.dtype.kind in "iu")
        local, groups.uneven[s] = groups.clocks[False].tz is not None and size(freq) >= DAY, True
    if freq is not None:
        groups.add(s, freq, local)


def _settle(groups: _Groups, series: Array) -> None:
    """Put series of a few rows, or of no frequency of their own, to others: the most common, or longest, that fit.

    Raises
    ------
    DataError : a few of the rows of one stand beside the grid of the others.
    """
    rows = groups.clocks[False]
    constant = rows.constant[series] & (np.diff(rows.first)[series] > 1)
    for some, local in ((series[~constant], False), (series[constant], True)):
        ways = [[each for each in order if not local or each[1][2]] for order in (groups.common(), groups.coarse())]
        for s in groups.move(groups.move(some, ways[0]), ways[1], whole=True):
            _place(groups, int(s), local)


def _place(groups: _Groups, s: int, local: bool) -> None:
    """Put a series that stands on no grid of the others to one of its own, or among uneven times."""
    t = groups.times(s, local)
    spaced = spacing(t)
    freq = None if spaced is None else regular(t, spaced)
    if freq is None:
        like = groups.common()
        if spaced is not None:
            gap, uneven = float(np.median(spaced.gaps)), groups.home[groups.uneven]
            like = [(k, key) for k, key in like if k in uneven and near(gap, groups.freqs[key], len(t))]
            like = [(k, key) for k, key in like if is_uneven(t, groups.freqs[key], beside=True)]
        if like:
            groups.home[s], groups.uneven[s] = like[0][0], True
            return
    groups.add(s, freq or _refuse(groups.clocks[False], s), local)


def _refuse(rows: SortedRows, s: int) -> Frequency:
    """Raise the error of a series without a frequency."""
    own = rows.of(np.array([s]))
    try:
        return detect(own.t, own.first, own.where)
    except DataError as error:
        raise DataError(f"{rows.source}: {error}") from None
