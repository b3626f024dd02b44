"""The live state: what befalls a session, and what its outcome teaches."""

import time

import pytest
import trio

from frontproxy.core.address import AddressError
from frontproxy.core.verdict import Route
from frontproxy.proxy import FUTURE
from frontproxy.wire.outcome_line import OutcomeLine
from tests.fakes import Visitors, tcp_pair
from tests.houses import FORWARDER, FRIEND, MONITOR, STRANGER, WALL, House, all_from, bug, house, outcome

__all__ = ["house"]

CLIENT = bytes([192, 0, 2, 7])
foreign = pytest.mark.parametrize("house", ["[learn]\nforeign = true\n"], indirect=True)


def test_an_outcome_teaches_and_frees_the_place(house: House) -> None:
    given = house.given(STRANGER)
    assert house.proxy.pools.open_in("hostile") == 1

    house.proxy.outcome(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.pools.open_in("hostile") == 0
    assert house.proxy.census.open_sessions(CLIENT) == 0
    assert house.proxy.counters["outcomes"] == 1
    (line,) = house.log.about("outcome")
    assert f"session={given.id} " in line
    assert " good=1 bad=0 " in line


def test_an_outcome_told_twice_counts_once(house: House) -> None:
    given = house.given(STRANGER)

    house.proxy.outcome(outcome(given, messages=1))
    house.proxy.outcome(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.counters["outcomes_repeated"] == 1
    assert house.proxy.pools.open_in("hostile") == 0


def test_an_outcome_without_an_id_is_joined_by_client_and_port(house: House) -> None:
    given = house.given(STRANGER)

    house.proxy.outcome(OutcomeLine(client=STRANGER, port=given.port, ended=WALL, end="quit", messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.counters["outcomes_unmatched"] == 0


@pytest.mark.parametrize(("ahead", "learned"), [(FUTURE, 1.0), (FUTURE + 1, 0.0)])
def test_an_outcome_from_the_future_is_refused(house: House, ahead: float, learned: float) -> None:
    given = house.given(STRANGER)

    house.proxy.outcome(outcome(given, ended=WALL + ahead, messages=1))

    assert house.knowledge(STRANGER)[0] == learned
    assert house.proxy.counters["outcomes_from_the_future"] == 1 - learned
    assert bool(house.log.about("outcome_refused")) is not bool(learned)


def test_an_outcome_of_nobody_we_know_is_counted_and_teaches_nothing(house: House) -> None:
    house.proxy.outcome(outcome(client=STRANGER, messages=1))

    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert house.proxy.counters["outcomes_unmatched"] == 1


@foreign
def test_an_outcome_of_nobody_we_know_teaches_if_the_operator_wants_it(house: House) -> None:
    house.proxy.outcome(outcome(client=STRANGER, messages=1))

    assert house.knowledge(STRANGER) == (1.0, 0.0)
    assert house.proxy.counters["outcomes_unmatched"] == 1


@foreign
def test_a_foreign_outcome_of_what_is_no_address_is_a_bad_line(house: House) -> None:
    house.proxy.outcome(outcome(client="mail.example", messages=1))

    assert house.proxy.counters["outcome_lines_bad"] == 1


@foreign
def test_a_foreign_outcome_of_our_own_probe_teaches_nothing(house: House) -> None:
    house.proxy.outcome(outcome(client=MONITOR, messages=1))

    assert house.knowledge(MONITOR) == (0.0, 0.0)


def test_a_probe_is_never_learned(house: House) -> None:
    given = house.given(MONITOR)

    house.proxy.outcome(outcome(given, messages=1))

    assert house.knowledge(MONITOR) == (0.0, 0.0)
    assert house.proxy.pools.open_in("") == 0


@pytest.mark.parametrize(("address", "bad"), [(FORWARDER, 0.2), (FRIEND, 2.0)])
def test_refused_content_counts_a_tenth_from_a_forwarder(house: House, address: str, bad: float) -> None:
    given = house.given(address)

    house.proxy.outcome(
        OutcomeLine(client=address, port=given.port, ended=WALL, end="quit", session=given.id, content_refused=1)
    )

    assert house.knowledge(address) == pytest.approx((0.0, bad))


def test_early_talk_counts_although_the_line_does_not_say_so(house: House) -> None:
    given = house.given(STRANGER)
    given.early = True

    house.proxy.outcome(outcome(given))

    assert house.knowledge(STRANGER) == (0.0, 1.0)


def test_what_nobody_said_anything_in_teaches_nothing(house: House) -> None:
    house.proxy.outcome(outcome(house.given(STRANGER)))

    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert house.proxy.counters["outcomes"] == 1


def test_the_sessions_of_a_server_that_died_are_lost_and_leave_their_places(house: House) -> None:
    given = house.given(STRANGER)
    waiting = house.given("198.51.100.1")
    house.smtpds["hostile"].take()

    assert house.proxy.server_died(given.backend.path) == 1

    assert house.proxy.pools.open_in("hostile") == 1
    assert waiting.has_ended is False
    assert house.proxy.counters["lost"] == 1
    (line,) = house.log.about("lost")
    assert f"session={given.id} " in line


def test_an_outcome_of_a_lost_session_comes_too_late(house: House) -> None:
    given = house.given(STRANGER)
    house.smtpds["hostile"].take()
    house.proxy.server_died(given.backend.path)

    house.proxy.outcome(outcome(given, messages=1))

    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert house.proxy.counters["outcomes_repeated"] == 1


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


def test_a_peer_without_an_address_is_no_session_and_is_not_counted(house: House) -> None:
    with Visitors() as visitors, pytest.raises(AddressError):
        house.proxy.open_session(visitors.session().socket, ("", 0), ("198.51.100.25", 25))

    assert house.proxy.counters["accepted"] == 0


def test_judging_changes_nothing(house: House) -> None:
    first = house.proxy.judge(CLIENT, STRANGER)

    assert house.proxy.judge(CLIENT, STRANGER) == first
    assert house.proxy.census.open_sessions(CLIENT) == 0


def test_a_stranger_whose_judging_failed_has_a_reason_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.proxy.census, "rate", bug)

    verdict = house.proxy.judge_guarded(CLIENT, STRANGER)

    assert [reason.name for reason in verdict.reasons] == ["unjudged"]
    assert verdict.route == Route(pool="hostile")
    assert (verdict.score, verdict.settled) == (0.0, False)


async def test_the_pulse_frees_what_was_taken_and_sums_up_the_log(house: House) -> None:
    given = house.given(STRANGER)
    taken = house.smtpds["hostile"].take()
    for number in range(60):
        house.log.often("refused", "route", number=number)

    with trio.move_on_after(0.06):
        await house.proxy.run()

    assert given.taken_at is not None
    assert taken.attributes["session"] == given.id
    assert house.log.about("untold") == ["event=untold refused_route=10"]


def test_a_bug_in_learning_costs_neither_the_place_nor_the_proxy(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    given = house.given(STRANGER)
    monkeypatch.setattr(house.proxy.memory, "remember", bug)

    house.proxy.outcome(outcome(given, messages=1))

    assert house.proxy.pools.open_in("") == 0
    assert house.proxy.counters["bugs"] == 1
    assert " traceback=" in house.log.about("bug")[0]
