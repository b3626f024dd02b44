"""History in an SQLite file: read by the event loop, written behind its back.

What a session taught is in memory at once, and on disk within half a second: a crash costs less than a second of
history. The event loop only ever reads, one query for a client that is not in memory; all else happens in worker
threads. When the disk fails, history goes on in memory, bounded, and the log says so once. A bug costs what was to be
written at that moment, or it would come back with that for ever.
"""

import sqlite3
import time
from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import Self, cast

import trio

from frontproxy.core.history import ClientRecord, Keys, KnownName, Recalled, name_in_force
from frontproxy.core.level import Forgetting, Level
from frontproxy.core.names import is_below
from frontproxy.core.provider import ProviderRecord
from frontproxy.memory import repair
from frontproxy.memory.ranking import rank
from frontproxy.memory.recent import ABSENT, Absent, Recent
from frontproxy.memory.rows import ASN, CLIENT, NETWORK, PROVIDER, Record, provider_key, unpack
from frontproxy.memory.table import Order
from frontproxy.memory.troubles import TROUBLES, Log, Troubles
from frontproxy.memory.upkeep import Upkeep

_READ_LIMIT = 50_000  # records in memory because they were read lately
_UNWRITTEN_LIMIT = 100_000  # records in memory because the disk takes nothing
_FLUSH_PAUSE = 0.5  # seconds
_LONGEST_PAUSE = 60.0  # seconds between two tries while the disk takes nothing
_LAST_FLUSH = 5.0  # seconds for what is left when we are told to end
_HOUSEKEEPING = 10.0  # seconds between two looks at the size and the copy
_REMEDY = "make room on the disk, or see to the trouble in brackets"


