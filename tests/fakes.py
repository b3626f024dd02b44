"""Stand-ins that several tests share: a server that takes handovers, clients with their sessions, a recorder."""

import contextlib
import gc
import os
import select
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from frontproxy.core.address import client_of, pack
from frontproxy.core.session import Session
from frontproxy.core.verdict import Route, Verdict
from frontproxy.handover.backends import Given
from frontproxy.handover.held import HeldSockets
from frontproxy.wire import pass_protocol

PATIENCE = 5.0
"""Seconds after which a fake gives up waiting for what should be there at once."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a server got in one handover."""

    client: socket.socket
    attributes: dict[str, str]


class FakeSmtpd:
    """A server at a UNIX socket that takes one handover whenever it is told to. Closes what it took at the end."""

    def __init__(self, path: Path, *, backlog: int = 16) -> None:
        self.path = str(path)
        self._taken: list[socket.socket] = []
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._door.settimeout(PATIENCE)
        self._door.bind(self.path)
        self._door.listen(backlog)

    def take(self) -> Taken:
        """Take the handover that has waited longest, as a server process does: read it, then close the connection."""
        connection, _nobody = self._door.accept()
        with connection:
            data, descriptors, _flags, _address = socket.recv_fds(connection, pass_protocol.MESSAGE_LIMIT, 4)
        (descriptor,) = descriptors
        client = socket.socket(fileno=descriptor)
        self._taken.append(client)
        attributes = pass_protocol.decode(data)
        assert attributes is not None
        return Taken(client, attributes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, and end every session that was taken. The socket file stays, as after a crash."""
        for sock in (self._door, *self._taken):
            sock.close()


class Visitors:
    """Clients with their sessions, over socket pairs; closes both ends of all at the end."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._far_ends: dict[str, socket.socket] = {}
        self._sockets = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.close()

    def session(
        self,
        address: str = "192.0.2.1",
        *,
        score: float = 0.0,
        pool: str = "hostile",
        standing: Literal["friend", "stranger", "foe"] = "stranger",
        pinned: str = "",
        learning: Literal["full", "forwarder", "none"] = "full",
        accepted: float = 0.0,
        sock: socket.socket | None = None,
    ) -> Session:
        """A session of a new connection, judged already; `sock` is our end of it if it is not to be a socket pair."""
        number = next(self._numbers)
        identity = f"s{number}"
        if sock is None:
            sock, self._far_ends[identity] = socket.socketpair()
            self._sockets.enter_context(self._far_ends[identity])
        self._sockets.enter_context(sock)
        settled = standing != "stranger" or bool(pinned)
        packed = pack(address)
        return Session(
            id=identity,
            socket=sock,
            packed=packed,
            client=client_of(packed),
            address=address,
            port=1024 + number,
            server=("198.51.100.25", 25),
            accepted=accepted,
            verdict=Verdict(address, score, (), Route(pool=pool), settled, pinned, standing, learning=learning),
        )

    def friend(
        self, address: str = "192.0.2.1", *, score: float = 10.0, pool: str = "nice", accepted: float = 0.0
    ) -> Session:
        """A session of a client with a good name."""
        return self.session(address, score=score, pool=pool, standing="friend", accepted=accepted)

    def far_end(self, session: Session) -> socket.socket:
        """The client's end of a session's connection."""
        return self._far_ends[session.id]


@dataclass
class Recorder:
    """Remembers what the pools tell."""

    given: list[Given] = field(default_factory=list)
    ended: list[Given] = field(default_factory=list)
    relayed: list[tuple[str, int, int, str]] = field(default_factory=list)
    """Session ids, octets to the server and to the client, and why it ended."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Session ids, each with why it was refused."""
    replies: Counter[str] = field(default_factory=Counter)
    logged: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def session_given(self, given: Given) -> None:
        """A session was handed over."""
        self.given.append(given)

    def session_ended(self, given: Given) -> None:
        """A session that was handed over has ended."""
        self.ended.append(given)

    def session_relayed(self, given: Given, to_server: int, to_client: int, why: str) -> None:
        """A session was relayed to its end."""
        self.relayed.append((given.session.id, to_server, to_client, why))

    def bug(self, error: Exception) -> None:
        """A bug befell a session."""
        raise error

    def session_refused(self, session: Session, reply: str, why: str) -> None:
        """A session must leave with a reply."""
        self.refused.append((session.id, why))
        self.replies[reply] += 1

    def log(self, event: str, /, **values: object) -> None:
        """One line of the log."""
        self.logged.append((event, values))

    def events(self, event: str) -> list[dict[str, object]]:
        """The values of all lines about one kind of event."""
        return [values for name, values in self.logged if name == event]


def no_notices() -> HeldSockets:
    """A kernel that tells nothing."""
    return HeldSockets(None, "this kernel tells nothing")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection over loopback: the server's, then the client's."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        client = socket.create_connection(door.getsockname()[:2])
        client.settimeout(PATIENCE)
        return door.accept()[0], client


def reset(client: socket.socket) -> None:
    """Close a TCP socket with a reset instead of an orderly end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def await_readable(sock: socket.socket) -> None:
    """What the other end did takes a moment to arrive, even on loopback."""
    assert select.select([sock], [], [], PATIENCE)[0]


def open_descriptors() -> int:
    """How many descriptors this process has open, less those that only wait for the collector, from whatever test."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  an iterator would count itself while it runs


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may do anything, so become somebody else for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)
