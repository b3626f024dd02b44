"""Connections to the history file, and transactions."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from frontproxy.memory.schema import APPLICATION, SCHEMA, VERSION

_JOURNAL_LIMIT = 32 << 20  # bytes; a write-ahead log that grew beyond (a copy was being made) is cut back to this
_BUSY_TIMEOUT = 5.0  # seconds a writer waits for another process that writes, such as the sqlite3 command


def connect_writer(path: Path) -> sqlite3.Connection:
    """A connection that writes, for worker threads; tables that are not there yet are made. Raises sqlite3.Error."""
    writer = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT}")
        writer.execute("PRAGMA synchronous = NORMAL")
        writer.execute(f"PRAGMA application_id = {APPLICATION}")
        writer.execute(f"PRAGMA user_version = {VERSION}")
        for statement in SCHEMA:
            writer.execute(statement)
    except sqlite3.Error:
        writer.close()
        raise
    return writer


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and does not wait."""
    reader = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    reader.execute("PRAGMA query_only = 1")
    return reader


def connect_frozen(path: Path) -> sqlite3.Connection:
    """A connection to a file that cannot be written: read as it was last put in order, without its write-ahead log."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False)


def has_log(path: Path) -> bool:
    """Whether there is anything in its write-ahead log, as after a crash. Raises OSError."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


@contextmanager
def transaction(writer: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing."""
    writer.execute("BEGIN IMMEDIATE")
    try:
        yield writer
        writer.execute("COMMIT")
    except BaseException:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise


def settings(connection: sqlite3.Connection) -> dict[str, float]:
    """What the file says about itself, see `schema`; settings never made are missing."""
    return dict(connection.execute("SELECT name, value FROM meta"))


def put_settings(writer: sqlite3.Connection, values: Mapping[str, float]) -> None:
    """Make settings."""
    writer.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
