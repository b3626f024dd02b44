"""Sessions as a policy service sees them, request after request, over several connections."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.learn.policy_sessions import (
    GIVEN_UP_WITHIN,
    SILENCE,
    SILENCE_IN_MESSAGE,
    PolicySessions,
)
from frontproxy.wire.outcome_line import OutcomeLine
from tests.learn.policy_requests import CLIENT, OTHER, attributes

WALL = 1_700_000_000.0
PRE, POST = 1, 2
"""Connections of one smtpd process."""


class Desk:
    """Sessions, a clock that a test turns, and all that was told."""

    def __init__(self) -> None:
        self.sessions = PolicySessions()
        self.now = 1000.0
        self.told: list[OutcomeLine] = []

    def say(self, connection: int, state: str, context: str, **values: object) -> None:
        """One request."""
        said = attributes(state, context, **values)  # type: ignore[arg-type]  # `client` may be among the values
        self._tell(self.sessions.hear(connection, said, self.now, WALL - 1000.0 + self.now))

    def rcpt(self, passes: bool = True, **values: object) -> None:
        """A recipient, before the restrictions and, if it passes, behind them."""
        self.say(PRE, "RCPT", "pre", **values)
        if passes:
            self.say(POST, "RCPT", "post", **values)

    def message(self, count: int = 1, **values: object) -> None:
        """DATA and the end of a message."""
        self.say(POST, "DATA", "post", recipient_count=count, **values)
        self.say(POST, "END-OF-MESSAGE", "post", recipient_count=count, **values)

    def close(self, connection: int) -> None:
        """Postfix closes a connection."""
        self._tell(self.sessions.gone(connection, self.now))

    def next_client(self) -> None:
        """The process serves another client."""
        self.say(PRE, "RCPT", "pre", client=OTHER, instance="next")

    def expire(self) -> None:
        """Look for sessions that fell silent."""
        self._tell(self.sessions.expire(self.now))

    def _tell(self, outcomes: Iterable[OutcomeLine]) -> None:
        self.told += outcomes


@pytest.fixture
def desk() -> Desk:
    return Desk()


def line(**values: object) -> OutcomeLine:
    return OutcomeLine(client=CLIENT[0], port=CLIENT[1], ended=WALL, end="quit", **values)  # type: ignore[arg-type]


def test_a_message_is_told_when_the_process_serves_another_client(desk: Desk) -> None:
    desk.rcpt()
    desk.rcpt()
    desk.message(2)
    assert desk.told == []
    desk.next_client()

    assert desk.told == [line(messages=1, recipients=2)]


def test_a_session_is_told_when_its_last_connection_is_closed(desk: Desk) -> None:
    desk.rcpt()
    desk.message()
    desk.close(PRE)
    assert desk.told == []
    desk.close(POST)

    assert desk.told == [line(messages=1, recipients=1)]
    assert len(desk.sessions) == 0


def test_messages_of_one_session_add_up(desk: Desk) -> None:
    for number in range(3):
        desk.rcpt(instance=number)
        desk.message(instance=number)
    desk.next_client()

    assert desk.told == [line(messages=3, recipients=3)]


def test_a_message_counts_once_however_many_ask_at_its_end(desk: Desk) -> None:
    desk.rcpt()
    desk.message()
    desk.say(3, "END-OF-MESSAGE", "other", recipient_count=1)
    desk.next_client()

    assert desk.told == [line(messages=1, recipients=1)]


def test_a_recipient_asked_about_before_and_not_behind_was_refused(desk: Desk) -> None:
    desk.rcpt()
    desk.rcpt(passes=False)
    desk.rcpt(passes=False)
    desk.rcpt()
    desk.message(2)
    desk.next_client()

    assert desk.told == [line(messages=1, recipients=2, refused=2, policy=2)]


def test_the_last_recipient_of_a_session_is_settled_by_its_end(desk: Desk) -> None:
    desk.rcpt()
    desk.rcpt(passes=False, instance="another")
    desk.next_client()

    assert desk.told == [line(refused=1, policy=1)]


def test_a_transaction_that_was_given_up_keeps_its_refusals(desk: Desk) -> None:
    desk.rcpt()
    desk.rcpt(passes=False)
    desk.rcpt(instance="another")
    desk.message(1, instance="another")
    desk.next_client()

    assert desk.told == [line(messages=1, recipients=1, refused=1, policy=1)]


def test_a_service_that_never_asks_behind_refuses_nobody(desk: Desk) -> None:
    desk.rcpt(client=OTHER)
    for _ in range(9):
        desk.rcpt(passes=False, server_port=587)
    desk.next_client()

    assert desk.told == []


def test_who_reaches_data_past_the_second_question_was_not_refused(desk: Desk) -> None:
    """As those do whom `permit_mynetworks` lets through."""
    desk.rcpt(client=OTHER)
    desk.rcpt(passes=False)
    desk.rcpt(passes=False)
    desk.message(2)
    desk.next_client()

    assert desk.told == [line(messages=1, recipients=2)]


def test_refusals_of_bounces_are_told_as_such(desk: Desk) -> None:
    desk.rcpt(client=OTHER)
    desk.rcpt(passes=False, sender="")
    desk.next_client()

    assert desk.told == [line(refused=1, policy=1, null_sender=True)]


def test_refusals_of_bounces_and_of_others_are_not(desk: Desk) -> None:
    desk.rcpt(client=OTHER)
    desk.rcpt(passes=False, sender="", instance=1)
    desk.rcpt(passes=False, instance=2)
    desk.next_client()

    assert desk.told == [line(refused=2, policy=2)]


def test_a_question_that_postfix_gave_up_refuses_nobody(desk: Desk) -> None:
    desk.rcpt()
    desk.close(POST)
    desk.rcpt(passes=False)
    desk.now += GIVEN_UP_WITHIN - 1
    desk.close(PRE)

    assert desk.told == []


def test_a_connection_that_is_closed_later_settles_the_last_recipient(desk: Desk) -> None:
    desk.rcpt()
    desk.close(POST)
    desk.rcpt(passes=False)
    desk.now += GIVEN_UP_WITHIN + 1
    desk.close(PRE)

    assert desk.told == [line(refused=1, policy=1)]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"sasl_username": "you"}, line(auth_good=1)),
        ({"sasl_username": "you", "encryption_protocol": "TLSv1.3"}, line(auth_good=1, tls=True)),
        ({"sasl_username": "you", "stress": "yes"}, line(auth_good=1, stress=True)),
    ],
)
def test_what_else_postfix_knows_is_told(desk: Desk, values: dict[str, Any], told: OutcomeLine) -> None:
    desk.rcpt(**values)
    desk.next_client()

    assert desk.told == [told]


def test_a_session_that_only_looked_around_is_not_told(desk: Desk) -> None:
    desk.rcpt()
    desk.next_client()

    assert desk.told == []


def test_sessions_of_two_processes_do_not_mix(desk: Desk) -> None:
    desk.rcpt()
    desk.say(7, "RCPT", "post", client=OTHER, instance="x")
    desk.message()
    desk.say(7, "END-OF-MESSAGE", "post", client=OTHER, instance="x", recipient_count=1)
    desk.close(7)
    desk.next_client()

    assert [(told.client, told.messages) for told in desk.told] == [(OTHER[0], 1), (CLIENT[0], 1)]


def test_a_client_without_a_port_is_not_followed_and_ends_what_was_before(desk: Desk) -> None:
    desk.rcpt()
    desk.message()
    desk.say(PRE, "END-OF-MESSAGE", "pre", client=("192.0.2.9", "unknown"))

    assert desk.told == [line(messages=1, recipients=1)]
    assert len(desk.sessions) == 0


@pytest.mark.parametrize(("in_message", "limit"), [(False, SILENCE), (True, SILENCE_IN_MESSAGE)])
def test_silence_ends_a_session_sooner_than_within_a_message(desk: Desk, in_message: bool, limit: float) -> None:
    desk.rcpt(sasl_username="you")
    if in_message:
        desk.say(POST, "DATA", "post", recipient_count=1)
    desk.now += limit - 1
    desk.expire()
    assert desk.told == []
    desk.now += 1
    desk.expire()

    assert desk.told == [line(auth_good=1)]
    desk.close(PRE)
    desk.close(POST)
    assert desk.told == [line(auth_good=1)]


def test_who_is_heard_of_again_after_silence_begins_anew(desk: Desk) -> None:
    desk.rcpt()
    desk.message()
    desk.now += SILENCE
    desk.expire()
    desk.rcpt(instance="another")
    desk.message(instance="another")
    desk.next_client()

    first = line(messages=1, recipients=1)
    assert desk.told == [first, replace(first, ended=WALL + SILENCE)]


def test_a_session_has_ended_with_its_last_request_however_late_that_is_known(desk: Desk) -> None:
    desk.rcpt()
    desk.now += 7
    desk.message()
    desk.now += 90
    desk.close(PRE)
    desk.close(POST)

    assert [told.ended for told in desk.told] == [WALL + 7]


STATES = st.sampled_from(["RCPT", "DATA", "END-OF-MESSAGE", "VRFY", ""])
REQUESTS = st.tuples(
    st.integers(1, 4), STATES, st.sampled_from(["pre", "post", ""]), st.integers(1, 3), st.integers(0, 2)
)


@settings(max_examples=50)
@given(st.lists(st.one_of(REQUESTS, st.integers(1, 4)), max_size=40))
def test_there_are_never_more_sessions_than_connections_nor_outcomes_than_requests(
    steps: list[tuple[int, str, str, int, int] | int],
) -> None:
    desk, open_connections = Desk(), set()
    for step in steps:
        if isinstance(step, int):
            desk.close(step)
            open_connections.discard(step)
        else:
            connection, state, context, port, instance = step
            desk.say(connection, state, context, client=("192.0.2.1", port), instance=instance, recipient_count=1)
            open_connections.add(connection)
        assert len(desk.sessions) <= len(open_connections)
    for connection in open_connections:
        desk.close(connection)

    assert len(desk.sessions) == 0
    assert sum(told.messages for told in desk.told) <= len(steps)
