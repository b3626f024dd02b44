"""Keeping the history file within its size, and a good copy of it beside it. The looking is done in worker threads.

When a level has more rows than it may, those that are least worth keeping are doomed: a friend of years who has
been silent for a month stays, a million strangers who did one thing each go. They are chosen by one pass over the
level, more than needed at a time, and then deleted bit by bit, with the ordinary writes. So go the oldest hours of what
was told, when these keys are too many.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from frontproxy.core.level import Forgetting
from frontproxy.memory.copies import copied_at, renew_copy
from frontproxy.memory.rows import LEVELS
from frontproxy.memory.table import FORGOTTEN_AT_ONCE, Table, Written
from frontproxy.memory.told import first_key, hour_after

_AT_ONCE = 5000  # rows deleted in one transaction, so that a write stays short
_CHOSEN = 50_000  # rows chosen in one pass, so that a limit that was lowered does not fill the memory
_SHARE = 64  # of the limit goes beyond the excess, so that the table is not read through for every newcomer
_COPY_AGE = 86400.0
_COPY_RETRY = 3600.0


class Upkeep:
    """The size and the copy of one table."""

    def __init__(self, kept: Table, *, clock: Callable[[], float], limiter: trio.CapacityLimiter) -> None:
        self._table = kept
        self._clock = clock
        self._limiter = limiter
        self.path = kept.path
        self._doomed: deque[tuple[bytes, float]] = deque()
        self._copy_tried = 0.0
        self._counted = False
        self._told = 0
        self._told_before = 0
        self._forgetting_told = False  # by the write that is at work
        self._identity = _identity(kept.path)
        self.rows = dict.fromkeys(LEVELS, 0)
        """How many rows each level has on disk."""
        self.last_copy = copied_at(kept.path)
        """When the last good copy was made, in seconds since 1970; None if there is none."""

    def is_in_place(self) -> bool:
        """The file we have open is still the one at its path."""
        return _identity(self.path) == self._identity

    def count(self) -> None:
        """Count the rows (this blocks). Raises sqlite3.Error."""
        self.rows, self._told = self._table.count()
        self._counted = True

    def written(self, done: Written) -> None:
        """A write has done so much."""
        self.rows = {level: self.rows[level] + done.rows[level] for level in LEVELS}
        self._told += done.told - done.forgotten
        if self._forgetting_told and done.forgotten < FORGOTTEN_AT_ONCE:
            self._told_before = 0

    def take_told_before(self) -> int:
        """Keys of what was told that are less than this shall go with the next write; 0 if none shall."""
        self._forgetting_told = self._told_before > 0
        return self._told_before

    def take_doomed(self) -> list[tuple[bytes, float]]:
        """Key and `t` of rows that the next write shall delete, unless they were touched since."""
        return [self._doomed.popleft() for _row in range(min(_AT_ONCE, len(self._doomed)))]

    async def doom_told(self, limit: int) -> float | None:
        """Choose the oldest hours to go if more than `limit` keys of what was told are there. Raises sqlite3.Error.

        Returns since when what was told is known from now on; None if nothing goes.
        """
        excess = self._told - limit
        if excess <= 0 or self._told_before:
            return None
        nth = partial(self._table.nth_told, excess + limit // _SHARE)
        since = hour_after(await trio.to_thread.run_sync(nth, limiter=self._limiter))
        self._told_before = first_key(since)
        return since

    async def doom(self, limit: int, forgetting: Forgetting) -> None:
        """Choose what must go from the levels that have more than `limit` rows. Raises sqlite3.Error."""
        if self._doomed:
            return
        if not self._counted:
            await trio.to_thread.run_sync(self.count, limiter=self._limiter)
        for level in LEVELS:
            excess = self.rows[level] - limit
            if excess > 0:
                choose = partial(
                    self._table.choose,
                    level,
                    "least",
                    min(_CHOSEN, excess + limit // _SHARE),
                    now=self._clock(),
                    forgetting=forgetting,
                )
                rows = await trio.to_thread.run_sync(choose, limiter=self._limiter)
                self._doomed.extend((row[0], row[1]) for row in rows)

    async def copy_if_due(self) -> str | None:
        """Write the daily copy if it is time; one that failed is tried again after an hour.

        Returns what there is to tell of it, which mostly is nothing; None if it was not time.
        Raises sqlite3.Error, OSError or soundness.Damaged; the last good copy is then still there.
        """
        now = self._clock()
        if (
            abs(now - (self.last_copy or 0.0)) < _COPY_AGE  # one that is dated in the future is no reason to wait
            or abs(now - self._copy_tried) < _COPY_RETRY
            or not any(self.rows.values())
        ):
            return None
        self._copy_tried = now
        told = await trio.to_thread.run_sync(renew_copy, self.path, limiter=self._limiter)
        self.last_copy = now
        return told


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
