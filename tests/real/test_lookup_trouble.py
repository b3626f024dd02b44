"""Lists that fail and lists that lie, a DNS that is dead, an asking program that is killed: mail flows all the same."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.real.dns_trouble import DEAD_DOMAIN, GOOD, LISTS_THE_WORLD, REFUSED, SERVFAIL, SILENT, TURNS_US_AWAY, Conduct
from tests.real.dns_world import (
    BLOCK,
    EVERYBODY,
    EVERYBODY_BUT_THE_TEST,
    FRIEND,
    IMPATIENT,
    LISTED,
    LISTINGS,
    OTHERS,
    UNKNOWN,
    ZONES,
    World,
    befriend,
    deliver,
    lists,
    move_in,
    reasons,
    visit,
    wait_for_answers,
    wait_for_votes,
    world,
)
from tests.real.house import House, is_running, wait_for

Build = Callable[..., House]
BLAMED = f"dnslist:{BLOCK}"
FRIENDS = tuple(f"192.0.{number}.1" for number in range(2, 8))


@pytest.fixture
def dns() -> Iterator[World]:
    """A DNS of its own for each test, whose answers may be kept for a second."""
    with world(ttl=1, negative_ttl=1) as made:
        yield made


def alarms(house: House) -> str:
    """What `status` warns of."""
    return "\n".join(house.ask("status")["alarms"])


@pytest.mark.parametrize(
    ("conduct", "why"),
    [
        (SERVFAIL, "SERVFAIL"),
        (REFUSED, "REFUSED"),
        (TURNS_US_AWAY, "127.255.255.254"),
        (DEAD_DOMAIN, "not a list (192.0.2.9)"),
        (LISTS_THE_WORLD, "it lists 127.0.0.1"),
    ],
    ids=["SERVFAIL", "REFUSED", "turned away", "dead domain", "lists the world"],
)
def test_a_list_that_fails_loses_its_vote_until_it_behaves(
    build: Build, dns: World, conduct: Conduct, why: str
) -> None:
    house = move_in(build, dns.config(pause="500ms"), first=IMPATIENT)
    dns.trouble.conduct(BLOCK, conduct)
    wait_for_votes(house, BLOCK, vote=False)

    assert why in lists(house)[BLOCK]["why"]
    assert all(lists(house)[zone]["vote"] for zone in OTHERS)
    wait_for(lambda: f"DNS list {BLOCK} has no vote" in alarms(house), "the alarm")
    assert house.events("dnslist", zone=BLOCK, state="no_vote")
    assert BLAMED not in visit(house, LISTED).line
    dns.trouble.conduct(BLOCK, GOOD)
    wait_for_votes(house, BLOCK)
    assert f"{BLAMED}:-25.0" in visit(house, LISTED).line
    wait_for(lambda: BLOCK not in alarms(house), "the end of the alarm")


def test_a_silent_list_loses_its_vote_and_the_others_keep_theirs(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="500ms"), first=IMPATIENT)
    dns.trouble.conduct(BLOCK, SILENT)

    wait_for_votes(house, BLOCK, vote=False)

    assert "timeout" in lists(house)[BLOCK]["why"]
    assert all(lists(house)[zone]["vote"] for zone in OTHERS)
    visit(house, UNKNOWN)
    assert BLAMED not in reasons(house, UNKNOWN)


def test_what_a_list_said_does_not_count_once_it_has_no_vote(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="500ms"), first=IMPATIENT)
    visit(house, LISTED)
    assert reasons(house, LISTED)[BLAMED] == -25.0

    dns.rbldnsd.write(BLOCK, EVERYBODY)
    wait_for_votes(house, BLOCK, vote=False)

    assert BLAMED not in reasons(house, LISTED)
    (told,) = [told for told in house.ask(f"score {LISTED}")["dnslists"] if told["zone"] == BLOCK]
    assert (told["said"], told["vote"], told["points"]) == ("listed", False, 0.0)


def test_a_list_that_begins_to_list_our_friends_loses_its_vote(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="100ms"), first=IMPATIENT)
    for friend in FRIENDS:
        befriend(house, friend)
    before = {friend: house.score(friend) for friend in FRIENDS}
    dns.rbldnsd.write(BLOCK, EVERYBODY_BUT_THE_TEST)

    def friends_come() -> bool:
        for friend in FRIENDS:
            assert " settled=yes " in visit(house, friend).line
        return not lists(house)[BLOCK]["vote"]

    wait_for(friends_come, "the end of its vote")
    assert "of our friends" in lists(house)[BLOCK]["why"]
    assert {friend: house.score(friend) for friend in FRIENDS} == pytest.approx(before, abs=0.5)
    assert BLAMED not in visit(house, "203.0.113.77").line  # which would be a foe otherwise
    dns.rbldnsd.write(BLOCK, LISTINGS[BLOCK])
    wait_for(lambda: friends_come() or lists(house)[BLOCK]["vote"], "its vote")


def test_a_lying_list_costs_a_known_client_nothing_even_before_it_is_found_out(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="500ms"))
    befriend(house)
    before = house.score(FRIEND)
    dns.rbldnsd.write(BLOCK, EVERYBODY_BUT_THE_TEST)

    def is_listed() -> bool:
        lists_told = house.ask(f"score {FRIEND} --ask")["dnslists"]
        return {told["zone"]: str(told["said"]) for told in lists_told}[BLOCK] == "listed"

    wait_for(is_listed, "the lie")
    told = house.ask(f"score {FRIEND}")
    assert lists(house)[BLOCK]["vote"]
    assert told["score"] == pytest.approx(before, abs=0.6)  # its confirmed name is worth half a point
    assert told["pool"] == "nice"
    assert " settled=yes " in visit(house, FRIEND).line


def test_with_all_dns_dead_friends_and_strangers_are_served(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="500ms"), first=IMPATIENT)
    befriend(house)
    dns.trouble.conduct("", SILENT)

    for number in range(10):
        stranger = visit(house, f"203.0.113.{number + 100}")
        assert 0.4 < stranger.seconds < 2.0
        assert "dnslist" not in stranger.line
        assert "name:" not in stranger.line
    for _ in range(5):
        friend = visit(house, FRIEND)
        assert " pool=nice " in friend.line
        assert friend.seconds < 0.4
    deliver(house, FRIEND)
    wait_for_votes(house, vote=False)
    assert not house.events("bug")


def test_with_no_resolver_at_all_everybody_is_served(build: Build, dns: World) -> None:
    config = dns.config(pause="200ms").replace(f":{dns.trouble.port}", ":9")  # where nobody listens
    house = build(config).start()

    visit(house, LISTED)
    deliver(house, UNKNOWN)

    assert not house.events("bug")


def test_an_asking_program_that_is_killed_is_started_again(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="500ms"), first=IMPATIENT)
    pid = house.ask("status")["dns"]["program"]["pid"]
    os.kill(pid, signal.SIGKILL)

    deliver(house, UNKNOWN)
    wait_for(lambda: house.ask("status")["dns"]["program"]["pid"] not in {None, pid}, "another one")

    wait_for(lambda: "asking program" in alarms(house), "the alarm")
    wait_for(lambda: len(house.events("lookup_ready")) == 2, "that it is ready")
    wait_for_votes(house)
    assert f"{BLAMED}:-25.0" in visit(house, LISTED).line


def test_what_was_asked_while_the_program_is_dead_is_answered_by_the_next(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="100ms"))
    pid = house.ask("status")["dns"]["program"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: house.ask("status")["dns"]["program"]["pid"] is None, "its end")

    visit(house, LISTED)

    wait_for_answers(house, LISTED)
    assert reasons(house, LISTED)[BLAMED] == -25.0


def test_a_stopped_asking_program_holds_nobody_up(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="200ms", dns="lookups_per_second = 100000"))
    befriend(house)
    pid = house.ask("status")["dns"]["program"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(60):  # more than there are places for questions
            assert visit(house, f"203.0.113.{number + 100}").seconds < 2.0
        assert " settled=yes " in visit(house, FRIEND).line
    finally:
        os.kill(pid, signal.SIGCONT)

    dns_status = house.ask("status")["dns"]
    assert dns_status["no_room"] > 0
    assert dns_status["in_flight"] <= 256


def test_the_asking_program_ends_with_frontproxy(build: Build, dns: World) -> None:
    house = move_in(build, dns.config())
    pid = house.ask("status")["dns"]["program"]["pid"]

    house.kill()
    house.wait()

    wait_for(lambda: not is_running(pid), "the end of the asking program")


def test_a_reload_with_another_resolver_asks_that_one(build: Build, dns: World) -> None:
    house = move_in(build, dns.config(pause="200ms"))
    config = dns.config(pause="200ms")
    house.write_config(config.replace(f":{dns.trouble.port}", f":{dns.unbound.port}"))
    assert house.ask("reload")["ok"]
    asked = dns.trouble.queries()

    wait_for_votes(house)
    visit(house, LISTED)
    wait_for_answers(house, LISTED, len(ZONES))

    assert dns.trouble.queries() == asked
    assert len(house.events("lookup", state="started")) == 2
