"""A house of strangers and the DNS that knows them: rbldnsd, unbound in front of it, and trouble in front of that.

    with world() as dns:
        house = move_in(build, dns.config())
        visit(house, LISTED)
        dns.trouble.conduct(BLOCK, SILENT)

All clients come through a trusted proxy, which is the test itself: so they may have any address, IPv6 too.
"""

import smtplib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tests.real.dns_trouble import Trouble
from tests.real.house import CONFIG, DEADLINE, House, wait_for
from tests.real.need import need
from tests.real.rbldnsd import RBLDNSD, Listings, Rbldnsd
from tests.real.unbound import UNBOUND, Unbound, confirmed, forward, reverse

BLOCK, ALLOW = "bl.example", "wl.example"
OTHERS = ("a.example", "b.example", "c.example")
ZONES = (BLOCK, ALLOW, *OTHERS)
LISTED, LISTED_IPV6, LISTED_MILDLY, ALLOWED, UNKNOWN = (
    "203.0.113.1",
    "2001:db8:1::1",
    "203.0.113.2",
    "203.0.113.3",
    "203.0.113.4",
)
CONFIRMED, UNCONFIRMED, ACCESS = "198.51.100.1", "198.51.100.2", "198.51.100.3"
FRIEND = "192.0.2.1"
LISTINGS: Mapping[str, Listings] = MappingProxyType(
    {
        BLOCK: {LISTED: "127.0.0.4", LISTED_IPV6: "127.0.0.2", LISTED_MILDLY: "127.0.0.10 127.0.0.11"},
        ALLOW: {ALLOWED: "127.0.9.3"},
        **{zone: {} for zone in OTHERS},
    }
)
NAMES = (
    *confirmed(CONFIRMED, "mail.example.org"),
    reverse(UNCONFIRMED, "mail.example.net"),
    forward("mail.example.net", "198.51.100.99"),
    *confirmed(ACCESS, "198-51-100-3.dyn.example.com"),
    *confirmed(FRIEND, "mx.example.org"),
)
EVERYBODY: Listings = MappingProxyType({"0.0.0.0/1": "127.0.0.2", "128.0.0.0/1": "127.0.0.2", "::/0": "127.0.0.2"})
"""What a list lists that lists the world, its second test point included."""
EVERYBODY_BUT_THE_TEST: Listings = MappingProxyType({**EVERYBODY, "!127.0.0.1": "127.0.0.2"})
"""The same, but it keeps up appearances."""
IMPATIENT = """
from frontproxy.core import list_watch
from frontproxy.lookup import watches
list_watch.TEST_EVERY = list_watch.RETEST_EVERY = 1.0
watches.FRIEND_EVERY = watches.FRIEND_AGAIN = watches.DISPUTED_EVERY = watches.DISPUTED_AGAIN = watches.NEW = 0.0
"""
"""What a House runs first, so that lists are watched closely: minutes become seconds, and every friend is looked up."""
_LISTEN = '[listen]\ntrusted_proxies = ["127.0.0.1/32"]\n'
_BLOCK = f"""
[[dnslist]]
zone = "{BLOCK}"
replies = {{ "127.0.0.2-9" = -25, "127.0.0.10-11" = -10 }}
"""
_ALLOW = f"""
[[dnslist]]
zone = "{ALLOW}"
replies = {{ "127.0.*.3" = 12 }}
"""
_OTHER = """
[[dnslist]]
zone = "{zone}"
replies = {{ "127.0.0.2" = -8 }}
"""
LISTS = _BLOCK + _ALLOW + "".join(_OTHER.format(zone=zone) for zone in OTHERS)


@dataclass(frozen=True, slots=True)
class World:
    """The DNS: what frontproxy asks is `trouble`."""

    rbldnsd: Rbldnsd
    unbound: Unbound
    trouble: Trouble

    def config(self, *, pause: str = "1s", dns: str = "", lists: str = LISTS) -> str:
        """A configuration that asks it; `dns` are further lines of `[dns]`."""
        usual = CONFIG.replace("[listen]\n", _LISTEN).replace('"200ms"', f'"{pause}"')
        return f'{usual}[dns]\nservers = ["127.0.0.1:{self.trouble.port}"]\n{dns}\n{lists}'


