"""Evidence: what each observation is worth, and that a crowd costs no more than its limit."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontproxy.core.config import ListSettings, NetworkEvidence, Points
from frontproxy.core.config_values import FieldValue, ListKind
from frontproxy.core.evidence import (
    CENSUS_LIMIT,
    Evidence,
    Listed,
    from_census,
    from_lists,
    from_manners,
    from_others,
    from_place,
)
from frontproxy.core.verdict import Reason

POINTS = Points()


def listed(name: str, kind: ListKind, length: int = 24, points: float = 0.0) -> Listed:
    return Listed(ListSettings(name, kind, points=points), length)


@given(st.lists(st.floats(-100, 100), max_size=10))
def test_the_score_is_the_sum_of_the_reasons(points: list[float]) -> None:
    score = Evidence("192.0.2.1", tuple(Reason("test", worth, "") for worth in points)).score

    assert score == pytest.approx(math.fsum(points), abs=1e-9)
    assert isinstance(score, float)


@pytest.mark.parametrize(
    ("lists", "decides"),
    [
        ([], None),
        ([listed("partners", "points", 32), listed("forwarders", "forwarder", 32)], None),
        ([listed("partners", "points", 32), listed("bad", "deny", 8)], "bad"),
        ([listed("bad", "deny", 8), listed("ours", "own", 24)], "ours"),
        ([listed("ours", "own", 8), listed("bad", "deny", 24)], "bad"),
        ([listed("relays", "relay", 24), listed("bad", "deny", 24)], "relays"),
        ([listed("bad", "deny", 24), listed("relays", "relay", 24)], "bad"),
        ([listed("probes", "probe", 0)], "probes"),
    ],
)
def test_the_longest_prefix_decides_and_among_equals_the_first_list(lists: list[Listed], decides: str | None) -> None:
    decided = Evidence("192.0.2.1", (), lists=tuple(lists)).decided_by()

    assert (decided and decided.settings.name) == decides


def test_each_list_is_a_reason_and_a_deciding_one_has_no_points() -> None:
    lists = [
        listed("partners", "points", points=30.0),
        listed("hosters", "forwarder", points=-4.0),
        listed("bad", "deny", points=9.0),
        listed("ours", "own", points=9.0),
        listed("relays", "relay"),
        listed("probes", "probe"),
    ]

    assert from_lists(lists) == (
        Reason("list:partners", 30.0, "on your list partners"),
        Reason("list:hosters", -4.0, "on your list hosters"),
        Reason("list:bad", 0.0, "on your list bad: refused"),
        Reason("list:ours", 0.0, "on your list ours (own): always served, never learned"),
        Reason("list:relays", 0.0, "on your list relays (relay): always served, never learned"),
        Reason("list:probes", 0.0, "on your list probes (probe): always served, never learned"),
    )


@pytest.mark.parametrize(
    ("asn", "country", "worth"),
    [
        (64500, "DE", [("asn:64500", -3.0), ("country:DE", 2.0)]),
        (64501, "", [("asn:64501", -3.0)]),
        (64502, "FR", [("country:FR", 2.0)]),
        (64502, "IT", []),
        (0, "", []),
    ],
)
def test_asn_and_country_are_worth_what_the_operator_thinks(
    asn: int, country: str, worth: list[tuple[str, float]]
) -> None:
    networks = [NetworkEvidence((64500, 64501), (), -3.0), NetworkEvidence((), ("DE", "FR"), 2.0)]

    assert [(reason.name, reason.points) for reason in from_place(asn, country, networks)] == worth


def test_one_entry_that_names_asn_and_country_counts_once() -> None:
    network = NetworkEvidence((64500,), ("DE",), -3.0)

    assert from_place(64500, "DE", [network]) == (Reason("asn:64500", -3.0, "its network is AS64500"),)
    assert from_place(1, "DE", [network]) == (Reason("country:DE", -3.0, "its network is in DE"),)


def said(fields: dict[str, FieldValue], *where: tuple[str, tuple[FieldValue, ...]]) -> tuple[Reason, ...]:
    """What one entry that asks for these fields makes of those that are known."""
    return from_place(0, "", [NetworkEvidence((), (), -2.0, where)], fields)


@pytest.mark.parametrize(
    ("fields", "name", "shown"),
    [
        ({"traits.user_type": "residential"}, "geo:traits.user_type=residential", '"residential"'),
        ({"traits.user_type": "cellular"}, "geo:traits.user_type=cellular", '"cellular"'),
        ({"anycast": True}, "geo:anycast=true", "true"),
        ({"score": 7}, "geo:score=7", "7"),
        ({"score": 1.5}, "geo:score=1.5", "1.5"),
        ({"traits.user_type": "business", "score": 7.0}, "geo:score=7", "7"),
    ],
)
def test_what_a_database_says_counts_once_for_each_entry(fields: dict[str, FieldValue], name: str, shown: str) -> None:
    (reason,) = said(
        fields, ("traits.user_type", ("residential", "cellular")), ("anycast", (True,)), ("score", (1.5, 7))
    )

    assert reason[:2] == (name, -2.0)
    assert reason.text == f"a database says of its network: {name[4:].partition('=')[0]} is {shown}"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"anycast": False},
        {"anycast": 1},
        {"anycast": "true"},
        {"score": True},
        {"score": "1"},
        {"score": 2},
        {"type": "HOSTING"},
        {"other": "hosting"},
    ],
)
def test_a_yes_is_no_number_and_a_text_is_compared_as_it_stands(fields: dict[str, FieldValue]) -> None:
    assert said(fields, ("anycast", (True,)), ("score", (1,)), ("type", ("hosting",))) == ()


def test_no_and_zero_are_values_like_any_other() -> None:
    assert [reason.name for reason in said({"anycast": False}, ("anycast", (False,)))] == ["geo:anycast=false"]
    assert [reason.name for reason in said({"score": 0}, ("score", (0,)))] == ["geo:score=0"]


def test_an_entry_that_names_all_three_counts_once_and_the_asn_goes_first() -> None:
    network = NetworkEvidence((64500,), ("DE",), -3.0, (("tor", (True,)),))

    named = [
        [reason.name for reason in from_place(asn, country, [network], {"tor": True})]
        for asn, country in ((64500, "DE"), (1, "DE"), (1, "FR"))
    ]

    assert named == [["asn:64500"], ["country:DE"], ["geo:tor=true"]]


@given(st.text(), st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans())
@example("traits." * 20, "residential" * 20)
def test_a_label_is_short_and_splits_no_list_of_reasons(path: str, value: FieldValue) -> None:
    (reason,) = said({path: value}, (path, (value,)))

    assert set(reason.name.removeprefix("geo:")).isdisjoint(':, "\n')
    assert reason.name.isascii()
    assert len(reason.name) <= 84
    assert len(reason.text) <= len(path) + 130


def test_a_text_is_shown_escaped() -> None:
    (reason,) = said({"name": 'Evil" \x1b[2J, Ltd'}, ("name", ('Evil" \x1b[2J, Ltd',)))

    assert reason.name == "geo:name=Evil____2J__Ltd"
    assert reason.text == 'a database says of its network: name is "Evil\\" \\u001b[2J, Ltd"'


def test_an_unknown_place_is_no_evidence_even_where_it_is_listed() -> None:
    assert from_place(0, "", [NetworkEvidence((0,), ("",), -50.0)]) == ()


@pytest.mark.parametrize(
    ("open_sessions", "rate", "worth"),
    [
        (0, 0, {}),
        (10, 60, {}),
        (11, 60, {"open_sessions": -0.5}),
        (10, 61, {"rate": -0.1}),
        (14, 70, {"open_sessions": -2.0, "rate": -1.0}),
        (17, 70, {"open_sessions": -3.5, "rate": -0.5}),
        (20, 1000, {"open_sessions": -4.0}),
        (5000, 0, {"open_sessions": -4.0}),
        (0, 5000, {"rate": -4.0}),
    ],
)
def test_a_crowd_of_one_client_costs_points(open_sessions: int, rate: float, worth: dict[str, float]) -> None:
    reasons = from_census(open_sessions, rate, POINTS)

    assert {reason.name: pytest.approx(reason.points) for reason in reasons} == worth


def test_a_crowd_is_told_in_words() -> None:
    texts = [reason.text for reason in from_census(12, 61.4, POINTS)]

    assert texts == ["12 sessions open at once", "61 connections in the last minute"]


@given(st.integers(0, 10**6), st.floats(0, 1e9), st.floats(-100, 0), st.floats(-100, 0))
def test_a_crowd_never_costs_more_than_its_limit(
    open_sessions: int, rate: float, for_open: float, for_rate: float
) -> None:
    reasons = from_census(open_sessions, rate, Points(open_sessions=for_open, rate=for_rate))

    assert -CENSUS_LIMIT <= sum(reason.points for reason in reasons) <= 0
    assert all(reason.points <= 0 for reason in reasons)


@pytest.mark.parametrize(
    ("early", "returned", "worth"),
    [
        (False, False, []),
        (True, False, [("pregreet", -30.0)]),
        (False, True, [("returned", 3.0)]),
        (True, True, [("pregreet", -30.0), ("returned", 3.0)]),
    ],
)
def test_manners_at_the_door_count(early: bool, returned: bool, worth: list[tuple[str, float]]) -> None:
    reasons = from_manners(early=early, returned=returned, points=POINTS)

    assert [(reason.name, reason.points) for reason in reasons] == worth
    assert all(reason.text for reason in reasons)


def reasons(**points: float) -> list[Reason]:
    return [Reason(name.replace("__", ":"), worth, "") for name, worth in points.items()]


@pytest.mark.parametrize(
    ("heard", "left"),
    [
        (reasons(network=4.0), 4.0),
        (reasons(network=4.0, name__confirmed=0.5), 4.5),
        (reasons(provider=4.0, name__confirmed=0.5, returned=3.0), 4.5),
        (reasons(asn=3.0, network=1.0, returned=3.0), 4.5),
        (reasons(network=-4.0, returned=3.0), -1.0),
        ([Reason("dnslist:wl.example", 4.0, ""), *reasons(network=4.0)], 4.5),
        ([Reason("dnslist:wl.example", 4.0, ""), Reason("dnslist:other.example", 4.0, "")], 4.5),
        ([Reason("dnslist:wl.example", 7.0, ""), *reasons(network=4.0)], 7.0),
        ([Reason("dnslist:wl.example", 7.0, ""), *reasons(network=-4.0)], 3.0),
    ],
)
def test_what_others_say_makes_no_friend(heard: list[Reason], left: float) -> None:
    """But one DNS list does, if it is worth so much by itself."""
    taken = from_others(heard, settled=5.0)

    assert sum(reason.points for reason in [*heard, *taken]) == left


def test_what_others_say_against_a_client_counts_beside_it() -> None:
    heard = [Reason("dnslist:bl.example", -25.0, ""), *reasons(network=4.0, returned=3.0, history=2.0)]

    assert [(reason.name, reason.points) for reason in from_others(heard, settled=5.0)] == [("others", -2.5)]
