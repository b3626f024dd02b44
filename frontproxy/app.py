"""The composition root: builds the parts from a Setup, owns the root nursery and the signals, swaps Setups, drains."""

import contextlib
import json
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from frontproxy.admin import AdminSocket
from frontproxy.children import Smtpd
from frontproxy.clock import AnchoredClock
from frontproxy.control import Controls
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.doors import Address, address_text, open_door
from frontproxy.learn.report import ReportSocket
from frontproxy.listener import SpareDescriptors, listen
from frontproxy.local import InUseError, bind_local, remove_local
from frontproxy.log import Log
from frontproxy.memory.pins import Pins
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.proxy import Proxy
from frontproxy.setup import SMTPD, Setup, environment, load

CLOSING = "421 4.3.2 Service is shutting down, please try again later"
_READY_WITHIN = 10.0
"""Seconds we wait for new smtpds; what is handed over to a slower one waits in its backlog."""
_DESCRIPTORS_KEPT = 64
"""Descriptors that are not for waiting strangers, beside a quarter of the rest."""


@dataclass(slots=True, eq=False)
class _Door:
    socket: socket.socket
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class House:
    """One running frontproxy. `open` builds it, `run` serves until it has drained."""

    def __init__(self, setup: Setup, proxy: Proxy) -> None:
        self._path = setup.path
        self._proxy = proxy
        self._doors: dict[Address, _Door] = {}
        self._smtpds: dict[tuple[str, str], Smtpd] = {}
        self._leaving: list[Smtpd] = []
        self._spare = SpareDescriptors()
        self._drain_wanted = trio.Event()
        self._reloading = trio.Lock()

    async def run(
        self, setup: Setup, sockets: "Sockets", signals: AsyncIterator[int], say: Callable[[str], None]
    ) -> None:
        """Serve until SIGTERM, SIGINT or `drain`; a second SIGINT or SIGTERM does not wait for sessions."""
        proxy = self._proxy
        report = ReportSocket(proxy.outcome, lambda: proxy.pools.waiting() > 0, proxy.log, setup.config.admin.group)
        failure: Exception | None = None
        async with trio.open_nursery() as root:
            controls = Controls(proxy, report.heard, lambda: self._reload(root), self._drain_wanted.set, self._servers)
            admin = AdminSocket(controls, proxy.log, setup.config.admin.group)
            root.start_soon(self._obey, signals, root)
            root.start_soon(proxy.memory.run)
            root.start_soon(proxy.run)
            root.start_soon(report.serve, sockets.report)
            try:
                await self._move_in(setup, root)
            except (Mistaken, InUseError, OSError) as error:
                failure = error
            else:
                root.start_soon(admin.serve, sockets.admin)
                say(self._greeting(setup))
                await self._drain_wanted.wait()
                await self._drain()
            root.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _move_in(self, setup: Setup, root: trio.Nursery) -> None:
        """Let a Setup take effect: its smtpds start, then its doors open, then the old ones close.

        Raises Mistaken, with nothing changed, if an address or socket cannot be had.
        """
        opened = self._open_doors(setup)
        try:
            smtpds = self._open_smtpds(setup)
        except BaseException:
            for door in opened.values():
                door.socket.close()
            raise
        new = [smtpd for key, smtpd in smtpds.items() if self._smtpds.get(key) is not smtpd]
        for smtpd in new:
            root.start_soon(smtpd.run, self._proxy.log, self._proxy.server_died, self._proxy.log.raw)
        with trio.move_on_after(_READY_WITHIN):
            for smtpd in new:
                await smtpd.ready.wait()
        old, self._proxy.setup = self._proxy.setup, setup
        self._proxy.memory.limit = setup.config.history.max_clients_remembered
        self._proxy.memory.forgetting = setup.forgetting
        self._proxy.room.places = _places(setup.config.listen.waiting_room, self._proxy.log)
        paths = {key: str(smtpd.path) for key, smtpd in smtpds.items()}
        self._proxy.pools.configure(setup.config, paths, time.monotonic())
        for address, door in opened.items():
            self._doors[address] = door
            root.start_soon(self._serve_door, door, root)
        for address in set(self._doors) - set(setup.config.listen.addresses):
            self._close_door(self._doors.pop(address))
        gone = [smtpd for key, smtpd in self._smtpds.items() if smtpds.get(key) is not smtpd]
        self._smtpds = smtpds
        for smtpd in gone:
            self._leaving.append(smtpd)
            root.start_soon(smtpd.retire)
        if old is not setup:
            old.close()

    def _open_doors(self, setup: Setup) -> dict[Address, _Door]:
        opened: dict[Address, _Door] = {}
        try:
            for address in setup.config.listen.addresses:
                if address not in self._doors:
                    opened[address] = _Door(open_door(address, str(setup.path)))
        except Mistaken:
            for door in opened.values():
                door.socket.close()
            raise
        return opened

    def _open_smtpds(self, setup: Setup) -> dict[tuple[str, str], Smtpd]:
        """The bundled smtpds the pools name: those that run with the same settings already, and new ones."""
        report = setup.config.learn.report
        settings = {"smtpd": setup.config.smtpd, "folder": str(setup.folder), "report": str(report)}
        line = json.dumps(settings).encode() + b"\n"
        smtpds: dict[tuple[str, str], Smtpd] = {}
        for pool in setup.config.pools:
            for backend in pool.backends:
                if backend.kind != "bundled":
                    continue
                key = (pool.name, f"bundled:{backend.target}")
                running = self._smtpds.get(key)
                if running is not None and running.settings == line:
                    smtpds[key] = running
                    continue
                command = [*SMTPD, "--personality", backend.target]
                name = f"smtpd-{pool.name}-{backend.target}"
                try:
                    smtpds[key] = Smtpd(name, command, environment(), line, report.parent)
                except (OSError, InUseError) as error:
                    for other, smtpd in smtpds.items():
                        if self._smtpds.get(other) is not smtpd:
                            smtpd.abandon()
                    what, remedy = f"the socket of {name} cannot be made: {error}", "it stands beside learn.report"
                    mistake = Mistake(str(setup.path), 0, f"pool.{pool.name}.backends", what, remedy)
                    raise Mistaken([mistake]) from error
        return smtpds

    async def _serve_door(self, door: _Door, strangers: trio.Nursery) -> None:
        with door.scope:
            await listen(self._proxy, door.socket, self._spare, strangers)

    def _close_door(self, door: _Door) -> None:
        door.scope.cancel()
        trio.lowlevel.notify_closing(door.socket)
        door.socket.close()

    async def _obey(self, signals: AsyncIterator[int], root: trio.Nursery) -> None:
        async for number in signals:
            if number == signal.SIGHUP:
                with contextlib.suppress(Mistaken):  # told in the log, mistake by mistake; the old Setup stays
                    await self._reload(root)
            elif self._drain_wanted.is_set():
                self._proxy.log("drain", state="cut_short", open=self._proxy.pools.open_in(""))
                root.cancel_scope.cancel()
            else:
                self._drain_wanted.set()

    async def _reload(self, root: trio.Nursery) -> list[str]:
        """Build a new Setup and swap it in; remarks for the operator. Raises Mistaken; the old one stays then."""
        log = self._proxy.log
        async with self._reloading:
            try:
                setup, remarks = await self._take_over(root)
            except Mistaken as error:
                for mistake in error.mistakes:
                    log("reload", state="refused", mistake=str(mistake))
                raise
            except Exception as error:  # no descriptor or process to be had, or a bug: what serves now goes on
                log.bug("reload", error)
                what, remedy = f"could not be taken over: {error!r}", "the old one stays in force; see the log"
                raise Mistaken([Mistake(str(self._path), 0, "", what, remedy)]) from error
            for remark in remarks:
                log("reload", state="remark", text=remark)
            log("reload", state="done", networks=setup.lists.entries, mode=setup.config.mode)
            return remarks

    async def _take_over(self, root: trio.Nursery) -> tuple[Setup, list[str]]:
        if self._drain_wanted.is_set():
            raise Mistaken([Mistake(str(self._path), 0, "", "frontproxy is about to end", "start it again")])
        setup = await load(self._path)
        try:
            remarks = [str(warning) for warning in setup.warnings] + _needs_restart(self._proxy.setup, setup)
            await self._move_in(setup, root)
        except BaseException:
            if self._proxy.setup is not setup:
                setup.close()
            raise
        return setup, remarks

    async def _drain(self) -> None:
        """Nobody new comes in, who waits is sent away, who is served may finish: at most `drain_time`."""
        proxy = self._proxy
        proxy.log("drain", state="began", open=proxy.pools.open_in(""), waiting=len(proxy.room) + proxy.pools.waiting())
        while self._doors:
            self._close_door(self._doors.popitem()[1])
        proxy.room.shed(len(proxy.room), CLOSING)
        proxy.pools.dismiss_all(CLOSING)
        smtpds = [*self._smtpds.values(), *self._leaving]
        for smtpd in smtpds:
            smtpd.drain()
        with trio.move_on_after(proxy.setup.config.listen.drain_time):
            for smtpd in smtpds:
                await smtpd.ended.wait()
            await trio.sleep(0.05)  # strangers who were shed say goodbye in their own tasks
            while proxy.pools.open_in("") or len(proxy.farewell):  # noqa: ASYNC110  they end in the tick
                await trio.sleep(0.05)
        proxy.log("drain", state="done", open=proxy.pools.open_in(""))

    def _servers(self) -> list[dict[str, Any]]:
        return [{"name": smtpd.name, "pid": smtpd.pid} for smtpd in self._smtpds.values()]

    def _greeting(self, setup: Setup) -> str:
        """What a person at the terminal wants to know first."""
        addresses = [door.socket.getsockname()[:2] for door in self._doors.values()]
        lines = [f"frontproxy listens on {', '.join(map(address_text, addresses))} ({setup.config.mode})"]
        if setup.mailbox:
            lines.append(f"mail goes to          {setup.mailbox} (a Maildir)")
        if addresses:
            host, port = addresses[0]
            domain = (setup.smtpd.get("domains") or setup.config.smtpd.get("domains") or ["example.com"])[0]
            program = (
                f"import smtplib; smtplib.SMTP('{host}', {port})"
                f".sendmail('me@example.org', 'you@{domain}', 'Subject: hello\\n\\nHello.')"
            )
            pause = f"  (a stranger waits {setup.config.listen.pause:g} s for the greeting)"
            lines.append(f'try it                python3 -c "{program}"')
            lines.append(f"and then              frontproxy score {host}, frontproxy status{pause}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Sockets:
    """The doors for programs on this machine. Who holds them is the only frontproxy in this folder."""

    admin: socket.socket
    report: socket.socket


def _places(wanted: int, log: Log) -> int:
    """Places in the waiting room, as far as descriptors allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    places = max((hard - _DESCRIPTORS_KEPT) * 3 // 4, 8)
    if wanted > places:
        log("short", why="descriptors", limit=hard, waiting_room=wanted, places=places)
    return min(wanted, places)


def _needs_restart(old: Setup, new: Setup) -> list[str]:
    before, after = old.config, new.config
    changed = {
        "admin": before.admin != after.admin,
        "history.file": before.history.file != after.history.file,
        "learn.report": before.learn.report != after.learn.report,
    }
    return [f"{key} has changed, which takes effect at the next start" for key, differs in changed.items() if differs]


async def serve(path: Path, say: Callable[[str], None]) -> None:
    """Run frontproxy with the configuration at `path` until it is told to end.

    Raises Mistaken for a configuration that cannot be used (CannotListen for an address), InUseError when another
    frontproxy holds the sockets, OSError when they cannot be made.
    """
    with trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM, signal.SIGINT) as signals:
        setup = await load(path)
        config = setup.config
        clock = AnchoredClock(time.time, time.monotonic)
        log = Log(2, None if "JOURNAL_STREAM" in os.environ else time.time)
        admin = bind_local(config.admin.socket, mode=0o660, group=config.admin.group)
        try:
            report = bind_local(config.learn.report, mode=0o660, group=config.admin.group)
            try:
                pins = Pins.load(config.history.file.parent / "pins.toml")
                memory = await trio.to_thread.run_sync(lambda: _open_history(setup, log, clock))
                for warning in setup.warnings:
                    log("configuration", state="warning", text=str(warning))
                proxy = Proxy(setup, memory, pins, log, clock)
                try:
                    await House(setup, proxy).run(setup, Sockets(admin, report), signals, say)
                finally:
                    memory.close()
            finally:
                remove_local(config.learn.report, report)
        finally:
            remove_local(config.admin.socket, admin)
            log.flush(1.0)


def _open_history(setup: Setup, log: Log, clock: AnchoredClock) -> HistoryFile:
    history = setup.config.history
    limit = history.max_clients_remembered
    return HistoryFile.open(history.file, limit=limit, forgetting=setup.forgetting, log=log, clock=clock.now)
