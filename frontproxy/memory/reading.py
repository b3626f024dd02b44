"""Reading records: from memory, else from the disk. The only part of history that the event loop waits for.

A read error is no evidence, and told once. A record from the future was written while the clock was wrong: it counts as
if touched now, or nothing would be learned on it until then. (A clock that is far behind makes no record one of the
future: it would be taken back to a time from which nothing is left when the clock is right again.)
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import cast

from frontproxy.core.history import ClientRecord
from frontproxy.core.level import Level
from frontproxy.core.provider import ProviderRecord
from frontproxy.memory.recent import ABSENT, Absent, Recent
from frontproxy.memory.rows import Record, Row, level_of, unpack
from frontproxy.memory.table import Table
from frontproxy.memory.troubles import Log

_AHEAD = 3600.0  # seconds by which a record may be ahead of the clock
_EARLIEST = 1.6e9  # no clock is right that says less, which is in 2020


class Reading:
    """Finds records by the keys of their rows; `table` is None where history lives in memory only."""

    def __init__(self, table: Table | None, recent: Recent, log: Log, clock: Callable[[], float]) -> None:
        self.table = table
        self._recent = recent
        self._log = log
        self._clock = clock
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

    def told_among(self, keys: Sequence[int]) -> set[int]:
        """Those of these keys of `told` that the disk has; all of them if it cannot tell."""
        try:
            return self.table.told_among(keys) if self.table else set()
        except sqlite3.Error as error:
            self.note_error(error)
            return set(keys)

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
        record = _not_ahead(unpack(row), self._clock()) if row else None
        self._recent.keep_read(key, record)
        return record


def _not_ahead(record: Record, now: float) -> Record:
    """The record, as if touched now if it is from the future."""
    if not _EARLIEST <= now < level_of(record).t - _AHEAD:
        return record
    if isinstance(record, ProviderRecord):
        witnesses = tuple(witness._replace(seen=min(witness.seen, now)) for witness in record.witnesses)
        return ProviderRecord(_touched(record.level, now), witnesses)
    if isinstance(record, ClientRecord):
        return record._replace(
            own=_touched(record.own, now),
            network_share=_touched(record.network_share, now),
            provider_share=_touched(record.provider_share, now),
            asn_share=_touched(record.asn_share, now),
            name=record.name and record.name._replace(until=min(record.name.until, now)),
        )
    return _touched(record, now)


def _touched(level: Level, now: float) -> Level:
    return level._replace(t=min(level.t, now))
