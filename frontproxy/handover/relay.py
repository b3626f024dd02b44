"""Handover by relay: we stay between the client and a server on any machine, and carry their octets.

All sessions share one epoll, which a single task waits for: waking two tasks for every chunk costs twice as much. The
server speaks first in SMTP, so nothing is read from a client before its server has greeted; until then a session whose
server fails can be given to another one. Sockets are registered once, edge-triggered, and told apart from their
successors with the same number by never closing one within a batch of events. They are unregistered before they are
closed: a client's that came through another process may be open there, too, and would live on in the epoll.
"""

import contextlib
import errno
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from select import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    MSG_DONTWAIT,
    SO_LINGER,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    socket,
)
from typing import Generic, Protocol, TypeVar

import trio

from frontproxy.handover.descriptor import Saturated, Unreachable
from frontproxy.handover.relay_session import (
    CHUNK,
    Progress,
    RelaySession,
    Side,
    carry,
    deliver,
    has_hung_up,
    introduce,
    send,
)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

BATCH = 64
"""Events taken at once."""
ROUNDS = 8
"""Batches in a row, while there are events, before other tasks get their turn,"""
TURN = 0.002
"""and the seconds after which they get it in any case: a few chunks each way of a few busy sessions take as long."""
LOOKED_AT = 32
"""Sessions whose limits are looked at in one tick; with 1,000 sessions and a tick of 25 ms each is seen every 0.8 s."""
_ENDED = EPOLLRDHUP | EPOLLHUP | EPOLLERR
_WATCHED = EPOLLIN | EPOLLRDHUP | EPOLLET
_UNREAD = 1 << 24
"""No event of the kernel's: there may be more to read, up to the end."""
_UP_TO_THE_END = _ENDED | _UNREAD
_RESET = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER for a close that drops what the other end has not taken, and says so."""
_SHORT_OF = {
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ENOSPC,  # epoll's watches
    errno.EAGAIN,
    errno.EADDRNOTAVAIL,  # local ports
}
"""What is no fault of the server's."""


class RelayProceedings(Protocol[T_contra]):
    """What the relay tells. Each session ends with one of the last two."""

    def relay_began(self, item: T_contra, now: float) -> None:
        """The server has sent its first octet: a server process has the client."""

    def relay_failed(self, item: T_contra, client: socket, why: str, *, was_reached: bool) -> None:
        """The server could not be had; the client's socket is given back as it came."""

    def relay_ended(self, item: T_contra, to_server: int, to_client: int, why: str) -> None:
        """It is over: so many octets went to the server and to the client. Both sockets are about to be closed.

        `why` is done, client_gone (before the greeting), client_reset, server_reset, idle, half_closed, client_stuck
        (it did not read), undelivered (nor its server's last words, after which that had hung up), bug, or what
        `end_all` was given.
        """


