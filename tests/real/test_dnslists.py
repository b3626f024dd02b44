"""What DNS lists say about strangers, from the first question to the score: real rbldnsd, real unbound, real proxy."""

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.real.dns_trouble import SILENT, TRUNCATED, Conduct
from tests.real.dns_world import (
    ALLOW,
    ALLOWED,
    BLOCK,
    FRIEND,
    LISTED,
    LISTED_IPV6,
    LISTED_MILDLY,
    UNKNOWN,
    ZONES,
    World,
    befriend,
    move_in,
    reasons,
    visit,
    wait_for_answers,
    wait_for_votes,
    world,
)
from tests.real.house import House, wait_for

Build = Callable[..., House]
ALL_POINTS = {f"dnslist:{zone}" for zone in ZONES}


@pytest.fixture
def dns() -> Iterator[World]:
    """A DNS of its own for each test."""
    with world() as made:
        yield made


def said(answer: dict[str, object]) -> dict[str, str]:
    """What each list said of a client, from the answer to `score`."""
    lists = answer["dnslists"]
    assert isinstance(lists, list)
    return {told["zone"]: told["said"] for told in lists}


@pytest.mark.parametrize(
    ("client", "zone", "points"),
    [(LISTED, BLOCK, -25.0), (LISTED_IPV6, BLOCK, -25.0), (LISTED_MILDLY, BLOCK, -10.0), (ALLOWED, ALLOW, 12.0)],
    ids=["IPv4", "IPv6", "several replies", "an allow list"],
)
def test_a_listed_stranger_gets_the_points_of_its_reply(
    build: Build, dns: World, client: str, zone: str, points: float
) -> None:
    house = move_in(build, dns.config())

    line = visit(house, client).line

    assert f"dnslist:{zone}:{points:.1f}" in line
    assert reasons(house, client)[f"dnslist:{zone}"] == points
    assert said(wait_for_answers(house, client)) == {name: "listed" if name == zone else "not listed" for name in ZONES}


def test_who_is_on_no_list_gets_no_points(build: Build, dns: World) -> None:
    house = move_in(build, dns.config())

    visit(house, UNKNOWN)

    assert set(said(wait_for_answers(house, UNKNOWN)).values()) == {"not listed"}
    assert not ALL_POINTS & set(reasons(house, UNKNOWN))


def test_rules_know_by_whom_a_client_is_listed(build: Build, dns: World) -> None:
    rule = f'[[route]]\nwhen = "\\"{BLOCK}\\" in listed"\nreply = "421 4.7.1 Listed"\n[[route]]\nto = "hostile"\n'
    house = move_in(build, dns.config() + rule)
    visit(house, UNKNOWN)

    with pytest.raises(AssertionError, match=r"421 4\.7\.1 Listed"):
        visit(house, LISTED)


def test_an_allowed_stranger_is_served_by_the_nice_pool(build: Build, dns: World) -> None:
    house = move_in(build, dns.config())

    assert " pool=nice " in visit(house, ALLOWED).line


def test_all_lists_are_asked_at_once(build: Build, dns: World) -> None:
    dns.trouble.conduct("", Conduct(delay=1.0))
    house = move_in(build, dns.config(pause="3s"))

    visited = visit(house, LISTED)

    assert f"dnslist:{BLOCK}:-25.0" in visited.line  # five lists that take 1 s each would be too late
    assert set(said(wait_for_answers(house, LISTED)).values()) == {"listed", "not listed"}


def test_silent_lists_make_no_pause_longer(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="1s"))
    answered = visit(house, UNKNOWN)
    dns.trouble.conduct("", SILENT)

    unanswered = visit(house, LISTED)

    assert 0.9 < answered.seconds < 2.0
    assert 0.9 < unanswered.seconds < 2.0
    assert "dnslist" not in unanswered.line


def test_an_answer_that_is_too_long_for_udp_is_fetched_by_tcp(build: Build, dns: World) -> None:
    dns.trouble.conduct(BLOCK, TRUNCATED)
    house = move_in(build, dns.config())

    assert f"dnslist:{BLOCK}:-25.0" in visit(house, LISTED).line


def test_a_late_answer_is_there_at_the_next_visit(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="200ms"))
    dns.trouble.conduct(BLOCK, Conduct(delay=1.0))

    first = visit(house, LISTED)
    wait_for_answers(house, LISTED)
    asked = dns.trouble.names()
    second = visit(house, LISTED)

    assert f"dnslist:{BLOCK}" not in first.line
    assert f"dnslist:{BLOCK}:-25.0" in second.line
    assert dns.trouble.names() == asked


def test_a_reload_forgets_no_answer(build: Build, dns: World) -> None:
    house = move_in(build, dns.config())
    visit(house, LISTED)
    wait_for_answers(house, LISTED)
    asked = count_of(dns, LISTED)

    house.kill(signal.SIGHUP)
    wait_for(lambda: house.events("reload", state="done"), "the reload")

    assert f"dnslist:{BLOCK}:-25.0" in visit(house, LISTED).line
    assert count_of(dns, LISTED) == asked


def test_a_reload_may_bring_new_lists_and_take_old_ones_away(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(lists=""))
    assert "dnslist" not in visit(house, LISTED).line
    house.write_config(dns.config())
    assert house.ask("reload")["ok"]
    wait_for_votes(house)

    with_lists = visit(house, LISTED)
    house.write_config(dns.config(lists=""))
    assert house.ask("reload")["ok"]

    assert f"dnslist:{BLOCK}:-25.0" in with_lists.line
    assert "dnslist" not in visit(house, LISTED).line


def test_a_friend_is_never_asked_about(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="100ms"))
    befriend(house)
    asked = count_of(dns, FRIEND)

    for _ in range(5):
        assert " settled=yes " in visit(house, FRIEND).line

    assert count_of(dns, FRIEND) <= asked + len(ZONES)  # unless to see whether a list lists our friends


def test_score_ask_looks_everything_up_now(build: Build, dns: World) -> None:
    house = move_in(build, dns.config())
    visit(house, UNKNOWN)
    wait_for_answers(house, UNKNOWN)
    dns.rbldnsd.write(BLOCK, {UNKNOWN: "127.0.0.4"})
    dns.unbound.write([])  # which forgets what it has heard
    assert said(house.ask(f"score {UNKNOWN}"))[BLOCK] == "not listed"

    told = house.command("score", "--ask", UNKNOWN)

    assert "listed: 127.0.0.4" in told
    assert said(house.ask(f"score {UNKNOWN}"))[BLOCK] == "listed"


def test_without_lists_and_names_nobody_is_asked(build: Build, dns: World) -> None:
    house = build(dns.config(lists="", dns="names = false", pause="100ms")).start()

    visit(house, LISTED)

    assert dns.trouble.queries() == 0
    assert not house.events("lookup")


def test_the_look_ups_of_a_second_are_limited(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="100ms", dns="lookups_per_second = 10"))
    began = time.monotonic()
    for number in range(40):
        visit(house, f"203.0.113.{number + 100}")
    seconds = time.monotonic() - began

    assert dns.trouble.queries() < 10 * (seconds + 2) + 4 * len(ZONES)


def count_of(dns: World, client: str) -> int:
    """How often anything was asked about an IPv4 client."""
    reverse = ".".join(reversed(client.split(".")))
    return sum(count for name, count in dns.trouble.names().items() if name.startswith(f"{reverse}."))
