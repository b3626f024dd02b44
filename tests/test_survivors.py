"""Sessions that outlived a frontproxy before us: judged, given their places, learned from, and told in the log."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from frontproxy.handover.held import HeldSockets
from frontproxy.handover.kernel_notices import Endpoint, KernelNotices, SocketName
from frontproxy.survivors import take_over
from tests.houses import BANNED, FRIEND, STRANGER, House, house, outcome

__all__ = ["house"]

CLIENT = bytes([192, 0, 2, 7])
DOOR = "198.51.100.25", 25
POSTFIX = """
[listen]
trusted_proxies = ["203.0.113.0/24"]
[pool.nice]
backends = ["pass:/nice"]
sessions = 2
reserved = true
fallback = "hostile"
[pool.hostile]
backends = ["pass:/hostile"]
sessions = 2
"""
before_postfix = pytest.mark.parametrize("house", [POSTFIX], indirect=True)


class FakeKernel(KernelNotices):
    """A kernel that knows connections to our door from certain clients."""

    def __init__(self, clients: Sequence[str]) -> None:
        self.lost = 0
        self.all = [SocketName(number, DOOR, (client, 1000 + number)) for number, client in enumerate(clients)]

    def held_on(self, ports: Collection[int]) -> list[SocketName]:
        return [name for name in self.all if name.local[1] in ports]


def taken_over(house: House, *clients: str, doors: Collection[Endpoint] = (DOOR,)) -> dict[str, int]:
    """Begin while servers have sessions of these clients; places taken."""
    house.proxy.pools.held = HeldSockets(FakeKernel(clients))
    take_over(house.proxy, doors)
    return {pool.name: pool.places.taken for pool in house.proxy.pools}


@before_postfix
def test_survivors_are_judged_and_have_their_places(house: House) -> None:
    assert taken_over(house, FRIEND, f"::ffff:{FRIEND}", STRANGER) == {"nice": 2, "hostile": 1}

    assert house.log.about("survivors") == ["event=survivors sessions=3 pools=nice:2,hostile:1"]
    assert house.proxy.counters == {"survivors": 3}
    assert house.proxy.census.of(CLIENT, 0).open_sessions == 1
    assert house.log.about("handover") == []


@before_postfix
def test_a_survivors_outcome_is_learned(house: House) -> None:
    taken_over(house, STRANGER)
    house.outcomes.hear(replace(outcome(client=STRANGER, messages=1), port=1000))

    assert house.knowledge(STRANGER)[0] == 1


@before_postfix
def test_the_end_of_a_survivor_is_not_one_of_ours(house: House) -> None:
    taken_over(house, STRANGER)
    (given,) = house.proxy.pools.register.older_than(time.monotonic() + 1)
    house.proxy.pools.ended(given, time.monotonic())

    assert house.proxy.census.of(CLIENT, 0).open_sessions == 0
    assert house.proxy.counters == {"survivors": 1, "survivors_ended": 1}


@before_postfix
def test_survivors_behind_a_proxy_have_places_and_teach_nothing(house: House) -> None:
    assert taken_over(house, *["203.0.113.9"] * 3) == {"nice": 1, "hostile": 2}

    sessions = [given.session for given in house.proxy.pools.register.older_than(time.monotonic() + 1)]
    assert {session.verdict.learning for session in sessions} == {"none"}


@before_postfix
def test_a_survivor_refused_today_has_a_place_and_those_beyond_all_places_are_told(house: House) -> None:
    assert taken_over(house, *[BANNED] * 3) == {"nice": 0, "hostile": 2}

    assert house.log.about("survivors") == ["event=survivors sessions=2 pools=hostile:2 without_place=1"]


@before_postfix
def test_without_survivors_nothing_is_told(house: House) -> None:
    assert taken_over(house) == {"nice": 0, "hostile": 0}
    assert taken_over(house, FRIEND, doors=()) == {"nice": 0, "hostile": 0}, "sockets come from anywhere"
    assert house.log.lines == []
