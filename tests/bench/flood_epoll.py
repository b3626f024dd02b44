"""Many TCP clients on one epoll, each following its script: cheap enough to share a machine with what it measures."""

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.bench.flood_scripts import Script

_CHUNK = 4096
_ENDED_BY_SERVER = "thrown out"


@dataclass(slots=True, eq=False)
class Call:
    """One client's session; times are of the monotonic clock, which all processes share."""

    client: str
    script: Script
    began: float
    socket: socket.socket
    heard: bytes = b""
    said_hello: bool = False
    ended: float = 0.0
    result: str = ""
    """What the script returned, or why the session ended without it."""


@dataclass(slots=True)
class Switchboard:
    """The open calls to one port of this machine; `on_end` is told of each that ended, by itself or by `hang_up`."""

    port: int
    on_end: Callable[[Call], None]
    calls: dict[int, Call] = field(default_factory=dict)
    _epoll: select.epoll = field(default_factory=select.epoll)

    def call(self, client: str, script: Script) -> None:
        """Connect from that address; what comes of it is seen by `serve`."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((client, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.calls[sock.fileno()] = Call(client, script, time.monotonic(), sock)
        sock.connect_ex(("127.0.0.1", self.port))
        self._epoll.register(sock, select.EPOLLIN | select.EPOLLOUT)

    def serve(self, until: float) -> None:
        """Wait for events, at most until then, and answer them."""
        for number, events in self._epoll.poll(max(0.0, until - time.monotonic())):
            call = self.calls.get(number)
            if call is not None:
                self._answer(call, events)

    def hang_up(self, call: Call, result: str) -> None:
        """Close it, for this reason."""
        call.ended = time.monotonic()
        call.result = result
        del self.calls[call.socket.fileno()]
        call.socket.close()
        self.on_end(call)

    def close(self) -> None:
        """Close all that are still open; nobody is told."""
        for call in self.calls.values():
            call.socket.close()
        self.calls.clear()
        self._epoll.close()

    def _answer(self, call: Call, events: int) -> None:
        try:
            if not call.said_hello and events & select.EPOLLOUT:
                self._epoll.modify(call.socket, select.EPOLLIN)
                call.said_hello = True
                call.socket.send(next(call.script))
            if events & ~select.EPOLLOUT:
                self._hear(call, call.socket.recv(_CHUNK))
        except StopIteration as end:
            self.hang_up(call, end.value)
        except OSError as error:
            self.hang_up(call, type(error).__name__)

    def _hear(self, call: Call, data: bytes) -> None:
        """Send each complete reply into the script, and what it yields to the server."""
        if not data:
            self.hang_up(call, _ENDED_BY_SERVER)
            return
        *lines, call.heard = (call.heard + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-" and (words := call.script.send(line)):
                call.socket.send(words)
