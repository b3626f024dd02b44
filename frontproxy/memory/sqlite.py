"""History in an SQLite file: read by the event loop, written behind its back.

What a session taught is in memory at once, and on disk within half a second: a crash costs less than a second of
history. The event loop only ever reads, one query for a client that is not in memory; all else happens in worker
threads. When the disk fails, history goes on in memory, bounded, and the log says so once. A bug costs what was to be
written at that moment, or it would come back with that for ever.

One process at a time may have the file open: the proxy, or a command while no proxy runs; any other is refused before
it has touched anything (`lock.InUse`). Beside it any number may read, through connections that only read, or with the
sqlite3 command and the views (see `views`): readers wait for nobody and nobody waits for them, but a long read keeps
the write-ahead log from being reused, so that it grows meanwhile.
"""

import sqlite3
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, cast

import trio

from frontproxy.core.history import ClientRecord, Keys, KnownName, Recalled, name_in_force
from frontproxy.core.level import Forgetting, Level
from frontproxy.core.names import is_below
from frontproxy.core.provider import ProviderRecord
from frontproxy.memory import repair
from frontproxy.memory.half_lives import Change, HalfLives
from frontproxy.memory.lock import Lock
from frontproxy.memory.ranking import rank
from frontproxy.memory.reading import Reading
from frontproxy.memory.recent import ABSENT, Recent
from frontproxy.memory.rows import ASN, CLIENT, NETWORK, PROVIDER, Record, provider_key
from frontproxy.memory.table import Order, Table
from frontproxy.memory.told import LIMIT, Told, ToldKeys, minute_key
from frontproxy.memory.troubles import TROUBLES, Log, Troubles
from frontproxy.memory.upkeep import Upkeep

_READ_LIMIT = 50_000  # records in memory because they were read lately
_UNWRITTEN_LIMIT = 100_000  # records in memory because the disk takes nothing
_FLUSH_PAUSE = 0.5  # seconds
_LONGEST_PAUSE = 60.0  # seconds between two tries while the disk takes nothing
_LAST_FLUSH = 5.0  # seconds for what is left when we are told to end
_HOUSEKEEPING = 10.0  # seconds between two looks at the size and the copy
_CONVERSION_RETRY = 300.0  # seconds between two tries to convert the file to other half-lives
_REMEDY = "make room on the disk, or see to the trouble in brackets"


