"""The register: whom an outcome is about, told by id or by address and port, early, late or twice."""

import pytest

from frontproxy.core.capacity import Places
from frontproxy.core.config_values import Backend as Settings
from frontproxy.handover import register as register_module
from frontproxy.handover.backends import Backend, Given
from frontproxy.handover.register import Register
from frontproxy.wire.outcome_line import OutcomeLine
from tests.fakes import Visitors

BACKEND = Backend(Settings("bundled", "hostile"), "/smtpd")


def given_for(identity: str, *, address: str = "192.0.2.1", port: int = 4711, backend: Backend = BACKEND) -> Given:
    with Visitors() as visitors:
        session = visitors.session(address)
    session.id, session.port = identity, port
    return Given(session, "hostile", Places(1, 1), backend, given_at=0.0)


def outcome(session: str = "", *, client: str = "192.0.2.1", port: int = 4711) -> OutcomeLine:
    return OutcomeLine(client=client, port=port, ended=1.7e9, end="quit", session=session)


def registered(*given: Given) -> Register:
    register = Register()
    for one in given:
        register.add(one)
    return register


def test_an_outcome_is_joined_by_its_session() -> None:
    one, other = given_for("a", port=1), given_for("b", port=2)

    assert registered(one, other).find(outcome("b", port=1)) is other


@pytest.mark.parametrize("client", ["2001:db8::1", "2001:0DB8:0::1"])
def test_an_outcome_without_a_session_is_joined_by_address_and_port(client: str) -> None:
    one = given_for("a", address="2001:db8::1")

    assert registered(one).find(outcome(client=client)) is one
    assert registered(one).find(outcome(client=client, port=4712)) is None


def test_an_ipv4_address_may_come_in_ipv6_clothes() -> None:
    one = given_for("a")

    assert registered(one).find(outcome(client="::ffff:192.0.2.1")) is one


@pytest.mark.parametrize("client", ["", "192.0.2.2", "unknown", "192.0.2.1\n", "\u0661"])
def test_an_outcome_of_somebody_else_matches_nobody(client: str) -> None:
    assert registered(given_for("a")).find(outcome(client=client)) is None


def test_an_unknown_session_matches_nobody_even_if_the_address_does() -> None:
    assert registered(given_for("a")).find(outcome("b")) is None


def test_a_session_that_has_ended_is_still_known() -> None:
    one = given_for("a")
    register = registered(one)

    assert len(register) == 1
    assert register.close(one)
    assert len(register) == 0
    assert register.find(outcome("a")) is one
    assert register.find(outcome()) is one


def test_a_place_is_given_back_once() -> None:
    one = given_for("a")
    register = registered(one)

    assert [register.close(one), register.close(one)] == [True, False]


def test_of_sessions_from_one_port_the_eldest_untold_is_meant() -> None:
    """Feeds tell them in order; else a client that comes again from the same port could swap its outcomes."""
    old, new = given_for("a"), given_for("b")
    register = registered(old)
    register.close(old)
    register.add(new)

    assert register.find(outcome()) is old
    old.has_ended = True
    assert register.find(outcome()) is new
    new.has_ended = True
    assert register.find(outcome()) is new
    assert register.find(outcome("a")) is old


def test_a_session_that_was_not_given_away_after_all_leaves_the_port_to_others() -> None:
    one, other = given_for("a"), given_for("b")
    register = registered(one, other)
    register.forget(other)

    assert register.find(outcome()) is one
    assert register.find(outcome("b")) is None
    register.forget(one)
    assert register.find(outcome()) is None


def test_the_past_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_module, "REMEMBERED", 2)
    sessions = [given_for(name, port=port) for port, name in enumerate("abc")]
    register = registered(*sessions)
    for session in sessions:
        register.close(session)

    assert register.find(outcome("a")) is None
    assert register.find(outcome(port=0)) is None
    assert register.find(outcome("b")) is sessions[1]
    assert register.find(outcome(port=1)) is sessions[1]


def test_forgetting_a_session_leaves_the_newer_one_of_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_module, "REMEMBERED", 0)
    old, new = given_for("a"), given_for("b")
    register = registered(old, new)
    register.close(old)

    assert register.find(outcome()) is new


def test_those_that_a_server_has_taken_are_known_by_its_socket() -> None:
    elsewhere = Backend(Settings("bundled", "nice"), "/other")
    taken, untaken, other = given_for("a"), given_for("b"), given_for("c", backend=elsewhere)
    taken.taken_at = other.taken_at = 1.0

    assert registered(taken, untaken, other).taken_at("/smtpd") == [taken]


def test_what_was_earned_last_is_found_first_wherever_it_is_remembered() -> None:
    first, second, third, other = (given_for(name) for name in "abcd")
    other.session.client = b"somebody else"
    register = registered(first, second, third, other)
    for given in (first, second, other):
        register.close(given)
    for given in (first, second, third, other):
        given.earned = 1.0

    found = []
    while given_now := register.latest_that_earned(first.session.client):
        found.append(given_now)
        given_now.earned = 0.0

    assert found == [third, second, first]


@pytest.mark.parametrize(
    ("ended", "meant"),
    [(0.0, "old"), (10.0, "old"), (10.4, "old"), (11.5, "new"), (12.0, "new"), (13.0, "new"), (400.0, "new")],
)
def test_what_a_second_feed_tells_late_is_not_the_next_session_from_that_port(ended: float, meant: str) -> None:
    old, new = given_for("old"), given_for("new")
    old.has_ended, old.over_at = True, 10.0
    new.given_at = 12.0

    found = registered(old, new).find(outcome(), ended)

    assert found
    assert found.session.id == meant


def test_a_line_that_comes_when_all_were_told_is_of_the_one_that_ended_next_to_it() -> None:
    first, second = given_for("a"), given_for("b")
    for given, over_at in ((first, 10.0), (second, 20.0)):
        given.has_ended, given.over_at = True, over_at

    assert registered(first, second).find(outcome(), 12.0) is first
    assert registered(first, second).find(outcome(), 18.0) is second


def test_a_session_alone_is_joined_whatever_the_feeds_clock_shows() -> None:
    one = given_for("a")
    one.given_at = 86400.0

    assert registered(one).find(outcome(), 0.0) is one