class Relay(Generic[T]):
    """Carries the octets of all relayed sessions; `item` is what the owner knows a session by. Times are monotonic."""

    def __init__(
        self,
        proceedings: RelayProceedings[T],
        bug: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proceedings = proceedings
        self._bug = bug
        self._clock = clock
        self._epoll = epoll()
        self._sides: dict[int, Side[T]] = {}
        self._sessions: OrderedDict[RelaySession[T], None] = OrderedDict()
        self._unfinished: dict[Side[T], int] = {}  # in order, so that each has one turn; what happened there
        self._leaving: list[socket] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def fileno(self) -> int:
        """Readable when `turn` has something to do."""
        return self._epoll.fileno()

    def open(self, client: socket, server: tuple[str, int], header: bytes, item: T) -> None:
        """Begin to connect a client to a server, a numeric address and a port; the client's socket is ours now.

        On loopback the connect is complete at once, and the header with it. Raises Unreachable or Saturated; then the
        client's socket is still the caller's. A client's socket that cannot be watched is no fault of the server's: it
        is told as client_gone, by one of the next ticks.
        """
        name = f"{server[0]}:{server[1]}"
        try:
            connection = socket(AF_INET6 if ":" in server[0] else AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
        except OSError as error:
            raise Saturated(f"{name}: {error.strerror}") from None
        session = RelaySession.between(client, connection, header, item, self._clock())
        try:
            self._connect(session, server)
        except OSError as error:
            connection.close()
            if error.errno in _SHORT_OF:
                raise Saturated(f"{name}: {error.strerror}") from None
            raise Unreachable(f"{name}: {error.strerror}") from None
        for side in (session.client, session.server):
            self._sides[side.socket.fileno()] = side
        self._sessions[session] = None

    async def run(self) -> None:
        """Carry for ever. A bug in one session ends that session only."""
        try:
            while True:
                if self._unfinished:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(self)
                until = self._clock() + TURN
                for _ in range(ROUNDS):
                    if not self.turn(until) or self._clock() >= until:
                        break
        finally:
            trio.lowlevel.notify_closing(self)

    def turn(self, until: float = math.inf) -> bool:
        """Do what can be done now, within bounds, and for one side at least; false if there was nothing.

        What is not done by `until` is the first of the next turn.
        """
        now, sides = self._clock(), self._sides
        todo = list(self._unfinished.items())
        self._unfinished = {}
        todo += [(sides[number], what) for number, what in self._epoll.poll(0, BATCH) if number in sides]
        work = iter(todo)
        for side, what in work:
            self._guarded(side, what, now)
            if self._clock() >= until:
                self._put_first(work)
        self._close_left()
        return bool(todo)

    def tick(self, now: float) -> None:
        """Look at the limits of some sessions, in turn."""
        for _ in range(min(LOOKED_AT, len(self._sessions))):
            session = next(iter(self._sessions))
            self._sessions.move_to_end(session)
            if why := session.overdue(now):
                self._end(session, why)
        self._close_left()

    def end_all(self, why: str) -> None:
        """End every session; the clients of those that had not begun are given back."""
        for session in list(self._sessions):
            self._end(session, why)
        self._close_left()

    def close(self) -> None:
        """End what is left without telling anybody, and the relay itself."""
        for side in self._sides.values():
            side.socket.close()
        self._close_left()
        self._epoll.close()

    def _connect(self, session: RelaySession[T], server: tuple[str, int]) -> None:
        connection = session.server.socket
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        code = connection.connect_ex(server)
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
        is_connected = introduce(session, session.moved_at)
        self._epoll.register(connection, _WATCHED if is_connected else _WATCHED | EPOLLOUT)
        session.server.is_watched_for_room = not is_connected
        self._watch_client(session.client)  # the last that can fail, so it is never to be undone

    def _watch_client(self, client: Side[T]) -> None:
        try:
            self._epoll.register(client.socket, _WATCHED)
        except OSError as error:
            if error.errno in _SHORT_OF:
                raise
            client.is_gone = True

    def _put_first(self, work: Iterable[tuple[Side[T], int]]) -> None:
        """What there was no time for comes before the rest of those that had their turn."""
        undone: dict[Side[T], int] = {}
        for side, what in (*work, *self._unfinished.items()):
            undone[side] = undone.get(side, 0) | what
        self._unfinished = undone

    def _guarded(self, side: Side[T], what: int, now: float) -> None:
        """Something happened at one side; a bug that this reveals must not end the other sessions."""
        session = side.session
        try:
            if session.stage == "open":
                self._carry_on(side, what, now)
            elif session.stage == "ended":  # by an earlier event of this batch
                return
            elif session.client.is_gone:
                self._finish(session, "client_gone")
            elif side is session.client:
                self._hear_early(session, what)
            else:
                self._hear_server(session, what, now)
        except Exception as error:  # noqa: BLE001  the relay outlives a bug in one session
            self._bug(error)
            self._end(session, "bug")

    def _carry_on(self, side: Side[T], what: int, now: float) -> None:
        to_the_end = what & _UP_TO_THE_END != 0
        if to_the_end and what & _ENDED:
            side.left_at = min(side.left_at, now)
        if side.unsent and (progress := deliver(side, now)):
            self._settle(side.other, progress)
        if side.session.stage == "open" and (progress := carry(side, now, to_the_end=to_the_end)):
            self._settle(side, progress)

    def _settle(self, source: Side[T], progress: Progress) -> None:
        if progress == "more":
            self._unfinished[source] = _UNREAD
        elif progress == "over":
            self._finish(source.session, source.session.why)
        elif not source.other.is_watched_for_room:
            source.other.is_watched_for_room = True
            self._epoll.modify(source.other.socket, _WATCHED | EPOLLOUT)

    def _hear_early(self, session: RelaySession[T], what: int) -> None:
        """The client talks before its server does, which it may, or it has left."""
        session.is_early = True
        if what & _ENDED and has_hung_up(session.client.socket):
            self._finish(session, "client_gone")

    def _hear_server(self, session: RelaySession[T], what: int, now: float) -> None:
        """The server is connected, or has greeted, or has failed."""
        try:
            if session.stage == "connecting" and not introduce(session, now):
                return
            greeting = session.server.socket.recv(CHUNK, MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(session, error.strerror or "failed")
            return
        if not greeting:
            self._fail(session, "closed before its greeting")
            return
        self._begin(session, greeting, now)
        self._carry_on(session.server, what, now)
        if session.is_early:
            self._carry_on(session.client, _UNREAD, now)

    def _begin(self, session: RelaySession[T], greeting: bytes, now: float) -> None:
        session.stage = "open"
        self._proceedings.relay_began(session.item, now)
        client = session.client
        with contextlib.suppress(OSError):  # a client that was passed to us may have come by another way than TCP
            client.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if not send(client, greeting, now):
            self._settle(session.server, "blocked")

    def _end(self, session: RelaySession[T], why: str) -> None:
        """End it, however far it has come."""
        try:
            if session.stage == "ended":
                return
            if session.stage == "open" or session.client.is_gone:
                self._finish(session, why)
            else:
                self._fail(session, why)
        except Exception as error:  # noqa: BLE001  whoever is told has a bug; the session is forgotten all the same
            self._bug(error)

    def _finish(self, session: RelaySession[T], why: str) -> None:
        self._forget(session)
        if session.client.unsent:
            session.client.socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        self._leaving += session.client.socket, session.server.socket
        self._proceedings.relay_ended(session.item, session.server.sent, session.client.sent, why)

    def _fail(self, session: RelaySession[T], why: str) -> None:
        was_reached = session.stage != "connecting"
        self._forget(session)
        self._leaving.append(session.server.socket)
        self._proceedings.relay_failed(session.item, session.client.socket, why, was_reached=was_reached)

    def _forget(self, session: RelaySession[T]) -> None:
        session.stage = "ended"
        del self._sessions[session]
        sides = (session.server, session.client)
        for side in sides:
            del self._sides[side.socket.fileno()]
        with contextlib.suppress(OSError):  # a client that could not be watched
            for side in sides:
                self._epoll.unregister(side.socket)

    def _close_left(self) -> None:
        """After the batch, so that no event in it can mean a newcomer with the same number as one that has ended."""
        for sock in self._leaving:
            sock.close()
        self._leaving.clear()
