"""The tables of the history file: every SQL statement about them. All calls block.

What eviction and ranking compare stands in columns of its own; how records become rows is `rows`, and what else there
is in the file is `schema`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from frontproxy.core.level import Forgetting
from frontproxy.memory.connections import (
    connect_frozen,
    connect_reader,
    connect_writer,
    has_log,
    put_settings,
    settings,
    transaction,
)
from frontproxy.memory.half_lives import Change, HalfLives
from frontproxy.memory.progress import Progress, Tell
from frontproxy.memory.rows import CLIENT, LEVELS, Record, Row, packed, unpack
from frontproxy.memory.schema import BAD_HALF_LIFE, GOOD_HALF_LIFE, TOLD_SINCE
from frontproxy.memory.told import NONE_TOLD, ToldKeys

Order = Literal["least", "best", "worst", "busiest"]
"""By what would be lost, least first (as `recent` weighs it); by present odds of a good session; by all evidence."""

FORGOTTEN_AT_ONCE = 5000
"""Keys of what was told that one write deletes at most, so that it stays short."""

_READ_ONE = "SELECT key, t, n, good, bad, more, provider FROM history WHERE key = ?"
# The client with what is around it; a query for each would cost twice as much, `IN` builds a table of its operands.
_READ_AROUND = " UNION ALL ".join(
    [
        *(_READ_ONE + str(place) for place in (1, 2, 3)),
        "SELECT key, t, n, good, bad, more, NULL FROM history"
        " WHERE key = (SELECT provider FROM history WHERE key = ?1)",
    ]
)
_UPDATE = "UPDATE history SET t = ?2, n = ?3, good = ?4, bad = ?5, more = ?6, provider = ?7 WHERE key = ?1"
_INSERT = "INSERT OR IGNORE INTO history VALUES (?, ?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM history WHERE key = ?"
_EVICT = "DELETE FROM history WHERE key = ? AND t = ?"
_COUNT = "SELECT count(*) FROM history WHERE key >= ? AND key < ?"
_TOLD = "SELECT key FROM told WHERE key IN "
_NOTE_TOLD = "INSERT OR IGNORE INTO told VALUES (?)"
_FORGET_TOLD = "DELETE FROM told WHERE key IN (SELECT key FROM told WHERE key < ? ORDER BY key LIMIT ?)"
_NEXT = "SELECT key, t, n, good, bad, more, provider FROM history WHERE key > ? ORDER BY key LIMIT 500"
_COUNT_TOLD = "SELECT count(*) FROM told"
_NTH_TOLD = "SELECT key FROM told ORDER BY key LIMIT 1 OFFSET ?"
# The rows of one level in some order of their present evidence. 2^-x is taken as a straight line between whole x (6 %
# off at most), since not every SQLite has exp(); that is close enough to choose by.
_CHOOSE = """
    WITH aged AS (
        SELECT *, max(0.0, (:now - t) / :good_half_life) AS x, max(0.0, (:now - t) / :bad_half_life) AS y
        FROM history WHERE key >= :first AND key < :end),
    present AS (
        SELECT *, good * (1.0 - 0.5 * (x - CAST(x AS INTEGER))) / (1 << min(CAST(x AS INTEGER), 62)) AS g,
            bad * (1.0 - 0.5 * (y - CAST(y AS INTEGER))) / (1 << min(CAST(y AS INTEGER), 62)) AS b FROM aged)
    SELECT key, t, n, good, bad, more, provider FROM present
    ORDER BY CASE :order
        WHEN 'least' THEN g + b / (2 * (b + 1)) WHEN 'best' THEN -(g + 1) / (b + 1) WHEN 'worst' THEN (g + 1) / (b + 1)
        ELSE -n END
    LIMIT :count
