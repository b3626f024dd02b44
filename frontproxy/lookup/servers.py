"""The servers we ask: a few connected UDP sockets to each, renewed now and then.

Who wants to slip us a forged answer must guess a port, an id and the name asked for within the moment that an answer
takes. A connected socket takes datagrams from its server only, and the kernel tells it that nobody listens there.
"""

import socket
from random import SystemRandom
from typing import Final, Generic, Protocol, TypeVar

from frontproxy.lookup import dns_wire
from frontproxy.lookup.events import Events

PORTS: Final = 4
"""Sockets open to one server at a time."""
QUESTIONS_OF_A_PORT: Final = 500
AGE_OF_A_PORT: Final = 120.0
"""After so many questions or seconds a socket is replaced; it is closed when it waits for nothing more."""
_DATAGRAM: Final = 4096  # octets; without EDNS nobody sends more than 512
_DATAGRAMS_AT_ONCE: Final = 64
_chance = SystemRandom()

Place = tuple[str, int]
"""Address (IPv6 with a scope if it needs one) and port."""


class Asker(Protocol):
    """Who waits for a reply."""

    asked: bytes
    """The question, in wire form."""


A = TypeVar("A", bound=Asker)


class Hears(Protocol[A]):
    """Who is told what happens at a port."""

    def replied(self, port: "Port[A]", asker: A, message: bytes) -> None:
        """The reply to this question came; the port waits for it no longer."""

    def away(self, port: "Port[A]", askers: list[A]) -> None:
        """Nobody listens there; the port waits for none of these any longer."""

    def stray(self) -> None:
        """Something came that answers nothing we asked."""


class Port(Generic[A]):
    """One socket, and who waits there for a reply."""

    def __init__(self, server: "Server[A]", now: float, events: Events, hears: Hears[A]) -> None:
        """Raises OSError if there is no way to the server, or no descriptor."""
        self.server = server
        self._began = now
        self._questions = 0
        self._askers: dict[int, A] = {}
        self._events = events
        self._hears = hears
        self._is_old = False
        self._socket = _connected(server.place, socket.SOCK_DGRAM)
        events.watch(self._socket.fileno(), self._receive)

    def is_worn(self, now: float) -> bool:
        """It is time for another one."""
        return self._questions >= QUESTIONS_OF_A_PORT or now - self._began > AGE_OF_A_PORT

    def ask(self, asker: A) -> int:
        """Send a question, and return its id. Raises OSError if there is no way."""
        number = _chance.getrandbits(16)
        while number in self._askers:
            number = _chance.getrandbits(16)
        self._questions += 1
        self._send(dns_wire.query(number, asker.asked))
        self._askers[number] = asker
        return number

    def forget(self, number: int, asker: A) -> None:
        """Who asked does not wait for the reply any longer."""
        if self._askers.get(number) is asker:  # and not another one, under the same id
            del self._askers[number]
            self._close_if_done()

    def retire(self) -> None:
        """No more questions; close when nobody waits."""
        self._is_old = True
        self._close_if_done()

    def close(self) -> None:
        """Now."""
        if self._socket.fileno() >= 0:
            self._events.forget(self._socket.fileno())
            self._socket.close()

    def _send(self, message: bytes) -> None:
        try:
            self._socket.send(message)
        except BlockingIOError:
            pass  # as good as lost on its way
        except ConnectionRefusedError:  # an earlier message was
            self._lose()
            self._socket.send(message)

    def _lose(self) -> None:
        """Nobody listened: who waits here waits in vain."""
        askers, self._askers = list(self._askers.values()), {}
        self._hears.away(self, askers)
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._is_old and not self._askers:
            self.close()

    def _receive(self) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            if self._socket.fileno() < 0:
                return
            try:
                message = self._socket.recv(_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                self._lose()
                return
            self._take(message)

    def _take(self, message: bytes) -> None:
        number = dns_wire.number_of(message)
        asker = self._askers.get(number)
        if asker is None or not dns_wire.answers(message, asker.asked):
            self._hears.stray()
            return
        self.forget(number, asker)
        self._hears.replied(self, asker, message)


class Server(Generic[A]):
    """One server, and the sockets through which it is asked."""

    def __init__(self, place: Place, events: Events, hears: Hears[A]) -> None:
        """Nothing is opened before it is needed."""
        self.place = place
        self.heard_at = 0.0
        """When it last replied to anything; monotonic seconds."""
        self._events = events
        self._hears = hears
        self._ports: list[Port[A]] = []

    def port(self, now: float) -> Port[A]:
        """One of its sockets, by chance. Raises OSError."""
        if len(self._ports) < PORTS:
            self._ports.append(Port(self, now, self._events, self._hears))
            return self._ports[-1]
        place = _chance.randrange(PORTS)
        if self._ports[place].is_worn(now):
            fresh = Port(self, now, self._events, self._hears)
            self._ports[place].retire()
            self._ports[place] = fresh
        return self._ports[place]

    def connect(self) -> socket.socket:
        """A TCP connection to it, under way. Raises OSError."""
        return _connected(self.place, socket.SOCK_STREAM)

    def retire(self) -> None:
        """It is not asked any more."""
        for port in self._ports:
            port.retire()
        self._ports.clear()


def _connected(place: Place, kind: socket.SocketKind) -> socket.socket:
    family, _kind, _protocol, _name, address = socket.getaddrinfo(*place, type=kind, flags=socket.AI_NUMERICHOST)[0]
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        sock.connect(address)
    except BlockingIOError:
        pass  # TCP: it is under way
    except OSError:
        sock.close()
        raise
    return sock
