"""The live state: what befalls a session until it is given away or refused."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from frontproxy.core.address import AddressError
from frontproxy.core.verdict import Route
from frontproxy.handover.held import HeldSockets
from frontproxy.handover.kernel_notices import Endpoint, KernelNotices, SocketName
from tests.fakes import Visitors, tcp_pair
from tests.houses import BANNED, FRIEND, STRANGER, House, all_from, bug, house, outcome

__all__ = ["house"]

CLIENT = bytes([192, 0, 2, 7])
foreign = pytest.mark.parametrize("house", ["[learn]\nforeign = true\n"], indirect=True)


def test_what_we_refused_counts_neither_as_open_nor_as_rate(house: House) -> None:
    ours, client = tcp_pair()
    with ours, client:
        session = house.proxy.open_session(ours, (STRANGER, 4711), ("198.51.100.25", 25))
        assert house.proxy.census.open_sessions(CLIENT) == 1

        house.proxy.session_refused(session, "421 4.3.2 Later", "route")

        assert all_from(client) == b"421 4.3.2 Later\r\n"
        assert house.proxy.census.open_sessions(CLIENT) == 0
        assert house.proxy.census.rate(CLIENT, time.monotonic()) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("peer", "address"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::1")],
)
def test_a_session_has_a_plain_address(house: House, peer: str, address: str) -> None:
    with Visitors() as visitors:
        sock = visitors.session().socket

        assert house.proxy.open_session(sock, (peer, 25), ("::ffff:198.51.100.25", 25)).address == address


def test_where_nobody_tells_it_a_client_has_come_to_the_address_of_the_socket(house: House) -> None:
    ours, client = tcp_pair()
    with ours, client:
        plain = house.proxy.open_session(ours, ("192.0.2.7", 25))
        told = house.proxy.open_session(ours, ("192.0.2.7", 25), ("198.51.100.25", 25))

        assert (plain.server, plain.is_direct) == (ours.getsockname(), True)
        assert (told.server, told.is_direct) == (("198.51.100.25", 25), False)


def test_a_peer_without_an_address_is_no_session_and_is_not_counted(house: House) -> None:
    with Visitors() as visitors, pytest.raises(AddressError):
        house.proxy.open_session(visitors.session().socket, ("", 0), ("198.51.100.25", 25))

    assert house.proxy.counters["accepted"] == 0


def test_judging_changes_nothing(house: House) -> None:
    first = house.proxy.judge(CLIENT, STRANGER)

    assert house.proxy.judge(CLIENT, STRANGER) == first
    assert house.proxy.census.open_sessions(CLIENT) == 0


def test_a_stranger_whose_judging_failed_has_a_reason_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.proxy.census, "of", bug)

    verdict = house.proxy.judge_guarded(CLIENT, STRANGER)

    assert [reason.name for reason in verdict.reasons] == ["unjudged"]
    assert verdict.route == Route(pool="hostile")
    assert (verdict.score, verdict.settled) == (0.0, False)


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
    house.proxy.take_over(doors)
    return {pool.name: pool.places.taken for pool in house.proxy.pools}


@before_postfix
def test_survivors_are_judged_and_have_their_places(house: House) -> None:
    assert taken_over(house, FRIEND, f"::ffff:{FRIEND}", STRANGER) == {"nice": 2, "hostile": 1}

    assert house.log.about("survivors") == ["event=survivors sessions=3 pools=nice:2,hostile:1"]
    assert house.proxy.counters == {"survivors": 3}
    assert house.proxy.census.open_sessions(CLIENT) == 1
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

    assert house.proxy.census.open_sessions(CLIENT) == 0
    assert house.proxy.counters == {"survivors": 1, "survivors_ended": 1}


@before_postfix
def test_survivors_behind_a_proxy_have_places_and_teach_nothing(house: House) -> None:
    assert taken_over(house, *["203.0.113.9"] * 3) == {"nice": 2, "hostile": 1}

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
