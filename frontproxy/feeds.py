"""The feed programs that a Setup asks for: started, watched, started again, ended.

We hold the sockets that they serve, so that a mail server finds the door open while a program is dead: it waits a
moment instead of being refused. A program that gives no sign of life is killed and started anew. One whose orders have
changed is replaced at the same door; the others do not notice.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio

from frontproxy.children import BACKLOG, Child, Program
from frontproxy.core.config_values import Learn, TcpAddress
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.learn.feed import Orders
from frontproxy.local import InUseError, bind_local
from frontproxy.programs import command, environment
from frontproxy.setup import Setup

HANGS_AFTER: Final = 15.0
"""Seconds without a sign of life; three of them are due in that time."""
_COMMANDS: Final = {
    "milter": ("frontproxy.learn.milter", "--listen-fd"),
    "maillog": ("frontproxy.learn.maillog", "--orders"),
    "policy": ("frontproxy.learn.policy", "--listen-fd"),
}

Door = TcpAddress | Path


class Wanted(NamedTuple):
    """One feed that a Setup asks for."""

    name: str
    """Its key in `[learn]`."""
    door: Door | None
    """Where it listens; None for one that reads a file."""
    orders: bytes
    """The first line that it reads."""


class Feeds:
    """The feeds that run; those that are retired finish their sessions unattended, and end."""

    def __init__(self, report: Path, admin: Path, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        """The report socket and the admin socket are as they are open now, whatever a later configuration says."""
        self._report = report
        self._admin = admin
        self._log = log
        self._raw = raw
        self._running: Mapping[Wanted, Child] = {}

    def prepare(self, setup: Setup) -> dict[Wanted, Child]:
        """The feeds a Setup needs: those that run with the same orders already, and new ones, not yet started.

        Raises Mistaken if a door cannot be had; those that run go on.
        """
        feeds: dict[Wanted, Child] = {}
        for wanted in self._wanted(setup.config.learn):
            try:
                feeds[wanted] = self._running.get(wanted) or self._open(wanted, str(setup.path))
            except Mistaken:
                self.reject(feeds)
                raise
        return feeds

    async def adopt(self, feeds: Mapping[Wanted, Child], nursery: trio.Nursery) -> None:
        """From now on these run; the others finish their sessions."""
        before, self._running = self._running, feeds
        for wanted, feed in feeds.items():
            if wanted not in before:
                nursery.start_soon(feed.run, self._log, _nothing_is_lost, self._raw)
        successors = {(wanted.name, wanted.door): feed for wanted, feed in feeds.items()}
        for wanted, feed in before.items():
            if wanted in feeds:
                continue
            if successor := successors.get((wanted.name, wanted.door)):
                await feed.make_way(successor)
            else:
                await feed.retire()

    def reject(self, feeds: Mapping[Wanted, Child]) -> None:
        """Those prepared in vain close their doors."""
        for wanted, feed in feeds.items():
            if wanted not in self._running:
                feed.abandon()

    def status(self) -> list[dict[str, Any]]:
        """Name, process id (None while it is not running) and trouble (None if all is well) of each that runs."""
        return [
            {"name": feed.name, "pid": feed.pid, "trouble": feed.trouble or feed.complaint or None}
            for feed in self._running.values()
        ]

    def troubles(self) -> Iterator[str]:
        """What an operator must know, while it lasts."""
        for feed in self._running.values():
            if feed.trouble:
                yield f"feed {feed.name}: {feed.trouble}; it is started again, and what it knew then is not learned"
            if feed.complaint:
                yield f"feed {feed.name}: {feed.complaint}"

    def _wanted(self, learn: Learn) -> Iterator[Wanted]:
        """The feeds of a configuration, with their orders."""
        if learn.milter:
            yield Wanted("milter", learn.milter, Orders(self._report).line())
        if learn.maillog:
            yield Wanted("maillog", None, Orders(self._report, file=learn.maillog).line())
        if learn.policy:
            orders = Orders(self._report, admin=self._admin, classes=dict(learn.policy.classes))
            yield Wanted("policy", learn.policy.address, orders.line())

    def _open(self, wanted: Wanted, file: str) -> Child:
        """A feed that is not yet started. Raises Mistaken."""
        name, place, orders = wanted
        program = Program("feed", name, command(*_COMMANDS[name]), environment(), orders, silence=HANGS_AFTER)
        if place is None:
            return Child(program)
        before = [feed for other, feed in self._running.items() if (other.name, other.door) == (name, place)]
        try:
            if before:
                return before[0].successor(program)
            child = Child(program, _door(place), place if isinstance(place, Path) else None)
        except (OSError, InUseError) as error:
            remedy = "stop the program that listens there, or choose another port or path, where we may listen"
            raise Mistaken([Mistake(file, 0, f"learn.{name}", f"cannot listen: {error}", remedy)]) from error
        if isinstance(place, Path) and not place.parent.stat().st_mode & 0o011:
            text = f"{place.parent} keeps the mail server from {place.name}; chgrp postfix and chmod g+x that folder"
            self._log("configuration", state="warning", text=text)
        return child


def _door(place: Door) -> socket.socket:
    """Where the mail server connects to. Raises OSError or InUseError."""
    if isinstance(place, Path):
        return bind_local(place, mode=0o666)  # the mail server is another user; the folder says who may enter
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    return socket.create_server(place, family=family, backlog=BACKLOG)


def _nothing_is_lost(_door: str, _again_in: float) -> None:
    """A feed holds no session: when it dies, only what it would have told is gone."""
