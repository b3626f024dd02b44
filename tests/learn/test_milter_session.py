"""One SMTP session by its milter events: what is counted, what is answered, and what is never said."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.outcome import weigh
from frontproxy.core.refusal import postfix_refusal
from frontproxy.learn.milter_session import MilterSession
from frontproxy.learn.milter_wire import GO_ON, MilterError, agree
from frontproxy.wire.outcome_line import OutcomeLine, decode, encode
from tests.learn.milter_packets import (
    ABORT,
    EHLO,
    END,
    GOOD_SESSION,
    accepted,
    connect,
    data,
    end_of_message,
    mail,
    offer,
    packet,
    refused,
)

UNKNOWN_USER = refused("5.1.1", "Recipient address rejected: User unknown in local recipient table")
RELAY = refused("5.7.1", "Relay access denied")


def told(*events: bytes) -> OutcomeLine:
    """The outcome of a session of these events."""
    session = MilterSession()
    session.receive(offer() + connect() + b"".join(events) + END)
    outcome = session.outcome(1.7e9)
    assert outcome is not None
    assert decode(encode(outcome)) == outcome
    return outcome


def test_a_good_message_is_a_good_session() -> None:
    outcome = told(EHLO, mail(), accepted(), data(), end_of_message())

    assert outcome == OutcomeLine(client="192.0.2.1", port=4711, ended=1.7e9, end="quit", messages=1, recipients=1)
    assert weigh(outcome).good == 1.0


def test_each_message_and_each_recipient_counts() -> None:
    outcome = told(*[mail(), accepted(), accepted("you@example.com"), data(), end_of_message(), ABORT] * 3)

    assert (outcome.messages, outcome.recipients) == (3, 6)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("5.1.1", "Recipient address rejected: User unknown in local recipient table", "unknown"),
        ("5.1.1", "Recipient address rejected: undeliverable address: no such user", "unknown"),
        ("5.1.2", "Recipient address rejected: Domain not found", "unknown"),
        ("5.1.0", "Address rejected", "unknown"),
        ("5.7.1", "Relay access denied", "relay"),
        ("5.7.1", "b@other.example>: Relay access denied", "relay"),
        ("5.7.1", "access denied@example.com>: Recipient address rejected: User unknown", "policy"),
        ("5.7.1", "Relay access denied; see http://example.com", "policy"),
        ("5.7.1", "Sender address rejected: Access denied", "policy"),
        ("5.7.1", "unavailable; Client host [192.0.2.1] blocked using zen.example", "policy"),
        ("5.1.8", "Sender address rejected: Domain not found", "policy"),
        ("5.7.23", "SPF", "policy"),
        ("5.5.2", "Helo command rejected: need fully-qualified hostname", "policy"),
        ("5.7.25", "Relay access denied", "policy"),
        ("5.2.2", "mailbox full", "ours"),
        ("5.3.0", "mail system trouble", "ours"),
        ("5.4.6", "mail for example.com loops back to myself", "ours"),
        ("4.7.1", "Relay access denied", "ours"),
        ("4.3.5", "configuration error", "ours"),
        ("", "", "policy"),
        ("5.1.1 and more", "", "policy"),
    ],
)
def test_a_refusal_is_known_by_its_code_and_by_postfix_own_words(code: str, text: str, kind: str) -> None:
    assert postfix_refusal(code.encode(), text.encode()) == kind


def test_refused_recipients_are_counted_with_their_kinds() -> None:
    outcome = told(mail(), UNKNOWN_USER, UNKNOWN_USER, RELAY, refused("5.7.1", "Access denied"), refused("4.7.1", "x"))

    assert (outcome.refused, outcome.relay, outcome.policy, outcome.recipients) == (4, 1, 1, 0)


def test_our_own_trouble_counts_nothing() -> None:
    outcome = told(mail(), refused("4.3.5", "configuration error"), refused("5.3.0", "trouble"), ABORT)

    assert weigh(outcome).bad == 0.0
    assert (outcome.refused, outcome.recipients) == (0, 0)


@pytest.mark.parametrize(
    ("events", "is_null"),
    [
        ([mail("<>"), UNKNOWN_USER], True),
        ([mail("<>"), UNKNOWN_USER, ABORT, mail(), accepted()], True),
        ([mail("<>"), UNKNOWN_USER, ABORT, mail(), UNKNOWN_USER], False),
        ([mail("<>"), accepted()], False),
        ([mail(), UNKNOWN_USER], False),
    ],
)
def test_the_null_sender_excuses_only_if_all_refused_recipients_were_its(events: list[bytes], is_null: bool) -> None:
    assert told(*events).null_sender is is_null


def test_unknown_commands_are_counted_whatever_they_say() -> None:
    outcome = told(
        *[packet("D", b"U") + packet("U", words) for words in (b"FOO\0", b"\xff\0", b"Relay access denied\0")]
    )

    assert outcome.bad_commands == 3
    assert outcome.refused == 0


def test_authentication_is_said_once() -> None:
    assert told(mail(auth_authen="me"), ABORT, mail(auth_authen="me")).auth_good == 1
    assert told(mail(auth_authen="")).auth_good == 0


def test_tls_is_told_by_its_version() -> None:
    assert told(mail(tls_version="TLSv1.3"), ABORT, mail()).tls
    assert not told(mail(tls_version=""), mail(auth_authen="me")).tls


@pytest.mark.parametrize("events", [[mail(), accepted(), data(), ABORT], [mail(), accepted()]])
def test_a_message_whose_end_was_not_seen_is_not_counted(events: list[bytes]) -> None:
    outcome = told(*events)

    assert outcome.messages == outcome.content_refused == 0
    assert weigh(outcome).good == weigh(outcome).bad == 0.0


def test_only_negotiation_and_the_end_of_a_message_are_answered() -> None:
    session = MilterSession()

    assert session.receive(offer()) == agree(offer()[5:]).reply
    assert session.receive(connect() + EHLO + mail() + accepted() + UNKNOWN_USER + data()) == b""
    assert session.receive(end_of_message()) == GO_ON
    assert session.receive(END) == b""


def test_a_mail_server_that_waits_for_each_event_gets_each_answer() -> None:
    session = MilterSession()
    session.receive(offer(flags=0))

    answers = session.receive(connect() + EHLO + mail() + accepted() + data() + packet("N") + packet("B", b"x"))

    assert answers == GO_ON * 7


def test_a_session_whose_end_was_not_seen_is_not_told() -> None:
    session = MilterSession()
    session.receive(offer() + connect() + mail() + accepted() + data() + end_of_message() + ABORT)

    assert session.outcome(1.7e9) is None


@pytest.mark.parametrize("content", [b"localhost\0L\0\0/x\0", b"localhost\0U", None])
def test_a_session_of_a_client_without_an_address_is_not_told(content: bytes | None) -> None:
    session = MilterSession()
    session.receive(offer() + (packet("C", content) if content else b"") + mail() + accepted() + END)

    assert session.has_ended
    assert session.outcome(1.7e9) is None


@pytest.mark.parametrize(
    "garbage", [packet("E"), END, offer() + END + packet("A"), packet("O", b"short"), b"EHLO x\r\n"]
)
def test_what_does_not_belong_there_is_an_error(garbage: bytes) -> None:
    with pytest.raises(MilterError):
        MilterSession().receive(garbage)


def test_macros_are_for_the_next_packet_only() -> None:
    bare = packet("R", b"<user@example.com>\0")

    assert told(mail(), UNKNOWN_USER, bare).recipients == 1


@given(st.lists(st.integers(0, len(GOOD_SESSION))))
def test_the_pieces_in_which_a_session_comes_change_nothing(cuts: list[int]) -> None:
    session, before = MilterSession(), 0
    for at in [*sorted(cuts), len(GOOD_SESSION)]:
        session.receive(GOOD_SESSION[before:at])
        before = at

    assert session.outcome(1.7e9) == told(EHLO, mail(), accepted(), data(), end_of_message())


@given(st.lists(st.tuples(st.sampled_from("OCHMRTULNBEAQD"), st.binary(max_size=40)), max_size=20))
def test_packets_of_any_kind_in_any_order_raise_nothing_but_milter_errors(packets: list[tuple[str, bytes]]) -> None:
    session = MilterSession()
    try:
        for letter, content in packets:
            session.receive(offer() + packet(letter, content))
    except MilterError:
        pass
    outcome = session.outcome(1.7e9)
    assert outcome is None or decode(encode(outcome)) == outcome


def test_ten_thousand_recipients_leave_nothing_but_counts() -> None:
    session = MilterSession()
    session.receive(offer() + connect() + mail())

    for number in range(5000):
        session.receive(accepted(f"user{number}@example.com") + refused("5.1.1", "x" * 100))

    kept = sum(sys.getsizeof(getattr(session, name)) for name in MilterSession.__slots__)
    assert kept + sys.getsizeof(session) < 2000
