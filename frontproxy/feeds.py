"""The feed programs that a Setup asks for: started, watched, started again, ended.

We hold the sockets that they serve, so that a mail server finds the door open while a program is dead: it waits a
moment instead of being refused. A program that gives no sign of life is killed and started anew.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import trio

from frontproxy.children import BACKLOG, Child, Program
from frontproxy.core.config_values import TcpAddress
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.learn.feed import Orders
from frontproxy.local import InUseError, bind_local
from frontproxy.programs import command, environment
from frontproxy.setup import Setup

HANGS_AFTER: Final = 15.0
"""Seconds without a sign of life; three of them are due in that time."""
_MODULES: Final = {"milter": "frontproxy.learn.milter"}

Door = TcpAddress | Path
Wanted = tuple[str, Door]
"""Name of a feed, which is its key in `[learn]`, and where it listens."""


class Feeds:
    """The feeds that run; those that are retired finish their sessions unattended, and end."""

    def __init__(self, report: Path, log: Callable[..., None], raw: Callable[[str], None]) -> None:
        """`report` is the report socket as it is open now, whatever a later configuration says."""
        self._orders = Orders(report).line()
        self._log = log
        self._raw = raw
        self._running: Mapping[Wanted, Child] = {}

    def prepare(self, setup: Setup) -> dict[Wanted, Child]:
        """The feeds a Setup needs: those that run at the same door already, and new ones, not yet started.

        Raises Mistaken if a door cannot be had; those that run go on.
        """
        milter = setup.config.learn.milter
        wanted: list[Wanted] = [("milter", milter)] if milter else []
        feeds: dict[Wanted, Child] = {}
        for one in wanted:
            try:
                feeds[one] = self._running.get(one) or self._open(one, str(setup.path))
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
        for wanted, feed in before.items():
            if wanted not in feeds:
                await feed.retire()

    def reject(self, feeds: Mapping[Wanted, Child]) -> None:
        """Those prepared in vain close their doors."""
        for wanted, feed in feeds.items():
            if wanted not in self._running:
                feed.abandon()

    def status(self) -> list[dict[str, Any]]:
        """Name, process id (None while it is not running) and trouble (None if all is well) of each that runs."""
        return [
            {"name": feed.name, "pid": feed.pid, "trouble": feed.trouble or None} for feed in self._running.values()
        ]

    def troubles(self) -> Iterator[str]:
        """What an operator must know, while it lasts."""
        for feed in self._running.values():
            if feed.trouble:
                yield f"feed {feed.name}: {feed.trouble}; it is started again, and what it knew then is not learned"

    def _open(self, wanted: Wanted, file: str) -> Child:
        name, place = wanted
        door = self._door(name, place, file)
        program = Program(
            "feed", name, command(_MODULES[name], "--listen-fd"), environment(), self._orders, silence=HANGS_AFTER
        )
        return Child(program, door, place if isinstance(place, Path) else None)

    def _door(self, name: str, place: Door, file: str) -> socket.socket:
        """Where the mail server connects to. Raises Mistaken."""
        try:
            if isinstance(place, Path):
                door = bind_local(place, mode=0o666)  # the mail server is another user; the folder says who may enter
            else:
                family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
                door = socket.create_server(place, family=family, backlog=BACKLOG)
        except (OSError, InUseError) as error:
            remedy = "stop the program that listens there, or choose another port or path, where we may listen"
            raise Mistaken([Mistake(file, 0, f"learn.{name}", f"cannot listen: {error}", remedy)]) from error
        if isinstance(place, Path) and not place.parent.stat().st_mode & 0o011:
            text = f"{place.parent} keeps the mail server from {place.name}; chgrp postfix and chmod g+x that folder"
            self._log("configuration", state="warning", text=text)
        return door


def _nothing_is_lost(_door: str, _again_in: float) -> None:
    """A feed holds no session: when it dies, only what it would have told is gone."""
