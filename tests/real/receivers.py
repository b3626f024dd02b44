"""Servers behind the relay as a test wants them: each client has a thread that behaves as it was told to."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self

from tests.fakes import reset
from tests.real.house import DEADLINE

FRIENDS = """
[[list]]
name = "friends"
kind = "points"
networks = ["127.1.0.0/16", "::1"]
points = 20
"""
"""Where friends come from, for a configuration."""
RELAYED = """
[listen]
addresses = ["127.0.0.1:0", "[::1]:0"]
pause = "100ms"
{friends}
[pool.all]
backends = [{backends}]
sessions = 20
per_client = 20
patience = "1s"
handover_wait = "20s"
[[route]]
to = "all"
"""
"""A house with one pool; `relayed_to` names its servers."""
FRIEND = "127.1.0.1"
OTHER_FRIEND = "127.1.0.2"
STRANGER = "127.64.0.1"
END = b".\r\n"
TO_DATA = [
    b"EHLO client.example.org\r\n",
    b"MAIL FROM:<me@example.org>\r\n",
    b"RCPT TO:<user@example.com>\r\n",
    b"DATA\r\n",
]
"""What a client says before its message."""
Behaviour = Callable[[socket.socket], None]


def relayed_to(*backends: str) -> str:
    """The configuration of a house that relays to these servers."""
    return RELAYED.format(friends=FRIENDS, backends=", ".join(f'"{backend}"' for backend in backends))


class Receiver:
    """A server on a free port; `sessions` are its ends of the connections it has had.

    `buffer` is how many octets wait for it at most, so that who sends more has to wait; 0 is as the system likes.
    """

    def __init__(self, behave: Behaviour, buffer: int = 0) -> None:
        self.sessions: list[socket.socket] = []
        self._behave = behave
        self._door = socket.create_server(("127.0.0.1", 0))
        if buffer:
            self._door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.port = int(self._door.getsockname()[1])
        self.backend = f"tcp:127.0.0.1:{self.port}?proxy=none"
        self._threads = [Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its sessions, and listen no more."""
        for sock in (self._door, *self.sessions):
            with suppress(OSError):  # closed or reset already
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE)
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _peer = self._door.accept()
                self.sessions.append(connection)
                self._threads.append(Thread(target=self._serve, args=[connection]))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._behave(connection)


def begin_message(client: socket.socket) -> None:
    """Take a session to the point where the message itself is sent."""
    assert client.recv(4096).startswith(b"220 ")
    for command in TO_DATA:
        client.sendall(command)
        assert client.recv(4096)[:1] in b"23"


def say_nothing(connection: socket.socket) -> None:
    """Accept, and never greet."""
    while connection.recv(65536):
        pass


def hang_up(_connection: socket.socket) -> None:
    """Accept, and close without a greeting."""


def take_mail(connection: socket.socket, messages: list[bytes] | None = None) -> None:
    """An SMTP server that takes everything; it keeps the messages, as they came, if there is a list for them."""

    def take(lines: Iterator[bytes]) -> None:
        message = b"".join(iter(lambda: next(lines, END), END))
        if messages is not None:
            messages.append(message)

    _converse(connection, take)


def reset_in_the_message(connection: socket.socket) -> None:
    """Reset the connection when the first line of a message has come."""

    def leave(lines: Iterator[bytes]) -> None:
        next(lines)
        reset(connection)

    _converse(connection, leave)


def read_slowly(connection: socket.socket, until: Event) -> None:
    """Read one octet of a message a second."""

    def dawdle(_lines: Iterator[bytes]) -> None:
        while connection.recv(1) and not until.wait(1):
            pass
        reset(connection)

    _converse(connection, dawdle)


def _converse(connection: socket.socket, read_message: Callable[[Iterator[bytes]], None]) -> None:
    """An SMTP session in which everything is welcome."""
    connection.sendall(b"220 receiver.example.net\r\n")
    lines = _lines(connection)
    for line in lines:
        verb = line[:4].upper()
        if verb == b"DATA":
            connection.sendall(b"354 go on\r\n")
            read_message(lines)
        connection.sendall(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
        if verb == b"QUIT":
            return


def _lines(connection: socket.socket) -> Iterator[bytes]:
    rest = b""
    while octets := connection.recv(65536):
        *lines, rest = (rest + octets).split(b"\n")
        yield from (line + b"\n" for line in lines)
