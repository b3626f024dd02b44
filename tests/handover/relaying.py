"""A relay for tests: clients and servers over loopback, a clock that stands still, and who is told."""

import contextlib
import select
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from frontproxy.handover.relay import Relay
from tests.fakes import PATIENCE, tcp_pair


class Told:
    """Remembers what the relay tells about sessions, which are known by names; raises where a bug is asked for."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.ended: list[tuple[str, int, int, str]] = []
        self.given_back: list[socket.socket] = []
        self.then: Callable[[], None] = lambda: None
        """Done by whoever is told next."""

    def relay_began(self, item: str, now: float) -> None:
        """The server greets."""
        self.began.append(item)
        self._then()

    def relay_failed(self, item: str, client: socket.socket, why: str, *, was_reached: bool) -> None:
        """The server could not be had."""
        self.failed.append((item, why))
        self.given_back.append(client)
        self._then()

    def relay_ended(self, item: str, to_server: int, to_client: int, why: str) -> None:
        """The session is over."""
        self.ended.append((item, to_server, to_client, why))
        self._then()

    def _then(self) -> None:
        then, self.then = self.then, lambda: None
        then()


class Relaying:
    """A relay with one server's door, and all sockets, which are closed at the end."""

    def __init__(self, address: str = "127.0.0.1", *, backlog: int = 16) -> None:
        self._sockets = contextlib.ExitStack()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.door = self.keep(socket.create_server((address, 0), family=family, backlog=backlog))
        self.door.settimeout(PATIENCE)
        self.target: tuple[str, int] = self.door.getsockname()[:2]
        self.now = 1000.0
        self.told = Told()
        self.bugs: list[Exception] = []
        self.relay: Relay[str] = Relay(self.told, self.bugs.append, lambda: self.now)
        self._sockets.callback(self.relay.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sockets.close()

    def keep(self, sock: socket.socket) -> socket.socket:
        """Close it at the end."""
        return self._sockets.enter_context(sock)

    def visit(self) -> tuple[socket.socket, socket.socket]:
        """A new client: our end of its connection, and its own."""
        ours, client = tcp_pair()
        return self.keep(ours), self.keep(client)

    def open(self, name: str = "s", *, header: bytes = b"") -> tuple[socket.socket, socket.socket]:
        """A session that waits for its greeting: the client, and the server, which has not read the header yet."""
        ours, client = self.visit()
        self.relay.open(ours, self.target, header, name)
        return client, self.accept()

    def accept(self) -> socket.socket:
        """The server's end of the session that was opened first."""
        server = self.keep(self.door.accept()[0])
        server.settimeout(PATIENCE)
        return server

    def greeted(self, name: str = "s") -> tuple[socket.socket, socket.socket]:
        """A session whose client has read the greeting: the client and the server."""
        client, server = self.open(name)
        server.send(b"220 hello\r\n")
        self.turn_until(lambda: name in self.told.began)
        assert client.recv(100) == b"220 hello\r\n"
        return client, server

    def turn_until(self, is_done: Callable[[], object]) -> None:
        """Let the relay work until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not is_done():
            assert time.monotonic() < deadline, "it did not come to pass"
            select.select([self.relay], [], [], 0.01)
            self.relay.turn()

    def read(self, sock: socket.socket, size: int) -> bytes:
        """So many octets, or all up to the end, while the relay works."""
        octets = b""
        while len(octets) < size:
            self.turn_until(lambda: is_readable(sock))
            more = sock.recv(size - len(octets))
            if not more:
                break
            octets += more
        return octets

    def turn_until_quiet(self) -> None:
        """Let the relay do all that can be done; what its peers did has arrived, loopback being that quick."""
        while select.select([self.relay], [], [], 0.02)[0]:
            self.relay.turn()


def is_readable(sock: socket.socket) -> bool:
    """There are octets, or an end, or an error."""
    return bool(select.select([sock], [], [], 0)[0])
