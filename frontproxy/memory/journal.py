"""The journal: what was seen of recent sessions, and what they taught, so that it can be judged anew or taken back.

It is a file of its own beside the history, and worth less: whatever is wrong with it, mail and history go on. What has
happened waits in memory, within bounds, and a thread writes it every half second. A file that cannot be used is set
aside, and the journal begins anew. A session is noted when it is given away, and written when its outcome is known, or
has not been told for a long time.
"""

import sqlite3
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import trio

from frontproxy.core.history import Lesson
from frontproxy.core.level import Forgetting
from frontproxy.core.outcome import Weight
from frontproxy.core.session import Session
from frontproxy.core.verdict import Verdict
from frontproxy.memory.journal_rows import End, Entry, KeptLesson, entry_row, lesson_row
from frontproxy.memory.journal_table import (
    LESSONS_KEPT,
    LESSONS_LIMIT,
    SESSIONS_LIMIT,
    Batch,
    JournalTable,
    Unusable,
    set_aside,
)
from frontproxy.memory.journal_tallies import Tallies, Tally
from frontproxy.memory.journal_waiting import Waiting
from frontproxy.memory.troubles import TROUBLES, Log
from frontproxy.wire.outcome_line import OutcomeLine

HOLD = 900.0
"""Seconds for which the outcome of a session may stay untold."""

_FLUSH_PAUSE = 0.5  # seconds
_LONGEST_PAUSE = 60.0  # seconds between two tries while the disk takes nothing
_LAST_FLUSH = 5.0  # seconds for what is left when we are told to end
_SIZE_EVERY = 3600.0  # seconds between two looks for what is too old
_LESSONS_SINCE = "lessons_since"


