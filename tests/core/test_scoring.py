"""Judging: which of all that is known decides, what a rule is told, and how long a stranger keeps silent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontproxy.core.config import Config, Listen, ListSettings, Pool, RouteSettings
from frontproxy.core.config_values import ListKind
from frontproxy.core.evidence import Evidence, Listed
from frontproxy.core.rule_terms import NAMES
from frontproxy.core.rules import Rule, compile_rule
from frontproxy.core.scoring import (
    DENIED,
    FOE_AT,
    STRESS_PAUSE,
    Weather,
    health_check,
    judge,
    pause,
    score_answer,
    stranger,
)
from frontproxy.core.verdict import Reason, Route, Verdict

TAKEN = {"nice": 7, "hostile": 2, "": 9}
CALM = Weather((), TAKEN.__getitem__)
STORM = Weather(("nice", "hostile"), TAKEN.__getitem__)
POOLS = (Pool("nice", ()), Pool("middle", ()), Pool("hostile", ()))
CONFIG = Config(pools=POOLS)
LATER = "421 4.3.2 Try again later"


@dataclass(frozen=True)
class Pinned:
    """A pin as the pins file tells it."""

    network: str
    pool: str


PIN = Pinned("192.0.2.0/24", "middle")


def known(*points: float, lists: tuple[Listed, ...] = ()) -> Evidence:
    return Evidence("192.0.2.1", tuple(Reason("test", worth, "a test") for worth in points), lists=lists)


def listed(kind: ListKind, length: int = 24) -> Listed:
    return Listed(ListSettings(f"the-{kind}", kind), length)


def with_routes(*routes: tuple[str | None, str]) -> Config:
    """Routes as (when, pool or reply)."""
    return replace(
        CONFIG,
        routes=tuple(
            RouteSettings(compile_rule(when) if when else None, **{"reply" if target[0].isdigit() else "to": target})
            for when, target in routes
        ),
    )


# Who decides


@pytest.mark.parametrize(
    ("points", "weather", "route"),
    [
        (5.0, CALM, Route(pool="nice")),
        (4.9, CALM, Route(pool="hostile")),
        (-40.0, CALM, Route(pool="hostile")),
        (-10.0, STORM, Route(reply=LATER)),
        (-9.0, STORM, Route(pool="hostile")),
    ],
)
def test_the_first_rule_that_holds_decides(points: float, weather: Weather, route: Route) -> None:
    assert judge(known(points), CONFIG, pin=None, weather=weather).route == route


def test_a_later_rule_is_not_asked() -> None:
    config = with_routes(("score > 0", "middle"), ("score > 0", "421 4.3.2 No"), (None, "hostile"))

    assert judge(known(1), config, pin=None, weather=CALM).route == Route(pool="middle")
    assert judge(known(0), config, pin=None, weather=CALM).route == Route(pool="hostile")


@pytest.mark.parametrize(
    ("kind", "route"),
    [
        ("deny", Route(reply=DENIED)),
        ("own", Route(pool="nice")),
        ("relay", Route(pool="nice")),
        ("probe", Route(pool="nice")),
        ("points", Route(pool="hostile")),
        ("forwarder", Route(pool="hostile")),
    ],
)
def test_a_deciding_list_goes_before_the_rules(kind: ListKind, route: Route) -> None:
    verdict = judge(known(-40, lists=(listed(kind),)), CONFIG, pin=None, weather=CALM)

    assert verdict.route == route


def test_a_denied_friend_is_refused_for_good() -> None:
    verdict = judge(known(40, lists=(listed("deny"),)), CONFIG, pin=None, weather=CALM)

    assert verdict.route == Route(reply="554 5.7.1 Access denied")
    assert verdict.standing == "friend"


@pytest.mark.parametrize(
    ("lists", "route"),
    [
        ((listed("deny", 16), listed("own", 24)), Route(pool="nice")),
        ((listed("deny", 24), listed("own", 16)), Route(reply=DENIED)),
        ((listed("deny", 16), listed("points", 32)), Route(reply=DENIED)),
    ],
)
def test_the_longest_prefix_of_the_deciding_lists_decides(lists: tuple[Listed, ...], route: Route) -> None:
    assert judge(known(0, lists=lists), CONFIG, pin=None, weather=CALM).route == route


@pytest.mark.parametrize("kind", ["deny", "own", "points"])
def test_a_pin_goes_before_lists_and_rules(kind: ListKind) -> None:
    verdict = judge(known(40, lists=(listed(kind),)), CONFIG, pin=PIN, weather=STORM)

    assert verdict.route == Route(pool="middle")
    assert verdict.pinned == "192.0.2.0/24"


@pytest.mark.parametrize("points", [-40.0, 0.0, 40.0])
@pytest.mark.parametrize("pin", [None, PIN])
@pytest.mark.parametrize("lists", [(), (listed("deny"),)])
def test_in_observe_mode_everyone_goes_to_the_first_pool(
    points: float, pin: Pinned | None, lists: tuple[Listed, ...]
) -> None:
    verdict = judge(known(points, lists=lists), replace(CONFIG, mode="observe"), pin=pin, weather=STORM)

    assert verdict.route == Route(pool="nice")
    assert verdict.score == points
    assert verdict.would == judge(known(points, lists=lists), CONFIG, pin=pin, weather=STORM).route
    assert score_answer(verdict)["would"] == (verdict.would.pool or verdict.would.reply if verdict.would else "")


# Score and standing


@given(st.lists(st.floats(-50, 50), max_size=8))
def test_the_score_of_a_verdict_is_the_sum_of_its_reasons(points: list[float]) -> None:
    evidence = known(*points)

    verdict = judge(evidence, CONFIG, pin=None, weather=CALM)

    assert verdict.reasons == evidence.reasons
    assert verdict.score == pytest.approx(sum(reason.points for reason in verdict.reasons), abs=1e-6)


@pytest.mark.parametrize(
    ("points", "standing"),
    [(4.99, "stranger"), (5, "friend"), (40, "friend"), (0, "stranger"), (-14.99, "stranger"), (FOE_AT, "foe")],
)
def test_a_client_is_friend_stranger_or_foe_by_its_score(points: float, standing: str) -> None:
    verdict = judge(known(points), CONFIG, pin=None, weather=CALM)

    assert verdict.standing == standing
    assert verdict.settled is (standing != "stranger")


def test_a_sum_that_rounding_leaves_a_hair_below_five_is_a_friends() -> None:
    verdict = judge(known(*[0.1] * 50), CONFIG, pin=None, weather=CALM)

    assert sum([0.1] * 50) < 5
    assert (verdict.score, verdict.standing) == (5.0, "friend")


@pytest.mark.parametrize(
    ("pin", "lists", "settled"),
    [
        (None, (), False),
        (None, (listed("points"), listed("forwarder")), False),
        (None, (listed("deny"),), True),
        (None, (listed("own"),), True),
        (PIN, (), True),
    ],
)
def test_a_pin_or_a_deciding_list_settles_a_stranger(
    pin: Pinned | None, lists: tuple[Listed, ...], settled: bool
) -> None:
    assert judge(known(0, lists=lists), CONFIG, pin=pin, weather=CALM).settled is settled


@pytest.mark.parametrize(
    ("kinds", "learning"),
    [
        ([], "full"),
        (["points"], "full"),
        (["deny"], "full"),
        (["forwarder"], "forwarder"),
        (["points", "forwarder"], "forwarder"),
        (["own"], "none"),
        (["relay"], "none"),
        (["forwarder", "probe"], "none"),
    ],
)
def test_what_is_learned_depends_on_the_kinds_of_list(kinds: list[ListKind], learning: str) -> None:
    lists = tuple(listed(kind) for kind in kinds)

    assert judge(known(0, lists=lists), CONFIG, pin=None, weather=CALM).learning == learning


# What a rule is told

FULL = Evidence(
    "192.0.2.1",
    (Reason("history", 6.5, ""),),
    lists=(listed("points"), listed("forwarder")),
    known=True,
    early=True,
    asn=64500,
    country="DE",
    open_sessions=3,
    rate=4.5,
    listed=("bl.example.com",),
    name="mx.example.com",
    domain="example.com",
)


def facts_of(evidence: Evidence, weather: Weather, to: str = "middle", reply: str = "") -> Mapping[str, object]:
    """Every fact a rule is told that asks for all of them."""
    told: dict[str, object] = {}
    nosy = Rule("nosy", frozenset(NAMES), frozenset(), told.update)
    last = RouteSettings(None, to="hostile")
    judge(evidence, replace(CONFIG, routes=(RouteSettings(nosy, to=to, reply=reply), last)), pin=None, weather=weather)
    return told


def test_a_rule_is_told_all_that_is_known() -> None:
    weather = Weather(("hostile",), {"middle": 4}.__getitem__)

    assert facts_of(FULL, weather) == {
        "score": 6.5,
        "settled": True,
        "friend": True,
        "foe": False,
        "known": True,
        "stress": ("hostile",),
        "early": True,
        "lists": ("the-points", "the-forwarder"),
        "listed": ("bl.example.com",),
        "asn": 64500,
        "country": "DE",
        "name": "mx.example.com",
        "domain": "example.com",
        "client": "192.0.2.1",
        "pool_open": 4,
        "open_sessions": 3,
        "rate": 4.5,
    }


@pytest.mark.parametrize("evidence", [FULL, known(), known(-20.0)])
def test_every_name_of_the_language_has_a_value_of_its_kind(evidence: Evidence) -> None:
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "true or false": bool,
        "a number": (int, float),
        "text": str,
        "a tuple of texts": tuple,
    }

    facts = facts_of(evidence, Weather((), lambda _pool: 0))

    assert facts.keys() == NAMES.keys()
    assert [name for name, kind in NAMES.items() if not isinstance(facts[name], kinds[kind])] == []
    assert [name for name, kind in NAMES.items() if kind == "a number" and isinstance(facts[name], bool)] == []
    assert isinstance(facts["score"], float)


def test_what_is_unknown_is_empty_or_zero() -> None:
    facts = facts_of(Evidence("192.0.2.1", ()), Weather((), lambda _pool: 0))

    assert {name for name, value in facts.items() if value} == {"client"}


@pytest.mark.parametrize(("points", "holds"), [(-15.0, {"foe", "settled"}), (5.0, {"friend", "settled"}), (0.0, set())])
def test_a_rule_is_told_who_is_friend_and_who_is_foe(points: float, holds: set[str]) -> None:
    facts = facts_of(known(points), Weather((), lambda _pool: 0))

    assert {name for name in ("friend", "foe", "settled") if facts[name]} == holds


def test_pool_open_is_of_the_pool_that_the_route_leads_to() -> None:
    config = with_routes(("pool_open < 7", "nice"), ("pool_open < 3", "hostile"), (None, "middle"))

    assert judge(known(), config, pin=None, weather=CALM).route == Route(pool="hostile")


@pytest.mark.parametrize(("when", "reply"), [("pool_open >= 9", LATER), ("pool_open > 9", "")])
def test_pool_open_of_a_reply_is_of_all_pools(when: str, reply: str) -> None:
    config = with_routes((when, LATER), (None, "hostile"))

    assert judge(known(), config, pin=None, weather=CALM).route.reply == reply


def test_places_are_counted_only_for_rules_that_ask() -> None:
    nowhere: dict[str, int] = {}
    weather = Weather((), nowhere.__getitem__)  # it fails when asked

    assert judge(known(), CONFIG, pin=None, weather=weather).route == Route(pool="hostile")


# When judging itself fails


def test_a_health_check_is_served_where_the_best_are_and_never_learned() -> None:
    verdict = health_check("192.0.2.1", Config())

    assert verdict.route == Route(pool="nice")
    assert (verdict.settled, verdict.is_welcome, verdict.learning) == (True, True, "none")


@pytest.mark.parametrize(("mode", "pool"), [("enforce", "hostile"), ("observe", "nice")])
def test_who_could_not_be_judged_is_a_stranger(mode: str, pool: str) -> None:
    config = CONFIG if mode == "enforce" else replace(CONFIG, mode="observe")

    verdict = stranger("192.0.2.1", config)

    assert verdict.route == Route(pool=pool)
    assert (verdict.score, verdict.standing, verdict.settled) == (0.0, "stranger", False)
    assert [reason.name for reason in verdict.reasons] == ["unjudged"]


# The pause


@pytest.mark.parametrize(
    ("score", "stress", "seconds"),
    [
        (0, False, 6),
        (-40, False, 6),
        (2.5, False, 3),
        (4, False, 1.2),
        (5, False, 0),
        (40, False, 0),
        (0, True, STRESS_PAUSE),
        (-40, True, STRESS_PAUSE),
        (2.5, True, 1),
        (5, True, 0),
    ],
)
def test_the_better_the_score_the_shorter_the_pause(score: float, stress: bool, seconds: float) -> None:
    assert pause(score, CONFIG, stress=stress) == pytest.approx(seconds)


@pytest.mark.parametrize("stress", [True, False])
def test_stress_never_makes_a_short_pause_longer(stress: bool) -> None:
    config = replace(CONFIG, listen=Listen(pause=1.5))

    assert pause(0, config, stress=stress) == 1.5


def test_where_zero_is_a_friend_all_who_are_asked_to_pause_do_so() -> None:
    assert pause(-1, replace(CONFIG, listen=Listen(settled=0)), stress=False) == 6


@given(st.floats(-100, 100), st.floats(0, 100), st.booleans())
def test_no_better_score_pauses_longer(score: float, better: float, stress: bool) -> None:
    longest = STRESS_PAUSE if stress else CONFIG.listen.pause

    assert 0 <= pause(score + better, CONFIG, stress=stress) <= pause(score, CONFIG, stress=stress) <= longest


# The answer to `score`


def test_the_answer_has_the_fields_that_are_promised() -> None:
    verdict = Verdict(
        "192.0.2.1", 12.504, (Reason("history", 12.504, "3 sessions"),), Route(pool="nice"), settled=True, pinned="::/0"
    )

    assert score_answer(verdict) == {
        "client": "192.0.2.1",
        "score": 12.5,
        "route": "nice",
        "pool": "nice",
        "reply": None,
        "settled": True,
        "pinned": "::/0",
        "reasons": [{"name": "history", "points": 12.5, "text": "3 sessions"}],
    }


def test_the_answer_names_a_reply_instead_of_a_pool() -> None:
    answer = score_answer(judge(known(0, lists=(listed("deny"),)), CONFIG, pin=None, weather=CALM))

    assert (answer["route"], answer["pool"], answer["reply"], answer["pinned"]) == ("reply", None, DENIED, None)


def test_the_answer_never_shows_a_negative_zero() -> None:
    answer = score_answer(judge(known(-0.001), CONFIG, pin=None, weather=CALM))

    assert "-0.0" not in json.dumps(answer)
