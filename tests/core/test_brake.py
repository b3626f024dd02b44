"""The brake: what stops negative learning from a backend, what does not, and when it is let go."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.brake import LATELY, LEAST, LEAST_SESSIONS, STALE, WINDOW, Brake

FRIENDS = [number.to_bytes(4, "big") for number in range(500)]
SECOND = 1.0


class Clocked:
    """A brake that hears of a session a second."""

    def __init__(self) -> None:
        self.brake = Brake()
        self.now = 0.0

    def hear(self, clients: Iterable[bytes], *, bad: bool) -> list[int]:
        """One session of each; the numbers of those that turned the brake."""
        turned = []
        for number, client in enumerate(clients):
            self.now += SECOND
            if self.brake.note(client, bad=bad, now=self.now):
                turned.append(number)
        return turned


def well_known(friends: int, rounds: int = 5) -> Clocked:
    """The brake of a backend that has welcomed so many friends so often."""
    clocked = Clocked()
    for _round in range(rounds):
        assert not clocked.hear(FRIENDS[:friends], bad=False)
    return clocked


@pytest.mark.parametrize(("friends", "refused"), [(4, 4), (6, 4), (10, 4), (15, 5), (30, 10), (50, 12), (500, 12)])
def test_a_backend_that_refuses_all_its_friends_is_broken(friends: int, refused: int) -> None:
    """Of no more than so many friends a bad session is learned before the brake is on."""
    clocked = well_known(friends)

    assert clocked.hear(FRIENDS[:friends], bad=True) == [refused - 1]
    assert clocked.brake.on


@pytest.mark.parametrize(("friends", "hostile"), [(10, 3), (20, 5), (50, 10), (500, 10)])
def test_a_few_that_turned_hostile_cannot_pull_it(friends: int, hostile: int) -> None:
    clocked = well_known(friends)

    for _round in range(50):
        assert clocked.hear(FRIENDS[:hostile] * 4, bad=True) == []
        assert clocked.hear(FRIENDS[hostile:friends], bad=False) == []


def test_three_friends_are_too_few_wherever_they_come_from() -> None:
    clocked = Clocked()

    assert clocked.hear(FRIENDS[:3] * 100, bad=True) == []


def test_a_few_sessions_prove_nothing() -> None:
    clocked = Clocked()

    assert clocked.hear(FRIENDS[: LEAST_SESSIONS - 1], bad=True) == []
    assert clocked.hear(FRIENDS[:1], bad=True) == [0]


def test_a_server_that_is_broken_from_the_start_is_seen_too() -> None:
    assert Clocked().hear(FRIENDS[:10] * 3, bad=True) == [LEAST_SESSIONS - 1]


def test_when_friends_are_welcome_again_the_brake_is_let_go() -> None:
    clocked = well_known(50)
    clocked.hear(FRIENDS[:WINDOW], bad=True)

    assert clocked.hear(FRIENDS[:WINDOW], bad=False) == [WINDOW - 12]
    assert not clocked.brake.on


def test_it_is_let_go_when_no_friend_was_refused_for_an_hour() -> None:
    clocked = well_known(10)
    clocked.hear(FRIENDS[:10], bad=True)

    assert [clocked.brake.let_go(clocked.now + STALE + later) for later in (0, 1, 2)] == [False, True, False]
    assert not clocked.brake.on


def test_the_next_refused_friend_pulls_it_again() -> None:
    """At night a small site hears of a friend every few hours, and its table is still lost."""
    clocked = well_known(10)
    clocked.hear(FRIENDS[:10], bad=True)
    clocked.now += 2 * STALE
    clocked.brake.let_go(clocked.now)

    assert clocked.hear(FRIENDS[:1], bad=True) == [0]


def test_what_was_a_day_ago_does_not_count() -> None:
    clocked = well_known(10)
    clocked.hear(FRIENDS[: LEAST - 1], bad=True)
    clocked.now += LATELY

    assert clocked.hear(FRIENDS[5:6], bad=True) == []


def test_what_happens_under_the_brake_does_not_become_usual() -> None:
    clocked = well_known(50)
    before = clocked.brake.usual
    clocked.hear(FRIENDS[:50] * 50, bad=True)

    assert clocked.brake.on
    assert clocked.brake.usual < before + 0.01


def test_where_many_are_usually_refused_it_takes_many_more() -> None:
    clocked = Clocked()
    for _round in range(150):
        clocked.hear(FRIENDS[:3], bad=True)
        clocked.hear(FRIENDS[3:WINDOW], bad=False)

    assert 0.07 < clocked.brake.usual < 0.09
    assert clocked.hear(FRIENDS[3:WINDOW], bad=True) == [12]  # 16 of 36, and no more 12


def test_but_a_server_that_refuses_nearly_all_is_always_broken() -> None:
    clocked = Clocked()
    for _round in range(400):
        clocked.hear(FRIENDS[:11], bad=True)
        clocked.hear(FRIENDS[11:WINDOW], bad=False)

    assert clocked.brake.usual > 0.25
    assert len(clocked.hear(FRIENDS[11:WINDOW], bad=True)) == 1


def test_it_says_why() -> None:
    clocked = well_known(10)
    clocked.hear(FRIENDS[:4], bad=True)

    assert str(clocked.brake) == "4 of the last 10 sessions of friends were bad, usually 5%"


@given(st.lists(st.tuples(st.sampled_from(FRIENDS[:60]), st.booleans(), st.floats(0, LATELY)), max_size=200))
def test_shares_are_shares_and_turning_is_told(sessions: list[tuple[bytes, bool, float]]) -> None:
    brake, now = Brake(), 0.0
    for client, bad, pause in sessions:
        now += pause
        before = brake.on
        assert brake.note(client, bad=bad, now=now) == (brake.on != before)
        assert 0 < brake.usual < 1
        assert brake.on <= (bad or before)
