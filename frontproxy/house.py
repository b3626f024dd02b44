"""The running house: owns the root nursery, obeys signals, swaps Setups, drains."""

import gc
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from frontproxy import pulse
from frontproxy.admin import AdminSocket
from frontproxy.alarms import Alarms
from frontproxy.control import Controls
from frontproxy.core.config_values import Config
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.doors import Address, Door, address_text, doors_for
from frontproxy.feeds import Feeds
from frontproxy.learn.report import ReportSocket
from frontproxy.listener import SpareDescriptors
from frontproxy.listener import listen as accept
from frontproxy.log import Log
from frontproxy.lookups import Lookups
from frontproxy.observe.geo import GeoBook
from frontproxy.observe.geo_watch import GeoWatch
from frontproxy.outcomes import Outcomes
from frontproxy.proxy import Proxy
from frontproxy.servers import Servers
from frontproxy.setup import Setup, load
from frontproxy.status import Watched
from frontproxy.survivors import take_over
from frontproxy.systemd import Notifier

CLOSING = "421 4.3.2 Service is shutting down, please try again later"
_DESCRIPTORS_KEPT = 64
"""Descriptors that are not for waiting strangers, beside a quarter of the rest."""


@dataclass(frozen=True, slots=True)
class LocalSockets:
    """The doors for programs on this machine. Who holds them is the only frontproxy in this folder."""

    admin: socket.socket
    report: socket.socket


@dataclass(frozen=True, slots=True)
class Supervisor:
    """What systemd gave us, and wants to hear; nothing when it did not start us."""

    notifier: Notifier
    watchdog: float | None
    """Seconds between two signs of life; None if nobody waits for them."""
    sockets: Sequence[socket.socket] = ()
    """Listening sockets that outlive us."""


