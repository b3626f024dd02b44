"""The operator's verbs: their fields, and how they refuse."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from frontproxy import control
from frontproxy.control import Refused
from frontproxy.core.mistakes import Mistake, Mistaken
from frontproxy.memory.journal import Journal
from tests.houses import BANNED, FOE, FRIEND, STRANGER, WALL, Deeds, House, bug, controls_of, house, outcome

__all__ = ["house"]

VERBS = "clients, drain, forget, learn, pin, pins, reload, route, score, status, stress, tell, undo, unpin"


async def ask(house: House, request: str, deeds: Deeds | None = None) -> dict[str, Any]:
    return await control.answer(controls_of(house, deeds), request.split())


async def refusal(house: House, request: str, deeds: Deeds | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        await ask(house, request, deeds)
    return caught.value


async def test_the_score_of_an_address_never_seen_is_a_strangers(house: House) -> None:
    assert await ask(house, f"score {STRANGER}") == {
        "client": STRANGER,
        "score": 0.0,
        "route": "hostile",
        "pool": "hostile",
        "reply": None,
        "settled": False,
        "pinned": None,
        "reasons": [],
        "dnslists": [],
        "name": None,
    }


async def test_the_score_of_a_friend_explains_itself(house: House) -> None:
    answer = await ask(house, f"score {FRIEND}")

    assert (answer["score"], answer["pool"], answer["settled"]) == (20.0, "nice", True)
    assert answer["reasons"] == [{"name": "list:friends", "points": 20.0, "text": "on your list friends"}]


async def test_the_score_of_who_would_be_refused_tells_the_reply(house: House) -> None:
    answer = await ask(house, f"score {BANNED}")

    assert (answer["route"], answer["pool"], answer["reply"]) == ("reply", None, "554 5.7.1 Access denied")


@pytest.mark.parametrize(
    ("request_line", "code", "told"),
    [
        ("helo", "unknown_command", f"'helo' is no command; there are: {VERBS}"),
        ("x" * 500, "unknown_command", f"'{'x' * 40}' is no command"),
        ("SCORE 192.0.2.1", "unknown_command", "there are"),
        ("score", "usage", "usage: score CLIENT"),
        ("score 192.0.2.1 192.0.2.2", "usage", "usage: score CLIENT"),
        ("score mail.example.com", "bad_address", "'mail.example.com' is not an IPv4 or IPv6 address"),
        ("score 192.0.2.1:25", "bad_address", "without port"),
        ("score 192.0.2", "bad_address", "is not an IPv4"),
        ("clients all", "usage", "usage: clients"),
        ("pin", "usage", "usage: pin CLIENT|NETWORK POOL [--for 1h] [--because TEXT]"),
        ("pin 192.0.2.1", "usage", "usage: pin"),
        ("pin 192.0.2.1 nice now", "usage", "usage: pin"),
        ("pin 192.0.2.1 nicest", "failed", "there is no pool 'nicest'; there are: nice, hostile"),
        ("pin mail.example.com nice", "bad_address", "is not an IPv4"),
        ("pin 192.0.2.1/24 nice", "bad_address", "192.0.2.0/24"),
        ("pin fe80::1%\\x nice", "bad_address", "scope"),
        ("pin 192.0.2.1 nice --for", "usage", "'' is not a duration"),
        ("pin 192.0.2.1 nice --for ever", "usage", "'ever' is not a duration"),
        ("pin 192.0.2.1 nice --for 1h 2h", "usage", "usage: pin"),
        ("pin 192.0.2.1 nice --forever", "usage", "'--forever' is no option; usage: pin"),
        ("unpin", "usage", "usage: unpin CLIENT|NETWORK"),
        ("unpin 192.0.2.1", "failed", "192.0.2.1 is not pinned; see: pins"),
        ("unpin nobody", "bad_address", "'nobody' is not"),
        ("pins all", "usage", "usage: pins"),
        ("forget", "usage", "usage: forget CLIENT"),
        ("forget nobody", "bad_address", "'nobody' is not"),
        ("status now", "usage", "usage: status"),
        ("stress best on", "usage", "usage: stress [POOL] [on|off|auto] [--for 1h]; the pools are: nice, hostile"),
        ("stress nice up", "usage", "usage: stress"),
        ("stress nice on off", "usage", "usage: stress"),
        ("stress on --for 1", "usage", "'1' is not a duration"),
        ("stress nice --for 1h", "usage", "usage: stress"),
        ("stress on --because war", "usage", "'--because' is no option"),
        ("reload now", "usage", "usage: reload"),
        ("drain now", "usage", "usage: drain"),
    ],
)
async def test_a_request_that_cannot_be_served_says_why(house: House, request_line: str, code: str, told: str) -> None:
    refused = await refusal(house, request_line)

    assert refused.code == code
    assert told in str(refused)
    assert str(refused).isprintable()
    assert refused.fields == {}


async def test_clients_are_ranked_three_ways(house: House) -> None:
    for address, messages in ((STRANGER, 1), ("198.51.100.1", 5)):
        house.outcomes.hear(outcome(house.given(address), messages=messages))
    given = house.given("198.51.100.2")
    given.session.early = True
    house.outcomes.hear(outcome(given))

    answer = await ask(house, "clients")

    assert set(answer) == {"best", "worst", "busiest"}
    assert [row["client"] for row in answer["best"]][:2] == ["198.51.100.1", STRANGER]
    assert answer["worst"][0] == {
        "client": "198.51.100.2",
        "points": answer["worst"][0]["points"],
        "good": 0.0,
        "bad": 1.0,
        "last_seen": WALL,
    }
    assert answer["worst"][0]["points"] < 0 < answer["best"][0]["points"]


async def test_a_pin_is_shown_kept_and_obeyed(house: House) -> None:
    pin = {"network": "192.0.2.0/24", "pool": "nice", "until": None, "because": "they are ours", "made": WALL}

    assert await ask(house, "pin 192.0.2.0/24 nice --because they are ours") == pin
    assert await ask(house, "pins") == {"pins": [pin]}
    answer = await ask(house, f"score {STRANGER}")
    assert (answer["pinned"], answer["pool"], answer["settled"]) == ("192.0.2.0/24", "nice", True)
    assert "they are ours" in (house.folder / "pins.toml").read_text()

    assert await ask(house, "unpin 192.0.2.0/24") == {"network": "192.0.2.0/24"}
    assert await ask(house, "pins") == {"pins": []}
    assert (await ask(house, f"score {STRANGER}"))["pinned"] is None


async def test_a_pin_for_an_hour_ends_after_an_hour(house: House) -> None:
    assert (await ask(house, "pin 192.0.2.7 nice --for 1h"))["until"] == WALL + 3600

    house.wall += 3599
    assert (await ask(house, f"score {STRANGER}"))["pinned"] == STRANGER
    house.wall += 2
    assert (await ask(house, f"score {STRANGER}"))["pinned"] is None
    assert await ask(house, "pins") == {"pins": []}


@pytest.mark.parametrize("because", ["a b", "buy --for 2h --cheap"])
async def test_all_words_after_because_are_the_reason_and_never_options(house: House, because: str) -> None:
    """A filter may pass on what a client wrote."""
    answer = await ask(house, f"pin 192.0.2.7 nice --for 1h --because {because}")

    assert (answer["because"], answer["until"]) == (because, WALL + 3600)


@pytest.mark.parametrize("verb", ["pin 192.0.2.8 nice", "unpin 192.0.2.7"])
async def test_a_pin_that_cannot_be_written_is_not_made(house: House, verb: str) -> None:
    await ask(house, "pin 192.0.2.7 nice")
    before = await ask(house, "pins")
    (house.folder / "pins.toml.new").mkdir()  # in the way of the new file

    refused = await refusal(house, verb)

    assert refused.code == "failed"
    assert "could not be written" in str(refused)
    assert await ask(house, "pins") == before


async def test_who_is_forgotten_is_a_stranger_again(house: House) -> None:
    house.outcomes.hear(outcome(house.given(STRANGER), messages=1))

    assert await ask(house, f"forget {STRANGER}") == {"client": STRANGER, "known": True}
    assert house.knowledge(STRANGER) == (0.0, 0.0)
    assert await ask(house, f"forget {STRANGER}") == {"client": STRANGER, "known": False}


async def test_an_ipv6_client_is_its_64(house: House) -> None:
    assert await ask(house, "forget 2001:db8::1") == {"client": "2001:db8::/64", "known": False}


async def test_stress_is_shown_and_held(house: House) -> None:
    calm = [{"name": name, "stress": False, "held": "auto"} for name in ("nice", "hostile")]
    assert await ask(house, "stress") == {"pools": calm}
    assert await ask(house, "stress nice") == {"pools": calm[:1]}

    assert await ask(house, "stress nice on") == {"pools": [{"name": "nice", "stress": True, "held": "on"}]}
    assert house.proxy.pools.stressed == ("nice",)
    assert len(house.log.about("stress")) == 1
    assert await ask(house, "stress off") == {
        "pools": [{"name": name, "stress": False, "held": "off"} for name in ("nice", "hostile")]
    }
    assert await ask(house, "stress auto") == {"pools": calm}


async def test_stress_is_held_for_a_while(house: House) -> None:
    await ask(house, "stress nice on --for 1m")

    house.proxy.pools.tick(time.monotonic() + 59)
    assert (await ask(house, "status"))["pools"][0]["stress"] is True
    house.proxy.pools.tick(time.monotonic() + 61)
    assert (await ask(house, "stress nice"))["pools"] == [{"name": "nice", "stress": False, "held": "auto"}]


async def test_a_reload_tells_its_remarks(house: House) -> None:
    assert await ask(house, "reload", Deeds(reload=lambda: ["admin has changed"])) == {"remarks": ["admin has changed"]}


async def test_a_reload_that_was_refused_tells_every_mistake(house: House) -> None:
    def mistaken() -> list[str]:
        raise Mistaken(
            [Mistake("c.toml", 9, "b", "is wrong", "mend it"), Mistake("c.toml", 2, "a", "is odd", "even it")]
        )

    refused = await refusal(house, "reload", Deeds(reload=mistaken))

    assert refused.code == "failed"
    assert refused.fields == {"mistakes": ["c.toml:2: a: is odd; even it", "c.toml:9: b: is wrong; mend it"]}


async def test_drain_tells_how_many_sessions_are_open(house: House) -> None:
    deeds = Deeds()
    house.given(STRANGER)

    assert await ask(house, "drain", deeds) == {"sessions": 1}
    assert deeds.drained == ["drain"]


async def test_status_tells_how_everything_is(house: House) -> None:
    house.given(STRANGER)
    house.wall += 10

    answer = await ask(house, "status")

    assert set(answer) == {
        "version",
        "mode",
        "configuration",
        "warnings",
        "uptime",
        "clock_error",
        "longest_stall",
        "alarms",
        "waiting_room",
        "places",
        "pools",
        "servers",
        "feeds",
        "dns",
        "history",
        "readiness",
        "databases",
        "lists",
        "counters",
    }
    assert answer["uptime"] == 10.0
    assert answer["waiting_room"] == {"waiting": 0, "places": 5000}
    hostile = answer["pools"][1]
    assert (hostile["name"], hostile["taken"], hostile["places"], hostile["stress"]) == ("hostile", 1, 20, False)
    assert hostile["backends"] == [{"name": "bundled:hostile", "sessions": 1, "down": None, "brake": None}]
    programs = answer["feeds"].pop("programs")
    assert [program["name"] for program in programs] == ["milter"]
    assert answer["feeds"] == {"connected": 1, "lines": 7, "bad_lines": 0, "silent_for": None}
    assert answer["lists"] == {"networks": 5, "lists": 5}
    assert answer["counters"] == {"accepted": 1, "handed_over": 1, "log_lines_dropped": 0}


async def test_status_tells_whether_history_suffices_to_enforce(house: House, tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path / "journal", log=house.log, clock=house.proxy.clock.now)) as journal:
        house.proxy.journal = journal
        for client in (FRIEND, STRANGER):
            house.outcomes.hear(outcome(house.given(client), messages=1))
        house.given(FOE)
        house.wall += 2 * 86400

        readiness = (await ask(house, "status"))["readiness"]

    assert (readiness["sessions"], readiness["good"], readiness["days"]) == (3, 2, 2.0)
    assert (readiness["known_share"], readiness["friend_share"], readiness["outcome_share"]) == (0.0, 0.5, 0.667)
    assert (readiness["feeds_alive"], readiness["enough"]) == (True, False)
    assert "2.0 days, of 7" in readiness["text"]


async def test_status_names_the_backend_that_is_down_and_why(house: House) -> None:
    house.smtpds["nice"].close()
    house.given(FRIEND)

    answer = await ask(house, "status")

    (backend,) = answer["pools"][0]["backends"]
    assert backend["sessions"] == 0
    assert "Connection refused" in backend["down"]
    assert answer["pools"][1]["taken"] == 1


async def test_asking_for_a_score_counts_nothing_and_hides_no_bug(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(house, f"score {STRANGER}")
    assert not house.proxy.counters

    monkeypatch.setattr(house.proxy.memory, "recall", bug)
    with pytest.raises(ZeroDivisionError):
        await ask(house, f"score {STRANGER}")