class HistoryFile:
    """Made by `open`; somebody must `run` it. A reload may set `limit`, `forgetting` and `generic` anew at any time."""

    def __init__(
        self, opened: repair.Opened, *, limit: int, forgetting: Forgetting, clock: Callable[[], float], log: Log
    ) -> None:
        self.limit = limit
        """Rows that each level may have on disk."""
        self.forgetting = forgetting
        self.generic: Container[str] = ()
        """Domains that the operator takes for nobody's provider; a name below one may be remembered from before."""
        self._table = opened.table
        self._clock = clock
        self._log = log
        self._recent = Recent(read_limit=_READ_LIMIT, unwritten_limit=_UNWRITTEN_LIMIT)
        self._writing = trio.Lock()
        self._limiter = trio.CapacityLimiter(3)  # one write, one look, one question: never behind others' threads
        self._upkeep = Upkeep(opened.table, clock=clock, limiter=self._limiter) if opened.table else None
        self._pause = _FLUSH_PAUSE
        self._troubles = Troubles(log, at_opening=opened.troubles, failing=opened.failing)
        self._read_errors = 0

    @classmethod
    def open(
        cls, path: Path, *, limit: int, forgetting: Forgetting, log: Log, clock: Callable[[], float] = time.time
    ) -> Self:
        """Open or make the file, after repair if need be. Blocks: a million clients take a while to check.

        Raises nothing for a file that is damaged, newer or out of reach: see `current_troubles`, which are logged too.
        """
        opened = repair.open_soundly(path, now=clock(), tell=lambda text: log("history", state="migration", text=text))
        history = cls(opened, limit=limit, forgetting=forgetting, clock=clock, log=log)
        try:
            if history._upkeep and not opened.failing:
                history._upkeep.count()
        except sqlite3.Error as error:
            history._note_read_error(error)
        return history

    def close(self) -> None:
        """Close the file; what no flush has written is lost."""
        if self._table:
            self._table.close()
        self._table = self._upkeep = None

    def recall(self, keys: Keys, *, heard: KnownName | None = None, now: float | None = None) -> Recalled:
        """What is known about a client and around it; a read error is no evidence.

        `heard` is the name the DNS has just told; without one the name remembered serves if it holds at `now`, or, with
        no `now`, however old it is.
        """
        row_keys = _row_keys(keys)
        records = [self._recent.find(key) if key else None for key in row_keys]
        if ABSENT in records:
            records = self._read(row_keys, records)
        client, network, asn = cast("tuple[ClientRecord | None, Level | None, Level | None]", records)
        name = name_in_force(client, heard, now)
        if name and name.domain and self.generic and is_below(name.domain, self.generic):  # the operator says so now
            name = name._replace(domain="")
        provider = self._recall_provider(keys.asn, name.domain) if name and name.domain else None
        return Recalled(keys, name, client, network, provider, asn)

    def remember(self, learned: Recalled) -> None:
        """Take what `core.history.learn` returned; the next flush writes it."""
        records = (learned.client, learned.network, learned.asn)
        for key, record in zip(_row_keys(learned.keys), records, strict=True):
            if key and record:
                self._recent.put(key, record)
        if learned.provider:
            self._recent.put(provider_key(learned.keys.asn, learned.domain), learned.provider)

    def forget(self, client: bytes) -> bool:
        """Forget a client, though not what its network learned from it; tells whether it was known."""
        key = CLIENT + client
        known = self._recent.find(key)
        if known is ABSENT:
            (known,) = self._read([key], [ABSENT])
        self._recent.put(key, None)
        return known is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write, evict and copy until cancelled; then write once more."""
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush_forever)
                nursery.start_soon(self._keep_house)
        finally:
            with trio.move_on_after(_LAST_FLUSH, shield=True):
                await self._flush(abandon_on_cancel=True)

    async def flush(self) -> None:
        """Write what is not on disk yet, in one transaction. Raises nothing: what fails is logged and kept."""
        await self._flush(abandon_on_cancel=False)

    async def rank(self, order: Order, count: int) -> list[tuple[bytes, ClientRecord]]:
        """The first clients (packed) in this order, at most 1,000; what is not yet written is included."""
        fresh = self._recent.unwritten()
        question = partial(rank, fresh=fresh, order=order, count=count, now=self._clock(), forgetting=self.forgetting)
        try:
            return await trio.to_thread.run_sync(question, self._table, limiter=self._limiter)
        except sqlite3.Error as error:
            self._note_read_error(error)
            return await trio.to_thread.run_sync(question, None, limiter=self._limiter)

    def status(self) -> dict[str, object]:
        """For `status`; times are in seconds since 1970."""
        upkeep = self._upkeep
        return {
            "file": str(upkeep.path) if upkeep else None,
            "clients": upkeep.rows[CLIENT] if upkeep else 0,
            "networks": upkeep.rows[NETWORK] if upkeep else 0,
            "providers": upkeep.rows[PROVIDER] if upkeep else 0,
            "asns": upkeep.rows[ASN] if upkeep else 0,
            "unwritten": len(self._recent),
            "dropped": self._recent.dropped,
            "read_errors": self._read_errors,
            "last_copy": upkeep.last_copy if upkeep else None,
            "troubles": self.current_troubles(),
        }

    def current_troubles(self) -> list[str]:
        """What is wrong with the file now, and what was at opening and has been done about it, for the operator."""
        return self._troubles.current()

    async def _flush_forever(self) -> None:
        while True:
            await trio.sleep(self._pause)
            await self.flush()

    async def _keep_house(self) -> None:
        while self._upkeep:
            try:
                await self._look_after(self._upkeep)
            except Exception as bug:  # noqa: BLE001  a bug in looking after the file must not end the proxy
                self._troubles.bug("history was not looked after", bug)
            await trio.sleep(_HOUSEKEEPING)

    async def _look_after(self, upkeep: Upkeep) -> None:
        if not upkeep.is_in_place():
            self._troubles.begin("file", f"{upkeep.path} was removed or replaced under us; restart frontproxy")
            return
        self._troubles.end("file")
        try:
            await upkeep.doom(self.limit, self.forgetting)
            self._troubles.end("size")
        except TROUBLES as error:
            self._troubles.begin("size", f"history cannot be kept within its size ({error}); {_REMEDY}")
        try:
            if await upkeep.copy_if_due():
                self._troubles.end("copy")
        except TROUBLES as error:
            self._troubles.begin("copy", f"history cannot be copied ({error}); {_REMEDY}")

    async def _flush(self, *, abandon_on_cancel: bool) -> None:
        async with self._writing:
            try:
                await self._write(abandon_on_cancel=abandon_on_cancel)
            except TROUBLES as error:
                self._note_failure(error)
            except Exception as bug:  # noqa: BLE001  a bug in writing must not end the proxy
                self._recent.drop_taken()
                self._troubles.bug("history of half a second was lost", bug)
            finally:  # also when cancelled
                self._recent.give_back()

    async def _write(self, *, abandon_on_cancel: bool) -> None:
        if not self._table or not self._upkeep:
            return
        doomed = self._upkeep.take_doomed()
        if not doomed and not len(self._recent):
            return
        write = partial(self._table.write, self._recent.take(), doomed)
        gained = await trio.to_thread.run_sync(write, abandon_on_cancel=abandon_on_cancel, limiter=self._limiter)
        self._recent.written()
        self._upkeep.gained(gained)
        self._note_success()

    def _recall_provider(self, asn: int, domain: str) -> ProviderRecord | None:
        key = provider_key(asn, domain)
        record = self._recent.find(key)
        if record is ABSENT:
            (record,) = self._read([key], [ABSENT])
        return cast("ProviderRecord | None", record)

    def _read(
        self, keys: Sequence[bytes | None], records: list[Record | Absent | None]
    ) -> list[Record | Absent | None]:
        """The records, with those that are absent read from the disk."""
        wanted = [key if record is ABSENT else None for key, record in zip(keys, records, strict=True)]
        try:
            rows = self._table.read(wanted) if self._table else {}
        except sqlite3.Error as error:
            self._note_read_error(error)
            return [None if record is ABSENT else record for record in records]
        for index, key in enumerate(wanted):
            if key:
                row = rows.get(key)
                records[index] = record = unpack(row) if row else None
                self._recent.keep_read(key, record)
        return records

    def _note_read_error(self, error: sqlite3.Error) -> None:
        self._read_errors += 1
        if self._read_errors == 1:
            text = f"history cannot be read ({error}), so clients are strangers; a restart repairs a damaged file"
            self._log("history", state="trouble", text=text)

    def _note_failure(self, error: Exception) -> None:
        self._troubles.begin("write", f"history cannot be written ({error}) and goes on in memory; {_REMEDY}")
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _note_success(self) -> None:
        if self._troubles.end("write"):
            self._log("history", state="recovered", text="history is written again", dropped=self._recent.dropped)
        self._pause = _FLUSH_PAUSE


def _row_keys(keys: Keys) -> tuple[bytes, bytes, bytes | None]:
    return CLIENT + keys.client, NETWORK + keys.network, ASN + keys.asn.to_bytes(4, "big") if keys.asn else None