"""


class Counts(NamedTuple):
    """Rows of each level, and keys of what was told."""

    rows: dict[bytes, int]
    told: int


class Written(NamedTuple):
    """What a write has done."""

    rows: Mapping[bytes, int]
    """Rows that each level has gained."""
    told: int
    """Keys that were added."""
    forgotten: int
    """Keys that were deleted."""


class Table:
    """The tables in one file, through two connections: a reader for the event loop, a writer for worker threads.

    In WAL mode readers never wait for the writer. Counting and choosing open connections of their own, so that they can
    run beside both. Every method raises sqlite3.Error when the disk or the file is in trouble.
    """

    def __init__(self, path: Path, *, frozen: bool = False) -> None:
        """Open it, or make it. `frozen` is for a file that cannot be written now, because its disk is full, say.

        The first write that succeeds thaws a frozen table, as `thaw` does.
        """
        self.path = path
        self.is_stale = frozen and has_log(path)
        """What it says is older than what is in the file, see `connect_frozen`; whoever thaws it must forget that."""
        self._writer: sqlite3.Connection | None = None
        if frozen:
            self._reader = connect_frozen(path)
            self._reader.execute(_COUNT, (CLIENT, CLIENT)).fetchone()
        else:
            self.thaw()

    def close(self) -> None:
        self._reader.close()
        if self._writer:
            self._writer.close()

    def read(self, key: bytes) -> Row | None:
        """The row of a key."""
        row: Row | None = self._reader.execute(_READ_ONE, (key,)).fetchone()
        return row

    def read_around(self, client: bytes | None, network: bytes | None, asn: bytes | None) -> dict[bytes, Row]:
        """The rows of these keys and that of the client's provider, in one query; a key that is None has none."""
        return {row[0]: row for row in self._reader.execute(_READ_AROUND, (client, network, asn)).fetchall()}

    def told_among(self, keys: Sequence[int]) -> set[int]:
        """Those of a few keys whose sessions were learned, see `told`."""
        marks = ",".join("?" * len(keys))
        return {key for (key,) in self._reader.execute(f"{_TOLD}({marks})", keys)}  # marks are ours, keys are bound

    def told_since(self) -> float:
        """The setting of that name."""
        return settings(self._reader).get(TOLD_SINCE, 0.0)

    def nth_told(self, place: int) -> int:
        """The key at this place in the order of time, from 0 on; 0 if there are fewer."""
        with closing(connect_reader(self.path)) as reader:
            row = reader.execute(_NTH_TOLD, (place,)).fetchone()
            return int(row[0]) if row else 0

    def write(
        self,
        records: Mapping[bytes, Record | None],
        evicted: Sequence[tuple[bytes, float]] = (),
        told: ToldKeys = NONE_TOLD,
    ) -> Written:
        """Write records and keys, and delete records that are None, in one transaction.

        Of `evicted` (key and `t`) only those are deleted that were not touched since.
        """
        writer = self.thaw()
        with transaction(writer):
            rows = {level: _put(writer, level, records) for level in LEVELS}
            for key in (key for key, record in records.items() if record is None):
                rows[key[:1]] -= writer.execute(_DELETE, (key,)).rowcount
            for key, t in evicted:
                rows[key[:1]] -= writer.execute(_EVICT, (key, t)).rowcount
            return Written(rows, *_put_told(writer, told))

    def half_lives(self) -> HalfLives | None:
        """What the values in the file fade by; None if it does not say."""
        found = settings(self._reader)
        good, bad = found.get(GOOD_HALF_LIFE, 0.0), found.get(BAD_HALF_LIFE, 0.0)
        return HalfLives(good, bad) if good > 0.0 and bad > 0.0 else None

    def keep_under(self, half_lives: HalfLives, now: float, tell: Tell) -> None:
        """Let the values in the file fade by these half-lives from now on; `tell` hears of a conversion.

        All rows are converted in one transaction, so that a crash at any moment leaves the file as it was or as it
        shall be.
        """
        old = self.half_lives()
        if old == half_lives:
            return
        writer = self.thaw()
        with transaction(writer):
            if old:
                self._convert(writer, Change(old, half_lives, now), tell)
            put_settings(writer, {GOOD_HALF_LIFE: half_lives.good, BAD_HALF_LIFE: half_lives.bad})

    def _convert(self, writer: sqlite3.Connection, change: Change, tell: Tell) -> None:
        rows = sum(self.count().rows.values())
        progress = Progress("history is converted to other half-lives", rows, tell)
        key = b""
        while chunk := writer.execute(_NEXT, (key,)).fetchall():
            writer.executemany(_UPDATE, [packed(row[0], change.record(unpack(row))) for row in chunk])
            key = chunk[-1][0]
            progress.advance(len(chunk))
        tell(f"history was converted to other half-lives: {rows} rows")

    def count(self) -> Counts:
        """How many rows each level has, and how many keys there are."""
        with closing(connect_reader(self.path)) as reader:
            rows = {level: reader.execute(_COUNT, (level, _end_of(level))).fetchone()[0] for level in LEVELS}
            return Counts(rows, reader.execute(_COUNT_TOLD).fetchone()[0])

    def choose(self, level: bytes, order: Order, count: int, *, now: float, forgetting: Forgetting) -> list[Row]:
        """The first rows of a level in this order. It reads the whole level."""
        choice: dict[str, object] = {"first": level, "end": _end_of(level), "order": order, "count": count, "now": now}
        choice |= {"good_half_life": forgetting.good_half_life, "bad_half_life": forgetting.bad_half_life}
        with closing(connect_reader(self.path)) as reader:
            return reader.execute(_CHOOSE, choice).fetchall()

    def thaw(self) -> sqlite3.Connection:
        """The writer; a frozen table gets its connections now."""
        if self._writer is None:
            self._writer = connect_writer(self.path)
            self._reader = connect_reader(self.path)
        return self._writer


def _put_told(writer: sqlite3.Connection, told: ToldKeys) -> tuple[int, int]:
    """Add keys and delete old ones, and say since when they are complete; how many were added and deleted."""
    added = forgotten = 0
    if told.fresh:
        added = writer.executemany(_NOTE_TOLD, [(key,) for key in sorted(told.fresh)]).rowcount
    if told.before:
        forgotten = writer.execute(_FORGET_TOLD, (told.before, FORGOTTEN_AT_ONCE)).rowcount
        put_settings(writer, {TOLD_SINCE: told.since})
    return added, forgotten


def _put(writer: sqlite3.Connection, level: bytes, records: Mapping[bytes, Record | None]) -> int:
    """Write the records of one level; the rows it has gained."""
    rows = [packed(key, record) for key, record in records.items() if record is not None and key[:1] == level]
    rows.sort()  # neighbours share pages
    updated = writer.executemany(_UPDATE, rows).rowcount if rows else 0
    return 0 if updated == len(rows) else writer.executemany(_INSERT, rows).rowcount


def _end_of(level: bytes) -> bytes:
    return bytes([level[0] + 1])