@contextmanager
def world(listings: Mapping[str, Listings] = LISTINGS, *, ttl: int = 300, negative_ttl: int = 120) -> Iterator[World]:
    """A DNS with these lists. The test ends here if this machine has no rbldnsd or unbound."""
    need(*RBLDNSD, *UNBOUND)
    with (
        Rbldnsd(listings, ttl=ttl, negative_ttl=negative_ttl) as rbldnsd,
        Unbound(dict.fromkeys(listings, rbldnsd.port), NAMES, negative_ttl=negative_ttl) as unbound,
        Trouble(unbound.port) as trouble,
    ):
        yield World(rbldnsd, unbound, trouble)


def move_in(build: Callable[..., House], config: str, **options: Any) -> House:
    """A running house that asks the DNS, and whose lists have all passed their test; `options` as for a House."""
    house = build(config, **options).start()
    wait_for(lambda: house.events("lookup_ready"), "the asking program")
    wait_for_votes(house)
    return house


def lists(house: House) -> dict[str, dict[str, Any]]:
    """What `status` tells of each list."""
    return {told["zone"]: told for told in house.ask("status")["dns"]["lists"]}


def wait_for_votes(house: House, *zones: str, vote: bool = True) -> None:
    """Wait until these lists, or all, have a vote, or have none."""
    wait_for(
        lambda: all(told["vote"] is vote for zone, told in lists(house).items() if not zones or zone in zones),
        f"{'the' if vote else 'no'} vote of {', '.join(zones) or 'all lists'}",
    )


@dataclass(frozen=True, slots=True)
class Visit:
    """One session of a client that came, was greeted, and said QUIT."""

    seconds: float
    """From connecting to the greeting."""
    line: str
    """What the log says of its handover."""


def visit(house: House, client: str) -> Visit:
    """Come, wait to be greeted, and leave."""
    before = len(house.events("handover", client=client))
    began = time.monotonic()
    with arrived(house, client) as connection:
        greeting = connection.recv(4096)
        seconds = time.monotonic() - began
        assert greeting.startswith(b"220 "), greeting
        connection.sendall(b"QUIT\r\n")
        while connection.recv(4096):
            pass
    lines = wait_for(
        lambda: (found := house.events("handover", client=client)) and len(found) > before and found,
        f"the handover of {client}",
    )
    return Visit(seconds, lines[-1])


@contextmanager
def arrived(house: House, client: str) -> Iterator[socket.socket]:
    """A connection of a client; nothing is said or read yet."""
    with house.connect() as connection:
        connection.sendall(header(client))
        yield connection


@contextmanager
def smtp(house: House, client: str) -> Iterator[smtplib.SMTP]:
    """An SMTP session of a client, ended with QUIT."""
    with _Smtp(client) as session:
        session.connect("127.0.0.1", house.port)
        yield session


def befriend(house: House, client: str = FRIEND, messages: int = 12) -> None:
    """Good messages until history knows them all."""
    before = len(house.events("outcome", client=client))
    for _ in range(messages):
        deliver(house, client)
    house.wait_for_outcomes(client, before + messages)


def deliver(house: House, client: str) -> None:
    """One good message."""
    with smtp(house, client) as session:
        session.sendmail("me@example.org", "user@example.com", "Subject: hello\r\n\r\nHello.\r\n")


def header(client: str) -> bytes:
    """The PROXY header by which a trusted proxy brings a client."""
    family, server = ("TCP6", "::1") if ":" in client else ("TCP4", "127.0.0.1")
    return f"PROXY {family} {client} {server} 4711 25\r\n".encode()


def reasons(house: House, client: str) -> dict[str, float]:
    """The points of each reason for a client's score now."""
    return {reason["name"]: reason["points"] for reason in house.ask(f"score {client}")["reasons"]}


def wait_for_answers(house: House, client: str, zones: int = len(ZONES)) -> dict[str, Any]:
    """What `score` says of a client when so many lists have answered."""

    def score() -> dict[str, Any] | None:
        answer = house.ask(f"score {client}")
        said = [told for told in answer["dnslists"] if told["said"] in {"listed", "not listed"}]
        return answer if len(said) >= zones else None

    answer: dict[str, Any] = wait_for(score, f"the answers of {zones} lists about {client}")
    return answer


class _Smtp(smtplib.SMTP):
    """A session that begins with a PROXY header."""

    def __init__(self, client: str) -> None:
        self._client = client
        super().__init__(local_hostname="client.example.org", timeout=DEADLINE)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout)
        sock.sendall(header(self._client))
        return sock
