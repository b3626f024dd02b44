"""A backend that fails is left alone for a while that grows, and is welcome again as soon as it answers."""

from frontproxy.core.config_values import Backend as Settings
from frontproxy.handover.backends import Backend


def backend() -> Backend:
    return Backend(Settings("pass", "/smtpd"), "/smtpd")


def test_a_new_backend_may_be_asked() -> None:
    assert backend().may_be_asked(0.0)


def test_a_backend_that_failed_is_left_alone_for_a_moment() -> None:
    asked = backend()

    assert asked.failed("refused", 10.0)
    assert asked.failed_for == "refused"
    assert not asked.may_be_asked(10.19)
    assert asked.may_be_asked(10.2)


def test_only_the_first_failure_is_news() -> None:
    asked = backend()

    assert [asked.failed("refused", now) for now in (1.0, 2.0, 3.0)] == [True, False, False]


def pauses(asked: Backend) -> list[float]:
    """How long it is left alone after each failure in a row."""
    found = []
    now = 0.0
    for _ in range(10):
        asked.failed("refused", now)
        tenths = next(tenths for tenths in range(1000) if asked.may_be_asked(now + tenths / 10 + 1e-9))
        found.append(tenths / 10)
        now += tenths / 10 + 1
    return found


def test_the_pause_doubles_up_to_half_a_minute_for_a_server_elsewhere() -> None:
    elsewhere = Backend(Settings("tcp", "192.0.2.1:25?proxy=v2", ("192.0.2.1", 25), "v2"))

    assert pauses(elsewhere) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_a_server_on_this_machine_is_asked_again_within_seconds() -> None:
    assert pauses(backend()) == [0.2, 0.4, 0.8, 1.6, *[2.0] * 6]


def test_an_answer_ends_the_pause_and_the_next_failure_starts_with_a_short_one() -> None:
    asked = backend()
    for _ in range(5):
        asked.failed("refused", 0.0)

    assert asked.answered()
    assert asked.may_be_asked(0.0)
    assert not asked.answered(), "that is no news"
    assert asked.failed("refused", 100.0)
    assert asked.may_be_asked(100.2)


def test_many_sessions_that_fail_at_once_are_one_failure() -> None:
    asked = backend()
    for _ in range(10):
        asked.failed("refused", 10.0)

    assert asked.may_be_asked(10.3)


def test_a_server_is_to_blame_only_when_a_second_client_is_not_greeted() -> None:
    asked = backend()

    assert [asked.is_to_blame(client) for client in (b"one", b"one", b"two", b"one")] == [False, False, True, False]
    asked.answered()
    assert not asked.is_to_blame(b"two")
