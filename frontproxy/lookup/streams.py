"""Questions whose reply does not fit into a datagram, asked again over TCP; few at a time, and bounded."""

import math
import socket
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import Final, Generic, TypeVar

from frontproxy.lookup import dns_wire
from frontproxy.lookup.events import WRITE, Events
from frontproxy.lookup.servers import Asker, Server

STREAMS: Final = 16
"""At a time."""
PATIENCE: Final = 3.0
"""Seconds for one, from connecting to the last octet."""
_CHUNK: Final = 16 * 1024
_chance = SystemRandom()

A = TypeVar("A", bound=Asker)
Done = Callable[[A, bytes, str], None]
"""Is told who asked, the reply, and why there is none (then it is empty)."""


@dataclass(slots=True, eq=False)
class _Stream(Generic[A]):
    asker: A
    socket: socket.socket
    number: int
    until: float
    received: bytes = b""

    def take(self) -> bytes:
        """What has come; once there is enough, the message. Raises OSError, EOFError, BlockingIOError."""
        if not (data := self.socket.recv(_CHUNK)):
            raise EOFError
        self.received += data
        end = 2 + int.from_bytes(self.received[:2], "big")  # 64 kB at most
        return self.received[2:end] if len(self.received) >= max(end, 2) else b""


class Streams(Generic[A]):
    """The connections there are now; each for one question."""

    def __init__(self, events: Events, done: Done[A]) -> None:
        """`done` is called once for each question that was taken."""
        self._events = events
        self._done = done
        self._streams: dict[_Stream[A], float] = {}  # in the order in which they are due

    @property
    def due(self) -> float:
        """When `tick` has something to do next; infinite if nothing is under way."""
        return next(iter(self._streams.values()), math.inf)

    def ask(self, server: Server[A], asker: A, now: float) -> str:
        """Put a question to a server; why that cannot be, or nothing."""
        if len(self._streams) >= STREAMS:
            return "busy"
        try:
            sock = server.connect()
        except OSError:
            return "unreachable"
        stream = _Stream(asker, sock, _chance.getrandbits(16), now + PATIENCE)
        self._streams[stream] = stream.until
        self._events.watch(sock.fileno(), lambda: self._connected(stream), WRITE)
        return ""

    def tick(self, now: float) -> None:
        """Give up those that took too long."""
        while self._streams and self.due <= now:
            self._end(next(iter(self._streams)), b"", "timeout")

    def close(self) -> None:
        """Let go of all, without a word."""
        for stream in list(self._streams):
            self._close(stream)

    def _connected(self, stream: _Stream[A]) -> None:
        message = dns_wire.query(stream.number, stream.asker.asked)
        try:
            stream.socket.send(len(message).to_bytes(2, "big") + message)  # the buffer of a new connection has room
        except OSError:
            self._end(stream, b"", "unreachable")
            return
        self._events.watch(stream.socket.fileno(), lambda: self._receive(stream))

    def _receive(self, stream: _Stream[A]) -> None:
        try:
            message = stream.take()
        except BlockingIOError:
            return
        except (OSError, EOFError):
            self._end(stream, b"", "cut off")
            return
        if message:
            fits = dns_wire.number_of(message) == stream.number and dns_wire.answers(message, stream.asker.asked)
            self._end(stream, message if fits else b"", "" if fits else "malformed")

    def _end(self, stream: _Stream[A], message: bytes, error: str) -> None:
        self._close(stream)
        self._done(stream.asker, message, error)

    def _close(self, stream: _Stream[A]) -> None:
        del self._streams[stream]
        self._events.forget(stream.socket.fileno())
        stream.socket.close()
