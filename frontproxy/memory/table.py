"""The one table of the history file: every SQL statement about it. All calls block.

What eviction and ranking compare stands in columns of its own; how records become rows is `rows`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from frontproxy.core.level import Forgetting
from frontproxy.memory.rows import CLIENT, LEVELS, Record, Row, packed

APPLICATION = 0x66707879
"""Marks the file as ours (PRAGMA application_id): "fpxy"."""

VERSION = 2
"""The schema this code writes (PRAGMA user_version)."""

Order = Literal["least", "best", "worst", "busiest"]
"""By present evidence, least first; by present odds of a good session; by all evidence ever seen."""

_JOURNAL_LIMIT = 32 << 20  # bytes; a write-ahead log that grew beyond (a copy was being made) is cut back to this
_BUSY_TIMEOUT = 5.0  # seconds a writer waits for another process, such as `learn`
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS history (key BLOB PRIMARY KEY, t REAL NOT NULL, n REAL NOT NULL, good REAL NOT NULL,"
    " bad REAL NOT NULL, more BLOB) WITHOUT ROWID"
)
_READ_ONE = "SELECT key, t, n, good, bad, more FROM history WHERE key = ?"
_READ = " UNION ALL ".join([_READ_ONE] * 3)  # faster than `IN`, which builds a table of its operands first
_UPDATE = "UPDATE history SET t = ?2, n = ?3, good = ?4, bad = ?5, more = ?6 WHERE key = ?1"
_INSERT = "INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM history WHERE key = ?"
_EVICT = "DELETE FROM history WHERE key = ? AND t = ?"
_COUNT = "SELECT count(*) FROM history WHERE key >= ? AND key < ?"
# The rows of one level in some order of their present evidence. 2^-x is taken as a straight line between whole x (6 %
# off at most), since not every SQLite has exp(); that is close enough to choose by.
_CHOOSE = """
    WITH aged AS (
        SELECT *, max(0.0, (:now - t) / :good_half_life) AS x, max(0.0, (:now - t) / :bad_half_life) AS y
        FROM history WHERE key >= :first AND key < :end),
    present AS (
        SELECT *, good * (1.0 - 0.5 * (x - CAST(x AS INTEGER))) / (1 << min(CAST(x AS INTEGER), 62)) AS g,
            bad * (1.0 - 0.5 * (y - CAST(y AS INTEGER))) / (1 << min(CAST(y AS INTEGER), 62)) AS b FROM aged)
    SELECT key, t, n, good, bad, more FROM present
    ORDER BY CASE :order
        WHEN 'least' THEN g + b WHEN 'best' THEN -(g + 1) / (b + 1) WHEN 'worst' THEN (g + 1) / (b + 1) ELSE -n END
    LIMIT :count
"""


class Table:
    """The table in one file, through two connections: a reader for the event loop, a writer for worker threads.

    In WAL mode readers never wait for the writer. Counting and choosing open connections of their own, so that they can
    run beside both. Every method raises sqlite3.Error when the disk or the file is in trouble.
    """

    def __init__(self, path: Path, *, frozen: bool = False) -> None:
        """Open it, or make it. `frozen` is for a file that cannot be written now, because its disk is full, say.

        A frozen table is read as it was last put in order, without its write-ahead log; the first write that succeeds
        thaws it.
        """
        self.path = path
        self._writer: sqlite3.Connection | None = None
        if frozen:
            self._reader = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False)
            self._reader.execute(_COUNT, (CLIENT, CLIENT)).fetchone()
        else:
            self._writer, self._reader = _connections(path)

    def close(self) -> None:
        self._reader.close()
        if self._writer:
            self._writer.close()

    def read(self, keys: Sequence[bytes | None]) -> dict[bytes, Row]:
        """The rows of one key or of three, in one query; a key that is None has none."""
        return {row[0]: row for row in self._reader.execute(_READ if len(keys) > 1 else _READ_ONE, keys).fetchall()}

    def write(
        self, records: Mapping[bytes, Record | None], evicted: Sequence[tuple[bytes, float]] = ()
    ) -> dict[bytes, int]:
        """Write records, and delete those that are None, in one transaction; returns the rows each level has gained.

        Of `evicted` (key and `t`) only those are deleted that were not touched since.
        """
        if self._writer is None:
            self._writer, self._reader = _connections(self.path)
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        try:
            gained = {level: _put(writer, level, records) for level in LEVELS}
            for key in (key for key, record in records.items() if record is None):
                gained[key[:1]] -= writer.execute(_DELETE, (key,)).rowcount
            for key, t in evicted:
                gained[key[:1]] -= writer.execute(_EVICT, (key, t)).rowcount
            writer.execute("COMMIT")
        except BaseException:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise
        return gained

    def count(self) -> dict[bytes, int]:
        """How many rows each level has."""
        with closing(connect_reader(self.path)) as reader:
            return {level: reader.execute(_COUNT, (level, _end_of(level))).fetchone()[0] for level in LEVELS}

    def choose(self, level: bytes, order: Order, count: int, *, now: float, forgetting: Forgetting) -> list[Row]:
        """The first rows of a level in this order. It reads the whole level."""
        choice: dict[str, object] = {"first": level, "end": _end_of(level), "order": order, "count": count, "now": now}
        choice |= {"good_half_life": forgetting.good_half_life, "bad_half_life": forgetting.bad_half_life}
        with closing(connect_reader(self.path)) as reader:
            return reader.execute(_CHOOSE, choice).fetchall()


def _connections(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """The writer, for worker threads, and the reader, for the event loop."""
    writer = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT}")
        writer.execute("PRAGMA synchronous = NORMAL")
        writer.execute(f"PRAGMA application_id = {APPLICATION}")
        writer.execute(f"PRAGMA user_version = {VERSION}")
        writer.execute(_SCHEMA)
        return writer, connect_reader(path)
    except sqlite3.Error:
        writer.close()
        raise


def _put(writer: sqlite3.Connection, level: bytes, records: Mapping[bytes, Record | None]) -> int:
    """Write the records of one level; the rows it has gained."""
    rows = [packed(key, record) for key, record in records.items() if record is not None and key[:1] == level]
    rows.sort()  # neighbours share pages
    updated = writer.executemany(_UPDATE, rows).rowcount if rows else 0
    return 0 if updated == len(rows) else writer.executemany(_INSERT, rows).rowcount


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and does not wait."""
    reader = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    reader.execute("PRAGMA query_only = 1")
    return reader


def _end_of(level: bytes) -> bytes:
    return bytes([level[0] + 1])
