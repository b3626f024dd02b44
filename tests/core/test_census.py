"""The census: who is here, how fast they come, who comes back; never more of it than it may remember."""

from collections import Counter
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.census import RETURN_AFTER, RETURN_BEFORE, Census

ALICE, BOB, CAROL = b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02", b"\xc0\x00\x02\x03"
HOUR = 3600.0

_clients = st.sampled_from([ALICE, BOB, CAROL])
_events = st.lists(
    st.tuples(st.sampled_from(["arrived", "left", "refused", "welcomed"]), _clients, st.floats(0, 300)), max_size=15
)


def test_a_client_never_seen_counts_nothing() -> None:
    census = Census()

    assert census.of(ALICE, 0).open_sessions == 0
    assert census.of(ALICE, 0).rate == 0
    assert not census.of(ALICE, 0).returned


def test_each_client_has_its_own_sessions() -> None:
    census = Census()
    for client in (ALICE, ALICE, BOB):
        census.arrived(client, 0)

    census.left(ALICE)
    census.left(BOB)

    assert [census.of(client, 0).open_sessions for client in (ALICE, BOB)] == [1, 0]


def test_an_end_without_a_beginning_counts_nothing() -> None:
    census = Census()

    census.left(ALICE)
    census.arrived(ALICE, 0)

    assert census.of(ALICE, 0).open_sessions == 1


def test_the_rate_is_about_the_connections_of_the_last_minute() -> None:
    census = Census()
    for second in range(600):
        census.arrived(ALICE, second)

    assert census.of(ALICE, 600).rate == pytest.approx(60, abs=1)
    assert census.of(ALICE, 660).rate == pytest.approx(60 * exp(-1), abs=1)
    assert census.of(ALICE, 1800).rate < 1e-6


def test_the_rate_does_not_fade_with_the_end_of_a_session() -> None:
    census = Census()
    census.arrived(ALICE, 0)

    census.left(ALICE)

    assert census.of(ALICE, 0).rate == 1


def test_a_clock_that_goes_backwards_does_not_raise_the_rate() -> None:
    census = Census()
    census.arrived(ALICE, 1000)

    assert census.of(ALICE, 0).rate == 1


def test_a_connection_that_we_refused_counts_neither_as_open_nor_as_rate() -> None:
    census = Census()
    census.arrived(ALICE, 0)
    census.arrived(ALICE, 0)

    census.refused(ALICE, 0, 0, for_now=True)

    assert census.of(ALICE, 0).open_sessions == 1
    assert census.of(ALICE, 0).rate == 1


def test_a_refusal_long_after_the_arrival_takes_back_what_is_left_of_it() -> None:
    census = Census()
    for _ in range(60):
        census.arrived(ALICE, 0)

    for _ in range(60):
        census.refused(ALICE, 0, 30, for_now=True)

    assert census.of(ALICE, 30).rate == pytest.approx(0, abs=1e-9)
    census.arrived(ALICE, 30)
    assert census.of(ALICE, 30).rate == pytest.approx(1)


@pytest.mark.parametrize(
    ("after", "returned"),
    [(0, False), (59.9, False), (RETURN_AFTER, True), (HOUR, True), (RETURN_BEFORE, True), (RETURN_BEFORE + 1, False)],
)
def test_a_return_is_one_minute_to_six_hours_after_the_refusal(after: float, returned: bool) -> None:
    census = Census()
    census.arrived(ALICE, 100)
    census.refused(ALICE, 100, 100, for_now=True)

    assert census.of(ALICE, 100 + after).returned is returned
    assert not census.of(BOB, 100 + after).returned


def test_the_last_refusal_counts() -> None:
    census = Census()
    census.refused(ALICE, 0, 0, for_now=True)
    census.refused(ALICE, 50, 50, for_now=True)

    assert not census.of(ALICE, 70).returned
    assert census.of(ALICE, 110).returned


def test_one_who_was_served_earns_its_next_return_anew() -> None:
    census = Census()
    census.refused(ALICE, 0, 0, for_now=True)

    census.welcomed(ALICE)
    census.welcomed(BOB)

    assert not census.of(ALICE, HOUR).returned


def test_who_has_been_silent_longest_is_forgotten_first() -> None:
    census = Census(remembered=2)
    for client in (ALICE, BOB, ALICE, CAROL):
        census.arrived(client, 0)
        census.refused(client, 0, 0, for_now=True)
        census.arrived(client, 0)

    assert [census.of(client, 0).rate > 0 for client in (ALICE, BOB, CAROL)] == [True, False, True]
    assert [census.of(client, HOUR).returned for client in (ALICE, BOB, CAROL)] == [True, False, True]


def test_who_is_forgotten_keeps_its_open_sessions() -> None:
    census = Census(remembered=1)
    census.arrived(ALICE, 0)
    census.arrived(BOB, 0)

    assert census.of(ALICE, 0).open_sessions == 1


@given(_events, st.integers(1, 3))
def test_the_counts_agree_with_a_simple_count_and_stay_bounded(
    events: list[tuple[str, bytes, float]], remembered: int
) -> None:
    census, here, now = Census(remembered), Counter[bytes](), 0.0
    for event, client, wait in events:
        now += wait
        if event == "arrived":
            census.arrived(client, now)
            here[client] += 1
        elif event == "welcomed":
            census.welcomed(client)
        else:
            census.left(client) if event == "left" else census.refused(client, now, now, for_now=True)
            here[client] = max(here[client] - 1, 0)

    rates = [census.of(client, now).rate for client in (ALICE, BOB, CAROL)]
    assert [census.of(client, 0).open_sessions for client in (ALICE, BOB, CAROL)] == [
        here[c] for c in (ALICE, BOB, CAROL)
    ]
    assert all(0 <= rate <= len(events) for rate in rates)
    assert sum(rate > 0 for rate in rates) <= remembered
    assert sum(census.of(client, now + HOUR).returned for client in (ALICE, BOB, CAROL)) <= remembered


def test_nothing_is_kept_of_clients_that_have_left() -> None:
    census = Census(remembered=10)
    for number in range(1000):
        client = number.to_bytes(4, "big")
        census.arrived(client, number)
        census.left(client) if number % 2 else census.refused(client, number, number, for_now=True)

    sizes = [len(table) for table in vars(census).values() if isinstance(table, dict)]
    assert sorted(sizes) == [0, 10, 10]


def test_one_who_was_refused_for_good_earns_nothing_by_coming_back() -> None:
    census = Census()
    census.arrived(ALICE, 0)

    census.refused(ALICE, 0, 0, for_now=False)

    assert not census.of(ALICE, RETURN_AFTER).returned
    assert census.of(ALICE, 0).open_sessions == 0


def test_judging_is_told_all_at_once() -> None:
    census = Census()
    census.arrived(ALICE, 0)
    census.refused(ALICE, 0, 0, for_now=True)
    census.arrived(ALICE, HOUR)

    assert census.of(ALICE, HOUR) == (1, 1.0, True)
    assert census.of(BOB, HOUR) == (0, 0, False)
