"""Bringing a history file of an older version up to date. Blocks: a million clients take seconds.

The file is first copied, and the copy stays: the frontproxy that wrote it could go on with that. All the rest is one
transaction, so that a crash at any moment leaves the file as it was or as it shall be. What the older version knew is
carried over. It did not keep account of what it was told, so nothing may be learned from logs of its time.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from frontproxy.memory.connections import put_settings, transaction
from frontproxy.memory.copies import kept_path, write_copy
from frontproxy.memory.older import read_more
from frontproxy.memory.progress import Progress, Tell
from frontproxy.memory.rows import CLIENT, client_more
from frontproxy.memory.schema import SCHEMA, TOLD_SINCE, VERSION
from frontproxy.memory.soundness import Damaged

_STEPS = {
    1: ("ALTER TABLE history RENAME COLUMN shares TO more", "UPDATE history SET t = CAST(t AS INTEGER)"),
    2: ("ALTER TABLE history ADD COLUMN provider BLOB",),
}
"""What leads from a version to the next, but for what is packed."""
_NEXT = "SELECT key, more FROM history WHERE key > ? AND key < ? ORDER BY key LIMIT 1000"
_UPDATE = "UPDATE history SET more = ?, provider = ? WHERE key = ?"
_CLIENTS_END = bytes([CLIENT[0] + 1])


class NotMigrated(Exception):
    """The file could not be brought up to date and is as it was; says why."""


def migrate(path: Path, version: int, now: float, tell: Tell) -> None:
    """Make a file of an older version one of this version; `now` is in seconds since 1970. Raises NotMigrated."""
    kept = kept_path(path, version)
    started = time.monotonic()
    try:
        write_copy(path, kept)
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection, transaction(connection):
            _rewrite(connection, version, now, tell)
    except (sqlite3.Error, OSError, Damaged) as trouble:
        raise NotMigrated(str(trouble)) from None
    seconds = time.monotonic() - started
    tell(f"history of version {version} was brought up to date in {seconds:.1f} s; the old file is kept as {kept.name}")


def _rewrite(connection: sqlite3.Connection, version: int, now: float, tell: Tell) -> None:
    for older in range(version, VERSION):
        for step in _STEPS[older]:
            connection.execute(step)
    for statement in SCHEMA:
        connection.execute(statement)
    rows = connection.execute("SELECT count(*) FROM history WHERE key < ?", (_CLIENTS_END,)).fetchone()[0]
    progress = Progress(f"history of version {version} is brought up to date", rows, tell)
    last = CLIENT
    while chunk := connection.execute(_NEXT, (last, _CLIENTS_END)).fetchall():
        connection.executemany(_UPDATE, [(*_packed_anew(more, version), key) for key, more in chunk])
        last = chunk[-1][0]
        progress.advance(len(chunk))
    if rows:
        put_settings(connection, {TOLD_SINCE: now})
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _packed_anew(more: bytes | None, version: int) -> tuple[bytes | None, bytes | None]:
    """What was packed beside a client's own numbers, as it is packed now: with the key of its provider."""
    record = read_more(more, version) if more is not None else None
    return client_more(record) if record else (None, None)  # which packs nothing that has rotted
