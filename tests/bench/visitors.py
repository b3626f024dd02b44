"""Strangers who come, are looked up while they wait, and hang up: in numbers, at a house that asks a real DNS.

They come through a trusted proxy, so each has an address of its own. The lists are rbldnsd's, behind unbound, which
knows their names; there is nothing of ours in between.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from tests.real.dns_world import header
from tests.real.house import House, wait_for
from tests.real.rbldnsd import Rbldnsd
from tests.real.unbound import Unbound, confirmed

ZONES = tuple(f"list{number}.example" for number in range(1, 6))
AT_ONCE = 30
"""Strangers who wait at a time; their questions are fewer than may be asked at a time."""
EVERY_THIRD = 3
"""Of them is listed, by two lists."""
_CONFIG = """
[listen]
addresses = ["127.0.0.1:0"]
trusted_proxies = ["127.0.0.1/32"]
pause = "4m"
[pool.all]
backends = ["pass:/nonexistent/all"]
[[route]]
to = "all"
{dns}
"""
_DNS = """
[dns]
servers = ["127.0.0.1:{port}"]
lookups_per_second = 100000
"""
_LIST = """
[[dnslist]]
zone = "{zone}"
replies = {{ "127.0.0.2" = -1 }}
"""
_FIRST = int(IPv4Address("1.0.0.0"))


def address(number: int) -> str:
    """Of the number-th stranger; no two are the same, and neighbours are in different networks."""
    return str(IPv4Address(_FIRST + number * 2654435761 % 2**31))


@contextmanager
def resolver(strangers: int) -> Iterator[int]:
    """The port of a DNS that knows so many strangers."""
    listed = {address(number): "127.0.0.2" for number in range(0, strangers, EVERY_THIRD)}
    zones = {zone: listed if zone in ZONES[:2] else {} for zone in ZONES}
    names = [
        record
        for number in range(strangers)
        for record in confirmed(address(number), f"mx{number}.example{number}.org")
    ]
    with (
        Rbldnsd(zones, ttl=3600, negative_ttl=3600) as rbldnsd,
        Unbound(dict.fromkeys(ZONES, rbldnsd.port), names, negative_ttl=3600) as unbound,
    ):
        yield unbound.port


@contextmanager
def house(port: int | None, *, first: str = "") -> Iterator[House]:
    """A running house that asks the DNS at this port, all of whose lists have a vote; None: it asks nobody."""
    lists = "".join(_LIST.format(zone=zone) for zone in ZONES)
    dns = "[dns]\nnames = false\n" if port is None else _DNS.format(port=port) + lists
    with tempfile.TemporaryDirectory(prefix="fp-") as folder:
        running = House(Path(folder), _CONFIG.format(dns=dns), first=first).start()
        try:
            wait_for(lambda: all(told["vote"] for told in running.ask("status")["dns"]["lists"]), "their votes")
            yield running
        finally:
            running.stop()


def come(house: House, numbers: range) -> None:
    """Each of them comes once, waits until all was asked about it, and hangs up."""
    for start in range(numbers.start, numbers.stop, AT_ONCE):
        _come_together(house, range(start, min(start + AT_ONCE, numbers.stop)))


def _come_together(house: House, numbers: range) -> None:
    with ExitStack() as stack:
        for number in numbers:
            stack.enter_context(house.connect()).sendall(header(address(number)))
        wait_for(lambda: _all_are_heard_of(house, len(numbers)), "what the DNS has to say")
    wait_for(lambda: not house.ask("status")["waiting_room"]["waiting"], "the waiting room empty")


def _all_are_heard_of(house: House, waiting: int) -> bool:
    status = house.ask("status")
    return status["waiting_room"]["waiting"] == waiting and not status["dns"]["in_flight"]
