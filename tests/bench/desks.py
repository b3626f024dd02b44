"""A desk without a proxy around it, which asks whoever is at the other end of its link."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address
from typing import Any

import trio

from frontproxy.core.config_values import Dns, DnsListSettings, ReplyPoints
from frontproxy.core.dnslist import parse_pattern
from frontproxy.lookup.desk import Desk
from tests.real.dns_world import ZONES

SETTINGS = tuple(DnsListSettings(zone, (ReplyPoints(parse_pattern("127.0.0.*"), -8.0),)) for zone in ZONES)
"""Five lists."""
UNLIMITED = 1_000_000_000
"""Look-ups a second: the budget is not what is measured."""
_FIRST = int(IPv4Address("1.0.0.0"))


class QuietLog:
    """A log that nobody reads; bugs are raised."""

    def __call__(self, event: str, /, **values: object) -> None:
        """Forget it."""

    def bug(self, where: str, error: Exception, /, **values: object) -> None:
        """A bug ends the measurement."""
        raise error


@contextmanager
def link() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The desk's end, and the other one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@asynccontextmanager
async def desk_at(ours: socket.socket, **options: Any) -> AsyncIterator[Desk]:
    """A desk that asks about five lists and names; `options` as for a Desk."""
    desk = Desk(QuietLog(), **options)
    desk.configure(Dns(lookups_per_second=UNLIMITED), SETTINGS, ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        yield desk
        nursery.cancel_scope.cancel()


def client(number: int) -> bytes:
    """The number-th stranger; no two are the same, and their networks differ."""
    return (_FIRST + number * 2654435761 % 2**31).to_bytes(4, "big")