class Journal:
    """Made by `open`; somebody must `run` it. A reload may set `forgetting` anew at any time."""

    def __init__(self, path: Path | None, *, log: Log, clock: Callable[[], float]) -> None:
        """Nothing is kept without a path."""
        self.forgetting: Forgetting | None = None
        """By which history forgets now; what is recorded is founded on it."""
        self.lessons_since = 0.0
        """All that was learned since then (seconds since 1970) can be taken back."""
        self.tallies = Tallies()
        self._path = path
        self._log = log
        self._clock = clock
        self._table: JournalTable | None = None
        self._waiting = Waiting()
        self._writing = trio.Lock()
        self._limiter = trio.CapacityLimiter(1)
        self._pause = _FLUSH_PAUSE
        self._trouble = ""
        self._set_aside = ""  # why a thread began anew: it must not use the log itself, nor the clock
        self._size_seen = 0.0

    @classmethod
    def open(cls, path: Path, *, log: Log, clock: Callable[[], float] = time.time) -> Self:
        """Open or make the file; blocks. Raises nothing: what is wrong is logged, and tried again by `run`."""
        journal = cls(path, log=log, clock=clock)
        try:
            journal.tallies.restore(journal._open_table(path, clock()).tallies())
        except TROUBLES as error:
            journal._note_failure(error)
        journal._tell_of_set_aside()
        return journal

    def close(self) -> None:
        """Close the file; what no flush has written is lost."""
        if self._table:
            self._table.close()
        self._table = None

    def learned(self, lesson: Lesson) -> None:
        """A session has taught something."""
        if self._path:
            self._waiting.learned(lesson)

    def given(self, session: Session, pool: str) -> None:
        """A session was handed over to a pool."""
        if tally := self._counted(session.verdict):
            tally.handed += 1
            self._waiting.given(session, pool)

    def ended(self, session: Session, pool: str, line: OutcomeLine, weight: Weight, wall: float) -> None:
        """The outcome of a session given to a pool is known; `wall` is now, in seconds since 1970."""
        if self._path and session.verdict.seen:
            self._count_outcome(session.verdict, weight, wall)
            self._waiting.ended(session, pool, _end_of(line, weight))

    def foreign(self, verdict: Verdict, line: OutcomeLine, weight: Weight, wall: float) -> None:
        """The outcome of a session is known that others have let in; its client got this verdict as it was told."""
        if tally := self._counted(verdict):
            tally.handed += 1
            self._count_outcome(verdict, weight, wall)
            self._waiting.foreign(verdict, _end_of(line, weight))

    def refused(self, session: Session) -> None:
        """A session was turned away with a reply."""
        if self._counted(session.verdict):
            self._waiting.refused(session)

    def troubles(self) -> list[str]:
        """What is wrong with the file now, for the operator."""
        return [self._trouble] if self._trouble else []

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; then write once more, the sessions too whose outcome nobody has told."""
        task_status.started()
        try:
            while True:
                await trio.sleep(self._pause)
                await self.flush()
        finally:
            self._waiting.give_up(self._clock() + HOLD)
            with trio.move_on_after(_LAST_FLUSH, shield=True):
                await self._flush(abandon_on_cancel=True)

    async def flush(self) -> None:
        """Write what is not on disk yet, in one transaction. Raises nothing: what fails is logged and kept."""
        await self._flush(abandon_on_cancel=False)

    async def last_lessons(self, since: float, until: float, count: int) -> list[KeptLesson]:
        """The last lessons of that time that are on disk, newest first.

        Raises sqlite3.Error, or RuntimeError if there is no file.
        """
        async with self._writing:
            look = partial(self._opened().last_lessons, since, until, count)
            return await trio.to_thread.run_sync(look, limiter=self._limiter)

    async def drop_lessons(self, numbers: Sequence[int]) -> None:
        """These lessons have been taken back. Raises sqlite3.Error, or RuntimeError if there is no file."""
        async with self._writing:
            await trio.to_thread.run_sync(self._opened().drop_lessons, numbers, limiter=self._limiter)

    def _opened(self) -> JournalTable:
        if self._table is None:
            raise RuntimeError(self._trouble or "no journal is kept")
        return self._table

    def _counted(self, verdict: Verdict) -> Tally | None:
        """Count a session: the tally of its hour, or None if it is nobody's (a health check), or nothing is kept."""
        seen = verdict.seen
        if not self._path or seen is None:
            return None
        tally = self.tallies.at(seen.wall)
        tally.sessions += 1
        tally.known += seen.is_known
        return tally

    def _count_outcome(self, verdict: Verdict, weight: Weight, wall: float) -> None:
        tally = self.tallies.at(wall)
        tally.told += 1
        if weight.good > weight.bad:
            tally.good += 1
            tally.friends += verdict.standing == "friend"

    async def _flush(self, *, abandon_on_cancel: bool) -> None:
        if not self._path:
            return
        async with self._writing:
            now = self._clock()
            self._waiting.give_up(now - HOLD)
            sessions, lessons = self._waiting.take()
            tallies = self.tallies.take_changed()
            self.lessons_since = max(self.lessons_since, self._waiting.lesson_lost)
            arguments = (self._path, sessions, lessons, tallies, now)
            try:
                written = await trio.to_thread.run_sync(
                    self._write, *arguments, abandon_on_cancel=abandon_on_cancel, limiter=self._limiter
                )
            except TROUBLES as error:
                self._waiting.give_back(sessions, lessons)
                self.tallies.give_back(tallies)
                self._note_failure(error)
            except Exception as bug:  # noqa: BLE001  a bug in writing must not end the proxy, nor come back for ever
                self._log("journal", state="trouble", text=repr(bug)[:200], traceback=traceback.format_exc()[-900:])
            else:
                self.tallies.restore(written)
                self._note_success()
            self._tell_of_set_aside()

    def _write(
        self,
        path: Path,
        sessions: Sequence[Entry],
        lessons: Sequence[Lesson],
        tallies: Mapping[int, Tally],
        now: float,
    ) -> Mapping[int, Tally]:
        """In a thread. Returns the tallies of a file that has just been opened."""
        found: Mapping[int, Tally] = {}
        if self._table and not self._table.is_in_place():
            self._set_aside = f"{path} was removed or replaced under us, and the journal begins anew"
            self.close()
        if (table := self._table) is None:
            table = self._open_table(path, now)
            found = table.tallies()
        if sessions or lessons or tallies:
            rows = [lesson_row(lesson) for lesson in lessons if lesson.t > now - LESSONS_KEPT]
            table.write(Batch(rows, [entry_row(entry) for entry in sessions], tallies, self._facts()))
        is_much = table.sessions > SESSIONS_LIMIT or table.lessons > LESSONS_LIMIT * 1.02
        if is_much or abs(now - self._size_seen) > _SIZE_EVERY:
            self._size_seen = now
            self.lessons_since = max(self.lessons_since, table.keep_to_size(now))
        return found

    def _facts(self) -> dict[str, float]:
        facts = {_LESSONS_SINCE: self.lessons_since}
        if self.forgetting:
            half_lives = ("good_half_life", "bad_half_life", "evidence_cap")
            facts |= {name: getattr(self.forgetting, name) for name in half_lives}
        return facts

    def _open_table(self, path: Path, now: float) -> JournalTable:
        """Open the file, after setting aside what cannot be used. Raises what `TROUBLES` names."""
        try:
            table = JournalTable(path)
        except (Unusable, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = set_aside(path, now)
            self._set_aside = f"{path} {error}; it is now {aside.name}, and the journal begins anew"
            table = JournalTable(path)
        self.lessons_since = max(self.lessons_since, table.facts().get(_LESSONS_SINCE, now))
        table.write(Batch(facts=self._facts()))
        self._table = table
        return table

    def _tell_of_set_aside(self) -> None:
        if self._set_aside:
            self._log("journal", state="trouble", text=self._set_aside)
        self._set_aside = ""

    def _note_failure(self, error: BaseException) -> None:
        text = f"the journal cannot be written ({error}); `preview` and `learn undo` miss what happens meanwhile"
        if text != self._trouble:
            self._log("journal", state="trouble", text=text)
        self._trouble = text
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with suppress(sqlite3.Error):  # it is damaged: the next try looks at it, and sets it aside
                self.close()
            self._table = None

    def _note_success(self) -> None:
        if self._trouble:
            dropped = self._waiting.dropped
            self._log("journal", state="recovered", text="the journal is written again", dropped=dropped)
        self._trouble, self._pause = "", _FLUSH_PAUSE


def _end_of(line: OutcomeLine, weight: Weight) -> End:
    return End(line.end, weight.good, weight.bad, line.messages)


def _tell_nobody(_event: str, /, **_values: object) -> None:
    """There is nothing to tell of what is not kept."""


NOTHING_KEPT = Journal(None, log=_tell_nobody, clock=time.time)
"""For those who learn in bulk, and for tests: it keeps nothing."""
