"""One relayed session: a client, a server, and the octets that are carried between them.

A side *has ended* when it sends no more, and *is gone* when it takes no more. The end of one side is passed on to the
other once all octets before it are delivered. What is meant for a side that is gone is read and dropped, so that the
other side's last words are not lost in the reset that unread octets cause.

Events are edge-triggered, and only hints: whether a socket has octets or takes them, recv and send alone tell. So an
event too many harms nobody; but who is told of octets must read until there are none, or remember that there are more.

A client decides how fast it reads, and nothing is read from its server meanwhile, not even its end. So that it cannot
keep a place by reading little or nothing, two limits hold however much still moves: one begins when the server is known
to have hung up, read or not, one when the client takes less than there is for it.
"""

import math
from dataclasses import dataclass, field
from socket import MSG_DONTWAIT, MSG_PEEK, SHUT_WR, socket
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

NEVER = math.inf
CHUNK = 64 * 1024
"""Octets read at once, and the most that one direction keeps here."""
CHUNKS = 4
"""Chunks read from one side before others get their turn."""

CONNECT_LIMIT = 5.0
"""Seconds for the connect: two lost SYNs are made good within three."""
GREETING_LIMIT = 30.0
"""Seconds from the connect to the server's first octet. A client may hang up after five minutes (RFC 5321, 4.5.3.2.1),
has waited with us already, and another backend needs time, too."""
IDLE_LIMIT = 660.0
"""Seconds without an octet either way; a client waits 600 of them after its final dot (RFC 5321, 4.5.3.2.6)."""
HALF_CLOSED_LIMIT = 60.0
"""The same once the client has ended: the server may still be at work on its last commands."""
LINGER_LIMIT = 10.0
"""Seconds from the server's end, whatever moves: no process serves this client, but a place is still taken for it."""
STUCK_LIMIT = 30.0
"""Seconds a client may take less than there is for it. The replies of a whole session fit into the kernel's buffer, so
this is for clients that send commands by the thousand and do not read. A server's end that stands behind more than our
side of its connection takes is not seen; then the place of a server that has long gone is held as long."""

Stage = Literal["connecting", "greeting", "open", "ended"]
Progress = Literal["more", "blocked", "over"]
"""There is more to read; the other side takes no more for now; nothing will ever be left to do."""


@dataclass(slots=True, eq=False)
class Side(Generic[T]):
    """One of the two sockets of a session."""

    socket: socket
    session: "RelaySession[T]"
    other: "Side[T]" = field(init=False)
    sent: int = 0
    """Octets it took, a header of ours not counted."""
    unsent: bytes = b""
    """Octets that it would not take yet; until it does, nothing is read from the other side, not even its end."""
    behind_since: float = NEVER
    """When it first would not take all; until it has taken all that the other side has sent, which drips do not do."""
    left_at: float = NEVER
    """When it was first known to send no more; what it sent before may still have to be read."""
    has_ended: bool = False
    is_gone: bool = False
    is_watched_for_room: bool = False
    """The engine is told when it takes octets again."""


@dataclass(slots=True, eq=False)
class RelaySession(Generic[T]):
    """Both sides, and how far they have come. Times are monotonic seconds."""

    item: T
    header: bytes
    """What the server is sent first."""
    client: Side[T] = field(init=False)
    server: Side[T] = field(init=False)
    stage: Stage = "connecting"
    moved_at: float = 0.0
    """When the last octet moved, or the stage changed, or a side ended."""
    is_early: bool = False
    """There was an event of the client before the greeting: it has to be read once the greeting is there."""
    why: str = "done"
    """How it ended, when it has."""

    @classmethod
    def between(cls, client: socket, server: socket, header: bytes, item: T, now: float) -> "RelaySession[T]":
        """A session that has just begun to connect."""
        session = cls(item, header, moved_at=now)
        session.client, session.server = Side(client, session), Side(server, session)
        session.client.other, session.server.other = session.server, session.client
        return session

    @property
    def is_over(self) -> bool:
        """Both have ended, or the client has and will not read either."""
        return self.client.has_ended and (self.server.has_ended or self.client.is_gone)

    def overdue(self, now: float) -> str:
        """Why it must end now; empty while it need not."""
        limit, why = self._limit()
        if now - self.moved_at > limit:
            return why
        if now - self.server.left_at > LINGER_LIMIT:
            return "undelivered" if self.client.unsent else self._ended
        return "client_stuck" if now - self.client.behind_since > STUCK_LIMIT else ""

    def _limit(self) -> tuple[float, str]:
        if self.client.is_gone and self.stage != "open":
            return 0.0, "client_gone"
        if self.stage == "connecting":
            return CONNECT_LIMIT, f"no connection in {CONNECT_LIMIT:.0f} s"
        if self.stage == "greeting":
            return GREETING_LIMIT, f"no greeting in {GREETING_LIMIT:.0f} s"
        if self.client.has_ended or self.client.is_gone:
            return HALF_CLOSED_LIMIT, self._ended
        return IDLE_LIMIT, "idle"

    @property
    def _ended(self) -> str:
        return "half_closed" if self.why == "done" else self.why


