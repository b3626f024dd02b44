"""The brake: what stops negative learning from a backend, what does not, and when it is let go."""

from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.brake import WINDOW, Brake

FRIENDS = [bytes([192, 0, 2, last]) for last in range(WINDOW)]


def after(*sessions: tuple[bytes, bool]) -> Brake:
    brake = Brake()
    for client, bad in sessions:
        brake.note(client, bad=bad)
    return brake


def refused() -> list[tuple[bytes, bool]]:
    return [(friend, True) for friend in FRIENDS]


def welcomed() -> list[tuple[bytes, bool]]:
    return [(friend, False) for friend in FRIENDS]


def test_a_backend_that_refuses_all_its_friends_is_broken() -> None:
    assert after(*welcomed(), *refused()).on


def test_a_few_sessions_prove_nothing() -> None:
    assert not after(*refused()[: WINDOW - 1]).on


def test_the_usual_share_of_bad_sessions_is_no_alarm() -> None:
    assert not after(*welcomed() * 5, *refused()[:1], *welcomed()[1:]).on


def test_one_friend_that_has_turned_bad_does_not_stop_the_learning() -> None:
    assert not after(*welcomed(), *[(FRIENDS[0], True)] * WINDOW).on
    assert not after(*welcomed(), *[(FRIENDS[number % 2], True) for number in range(WINDOW)]).on


def test_the_brake_turns_after_few_of_many_friends_were_refused() -> None:
    brake = after(*welcomed() * 50)
    turned = [number for number, friend in enumerate(FRIENDS) if brake.note(friend, bad=True)]

    assert brake.usual < 0.03
    assert turned == [2]  # the third friend: 15 %


def test_at_first_more_are_needed_because_nobody_knows_what_is_usual() -> None:
    brake = after(*welcomed())
    turned = [number for number, friend in enumerate(FRIENDS) if brake.note(friend, bad=True)]

    assert turned == [8]


def test_when_friends_are_welcome_again_the_brake_is_let_go() -> None:
    brake = after(*welcomed(), *refused())
    turned = [number for number, friend in enumerate(FRIENDS) if brake.note(friend, bad=False)]

    assert len(turned) == 1
    assert not brake.on


def test_what_happens_under_the_brake_does_not_become_usual() -> None:
    brake = after(*welcomed())
    before = brake.usual
    for client, bad in refused() * 50:
        brake.note(client, bad=bad)

    assert brake.on
    assert brake.usual < before + 0.03


def test_a_backend_that_has_always_refused_many_needs_many_more() -> None:
    """One in four is usual here, so one in two is no sign of trouble."""
    usual = [(FRIENDS[number % WINDOW], number % 8 == 0) for number in range(4000)]
    brake = Brake()
    for start in range(0, len(usual), 8):
        for client, bad in usual[start : start + 8]:
            brake.note(client, bad=bad)

    assert 0.1 < brake.usual < 0.15
    for number, friend in enumerate(FRIENDS):
        brake.note(friend, bad=number % 2 == 0)
    assert not brake.on


def test_it_says_why() -> None:
    assert str(after(*welcomed(), *refused())) == "20 of the last 20 sessions of friends were bad, usually 8%"


@given(st.lists(st.tuples(st.sampled_from(FRIENDS), st.booleans()), max_size=200))
def test_shares_are_shares_and_turning_is_told(sessions: list[tuple[bytes, bool]]) -> None:
    brake = Brake()
    for client, bad in sessions:
        before = brake.on
        assert brake.note(client, bad=bad) == (brake.on != before)
        assert 0 < brake.usual < 1
        assert 0 <= brake.recent <= 1
