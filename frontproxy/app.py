"""The composition root: opens what the house stands on, and runs it."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import trio

from frontproxy import systemd
from frontproxy.clock import AnchoredClock
from frontproxy.doors import Address
from frontproxy.handover.held import HeldSockets
from frontproxy.house import House, LocalSockets, Supervisor
from frontproxy.local import bind_local, kept_out, may_give, remove_local
from frontproxy.log import Log
from frontproxy.memory.journal import Journal
from frontproxy.memory.journal_table import journal_path
from frontproxy.memory.lock import InUse
from frontproxy.memory.pins import Pins
from frontproxy.memory.sqlite import HistoryFile
from frontproxy.proxy import Proxy
from frontproxy.setup import Setup, load

PATIENCE = 15.0
"""Seconds for which another program may still have the history."""


async def serve(path: Path, ready: Callable[[Setup, list[Address]], None]) -> None:
    """Run frontproxy with the configuration at `path` until it is told to end; `ready` is told when it serves.

    Raises Mistaken for a configuration that cannot be used (CannotListen for an address), InUseError when another
    frontproxy holds the sockets, OSError when they cannot be made, InUse when another has the history.
    """
    with trio.open_signal_receiver(signal.SIGHUP, signal.SIGTERM, signal.SIGINT) as signals, ExitStack() as undo:
        supervisor = _supervisor(undo)
        setup = await load(path)
        config = setup.config
        clock = AnchoredClock(time.time, _seconds_since_boot)
        log = Log(2, None if "JOURNAL_STREAM" in os.environ else time.time)
        undo.callback(log.flush, 1.0)
        sockets = []
        group = config.admin.group if not config.admin.group or may_give(config.admin.group) else ""
        for local in (config.admin.socket, config.learn.report):
            sockets.append(bind_local(local, mode=0o660, group=group))
            undo.callback(remove_local, local, sockets[-1])
        pins = Pins.load(config.history.file.parent / "pins.toml")
        memory = await _history(setup, log, clock)
        undo.callback(memory.close)
        journal = await trio.to_thread.run_sync(_open_journal, setup, log, clock)
        undo.callback(journal.close)
        held = HeldSockets.open()
        undo.callback(held.close)
        for warning in _warnings(setup, supervisor, held):
            log("configuration", state="warning", text=warning)
        proxy = Proxy(setup, memory, pins, log, clock, held, journal)
        undo.callback(proxy.farewell.close)
        undo.callback(proxy.pools.close)
        house = House(setup, proxy, supervisor)
        await house.run(setup, LocalSockets(*sockets), signals, lambda addresses: ready(setup, addresses))


def _supervisor(undo: ExitStack) -> Supervisor:
    """Who has started us, if it was systemd."""
    notifier = systemd.Notifier()
    undo.callback(notifier.close)
    sockets = systemd.inherited_sockets()
    for sock in sockets:
        undo.callback(sock.close)
    return Supervisor(notifier, systemd.watchdog_interval(), sockets)


def _warnings(setup: Setup, supervisor: Supervisor, held: HeldSockets) -> list[str]:
    """What an operator should know at the start."""
    admin = setup.config.admin
    warnings = [*map(str, setup.warnings)]
    if admin.group and not may_give(admin.group):
        remedy = f"SupplementaryGroups={admin.group} in the service gives it that group"
        warnings.append(f"admin.group has no effect, as our user is not in {admin.group}; {remedy}")
    else:
        warnings += kept_out(admin.socket.parent, admin.group)
    if supervisor.sockets and not setup.config.listen.from_systemd:
        warnings.append('systemd passed listening sockets that nobody serves; add "systemd" to listen.addresses')
    if held.why_not:
        warnings.append(f"places are counted only until a server takes the session: {held.why_not}")
    return warnings


def _seconds_since_boot() -> float:
    """Monotonic, and unlike `time.monotonic` it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _open_journal(setup: Setup, log: Log, clock: AnchoredClock) -> Journal:
    return Journal.open(journal_path(setup.config.history.file), log=log, clock=clock.now)


async def _history(setup: Setup, log: Log, clock: AnchoredClock) -> HistoryFile:
    """The history, opened. `frontproxy learn` lets go of it as soon as it sees us. Raises InUse if nobody does."""
    patience = trio.current_time() + PATIENCE
    while True:
        try:
            return await trio.to_thread.run_sync(_open_history, setup, log, clock)
        except InUse:
            if trio.current_time() > patience:
                raise
        await trio.sleep(0.1)


def _open_history(setup: Setup, log: Log, clock: AnchoredClock) -> HistoryFile:
    history = setup.config.history
    limit = history.max_clients_remembered

    def tell(event: str, /, **values: object) -> None:
        """Write at once: before the pulse beats, an operator waits for a large file to be converted."""
        log(event, **values)
        log.tick()

    return HistoryFile.open(history.file, limit=limit, forgetting=setup.forgetting, log=tell, clock=clock.now)
