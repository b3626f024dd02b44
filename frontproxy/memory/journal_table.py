"""The tables of the journal file: every SQL statement about them. All calls block."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from os.path import samestat
from pathlib import Path

from frontproxy.core.history import Lesson
from frontproxy.memory.connections import transaction
from frontproxy.memory.copies import make_private
from frontproxy.memory.journal_rows import KeptLesson, Row, lesson_from
from frontproxy.memory.journal_tallies import HOURS_KEPT, Tally

APPLICATION = 0x66706A6C
"""Marks the file as ours (PRAGMA application_id): "fpjl"."""
VERSION = 2
"""Of what stands in it (PRAGMA user_version)."""

SESSIONS_LIMIT = 200_000
LESSONS_LIMIT = 1_000_000
SESSIONS_KEPT = 30 * 86400.0
LESSONS_KEPT = 14 * 86400.0

_AT_ONCE = 2000  # rows that are read, or lessons that go, in one step
_LOG_LIMIT = 16 << 20  # bytes of the write-ahead log
_BUSY = 5.0  # seconds
_SIDE_FILES = ("", "-wal", "-shm")
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS session (id INTEGER PRIMARY KEY, t REAL NOT NULL, stands_for REAL NOT NULL,"
    " known INTEGER NOT NULL, client BLOB NOT NULL, pool TEXT NOT NULL, route TEXT, would TEXT,"
    " score REAL NOT NULL, pinned INTEGER NOT NULL, stress TEXT NOT NULL, reasons TEXT NOT NULL, end TEXT NOT NULL,"
    " good REAL NOT NULL, bad REAL NOT NULL, messages INTEGER NOT NULL, facts BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS lesson (id INTEGER PRIMARY KEY, t REAL NOT NULL, client BLOB NOT NULL,"
    " asn INTEGER NOT NULL, domain TEXT NOT NULL, good REAL NOT NULL, bad REAL NOT NULL, weight REAL NOT NULL,"
    " evidence REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tally (hour INTEGER PRIMARY KEY, sessions INTEGER, known INTEGER, handed INTEGER,"
    " told INTEGER, good INTEGER, friends INTEGER)",
    "CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value REAL NOT NULL)",
)
_PUT_SESSION = "INSERT INTO session VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_LESSON = "INSERT INTO lesson VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_TALLY = "INSERT OR REPLACE INTO tally VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_FACT = "INSERT OR REPLACE INTO fact VALUES (?, ?)"
_THIN = (
    "DELETE FROM session WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM session"
    " WHERE known = ?) WHERE place % 2 = 1)"
)
_COUNT_TWICE = "UPDATE session SET stands_for = stands_for * 2 WHERE known = ?"
_COUNT_SESSIONS = "SELECT count(*) FROM session"
_COUNT_LESSONS = "SELECT count(*) FROM lesson"
_GOING = "SELECT max(t) FROM lesson WHERE t < ? OR id <= ?"
_LET_GO = "DELETE FROM lesson WHERE t < ? OR id <= ?"
_LAST = "SELECT * FROM lesson WHERE t >= ? AND t < ? ORDER BY id DESC LIMIT ?"


class Unusable(Exception):
    """There is a file that is no journal of this version; says what it is."""


@dataclass(slots=True)
class Batch:
    """What is written in one transaction."""

    lessons: Sequence[Row] = ()
    sessions: Sequence[Row] = ()
    tallies: Mapping[int, Tally] = field(default_factory=dict)
    """Those that have changed, by the hour since 1970."""
    facts: Mapping[str, float] = field(default_factory=dict)


class JournalTable:
    """The file, opened to be written. Every method raises sqlite3.Error when the disk or the file is in trouble."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it. Raises OSError, sqlite3.Error, or Unusable."""
        make_private(path)
        self.path = path
        self._connection = _connected(path)
        self._file = path.stat()
        self.sessions = self.lessons = 0
        self._count()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def is_in_place(self) -> bool:
        """Whether the file we have open is still the one at its path."""
        try:
            return samestat(self.path.stat(), self._file)
        except OSError:
            return False

    def write(self, batch: Batch) -> None:
        """Write all of it, or nothing."""
        with transaction(self._connection) as connection:
            connection.executemany(_PUT_LESSON, batch.lessons)
            connection.executemany(_PUT_SESSION, batch.sessions)
            tallies = [(hour, *astuple(tally)) for hour, tally in batch.tallies.items()]
            connection.executemany(_PUT_TALLY, tallies)
            connection.executemany(_PUT_FACT, batch.facts.items())
        self.lessons += len(batch.lessons)
        self.sessions += len(batch.sessions)

    def facts(self) -> dict[str, float]:
        """Single numbers, by their name."""
        return dict(self._connection.execute("SELECT name, value FROM fact"))

    def tallies(self) -> dict[int, Tally]:
        """By the hour since 1970."""
        return {row[0]: Tally(*row[1:]) for row in self._connection.execute("SELECT * FROM tally")}

    def keep_to_size(self, now: float) -> float:
        """Let go of what is too old or too much; returns the time of the latest lesson that went, 0.0 if none did.

        Of strangers' sessions every second one goes and the others count twice, or, when they are the lesser part,
        of the sessions of known clients.
        """
        with transaction(self._connection) as connection:
            connection.execute("DELETE FROM session WHERE t < ?", (now - SESSIONS_KEPT,))
            connection.execute("DELETE FROM tally WHERE hour < ?", (int(now // 3600) - HOURS_KEPT,))
            if self.sessions > SESSIONS_LIMIT:
                (strangers,) = connection.execute("SELECT count(*) FROM session WHERE known = 0").fetchone()
                known = int(strangers * 2 < self.sessions)
                connection.execute(_THIN, (known,))
                connection.execute(_COUNT_TWICE, (known,))
            lost = self._forget_lessons(connection, now)
        self._count()
        return lost

    def last_lessons(self, since: float, until: float, count: int) -> list[KeptLesson]:
        """The last lessons of that time, newest first."""
        rows = self._connection.execute(_LAST, (since, until, count)).fetchall()
        return [KeptLesson(row[0], _lesson_in(row)) for row in rows]

    def drop_lessons(self, numbers: Sequence[int]) -> None:
        """These lessons have been taken back."""
        with transaction(self._connection) as connection:
            connection.executemany("DELETE FROM lesson WHERE id = ?", [(number,) for number in numbers])
        self.lessons -= len(numbers)

    def _forget_lessons(self, connection: sqlite3.Connection, now: float) -> float:
        """Those that are too old, and of too many the first."""
        (last,) = connection.execute("SELECT max(id) FROM lesson").fetchone()
        bounds = (now - LESSONS_KEPT, (last or 0) - LESSONS_LIMIT)
        (lost,) = connection.execute(_GOING, bounds).fetchone()
        connection.execute(_LET_GO, bounds)
        return float(lost or 0.0)

    def _count(self) -> None:
        (self.sessions,) = self._connection.execute(_COUNT_SESSIONS).fetchone()
        (self.lessons,) = self._connection.execute(_COUNT_LESSONS).fetchone()


def _lesson_in(row: Row) -> Lesson | None:
    try:
        return lesson_from(row[1:])
    except (TypeError, ValueError):
        return None


def journal_path(history: Path) -> Path:
    """Where the journal stands: beside the history, `history.journal.sqlite3` of `history.sqlite3`."""
    return history.with_name(f"{history.stem}.journal{history.suffix}")


def set_aside(path: Path, now: float) -> Path:
    """Move a journal that cannot be used out of the way; returns where it is now. Raises OSError."""
    aside = path.with_name(f"{path.name}.set-aside-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}")
    for suffix in _SIDE_FILES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def read_sessions(path: Path) -> Iterator[list[Row]]:
    """The sessions of a journal, oldest first, many at a time; the proxy may be running.

    Raises sqlite3.Error or Unusable.
    """
    with closing(_reader(path)) as connection:
        after = 0
        while rows := connection.execute("SELECT * FROM session WHERE id > ? LIMIT ?", (after, _AT_ONCE)).fetchall():
            after = rows[-1][0]
            yield rows


def summary(path: Path) -> tuple[int, dict[str, float]]:
    """How many sessions there are, and the single numbers. Raises sqlite3.Error or Unusable."""
    with closing(_reader(path)) as connection:
        (sessions,) = connection.execute(_COUNT_SESSIONS).fetchone()
        return int(sessions), dict(connection.execute("SELECT name, value FROM fact"))


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            _check(connection)
            _check_soundness(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT}")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for statement in _SCHEMA:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY, isolation_level=None)
    try:
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raise Unusable unless it is a journal of our version."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise Unusable("is no journal")
    if version != VERSION:
        raise Unusable(f"was written by another frontproxy (version {version}, this one knows {VERSION})")


def _check_soundness(connection: sqlite3.Connection) -> None:
    """Raise Unusable if the file is damaged."""
    complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if complaint != "ok":
        raise Unusable(f"is damaged: {' '.join(str(complaint).split())[:200]}")
