"""A DNS server between a client and a real one, which makes the trouble that a test asks for.

    with Trouble(unbound.port) as trouble:
        trouble.conduct("bl.example", SILENT)      # from now on, for this zone and what is below it
        trouble.queries("bl.example")              # how many questions have come, answered or not

It serves UDP and TCP on one free port, in a thread of its own, and asks the real one as it was asked.
"""

import heapq
import itertools
import random
import selectors
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from tests.real.dns_wire import answer, error, name_of, question_type, truncated
from tests.real.house import DEADLINE

_LARGEST = 65535
_A = 1
_NOERROR, _SERVFAIL, _REFUSED = 0, 2, 5
Reply = Callable[[bytes], None]
"""Takes one reply to the client that asked."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How questions are treated. `delay` in seconds; `loss` is the share of UDP questions that are never answered."""

    delay: float = 0.0
    loss: float = 0.0
    over_tcp: bool = False
    """By UDP the answer is truncated; by TCP it is whole."""
    is_silent: bool = False
    instead: Callable[[bytes], bytes | None] | None = None
    """What is answered to a question instead of passing it on; None of it passes the question on."""


def lies(address: str) -> Conduct:
    """Every question for an address is answered with this one."""
    return Conduct(instead=lambda query: answer(query, [address]) if question_type(query) == _A else None)


GOOD = Conduct()
SILENT = Conduct(is_silent=True)
SERVFAIL = Conduct(instead=lambda query: error(query, _SERVFAIL))
REFUSED = Conduct(instead=lambda query: error(query, _REFUSED))
LISTS_THE_WORLD = lies("127.0.0.2")
DEAD_DOMAIN = lies("192.0.2.9")
TURNS_US_AWAY = lies("127.255.255.254")
TRUNCATED = Conduct(over_tcp=True)
NEVER_WHOLE = Conduct(instead=truncated)
"""Truncated by UDP and by TCP."""
WRONG_ID = Conduct(instead=lambda query: answer(bytes([query[0] ^ 1]) + query[1:], ["127.0.0.2"]))
GARBAGE = Conduct(instead=lambda query: answer(query, ["127.0.0.2"])[:-16] + b"\xff" * 16)
ANOTHER_QUESTION = Conduct(instead=lambda query: query[:2] + b"\x81\x80" + b"\xff" * 40)
NO_HEADER = Conduct(instead=lambda _query: b"?")