def introduce(session: RelaySession[T], now: float) -> bool:
    """Send the header, or nothing if there is none, as soon as the server is connected; true when it is.

    Raises OSError for a connection that has failed. The header is the first octet of an empty buffer, so it goes in one
    piece.
    """
    try:
        session.server.socket.send(session.header, MSG_DONTWAIT)
    except BlockingIOError:
        return False
    session.stage, session.moved_at = "greeting", now
    return True


def has_hung_up(client: socket) -> bool:
    """The client has left without a word. One that talked too early and then closed its side may still be listening."""
    try:
        return not client.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def carry(source: Side[T], now: float, *, to_the_end: bool) -> Progress | None:
    """Read from one side and send to the other; None when all that came is delivered.

    A chunk that is not full was the last for now, and only an end can follow it: where one was announced, reading goes
    on `to_the_end`.
    """
    target = source.other
    if target.unsent or source.has_ended:
        return None
    for _ in range(CHUNKS):
        octets = _receive(source, now)
        if octets is None:
            break
        if not octets:
            return _end(source, now)
        if not target.is_gone and not send(target, octets, now):
            return "blocked"
        if target.is_gone and source.session.is_over:
            return "over"
        if len(octets) < CHUNK and not to_the_end:
            break
    else:
        return "more"
    target.behind_since = NEVER
    return None


def _receive(source: Side[T], now: float) -> bytes | None:
    """What came, empty at the end; None when nothing came."""
    try:
        return source.socket.recv(CHUNK, MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:
        _lose(source, now)
        return b""


def send(side: Side[T], octets: bytes, now: float) -> bool:
    """Send them, and keep what is left over; false if there is something. A side that is gone leaves nothing over."""
    try:
        sent = side.socket.send(octets, MSG_DONTWAIT)
    except BlockingIOError:
        sent = 0
    except OSError:
        _lose(side, now)
        return True
    side.sent += sent
    side.session.moved_at = now
    if sent < len(octets):
        side.unsent = octets[sent:]
        side.behind_since = min(side.behind_since, now)
        return False
    return True


def deliver(side: Side[T], now: float) -> Progress | None:
    """A side takes octets again: send what was left over, then go on with what the other side sends."""
    octets, side.unsent = side.unsent, b""
    if not send(side, octets, now):
        return None
    if side.session.is_over:
        return "over"
    return carry(side.other, now, to_the_end=True)


def _end(side: Side[T], now: float) -> Progress | None:
    """The last octet of a side has been read, and so all of them delivered: the other side is told."""
    side.has_ended = True
    side.left_at = min(side.left_at, now)
    side.other.behind_since = NEVER
    side.session.moved_at = now
    if not side.session.is_over:
        try:
            side.other.socket.shutdown(SHUT_WR)
        except OSError:  # reset meanwhile
            _lose(side.other, now)
    return "over" if side.session.is_over else None


def _lose(side: Side[T], now: float) -> None:
    """A side takes no more octets: what is owed to it is dropped. After an end this is how many leave."""
    session = side.session
    if not (side.has_ended or side.other.has_ended) and session.why == "done":
        session.why = "client_reset" if side is session.client else "server_reset"
    side.is_gone, side.unsent = True, b""
    side.left_at, side.behind_since = min(side.left_at, now), NEVER
