"""The asking program that a Setup wants: started, watched, started again, ended.

It asks the DNS in a process of its own, so that no answer, however strange or slow to read, keeps us from our clients.
We hold both ends of the socket pair between us: what was asked while it is dead waits for its successor.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import trio

from frontproxy.children import Child, Program
from frontproxy.core.config_values import Config
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.lookup.desk import Desk
from frontproxy.lookup.orders import Orders
from frontproxy.programs import command, environment
from frontproxy.setup import Setup

HANGS_AFTER: Final = 15.0
"""Seconds without a sign of life; three of them are due in that time."""
_MODULE: Final = "frontproxy.lookup.program"


@dataclass(frozen=True, slots=True)
class AskingProgram:
    """One asking program, and our end of the socket pair to it."""

    orders: bytes
    child: Child
    link: socket.socket


class Lookups:
    """The asking program that runs, if any, and the desk that asks through it."""

    def __init__(self, desk: Desk, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        self._desk = desk
        self._log = log
        self._raw = raw
        self._running: AskingProgram | None = None

    def prepare(self, setup: Setup) -> AskingProgram | None:
        """The one a Setup needs: that which runs, if its orders are the same, or a new one, not yet started.

        None if nothing is to be asked. Raises Mistaken if there is no descriptor left; that which runs goes on.
        """
        config = setup.config
        if not is_wanted(config):
            return None
        orders = Orders(config.dns.servers, config.dns.generic).line()
        if self._running and self._running.orders == orders:
            return self._running
        try:
            link, door = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        except OSError as error:
            what, remedy = f"no socket for the asking program: {error}", "raise the limit of open files"
            raise Mistaken([Mistake(str(setup.path), 0, "dns", what, remedy)]) from error
        called = command(_MODULE, "--socket-fd")
        program = Program("lookup", "lookup", called, environment(), orders, silence=HANGS_AFTER, outlives_us=False)
        return AskingProgram(orders, Child(program, door), link)

    def adopt(self, asking: AskingProgram | None, config: Config, nursery: trio.Nursery) -> None:
        """From now on this one runs, and the desk asks through it as `config` says; the one before ends."""
        before, self._running = self._running, asking
        self._desk.configure(config.dns, config.dnslists, asking.link if asking else None)
        if before is asking:
            return
        if asking:
            nursery.start_soon(self._run, asking)
        if before:
            nursery.start_soon(before.child.retire)

    def reject(self, asking: AskingProgram | None) -> None:
        """One that was prepared in vain is let go."""
        if asking and asking is not self._running:
            asking.child.abandon()
            asking.link.close()

    def status(self) -> dict[str, Any] | None:
        """Process id (None while it is not running) and trouble (None if all is well); None if none is wanted."""
        if self._running is None:
            return None
        child = self._running.child
        return {"pid": child.pid, "trouble": child.trouble or None}

    def troubles(self) -> Iterator[str]:
        """What an operator must know, while it lasts."""
        if self._running and (trouble := self._running.child.trouble):
            yield f"the asking program: {trouble}; it is started again, and while it is away nobody is looked up"

    async def _run(self, asking: AskingProgram) -> None:
        with asking.link:  # closed when the program has ended for good
            await asking.child.run(self._log, _nothing_is_lost, self._raw)


def is_wanted(config: Config) -> bool:
    """There is something to ask the DNS."""
    return bool(config.dnslists) or config.dns.names


def _nothing_is_lost(_door: str, _again_in: float) -> None:
    """It holds no session; what it was asked stays without an answer."""