class Trouble:
    """The server in front of the one at `upstream`, a UDP port. `seed` is that of its losses."""

    def __init__(self, upstream: int, *, seed: int = 1) -> None:
        self._upstream = ("127.0.0.1", upstream)
        self._conduct: dict[str, Conduct] = {}
        self._seed = seed
        self._chance = random.Random(seed)
        self._counts: Counter[str] = Counter()
        self._asked: dict[int, tuple[bytes, Conduct, Reply]] = {}
        self._ids = itertools.cycle(range(65536))
        self._later: list[tuple[float, int, bytes, Reply]] = []
        self._numbers = itertools.count()
        self._udp, self._tcp = _both_on_one_port()
        self.port = int(self._udp.getsockname()[1])
        self._behind = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ends = False

    def __enter__(self) -> Self:
        for sock, serve in (
            (self._udp, self._take_udp),
            (self._tcp, self._accept),
            (self._behind, self._take_answers),
            (self._woken, self._nothing),
        ):
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, serve)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._ends = True
        self._wake.send(b"x")
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._wake.close()
        self._selector.close()

    def conduct(self, zone: str, conduct: Conduct) -> None:
        """How questions in a zone are treated from now on; "" is everything, and the longest zone decides.

        Chance begins anew.
        """
        self._chance = random.Random(self._seed)
        self._conduct = {**self._conduct, zone: conduct}

    def queries(self, zone: str = "") -> int:
        """Questions so far in a zone, by UDP or TCP."""
        return sum(count for name, count in self._counts.copy().items() if _is_in(name, zone))

    def names(self) -> dict[str, int]:
        """How often each name was asked for."""
        return dict(self._counts)

    def _serve(self) -> None:
        while not self._ends:
            until = self._later[0][0] - time.monotonic() if self._later else None
            for key, _events in self._selector.select(None if until is None else max(0.0, until)):
                key.data()
            while self._later and self._later[0][0] <= time.monotonic():
                _at, _number, message, reply = heapq.heappop(self._later)
                reply(message)

    def _take_udp(self) -> None:
        with suppress(BlockingIOError):
            while True:
                query, client = self._udp.recvfrom(_LARGEST)
                self._take(query, partial(self._send_udp, client), by_udp=True)

    def _send_udp(self, client: tuple[str, int], message: bytes) -> None:
        with suppress(OSError):  # it has gone
            self._udp.sendto(message, client)

    def _accept(self) -> None:
        connection, _peer = self._tcp.accept()
        connection.setblocking(False)
        heard = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._take_tcp(connection, heard))

    def _take_tcp(self, connection: socket.socket, heard: bytearray) -> None:
        try:
            data = connection.recv(_LARGEST)
        except OSError:
            data = b""
        heard += data
        while len(heard) >= 2 and len(heard) >= (end := 2 + struct.unpack_from("!H", heard)[0]):
            query = bytes(heard[2:end])
            del heard[:end]
            self._take(query, partial(_send_tcp, connection), by_udp=False)
        if not data:
            self._selector.unregister(connection)
            connection.close()

    def _take(self, query: bytes, reply: Reply, *, by_udp: bool) -> None:
        name = name_of(query)
        self._counts[name] += 1
        conduct = self._conduct_of(name)
        if conduct.is_silent or (by_udp and self._chance.random() < conduct.loss):
            return
        if conduct.over_tcp and by_udp:
            self._reply(truncated(query), conduct, reply)
        elif conduct.instead is not None and (instead := conduct.instead(query)) is not None:
            self._reply(instead, conduct, reply)
        elif not by_udp:
            self._reply(_ask_by_tcp(self._upstream, query), conduct, reply)
        else:
            number = next(self._ids)
            self._asked[number] = (query[:2], conduct, reply)
            with suppress(OSError):  # nobody is there: silence
                self._behind.sendto(struct.pack("!H", number) + query[2:], self._upstream)

    def _conduct_of(self, name: str) -> Conduct:
        zones = [zone for zone in self._conduct if _is_in(name, zone)]
        return self._conduct[max(zones, key=len)] if zones else GOOD

    def _take_answers(self) -> None:
        with suppress(OSError):
            while True:
                message = self._behind.recv(_LARGEST)
                original, conduct, reply = self._asked.pop(struct.unpack_from("!H", message)[0])
                self._reply(original + message[2:], conduct, reply)

    def _reply(self, message: bytes, conduct: Conduct, reply: Reply) -> None:
        if conduct.delay:
            at = time.monotonic() + conduct.delay
            heapq.heappush(self._later, (at, next(self._numbers), message, reply))
        else:
            reply(message)

    def _nothing(self) -> None:
        """Somebody only wants to be noticed."""


def _is_in(name: str, zone: str) -> bool:
    return not zone or name == zone or name.endswith(f".{zone}")


def _ask_by_tcp(server: tuple[str, int], query: bytes) -> bytes:
    """The reply to one question; whoever else has one waits meanwhile."""
    with socket.create_connection(server, DEADLINE) as connection, connection.makefile("rb") as stream:
        _send_tcp(connection, query)
        return stream.read(struct.unpack("!H", stream.read(2))[0])


def _send_tcp(connection: socket.socket, message: bytes) -> None:
    with suppress(OSError):  # it has gone
        connection.send(struct.pack("!H", len(message)) + message)


def _both_on_one_port() -> tuple[socket.socket, socket.socket]:
    """A UDP socket, and a listening TCP socket on the same port."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return udp, tcp
