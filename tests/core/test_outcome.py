"""What a session counts: each line of the table of outcomes."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontproxy.core.outcome import BAD_LIMIT, GOOD_LIMIT, TRAP, verdict_weight, weigh
from frontproxy.wire.outcome_line import OutcomeLine


def outcome(**said: Any) -> OutcomeLine:
    return OutcomeLine(**{"client": "192.0.2.1", "port": 4711, "ended": 1.7e9, "end": "quit", **said})


@pytest.mark.parametrize(
    ("said", "good", "bad", "text"),
    [
        ({}, 0, 0, ""),
        ({"messages": 1, "recipients": 1}, 1, 0, "1 message accepted"),
        ({"messages": 3, "recipients": 3}, 1.5, 0, "3 messages accepted"),
        ({"messages": 50, "recipients": 50}, 2, 0, "50 messages accepted"),
        ({"messages": 1, "unverified": 1}, 0.2, 0, "1 message for unverified recipients"),
        ({"messages": 3, "unverified": 2}, 1.4, 0, "1 message accepted, 2 messages for unverified recipients"),
        ({"messages": 1, "unverified": 9}, 0.2, 0, "1 message for unverified recipients"),
        ({"messages": 1, "refused": 1}, 1, 0, "1 message accepted"),
        ({"messages": 1, "refused": 4}, 1, 0.6, "1 message accepted, 4 unknown recipients"),
        ({"refused": 1}, 0, 0.2, "1 unknown recipient"),
        ({"refused": 3}, 0, 2.2, "3 unknown recipients"),
        ({"refused": 30}, 0, 4, "30 unknown recipients"),
        ({"refused": 3, "null_sender": True}, 0, 0.22, "3 unknown recipients"),
        ({"refused": 5, "recipients": 1}, 0, 4, "5 unknown recipients"),  # postmaster is always accepted: no excuse
        ({"messages": 1, "refused": 11, "null_sender": True}, 1, 2, "1 message accepted, 11 unknown recipients"),
        ({"refused": 1, "relay": 1}, 0, 1, "1 relay attempt"),
        ({"refused": 2, "policy": 2}, 0, 0.6, "2 recipients refused by policy"),
        (
            {"refused": 3, "relay": 1, "policy": 1},
            0,
            1.5,
            "1 unknown recipient, 1 relay attempt, 1 recipient refused by policy",
        ),
        ({"refused": 1, "relay": 2}, 0, 2, "2 relay attempts"),
        ({"early": True}, 0, 1, "talked before the greeting"),
        ({"bad_commands": 2}, 0, 0, ""),
        ({"bad_commands": 3}, 0, 0.5, "3 bad commands"),
        ({"bad_commands": 900}, 0, 2, "900 bad commands"),
        ({"http": True, "bad_commands": 9}, 0, 3, "spoke HTTP"),
        ({"end": "timeout"}, 0, 0.3, "timed out"),
        ({"end": "timeout", "stage": "connect"}, 0, 0.3, "timed out"),
        ({"end": "timeout", "stage": "data"}, 0, 0, ""),
        ({"end": "timeout", "stress": True}, 0, 0, ""),
        ({"end": "lost"}, 0, 0, ""),
        ({"end": "lost", "refused": 1}, 0, 0.5, "1 unknown recipient, left after refused recipients"),
        ({"end": "lost", "refused": 1, "recipients": 1}, 0, 0.2, "1 unknown recipient"),
        ({"end": "errors"}, 0, 0, ""),
        ({"end": "refused"}, 0, 0, ""),
        ({"auth_good": 1}, 1, 0, "authenticated"),
        ({"auth_good": 7}, 1, 0, "authenticated"),
        ({"auth_failed": 2}, 0, 0, ""),
        ({"auth_failed": 4}, 0, 1, "4 failed authentications"),
        ({"content_refused": 1}, 0, 2, "1 message refused for the content"),
        ({"messages": 2, "content_refused": 1}, 0, 2, "1 message refused for the content"),
        ({"messages": 2, "content_refused": 9}, 0, 4, "9 messages refused for the content"),
        ({"content_refused": 1, "malware": 1}, 0, 4, "1 message refused for malware"),
        ({"malware": 2}, 0, 4, "2 messages refused for malware"),
        (
            {"messages": 1, "content_refused": 3, "malware": 1},
            0,
            4,
            "1 message refused for malware, 2 messages refused for the content",
        ),
        ({"messages": 1, "probable": 1}, 0, 0.7, "1 message probably spam"),
        ({"messages": 3, "probable": 3}, 0, 2.1, "3 messages probably spam"),
        ({"messages": 1, "recipients": 1, "trap": 1}, 0, 8, "hit a trap address"),
        ({"trap": 5, "http": True}, 0, 8, "spoke HTTP, hit a trap address"),
        ({"messages": 1, "stress": True, "end": "timeout"}, 1, 0, "1 message accepted"),
    ],
)
def test_each_event_counts_as_the_design_says(said: dict[str, Any], good: float, bad: float, text: str) -> None:
    weight = weigh(outcome(**said))

    assert weight.good == pytest.approx(good)
    assert weight.bad == pytest.approx(bad)
    assert weight.text == text


def test_a_forwarder_answers_for_a_tenth_of_the_content_only() -> None:
    weight = weigh(outcome(messages=1, content_refused=1), forwarder=True)

    assert weight.good == pytest.approx(0.9)
    assert weight.bad == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("said", "bad"),
    [
        ({"trap": 1}, 0.8),
        ({"probable": 1}, 0.07),
        ({"malware": 1}, 0.4),
        ({"content_refused": 90}, 4),
        ({"trap": 1, "refused": 90}, 4),
    ],
)
def test_a_forwarder_answers_for_a_tenth_of_each_verdict(said: dict[str, Any], bad: float) -> None:
    weight = weigh(outcome(messages=1, **said), forwarder=True)

    assert weight.good == pytest.approx(0.9)
    assert weight.bad == pytest.approx(bad)


@pytest.mark.parametrize(
    ("kind", "forwarder", "good", "bad"),
    [("good", False, 3, 0), ("bad", False, 0, 3), ("good", True, 3, 0), ("bad", True, 0, 0.3)],
)
def test_a_later_verdict_counts_what_it_says(
    kind: Literal["good", "bad"], forwarder: bool, good: float, bad: float
) -> None:
    weight = verdict_weight(kind, 3, forwarder=forwarder)

    assert (weight.good, weight.text) == (good, f"told {kind}")
    assert weight.bad == pytest.approx(bad)


def test_a_forwarder_answers_for_all_else_in_full() -> None:
    said = outcome(messages=1, refused=3, early=True, http=True)

    assert weigh(said, forwarder=True) == weigh(said)


counts = st.integers(0, 1_000_000)
outcomes = st.builds(
    OutcomeLine,
    client=st.just("192.0.2.1"),
    port=st.just(1),
    ended=st.just(0.0),
    end=st.sampled_from(["quit", "lost", "timeout", "errors", "refused"]),
    messages=counts,
    unverified=counts,
    recipients=counts,
    refused=counts,
    relay=counts,
    policy=counts,
    null_sender=st.booleans(),
    bad_commands=counts,
    http=st.booleans(),
    early=st.booleans(),
    content_refused=counts,
    malware=counts,
    probable=counts,
    trap=counts,
    auth_good=counts,
    auth_failed=counts,
    stage=st.sampled_from(["connect", "command", "data"]),
    stress=st.booleans(),
)


@settings(max_examples=50, deadline=None)
@given(outcomes, st.booleans())
def test_no_claim_counts_more_than_the_limits(said: OutcomeLine, forwarder: bool) -> None:
    weight = weigh(said, forwarder=forwarder)

    assert 0 <= weight.good <= GOOD_LIMIT
    assert 0 <= weight.bad <= (TRAP if said.trap else BAD_LIMIT)
    assert weight.taken_back == 0
    assert bool(weight.text) == bool(weight.good or weight.bad)
