"""The live state: what befalls a session until it is given away or refused."""

import time

import pytest

from frontproxy.core.address import AddressError
from frontproxy.core.verdict import Route
from tests.fakes import Visitors, tcp_pair
from tests.houses import STRANGER, House, all_from, bug, house

__all__ = ["house"]

CLIENT = bytes([192, 0, 2, 7])
foreign = pytest.mark.parametrize("house", ["[learn]\nforeign = true\n"], indirect=True)


def test_what_we_refused_counts_neither_as_open_nor_as_rate(house: House) -> None:
    ours, client = tcp_pair()
    with ours, client:
        session = house.proxy.open_session(ours, (STRANGER, 4711), ("198.51.100.25", 25))
        assert house.proxy.census.of(CLIENT, 0).open_sessions == 1

        house.proxy.session_refused(session, "421 4.3.2 Later", "route")

        assert all_from(client) == b"421 4.3.2 Later\r\n"
        assert house.proxy.census.of(CLIENT, 0).open_sessions == 0
        assert house.proxy.census.of(CLIENT, time.monotonic()).rate == pytest.approx(0, abs=0.01)


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
    assert house.proxy.census.of(CLIENT, 0).open_sessions == 0


def test_a_stranger_whose_judging_failed_has_a_reason_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.proxy.census, "of", bug)

    verdict = house.proxy.judge_guarded(CLIENT, STRANGER)

    assert [reason.name for reason in verdict.reasons] == ["unjudged"]
    assert verdict.route == Route(pool="hostile")
    assert (verdict.score, verdict.settled) == (0.0, False)
