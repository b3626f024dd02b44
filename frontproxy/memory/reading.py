"""Reading records: from memory, else from the disk. The only part of history that the event loop waits for.

A read error is no evidence, and told once.
"""

import sqlite3
from collections.abc import Sequence
from typing import cast

from frontproxy.memory.recent import ABSENT, Absent, Recent
from frontproxy.memory.rows import Record, Row, unpack
from frontproxy.memory.table import Table
from frontproxy.memory.troubles import Log


class Reading:
    """Finds records by the keys of their rows; `table` is None where history lives in memory only."""

    def __init__(self, table: Table | None, recent: Recent, log: Log) -> None:
        self.table = table
        self._recent = recent
        self._log = log
        self.errors = 0
        """Reads that failed."""

    def one(self, key: bytes) -> Record | None:
        """The record of this key."""
        record = self._recent.find(key)
        if record is not ABSENT:
            return record
        try:
            row = self.table.read(key) if self.table else None
        except sqlite3.Error as error:
            self.note_error(error)
            return None
        return self._keep(key, row)

    def around(self, keys: Sequence[bytes | None]) -> Sequence[Record | None]:
        """The records of a client, its network and its ASN. The disk is asked once; what it has of the client's
        provider is in memory then, too.
        """
        records = [self._recent.find(key) if key else None for key in keys]
        if ABSENT not in records:
            return cast("Sequence[Record | None]", records)
        return self._read_around(keys, records)

    def is_told(self, key: int) -> bool:
        """Whether the disk has this key of `told`; also if it cannot tell."""
        try:
            return self.table.is_told(key) if self.table else False
        except sqlite3.Error as error:
            self.note_error(error)
            return True

    def note_error(self, error: sqlite3.Error) -> None:
        """A read has failed."""
        self.errors += 1
        if self.errors == 1:
            text = f"history cannot be read ({error}), so clients are strangers; a restart repairs a damaged file"
            self._log("history", state="trouble", text=text)

    def _read_around(
        self, keys: Sequence[bytes | None], records: Sequence[Record | Absent | None]
    ) -> Sequence[Record | None]:
        client, network, asn = (key if record is ABSENT else None for key, record in zip(keys, records, strict=True))
        try:
            rows = self.table.read_around(client, network, asn) if self.table else {}
        except sqlite3.Error as error:
            self.note_error(error)
            return [None if record is ABSENT else record for record in records]
        provider = rows[client][-1] if client in rows else None
        if provider and self._recent.find(provider) is ABSENT:
            self._keep(provider, rows.get(provider))
        return [
            self._keep(key, rows.get(key)) if key else cast("Record | None", record)
            for key, record in zip((client, network, asn), records, strict=True)
        ]

    def _keep(self, key: bytes, row: Row | None) -> Record | None:
        record = unpack(row) if row else None
        self._recent.keep_read(key, record)
        return record
