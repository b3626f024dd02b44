"""Whether a history file is sound, ours, and of which version. All of this blocks."""

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

from frontproxy.memory.schema import APPLICATION, VERSION

_MAGIC = b"SQLite format 3\0"
_NOT_OURS = "is the database of another program and is left as it is; name another file in [history] file"


_COLUMNS = {
    "history": {"key", "t", "n", "good", "bad", "more", "provider"},
    "told": {"key"},
    "meta": {"name", "value"},
}
"""Of the tables of this version; one that is not there yet is made."""


class Damaged(Exception):
    """The file is no sound SQLite database; says what is wrong with it."""


class Foreign(Exception):
    """The file is sound, but not ours to write; says whose it is and what to do."""


def check(path: Path) -> int:
    """The version of its schema, 0 for a file without one.

    Raises Damaged or Foreign if it is either; sqlite3.OperationalError or OSError if it cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return 0  # a new file
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise Damaged("it does not begin as an SQLite file does")
    _check_owner(*struct.unpack_from(">I4xI", header, 60))
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            # Asked again, since what counts may still stand in the write-ahead log.
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            altered = _altered(connection) if version == VERSION else ""
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from None
    _check_owner(version, application)
    if tables and not application:
        raise Foreign(_NOT_OURS)
    if complaint != "ok":
        raise Damaged(" ".join(str(complaint).split())[:200])
    if altered:
        raise Damaged(f"its table {altered} has other columns than it should")
    return int(version)


def version_at_a_glance(path: Path) -> int:
    """The version that its first page tells; 0 if it is not ours. Raises OSError."""
    with path.open("rb") as file:
        header = file.read(100)
    version, application = struct.unpack_from(">I4xI", header.ljust(100, b"\0"), 60)
    return version if application == APPLICATION else 0


def _altered(connection: sqlite3.Connection) -> str:
    """A table that is not as this version makes it; empty if there is none."""
    for table, columns in _COLUMNS.items():
        found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if found and found != columns:
            return table
    return ""


def _check_owner(version: int, application: int) -> None:
    if application not in {0, APPLICATION} or (version and not application):
        raise Foreign(_NOT_OURS)
    if version > VERSION:
        raise Foreign(
            f"was written by a newer frontproxy (schema {version}, this one knows {VERSION}) and is left as it is; "
            "install that version again or name another file in [history] file"
        )
