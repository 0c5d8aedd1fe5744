"""Time limit of a computation: one value that all its phases share."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from rekur.core import positive

LEAST = 0.001
"""Seconds of the shortest time limit."""


@dataclass(frozen=True)
class Deadline:
    """End of a computation, or of one phase of it, on the wall clock.

    Parameters
    ----------
    limit : float or None
        Time limit of the whole computation in seconds; None for no limit.
    start, end : float
        Beginning of the computation and end of the phase in seconds of `time.monotonic`.

    Examples
    --------
    >>> deadline = Deadline.after(60.0)
    >>> 29.0 < deadline.portion(0.5).remaining() <= 30.0
    True
    >>> Deadline.after(None).remaining()
    inf
    """

    limit: float | None
    start: float
    end: float

    @classmethod
    def after(cls, limit: float | None, used: float = 0.0) -> Deadline:
        """The end of a computation that begins now and has `used` a part of its seconds before, if it is resumed."""
        if limit is not None:
            positive("time_limit", limit)
        start = time.monotonic() - used
        return cls(limit, start, math.inf if limit is None else start + limit)

    def within(self, limit: float | None) -> Deadline:
        """The end that comes first: this one, or that of a computation with another limit that begins now."""
        other = Deadline.after(limit)
        return other if other.end < self.end else self

    def resumed(self, used: float) -> Deadline:
        """The same for a computation that has used some of its seconds before."""
        return replace(self, start=self.start - used, end=self.end - used)

    def remaining(self) -> float:
        """Seconds until the end, negative after it; infinite without a limit."""
        return self.end - time.monotonic()

    def seconds(self) -> float | None:
        """Seconds until the end as a time limit, above zero; None without a limit."""
        return None if self.limit is None else max(self.remaining(), LEAST)

    def elapsed(self) -> float:
        """Seconds since the beginning of the computation."""
        return time.monotonic() - self.start

    @property
    def passed(self) -> bool:
        """Whether the end has come."""
        return self.remaining() <= 0

    def portion(self, share: float) -> Deadline:
        """The end of a phase that may take a share of the time that remains."""
        if self.limit is None:
            return self
        return replace(self, end=time.monotonic() + min(share, 1.0) * max(self.remaining(), 0.0))
