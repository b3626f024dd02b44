"""Bringing a history file of an older version up to date. Blocks: a million clients take seconds.

The file is first copied, and the copy stays: the frontproxy that wrote it could go on with that. All the rest is one
transaction, so that a crash at any moment leaves the file as it was or as it shall be. What the older version knew is
carried over.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from struct import Struct, error

from frontproxy.core.history import ClientRecord
from frontproxy.core.level import Level
from frontproxy.memory.copies import kept_path, write_copy
from frontproxy.memory.rows import client_more
from frontproxy.memory.soundness import Damaged
from frontproxy.memory.table import VERSION

Tell = Callable[[str], None]
"""Takes a line for the operator."""

TELL_EVERY = 2.0
"""Seconds between two lines about how far it is."""

_SHARES_1 = Struct("<dddd dddd d")  # t, n, good, bad of the network's share and of the ASN's; spent
_STEPS_1 = (
    "ALTER TABLE history RENAME COLUMN shares TO more",
    "UPDATE history SET t = CAST(t AS INTEGER), more = migrated(more)",
)


class NotMigrated(Exception):
    """The file could not be brought up to date and is as it was; says why."""


def migrate(path: Path, tell: Tell) -> None:
    """Make a file of version 1 one of this version. Raises NotMigrated."""
    kept = kept_path(path, 1)
    started = time.monotonic()
    try:
        write_copy(path, kept)
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            _rewrite(connection, tell)
    except (sqlite3.Error, OSError, Damaged) as trouble:
        raise NotMigrated(str(trouble)) from None
    seconds = time.monotonic() - started
    tell(f"history of version 1 was brought up to date in {seconds:.1f} s; the old file is kept as {kept.name}")


def _rewrite(connection: sqlite3.Connection, tell: Tell) -> None:
    rows = connection.execute("SELECT count(*) FROM history").fetchone()[0]
    progress = _Progress(rows, tell)

    def migrated(shares: bytes | None) -> bytes | None:
        progress.one_more()
        return _migrated(shares)

    connection.create_function("migrated", 1, migrated)
    connection.execute("BEGIN IMMEDIATE")
    for step in (*_STEPS_1, f"PRAGMA user_version = {VERSION}", "COMMIT"):
        connection.execute(step)


def _migrated(shares: bytes | None) -> bytes | None:
    """What was packed beside a row's own numbers, as it is packed now."""
    if shares is None:
        return None
    try:
        numbers = _SHARES_1.unpack(shares)
    except error:
        return None
    record = ClientRecord(network_share=Level(*numbers[:4]), asn_share=Level(*numbers[4:8]), spent=numbers[8])
    return client_more(record)  # which packs nothing that has rotted


class _Progress:
    """Tells now and then how many rows are done."""

    def __init__(self, rows: int, tell: Tell) -> None:
        self._rows = rows
        self._tell = tell
        self._done = 0
        self._told = time.monotonic()

    def one_more(self) -> None:
        self._done += 1
        if self._done % 1024 == 0 and time.monotonic() - self._told >= TELL_EVERY:
            self._told = time.monotonic()
            self._tell(f"history of version 1 is brought up to date: {self._done} of {self._rows} rows")