class HistoryFile:
    """Made by `open`; somebody must `run` it. A reload may set `limit` and `generic` anew, and `convert` it."""

    def __init__(
        self,
        opened: repair.Opened,
        lock: Lock,
        *,
        limit: int,
        forgetting: Forgetting,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self.limit = limit
        """Rows that each level may have on disk."""
        self.forgetting = forgetting
        """How evidence fades now, which is what judging must go by: what is asked for, once the file is converted."""
        self.generic: Container[str] = ()
        """Domains that the operator takes for nobody's provider; a name below one may be remembered from before."""
        self._table = opened.table
        self._lock = lock
        self._wanted = forgetting
        self._converted = clock()  # when that was tried last
        self._told = Told(_told_since(opened, clock()))
        self._live = 0  # the minute that was noted last
        self._clock = clock
        self._log = log
        self._recent = Recent(read_limit=_READ_LIMIT, unwritten_limit=_UNWRITTEN_LIMIT)
        self._reading = Reading(opened.table, self._recent, log, clock)
        self._writing = trio.Lock()
        self._limiter = trio.CapacityLimiter(3)  # one write, one look, one question: never behind others' threads
        self._upkeep = Upkeep(opened.table, clock=clock, limiter=self._limiter) if opened.table else None
        self._pause = _FLUSH_PAUSE
        self._troubles = Troubles(log, at_opening=opened.troubles, failing=opened.failing)
        if opened.table:
            self.forgetting = _in_force(opened.table, forgetting)
        if self.forgetting != forgetting:
            self._note_unconverted(opened.unconverted or opened.failing)

    @classmethod
    def open(
        cls, path: Path, *, limit: int, forgetting: Forgetting, log: Log, clock: Callable[[], float] = time.time
    ) -> Self:
        """Open or make the file, after repair if need be. Blocks: a million clients take a while to check.

        Raises InUse if another process has it open. Raises nothing for a file that is damaged, newer or out of reach:
        see `current_troubles`, which are logged too.
        """
        lock = Lock.take(path)
        try:
            tell = partial(_tell, log)
            opened = repair.open_soundly(path, now=clock(), half_lives=HalfLives.of(forgetting), tell=tell)
            history = cls(opened, lock, limit=limit, forgetting=forgetting, clock=clock, log=log)
        except BaseException:
            lock.release()
            raise
        try:
            if history._upkeep and not opened.failing:
                history._upkeep.count()
        except sqlite3.Error as error:
            history._reading.note_error(error)
        return history

    def close(self) -> None:
        """Close the file; what no flush has written is lost."""
        if self._table:
            self._table.close()
        self._table = self._upkeep = self._reading.table = None
        self._lock.release()

    def recall(self, keys: Keys, *, heard: KnownName | None = None, now: float | None = None) -> Recalled:
        """What is known about a client and around it; a read error is no evidence.

        `heard` is the name the DNS has just told; without one the name remembered serves if it holds at `now`, or, with
        no `now`, however old it is.
        """
        records = self._reading.around(_row_keys(keys))
        client, network, asn = cast("tuple[ClientRecord | None, Level | None, Level | None]", records)
        name = name_in_force(client, heard, now)
        if name and name.domain and self.generic and is_below(name.domain, self.generic):  # the operator says so now
            name = name._replace(domain="")
        provider = self._reading.one(provider_key(keys.asn, name.domain)) if name and name.domain else None
        return Recalled(keys, name, client, network, cast("ProviderRecord | None", provider), asn)

    def record_of(self, client: bytes) -> ClientRecord | None:
        """What is known about a client alone."""
        return cast("ClientRecord | None", self._reading.one(CLIENT + client))

    def remember(self, learned: Recalled) -> None:
        """Take what `core.history.learn` made of what was just recalled; the next flush writes it.

        What could not be read then is not learned upon: a friend of years would be written anew as a newcomer.
        """
        levels = zip(_row_keys(learned.keys), (learned.client, learned.network, learned.asn), strict=True)
        records: dict[bytes, Record] = {key: record for key, record in levels if key and record}
        if learned.provider:
            records[provider_key(learned.keys.asn, learned.domain)] = learned.provider
        if any(self._recent.find(key) is ABSENT for key in records):
            return
        for key, record in records.items():
            self._recent.put(key, record)

    def forget(self, client: bytes) -> bool:
        """Forget a client alone, see `core.history.forgotten` for its neighbours; tells whether it was known."""
        key = CLIENT + client
        known = self._reading.one(key) is not None
        self._recent.put(key, None)
        return known

    @property
    def told_since(self) -> float:
        """Seconds since 1970: what was told of earlier is not known any more, so nothing may be learned from then."""
        return self._told.since

    def is_told(self, key: int) -> bool:
        """Whether the session with this key (see `told.told_key`) was learned; also if the file cannot tell."""
        return bool(self.told_among((key,)))

    def told_among(self, keys: Sequence[int]) -> set[int]:
        """Those of a few keys whose sessions were learned; all of them if the file cannot tell."""
        unwritten = set(filter(self._told.__contains__, keys))
        asked = [key for key in keys if key not in unwritten]
        return unwritten | self._reading.told_among(asked) if asked else unwritten

    def note_told(self, key: int) -> None:
        """The session with this key was learned; the next flush writes it, together with what it taught."""
        self._told.add(key)

    def note_live(self, wall: float) -> None:
        """A session was learned as it ended, at `wall` (seconds since 1970)."""
        key = minute_key(wall)
        if key != self._live:
            self._live = key
            self._told.add(key)

    async def convert(self, forgetting: Forgetting) -> None:
        """Let evidence fade by this from now on; what there is counts at first as it counted before.

        Other half-lives take a pass over the whole file, during which nothing is written. If the file cannot be
        converted its half-lives stay in force, that is told, and it is tried again from time to time.
        """
        async with self._writing:
            self._wanted, self._converted = forgetting, self._clock()
            change = Change(HalfLives.of(self.forgetting), HalfLives.of(forgetting), self._converted)
            if change.new != change.old:
                if self._table and not await self._convert_file(self._table, change):
                    self.forgetting = _fading_by(forgetting, change.old)
                    return
                self._recent.replace_all(change.record)
            self.forgetting = forgetting
            self._troubles.end("half-lives")

    async def _convert_file(self, table: Table, change: Change) -> bool:

        def tell(text: str) -> None:
            trio.from_thread.run_sync(_tell, self._log, text)

        convert = partial(table.keep_under, change.new, change.now, tell)
        try:
            await trio.to_thread.run_sync(convert, limiter=self._limiter)
        except TROUBLES as error:
            self._note_unconverted(error)
            return False
        return True

    def _note_unconverted(self, why: object) -> None:
        text = f"history cannot be converted to other half-lives ({why}) and fades by the old ones; {_REMEDY}"
        self._troubles.begin("half-lives", text)

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
            if self._table and len(self._recent):
                text = f"{len(self._recent)} records of history could not be written before the end, and are lost"
                self._log("history", state="lost", text=text)

    @property
    def read_errors(self) -> int:
        """Reads that have failed so far."""
        return self._reading.errors

    @property
    def is_failing(self) -> bool:
        """The last write has failed."""
        return self._troubles.has("write")

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
            self._reading.note_error(error)
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
            "read_errors": self.read_errors,
            "last_copy": upkeep.last_copy if upkeep else None,
            "troubles": self.current_troubles(),
        }

    def current_troubles(self) -> list[str]:
        """What is wrong with the file now, and what was at opening and has been done about it, for the operator."""
        return self._troubles.current()

    async def _flush_forever(self) -> None:
        while True:
            began = trio.current_time()
            await self.flush()
            await trio.sleep_until(began + self._pause)  # a write that takes long delays the next one by nothing more

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
        if self.forgetting != self._wanted and abs(self._clock() - self._converted) >= _CONVERSION_RETRY:
            await self.convert(self._wanted)
        try:
            await upkeep.doom(self.limit, self.forgetting)
            since = await upkeep.doom_told(LIMIT)
            self._told.since = since or self._told.since
            self._troubles.end("size")
        except TROUBLES as error:
            self._troubles.begin("size", f"history cannot be kept within its size ({error}); {_REMEDY}")
        try:
            told = await upkeep.copy_if_due()
            if told:
                self._troubles.begin("copy", told)
            elif told is not None:
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
                self._told.written()
                self._troubles.bug("history of half a second was lost", bug)
            finally:  # also when cancelled
                self._recent.give_back()
                self._told.give_back()

    async def _write(self, *, abandon_on_cancel: bool) -> None:
        if not self._table or not self._upkeep:
            return
        if self._table.is_stale:
            await self._catch_up(self._table, abandon_on_cancel=abandon_on_cancel)
        doomed, before = self._upkeep.take_doomed(), self._upkeep.take_told_before()
        if not (doomed or before or len(self._recent) or len(self._told)):
            return
        told = ToldKeys(self._told.take(), before, self._told.since)
        write = partial(self._table.write, self._recent.take(), doomed, told)
        done = await trio.to_thread.run_sync(write, abandon_on_cancel=abandon_on_cancel, limiter=self._limiter)
        self._recent.written()
        self._told.written()
        self._upkeep.written(done)
        self._note_success()

    async def _catch_up(self, table: Table, *, abandon_on_cancel: bool) -> None:
        """Read anew a file that could only be read without its log, and drop what was learned upon that.

        It would overwrite what is newer.
        """
        await trio.to_thread.run_sync(table.thaw, abandon_on_cancel=abandon_on_cancel, limiter=self._limiter)
        lost = len(self._recent)
        table.is_stale = False
        self._recent.clear()
        self._told.take()
        self._told.written()
        text = f"{lost} records of history are dropped: they were learned while the latest ones could not be read"
        self._log("history", state="lost", text=text)
        self._note_success()

    def _note_failure(self, error: Exception) -> None:
        self._troubles.begin("write", f"history cannot be written ({error}) and goes on in memory; {_REMEDY}")
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _note_success(self) -> None:
        if self._troubles.end("write"):
            self._log("history", state="recovered", text="history is written again", dropped=self._recent.dropped)
        self._pause = _FLUSH_PAUSE


def _row_keys(keys: Keys) -> tuple[bytes, bytes, bytes | None]:
    return CLIENT + keys.client, NETWORK + keys.network, ASN + keys.asn.to_bytes(4, "big") if keys.asn else None


def _in_force(table: Table, forgetting: Forgetting) -> Forgetting:
    """How what is in the file fades, which is as the file says."""
    try:
        half_lives = table.half_lives()
    except sqlite3.Error:
        return forgetting
    return _fading_by(forgetting, half_lives) if half_lives else forgetting


def _fading_by(forgetting: Forgetting, half_lives: HalfLives) -> Forgetting:
    return replace(forgetting, good_half_life=half_lives.good, bad_half_life=half_lives.bad)


def _tell(log: Log, text: str) -> None:
    """A line about work on the whole file."""
    log("history", state="migration", text=text)


def _told_since(opened: repair.Opened, now: float) -> float:
    """Since when what was told is known; without a file that tells it, from now on."""
    try:
        return opened.table.told_since() if opened.table else now
    except sqlite3.Error:
        return now
