"""A name server that does what a test tells it, and a resolver whose turns are taken by hand."""

import contextlib
import select
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from frontproxy.lookup.dns_wire import A, Reply, question
from frontproxy.lookup.events import Events
from frontproxy.lookup.resolver import Resolver
from tests.fakes import PATIENCE

SOA = "bl.example. 900 IN SOA ns.example. hostmaster.example. 1 2 3 4 60"


class Query:
    """One question as it arrived, and the way back."""

    def __init__(self, wire: bytes, back: Callable[[bytes], object], sender: tuple[str, int] = ("", 0)) -> None:
        self.wire = wire
        self.sender = sender
        self.message = dns.message.from_wire(wire)
        self.back = back

    @property
    def name(self) -> str:
        """What is asked for, with its type."""
        asked = self.message.question[0]
        return f"{asked.name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(asked.rdtype)}"

    def reply(self, *records: str, rcode: str = "NOERROR", authority: str = "", truncated: bool = False) -> bytes:
        """A reply in wire form; records in the text form of a zone file, `NAME TTL IN A 127.0.0.2`."""
        reply = dns.message.make_response(self.message)
        reply.set_rcode(dns.rcode.from_text(rcode))
        for record in records:
            owner, ttl, rdclass, rdtype, data = record.split(maxsplit=4)
            reply.answer.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, data))
        if authority:
            owner, ttl, rdclass, rdtype, data = authority.split(maxsplit=4)
            reply.authority.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, data))
        reply.flags |= dns.flags.TC if truncated else 0
        return reply.to_wire()

    def answer(self, *records: str, rcode: str = "NOERROR", authority: str = "", truncated: bool = False) -> None:
        """Send a reply."""
        self.back(self.reply(*records, rcode=rcode, authority=authority, truncated=truncated))

    def listed(self, *codes: str, ttl: int = 300) -> None:
        """The reply of a list that lists."""
        name = self.name.split()[0]
        self.answer(*[f"{name}. {ttl} IN A {code}" for code in codes])


class FakeServer:
    """UDP and TCP at one port of the loopback."""

    def __init__(self, port: int = 0) -> None:
        self._udp, self._tcp = _one_port(port)
        self._open = [self._udp, self._tcp]
        self.place: tuple[str, int] = self._udp.getsockname()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def query(self) -> Query:
        """The next question by UDP."""
        wire, sender = self._udp.recvfrom(4096)
        return Query(wire, lambda reply: self._udp.sendto(reply, sender), sender)

    def send(self, message: bytes, receiver: tuple[str, int]) -> None:
        """Send to somebody who has not asked."""
        self._udp.sendto(message, receiver)

    def has_query(self) -> bool:
        """A question waits."""
        return bool(select.select([self._udp], [], [], 0)[0])

    def connection(self) -> socket.socket:
        """The next TCP connection."""
        connection, _peer = self._tcp.accept()
        connection.settimeout(PATIENCE)
        self._open.append(connection)
        return connection

    def die(self) -> None:
        """Nobody listens any more."""
        for sock in self._open:
            sock.close()


def _one_port(port: int) -> tuple[socket.socket, socket.socket]:
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.settimeout(PATIENCE)
        udp.bind(("127.0.0.1", port))
        with contextlib.suppress(OSError):  # taken for TCP
            tcp = socket.create_server(udp.getsockname())
            tcp.settimeout(PATIENCE)
            return udp, tcp
        udp.close()


def query_of(connection: socket.socket) -> Query:
    """The question that came over TCP."""
    wire = b""
    while len(wire) < 2 or len(wire) < 2 + struct.unpack_from("!H", wire)[0]:
        wire += connection.recv(4096)
    return Query(wire[2:], lambda reply: connection.sendall(struct.pack("!H", len(reply)) + reply))


class Turns:
    """A resolver, its clock and what it heard."""

    def __init__(self, *servers: FakeServer) -> None:
        self.now = 1000.0
        self._events = Events()
        self.resolver = Resolver(self._events, lambda: self.now)
        self.resolver.use([server.place for server in servers])
        self.heard: dict[str, Reply] = {}

    def ask(self, name: str = "2.0.0.127.bl.example", kind: int = A, subject: str = "bl.example") -> None:
        """Ask for records; what is heard is kept by name."""

        def hear(reply: Reply) -> None:
            assert name not in self.heard
            self.heard[name] = reply

        self.resolver.ask(question(name, kind), subject, hear)

    def take(self) -> None:
        """What has come, and what is due now. On the loopback a datagram is there as soon as it was sent."""
        for _ in range(3):
            for ready in self._events.wait(0):
                ready()
        self.resolver.tick()

    def take_stream(self) -> None:
        """As `take`, once something has come: TCP takes its time even here."""
        for ready in self._events.wait(PATIENCE):
            ready()
        self.resolver.tick()

    def after(self, seconds: float) -> None:
        """So much later."""
        self.now += seconds
        self.take()

    def said(self) -> Reply | None:
        """To the one question."""
        return self.heard.get("2.0.0.127.bl.example")

    def close(self) -> None:
        """All of it."""
        self.resolver.close()
        self._events.close()


@contextlib.contextmanager
def turns(*servers: FakeServer) -> Iterator[Turns]:
    """A resolver that asks these servers."""
    its = Turns(*servers)
    try:
        yield its
    finally:
        its.close()