class House:
    """One running frontproxy: `run` serves until it has drained."""

    def __init__(self, setup: Setup, proxy: Proxy, supervisor: Supervisor) -> None:
        self._path = setup.path
        self._bound = setup.config
        """As it was when the sockets and the history were opened."""
        self._proxy = proxy
        self._supervisor = supervisor
        self._signed_at = 0.0
        self._is_told_ready = True
        """systemd knows; a notice is lost while it is busy, and said again."""
        self._outcomes = Outcomes(proxy)
        self._servers = Servers(setup.config.learn.report, self._outcomes.server_died, proxy.log, proxy.log.raw)
        self._feeds = Feeds(setup.config.learn.report, setup.config.admin.socket, proxy.log, proxy.log.raw)
        self._lookups = Lookups(proxy.desk, proxy.log, proxy.log.raw)
        self._databases = GeoWatch(lambda: proxy.setup.geo, self._replace_databases, proxy.log)
        self._doors: dict[Address, Door] = {}
        self._spare = SpareDescriptors()
        self._drain_wanted = trio.Event()
        self._reloading = trio.Lock()

    async def run(
        self, setup: Setup, sockets: LocalSockets, signals: AsyncIterator[int], ready: Callable[[list[Address]], None]
    ) -> None:
        """Serve until SIGTERM, SIGINT or `drain`; a second SIGINT or SIGTERM does not wait for sessions.

        `ready` is told the addresses when they are open. Raises Mistaken if there is one that cannot be had.
        """
        proxy = self._proxy
        failure: Mistaken | None = None
        async with trio.open_nursery() as root:
            group = setup.config.admin.group
            report = ReportSocket(self._outcomes.hear, lambda: proxy.pools.waiting() > 0, proxy.log, group)
            stalls = pulse.Stalls()
            sockets_made = [setup.config.admin.socket, setup.config.learn.report]
            alarms = Alarms(proxy, report.heard, sockets_made, self._troubles)
            watched = Watched(
                feeds=report.heard,
                servers=self._servers.status,
                programs=self._feeds.status,
                asking=self._lookups.status,
                longest_stall=stalls.longest,
                alarms=lambda: alarms.current,
            )
            controls = Controls(proxy, watched, lambda: self._reload(root), self._drain_wanted.set)
            root.start_soon(self._obey, signals, root)
            root.start_soon(proxy.memory.run)
            root.start_soon(proxy.journal.run)
            root.start_soon(proxy.pools.relay.run)
            root.start_soon(proxy.desk.run)
            root.start_soon(pulse.run, proxy, stalls, lambda: self._each_second(alarms))
            root.start_soon(report.serve, sockets.report)
            try:
                await self._move_in(setup, root)
            except Mistaken as error:
                failure = None if self._drain_wanted.is_set() else error
            else:
                # What is here now stays for good: the collector need not look through it again, 10 ms each time.
                gc.collect()
                gc.freeze()
                root.start_soon(self._databases.run)
                root.start_soon(AdminSocket(controls, proxy.log, group).serve, sockets.admin)
                ready([door.address for door in self._doors.values()])
                self._is_told_ready = self._supervisor.notifier.ready(self._serving())
                await self._drain_wanted.wait()
                await self._drain()
            root.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _move_in(self, setup: Setup, root: trio.Nursery) -> None:
        """Let a Setup take effect: its smtpds start, then its doors open, then the old ones close.

        Raises Mistaken, with nothing changed, if an address or a socket cannot be had.
        """
        listen, file = setup.config.listen, str(setup.path)
        with ExitStack() as undo:
            doors = doors_for(listen, file, opened=self._doors, inherited=self._supervisor.sockets)
            fresh = [door for address, door in doors.items() if address not in self._doors]
            for door in fresh:
                undo.callback(door.close)
            feeds = self._feeds.prepare(setup)
            undo.callback(self._feeds.reject, feeds)
            asking = self._lookups.prepare(setup)
            undo.callback(self._lookups.reject, asking)
            smtpds = await self._servers.prepare(setup, root)
            await self._proxy.memory.convert(setup.forgetting)
            if self._drain_wanted.is_set():
                await self._servers.reject(smtpds)
                raise self._cannot_reload("frontproxy is about to end", "start it again")
            undo.pop_all()
        old, self._proxy.setup = self._proxy.setup, setup
        self._proxy.memory.limit = setup.config.history.max_clients_remembered
        self._forget_as_history()
        self._proxy.memory.generic = frozenset(setup.config.dns.generic)
        self._proxy.room.places = _places(listen.waiting_room, self._proxy.log)
        paths = {endpoint: str(smtpd.path) for endpoint, smtpd in smtpds.items()}
        self._proxy.pools.configure(setup.config, paths, time.monotonic())
        self._lookups.adopt(asking, setup.config, root)
        before, self._doors = self._doors, doors
        ours = _tcp_addresses(doors)
        self._proxy.pools.held.only_ports({port for _host, port in ours})
        if not before:
            take_over(self._proxy, ours)
        for door in fresh:
            root.start_soon(door.serve, lambda sock: accept(self._proxy, sock, self._spare, root))
        for address in set(before) - set(doors):
            before[address].close()
        await self._servers.adopt(smtpds)
        await self._feeds.adopt(feeds, root)
        if old.lists is not setup.lists:
            old.close()

    def _forget_as_history(self) -> None:
        """Judge by the half-lives that history is kept under: the Setup's, unless it could not be converted yet."""
        forgetting = self._proxy.memory.forgetting
        if self._proxy.setup.forgetting != forgetting:
            self._proxy.setup = replace(self._proxy.setup, forgetting=forgetting)
        self._proxy.journal.forgetting = forgetting

    def _replace_databases(self, book: GeoBook) -> None:
        """Databases were replaced on disk; all else stays as it is."""
        old, self._proxy.setup = self._proxy.setup, replace(self._proxy.setup, geo=book)
        old.geo.close()

    async def _obey(self, signals: AsyncIterator[int], root: trio.Nursery) -> None:
        async for number in signals:
            if number == signal.SIGHUP:
                root.start_soon(self._reload_on_signal, root)
            elif self._drain_wanted.is_set():
                self._proxy.log("drain", state="cut_short", open=self._proxy.pools.open_in(""))
                root.cancel_scope.cancel()
            else:
                self._drain_wanted.set()

    async def _reload_on_signal(self, root: trio.Nursery) -> None:
        with suppress(Mistaken):  # told in the log, mistake by mistake; the old Setup stays
            await self._reload(root)

    async def _reload(self, root: trio.Nursery) -> list[str]:
        """Build a new Setup and swap it in; remarks for the operator. Raises Mistaken; the old one stays then."""
        log = self._proxy.log
        async with self._reloading:
            self._supervisor.notifier.reloading()
            try:
                setup, remarks = await self._take_over(root)
            except Mistaken as error:
                for mistake in error.mistakes:
                    log("reload", state="refused", mistake=str(mistake))
                raise
            except Exception as error:  # no descriptor or process to be had, or a bug: what serves now goes on
                log.bug("reload", error)
                what = f"could not be taken over: {error!r}"
                raise self._cannot_reload(what, "the old one stays in force; see the log") from error
            finally:
                self._is_told_ready = self._supervisor.notifier.ready(self._serving())
            for remark in remarks:
                log("reload", state="remark", text=remark)
            log("reload", state="done", networks=setup.lists.entries, mode=setup.config.mode)
            return remarks

    async def _take_over(self, root: trio.Nursery) -> tuple[Setup, list[str]]:
        if self._drain_wanted.is_set():
            raise self._cannot_reload("frontproxy is about to end", "start it again")
        setup = await load(self._path)
        try:
            self._proxy.pins.refresh()
            remarks = [str(warning) for warning in setup.warnings] + _needs_restart(self._bound, setup.config)
            names = {pool.name for pool in setup.config.pools}
            for pin in self._proxy.pins.all(self._proxy.clock.now()):
                if pin.pool not in names:
                    remarks.append(f"the pin of {pin.network} has no effect: there is no pool {pin.pool!a}")
            await self._move_in(setup, root)
        except BaseException:
            if self._proxy.setup.lists is not setup.lists:  # its databases may have been replaced meanwhile
                setup.close()
            raise
        return setup, remarks

    def _cannot_reload(self, what: str, remedy: str) -> Mistaken:
        return Mistaken([Mistake(str(self._path), 0, "", what, remedy)])

    async def _drain(self) -> None:
        """Nobody new comes in, who waits is sent away, who is served by us may finish: at most `drain_time`.

        Sessions that were passed to other servers live on there without us.
        """
        proxy, pools = self._proxy, self._proxy.pools
        self._is_told_ready = True  # which is no longer worth saying
        self._supervisor.notifier.stopping("sessions may finish")
        proxy.log("drain", state="began", open=proxy.pools.open_in(""), waiting=len(proxy.room) + proxy.pools.waiting())
        while self._doors:
            self._doors.popitem()[1].close()
        proxy.room.shed(len(proxy.room), CLOSING, "drain")
        proxy.pools.dismiss_all(CLOSING)
        with trio.move_on_after(proxy.setup.config.listen.drain_time):
            await self._servers.drain()
            await trio.sleep(pulse.TICK)  # strangers who were shed say goodbye in their own tasks
            while pools.ours() or len(proxy.farewell):  # noqa: ASYNC110  they end in the pulse
                await trio.sleep(pulse.TICK)
        cut_off = pools.ours()
        pools.relay.end_all("drain")
        proxy.log("drain", state="done", cut_off=cut_off, live_on=pools.open_in("") - pools.ours())

    def _serving(self) -> str:
        """One line for `systemctl status`."""
        return f"serving {', '.join(address_text(door.address) for door in self._doors.values())}"

    def _each_second(self, alarms: Alarms) -> None:
        now, notifier = time.monotonic(), self._supervisor.notifier
        if self._supervisor.watchdog is not None and now - self._signed_at >= self._supervisor.watchdog - 1:
            self._signed_at = now
            notifier.alive()
        if not self._is_told_ready:
            self._is_told_ready = notifier.ready(self._serving())
        self._proxy.desk.tick(now)
        self._forget_as_history()
        alarms.look()

    def _troubles(self) -> Iterator[str]:
        """What is wrong with the programs that we have started, and with what they are asked to do."""
        yield from self._feeds.troubles()
        yield from self._lookups.troubles()
        yield from self._proxy.desk.troubles()
        yield from self._databases.troubles()


def _tcp_addresses(doors: Mapping[Address, Door]) -> set[tuple[str, int]]:
    """Where our sockets are bound; empty if sockets come from other programs too, which may be bound anywhere."""
    addresses = [door.address for door in doors.values()]
    if any(isinstance(address, Path) for address in addresses):
        return set()
    return {address for address in addresses if not isinstance(address, Path)}


def _places(wanted: int, log: Log) -> int:
    """Places in the waiting room, as far as descriptors allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    places = max((hard - _DESCRIPTORS_KEPT) * 3 // 4, 8)
    if wanted > places:
        log("short", why="descriptors", limit=hard, waiting_room=wanted, places=places)
    return min(wanted, places)


def _needs_restart(before: Config, after: Config) -> list[str]:
    changed = {
        "admin": before.admin != after.admin,
        "history.file": before.history.file != after.history.file,
        "learn.report": before.learn.report != after.learn.report,
    }
    return [f"{key} has changed, which takes effect at the next start" for key, differs in changed.items() if differs]
