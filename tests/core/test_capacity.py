"""Places and the line: nobody has more than its share, the best are next, and the line agrees with a sorted list."""

from collections import Counter
from socket import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.capacity import Places, WaitingLine
from frontproxy.core.session import Session
from frontproxy.core.verdict import Route, Verdict

ALICE, BOB = b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"

_steps = st.lists(st.tuples(st.sampled_from(["take", "release"]), st.sampled_from([ALICE, BOB])))
_scores = st.sampled_from([-20.0, -0.5, 0.0, 0.5, 7.25])
_moves = st.lists(
    st.tuples(st.just("join"), _scores) | st.tuples(st.sampled_from(["leave", "dismiss", "wait"]), st.just(0.0)),
    max_size=30,
)


def line_of(*scores: float) -> WaitingLine[str]:
    line = WaitingLine[str]()
    for number, score in enumerate(scores):
        line.join(f"{score:g} #{number}", score=score, deadline=number, limit=100)
    return line


def in_order(line: WaitingLine[str]) -> list[str]:
    order = []
    while ticket := line.first(lambda _item: True):
        order.append(ticket.item)
        line.leave(ticket)
    return order


def test_a_pool_has_no_more_places_than_its_sessions() -> None:
    places = Places(sessions=2, per_client=2)
    places.take(ALICE)
    places.take(BOB)

    assert not places.free_for(ALICE)
    assert not places.free_for(b"\xc0\x00\x02\x03")
    assert places.share == 1

    places.release(BOB)

    assert places.free_for(ALICE)
    assert places.share == 0.5


def test_a_client_that_has_had_its_share_leaves_places_to_others() -> None:
    places = Places(sessions=10, per_client=1)
    places.take(ALICE)

    assert not places.free_for(ALICE)
    assert places.free_for(BOB)


def test_after_a_reload_with_fewer_places_more_than_all_are_taken() -> None:
    places = Places(sessions=2, per_client=2)
    places.take(ALICE)
    places.take(BOB)

    places.sessions = 1
    places.release(ALICE)

    assert places.share == 1
    assert not places.free_for(ALICE)


def test_a_place_that_was_not_taken_cannot_be_released() -> None:
    places = Places(sessions=2, per_client=2)
    places.take(ALICE)

    with pytest.raises(KeyError):
        places.release(BOB)

    assert places.taken == 1


@given(_steps)
def test_places_agree_with_a_simple_count_and_never_go_negative(steps: list[tuple[str, bytes]]) -> None:
    places, taken = Places(sessions=3, per_client=2), Counter[bytes]()
    for step, client in steps:
        assert places.free_for(client) == (taken.total() < 3 and taken[client] < 2)
        if step == "take" and places.free_for(client):
            places.take(client)
            taken[client] += 1
        elif step == "release" and taken[client]:
            places.release(client)
            taken[client] -= 1
        assert places.taken == taken.total()

    for client in taken.elements():
        places.release(client)
    assert places == Places(sessions=3, per_client=2)


def test_the_best_score_is_next_and_among_equals_the_one_who_came_first() -> None:
    line = line_of(0, 7.5, -3, 7.5, 0)

    assert in_order(line) == ["7.5 #1", "7.5 #3", "0 #0", "0 #4", "-3 #2"]
    assert len(line) == 0


def test_one_who_cannot_come_in_now_does_not_hold_up_the_others() -> None:
    line = line_of(7, 5, 3)

    ticket = line.first(lambda item: item != "7 #0")

    assert ticket
    assert (ticket.item, ticket.score) == ("5 #1", 5)
    assert len(line) == 3
    assert line.first(lambda _item: False) is None


@pytest.mark.parametrize(("score", "leaving"), [(9, "0 #1"), (0, "newcomer"), (-1, "newcomer"), (0.1, "0 #1")])
def test_when_the_line_is_full_the_lowest_and_latest_leaves(score: float, leaving: str) -> None:
    line = line_of(5, 0)

    assert line.join("newcomer", score=score, deadline=9, limit=2) == leaving
    assert len(line) == 2


def test_nobody_stands_in_a_line_of_no_length() -> None:
    line = line_of()

    assert line.join("newcomer", score=99, deadline=9, limit=0) == "newcomer"
    assert len(line) == 0
    assert line.eldest() is None


def test_those_dismissed_leave_from_the_end() -> None:
    line = line_of(5, 0, 9, 0)

    assert [line.dismiss_last() for _ in range(5)] == ["0 #3", "0 #1", "5 #0", "9 #2", None]


def test_who_has_waited_too_long_leaves_whatever_its_score() -> None:
    line = line_of(9, 0, 5)  # due at 0, 1 and 2

    assert line.expired(-0.1) == []
    assert line.expired(1) == ["9 #0", "0 #1"]
    assert line.eldest() == "5 #2"
    assert line.expired(1) == []
    assert line.expired(99) == ["5 #2"]
    assert line.eldest() is None


@given(_moves)
def test_the_line_agrees_with_a_sorted_list(moves: list[tuple[str, float]]) -> None:
    line = WaitingLine[int]()
    model: list[tuple[float, int, float]] = []  # the negated score, the number, the deadline: sorts by rank
    for now, (move, score) in enumerate(moves):
        leaving: list[int | None] = []
        expected: list[int | None] = []
        if move == "join":
            leaving = [line.join(now, score=score, deadline=now + 5, limit=3)]
            model = sorted([*model, (-score, now, now + 5)])
            expected = [model.pop()[1] if len(model) > 3 else None]
        elif move == "dismiss":
            leaving = [line.dismiss_last()]
            expected = [model.pop()[1] if model else None]
        elif move == "leave":
            ticket = line.first(lambda item: item % 2 == 0)
            leaving = [ticket.item if ticket else None]
            expected = [next((number for _rank, number, _deadline in model if number % 2 == 0), None)]
            if ticket:
                line.leave(ticket)
            model = [entry for entry in model if entry[1] != expected[0]]
        else:
            leaving = [*line.expired(now)]
            expected = [*sorted(number for _rank, number, deadline in model if deadline <= now)]
            model = [entry for entry in model if entry[2] > now]

        assert leaving == expected
        assert len(line) == len(model)
        assert line.eldest() == min((number for _rank, number, _deadline in model), default=None)


def test_who_would_be_dismissed_next_is_known_beforehand() -> None:
    line = WaitingLine[str]()
    assert line.last() is None

    line.join("better", score=2.0, deadline=5, limit=9)
    line.join("worse", score=1.0, deadline=5, limit=9)
    assert line.last() == "worse"
    assert line.dismiss_last() == "worse"
    assert len(line) == 1


def test_two_sessions_of_one_client_stand_in_line_as_two() -> None:
    line = WaitingLine[Session]()
    verdict = Verdict("192.0.2.1", 0.0, (), Route(pool="hostile"), settled=False)
    with socket() as connection:
        first, second = (
            Session("a-1", connection, ALICE, ALICE, "192.0.2.1", 4711, ("192.0.2.25", 25), 0.0, verdict)
            for _ in range(2)
        )
        for session in (first, second):
            line.join(session, score=verdict.score, deadline=5, limit=2)

    assert first != second
    assert line.dismiss_last() is second
    assert line.dismiss_last() is first
