"""Where the running proxy would send a client: asked over its admin socket, on one connection, and never waited for.

No answer within a second, a proxy that is away, an answer that is not one: then there is no route, and mail goes on as
if nobody had been asked. Answers are kept for a few seconds, as a client's recipients come one after the other.
"""

import contextlib
import json
import socket
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from frontproxy.lifeline import ChildLog

ANSWER_WITHIN: Final = 1.0
"""Seconds."""
REST: Final = 5.0
"""Seconds in which a proxy that did not answer, or could not be reached, is not asked."""
KEPT_FOR: Final = 3.0
"""Seconds an answer is good for."""
KEPT: Final = 5_000
"""Answers kept at most; about 2 MB."""
_LONGEST_ANSWER: Final = 16 * 1024
_CHUNK: Final = 64 * 1024


class Route(NamedTuple):
    """Where a client would go: a pool, or away with a reply; nowhere if both are empty."""

    pool: str = ""
    reply: str = ""
    stress: bool = False
    """The pool is under stress."""


NO_ROUTE: Final = Route()


class Watch(Protocol):
    """What a loop does with descriptors."""

    def watch(self, number: int, hear: Callable[[float], None]) -> None: ...
    def unwatch(self, number: int) -> None: ...


class Routes:
    """Asks, and remembers for a moment. `heard` gets each client that was asked about, and its route."""

    def __init__(self, admin: Path, watch: Watch, log: ChildLog, heard: Callable[[str, Route], None]) -> None:
        self._admin = str(admin)
        self._watch = watch
        self._log = log
        self._heard = heard
        self._connection: socket.socket | None = None
        self._rest = b""
        self._asked: dict[str, float] = {}  # client: when; in the order of the answers
        self._kept: dict[str, tuple[Route, float]] = {}  # client: its route, and until when; the eldest first
        self._resting_until = -inf

    def known(self, client: str, now: float) -> Route | None:
        """The answer that is still good; `now` is monotonic, in seconds."""
        route, until = self._kept.get(client, (None, 0.0))
        return route if now < until else None

    def ask(self, client: str, now: float) -> bool:
        """Have `heard` called with this client's route; false if nobody can be asked now."""
        if client in self._asked:
            return True
        if now < self._resting_until or (self._connection is None and not self._connect(now)):
            return False
        request = f"route {client}\n".encode()
        try:
            if self._connection is None or self._connection.send(request) != len(request):
                self._lose()
                return False
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return False
        self._asked[client] = now
        return True

    def tend(self, now: float) -> float:
        """Give up waiting where it has been long; returns when to look again."""
        if not self._asked:
            return inf
        due = next(iter(self._asked.values())) + ANSWER_WITHIN
        if due > now:
            return due
        self._log.often(now, "no_answer", what=f"frontproxy did not answer within {ANSWER_WITHIN:g} s")
        self._resting_until = now + REST
        self._lose()
        return inf

    def close(self) -> None:
        """Hang up; who waits for an answer gets none."""
        self._lose()

    def _hear(self, now: float) -> None:
        """Read what has come."""
        if self._connection is None:
            return
        try:
            data = self._connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line, now)
        if not data or len(self._rest) > _LONGEST_ANSWER:  # it closes a connection on which nothing is asked for long
            self._lose()

    def _take(self, line: bytes, now: float) -> None:
        if not self._asked:
            return
        client = next(iter(self._asked))
        del self._asked[client]
        route = _route_in(line, client)
        if route is None:
            self._log.often(now, "odd_answer", what="frontproxy's admin socket does not tell routes")
        else:
            self._kept.pop(client, None)
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[client] = route, now + KEPT_FOR
        self._heard(client, route or NO_ROUTE)

    def _connect(self, now: float) -> bool:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            connection.connect(self._admin)
        except OSError as error:
            connection.close()
            self._log.often(now, "proxy_away", what=f"{self._admin}: {error.strerror}")
            self._resting_until = now + REST
            return False
        self._connection = connection
        self._watch.watch(connection.fileno(), self._hear)
        return True

    def _lose(self) -> None:
        if self._connection is not None:
            self._watch.unwatch(self._connection.fileno())
            self._connection.close()
            self._connection = None
        self._rest = b""
        waiting, self._asked = self._asked, {}
        for client in waiting:
            self._heard(client, NO_ROUTE)


def _route_in(line: bytes, client: str) -> Route | None:
    """What an answer says about this client; None if it says nothing of the kind."""
    answer: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        answer = json.loads(line)
    match answer:
        case {"ok": True, "client": str(told), "pool": str() | None, "reply": str() | None, "stress": bool(stress)}:
            if told == client:
                return Route(answer["pool"] or "", answer["reply"] or "", stress)
    return None
