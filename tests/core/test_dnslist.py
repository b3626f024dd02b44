"""DNS lists as evidence: how they are asked, what they are worth, and how little a lying one can do."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.address import pack
from frontproxy.core.config import DnsListSettings, ReplyPoints
from frontproxy.core.dnslist import LISTS_LIMIT, listed_by, parse_pattern, query_name, reasons_of
from frontproxy.core.hearsay import ListAnswer
from frontproxy.core.verdict import Reason

NOW = 1000.0


def answer(zone: str, *codes: str, state: Literal["listed", "not listed", "no answer"] = "listed") -> ListAnswer:
    return ListAnswer(zone, state, codes, at=NOW - 180.0, until=NOW + 60.0)


def a_list(zone: str, **points: float) -> DnsListSettings:
    """127.0.0.2 by the keyword `n2`, and so on."""
    return DnsListSettings(
        zone, tuple(ReplyPoints(parse_pattern(f"127.0.0.{key[1:]}"), worth) for key, worth in points.items())
    )


def listings(*worths: float) -> tuple[list[ListAnswer], list[DnsListSettings]]:
    """A client on as many lists, each with its points."""
    zones = [f"list-{number}.example" for number in range(len(worths))]
    return [answer(zone, "127.0.0.2") for zone in zones], [
        a_list(zone, n2=worth) for zone, worth in zip(zones, worths, strict=True)
    ]


def heard(
    found: tuple[Sequence[ListAnswer], Sequence[DnsListSettings]], *, doubt: float = 1.0, mute: Sequence[str] = ()
) -> tuple[Reason, ...]:
    """The reasons, with a vote for each list that is not `mute`."""
    answers, lists = found
    voting = {settings.zone for settings in lists} - set(mute)
    return reasons_of(answers, lists, voting=voting, doubt=doubt, now=NOW)


def total(reasons: Sequence[Reason]) -> float:
    return sum(reason.points for reason in reasons)


# RFC 5782 sections 2.1 and 2.4


def test_an_ipv4_address_is_asked_for_by_its_octets_in_reverse() -> None:
    assert query_name(pack("192.0.2.99"), "bad.example.com") == "99.2.0.192.bad.example.com"


def test_an_ipv6_address_is_asked_for_by_its_nibbles_in_reverse() -> None:
    assert query_name(pack("2001:db8:1:2:3:4:567:89ab"), "ugly.example.com") == (
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"
    )


@given(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
def test_a_query_is_the_reverse_pointer_in_another_zone(packed: bytes) -> None:
    reverse, _, _zone = ip_address(packed).reverse_pointer.rpartition(".")[0].rpartition(".")

    assert query_name(packed, "bl.example") == f"{reverse}.bl.example"


# What the lists say


def test_a_listing_is_explained() -> None:
    (reason,) = heard(([answer("bl.example", "127.0.0.4")], [a_list("bl.example", n4=-25)]))

    assert reason == Reason("dnslist:bl.example", -25.0, "listed by bl.example (127.0.0.4), said 3 minutes ago")


def test_reasons_stand_in_the_order_of_the_file() -> None:
    answers, lists = listings(-1, 2, -3)

    assert [reason.points for reason in heard((answers[::-1], lists))] == [-1.0, 2.0, -3.0]


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (0.0, "said just now"),
        (-1.0, "said just now"),
        (59.9, "said just now"),
        (60.0, "said 1 minute ago"),
        (3599.0, "said 59 minutes ago"),
        (7300.0, "said 2 hours ago"),
    ],
)
def test_the_age_of_an_answer_is_told(age: float, said: str) -> None:
    answers, lists = listings(-1)

    (reason,) = reasons_of([answers[0]._replace(at=NOW - age)], lists, voting={lists[0].zone}, doubt=1.0, now=NOW)

    assert reason.text.endswith(said)


def test_many_replies_do_not_make_a_long_line() -> None:
    codes = [f"127.0.0.{number}" for number in range(2, 200)]

    (reason,) = heard(([answer("bl.example", *codes)], [a_list("bl.example", n4=-25)]))

    assert "(127.0.0.2, 127.0.0.3, 127.0.0.4, 127.0.0.5 ...)" in reason.text


@pytest.mark.parametrize("state", ["not listed", "no answer"])
def test_no_listing_is_no_evidence(state: Literal["not listed", "no answer"]) -> None:
    found = ([answer("bl.example", "127.0.0.2", state=state)], [a_list("bl.example", n2=-25)])

    assert heard(found) == ()
    assert listed_by(*found, {"bl.example"}, doubt=1.0) == ()


def test_a_reply_without_points_is_no_evidence_but_a_rule_may_ask_for_it() -> None:
    found = ([answer("bl.example", "127.0.0.2")], [a_list("bl.example", n2=0)])

    assert heard(found) == ()
    assert listed_by(*found, {"bl.example"}, doubt=1.0) == ("bl.example",)


def test_a_reply_that_no_pattern_means_is_nothing() -> None:
    found = ([answer("bl.example", "127.0.0.9")], [a_list("bl.example", n2=-25)])

    assert heard(found) == ()
    assert listed_by(*found, {"bl.example"}, doubt=1.0) == ()


def test_a_list_that_is_no_longer_configured_is_not_heard() -> None:
    found = ([answer("gone.example", "127.0.0.2")], [a_list("bl.example", n2=-25)])

    assert heard(found) == ()
    assert listed_by(*found, {"bl.example", "gone.example"}, doubt=1.0) == ()


def test_a_list_without_a_vote_gives_no_points_and_no_fact() -> None:
    answers, lists = listings(-20, -7)

    assert [reason.points for reason in heard((answers, lists), mute=[lists[0].zone])] == [-7.0]
    assert listed_by(answers, lists, {lists[1].zone}, doubt=1.0) == (lists[1].zone,)


# How little they can do


def test_lists_together_take_35_points_and_the_reason_says_so() -> None:
    first, second, third = heard(listings(-20, -20, -20))

    assert [first.points, second.points, third.points] == [-20.0, -15.0, 0.0]
    assert "together" not in first.text
    assert second.text.endswith("; all lists together take at most 35")
    assert third.text.endswith("; all lists together take at most 35")


def test_one_list_alone_takes_35_points_at_most() -> None:
    assert total(heard(listings(-100))) == LISTS_LIMIT


def test_what_a_list_gives_is_not_eaten_by_what_others_may_not_take() -> None:
    assert total(heard(listings(-100, 4, -100))) == LISTS_LIMIT + 4


def test_a_friend_of_ours_loses_nothing_by_any_list_and_the_reason_says_so() -> None:
    blocked, allowed = heard(listings(-25, 4), doubt=0.0)

    assert (blocked.points, allowed.points) == (0.0, 4.0)
    assert str(blocked.points) == "0.0"
    assert blocked.text.endswith("; does not count, as we know good of it ourselves")


def test_half_a_doubt_halves_what_is_said_against_a_client() -> None:
    (reason,) = heard(listings(-20), doubt=0.5)

    assert reason.points == -10.0
    assert reason.text.endswith("; counts 50%, as we know good of it ourselves")


points = st.lists(st.floats(-100, 100), max_size=8)


@given(points, st.floats(0, 1))
def test_all_lists_together_never_take_more_than_the_limit(worths: list[float], doubt: float) -> None:
    assert sum(min(reason.points, 0.0) for reason in heard(listings(*worths), doubt=doubt)) >= LISTS_LIMIT - 1e-9


@given(points)
def test_whom_we_know_nobody_can_harm(worths: list[float]) -> None:
    assert min((reason.points for reason in heard(listings(*worths), doubt=0.0)), default=0.0) >= 0.0


@given(points, st.floats(-100, 0), st.floats(0, 1))
def test_one_more_block_list_never_raises_the_score(worths: list[float], worth: float, doubt: float) -> None:
    fewer, more = heard(listings(*worths), doubt=doubt), heard(listings(*worths, worth), doubt=doubt)

    assert total(more) <= total(fewer)


@given(points, st.floats(0, 1), st.floats(0, 1))
def test_more_doubt_never_raises_the_score(worths: list[float], one: float, other: float) -> None:
    less, more = sorted((one, other))

    assert total(heard(listings(*worths), doubt=more)) <= total(heard(listings(*worths), doubt=less)) + 1e-9


@given(points)
def test_without_votes_there_is_nothing(worths: list[float]) -> None:
    answers, lists = listings(*worths)

    assert heard((answers, lists), mute=[settings.zone for settings in lists]) == ()
    assert listed_by(answers, lists, frozenset(), doubt=1.0) == ()


def test_of_a_friend_rules_hear_only_what_speaks_in_its_favour() -> None:
    answers, lists = listings(-25.0, 5.0, 0.0)
    zones = [settings.zone for settings in lists]

    assert listed_by(answers, lists, zones, doubt=0.01) == tuple(zones)
    assert listed_by(answers, lists, zones, doubt=0.0) == (zones[1],)
